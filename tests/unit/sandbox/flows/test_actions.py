"""How runs do actions: in whose name, until when, and what becomes of those that fail."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from globus_sdk.scopes import GCSCollectionScopes, Scope, TransferScopes

from airflow_provider_globus.sandbox.action_providers.base import Action, Progress
from airflow_provider_globus.sandbox.auth.scopes import flow_scope
from tests.unit.sandbox.flows.conftest import NOTE, until
from tests.unit.sandbox.flows.test_runs import HELLO, MOVE

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.flows.models import Flow, Run
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.unit.sandbox.flows.conftest import Lab

URL = "https://ap.example.org/thing"


class Recorder:
    """A provider that never ends by itself, and notes what it is asked."""

    title: ClassVar[str] = "Recorder"
    urls: ClassVar[tuple[str, ...]] = ()
    scope: ClassVar[str] = ""
    input_schema: ClassVar[dict[str, Any]] = {"type": "object", "properties": {"n": {"type": "integer"}}}

    def __init__(self, *starts: Progress) -> None:
        self.starts = list(starts)
        self.actions: list[Action] = []
        self.cancelled: list[Action] = []

    def start(self, action: Action) -> Progress:
        self.actions.append(action)
        return self.starts.pop(0) if self.starts else Progress("ACTIVE", {"so": "far"})

    def progress(self, action: Action) -> Progress:
        return Progress("ACTIVE", {"so": "far"})

    def cancel(self, action: Action) -> None:
        self.cancelled.append(action)


def one(url: str = URL, **more: Any) -> dict[str, Any]:
    """A flow of one action, whose failure is caught."""
    action = {"Type": "Action", "ActionUrl": url, "Parameters": {}, "WaitTime": 60, "ResultPath": "$.done", **more}
    return {
        "StartAt": "Do",
        "States": {
            "Do": {
                **action,
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught", "ResultPath": "$.error"}],
                "End": True,
            },
            "Caught": {"Type": "Pass", "End": True},
        },
    }


def begun(lab: Lab, provider: Recorder, definition: dict[str, Any]) -> Run:
    """Start a run, and return it once its action has begun."""
    lab.sandbox.add_action_provider(URL, provider)
    run = lab.run(definition, until=("ACTIVE",))
    lab.reaches(run, "ActionStarted")
    return run


def test_a_provider_that_nobody_knows(lab: Lab) -> None:
    error = lab.output(one("https://siap.example.org/run"))["error"]
    assert error["Error"] == "ActionUnableToRun"
    assert "https://siap.example.org/run" in error["Cause"]
    assert error["Details"]["code"] == "NotServed"


def test_functions_are_providers(lab: Lab) -> None:
    lab.sandbox.add_action_provider(URL + "/", lambda body: {"twice": body["n"] * 2})
    done = lab.output(one(Parameters={"n": 21}))["done"]
    assert (done["status"], done["details"], done["state_name"]) == ("SUCCEEDED", {"twice": 42}, "Do")

    def fails(body: dict[str, Any]) -> None:
        raise LookupError("no such thing")

    lab.sandbox.add_action_provider(URL, fails)
    error = lab.output(one())["error"]
    assert error["Error"] == "ActionFailedException"
    assert error["Details"]["details"] == {"code": "LookupError", "description": "no such thing"}
    kept = lab.output(one(ExceptionOnActionFailure=False))["done"]
    assert kept["status"] == "FAILED"


def test_what_a_provider_does_not_take(lab: Lab) -> None:
    recorder = Recorder()
    lab.sandbox.add_action_provider(URL, recorder)
    error = lab.output(one(Parameters={"n": "many"}))["error"]
    assert error["Error"] == "ActionUnableToRun"
    assert error["Details"]["code"] == "RequestValidationError"
    assert "$.n" in error["Details"]["description"]
    assert recorder.actions == []


def test_a_provider_that_breaks_fails_its_action(lab: Lab) -> None:
    class Broken(Recorder):
        def start(self, action: Action) -> Progress:
            raise ZeroDivisionError("oops")

    lab.sandbox.add_action_provider(URL, Broken())
    error = lab.output(one())["error"]
    assert error["Error"] == "ActionUnableToRun"
    assert "ZeroDivisionError: oops" in error["Cause"]


def test_an_action_that_takes_too_long(lab: Lab) -> None:
    recorder = Recorder()
    run = begun(lab, recorder, one())
    lab.sandbox.clock.advance(59)
    assert lab.client().get_run(run.id)["status"] == "ACTIVE"
    lab.sandbox.clock.advance(2)
    error = lab.world.flows.wait(run.id).details["output"]["error"]
    assert error["Error"] == "ActionTimeout"
    assert (error["Details"]["status"], error["Details"]["details"]) == ("ACTIVE", {"so": "far"})
    # The service does not look after it any more, and neither does it end it.
    assert recorder.cancelled == []


def test_a_cancelled_run_cancels_its_action(lab: Lab) -> None:
    recorder = Recorder()
    run = begun(lab, recorder, one())
    with lab.world.flows.changed:
        assert lab.world.flows.changed.wait_for(lambda: recorder.actions, 5) or recorder.actions
    lab.client().cancel_run(run.id)
    assert recorder.cancelled == recorder.actions


def test_what_was_suspended_is_not_late(lab: Lab) -> None:
    needs = Progress("INACTIVE", {"code": "ConsentRequired", "description": "d", "required_scope": "s"})
    recorder = Recorder(needs, Progress("ACTIVE", {}), Progress("SUCCEEDED", {}))
    lab.sandbox.add_action_provider(URL, recorder)
    run = lab.run(one(), until=("INACTIVE",))
    lab.sandbox.clock.advance(3600)
    lab.flow_client(run.flow_id).resume_run(run.id)
    until(lambda: len(recorder.actions) == 2)
    lab.sandbox.clock.advance(59)
    assert lab.client().get_run(run.id)["status"] == "ACTIVE"
    assert [action.id for action in recorder.actions] == [recorder.actions[0].id] * len(recorder.actions)
    lab.sandbox.clock.advance(2)
    assert lab.world.flows.wait(run.id).details["output"]["error"]["Error"] == "ActionTimeout"


def test_a_fault_refuses_an_action(lab: Lab) -> None:
    fault = {"action": "*/hello_world*", "status": 403, "code": "UnauthorizedRequest", "message": "Not you"}
    lab.sandbox.faults.add({**fault, "times": 1})
    url = "https://actions.globus.org/hello_world"
    error = lab.output(one(url))["error"]
    assert error["Error"] == "ActionUnableToRun"
    assert "403" in error["Cause"]
    assert error["Details"] == {"code": "UnauthorizedRequest", "description": "Not you"}
    assert lab.output(one(url))["done"]["status"] == "SUCCEEDED"


@pytest.mark.parametrize("where", [{"state": "D*"}, {"flow": "a flow"}, {"state": "Do", "flow": "a flow"}])
def test_a_fault_fails_an_action(where: dict[str, Any], lab: Lab) -> None:
    lab.sandbox.faults.add({"action": "*", "fail": True, "message": "Broken", **where})
    error = lab.output(one("https://actions.globus.org/hello_world"))["error"]
    assert error["Error"] == "ActionFailedException"
    assert error["Details"]["details"]["description"] == "Broken"


@pytest.mark.parametrize("where", [{"state": "X"}, {"flow": "another"}, {"action": "https://x.org*"}])
def test_a_fault_for_another_action(where: dict[str, Any], lab: Lab) -> None:
    lab.sandbox.faults.add({"action": "*", "fail": True, **where})
    assert "error" not in lab.output(one("https://actions.globus.org/hello_world"))


def test_a_fault_lets_an_action_hang(lab: Lab) -> None:
    lab.sandbox.faults.add(action="*", hang=True)
    run = lab.run(one("https://actions.globus.org/hello_world"), until=("ACTIVE",))
    lab.reaches(run, "ActionStarted")
    assert lab.client().get_run(run.id)["status"] == "ACTIVE"
    lab.sandbox.clock.advance(61)
    assert lab.world.flows.wait(run.id).details["output"]["error"]["Error"] == "ActionTimeout"


@pytest.mark.parametrize("fault", [{}, {"fail": True, "hang": True}, {"status": 700}, {"colour": "red"}])
def test_faults_that_cannot_be(fault: dict[str, Any], lab: Lab) -> None:
    with pytest.raises((TypeError, ValueError)):
        lab.sandbox.faults.add({"action": "*", **fault})


# In whose name


def test_an_action_acts_for_who_runs_the_flow(lab: Lab) -> None:
    recorder = Recorder(Progress("SUCCEEDED", {}))
    lab.sandbox.add_action_provider(URL, recorder)
    flow = lab.sandbox.add_flow("a flow", one(), starters=[lab.person.id])
    lab.world.flows.wait(lab.flow_client(flow, lab.person.id).run_flow({})["run_id"])
    assert recorder.actions[0].caller.identity_id == lab.person.id


def test_an_action_may_act_for_the_flow_itself(lab: Lab, globus_collection: CollectionFactory) -> None:
    folder = globus_collection("folder", files={"a.txt": "a"})
    move = {**MOVE["States"]["Move"], "RunAs": "Flow"}
    flow = lab.sandbox.add_flow("mover", {"StartAt": "Move", "States": {"Move": move}})
    guest = lab.sandbox.add_collection("guest", kind="guest", host=folder.id, base_path="/")
    body = {"source": guest.id, "destination": guest.id}
    lab.world.transfer.add_rule(guest.id, path="/", principal=flow.id, permissions="rw")
    run = lab.world.flows.wait(lab.flow_client(flow).run_flow(body)["run_id"])
    assert run.status == "SUCCEEDED", run.details
    assert run.details["output"]["Move"]["creator_id"] == f"urn:globus:auth:identity:{flow.id}"
    assert [task.owner_id for task in lab.world.transfer.tasks.values()] == [flow.id]


def test_an_action_may_act_for_a_role(lab: Lab, globus_collection: CollectionFactory) -> None:
    recorder = Recorder(Progress("SUCCEEDED", {}))
    lab.sandbox.add_action_provider(URL, recorder)
    flow = lab.sandbox.add_flow("a flow", one(RunAs="Curator"))
    client = lab.flow_client(flow)
    folder = globus_collection("folder")
    transfer = TransferScopes.all.with_dependency(GCSCollectionScopes(folder.id).data_access)
    token = lab.token(flow.id, [Scope(flow_scope(flow.id, "Curator")).with_dependency(transfer)], lab.person.id)
    run = lab.world.flows.wait(client.run_flow({"_tokens": {"Curator": token}})["run_id"])
    assert run.details["output"]["done"]["status"] == "SUCCEEDED"
    caller = recorder.actions[0].caller
    assert caller.identity_id == lab.person.id
    assert caller.has_data_access(folder.id)
    assert token not in str(run.details)
    assert token not in lab.client().get_run_logs(run.id).text


@pytest.mark.parametrize("given", ["none", "unknown", "another's"])
def test_a_role_without_its_token(given: str, lab: Lab) -> None:
    flow = lab.sandbox.add_flow("a flow", one("https://actions.globus.org/hello_world", RunAs="Curator"))
    tokens = {
        "none": {},
        "unknown": {"Curator": "x"},
        "another's": {"Curator": lab.token(flow.id, [Scope(flow_scope(flow.id))])},
    }
    run_id = lab.flow_client(flow).run_flow({"_tokens": tokens[given]})["run_id"]
    error = lab.world.flows.wait(run_id).details["output"]["error"]
    assert error["Error"] == "ActionUnableToRun"
    assert error["Details"]["code"] == "UnauthorizedRequest"
    assert "Curator" in error["Details"]["description"]


# Flows as actions


def child(lab: Lab, definition: dict[str, Any], host: str = "flows.globus.org", **more: Any) -> tuple[Flow, str]:
    flow = lab.sandbox.add_flow("child", definition, **more)
    return flow, f"https://{host}/flows/{flow.id}"


@pytest.mark.parametrize("host", ["flows.globus.org", "flows.automate.globus.org"])
def test_a_flow_runs_a_flow(host: str, lab: Lab) -> None:
    flow, url = child(lab, NOTE, host)
    done = lab.output(one(url, Parameters={"n": 1}))["done"]
    (run,) = (run for run in lab.world.flows.runs.values() if run.flow_id == flow.id)
    assert (done["status"], done["action_id"]) == ("SUCCEEDED", run.id)
    assert done["details"]["output"] == {"n": 1}


def test_a_flow_that_may_not_be_run(lab: Lab) -> None:
    _, hidden = child(lab, NOTE, owner=lab.other.id)
    error = lab.output(one(hidden))["error"]
    assert (error["Error"], error["Details"]["code"]) == ("ActionUnableToRun", "NOT_FOUND")
    _, strict = child(lab, NOTE, input_schema={"type": "object", "required": ["n"]})
    error = lab.output(one(strict))["error"]
    assert (error["Error"], error["Details"]["code"]) == ("ActionUnableToRun", "FLOW_INPUT_ERROR")


def test_a_child_that_fails_or_is_cancelled_with_its_parent(lab: Lab) -> None:
    _, fails = child(lab, {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E", "Cause": "c"}}})
    assert lab.output(one(fails))["error"]["Error"] == "ActionFailedException"
    flow, waits = child(lab, {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": True}}})
    run = lab.run(one(waits), until=("ACTIVE",))
    with lab.world.flows.changed:
        assert lab.world.flows.changed.wait_for(
            lambda: any(r.flow_id == flow.id for r in lab.world.flows.runs.values()), 5
        )
    lab.client().cancel_run(run.id)
    (below,) = (r for r in lab.world.flows.runs.values() if r.flow_id == flow.id)
    assert (below.status, below.details["code"]) == ("FAILED", "FlowCanceled")


def test_a_consent_reaches_through_a_child(lab: Lab, globus_collection: CollectionFactory) -> None:
    folder = globus_collection("folder", files={"a.txt": "a"})
    flow, url = child(lab, MOVE)
    body = {"source": folder.id, "destination": folder.id}
    run = lab.run(one(url, Parameters=body), until=("INACTIVE",))
    wanted = run.details["required_scope"]
    inner = f"{flow_scope(flow.id)}[urn:globus:auth:scope:transfer.api.globus.org:all"
    assert wanted.startswith(f"{flow_scope(run.flow_id)}[{inner}")
    lab.token(run.flow_id, [Scope.parse(wanted)])
    lab.flow_client(run.flow_id).resume_run(run.id)
    assert lab.world.flows.wait(run.id).details["output"]["done"]["status"] == "SUCCEEDED"
    assert (folder.folder / "b.txt").read_text() == "a"


# Registered APIs


def test_registered_apis_are_called_when_they_are_functions(lab: Lab) -> None:
    def handled(api_id: str) -> dict[str, Any]:
        definition = one(Parameters={"n": 1})
        del definition["States"]["Do"]["ActionUrl"]
        definition["States"]["Do"]["Handler"] = {"Type": "RegisteredAPI", "Id": api_id}
        return definition

    api_id = lab.world.flows.add_registered_api("echo", lambda body: body)
    assert lab.output(handled(api_id))["done"]["details"] == {"n": 1}
    error = lab.output(handled(lab.person.id))["error"]
    assert error["Error"] == "ActionUnableToRun"
    assert f"no registered API {lab.person.id}" in error["Cause"]


# Many, and the end


def test_slow_starts_hold_nothing_else_up(lab: Lab) -> None:
    released = threading.Event()
    lab.sandbox.add_action_provider(URL, lambda body: released.wait(20))
    slow = lab.sandbox.add_flow("slow", one())
    client = lab.flow_client(slow)
    held = [client.run_flow({})["run_id"] for _ in range(4)]
    assert lab.output(HELLO, {"who": "you", "sleep": 0})["Hello"]["status"] == "SUCCEEDED"
    released.set()
    assert {lab.world.flows.wait(run_id).status for run_id in held} == {"SUCCEEDED"}


def test_a_hundred_actions_at_once(lab: Lab) -> None:
    flow = lab.sandbox.add_flow("hello", HELLO)
    client = lab.flow_client(flow)
    runs = [client.run_flow({"who": str(n), "sleep": 30})["run_id"] for n in range(100)]
    for run_id in runs:
        lab.reaches(lab.world.flows.runs[run_id], "ActionStarted")
    lab.sandbox.clock.advance(31)
    ended = [lab.world.flows.wait(run_id, seconds=20) for run_id in runs]
    assert [run.details["output"]["Hello"]["details"]["hello"] for run in ended] == [str(n) for n in range(100)]
    assert sum(thread.name.startswith("globus-flows") for thread in threading.enumerate()) <= 9


def test_a_mistake_in_the_sandbox_ends_the_run(lab: Lab) -> None:
    flow = lab.sandbox.add_flow("a flow", NOTE)
    # Nothing checks a definition that is changed behind the service's back.
    flow.definition = {"StartAt": "Note", "States": {"Note": {"Type": "Unheard", "End": True}}}
    run = lab.world.flows.wait(lab.flow_client(flow).run_flow({})["run_id"])
    assert run.status == "FAILED"
    assert "The sandbox failed: KeyError" in run.details["details"]["cause"]
