"""The Auth service, through the SDK's own clients over HTTP: people, whom tokens are for and what is known of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import globus_sdk
import pytest
import requests
from globus_sdk.scopes import SearchScopes, TransferScopes
from globus_sdk.token_storage import MemoryTokenStorage, TokenStorageData
from globus_sdk.token_storage.validating_token_storage import UnmetScopeRequirementsError

from tests.unit.sandbox.auth import DAY, TRANSFER, auth_client, data_access, refused, transfer_with

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox


# Acting for a person


def refresh_token(globus_sandbox: GlobusSandbox, scopes: str = str(TransferScopes.all), **more: Any) -> str:
    person = globus_sandbox.world.auth.identity_by_username("ada@example.org")
    person = person or globus_sandbox.add_identity("ada@example.org", name="Ada", email="ada@example.org")
    return globus_sandbox.world.auth.add_refresh_token(person.id, scopes, **more).value


def test_a_refresh_token_acts_for_the_person(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient
) -> None:
    collection = globus_sandbox.add_collection("mapped", "/tmp")
    scopes = f"{TransferScopes.all}[*{data_access(collection.id)}]"
    authorizer = globus_sdk.RefreshTokenAuthorizer(refresh_token(globus_sandbox, scopes), client)
    globus_sdk.TransferClient(authorizer=authorizer).get_submission_id()
    assert globus_sandbox.journal.requests("transfer")[-1].identity == "ada@example.org"
    token = globus_sandbox.world.auth.access_token(authorizer.access_token or "")
    assert token is not None
    assert globus_sandbox.world.auth.caller_of(token).has_data_access(collection.id)


def user_app(globus_sandbox: GlobusSandbox, transfer_scopes: str, *, native: bool) -> globus_sdk.UserApp:
    """Return an app that logged in before, long enough ago for every access token to be too old."""
    auth = globus_sandbox.world.auth
    holder = auth.add_client("app of a person", public=native)
    ada = globus_sandbox.add_identity("ada@example.org")
    storage = MemoryTokenStorage()
    for server, scopes in ((TRANSFER, transfer_scopes), ("auth.globus.org", "openid profile email")):
        token = auth.add_refresh_token(ada.id, scopes, client_id=holder.id)
        data = TokenStorageData(server, ada.id, token.scope, "expired long ago", token.value, 1, "Bearer")
        storage.store_token_data_by_resource_server({server: data})
    config = globus_sdk.GlobusAppConfig(
        token_storage=storage,
        request_refresh_tokens=True,
        login_flow_manager="command-line",
        login_redirect_uri="https://auth.globus.org/v2/web/auth-code",
        token_validation_error_handler=None,
    )
    return globus_sdk.UserApp("test", client_id=holder.id, client_secret=holder.secret, config=config)


@pytest.mark.parametrize("native", [True, False])
def test_an_unchanged_user_app_works(globus_sandbox: GlobusSandbox, native: bool) -> None:
    app = user_app(globus_sandbox, str(TransferScopes.all), native=native)
    globus_sdk.TransferClient(app=app).get_submission_id()
    assert globus_sdk.AuthClient(app=app).userinfo()["preferred_username"] == "ada@example.org"
    assert {entry.identity for entry in globus_sandbox.journal.requests("transfer")} == {"ada@example.org"}


def test_a_user_app_finds_the_consents_it_was_given(globus_sandbox: GlobusSandbox) -> None:
    given, refused_one = (globus_sandbox.add_collection(name, "/tmp").id for name in ("given", "refused"))
    app = user_app(globus_sandbox, f"{TransferScopes.all}[*{data_access(given)}]", native=True)
    transfer = globus_sdk.TransferClient(app=app)
    transfer.add_app_data_access_scope(given)
    transfer.get_submission_id()
    assert globus_sandbox.journal.count("auth", "GET", "/v2/api/identities/*/consents") == 1
    transfer.add_app_data_access_scope(refused_one)
    with pytest.raises(UnmetScopeRequirementsError):
        transfer.get_submission_id()


def test_consents_of_others_are_not_shown(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient
) -> None:
    ada = globus_sandbox.add_identity("ada@example.org")
    assert refused(lambda: auth_client(client, "openid").get_consents(ada.id)).http_status == 403


def test_a_refresh_narrows_scopes_but_never_widens_them(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient
) -> None:
    value = refresh_token(globus_sandbox, "openid email profile")
    narrowed = client.oauth2_refresh_token(value, body_params={"scope": "email"})
    assert narrowed["scope"] == "email"
    assert narrowed["refresh_token"] == value
    error = refused(lambda: client.oauth2_refresh_token(value, body_params={"scope": str(TransferScopes.all)}))
    assert error.http_status == 400


@pytest.mark.parametrize("wrong", ["unknown", "revoked", "of another client", "revoked with all"])
def test_bad_refresh_tokens_are_invalid_grants(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient, wrong: str
) -> None:
    value = refresh_token(globus_sandbox)
    if wrong == "unknown":
        value = "never issued"
    elif wrong == "revoked":
        client.oauth2_revoke_token(value)
    elif wrong == "revoked with all":
        globus_sandbox.world.auth.revoke_tokens(refresh_tokens=True)
    else:
        value = refresh_token(globus_sandbox, client_id=globus_sandbox.add_client("other").id)
    error = refused(lambda: client.oauth2_refresh_token(value))
    assert error.http_status == 401
    assert json.loads(error.text)["error"] == "invalid_grant"


def test_a_refresh_token_is_for_one_service(globus_sandbox: GlobusSandbox) -> None:
    with pytest.raises(ValueError, match="one resource server"):
        refresh_token(globus_sandbox, f"openid {TransferScopes.all}")


# Dependent tokens


def test_a_service_exchanges_a_token_for_its_dependent_tokens(globus_sandbox: GlobusSandbox) -> None:
    auth = globus_sandbox.world.auth
    service = globus_sandbox.add_client("a service of ours")
    assert service.secret is not None
    auth.scopes.register(f"https://auth.globus.org/scopes/{service.id}/all", service.id)
    scope = f"https://auth.globus.org/scopes/{service.id}/all[{TransferScopes.all} {SearchScopes.search}]"
    caller = globus_sdk.ConfidentialAppAuthClient(globus_sandbox.client_id, globus_sandbox.client_secret)
    token = caller.oauth2_client_credentials_tokens(requested_scopes=scope)["access_token"]

    answer = globus_sdk.ConfidentialAppAuthClient(service.id, service.secret).oauth2_get_dependent_tokens(
        token, refresh_tokens=True
    )
    assert set(answer.by_resource_server) == {TRANSFER, "search.api.globus.org"}
    data = answer.by_resource_server[TRANSFER]
    transfer_with(data["access_token"]).get_submission_id()
    assert globus_sandbox.journal.requests("transfer")[-1].identity == f"{caller.client_id}@clients.auth.globus.org"
    assert auth.refresh_token(data["refresh_token"]) is not None
    # Who is not the audience of a token cannot exchange it.
    assert refused(lambda: caller.oauth2_get_dependent_tokens(token)).http_status == 401


# Looking at tokens and people


def test_introspection_tells_all_about_a_token(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient
) -> None:
    token = client.oauth2_client_credentials_tokens(requested_scopes=TransferScopes.all)["access_token"]
    found = client.oauth2_token_introspect(token, include="identity_set,session_info")
    assert found["active"] is True
    assert found["sub"] == found["client_id"] == globus_sandbox.client_id
    assert found["scope"] == str(TransferScopes.all)
    assert found["exp"] - found["iat"] == 2 * DAY
    assert found["aud"] == [TRANSFER, globus_sandbox.client_id]
    assert found["identity_set"] == [globus_sandbox.client_id]
    assert "session_info" in found
    assert client.oauth2_token_introspect("garbage").data == {"active": False}
    globus_sandbox.clock.advance(3 * DAY)
    assert client.oauth2_token_introspect(token).data == {"active": False}


def test_userinfo_needs_openid(client: globus_sdk.ConfidentialAppAuthClient) -> None:
    assert auth_client(client, "openid").userinfo()["sub"] == client.client_id
    assert refused(auth_client(client, "email").userinfo).http_status == 403
    error = refused(globus_sdk.AuthClient(authorizer=globus_sdk.NullAuthorizer()).userinfo)
    assert (error.http_status, error.code) == (401, "UNAUTHORIZED")
    assert error.request_id


def test_identities_are_found_by_id_and_username(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient
) -> None:
    ada = globus_sandbox.add_identity("ada@example.org", name="Ada", organization="Analytical")
    bob = globus_sandbox.add_identity("bob@example.org")
    auth = auth_client(client, str(globus_sdk.AuthClient.scopes.view_identity_set))
    nobody = "11111111-2222-4333-8444-555555555555"
    assert [i["username"] for i in auth.get_identities(ids=[ada.id, nobody, bob.id])] == [
        "ada@example.org",
        "bob@example.org",
    ]
    found = auth.get_identities(usernames="ADA@example.org")["identities"][0]
    assert (found["id"], found["name"], found["organization"], found["status"]) == (
        ada.id,
        "Ada",
        "Analytical",
        "used",
    )
    itself = auth.get_identities(ids=globus_sandbox.client_id)["identities"][0]
    assert itself["username"] == f"{globus_sandbox.client_id}@clients.auth.globus.org"
    assert auth.get_identities(usernames="nobody@example.org")["identities"] == []
    assert "included" in auth.get_identities(ids=ada.id, query_params={"include": "identity_provider"}).data


def test_identities_are_provisioned_on_request(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient
) -> None:
    auth = auth_client(client, "openid")
    made = auth.get_identities(usernames="new@example.org", provision=True)["identities"][0]
    assert made["status"] == "unused"
    assert auth.get_identities(ids=made["id"])["identities"][0]["username"] == "new@example.org"


def test_identities_need_a_token_or_a_client(globus_sandbox: GlobusSandbox) -> None:
    url = f"{globus_sandbox.url}/v2/api/identities?ids={globus_sandbox.client_id}"
    assert requests.get(url, timeout=10).status_code == 401
    assert requests.get(url, auth=(globus_sandbox.client_id, "wrong"), timeout=10).status_code == 401
    good = requests.get(url, auth=(globus_sandbox.client_id, globus_sandbox.client_secret), timeout=10)
    assert good.json()["identities"][0]["id"] == globus_sandbox.client_id


@pytest.mark.parametrize("params", [{}, {"ids": "a", "usernames": "b"}])
def test_identities_are_asked_for_in_one_way(
    client: globus_sdk.ConfidentialAppAuthClient, params: dict[str, str]
) -> None:
    error = refused(lambda: auth_client(client, "openid").get("/v2/api/identities", query_params=params))
    assert error.http_status == 400


def test_names_and_clients_are_unique(globus_sandbox: GlobusSandbox) -> None:
    globus_sandbox.add_identity("ada@example.org")
    with pytest.raises(ValueError, match="already"):
        globus_sandbox.add_identity("Ada@example.org")
    with pytest.raises(ValueError, match="already"):
        globus_sandbox.add_client("again", id=globus_sandbox.client_id)
