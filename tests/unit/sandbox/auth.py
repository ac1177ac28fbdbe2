"""Clients of the sandbox's Auth service, and of Transfer with one of its tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import globus_sdk
import pytest
from globus_sdk.scopes import AuthScopes, GCSCollectionScopes, Scope, TransferScopes
from globus_sdk.transport import RetryConfig

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.auth.models import Client

ADA = "ada@example.org"
NOBODY = "11111111-2222-4333-8444-555555555555"
DAY = 86400
NO_RETRY = RetryConfig(max_retries=0)
TRANSFER = "transfer.api.globus.org"
CALLBACK = "https://portal.example.org/callback"
SCOPES = [AuthScopes.openid, AuthScopes.email, TransferScopes.all]


def transfer_with(token: str) -> globus_sdk.TransferClient:
    authorizer = globus_sdk.AccessTokenAuthorizer(token)
    return globus_sdk.TransferClient(authorizer=authorizer, retry_config=NO_RETRY)


def auth_client(client: globus_sdk.ConfidentialAppAuthClient, scope: str) -> globus_sdk.AuthClient:
    token = client.oauth2_client_credentials_tokens(requested_scopes=scope)["access_token"]
    return globus_sdk.AuthClient(authorizer=globus_sdk.AccessTokenAuthorizer(token), retry_config=NO_RETRY)


def data_access(collection_id: str) -> Scope:
    return GCSCollectionScopes(collection_id).data_access


def refused(do: Callable[[], Any]) -> globus_sdk.GlobusAPIError:
    with pytest.raises(globus_sdk.GlobusAPIError) as caught:
        do()
    return caught.value


def developer(client: globus_sdk.ConfidentialAppAuthClient) -> globus_sdk.AuthClient:
    """Auth as a service account that may administer projects."""
    return auth_client(client, str(AuthScopes.manage_projects))


def person(sandbox: GlobusSandbox, username: str, *scopes: Any, **more: Any) -> globus_sdk.AuthClient:
    """Auth as a person who has logged in, by way of the default client."""
    found = sandbox.world.auth.identity_by_username(username) or sandbox.add_identity(username)
    asked = " ".join(map(str, scopes or (AuthScopes.manage_projects,)))
    refresh = sandbox.world.auth.add_refresh_token(found.id, asked, **more)
    login = globus_sdk.ConfidentialAppAuthClient(sandbox.client_id, sandbox.client_secret)
    authorizer = globus_sdk.RefreshTokenAuthorizer(refresh.value, login)
    return globus_sdk.AuthClient(authorizer=authorizer, retry_config=NO_RETRY)


def told(do: Callable[[], Any]) -> tuple[int, str | None]:
    """Return the status and the code of a refusal."""
    error = refused(do)
    return error.http_status, error.code


def web_login(portal: Client, scopes: Any = SCOPES, **more: Any) -> globus_sdk.ConfidentialAppAuthClient:
    """A web application that has begun to log somebody in."""
    login = globus_sdk.ConfidentialAppAuthClient(portal.id, portal.secret or "")
    login.oauth2_start_flow(CALLBACK, scopes, **more)
    return login
