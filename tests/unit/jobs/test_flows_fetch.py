"""Asking after many flow runs, and after what they ask people, in the sandbox: all are answered for, in few calls."""

from __future__ import annotations

import dataclasses
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.jobs.flows import FlowRuns, WebInputs
from tests.unit.flows import APPROVAL

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox

NOTE = {"StartAt": "Note", "States": {"Note": {"Type": "Pass", "End": True}}}
WAIT = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}
FAIL = {"StartAt": "Refuse", "States": {"Refuse": {"Type": "Fail", "Error": "TooDark", "Cause": "The lamp is off"}}}
LONG = {
    "StartAt": "S00",
    "States": {f"S{n:02d}": {"Type": "Pass", "Next": f"S{n + 1:02d}"} for n in range(59)}
    | {"S59": {"Type": "Pass", "End": True}},
}
TWICE = {
    "StartAt": "First",
    "States": {
        "First": {**APPROVAL["States"]["Ask"], "ResultPath": "$.first", "Next": "Second"},
        "Second": {**APPROVAL["States"]["Ask"], "ResultPath": "$.asked", "Next": "Answer"},
        "Answer": APPROVAL["States"]["Answer"],
    },
}
UNKNOWN = "5a4db0c5-0000-4000-8000-0000000000ff"


def start(globus: GlobusSandbox, definition: dict[str, Any], **more: Any) -> str:
    flow = globus.add_flow(f"flow {uuid.uuid4()}", definition)
    return str(GlobusHook().specific_flow_client(flow.id).run_flow(**{"body": {}} | more)["run_id"])


def waiting(globus: GlobusSandbox, definition: dict[str, Any] = WAIT, **changes: Any) -> Any:
    """A run that waits, or something else."""
    run = globus.world.flows.runs[start(globus, definition)]
    with globus.world.flows.changed:
        assert globus.world.flows.changed.wait_for(lambda: run.log and run.log[-1].code == "WaitStarted", 10)
    for name, value in changes.items():
        setattr(run, name, value)
    return run


def more_like(globus: GlobusSandbox, run: Any, count: int, **changes: Any) -> list[str]:
    """Further runs of the same kind, none of which moves."""
    copies = [dataclasses.replace(run, id=str(uuid.uuid4()), log=list(run.log), **changes) for _ in range(count)]
    globus.world.flows.runs.update((copy.id, copy) for copy in copies)
    return [copy.id for copy in copies]


def asked(globus: GlobusSandbox, method: str = "GET", path: str = "*") -> list[str]:
    return [entry.path for entry in globus.journal.requests("flows", method, path)]


def test_runs_that_wait_are_found_in_the_list_and_others_one_by_one(globus_sandbox: GlobusSandbox) -> None:
    first, second, foreign = (waiting(globus_sandbox) for _ in range(3))
    ended = start(globus_sandbox, NOTE)
    globus_sandbox.world.flows.wait(ended, "SUCCEEDED")
    before = len(asked(globus_sandbox))
    found = FlowRuns().fetch(GlobusHook(), [first.id, second.id, ended, UNKNOWN])
    assert {run_id: run["status"] for run_id, run in found.items()} == {
        first.id: "ACTIVE",
        second.id: "ACTIVE",
        ended: "SUCCEEDED",
    }
    assert foreign.id not in found
    assert all(run["url"] == f"{globus_sandbox.url}/runs/{run_id}/logs" for run_id, run in found.items())
    assert [entry["code"] for entry in found[first.id]["log"]] == ["FlowStarted", "WaitStarted"]
    assert "log" not in found[ended]
    sent = asked(globus_sandbox)[before:]
    assert sent[:3] == ["/runs", f"/runs/{ended}", f"/runs/{UNKNOWN}"]
    assert sorted(sent[3:]) == sorted(f"/runs/{run.id}/log" for run in (first, second))


def test_runs_on_a_later_page_are_found(globus_sandbox: GlobusSandbox) -> None:
    old = waiting(globus_sandbox)
    ids = [old.id, *more_like(globus_sandbox, old, 1)]
    more_like(globus_sandbox, old, 120, started_at=old.started_at + 1)
    before = len(asked(globus_sandbox))
    assert set(FlowRuns().fetch(GlobusHook(), ids)) == set(ids)
    assert [path for path in asked(globus_sandbox)[before:] if not path.endswith("/log")] == ["/runs", "/runs"]


def test_no_more_than_five_logs_are_read_in_a_round(globus_sandbox: GlobusSandbox) -> None:
    run = waiting(globus_sandbox)
    ids = more_like(globus_sandbox, run, 8)
    found = FlowRuns().fetch(GlobusHook(), ids)
    assert len(found) == 8
    assert len(asked(globus_sandbox, path="/runs/*/log")) == 5


def test_a_suspended_run_is_asked_for_when_the_list_does_not_say_why(globus_sandbox: GlobusSandbox) -> None:
    told = waiting(globus_sandbox, status="INACTIVE", details={"code": "ConsentRequired"})
    (untold,) = more_like(globus_sandbox, told, 1, details={})
    before = len(asked(globus_sandbox))
    assert set(FlowRuns().fetch(GlobusHook(), [told.id, untold])) == {told.id, untold}
    assert [path for path in asked(globus_sandbox)[before:] if not path.endswith("/log")] == [
        "/runs",
        f"/runs/{untold}",
    ]


def test_runs_of_others_that_one_may_see_are_found_in_the_list(globus_sandbox: GlobusSandbox) -> None:
    other = globus_sandbox.add_identity("other@example.edu")
    urn = f"urn:globus:auth:identity:{globus_sandbox.client_id}"
    mine = waiting(globus_sandbox)
    theirs = {"owner_id": other.id, "owner_urn": f"urn:globus:auth:identity:{other.id}"}
    ids = [
        *more_like(globus_sandbox, mine, 1, **theirs, monitors=[urn]),
        *more_like(globus_sandbox, mine, 1, **theirs, managers=[urn]),
    ]
    assert set(FlowRuns().fetch(GlobusHook(), ids)) == set(ids)
    (listed,) = globus_sandbox.journal.requests("flows", "GET", "/runs")
    assert ",".join(listed.query["filter_roles"]).split(",") == ["run_owner", "run_manager", "run_monitor"]
    assert not set(asked(globus_sandbox)) & {f"/runs/{run_id}" for run_id in ids}


def test_what_was_told_of_a_long_log_is_not_told_again_at_the_end(globus_sandbox: GlobusSandbox) -> None:
    run_id = start(globus_sandbox, LONG)
    run = globus_sandbox.world.flows.wait(run_id, "SUCCEEDED")
    assert len(run.log) > 100
    memory: dict[str, Any] = {}
    lines = FlowRuns().last_news(GlobusHook(), run_id, memory)
    assert [line.partition(":")[0] for line in lines] == [entry.code for entry in run.log]
    assert FlowRuns().last_news(GlobusHook(), run_id, memory) == []


def test_the_reasons_of_a_failure_are_its_last_entries_newest_first(globus_sandbox: GlobusSandbox) -> None:
    run_id = start(globus_sandbox, FAIL)
    run = globus_sandbox.world.flows.wait(run_id, "FAILED")
    told = FlowRuns().explain(GlobusHook(), run_id)
    assert [line.split()[1].rstrip(":") for line in told] == [entry.code for entry in reversed(run.log)][:5]


@pytest.mark.parametrize("known", [True, False])
def test_what_cannot_be_cancelled_is_said_not_raised(known: bool, globus_sandbox: GlobusSandbox) -> None:
    run_id = start(globus_sandbox, NOTE)
    globus_sandbox.world.flows.wait(run_id, "SUCCEEDED")
    said = FlowRuns().cancel(GlobusHook(), run_id if known else UNKNOWN)
    assert ("cannot be cancelled" if known else "does not know the run") in said


def test_of_many_runs_each_is_told_what_it_asks(globus_sandbox: GlobusSandbox) -> None:
    flows, people = globus_sandbox.world.flows, [f"urn:globus:auth:identity:{globus_sandbox.client_id}"]
    twice = start(globus_sandbox, TWICE, body={"respondents": people})
    once = start(globus_sandbox, APPROVAL, body={"respondents": people})
    with flows.changed:
        assert flows.changed.wait_for(lambda: len(flows.web_inputs) == 3, 10)
    quiet, ended = waiting(globus_sandbox), start(globus_sandbox, FAIL)
    flows.wait(ended, "FAILED")
    first, second = sorted((w for w in flows.web_inputs.values() if w.run.id == twice), key=lambda w: w.created_at)
    job_ids = [f"open:{run_id}" for run_id in (twice, once, quiet.id, ended, UNKNOWN)]
    found = WebInputs().fetch(GlobusHook(), job_ids)
    assert found[f"open:{twice}"]["id"] == first.id
    assert found[f"open:{once}"]["run"]["id"] == once
    assert found[f"open:{once}"]["url"] == f"{globus_sandbox.url}/runs/{once}/logs"
    assert found[f"open:{quiet.id}"] == {}
    assert found[f"open:{ended}"] == {"ended": "FAILED"}
    assert f"open:{UNKNOWN}" not in found
    GlobusHook().flows_client().respond_to_web_input(first.id, first.options[0].id)
    assert WebInputs().fetch(GlobusHook(), job_ids[:1])[job_ids[0]]["id"] == second.id


def test_an_unknown_question_is_left_out(globus_sandbox: GlobusSandbox) -> None:
    assert WebInputs().fetch(GlobusHook(), [f"closed:{UNKNOWN}"]) == {}
    assert asked(globus_sandbox) == [f"/web_inputs/{UNKNOWN}"]


def test_questions_of_other_runs_are_not_taken(globus_sandbox: GlobusSandbox) -> None:
    start(globus_sandbox, APPROVAL, body={"respondents": [f"urn:globus:auth:identity:{globus_sandbox.client_id}"]})
    flows = globus_sandbox.world.flows
    with flows.changed:
        assert flows.changed.wait_for(lambda: flows.web_inputs, 10)
    quiet = waiting(globus_sandbox)
    assert WebInputs().fetch(GlobusHook(), [f"open:{quiet.id}"]) == {f"open:{quiet.id}": {}}
