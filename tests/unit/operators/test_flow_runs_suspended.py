"""Runs that Globus suspends, waited for in the worker and in the triggerer, in the sandbox."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_globus.exceptions import GlobusJobFailedError, GlobusJobInactiveError, GlobusPermissionError
from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.operators.flow_runs import GlobusResumeFlowRunOperator, GlobusRunFlowOperator
from airflow_provider_globus.sandbox.action_providers.base import Action, Progress

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from tests.unit.conftest import TaskContext

URL = "https://gate.example.org"
FLOW = {
    "StartAt": "Pass",
    "States": {"Pass": {"Type": "Action", "ActionUrl": URL, "Parameters": {}, "ResultPath": "$.gate", "End": True}},
}
SCOPES = [
    "urn:globus:auth:scope:transfer.api.globus.org:all",
    "urn:globus:auth:scope:search.api.globus.org:all",
    *(
        f"https://auth.globus.org/scopes/eec9b274-0c81-4334-bdc2-54e90e689b9a/{name}"
        for name in ("manage_flows", "view_flows", "run_status", "run_manage", "run")
    ),
]


class Gate:
    """An action provider that suspends until somebody opens it, and each time asks for the next consent, if any."""

    title: ClassVar[str] = "Gate"
    urls: ClassVar[tuple[str, ...]] = (URL,)
    scope: ClassVar[str] = "https://auth.globus.org/scopes/gate.example.org/pass"
    input_schema: ClassVar[dict[str, Any]] = {"type": "object"}

    def __init__(self, *asks: str) -> None:
        self.asks = asks
        self.knocks = 0
        self.open = False

    def start(self, action: Action) -> Progress:
        if self.open:
            return Progress("SUCCEEDED", {"passed": True})
        details = {"code": "ConsentRequired", "description": "The gate is shut"}
        if self.asks:
            details["required_scope"] = self.asks[min(self.knocks, len(self.asks) - 1)]
        self.knocks += 1
        return Progress("INACTIVE", details)

    def progress(self, action: Action) -> Progress:
        return self.start(action)

    def cancel(self, action: Action) -> None: ...


def gated(globus: GlobusSandbox, *asks: str) -> Gate:
    gate = Gate(*asks)
    globus.add_action_provider(URL, gate)
    globus.add_flow("gated", FLOW)
    return gate


def pass_gate(**changes: Any) -> GlobusRunFlowOperator:
    """As in each of the processes that a task lives in: a new operator."""
    arguments: dict[str, Any] = {"task_id": "a_task", "flow": "gated", "poll_interval": 0.05}
    return GlobusRunFlowOperator(**arguments | changes)


def deferred(context: TaskContext, event: Any = None, **changes: Any) -> Any:
    """The trigger with which the task defers, at first or again."""
    operator = pass_gate(deferrable=True, worker_wait=0, **changes)
    with pytest.raises(TaskDeferred) as raised:
        operator.execute(context) if event is None else operator.execute_complete(context, event)
    return raised.value.trigger


def fired(trigger: Any) -> dict[str, Any]:
    async def fires() -> Any:
        return await anext(aiter(trigger.run()))

    return dict(asyncio.run(fires()).payload)


def only_run(globus: GlobusSandbox) -> Any:
    (run,) = globus.world.flows.runs.values()
    return run


def resumptions(globus: GlobusSandbox) -> int:
    return globus.journal.count("flows", "POST", "*/resume")


def test_what_nobody_gives_within_the_grace_ends_the_run(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    gated(globus_sandbox)
    with pytest.raises(GlobusJobInactiveError, match="The gate is shut"):
        pass_gate(inactive_grace=0.2).execute(context)
    assert only_run(globus_sandbox).details["code"] == "FlowCanceled"


def test_deferred_the_grace_is_given_once(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    gated(globus_sandbox)
    first = deferred(context, inactive_grace=0.2)
    assert first.rules == {"inactive_grace": 0.0}
    bearing = deferred(context, fired(first), inactive_grace=0.2)
    assert bearing.rules == {"inactive_grace": 0.2}
    with pytest.raises(GlobusJobInactiveError, match="The gate is shut"):
        pass_gate(deferrable=True, worker_wait=0, inactive_grace=0.2).execute_complete(context, fired(bearing))
    assert only_run(globus_sandbox).details["code"] == "FlowCanceled"


def test_somebody_resumes_it_within_the_grace(
    globus_sandbox: GlobusSandbox, context: TaskContext, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = gated(globus_sandbox)
    bearing = deferred(context, fired(deferred(context, inactive_grace=3600)), inactive_grace=3600)
    run = only_run(globus_sandbox)
    assert f"Somebody has to resume it at {globus_sandbox.url}/runs/{run.id}/logs" in capsys.readouterr().out
    gate.open = True
    GlobusHook().specific_flow_client(run.flow_id).resume_run(run.id)
    resumed = pass_gate(deferrable=True, inactive_grace=3600, output_path="$.gate.details.passed")
    assert resumed.execute_complete(context, fired(bearing)) is True


def test_a_consent_that_does_not_help_is_given_once(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    gated(globus_sandbox, SCOPES[0])
    with pytest.raises(GlobusJobInactiveError, match="The gate is shut"):
        pass_gate().execute(context)
    assert resumptions(globus_sandbox) == 1


def test_deferred_a_consent_that_does_not_help_is_given_once(
    globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    gated(globus_sandbox, SCOPES[0])
    again = deferred(context, fired(deferred(context)))
    with pytest.raises(GlobusJobInactiveError, match="The gate is shut"):
        pass_gate(deferrable=True, worker_wait=0).execute_complete(context, fired(again))
    assert resumptions(globus_sandbox) == 1


def test_consents_are_given_one_after_the_other_but_not_without_end(
    globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    gated(globus_sandbox, *SCOPES)
    with pytest.raises(GlobusJobInactiveError, match="The gate is shut"):
        pass_gate().execute(context)
    assert resumptions(globus_sandbox) == 5


def test_a_resumption_that_is_refused_says_what_it_was_for(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    gated(globus_sandbox, SCOPES[0])
    run_id = pass_gate(wait_for_completion=False).execute(context)["run_id"]
    globus_sandbox.world.flows.wait(run_id, "INACTIVE")
    globus_sandbox.faults.add({"service": "flows", "method": "POST", "path": "*/resume", "status": 403})
    with pytest.raises(GlobusPermissionError, match=r"The gate is shut.*resuming run"):
        GlobusResumeFlowRunOperator(task_id="resume", run_id=run_id).execute(context)


def test_a_run_that_is_not_suspended_is_left_alone(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.add_flow("wait", {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": True}}})
    run_id = pass_gate(flow="wait", wait_for_completion=False).execute(context)["run_id"]
    assert GlobusResumeFlowRunOperator(task_id="resume", run_id=run_id).execute(context) == run_id
    assert resumptions(globus_sandbox) == 0


@pytest.mark.parametrize("fate", ["resumed", "cancelled"])
def test_somebody_else_is_faster(fate: str, globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    gate = gated(globus_sandbox, SCOPES[0])
    event = fired(deferred(context))
    run = only_run(globus_sandbox)
    flows = globus_sandbox.world.flows
    if fate == "resumed":
        gate.open = True
        flows.resume(run)
        flows.wait(run.id, "SUCCEEDED")
        assert pass_gate(output_path="$.gate.details").execute_complete(context, event) == {"passed": True}
    else:
        flows.cancel(run)
        with pytest.raises(GlobusJobFailedError, match="FlowCanceled"):
            pass_gate().execute_complete(context, event)
