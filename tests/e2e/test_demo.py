"""`make demo` as a user sees it: its status, its table, its failures, and that nothing outlives it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil  # type: ignore[import-untyped]
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.e2e

EXAMPLE_DAGS = Path(__file__).resolve().parents[2] / "example_dags"


class Pipeline(NamedTuple):
    """What the demo of an example says and leaves behind."""

    #: of the final table: task and state
    rows: dict[str, str]
    #: one of its rows: task, files
    delivery: tuple[str, int]
    checks: int
    #: files that are copies of each other, below the demo's folder
    copies: tuple[str, str]
    #: what tasks of Transfer and Compute have read and written
    lineage: dict[str, tuple[set[str], set[str]]]


PIPELINES = {
    "instrument_to_archive": Pipeline(
        rows=dict.fromkeys(
            ("wait_for_acquisition", "to_scratch", "to_archive", "share_results", "prune_instrument"), "success"
        ),
        delivery=("to_archive", 38),
        checks=7,
        copies=(
            "scratch/scratch/beamline/scan_0042/projections/proj_0000.tif",
            "bucket/acquisitions/*/scan_0042/projections/proj_0000.tif",
        ),
        lineage={
            "to_scratch": ({"/data/scan_0042"}, {"/scratch/beamline/scan_0042"}),
            "to_archive": ({"/scratch/beamline/scan_0042"}, {"/acquisitions/<month>/scan_0042"}),
        },
    ),
    "tomography": Pipeline(
        rows={
            **dict.fromkeys(("wait_for_scan", "to_scratch", "reconstruct", "judge", "draw_slice"), "success"),
            **dict.fromkeys(("bin_volume[0]", "bin_volume[1]", "bin_volume[2]", "to_results", "report"), "success"),
            "to_rejected": "skipped",
        },
        delivery=("to_results", 5),
        checks=8,
        copies=("scratch/tomography/tomo_0007/products/level_1.npy", "results/accepted/tomo_0007/level_1.npy"),
        lineage={
            "to_scratch": ({"/data/tomo_0007"}, {"/tomography/tomo_0007"}),
            **dict.fromkeys(("reconstruct", "bin_volume", "draw_slice"), ({"/tomography"}, {"/tomography/products"})),
            "to_results": ({"/tomography/tomo_0007/products"}, {"/accepted/tomo_0007"}),
        },
    ),
    "notebook_on_hpc": Pipeline(
        rows={
            **dict.fromkeys(("read_notebook", "wait_for_measurement", "notebook_to_scratch"), "success"),
            **dict.fromkeys(("data_to_scratch", "run_notebook", "to_results", "judge"), "success"),
        },
        delivery=("data_to_scratch", 2),
        checks=9,
        copies=(
            "scratch/diffraction/runs/si_0001/powder_diffraction.ipynb",
            "results/diffraction/si_0001/powder_diffraction.ipynb",
        ),
        lineage={
            "data_to_scratch": ({"/data/si_0001"}, {"/diffraction/measurements/si_0001"}),
            "run_notebook": ({"/diffraction/measurements"}, {"/diffraction/runs"}),
            "to_results": ({"/diffraction/runs/si_0001"}, {"/diffraction/si_0001"}),
        },
    ),
    # Of three runs, the first of which creates, and the last of which takes down.
    "s3_gateway_lifecycle": Pipeline(
        rows=dict.fromkeys(
            ("storage_gateway", "user_credential", "guest_collection", "audit", "remove_storage_gateway"), "success"
        ),
        delivery=("to_bucket", 37),
        checks=14,
        copies=("staging/proof/projections/proj_0000.tif", "bucket/shared/proof/projections/proj_0000.tif"),
        lineage={"to_bucket": ({"/proof"}, {"/proof"})},
    ),
}


class Demo:
    """The demo as a process, run in a folder that no other process works in: so its descendants can be told."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.work.mkdir()
        for database in cache.glob("airflow-*.db"):
            shutil.copy(database, self.work)
        self.output = ""
        self.lineage = folder / "lineage.jsonl"

    @contextlib.contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        command = [sys.executable, "-u", "-m", "airflow_provider_globus.sandbox.demo", "--work", str(self.work)]
        with subprocess.Popen(
            [*command, *arguments],
            cwd=self.folder,
            env={
                **os.environ,
                "OPENLINEAGE__TRANSPORT__TYPE": "file",
                "OPENLINEAGE__TRANSPORT__LOG_FILE_PATH": str(self.lineage),
                "OPENLINEAGE__TRANSPORT__APPEND": "true",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def read_until(self, process: subprocess.Popen[str], text: str) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.output += line
            if text in line:
                return
        pytest.fail(f"{text!r} did not come; the demo said:\n{self.output}")

    def finish(self, process: subprocess.Popen[str]) -> int:
        assert process.stdout is not None
        self.output += process.stdout.read()
        return process.wait(timeout=60)

    def descendants(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if Path(process.cwd()).is_relative_to(self.folder) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def datasets(self, dag: str, task: str) -> tuple[set[str], set[str]]:
        """What OpenLineage was told that a task has read and written: paths on collections."""
        events = map(json.loads, self.lineage.read_text().splitlines())
        ends = [
            event for event in events if event["eventType"] == "COMPLETE" and event["job"]["name"] == f"{dag}.{task}"
        ]
        assert ends, f"OpenLineage was not told of {task}"
        assert all("globus" in event["run"]["facets"] for event in ends)
        found = []
        for side in ("inputs", "outputs"):
            datasets = [dataset for event in ends for dataset in event[side]]
            assert all(re.fullmatch(r"globus://[0-9a-f-]{36}", dataset["namespace"]) for dataset in datasets)
            found.append({re.sub(r"\d{4}-\d\d$|\d{4}-\d\d(?=/)", "<month>", dataset["name"]) for dataset in datasets})
        return found[0], found[1]

    def ports(self) -> list[int]:
        return [int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)", self.output)]


@pytest.fixture
def demo(tmp_path: Path, airflow_cache: Path) -> Demo:
    return Demo(tmp_path, airflow_cache)


def assert_nothing_left(demo: Demo) -> None:
    # The reaper may need a moment after the demo itself has ended.
    _, alive = psutil.wait_procs(demo.descendants(), timeout=10)
    assert not alive
    assert demo.ports()
    for port in demo.ports():
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"port {port} is still taken"


@pytest.mark.parametrize("name", PIPELINES)
def test_the_pipeline_succeeds_and_everything_is_stopped(demo: Demo, name: str) -> None:
    expected = PIPELINES[name]
    with demo.started("--dag", name) as process:
        demo.read_until(process, "Airflow: http")
        assert demo.descendants(), "the test cannot see the demo's processes"
        assert demo.finish(process) == 0, demo.output
    for task, state in expected.rows.items():
        row = rf"│ {re.escape(task)} +│ {state} +│ +[\d.]* │"
        assert re.search(row, demo.output), f"{task} in\n{demo.output}"
    task, files = expected.delivery
    assert re.search(rf"│ {task} .*│ +{files} │ +\d{{6,7}} │", demo.output), demo.output
    assert demo.output.count("✓") == expected.checks
    assert "✗" not in demo.output
    copies = [path for pattern in expected.copies for path in (demo.work / name).glob(pattern)]
    assert len(copies) == 2
    assert len({path.read_bytes() for path in copies}) == 1
    assert {task: demo.datasets(name, task) for task in expected.lineage} == expected.lineage
    assert_nothing_left(demo)


@pytest.mark.parametrize(
    ("number", "status", "moment"),
    [
        (signal.SIGINT, 130, "to_scratch: running"),
        (signal.SIGTERM, 143, "Airflow: http"),
        (signal.SIGKILL, -signal.SIGKILL, "Airflow: http"),
    ],
)
def test_ended_in_the_middle_it_leaves_nothing(demo: Demo, number: signal.Signals, status: int, moment: str) -> None:
    with demo.started() as process:
        demo.read_until(process, moment)
        assert len(demo.descendants()) > 4
        process.send_signal(number)
        assert demo.finish(process) == status, demo.output
    assert_nothing_left(demo)


def test_a_failing_task_shows_the_end_of_its_log(demo: Demo) -> None:
    dags = demo.folder / "dags"
    dags.mkdir()
    code = (EXAMPLE_DAGS / "instrument_to_archive.py").read_text()
    broken = code.replace('destination_collection="scratch"', 'destination_collection="no such collection"')
    broken = broken.replace('"retries": 2', '"retries": 0')
    assert broken.count("no such collection") == 1
    (dags / "instrument_to_archive.py").write_text(broken)
    with demo.started("--dags", str(dags)) as process:
        assert demo.finish(process) == 1, demo.output
    assert "to_scratch failed, the end of its log" in demo.output
    assert "no such collection" in demo.output
    assert_nothing_left(demo)
