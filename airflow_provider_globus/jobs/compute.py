"""Tasks and endpoints of Globus Compute: how to ask after them and read their state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.compute.failures import failure_of
from airflow_provider_globus.jobs.base import Condition, Document, JobService, Outcome, Verdict

if TYPE_CHECKING:
    from airflow_provider_globus.hooks.globus import GlobusHook

#: Seconds for which results are held here before they are handed on: Compute drops what nobody fetched for 30 minutes,
#: and what a restarted triggerer held must still be there.
HAND_ON_SECONDS = 600.0

#: Bytes of results that are held before they are handed on: they travel through Airflow's database.
HAND_ON_BYTES = 4_000_000

#: Seconds for which a task that was just accepted may be unknown.
_UNKNOWN_GRACE = 60.0

_WORDS = {
    "waiting-for-ep": "waiting for the endpoint, which is offline",
    "waiting-for-nodes": "waiting for nodes",
    "waiting-for-launch": "waiting for a worker",
    "running": "running",
}


class ComputeTasks(JobService):
    """
    Tasks of Globus Compute.

    One call asks after up to 1,000 tasks; the service documents no limit. An ended task comes with its result, which is
    fetched once and then held by whoever waits. Compute cannot cancel.
    """

    name = "compute"
    noun = "Compute task"
    batch_size = 1000
    # Globus allows an identity 20 requests in 10 seconds; half of that leaves room for its submissions.
    pause = 1.0
    cancellable = False

    def fetch(self, hook: GlobusHook, job_ids: Sequence[str]) -> dict[str, Document]:
        """One call for all."""
        client = hook.compute_client_v2(polling=True)
        answer = hook.call(f"asking after {len(job_ids)} Compute tasks", client.get_task_batch, list(job_ids))
        return {str(task_id): {"task_id": task_id, **document} for task_id, document in answer["results"].items()}

    def settled(self, document: Document) -> bool:
        """Whether the task has ended."""
        return _status(document) in _ENDED

    def judge(
        self,
        documents: Sequence[Document | None],
        rules: Mapping[str, Any],
        memory: dict[str, Any],
        now: float,
    ) -> Verdict:
        """
        Decide how tasks stand.

        Rule: ``collect``, for many tasks whose failures their operator judges one by one: it is handed what has ended
        from time to time, and success means that all have ended. ``ended_before``: how many were handed over before.

        :return: with a result of ``documents``, by task id, of all that have ended.
        """
        ended = {str(d["task_id"]): d for d in documents if d is not None and self.settled(d)}
        result = {"documents": ended}
        progress = _progress(documents, ended, int(rules.get("ended_before", 0)))
        unknown = sum(document is None for document in documents)
        if not unknown:
            memory.pop("unknown_since", None)
        elif now - memory.setdefault("unknown_since", now) >= _UNKNOWN_GRACE:
            message = f"Globus Compute does not know {unknown} of {len(documents)} tasks (any more)."
            return Verdict(Outcome.FAILED, message, "TASK_NOT_FOUND", progress, result)
        if len(ended) == len(documents):
            return _judge_ended(documents, rules, progress, result)
        if rules.get("collect") and ended:
            held_since = memory.setdefault("held_since", now)
            size = sum(len(document.get("result") or "") for document in ended.values())
            if now - held_since >= HAND_ON_SECONDS or size >= HAND_ON_BYTES:
                return Verdict(Outcome.PARTIAL, "", None, progress, result)
        return Verdict(Outcome.RUNNING, "", None, progress, {})

    def cancel(self, hook: GlobusHook, job_id: str) -> str:
        """Say that it cannot be done."""
        return "Globus Compute cannot cancel a task: it runs to its end at the endpoint."


class EndpointStates(Condition):
    """Whether Compute endpoints are online; not a job, but waited for like one."""

    name = "compute-endpoint"
    noun = "Compute endpoint"
    batch_size = 1
    pause = 1.0

    def fetch(self, hook: GlobusHook, job_ids: Sequence[str]) -> dict[str, Document]:
        """Ask for the status of each."""
        client = hook.compute_client_v2(polling=True)
        return {
            endpoint_id: hook.call(
                f"asking after the Compute endpoint {endpoint_id}", client.get_endpoint_status, endpoint_id
            )
            for endpoint_id in job_ids
        }

    def judge(
        self,
        documents: Sequence[Document | None],
        rules: Mapping[str, Any],
        memory: dict[str, Any],
        now: float,
    ) -> Verdict:
        """Decide whether an endpoint is ready. Rule: ``min_idle_workers``, demanded where workers are reported."""
        (document,) = documents
        assert document is not None
        details = document.get("details") or {}
        idle, wanted = details.get("idle_workers"), int(rules.get("min_idle_workers") or 0)
        online = document["status"] == "online"
        progress = str(document["status"])
        if idle is not None:
            progress += f", {idle} of {details.get('total_workers')} workers idle"
        ready = online and (not wanted or idle is None or int(idle) >= wanted)
        result = {"status": document["status"], **details}
        return Verdict(Outcome.SUCCEEDED if ready else Outcome.RUNNING, "", None, progress, result)


def succeeded(document: Document) -> bool:
    """Whether an ended task has brought a result."""
    return _status(document) == "success" and document.get("result") is not None


def _status(document: Document) -> str:
    return str(document.get("status", "unknown")).lower()


def _judge_ended(
    documents: Sequence[Document | None], rules: Mapping[str, Any], progress: str, result: dict[str, Any]
) -> Verdict:
    failed = [document for document in documents if document is not None and not succeeded(document)]
    if not failed or rules.get("collect"):
        # That one of one has succeeded is no news.
        return Verdict(Outcome.SUCCEEDED, "", None, progress if len(documents) > 1 or failed else "", result)
    failure = failure_of(failed[0])
    return Verdict(Outcome.FAILED, str(failure), failure.code, progress, result)


def _progress(documents: Sequence[Document | None], ended: Mapping[str, Document], before: int) -> str:
    if len(documents) + before == 1:
        status = _status(documents[0]) if documents[0] else "not known yet"
        return _WORDS.get(status, status)
    failed = sum(not succeeded(document) for document in ended.values())
    parts = [f"{len(ended) + before} of {len(documents) + before} have ended"]
    if failed:
        parts.append(f"{failed} failed")
    others = Counter(_status(d) if d else "not known yet" for d in documents if d is None or _status(d) not in _ENDED)
    parts += [f"{count} {_WORDS.get(status, status)}" for status, count in sorted(others.items())]
    return ", ".join(parts)


_ENDED = ("success", "failed")
