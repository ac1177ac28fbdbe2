"""How Compute tasks and endpoints stand, by what the service says of them."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_globus.jobs.base import Outcome
from airflow_provider_globus.jobs.compute import HAND_ON_BYTES, HAND_ON_SECONDS, ComputeTasks, EndpointStates


def task(task_id: str, status: str = "success", **more: Any) -> dict[str, Any]:
    if status == "success":
        more = {"result": "11\n1", **more}
    return {"task_id": task_id, "status": status, **more}


def judge(*documents: Any, rules: Any = None, memory: Any = None, now: float = 0.0) -> Any:
    return ComputeTasks().judge(documents, rules or {}, {} if memory is None else memory, now)


@pytest.mark.parametrize("status", ["waiting-for-ep", "waiting-for-nodes", "running", "received", "unknown"])
def test_anything_but_an_end_is_running(status: str) -> None:
    assert judge(task("a", status)).outcome == Outcome.RUNNING


def test_an_offline_endpoint_is_shown() -> None:
    assert judge(task("a", "waiting-for-ep")).progress == "waiting for the endpoint, which is offline"


@pytest.mark.parametrize("status", ["success", "SUCCESS", "Success"])
def test_success_in_any_case(status: str) -> None:
    verdict = judge(task("a", status, result="11\n1"))
    assert verdict.outcome == Outcome.SUCCEEDED
    assert verdict.result["documents"]["a"]["result"] == "11\n1"


def test_that_one_function_has_succeeded_is_not_said_twice() -> None:
    assert judge(task("a")).progress == ""
    assert judge(task("a"), task("b")).progress != ""


def test_a_failure_says_why() -> None:
    verdict = judge(task("a"), task("b", "failed", exception="Traceback:\nValueError: no"))
    assert (verdict.outcome, verdict.code, verdict.message) == (Outcome.FAILED, "ValueError", "ValueError: no")
    assert set(verdict.result["documents"]) == {"a", "b"}


def test_success_without_a_result_is_a_failure() -> None:
    assert judge({"task_id": "a", "status": "success"}).outcome == Outcome.FAILED


def test_collecting_leaves_failures_to_the_operator() -> None:
    assert judge(task("a", "failed"), rules={"collect": True}).outcome == Outcome.SUCCEEDED


def test_results_are_handed_on_in_time() -> None:
    memory: dict[str, Any] = {}
    documents = (task("a"), task("b", "running"))
    for now, outcome in ((0.0, "running"), (HAND_ON_SECONDS - 1, "running"), (HAND_ON_SECONDS, "partial")):
        assert judge(*documents, rules={"collect": True}, memory=memory, now=now).outcome == outcome
    assert judge(*documents, memory=memory, now=10 * HAND_ON_SECONDS).outcome == Outcome.RUNNING


def test_many_bytes_are_handed_on_at_once() -> None:
    verdict = judge(task("a", result="x" * HAND_ON_BYTES), task("b", "running"), rules={"collect": True})
    assert verdict.outcome == Outcome.PARTIAL
    assert list(verdict.result["documents"]) == ["a"]


def test_an_unknown_task_has_failed_after_a_while() -> None:
    """A retry then submits it anew, which one that is lost to an outage must not."""
    memory: dict[str, Any] = {}
    assert judge(None, task("b", "running"), memory=memory).outcome == Outcome.RUNNING
    verdict = judge(None, task("b", "running"), memory=memory, now=61)
    assert verdict.outcome == Outcome.FAILED
    assert "does not know 1 of 2 tasks" in verdict.message


def test_a_task_that_is_known_again_gets_its_time_anew() -> None:
    memory: dict[str, Any] = {}
    for known, now in ((None, 0.0), (task("a", "running"), 30.0), (None, 3600.0)):
        assert judge(known, task("b", "running"), memory=memory, now=now).outcome == Outcome.RUNNING


def test_progress_counts() -> None:
    documents = (
        task("a"),
        task("b", "failed"),
        task("c", "running"),
        task("d", "running"),
        task("e", "waiting-for-nodes"),
    )
    verdict = judge(*documents, rules={"ended_before": 10})
    assert verdict.progress == "12 of 15 have ended, 1 failed, 2 running, 1 waiting for nodes"


@pytest.mark.parametrize(
    ("document", "wanted", "outcome"),
    [
        ({"status": "offline"}, 0, "running"),
        ({"status": "online"}, 0, "succeeded"),
        ({"status": "online", "details": {"idle_workers": 1, "total_workers": 4}}, 2, "running"),
        ({"status": "online", "details": {"idle_workers": 2, "total_workers": 4}}, 2, "succeeded"),
        ({"status": "online", "details": {}}, 2, "succeeded"),
    ],
)
def test_endpoints(document: Any, wanted: int, outcome: str) -> None:
    verdict = EndpointStates().judge([document], {"min_idle_workers": wanted}, {}, 0.0)
    assert verdict.outcome == outcome
    assert verdict.result["status"] == document["status"]
