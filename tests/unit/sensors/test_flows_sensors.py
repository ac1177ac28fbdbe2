"""Sensors for flow runs and for what they ask people."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_globus.exceptions import (
    GlobusInputError,
    GlobusJobFailedError,
    GlobusJobInactiveError,
    GlobusJobLostError,
)
from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.operators.web_inputs import GlobusRespondWebInputOperator
from airflow_provider_globus.sensors.flows import GlobusFlowRunSensor, GlobusWebInputSensor
from tests.unit.flows import ask

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from tests.unit.conftest import TaskContext

NOTE = {"StartAt": "Note", "States": {"Note": {"Type": "Pass", "Parameters": {"n": 3}, "End": True}}}
WAIT = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}
FAIL = {"StartAt": "Refuse", "States": {"Refuse": {"Type": "Fail", "Error": "TooDark", "Cause": "The lamp is off"}}}
UNKNOWN = "5a4db0c5-0000-4000-8000-0000000000ff"


def start(globus: GlobusSandbox, definition: dict[str, Any]) -> str:
    flow = globus.add_flow("a flow", definition)
    return str(GlobusHook().specific_flow_client(flow.id).run_flow({})["run_id"])


def waiting(globus: GlobusSandbox) -> Any:
    """A run that has come to its wait."""
    flows = globus.world.flows
    run = flows.runs[start(globus, WAIT)]
    with flows.changed:
        assert flows.changed.wait_for(lambda: [entry.code for entry in run.log][-1:] == ["WaitStarted"], 10)
    return run


def run_sensor(run_id: str, **changes: Any) -> GlobusFlowRunSensor:
    arguments: dict[str, Any] = {"task_id": "a_task", "run_id": run_id, "poke_interval": 0.05}
    return GlobusFlowRunSensor(**arguments | changes)


def question_sensor(**changes: Any) -> GlobusWebInputSensor:
    arguments: dict[str, Any] = {"task_id": "a_task", "poke_interval": 0.05}
    return GlobusWebInputSensor(**arguments | changes)


def test_returns_the_output_and_tells_the_states(
    globus_sandbox: GlobusSandbox, context: TaskContext, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = start(globus_sandbox, NOTE)
    assert run_sensor(run_id, output_path="$.n").execute(context) == 3
    assert sum("FlowSucceeded:" in line for line in capsys.readouterr().out.splitlines()) == 1
    assert run_sensor(run_id, output_path=None).execute(context)["status"] == "SUCCEEDED"


def test_fails_with_the_run(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    with pytest.raises(GlobusJobFailedError, match="The lamp is off"):
        run_sensor(start(globus_sandbox, FAIL)).execute(context)


@pytest.mark.usefixtures("globus_sandbox")
def test_an_unknown_run(context: TaskContext) -> None:
    with pytest.raises(GlobusJobLostError):
        run_sensor(UNKNOWN).execute(context)


@pytest.mark.usefixtures("globus_sandbox")
def test_ids_must_be_ids(context: TaskContext) -> None:
    with pytest.raises(GlobusInputError, match="no UUID"):
        run_sensor("nonsense").execute(context)
    with pytest.raises(GlobusInputError, match="web_input_id 'nonsense' is no UUID"):
        question_sensor(web_input_id="nonsense").execute(context)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"run_id": UNKNOWN, "web_input_id": UNKNOWN},
        {"run_id": UNKNOWN, "wait_for": "closed"},
        {"web_input_id": UNKNOWN, "wait_for": "open"},
    ],
)
def test_contradictions_are_refused_when_the_dag_is_parsed(arguments: dict[str, Any]) -> None:
    with pytest.raises(GlobusInputError):
        question_sensor(**arguments)


def test_a_question_is_returned_when_it_is_asked(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    run_id, asked = ask(globus_sandbox)
    question = question_sensor(run_id=run_id).execute(context)
    assert question["web_input_id"] == asked["id"]
    assert question["title"] == "Publish?"
    assert [option["label"] for option in question["options"]] == ["Approve", "Reject"]
    assert question["url"] == f"{globus_sandbox.url}/runs/{run_id}/logs"


def test_a_run_that_ends_without_asking(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    run_id = start(globus_sandbox, NOTE)
    globus_sandbox.world.flows.wait(run_id, "SUCCEEDED")
    with pytest.raises(GlobusJobFailedError, match="without asking"):
        question_sensor(run_id=run_id).execute(context)


def test_waits_in_the_triggerer_for_the_answer(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    _, asked = ask(globus_sandbox)
    sensor = question_sensor(web_input_id=asked["id"], deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute(context)
    answer = GlobusRespondWebInputOperator(task_id="r", web_input_id=asked["id"], response="Approve")

    async def fires() -> Any:
        waiting = asyncio.create_task(anext(aiter(deferred.value.trigger.run())))
        await asyncio.to_thread(answer.execute, context)
        return await waiting

    event: Any = asyncio.run(fires())
    assert sensor.execute_complete(context, event.payload)["status"] == "closed"


def test_a_log_that_cannot_be_read_is_no_failure(
    globus_sandbox: GlobusSandbox, context: TaskContext, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = start(globus_sandbox, NOTE)
    globus_sandbox.world.flows.wait(run_id, "SUCCEEDED")
    globus_sandbox.faults.add({"service": "flows", "method": "GET", "path": "/runs/*/log", "status": 403})
    assert run_sensor(run_id, output_path="$.n").execute(context) == 3
    assert "could not be read" in capsys.readouterr().out


def test_each_state_is_told_once_over_the_deferral(
    globus_sandbox: GlobusSandbox, context: TaskContext, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = waiting(globus_sandbox).id
    with pytest.raises(TaskDeferred) as deferred:
        run_sensor(run_id, deferrable=True).execute(context)
    globus_sandbox.clock.advance(3601)

    async def fires() -> Any:
        return await anext(aiter(deferred.value.trigger.run()))

    event: Any = asyncio.run(fires())
    assert run_sensor(run_id, deferrable=True).execute_complete(context, event.payload) == {}
    told = capsys.readouterr().out.splitlines()
    for code in ("FlowStarted", "WaitStarted", "WaitCompleted", "FlowSucceeded"):
        assert sum(f"{code}:" in line for line in told) == 1, code


def test_a_suspension_is_borne_for_the_grace(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    run = waiting(globus_sandbox)
    run.status, run.details = "INACTIVE", {"code": "ConsentRequired", "description": "Consent!"}
    with pytest.raises(TaskDeferred) as deferred:
        run_sensor(run.id, deferrable=True, inactive_grace=60).execute(context)
    assert deferred.value.trigger.rules == {"inactive_grace": 60}
    assert "suspended_since" in deferred.value.trigger.memory
    with pytest.raises(GlobusJobInactiveError, match="Consent!"):
        run_sensor(run.id, inactive_grace=0).execute(context)
    assert run.status == "INACTIVE"


def test_a_path_that_is_none_is_refused_before_any_look(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    with pytest.raises(GlobusInputError, match="no JSONPath"):
        run_sensor(UNKNOWN, output_path="$[").execute(context)
    assert globus_sandbox.journal.requests("flows") == []
