"""Auth through `@globus/sdk`: tokens, what is known of them, identities and consents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import globus_sdk
from globus_sdk.scopes import AuthScopes, GCSCollectionScopes, TransferScopes

from airflow_provider_globus.sandbox.auth.scopes import ENDPOINT_ID
from tests.conformance.javascript.sdk import JavaScriptSdk

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory


def test_a_service_account_logs_in_and_is_known(js: JavaScriptSdk, app: globus_sdk.ClientApp) -> None:
    servers = js.value("auth.CONFIG.RESOURCE_SERVERS")
    tokens = js.login(*js.scopes())
    assert js.value("auth.isGlobusAuthTokenResponse", tokens)
    issued = {token["resource_server"] for token in (tokens, *tokens["other_tokens"])}
    assert issued == {*servers.values(), ENDPOINT_ID} - {servers["TIMERS"]}
    auth = globus_sdk.AuthClient(app=app)
    auth.add_app_scope([AuthScopes.openid, AuthScopes.profile, AuthScopes.email])
    # This one function sends no token of the manager's.
    header = js.bearer(tokens, servers["AUTH"])
    assert js.call("auth.oauth2.userinfo", headers=header) == auth.userinfo().data
    me = js.sandbox.client_id
    assert js.call("auth.identities.getAll", query={"ids": [me]}) == auth.get_identities(ids=me).data
    assert js.call("auth.identities.get", me)["identity"] == auth.get_identities(ids=me)["identities"][0]
    assert js.call("auth.identities.getAll", query={"usernames": "nobody@example.org"}) == {"identities": []}


def test_a_token_is_looked_into_and_revoked(js: JavaScriptSdk) -> None:
    form = {"client_id": js.sandbox.client_id, "client_secret": js.sandbox.client_secret}
    token = js.login(js.value("transfer.CONFIG.SCOPES.ALL"))["access_token"]
    client = globus_sdk.ConfidentialAppAuthClient(js.sandbox.client_id, js.sandbox.client_secret)
    told = js.call("auth.oauth2.token.introspect", payload={**form, "token": token})
    assert told == client.oauth2_token_introspect(token).data
    assert (told["active"], told["scope"]) == (True, str(TransferScopes.all))
    assert js.call("auth.oauth2.token.revoke", payload={**form, "token": token}) == {"active": False}
    assert js.call("auth.oauth2.token.introspect", payload={**form, "token": token}) == {"active": False}
    status, error = js.refused("transfer.task.getAll")
    assert (status, error["code"]) == (401, "ClientError.AuthenticationFailed")
    assert js.value("errors.isErrorWellFormed", error)


def test_consents_are_the_tree_the_sdk_reads(js: JavaScriptSdk, globus_collection: CollectionFactory) -> None:
    mapped = globus_collection("mapped")
    wanted = f"{TransferScopes.all}[*{GCSCollectionScopes(mapped.id).data_access}]"

    def consents() -> Any:
        return js.call("auth.identities.consents.getAll", js.sandbox.client_id)["consents"]

    js.login(AuthScopes.manage_projects, str(TransferScopes.all))
    assert not js.value("auth.utils.hasConsentForScope", consents(), wanted)
    js.login(AuthScopes.manage_projects, wanted)
    assert js.value("auth.utils.hasConsentForScope", consents(), wanted)


def test_an_expired_token_is_refreshed_by_the_sdk_itself(js: JavaScriptSdk) -> None:
    auth, clock = js.sandbox.world.auth, js.sandbox.clock
    native = auth.add_client("a web app", public=True)
    ada = js.sandbox.add_identity("ada@example.org")
    refresh = auth.add_refresh_token(ada.id, str(TransferScopes.all), client_id=native.id)
    with JavaScriptSdk(js.sandbox, client_id=native.id) as app:
        payload = {"grant_type": "refresh_token", "refresh_token": refresh.value, "client_id": native.id}
        app.keep(app.call("auth.oauth2.token.refresh", payload=payload))
        app.call("transfer.task.getAll")
        clock.advance(3 * 86400)
        js.sandbox.journal.clear()
        assert app.call("transfer.task.getAll")["DATA_TYPE"] == "task_list"
    told = [(entry.service, entry.status, entry.identity) for entry in js.sandbox.journal.entries]
    assert told == [("transfer", 401, None), ("auth", 200, native.username), ("transfer", 200, "ada@example.org")]
