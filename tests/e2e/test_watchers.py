"""DAGs that start when something happens at Globus: no event is lost and none comes twice, whatever is killed."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from airflow_provider_globus.sandbox import GlobusSandbox
from tests.e2e.runs import until

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox.local_airflow import LocalAirflow
    from tests.e2e.conftest import StartAirflow

pytestmark = pytest.mark.e2e

FILES = 100
#: Triggerers that are killed while the files land.
KILLS = 2

DAGS = """
from airflow.sdk import Asset, AssetWatcher, dag, task
from airflow_provider_globus.triggers.watchers import GlobusArrivedFilesTrigger


def inbox(name, pattern):
    landed = GlobusArrivedFilesTrigger(
        collection="instrument", path="/inbox/", pattern=pattern, stable_for=0, poll_interval=1
    )
    return Asset(name, uri=f"globus://instrument/{name}", watchers=[AssetWatcher(name=name, trigger=landed)])


@dag(schedule=[inbox("scans", "*.h5")])
def take_in():
    @task
    def names(triggering_asset_events=None):
        return [event.extra["payload"]["name"] for events in triggering_asset_events.values() for event in events]

    names()


take_in()


@dag(schedule=[inbox("notes", "*.txt")])
def read():
    @task
    def nothing():
        pass

    nothing()


read()
"""


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("instrument") / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def globus(inbox: Path) -> Iterator[GlobusSandbox]:
    with GlobusSandbox() as sandbox:
        sandbox.add_collection("instrument", inbox.parent)
        yield sandbox


@pytest.fixture(scope="module")
def airflow(globus: GlobusSandbox, start_airflow: StartAirflow) -> Iterator[LocalAirflow]:
    # A killed triggerer's watchers are otherwise taken over after half a minute.
    env = {"AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5", "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1"}
    with start_airflow(DAGS, globus, env=env) as running:
        yield running


def told(airflow: LocalAirflow, asset: str) -> Counter[str]:
    """The files that events of an asset name, as often as they do."""
    rows = airflow.query("select e.extra from asset_event e join asset a on a.id = e.asset_id where a.name = ?", asset)
    return Counter(json.loads(extra)["payload"]["name"] for (extra,) in rows)


def watching(airflow: LocalAirflow) -> bool:
    """Whether both watchers know what is there."""
    return len(airflow.query("select 1 from asset_state_store where key like 'globus_watch:%'")) == 2


def test_a_hundred_files_are_a_hundred_events_while_triggerers_die(
    airflow: LocalAirflow, inbox: Path, globus: GlobusSandbox
) -> None:
    (inbox / "old.h5").write_text("was there")
    for dag_id in ("take_in", "read"):
        airflow.api.wait_for_dag(dag_id)
        airflow.api.unpause(dag_id)
    until(airflow, "two watchers", lambda: watching(airflow))
    names = [f"{number:03}.h5" for number in range(FILES)]
    landing = threading.Thread(target=land, args=(inbox, names))
    landing.start()
    for _ in range(KILLS):
        wait_for_the_next_event(airflow)
        # Some events of a look are written then, and most are not.
        airflow.kill("triggerer")
        airflow.start_component("triggerer")
    landing.join()
    until(airflow, "all files", lambda: told(airflow, "scans").keys() >= {*names})
    (inbox / "last.h5").write_text("after the storm")
    until(airflow, "one more", lambda: "last.h5" in told(airflow, "scans"))
    assert told(airflow, "scans") == Counter([*names, "last.h5"])
    assert told(airflow, "notes") == Counter()
    until(airflow, "the DAG to hear of each", lambda: heard(airflow) >= {*names, "last.h5"})


def wait_for_the_next_event(airflow: LocalAirflow) -> None:
    before = told(airflow, "scans").total()
    until(airflow, "the next event", lambda: told(airflow, "scans").total() > before)


def land(inbox: Path, names: list[str]) -> None:
    """Let files land, a few at a time, for as long as triggerers are killed and come back."""
    for number, name in enumerate(names):
        (inbox / name).write_text(name)
        if number % 10 == 9:
            time.sleep(1.0)


def heard(airflow: LocalAirflow) -> set[str]:
    """The files of which runs of the DAG were told."""
    runs = airflow.api.pages("/dags/take_in/dagRuns", "dag_runs")
    done = [run["dag_run_id"] for run in runs if run["state"] == "success"]
    return {name for run_id in done for name in airflow.api.xcom("take_in", run_id, "names")}
