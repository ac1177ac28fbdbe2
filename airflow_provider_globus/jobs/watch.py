"""
Watching a job: what each look at it means for whoever waits, and what of that belongs in the log.

A watch is fed by the poller in the triggerer or by :func:`wait` in a worker; it decides the same in both.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.exceptions import GlobusError, GlobusServiceError, is_transient
from airflow_provider_globus.jobs.base import Document, JobService, Outcome, Verdict

if TYPE_CHECKING:
    import threading

    from airflow_provider_globus.hooks.globus import GlobusHook

#: Seconds for which a permanent refusal of the question (a deleted secret, a lost role) is borne: jobs run for days,
#: and somebody may be rotating the secret just now.
REFUSAL_GRACE = 600.0

#: The longest pause between two looks while Globus does not answer.
MAX_BACKOFF = 300.0

EVENT_VERSION = 1


class JobWatch:
    """
    One Airflow task's view of its jobs.

    :param service: the service that runs them.
    :param job_ids: their ids at Globus.
    :param rules: the author's choices for :meth:`JobService.judge`.
    :param deadline: when to give up, in seconds since the epoch.
    :param memory: what an earlier watch of the same jobs remembers, so that nothing is counted or told anew.
    :param log: the Airflow task's log; gets a line for each change, none for a look that shows nothing new.
    """

    def __init__(
        self,
        service: JobService,
        job_ids: Sequence[str],
        *,
        rules: Mapping[str, Any] | None = None,
        deadline: float | None = None,
        memory: dict[str, Any] | None = None,
        log: logging.Logger | Any,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.service = service
        self.job_ids = list(job_ids)
        self.rules = dict(rules or {})
        self.deadline = deadline
        self.memory = {} if memory is None else memory
        self._log = log
        self._clock = clock
        self._settled: dict[str, Document] = {}
        self._progress = ""
        self._trouble = ""
        self._troubled_since = 0.0
        self._failed_looks = 0

    @property
    def pending(self) -> list[str]:
        """The jobs that have to be asked after."""
        return [job_id for job_id in self.job_ids if job_id not in self._settled]

    def observe(self, documents: Mapping[str, Document]) -> Verdict | None:
        """Take in an answer about the pending jobs. Returns a verdict when the waiting is over."""
        self._note_recovery()
        self._settled.update((job_id, said) for job_id, said in documents.items() if self.service.settled(said))
        known = {**documents, **self._settled}
        looks = [known.get(job_id) for job_id in self.job_ids]
        verdict = self.service.judge(looks, self.rules, self.memory, self._clock())
        for line in self.service.news(looks, self.memory):
            self._log.info("%s: %s", self._name(), line)
        if verdict.progress and verdict.progress != self._progress:
            self._progress = verdict.progress
            self._log.info("%s: %s", self._name(), verdict.progress)
        return verdict if verdict.outcome != Outcome.RUNNING else self.check_deadline()

    def observe_error(self, error: GlobusError) -> Verdict | None:
        """Take in that Globus could not be asked. The jobs themselves run on, so waiting does too."""
        now = self._clock()
        self._failed_looks += 1
        if not self._trouble:
            self._troubled_since = now
        if (trouble := kind_of(error)) != self._trouble:
            self._trouble = trouble
            self._log.warning("%s: its state cannot be asked for; waiting goes on. %s", self._name(), error)
        if not is_transient(error) and now - self._troubled_since >= REFUSAL_GRACE:
            lasted = now - self._troubled_since
            message = f"Its state has been refused for {lasted:.0f} s. {error} It may run on: a retry adopts it."
            return Verdict(Outcome.LOST, message, getattr(error, "code", None) or "REFUSED")
        return self.check_deadline()

    def check_deadline(self) -> Verdict | None:
        """A verdict when time is up."""
        if self.deadline is not None and self._clock() >= self.deadline:
            last = f" Last seen: {self._progress}." if self._progress else ""
            return Verdict(Outcome.TIMEOUT, f"The time allowed for it is over.{last}", "TIMEOUT")
        return None

    def event(self, verdict: Verdict) -> dict[str, Any]:
        """The verdict as a trigger's event: JSON, with all that the worker needs to go on."""
        return {
            "version": EVENT_VERSION,
            "service": self.service.name,
            "job_ids": self.job_ids,
            "outcome": verdict.outcome.value,
            "message": verdict.message,
            "code": verdict.code,
            "deadline": self.deadline,
            "memory": self.memory,
            "result": dict(verdict.result),
        }

    def _note_recovery(self) -> None:
        if self._trouble:
            lasted = self._clock() - self._troubled_since
            self._log.info(
                "%s: Globus answers again after %.0f s and %d failed looks.", self._name(), lasted, self._failed_looks
            )
        self._trouble, self._failed_looks = "", 0

    def _name(self) -> str:
        return self.service.named(self.job_ids)


def verdict_of_event(event: Any) -> Verdict:
    """
    Read a trigger's event back.

    :raises ValueError: when the event is missing or was not made by :meth:`JobWatch.event`.
    """
    if not isinstance(event, dict) or event.get("version") != EVENT_VERSION:
        raise ValueError(f"The trigger sent no event that this version of the provider understands: {event!r}.")
    return Verdict(Outcome(event["outcome"]), event["message"], event["code"], "", event["result"])


def wait(
    watch: JobWatch,
    hook: GlobusHook,
    *,
    poll_interval: float,
    until: float | None = None,
    first_pause: float = 0.0,
    stop: threading.Event,
) -> Verdict | None:
    """
    Wait in this process.

    :param until: come back without a verdict at this time (seconds since the epoch).
    :param first_pause: seconds before the first look; pauses grow from it to ``poll_interval``.
    :param stop: set it to come back at once without a verdict.
    """
    pause, failures = first_pause, 0
    while True:
        left = min((t - time.time() for t in (until, watch.deadline) if t is not None), default=pause)
        if stop.wait(max(0.0, min(pause, left))):
            return None
        try:
            documents = watch.service.fetch_all(hook, watch.pending)
        except GlobusError as error:
            failures += 1
            verdict = watch.observe_error(error)
            pause = backoff(poll_interval, failures, error)
        else:
            failures = 0
            verdict = watch.observe(documents)
            pause = min(poll_interval, max(0.5, 3 * pause))
        if verdict is not None:
            return verdict
        if until is not None and time.time() >= until:
            return None


def backoff(poll_interval: float, failures: int, error: GlobusError) -> float:
    """Seconds before the next look after ``failures`` in a row: growing, jittered, never less than Globus asked for."""
    asked = getattr(error, "retry_after", None) or 0.0
    grown = min(MAX_BACKOFF, poll_interval * 2 ** min(failures - 1, 10))
    # Jitter keeps the tasks of many workers from returning in step; it needs no cryptographic randomness.
    return float(max(asked, grown * random.uniform(0.75, 1.25)))  # noqa: S311


def kind_of(error: GlobusError) -> str:
    """What makes two errors the same for the log; request ids and wording differ each time."""
    status = error.status if isinstance(error, GlobusServiceError) else None
    return f"{type(error).__name__} {status} {getattr(error, 'code', None)}"
