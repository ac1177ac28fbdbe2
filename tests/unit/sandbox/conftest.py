"""One sandbox for all tests of its services: starting one costs more than resetting it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import globus_sdk
import pytest

from airflow_provider_globus.sandbox.server import GlobusSandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


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
