from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_globus.exceptions import GlobusAuthError, GlobusRateLimitError, GlobusUnavailableError
from airflow_provider_globus.jobs.activity import ActivityCondition, ActivityConditions
from airflow_provider_globus.jobs.base import JobService, Outcome
from airflow_provider_globus.jobs.compute import ComputeTasks
from airflow_provider_globus.jobs.paths import PathCondition, PathConditions
from airflow_provider_globus.jobs.transfer import TransferJobs
from airflow_provider_globus.jobs.watch import MAX_BACKOFF, JobWatch, backoff, verdict_of_event

LOG = logging.getLogger("watch")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(clock: Clock, caplog: pytest.LogCaptureFixture) -> JobWatch:
    caplog.set_level(logging.INFO)
    return JobWatch(TransferJobs(), ["t"], deadline=5000.0, log=LOG, clock=clock)


def task(**changes: Any) -> dict[str, dict[str, Any]]:
    document = {"task_id": "t", "type": "TRANSFER", "status": "ACTIVE", "files": 3, "files_transferred": 1}
    return {"t": {**document, "nice_status": "OK", **changes}}


def test_progress_is_logged_when_it_changes_only(watch: JobWatch, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        assert watch.observe(task()) is None
    watch.observe(task(files_transferred=2))
    assert [record.message for record in caplog.records] == [
        "Globus task t: 1 of 3 files, 0 B",
        "Globus task t: 2 of 3 files, 0 B",
    ]


@pytest.mark.parametrize(
    ("service", "job_id", "name"),
    [
        (PathConditions(), PathCondition("c", "/scan_1/", marker="done").job_id, "path /scan_1/"),
        (ActivityConditions(), ActivityCondition("c", "archive", "quiet", 0.0).job_id, "activity on 'archive'"),
    ],
)
def test_a_condition_is_named_for_people(service: JobService, job_id: str, name: str) -> None:
    assert service.named([job_id]) == name


def test_an_outage_is_two_lines_however_long(watch: JobWatch, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    watch.observe(task())
    caplog.clear()
    for _ in range(50):
        clock.now += 6
        assert watch.observe_error(GlobusUnavailableError("503.", status=503)) is None
    watch.observe(task())
    assert len(caplog.records) == 2
    assert "waiting goes on" in caplog.records[0].message
    assert "answers again after 294 s and 50 failed looks" in caplog.records[1].message


def test_another_kind_of_trouble_is_another_line(watch: JobWatch, caplog: pytest.LogCaptureFixture) -> None:
    watch.observe_error(GlobusUnavailableError("503.", status=503))
    watch.observe_error(GlobusRateLimitError("429.", status=429))
    watch.observe_error(GlobusRateLimitError("429 again.", status=429))
    assert len(caplog.records) == 2


def test_a_refusal_is_borne_for_ten_minutes(watch: JobWatch, clock: Clock) -> None:
    refused = GlobusAuthError("invalid_client.", status=401)
    assert watch.observe_error(refused) is None
    clock.now += 599
    assert watch.observe_error(refused) is None
    clock.now += 1
    verdict = watch.observe_error(refused)
    assert verdict is not None
    assert verdict.outcome == Outcome.LOST
    assert "invalid_client" in verdict.message


def test_an_outage_alone_never_ends_the_waiting_before_the_deadline(watch: JobWatch, clock: Clock) -> None:
    clock.now = 4999
    assert watch.observe_error(GlobusUnavailableError("502.")) is None
    clock.now = 5000
    verdict = watch.observe_error(GlobusUnavailableError("502."))
    assert verdict is not None
    assert verdict.outcome == Outcome.TIMEOUT


def test_an_end_counts_more_than_the_deadline(watch: JobWatch, clock: Clock) -> None:
    clock.now = 6000
    verdict = watch.observe(task(status="SUCCEEDED"))
    assert verdict is not None
    assert verdict.outcome == Outcome.SUCCEEDED


def test_events_read_back_as_verdicts(watch: JobWatch) -> None:
    verdict = watch.observe(task(status="FAILED", fatal_error={"code": "CANCELED", "description": "by user"}))
    assert verdict is not None
    event = watch.event(verdict)
    assert event["job_ids"] == ["t"]
    back = verdict_of_event(event)
    assert (back.outcome, back.code, back.message) == (verdict.outcome, verdict.code, verdict.message)
    assert back.result == verdict.result


@pytest.mark.parametrize("event", [None, {}, {"version": 99}, "done"])
def test_foreign_events_are_refused(event: Any) -> None:
    with pytest.raises(ValueError, match="understands"):
        verdict_of_event(event)


def test_backoff_grows_is_capped_and_heeds_globus() -> None:
    error = GlobusUnavailableError("x")
    assert 7.5 <= backoff(10, 1, error) <= 12.5
    assert 30 <= backoff(10, 3, error) <= 50
    assert backoff(10, 50, error) <= MAX_BACKOFF * 1.25
    assert backoff(10, 1, GlobusRateLimitError("x", retry_after=700)) >= 700


def test_what_has_ended_is_kept_and_not_asked_for_again(clock: Clock) -> None:
    watch = JobWatch(ComputeTasks(), ["a", "b"], log=LOG, clock=clock)
    assert watch.pending == ["a", "b"]
    watch.observe(
        {"a": {"task_id": "a", "status": "success", "result": "1"}, "b": {"task_id": "b", "status": "running"}}
    )
    assert watch.pending == ["b"]
    verdict = watch.observe({"b": {"task_id": "b", "status": "success", "result": "2"}})
    assert verdict is not None
    assert {name: document["result"] for name, document in verdict.result["documents"].items()} == {"a": "1", "b": "2"}


def test_a_timeout_says_how_it_stood(watch: JobWatch, clock: Clock) -> None:
    watch.observe(task(files_transferred=2))
    clock.now = 6000.0
    verdict = watch.check_deadline()
    assert verdict is not None
    assert verdict.message == "The time allowed for it is over. Last seen: 2 of 3 files, 0 B."
