"""Clients of the sandbox's Auth service, and of Transfer with one of its tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import globus_sdk
import pytest
from globus_sdk.scopes import GCSCollectionScopes, Scope
from globus_sdk.transport import RetryConfig

DAY = 86400
NO_RETRY = RetryConfig(max_retries=0)
TRANSFER = "transfer.api.globus.org"


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
