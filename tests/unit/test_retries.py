"""The ready-made retry policy: which errors wait how long, in Airflow's own hands."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.exceptions import (
    GlobusEndpointOfflineError,
    GlobusJobFailedError,
    GlobusJobLostError,
    GlobusRateLimitError,
    GlobusTaskLimitError,
    GlobusUnavailableError,
)
from airflow_provider_globus.retries import JITTER, LONGEST, globus_retry_policy

sdk = pytest.importorskip("airflow.sdk.definitions.retry_policy", reason="retry policies came with Airflow 3.3")

if TYPE_CHECKING:
    from airflow.sdk import RetryPolicy

MINUTE = timedelta(minutes=1)


def policy(**waits: timedelta) -> RetryPolicy:
    made = globus_retry_policy(**waits)
    assert made is not None
    return made


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits do not vary."""
    monkeypatch.setattr("random.uniform", lambda least, most: 1.0)


@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize(
    ("error", "minutes", "reason"),
    [
        (GlobusTaskLimitError("full", status=409), 10, "no more tasks"),
        (GlobusRateLimitError("slow down", status=429), 1, "slow down"),
        (GlobusUnavailableError("gone", status=503), 2, "could not be reached"),
        (GlobusJobLostError("lost", job_id="x"), 2, "could not be reached"),
        (GlobusEndpointOfflineError("asleep"), 5, "offline"),
    ],
)
def test_the_wait_follows_the_error_and_doubles(error: Exception, minutes: int, reason: str) -> None:
    first, third = (policy().evaluate(error, number, 5) for number in (1, 3))
    assert (first.action, first.retry_delay) == (sdk.RetryAction.RETRY, minutes * MINUTE)
    assert reason in str(first.reason)
    assert third.retry_delay == min(4 * minutes * MINUTE, LONGEST)


@pytest.mark.usefixtures("steady")
def test_no_wait_is_endless() -> None:
    assert policy().evaluate(GlobusUnavailableError("gone"), 5000, 9999).retry_delay == LONGEST


def test_waits_vary_so_that_tasks_do_not_return_together() -> None:
    error = GlobusUnavailableError("gone")
    waits = {policy(outage=100 * MINUTE).evaluate(error, 1, 5).retry_delay for _ in range(50)}
    assert len(waits) > 40
    assert all(abs(wait / (100 * MINUTE) - 1) <= JITTER for wait in waits if wait)


def test_no_wait_is_shorter_than_globus_asks_for() -> None:
    error = GlobusRateLimitError("slow down", status=429, retry_after=3600)
    assert policy().evaluate(error, 1, 5).retry_delay == timedelta(hours=1)


@pytest.mark.parametrize("error", [GlobusJobFailedError("failed", job_id="x"), ValueError("a bug")])
def test_other_errors_are_left_to_the_task(error: Exception) -> None:
    decision = policy().evaluate(error, 1, 5)
    assert (decision.action, decision.retry_delay) == (sdk.RetryAction.DEFAULT, None)


def test_an_operator_keeps_it_through_copies_and_serialisation() -> None:
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    from airflow_provider_globus.operators.collections import GlobusMkdirOperator

    with DAG("keeps", schedule=None, default_args={"retries": 3, "retry_policy": policy()}) as dag:
        GlobusMkdirOperator(task_id="mkdir", collection="c", path="/p")
    task: Any = copy.deepcopy(dag).get_task("mkdir")
    assert task.retry_policy.evaluate(GlobusEndpointOfflineError("asleep"), 1, 3).retry_delay
    serialized: Any = DagSerialization.deserialize(DagSerialization.serialize(dag))
    assert serialized.get_task("mkdir").has_retry_policy


def test_an_airflow_without_policies_goes_on(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    import airflow.sdk

    monkeypatch.delitem(airflow.sdk.__dict__, "ExceptionRetryPolicy", raising=False)
    lazy = dict(airflow.sdk.__lazy_imports)  # type: ignore[attr-defined]
    del lazy["ExceptionRetryPolicy"]
    monkeypatch.setattr(airflow.sdk, "__lazy_imports", lazy)
    assert globus_retry_policy() is None
    assert "no retry policies" in caplog.text
