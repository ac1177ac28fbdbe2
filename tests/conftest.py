"""A private Airflow for the tests, set up before anything imports Airflow."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_HOME = Path(tempfile.mkdtemp(prefix="globus-tests-"))
os.environ.update(
    {
        "AIRFLOW_HOME": str(_HOME),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(_HOME / "dags"),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_HOME}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(_HOME / "logs"),
        # How long a trigger holds its event back follows this; see operators.deferral.settle_seconds.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "0",
    }
)
(_HOME / "dags").mkdir()


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests() -> Iterator[None]:
    """Airflow masks with one expression for all secrets it was told; each new one costs more than the last."""
    yield
    from airflow._shared.secrets_masker import reset_secrets_masker as forget_for_the_server
    from airflow.sdk._shared.secrets_masker import reset_secrets_masker as forget_for_tasks

    forget_for_the_server()
    forget_for_tasks()
