"""Transfer and delete tasks: how to ask after them, read their state, and cancel them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.exceptions import GlobusNotFoundError
from airflow_provider_globus.jobs.base import Condition, Document, JobService, Outcome, Verdict, human_bytes

if TYPE_CHECKING:
    from airflow_provider_globus.hooks.globus import GlobusHook

#: Faults that stay until a person changes something. Globus itself would retry them until the task's deadline,
#: a day or more, with the task still ACTIVE.
FATAL_NICE_STATUSES = (
    "AMBIGUOUS_PATH",
    "AUTH",
    "EXTERNAL_CHECKSUM_MISMATCH",
    "FILE_NOT_FOUND",
    "GSI_DN_MISMATCH",
    "INVALID_PATH_NAME",
    "INVALID_SERVICE_CREDENTIAL",
    "INVALID_SYMLINK",
    "IS_A_DIRECTORY",
    "IS_A_FILE",
    "LIMIT_EXCEEDED",
    "NOT_A_DIRECTORY",
    "NOT_A_FILE",
    "NOT_A_SYMLINK",
    "NO_CREDENTIALS",
    "PERMISSION_DENIED",
)

#: What to do about those that DAG authors meet most.
_CURES = {
    "FILE_NOT_FOUND": "Check the path on that collection; what comes later is waited for with GlobusPathSensor.",
    "PERMISSION_DENIED": "Let the owner of the collection give this connection's identity access to the path.",
}

#: Seconds that a fatal fault, or suspension, may last before the task is given up: files may still be settling.
STUCK_GRACE = 300.0

#: Unfinished tasks that Globus takes from one identity.
PENDING_TASKS = 100
_SLACK = 10

#: Events quoted in an error.
_EVENTS = 5

_CALM = (None, "", "OK", "Queued")


class TransferJobs(JobService):
    """
    Tasks of Globus Transfer.

    One ``task_list`` call asks after up to 50 tasks: the limit that Globus documents for its endpoint manager's list,
    and states for no other.
    """

    name = "transfer"
    noun = "Globus task"
    batch_size = 50
    # Globus allows an identity 20 requests a second; half of that leaves room for its submissions.
    pause = 0.1

    def fetch(self, hook: GlobusHook, job_ids: Sequence[str]) -> dict[str, Document]:
        """One call for all; tasks that the list leaves out are asked for one by one to be sure."""
        client = hook.transfer_client(polling=True)
        answer = hook.call(
            f"asking after {len(job_ids)} tasks",
            client.task_list,
            limit=len(job_ids),
            filter={"task_id": list(job_ids)},
        )
        found = {str(document["task_id"]): document for document in answer["DATA"]}
        for task_id in job_ids:
            if task_id not in found:
                try:
                    found[task_id] = hook.call(f"asking after task {task_id}", client.get_task, task_id)
                except GlobusNotFoundError:
                    continue
        return found

    def judge(
        self,
        documents: Sequence[Document | None],
        rules: Mapping[str, Any],
        memory: dict[str, Any],
        now: float,
    ) -> Verdict:
        """
        Decide how a task stands.

        Rules: ``stuck_grace`` (seconds), ``fatal_nice_statuses`` (codes), ``allow_skipped`` (accept skipped files).
        """
        (task,) = documents
        if task is None:
            return Verdict(Outcome.LOST, "Globus does not know the task (any more).", "NOT_FOUND")
        result, status = summary(task), task["status"]
        if status == "SUCCEEDED":
            return _judge_success(task, result, rules)
        if status == "FAILED":
            error = task.get("fatal_error") or {}
            code = error.get("code") or "FAILED"
            return Verdict(Outcome.FAILED, f"{code}: {error.get('description') or 'no reason given'}", code, "", result)
        return _judge_unfinished(task, result, rules, memory, now)

    def cancel(self, hook: GlobusHook, job_id: str) -> str:
        """Cancel a task; Globus may still finish files that are on their way."""
        client = hook.transfer_client()
        try:
            answer = hook.call(f"cancelling task {job_id}", client.cancel_task, job_id)
        except GlobusNotFoundError:
            return "Globus does not know the task."
        return f"{answer.get('code')}: {answer.get('message')}"

    def explain(self, hook: GlobusHook, job_id: str) -> list[str]:
        """The task's latest error events."""
        client = hook.transfer_client()
        answer = hook.call(
            f"reading the events of task {job_id}",
            client.task_event_list,
            job_id,
            limit=_EVENTS,
            query_params={"filter_is_error": 1},
        )
        errors = [event for event in answer["DATA"] if event.get("is_error")]
        return [f"{e['time']} {e['code']}: {' '.join(str(e['details']).split())[:400]}" for e in errors[:_EVENTS]]

    def url(self, web_app_url: str, job_id: str) -> str:
        """The task's page under "Activity"."""
        return f"{web_app_url}/activity/{job_id}"


class TransferRoom(Condition):
    """
    Room for another task: Globus takes 100 unfinished tasks of an identity and refuses more.

    Not a job, but waited for like one. Some slack keeps those who wait from colliding over a single free place.
    """

    name = "transfer-room"
    noun = "room for another Globus task"
    batch_size = 1

    def fetch(self, hook: GlobusHook, job_ids: Sequence[str]) -> dict[str, Document]:
        """Count this identity's unfinished tasks."""
        client = hook.transfer_client(polling=True)
        unfinished = {"status": ["ACTIVE", "INACTIVE"]}
        answer = hook.call("counting unfinished tasks", client.task_list, limit=1, filter=unfinished)
        return {job_id: {"unfinished": int(answer["total"])} for job_id in job_ids}

    def judge(
        self,
        documents: Sequence[Document | None],
        rules: Mapping[str, Any],
        memory: dict[str, Any],
        now: float,
    ) -> Verdict:
        """Whether there is room."""
        unfinished = documents[0]["unfinished"] if documents[0] else 0
        progress = f"{unfinished} unfinished tasks of this identity, of {PENDING_TASKS} that Globus takes"
        outcome = Outcome.SUCCEEDED if unfinished <= PENDING_TASKS - _SLACK else Outcome.RUNNING
        return Verdict(outcome, "", None, progress, {"unfinished": unfinished})


def summary(task: Document) -> dict[str, Any]:
    """The part of a task's document that is worth an XCom."""
    return {
        "task_id": task["task_id"],
        "type": task["type"],
        "status": task["status"],
        "label": task.get("label"),
        "files": task.get("files") or 0,
        "files_transferred": task.get("files_transferred") or 0,
        "files_skipped": task.get("files_skipped") or 0,
        "directories": task.get("directories") or 0,
        "bytes": task.get("bytes_transferred") or 0,
        "skipped_errors": task.get("subtasks_skipped_errors") or 0,
        "faults": task.get("faults") or 0,
        "effective_bytes_per_second": task.get("effective_bytes_per_second") or 0,
        "request_time": task.get("request_time"),
        "completion_time": task.get("completion_time"),
    }


def _judge_success(task: Document, result: dict[str, Any], rules: Mapping[str, Any]) -> Verdict:
    skipped = result["skipped_errors"]
    if skipped and not rules.get("allow_skipped"):
        message = (
            f"{skipped} source files could not be read and were skipped. "
            "List them with task_skipped_errors, or accept them with allow_skipped=True."
        )
        return Verdict(Outcome.FAILED, message, "SKIPPED_ERRORS", "", result)
    return Verdict(Outcome.SUCCEEDED, "", None, _progress(task), result)


def _judge_unfinished(
    task: Document, result: dict[str, Any], rules: Mapping[str, Any], memory: dict[str, Any], now: float
) -> Verdict:
    trouble = _trouble(task, rules)
    if trouble is None:
        memory.pop("trouble", None)
        return Verdict(Outcome.RUNNING, "", None, _progress(task), result)
    outcome, code, message = trouble
    if memory.get("trouble") != code:
        memory.update(trouble=code, since=now)
    grace = float(rules.get("stuck_grace", STUCK_GRACE))
    lasted = now - memory["since"]
    if lasted < grace:
        progress = f"{_progress(task)}; tolerated for {grace:.0f} s: {message}"
        return Verdict(Outcome.RUNNING, message, code, progress, result)
    return Verdict(outcome, f"{message} This has lasted for {lasted:.0f} s.", code, "", result)


def _trouble(task: Document, rules: Mapping[str, Any]) -> tuple[Outcome, str, str] | None:
    """What keeps a task from making progress until somebody helps, if anything does."""
    code = task.get("nice_status")
    said = " ".join(str(task.get("nice_status_details") or task.get("nice_status_short_description") or "").split())
    if task["status"] == "INACTIVE":
        code = code if code not in _CALM else "INACTIVE"
        message = f"Globus suspended the task ({code}{': ' + said if said else ''}) until its credentials are renewed."
        return Outcome.INACTIVE, str(code), message
    if code in rules.get("fatal_nice_statuses", FATAL_NICE_STATUSES):
        cure = _CURES.get(str(code), "")
        return Outcome.STUCK, str(code), " ".join(filter(None, [f"{code}{': ' + said[:400] if said else ''}.", cure]))
    return None


def _progress(task: Document) -> str:
    done = (task.get("files_transferred") or 0) + (task.get("files_skipped") or 0)
    parts = [f"{done} of {task.get('files') or 0} files", human_bytes(task.get("bytes_transferred") or 0)]
    if task["type"] == "DELETE":
        parts = [f"{task.get('subtasks_succeeded') or 0} of {task.get('subtasks_total') or 0} steps"]
    elif rate := task.get("effective_bytes_per_second"):
        parts.append(f"{human_bytes(rate)}/s")
    if faults := task.get("faults"):
        parts.append(f"{faults} faults")
    if task.get("is_paused"):
        parts.append("paused by an administrator")
    elif task["status"] == "ACTIVE" and task.get("nice_status") not in (None, "", "OK"):
        parts.append(str(task["nice_status"]))
    return ", ".join(parts)
