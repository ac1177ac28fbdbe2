"""What tests with a real Airflow share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from airflow_provider_globus.sandbox.local_airflow import LocalAirflow

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox


class StartAirflow(Protocol):
    """Starts a real Airflow; see the fixture `start_airflow`."""

    def __call__(self, dags: str, globus: GlobusSandbox | None = None, **options: Any) -> LocalAirflow:
        """Return it, to be entered."""


@pytest.fixture(scope="session")
def airflow_cache() -> Path:
    """The folder in which `make demo` keeps a migrated database, so that each Airflow starts faster."""
    return Path(__file__).resolve().parents[2] / ".demo"


@pytest.fixture(scope="session")
def start_airflow(tmp_path_factory: pytest.TempPathFactory, airflow_cache: Path) -> StartAirflow:
    """Start Airflow with the DAGs of one file and, given a sandbox, the connection `globus_default`."""

    def start(dags: str, globus: GlobusSandbox | None = None, **options: Any) -> LocalAirflow:
        folder = tmp_path_factory.mktemp("dags")
        (folder / "dags.py").write_text(dags)
        if globus is not None:
            options["connections"] = {"globus_default": globus.connection}
        return LocalAirflow(dags=folder, cache=airflow_cache, **options)

    return start
