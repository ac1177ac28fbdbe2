"""How the example DAGs are loaded and run in this process, with `dag.test()`."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.sandbox.demo.s3 import S3Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.sdk import DAG

    from airflow_provider_globus.sandbox.demo.scenario import Scenario


@pytest.fixture(scope="session")
def example_dags() -> Path:
    return Path(__file__).resolve().parents[2] / "example_dags"


@pytest.fixture(scope="session")
def database() -> None:
    """The metadata database; `dag.test()` and DagBag need one."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def s3() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture
def load(database: None) -> Callable[[Path], dict[str, DAG]]:
    """Load the DAGs of a file, and make them known to the database so that they can run."""

    def load(path: Path) -> dict[str, DAG]:
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

        bag = DagBag(dag_folder=str(path), bundle_path=path.parent, bundle_name="dags-folder")
        assert bag.import_errors == {}
        DagBundlesManager().sync_bundles_to_db()
        sync_bag_to_db(bag, "dags-folder", None)
        return dict(bag.dags)

    return load


@pytest.fixture
def run() -> Callable[[DAG, dict[str, Any]], tuple[str, dict[str, Any]]]:
    """Run a DAG; return its state and each task's result, of a mapped task a list of results."""

    def run(dag: DAG, conf: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session
        from sqlalchemy import select

        for task in dag.tasks:
            # A failure is to be shown at once, not after a minute's delay. Mapped tasks have no such attribute to set.
            if not task.is_mapped:
                task.retries = 0
        ended = dag.test(run_conf=conf)
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


@pytest.fixture
def run_beside(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, dict[str, Any]]]:
    """Run a DAG while a scenario does what happens outside Airflow, as often as a demo lets it."""

    def run_beside(
        subject: Scenario,
        dag: DAG,
        run: Callable[[DAG, dict[str, Any]], tuple[str, dict[str, Any]]],
        conf: dict[str, Any] | None = None,
    ) -> tuple[str, dict[str, Any]]:
        for conn_id, connection in subject.connections.items():
            monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", connection)
        everything = dict.fromkeys(dag.task_ids, "deferred")
        # `dag.test()` runs one task after the other: what the first ones wait for has to be there already.
        subject.while_running(everything)
        over = threading.Event()

        def outside() -> None:
            while not over.wait(0.2):
                subject.while_running(everything)

        outsider = threading.Thread(target=outside)
        outsider.start()
        try:
            return run(dag, subject.conf if conf is None else conf)
        finally:
            over.set()
            outsider.join()

    return run_beside
