"""What a group made through the API opens in the other services, and that it is shut again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import AccessTokenAuthorizer, ComputeClientV2, FlowsClient, GlobusAPIError, SearchClient, TransferClient
from globus_sdk.scopes import ComputeScopes, FlowsScopes, SearchScopes, TransferScopes
from globus_sdk.transport import RetryConfig

from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.sandbox import GlobusSandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.unit.sandbox.groups.conftest import Lab

NOTE = {"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": True}}}


def of(lab: Lab, who: str, kind: Any, scopes: Any) -> Any:
    """A client of any service, of a person."""
    token = lab.sandbox.world.auth.issue(
        identity_id=lab.person(who), client_id=lab.me, resource_server=scopes.resource_server, scopes=[scopes.all]
    )
    return kind(authorizer=AccessTokenAuthorizer(token.value), retry_config=RetryConfig(max_retries=0))


@pytest.fixture
def opens(lab: Lab) -> Callable[..., None]:
    """Checks that something can be done by members of a group alone, be it by a subgroup."""

    def check(group_id: str, act: Callable[[str], Any]) -> None:
        def allowed(who: str) -> bool:
            try:
                act(who)
            except GlobusAPIError as error:
                assert error.http_status in (403, 404)  # noqa: PT017
                return False
            return True

        client = lab.client()
        below = client.create_group({"name": "below", "parent_id": group_id})["id"]
        for group, who in ((group_id, "ada"), (below, "bob")):
            assert not allowed(who)
            client.batch_membership_action(group, {"invite": [{"identity_id": lab.person(who)}]})
            assert not allowed(who)
            lab.client(who).batch_membership_action(group, {"accept": [{"identity_id": lab.person(who)}]})
            assert allowed(who)
        client.batch_membership_action(group_id, {"remove": [{"identity_id": lab.person("ada")}]})
        client.delete_group(below)
        assert not allowed("ada")
        assert not allowed("bob")

    return check


@pytest.fixture
def group_id(lab: Lab) -> str:
    return str(lab.client().create_group({"name": "beamline"})["id"])


def test_a_guest_collection(
    lab: Lab, opens: Callable[..., None], group_id: str, globus_collection: CollectionFactory
) -> None:
    host = globus_collection("instrument", files={"run1/a.dat": "a"})
    guest = globus_collection("shared", host=host)
    lab.sandbox.world.transfer.add_rule(guest.id, path="/", principal_type="group", principal=group_id)
    opens(group_id, lambda who: of(lab, who, TransferClient, TransferScopes).operation_ls(guest.id, path="/run1/"))


def test_the_management_of_a_collection(
    lab: Lab, opens: Callable[..., None], group_id: str, globus_collection: CollectionFactory
) -> None:
    collection = globus_collection("instrument").id
    urn = f"urn:globus:groups:id:{group_id}"
    role = {"DATA_TYPE": "role#1.0.0", "collection": collection, "principal": urn, "role": "activity_monitor"}
    GlobusHook().gcs_client(collection).create_role(role)
    opens(
        group_id,
        lambda who: of(lab, who, TransferClient, TransferScopes).endpoint_manager_get_endpoint(collection),
    )


def test_an_entry_of_a_search_index(lab: Lab, opens: Callable[..., None], group_id: str) -> None:
    index = lab.sandbox.add_search_index("catalogue").id
    entry = {"subject": "one", "content": {}, "visible_to": [f"urn:globus:groups:id:{group_id}"]}
    GlobusHook().search_client().ingest(index, {"ingest_type": "GMetaEntry", "ingest_data": entry})
    opens(group_id, lambda who: of(lab, who, SearchClient, SearchScopes).get_subject(index, "one"))


def test_a_flow(lab: Lab, opens: Callable[..., None], group_id: str) -> None:
    flow = lab.sandbox.add_flow("note", NOTE, viewers=[f"urn:globus:groups:id:{group_id}"])
    opens(group_id, lambda who: of(lab, who, FlowsClient, FlowsScopes).get_flow(flow.id))


def test_a_function(lab: Lab, opens: Callable[..., None], group_id: str) -> None:
    function = (
        GlobusHook()
        .compute_client_v2()
        .register_function({"function_name": "one", "function_code": "x", "group": group_id})["function_uuid"]
    )
    opens(group_id, lambda who: of(lab, who, ComputeClientV2, ComputeScopes).get_function(function))


def test_the_hook_lists_groups(lab: Lab) -> None:
    lab.group("mine")
    lab.sandbox.add_group("theirs", admins=[lab.person("ada")])
    assert [group["name"] for group in GlobusHook().groups_client().get_my_groups()] == ["mine"]


def test_a_seed_makes_groups(tmp_path: Any) -> None:
    seed = {
        "clients": [{"name": "pipeline"}],
        "identities": [{"username": "ada@example.org"}],
        "groups": [
            {"name": "team", "members": ["ada@example.org"], "policies": {"join_requests": True}},
            {"name": "shift", "parent": "team", "subscription": {"id": "00000000-0000-4000-8000-0000000000aa"}},
        ],
        "collections": [
            {"name": "instrument", "root": str(tmp_path)},
            {"name": "shared", "kind": "guest", "host": "instrument"},
        ],
        "rules": [{"collection": "shared", "path": "/", "principal_type": "group", "principal": "team"}],
    }
    worlds = [GlobusSandbox(seed=json.loads(json.dumps(seed))).world for _ in range(2)]
    world = worlds[0]
    team, shift = world.groups.find("team"), world.groups.find("shift")
    assert [world.groups.find("team").id for world in worlds] == [team.id, team.id]
    assert (shift.parent_id, team.policies.join_requests) == (team.id, True)
    ada = world.auth.identity_by_username("ada@example.org")
    shared = world.transfer.find("shared")
    assert ada
    assert world.transfer.permissions(ada.id, shared, "/") == "r"
    assert next(iter(shared.rules.values())).principal == team.id
