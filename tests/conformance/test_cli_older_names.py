"""`globus collection …`, `globus endpoint user-credential …`: older names of `globus gcs …`, which do the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from globus_sdk import GCSRoleDocument, S3StoragePolicies, StorageGatewayDocument

from airflow_provider_globus.sandbox.auth.scopes import ENDPOINT_ID

if TYPE_CHECKING:
    from globus_sdk import GCSClient

    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.conformance.conftest import GlobusCli

S3_CONNECTOR = "7643e831-5f6c-4b47-a07f-8ee90f401d23"
NEW, OLD = ("gcs", "collection"), ("collection",)
CREDENTIAL = ("endpoint", "user-credential")


@pytest.fixture
def mapped(cli: GlobusCli, globus_collection: CollectionFactory) -> CollectionFolder:
    made = globus_collection("instrument", files={"run1/a.dat": "aaaa"})
    cli.text(*OLD, "update", made.id, "--allow-guest-collections")
    return made


@pytest.fixture
def gateway(cli: GlobusCli, mapped: CollectionFolder) -> str:
    return str(cli.json(*OLD, "show", mapped.id)["storage_gateway_id"])


def credential(cli: GlobusCli, gateway: str) -> str:
    me = cli.sandbox.client_id
    return cli.text(*CREDENTIAL, "create", "posix", ENDPOINT_ID, gateway, me, me).split()[-1]


def test_a_collection_is_changed_and_shown(cli: GlobusCli, mapped: CollectionFolder) -> None:
    assert "success" in cli.text(*OLD, "update", mapped.id, "--description", "detector")
    shown = cli.json(*OLD, "show", mapped.id)
    assert (shown["description"], shown["allow_guest_collections"]) == ("detector", True)
    assert shown == cli.json(*NEW, "show", mapped.id)


def test_guest_collections_come_and_go(cli: GlobusCli, mapped: CollectionFolder, gateway: str) -> None:
    credential(cli, gateway)
    made = cli.json(*OLD, "create", "guest", mapped.id, "/run1", "shared")["id"]
    assert made in cli.text(*OLD, "list", ENDPOINT_ID)
    assert cli.json(*OLD, "list", ENDPOINT_ID) == cli.json(*NEW, "list", ENDPOINT_ID)
    cli.text(*OLD, "delete", made)
    assert made not in cli.text(*NEW, "list", ENDPOINT_ID)


def test_a_mapped_collection_is_made(cli: GlobusCli, mapped: CollectionFolder, gateway: str) -> None:
    options = ("--storage-gateway-id", gateway, "--base-path", "/run1")
    made = cli.json(*OLD, "create", "mapped", ENDPOINT_ID, "more", *options)
    assert (made["display_name"], made["storage_gateway_id"]) == ("more", gateway)
    assert cli.text("ls", f"{made['id']}:/").split() == ["a.dat"]


def test_roles_are_listed_shown_and_deleted(cli: GlobusCli, gcs: GCSClient, mapped: CollectionFolder) -> None:
    other = cli.sandbox.add_client("other")
    principal = f"urn:globus:auth:identity:{other.id}"
    role = gcs.create_role(GCSRoleDocument(collection=mapped.id, principal=principal, role="administrator"))["id"]
    for names in (OLD, NEW):
        assert role in cli.text(*names, "role", "list", mapped.id, "--all-roles")
        assert cli.json(*names, "role", "show", mapped.id, role)["principal"] == principal
    assert "success" in cli.text(*OLD, "role", "delete", mapped.id, role).casefold()
    assert role not in cli.text(*NEW, "role", "list", mapped.id, "--all-roles")


def test_credentials_are_made_listed_and_deleted(cli: GlobusCli, gateway: str) -> None:
    made = credential(cli, gateway)
    assert made in cli.text(*CREDENTIAL, "list", ENDPOINT_ID)
    assert cli.json(*CREDENTIAL, "show", ENDPOINT_ID, made)["storage_gateway_id"] == gateway
    cli.text(*CREDENTIAL, "delete", ENDPOINT_ID, made)
    document = {"DATA_TYPE": "user_credential#1.0.0", "storage_gateway_id": gateway}
    again = cli.text(*CREDENTIAL, "create", "from-json", ENDPOINT_ID, json.dumps(document)).split()[-1]
    assert cli.text("gcs", "user-credential", "list", ENDPOINT_ID).count(again) == 1
    assert made not in cli.text(*CREDENTIAL, "list", ENDPOINT_ID)


def test_keys_for_buckets_are_kept(cli: GlobusCli, gcs: GCSClient) -> None:
    policies = S3StoragePolicies(
        s3_endpoint="https://s3.example.org", s3_buckets=["raw"], s3_user_credential_required=True
    )
    mapping = {"source": "{username}", "match": "(.*)", "output": "{0}"}
    gateway = gcs.create_storage_gateway(
        StorageGatewayDocument(
            display_name="Buckets",
            connector_id=S3_CONNECTOR,
            policies=policies,
            identity_mappings=[{"DATA_TYPE": "expression_identity_mapping#1.0.0", "mappings": [mapping]}],
        )
    )["id"]
    me = f"{cli.sandbox.client_id}@clients.auth.globus.org"
    made = cli.text(*CREDENTIAL, "create", "s3", ENDPOINT_ID, gateway, me, me, "key", "hush-hush").split()[-1]
    shown = cli.text(*CREDENTIAL, "show", ENDPOINT_ID, made)
    assert '"s3_key_id": "key"' in shown
    assert "hush-hush" not in shown
