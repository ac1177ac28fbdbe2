"""The Auth service, through the SDK's own clients over HTTP: service accounts and their tokens."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import globus_sdk
import pytest
import requests
from globus_sdk.scopes import Scope, SearchScopes, TransferScopes

from tests.unit.sandbox.auth import DAY, NO_RETRY, TRANSFER, data_access, refused, transfer_with

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox


def client_app(globus_sandbox: GlobusSandbox) -> globus_sdk.ClientApp:
    return globus_sdk.ClientApp(
        "test",
        client_id=globus_sandbox.client_id,
        client_secret=globus_sandbox.client_secret,
        config=globus_sdk.GlobusAppConfig(token_storage="memory"),
    )


# Client credentials


def test_an_unchanged_client_app_works(globus_sandbox: GlobusSandbox) -> None:
    transfer = globus_sdk.TransferClient(app=client_app(globus_sandbox))
    assert transfer.get_submission_id()["value"] != transfer.get_submission_id()["value"]
    assert globus_sandbox.journal.count("auth", "POST", "/v2/oauth2/token") == 1


def test_tokens_of_several_services_come_in_one_answer(client: globus_sdk.ConfidentialAppAuthClient) -> None:
    asked: list[str | Scope] = [TransferScopes.all, "openid", "email", SearchScopes.all, SearchScopes.ingest]
    answer = client.oauth2_client_credentials_tokens(requested_scopes=asked)
    by_server = answer.by_resource_server
    assert list(by_server) == [TRANSFER, "auth.globus.org", "search.api.globus.org"]
    assert by_server["auth.globus.org"]["scope"].split() == ["openid", "email"]
    assert by_server["search.api.globus.org"]["scope"].split() == [str(SearchScopes.all), str(SearchScopes.ingest)]
    assert len({data["access_token"] for data in by_server.values()}) == 3
    assert answer["expires_in"] == 2 * DAY
    assert answer["token_type"] == "Bearer"
    assert "refresh_token" not in answer.data


def test_dependent_scopes_are_granted_and_only_roots_echoed(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient
) -> None:
    first, second, other = (globus_sandbox.add_collection(name, "/tmp").id for name in ("a", "b", "c"))
    scope = TransferScopes.all.with_dependencies([data_access(first).with_optional(True), data_access(second)])
    answer = client.oauth2_client_credentials_tokens(requested_scopes=scope)
    assert answer["scope"] == str(TransferScopes.all)
    token = globus_sandbox.world.auth.access_token(answer["access_token"])
    assert token is not None
    caller = globus_sandbox.world.auth.caller_of(token)
    assert caller.has_data_access(first)
    assert caller.has_data_access(second)
    assert not caller.has_data_access(other)
    globus_sandbox.settings.enforce_consents = False
    assert globus_sandbox.world.auth.caller_of(token).has_data_access(other)


def test_a_consent_is_good_for_older_tokens_too_until_withdrawn(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient, tmp_path: Path
) -> None:
    collection = globus_sandbox.add_collection("mapped", tmp_path)
    old = transfer_with(client.oauth2_client_credentials_tokens(requested_scopes=TransferScopes.all)["access_token"])
    error = refused(lambda: old.operation_ls(collection.id, path="/"))
    assert (error.http_status, error.code) == (403, "ConsentRequired")
    wanted = error.info.consent_required.required_scopes
    assert wanted
    client.oauth2_client_credentials_tokens(requested_scopes=wanted)
    assert old.operation_ls(collection.id, path="/")["length"] == 0
    globus_sandbox.world.auth.withdraw_consents(globus_sandbox.client_id)
    assert refused(lambda: old.operation_ls(collection.id, path="/")).code == "ConsentRequired"


def test_consents_are_not_shared_between_clients(globus_sandbox: GlobusSandbox, tmp_path: Path) -> None:
    collection = globus_sandbox.add_collection("mapped", tmp_path)
    auth = globus_sandbox.world.auth
    ada = globus_sandbox.add_identity("ada@example.org")
    other = globus_sandbox.add_client("other")
    auth.add_refresh_token(ada.id, f"{TransferScopes.all}[{data_access(collection.id)}]", client_id=other.id)
    without = auth.caller_of(auth.add_refresh_token(ada.id, str(TransferScopes.all)))
    again = auth.caller_of(auth.add_refresh_token(ada.id, str(TransferScopes.all), client_id=other.id))
    assert not without.has_data_access(collection.id)
    assert again.has_data_access(collection.id)


def test_an_app_gets_data_access_added_later(globus_sandbox: GlobusSandbox) -> None:
    collection = globus_sandbox.add_collection("mapped", "/tmp")
    app = client_app(globus_sandbox)
    transfer = globus_sdk.TransferClient(app=app)
    transfer.add_app_data_access_scope(collection.id)
    transfer.get_submission_id()
    value = app.token_storage.get_token_data(TRANSFER).access_token
    token = globus_sandbox.world.auth.access_token(value)
    assert token is not None
    assert globus_sandbox.world.auth.caller_of(token).has_data_access(collection.id)


@pytest.mark.parametrize("kind", ["guest", "personal", "high assurance", "unknown"])
def test_data_access_exists_for_plain_mapped_collections_only(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient, kind: str
) -> None:
    mapped = globus_sandbox.add_collection("mapped", "/tmp")
    collection_id = "11111111-2222-4333-8444-555555555555"
    if kind == "guest":
        collection_id = globus_sandbox.add_collection("g", kind="guest", host=mapped).id
    elif kind == "personal":
        collection_id = globus_sandbox.add_collection("p", "/tmp", kind="personal").id
    elif kind == "high assurance":
        collection_id = globus_sandbox.add_collection("h", "/tmp", high_assurance=True).id
    scope = TransferScopes.all.with_dependency(data_access(collection_id))
    error = refused(lambda: client.oauth2_client_credentials_tokens(requested_scopes=scope))
    assert (error.http_status, error.code) == (400, "UNKNOWN_SCOPE_ERROR")
    assert collection_id in error.text
    assert str(data_access(mapped.id)) not in error.text


@pytest.mark.parametrize(
    ("scope", "status", "word"),
    [
        ("urn:globus:auth:scope:transfer.api.globus.org:nonsense", 400, "unknown_scope_error"),
        ("https://auth.globus.org/scopes/nobody/all", 400, "unknown_scope_error"),
        (f"{TransferScopes.all}[", 400, "invalid_scope"),
        (f"{TransferScopes.all}]", 400, "invalid_scope"),
        ("", 400, "invalid_request"),
    ],
)
def test_bad_scopes_are_refused(globus_sandbox: GlobusSandbox, scope: str, status: int, word: str) -> None:
    answer = requests.post(
        f"{globus_sandbox.url}/v2/oauth2/token",
        data={"grant_type": "client_credentials", "scope": scope},
        auth=(globus_sandbox.client_id, globus_sandbox.client_secret),
        timeout=10,
    )
    assert (answer.status_code, answer.json()["error"]) == (status, word)


@pytest.mark.parametrize("wrong", ["secret", "client", "header", "nothing"])
def test_wrong_credentials_are_invalid_client(globus_sandbox: GlobusSandbox, wrong: str) -> None:
    good = f"{globus_sandbox.client_id}:{globus_sandbox.client_secret}"
    header = {
        "secret": base64.b64encode(f"{globus_sandbox.client_id}:wrong".encode()).decode(),
        "client": base64.b64encode(f"nobody:{globus_sandbox.client_secret}".encode()).decode(),
        "header": good,
        "nothing": "",
    }[wrong]
    answer = requests.post(
        f"{globus_sandbox.url}/v2/oauth2/token",
        data={"grant_type": "client_credentials", "scope": "openid"},
        headers={"Authorization": f"Basic {header}"} if header else {},
        timeout=10,
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_the_sdk_sees_a_wrong_secret_as_401(globus_sandbox: GlobusSandbox) -> None:
    client = globus_sdk.ConfidentialAppAuthClient(globus_sandbox.client_id, "wrong")
    error = refused(lambda: client.oauth2_client_credentials_tokens(requested_scopes="openid"))
    assert isinstance(error, globus_sdk.AuthAPIError)
    assert error.http_status == 401
    assert json.loads(error.text)["error"] == "invalid_client"


def test_another_client_is_another_identity(globus_sandbox: GlobusSandbox) -> None:
    other = globus_sandbox.add_client("pipeline two")
    assert other.secret is not None
    client = globus_sdk.ConfidentialAppAuthClient(other.id, other.secret)
    token = client.oauth2_client_credentials_tokens(requested_scopes="openid profile")["access_token"]
    info = globus_sdk.AuthClient(authorizer=globus_sdk.AccessTokenAuthorizer(token)).userinfo()
    assert info["sub"] == other.id
    assert info["preferred_username"] == f"{other.id}@clients.auth.globus.org"


def test_a_revoked_secret_gets_no_token_but_its_tokens_live_on(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient
) -> None:
    token = client.oauth2_client_credentials_tokens(requested_scopes=TransferScopes.all)["access_token"]
    globus_sandbox.world.auth.revoke_secret(globus_sandbox.client_id)
    assert refused(lambda: client.oauth2_client_credentials_tokens(requested_scopes="openid")).http_status == 401
    transfer_with(token).get_submission_id()


def test_a_rotated_secret_replaces_the_old_one(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient
) -> None:
    new = globus_sandbox.world.auth.rotate_secret(globus_sandbox.client_id)
    assert refused(lambda: client.oauth2_client_credentials_tokens(requested_scopes="openid")).http_status == 401
    renewed = globus_sdk.ConfidentialAppAuthClient(globus_sandbox.client_id, new)
    assert renewed.oauth2_client_credentials_tokens(requested_scopes="openid")["access_token"]


@pytest.mark.parametrize("method", ["revoke_secret", "rotate_secret"])
def test_an_unknown_client_has_no_secret(globus_sandbox: GlobusSandbox, method: str) -> None:
    with pytest.raises(ValueError, match="no client"):
        getattr(globus_sandbox.world.auth, method)("nobody")


def test_a_native_app_cannot_be_itself(globus_sandbox: GlobusSandbox) -> None:
    native = globus_sandbox.world.auth.add_client("native", public=True)
    answer = requests.post(
        f"{globus_sandbox.url}/v2/oauth2/token",
        data={"grant_type": "client_credentials", "scope": "openid", "client_id": native.id},
        timeout=10,
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_other_grants_are_refused_by_name(globus_sandbox: GlobusSandbox) -> None:
    answer = requests.post(
        f"{globus_sandbox.url}/v2/oauth2/token",
        data={"grant_type": "password"},
        auth=(globus_sandbox.client_id, globus_sandbox.client_secret),
        timeout=10,
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")
    assert "client_credentials" in answer.json()["error_description"]


# What a token is good for


def test_a_token_expires_on_the_sandbox_clock(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient
) -> None:
    token = client.oauth2_client_credentials_tokens(requested_scopes=TransferScopes.all)["access_token"]
    globus_sandbox.clock.freeze()
    globus_sandbox.clock.advance(2 * DAY - 60)
    transfer_with(token).get_submission_id()
    globus_sandbox.clock.advance(60)
    error = refused(transfer_with(token).get_submission_id)
    assert (error.http_status, error.code) == (401, "ClientError.AuthenticationFailed")


def test_an_app_replaces_an_expired_token_by_itself(globus_sandbox: GlobusSandbox) -> None:
    transfer = globus_sdk.TransferClient(app=client_app(globus_sandbox))
    transfer.get_submission_id()
    globus_sandbox.clock.advance(3 * DAY)
    transfer.get_submission_id()
    statuses = [entry.status for entry in globus_sandbox.journal.requests("transfer")]
    assert statuses == [200, 401, 200]
    assert globus_sandbox.journal.count("auth", "POST", "/v2/oauth2/token") == 2


def test_the_lifetime_of_tokens_is_a_setting(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient
) -> None:
    globus_sandbox.settings.token_lifetime_seconds = 90
    answer = client.oauth2_client_credentials_tokens(requested_scopes="openid")
    assert answer["expires_in"] == 90


@pytest.mark.parametrize("token", ["garbage", "Ag" + "0" * 60])
def test_a_garbage_token_is_refused(globus_sandbox: GlobusSandbox, token: str) -> None:
    assert refused(transfer_with(token).get_submission_id).http_status == 401


def test_a_token_for_another_service_is_refused(client: globus_sdk.ConfidentialAppAuthClient) -> None:
    token = client.oauth2_client_credentials_tokens(requested_scopes=SearchScopes.all)["access_token"]
    assert refused(transfer_with(token).get_submission_id).http_status == 401


def test_a_token_without_the_scope_of_the_service_is_forbidden(
    client: globus_sdk.ConfidentialAppAuthClient,
) -> None:
    token = client.oauth2_client_credentials_tokens(requested_scopes=TransferScopes.gcp_install)["access_token"]
    error = refused(transfer_with(token).get_submission_id)
    assert (error.http_status, error.code) == (403, "PermissionDenied")


def test_no_token_at_all_is_refused(globus_sandbox: GlobusSandbox) -> None:
    transfer = globus_sdk.TransferClient(authorizer=globus_sdk.NullAuthorizer(), retry_config=NO_RETRY)
    assert refused(transfer.get_submission_id).http_status == 401


def test_any_token_does_when_none_need_be_issued(globus_sandbox: GlobusSandbox) -> None:
    globus_sandbox.settings.require_issued_tokens = False
    transfer_with("whatever").get_submission_id()
    entry = globus_sandbox.journal.requests("transfer")[-1]
    assert entry.identity == f"{globus_sandbox.client_id}@clients.auth.globus.org"


def test_a_revoked_token_is_dead_at_once(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient
) -> None:
    token = client.oauth2_client_credentials_tokens(requested_scopes=TransferScopes.all)["access_token"]
    assert client.oauth2_revoke_token(token)["active"] is False
    assert refused(transfer_with(token).get_submission_id).http_status == 401
    assert client.oauth2_revoke_token("never issued")["active"] is False


def test_all_tokens_of_one_identity_can_be_revoked(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient
) -> None:
    mine = client.oauth2_client_credentials_tokens(requested_scopes=TransferScopes.all)["access_token"]
    other = globus_sandbox.add_client("other")
    assert other.secret is not None
    theirs = globus_sdk.ConfidentialAppAuthClient(other.id, other.secret).oauth2_client_credentials_tokens(
        requested_scopes=TransferScopes.all
    )["access_token"]
    assert globus_sandbox.world.auth.revoke_tokens(globus_sandbox.client_id) == 1
    assert refused(transfer_with(mine).get_submission_id).http_status == 401
    transfer_with(theirs).get_submission_id()
