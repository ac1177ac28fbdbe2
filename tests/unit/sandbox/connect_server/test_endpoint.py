"""The endpoint of the GCS Manager: TLS and whom to trust, info, the endpoint document, nodes, what is not served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import globus_sdk
import pytest
import requests
from globus_sdk import GCSClient
from globus_sdk.transport import RetryConfig

from airflow_provider_globus.sandbox import GlobusSandbox
from airflow_provider_globus.sandbox.auth.scopes import ENDPOINT_ID
from tests.unit.sandbox.connect_server.conftest import POSIX, problems

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.sandbox.connect_server.conftest import Refused, Site

NO_RETRY = RetryConfig(max_retries=0)


def anonymous(url: str, retry_config: RetryConfig = NO_RETRY) -> GCSClient:
    return GCSClient(url, retry_config=retry_config)


# TLS


def test_who_does_not_trust_the_authority_is_not_answered(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert anonymous(site.sandbox.tls_url).get_gcs_info()["endpoint_id"] == ENDPOINT_ID
    monkeypatch.delenv("GLOBUS_SDK_VERIFY_SSL")
    with pytest.raises(globus_sdk.GlobusConnectionError) as error:
        anonymous(site.sandbox.tls_url).get_gcs_info()
    assert "CERTIFICATE_VERIFY_FAILED" in str(error.value.underlying_exception)


def test_two_sandboxes_have_an_authority_each(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with GlobusSandbox() as other:
        assert other.tls_url != site.sandbox.tls_url
        assert other.ca_file != site.sandbox.ca_file
        with pytest.raises(globus_sdk.GlobusConnectionError):
            anonymous(other.tls_url).get_gcs_info()
        monkeypatch.setenv("GLOBUS_SDK_VERIFY_SSL", str(other.ca_file))
        assert anonymous(other.tls_url).get_gcs_info()["endpoint_id"] == ENDPOINT_ID
        with pytest.raises(globus_sdk.GlobusConnectionError):
            anonymous(site.sandbox.tls_url).get_gcs_info()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_certificate_is_for_loopback_by_every_name(site: Site, host: str) -> None:
    url = site.sandbox.tls_url.replace("127.0.0.1", host)
    assert requests.get(f"{url}/api/info", verify=str(site.sandbox.ca_file), timeout=10).status_code == 200


def test_the_authority_lives_as_long_as_the_sandbox(tmp_path: Path) -> None:
    sandbox = GlobusSandbox()

    def ca_file() -> Path | None:
        return sandbox.ca_file

    assert ca_file() is None
    seen: list[tuple[Path, bytes]] = []
    for _ in range(2):
        with sandbox:
            trusted = ca_file()
            assert trusted is not None
            assert sandbox.env["GLOBUS_SDK_VERIFY_SSL"] == str(trusted)
            assert str(trusted) in sandbox.connection
            assert requests.get(f"{sandbox.tls_url}/api/info", verify=str(trusted), timeout=10).status_code == 200
            seen.append((trusted, trusted.read_bytes()))
        sandbox.stop()
        assert ca_file() is None
        assert not trusted.exists()
    assert seen[0][1] != seen[1][1]
    named = tmp_path / "ca.pem"
    with GlobusSandbox(ca_file=named) as other:
        assert other.ca_file == named
    assert named.read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")


def test_a_sandbox_started_again_has_its_folder_and_collections(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    sandbox = GlobusSandbox()
    collection = sandbox.add_collection("kept", tmp_path)
    state = sandbox.world.connect_server
    for _ in range(2):
        with sandbox:
            folder = state.folder
            assert folder.is_dir()
            files = sandbox.world.transfer.files(collection, sandbox.client_id)
            assert [entry.name for entry in files.list("/")] == ["there"]
        assert not folder.exists()
    assert tmp_path.is_dir()


# What anybody may ask


def test_info_needs_no_token(site: Site) -> None:
    answer = anonymous(site.sandbox.tls_url).get_gcs_info()
    assert answer["DATA_TYPE"] == "info#1.0.0"
    assert (answer["client_id"], answer["endpoint_id"]) == (ENDPOINT_ID, ENDPOINT_ID)
    connectors = {item["id"] for item in answer.full_data["data"] if item["DATA_TYPE"].startswith("connector#")}
    assert connectors == {item.connector_id for item in globus_sdk.ConnectorTable.all_connectors()}


def test_the_sdk_finds_the_scope_of_the_endpoint_by_itself(site: Site) -> None:
    app = globus_sdk.ClientApp(
        client_id=site.sandbox.client_id,
        client_secret=site.sandbox.client_secret,
        config=globus_sdk.GlobusAppConfig(token_storage="memory"),
    )
    client = GCSClient(site.sandbox.tls_url, app=app, retry_config=NO_RETRY)
    assert client.endpoint_client_id == ENDPOINT_ID
    assert client.get_endpoint()["id"] == ENDPOINT_ID


def test_transfer_leads_to_the_manager(site: Site, posix: str) -> None:
    transfer = site.transfer()
    assert transfer.get_endpoint(ENDPOINT_ID)["gcs_manager_url"] == site.sandbox.tls_url
    document = transfer.get_endpoint(posix)
    assert document["gcs_manager_url"] == site.sandbox.tls_url
    assert document["https_server"] == site.gcs().get_collection(posix)["https_url"]


def test_everything_else_needs_a_token_of_this_endpoint(site: Site, refused: Refused) -> None:
    assert refused(lambda: anonymous(site.sandbox.tls_url).get_endpoint()).http_status == 401
    token = site.token("transfer.api.globus.org", str(globus_sdk.TransferClient.scopes.all), None)
    stranger = GCSClient(
        site.sandbox.tls_url, authorizer=globus_sdk.AccessTokenAuthorizer(token), retry_config=NO_RETRY
    )
    error = refused(stranger.get_endpoint)
    assert (error.http_status, error.code) == (401, "not_authorized")
    assert error.raw_json is not None
    assert error.raw_json["detail"]["DATA_TYPE"] == "missing_required_scopes#1.0.0"


# The endpoint


def test_a_patch_changes_what_it_says_and_null_takes_away(site: Site) -> None:
    client = site.gcs()
    answer = client.update_endpoint({"DATA_TYPE": "endpoint#1.2.0", "organization": "Lab", "keywords": ["x", "y"]})
    assert answer["message"] == f"Updated endpoint {ENDPOINT_ID}"
    assert answer["data"] == []
    document: dict[str, Any] = {"DATA_TYPE": "endpoint#1.2.0", "contact_email": "a@b.org", "network_use": "minimal"}
    shown = client.update_endpoint(document, include="endpoint")
    assert (shown["organization"], shown["contact_email"], shown["network_use"]) == ("Lab", "a@b.org", "minimal")
    assert site.transfer().get_endpoint(ENDPOINT_ID)["keywords"] == "x, y"
    client.update_endpoint({"DATA_TYPE": "endpoint#1.2.0", "organization": None, "network_use": None})
    shown = client.get_endpoint()
    assert "organization" not in shown.data
    assert (shown["contact_email"], shown["network_use"]) == ("a@b.org", "normal")


def test_a_put_replaces_all(site: Site, refused: Refused) -> None:
    client = site.gcs()
    client.update_endpoint({"DATA_TYPE": "endpoint#1.2.0", "organization": "Lab", "public": False})
    document = {"DATA_TYPE": "endpoint#1.2.0", "display_name": "New name"}
    shown = client.put("/endpoint", data=document, query_params={"include": "endpoint"})["data"][0]
    assert (shown["display_name"], shown["public"], shown.get("organization")) == ("New name", True, None)
    assert problems(refused(lambda: client.put("/endpoint", data={"DATA_TYPE": "endpoint#1.2.0"}))) == {
        "display_name": "Missing data for required field."
    }
    read = {**client.get_endpoint().data, "display_name": "Again"}
    client.put("/endpoint", data=read)
    assert client.get_endpoint()["display_name"] == "Again"


def test_only_administrators_change_the_endpoint(site: Site, refused: Refused) -> None:
    ada = site.gcs("ada@example.org")
    assert ada.get_endpoint()["id"] == ENDPOINT_ID
    error = refused(lambda: ada.update_endpoint({"DATA_TYPE": "endpoint#1.2.0", "organization": "Mine"}))
    assert (error.http_status, error.code) == (403, "permission_denied")
    assert error.raw_json is not None
    assert error.raw_json["detail"] == {
        "DATA_TYPE": "missing_required_role#1.0.0",
        "roles": [{"role": "administrator"}],
    }
    assert "organization" not in ada.get_endpoint().data


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"colour": "red"}, {"colour": "Unknown field."}),
        ({"public": "yes"}, {"public": "Not a valid boolean."}),
        ({"network_use": "fast"}, {"network_use": "Must be one of: normal, minimal, aggressive, custom."}),
        ({"display_name": None}, {"display_name": "Not a valid string."}),
    ],
)
def test_wrong_documents_are_refused(site: Site, refused: Refused, change: Any, said: Any) -> None:
    error = refused(lambda: site.gcs().update_endpoint({"DATA_TYPE": "endpoint#1.2.0", **change}))
    assert problems(error) == said


def test_a_network_use_of_one_s_own_needs_numbers(site: Site, refused: Refused) -> None:
    client, names = site.gcs(), ["max_concurrency", "preferred_concurrency", "max_parallelism", "preferred_parallelism"]
    document = {"DATA_TYPE": "endpoint#1.2.0", "network_use": "custom"}
    assert list(problems(refused(lambda: client.update_endpoint(document)))) == names
    shown = client.update_endpoint({**document, **dict.fromkeys(names, 2)}, include="endpoint")
    assert (shown["network_use"], shown["max_parallelism"]) == ("custom", 2)
    assert client.update_endpoint(document)["code"] == "success"


def test_what_cannot_be_read_is_a_bad_request(site: Site, refused: Refused) -> None:
    client = site.gcs()
    for data in ("{", "[]"):
        error = refused(lambda data=data: client.patch("/endpoint", data=data, encoding="text"))
        assert (error.http_status, error.code) == (400, "bad_request")


def test_there_is_one_node(site: Site) -> None:
    nodes = site.gcs().get("/nodes")["data"]
    assert [(node["DATA_TYPE"], node["status"], node["ip_addresses"]) for node in nodes] == [
        ("node#1.2.0", "active", ["127.0.0.1"])
    ]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/endpoint/subscription_id"),
        ("PUT", "/endpoint/owner"),
        ("GET", "/collections/x/domain"),
        ("POST", "/v1/user_credentials"),
        ("GET", "/nothing"),
    ],
)
def test_what_is_not_served_says_so(site: Site, refused: Refused, method: str, path: str) -> None:
    error = refused(lambda: site.gcs().request(method, path, data={} if method != "GET" else None))
    assert (error.http_status, error.code) == (501, "NotServed")


def test_a_private_endpoint_shows_nobody_else_anything(site: Site, posix: str, refused: Refused) -> None:
    gateway = site.gateway(allowed_domains=["example.org"])
    site.gcs().update_endpoint({"DATA_TYPE": "endpoint#1.2.0", "public": False})
    bob = site.gcs("bob@elsewhere.net")
    assert refused(lambda: bob.get_collection_list()).http_status == 403
    assert refused(lambda: bob.get_collection(posix)).http_status == 404
    assert refused(lambda: bob.get_storage_gateway(gateway)).http_status == 404
    assert gateway not in {item["id"] for item in bob.get_storage_gateway_list()}
    assert refused(lambda: list(bob.get_user_credential_list())).http_status == 403
    assert refused(lambda: bob.get("/nodes")).http_status == 403
    assert gateway in {item["id"] for item in site.gcs("ada@example.org").get_storage_gateway_list()}
    document = {"DATA_TYPE": "role#1.0.0", "role": "activity_monitor", "collection": posix}
    site.gcs().create_role({**document, "principal": f"urn:globus:auth:identity:{site.person('bob@elsewhere.net')}"})
    assert [item["id"] for item in bob.get_collection_list()] == [posix]
    assert bob.get_collection(posix)["connector_id"] == POSIX
    assert len(bob.get("/nodes")["data"]) == 1
