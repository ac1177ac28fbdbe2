"""
What arrives: files in a directory, anybody's tasks on a collection, runs of a flow.

Watchers look at these for as long as a DAG is there. A "job" is what to look at, written as JSON: watchers of the same
thing share the look, and each picks from it what is news to itself.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.exceptions import GlobusNotFoundError
from airflow_provider_globus.hooks.activity import moment, tasks_since
from airflow_provider_globus.hooks.files import entries_of
from airflow_provider_globus.jobs.activity import described
from airflow_provider_globus.jobs.base import Document, Looked, look_id
from airflow_provider_globus.jobs.flows import UNFINISHED, run_pages, summary

if TYPE_CHECKING:
    from airflow_provider_globus.hooks.globus import GlobusHook


class Listings(Looked):
    """The files in a directory: one call, or one for each directory below."""

    name = "listings"

    @staticmethod
    def of(collection_id: str, path: str, *, recursive: bool) -> str:
        """Return what to look at."""
        return look_id({"collection_id": collection_id, "path": path, "recursive": recursive})

    def look(self, hook: GlobusHook, what: dict[str, Any]) -> Document:
        """Return ``files``, each as its path below the directory, size and time; none while it does not exist."""
        entries = entries_of(hook, what["collection_id"], what["path"], recursive=what["recursive"])
        try:
            files = [
                (relative, entry["size"], entry["last_modified"])
                for relative, entry in entries
                if entry["type"] == "file"
            ]
        except GlobusNotFoundError:
            # Not the same as empty: what is not mounted now has not gone.
            return {"exists": False, "files": []}
        return {"exists": True, "files": files}


class Endings(Looked):
    """
    What ended within a time.

    What to look at has either ``since`` (seconds since the epoch) or ``lately`` (seconds before the look).
    """

    def look(self, hook: GlobusHook, what: dict[str, Any]) -> Document:
        """Return ``since``, ``until`` (now), and all that ``ended`` between, each with its ``id`` and ``when``."""
        until = time.time()
        since = what["since"] if "since" in what else until - what["lately"]
        return {"since": since, "until": until, "ended": [*self.ended(hook, since, what)]}

    @abstractmethod
    def ended(self, hook: GlobusHook, since: float, what: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield what ended, as JSON."""


class EndedTasks(Endings):
    """Tasks of all identities that wrote to a collection, or used it otherwise; asked for by an endpoint manager."""

    name = "ended-tasks"

    def ended(self, hook: GlobusHook, since: float, what: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the tasks."""
        seen = set()
        how: dict[str, Any] = {"shown": what["shown"], "use": what["use"], "polling": True}
        for task in tasks_since(hook, what["collection_id"], since, **how):
            if task["status"] in ("SUCCEEDED", "FAILED") and task["task_id"] not in seen:
                seen.add(task["task_id"])
                yield {
                    "id": task["task_id"],
                    "when": moment(task["completion_time"]),
                    "type": task["type"],
                    "source_id": task.get("source_endpoint_id"),
                    "destination_id": task.get("destination_endpoint_id"),
                    "files": task.get("files_transferred"),
                    **described(task),
                }


class EndedRuns(Endings):
    """Runs of a flow that this identity may see, whoever started them."""

    name = "ended-runs"
    pause = 0.25

    def ended(self, hook: GlobusHook, since: float, what: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the runs."""
        begin = datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds")
        pages = run_pages(
            hook,
            f"listing the runs of flow {what['flow_id']} that have ended",
            filter_flow_id=what["flow_id"],
            filter_completion_time=f"{begin},",
            orderby="completion_time ASC",
        )
        for run in chain.from_iterable(pages):
            if run["status"] not in UNFINISHED and run.get("completion_time"):
                yield {"id": run["run_id"], "when": moment(run["completion_time"]), **summary(dict(run))}
