"""`globus gcp …`: collections of Globus Connect Personal, and the subscriptions they are under."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.conformance.conftest import GlobusCli

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def laptop(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("laptop", files={"out/a.dat": "a", "private/b.dat": "b"}, kind="personal")


def facts(text: str) -> dict[str, str]:
    """Read a record that the CLI prints."""
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


# mapped


def test_a_collection_is_registered_for_a_laptop(cli: GlobusCli) -> None:
    made = facts(cli.text("gcp", "create", "mapped", "Laptop", "--description", "mine", "--private"))
    assert made.keys() == {"Message", "Collection ID", "Setup Key"}
    uuid.UUID(made["Setup Key"])
    shown = cli.json("endpoint", "show", made["Collection ID"])
    assert (shown["display_name"], shown["description"], shown["public"]) == ("Laptop", "mine", False)
    assert (shown["entity_type"], shown["gcp_connected"]) == ("GCP_mapped_collection", False)


def test_a_laptop_that_was_never_set_up_is_not_connected(cli: GlobusCli) -> None:
    made = cli.json("gcp", "create", "mapped", "Laptop")["id"]
    refused = cli.json("ls", f"{made}:/", fails=1)
    assert refused["code"] == "ExternalError.DirListingFailed.GCDisconnected"


def test_a_collection_is_changed(cli: GlobusCli, laptop: CollectionFolder) -> None:
    said = cli.text(
        "gcp", "update", "mapped", laptop.id, "--display-name", "Desk", "--keywords", "a,b", "--default-directory",
        "/out/", "--verify", "force", "--user-message", "Hello",
    )  # fmt: skip
    assert said.strip() == "Endpoint updated successfully"
    shown = cli.json("endpoint", "show", laptop.id)
    assert (shown["display_name"], shown["keywords"], shown["user_message"]) == ("Desk", "a,b", "Hello")
    assert (shown["disable_verify"], shown["force_verify"]) == (False, True)
    assert cli.text("ls", laptop.id).split() == ["a.dat"]


# guest


def test_a_folder_of_a_laptop_becomes_a_collection(cli: GlobusCli, laptop: CollectionFolder) -> None:
    made = facts(cli.text("gcp", "create", "guest", "Shared", f"{laptop.id}:/out/", "--description", "for all"))
    guest = made["Collection ID"]
    shown = cli.json("endpoint", "show", guest)
    assert (shown["entity_type"], shown["host_endpoint_id"]) == ("GCP_guest_collection", laptop.id)
    assert (shown["display_name"], shown["description"]) == ("Shared", "for all")
    assert shown["host_path"].rstrip("/") == "/out"
    assert cli.text("ls", f"{guest}:/").split() == ["a.dat"]
    assert guest in cli.text("endpoint", "my-shared-endpoint-list", laptop.id)


def test_a_folder_of_a_laptop_is_shared(cli: GlobusCli, laptop: CollectionFolder) -> None:
    guest = cli.json("gcp", "create", "guest", "Shared", f"{laptop.id}:/out/")["id"]
    other = cli.sandbox.add_client("other")
    assert cli.of(other).json("ls", f"{guest}:/", fails=1)["code"] == "PermissionDenied"
    cli.text("endpoint", "permission", "create", f"{guest}:/", "--permissions", "r", "--identity", other.id)
    assert cli.of(other).text("ls", f"{guest}:/").split() == ["a.dat"]
    assert cli.of(other).json("ls", f"{laptop.id}:/", fails=1)["code"] == "PermissionDenied"


def test_a_guest_collection_is_changed_and_deleted(cli: GlobusCli, laptop: CollectionFolder) -> None:
    guest = cli.json("gcp", "create", "guest", "Shared", f"{laptop.id}:/out/")["id"]
    said = cli.text("gcp", "update", "guest", guest, "--display-name", "Open", "--activity-notifications", "all")
    assert said.strip() == "Endpoint updated successfully"
    assert cli.json("endpoint", "show", guest)["display_name"] == "Open"
    cli.text("endpoint", "delete", guest)
    assert cli.json("ls", f"{guest}:/", fails=1)["code"] == "EndpointDeleted"
    assert cli.text("ls", f"{laptop.id}:/out").split() == ["a.dat"]


def test_a_guest_collection_needs_a_laptop_of_ones_own(cli: GlobusCli, laptop: CollectionFolder) -> None:
    create = ("gcp", "create", "guest", "Shared")
    assert cli.json(*create, f"{UNKNOWN}:/", fails=1)["code"] == "EndpointNotFound"
    theirs = cli.of(cli.sandbox.add_client("other"))
    assert theirs.json(*create, f"{laptop.id}:/out/", fails=1)["code"] == "PermissionDenied"


def test_what_is_no_laptop_is_managed_elsewhere(cli: GlobusCli, globus_collection: CollectionFactory) -> None:
    mapped = globus_collection("mapped")
    said = cli.text("gcp", "update", "mapped", mapped.id, "--description", "x", fails=1)
    assert "HTTP status:      409" in said
    assert f"globus gcs collection delete {mapped.id}" in cli.text("endpoint", "delete", mapped.id, fails=3)


# Subscriptions


@pytest.fixture
def subscription(cli: GlobusCli) -> str:
    """Return a subscription that the default client administers."""
    made = str(uuid.uuid4())
    cli.sandbox.add_group("Subscribers", subscription={"id": made})
    return made


def test_a_laptop_is_put_under_a_subscription(cli: GlobusCli, laptop: CollectionFolder, subscription: str) -> None:
    said = cli.text("gcp", "set-subscription-id", laptop.id, subscription)
    assert said.strip() == "Endpoint updated successfully"
    shown = facts(cli.text("endpoint", "show", laptop.id))
    assert (shown["Managed Endpoint"], shown["Subscription ID"]) == ("True", subscription)
    cli.text("gcp", "set-subscription-id", laptop.id, "null")
    assert facts(cli.text("endpoint", "show", laptop.id))["Subscription ID"] == "None"


def test_the_older_name_of_setting_a_subscription(cli: GlobusCli, laptop: CollectionFolder, subscription: str) -> None:
    cli.text("endpoint", "set-subscription-id", laptop.id, subscription)
    assert cli.json("endpoint", "show", laptop.id)["subscription_id"] == subscription


def test_a_collection_is_made_under_a_subscription(cli: GlobusCli, subscription: str) -> None:
    made = cli.json("gcp", "create", "mapped", "Laptop", "--subscription-id", subscription)["id"]
    assert cli.json("endpoint", "show", made)["subscription_id"] == subscription


def test_a_subscription_of_others_is_refused(cli: GlobusCli, laptop: CollectionFolder) -> None:
    refused = cli.json("gcp", "set-subscription-id", laptop.id, UNKNOWN, fails=1)
    assert refused["code"] == "PermissionDenied"
    assert UNKNOWN in refused["message"]


def test_a_collection_is_verified_by_its_subscription(
    cli: GlobusCli, laptop: CollectionFolder, subscription: str
) -> None:
    verify = ("gcp", "set-subscription-admin-verified", laptop.id)
    assert "must be associated with a subscription" in cli.text(*verify, "true", fails=1)
    cli.text("gcp", "set-subscription-id", laptop.id, subscription)
    theirs = cli.of(cli.sandbox.add_client("other"))
    assert theirs.json(*verify, "true", fails=1)["code"] == "PermissionDenied"
    for status in ("true", "false"):
        cli.text(*verify, status)
        assert cli.json("endpoint", "show", laptop.id)["subscription_admin_verified"] is (status == "true")
