"""
What arrives: files in a directory, anybody's tasks on a collection, runs of a flow.

Watchers look at these for as long as a DAG is there. A "job" is what to look at, written as JSON: watchers of the same
thing share the look, and each picks from it what is news to itself.
"""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.exceptions import GlobusNotFoundError, GlobusUnavailableError
from airflow_provider_globus.hooks.activity import moment, tasks_since
from airflow_provider_globus.hooks.files import list_directory, walk
from airflow_provider_globus.jobs.activity import described
from airflow_provider_globus.jobs.base import Document, Polled
from airflow_provider_globus.jobs.flows import ROLES, UNFINISHED, summary

if TYPE_CHECKING:
    from airflow_provider_globus.hooks.globus import GlobusHook


class Arrivals(Polled):
    """Something to look at, one thing at a time."""

    batch_size = 1
    pause = 0.1

    @abstractmethod
    def look(self, hook: GlobusHook, subject: dict[str, Any]) -> Document:
        """Look once."""

    def fetch(self, hook: GlobusHook, job_ids: Sequence[str]) -> dict[str, Document]:
        """Look at each."""
        return {job_id: self.look(hook, json.loads(job_id)) for job_id in job_ids}


def subject(**what: Any) -> str:
    """What to look at, as the id that the poller knows it by: the same for the same thing."""
    return json.dumps(what, sort_keys=True)


class Listings(Arrivals):
    """The files in a directory: one call, or one for each directory below. Subject: the arguments of ``of``."""

    name = "listings"

    @staticmethod
    def of(collection_id: str, path: str, *, recursive: bool) -> str:
        """Return the subject."""
        return subject(collection_id=collection_id, path=path, recursive=recursive)

    def look(self, hook: GlobusHook, subject: dict[str, Any]) -> Document:
        """Return ``files``, each as its path below the directory, size and time; none while it does not exist."""
        collection_id, path = subject["collection_id"], subject["path"]
        entries: Iterator[tuple[str, dict[str, Any]]]
        if subject["recursive"]:
            entries = walk(hook, collection_id, path)
        else:
            entries = ((entry["name"], entry) for entry in list_directory(hook, collection_id, path))
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


class Endings(Arrivals):
    """
    What ended within a time.

    A subject has either ``since`` (seconds since the epoch) or ``lately`` (seconds before the look).
    """

    def look(self, hook: GlobusHook, subject: dict[str, Any]) -> Document:
        """Return ``since``, ``until`` (now), and all that ``ended`` between, each with its ``id`` and ``when``."""
        until = time.time()
        since = subject["since"] if "since" in subject else until - subject["lately"]
        return {"since": since, "until": until, "ended": [*self.ended(hook, since, subject)]}

    @abstractmethod
    def ended(self, hook: GlobusHook, since: float, subject: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield what ended, as JSON."""


class EndedTasks(Endings):
    """Tasks of all identities that wrote to a collection, or used it otherwise; asked for by an endpoint manager."""

    name = "ended-tasks"

    def ended(self, hook: GlobusHook, since: float, subject: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the tasks."""
        seen = set()
        what: dict[str, Any] = {"shown": subject["shown"], "use": subject["use"], "polling": True}
        for task in tasks_since(hook, subject["collection_id"], since, **what):
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

    def ended(self, hook: GlobusHook, since: float, subject: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the runs."""
        flow_id = subject["flow_id"]
        client = hook.flows_client(polling=True)
        begin = datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds")
        query: dict[str, Any] = {
            "filter_completion_time": f"{begin},",
            "orderby": "completion_time ASC",
            "per_page": 100,
        }
        while True:
            doing = f"listing the runs of flow {flow_id} that have ended"
            answer = hook.call(
                doing, client.list_runs, filter_flow_id=flow_id, filter_roles=ROLES, query_params=dict(query)
            )
            for run in answer["runs"]:
                if run["status"] not in UNFINISHED and run.get("completion_time"):
                    yield {"id": run["run_id"], "when": moment(run["completion_time"]), **summary(dict(run))}
            if not answer.get("has_next_page"):
                return
            if answer.get("marker") in (None, query.get("marker")):
                raise GlobusUnavailableError(f"Globus promises more runs of {flow_id} and does not say where to go on.")
            query["marker"] = answer["marker"]
