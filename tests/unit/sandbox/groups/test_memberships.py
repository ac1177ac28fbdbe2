"""Actions on memberships, by the SDK's own client: who may do them, to whom, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import BatchMembershipActions, GroupsManager

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.groups.models import Group
    from tests.unit.sandbox.groups.conftest import Lab

UNKNOWN = "00000000-0000-4000-8000-000000000000"
EVERYBODY = {"group_visibility": "authenticated", "join_requests": True}


def with_ada(lab: Lab, status: str | None, **more: Any) -> Group:
    """A group in which Ada has a membership of a status, or none."""
    group = lab.group(**more)
    if status:
        lab.sandbox.world.groups.put(group, lab.person("ada"), status=status)
    return group


# What becomes of memberships


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        *((("add", before, "active")) for before in (None, "invited", "pending", "rejected", "removed", "declined")),
        ("add", "active", "ALREADY_ACTIVE"),
        ("add", "left", "PREVIOUSLY_LEFT"),
        *((("invite", before, "invited")) for before in (None, "invited", "rejected", "removed", "left", "declined")),
        ("invite", "active", "ALREADY_ACTIVE"),
        ("approve", "pending", "active"),
        ("approve", "invited", "WRONG_STATUS"),
        ("approve", None, "NO_MEMBERSHIP"),
        ("reject", "pending", "rejected"),
        ("reject", "active", "WRONG_STATUS"),
        ("remove", "active", "removed"),
        ("remove", "invited", "removed"),
        ("remove", "pending", "WRONG_STATUS"),
        ("remove", None, "NO_MEMBERSHIP"),
        ("change_role", "active", "active"),
        ("change_role", "invited", "WRONG_STATUS"),
        ("change_role", None, "NO_MEMBERSHIP"),
    ],
)
def test_what_admins_do_to_others(lab: Lab, kind: str, before: str | None, after: str) -> None:
    group = with_ada(lab, before)
    if after.isupper():
        assert lab.failed(kind, group, "ada") == [after]
        assert group.status_of(lab.person("ada")) == before
    else:
        (changed,) = lab.act(kind, group, "ada")[kind]
        assert (changed["identity_id"], changed["status"], changed["role"]) == (lab.person("ada"), after, "member")
        assert group.status_of(lab.person("ada")) == after


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("accept", "invited", "active"),
        ("accept", "pending", None),
        ("decline", "invited", "declined"),
        ("decline", "active", None),
        ("leave", "active", "left"),
        ("leave", "invited", None),
        ("leave", None, None),
        *((("join", before, "active")) for before in (None, "rejected", "removed", "left", "declined")),
        *((("request_join", before, "pending")) for before in (None, "rejected", "removed", "left", "declined")),
        *(((kind, before, None)) for kind in ("join", "request_join") for before in ("active", "invited", "pending")),
    ],
)
def test_what_people_do_themselves(lab: Lab, refused: Any, kind: str, before: str | None, after: str | None) -> None:
    group = with_ada(lab, before, policies=EVERYBODY, open_to_join=True)
    allowed = lab.client("ada").get_group(group.id, include="allowed_actions")["allowed_actions"]
    assert allowed[kind] == ([lab.person("ada")] if after else [])
    if after is None:
        error = refused(lambda: lab.act(kind, group, "ada", of="ada"))
        assert (error.http_status, error.code) == (403, "FORBIDDEN")
    else:
        (changed,) = lab.act(kind, group, "ada", of="ada")[kind]
        assert (changed["status"], changed["role"]) == (after, "member")
    assert group.status_of(lab.person("ada")) == (after or before)


def test_joining_is_as_the_policies_are(lab: Lab, refused: Any) -> None:
    closed = lab.group(policies={"group_visibility": "authenticated"})
    for kind in ("join", "request_join"):
        assert refused(lambda kind=kind: lab.act(kind, closed, "ada", of="ada")).code == "FORBIDDEN"
    assured = lab.group(policies={"is_high_assurance": True}, open_to_join=True)
    assert refused(lambda: lab.act("join", assured, "ada", of="ada")).code == "FORBIDDEN"


def test_people_act_for_themselves_alone(lab: Lab) -> None:
    group = lab.group(policies=EVERYBODY, open_to_join=True)
    for kind in ("join", "request_join"):
        assert lab.failed(kind, group, "bob", of="ada") == ["NOT_IN_IDENTITY_SET"]
    lab.act("invite", group, "ada", "bob")
    for kind in ("accept", "decline"):
        assert lab.failed(kind, group, "bob", of="ada") == ["NOT_IN_IDENTITY_SET"]
    lab.act("add", group, "ada", "bob")
    assert lab.failed("leave", group, "bob", of="ada") == ["NOT_IN_IDENTITY_SET"]


# Who may do what


def test_roles_allow_actions(lab: Lab) -> None:
    group = lab.group(policies=EVERYBODY, members=["member"], managers=["manager"])

    def allowed(who: str | None) -> set[str]:
        identity = lab.person(who) if who else lab.me
        found = lab.client(who).get_group(group.id, include="allowed_actions")["allowed_actions"]
        assert all(identities in ([], [identity]) for identities in found.values())
        return {kind for kind, identities in found.items() if identities}

    manage = {"add", "approve", "invite", "leave", "reject", "remove"}
    assert allowed(None) == {*manage, "change_role"}
    assert allowed("manager") == manage
    assert allowed("member") == {"leave"}
    assert allowed("stranger") == {"request_join"}


@pytest.mark.parametrize("kind", ["add", "approve", "change_role", "invite", "reject", "remove"])
@pytest.mark.parametrize("who", ["member", "invited", "stranger"])
def test_what_is_not_the_caller_s_to_do_is_not_done_at_all(lab: Lab, refused: Any, kind: str, who: str) -> None:
    group = lab.group(policies=EVERYBODY, members=["member", "ada"])
    lab.act("invite", group, "invited")
    client = lab.client(who)
    batch = {kind: [{"identity_id": lab.person("ada")}], "request_join": [{"identity_id": lab.person("stranger")}]}
    error = refused(lambda: client.batch_membership_action(group.id, batch))
    assert (error.http_status, error.code) == (403, "FORBIDDEN")
    assert (group.status_of(lab.person("ada")), group.status_of(lab.person("stranger"))) == ("active", None)


def test_admins_give_every_role_and_managers_one(lab: Lab) -> None:
    group = lab.group(managers=["manager"])
    for kind, status in (("add", "active"), ("invite", "invited")):
        for role in ("admin", "manager", "member"):
            (given,) = lab.act(kind, group, f"{kind}-{role}", role=role)[kind]
            assert (given["role"], given["status"]) == (role, status)
            if role == "member":
                lab.act(kind, group, f"{kind}-by-manager", of="manager")
            else:
                assert lab.failed(kind, group, "eve", of="manager", role=role) == ["FORBIDDEN"]
    assert group.role_of(lab.person("add-by-manager")) == "member"


def test_managers_do_not_remove_admins(lab: Lab) -> None:
    group = lab.group(members=["ada"], managers=["manager", "other"])
    lab.act("add", group, "second", role="admin")
    assert lab.failed("remove", group, "second", of="manager") == ["FORBIDDEN"]
    for who in ("ada", "other"):
        assert lab.act("remove", group, who, of="manager")["remove"][0]["status"] == "removed"
    assert lab.act("remove", group, "second")["remove"][0]["status"] == "removed"


def test_nobody_removes_themselves_and_an_admin_stays(lab: Lab) -> None:
    group, me = lab.group(), [{"identity_id": lab.me}]
    client = lab.client()

    def failed(kind: str, **more: Any) -> str:
        answer = client.batch_membership_action(group.id, {kind: [{**me[0], **more}]})
        return str(answer["errors"][kind][0]["code"])

    assert failed("remove") == "OWN_MEMBERSHIP"
    assert failed("leave") == "LAST_ADMIN"
    assert failed("change_role", role="manager") == "LAST_ADMIN"
    lab.act("add", group, "second", role="admin")
    assert client.batch_membership_action(group.id, {"leave": me})["leave"][0]["status"] == "left"


def test_roles_change(lab: Lab) -> None:
    group = lab.group(members=["ada"])
    for role in ("manager", "admin", "member"):
        (changed,) = GroupsManager(lab.client()).change_role(group.id, lab.person("ada"), role=role)["change_role"]
        assert changed["role"] == role
        assert group.role_of(lab.person("ada")) == role


def test_identities_decide_whether_they_are_added(lab: Lab, refused: Any) -> None:
    group, ada, client = lab.group(), lab.person("ada"), lab.client("ada")
    assert client.get_identity_preferences().data == {ada: {"allow_add": None}}
    assert client.set_identity_preferences({ada: {"allow_add": False}}).data == {ada: {"allow_add": False}}
    assert lab.failed("add", group, "ada") == ["ADD_NOT_ALLOWED"]
    assert lab.act("invite", group, "ada")["invite"][0]["status"] == "invited"
    client.set_identity_preferences({ada: {"allow_add": True}})
    assert lab.act("add", group, "ada")["add"][0]["status"] == "active"
    error = refused(lambda: client.set_identity_preferences({lab.me: {"allow_add": False}}))
    assert (error.http_status, error.code) == (403, "FORBIDDEN")


def test_signup_fields_are_asked_of_those_who_join(lab: Lab, refused: Any) -> None:
    group = lab.group(policies={**EVERYBODY, "signup_fields": ["institution", "zip"]}, open_to_join=True)
    ada, client = lab.person("ada"), lab.client("ada")
    assert client.get_membership_fields(group.id).data == {ada: {}}
    fields: Any = {ada: {"institution": "Chicago", "city": None}}
    client.set_membership_fields(group.id, fields)
    assert client.get_membership_fields(group.id).data == {ada: {"institution": "Chicago"}}
    for kind in ("join", "request_join"):
        assert lab.failed(kind, group, "ada", of="ada") == ["MISSING_SIGNUP_FIELDS"]
    said = {"institution": "Chicago", "zip": "60637"}
    fields = {ada: said}
    client.set_membership_fields(group.id, fields)
    assert lab.act("request_join", group, "ada", of="ada")["request_join"][0]["membership_fields"] == said
    others: Any = {lab.me: said}
    for act in (
        lambda: client.set_membership_fields(group.id, others),
        lambda: lab.client("bob").get_membership_fields(lab.group("hidden").id),
    ):
        assert refused(act).code == "FORBIDDEN"


# Batches


def test_a_batch_does_what_it_can(lab: Lab) -> None:
    group = lab.group(members=["ada", "bob"])
    batch = BatchMembershipActions()
    batch.add_members([lab.person("carol"), lab.person("ada"), UNKNOWN], role="manager")
    batch.invite_members(lab.person("dan")).remove_members([lab.person("bob")])
    answer = lab.client().batch_membership_action(group.id, batch)
    assert [item["identity_id"] for item in answer["add"]] == [lab.person("carol")]
    assert [item["status"] for item in (*answer["invite"], *answer["remove"])] == ["invited", "removed"]
    found = {item["identity_id"]: item["code"] for item in answer["errors"]["add"]}
    assert found == {lab.person("ada"): "ALREADY_ACTIVE", UNKNOWN: "IDENTITY_NOT_FOUND"}
    assert set(answer["errors"]) == {"add"}
    assert answer.headers["X-Sandbox-Provisional"] == "1"
    assert lab.client().batch_membership_action(group.id, {}).data == {}


def test_an_identity_is_named_once(lab: Lab, refused: Any) -> None:
    group, ada = lab.group(members=["ada"]), {"identity_id": lab.person("ada")}
    bob = {"identity_id": lab.person("bob")}
    batch = {"remove": [ada], "change_role": [{**ada, "role": "admin"}], "add": [bob]}
    error = refused(lambda: lab.client().batch_membership_action(group.id, batch))
    assert (error.http_status, error.code) == (400, "BAD_REQUEST")
    assert error.raw_json is not None
    assert error.raw_json["ambiguous_identities"] == [lab.person("ada")]
    assert (group.status_of(lab.person("ada")), group.status_of(lab.person("bob"))) == ("active", None)


def test_memberships_tell_why_and_when(lab: Lab) -> None:
    group = lab.group()
    (invited,) = lab.act("invite", group, "ada", status_reason="welcome", invite_email_address="a@b.org")["invite"]
    assert (invited["status_reason"], invited["invite_email_address"]) == ("welcome", "a@b.org")
    assert invited["updated"] == invited["invite_time"]
    lab.sandbox.clock.advance(60)
    (active,) = lab.act("accept", group, "ada", of="ada")["accept"]
    assert "status_reason" not in active
    assert active["invite_time"] == invited["invite_time"] < active["updated"]


def test_confirmed_errors_are_not_marked(lab: Lab) -> None:
    group, client = lab.group(members=["ada"]), lab.client()
    for kind, who in (("add", "ada"), ("remove", "bob")):
        answer = client.batch_membership_action(group.id, {kind: [{"identity_id": lab.person(who)}]})
        assert answer["errors"]
        assert "X-Sandbox-Provisional" not in answer.headers
