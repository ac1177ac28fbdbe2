"""Groups through `@globus/sdk`: groups, their members and policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import globus_sdk
from globus_sdk.scopes import GroupsScopes

if TYPE_CHECKING:
    from tests.conformance.javascript.sdk import JavaScriptSdk


def test_a_group_from_its_making_to_its_end(js: JavaScriptSdk, app: globus_sdk.ClientApp) -> None:
    groups = globus_sdk.GroupsClient(app=app)
    groups.add_app_scope(GroupsScopes.all)
    made = js.call("groups.groups.create", payload={"name": "Beamline", "group_type": "regular"})
    group_id = made["id"]
    include = ["memberships", "my_memberships", "policies"]
    shown = js.call("groups.groups.get", group_id, query={"include": include})
    # Each SDK has logged in for itself, and its session ends when it does.
    assert {**groups.get_group(group_id, include=include).data, "session_timeouts": shown["session_timeouts"]} == shown
    assert [member["role"] for member in shown["memberships"]] == ["admin"]
    assert [group["id"] for group in js.call("groups.groups.getMyGroups")] == [group_id]
    changed = js.call("groups.groups.update", group_id, payload={"name": "Beamline 9", "description": "Scientists"})
    assert (changed["name"], changed["description"]) == ("Beamline 9", "Scientists")

    ada = js.sandbox.add_identity("ada@example.org").id
    done = js.call("groups.membership.act", group_id, payload={"add": [{"identity_id": ada, "role": "member"}]})
    assert [(one["identity_id"], one["status"]) for one in done["add"]] == [(ada, "active")]
    members = js.call("groups.groups.get", group_id, query={"include": "memberships"})["memberships"]
    assert ada in {member["identity_id"] for member in members}

    policies = js.call("groups.policies.get", group_id)
    assert policies == groups.get_group_policies(group_id).data
    strict = {**policies, "join_requests": True}
    assert js.call("groups.policies.update", group_id, payload=strict)["join_requests"] is True
    assert js.call("groups.groups.getStatuses")
    assert js.call("groups.groups.remove", group_id)["id"] == group_id
    assert js.refused("groups.groups.get", group_id)[0] == 404
