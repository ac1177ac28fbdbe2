"""The JavaScript SDK, the Python SDK and collections for both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import globus_sdk
import pytest

from tests.conformance.javascript.sdk import JavaScriptSdk, require_installed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder


@pytest.fixture
def js(globus_sandbox: GlobusSandbox) -> Iterator[JavaScriptSdk]:
    """The SDK with the default service account's tokens for every service."""
    require_installed()
    with JavaScriptSdk(globus_sandbox) as sdk:
        sdk.login(*sdk.scopes())
        yield sdk


@pytest.fixture
def app(globus_sandbox: GlobusSandbox) -> globus_sdk.ClientApp:
    """The same service account for the clients of the Python SDK."""
    config = globus_sdk.GlobusAppConfig(token_storage="memory")
    client_id, secret = globus_sandbox.client_id, globus_sandbox.client_secret
    return globus_sdk.ClientApp(client_id=client_id, client_secret=secret, config=config)


@pytest.fixture
def source(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("source", files={"run/a.dat": "aaaa", "run/b.dat": "bb"}, kind="personal")


@pytest.fixture
def target(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("target", kind="personal")
