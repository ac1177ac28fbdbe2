"""Connect Server through `@globus/sdk`, over TLS: its management, and the files of its collections over HTTPS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from globus_sdk import ConnectorTable
from globus_sdk.scopes import GCSCollectionScopes

from airflow_provider_globus.sandbox.auth.scopes import ENDPOINT_ID
from tests.conformance.conftest import gcs_client

if TYPE_CHECKING:
    import globus_sdk

    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.conformance.javascript.sdk import JavaScriptSdk

POSIX = ConnectorTable.POSIX.connector_id
GATEWAY = {
    "DATA_TYPE": "storage_gateway#1.0.0",
    "display_name": "Scratch",
    "connector_id": POSIX,
    "policies": {"DATA_TYPE": "posix_storage_policies#1.0.0"},
}


@pytest.fixture
def gcs(js: JavaScriptSdk) -> globus_sdk.GCSClient:
    """The Python SDK's client of the same Connect Server."""
    return gcs_client(js.sandbox)


@pytest.fixture
def server(js: JavaScriptSdk) -> dict[str, str]:
    """How the SDK is told of a Connect Server."""
    return {"host": js.sandbox.tls_url, "endpoint_id": ENDPOINT_ID}


def whole(answer: Any) -> Any:
    """The document that the Python SDK got, with what it is wrapped in."""
    return getattr(answer, "full_data", answer.data)


def test_the_endpoint_is_shown_and_changed(
    js: JavaScriptSdk, gcs: globus_sdk.GCSClient, server: dict[str, str]
) -> None:
    # Who asks what there is needs no login, and may not know the endpoint yet.
    info = js.call("gcs.versioning.info", {"host": server["host"]})
    assert info == whole(gcs.get_gcs_info())
    assert info["data"][0]["endpoint_id"] == ENDPOINT_ID
    # By its address alone the SDK knows the servers in Globus's own domain only.
    assert js.value("gcs.utils.getEndpointIdFromURL", server["host"]) is None
    shown = js.call("gcs.endpoint.get", server)
    assert shown == whole(gcs.get_endpoint())
    change = {"DATA_TYPE": "endpoint#1.2.0", "display_name": "Beamline"}
    assert js.call("gcs.endpoint.patch", server, payload=change)["code"] == "success"
    replacement = {**js.call("gcs.endpoint.get", server)["data"][0], "organization": "Lab"}
    assert js.call("gcs.endpoint.update", server, payload=replacement)["code"] == "success"
    assert (gcs.get_endpoint()["display_name"], gcs.get_endpoint()["organization"]) == ("Beamline", "Lab")
    assert js.call("gcs.nodes.getAll", server)["data"]


def test_a_storage_gateway_from_its_making_to_its_end(
    js: JavaScriptSdk, gcs: globus_sdk.GCSClient, server: dict[str, str]
) -> None:
    gateway = js.call("gcs.storageGateways.create", server, payload=GATEWAY)["data"][0]
    shown = js.call("gcs.storageGateways.get", server, gateway["id"])
    assert shown == whole(gcs.get_storage_gateway(gateway["id"]))
    change = {"DATA_TYPE": "storage_gateway#1.0.0", "display_name": "Renamed"}
    js.call("gcs.storageGateways.patch", server, gateway["id"], payload=change)
    replacement = {**js.call("gcs.storageGateways.get", server, gateway["id"])["data"][0], "users_deny": ["root"]}
    js.call("gcs.storageGateways.update", server, gateway["id"], payload=replacement)
    listed = js.call("gcs.storageGateways.getAll", server, query={"include": "private_policies"})
    assert listed == whole(gcs.get_storage_gateway_list(include="private_policies"))
    assert [(one["display_name"], one["users_deny"]) for one in listed["data"]] == [("Renamed", ["root"])]
    js.call("gcs.storageGateways.remove", server, gateway["id"])
    assert js.call("gcs.storageGateways.getAll", server)["data"] == []


def test_collections_credentials_and_roles(
    js: JavaScriptSdk, gcs: globus_sdk.GCSClient, server: dict[str, str]
) -> None:
    gateway_id = js.call("gcs.storageGateways.create", server, payload=GATEWAY)["data"][0]["id"]
    document = {
        "DATA_TYPE": "collection#1.16.0",
        "collection_type": "mapped",
        "collection_base_path": "/",
        "display_name": "instrument",
        "storage_gateway_id": gateway_id,
        "allow_guest_collections": True,
        "public": True,
    }
    mapped = js.call("gcs.collections.create", server, payload=document)["data"][0]["id"]
    assert js.call("gcs.collections.get", server, mapped) == whole(gcs.get_collection(mapped))
    change = {"DATA_TYPE": "collection#1.16.0", "display_name": "detector", "delete_protected": False}
    js.call("gcs.collections.patch", server, mapped, payload=change)
    replacement = {**js.call("gcs.collections.get", server, mapped)["data"][0], "description": "raw"}
    js.call("gcs.collections.update", server, mapped, payload=replacement)
    assert gcs.get_collection(mapped)["description"] == "raw"
    listed = js.call("gcs.collections.getAll", server, query={"filter": ["mapped_collections"]})
    assert listed == whole(gcs.get_collection_list(filter=["mapped_collections"]))
    assert [one["display_name"] for one in listed["data"]] == ["detector"]

    credential = {"DATA_TYPE": "user_credential#1.0.0", "storage_gateway_id": gateway_id}
    credential_id = js.call("gcs.userCredentials.create", server, payload=credential)["data"][0]["id"]
    assert js.call("gcs.userCredentials.get", server, credential_id) == (whole(gcs.get_user_credential(credential_id)))
    name = {"DATA_TYPE": "user_credential#1.0.0", "display_name": "mine"}
    js.call("gcs.userCredentials.patch", server, credential_id, payload=name)
    assert [one["display_name"] for one in js.call("gcs.userCredentials.getAll", server)["data"]] == ["mine"]
    replacement = {**js.call("gcs.userCredentials.get", server, credential_id)["data"][0], "display_name": "ours"}
    js.call("gcs.userCredentials.update", server, credential_id, payload=replacement)
    assert gcs.get_user_credential(credential_id)["display_name"] == "ours"
    js.call("gcs.userCredentials.remove", server, credential_id)

    ada = js.sandbox.add_identity("ada@example.org").id
    role = {"DATA_TYPE": "role#1.0.0", "collection": mapped, "role": "administrator"}
    role_id = js.call("gcs.roles.create", server, payload={**role, "principal": f"urn:globus:auth:identity:{ada}"})
    role_id = role_id["data"][0]["id"]
    assert js.call("gcs.roles.get", server, role_id) == whole(gcs.get_role(role_id))
    query = {"collection_id": mapped, "include": "all_roles"}
    listed = js.call("gcs.roles.getAll", server, query=query)
    assert listed == whole(gcs.get_role_list(collection_id=mapped, include="all_roles"))
    js.call("gcs.roles.remove", server, role_id)
    assert js.refused("gcs.roles.get", server, role_id)[0] == 404
    js.call("gcs.collections.remove", server, mapped)
    assert js.refused("gcs.collections.get", server, mapped)[0] == 404


def test_a_guest_collection_needs_a_consent_that_the_sdk_asks_for(
    js: JavaScriptSdk, gcs: globus_sdk.GCSClient, server: dict[str, str], globus_collection: CollectionFactory
) -> None:
    mapped = globus_collection("mapped", files={"run/a.dat": "a"})
    gcs.update_collection(mapped.id, {"DATA_TYPE": "collection#1.16.0", "allow_guest_collections": True})
    gcs.create_user_credential(
        {
            "DATA_TYPE": "user_credential#1.0.0",
            "storage_gateway_id": gcs.get_collection(mapped.id)["storage_gateway_id"],
        }
    )
    document = {
        "DATA_TYPE": "collection#1.16.0",
        "collection_type": "guest",
        "mapped_collection_id": mapped.id,
        "collection_base_path": "/run",
        "display_name": "shared",
        "public": True,
    }
    status, error = js.refused("gcs.collections.create", server, payload=document)
    assert (status, error["code"]) == (403, "permission_denied")
    assert js.value("errors.isErrorWellFormed", error)
    assert js.value("errors.isAuthorizationRequirementsError", error)
    wanted = js.value("errors.toAuthorizationQueryParams", error)["scope"]
    # The SDK's own scope says that the consent may be revoked alone; the server asks for it either way.
    own = js.value("gcs.getScopes", server, "NON_HIGH_ASSURANCE").replace("<MAPPED_COLLECTION_ID>", mapped.id)
    assert wanted == own.replace("[*", "[")
    js.login(own, *js.scopes()[:-1])
    guest = js.call("gcs.collections.create", server, payload=document)["data"][0]
    assert guest["mapped_collection_id"] == mapped.id
    assert js.call("transfer.endpoint.get", guest["id"])["host_path"] == "/run"


# Files over HTTPS


def place_of(js: JavaScriptSdk, collection: CollectionFolder) -> tuple[dict[str, str], str]:
    """How the SDK is told of a collection, and what the paths of its files begin with.

    In production a collection has a host of its own and the path is the file's; a sandbox has one host for all.
    """
    url = js.call("transfer.endpoint.get", collection.id)["https_server"]
    parts = urlsplit(url)
    return {"host": f"{parts.scheme}://{parts.netloc}", "endpoint_id": collection.id}, parts.path


def test_files_are_written_read_and_removed(js: JavaScriptSdk, globus_collection: CollectionFactory) -> None:
    mapped = globus_collection("mapped", files={"a.json": '{"x": 1}'})
    place, root = place_of(js, mapped)
    js.login(GCSCollectionScopes(mapped.id).https, *js.scopes())
    assert js.call("gcs.https.get", place, f"{root}/a.json") == {"x": 1}
    js.call("gcs.https.update", place, f"{root}/b.txt", body="hello", headers={"Content-Type": "text/plain"})
    assert (mapped.folder / "b.txt").read_text() == "hello"
    assert js.call("gcs.https.get", place, f"{root}/b.txt") == "hello"
    part = js.answer("gcs.https.get", place, f"{root}/b.txt", headers={"Range": "bytes=1-3"})
    assert (part.status, part.document, part.headers["content-range"]) == (206, "ell", "bytes 1-3/*")
    saved = js.answer("gcs.https.get", place, f"{root}/b.txt", query={"download": True})
    assert saved.headers["content-disposition"].startswith("attachment")
    js.call("gcs.https.remove", place, f"{root}/b.txt")
    assert not (mapped.folder / "b.txt").exists()
    assert js.refused("gcs.https.get", place, f"{root}/b.txt")[0] == 404


def test_who_has_to_log_in_is_told_the_scope(js: JavaScriptSdk, globus_collection: CollectionFactory) -> None:
    mapped = globus_collection("mapped", files={"a.txt": "a"})
    place, root = place_of(js, mapped)
    # What the server answers who is no browser.
    header: dict[str, Any] = {"X-Requested-With": "XMLHttpRequest"}
    status, error = js.refused("gcs.https.get", place, f"{root}/a.txt", headers=header)
    assert status == 401
    assert js.value("errors.isErrorWellFormed", error)
    assert js.value("errors.isAuthorizationRequirementsError", error)
    wanted = js.value("errors.toAuthorizationQueryParams", error)["scope"]
    assert str(GCSCollectionScopes(mapped.id).https) in wanted
    js.login(wanted, *js.scopes())
    assert js.call("gcs.https.get", place, f"{root}/a.txt") == "a"
