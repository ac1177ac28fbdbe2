"""docs/tutorial.md, followed word by word with the built wheel by somebody who has nothing else of this project."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from airflow_provider_globus.sandbox.airflow_api import AirflowApi
from airflow_provider_globus.sandbox.local_airflow import FAST_PROFILE, free_ports
from tests.docs.blocks import ROOT, blocks_of
from tests.tutorial.reader import Reader, not_shown, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.docs.blocks import Block
    from tests.tutorial.reader import Ended

PAGE = ROOT / "docs" / "tutorial.md"
#: Blocks whose failure the page announces, by words of theirs.
FAILS = {"""airflow dags test scans --conf '{"scan": "scan_002"}'""": 1}
RUN = "second_scan"

pytestmark = pytest.mark.e2e


@dataclass
class Followed:
    """A page that was followed to its end, and what was seen on the way."""

    blocks: list[Block]
    seen: list[Ended]
    folder: Path
    #: Of the run in the real Airflow: the states of its tasks while it waits for the marker, and at its end.
    waiting: dict[str, str]
    states: dict[str, str]
    #: The pages behind the links of its tasks.
    links: dict[str, str]
    logs: dict[str, str]
    #: The runs that the real Airflow knows after the reader's own tests.
    runs: list[str]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A reader's: nothing of this checkout, pip told where the package is, ports that are free, an Airflow in haste."""
    home = tmp_path_factory.mktemp("home")
    ours = ("AIRFLOW", "GLOBUS", "PYTEST", "PYTHON", "VIRTUAL_ENV")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    places = [item for item in env["PATH"].split(os.pathsep) if not Path(item).resolve().is_relative_to(ROOT)]
    port, worker_logs, trigger_logs, sandbox = free_ports(4)
    return (
        env
        | FAST_PROFILE
        | {
            "HOME": str(home),
            "PATH": os.pathsep.join([str(Path(sys.base_prefix) / "bin"), *places]),
            "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
            "PIP_FIND_LINKS": f"{wheel.parent} {env.get('PIP_FIND_LINKS', '')}".strip(),
            "GLOBUS_SANDBOX_PORT": str(sandbox),
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_logs),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_logs),
        }
    )


@pytest.fixture(scope="session")
def followed(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    folder, notes = tmp_path_factory.mktemp("reader"), tmp_path_factory.mktemp("notes")
    assert not list(folder.iterdir())
    api = AirflowApi(environment["AIRFLOW__API__BASE_URL"])
    with contextlib.closing(api), Reader(folder, notes, environment) as reader:
        result = Followed(blocks_of(PAGE), reader.seen, folder, {}, {}, {}, {}, [])
        looks = _looks(reader, api, result)
        for block in result.blocks:
            # The page's output, and its example of a connection, are looked at by tests.
            if block.is_output or block.language == "json":
                continue
            ended = reader.follow(block)
            expected = next((status for words, status in FAILS.items() if words in block.text), 0)
            assert ended.status == expected, f"{block.where} ended with {ended.status}:\n{ended.output}"
            for words, look in looks.items():
                if words in block.text and block.file is None:
                    look()
        result.folder = reader.folder
        yield result


def _looks(reader: Reader, api: AirflowApi, result: Followed) -> dict[str, Callable[[], None]]:
    """What the reader waits for and looks at after a block, by words of the block."""

    def log(name: str) -> str:
        return (reader.folder / name).read_text()

    def sandbox() -> None:
        wait_for("the sandbox", lambda: "Globus sandbox" in log("sandbox.log"), lambda: log("sandbox.log"))
        result.logs["sandbox.log"] = log("sandbox.log")

    def airflow() -> None:
        wait_for("Airflow", lambda: "Airflow is ready" in log("airflow.log"), lambda: log("airflow.log"))
        wait_for("a healthy Airflow", lambda: _healthy(api), lambda: log("airflow.log"))

    def deferred() -> None:
        wait_for("the deferral", lambda: _states(api).get("ready") == "deferred", lambda: log("airflow.log"))
        result.waiting |= _states(api)

    def finished() -> None:
        api.wait_for_run("scans", RUN)
        result.states |= _states(api)
        for task_id in ("fetch", "analyse"):
            for name, url in api.links("scans", RUN, task_id).items():
                assert url is not None, f"{task_id} has no link {name}"
                result.links[f"{task_id}: {name}"] = httpx.get(url, trust_env=False).raise_for_status().text

    def tested() -> None:
        result.runs += [run["conf"]["scan"] for run in api.pages("/dags/scans/dagRuns", "dag_runs") if run["conf"]]

    return {
        "> sandbox.log": sandbox,
        "> airflow.log": airflow,
        "airflow dags trigger": deferred,
        "touch instrument/scan_002/done": finished,
        "pytest -q tests": tested,
    }


def _healthy(api: AirflowApi) -> bool:
    health = api.health()
    return bool(health) and all(part.get("status") == "healthy" for part in health.values())


def _states(api: AirflowApi) -> dict[str, str]:
    return {task["task_id"]: task["state"] for task in api.task_instances("scans", RUN)}


def _seen(followed: Followed, words: str) -> Ended:
    (ended,) = [ended for ended in followed.seen if words in ended.block.text and ended.block.file is None]
    return ended


def test_every_block_was_followed(followed: Followed) -> None:
    followed_blocks = [ended.block for ended in followed.seen]
    left = [block for block in followed.blocks if block not in followed_blocks and not block.is_output]
    assert [block.language for block in left] == ["json"]


def test_what_the_page_shows_is_what_appears(followed: Followed) -> None:
    outputs = {ended.block: ended.output for ended in followed.seen}
    outputs[_seen(followed, "> sandbox.log").block] = followed.logs["sandbox.log"]
    shown, last = 0, None
    for block in followed.blocks:
        if block.is_output:
            assert last is not None
            missing = not_shown(block.text, outputs[last])
            assert missing == [], f"{block.where} shows what does not appear in this:\n{outputs[last]}"
            shown += 1
        elif block.language == "bash" and block.file is None:
            last = block
    assert shown == sum(block.is_output for block in followed.blocks) > 5


def test_the_readers_dag_has_run_in_a_real_airflow(followed: Followed) -> None:
    assert followed.waiting == {
        "ready": "deferred",
        **dict.fromkeys(("fetch", "analyse", "bring_back", "share")),
    }
    assert followed.states == dict.fromkeys(("ready", "fetch", "analyse", "bring_back", "share"), "success")


def test_the_readers_tests_leave_the_real_airflow_alone(followed: Followed) -> None:
    """Its scheduler would run their tasks, too, with the connection of the terminal."""
    assert set(followed.runs) == {"scan_002"}


def test_the_files_are_where_the_page_says(followed: Followed) -> None:
    summary = json.loads((followed.folder / "instrument/scan_002/results/summary.json").read_text())
    assert summary == {"pixels": 4, "mean": 70.8, "brightest": 250}
    copied = followed.folder / "scratch/scan_002/counts.csv"
    assert copied.read_text() == (followed.folder / "instrument/scan_002/counts.csv").read_text() == "10,12\n250,11\n"
    assert sorted(path.name for path in (followed.folder / "scratch/results").iterdir()) == ["scan_001", "scan_002"]


def test_the_links_lead_to_pages_of_the_job(followed: Followed) -> None:
    assert set(followed.links) == {"fetch: Globus task", "analyse: Compute endpoint"}
    assert "SUCCEEDED" in followed.links["fetch: Globus task"]
    assert "HPC cluster" in followed.links["analyse: Compute endpoint"]


def test_the_example_of_a_connection_is_one(followed: Followed) -> None:
    (block,) = [block for block in followed.blocks if block.language == "json"]
    connection: dict[str, Any] = json.loads(block.text)
    aliases = {*connection["extra"]["collections"], *connection["extra"]["compute_endpoints"]}
    assert (connection["conn_type"], aliases) == ("globus", {"instrument", "scratch", "shared", "hpc"})


def test_nothing_of_the_checkout_is_used(followed: Followed, environment: dict[str, str], wheel: Path) -> None:
    """The package is the wheel's, in the reader's own environment, and no path leads here."""
    look = (
        "import json, sys, airflow_provider_globus as package, importlib.metadata as metadata\n"
        "record = metadata.distribution('airflow-provider-globus').read_text('RECORD')\n"
        "print(json.dumps([package.__file__, sys.path, sys.prefix, record]))"
    )
    command = [str(followed.folder / ".venv/bin/python"), "-c", look]
    printed = subprocess.run(
        command, cwd=followed.folder, env=environment, check=True, capture_output=True, text=True
    ).stdout
    file, path, prefix, record = json.loads(printed)
    assert Path(prefix) == followed.folder / ".venv"
    assert Path(file).is_relative_to(followed.folder / ".venv")
    assert not followed.folder.is_relative_to(ROOT)
    assert [item for item in path if item and Path(item).is_relative_to(ROOT)] == []
    with zipfile.ZipFile(wheel) as built:
        (name,) = [name for name in built.namelist() if name.endswith("/RECORD")]
        hashes = {line for line in built.read(name).decode().splitlines() if ".py,sha256=" in line}
    assert len(hashes) > 200
    assert hashes <= set(record.splitlines()), "The installed package is not the wheel that was built"
    # Nor did any process of Airflow or the sandbox, as their logs would tell in each traceback and path.
    for name in ("airflow.log", "sandbox.log"):
        assert str(ROOT) not in (followed.folder / name).read_text()


def test_nothing_was_left_running(followed: Followed) -> None:
    assert _seen(followed, "$(cat sandbox.pid)").status == 0
    assert "Globus sandbox stopped" in (followed.folder / "sandbox.log").read_text()
    # Killed, if it did not stop when it was asked to.
    airflow = int((followed.folder / "airflow.pid").read_text())
    wait_for("the end of Airflow", lambda: not _alive(airflow), lambda: f"{_alive(airflow)} are alive")


def _alive(group: int) -> list[str]:
    """The processes of a group, but for those that are dead and not yet waited for."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = file.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                found.append(file.parent.name)
    return found
