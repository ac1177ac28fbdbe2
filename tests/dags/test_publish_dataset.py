"""Publishing: what happens when a person says no, when nobody answers, and when it is done twice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.sandbox.demo.checks import digests
from airflow_provider_globus.sandbox.demo.scenarios import publish_dataset

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import DAG

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.demo.s3 import S3Server

    Run = Callable[[DAG, dict[str, Any]], tuple[str, dict[str, Any]]]


@pytest.fixture
def demo(globus_sandbox: GlobusSandbox, s3: S3Server, tmp_path: Path) -> publish_dataset.Demo:
    demo = publish_dataset.Demo(tmp_path, globus_sandbox, s3)
    demo.prepare()
    return demo


@pytest.fixture
def dag(example_dags: Path, load: Callable[[Path], dict[str, DAG]]) -> DAG:
    return load(example_dags / "publish_dataset.py")["publish_dataset"]


def readers(demo: publish_dataset.Demo) -> dict[str, str]:
    """What each person may do with the published folder."""
    transfer = demo.globus.world.transfer
    people = {"reviewer": demo.reviewer.id, "reader": demo.reader.id}
    path = f"/{publish_dataset.DATASET}/v1/README.md"
    return {name: transfer.permissions(identity, demo.published, path) for name, identity in people.items()}


def test_a_rejected_dataset_is_neither_shared_nor_found(
    demo: publish_dataset.Demo, dag: DAG, run: Run, run_beside: Callable[..., tuple[str, dict[str, Any]]]
) -> None:
    demo.answer = "Reject"
    state, results = run_beside(demo, dag, run)
    assert state == "failed"
    assert "publish" not in results
    assert demo.answered == ["Reject"]
    (flow_run,) = demo.globus.world.flows.runs.values()
    assert flow_run.details["details"]["exception"] == "Rejected"
    assert demo.globus.world.search.indexes[demo.index.id].entries == {}
    assert readers(demo) == {"reviewer": "", "reader": ""}


def test_nobody_answers(
    demo: publish_dataset.Demo, dag: DAG, run: Run, run_beside: Callable[..., tuple[str, dict[str, Any]]]
) -> None:
    demo.globus.settings.web_input_seconds = 0
    state, _ = run_beside(demo, dag, run)
    assert state == "failed"
    (flow_run,) = demo.globus.world.flows.runs.values()
    assert flow_run.details["details"]["exception"] == "NobodyAnswered"
    assert readers(demo) == {"reviewer": "", "reader": ""}


def test_what_is_no_dataset_is_refused_before_anybody_is_asked(
    demo: publish_dataset.Demo, dag: DAG, run: Run, run_beside: Callable[..., tuple[str, dict[str, Any]]]
) -> None:
    (demo.dataset / "README.md").unlink()
    state, _ = run_beside(demo, dag, run)
    assert state == "failed"
    assert demo.globus.world.flows.runs == {}


def test_the_second_time_changes_nothing(
    demo: publish_dataset.Demo, dag: DAG, run: Run, run_beside: Callable[..., tuple[str, dict[str, Any]]]
) -> None:
    first_state, first = run_beside(demo, dag, run)
    before = digests(demo.repository)
    second_state, second = run_beside(demo, dag, run)
    assert (first_state, second_state) == ("success", "success")
    assert (first["deploy_flow"]["action"], second["deploy_flow"]["action"]) == ("created", "unchanged")
    assert second["report"]["subject"] == first["report"]["subject"]
    assert second["publish"]["files_transferred"] == 0
    assert len(demo.globus.world.search.indexes[demo.index.id].entries) == 1
    assert digests(demo.repository) == before
    assert readers(demo) == {"reviewer": "r", "reader": "r"}
