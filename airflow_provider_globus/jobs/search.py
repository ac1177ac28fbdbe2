"""Tasks of Globus Search: what it has been given, and has yet to put into an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.jobs.base import Document, JobService, Outcome, Verdict, fetch_each

if TYPE_CHECKING:
    from airflow_provider_globus.hooks.globus import GlobusHook


class SearchTasks(JobService):
    """
    Ingests and deletions of Globus Search, which take seconds.

    Search answers for one task at a time, and cannot cancel any.
    """

    name = "search"
    noun = "Search task"
    batch_size = 20
    # Globus publishes no limit for Search; ten calls a second is half of what it allows for Transfer.
    pause = 0.1
    cancellable = False

    def fetch(self, hook: GlobusHook, job_ids: Sequence[str]) -> dict[str, Document]:
        """Ask after tasks, one by one."""
        client = hook.search_client(polling=True)

        def ask(task_id: str) -> Document:
            return hook.call(f"asking after Search task {task_id}", client.get_task, task_id)

        return fetch_each(job_ids, ask, self.pause)

    def settled(self, document: Document) -> bool:
        """A task that has ended stays so, and need not be asked after again."""
        return document["state"] in ("SUCCESS", "FAILED")

    def judge(
        self,
        documents: Sequence[Document | None],
        rules: Mapping[str, Any],
        memory: dict[str, Any],
        now: float,
    ) -> Verdict:
        """Decide how the tasks stand: all have to succeed."""
        known = [document for document in documents if document is not None]
        if len(known) < len(documents):
            return Verdict(Outcome.LOST, "Globus Search does not know the task (any more).", "NOT_FOUND")
        for task in known:
            if task["state"] == "FAILED":
                said = " ".join(str(task.get("message") or "no reason given").split())
                return Verdict(Outcome.FAILED, f"{said} (task {task['task_id']})", "FAILED", "", {})
        done = sum(task["state"] == "SUCCESS" for task in known)
        if done == len(known):
            return Verdict(Outcome.SUCCEEDED, result={"index_id": str(known[0]["index_id"])})
        return Verdict(Outcome.RUNNING, progress=f"{done} of {len(known)} done")

    def cancel(self, hook: GlobusHook, job_id: str) -> str:
        """Search cannot cancel."""
        return f"Globus Search cannot cancel: task {job_id} goes on."
