"""The Auth service, through the SDK's own clients over HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import globus_sdk
import pytest
import requests
from globus_sdk.scopes import GCSCollectionScopes, Scope, SearchScopes, TransferScopes
from globus_sdk.token_storage import MemoryTokenStorage, TokenStorageData
from globus_sdk.token_storage.validating_token_storage import UnmetScopeRequirementsError
from globus_sdk.transport import RetryConfig

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox

DAY = 86400
NO_RETRY = RetryConfig(max_retries=0)
TRANSFER = "transfer.api.globus.org"


@pytest.fixture
def client(globus_sandbox: GlobusSandbox) -> globus_sdk.ConfidentialAppAuthClient:
    """The login client of the default service account."""
    return globus_sdk.ConfidentialAppAuthClient(globus_sandbox.client_id, globus_sandbox.client_secret)


def client_app(globus_sandbox: GlobusSandbox) -> globus_sdk.ClientApp:
    return globus_sdk.ClientApp(
        "test",
        client_id=globus_sandbox.client_id,
        client_secret=globus_sandbox.client_secret,
        config=globus_sdk.GlobusAppConfig(token_storage="memory"),
    )


def transfer_with(token: str) -> globus_sdk.TransferClient:
    authorizer = globus_sdk.AccessTokenAuthorizer(token)
    return globus_sdk.TransferClient(authorizer=authorizer, retry_config=NO_RETRY)


def data_access(collection_id: str) -> Scope:
    return GCSCollectionScopes(collection_id).data_access


def refused(do: Callable[[], Any]) -> globus_sdk.GlobusAPIError:
    with pytest.raises(globus_sdk.GlobusAPIError) as caught:
        do()
    return caught.value


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
    token = client.oauth2_client_credentials_tokens(requested_scopes="openid")["access_token"]
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


def auth_client(client: globus_sdk.ConfidentialAppAuthClient, scope: str) -> globus_sdk.AuthClient:
    token = client.oauth2_client_credentials_tokens(requested_scopes=scope)["access_token"]
    return globus_sdk.AuthClient(authorizer=globus_sdk.AccessTokenAuthorizer(token), retry_config=NO_RETRY)


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


@pytest.mark.parametrize("method", ["revoke_secret", "rotate_secret"])
def test_an_unknown_client_has_no_secret(globus_sandbox: GlobusSandbox, method: str) -> None:
    with pytest.raises(ValueError, match="no client"):
        getattr(globus_sandbox.world.auth, method)("nobody")
