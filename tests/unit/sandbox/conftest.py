"""One sandbox for all tests of its services: starting one costs more than resetting it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import globus_sdk
import pytest

from airflow_provider_globus.sandbox.server import GlobusSandbox
from tests.unit.sandbox.auth import ADA, CALLBACK, developer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_globus.sandbox.auth.models import Client, Identity


@pytest.fixture(scope="session")
def _server() -> Iterator[GlobusSandbox]:
    with GlobusSandbox() as sandbox:
        sandbox.mark()
        yield sandbox


@pytest.fixture
def sandbox_as_new(_server: GlobusSandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[GlobusSandbox]:
    """A sandbox as new, to which the environment leads the SDK's clients."""
    for name, value in _server.env.items():
        monkeypatch.setenv(name, value)
    yield _server
    _server.reset()


@pytest.fixture
def client(globus_sandbox: GlobusSandbox) -> globus_sdk.ConfidentialAppAuthClient:
    """The login client of the default service account."""
    return globus_sdk.ConfidentialAppAuthClient(globus_sandbox.client_id, globus_sandbox.client_secret)


@pytest.fixture
def auth(client: globus_sdk.ConfidentialAppAuthClient) -> globus_sdk.AuthClient:
    """Auth as the default service account, which may administer projects."""
    return developer(client)


@pytest.fixture
def ada(globus_sandbox: GlobusSandbox) -> Identity:
    """A person who can log in."""
    return globus_sandbox.add_identity(ADA, name="Ada", email="ada@mail.example.org")


@pytest.fixture
def portal(globus_sandbox: GlobusSandbox) -> Client:
    """A web application that people log in to."""
    return globus_sandbox.add_client("portal", redirect_uris=[CALLBACK])
