"""
Activity on a collection: how the tasks of all its users become a summary, and conditions on them.

Summaries are made task by task and keep counts, not tasks: memory does not grow with a busy collection. Conditions are
waited for the way jobs are; a "job" is a condition written as JSON, and a look is a list of tasks.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_globus.hooks.activity import tasks_since, unfinished_tasks
from airflow_provider_globus.jobs.base import Document, Look, Outcome, Verdict, human_bytes, look_id
from airflow_provider_globus.jobs.transfer import FATAL_NICE_STATUSES

if TYPE_CHECKING:
    from airflow_provider_globus.hooks.globus import GlobusHook

#: Tasks, users and routes that a summary lists at most.
MAX_LISTED = 50

#: Users and routes that a summary tells apart; what comes later is counted as "others".
MAX_GROUPS = 5_000

#: Conditions that the sensor knows.
CONDITIONS = ("quiet", "finished", "trouble", "arrived")

_CALM = (None, "", "OK", "Queued")


def state_of(task: Mapping[str, Any]) -> str:
    """
    How a task stands.

    ``succeeded`` and ``failed`` are final. ``stuck``: suspended, or with a fault that time does not cure. ``paused``:
    by a manager or a pause rule. ``faulting``: with a fault that Globus retries. ``active``: all well.
    """
    status, code = task["status"], task.get("nice_status")
    if status in ("SUCCEEDED", "FAILED"):
        return str(status).lower()
    if task.get("is_paused"):
        return "paused"
    if status == "INACTIVE" or code in FATAL_NICE_STATUSES:
        return "stuck"
    return "active" if code in _CALM else "faulting"


def owner_of(task: Mapping[str, Any]) -> str:
    """Who submitted a task, for people to read."""
    return str(task.get("owner_string") or task.get("username") or task.get("owner_id") or "unknown")


def described(task: Mapping[str, Any], state: str | None = None) -> dict[str, Any]:
    """The part of a task that a report shows; JSON."""
    details = task.get("nice_status_details") or task.get("nice_status_short_description") or ""
    error = task.get("fatal_error") or {}
    return {
        "task_id": task["task_id"],
        "owner": owner_of(task),
        "owner_id": task.get("owner_id"),
        "state": state or state_of(task),
        "code": error.get("code") or task.get("nice_status"),
        "details": " ".join(str(error.get("description") or details).split())[:200],
        "faults": task.get("faults") or 0,
        "bytes": task.get("bytes_transferred") or 0,
        "label": task.get("label"),
        "source": task.get("source_endpoint_display_name"),
        "destination": task.get("destination_endpoint_display_name"),
        "request_time": task.get("request_time"),
        "completion_time": task.get("completion_time"),
    }


class ActivitySummary:
    """
    Who moved what: counts over any number of tasks.

    :param collection_id: the collection, to tell what came in from what went out.
    """

    def __init__(self, collection_id: str) -> None:
        self.collection_id = collection_id
        self._totals = _counts()
        self._states = dict.fromkeys(("succeeded", "failed", "active", "faulting", "stuck", "paused"), 0)
        self._bytes = {"in": 0, "out": 0}
        self._users: dict[str, dict[str, Any]] = {}
        self._routes: dict[tuple[str, str], dict[str, Any]] = {}
        self._troubled: list[dict[str, Any]] = []
        self._failed: list[dict[str, Any]] = []
        self._unfinished: set[str] = set()

    def add(self, task: Mapping[str, Any]) -> None:
        """Take in a task; one that ends while pages are read comes twice, and counts once, as it was seen first."""
        if task["task_id"] in self._unfinished:
            return
        state = state_of(task)
        if state not in ("succeeded", "failed"):
            self._unfinished.add(task["task_id"])
        self._states[state] += 1
        moved = task.get("bytes_transferred") or 0
        for way in self._ways(task):
            self._bytes[way] += moved
        owner_id = str(task.get("owner_id") or "")
        user = _group(self._users, owner_id, {"owner": owner_of(task), "owner_id": owner_id})
        names = [task.get(f"{side}_endpoint_display_name") for side in ("source", "destination")]
        route = _group(
            self._routes,
            (str(task.get("source_endpoint_id")), str(task.get("destination_endpoint_id"))),
            {"source": names[0], "destination": names[1], "type": task["type"]},
        )
        for counts in (self._totals, user, route):
            _count(counts, task, state)
        listed = {"stuck": self._troubled, "faulting": self._troubled, "failed": self._failed}.get(state)
        if listed is not None and len(listed) < MAX_LISTED:
            listed.append(described(task, state))

    def document(self) -> dict[str, Any]:
        """The summary; JSON. Users and routes with the most bytes come first."""
        users, more_users = _most(self._users)
        routes, more_routes = _most(self._routes)
        return {
            **self._totals,
            **{name: self._states[name] for name in ("active", "faulting", "stuck", "paused")},
            "bytes_in": self._bytes["in"],
            "bytes_out": self._bytes["out"],
            "users": users,
            "users_not_listed": more_users,
            "routes": routes,
            "routes_not_listed": more_routes,
            "troubled_tasks": sorted(self._troubled, key=lambda item: (item["state"] != "stuck", -item["faults"])),
            "failed_tasks": list(self._failed),
        }

    def _ways(self, task: Mapping[str, Any]) -> Iterable[str]:
        for side, way in (("source", "out"), ("destination", "in")):
            ids = (f"{side}_endpoint_id", f"{side}_mapped_collection_id", f"{side}_host_endpoint_id")
            if self.collection_id in [task.get(name) for name in ids]:
                yield way


def _counts() -> dict[str, Any]:
    return dict.fromkeys(("tasks", "succeeded", "failed", "unfinished", "files", "bytes", "faults"), 0)


def _count(counts: dict[str, Any], task: Mapping[str, Any], state: str) -> None:
    counts["tasks"] += 1
    counts[state if state in ("succeeded", "failed") else "unfinished"] += 1
    counts["files"] += task.get("files_transferred") or 0
    counts["bytes"] += task.get("bytes_transferred") or 0
    counts["faults"] += task.get("faults") or 0


def _group(groups: dict[Any, dict[str, Any]], key: Any, names: dict[str, Any]) -> dict[str, Any]:
    if key not in groups and len(groups) >= MAX_GROUPS:
        key, names = "others", dict.fromkeys(names, "others")
    return groups.setdefault(key, names | _counts())


def _most(groups: Mapping[Any, dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    ranked = sorted(groups.values(), key=lambda group: (-group["bytes"], -group["tasks"]))
    return ranked[:MAX_LISTED], max(0, len(ranked) - MAX_LISTED)


class ActivityCondition(NamedTuple):
    """
    What must be true of the tasks on a collection.

    :param collection_id: UUID of the collection or endpoint.
    :param shown: what the author calls it, for errors.
    :param condition: one of :data:`CONDITIONS`.
    :param since: begin of the window, seconds since the epoch.
    :param use: ``source`` or ``destination``: only tasks that use the collection as that.
    :param owners: only tasks of these identities (UUIDs); of all when empty.
    :param not_owners: no tasks of these.
    :param min_tasks: so many tasks must have finished, arrived, or be in trouble.
    :param min_bytes: so many bytes must have arrived.
    :param min_faults: an unfinished task with so many faults is in trouble, too.
    :param lasting: seconds for which it must have been so.
    """

    collection_id: str
    shown: str
    condition: str
    since: float
    use: str | None = None
    owners: Sequence[str] = ()
    not_owners: Sequence[str] = ()
    min_tasks: int = 1
    min_bytes: int = 0
    min_faults: int | None = None
    lasting: float = 0.0

    @property
    def job_id(self) -> str:
        """The condition as text, to be waited for."""
        return look_id(self._asdict())

    def concerns(self, task: Mapping[str, Any]) -> bool:
        """Whether a task is one of those that count."""
        owner = task.get("owner_id")
        if (self.owners and owner not in self.owners) or owner in self.not_owners:
            return False
        if self.condition == "trouble":
            return in_trouble(task, self.min_faults)
        return self.condition != "arrived" or task["status"] == "SUCCEEDED"


class ActivityConditions(Look):
    """Conditions on the tasks of a collection; each look is one list of tasks, page by page."""

    name = "activity"
    noun = "activity"

    def look(self, hook: GlobusHook, what: dict[str, Any]) -> Document:
        """Look at the collection."""
        return _look(hook, ActivityCondition(**what))

    def shown(self, condition: dict[str, Any]) -> str:
        """The collection."""
        return f"on {condition['shown']!r}"

    def judge(
        self,
        documents: Sequence[Document | None],
        rules: Mapping[str, Any],
        memory: dict[str, Any],
        now: float,
    ) -> Verdict:
        """Decide whether the condition holds, and has held for ``lasting`` seconds (a field of the look)."""
        (look,) = documents
        assert look is not None
        result = {key: look[key] for key in ("condition", "tasks", "succeeded", "failed", "unfinished", "bytes")}
        result["listed"] = look["listed"]
        if not look["fulfilled"]:
            memory.clear()
            return Verdict(Outcome.RUNNING, "", None, look["said"], result)
        since = memory.setdefault("since", now)
        if now - since < look["lasting"]:
            return Verdict(Outcome.RUNNING, "", None, f"{look['said']}; watching whether it stays so", result)
        return Verdict(Outcome.SUCCEEDED, "", None, look["said"], result)


def _look(hook: GlobusHook, wanted: ActivityCondition) -> Document:
    summary = ActivitySummary(wanted.collection_id)
    chosen: list[dict[str, Any]] = []
    for task in _tasks(hook, wanted):
        if wanted.concerns(task):
            summary.add(task)
            if len(chosen) < MAX_LISTED:
                chosen.append(described(task))
    counts = summary.document()
    fulfilled, said = _weigh(wanted, counts)
    return {
        **{key: counts[key] for key in ("tasks", "succeeded", "failed", "unfinished", "bytes")},
        "condition": wanted.condition,
        # What has been quiet says so itself: no task has ended meanwhile.
        "lasting": 0.0 if wanted.condition == "quiet" else wanted.lasting,
        "fulfilled": fulfilled,
        "said": said,
        "listed": chosen,
    }


def _tasks(hook: GlobusHook, wanted: ActivityCondition) -> Iterable[Document]:
    listing: dict[str, Any] = {"shown": wanted.shown, "use": wanted.use, "polling": True}
    since = time.time() - wanted.lasting if wanted.condition == "quiet" else wanted.since
    if wanted.condition == "trouble" or (wanted.condition == "quiet" and not wanted.lasting):
        return unfinished_tasks(hook, wanted.collection_id, **listing)
    return tasks_since(hook, wanted.collection_id, since, **listing)


def in_trouble(task: Mapping[str, Any], min_faults: int | None = None) -> bool:
    """Whether an unfinished task is stuck, or has had so many faults."""
    state = state_of(task)
    if state in ("succeeded", "failed"):
        return False
    return state == "stuck" or (min_faults is not None and (task.get("faults") or 0) >= min_faults)


def _weigh(wanted: ActivityCondition, counts: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether the condition holds, and how far it is."""
    unfinished, ended = counts["unfinished"], counts["succeeded"] + counts["failed"]
    if wanted.condition == "quiet":
        said = f"{unfinished} unfinished tasks"
        said += f", {ended} ended within the last {wanted.lasting:.0f} s" if wanted.lasting else ""
        return counts["tasks"] == 0, said
    if wanted.condition == "trouble":
        return unfinished >= wanted.min_tasks, f"{unfinished} tasks in trouble, waiting for {wanted.min_tasks}"
    if wanted.condition == "finished":
        said = f"{ended} of at least {wanted.min_tasks} tasks have ended ({counts['failed']} failed), "
        return unfinished == 0 and ended >= wanted.min_tasks, f"{said}{unfinished} are unfinished"
    said = f"{counts['tasks']} of at least {wanted.min_tasks} tasks, {human_bytes(counts['bytes'])}"
    if wanted.min_bytes:
        said += f" of at least {human_bytes(wanted.min_bytes)}"
    return counts["tasks"] >= wanted.min_tasks and counts["bytes"] >= wanted.min_bytes, f"{said} have arrived"
