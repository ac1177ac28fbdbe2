"""``airflow globus cost``: what it finds in DAGs, against what their runs ask of the sandbox."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.cli import cli_parser

from airflow_provider_globus.cli import cost
from airflow_provider_globus.jobs import job_service
from tests.dag_runs import database, load, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, ComputeEndpointFactory
    from tests.dag_runs import Load, Run

__all__ = ["database", "load", "run"]

IMPORTS = """
from datetime import timedelta
from airflow.sdk import DAG, Asset, AssetWatcher, task, task_group
from airflow_provider_globus.operators.compute import GlobusComputeMapOperator, GlobusComputeOperator
from airflow_provider_globus.operators.flow_runs import GlobusRunFlowOperator
from airflow_provider_globus.operators.manifests import GlobusVerifyManifestOperator
from airflow_provider_globus.operators.prune import GlobusSafePruneOperator
from airflow_provider_globus.operators.search import GlobusSearchIngestOperator
from airflow_provider_globus.operators.transfer import GlobusDeleteOperator, GlobusTransferOperator
from airflow_provider_globus.sensors.activity import GlobusCollectionActivitySensor
from airflow_provider_globus.sensors.compute import GlobusComputeEndpointSensor, GlobusComputeTaskSensor
from airflow_provider_globus.sensors.flows import GlobusFlowRunSensor, GlobusWebInputSensor
from airflow_provider_globus.sensors.path import GlobusPathSensor
from airflow_provider_globus.sensors.transfer import GlobusTransferTaskSensor
from airflow_provider_globus.triggers.watchers import GlobusArrivedFilesTrigger

ENDS = {"source_collection": "source", "destination_collection": "target"}
"""


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Any:
    def show(*arguments: str, output: str = "json") -> Any:
        parsed = cli_parser.get_parser().parse_args(["globus", "cost", *arguments, "--output", output])
        parsed.func(parsed)
        shown = capsys.readouterr().out
        return json.loads(shown) if output == "json" else shown

    return show


@pytest.fixture
def dag_file(tmp_path: Path) -> Any:
    def write(body: str, name: str = "dags.py") -> Path:
        path = tmp_path / name
        path.write_text(IMPORTS + body)
        return path

    return write


def waits(found: Any) -> dict[str, Any]:
    (dag,) = found
    return {row["name"]: row for row in dag["waits"]}


# What a run asks of the sandbox

#: Looks after which each wait ends, so that the next one sees it; and the seconds between two.
LOOKS, INTERVAL = 2, 0.2
HOURS = (LOOKS + 0.5) * INTERVAL / 3600

RUNS = {
    "transfer": """GlobusTransferOperator(
        task_id="t", source_path="/a", destination_path="/1", recursive=False, **ENDS, **TRIGGERER)""",
    "transfer in a worker": """GlobusTransferOperator(
        task_id="t", source_path="/a", destination_path="/1", return_files=5, **ENDS, **WORKER)""",
    "mapped transfers": """GlobusTransferOperator.partial(task_id="t", **ENDS, **TRIGGERER).expand(
        items=[[["/a", "/3"]], [{"source_path": "/a", "destination_path": "/4"}]])""",
    "items": """GlobusTransferOperator(task_id="t", **ENDS, **TRIGGERER, items=[
        {"source_path": "/a", "destination_path": f"/{n}", "recursive": False} for n in range(12)])""",
    "delete": """GlobusDeleteOperator(task_id="t", collection="source", paths="/a", **TRIGGERER)""",
    "prune": """GlobusSafePruneOperator(
        task_id="t", collection="source", path="/", copy_collection="target", copy_path="/", **TRIGGERER)""",
    "verify": """GlobusVerifyManifestOperator(
        task_id="t", collection="source", path="/", reread_to=["target", "/reread/"], **TRIGGERER,
        manifest=[{"path": "a", "size": 1, "algorithm": "md5", "checksum": "0cc175b9c0f1b6a831c399e269772661"}])""",
    "function": """GlobusComputeOperator(
        task_id="t", endpoint="hpc", python_callable=wait_for, op_args=[GO], **TRIGGERER)""",
    "mapped functions": """GlobusComputeOperator.partial(
        task_id="t", endpoint="hpc", python_callable=wait_for, **TRIGGERER).expand(op_args=[[GO], [GO]])""",
    "many inputs": """GlobusComputeMapOperator(
        task_id="t", endpoint="hpc", python_callable=wait_for, inputs=[GO, GO, GO],
        require_online=False, exactly_once=False, **WORKER)""",
    "path": """GlobusPathSensor(
        task_id="t", collection="source", path="/late", deferrable=True, poke_interval=INTERVAL)""",
    "path in a worker": """GlobusPathSensor(
        task_id="t", collection="source", path="/late", poke_interval=INTERVAL)""",
    "flow": """GlobusRunFlowOperator(task_id="t", flow="flow", collections=["source"], **TRIGGERER)""",
    "search": """GlobusSearchIngestOperator(
        task_id="t", index="catalogue", subject="s", content={"a": 1}, **TRIGGERER)""",
}

DAG_OF_ONE = """
INTERVAL, GO = {interval}, {go!r}


def in_a_process_of_its_own(context):
    from airflow_provider_globus.hooks.credentials import forget_credentials
    forget_credentials()


def wait_for(path):
    import time
    from pathlib import Path
    while not Path(path).exists():
        time.sleep(0.01)


TRIGGERER = {{"deferrable": True, "worker_wait": 0, "poll_interval": INTERVAL}}
WORKER = {{"deferrable": False, "poll_interval": INTERVAL}}
DEFAULTS = {{"pre_execute": in_a_process_of_its_own, "execution_timeout": timedelta(minutes=1)}}

with DAG({dag_id!r}, schedule=None, default_args=DEFAULTS):
    {task}
"""


class Ends:
    """Ends what a DAG waits for, at the sandbox, once it has been looked at so often."""

    def __init__(self, globus: GlobusSandbox, go: Path, late: Path) -> None:
        self.globus, self.go, self.late = globus, go, late
        self.seen = Counter[str]()

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, looks, end in (
            ("transfer", LOOKS, self.transfer),
            ("compute", LOOKS, self.compute),
            ("flows", LOOKS, self.flow),
            ("search", LOOKS, self.search),
            # A sensor's first look comes at once.
            ("paths", LOOKS + 1, self.path),
        ):
            cls = type(job_service(name))
            monkeypatch.setattr(cls, "fetch", self._counting(cls.fetch, looks, end))

    def _counting(self, fetch: Any, looks: int, end: Callable[[str], object]) -> Any:
        def counted(service: Any, hook: Any, job_ids: Sequence[str]) -> Any:
            answer = fetch(service, hook, job_ids)
            for job_id in job_ids:
                self.seen[job_id] += 1
                if self.seen[job_id] == looks:
                    end(job_id)
            return answer

        return counted

    def transfer(self, job_id: str) -> None:
        self.globus.world.transfer.release()
        self.globus.world.transfer.wait(job_id)
        # The next mapped one has to wait, too.
        self.globus.world.transfer.hold()

    def compute(self, job_id: str) -> None:
        self.go.touch()
        for task_id in list(self.globus.world.compute.tasks):
            self.globus.world.compute.wait(task_id)
        # The next mapped one has to wait, too.
        self.go.unlink(missing_ok=True)

    def flow(self, job_id: str) -> None:
        self.globus.clock.advance(3600)
        self.globus.world.flows.wait(job_id, "SUCCEEDED")

    def search(self, job_id: str) -> None:
        self.globus.clock.advance(3600)

    def path(self, job_id: str) -> None:
        self.late.touch()


@pytest.mark.parametrize("name", RUNS)
def test_a_run_makes_the_calls_that_are_estimated(
    name: str,
    globus_sandbox: GlobusSandbox,
    globus_collection: CollectionFactory,
    globus_compute_endpoint: ComputeEndpointFactory,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    dag_file: Any,
    load: Load,
    run: Run,
) -> None:
    source, _ = globus_collection("source", files={"a": "a"}), globus_collection("target", files={"a": "a"})
    globus_compute_endpoint("hpc", workers=4)
    globus_sandbox.add_flow("flow", {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": True}}})
    globus_sandbox.add_search_index("catalogue")
    globus_sandbox.settings.search_task_seconds = 3600.0
    globus_sandbox.world.transfer.hold()
    go = tmp_path / "go"
    Ends(globus_sandbox, go, source.folder / "late").watch(monkeypatch)
    dag_id = name.replace(" ", "_")
    path = dag_file(DAG_OF_ONE.format(interval=INTERVAL, go=str(go), dag_id=dag_id, task=RUNS[name]))
    dag = load(path)[dag_id]
    estimate = cost.estimate(dag, hours=HOURS, mapped=99)
    globus_sandbox.journal.clear()
    assert run(dag, {})[0] == "success"
    (waiting,) = estimate["waits"]
    asked = [entry for entry in globus_sandbox.journal.entries if entry.service == waiting["api"].lower()]
    # Functions are registered once for all runs; those of another test's sandbox are refused first.
    asked = [entry for entry in asked if entry.path != "/v3/functions" and entry.status != 404]
    # Of a run that has ended, the last look finds no log to read. And `dag.test()` lets nothing share a poll.
    spared = 1 if name == "flow" else 0
    apart = (waiting["tasks"] - 1) * (LOOKS + 1)
    said = estimate["calls"] - spared + apart
    assert len(asked) == said, "\n".join([f"{entry.method} {entry.path}" for entry in asked])


# What is found in a DAG

FOUND = """
@task
def listed():
    return []


@task
def no_wait():
    pass


with DAG("found", schedule=None, default_args={"deferrable": True, "poll_interval": 60.0}):
    GlobusTransferOperator(task_id="plain", source_path="/a", destination_path="/b", **ENDS)
    GlobusTransferOperator(
        task_id="own", source_path="/a", destination_path="/b", poll_interval=10, deferrable=False,
        globus_conn_id="other", **ENDS)
    GlobusTransferOperator.partial(task_id="three", **ENDS).expand(items=[[["/a", f"/{n}"]] for n in range(3)])
    GlobusTransferOperator.partial(task_id="some", **ENDS).expand(items=listed())
    GlobusTransferOperator(task_id="starts", source_path="/a", destination_path="/b", wait_for_completion=False, **ENDS)
    GlobusVerifyManifestOperator(task_id="compares", collection="source", path="/", manifest="m.json")
    GlobusSearchIngestOperator(task_id="search", index="i", subject="s", content={})
    GlobusComputeMapOperator(task_id="inputs", endpoint="hpc", python_callable=abs, inputs=[1, 2])
    GlobusComputeMapOperator(task_id="more_inputs", endpoint="hpc", python_callable=abs, inputs="{{ params.x }}")
    GlobusComputeTaskSensor(task_id="tasks", compute_task_ids=["a", "b", "c"], deferrable=False)
    GlobusWebInputSensor(task_id="answered", web_input_id="{{ 1 }}", poke_interval=20)
    GlobusPathSensor(task_id="path", collection="source", path="/a")

    @task.globus_compute(endpoint="hpc", poll_interval=5)
    def double(x):
        return 2 * x

    double.expand(x=[1, 2, 3, 4])

    @task_group
    def group(x):
        GlobusDeleteOperator(task_id="delete", collection="source", paths=x)

    group.expand(x=["/a", "/b", "/c"])
    no_wait()
"""


def test_tasks_are_found_with_what_they_were_given(show: Any, dag_file: Any) -> None:
    found = waits(show(str(dag_file(FOUND)), "--mapped", "7"))
    shown = {
        name: (row["waits_in"], row["interval"], row["tasks"], row["jobs"], row["assumed"], row["conn_id"])
        for name, row in found.items()
    }
    default = "globus_default"
    assert shown == {
        "plain": ("triggerer", 60.0, 1, 1, False, default),
        "own": ("worker", 10.0, 1, 1, False, "other"),
        "three": ("triggerer", 60.0, 3, 1, False, default),
        "some": ("triggerer", 60.0, 7, 1, True, default),
        "search": ("triggerer", 60.0, 1, 1, False, default),
        "inputs": ("triggerer", 60.0, 1, 2, False, default),
        "more_inputs": ("triggerer", 60.0, 1, 7, True, default),
        "tasks": ("worker", 30.0, 1, 3, False, default),
        "answered": ("triggerer", 20.0, 1, 1, False, default),
        "path": ("triggerer", 30.0, 1, 1, False, default),
        "double": ("triggerer", 5.0, 4, 1, False, default),
        "group.delete": ("triggerer", 60.0, 3, 1, False, default),
    }
    assert found["answered"]["calls_a_round"] == 1


def test_airflow_decides_where_the_dag_does_not(show: Any, dag_file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = dag_file("""
with DAG("default"):
    GlobusTransferOperator(task_id="a", source_path="/a", destination_path="/b", **ENDS)
    GlobusTransferOperator.partial(task_id="b", **ENDS).expand(items=[[["/a", "/1"]]])
""")
    assert {row["waits_in"] for row in waits(show(str(path))).values()} == {"worker"}
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    assert {row["waits_in"] for row in waits(show(str(path))).values()} == {"triggerer"}


def test_watchers_of_the_assets_that_start_it(show: Any, dag_file: Any) -> None:
    path = dag_file("""
inbox = Asset("globus://source/inbox", watchers=[AssetWatcher(
    name="inbox", trigger=GlobusArrivedFilesTrigger(collection="source", path="/inbox/", poll_interval=120))])
other = Asset("globus://source/other")

with DAG("watched", schedule=(inbox & other)):
    pass
""")
    (row,) = waits(show(str(path))).values()
    assert (row["name"], row["role"], row["api"], row["calls_an_hour"]) == ("inbox", "watcher", "Transfer", 30.0)
    assert row["calls"] == 1 + 30


def test_a_file_may_hold_several_dags(show: Any, dag_file: Any) -> None:
    path = dag_file("""
with DAG("b"):
    GlobusPathSensor(task_id="t", collection="source", path="/a")
with DAG("a"):
    pass
""")
    assert [(dag["dag_id"], len(dag["waits"])) for dag in show(str(path))] == [("a", 0), ("b", 1)]
    assert "a: no task waits for Globus." in show(str(path), output="table")


def test_an_id_is_looked_for_where_airflow_has_its_dags(
    show: Any, dag_file: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(tmp_path))
    bundle = {
        "name": "here",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(tmp_path)},
    }
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
    dag_file('with DAG("wanted"):\n    GlobusPathSensor(task_id="t", collection="source", path="/a")\n')
    dag_file("raise ValueError('no DAG')", "broken.py")
    assert [dag["dag_id"] for dag in show("wanted")] == ["wanted"]
    with pytest.raises(SystemExit) as ended:
        show("unwanted")
    said = "There is no DAG 'unwanted'. There are: wanted. These files cannot be loaded: broken.py; "
    assert str(ended.value.code).startswith(said)


@pytest.mark.parametrize(
    ("body", "arguments", "said"),
    [
        ("raise ValueError('no DAG')", [], "ValueError: no DAG"),
        ("", [], "There is no DAG in"),
        ("", ["--hours", "0"], "--hours must be above 0"),
        ("", ["--hours", "nan"], "--hours must be above 0"),
        ("", ["--hours", "inf"], "at most 8760"),
        ("", ["--mapped", "0"], "--mapped at least 1"),
    ],
)
def test_what_cannot_be_is_said(body: str, arguments: list[str], said: str, show: Any, dag_file: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        show(str(dag_file(body)), *arguments)
    assert said in str(ended.value.code)


def test_a_file_that_is_not_there(show: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        show("nowhere/dag.py")
    assert ended.value.code == "There is no file 'nowhere/dag.py'."


def test_it_needs_no_connection_and_asks_nothing(
    show: Any, dag_file: Any, globus_sandbox: GlobusSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_GLOBUS_DEFAULT")
    show(str(dag_file(FOUND)))
    assert globus_sandbox.journal.entries == []


def test_what_is_mapped_over_nothing_costs_nothing(show: Any, dag_file: Any) -> None:
    path = dag_file("""
with DAG("empty", default_args={"deferrable": True}):
    GlobusTransferOperator.partial(task_id="t", **ENDS).expand(items=[])
""")
    (found,) = show(str(path))
    assert (found["calls"], found["polls"][0]["calls_an_hour"], found["polls"][0]["saved"]) == (0, 0, 0)


# What is advised

ADVICE = """
with DAG("advice", default_args={"deferrable": True}):
    GlobusPathSensor(task_id="held", collection="source", path="/a", deferrable=False)
    GlobusTransferOperator.partial(task_id="slow", deferrable=False, **ENDS).expand(items=[[["/a", "/b"]]] * 2)
    GlobusPathSensor.partial(task_id="paths", collection="source", poke_interval=5).expand(
        path=[f"/{n}" for n in range(101)])
    GlobusTransferOperator.partial(task_id="moves", **ENDS).expand(items=[[["/a", f"/{n}"]] for n in range(4)])
    GlobusTransferOperator.partial(task_id="pooled", pool="globus", **ENDS).expand(
        items=[[["/a", f"/{n}"]] for n in range(3)])
    GlobusComputeOperator.partial(task_id="functions", endpoint="hpc", python_callable=abs).expand(
        op_args=[[n] for n in range(100)])
    GlobusComputeMapOperator(task_id="inputs", endpoint="hpc", python_callable=abs, inputs=list(range(100)))
"""


def test_advice_says_what_and_how_much(show: Any, dag_file: Any) -> None:
    (found,) = show(str(dag_file(ADVICE)))
    assert found["advice"] == [
        "held holds a worker slot while it waits: set deferrable=True; it then waits in the triggerer.",
        "slow holds 2 worker slots while it waits: set deferrable=True; it then waits in the triggerer, where it "
        "shares its calls with others.",
        "moves submits 4 transfers; Globus works on 3 at a time and takes 100 unfinished ones of an identity: one "
        "transfer may have many items.",
        "If moves has to be many transfers, give it a pool that includes deferred tasks.",
        "functions submits 100 functions with 300 calls, for which Globus takes 150 s at least: "
        "GlobusComputeMapOperator needs a few.",
        "A look at all 101 of paths takes 10 s, since 1 is asked for with a call: every 5 s is not kept; raise the "
        "interval.",
        "Waiting takes 102% of what Globus Transfer answers globus_default: with intervals 10.2 times as long it takes "
        "10%.",
    ]


def test_a_modest_dag_gets_no_advice(show: Any, dag_file: Any) -> None:
    path = dag_file("""
with DAG("modest"):
    GlobusTransferOperator(task_id="a", source_path="/a", destination_path="/b", deferrable=True, **ENDS)
""")
    assert show(str(path))[0]["advice"] == []


@pytest.mark.parametrize("output", ["table", "plain"])
def test_people_are_shown_tables_and_advice(output: str, show: Any, dag_file: Any) -> None:
    shown = show(str(dag_file(ADVICE)), "--hours", "2", output=output)
    assert re.search(r"advice: \d+ calls in a run, when each wait takes 2 h, one after the other", shown)
    assert "functions, inputs" in shown
    assert "72,000" in shown
    assert "- held holds a worker slot" in shown
    assert "INFO" not in shown.upper()


def test_yaml_is_the_same(show: Any, dag_file: Any) -> None:
    import yaml

    path = str(dag_file(ADVICE))
    assert yaml.safe_load(show(path, output="yaml")) == show(path)
