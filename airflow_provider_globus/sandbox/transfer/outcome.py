"""How a task starts, progresses and ends: the rules of the service, without threads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airflow_provider_globus.sandbox.transfer.tasks import Phase

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.transfer.tasks import Task

PROGRESS_EXTENDS_SECONDS = 72 * 3600.0
PAUSE_EXTENDS_SECONDS = 90 * 86400.0
UNPAUSE_LEAVES_SECONDS = 24 * 3600.0


def start(task: Task, now: float) -> None:
    """Mark a queued task as started."""
    task.start_time = now
    if task.nice_status == "Queued":
        task.nice_status = "OK"
    details = {"type": "GridFTP Transfer" if task.type == "TRANSFER" else "Delete"}
    task.log(now, "STARTED", "started", json.dumps(details))


def progress_made(task: Task, now: float) -> bool:
    """Log what a worker achieved; a transfer that progresses under the default deadline gets 72 hours more.

    :return: whether the deadline moved.
    """
    if task.steps_succeeded == task.steps_reported:
        return False
    task.steps_reported = task.steps_succeeded
    seconds = max(now - (task.start_time or now), 1.0)
    details = {
        "bytes_transferred": task.bytes_transferred,
        "duration": round(seconds, 3),
        "mbps": round(task.bytes_transferred * 8 / seconds / 1_000_000, 3),
    }
    task.log(now, "PROGRESS", "progress", json.dumps(details))
    later = now + PROGRESS_EXTENDS_SECONDS
    if task.type != "TRANSFER" or task.deadline_chosen or later <= task.deadline:
        return False
    task.deadline = later
    return True


def finish(task: Task, now: float, code: str | None, description: str) -> None:
    """End a task: well without a code, else as FAILED with a fatal error."""
    task.phase = Phase.DONE
    task.completion_time = now
    task.stops.clear()
    if code is None:
        task.status = "SUCCEEDED"
        skipped = f"{len(task.skipped)} errors skipped" if task.skipped else ""
        task.log(now, "SUCCEEDED", "succeeded", skipped)
    else:
        task.status = "FAILED"
        task.fatal_error = {"code": code, "description": description}
        task.steps_left = task.steps_total - task.steps_succeeded - task.steps_failed - len(task.skipped)
        details = "Canceled by the task owner" if code == "CANCELED" and not task.canceled_by_admin else ""
        if not task.events or task.events[-1].code != code:  # else the error that ends it is told already
            task.log(now, code, description, task.canceled_by_admin_message or details, is_error=True)
    task.nice_status, task.nice_details = "OK", None
    task.scans.clear()
    task.work.clear()
    task.retry = []


def pause(task: Task, now: float, message: str | None) -> None:
    """Note that an endpoint manager, or a rule of one, paused a task; it may rest for ninety days."""
    task.nice_status, task.nice_details, task.nice_since = "PAUSED", message, now
    task.deadline = max(task.deadline, now + PAUSE_EXTENDS_SECONDS)
    task.log(now, "PAUSED", "paused", message or "", is_error=True)


def unpause(task: Task, now: float) -> None:
    """Note that a task may go on; it has a day from now."""
    task.deadline = now + UNPAUSE_LEAVES_SECONDS
    task.log(now, "UNPAUSED", "unpaused")
