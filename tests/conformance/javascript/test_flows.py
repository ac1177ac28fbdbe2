"""Flows through `@globus/sdk`: flows, runs and what suspends them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import globus_sdk
from globus_sdk.scopes import SpecificFlowScopes

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.conformance.javascript.sdk import JavaScriptSdk

NOTE = {"StartAt": "Note", "States": {"Note": {"Type": "Pass", "End": True}}}
WAIT = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}
BROKEN = {"StartAt": "Note", "States": {"Note": {"Type": "Pass"}}}
LIST = {
    "StartAt": "List",
    "States": {
        "List": {
            "Type": "Action",
            "ActionUrl": "https://transfer.actions.globus.org/ls",
            "Parameters": {"endpoint_id.$": "$.collection", "path": "/"},
            "ResultPath": "$.List",
            "End": True,
        }
    },
}


def test_a_flow_from_its_making_to_its_end(js: JavaScriptSdk, app: globus_sdk.ClientApp) -> None:
    flows = globus_sdk.FlowsClient(app=app)
    document = {"title": "Greetings", "definition": NOTE, "input_schema": {"type": "object"}}
    assert js.call("flows.flows.validate", payload={"definition": LIST})["scopes"]["User"]
    status, error = js.refused("flows.flows.validate", payload={"definition": BROKEN})
    assert (status, error["error"]["code"]) == (422, "UNPROCESSABLE_ENTITY")
    made = js.call("flows.flows.create", payload=document)
    shown = js.call("flows.flows.get", made["id"])
    assert shown == flows.get_flow(made["id"]).data
    listed = js.call("flows.flows.getAll", query={"filter_role": "flow_owner", "orderby": "title ASC"})
    assert listed == flows.list_flows(filter_roles="flow_owner", orderby="title ASC").data
    assert [item["id"] for item in listed["flows"]] == [made["id"]]
    changed = js.call("flows.flows.update", made["id"], payload={"title": "Salutations"})
    assert changed["title"] == "Salutations"
    assert js.call("flows.flows.remove", made["id"])["DELETED"] is True
    assert js.refused("flows.flows.get", made["id"])[0] == 404


def start(js: JavaScriptSdk, definition: dict[str, Any], body: Any = None) -> str:
    """Start a run of a new flow, and return its id."""
    flow = js.sandbox.add_flow("a flow", definition)
    tokens = js.login(SpecificFlowScopes(flow.id).user, *js.scopes())
    # The SDK's manager has tokens for the service; that of the flow itself is the caller's to send.
    header = js.bearer(tokens, flow.id)
    run = js.call("flows.flows.run", flow.id, payload={"body": body or {}, "label": "mine"}, headers=header)
    return str(run["run_id"])


def test_a_run_is_followed_renamed_and_released(js: JavaScriptSdk, app: globus_sdk.ClientApp) -> None:
    flows = globus_sdk.FlowsClient(app=app)
    run_id = start(js, NOTE)
    js.sandbox.world.flows.wait(run_id)
    run = js.call("flows.runs.get", run_id)
    assert run == flows.get_run(run_id).data
    assert (run["status"], run["label"]) == ("SUCCEEDED", "mine")
    log = js.call("flows.runs.getLog", run_id, query={"limit": 10})
    assert log == flows.get_run_logs(run_id, limit=10).data
    assert [entry["code"] for entry in log["entries"]][-1] == "FlowSucceeded"
    assert js.call("flows.runs.getDefinition", run_id)["definition"] == NOTE
    assert js.call("flows.runs.update", run_id, payload={"label": "another"})["label"] == "another"
    assert js.call("flows.runs.getAll") == flows.list_runs().data
    assert js.call("flows.runs.remove", run_id)["run_id"] == run_id
    assert js.refused("flows.runs.get", run_id)[0] == 404


def test_a_run_is_cancelled(js: JavaScriptSdk) -> None:
    run_id = start(js, WAIT)
    assert js.call("flows.runs.cancel", run_id)["run_id"] == run_id
    assert js.sandbox.world.flows.wait(run_id).status == "FAILED"
    assert js.call("flows.runs.get", run_id)["status"] == "FAILED"


def test_a_suspended_run_says_what_it_needs_and_is_resumed(
    js: JavaScriptSdk, globus_collection: CollectionFactory
) -> None:
    mapped = globus_collection("mapped", files={"a.txt": "a"})
    run_id = start(js, LIST, {"collection": mapped.id})
    js.sandbox.world.flows.wait(run_id, "INACTIVE")
    details = js.call("flows.runs.get", run_id)["details"]
    assert details["code"] == "ConsentRequired"
    # What the SDK sends people to the login with.
    assert js.value("errors.isAuthorizationRequirementsError", details)
    asked = js.value("errors.toAuthorizationQueryParams", details)
    assert asked == {"scope": details["required_scope"], "session_message": details["description"]}
    action = details["action_statuses"][0]
    assert js.value("errors.isAuthorizationRequirementsError", action["details"])
    assert action["details"]["required_scope"] in details["required_scope"]
    # The consent, given; the SDK has no function of its own to resume a run.
    js.login(asked["scope"], *js.scopes())
    server = js.value("auth.CONFIG.RESOURCE_SERVERS")["FLOWS"]
    resume = {"service": "FLOWS", "resource_server": server, "path": f"/runs/{run_id}/resume", "method": "POST"}
    assert js.call("request", resume)["run_id"] == run_id
    js.sandbox.world.flows.wait(run_id)
    assert js.call("flows.runs.get", run_id)["status"] == "SUCCEEDED"
