"""A pool that includes deferred tasks limits the transfers that wait at Globus; one that does not, does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_globus.sandbox import GlobusSandbox
from tests.e2e.runs import PATIENCE_SECONDS, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import StartAirflow

pytestmark = pytest.mark.e2e

TRANSFERS, SLOTS = 6, 2

DAGS = f"""
from airflow.sdk import DAG, task
from airflow_provider_globus.operators.transfer import GlobusTransferOperator

for pool in ("counted", "uncounted"):
    with DAG(pool):
        GlobusTransferOperator.partial(
            task_id="transfer",
            source_collection="source",
            destination_collection="target",
            pool=pool,
            deferrable=True,
            poll_interval=1,
            worker_wait=0,
        ).expand(items=[[(f"/{{n}}", f"/{{pool}}/{{n}}")] for n in range({TRANSFERS})])


@task
def done():
    pass


with DAG("another"):
    done()
"""


@pytest.fixture
def globus(tmp_path: Path) -> GlobusSandbox:
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
    for number in range(TRANSFERS):
        (tmp_path / "source" / str(number)).write_text(str(number))
    sandbox = GlobusSandbox()
    for name in ("source", "target"):
        sandbox.add_collection(name, tmp_path / name)
    sandbox.world.transfer.hold()
    return sandbox


def test_only_a_pool_that_includes_deferred_tasks_limits_them(
    globus: GlobusSandbox, start_airflow: StartAirflow, tmp_path: Path
) -> None:
    with globus, start_airflow(DAGS, globus) as airflow:
        for name, includes in (("counted", True), ("uncounted", False)):
            pool = {"name": name, "slots": SLOTS, "include_deferred": includes}
            airflow.api.request("POST", "/pools", json=pool)

        def states(dag_id: str, run_id: str) -> dict[str, int]:
            counted: dict[str, int] = {}
            for one in airflow.api.task_instances(dag_id, run_id):
                counted[str(one["state"])] = counted.get(str(one["state"]), 0) + 1
            return counted

        def deferred(dag_id: str, run_id: str) -> int:
            return states(dag_id, run_id).get("deferred", 0)

        uncounted = airflow.run_dag("uncounted", wait=False)
        until(airflow, "all to be deferred", lambda: deferred("uncounted", uncounted) == TRANSFERS)
        before = set(globus.world.transfer.tasks)

        counted = airflow.run_dag("counted", wait=False)
        until(airflow, "the slots to be taken", lambda: deferred("counted", counted) == SLOTS)
        # Once the scheduler has run another DAG from its begin to its end, it has passed over the other transfers.
        airflow.run_dag("another")
        found = states("counted", counted)
        assert (found.pop("deferred"), sum(found.values())) == (SLOTS, TRANSFERS - SLOTS)
        assert set(found) <= {"scheduled", "None"}
        assert len(globus.world.transfer.tasks) == len(before) + SLOTS

        globus.world.transfer.release()
        for dag_id, run_id in (("counted", counted), ("uncounted", uncounted)):
            assert airflow.api.wait_for_run(dag_id, run_id, timeout=PATIENCE_SECONDS) == "success"
        ours = [task for task_id, task in globus.world.transfer.tasks.items() if task_id not in before]
        assert len(ours) == TRANSFERS
        begun = sorted(task.request_time for task in ours)
        ended = sorted(task.completion_time or 0.0 for task in ours)
        # Each one more was submitted only after one had ended.
        assert all(begun[number + SLOTS] > ended[number] for number in range(TRANSFERS - SLOTS))
    assert len([path for path in (tmp_path / "target").rglob("*") if path.is_file()]) == 2 * TRANSFERS
