"""Functions from a real Airflow: the worker dies at each step of a submission, users click, the triggerer restarts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.sandbox import GlobusSandbox
from tests.e2e.runs import TaskRun

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.compute.endpoint import ComputeEndpoint
    from airflow_provider_globus.sandbox.local_airflow import LocalAirflow
    from tests.e2e.conftest import StartAirflow

pytestmark = pytest.mark.e2e

INPUTS = 1000

DAGS = f"""
from datetime import timedelta
from airflow.sdk import DAG, Param, task
from airflow_provider_globus.operators.compute import GlobusComputeMapOperator

ARGUMENTS = dict(
    endpoint="hpc", poll_interval=1, worker_wait=0, retries=2, retry_delay=timedelta(seconds=0.5)
)

for dag_id, deferrable in (("in_worker", False), ("in_triggerer", True)):
    with DAG(dag_id, params={{"go": Param("", type="string")}}):

        @task.globus_compute(task_id="work", deferrable=deferrable, **ARGUMENTS)
        def work(go):
            import time
            from pathlib import Path

            while not Path(go).exists():
                time.sleep(0.05)
            return "done"

        work("{{{{ params.go }}}}")

with DAG("map"):
    GlobusComputeMapOperator(
        task_id="work", deferrable=True, python_callable="operator:neg", inputs=list(range({INPUTS})), **ARGUMENTS
    )
"""


@pytest.fixture(scope="module")
def globus() -> Iterator[GlobusSandbox]:
    with GlobusSandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def hpc(globus: GlobusSandbox, tmp_path_factory: pytest.TempPathFactory) -> ComputeEndpoint:
    endpoint = globus.add_compute_endpoint("hpc", folder=tmp_path_factory.mktemp("hpc"), workers=4)
    globus.mark()
    return endpoint


@pytest.fixture(scope="module")
def airflow(globus: GlobusSandbox, hpc: ComputeEndpoint, start_airflow: StartAirflow) -> Iterator[LocalAirflow]:
    with start_airflow(DAGS, globus) as running:
        # From then on the functions are registered, and a reset does not lose them.
        running.run_dag("in_worker", {"go": __file__})
        globus.mark()
        yield running


class Run(TaskRun):
    """One run, whose function waits for a file; `trouble` is a fault of a submission."""

    task_id = "work"
    numbers = iter(range(100))

    def __init__(self, airflow: LocalAirflow, globus: GlobusSandbox, dag_id: str, folder: Path, **trouble: Any) -> None:
        self.globus = globus
        self.go = folder / f"go{next(self.numbers)}"
        globus.reset()
        if trouble:
            globus.faults.add({"service": "compute", "path": "/v3/endpoints/*/submit", "times": 1, **trouble})
        self.before = self._started()
        super().__init__(airflow, dag_id, {} if dag_id == "map" else {"go": str(self.go)})

    def ends(self) -> str:
        self.go.touch()
        return self.over()

    def executions(self) -> int:
        """How often the function itself was started."""
        return self._started() - self.before

    def _started(self) -> int:
        world = self.globus.world.compute
        names = {function.id: function.name for function in world.functions.values()}
        return sum(task.executions for task in world.tasks.values() if names[task.function_id] != "open_task_group")

    def looks(self) -> int:
        return int(self.globus.journal.count("compute", "POST", "/v2/batch_status"))

    def work_submissions(self) -> int:
        """Accepted ones; a request of an earlier test's dead worker may still arrive, and is refused."""
        sent = self.globus.journal.requests("compute", "POST", "*/submit")
        return len([e for e in sent if e.body.get("task_group_id") and (e.status or 200) < 300])


#: The answer takes its time: the service accepts before the worker learns of it.
SLOWLY = {"delay_seconds": 4}


def test_worker_killed_while_the_group_is_opened(airflow: LocalAirflow, globus: GlobusSandbox, tmp_path: Path) -> None:
    run = Run(airflow, globus, "in_worker", tmp_path, nth=1, **SLOWLY)
    run.until("a request", lambda: globus.journal.count("compute", "GET", "/v2/endpoints/*/status"))
    run.reaches("running")
    run.kill_worker()
    assert run.ends() == "success"
    assert run.executions() == 1


def test_worker_killed_between_the_group_and_the_answer(
    airflow: LocalAirflow, globus: GlobusSandbox, tmp_path: Path
) -> None:
    run = Run(airflow, globus, "in_worker", tmp_path, nth=2, **SLOWLY)
    run.until("the group", lambda: globus.journal.count("compute", "POST", "*/submit"))
    run.until("the stored group", lambda: _stored(airflow, run))
    run.kill_worker()
    assert run.ends() == "success"
    assert run.executions() == 1


def _stored(airflow: LocalAirflow, run: Run) -> bool:
    rows = airflow.query(
        "select count(*) from task_state_store where dag_id = ? and run_id = ?", run.dag_id, run.run_id
    )
    return bool(rows[0][0])


def test_worker_killed_while_waiting(airflow: LocalAirflow, globus: GlobusSandbox, tmp_path: Path) -> None:
    run = Run(airflow, globus, "in_worker", tmp_path)
    run.until("a look", run.looks)
    run.kill_worker()
    assert run.ends() == "success"
    assert run.executions() == run.work_submissions() == 1
    assert any("Adopting" in line for line in run.log(2))


def test_an_answer_that_never_arrives(airflow: LocalAirflow, globus: GlobusSandbox, tmp_path: Path) -> None:
    run = Run(airflow, globus, "in_worker", tmp_path, nth=2, drop_after=True)
    run.until("a look", run.looks)
    assert run.ends() == "success"
    assert run.executions() == run.work_submissions() == 1
    assert any("Looking whether the task group" in line for line in run.log())


def test_triggerer_killed_and_restarted(airflow: LocalAirflow, globus: GlobusSandbox, tmp_path: Path) -> None:
    run = Run(airflow, globus, "in_triggerer", tmp_path)
    run.reaches("deferred")
    run.until("a look from the triggerer", run.looks)
    airflow.restart("triggerer")
    assert run.ends() == "success"
    assert run.executions() == run.work_submissions() == 1


def test_marked_failed_while_deferred_the_log_says_what_runs_on(
    airflow: LocalAirflow, globus: GlobusSandbox, tmp_path: Path
) -> None:
    run = Run(airflow, globus, "in_triggerer", tmp_path)
    run.reaches("deferred")
    run.until("a look from the triggerer", run.looks)
    endpoint = next(iter(globus.world.compute.endpoints))
    link = run.links()["Compute endpoint"]
    assert link == f"{globus.url}/compute/endpoints/{endpoint}"
    run.mark("failed")
    run.until("the log of the kill", lambda: any("cannot cancel a task" in line for line in run.log()))
    run.go.touch()


def test_cleared_while_deferred_it_runs_anew(airflow: LocalAirflow, globus: GlobusSandbox, tmp_path: Path) -> None:
    run = Run(airflow, globus, "in_triggerer", tmp_path)
    run.reaches("deferred")
    run.until("a start", run.executions)
    run.clear()
    run.until("the second start", lambda: run.executions() == 2)
    assert run.ends() == "success"


def test_a_thousand_inputs(airflow: LocalAirflow, globus: GlobusSandbox, tmp_path: Path) -> None:
    run = Run(airflow, globus, "map", tmp_path)
    globus.settings.compute_requests_per_10_seconds = 20
    assert run.ends() == "success"
    assert airflow.api.xcoms("map", run.run_id, "work")["return_value"] == [-n for n in range(INPUTS)]
    assert run.executions() == INPUTS
    assert run.work_submissions() == 1
    assert globus.journal.count("compute", "GET", "/v2/tasks/*") == 0
    assert not [entry for entry in globus.journal.requests("compute") if entry.status == 429]
