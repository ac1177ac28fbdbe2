"""Flows: made, found, changed, deleted, checked; with the SDK's own client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import FlowsAPIError

from tests.unit.sandbox.flows.conftest import NOTE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sandbox.flows.conftest import Lab

BROKEN: dict[str, Any] = {
    "StartAt": "Step1",
    "States": {"Step1": {"Type": "Action", "ActionUrl": "https://x.org", "Parameters": {}, "ResultPath": "$.r"}},
}


def refused(raised: Any, status: int, code: str, said: str) -> None:
    error = raised.value
    assert (error.http_status, error.code) == (status, code)
    assert said in error.text


def test_a_flow_from_its_making_to_its_end(lab: Lab) -> None:
    client = lab.client()
    urn = f"urn:globus:auth:identity:{lab.person.id}"
    made = client.create_flow(
        "Two steps", NOTE, {"type": "object"}, subtitle="s", keywords=["a"], flow_starters=[urn], run_monitors=[urn]
    )
    assert made.http_status == 201
    flow_id = made["id"]
    scope = f"https://auth.globus.org/scopes/{flow_id}/flow_{flow_id.replace('-', '_')}_user"
    assert made["globus_auth_scope"] == scope
    assert made["globus_auth_username"] == f"{flow_id}@clients.auth.globus.org"
    assert made["flow_owner"] == made["created_by"] == f"urn:globus:auth:identity:{lab.sandbox.client_id}"
    assert (made["user_role"], made["flow_starters"]) == ("flow_owner", [urn])
    assert client.get_flow(flow_id)["title"] == "Two steps"
    changed = client.update_flow(flow_id, title="Renamed", flow_viewers=["public"])
    assert (changed["title"], changed["subtitle"], changed["flow_viewers"]) == ("Renamed", "s", ["public"])
    gone = client.delete_flow(flow_id)
    assert gone["DELETED"] is True
    with pytest.raises(FlowsAPIError) as raised:
        client.get_flow(flow_id)
    refused(raised, 404, "NOT_FOUND", flow_id)


def test_definitions_are_checked_with_the_state_named(lab: Lab) -> None:
    client = lab.client()
    assert client.validate_flow(NOTE).data == {"scopes": {}}
    with pytest.raises(FlowsAPIError) as raised:
        client.validate_flow(BROKEN)
    error = raised.value
    assert (error.http_status, error.code) == (422, "UNPROCESSABLE_ENTITY")
    body: Any = error.raw_json
    assert body["error"]["detail"] == [
        {
            "loc": ["definition", "States", "Step1"],
            "msg": "A state of type 'Action' must be defined as either terminal (\"End\": true) "
            'or transitional ("Next": "NextStateId")',
            "type": "value_error",
        }
    ]
    assert body["error"]["message"].startswith("1 validation error in body. $.definition.States.Step1: A state of")
    assert body["debug_id"]
    calls: tuple[Callable[[], Any], ...] = (
        lambda: client.create_flow("t", BROKEN, {}),
        lambda: client.validate_flow(NOTE, {"type": "x"}),
    )
    for call in calls:
        with pytest.raises(FlowsAPIError) as raised:
            call()
        assert raised.value.http_status == 422
    assert lab.world.flows.flows == {}


def test_what_actions_need_is_told(lab: Lab) -> None:
    states: Any = BROKEN["States"]
    transfer = {**states["Step1"], "ActionUrl": "https://transfer.actions.globus.org/transfer", "End": True}
    answer = lab.client().validate_flow({"StartAt": "S", "States": {"S": transfer}})
    assert answer.data == {"scopes": {"User": ["urn:globus:auth:scope:transfer.api.globus.org:all"]}}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"title": ""}, "title"),
        ({"title": "x" * 129}, "title"),
        ({"subtitle": "x" * 129}, "subtitle"),
        ({"description": "x" * 4097}, "description"),
        ({"keywords": ["x" * 1025]}, "keywords"),
        ({"flow_starters": ["public"]}, "Unrecognized principal"),
        ({"flow_administrators": ["ae341a98-d274-11e5-b888-dbae3a8ba545"]}, "FlowAdministrator"),
        ({"run_monitors": ["urn:globus:auth:identity:5a4db0c5-0000-4000-8000-000000000001"] * 17}, "more than 16"),
        ({"flow_owner": "ada@example.edu"}, "FlowOwner"),
        ({"flow_colour": "red"}, "extra fields"),
    ],
)
def test_bad_fields_are_refused(fields: dict[str, Any], said: str, lab: Lab) -> None:
    document = {"title": "t", "definition": NOTE, "input_schema": {}, **fields}
    with pytest.raises(FlowsAPIError) as raised:
        lab.client().post("/flows", data=document)
    refused(raised, 422, "UNPROCESSABLE_ENTITY", said)


def test_missing_fields_are_named(lab: Lab) -> None:
    with pytest.raises(FlowsAPIError) as raised:
        lab.client().post("/flows", data={"title": "t"})
    body: Any = raised.value.raw_json
    found = {tuple(item["loc"]) for item in body["error"]["detail"]}
    assert found == {("definition",), ("input_schema",)}


def test_who_sees_and_changes_what(lab: Lab) -> None:
    ada = f"urn:globus:auth:identity:{lab.person.id}"
    group = f"urn:globus:groups:id:{lab.sandbox.add_group('viewers', members=[lab.other.id]).id}"
    flow = lab.sandbox.add_flow("shared", NOTE, viewers=[group], starters=[ada])
    private = lab.sandbox.add_flow("private", NOTE)
    for identity, role in ((lab.person.id, "flow_starter"), (lab.other.id, "flow_viewer")):
        client = lab.client(identity)
        assert client.get_flow(flow.id)["user_role"] == role
        assert [f["id"] for f in client.list_flows()] == [flow.id]
        for call in (client.get_flow, client.delete_flow):
            with pytest.raises(FlowsAPIError) as raised:
                call(private.id)
            refused(raised, 404, "NOT_FOUND", private.id)
        with pytest.raises(FlowsAPIError) as raised:
            client.update_flow(flow.id, title="x")
        refused(raised, 403, "FORBIDDEN", "Missing permissions: UPDATE.")
        with pytest.raises(FlowsAPIError) as raised:
            client.delete_flow(flow.id)
        refused(raised, 403, "FORBIDDEN", "Missing permissions: DELETE.")


def test_administrators_may_change_and_owners_may_delete(lab: Lab) -> None:
    flow = lab.sandbox.add_flow("shared", NOTE, administrators=[lab.person.id])
    client = lab.client(lab.person.id)
    assert client.update_flow(flow.id, title="x", flow_owner=f"urn:globus:auth:identity:{lab.person.id}")
    assert client.get_flow(flow.id)["user_role"] == "flow_owner"
    assert client.delete_flow(flow.id)["DELETED"]


@pytest.mark.parametrize(
    ("scopes", "call", "allowed"),
    [
        (("view_flows",), lambda client, flow: client.get_flow(flow.id), True),
        (("view_flows",), lambda client, flow: client.delete_flow(flow.id), False),
        (("manage_flows",), lambda client, flow: client.delete_flow(flow.id), True),
        (("run_status",), lambda client, flow: client.list_runs(), True),
        (("run_status",), lambda client, flow: client.list_flows(), False),
        (("view_flows",), lambda client, flow: client.list_runs(), False),
    ],
)
def test_scopes_are_asked_for(scopes: tuple[str, ...], call: Any, allowed: bool, lab: Lab) -> None:
    flow = lab.sandbox.add_flow("a flow", NOTE)
    client = lab.client(None, *scopes)
    if allowed:
        call(client, flow)
        return
    with pytest.raises(FlowsAPIError) as raised:
        call(client, flow)
    refused(raised, 403, "MISSING_SCOPE", "This action requires the following scope: ")


def test_no_token_or_a_dead_one(lab: Lab) -> None:
    client = lab.client()
    lab.world.auth.revoke_tokens()
    with pytest.raises(FlowsAPIError) as raised:
        client.list_flows()
    refused(raised, 401, "AUTHENTICATION_ERROR", "Expired or invalid Bearer token")


def test_lists_are_filtered_ordered_and_paged(lab: Lab) -> None:
    for number in range(5):
        lab.sandbox.add_flow(f"flow {number}", NOTE, description="even" if number % 2 == 0 else "odd")
    managed: Any = {"run_managers": [lab.sandbox.client_id], "keywords": ["keyword"], "subtitle": "see below"}
    lab.sandbox.add_flow("foreign", NOTE, owner=lab.other.id, viewers=["public"], **managed)
    client = lab.client()
    for name in ("filter_fulltext", "filter_description"):
        found = client.list_flows(query_params={name: "EVEN,nothing", "orderby": "title DESC"})
        assert [f["title"] for f in found] == ["flow 4", "flow 2", "flow 0"]
    (keyed,) = client.list_flows(query_params={"filter_keywords": "KEY", "filter_subtitle": "below"})
    assert keyed["title"] == "foreign"
    (scoped,) = client.list_flows(query_params={"filter_scope_string": f"flow_{keyed['id'].replace('-', '_')}"})
    assert scoped["id"] == keyed["id"]
    for role in ("flow_viewer", "flow_viewers"):
        assert {f["title"] for f in client.list_flows(filter_roles=role)} == {"foreign"}
    assert {f["title"] for f in client.list_flows(filter_roles="run_managers")} == {"foreign"}
    assert len(list(client.list_flows(filter_roles=["flow_owner", "flow_viewer"]))) == 6
    paged = client.paginated.list_flows(query_params={"per_page": 2, "orderby": "title ASC"})
    titles = [flow["title"] for page in paged for flow in page]
    assert titles == ["flow 0", "flow 1", "flow 2", "flow 3", "flow 4", "foreign"]
    with pytest.raises(FlowsAPIError) as raised:
        client.list_flows(orderby="colour ASC")
    refused(raised, 422, "UNPROCESSABLE_ENTITY", "colour")
    for query in ({"per_page": 0}, {"per_page": 1000}, {"marker": "x"}):
        with pytest.raises(FlowsAPIError):
            client.list_flows(query_params=query)


def test_without_a_subscription_flows_may_be_limited(lab: Lab) -> None:
    lab.sandbox.settings.flows_without_subscription = 1
    client = lab.client()
    client.create_flow("one", NOTE, {})
    with pytest.raises(FlowsAPIError) as raised:
        client.create_flow("two", NOTE, {})
    assert raised.value.http_status == 403
    assert client.create_flow("two", NOTE, {}, subscription_id="DEFAULT").http_status == 201


def test_policies_are_not_promised(lab: Lab) -> None:
    client, policy = lab.client(), lab.person.id
    flow = lab.sandbox.add_flow("a flow", NOTE)
    calls: tuple[Callable[[], Any], ...] = (
        lambda: client.create_flow("t", NOTE, {}, authentication_policy_id=policy),
        lambda: client.update_flow(flow.id, authentication_policy_id=policy),
    )
    for call in calls:
        with pytest.raises(FlowsAPIError) as raised:
            call()
        refused(raised, 501, "NotServed", "authentication policies")


def test_the_scopes_of_roles_are_told(lab: Lab) -> None:
    action = {"Type": "Action", "ActionUrl": "https://actions.globus.org/hello_world", "Parameters": {}}
    states = {
        "A": {**action, "RunAs": "Flow", "Next": "B"},
        "B": {**action, "RunAs": "Curator", "End": True},
    }
    flow = lab.sandbox.add_flow("a flow", {"StartAt": "A", "States": states})
    scopes = lab.client().get_flow(flow.id)["globus_auth_scopes_by_RunAs"]
    common = f"https://auth.globus.org/scopes/{flow.id}/flow_{flow.id.replace('-', '_')}"
    assert scopes == {"User": f"{common}_user", "Curator": f"{common}_curator"}
    assert all(lab.world.auth.scopes.resource_server(scope) == flow.id for scope in scopes.values())


def test_what_is_not_json_is_refused_in_the_shape_of_flows(lab: Lab) -> None:
    with pytest.raises(FlowsAPIError) as raised:
        lab.client().request("POST", "/flows", data="{", encoding="text")
    refused(raised, 400, "UNPROCESSABLE_ENTITY", "not valid JSON")
    body: Any = raised.value.raw_json
    assert set(body) == {"error", "debug_id"}


def test_registered_apis_are_listed(lab: Lab) -> None:
    api_id = lab.world.flows.add_registered_api("echo", lambda body: body, description="says it again")
    client = lab.client()
    (listed,) = client.list_registered_apis()
    assert (listed["id"], listed["name"]) == (api_id, "echo")
    document = client.get_registered_api(api_id)
    assert document["description"] == "says it again"
    assert document["target"]["destination"]["url"].startswith("python:tests.unit.sandbox.flows.test_flows.")
    with pytest.raises(FlowsAPIError) as raised:
        client.get_registered_api(lab.person.id)
    refused(raised, 404, "NOT_FOUND", lab.person.id)


def test_registered_apis_are_seen_by_who_has_a_role(lab: Lab) -> None:
    add = lab.world.flows.add_registered_api
    shown = add("shown", len, viewers=[lab.person.id])
    hers = add("hers", len, owner=lab.person.id)
    ada = lab.client(lab.person.id)
    assert [api["name"] for api in ada.list_registered_apis()] == ["hers"]
    assert [api["name"] for api in ada.list_registered_apis(filter_roles="viewer")] == ["shown"]
    both = ada.list_registered_apis(filter_roles=["owner", "viewer"], orderby="name DESC")
    assert [api["name"] for api in both] == ["shown", "hers"]
    assert ada.get_registered_api(shown)["roles"]["viewers"] == [f"urn:globus:auth:identity:{lab.person.id}"]
    with pytest.raises(FlowsAPIError) as raised:
        lab.client().get_registered_api(hers)
    refused(raised, 404, "NOT_FOUND", hers)


def test_who_may_do_what_is_shown_to_administrators_only(lab: Lab) -> None:
    ada = f"urn:globus:auth:identity:{lab.person.id}"
    roles: Any = {"starters": [ada], "run_managers": [f"urn:globus:auth:identity:{lab.other.id}"]}
    flow = lab.sandbox.add_flow("shared", NOTE, **roles)
    mine, hers, managers = (
        client.get_flow(flow.id) for client in (lab.client(), lab.client(lab.person.id), lab.client(lab.other.id))
    )
    assert (mine["flow_starters"], mine["run_managers"]) == ([ada], roles["run_managers"])
    assert (hers["flow_starters"], hers["run_managers"]) == ([], [])
    assert (managers["flow_starters"], managers["run_managers"]) == ([], roles["run_managers"])
    run_id = lab.flow_client(flow).run_flow({}, run_monitors=[ada])["run_id"]
    assert lab.client().get_run(run_id)["run_monitors"] == [ada]
    assert lab.client(lab.person.id).get_run(run_id)["run_monitors"] == []


def test_what_belongs_to_a_flow_with_a_policy_is_refused(lab: Lab) -> None:
    policy = lab.other.id
    flow = lab.sandbox.add_flow("high assurance", NOTE, authentication_policy_id=policy)
    run_id = lab.world.flows.create_run(flow, lab.world.auth.anyone(), body={}, label="").id
    client = lab.client()
    calls: tuple[Callable[[], Any], ...] = (
        lambda: client.get_flow(flow.id),
        lambda: lab.flow_client(flow).run_flow({}),
        lambda: client.get_run(run_id),
    )
    for call in calls:
        with pytest.raises(FlowsAPIError) as raised:
            call()
        refused(raised, 403, "AUTHENTICATION_POLICY_REQUIRED", "unsatisfied session policy")
        assert raised.value.info.authorization_parameters.session_required_policies == [policy]
