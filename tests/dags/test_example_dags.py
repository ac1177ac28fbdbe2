"""The example DAGs can be imported and serialised, and the pipelines do on the sandbox what they promise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.sandbox.demo import scenario
from airflow_provider_globus.sandbox.demo.s3 import S3Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.sdk import DAG

    from airflow_provider_globus.sandbox import GlobusSandbox

EXAMPLE_DAGS = Path(__file__).resolve().parents[2] / "example_dags"
FILES = sorted(EXAMPLE_DAGS.glob("*.py"))


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


def run(dag: DAG, conf: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Run a DAG in this process; return its state and each task's result."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    ended = dag.test(run_conf=conf)
    with create_session() as session:
        rows = session.scalars(select(XComModel).filter_by(dag_id=dag.dag_id, run_id=ended.run_id, key="return_value"))
        results = {row.task_id: XComModel.deserialize_value(row) for row in rows}
    return str(ended.state), results


def test_there_are_examples() -> None:
    assert FILES
    assert {path.stem for path in FILES} >= set(scenario.names())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_example_imports_serialises_and_documents_itself(path: Path, load: Callable[[Path], dict[str, DAG]]) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    dags = load(path)
    assert list(dags) == [path.stem]
    dag = dags[path.stem]
    assert dag.doc_md
    restored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert set(restored.task_ids) == set(dag.task_ids)
    assert restored.params.keys() == dag.params.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_example_names_nothing_of_the_sandbox(path: Path) -> None:
    code = path.read_text()
    for word in ("127.0.0.1", "localhost", "GlobusSandbox", "sandbox.", "service_url"):
        assert word not in code


@pytest.mark.parametrize("name", scenario.names())
def test_pipeline_does_its_work(
    name: str,
    load: Callable[[Path], dict[str, DAG]],
    globus_sandbox: GlobusSandbox,
    s3: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subject = scenario.load(name)(tmp_path, globus_sandbox, s3)
    subject.prepare()
    dag = load(EXAMPLE_DAGS / f"{name}.py")[name]
    # What happens outside Airflow happens beforehand: `dag.test()` runs one task after the other.
    subject.while_running(dict.fromkeys(dag.task_ids, "deferred"))
    state, results = run(dag, subject.conf)
    assert state == "success"
    checks = subject.checks(results)
    assert [check for check in checks if not check.passed] == []
    assert len(checks) > 3
