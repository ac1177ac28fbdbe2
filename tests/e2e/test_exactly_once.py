"""Workers and the triggerer die, users click, Globus is out: one Globus task, and the right end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.sandbox import GlobusSandbox
from tests.e2e.runs import TaskRun

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.local_airflow import LocalAirflow
    from tests.e2e.conftest import StartAirflow

pytestmark = pytest.mark.e2e

DAGS = """
from datetime import timedelta
from airflow.sdk import DAG, Param
from airflow_provider_globus.operators.transfer import GlobusTransferOperator

for dag_id, deferrable in (("in_worker", False), ("in_triggerer", True)):
    with DAG(dag_id, params={"file": Param("a", type="string")}):
        GlobusTransferOperator(
            task_id="transfer",
            source_collection="source",
            destination_collection="target",
            source_path="/{{ params.file }}",
            destination_path="/{{ params.file }}",
            deferrable=deferrable,
            poll_interval=1,
            worker_wait=0,
            retries=2,
            retry_delay=timedelta(seconds=0.5),
        )
"""


@pytest.fixture(scope="module")
def globus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GlobusSandbox]:
    folder = tmp_path_factory.mktemp("data")
    with GlobusSandbox() as sandbox:
        for name in ("source", "target"):
            (folder / name).mkdir()
            sandbox.add_collection(name, folder / name)
        for number in range(40):
            (folder / "source" / f"file{number}").write_text(str(number))
        sandbox.mark()
        yield sandbox


@pytest.fixture(scope="module")
def airflow(globus: GlobusSandbox, start_airflow: StartAirflow) -> Iterator[LocalAirflow]:
    with start_airflow(DAGS, globus) as running:
        yield running


class Run(TaskRun):
    """One run of one of the DAGs, with Globus holding every task until told otherwise."""

    task_id = "transfer"
    numbers = iter(range(40))

    def __init__(self, airflow: LocalAirflow, globus: GlobusSandbox, dag_id: str) -> None:
        self.globus = globus
        globus.reset()
        globus.clock.scale = 1.0
        globus.world.transfer.hold()
        super().__init__(airflow, dag_id, {"file": f"file{next(self.numbers)}"})

    def ends(self) -> str:
        self.globus.world.transfer.release()
        return self.over()

    def tasks(self) -> list[str]:
        return [task.status for task in self.globus.world.transfer.tasks.values()]

    def page(self) -> str:
        """Where the task's button has to lead."""
        (task_id,) = self.globus.world.transfer.tasks
        return f"{self.globus.url.rstrip('/')}/activity/{task_id}"

    def submissions(self) -> int:
        """Accepted ones; a request of an earlier test's dead worker may still arrive, and is refused."""
        sent = self.globus.journal.requests("transfer", "POST", "/v0.10/transfer")
        return len([entry for entry in sent if entry.status and entry.status < 300])


def test_worker_killed_between_the_key_and_the_answer(airflow: LocalAirflow, globus: GlobusSandbox) -> None:
    globus.reset()
    run = Run(airflow, globus, "in_worker")
    globus.faults.add({"service": "transfer", "path": "/v0.10/transfer", "delay_seconds": 4, "times": 1})
    run.until("a submission id", lambda: globus.journal.count("transfer", "GET", "*/submission_id"))
    run.until("the stored key", lambda: airflow.query("select count(*) from task_state_store")[0][0])
    run.kill_worker()
    assert run.ends() == "success"
    assert run.tasks() == ["SUCCEEDED"]


def test_worker_killed_while_waiting(airflow: LocalAirflow, globus: GlobusSandbox) -> None:
    run = Run(airflow, globus, "in_worker")
    run.until("a task", run.tasks)
    run.until("a look at it", lambda: globus.journal.count("transfer", "GET", "*/task_list"))
    run.kill_worker()
    assert run.ends() == "success"
    assert run.tasks() == ["SUCCEEDED"]
    assert run.submissions() == 1
    assert any("Adopting" in line for line in run.log(2))


def test_an_answer_that_never_arrives(airflow: LocalAirflow, globus: GlobusSandbox) -> None:
    run = Run(airflow, globus, "in_worker")
    globus.faults.add({"service": "transfer", "path": "/v0.10/transfer", "drop_after": True, "times": 1})
    run.until("a task", run.tasks)
    assert run.ends() == "success"
    assert run.tasks() == ["SUCCEEDED"]


def test_marked_failed_while_deferred_the_transfer_is_cancelled(airflow: LocalAirflow, globus: GlobusSandbox) -> None:
    run = Run(airflow, globus, "in_triggerer")
    run.reaches("deferred")
    assert run.links()["Globus task"] == run.page()
    # Airflow tells a trigger of the kill only once the triggerer has taken it up.
    run.until("a look from the triggerer", lambda: globus.journal.count("transfer", "GET", "*/task_list") > 1)
    run.mark("failed")
    run.until("the cancel", lambda: run.tasks() == ["FAILED"])


def test_marked_failed_while_in_the_worker_the_transfer_is_cancelled(
    airflow: LocalAirflow, globus: GlobusSandbox
) -> None:
    run = Run(airflow, globus, "in_worker")
    run.until("a look at the task", lambda: globus.journal.count("transfer", "GET", "*/task_list"))
    assert run.links()["Globus task"] == run.page()
    run.mark("failed")
    run.until("the cancel", lambda: run.tasks() == ["FAILED"])


def test_cleared_while_deferred_one_new_transfer_runs(airflow: LocalAirflow, globus: GlobusSandbox) -> None:
    run = Run(airflow, globus, "in_triggerer")
    run.reaches("deferred")
    run.clear()
    run.until("two tasks", lambda: len(run.tasks()) == 2)
    run.reaches("deferred")
    assert run.ends() == "success"
    assert run.tasks() == ["FAILED", "SUCCEEDED"]


def test_cleared_after_success_it_runs_again(airflow: LocalAirflow, globus: GlobusSandbox) -> None:
    run = Run(airflow, globus, "in_triggerer")
    assert run.ends() == "success"
    run.clear()
    run.until("the second task", lambda: len(run.tasks()) == 2)
    assert run.ends() == "success"
    assert run.tasks() == ["SUCCEEDED", "SUCCEEDED"]


FAULTS: list[dict[str, Any]] = [
    {"status": 503},
    {"status": 429, "headers": {"Retry-After": "1"}},
    {"status": 200, "body": "<html>proxy</html>"},
    {"drop": True},
]


@pytest.mark.parametrize("dag_id", ["in_worker", "in_triggerer"])
def test_five_minutes_of_outage(dag_id: str, airflow: LocalAirflow, globus: GlobusSandbox) -> None:
    """Sixty sandbox seconds in one: the outage lasts for five minutes of Globus's time, and tokens expire in it."""
    run = Run(airflow, globus, dag_id)
    run.until("a look at the task", lambda: globus.journal.count("transfer", "GET", "*/task_list"))
    began = len(globus.journal.requests("transfer"))
    globus.clock.scale = 60.0
    for fault in FAULTS:
        globus.faults.add({"service": "transfer", "probability": 0.4, **fault, "for_seconds": 300})
    globus.faults.add({"service": "transfer", "status": 503, "for_seconds": 300})
    globus.world.auth.revoke_tokens()
    run.until("the end of the outage", lambda: _answered_again(globus, began))
    assert run.ends() == "success"
    assert run.tasks() == ["SUCCEEDED"]
    troubles = [line for line in run.log() if "cannot be asked for" in line]
    failed = [e for e in globus.journal.requests("transfer")[began:] if e.fault]
    assert 1 <= len(troubles) <= len(FAULTS) + 2
    assert len(failed) > 1
    assert any("answers again" in line for line in run.log())


def _answered_again(globus: GlobusSandbox, began: int) -> bool:
    entries = globus.journal.requests("transfer")[began:]
    return bool(entries) and any(e.fault for e in entries) and not entries[-1].fault and entries[-1].status == 200


def test_triggerer_killed_and_restarted_during_an_outage(airflow: LocalAirflow, globus: GlobusSandbox) -> None:
    run = Run(airflow, globus, "in_triggerer")
    run.reaches("deferred")
    run.until("a look at the task", lambda: globus.journal.count("transfer", "GET", "*/task_list"))
    globus.clock.scale = 60.0
    globus.faults.add({"service": "transfer", "status": 503, "for_seconds": 300})
    airflow.restart("triggerer")
    assert run.ends() == "success"
    assert run.tasks() == ["SUCCEEDED"]
    assert run.submissions() == 1
