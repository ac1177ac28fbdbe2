"""The idea of a job: something Globus runs for us, whose state is asked for and judged."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from airflow_provider_globus.exceptions import GlobusNotFoundError

if TYPE_CHECKING:
    from airflow_provider_globus.hooks.globus import GlobusHook

#: A job as its service describes it.
Document = dict[str, Any]


class Outcome(StrEnum):
    """How a job stands, in the few ways that matter to somebody who waits for it."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    #: no progress, for a reason that time does not cure
    STUCK = "stuck"
    #: suspended by Globus until somebody renews a consent or credential
    INACTIVE = "inactive"
    #: unknown to the service, or out of reach for too long
    LOST = "lost"
    #: out of time; only whoever waits can say so
    TIMEOUT = "timeout"
    #: still running in part; what has ended must be taken over now, before the service drops it
    PARTIAL = "partial"


class Verdict(NamedTuple):
    """
    What one look at a job says.

    :param outcome: how the job stands.
    :param message: why, in a sentence, when it is anything but running or succeeded.
    :param code: the service's own code for it.
    :param progress: a line for the log; shown when it differs from the one before.
    :param result: small JSON summary of the job.
    """

    outcome: Outcome
    message: str = ""
    code: str | None = None
    progress: str = ""
    result: Mapping[str, Any] = MappingProxyType({})


class Polled(ABC):
    """What the poller asks a Globus service for. Implementations hold no state."""

    #: name in triggers' arguments; never change it, triggers of an older version carry it
    name: ClassVar[str]
    #: jobs that one call may ask after
    batch_size: ClassVar[int]
    #: seconds between two calls of one poll, so that many batches stay below the service's rate limit
    pause: ClassVar[float] = 0.0

    @abstractmethod
    def fetch(self, hook: GlobusHook, job_ids: Sequence[str]) -> dict[str, Document]:
        """
        Ask after at most ``batch_size`` jobs, in one call as long as all are known.

        :return: a document for each job; those that the service does not know are missing.
        :raises GlobusServiceError: when the question itself failed.
        """

    def settled(self, document: Document) -> bool:
        """
        Whether a document is final and is kept by whoever waits, instead of being asked for again.

        For services that hand a result out for a limited time, or a large one.
        """
        return False


class JobService(Polled):
    """A Globus service that runs jobs. Implementations hold no state."""

    #: what a job is called in messages
    noun: ClassVar[str]
    #: whether the service can stop a job; one that cannot is adopted by a retry even when its time was over
    cancellable: ClassVar[bool] = True

    @abstractmethod
    def judge(
        self,
        documents: Sequence[Document | None],
        rules: Mapping[str, Any],
        memory: dict[str, Any],
        now: float,
    ) -> Verdict:
        """
        Decide how the jobs of one Airflow task stand. The only place that does.

        :param documents: what :meth:`fetch` returned for each of them, ``None`` for an unknown one.
        :param rules: the author's choices, for example how long to tolerate a fault.
        :param memory: kept from one look to the next, for "since when", and over deferrals; starts empty; JSON.
        :param now: seconds since the epoch.
        """

    @abstractmethod
    def cancel(self, hook: GlobusHook, job_id: str) -> str:
        """
        Ask the service to stop a job; harmless when it has ended.

        :return: what the service answered, for the log.
        """

    def named(self, job_ids: Sequence[str]) -> str:
        """The jobs in a few words, for the log."""
        return named(self.noun, job_ids)

    def fetch_all(self, hook: GlobusHook, job_ids: Sequence[str]) -> dict[str, Document]:
        """Ask after any number of jobs, one batch after the other."""
        found: dict[str, Document] = {}
        for start in range(0, len(job_ids), self.batch_size):
            if start:
                time.sleep(self.pause)
            found |= self.fetch(hook, job_ids[start : start + self.batch_size])
        return found

    def news(self, documents: Sequence[Document | None], memory: dict[str, Any]) -> list[str]:
        """
        What has happened since the last look, for the task's log.

        :param memory: as for :meth:`judge`; says what was told already.
        """
        return []

    def last_news(self, hook: GlobusHook, job_id: str, memory: dict[str, Any]) -> list[str]:
        """What the looks at a job that has ended have not told."""
        return []

    def explain(self, hook: GlobusHook, job_id: str) -> list[str]:
        """The last things that went wrong with a job, newest first, for an error message."""
        return []

    def url(self, web_app_url: str, job_id: str) -> str | None:
        """Where a person can look at the job."""
        return None


class Condition(JobService):
    """Something that is waited for like a job, although Globus runs nothing."""

    def cancel(self, hook: GlobusHook, job_id: str) -> str:
        """There is nothing to cancel."""
        return "nothing runs at Globus"


class Looked(Polled):
    """What is looked at, one thing at a time; the job's id says what, as JSON (:func:`look_id`)."""

    batch_size = 1
    pause = 0.1

    @abstractmethod
    def look(self, hook: GlobusHook, what: dict[str, Any]) -> Document:
        """Look once."""

    def fetch(self, hook: GlobusHook, job_ids: Sequence[str]) -> dict[str, Document]:
        """Look at each."""
        return {job_id: self.look(hook, json.loads(job_id)) for job_id in job_ids}


def look_id(what: Mapping[str, Any]) -> str:
    """What to look at, as a job's id: the same for the same thing."""
    return json.dumps(what, sort_keys=True)


class Look(Looked, Condition):
    """A condition that is looked at; ``fulfilled`` of a look says whether it holds."""

    @abstractmethod
    def shown(self, condition: dict[str, Any]) -> str:
        """What is looked at, for people."""

    def named(self, job_ids: Sequence[str]) -> str:
        """What is looked at, in a few words."""
        return " ".join([self.noun, *(self.shown(json.loads(job_id)) for job_id in job_ids)])


def fetch_each(job_ids: Iterable[str], ask: Callable[[str], Document], pause: float) -> dict[str, Document]:
    """
    Ask after jobs one by one, for services that answer for one at a time.

    :param ask: asks after one.
    :param pause: seconds between two questions.
    :return: a document for each job; those that the service does not know are missing.
    """
    found: dict[str, Document] = {}
    for number, job_id in enumerate(job_ids):
        if number:
            time.sleep(pause)
        with suppress(GlobusNotFoundError):
            found[job_id] = ask(job_id)
    return found


def human_bytes(count: float) -> str:
    """``count`` bytes in words, in powers of ten as Globus shows them."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} PB"


def named(noun: str, job_ids: Sequence[str]) -> str:
    """The jobs in a few words, however many there are."""
    if len(job_ids) <= 1:
        return " ".join([noun, *job_ids])
    return f"{len(job_ids)} {noun}s ({job_ids[0]} to {job_ids[-1]})"
