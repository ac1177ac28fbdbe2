"""What tests with a real Airflow share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def airflow_cache() -> Path:
    """The folder in which `make demo` keeps a migrated database, so that each Airflow starts faster."""
    return Path(__file__).resolve().parents[2] / ".demo"
