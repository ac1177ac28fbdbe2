"""The example DAGs can be imported and serialised, and the pipelines do on the sandbox what they promise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.sandbox.demo import scenario

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import DAG

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.demo.s3 import S3Server

FILES = sorted((Path(__file__).resolve().parents[2] / "example_dags").glob("*.py"))


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
    example_dags: Path,
    load: Callable[[Path], dict[str, DAG]],
    run: Callable[[DAG, dict[str, Any]], tuple[str, dict[str, Any]]],
    run_beside: Callable[..., tuple[str, dict[str, Any]]],
    globus_sandbox: GlobusSandbox,
    s3: S3Server,
    tmp_path: Path,
) -> None:
    subject = scenario.load(name)(tmp_path, globus_sandbox, s3)
    subject.prepare()
    dag = load(example_dags / f"{name}.py")[name]
    for number, conf in enumerate(subject.runs, start=1):
        state, results = run_beside(subject, dag, run, conf)
        assert state == "success"
        checks = subject.checks_after(number, results)
        assert [check for check in checks if not check.passed] == []
        assert len(checks) >= 3
