"""What the tests of the example DAGs share: where the examples are, and the fixtures that run DAGs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dag_runs import database, load, run, run_beside, s3

__all__ = ["database", "example_dags", "load", "run", "run_beside", "s3"]


@pytest.fixture(scope="session")
def example_dags() -> Path:
    return Path(__file__).resolve().parents[2] / "example_dags"
