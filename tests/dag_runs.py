"""Fixtures for tests that run DAGs in this process, with `dag.test()`, and the S3 service that some DAGs need.

The conftest.py of a folder whose tests want them imports them.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from airflow_provider_globus.sandbox.demo.s3 import S3Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.sdk import DAG

    from airflow_provider_globus.sandbox.demo.scenario import Scenario

__all__ = ["Load", "Run", "beside", "database", "load", "run", "run_beside", "s3"]


class Load(Protocol):
    """Loads the DAGs of a file; see the fixture `load`."""

    def __call__(self, path: Path) -> dict[str, DAG]:
        """Return them by their ids."""


class Run(Protocol):
    """Runs a DAG; see the fixture `run`."""

    def __call__(
        self, dag: DAG, conf: dict[str, Any], logical_date: datetime | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Return the run's state and the results of its tasks."""


@pytest.fixture(scope="session")
def database() -> Path:
    """The metadata database; `dag.test()` and DagBag need one. Return a copy of it, in which nothing has run."""
    from airflow.utils.db import initdb

    _keep_the_server()
    home = Path(os.environ["AIRFLOW_HOME"])
    unused = home / "unused.db"
    if not unused.exists():
        initdb()
        # Much of it is still in the write-ahead log, which a copy of the file would leave behind.
        with (
            contextlib.closing(sqlite3.connect(home / "airflow.db")) as source,
            contextlib.closing(sqlite3.connect(unused)) as copy,
        ):
            source.backup(copy)
    return unused


def _keep_the_server() -> None:
    """Let Airflow 3.2 make the server behind `dag.test()` once, as later ones do, and not anew for each task."""
    from airflow.sdk.execution_time import supervisor

    if not hasattr(supervisor.in_process_api_server, "cache_info"):
        supervisor.in_process_api_server = functools.cache(supervisor.in_process_api_server)


@pytest.fixture
def s3() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture
def load(database: Path) -> Load:
    """Load the DAGs of a file, and make them known to the database so that they can run."""

    def load(path: Path) -> dict[str, DAG]:
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

        bag = DagBag(dag_folder=str(path), bundle_path=path.parent, bundle_name="dags-folder")
        assert not bag.import_errors, "\n".join(bag.import_errors.values())
        DagBundlesManager().sync_bundles_to_db()
        sync_bag_to_db(bag, "dags-folder", None)
        return dict(bag.dags)

    return load


@pytest.fixture
def run() -> Run:
    """Run a DAG; return its state and each task's result, of a mapped task a list of results."""

    def run(dag: DAG, conf: dict[str, Any], logical_date: datetime | None = None) -> tuple[str, dict[str, Any]]:
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session
        from sqlalchemy import select

        for task in dag.tasks:
            # A failure is to be shown at once, not after a minute's delay. Mapped tasks have no such attribute to set.
            if not task.is_mapped:
                task.retries = 0
        ended = dag.test(run_conf=conf, logical_date=logical_date or datetime.now(UTC))
        found: dict[str, Any] = {}
        with create_session() as session:
            rows = select(XComModel).filter_by(dag_id=dag.dag_id, run_id=ended.run_id, key="return_value")
            for row in session.scalars(rows.order_by(XComModel.map_index)):
                value = XComModel.deserialize_value(row)
                if row.map_index < 0:
                    found[row.task_id] = value
                else:
                    found.setdefault(row.task_id, []).append(value)
        return str(ended.state), found

    return run


@contextlib.contextmanager
def beside(action: Callable[[], object]) -> Iterator[None]:
    """Do something again and again, from before a DAG runs until it has ended: what happens outside Airflow."""
    # `dag.test()` runs one task after the other: what the first ones wait for has to be there already.
    action()
    over = threading.Event()
    errors: list[Exception] = []

    def outside() -> None:
        while not over.wait(0.2):
            try:
                action()
            except Exception as error:
                errors.append(error)
                return

    outsider = threading.Thread(target=outside)
    outsider.start()
    try:
        yield
    finally:
        over.set()
        outsider.join()
    if errors:
        raise errors[0]


@pytest.fixture
def run_beside(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, dict[str, Any]]]:
    """Run a DAG while a scenario does what happens outside Airflow, as often as a demo lets it."""

    def run_beside(
        subject: Scenario, dag: DAG, run: Run, conf: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        for conn_id, connection in subject.connections.items():
            monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", connection)
        everything = dict.fromkeys(dag.task_ids, "deferred")
        with beside(lambda: subject.while_running(everything)):
            return run(dag, subject.conf if conf is None else conf)

    return run_beside
