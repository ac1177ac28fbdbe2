"""Flow runs from a real Airflow: dying workers, a hundred runs that wait together, people who answer in Airflow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.sandbox import GlobusSandbox
from tests.e2e.runs import PATIENCE_SECONDS, TaskRun, until
from tests.unit.flows import APPROVAL

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.local_airflow import LocalAirflow
    from tests.e2e.conftest import StartAirflow

pytestmark = pytest.mark.e2e

RUNS = 100
POLL_INTERVAL = 5
HOUR = 3600

WAIT = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": HOUR, "End": True}}}

DAGS = f"""
from datetime import timedelta
from airflow.sdk import DAG
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow_provider_globus.operators.flow_runs import GlobusRunFlowOperator
from airflow_provider_globus.operators.web_inputs import GlobusRespondWebInputOperator
from airflow_provider_globus.sensors.flows import GlobusFlowRunSensor, GlobusWebInputSensor

ARGUMENTS = dict(worker_wait=0, retries=2, retry_delay=timedelta(seconds=0.5))

for dag_id, deferrable in (("in_worker", False), ("in_triggerer", True)):
    with DAG(dag_id):
        GlobusRunFlowOperator(task_id="run", flow="wait", deferrable=deferrable, poll_interval=1, **ARGUMENTS)

with DAG("many", max_active_tasks={RUNS}):
    GlobusRunFlowOperator.partial(
        task_id="run",
        flow="wait",
        deferrable=True,
        poll_interval={POLL_INTERVAL},
        max_active_tis_per_dagrun={RUNS},
        **ARGUMENTS,
    ).expand(run_label=[f"run {{n}}" for n in range({RUNS})])

with DAG("people", params={{"respondent": ""}}):
    run = GlobusRunFlowOperator(
        task_id="run",
        flow="approval",
        body={{"respondents": ["{{{{ params.respondent }}}}"]}},
        wait_for_completion=False,
    )
    asked = GlobusWebInputSensor(
        task_id="asked", run_id="{{{{ ti.xcom_pull('run')['run_id'] }}}}", deferrable=True, poke_interval=1
    )
    decide = HITLOperator(
        task_id="decide", subject="Publish?", options=["Approve", "Reject"], execution_timeout=timedelta(minutes=5)
    )
    answer = GlobusRespondWebInputOperator(
        task_id="answer",
        web_input_id="{{{{ ti.xcom_pull('asked')['web_input_id'] }}}}",
        response="{{{{ ti.xcom_pull('decide')['chosen_options'][0] }}}}",
    )
    done = GlobusFlowRunSensor(
        task_id="done",
        run_id="{{{{ ti.xcom_pull('run')['run_id'] }}}}",
        output_path="$.answer.response",
        deferrable=True,
        poke_interval=1,
    )
    run >> asked >> decide >> answer >> done
"""


@pytest.fixture(scope="module")
def globus() -> Iterator[GlobusSandbox]:
    with GlobusSandbox() as sandbox:
        sandbox.add_flow("wait", WAIT)
        sandbox.add_flow("approval", APPROVAL)
        sandbox.mark()
        yield sandbox


@pytest.fixture(scope="module")
def airflow(globus: GlobusSandbox, start_airflow: StartAirflow) -> Iterator[LocalAirflow]:
    with start_airflow(DAGS, globus) as running:
        yield running


@pytest.fixture(autouse=True)
def _as_new(globus: GlobusSandbox) -> None:
    globus.reset()


class Run(TaskRun):
    """One run of a DAG; `trouble` is a fault of the request that starts the flow."""

    task_id = "run"

    def __init__(self, airflow: LocalAirflow, globus: GlobusSandbox, dag_id: str, **trouble: Any) -> None:
        self.globus = globus
        if trouble:
            globus.faults.add({"service": "flows", "path": "/flows/*/run", "times": 1, **trouble})
        super().__init__(airflow, dag_id)

    def ends(self) -> str:
        self.globus.clock.advance(HOUR + 1)
        return self.over()

    def flow_runs(self) -> list[Any]:
        return list(self.globus.world.flows.runs.values())

    def stored(self) -> bool:
        rows = self.airflow.query(
            "select count(*) from task_state_store where dag_id = ? and run_id = ?", self.dag_id, self.run_id
        )
        return bool(rows[0][0])


def test_worker_killed_before_the_answer(airflow: LocalAirflow, globus: GlobusSandbox) -> None:
    # The answer takes its time: Flows accepts before the worker learns of it.
    run = Run(airflow, globus, "in_worker", delay_seconds=4)
    run.until("the stored token", run.stored)
    run.kill_worker()
    run.until("a look at the run", lambda: globus.journal.count("flows", "GET", "/runs/*"))
    assert run.ends() == "success"
    assert len(run.flow_runs()) == 1
    assert any("Adopting run" in line for line in run.log(2))


def test_worker_killed_while_waiting(airflow: LocalAirflow, globus: GlobusSandbox) -> None:
    run = Run(airflow, globus, "in_worker")
    run.until("a look", lambda: globus.journal.count("flows", "GET", "/runs/*"))
    run.kill_worker()
    assert run.ends() == "success"
    assert len(run.flow_runs()) == 1


def test_an_answer_that_never_arrives(airflow: LocalAirflow, globus: GlobusSandbox) -> None:
    run = Run(airflow, globus, "in_worker", drop_after=True)
    run.until("a look at the run", lambda: globus.journal.count("flows", "GET", "/runs/*"))
    assert run.ends() == "success"
    assert len(run.flow_runs()) == 1


def test_triggerer_killed_and_restarted(airflow: LocalAirflow, globus: GlobusSandbox) -> None:
    run = Run(airflow, globus, "in_triggerer")
    run.until("a look from the triggerer", lambda: globus.journal.count("flows", "GET", "/runs/*"))
    airflow.restart("triggerer")
    assert run.ends() == "success"
    assert len(run.flow_runs()) == 1


def test_marked_failed_while_deferred_the_run_is_cancelled(airflow: LocalAirflow, globus: GlobusSandbox) -> None:
    run = Run(airflow, globus, "in_triggerer")
    run.until("a look from the triggerer", lambda: globus.journal.count("flows", "GET", "/runs/*"))
    (flow_run,) = run.flow_runs()
    assert run.links()["Flow run"] == f"{globus.url}/runs/{flow_run.id}/logs"
    run.mark("failed")
    run.until("the cancel", lambda: flow_run.status == "FAILED")


def test_a_hundred_runs_share_the_poll(airflow: LocalAirflow, globus: GlobusSandbox) -> None:
    run = Run(airflow, globus, "many")

    def states() -> dict[str, int]:
        """By the database: the API is busy with a hundred tasks."""
        counted = airflow.query("select state, count(*) from task_instance where run_id = ? group by 1", run.run_id)
        return dict(counted)

    def rounds() -> int:
        return int(globus.journal.count("flows", "GET", "/runs"))

    run.until("all to wait together", lambda: states() == {"deferred": RUNS})
    before, began, first = len(globus.journal.requests("flows")), time.monotonic(), rounds()
    run.until("some rounds", lambda: rounds() >= first + 6)
    made, requests = rounds() - first, len(globus.journal.requests("flows")) - before
    # One list for all in a round, and the logs of at most five runs: nothing that grows with the runs. Those that began
    # to wait at different times fall into step within an interval, hence two rounds in each at most.
    assert requests <= 6 * (made + 1)
    assert made <= 2 * (time.monotonic() - began) / POLL_INTERVAL + 2
    assert run.ends() == "success"
    assert len(run.flow_runs()) == RUNS


def test_people_answer_in_airflow(airflow: LocalAirflow, globus: GlobusSandbox) -> None:
    respondent = f"urn:globus:auth:identity:{globus.client_id}"
    run_id = airflow.run_dag("people", {"respondent": respondent}, wait=False)
    api = airflow.api
    path = f"/dags/people/dagRuns/{run_id}/taskInstances/decide/-1/hitlDetails"

    def decided() -> bool:
        if api.task_instance("people", run_id, "decide")["state"] not in ("deferred", "awaiting_input"):
            return False
        api.request("PATCH", path, json={"chosen_options": ["Approve"], "params_input": {}})
        return True

    until(airflow, "the question in Airflow", decided)
    assert api.wait_for_run("people", run_id, timeout=PATIENCE_SECONDS) == "success"
    assert api.xcom("people", run_id, "done") == "yes"
