"""`globus endpoint …`: find collections, look at them, change and delete those that Transfer manages, and their roles.

What Connect Server manages is in `test_cli_connect_server.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.auth.models import Client
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.conformance.conftest import GlobusCli

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def laptop(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("Laptop", files={"a": ""}, kind="personal")


@pytest.fixture
def other(cli: GlobusCli) -> Client:
    """Another service account, that may nothing."""
    return cli.sandbox.add_client("other")


def found(cli: GlobusCli, *arguments: str) -> set[str]:
    """Return the names of what a search finds."""
    return {item["display_name"] for item in cli.json("endpoint", "search", *arguments)["DATA"]}


def facts(text: str) -> dict[str, str]:
    """Read a record that the CLI prints."""
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


# search


@pytest.fixture
def world(
    cli: GlobusCli, laptop: CollectionFolder, other: Client, globus_collection: CollectionFactory
) -> dict[str, CollectionFolder]:
    """Return collections of all kinds, mine and another's."""
    mapped = globus_collection("Beamline")
    shared = globus_collection("Beamline share", host=mapped, base_path="/out")
    theirs = globus_collection("Their cluster", owner=other.id)
    gift = globus_collection("Gift", host=theirs, base_path="/gift", owner=other.id)
    secret = globus_collection("Secret cluster", owner=other.id, public=False)
    cli.sandbox.world.transfer.add_rule(gift.id, path="/", principal=cli.sandbox.client_id)
    return {item.name: item for item in (laptop, mapped, shared, theirs, gift, secret)}


def test_endpoints_are_found_by_words(cli: GlobusCli, world: dict[str, CollectionFolder]) -> None:
    assert found(cli, "beamline") == {"Beamline", "Beamline share"}
    assert found(cli, "share beam") == {"Beamline share"}
    assert found(cli, "synchrotron") == set()


@pytest.mark.parametrize("field", ["description", "keywords", "organization", "department"])
def test_endpoints_are_found_by_what_is_said_of_them(cli: GlobusCli, laptop: CollectionFolder, field: str) -> None:
    cli.text("endpoint", "update", laptop.id, f"--{field}", "synchrotron")
    assert found(cli, "synchrotron") == {"Laptop"}


def test_what_is_found_is_shown(cli: GlobusCli, world: dict[str, CollectionFolder]) -> None:
    head, _, *rows = cli.text("endpoint", "search", "laptop").splitlines()
    assert [column.strip() for column in head.split("|")] == ["ID", "Owner", "Display Name", "Domain"]
    (row,) = ([cell.strip() for cell in row.split("|")] for row in rows)
    assert row == [world["Laptop"].id, f"{cli.sandbox.client_id}@clients.auth.globus.org", "Laptop", "None"]


@pytest.mark.parametrize(
    ("scope", "names"),
    [
        ("my-gcp-endpoints", {"Laptop"}),
        ("my-endpoints", {"Laptop", "Beamline", "Beamline share", "Globus sandbox endpoint"}),
        ("shared-by-me", {"Beamline share"}),
        ("shared-with-me", {"Gift"}),
        ("administered-by-me", {"Laptop", "Beamline", "Beamline share", "Globus sandbox endpoint"}),
        ("recently-used", {"Laptop"}),
        ("in-use", {"Beamline", "Beamline share"}),
    ],
)
def test_a_search_is_narrowed_to_a_scope(
    cli: GlobusCli, world: dict[str, CollectionFolder], scope: str, names: set[str]
) -> None:
    if scope == "recently-used":
        cli.text("ls", world["Laptop"].id)
    if scope == "in-use":
        cli.sandbox.world.transfer.hold()
        cli.text("transfer", f"{world['Beamline'].id}:/x", f"{world['Beamline share'].id}:/x")
    assert found(cli, "--filter-scope", scope) == names


def test_a_search_is_narrowed_to_a_kind_and_an_owner(cli: GlobusCli, world: dict[str, CollectionFolder]) -> None:
    mine = ("--filter-scope", "my-endpoints")
    assert found(cli, *mine, "--filter-entity-type", "GCSv5_guest_collection") == {"Beamline share"}
    assert found(cli, *mine, "--filter-entity-type", "GCSv5_mapped_collection") == {"Beamline"}
    assert found(cli, *mine, "--filter-entity-type", "GCP_mapped_collection") == {"Laptop"}
    assert found(cli, *mine, "--filter-entity-type", "GCSv5_endpoint") == {"Globus sandbox endpoint"}
    me = f"{cli.sandbox.client_id}@clients.auth.globus.org"
    assert found(cli, "--filter-owner-id", me, "a") == {"Laptop"}


def test_private_collections_are_for_those_who_may_know(
    cli: GlobusCli, world: dict[str, CollectionFolder], other: Client
) -> None:
    assert found(cli, "cluster") == {"Their cluster"}
    assert found(cli.of(other), "cluster") == {"Their cluster", "Secret cluster"}


def test_a_search_has_a_limit(cli: GlobusCli, globus_collection: CollectionFactory) -> None:
    for number in range(30):
        globus_collection(f"shelf {number}", kind="personal")
    assert len(found(cli, "shelf")) == 25
    assert len(found(cli, "shelf", "--limit", "30")) == 30
    assert len(found(cli, "shelf", "--limit", "3")) == 3


# show, update, delete


def test_a_collection_on_a_laptop_is_shown(cli: GlobusCli, laptop: CollectionFolder) -> None:
    shown = facts(cli.text("endpoint", "show", laptop.id))
    expected = {
        "Display Name": "Laptop", "ID": laptop.id, "Owner": f"{cli.sandbox.client_id}@clients.auth.globus.org",
        "Domain": "None", "Shareable": "True", "Visibility": "True", "Force Encryption": "False",
        "Managed Endpoint": "False", "GCP Connected": "True", "GCP Paused (macOS only)": "False",
    }  # fmt: skip
    assert shown.items() >= expected.items()
    assert cli.json("endpoint", "show", laptop.id)["entity_type"] == "GCP_mapped_collection"


def test_a_collection_on_a_laptop_is_changed(cli: GlobusCli, laptop: CollectionFolder) -> None:
    said = cli.text(
        "endpoint", "update", laptop.id, "--display-name", "Desktop", "--description", "Mine", "--keywords", "a,b",
        "--organization", "Lab", "--department", "Physics", "--contact-email", "me@example.org", "--contact-info",
        "Room 1", "--info-link", "https://example.org", "--force-encryption", "--default-directory", "/data/",
        "--disable-verify", "--private",
    )  # fmt: skip
    assert said.strip() == "Endpoint updated successfully"
    shown = facts(cli.text("endpoint", "show", laptop.id))
    expected = {
        "Display Name": "Desktop", "Description": "Mine", "Keywords": "a,b", "Organization": "Lab",
        "Department": "Physics", "Contact E-mail": "me@example.org", "Other Contact Info": "Room 1",
        "Endpoint Info Link": "https://example.org", "Force Encryption": "True", "Default Directory": "/data/",
        "Visibility": "False",
    }  # fmt: skip
    assert shown.items() >= expected.items()
    assert cli.json("endpoint", "show", laptop.id)["disable_verify"] is True
    cli.text("endpoint", "update", laptop.id, "--description", "")
    assert facts(cli.text("endpoint", "show", laptop.id))["Description"] == "None"


def test_an_endpoint_is_deleted(cli: GlobusCli, laptop: CollectionFolder) -> None:
    assert cli.text("endpoint", "delete", laptop.id).strip() == "Endpoint deleted successfully"
    assert (laptop.folder / "a").exists()
    assert found(cli, "--filter-scope", "my-gcp-endpoints") == set()
    assert cli.json("endpoint", "show", laptop.id, fails=1)["code"] == "EndpointDeleted"


def test_what_is_shared_from_a_collection_is_listed(
    cli: GlobusCli, world: dict[str, CollectionFolder], other: Client
) -> None:
    listed = cli.text("endpoint", "my-shared-endpoint-list", world["Beamline"].id)
    assert "Beamline share" in listed
    assert [item["id"] for item in cli.json("endpoint", "my-shared-endpoint-list", world["Beamline"].id)["DATA"]] == [
        world["Beamline share"].id
    ]
    assert cli.of(other).json("endpoint", "my-shared-endpoint-list", world["Beamline"].id)["DATA"] == []


@pytest.mark.parametrize(
    "command",
    [
        ("show", UNKNOWN),
        ("update", UNKNOWN, "--description", "x"),
        ("delete", UNKNOWN),
        ("my-shared-endpoint-list", UNKNOWN),
        ("permission", "list", UNKNOWN),
        ("role", "list", UNKNOWN),
    ],
)
def test_an_unknown_endpoint_is_refused(cli: GlobusCli, command: tuple[str, ...]) -> None:
    said = cli.text("endpoint", *command, fails=1)
    assert "HTTP status:      404" in said
    assert "code:             EndpointNotFound" in said
    assert f"No such endpoint '{UNKNOWN}'" in said


def test_somebody_elses_endpoint_is_not_changed(cli: GlobusCli, laptop: CollectionFolder, other: Client) -> None:
    for command in (("update", laptop.id, "--description", "x"), ("delete", laptop.id), ("role", "list", laptop.id)):
        refused = cli.of(other).json("endpoint", *command, fails=1)
        assert refused["code"] == "PermissionDenied"
        assert "effective administrator role" in refused["message"]
    assert cli.json("endpoint", "show", laptop.id)["description"] is None


# role


def test_the_life_of_a_role(cli: GlobusCli, laptop: CollectionFolder, other: Client) -> None:
    role, username = ("endpoint", "role"), f"{other.id}@clients.auth.globus.org"
    made = cli.text(*role, "create", laptop.id, "--role", "administrator", "--identity", username)
    role_id = made.removeprefix("ID: ").strip()
    shown = facts(cli.text(*role, "show", laptop.id, role_id))
    assert shown == {
        "Principal Type": "identity", "Principal": username, "Role": "administrator",
    }  # fmt: skip
    rows = [[cell.strip() for cell in row.split("|")] for row in cli.text(*role, "list", laptop.id).splitlines()[2:]]
    me = f"{cli.sandbox.client_id}@clients.auth.globus.org"
    assert rows == [
        ["identity", "None", me, "administrator"], ["identity", role_id, username, "administrator"],
    ]  # fmt: skip
    cli.of(other).text("endpoint", "update", laptop.id, "--description", "by the other")
    assert cli.text(*role, "delete", laptop.id, role_id).strip() == f"Role '{role_id}' deleted successfully"
    assert cli.json(*role, "show", laptop.id, role_id, fails=1)["code"] == "RoleNotFound"
    cli.of(other).text("endpoint", "update", laptop.id, "--description", "again", fails=1)


def test_a_role_is_given_once(cli: GlobusCli, laptop: CollectionFolder, other: Client) -> None:
    create = ("endpoint", "role", "create", laptop.id, "--role", "activity_monitor", "--identity", other.id)
    cli.text(*create)
    assert "HTTP status:      409" in cli.text(*create, fails=1)


def test_a_role_needs_somebody(cli: GlobusCli, laptop: CollectionFolder) -> None:
    create = ("endpoint", "role", "create", laptop.id, "--role", "administrator")
    assert "Identity does not exist" in cli.text(*create, "--identity", "nobody@example.org", fails=2)
    role_id = cli.json(*create, "--provision-identity", "new@example.org")["id"]
    assert "new@example.org" in cli.text("endpoint", "role", "show", laptop.id, role_id)
