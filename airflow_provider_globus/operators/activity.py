"""Activity on a collection: who uses it, and stopping those who use it wrongly; for managers of its activity."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_globus.exceptions import GlobusError
from airflow_provider_globus.moments import length_in_seconds, point_in_time
from airflow_provider_globus.operators.base import GlobusOperator
from airflow_provider_globus.operators.principals import identity_ids, own_identity_id

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Characters of a message to the owners of tasks that Globus takes.
MESSAGE_LENGTH = 256

#: States of unfinished tasks that a policy may ask for.
STATES = ("active", "faulting", "stuck", "paused")

_CONDITIONS = ("min_faults", "older_than", "owners", "not_owners", "states")

#: Cancelled tasks that the log names.
_NAMED = 20


class GlobusActivityReportOperator(GlobusOperator):
    """
    Report who moved what on a collection within a window of time, and which tasks are stuck or faulting.

    The window holds the tasks that ended in it, and those that are unfinished and began before its end. Returns the
    counts ``tasks``, ``succeeded``, ``failed``, ``unfinished`` (of these ``active``, ``faulting``, ``stuck`` and
    ``paused``), ``files``, ``bytes``, ``bytes_in``, ``bytes_out`` and ``faults``; the same by user (``users``) and by
    pair of collections (``routes``), 50 each with the most bytes first; and up to 50 ``troubled_tasks`` and
    ``failed_tasks``. Without activity all counts are 0. The direction of bytes is told for a collection, not for an
    endpoint.

    The identity of the connection needs the role ``activity_monitor`` (or ``activity_manager``) on the collection, on
    the one it is shared from, or on the endpoint.

    :param collection: UUID, alias of the connection, or unique display name; or the UUID of a Connect Server endpoint,
        for all collections on it.
    :param since: begin of the window: a datetime, its ISO text, or a timedelta before its end. Default: one day.
    :param until: end of the window: a datetime or its ISO text. Default: now.
    :param owners: only tasks of these identities (UUIDs or usernames). Default: of all.
    :param json_path: local file to write the report to, as JSON. Directories above it are made.
    :param markdown_path: local file to write it to for people.
    """

    template_fields: Sequence[str] = (
        "collection",
        "since",
        "until",
        "owners",
        "json_path",
        "markdown_path",
        "globus_conn_id",
    )

    def __init__(
        self,
        *,
        collection: str,
        since: datetime | timedelta | str = timedelta(days=1),
        until: datetime | str | None = None,
        owners: Sequence[str] | str | None = None,
        json_path: str | None = None,
        markdown_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.collection = collection
        self.since = since
        self.until = until
        self.owners = owners
        self.json_path = json_path
        self.markdown_path = markdown_path

    def execute(self, context: Context) -> dict[str, Any]:
        """Read the tasks, sum them up, and write the files."""
        from airflow_provider_globus.hooks.activity import tasks_since
        from airflow_provider_globus.jobs.activity import ActivitySummary
        from airflow_provider_globus.jobs.activity_report import markdown

        since, until = self._window()
        for path in (self.json_path, self.markdown_path):
            if path and Path(path).is_dir():
                raise self.refuse(f"{path!r} is a directory.", "Give the name of a file.")
        collection_id = self.hook.resolve_collection(self.collection)
        owners = identity_ids(self.hook, self.owners)
        end = until.timestamp() if self.until else None
        summary = ActivitySummary(collection_id)
        for task in tasks_since(self.hook, collection_id, since.timestamp(), end, shown=self.collection):
            if not owners or task.get("owner_id") in owners:
                summary.add(task)
        report = {
            "collection": self.collection,
            "collection_id": collection_id,
            "since": since.isoformat(timespec="seconds"),
            "until": until.isoformat(timespec="seconds"),
            **summary.document(),
        }
        self._tell(report)
        if self.json_path:
            self._write(self.json_path, json.dumps(report, indent=2) + "\n")
        if self.markdown_path:
            self._write(self.markdown_path, markdown(report))
        return report

    def _window(self) -> tuple[datetime, datetime]:
        until = point_in_time(self.until, "until", self.refuse) if self.until else datetime.now(UTC)
        if isinstance(self.since, timedelta):
            since = until - self.since
        else:
            since = point_in_time(self.since, "since", self.refuse)
        if since >= until:
            raise self.refuse(f"the window from {since.isoformat()} to {until.isoformat()} has no length.")
        return since.astimezone(UTC), until.astimezone(UTC)

    def _tell(self, report: Mapping[str, Any]) -> None:
        if not report["tasks"]:
            self.log.info("No activity on %r from %s to %s.", self.collection, report["since"], report["until"])
            return
        self.log.info(
            "%d tasks on %r from %s to %s: %d succeeded, %d failed, %d unfinished (%d stuck, %d faulting); %d bytes.",
            *(report["tasks"], self.collection, report["since"], report["until"], report["succeeded"]),
            *(report["failed"], report["unfinished"], report["stuck"], report["faulting"], report["bytes"]),
        )
        for task in report["troubled_tasks"][:_NAMED]:
            self.log.info("%s", _line(task))

    def _write(self, path: str, text: str) -> None:
        """Write a file whole or not at all: whoever reads it must not see half."""
        target = Path(path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                # A temporary file is its maker's alone; a report is for others, too.
                Path(name).chmod(0o644)
                Path(name).replace(target)
            finally:
                Path(name).unlink(missing_ok=True)
        except OSError as error:
            raise GlobusError(
                f"{type(self).__name__}: the report cannot be written to {path}: {error.strerror or error}.",
                advice="Give a path that this worker can write to.",
            ) from None
        self.log.info("Wrote %s.", path)


class GlobusCancelActivityOperator(GlobusOperator):
    """
    Cancel tasks of others on a collection that match a policy, and no others.

    A task is cancelled when it is unfinished, another identity's, and meets every condition that is given; one at
    least must be. Each is looked at again right before it is cancelled, and kept when it no longer matches or is being
    cancelled already. Returns ``cancelled`` (tasks, each with the reasons), ``count``, ``kept`` (unfinished tasks that
    do not match), ``dry_run`` and ``done``: whether Globus has ended all of them.

    The identity of the connection needs the role ``activity_manager`` on the collection, on the one it is shared from,
    or on the endpoint.

    :param collection: UUID, alias of the connection, or unique display name; or the UUID of a Connect Server endpoint,
        for all collections on it.
    :param message: what Globus tells the owners: up to 256 characters.
    :param min_faults: cancel tasks with so many faults or more.
    :param older_than: cancel tasks that were submitted so long ago: a timedelta, or seconds.
    :param owners: cancel tasks of these identities (UUIDs or usernames).
    :param not_owners: cancel tasks of all but these identities.
    :param states: cancel tasks in these states: ``active``, ``faulting``, ``stuck``, ``paused``.
    :param use: ``source`` or ``destination``: cancel only tasks that use the collection as that; no condition alone.
    :param include_own: cancel tasks of the connection's own identity, too.
    :param dry_run: only say what would be cancelled.
    :param wait: seconds to wait until Globus has ended them. Default: 60.
    """

    template_fields: Sequence[str] = (
        "collection",
        "message",
        "min_faults",
        "older_than",
        "owners",
        "not_owners",
        "globus_conn_id",
    )

    def __init__(
        self,
        *,
        collection: str,
        message: str,
        min_faults: int | str | None = None,
        older_than: timedelta | float | str | None = None,
        owners: Sequence[str] | str | None = None,
        not_owners: Sequence[str] | str | None = None,
        states: Sequence[str] | None = None,
        use: Literal["source", "destination"] | None = None,
        include_own: bool = False,
        dry_run: bool = False,
        wait: float = 60.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.collection = collection
        self.message = message
        self.min_faults = min_faults
        self.older_than = older_than
        self.owners = owners
        self.not_owners = not_owners
        self.states = states
        self.use = use
        self.include_own = include_own
        # Operators have a method of that name.
        self._is_dry_run = dry_run
        self.wait = wait
        if isinstance(states, str) or set(states or ()) - set(STATES):
            raise self.refuse(f"states {states!r} are unknown.", f"Give a list of {', '.join(STATES)}.")
        if use not in (None, "source", "destination"):
            raise self.refuse(f"use {use!r} is unknown.", "Choose source or destination.")
        if not isinstance(dry_run, bool):
            raise self.refuse(f"dry_run must be True or False, not {dry_run!r}; it is no template.")

    def execute(self, context: Context) -> dict[str, Any]:
        """Find out what matches, look again, and cancel it."""
        from airflow_provider_globus.hooks.activity import MAX_IDS, unfinished_tasks

        policy, dry_run = self._policy(), self._is_dry_run
        collection_id = self.hook.resolve_collection(self.collection)
        seen: set[str] = set()
        matching: list[str] = []
        for task in unfinished_tasks(self.hook, collection_id, shown=self.collection, use=self.use):
            if task["task_id"] not in seen:
                seen.add(task["task_id"])
                matching += [task["task_id"]] if policy.reasons(task) else []
        cancelled: list[dict[str, Any]] = []
        done = True
        for start in range(0, len(matching), MAX_IDS):
            if self._killed.is_set():
                raise GlobusError(
                    f"The task was killed when {len(cancelled)} of {len(matching)} tasks were cancelled.",
                    advice="Run it again for the others: it looks first, and cancels nothing twice.",
                )
            batch = list(self._still(policy, matching[start : start + MAX_IDS]))
            if batch and not dry_run:
                done &= self._cancel([task["task_id"] for task in batch])
                batch = self._without_succeeded(batch)
            cancelled += batch
            for task in batch[: max(0, _NAMED - start)]:
                what = "Would cancel" if dry_run else "Cancelled"
                self.log.info("%s %s because of %s.", what, _line(task), ", ".join(task["reasons"]))
        kept = len(seen) - len(cancelled)
        what = "match" if dry_run else "were cancelled"
        self.log.info("%d tasks on %r %s; %d unfinished ones are kept.", len(cancelled), self.collection, what, kept)
        return {"cancelled": cancelled, "count": len(cancelled), "kept": kept, "dry_run": dry_run, "done": done}

    def _still(self, policy: _Policy, task_ids: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Those that match at a second look: meanwhile a task may have recovered, or ended."""
        from airflow_provider_globus.hooks.activity import tasks_named
        from airflow_provider_globus.jobs.activity import described

        for task in tasks_named(self.hook, task_ids, shown=self.collection):
            if reasons := policy.reasons(task):
                yield described(task) | {"reasons": reasons}

    def _without_succeeded(self, batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those that the cancel has reached: some may have succeeded just before."""
        from airflow_provider_globus.hooks.activity import tasks_named

        ended = tasks_named(self.hook, [task["task_id"] for task in batch], shown=self.collection)
        succeeded = {task["task_id"] for task in ended if task["status"] == "SUCCEEDED"}
        return [task for task in batch if task["task_id"] not in succeeded]

    def _cancel(self, task_ids: Sequence[str]) -> bool:
        """Cancel tasks; returns whether all of them have ended in time."""
        from airflow_provider_globus.hooks.activity import MANAGER, needs_role

        client = self.hook.transfer_client()
        doing = f"cancelling {len(task_ids)} tasks on {self.collection!r}"
        with needs_role(MANAGER, self.collection):
            answer = self.hook.call(doing, client.endpoint_manager_cancel_tasks, task_ids, self.message)
            until = time.monotonic() + self.wait
            while not answer.get("done") and time.monotonic() < until and not self._killed.wait(min(2.0, self.wait)):
                doing = f"asking after the cancel {answer['id']}"
                answer = self.hook.call(doing, client.endpoint_manager_cancel_status, answer["id"])
        if not answer.get("done"):
            self.log.warning("Globus has accepted the cancel %s and is still about it.", answer["id"])
        return bool(answer.get("done"))

    def _policy(self) -> _Policy:
        if not isinstance(self.message, str) or not self.message.strip():
            raise self.refuse("message must say why: Globus tells the owners of the tasks.")
        if len(self.message) > MESSAGE_LENGTH:
            raise self.refuse(f"message has {len(self.message)} characters; Globus takes {MESSAGE_LENGTH}.")
        # What is given and empty, by a template for example, must not count as not given: it would match more.
        given = {name: getattr(self, name) for name in _CONDITIONS if getattr(self, name) is not None}
        if empty := [name for name, value in given.items() if value in ("", [], ())]:
            raise self.refuse(f"{', '.join(empty)} is given, but empty.", "Leave it out, or say which tasks.")
        if not given:
            raise self.refuse(
                "without a condition every task on the collection would be cancelled.",
                f"Give {', '.join(_CONDITIONS[:-1])} or {_CONDITIONS[-1]}.",
            )
        faults = self._faults() if "min_faults" in given else None
        age = length_in_seconds(self.older_than, "older_than", self.refuse) if "older_than" in given else None
        own = [] if self.include_own else [own_identity_id(self.hook)]
        return _Policy(
            min_faults=faults,
            older_than=age,
            owners=identity_ids(self.hook, self.owners),
            not_owners=identity_ids(self.hook, self.not_owners),
            states=tuple(self.states or ()),
            spared=own,
        )

    def _faults(self) -> int:
        try:
            faults = int(str(self.min_faults))
        except ValueError:
            faults = 0
        if faults < 1:
            raise self.refuse(f"min_faults must be a whole number, at least 1, not {self.min_faults!r}.")
        return faults


class _Policy:
    """Which tasks are to be cancelled: those that meet each condition given."""

    def __init__(
        self,
        *,
        min_faults: int | None,
        older_than: float | None,
        owners: Sequence[str],
        not_owners: Sequence[str],
        states: Sequence[str],
        spared: Sequence[str],
    ) -> None:
        self._min_faults = min_faults
        self._older_than = older_than
        self._owners = owners
        self._not_owners = not_owners
        self._states = states
        self._spared = spared

    def reasons(self, task: Mapping[str, Any]) -> list[str]:
        """Why a task is to be cancelled; nothing when it is not."""
        from airflow_provider_globus.hooks.activity import moment
        from airflow_provider_globus.jobs.activity import owner_of, state_of

        state, owner_id = state_of(task), task.get("owner_id")
        if state not in STATES or task.get("canceled_by_admin") or owner_id in self._spared:
            return []
        faults, age = task.get("faults") or 0, time.time() - moment(task["request_time"])
        owner = f"its owner {owner_of(task)}"
        checks = (
            (self._min_faults is not None, faults >= (self._min_faults or 0), f"{faults} faults"),
            (self._older_than is not None, age >= (self._older_than or 0.0), f"its age of {age:.0f} s"),
            (bool(self._owners), owner_id in self._owners, owner),
            (bool(self._not_owners), bool(owner_id) and owner_id not in self._not_owners, owner),
            (bool(self._states), state in self._states, f"its state {state}"),
        )
        asked = [(met, reason) for given, met, reason in checks if given]
        return list(dict.fromkeys(reason for _, reason in asked)) if asked and all(met for met, _ in asked) else []


def _line(task: Mapping[str, Any]) -> str:
    what = f"task {task['task_id']} of {task['owner']} ({task['state']}, {task['faults']} faults)"
    return f"{what}: {task['code']} {task['details']}".strip() if task["state"] != "active" else what
