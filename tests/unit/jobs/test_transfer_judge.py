from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_globus.jobs.base import Outcome, Verdict
from airflow_provider_globus.jobs.transfer import TransferJobs

TASK = {
    "task_id": "t",
    "type": "TRANSFER",
    "status": "ACTIVE",
    "files": 4,
    "files_transferred": 1,
    "bytes_transferred": 2_500_000,
    "effective_bytes_per_second": 1000,
    "faults": 0,
    "nice_status": "OK",
}


def judge(memory: dict[str, Any] | None = None, now: float = 0.0, rules: Any = None, **task: Any) -> Verdict:
    return TransferJobs().judge([{**TASK, **task}], rules or {}, {} if memory is None else memory, now)


def test_active_is_running_and_tells_progress() -> None:
    verdict = judge()
    assert verdict.outcome == Outcome.RUNNING
    assert verdict.progress == "1 of 4 files, 2.5 MB, 1.0 kB/s"


def test_queued_is_running() -> None:
    assert judge(nice_status="Queued").progress.endswith("Queued")


def test_succeeded_gives_a_summary() -> None:
    verdict = judge(status="SUCCEEDED", files_transferred=4, nice_status=None)
    assert verdict.outcome == Outcome.SUCCEEDED
    assert (verdict.result["files"], verdict.result["bytes"]) == (4, 2_500_000)


def test_skipped_files_fail_unless_allowed() -> None:
    assert judge(status="SUCCEEDED", subtasks_skipped_errors=2).code == "SKIPPED_ERRORS"
    allowed = judge(status="SUCCEEDED", subtasks_skipped_errors=2, rules={"allow_skipped": True})
    assert allowed.outcome == Outcome.SUCCEEDED


def test_failed_says_why() -> None:
    verdict = judge(status="FAILED", fatal_error={"code": "EXPIRED", "description": "deadline"})
    assert (verdict.outcome, verdict.code) == (Outcome.FAILED, "EXPIRED")
    assert "deadline" in verdict.message


def test_unknown_is_lost() -> None:
    assert TransferJobs().judge([None], {}, {}, 0).outcome == Outcome.LOST


@pytest.mark.parametrize("code", ["FILE_NOT_FOUND", "PERMISSION_DENIED", "AUTH", "IS_A_DIRECTORY"])
def test_a_fatal_fault_is_stuck_after_its_grace(code: str) -> None:
    memory: dict[str, Any] = {}
    faulty = {"nice_status": code, "nice_status_details": "no  such\nfile", "faults": 1}
    assert judge(memory, 100, **faulty).outcome == Outcome.RUNNING
    assert judge(memory, 399, **faulty).outcome == Outcome.RUNNING
    verdict = judge(memory, 400, **faulty)
    assert (verdict.outcome, verdict.code) == (Outcome.STUCK, code)
    assert "no such file" in verdict.message


def test_progress_in_between_starts_the_grace_anew() -> None:
    memory: dict[str, Any] = {}
    judge(memory, 0, nice_status="FILE_NOT_FOUND")
    judge(memory, 200, nice_status="OK")
    judge(memory, 250, nice_status="FILE_NOT_FOUND")
    assert judge(memory, 400, nice_status="FILE_NOT_FOUND").outcome == Outcome.RUNNING


@pytest.mark.parametrize(
    "code", ["CONNECT_FAILED", "ENDPOINT_TOO_BUSY", "GC_NOT_CONNECTED", "PAUSED", "VERIFY_CHECKSUM"]
)
def test_what_time_cures_is_waited_for(code: str) -> None:
    memory: dict[str, Any] = {}
    judge(memory, 0, nice_status=code)
    assert judge(memory, 1e6, nice_status=code).outcome == Outcome.RUNNING


def test_suspended_is_inactive_after_its_grace() -> None:
    memory: dict[str, Any] = {}
    assert judge(memory, 0, status="INACTIVE", nice_status="AUTH").outcome == Outcome.RUNNING
    verdict = judge(memory, 300, status="INACTIVE", nice_status="AUTH")
    assert verdict.outcome == Outcome.INACTIVE
    assert "credentials" in verdict.message


def test_the_author_chooses_codes_and_grace() -> None:
    rules = {"stuck_grace": 0, "fatal_nice_statuses": ["QUOTA_EXCEEDED"]}
    assert judge({}, 0, rules, nice_status="QUOTA_EXCEEDED").outcome == Outcome.STUCK
    assert judge({}, 0, rules, nice_status="FILE_NOT_FOUND").outcome == Outcome.RUNNING


def test_a_deletion_counts_steps() -> None:
    assert judge(type="DELETE", subtasks_succeeded=3, subtasks_total=5).progress == "3 of 5 steps"
