"""`globus group …`: groups and their policies, members, invitations, requests to join, and subscriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.auth.models import Client
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.conformance.conftest import GlobusCli

SUBSCRIPTION = "00000000-0000-4000-8000-0000000000aa"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def group(cli: GlobusCli) -> str:
    return str(cli.json("group", "create", "Beamline 7", "--description", "The team")["id"])


@pytest.fixture
def other(cli: GlobusCli) -> Client:
    """Another service account, that is in no group."""
    return cli.sandbox.add_client("other")


@pytest.fixture
def theirs(cli: GlobusCli, other: Client) -> GlobusCli:
    """The CLI as that account."""
    return cli.of(other)


def members(cli: GlobusCli, group: str) -> dict[str, tuple[str, str]]:
    """The role and status of each membership of a group, by identity."""
    listed = cli.json("group", "member", "list", group)["memberships"]
    return {item["identity_id"]: (item["role"], item["status"]) for item in listed}


def open_to_requests(cli: GlobusCli, group: str) -> None:
    cli.text("group", "set-policies", group, "--join-requests", "--visibility", "authenticated")


# Groups


def test_a_group_is_created_shown_changed_and_deleted(cli: GlobusCli) -> None:
    said = cli.text("group", "create", "Beamline 7", "--description", "The team")
    group = said.split()[1]
    assert said == f"Group {group} created successfully\n"
    assert cli.text("group", "update", group, "--name", "Beamline 8", "--terms-and-conditions", "be nice") == (
        "Group updated successfully\n"
    )
    shown = cli.json("group", "show", group)
    assert (shown["name"], shown["description"], shown["terms_and_conditions"]) == ("Beamline 8", "The team", "be nice")
    text = cli.text("group", "show", group)
    for line in ("Name:                  Beamline 8", "Visibility:            private", "Roles:                 admin"):
        assert line in text
    assert cli.text("group", "delete", group) == "Group deleted successfully\n"
    assert "NOT_FOUND" in cli.text("group", "show", group, fails=1)


def test_my_groups_are_listed(cli: GlobusCli, group: str, theirs: GlobusCli) -> None:
    below = cli.json("group", "create", "Night shift", "--parent-id", group)
    assert below["parent_id"] == group
    assert [item["id"] for item in cli.json("group", "list")] == [group, below["id"]]
    assert cli.text("group", "list").splitlines()[2].startswith(f"{group} | Beamline 7")
    assert cli.json("api", "groups", "GET", "/v2/groups/my_groups")[0]["id"] == group
    assert theirs.json("group", "list") == []
    assert "FORBIDDEN" in theirs.text("group", "show", group, fails=1)
    assert "You must be the admin of the parent" in theirs.text("group", "create", "x", "--parent-id", group, fails=1)


def test_policies_are_set(cli: GlobusCli, group: str) -> None:
    said = cli.text(
        *("group", "set-policies", group, "--visibility", "authenticated", "--members-visibility", "members"),
        *("--join-requests", "--signup-fields", "institution,phone", "--authentication-timeout", "3600"),
    )
    assert said == "Group policies updated successfully\n"
    expected: dict[str, Any] = {
        "is_high_assurance": False,
        "authentication_assurance_timeout": 3600,
        "group_visibility": "authenticated",
        "group_members_visibility": "members",
        "join_requests": True,
        "signup_fields": ["institution", "phone"],
    }
    assert cli.json("group", "show", group)["policies"] == expected
    answer = cli.json("group", "set-policies", group, "--high-assurance", "--signup-fields", "")
    assert answer == {**expected, "is_high_assurance": True, "signup_fields": []}


# Members


def test_members_are_added_and_removed(cli: GlobusCli, group: str, other: Client) -> None:
    text = cli.text("group", "member", "add", group, other.username, "--role", "manager")
    assert f"Added User ID:       {other.id}" in text
    assert members(cli, group)[other.id] == ("manager", "active")
    assert f"{other.username} | manager | active" in cli.text("group", "member", "list", group)
    assert "already an active member" in cli.text("group", "member", "add", group, other.id, fails=1)
    cli.text("group", "member", "remove", group, other.id)
    assert members(cli, group)[other.id] == ("manager", "removed")
    nobody = cli.sandbox.add_identity("nobody@example.org").id
    assert "Identity has no membership" in cli.text("group", "member", "remove", group, nobody, fails=1)


def test_invitations_are_accepted_or_declined(cli: GlobusCli, group: str, other: Client, theirs: GlobusCli) -> None:
    for answer, said, status in (("decline", "Declined", "declined"), ("accept", "Accepted", "active")):
        assert other.id in cli.text("group", "member", "invite", group, other.username)
        assert members(cli, group)[other.id] == ("member", "invited")
        text = theirs.text("group", "invite", answer, group)
        assert text == f"{said} invitation as {other.id} ({other.username})\n"
        assert members(cli, group)[other.id] == ("member", status)
    assert "You have no invitations" in theirs.text("group", "invite", "accept", group, fails=1)


def test_requests_to_join_are_approved_or_rejected(
    cli: GlobusCli, group: str, other: Client, theirs: GlobusCli
) -> None:
    open_to_requests(cli, group)
    assert "FORBIDDEN" in theirs.text("group", "join", group, fails=1)
    for answer, status in (("reject", "rejected"), ("approve", "active")):
        assert other.id in theirs.text("group", "join", group, "--request")
        assert members(cli, group)[other.id] == ("member", "pending")
        assert other.username in cli.text("group", "member", answer, group, other.id)
        assert members(cli, group)[other.id] == ("member", status)


def test_people_join_and_leave(cli: GlobusCli, other: Client, theirs: GlobusCli) -> None:
    group = cli.sandbox.add_group("Everybody", policies={"group_visibility": "authenticated"}, open_to_join=True).id
    assert f"User ID:  {other.id}" in theirs.text("group", "join", group)
    assert [item["id"] for item in theirs.json("group", "list")] == [group]
    assert theirs.text("group", "leave", group) == f"Left group as {other.id} ({other.username})\n"
    assert "You have no memberships" in theirs.text("group", "leave", group, fails=1)
    assert "last admin" in cli.text("group", "leave", group, fails=1)


def test_a_group_opens_a_collection(
    cli: GlobusCli, group: str, other: Client, theirs: GlobusCli, globus_collection: CollectionFactory
) -> None:
    host = globus_collection("instrument", files={"run1/a.dat": "a"})
    guest = globus_collection("shared", host=host)
    cli.text("endpoint", "permission", "create", f"{guest.id}:/", "--group", group, "--permissions", "r")
    assert "PermissionDenied" in theirs.text("ls", f"{guest.id}:/run1", fails=1)
    cli.text("group", "member", "add", group, other.id)
    assert theirs.text("ls", f"{guest.id}:/run1") == "a.dat\n"
    theirs.text("group", "leave", group)
    assert "PermissionDenied" in theirs.text("ls", f"{guest.id}:/run1", fails=1)


# Subscriptions


def test_subscriptions_have_a_group(cli: GlobusCli, theirs: GlobusCli) -> None:
    group = cli.sandbox.add_group("University", subscription={"id": SUBSCRIPTION, "is_high_assurance": True}).id
    assert cli.json("group", "get-subscription-info", SUBSCRIPTION)["group_id"] == group
    assert "High Assurance:  True" in cli.text("group", "get-subscription-info", SUBSCRIPTION)
    assert "Name:                  University" in cli.text("group", "get-by-subscription", SUBSCRIPTION)
    hidden = theirs.text("group", "get-by-subscription", SUBSCRIPTION)
    assert group in hidden
    assert "University" not in hidden
    assert "NOT_FOUND" in cli.text("group", "get-by-subscription", UNKNOWN, fails=1)


def test_a_group_is_taken_into_a_subscription(cli: GlobusCli, group: str, theirs: GlobusCli) -> None:
    cli.sandbox.add_group("University", subscription={"id": SUBSCRIPTION})
    command = ("group", "set-subscription-admin-verified", group)
    assert "FORBIDDEN" in theirs.text(*command, SUBSCRIPTION, fails=1)
    assert cli.text(*command, SUBSCRIPTION) == "Group subscription verification updated successfully\n"
    assert cli.json("group", "show", group)["subscription_admin_verified_id"] == SUBSCRIPTION
    cli.text("group", "update", group, "--subscription-admin-verified-id", "null")
    assert cli.json("group", "show", group)["subscription_admin_verified_id"] is None
    cli.text(*command, SUBSCRIPTION)
    assert cli.json(*command, "null") == {"group_id": group, "subscription_admin_verified_id": None}
