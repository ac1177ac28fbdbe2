"""Pytest fixtures for tests of DAGs that use Globus: a sandbox for each test, collections and Compute on folders.

pytest loads this module wherever the package is installed, so it imports nothing until a fixture is used.

::

    def test_my_dag(globus_sandbox, globus_collection, globus_compute_endpoint):
        globus_collection("instrument", files={"run1/a.dat": b"…"})
        scratch = globus_collection("scratch")
        globus_compute_endpoint("hpc", folder=scratch.folder)
        dag.test()                                  # the connection globus_default leads to the sandbox
        assert (scratch.folder / "run1/a.dat").exists()
        assert globus_sandbox.journal.count("transfer", "POST", "/v0.10/transfer") == 1
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from airflow_provider_globus.sandbox.compute.state import ComputeEndpoint
    from airflow_provider_globus.sandbox.server import GlobusSandbox

CONNECTION_VARIABLE = "AIRFLOW_CONN_GLOBUS_DEFAULT"


@dataclass(frozen=True)
class CollectionFolder:
    """A collection and the folder its files are in."""

    id: str
    name: str
    folder: Path


class CollectionFactory(Protocol):
    """Makes collections; see the fixture `globus_collection`."""

    def __call__(self, name: str, *, files: Mapping[str, bytes | str] | None = None, **more: Any) -> CollectionFolder:
        """Make a collection with these files; `more` goes to `GlobusSandbox.add_collection`."""


class ComputeEndpointFactory(Protocol):
    """Makes Compute endpoints; see the fixture `globus_compute_endpoint`."""

    def __call__(self, name: str = "hpc", **more: Any) -> ComputeEndpoint:
        """Make an endpoint; `more` goes to `GlobusSandbox.add_compute_endpoint`."""


@pytest.fixture(scope="session")
def _globus_sandbox_server() -> Iterator[GlobusSandbox]:
    """One server for all tests of the session: resetting it takes a millisecond, starting it more."""
    from airflow_provider_globus.sandbox.server import GlobusSandbox

    with GlobusSandbox() as sandbox:
        yield sandbox


@pytest.fixture
def globus_sandbox(_globus_sandbox_server: GlobusSandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[GlobusSandbox]:
    """Globus on loopback, as new for each test.

    Airflow's connection ``globus_default`` and the environment of the Globus SDK and CLI lead to it, and the
    connection knows every collection and Compute endpoint by its alias or name as soon as it is added.
    """
    sandbox = _globus_sandbox_server
    sandbox.reset()
    # Whoever keeps tokens by their credentials, as Airflow's hooks do, begins anew with each test.
    sandbox.world.auth.rotate_secret(sandbox.client_id)
    for name, value in sandbox.env.items():
        monkeypatch.setenv(name, value)

    def keep_in_step() -> None:
        monkeypatch.setenv(CONNECTION_VARIABLE, sandbox.connection)

    keep_in_step()
    sandbox.on_connection_change = keep_in_step
    try:
        yield sandbox
    finally:
        sandbox.on_connection_change = None
        sandbox.reset()


@pytest.fixture
def globus_collection(globus_sandbox: GlobusSandbox, tmp_path: Path) -> CollectionFactory:
    """Return a factory of collections on folders of ``tmp_path``."""

    def make(
        name: str,
        *,
        files: Mapping[str, bytes | str] | None = None,
        host: CollectionFolder | None = None,
        base_path: str = "/",
        **more: Any,
    ) -> CollectionFolder:
        folder = tmp_path / name if host is None else host.folder / base_path.strip("/")
        folder.mkdir(parents=True, exist_ok=host is not None)
        for path, content in (files or {}).items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        if host is not None:
            more |= {"kind": "guest", "host": host.id, "base_path": base_path}
        collection = globus_sandbox.add_collection(name, folder if host is None else None, **more)
        return CollectionFolder(collection.id, collection.name, folder)

    return make


@pytest.fixture
def globus_compute_endpoint(globus_sandbox: GlobusSandbox, tmp_path: Path) -> ComputeEndpointFactory:
    """Return a factory of Compute endpoints whose home is a folder of ``tmp_path``, unless told otherwise."""

    def make(name: str = "hpc", **more: Any) -> ComputeEndpoint:
        return globus_sandbox.add_compute_endpoint(name, **{"folder": tmp_path / name, **more})

    return make
