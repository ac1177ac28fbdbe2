"""Jobs of services that answer for one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.exceptions import GlobusNotFoundError, GlobusUnavailableError
from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.jobs.base import fetch_each
from airflow_provider_globus.jobs.search import SearchTasks

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox

UNKNOWN = ["5a4db0c5-0000-4000-8000-0000000000f1", "5a4db0c5-0000-4000-8000-0000000000f2"]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    kept: list[float] = []
    monkeypatch.setattr("airflow_provider_globus.jobs.base.time.sleep", kept.append)
    return kept


def ask(job_id: str) -> dict[str, Any]:
    if job_id == "unknown":
        raise GlobusNotFoundError("There is no such job.")
    if job_id == "trouble":
        raise GlobusUnavailableError("The service is away.")
    return {"id": job_id}


def test_unknown_ones_are_missing(pauses: list[float]) -> None:
    assert fetch_each(["a", "unknown", "b"], ask, 0.5) == {"a": {"id": "a"}, "b": {"id": "b"}}
    assert pauses == [0.5, 0.5]


@pytest.mark.parametrize("job_ids", [[], ["a"], ["unknown"]])
def test_nobody_waits_for_less_than_two(job_ids: list[str], pauses: list[float]) -> None:
    fetch_each(job_ids, ask, 0.5)
    assert pauses == []


def test_a_question_that_fails_fails_all(pauses: list[float]) -> None:
    with pytest.raises(GlobusUnavailableError):
        fetch_each(["a", "trouble"], ask, 0.5)


def test_search_is_asked_after_its_tasks_at_the_pace_it_allows(
    globus_sandbox: GlobusSandbox, pauses: list[float]
) -> None:
    assert SearchTasks().fetch(GlobusHook(), UNKNOWN) == {}
    assert pauses == [SearchTasks.pause]
    asked = [entry.path for entry in globus_sandbox.journal.requests("search")]
    assert asked == [f"/v1/task/{task_id}" for task_id in UNKNOWN]
