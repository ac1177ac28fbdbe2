"""Scopes, made through the SDK: clients can ask for them, with what they depend on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import globus_sdk
import pytest
from globus_sdk.gare import to_gare
from globus_sdk.scopes import AuthScopes, GroupsScopes, SearchScopes, TransferScopes

from tests.unit.sandbox.auth import NOBODY, TRANSFER, auth_client, person, refused, told, transfer_with

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.auth.models import Client


@pytest.fixture
def service(globus_sandbox: GlobusSandbox) -> Client:
    project = globus_sandbox.world.auth.add_project("Lab", admins=[globus_sandbox.client_id])
    return globus_sandbox.world.auth.add_client("a service", project=project.id)


def login_of(service: Client) -> globus_sdk.ConfidentialAppAuthClient:
    return globus_sdk.ConfidentialAppAuthClient(service.id, service.secret or "")


def made(auth: globus_sdk.AuthClient, service: Client, suffix: str = "all", **more: Any) -> dict[str, Any]:
    document: dict[str, Any] = auth.create_scope(service.id, "All", "Everything", suffix, **more)["scope"]
    return document


def dependent(auth: globus_sdk.AuthClient, scope: object, *, optional: bool = False) -> globus_sdk.DependentScopeSpec:
    (found,) = auth.get_scopes(scope_strings=str(scope))
    return globus_sdk.DependentScopeSpec(found["id"], optional, False)


def test_a_scope_can_be_asked_for_until_it_is_deleted(
    client: globus_sdk.ConfidentialAppAuthClient, auth: globus_sdk.AuthClient, service: Client
) -> None:
    scope = made(auth, service)
    assert scope["scope_string"] == f"https://auth.globus.org/scopes/{service.id}/all"
    answer = client.oauth2_client_credentials_tokens(requested_scopes=scope["scope_string"])
    assert answer["resource_server"] == service.id
    assert login_of(service).oauth2_token_introspect(answer["access_token"])["scope"] == scope["scope_string"]
    assert auth.get_client(client_id=service.id)["client"]["scopes"] == [scope["id"]]
    assert auth.delete_scope(scope["id"])["scope"] == scope
    error = refused(lambda: client.oauth2_client_credentials_tokens(requested_scopes=scope["scope_string"]))
    assert (error.http_status, error.code) == (400, "UNKNOWN_SCOPE_ERROR")
    assert told(lambda: auth.get_scope(scope["id"])) == (404, "NOT_FOUND")


def test_a_changed_suffix_makes_another_string(
    client: globus_sdk.ConfidentialAppAuthClient, auth: globus_sdk.AuthClient, service: Client
) -> None:
    before = made(auth, service)
    after = auth.update_scope(before["id"], scope_suffix="some")["scope"]
    assert after == {**before, "scope_string": before["scope_string"].replace("/all", "/some")}
    client.oauth2_client_credentials_tokens(requested_scopes=after["scope_string"])
    assert refused(
        lambda: client.oauth2_client_credentials_tokens(requested_scopes=before["scope_string"])
    ).http_status == 400  # fmt: skip


def test_a_suffix_is_used_once_for_a_client(
    globus_sandbox: GlobusSandbox, auth: globus_sdk.AuthClient, service: Client
) -> None:
    made(auth, service)
    assert told(lambda: made(auth, service)) == (409, "CONFLICT")
    other = made(auth, service, "other")
    assert told(lambda: auth.update_scope(other["id"], scope_suffix="all")) == (409, "CONFLICT")
    assert auth.update_scope(other["id"], scope_suffix="other")["scope"] == other
    made(auth, globus_sandbox.world.auth.add_client("another", project=service.project))


# Dependent scopes


def test_a_scope_brings_what_it_depends_on(
    client: globus_sdk.ConfidentialAppAuthClient, auth: globus_sdk.AuthClient, service: Client
) -> None:
    needed = [
        dependent(auth, TransferScopes.all),
        dependent(auth, GroupsScopes.view_my_groups_and_memberships),
        dependent(auth, SearchScopes.all, optional=True),
    ]
    scope = made(auth, service, dependent_scopes=needed)["scope_string"]
    token = client.oauth2_client_credentials_tokens(requested_scopes=scope)["access_token"]
    tokens = login_of(service).oauth2_get_dependent_tokens(token).by_resource_server
    assert set(tokens) == {TRANSFER, "groups.api.globus.org"}
    transfer_with(tokens[TRANSFER]["access_token"]).get_submission_id()


def test_what_is_optional_has_to_be_asked_for(
    client: globus_sdk.ConfidentialAppAuthClient, auth: globus_sdk.AuthClient, service: Client
) -> None:
    scope = made(auth, service, dependent_scopes=[dependent(auth, SearchScopes.all, optional=True)])["scope_string"]
    token = client.oauth2_client_credentials_tokens(requested_scopes=scope)["access_token"]
    error = refused(lambda: login_of(service).oauth2_get_dependent_tokens(token, scope=str(SearchScopes.all)))
    assert (error.http_status, error.code) == (403, "DEPENDENT_CONSENT_REQUIRED")
    gare = to_gare(error)
    assert gare is not None
    assert gare.authorization_parameters.required_scopes == [f"{scope}[{SearchScopes.all}]"]
    # Once consented to, it is good for the older token as well.
    client.oauth2_client_credentials_tokens(requested_scopes=gare.authorization_parameters.required_scopes)
    tokens = login_of(service).oauth2_get_dependent_tokens(token, scope=str(SearchScopes.all))
    assert set(tokens.by_resource_server) == {"search.api.globus.org"}


def test_only_the_scopes_asked_for_come(
    client: globus_sdk.ConfidentialAppAuthClient, auth: globus_sdk.AuthClient, service: Client
) -> None:
    needed = [dependent(auth, TransferScopes.all), dependent(auth, SearchScopes.all)]
    scope = made(auth, service, dependent_scopes=needed)["scope_string"]
    token = client.oauth2_client_credentials_tokens(requested_scopes=scope)["access_token"]
    tokens = login_of(service).oauth2_get_dependent_tokens(token, scope=str(TransferScopes.all))
    assert set(tokens.by_resource_server) == {TRANSFER}


def test_scopes_that_need_each_other_end(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient, auth: globus_sdk.AuthClient,
    service: Client,
) -> None:  # fmt: skip
    one, other = made(auth, service, "one"), made(auth, service, "other")
    for here, there in ((one, other), (other, one)):
        auth.update_scope(here["id"], dependent_scopes=[globus_sdk.DependentScopeSpec(there["id"], False, False)])
    answer = client.oauth2_client_credentials_tokens(requested_scopes=one["scope_string"])
    token = globus_sandbox.world.auth.access_token(answer["access_token"])
    assert token is not None
    given = globus_sandbox.world.auth.caller_of(token).consents
    assert [path for path in given if path[0] == one["scope_string"]] == [
        (one["scope_string"],),
        (one["scope_string"], other["scope_string"]),
    ]


def test_a_scope_may_rule_out_refresh_tokens(
    client: globus_sdk.ConfidentialAppAuthClient, auth: globus_sdk.AuthClient, service: Client,
    globus_sandbox: GlobusSandbox,
) -> None:  # fmt: skip
    with_, without = made(auth, service, "a"), made(auth, service, "b", allows_refresh_token=False)
    app = globus_sandbox.add_client("app", redirect_uris=["https://example.org"])
    login = globus_sdk.ConfidentialAppAuthClient(app.id, app.secret or "")
    globus_sandbox.add_identity("ada@example.org")
    for scope, has in ((with_, True), (without, False)):
        login.oauth2_start_flow("https://example.org", scope["scope_string"], refresh_tokens=True)
        code = globus_sandbox.log_in(login.oauth2_get_authorize_url(), "ada@example.org")
        assert ("refresh_token" in login.oauth2_exchange_code_for_tokens(code).data) is has


def test_a_scope_may_be_for_some_domains(
    client: globus_sdk.ConfidentialAppAuthClient, auth: globus_sdk.AuthClient, service: Client
) -> None:
    scope = made(auth, service, required_domains=["example.org"])
    error = refused(lambda: client.oauth2_client_credentials_tokens(requested_scopes=scope["scope_string"]))
    assert (error.http_status, error.code) == (403, "REQUIRED_IDENTITY_MISSING")
    auth.update_scope(scope["id"], required_domains=["clients.auth.globus.org"])
    client.oauth2_client_credentials_tokens(requested_scopes=scope["scope_string"])


# Who may see and change what


def test_scopes_are_seen_as_their_clients_are_or_when_advertised(
    globus_sandbox: GlobusSandbox, auth: globus_sdk.AuthClient, service: Client
) -> None:
    hidden, shown = made(auth, service, "hidden"), made(auth, service, "shown", advertised=True)
    bob = person(globus_sandbox, "bob@example.org", AuthScopes.view_clients_and_scopes)
    assert bob.get_scope(shown["id"])["scope"] == shown
    assert told(lambda: bob.get_scope(hidden["id"])) == (403, "FORBIDDEN")
    assert list(bob.get_scopes()) == []
    assert list(bob.get_scopes(ids=[hidden["id"], shown["id"], NOBODY])) == [shown]
    strings = [shown["scope_string"], hidden["scope_string"], "https://auth.globus.org/scopes/nobody/all"]
    assert list(bob.get_scopes(scope_strings=strings)) == [shown]
    assert [found["id"] for found in auth.get_scopes()] == [hidden["id"], shown["id"]]
    auth.update_client(service.id, visibility="public")
    assert bob.get_scope(hidden["id"])["scope"] == hidden
    manager = person(globus_sandbox, "bob@example.org")
    for do in (
        lambda: manager.update_scope(shown["id"], name="mine"),
        lambda: manager.delete_scope(shown["id"]),
        lambda: made(manager, service, "mine"),
    ):
        assert told(do) == (403, "FORBIDDEN")


def test_the_scopes_of_services_are_found_by_id_and_string(auth: globus_sdk.AuthClient) -> None:
    (found,) = auth.get_scopes(scope_strings=str(TransferScopes.all))
    assert found["id"] == "89ecabba-4acf-4e2e-a98d-ce592ccc2818"
    assert auth.get_scope(found["id"])["scope"] == found
    assert list(auth.get_scopes(ids=found["id"])) == [found]
    assert told(lambda: auth.delete_scope(found["id"])) == (404, "NOT_FOUND")


def test_a_client_makes_scopes_of_its_own(client: globus_sdk.ConfidentialAppAuthClient, service: Client) -> None:
    document = {"scope": {"name": "All", "description": "Everything", "scope_suffix": "all"}}
    login = login_of(service)
    scope = login.post(f"/v2/api/clients/{service.id}/scopes", data=document)["scope"]
    assert login.get("/v2/api/scopes")["scopes"] == [scope]
    wrong = globus_sdk.ConfidentialAppAuthClient(service.id, "wrong")
    assert told(lambda: wrong.get("/v2/api/scopes")) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    "wrong",
    [
        {"scope_suffix": "With Space"},
        {"scope_suffix": "Upper"},
        {"scope_suffix": ""},
        {"name": "two\nlines"},
        {"description": None},
        {"advertised": "yes"},
        {"allows_refresh_token": 1},
        {"required_domains": "example.org"},
        {"dependent_scopes": [{"scope": NOBODY}]},
        {"dependent_scopes": [{"scope": NOBODY, "optional": False, "requires_refresh_token": False}]},
        {"dependent_scopes": [{"scope": "x", "optional": False, "requires_refresh_token": False}]},
        {"dependent_scopes": {}},
        {"client": NOBODY},
    ],
)
def test_a_scope_that_cannot_be_is_refused(auth: globus_sdk.AuthClient, service: Client, wrong: dict[str, Any]) -> None:
    document = {"name": "a", "description": "b", "scope_suffix": "c", **wrong}
    path = f"/v2/api/clients/{service.id}/scopes"
    assert told(lambda: auth.post(path, data={"scope": document})) == (400, "BAD_REQUEST")
    kept = made(auth, service)
    assert told(lambda: auth.put(f"/v2/api/scopes/{kept['id']}", data={"scope": wrong})) == (400, "BAD_REQUEST")
    assert auth.get_scope(kept["id"])["scope"] == kept


def test_scopes_are_asked_for_in_one_way(client: globus_sdk.ConfidentialAppAuthClient) -> None:
    auth = auth_client(client, str(AuthScopes.view_clients_and_scopes))
    both = {"ids": NOBODY, "scope_strings": "openid"}
    assert told(lambda: auth.get("/v2/api/scopes", query_params=both)) == (400, "BAD_REQUEST")
