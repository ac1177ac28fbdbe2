"""Flow runs started, waited for, resumed and cancelled through the real SDK, in the sandbox."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_provider_globus.exceptions import (
    GlobusBadRequestError,
    GlobusConsentRequiredError,
    GlobusFlowNameError,
    GlobusInputError,
    GlobusJobFailedError,
    GlobusJobInactiveError,
    GlobusJobRejectedError,
    GlobusNotFoundError,
    GlobusPermissionError,
    GlobusResultError,
)
from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.operators.flow_runs import (
    GlobusCancelFlowRunOperator,
    GlobusResumeFlowRunOperator,
    GlobusRunFlowOperator,
)
from tests.unit.flows import APPROVAL

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.unit.conftest import TaskContext

SUM = {
    "StartAt": "Add",
    "States": {
        "Add": {
            "Type": "ExpressionEval",
            "Parameters": {"sum.=": "a + b"},
            "ResultPath": "$.added",
            "Next": "Done",
        },
        "Done": {"Type": "Pass", "End": True},
    },
}
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
    "additionalProperties": False,
}
WAIT = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}
FAIL = {"StartAt": "Refuse", "States": {"Refuse": {"Type": "Fail", "Error": "TooDark", "Cause": "The lamp is off"}}}
MOVE: dict[str, Any] = {
    "StartAt": "Move",
    "States": {
        "Move": {
            "Type": "Action",
            "ActionUrl": "https://transfer.actions.globus.org/transfer",
            "Parameters": {
                "source_endpoint.$": "$.source",
                "destination_endpoint.$": "$.destination",
                "DATA": [{"source_path": "/one.txt", "destination_path": "/1.txt"}],
            },
            "ResultPath": "$.Move",
            "End": True,
        }
    },
}


NOTE = {"StartAt": "Note", "States": {"Note": {"Type": "Pass", "End": True}}}
MOVE_FROM_PLACES = {
    "source_endpoint.$": "$.from.id",
    "destination_endpoint.$": "$.to[0].id",
    "DATA": [{"source_path": "/one.txt", "destination_path": "/1.txt"}],
}


@pytest.fixture
def source(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("source", files={"one.txt": "1"})


@pytest.fixture
def target(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("target")


def run_flow(flow: str = "sum", **changes: Any) -> GlobusRunFlowOperator:
    arguments: dict[str, Any] = {"task_id": "a_task", "flow": flow, "poll_interval": 0.05}
    if flow == "sum":
        arguments["body"] = {"a": 1, "b": 2}
    return GlobusRunFlowOperator(**arguments | changes)


@pytest.fixture(autouse=True)
def _flows(globus_sandbox: GlobusSandbox) -> None:
    globus_sandbox.add_flow("sum", SUM, input_schema=SCHEMA)
    globus_sandbox.add_flow("wait", WAIT)
    globus_sandbox.add_flow("fail", FAIL)
    globus_sandbox.add_flow("move", MOVE)


def runs(globus: GlobusSandbox) -> list[Any]:
    return list(globus.world.flows.runs.values())


def test_runs_and_returns_the_output(
    globus_sandbox: GlobusSandbox, context: TaskContext, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_flow().execute(context) == {"a": 1, "b": 2, "added": {"sum": 3}}
    (run,) = runs(globus_sandbox)
    assert context.ti.xcoms["globus_job_ids"] == [run.id]
    assert context.ti.xcoms["globus_flow_run_url"] == f"{globus_sandbox.url}/runs/{run.id}/logs"
    told = [line for line in capsys.readouterr().out.splitlines() if "Globus flow run" in line]
    for code in ("FlowStarted", "ExpressionEvalStarted", "ExpressionEvalCompleted", "PassStarted", "FlowSucceeded"):
        assert sum(f"{code}: " in line for line in told) == 1


@pytest.mark.parametrize(
    ("path", "result"), [("$.added.sum", 3), ("$.added", {"sum": 3}), ("$.*", None), ("$..sum", [3])]
)
def test_returns_the_chosen_part(path: str, result: Any, context: TaskContext) -> None:
    returned = run_flow(output_path=path).execute(context)
    assert returned == result if result is not None else len(returned) == 3


def test_returns_a_summary_when_no_output_is_wanted(context: TaskContext) -> None:
    result = run_flow(output_path=None).execute(context)
    assert result["status"] == "SUCCEEDED"
    assert result["flow_title"] == "sum"
    assert "output" not in result


def test_an_output_path_that_leads_nowhere(context: TaskContext) -> None:
    with pytest.raises(GlobusResultError, match="a, added, b"):
        run_flow(output_path="$.sum").execute(context)


def test_sends_what_the_author_says(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    person = globus_sandbox.add_identity("someone@example.edu")
    manager = globus_sandbox.add_identity("manager@example.edu")
    run_flow(
        body=json.dumps({"a": 1, "b": 2}),
        run_label="a label",
        tags=["x", "y"],
        monitors=["someone@example.edu"],
        managers=[manager.id],
        notify=["failed"],
    ).execute(context)
    (entry,) = globus_sandbox.journal.requests("flows", "POST", "/flows/*/run")
    urns = [f"urn:globus:auth:identity:{identity.id}" for identity in (person, manager)]
    assert entry.body["body"] == {"a": 1, "b": 2}
    assert entry.body["label"].startswith("a label [")
    assert len(entry.body["label"]) <= 64
    assert entry.body["tags"] == ["x", "y"]
    assert [entry.body["run_monitors"], entry.body["run_managers"]] == [[urn] for urn in urns]
    assert entry.body["activity_notification_policy"] == {"status": ["FAILED"]}


def test_the_default_label_names_dag_task_and_run(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    context.ti.run_id = "manual__" + "x" * 100
    run_flow().execute(context)
    (run,) = runs(globus_sandbox)
    assert run.label.startswith("airflow a_dag a_task manual__x")
    assert len(run.label) == 64


def test_the_default_label_names_the_mapped_task(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    context.ti.map_index = 3
    run_flow().execute(context)
    (run,) = runs(globus_sandbox)
    assert run.label.startswith("airflow a_dag a_task [3] a_run [")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"body": [1]}, "body must be a dict"),
        ({"body": "{"}, "body is text that is not JSON"),
        ({"body": {"a": object()}}, "body cannot be written as JSON"),
        ({"tags": "x"}, "tags must be a list"),
        ({"tags": ["x"] * 17}, "at most 16"),
        ({"output_path": "$["}, "no JSONPath"),
        ({"flow": ""}, "must be named"),
    ],
)
def test_bad_input_is_refused_before_any_request(
    change: dict[str, Any], why: str, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    with pytest.raises(GlobusInputError, match=why):
        run_flow(**{"flow": "sum"} | change).execute(context)
    assert globus_sandbox.journal.requests("flows") == []


@pytest.mark.parametrize("change", [{"notify": ["always"]}, {"inactive_grace": -1}])
def test_bad_choices_are_refused_when_the_dag_is_parsed(change: dict[str, Any]) -> None:
    with pytest.raises(GlobusInputError):
        run_flow(**change)


def test_a_body_that_breaks_the_schema_starts_nothing(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    with pytest.raises(GlobusBadRequestError, match=r"\$\.b.*not of type 'integer'") as raised:
        run_flow(body={"a": 1, "b": "two"}).execute(context)
    assert raised.value.code == "FLOW_INPUT_ERROR"
    assert "input schema" in raised.value.advice
    assert globus_sandbox.journal.count("flows", "POST", "/flows/*/run") == 0


def test_who_is_no_starter_is_told_who_can_help(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    owner = globus_sandbox.add_identity("owner@example.edu")
    globus_sandbox.add_flow("foreign", SUM, owner=owner.username, viewers=["public"])
    with pytest.raises(GlobusPermissionError, match="Missing permissions: RUN") as raised:
        run_flow("foreign", body={"a": 1, "b": 2}).execute(context)
    assert "flow_starters" in raised.value.advice
    assert runs(globus_sandbox) == []


def test_a_deleted_flow(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    flow = next(flow for flow in globus_sandbox.world.flows.flows.values() if flow.title == "sum")
    globus_sandbox.world.flows.remove_flow(flow.id)
    with pytest.raises(GlobusNotFoundError):
        run_flow(flow.id, body={"a": 1, "b": 2}).execute(context)


def test_a_flow_that_is_deleted_in_between(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    flow = globus_sandbox.add_flow("fleeting", NOTE)
    seen = json.dumps(GlobusHook().flows_client().get_flow(flow.id).data)
    globus_sandbox.world.flows.remove_flow(flow.id)
    globus_sandbox.faults.add({"service": "flows", "method": "GET", "path": f"/flows/{flow.id}", "body": seen})
    with pytest.raises(GlobusBadRequestError, match=f"{flow.id}.*unknown scopes") as raised:
        run_flow(flow.id).execute(context)
    assert isinstance(raised.value, AirflowFailException)


def test_an_unknown_title_lists_what_there_is(context: TaskContext) -> None:
    with pytest.raises(GlobusFlowNameError, match=r"No flows .* titled 'smu'.*Aliases.*sum"):
        run_flow("smu", body={}).execute(context)


def test_a_failure_names_state_error_and_log(context: TaskContext) -> None:
    with pytest.raises(GlobusJobFailedError, match="TooDark") as raised:
        run_flow("fail").execute(context)
    assert "The lamp is off" in str(raised.value)
    assert "Refuse" in str(raised.value)
    assert "/logs" in raised.value.advice


def test_an_action_provider_that_answers_502_is_named(
    globus_sandbox: GlobusSandbox, source: CollectionFolder, target: CollectionFolder, context: TaskContext
) -> None:
    globus_sandbox.faults.add(action="*/transfer", status=502, code="ActionProviderError", message="Bad gateway")
    with pytest.raises(GlobusJobFailedError, match="ActionUnableToRun") as raised:
        run_flow("move", body={"source": source.id, "destination": target.id}).execute(context)
    said = str(raised.value)
    assert "in state 'Move'" in said
    assert "https://transfer.actions.globus.org/transfer: 502 ActionProviderError: Bad gateway" in said


def test_a_question_that_nobody_answers_in_time(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.settings.web_input_seconds = 0
    globus_sandbox.add_flow("approval", APPROVAL)
    body = {"respondents": [f"urn:globus:auth:identity:{globus_sandbox.client_id}"]}
    with pytest.raises(GlobusJobFailedError, match=r"Flows.WebInputExpired") as raised:
        run_flow("approval", body=body).execute(context)
    assert "Nobody answered" in str(raised.value)


def test_an_error_that_another_run_would_not_change_is_not_retried(context: TaskContext) -> None:
    with pytest.raises(GlobusJobRejectedError, match="The lamp is off") as raised:
        run_flow("fail", final_errors=["TooDark"]).execute(context)
    assert isinstance(raised.value, AirflowFailException)
    with pytest.raises(GlobusJobFailedError) as retried:
        run_flow("fail", final_errors=["TooBright"]).execute(type(context)())
    assert not isinstance(retried.value, AirflowFailException)


def test_moves_real_files_with_the_consent_given_before(
    globus_sandbox: GlobusSandbox, source: CollectionFolder, target: CollectionFolder, context: TaskContext
) -> None:
    body = {"source": source.id, "destination": target.id}
    operator = run_flow("move", body=body, collections=["source", target.id], output_path="$.Move.details.files")
    assert operator.execute(context) == 1
    assert (target.folder / "1.txt").read_text() == "1"
    assert globus_sandbox.journal.count("flows", "POST", "/runs/*/resume") == 0


def test_the_schema_tells_collections_and_people(
    globus_sandbox: GlobusSandbox, source: CollectionFolder, target: CollectionFolder, context: TaskContext
) -> None:
    person = globus_sandbox.add_identity("someone@example.edu")
    place = {"format": "globus-collection", "type": "object"}
    schema = {
        "type": "object",
        "properties": {
            "from": place,
            "to": {"type": "array", "items": place},
            "bare": {"format": "globus-collection", "type": "string"},
            "people": {"type": "array", "items": {"type": "string", "format": "globus-principal-identity"}},
            "plain": {"type": "string"},
        },
    }
    globus_sandbox.add_flow("places", NOTE, input_schema=schema)
    body = {
        "from": {"id": "source", "path": "/a/"},
        "to": [{"id": target.id, "path": "/b/"}],
        "bare": "target",
        "people": ["someone@example.edu"],
        "plain": "source",
    }
    assert run_flow("places", body=body).execute(context) == {
        "from": {"id": source.id, "path": "/a/"},
        "to": [{"id": target.id, "path": "/b/"}],
        "bare": target.id,
        "people": [f"urn:globus:auth:identity:{person.id}"],
        "plain": "source",
    }
    moved = {**MOVE, "States": {"Move": {**MOVE["States"]["Move"], "Parameters": MOVE_FROM_PLACES}}}
    globus_sandbox.add_flow("moves", moved, input_schema=schema)
    run_flow("moves", body={"from": {"id": "source"}, "to": [{"id": "target"}]}).execute(type(context)())
    assert (target.folder / "1.txt").read_text() == "1"
    assert globus_sandbox.journal.count("flows", "POST", "*/resume") == 0


def test_a_suspended_run_is_resumed_after_consenting(
    globus_sandbox: GlobusSandbox,
    source: CollectionFolder,
    target: CollectionFolder,
    context: TaskContext,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_flow("move", body={"source": source.id, "destination": target.id}).execute(context)
    assert (target.folder / "1.txt").read_text() == "1"
    assert 1 <= globus_sandbox.journal.count("flows", "POST", "*/resume") <= 2
    assert "The consent is given and the run resumed" in capsys.readouterr().out
    assert len(runs(globus_sandbox)) == 1


def person(globus: GlobusSandbox, monkeypatch: pytest.MonkeyPatch, flow_title: str) -> None:
    """Make the connection that of a person who consented to the flow, and to no collection."""
    someone = globus.add_identity("someone@example.edu")
    flow = next(flow for flow in globus.world.flows.flows.values() if flow.title == flow_title)
    flow.starters = ["all_authenticated_users"]
    flow.viewers = ["public"]
    scopes = [
        f"https://auth.globus.org/scopes/{flow.id}/flow_{flow.id.replace('-', '_')}_user",
        " ".join(
            f"https://auth.globus.org/scopes/eec9b274-0c81-4334-bdc2-54e90e689b9a/{name}"
            for name in ("manage_flows", "view_flows", "run_status", "run_manage")
        ),
        "urn:globus:auth:scope:transfer.api.globus.org:all",
    ]
    tokens = [globus.world.auth.add_refresh_token(someone.id, scope).value for scope in scopes]
    client = globus.world.auth.client(globus.client_id)
    assert client is not None
    connection = json.loads(globus.connection_for(client))
    connection["extra"] |= {"app_type": "user", "refresh_token": tokens}
    monkeypatch.setenv("AIRFLOW_CONN_GLOBUS_DEFAULT", json.dumps(connection))


def test_a_person_is_told_which_consent_is_missing(
    globus_sandbox: GlobusSandbox,
    source: CollectionFolder,
    target: CollectionFolder,
    context: TaskContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    person(globus_sandbox, monkeypatch, "move")
    operator = run_flow("move", body={"source": source.id, "destination": target.id})
    with pytest.raises(GlobusJobInactiveError, match=r"ConsentRequired.*data_access"):
        operator.execute(context)
    (run,) = runs(globus_sandbox)
    assert run.status == "FAILED"  # cancelled: nobody will look after it


@pytest.mark.parametrize("worker_wait", [0, 0.3])
def test_deferred_it_waits_in_the_triggerer_and_tells_each_state_once(
    worker_wait: float, globus_sandbox: GlobusSandbox, context: TaskContext, capsys: pytest.CaptureFixture[str]
) -> None:
    operator = run_flow("wait", deferrable=True, worker_wait=worker_wait)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)
    trigger = deferred.value.trigger
    event = asyncio.run(_fires(trigger, globus_sandbox))
    resumed = run_flow("wait", deferrable=True, worker_wait=0)
    assert resumed.execute_complete(context, event) == {}
    assert json.loads(json.dumps(event)) == event
    told = capsys.readouterr().out.splitlines()
    for code in ("FlowStarted", "WaitStarted", "WaitCompleted", "FlowSucceeded"):
        assert sum(f"{code}:" in line for line in told) == 1, code


async def _fires(trigger: Any, globus: GlobusSandbox) -> dict[str, Any]:
    """The trigger's event; the flow's hour passes once it waits."""
    flows = globus.world.flows

    def let_the_hour_pass() -> None:
        (run,) = flows.runs.values()
        with flows.changed:
            assert flows.changed.wait_for(lambda: run.log and run.log[-1].code == "WaitStarted", 10)
        globus.clock.advance(3601)

    waiting = asyncio.create_task(anext(aiter(trigger.run())))
    await asyncio.to_thread(let_the_hour_pass)
    return dict((await waiting).payload)


def test_without_waiting_it_returns_how_to_find_the_run(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    result = run_flow("wait", wait_for_completion=False).execute(context)
    (run,) = runs(globus_sandbox)
    assert result["run_id"] == run.id
    assert result["job_ids"] == [run.id]
    assert result["url"] == f"{globus_sandbox.url}/runs/{run.id}/logs"


def test_killed_it_cancels_the_run(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    operator = run_flow("wait", deferrable=True, worker_wait=0)
    with pytest.raises(TaskDeferred):
        operator.execute(context)
    operator.on_kill()
    (run,) = runs(globus_sandbox)
    assert run.status == "FAILED"
    assert run.details["code"] == "FlowCanceled"


def test_cancels_a_run_and_leaves_one_that_has_ended(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    run_id = run_flow("wait", wait_for_completion=False).execute(context)["run_id"]
    cancel = GlobusCancelFlowRunOperator(task_id="cancel", run_id=run_id)
    assert cancel.execute(context) == run_id
    assert runs(globus_sandbox)[0].status == "FAILED"
    assert cancel.execute(context) == run_id
    assert globus_sandbox.journal.count("flows", "POST", "/runs/*/cancel") == 1


def test_resumes_what_is_suspended(
    globus_sandbox: GlobusSandbox, source: CollectionFolder, target: CollectionFolder, context: TaskContext
) -> None:
    started = run_flow("move", body={"source": source.id, "destination": target.id}, wait_for_completion=False)
    run_id = started.execute(context)["run_id"]
    globus_sandbox.world.flows.wait(run_id, "INACTIVE")
    resume = GlobusResumeFlowRunOperator(task_id="resume", run_id=run_id)
    assert resume.execute(context) == run_id
    globus_sandbox.world.flows.wait(run_id, "SUCCEEDED")
    assert (target.folder / "1.txt").read_text() == "1"
    resume.execute(context)
    assert globus_sandbox.journal.count("flows", "POST", "*/resume") == 1


def test_what_a_person_cannot_resume_is_explained(
    globus_sandbox: GlobusSandbox,
    source: CollectionFolder,
    target: CollectionFolder,
    context: TaskContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    person(globus_sandbox, monkeypatch, "move")
    started = run_flow("move", body={"source": source.id, "destination": target.id}, wait_for_completion=False)
    run_id = started.execute(context)["run_id"]
    globus_sandbox.world.flows.wait(run_id, "INACTIVE")
    with pytest.raises(GlobusConsentRequiredError, match="data_access") as raised:
        GlobusResumeFlowRunOperator(task_id="resume", run_id=run_id).execute(context)
    assert "web app" in raised.value.advice


@pytest.mark.parametrize("operator", [GlobusCancelFlowRunOperator, GlobusResumeFlowRunOperator])
def test_a_run_id_must_be_one(operator: Any, context: TaskContext) -> None:
    with pytest.raises(GlobusInputError, match="no UUID"):
        operator(task_id="a_task", run_id="nonsense").execute(context)


def test_what_depends_on_the_dag_run_is_rendered(context: TaskContext) -> None:
    operator = run_flow(
        "{{ x }}",
        body={"a": ["{{ x }}"]},
        run_label="{{ x }}",
        tags=["{{ x }}"],
        monitors=["{{ x }}"],
        managers=["{{ x }}"],
        collections=["{{ x }}"],
        output_path="$.{{ x }}",
    )
    context["x"] = "y"
    operator.render_template_fields(context)
    assert (operator.flow, operator.body, operator.run_label) == ("y", {"a": ["y"]}, "y")
    assert [operator.tags, operator.monitors, operator.managers, operator.collections] == [["y"]] * 4
    assert operator.output_path == "$.y"


def test_a_log_that_cannot_be_read_is_no_failure(
    globus_sandbox: GlobusSandbox, context: TaskContext, capsys: pytest.CaptureFixture[str]
) -> None:
    globus_sandbox.faults.add({"service": "flows", "method": "GET", "path": "/runs/*/log", "status": 403})
    assert run_flow(output_path="$.added.sum").execute(context) == 3
    assert "The rest of its log could not be read" in capsys.readouterr().out
