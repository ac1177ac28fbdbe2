"""What Auth tells of people: of their logins and consents, by what scopes allow, and who vouches for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import globus_sdk
import pytest
from globus_sdk.scopes import AuthScopes, TransferScopes

from tests.unit.sandbox.auth import ADA, auth_client, data_access, told, web_login

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.auth.models import Client, Identity


def test_a_session_tells_when_somebody_logged_in(globus_sandbox: GlobusSandbox, ada: Identity, portal: Client) -> None:
    login = web_login(portal, refresh_tokens=True)
    globus_sandbox.clock.freeze()
    then = int(globus_sandbox.clock.time())
    tokens = login.oauth2_exchange_code_for_tokens(globus_sandbox.log_in(login.oauth2_get_authorize_url(), ADA))
    globus_sandbox.clock.advance(300)
    renewed = login.oauth2_refresh_token(tokens["refresh_token"])["access_token"]
    for token in (tokens["access_token"], renewed):
        session = login.oauth2_token_introspect(token, include="session_info")["session_info"]
        assert session["authentications"] == {
            ada.id: {
                "auth_time": then,
                "idp": ada.identity_provider,
                "acr": None,
                "amr": None,
                "custom_claims": {},
            }
        }
    assert auth_of(renewed).userinfo()["last_authentication"] == then


def auth_of(token: str) -> globus_sdk.AuthClient:
    return globus_sdk.AuthClient(authorizer=globus_sdk.AccessTokenAuthorizer(token))


@pytest.mark.parametrize(
    ("scopes", "claims"),
    [
        (["openid"], set()),
        (["openid", "email"], {"email"}),
        (
            ["openid", "profile"],
            {
                "name",
                "organization",
                "preferred_username",
                "identity_provider",
                "identity_provider_display_name",
            },
        ),
        (["openid", AuthScopes.view_identity_set], {"identity_set"}),
        # What a Compute endpoint asks for, which needs the identity set.
        (["openid", AuthScopes.manage_projects], {"identity_set"}),
    ],
)
def test_userinfo_tells_what_the_scopes_allow(
    globus_sandbox: GlobusSandbox, ada: Identity, portal: Client, scopes: list[Any], claims: set[str]
) -> None:
    login = web_login(portal, scopes)
    tokens = login.oauth2_exchange_code_for_tokens(globus_sandbox.log_in(login.oauth2_get_authorize_url(), ADA))
    auth = auth_of(tokens["access_token"])
    assert set(auth.userinfo().data) == {"sub", "last_authentication", *claims}
    assert auth.post("/v2/oauth2/userinfo").data == auth.userinfo().data


def test_a_client_validates_its_own_tokens(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient, ada: Identity, portal: Client
) -> None:
    login = web_login(portal, refresh_tokens=True)
    tokens = login.oauth2_exchange_code_for_tokens(globus_sandbox.log_in(login.oauth2_get_authorize_url(), ADA))

    def active(who: globus_sdk.ConfidentialAppAuthClient, token: str) -> bool:
        return bool(who.post("/v2/oauth2/token/validate", data={"token": token}, encoding="form")["active"])

    for kind in ("access_token", "refresh_token"):
        assert active(login, tokens[kind])
        assert not active(client, tokens[kind])
        login.oauth2_revoke_token(tokens[kind])
        assert not active(login, tokens[kind])


def test_all_consents_are_shown_with_the_scope_for_that(
    globus_sandbox: GlobusSandbox, ada: Identity, portal: Client
) -> None:
    collection = globus_sandbox.add_collection("mapped", "/tmp").id
    globus_sandbox.world.auth.add_refresh_token(ada.id, f"{TransferScopes.all}[*{data_access(collection)}]")
    login = web_login(portal, [AuthScopes.openid, AuthScopes.view_consents])
    tokens = login.oauth2_exchange_code_for_tokens(globus_sandbox.log_in(login.oauth2_get_authorize_url(), ADA))
    auth = auth_of(tokens["access_token"])
    assert {consent["client"] for consent in auth.get_consents(ada.id)} == {portal.id}
    everything = list(auth.get_consents(ada.id, all=True))
    assert {consent["scope_name"] for consent in everything} == {
        "openid",
        str(AuthScopes.view_consents),
        str(TransferScopes.all),
        str(data_access(collection)),
    }
    assert len({consent["id"] for consent in everything}) == 4
    assert all(consent["dependency_path"][-1] == consent["id"] for consent in everything)
    login = web_login(portal, [AuthScopes.openid])
    tokens = login.oauth2_exchange_code_for_tokens(globus_sandbox.log_in(login.oauth2_get_authorize_url(), ADA))
    assert told(lambda: auth_of(tokens["access_token"]).get_consents(ada.id, all=True)) == (403, "FORBIDDEN")


# Identity providers


def test_identity_providers_are_found_by_domain_and_id(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient, ada: Identity
) -> None:
    auth = auth_client(client, "openid")
    (sandbox,) = auth.get_identity_providers(domains="example.org")
    assert sandbox["id"] == ada.identity_provider
    globus = globus_sandbox.add_identity("globus@globusid.org")
    (found,) = auth.get_identity_providers(ids=globus.identity_provider)
    assert (found["name"], found["domains"]) == ("Globus ID", ["globusid.org"])
    included = auth.get_identities(ids=globus.id, query_params={"include": "identity_provider"})["included"]
    assert included == {"identity_providers": [found]}
    assert list(auth.get_identity_providers(domains="nowhere.example.org")) == []
    assert told(auth.get_identity_providers) == (400, "BAD_REQUEST")


def test_one_identity_is_found_by_its_id(client: globus_sdk.ConfidentialAppAuthClient, ada: Identity) -> None:
    auth = auth_client(client, "openid")
    assert auth.get(f"/v2/api/identities/{ada.id}")["identity"] == ada.document()
    assert told(lambda: auth.get("/v2/api/identities/nobody")) == (404, "NOT_FOUND")


def test_a_name_without_a_domain_is_of_globus_id(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient
) -> None:
    known = globus_sandbox.add_identity("globus@globusid.org")
    assert auth_client(client, "openid").get_identities(usernames="globus")["identities"][0]["id"] == known.id
