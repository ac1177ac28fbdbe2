"""How tasks of Globus Search are judged, and which of them are asked for again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.jobs.base import Outcome
from airflow_provider_globus.jobs.search import SearchTasks
from airflow_provider_globus.jobs.watch import JobWatch

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox

UNKNOWN = "5a4db0c5-0000-4000-8000-0000000000ff"


def task(task_id: str, state: str, **more: Any) -> dict[str, Any]:
    return {"task_id": task_id, "index_id": "i", "state": state, **more}


def watch(*task_ids: str) -> JobWatch:
    return JobWatch(SearchTasks(), task_ids, log=logging.getLogger("watch"))


def test_all_tasks_have_to_succeed_and_none_is_asked_for_after_its_end() -> None:
    waiting = watch("a", "b", "c")
    assert waiting.observe({"a": task("a", "SUCCESS"), "b": task("b", "PENDING"), "c": task("c", "PROGRESS")}) is None
    assert waiting.pending == ["b", "c"]
    assert waiting.observe({"b": task("b", "SUCCESS"), "c": task("c", "PROGRESS")}) is None
    verdict = waiting.observe({"c": task("c", "SUCCESS")})
    assert verdict is not None
    assert (verdict.outcome, verdict.result) == (Outcome.SUCCEEDED, {"index_id": "i"})


def test_one_that_fails_fails_all_and_says_why() -> None:
    verdict = watch("a", "b").observe({"a": task("a", "PENDING"), "b": task("b", "FAILED", message="too\nmany fields")})
    assert verdict is not None
    assert (verdict.outcome, verdict.message) == (Outcome.FAILED, "too many fields (task b)")


def test_one_that_search_does_not_know_is_lost(globus_sandbox: GlobusSandbox) -> None:
    waiting = watch("a", UNKNOWN)
    waiting.observe({"a": task("a", "SUCCESS"), UNKNOWN: task(UNKNOWN, "PENDING")})
    verdict = waiting.observe(SearchTasks().fetch_all(GlobusHook(), waiting.pending))
    assert verdict is not None
    assert verdict.outcome == Outcome.LOST
    assert globus_sandbox.journal.count("search", "GET", "/v1/task/*") == 1
