"""Runs: started, watched, changed, cancelled, resumed, released; with the SDK's own clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import FlowsAPIError, FlowsClient

from airflow_provider_globus.sandbox.world import World
from tests.unit.sandbox.flows.conftest import NOTE
from tests.unit.sandbox.flows.test_flows import refused

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.unit.sandbox.flows.conftest import Lab

WAIT = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}
HELLO: dict[str, Any] = {
    "StartAt": "Hello",
    "States": {
        "Hello": {
            "Type": "Action",
            "ActionUrl": "https://actions.globus.org/hello_world/",
            "Parameters": {
                "echo_string.$": "$.who",
                "sleep_time.$": "$.sleep",
            },
            "WaitTime": 60,
            "ResultPath": "$.Hello",
            "End": True,
        }
    },
}
MOVE: dict[str, Any] = {
    "StartAt": "Move",
    "States": {
        "Move": {
            "Type": "Action",
            "ActionUrl": "https://transfer.actions.globus.org/transfer",
            "Parameters": {
                "source_endpoint.$": "$.source",
                "destination_endpoint.$": "$.destination",
                "DATA": [{"source_path": "/a.txt", "destination_path": "/b.txt"}],
            },
            "ResultPath": "$.Move",
            "End": True,
        }
    },
}
SCHEMA = {"type": "object", "properties": {"bool": {"type": "boolean"}}, "additionalProperties": False}


def test_a_run_from_its_start_to_its_release(lab: Lab) -> None:
    flow = lab.sandbox.add_flow("hello", HELLO)
    body = {"who": "you", "sleep": 0, "_private_key": "hush"}
    started = lab.flow_client(flow).run_flow(body, label="My Cool Run", tags=["cool", "my"])
    assert started.http_status == 201
    assert started["status"] == "ACTIVE"
    assert started["details"]["code"] == "FlowStarting"
    run_id = started["run_id"]
    lab.world.flows.wait(run_id)
    client = lab.client()
    run = client.get_run(run_id)
    assert (run["status"], run["action_id"], run["label"], run["tags"]) == (
        "SUCCEEDED",
        run_id,
        "My Cool Run",
        ["cool", "my"],
    )
    assert run["completion_time"] >= run["start_time"]
    result = run["details"]["output"]["Hello"]
    assert result["details"] == {"Hello": "World", "hello": "you"}
    assert (result["state_name"], result["status"]) == ("Hello", "SUCCEEDED")
    assert "hush" not in run.text
    assert "flow_description" not in run.data
    described = client.get_run(run_id, include_flow_description=True)["flow_description"]
    assert (described["id"], described["title"]) == (flow.id, "hello")
    assert client.get_run_definition(run_id)["definition"] == HELLO
    log = client.get_run_logs(run_id)
    assert [entry["code"] for entry in log] == ["FlowStarted", "ActionStarted", "ActionCompleted", "FlowSucceeded"]
    assert "hush" not in log.text
    updated = client.update_run(
        run_id, label="new", tags=["x"], run_monitors=[f"urn:globus:auth:identity:{lab.other.id}"]
    )
    assert (updated["label"], updated["tags"]) == ("new", ["x"])
    assert lab.client(lab.other.id).get_run(run_id)["user_role"] == "run_monitor"
    assert client.delete_run(run_id)["status"] == "SUCCEEDED"
    with pytest.raises(FlowsAPIError) as raised:
        client.get_run(run_id)
    refused(raised, 404, "NOT_FOUND", run_id)


def test_logs_are_paged_and_reversed(lab: Lab) -> None:
    many = {f"S{n}": {"Type": "Pass", "Next": f"S{n + 1}"} for n in range(20)} | {"S20": {"Type": "Pass", "End": True}}
    run = lab.run({"StartAt": "S0", "States": many})
    client = lab.client()
    entries = [entry for page in client.paginated.get_run_logs(run.id, limit=10) for entry in page]
    assert len(entries) == 44
    assert [entry["code"] for entry in (entries[0], entries[-1])] == ["FlowStarted", "FlowSucceeded"]
    newest = client.get_run_logs(run.id, limit=2, reverse_order=True)
    assert [entry["code"] for entry in newest] == ["FlowSucceeded", "PassCompleted"]
    assert newest["has_next_page"]


def test_input_that_breaks_the_schema(lab: Lab) -> None:
    flow = lab.sandbox.add_flow("a flow", NOTE, input_schema=SCHEMA)
    client = lab.flow_client(flow)
    assert client.validate_run({"bool": True}).data == {"message": "validation successful"}
    for call in (client.validate_run, client.run_flow):
        with pytest.raises(FlowsAPIError) as raised:
            call({"bool": "not-a-boolean"})
        error: Any = raised.value
        assert (error.http_status, error.code) == (400, "FLOW_INPUT_ERROR")
        assert error.raw_json["error"] == {
            "code": "FLOW_INPUT_ERROR",
            "detail": [
                {
                    "loc": ["$.bool"],
                    "type": "InvalidActionInput",
                    "msg": "'not-a-boolean' is not of type 'boolean'",
                }
            ],
            "message": "Input failed schema validation with 1 error.",
        }
    assert lab.world.flows.runs == {}


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"body": []},
        {"body": {}, "label": "x" * 65},
        {"body": {}, "label": ""},
        {"body": {}, "tags": "x"},
        {"body": {}, "tags": [""]},
        {"body": {}, "tags": ["x"] * 11},
        {"body": {}, "run_managers": ["ada@example.edu"]},
        {"body": {}, "activity_notification_policy": {"status": ["ALWAYS"]}},
        {"body": {}, "colour": "red"},
    ],
)
def test_bad_requests_start_nothing(document: dict[str, Any], lab: Lab) -> None:
    flow = lab.sandbox.add_flow("a flow", NOTE)
    with pytest.raises(FlowsAPIError) as raised:
        lab.flow_client(flow).post(f"/flows/{flow.id}/run", data=document)
    assert raised.value.http_status == 422
    assert lab.world.flows.runs == {}


def test_who_may_not_run_it(lab: Lab) -> None:
    flow = lab.sandbox.add_flow("a flow", NOTE, viewers=["public"])
    for call in (lab.flow_client(flow, lab.person.id).run_flow, lab.flow_client(flow, lab.person.id).validate_run):
        with pytest.raises(FlowsAPIError) as raised:
            call({})
        refused(raised, 403, "FORBIDDEN", f"on the flow with id value {flow.id}. Missing permissions: RUN.")
    hidden = lab.sandbox.add_flow("hidden", NOTE)
    with pytest.raises(FlowsAPIError) as raised:
        lab.flow_client(hidden, lab.person.id).run_flow({})
    refused(raised, 404, "NOT_FOUND", hidden.id)


def test_a_run_needs_the_flows_own_scope(lab: Lab) -> None:
    flow = lab.sandbox.add_flow("a flow", NOTE)
    with pytest.raises(FlowsAPIError) as raised:
        lab.client().post(f"/flows/{flow.id}/run", data={"body": {}})
    refused(raised, 403, "MISSING_SCOPE", f"flow_{flow.id.replace('-', '_')}_user")
    other = lab.sandbox.add_flow("another", NOTE)
    with pytest.raises(FlowsAPIError):
        lab.flow_client(other).post(f"/flows/{flow.id}/run", data={"body": {}})


def test_the_flows_own_scope_is_enough_to_look(lab: Lab) -> None:
    flow = lab.sandbox.add_flow("a flow", WAIT)
    client = lab.flow_client(flow)
    run_id = client.run_flow({})["run_id"]
    assert client.get(f"/runs/{run_id}")["status"] == "ACTIVE"
    assert client.post(f"/runs/{run_id}/cancel")["status"] == "FAILED"


def test_a_cancelled_run(lab: Lab) -> None:
    run = lab.run(HELLO, {"who": "you", "sleep": 1000}, until=("ACTIVE",))
    client = lab.client()
    answer = client.cancel_run(run.id)
    assert answer.http_status == 202
    assert answer["status"] == answer["display_status"] == "FAILED"
    details = answer["details"]
    assert (details["code"], details["description"], details["details"]) == (
        "FlowCanceled",
        "The Flow Instance was canceled by the user",
        {},
    )
    lab.sandbox.clock.advance(2000)
    assert client.get_run(run.id)["status"] == "FAILED"
    assert client.get_run_logs(run.id, reverse_order=True, limit=1)["entries"][0]["code"] == "FlowCanceled"
    with pytest.raises(FlowsAPIError) as raised:
        client.cancel_run(run.id)
    refused(raised, 409, "STATE_CONFLICT", "has status 'FAILED'")


def test_a_running_run_is_not_released(lab: Lab) -> None:
    run = lab.run(WAIT, until=("ACTIVE",))
    with pytest.raises(FlowsAPIError) as raised:
        lab.client().delete_run(run.id)
    refused(
        raised,
        409,
        "STATE_CONFLICT",
        f"Run {run.id} has status 'ACTIVE' but must have status in {{'ENDED', 'SUCCEEDED', 'FAILED'}} "
        "for requested operation",
    )


def test_what_waits_ends_by_the_sandbox_clock(lab: Lab) -> None:
    run = lab.run(WAIT, until=("ACTIVE",))
    lab.reaches(run, "WaitStarted")
    lab.sandbox.clock.advance(3599)
    assert lab.client().get_run(run.id)["status"] == "ACTIVE"
    lab.sandbox.clock.advance(2)
    assert lab.world.flows.wait(run.id).status == "SUCCEEDED"


def test_a_missing_consent_suspends_and_a_given_one_resumes(lab: Lab, globus_collection: CollectionFactory) -> None:
    source, target = globus_collection("source", files={"a.txt": "a"}), globus_collection("target")
    body = {"source": source.id, "destination": target.id}
    run = lab.run(MOVE, body, until=("INACTIVE",))
    client = lab.client()
    document = client.get_run(run.id)
    details = document["details"]
    assert details["code"] == "ConsentRequired"
    assert details["state_name"] == "Move"
    assert details["action_statuses"][0]["status"] == "INACTIVE"
    scope = details["required_scope"]
    assert scope.startswith(f"https://auth.globus.org/scopes/{run.flow_id}/flow_")
    assert f"[urn:globus:auth:scope:transfer.api.globus.org:all[*https://auth.globus.org/scopes/{source.id}" in scope
    assert details["description"].startswith("Flow run requires user intervention to proceed. For state 'Move': ")
    asked = {"session_message": details["description"], "required_scopes": [scope]}
    assert details["authorization_parameters"] == asked
    assert details["action_statuses"][0]["details"]["required_scope"] in scope
    # Without the consent, it is suspended again.
    resumed = lab.flow_client(run.flow_id).resume_run(run.id)
    assert (resumed.http_status, resumed["status"]) == (200, "ACTIVE")
    lab.world.flows.wait(run.id, "INACTIVE")
    lab.flow_client(run.flow_id, collections=[source.id, target.id]).resume_run(run.id)
    assert lab.world.flows.wait(run.id).status == "SUCCEEDED"
    assert (target.folder / "b.txt").read_text() == "a"
    assert len(lab.world.transfer.tasks) == 1
    with pytest.raises(FlowsAPIError) as raised:
        lab.flow_client(run.flow_id).resume_run(run.id)
    refused(raised, 409, "STATE_CONFLICT", "'INACTIVE'")


def test_a_suspended_run_can_be_cancelled(lab: Lab, globus_collection: CollectionFactory) -> None:
    source = globus_collection("source")
    run = lab.run(MOVE, {"source": source.id, "destination": source.id}, until=("INACTIVE",))
    assert lab.client().cancel_run(run.id)["status"] == "FAILED"


def test_a_consent_for_transfer_alone_is_none_for_the_flow(lab: Lab, globus_collection: CollectionFactory) -> None:
    from globus_sdk.scopes import GCSCollectionScopes, TransferScopes

    source = globus_collection("source", files={"a.txt": "a"})
    consent = TransferScopes.all.with_dependency(GCSCollectionScopes(source.id).data_access)
    lab.token("transfer.api.globus.org", [consent])
    assert lab.run(MOVE, {"source": source.id, "destination": source.id}, until=("INACTIVE",)).status == "INACTIVE"


def test_cancelling_cancels_what_runs(lab: Lab, globus_collection: CollectionFactory) -> None:
    source, target = globus_collection("source", files={"a.txt": "a"}), globus_collection("target")
    lab.world.transfer.hold()
    ids = [source.id, target.id]
    run = lab.run(MOVE, {"source": ids[0], "destination": ids[1]}, until=("ACTIVE",), collections=ids)
    with lab.world.transfer.engine.changed:
        assert lab.world.transfer.engine.changed.wait_for(lambda: lab.world.transfer.tasks, 5)
    lab.client().cancel_run(run.id)
    (task,) = lab.world.transfer.tasks.values()
    assert lab.world.transfer.wait(task.id).status == "FAILED"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"filter_status": "SUCCEEDED"}, ["Alpha one"]),
        ({"filter_status": "ACTIVE,SUCCEEDED"}, ["Alpha one", "beta two"]),
        ({"filter_label": "ALPHA"}, ["Alpha one"]),
        ({"filter_flow_title": "wai"}, ["beta two"]),
        ({"filter_roles": "run_owner"}, ["Alpha one", "beta two"]),
        ({"filter_roles": "run_monitor"}, []),
        ({"filter_start_time": "2020-01-01T00:00:00Z,"}, ["Alpha one", "beta two"]),
        ({"filter_start_time": ",2020-01-01T00:00:00Z"}, []),
        ({"filter_completion_time": "2020-01-01T00:00:00Z,2199-01-01T00:00:00Z"}, ["Alpha one"]),
        ({"orderby": "label DESC"}, ["beta two", "Alpha one"]),
    ],
)
def test_lists_are_filtered(query: dict[str, Any], found: list[str], lab: Lab) -> None:
    for title, definition, label in (("note", NOTE, "Alpha one"), ("waiting", WAIT, "beta two")):
        flow = lab.sandbox.add_flow(title, definition)
        run_id = lab.flow_client(flow).run_flow({}, label=label)["run_id"]
        if definition is NOTE:
            lab.world.flows.wait(run_id)
    listed = lab.client().list_runs(query_params={"orderby": "label ASC", **query})
    assert [run["label"] for run in listed] == found


def test_lists_by_flow_and_in_pages(lab: Lab) -> None:
    first, second = lab.sandbox.add_flow("one", NOTE), lab.sandbox.add_flow("two", NOTE)
    for flow, count in ((first, 3), (second, 2)):
        for _ in range(count):
            lab.flow_client(flow).run_flow({})
    client = lab.client()
    assert len(list(client.list_runs(filter_flow_id=first.id))) == 3
    assert len(list(client.list_runs(filter_flow_id=[first.id, second.id]))) == 5
    pages = list(client.paginated.list_runs(query_params={"per_page": 2}))
    assert [len(page["runs"]) for page in pages] == [2, 2, 1]
    assert lab.client(lab.person.id).list_runs()["runs"] == []


def test_runs_are_changed_together(lab: Lab) -> None:
    runs = [lab.run(NOTE).id for _ in range(2)]
    waiting = lab.run(WAIT, until=("ACTIVE",)).id
    client, urn = lab.client(), f"urn:globus:auth:identity:{lab.other.id}"

    def change(*run_ids: str, **changes: Any) -> None:
        answer = client.post("/batch/runs", data={"filters": {"run_ids": list(run_ids)}, **changes})
        assert (answer.http_status, answer.data) == (202, {})

    change(*runs, set={"tags": ["done", "old"]}, add={"run_managers": [urn]})
    change(runs[0], add={"tags": ["done", "new"]})
    change(runs[1], remove={"tags": ["old"], "run_managers": [urn]})
    changed = [lab.world.flows.runs[run_id] for run_id in runs]
    assert [run.tags for run in changed] == [["done", "old", "new"], ["done"]]
    assert [run.managers for run in changed] == [[urn], []]
    change(waiting, *runs, set={"status": "cancel"})
    assert [lab.world.flows.runs[run_id].status for run_id in (waiting, *runs)] == ["FAILED", "SUCCEEDED", "SUCCEEDED"]


def test_runs_of_others_are_not_changed_together(lab: Lab) -> None:
    run = lab.run(NOTE)
    with pytest.raises(FlowsAPIError) as raised:
        lab.client(lab.person.id).post("/batch/runs", data={"filters": {"run_ids": [run.id]}, "set": {"tags": ["x"]}})
    refused(raised, 403, "FORBIDDEN", run.id)
    assert run.tags == []


def test_a_flow_that_is_deleted_ends_no_run(lab: Lab) -> None:
    run = lab.run(WAIT, until=("ACTIVE",))
    lab.reaches(run, "WaitStarted")
    lab.client().delete_flow(run.flow_id)
    lab.sandbox.clock.advance(3601)
    assert lab.world.flows.wait(run.id).status == "SUCCEEDED"


def test_a_run_keeps_the_definition_it_was_started_with(lab: Lab) -> None:
    run = lab.run(WAIT, until=("ACTIVE",))
    lab.client().update_flow(run.flow_id, definition=NOTE)
    assert lab.client().get_run_definition(run.id)["definition"] == WAIT


def test_older_addresses(lab: Lab) -> None:
    run = lab.run(NOTE)
    lab.run(NOTE)
    client: FlowsClient = lab.client()
    assert client.get(f"/flows/{run.flow_id}/runs/{run.id}/log")["entries"]
    assert [listed["run_id"] for listed in client.get(f"/flows/{run.flow_id}/runs")["actions"]] == [run.id]
    for address in (f"/flows/{lab.person.id}/runs/{run.id}/log", f"/flows/{lab.person.id}/runs"):
        with pytest.raises(FlowsAPIError) as raised:
            client.get(address)
        assert raised.value.http_status == 404


def test_a_loop_that_comes_by_a_wait_a_thousand_times(lab: Lab) -> None:
    more = {"Variable": "$.n.is", "NumericLessThan": 1200, "Next": "Wait"}
    states: dict[str, Any] = {
        "Begin": {"Type": "Pass", "Result": {"is": 0}, "ResultPath": "$.n", "Next": "Wait"},
        "Wait": {"Type": "Wait", "Timestamp": "2020-01-01T00:00:00Z", "Next": "Count"},
        "Count": {"Type": "ExpressionEval", "Parameters": {"is.=": "n['is'] + 1"}, "ResultPath": "$.n", "Next": "More"},
        "More": {"Type": "Choice", "Choices": [more], "Default": "Done"},
        "Done": {"Type": "Pass", "End": True},
    }
    assert lab.output({"StartAt": "Begin", "States": states}) == {"n": {"is": 1200}}


def test_a_hundred_runs_at_once(lab: Lab) -> None:
    flow = lab.sandbox.add_flow("waiting", WAIT)
    client = lab.flow_client(flow)
    runs = [client.run_flow({"number": number})["run_id"] for number in range(100)]
    for run_id in runs:
        lab.reaches(lab.world.flows.runs[run_id], "WaitStarted")
    lab.sandbox.clock.advance(3601)
    ended = [lab.world.flows.wait(run_id, seconds=20) for run_id in runs]
    assert [run.details["output"]["number"] for run in ended] == list(range(100))


def test_a_reset_ends_runs_and_keeps_flows() -> None:
    world = World()
    caller = world.auth.anyone()
    kept = world.flows.add_flow("kept", WAIT)
    world.mark()
    world.flows.begin(world.flows.create_run(kept, caller, body={}, label=""))
    world.flows.add_flow("not kept", NOTE)
    world.reset()
    assert [flow.title for flow in world.flows.flows.values()] == ["kept"]
    assert world.flows.runs == {}
    world.close()


def test_the_page_of_a_run(lab: Lab) -> None:
    import urllib.request

    run = lab.run(HELLO, {"who": "<b>you</b>", "sleep": 0})
    with urllib.request.urlopen(f"{lab.sandbox.url}/runs/{run.id}/logs") as answer:
        text = answer.read().decode()
    assert "ActionCompleted" in text
    assert "SUCCEEDED" in text
    assert "<b>you</b>" not in text
