"""`globus endpoint permission …`: folders of guest collections are shared, and what others may then do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from globus_sdk import GCSRoleDocument

from airflow_provider_globus.sandbox.transfer.documents import iso

if TYPE_CHECKING:
    from globus_sdk import GCSClient

    from airflow_provider_globus.sandbox.auth.models import Client
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.conformance.conftest import GlobusCli

UNKNOWN = "00000000-0000-4000-8000-000000000000"
PERMISSION = ("endpoint", "permission")


@pytest.fixture
def shared(globus_collection: CollectionFactory) -> CollectionFolder:
    host = globus_collection("host", files={"out/data/a.dat": "a", "out/more/b.dat": "b"})
    return globus_collection("shared", host=host, base_path="/out")


@pytest.fixture
def other(cli: GlobusCli) -> Client:
    """Another service account, that may nothing."""
    return cli.sandbox.add_client("other")


def share(cli: GlobusCli, where: str, *arguments: str) -> str:
    """Share a folder; return the id of the rule."""
    message, rule = cli.text(*PERMISSION, "create", where, *arguments).splitlines()
    assert message == "Message: Access rule created successfully."
    return rule.removeprefix("Rule ID:").strip()


def rows(cli: GlobusCli, shared: CollectionFolder) -> list[list[str]]:
    text = cli.text(*PERMISSION, "list", shared.id)
    return [[cell.strip() for cell in row.split("|")] for row in text.splitlines()[2:]]


def test_a_folder_is_shared_with_somebody(cli: GlobusCli, shared: CollectionFolder, other: Client) -> None:
    username, theirs = f"{other.id}@clients.auth.globus.org", cli.of(other)
    refused = theirs.json("ls", f"{shared.id}:/data/", fails=1)
    assert refused["code"] == "PermissionDenied"
    rule = share(cli, f"{shared.id}:/data/", "--permissions", "r", "--identity", username)
    assert theirs.text("ls", f"{shared.id}:/data/").split() == ["a.dat"]
    assert "403" in theirs.text("ls", f"{shared.id}:/more/", fails=1)
    assert "403" in theirs.text("mkdir", f"{shared.id}:/data/new", fails=1)
    shown = cli.text(*PERMISSION, "show", shared.id, rule)
    facts = {name: value.strip() for name, _, value in (line.partition(":") for line in shown.splitlines())}
    assert facts == {
        "Rule ID": rule, "Permissions": "r", "Shared With": username, "Path": "/data/", "Expiration Date": "None",
    }  # fmt: skip


def test_rules_are_listed_with_the_owners_own(cli: GlobusCli, shared: CollectionFolder, other: Client) -> None:
    rule = share(cli, f"{shared.id}:/data/", "--permissions", "rw", "--identity", other.id)
    me, them = (f"{name}@clients.auth.globus.org" for name in (cli.sandbox.client_id, other.id))
    assert rows(cli, shared) == [["None", "rw", me, "/"], [rule, "rw", them, "/data/"]]


@pytest.mark.parametrize("who", ["anonymous", "all-authenticated"])
def test_a_folder_is_shared_with_everybody(cli: GlobusCli, shared: CollectionFolder, other: Client, who: str) -> None:
    rule = share(cli, f"{shared.id}:/", "--permissions", "r", f"--{who}")
    shown = cli.json(*PERMISSION, "show", shared.id, rule)
    assert shown["principal_type"] == {"anonymous": who, "all-authenticated": "all_authenticated_users"}[who]
    assert rule in [row[0] for row in rows(cli, shared)]
    assert cli.of(other).text("ls", f"{shared.id}:/data/").split() == ["a.dat"]


def test_a_folder_is_shared_with_a_group(cli: GlobusCli, shared: CollectionFolder, other: Client) -> None:
    group = cli.json("group", "create", "Team", "--description", "")["id"]
    rule = share(cli, f"{shared.id}:/", "--permissions", "r", "--group", group)
    assert [row[2] for row in rows(cli, shared) if row[0] == rule] == [f"https://app.globus.org/groups/{group}"]
    assert "403" in cli.of(other).text("ls", f"{shared.id}:/data/", fails=1)
    cli.text("group", "member", "add", group, other.id)
    assert cli.of(other).text("ls", f"{shared.id}:/data/").split() == ["a.dat"]


def test_permissions_are_changed(cli: GlobusCli, shared: CollectionFolder, other: Client) -> None:
    rule = share(cli, f"{shared.id}:/data/", "--permissions", "r", "--identity", other.id)
    said = cli.text(*PERMISSION, "update", shared.id, rule, "--permissions", "rw")
    assert said.strip() == f"Access rule '{rule}' permissions updated successfully"
    cli.of(other).text("mkdir", f"{shared.id}:/data/new")
    assert (shared.folder / "data/new").is_dir()


def test_a_rule_ends_by_itself(cli: GlobusCli, shared: CollectionFolder, other: Client) -> None:
    clock = cli.sandbox.clock
    clock.freeze()
    until = (iso(clock.time() + 3600) or "").removesuffix("+00:00")
    asked = ("--permissions", "r", "--identity", other.id, "--expiration-date", until)
    rule = share(cli, f"{shared.id}:/data/", *asked)
    assert cli.json(*PERMISSION, "show", shared.id, rule)["expiration_date"].startswith(until)
    theirs = cli.of(other)
    theirs.text("ls", f"{shared.id}:/data/")
    clock.advance(3601)
    assert "403" in theirs.text("ls", f"{shared.id}:/data/", fails=1)


def test_a_rule_is_deleted(cli: GlobusCli, shared: CollectionFolder, other: Client) -> None:
    rule = share(cli, f"{shared.id}:/data/", "--permissions", "r", "--identity", other.id)
    said = cli.text(*PERMISSION, "delete", shared.id, rule)
    assert said.strip() == f"Access rule '{rule}' deleted successfully"
    assert "403" in cli.of(other).text("ls", f"{shared.id}:/data/", fails=1)
    assert [row[0] for row in rows(cli, shared)] == ["None"]


def test_somebody_new_is_made_known(cli: GlobusCli, shared: CollectionFolder) -> None:
    create = (*PERMISSION, "create", f"{shared.id}:/data/", "--permissions", "r")
    said = cli.text(*create, "--identity", "new@example.org", fails=2)
    assert "Identity does not exist" in said
    share(cli, f"{shared.id}:/data/", "--permissions", "r", "--provision-identity", "new@example.org")
    assert "new@example.org" in [row[2] for row in rows(cli, shared)]


def test_a_manager_of_access_shares_what_is_not_theirs(
    cli: GlobusCli, gcs: GCSClient, shared: CollectionFolder, other: Client
) -> None:
    arguments = (f"{shared.id}:/data/", "--permissions", "r", "--all-authenticated")
    theirs = cli.of(other)
    said = theirs.text(*PERMISSION, "create", *arguments, fails=1)
    assert "code:             PermissionDenied" in said
    assert "effective access_manager role" in said
    principal = f"urn:globus:auth:identity:{other.id}"
    gcs.create_role(GCSRoleDocument(collection=shared.id, principal=principal, role="access_manager"))
    assert share(theirs, *arguments)
    assert shared.id in theirs.text("endpoint", "my-shared-endpoint-list", _host(cli, shared))


def _host(cli: GlobusCli, shared: CollectionFolder) -> str:
    return str(cli.json("gcs", "collection", "show", shared.id)["mapped_collection_id"])


def test_a_folder_is_shared_once_with_the_same(cli: GlobusCli, shared: CollectionFolder, other: Client) -> None:
    arguments = (f"{shared.id}:/data/", "--permissions", "r", "--identity", other.id)
    share(cli, *arguments)
    refused = cli.json(*PERMISSION, "create", *arguments, fails=1)
    assert refused["code"] == "Exists"
    assert "HTTP status:      409" in cli.text(*PERMISSION, "create", *arguments, fails=1)


def test_only_guest_collections_are_shared(cli: GlobusCli, shared: CollectionFolder) -> None:
    said = cli.text(*PERMISSION, "create", f"{_host(cli, shared)}:/", "--permissions", "r", "--anonymous", fails=1)
    assert "HTTP status:      400" in said
    assert "is not a guest collection" in said


@pytest.mark.parametrize("command", [("show",), ("update", "--permissions", "r"), ("delete",)])
def test_an_unknown_rule_is_refused(cli: GlobusCli, shared: CollectionFolder, command: tuple[str, ...]) -> None:
    said = cli.text(*PERMISSION, *command, shared.id, UNKNOWN, fails=1)
    assert "HTTP status:      404" in said
    assert "code:             AccessRuleNotFound" in said


def test_a_date_that_has_passed_is_refused(cli: GlobusCli, shared: CollectionFolder) -> None:
    arguments = ("--permissions", "r", "--anonymous", "--expiration-date", "1999-01-01")
    refused = cli.json(*PERMISSION, "create", f"{shared.id}:/data/", *arguments, fails=1)
    assert "expiration_date" in refused["message"]
