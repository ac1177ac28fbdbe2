"""Groups' answers have the keys and types of recorded ones, and every document keeps to the published schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import AccessTokenAuthorizer, GroupPolicies, GroupsAPIError, GroupsClient
from globus_sdk.transport import RetryConfig

from tests.conformance import shapes
from tests.conformance.openapi import OpenApi
from tests.conformance.recordings import Recordings
from tests.unit.sandbox.groups.conftest import client_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.groups.models import Group

SUBSCRIPTION = "00000000-0000-4000-8000-0000000000aa"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
SIGNUP = {"signup_fields": ["department"], "join_requests": True, "group_visibility": "authenticated"}
CONNECTORS = {"1b6374b0-f6a4-4cf7-a26f-f262d9c6ca72": {"is_ha": True, "is_baa": False}}
OPENAPI = OpenApi("groups")


class Site:
    """A group, its admin, and Ada, who is not in it."""

    def __init__(self, sandbox: GlobusSandbox) -> None:
        self.sandbox = sandbox
        self.ada = sandbox.add_identity("ada@example.edu").id
        self.groups = client_of(sandbox, sandbox.client_id)
        self.hers = client_of(sandbox, self.ada)
        self.document = {"name": "Claptrap's Rough Riders", "description": "No stairs allowed."}

    def made(self, **more: Any) -> str:
        return str(self.groups.create_group({**self.document, **more})["id"])

    def subscribed(self) -> Group:
        return self.sandbox.add_group(
            "Magical Automata",
            subscription={"id": SUBSCRIPTION, "is_high_assurance": True, "connectors": CONNECTORS},
            policies={"is_high_assurance": True, "authentication_assurance_timeout": 1800},
        )

    def verified(self) -> str:
        self.subscribed()
        group = self.made()
        self.groups.set_subscription_admin_verified(group, SUBSCRIPTION)
        return group

    def act(self, kind: str, group: str, client: GroupsClient | None = None, **more: Any) -> Any:
        """What the admin, or somebody else, does to Ada."""
        items = {kind: [{"identity_id": self.ada, **more}]}
        return (client or self.groups).batch_membership_action(group, items)

    def with_ada(self, *kinds: str, **more: Any) -> str:
        """A group to which Ada has come by these actions, hers or the admin's."""
        group = self.made(**more)
        for kind in kinds:
            self.act(kind, group, self.hers if kind in ("accept", "join", "request_join") else None)
        return group

    def say(self, group: str, **fields: str) -> Any:
        """What Ada tells a group of herself."""
        data: Any = {self.ada: fields}
        return self.hers.set_membership_fields(group, data)

    def applied(self) -> str:
        """A group that Ada wants to join."""
        group = self.made(policies=SIGNUP)
        self.say(group, department="Physics")
        self.act("request_join", group, self.hers)
        return group

    def parent(self, *kinds: str) -> str:
        """A group with a subgroup, to which Ada has come by these actions."""
        group = self.made()
        self.with_ada(*kinds, parent_id=group)
        return group

    def peopled(self) -> str:
        """A group with a membership of each status that the quoted list of members has."""
        group = self.applied()
        self.act("approve", group)
        for name, kind in (("bob", "invite"), ("eve", "reject")):
            person = self.sandbox.add_identity(f"{name}@example.edu").id
            if kind == "reject":
                group_of = self.sandbox.world.groups.find(group)
                self.sandbox.world.groups.put(group_of, person, status="pending")
            self.groups.batch_membership_action(group, {kind: [{"identity_id": person}]})
        return group


@pytest.fixture
def site(globus_sandbox: GlobusSandbox) -> Site:
    return Site(globus_sandbox)


POLICIES = GroupPolicies(
    is_high_assurance=False,
    group_visibility="private",
    group_members_visibility="managers",
    join_requests=False,
    signup_fields=["address1"],
)

#: The call of each recorded response, after what brings Groups into the state it is of.
SCENARIOS: dict[str, Callable[[Site], Any]] = {
    "create_group:default": lambda site: site.groups.create_group(site.document),
    "delete_group:default": lambda site: site.groups.delete_group(site.made()),
    "get_group:default": lambda site: site.groups.get_group(site.made(), include="my_memberships"),
    "get_group:subscription": lambda site: site.groups.get_group(site.subscribed().id, include="my_memberships"),
    "get_group_by_subscription_id:default": lambda site: (
        site.subscribed() and site.groups.get_group_by_subscription_id(SUBSCRIPTION)
    ),
    "get_my_groups:default": lambda site: site.with_ada("add") and site.hers.get_my_groups(),
    "set_group_policies:default": lambda site: site.groups.set_group_policies(site.made(), POLICIES),
    "set_subscription_admin_verified:default": lambda site: (
        site.subscribed() and site.groups.set_subscription_admin_verified(site.made(), SUBSCRIPTION)
    ),
}
QUOTED: dict[str, Callable[[Site], Any]] = {
    "accept_invitation": lambda site: site.act("accept", site.with_ada("invite"), site.hers),
    "add_member": lambda site: site.act("add", site.made()),
    "add_member_already_active": lambda site: site.act("add", site.with_ada("add")),
    "approve_member": lambda site: site.act("approve", site.applied()),
    "create_group": lambda site: site.groups.create_group(site.document),
    "decline_invitation": lambda site: site.act("decline", site.with_ada("invite"), site.hers),
    "delete_group": lambda site: site.groups.delete_group(site.made()),
    "get_group": lambda site: site.groups.get_group(site.verified(), include="my_memberships"),
    "get_group_memberships": lambda site: site.groups.get_group(site.peopled(), include="memberships"),
    "invite_member": lambda site: site.act("invite", site.made()),
    "leave_group": lambda site: site.act("leave", site.with_ada("add"), site.hers),
    "my_groups": lambda site: site.with_ada("add") and site.hers.get_my_groups(),
    "reject_member": lambda site: site.act("reject", site.applied()),
    "remove_member": lambda site: site.act("remove", site.with_ada("add")),
    "remove_member_without_membership": lambda site: site.act("remove", site.made()),
    "set_subscription_admin_verified": lambda site: (
        site.subscribed() and site.groups.set_subscription_admin_verified(site.made(), SUBSCRIPTION)
    ),
    "update_group": lambda site: site.groups.update_group(site.verified(), {"name": "New Name"}),
}
RECORDINGS = Recordings(
    service="groups",
    scenarios=SCENARIOS,
    quoted=QUOTED,
    # Beside the check of the schemas, which allow no property that they do not have.
    explain=lambda path, document: "the published schema has it",
    # By identity, so different in each; the schema says what it holds.
    free=("session_timeouts",),
    openapi=OPENAPI,
)


@pytest.mark.parametrize("name", RECORDINGS.names())
def test_answers_have_what_the_recorded_ones_have(name: str, site: Site) -> None:
    answer = RECORDINGS.check(name, site, site.sandbox)
    if name == "create_group:default":
        assert site.sandbox.journal.entries[-1].status == 201
    if name == "get_group:subscription":
        # Not the values of any recording, but of what this one is about.
        recorded = shapes.recorded("groups.get_group", "subscription")
        same = ("group_type", "enforce_session", "session_limit")
        assert [answer[key] for key in same] == [recorded[key] for key in same]
    if name == "set_group_policies:default":
        assert answer == shapes.recorded("groups.set_group_policies")


@pytest.mark.parametrize("name", sorted(QUOTED))
def test_answers_have_what_the_quoted_ones_have(name: str, site: Site) -> None:
    answer = RECORDINGS.check_quoted(name, site, site.sandbox)
    if "errors" in answer:
        (kind,) = answer["errors"]
        (error,) = answer["errors"][kind]
        assert answer[kind] == []
        assert error["identity_id"] == site.ada


def test_every_recording_has_its_call() -> None:
    RECORDINGS.check_complete()


# What nobody has recorded, as the schemas have it

MORE: dict[str, Callable[[Site], Any]] = {
    "all that a group shows": lambda site: site.groups.get_group(
        site.peopled(), include=("memberships", "my_memberships", "policies", "allowed_actions", "child_ids")
    ),
    "children": lambda site: site.groups.get(f"/v2/groups/{site.parent()}/children"),
    "a member by a subgroup": lambda site: site.hers.get_group(site.parent("add"), include="my_memberships"),
    "policies": lambda site: site.groups.get_group_policies(site.made()),
    "policies of high assurance": lambda site: site.groups.get_group_policies(site.subscribed().id),
    "statuses": lambda site: site.peopled() and site.groups.get("/v2/groups/statuses"),
    "preferences": lambda site: site.groups.get_identity_preferences(),
    "set preferences": lambda site: site.hers.set_identity_preferences({site.ada: {"allow_add": False}}),
    "membership fields": lambda site: site.hers.get_membership_fields(site.applied()),
    "set membership fields": lambda site: site.say(site.made(policies=SIGNUP), department="CS", zip="60637"),
    "a subscription cleared": lambda site: site.groups.set_subscription_admin_verified(site.verified(), None),
    "an invitation with all": lambda site: site.act(
        "invite", site.made(), status_reason="welcome", invite_email_address="ada@example.org", role="manager"
    ),
    "a changed role": lambda site: site.act("change_role", site.with_ada("add"), role="admin"),
    "a request to join": lambda site: site.act("request_join", site.made(policies=SIGNUP), site.hers),
    "what cannot be done": lambda site: site.act("approve", site.with_ada("add")),
    "nothing to do": lambda site: site.groups.batch_membership_action(site.made(), {}),
    "groups I was in": lambda site: (
        site.with_ada("add", "remove") and site.hers.get_my_groups(statuses=("removed", "left"))
    ),
}


@pytest.mark.parametrize("name", MORE)
def test_documents_keep_to_the_schema(name: str, site: Site) -> None:
    answer = MORE[name](site)
    assert OPENAPI.check(site.sandbox, answer.headers, answer.data)


def aged(site: Site) -> str:
    """A group that takes no login as old as those of the site."""
    group = site.subscribed().id
    site.sandbox.clock.advance(1801)
    return group


#: Refusals, with their status and code.
REFUSALS: dict[str, tuple[int, str | None, Callable[[Site], Any]]] = {
    "no credentials": (401, "AUTHENTICATION_ERROR", lambda site: client_of(site.sandbox, None).get_my_groups()),
    "an unknown token": (401, "INVALID_TOKEN", lambda site: unknown_client().get_group(UNKNOWN)),
    "an old login": (401, "SESSION_REQUIRED", lambda site: site.groups.get_group(aged(site))),
    "a scope too narrow": (
        403,
        "FORBIDDEN",
        lambda site: client_of(site.sandbox, site.ada, "view_my_groups_and_memberships").create_group(site.document),
    ),
    "a hidden group": (403, "FORBIDDEN", lambda site: site.hers.get_group(site.made())),
    "hidden policies": (403, "FORBIDDEN", lambda site: site.hers.get_group_policies(site.made())),
    "somebody else's group": (403, "FORBIDDEN", lambda site: site.hers.update_group(site.made(), {})),
    "the end of somebody else's group": (403, "FORBIDDEN", lambda site: site.hers.delete_group(site.made())),
    "policies of somebody else's": (403, "FORBIDDEN", lambda site: site.hers.set_group_policies(site.made(), {})),
    "actions of managers": (403, "FORBIDDEN", lambda site: site.act("add", site.made(), site.hers)),
    "a subscription of others": (
        403,
        "FORBIDDEN",
        lambda site: site.groups.set_subscription_admin_verified(site.made(), UNKNOWN),
    ),
    "a parent of others": (403, "FORBIDDEN", lambda site: site.made(parent_id=UNKNOWN)),
    "others' preferences": (
        403,
        "FORBIDDEN",
        lambda site: site.groups.set_identity_preferences({site.ada: {"allow_add": True}}),
    ),
    "an unknown group": (404, "NOT_FOUND", lambda site: site.groups.get_group(UNKNOWN)),
    "members of an unknown group": (404, "NOT_FOUND", lambda site: site.act("add", UNKNOWN)),
    "an unknown subscription": (404, "NOT_FOUND", lambda site: site.groups.get_group_by_subscription_id(UNKNOWN)),
    "an identity named twice": (
        400,
        "BAD_REQUEST",
        lambda site: site.groups.batch_membership_action(site.made(), {"add": [{"identity_id": site.ada}] * 2}),
    ),
    "a group without a name": (422, None, lambda site: site.groups.create_group({})),
    "no id of a group": (422, None, lambda site: site.groups.get_group("x")),
    "wrong policies": (422, None, lambda site: site.groups.set_group_policies(site.made(), {"signup_fields": 7})),
    "wrong actions": (422, None, lambda site: site.groups.batch_membership_action(site.made(), {"add": [{}]})),
    "wrong preferences": (422, None, lambda site: site.groups.set_identity_preferences({"allow_add": False})),
    "an unknown status": (422, "UNPROCESSABLE_ENTITY", lambda site: site.groups.get_my_groups(statuses="x")),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_keep_to_the_schema(name: str, site: Site) -> None:
    status, code, act = REFUSALS[name]
    with pytest.raises(GroupsAPIError) as raised:
        act(site)
    error = raised.value
    assert error.raw_json is not None
    assert (error.http_status, error.raw_json.get("code")) == (status, code)
    assert OPENAPI.check(site.sandbox, error.headers, error.raw_json)


def unknown_client() -> GroupsClient:
    return GroupsClient(authorizer=AccessTokenAuthorizer("unknown"), retry_config=RetryConfig(max_retries=0))
