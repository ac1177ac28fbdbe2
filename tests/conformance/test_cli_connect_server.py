"""`globus gcs …` over TLS: the endpoint and its roles, storage gateways, user credentials, collections.

`globus collection …`, `globus endpoint storage-gateway …` and `globus endpoint user-credential …` are the same
commands under older names.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import (
    GCSRoleDocument,
    GuestCollectionDocument,
    MappedCollectionDocument,
    S3StoragePolicies,
    StorageGatewayDocument,
    UserCredentialDocument,
)

from airflow_provider_globus.sandbox.auth.scopes import ENDPOINT_ID
from tests.conformance.conftest import gcs_client
from tests.unit.buckets import s3_service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from globus_sdk import GCSClient
    from mypy_boto3_s3 import S3Client

    from airflow_provider_globus.sandbox.auth.models import Client
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.conformance.conftest import GlobusCli

S3_CONNECTOR = "7643e831-5f6c-4b47-a07f-8ee90f401d23"
MINE = "5a4db0c5-0000-4000-8000-000000000001"
CREDENTIAL = {"DATA_TYPE": "user_credential#1.0.0"}


@pytest.fixture
def mapped(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("instrument", files={"run1/a.dat": "aaaa", "run2/b.dat": "bb"})


@pytest.fixture
def other(cli: GlobusCli) -> Client:
    """Another service account, that may nothing."""
    return cli.sandbox.add_client("other")


def gateway_of(cli: GlobusCli, collection: CollectionFolder) -> str:
    return str(cli.json("gcs", "collection", "show", collection.id)["storage_gateway_id"])


def credential(cli: GlobusCli, gateway: str, *more: str) -> str:
    """Make a user credential for the caller; what is printed ends in its id."""
    said = cli.text("gcs", "user-credential", "create", "posix", ENDPOINT_ID, gateway, MINE, MINE, *more)
    assert said.startswith("Created User Credential ")
    return said.split()[-1]


def share(cli: GlobusCli, mapped: CollectionFolder, path: str = "/run1") -> str:
    """Make a guest collection."""
    cli.text("gcs", "collection", "update", mapped.id, "--allow-guest-collections")
    credential(cli, gateway_of(cli, mapped))
    made = cli.json("gcs", "collection", "create", "guest", mapped.id, path, "shared")
    return str(made["id"])


# The endpoint


def test_the_endpoint_is_shown(cli: GlobusCli, gcs: GCSClient) -> None:
    shown = cli.json("gcs", "endpoint", "show", ENDPOINT_ID)
    assert shown == gcs.get_endpoint().data
    text = cli.text("gcs", "endpoint", "show", ENDPOINT_ID)
    assert shown["gcs_manager_url"] == cli.sandbox.tls_url
    assert f"GCS Manager URL:              {cli.sandbox.tls_url}" in text
    assert "Network Use (Concurrency):    normal" in text
    transfer = cli.text("endpoint", "show", ENDPOINT_ID)
    assert f"Owner:                     {ENDPOINT_ID}@clients.auth.globus.org" in transfer
    assert cli.json("endpoint", "show", ENDPOINT_ID)["entity_type"] == "GCSv5_endpoint"


def test_the_endpoint_is_changed(cli: GlobusCli, gcs: GCSClient) -> None:
    update = ("gcs", "endpoint", "update", ENDPOINT_ID)
    changed = cli.json(
        *update, "--display-name", "Beamline", "--keywords", "x-ray,tomography", "--contact-email", "help@example.org",
        "--organization", "Lab", "--department", "Physics", "--description", "Detectors", "--contact-info", "Room 1",
        "--info-link", "https://example.org", "--private", "--allow-udt", "true",
        "--gridftp-control-channel-port", "444",
    )  # fmt: skip
    assert (changed["display_name"], changed["keywords"]) == ("Beamline", ["x-ray", "tomography"])
    assert (changed["public"], changed["allow_udt"], changed["gridftp_control_channel_port"]) == (False, True, 444)
    custom = ("--max-concurrency", "8", "--preferred-concurrency", "4", "--max-parallelism", "6")
    text = cli.text(*update, "--network-use", "custom", *custom, "--preferred-parallelism", "2")
    assert "Network Use (Concurrency):    Preferred: 4, Max: 8" in text
    assert "Network Use (Parallelism):    Preferred: 2, Max: 6" in text
    assert gcs.get_endpoint()["contact_info"] == "Room 1"
    transfer = cli.json("endpoint", "show", ENDPOINT_ID)
    assert (transfer["display_name"], transfer["keywords"]) == ("Beamline", "x-ray, tomography")
    assert (transfer["contact_email"], transfer["public"]) == ("help@example.org", False)


def test_the_endpoint_is_not_changed_by_others_nor_wrongly(cli: GlobusCli, other: Client) -> None:
    update = ("gcs", "endpoint", "update", ENDPOINT_ID, "--display-name")
    said = cli.of(other).text(*update, "Mine", fails=1)
    assert "permission_denied" in said
    assert "The caller lacks the endpoint:administrator role" in said
    missing = cli.of(other).json(*update, "Mine", fails=1)["detail"]
    assert missing == {"DATA_TYPE": "missing_required_role#1.0.0", "roles": [{"role": "administrator"}]}
    assert "501" in cli.text("gcs", "endpoint", "update", ENDPOINT_ID, "--subscription-id", "DEFAULT", fails=1)
    assert "501" in cli.text("gcs", "endpoint", "set-subscription-id", ENDPOINT_ID, "DEFAULT", fails=1)
    assert cli.json("gcs", "endpoint", "show", ENDPOINT_ID)["display_name"] == "Globus sandbox endpoint"


def test_what_is_no_connect_server_endpoint_is_told_by_its_kind(cli: GlobusCli, mapped: CollectionFolder) -> None:
    kind = "Globus Connect Server v5 Mapped Collection"
    assert kind in cli.text("gcs", "endpoint", "show", mapped.id, fails=3)
    assert f"globus gcs collection show {mapped.id}" in cli.text("endpoint", "show", mapped.id, fails=3)
    assert "Server v5 Endpoint" in cli.text("gcs", "collection", "show", ENDPOINT_ID, fails=3)
    assert "not supported" in cli.text("endpoint", "update", ENDPOINT_ID, "--description", "x", fails=3)
    missing = "00000000-0000-4000-8000-000000000000"
    assert "EndpointNotFound" in cli.text("gcs", "endpoint", "show", missing, fails=1)


# Roles


def test_roles_on_the_endpoint(cli: GlobusCli, gcs: GCSClient, other: Client) -> None:
    role = ("gcs", "endpoint", "role")
    username = f"{other.id}@clients.auth.globus.org"
    made = cli.json(*role, "create", ENDPOINT_ID, "administrator", username)
    assert made == gcs.get_role(made["id"]).data
    assert made["principal"] == f"urn:globus:auth:identity:{other.id}"
    shown = cli.text(*role, "show", ENDPOINT_ID, made["id"])
    assert f"Principal: {username}" in shown
    assert made["id"] not in cli.text(*role, "list", ENDPOINT_ID)
    listed = cli.json(*role, "list", ENDPOINT_ID, "--all-roles")["DATA"]
    assert {(item["role"], item["collection"]) for item in listed} == {("owner", None), ("administrator", None)}
    assert "exists" in cli.text(*role, "create", ENDPOINT_ID, "administrator", username, fails=1)
    # The role is in force, and no longer once it is gone.
    rename = ("gcs", "endpoint", "update", ENDPOINT_ID, "--display-name", "Theirs")
    assert "Theirs" in cli.of(other).text(*rename)
    assert f"Deleted role {made['id']}" in cli.text(*role, "delete", ENDPOINT_ID, made["id"])
    assert "403" in cli.of(other).text(*rename, fails=1)
    assert "not_found" in cli.text(*role, "show", ENDPOINT_ID, made["id"], fails=1)
    assert "not_found" in cli.text(*role, "delete", ENDPOINT_ID, made["id"], fails=1)


def test_roles_on_the_endpoint_are_not_for_everybody(cli: GlobusCli, gcs: GCSClient, other: Client) -> None:
    role, theirs = ("gcs", "endpoint", "role"), cli.of(other)
    owner = next(iter(gcs.get_role_list(include="all_roles")))["id"]
    assert "endpoint:administrator" in theirs.text(*role, "create", ENDPOINT_ID, "administrator", other.id, fails=1)
    assert "endpoint:administrator" in theirs.text(*role, "list", ENDPOINT_ID, "--all-roles", fails=1)
    assert theirs.json(*role, "list", ENDPOINT_ID)["DATA"] == []
    assert "403" in theirs.text(*role, "show", ENDPOINT_ID, owner, fails=1)
    assert "403" in theirs.text(*role, "delete", ENDPOINT_ID, owner, fails=1)
    assert "conflict" in cli.text(*role, "delete", ENDPOINT_ID, owner, fails=1)
    nobody = cli.text(*role, "create", ENDPOINT_ID, "administrator", "nobody@example.org", fails=2)
    assert "not resolvable" in nobody


def test_roles_on_collections(cli: GlobusCli, gcs: GCSClient, mapped: CollectionFolder, other: Client) -> None:
    guest = share(cli, mapped)
    # The CLI has no command that makes them: through Transfer, it is for personal collections.
    make = ("endpoint", "role", "create", guest, "--identity", other.id, "--role", "activity_monitor")
    assert "Globus Connect Server Manager API" in cli.text(*make, fails=1)
    principal = f"urn:globus:auth:identity:{other.id}"
    monitor = GCSRoleDocument(collection=guest, principal=principal, role="activity_monitor")
    role_id = str(gcs.create_role(monitor)["id"])
    role = ("gcs", "collection", "role")
    document = cli.json(*role, "show", guest, role_id)
    assert document == {
        "DATA_TYPE": "role#1.0.0",
        "id": role_id,
        "collection": guest,
        "principal": principal,
        "role": "activity_monitor",
    }
    assert f"{other.id}@clients.auth.globus.org" in cli.text(*role, "show", guest, role_id)
    assert cli.json("endpoint", "role", "show", guest, role_id)["principal"] == other.id
    assert role_id not in cli.text(*role, "list", guest)
    assert role_id in cli.text(*role, "list", guest, "--all-roles")
    assert [item["role"] for item in cli.of(other).json("collection", "role", "list", guest)["data"]] == [
        "activity_monitor"
    ]
    assert "collection:administrator" in cli.of(other).text(*role, "list", guest, "--all-roles", fails=1)
    assert "403" in cli.of(other).text(*role, "delete", guest, role_id, fails=1)
    assert cli.text(*role, "delete", guest, role_id).strip() == "success"
    assert role_id not in cli.text("endpoint", "role", "list", guest)
    assert "not_found" in cli.text(*role, "show", guest, role_id, fails=1)
    made = gcs.create_role(GCSRoleDocument(collection=guest, principal=principal, role="administrator"))
    assert made["id"] in cli.text("collection", "role", "list", guest, "--all-roles")
    assert cli.of(other).text("gcs", "collection", "update", guest, "--description", "theirs").split()[-1] == "success"
    cli.text(*role, "delete", guest, made["id"])
    assert "403" in cli.of(other).text("gcs", "collection", "update", guest, "--description", "x", fails=1)


# Storage gateways


def test_storage_gateways_are_listed(cli: GlobusCli, gcs: GCSClient, mapped: CollectionFolder) -> None:
    restricted = StorageGatewayDocument(
        display_name="Archive",
        connector_id="145812c8-decc-41f1-83cf-bb2a85a2a70b",
        allowed_domains=["example.org", "clients.auth.globus.org"],
    )
    made = gcs.create_storage_gateway(restricted)["id"]
    for command in (("gcs", "storage-gateway"), ("endpoint", "storage-gateway")):
        rows = {line.split(" | ")[0] for line in cli.text(*command, "list", ENDPOINT_ID).splitlines()[2:]}
        assert rows == {made, gateway_of(cli, mapped)}
    text = cli.text("gcs", "storage-gateway", "list", ENDPOINT_ID)
    assert "clients.auth.globus.org,example.org" in text
    listed = {item["id"]: item for item in cli.json("gcs", "storage-gateway", "list", ENDPOINT_ID)["data"]}
    assert listed[made] == gcs.get_storage_gateway(made).data


# User credentials


def test_posix_credentials(cli: GlobusCli, gcs: GCSClient, mapped: CollectionFolder, other: Client) -> None:
    gateway = gateway_of(cli, mapped)
    made = credential(cli, gateway, "--display-name", "my account")
    command = ("gcs", "user-credential")
    shown = cli.json(*command, "show", ENDPOINT_ID, made)
    assert shown == gcs.get_user_credential(made).data
    assert (shown["username"], shown["display_name"], shown["invalid"]) == (MINE, "my account", False)
    text = cli.text("endpoint", "user-credential", "show", ENDPOINT_ID, made)
    assert "Connector:       POSIX" in text
    assert f"Globus Identity: {MINE}@clients.auth.globus.org" in text
    assert made in cli.text(*command, "list", ENDPOINT_ID, "--storage-gateway", gateway)
    assert cli.json(*command, "list", ENDPOINT_ID, "--storage-gateway", MINE)["data"] == []
    renamed = json.dumps(CREDENTIAL | {"display_name": "renamed"})
    assert "Updated" in cli.text(*command, "update", "from-json", ENDPOINT_ID, made, renamed)
    assert gcs.get_user_credential(made)["display_name"] == "renamed"
    moved = json.dumps(CREDENTIAL | {"username": "somebody"})
    refused = cli.json(*command, "update", "from-json", ENDPOINT_ID, made, moved, fails=1)["detail"]
    assert refused["errors"] == [{"property": "username", "message": "This property cannot be changed."}]
    theirs = cli.of(other)
    assert theirs.json(*command, "list", ENDPOINT_ID)["data"] == []
    for denied in (("show", ENDPOINT_ID, made), ("delete", ENDPOINT_ID, made)):
        assert "does not own" in theirs.text(*command, *denied, fails=1)
    assert f"Deleted User Credential {made}" in cli.text(*command, "delete", ENDPOINT_ID, made)
    assert "not_found" in cli.text(*command, "show", ENDPOINT_ID, made, fails=1)


def test_credentials_that_are_refused(cli: GlobusCli, mapped: CollectionFolder, other: Client) -> None:
    gateway = gateway_of(cli, mapped)
    create = ("gcs", "user-credential", "create")
    somebody = cli.json(*create, "posix", ENDPOINT_ID, gateway, MINE, "somebody", fails=1)
    assert somebody["detail"] == {"DATA_TYPE": "invalid_user#1.0.0", "usernames": [MINE]}
    assert "none of the caller's" in cli.text(*create, "posix", ENDPOINT_ID, gateway, other.id, other.id, fails=1)
    assert "not_found" in cli.text(*create, "posix", ENDPOINT_ID, MINE, MINE, MINE, fails=1)
    # Keys of S3 are no use on folders.
    assert "422" in cli.text(*create, "s3", ENDPOINT_ID, gateway, MINE, MINE, "key", "secret", fails=1)
    assert "Unsupported" in str(cli.json(*create, "from-json", ENDPOINT_ID, '{"x": 1}', fails=1)["detail"])
    assert cli.json("gcs", "user-credential", "list", ENDPOINT_ID)["data"] == []


# Collections


def test_mapped_collections(cli: GlobusCli, gcs: GCSClient, mapped: CollectionFolder, other: Client) -> None:
    create = ("gcs", "collection", "create", "mapped", ENDPOINT_ID)
    made = cli.json(*create, "second", "--base-path", "/run2", "--keywords", "a,b", "--description", "The second")
    assert made["collection_base_path"] == "/run2"
    assert cli.text("ls", f"{made['id']}:/").split() == ["b.dat"]
    text = cli.text("gcs", "collection", "show", made["id"])
    assert f"HTTPS URL:                   {cli.sandbox.tls_url}/https/{made['id']}" in text
    assert "Connector:                   POSIX" in text
    assert cli.json("gcs", "collection", "show", made["id"]) == gcs.get_collection(made["id"]).data
    private = cli.json("collection", "show", made["id"], "--include-private-policies")
    assert private["root_path"] == "/run2"
    assert "403" in cli.of(other).text(*create, "third", fails=1)
    nowhere = ("--storage-gateway-id", "00000000-0000-4000-8000-000000000000")
    assert "No such storage gateway" in cli.text(*create, "third", *nowhere, fails=1)
    groups = ("--posix-sharing-group-allow", "lab")
    third = cli.json(*create, "third", "--allow-guest-collections", *groups, "--private", "--disable-https")
    assert third["policies"]["sharing_groups_allow"] == ["lab"]
    assert "https_url" not in third
    gcp = ("--google-project-id", "p")
    assert "422" in cli.text(*create, "fourth", *gcp, fails=1)


def test_the_list_of_collections(cli: GlobusCli, gcs: GCSClient, mapped: CollectionFolder, other: Client) -> None:
    guest = share(cli, mapped)

    def listed(*options: str, of: GlobusCli = cli) -> set[str]:
        return {item["id"] for item in of.json("gcs", "collection", "list", ENDPOINT_ID, *options)["DATA"]}

    assert listed() == {item["id"] for item in gcs.get_collection_list()} == {mapped.id, guest}
    text = cli.text("collection", "list", ENDPOINT_ID)
    assert mapped.id in text
    assert guest in text
    assert listed("--filter", "mapped-collections") == {mapped.id}
    assert listed("--filter", "guest_collections") == {guest}
    assert listed("--filter", "guest-collections", "--filter", "mapped-collections") == set()
    assert listed("--mapped-collection-id", mapped.id) == {guest}
    assert listed("--filter", "managed-by-me", "--include-private-policies") == {mapped.id, guest}
    assert len(listed("--limit", "1")) == 1
    assert listed("--filter", "created-by-me", of=cli.of(other)) == set()
    # Of a private endpoint, everything is for those who have a role there.
    assert listed(of=cli.of(other)) == {mapped.id, guest}
    cli.text("gcs", "endpoint", "update", ENDPOINT_ID, "--private")
    refused = cli.of(other).text("gcs", "collection", "list", ENDPOINT_ID, fails=1)
    assert "Could not list collections. Insufficient permissions" in refused
    assert listed() == {mapped.id, guest}
    principal = f"urn:globus:auth:identity:{other.id}"
    gcs.create_role(GCSRoleDocument(collection=guest, principal=principal, role="activity_monitor"))
    assert listed(of=cli.of(other)) == {guest}


def test_collections_are_changed(cli: GlobusCli, gcs: GCSClient, mapped: CollectionFolder, other: Client) -> None:
    update = ("gcs", "collection", "update", mapped.id)
    restrictions = {"DATA_TYPE": "path_restrictions#1.0.0", "read": ["/run1"]}
    assert "success" in cli.text(
        *update, "--display-name", "renamed", "--user-message", "hi", "--verify", "force", "--disable-anonymous-writes",
        "--sharing-restrict-paths", json.dumps(restrictions), "--sharing-user-deny", "eve", "--sharing-user-allow",
        MINE, "--keywords", "a,b", "--force-encryption", "--default-directory", "/run1/", "--private",
    )  # fmt: skip
    now = cli.json("gcs", "collection", "show", mapped.id, "--include-private-policies")
    wanted: dict[str, Any] = {
        "display_name": "renamed", "user_message": "hi", "force_verify": True, "disable_verify": False,
        "disable_anonymous_writes": True, "sharing_restrict_paths": restrictions, "sharing_users_deny": ["eve"],
        "sharing_users_allow": [MINE], "keywords": ["a", "b"], "force_encryption": True, "public": False,
        "default_directory": "/run1/",
    }  # fmt: skip
    assert {name: now[name] for name in wanted} == wanted
    assert gcs.get_collection(mapped.id, query_params={"include": "private_policies"}).data == now
    assert "Sharing Denied Users:        ['eve']" in cli.text(
        "gcs", "collection", "show", mapped.id, "--include-private-policies"
    )
    # Transfer knows it, too.
    assert cli.text("ls", f"{mapped.id}:").split() == ["a.dat"]
    cli.text(*update, "--sharing-user-deny", "", "--sharing-restrict-paths", "null", "--verify", "default")
    now = cli.json("gcs", "collection", "show", mapped.id, "--include-private-policies")
    assert (now["sharing_users_deny"], now.get("sharing_restrict_paths"), now["force_verify"]) == ([], None, False)
    theirs = cli.of(other)
    assert "collection:administrator" in theirs.text(*update, "--description", "x", fails=1)
    assert "sharing_users_deny" not in theirs.json("collection", "show", mapped.id, "--include-private-policies")
    domain = cli.json(*update, "--domain-name", "data.example.org", fails=1)["detail"]
    assert domain["errors"][0]["property"] == "domain_name"
    assert "422" in cli.text(*update, "--display-name", "x" * 129, fails=1)


def test_a_guest_collection(cli: GlobusCli, gcs: GCSClient, mapped: CollectionFolder, other: Client) -> None:
    create = ("gcs", "collection", "create", "guest", mapped.id)
    gateway = gateway_of(cli, mapped)
    assert "No valid gcs user credentials" in cli.text(*create, "/run1", "shared", fails=1)
    made = credential(cli, gateway)
    assert "does not allow guest collections" in cli.text(*create, "/run1", "shared", fails=1)
    cli.text("gcs", "collection", "update", mapped.id, "--allow-guest-collections")
    text = cli.text(*create, "/run1", "shared", "--local-username", MINE)
    assert f"Mapped Collection ID:        {mapped.id}" in text
    (guest,) = (item["id"] for item in gcs.get_collection_list(mapped_collection_id=mapped.id))
    assert cli.json("gcs", "collection", "show", guest)["user_credential_id"] == made
    assert cli.text("ls", f"{guest}:/").split() == ["a.dat"]
    assert cli.json("endpoint", "search", "shared")["DATA"][0]["host_endpoint_id"] == mapped.id
    refused = cli.json(*create, "/nowhere", "none", fails=1)["detail"]
    assert refused["errors"][0]["property"] == "collection_base_path"
    # What the mapped collection decides is not for guest collections.
    assert "incompatible options" in cli.text("collection", "update", guest, "--allow-guest-collections", fails=2)
    assert "success" in cli.text("gcs", "collection", "update", guest, "--activity-notifications", "failed,source")
    policy = {"status": ["failed"], "transfer_use": ["source"]}
    assert gcs.get_collection(guest)["activity_notification_policy"] == policy
    # One credential too many: the CLI cannot choose.
    credential(cli, gateway)
    assert "More than one" in cli.text(*create, "/run2", "second", fails=1)
    second = cli.json(*create, "/run2", "second", "--user-credential-id", made)
    # Without its credential it is no more than a name.
    assert cli.text("ls", f"{second['id']}:/").split() == ["b.dat"]
    cli.text("gcs", "user-credential", "delete", ENDPOINT_ID, made)
    assert "502" in cli.text("ls", f"{second['id']}:/", fails=1)
    assert "Server v5 Endpoint" in cli.text("gcs", "collection", "create", "guest", ENDPOINT_ID, "/", "x", fails=3)


def test_a_guest_collection_is_shared(cli: GlobusCli, mapped: CollectionFolder, other: Client) -> None:
    guest, theirs = share(cli, mapped), cli.of(other)
    assert "403" in theirs.text("ls", f"{guest}:/", fails=1)
    rule = cli.json(
        "endpoint", "permission", "create", f"{guest}:/", "--permissions", "r", "--identity", other.id
    )["access_id"]  # fmt: skip
    assert theirs.text("ls", f"{guest}:/").split() == ["a.dat"]
    assert f"{other.id}@clients.auth.globus.org" in cli.text("endpoint", "permission", "list", guest)
    assert "403" in theirs.text("mkdir", f"{guest}:/new", fails=1)
    cli.text("endpoint", "permission", "update", guest, rule, "--permissions", "rw")
    theirs.text("mkdir", f"{guest}:/new")
    assert (mapped.folder / "run1/new").is_dir()
    assert cli.json("endpoint", "permission", "show", guest, rule)["permissions"] == "rw"
    cli.text("endpoint", "permission", "delete", guest, rule)
    assert "403" in theirs.text("ls", f"{guest}:/", fails=1)


def test_what_the_sdk_makes_is_there_for_the_cli(
    cli: GlobusCli, gcs: GCSClient, mapped: CollectionFolder, other: Client
) -> None:
    cli.text("gcs", "collection", "update", mapped.id, "--allow-guest-collections")
    gateway = gateway_of(cli, mapped)
    document = MappedCollectionDocument(
        display_name="by the SDK", collection_base_path="/run2", storage_gateway_id=gateway, public=True
    )
    second = gcs.create_collection(document)["id"]
    assert cli.text("ls", f"{second}:/").split() == ["b.dat"]
    theirs = gcs_client(cli.sandbox, other, data_access=mapped.id)
    key = theirs.create_user_credential(UserCredentialDocument(storage_gateway_id=gateway, display_name="theirs"))["id"]
    guest = theirs.create_collection(
        GuestCollectionDocument(
            display_name="theirs", collection_base_path="/run1", mapped_collection_id=mapped.id, public=True,
            user_credential_id=key,
        )
    )["id"]  # fmt: skip
    assert cli.of(other).text("ls", f"{guest}:/").split() == ["a.dat"]
    assert cli.of(other).json("endpoint", "user-credential", "show", ENDPOINT_ID, key)["display_name"] == "theirs"
    assert f"{other.id}@clients.auth.globus.org" in cli.text("gcs", "collection", "show", guest)


def test_collections_are_deleted(cli: GlobusCli, gcs: GCSClient, mapped: CollectionFolder, other: Client) -> None:
    guest = share(cli, mapped)
    delete = ("gcs", "collection", "delete")
    assert "collection:administrator" in cli.of(other).text(*delete, guest, fails=1)
    assert "delete_protected" in cli.text(*delete, mapped.id, fails=1)
    assert cli.json("collection", "delete", guest)["code"] == "success"
    assert "EndpointDeleted" in cli.text("gcs", "collection", "show", guest, fails=1)
    again = cli.json("collection", "create", "guest", mapped.id, "/run1", "again")["id"]
    document = {"DATA_TYPE": "collection#1.16.0", "delete_protected": False}
    gcs.update_collection(mapped.id, document)
    # The endpoint's own owner is not asked twice, and guest collections go with what they are on.
    assert cli.text(*delete, mapped.id).strip() == "success"
    for gone in (mapped.id, again):
        assert "EndpointDeleted" in cli.text("ls", f"{gone}:/", fails=1)
    assert (mapped.folder / "run1/a.dat").exists()


# Buckets


@pytest.fixture
def bucket() -> Iterator[S3Client]:
    with s3_service() as client:
        client.create_bucket(Bucket="raw")
        client.put_object(Bucket="raw", Key="run1/a.dat", Body=b"aaaa")
        yield client


def test_a_bucket_from_keys_to_files(cli: GlobusCli, gcs: GCSClient, bucket: S3Client) -> None:
    policies = S3StoragePolicies(
        s3_endpoint=bucket.meta.endpoint_url, s3_buckets=["raw"], s3_user_credential_required=True
    )
    mappings = {
        "DATA_TYPE": "expression_identity_mapping#1.0.0",
        "mappings": [{"source": "{username}", "match": "(.*)", "output": "{0}"}],
    }
    gateway = gcs.create_storage_gateway(
        StorageGatewayDocument(
            display_name="Buckets", connector_id=S3_CONNECTOR, policies=policies, identity_mappings=[mappings]
        )
    )["id"]
    made = cli.json("gcs", "collection", "create", "mapped", ENDPOINT_ID, "buckets", "--allow-guest-collections")
    assert (made["storage_gateway_id"], made["connector_id"]) == (gateway, S3_CONNECTOR)
    assert "502" in cli.text("ls", f"{made['id']}:/raw/", fails=1)
    me = f"{MINE}@clients.auth.globus.org"
    create = ("gcs", "user-credential", "create")
    key = cli.text(*create, "s3", ENDPOINT_ID, gateway, me, me, "key", "hush-hush").split()[-1]
    assert cli.text("ls", f"{made['id']}:/").split() == ["raw/"]
    assert cli.text("ls", f"{made['id']}:/raw/run1/").split() == ["a.dat"]
    # The key itself is for the storage alone.
    shown = cli.text("gcs", "user-credential", "show", ENDPOINT_ID, key)
    assert '"s3_key_id": "key"' in shown
    assert "hush-hush" not in shown + str(cli.sandbox.journal.entries)
    guest = cli.json("gcs", "collection", "create", "guest", made["id"], "/raw/run1", "shared")["id"]
    assert cli.text("ls", f"{guest}:/").split() == ["a.dat"]
    cli.text("gcs", "user-credential", "delete", ENDPOINT_ID, key)
    assert "502" in cli.text("ls", f"{guest}:/", fails=1)
    keys = {"DATA_TYPE": "s3_user_credential_policies#1.0.0", "s3_key_id": "key", "s3_secret_key": "hush-hush"}
    document = CREDENTIAL | {"storage_gateway_id": gateway, "policies": keys}
    assert "Created" in cli.text(*create, "from-json", ENDPOINT_ID, json.dumps(document))
    assert cli.text("ls", f"{made['id']}:/raw/run1/").split() == ["a.dat"]
