"""Two hundred mapped transfers wait together in a real triggerer, at Airflow's default settings."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from airflow_provider_globus.sandbox import GlobusSandbox
from tests.e2e.runs import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import StartAirflow

pytestmark = pytest.mark.e2e

TRANSFERS = 200
POLL_INTERVAL = 5

DAG = f"""
from airflow.sdk import DAG
from airflow_provider_globus.operators.transfer import GlobusTransferOperator

with DAG("many", max_active_tasks={TRANSFERS}):
    GlobusTransferOperator.partial(
        task_id="transfer",
        source_collection="source",
        destination_collection="target",
        deferrable=True,
        poll_interval={POLL_INTERVAL},
        worker_wait=0,
        max_active_tis_per_dagrun={TRANSFERS},
    ).expand(items=[[(f"/{{n}}", f"/{{n}}")] for n in range({TRANSFERS})])
"""


def test_they_share_the_poll_and_none_fails(tmp_path: Path, start_airflow: StartAirflow) -> None:
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
    for number in range(TRANSFERS):
        (tmp_path / "source" / str(number)).write_text(str(number))
    with GlobusSandbox() as globus:
        for name in ("source", "target"):
            globus.add_collection(name, tmp_path / name)
        globus.settings.pending_tasks_per_identity = TRANSFERS
        globus.world.transfer.hold()
        with start_airflow(DAG, globus, profile="default") as airflow:
            run_id = airflow.run_dag("many", wait=False)
            began = time.monotonic()

            def states() -> dict[str, int]:
                """By the database: the API is busy with two hundred tasks."""
                counted = airflow.query("select state, count(*) from task_instance where run_id = ? group by 1", run_id)
                return dict(counted)

            until(airflow, "all to wait together", lambda: states() == {"deferred": TRANSFERS})
            globus.world.transfer.release()
            until(airflow, "all to end", lambda: set(states()) <= {"success", "failed"})
            rounds = (time.monotonic() - began) / POLL_INTERVAL + 1
            ended = states()
        assert ended == {"success": TRANSFERS}
        looks = globus.journal.requests("transfer", "GET", "*/task_list")
        assert len(looks) <= rounds * -(-TRANSFERS // 50)
        assert globus.journal.count("transfer", "GET", "*/task/*") == 0
        # Globus refuses some for the moment, since they come too fast; it accepts each once.
        submissions = globus.journal.requests("transfer", "POST", "/v0.10/transfer")
        assert sum(entry.status == 202 for entry in submissions) == TRANSFERS
        assert {entry.status for entry in submissions} <= {202, 429}
        assert len(list((tmp_path / "target").iterdir())) == TRANSFERS
