"""
What waiting for Globus costs: the API calls of a DAG's waits, estimated without a connection or a request.

A thing that waits is a :class:`Waiting`; what a look costs, ``_LOOKS`` says. Batches, intervals and pauses are those of
the code that waits.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal, NamedTuple

from airflow_provider_globus.jobs import flows, polled
from airflow_provider_globus.jobs.base import Condition, Document, Outcome, Polled, Verdict
from airflow_provider_globus.jobs.watch import JobWatch, wait
from airflow_provider_globus.triggers import poller

_HOUR = 3600.0

#: Intervals within which the pauses between a worker's looks have grown to one; they take two.
_GROWING = 100


class Limit(NamedTuple):
    """
    What Globus answers an identity.

    :param calls: so many requests …
    :param seconds: … in so many seconds.
    """

    calls: int
    seconds: float

    @property
    def an_hour(self) -> float:
        """Requests in an hour."""
        return self.calls * _HOUR / self.seconds


#: Limits by API; for Flows and Search Globus publishes none.
LIMITS: dict[str, Limit] = {"Transfer": Limit(20, 1.0), "Compute": Limit(20, 10.0)}


class _Look(NamedTuple):
    """
    What asking after jobs costs.

    :param api: whose limit it counts against.
    :param calls: calls that ask after so many unfinished jobs, which are no more than a batch; at least.
    :param service: the name under which the poller knows it, when that is not the key.
    """

    api: str
    calls: Callable[[int], int]
    service: str = ""


def _one(count: int) -> int:
    return 1


#: By what the poller asks for; what asks in two ways is listed twice.
_LOOKS: dict[str, _Look] = {
    "transfer": _Look("Transfer", _one),
    "transfer-room": _Look("Transfer", _one),
    # More for the directories below and for long listings.
    "paths": _Look("Transfer", _one),
    "activity": _Look("Transfer", _one),
    "compute": _Look("Compute", _one),
    "compute-endpoint": _Look("Compute", _one),
    # One for a run by itself or a page of unfinished ones, and one for each log that is read.
    "flows": _Look("Flows", lambda count: 1 + min(count, flows.LOGS_A_ROUND)),
    # Whether anything is asked, and whether the runs go on.
    "web-inputs": _Look("Flows", lambda count: 2),
    "web-inputs (answers)": _Look("Flows", lambda count: count, "web-inputs"),
    "search": _Look("Search", lambda count: count),
    "listings": _Look("Transfer", _one),
    "ended-tasks": _Look("Transfer", _one),
    "ended-runs": _Look("Flows", _one),
}


def is_look(look: str) -> bool:
    """Whether it is a key of ``_LOOKS``."""
    return look in _LOOKS


def api_of(look: str) -> str:
    """The API that a look asks."""
    return _LOOKS[look].api


def service_of(look: str) -> Polled:
    """What is asked behind a key of ``_LOOKS``."""
    return polled(_LOOKS[look].service or look)


def calls_a_round(look: str, jobs: int) -> int:
    """Calls that ask once after so many unfinished jobs, batch by batch."""
    full, rest = divmod(jobs, service_of(look).batch_size)
    calls = _LOOKS[look].calls
    return full * calls(service_of(look).batch_size) + (calls(rest) if rest else 0)


@dataclass(frozen=True)
class Waiting:
    """
    Something of a DAG that waits for Globus: a task, mapped tasks, or the watcher of an asset.

    :param name: the task's id, or the watcher's name.
    :param kind: class of the operator, sensor or trigger.
    :param look: how it is asked; a key of ``_LOOKS``.
    :param conn_id: the Airflow connection.
    :param deferred: whether it waits in the triggerer, where it shares its calls.
    :param interval: seconds between two looks.
    :param tasks: how many of it wait.
    :param jobs: how many jobs each waits for.
    :param assumed: whether ``tasks`` or ``jobs`` is a guess.
    :param beside: calls that each makes besides, to prepare, submit and read the result; at least.
    :param worker_wait: seconds that it waits in a worker before it defers.
    :param role: ``job`` when it submits what it waits for, ``sensor``, or ``watcher``.
    :param pool: the Airflow pool.
    """

    name: str
    kind: str
    look: str
    conn_id: str
    deferred: bool
    interval: float
    tasks: int = 1
    jobs: int = 1
    assumed: bool = False
    beside: int = 0
    worker_wait: float = 0.0
    role: Literal["job", "sensor", "watcher"] = "job"
    pool: str = ""

    @property
    def calls_a_round(self) -> int:
        """Calls of one look at all of it."""
        if self.deferred:
            return calls_a_round(self.look, self.tasks * self.jobs)
        return self.tasks * self._of_one

    @property
    def calls_an_hour(self) -> float:
        """Calls of an hour of waiting."""
        return self.calls_a_round * _HOUR / self.interval

    @property
    def calls_an_hour_apart(self) -> float:
        """Calls of an hour if each task had a poll of its own."""
        return self.tasks * self._of_one * _HOUR / self.interval

    def calls(self, hours: float) -> int:
        """All calls when each job takes so long, from the first to the result."""
        seconds = hours * _HOUR
        return self.tasks * self.beside + self._in_workers(seconds) + self._in_triggerer(seconds)

    @property
    def _of_one(self) -> int:
        return calls_a_round(self.look, self.jobs)

    def _in_workers(self, seconds: float) -> int:
        if self.role == "job":
            looks = looks_in_worker(self.interval, min(seconds, self.worker_wait) if self.deferred else seconds)
        elif self.role == "sensor":
            # It looks at once, and then in its interval.
            looks = 1 + (0 if self.deferred else _looks(seconds, self.interval))
        else:
            looks = 0
        return looks * self.tasks * self._of_one

    def _in_triggerer(self, seconds: float) -> int:
        left = seconds - self.worker_wait
        return _looks(left, self.interval) * self.calls_a_round if self.deferred and left > 0 else 0


def _looks(seconds: float, interval: float) -> int:
    """Looks until one sees the end of what has taken so long."""
    # A tenth of a second is not quite one, so often added up.
    return math.ceil(seconds / interval - 1e-9)


@dataclass(frozen=True)
class Poll:
    """
    What waits together: the deferred tasks of a connection and service in a triggerer.

    :param members: who shares it.
    """

    members: tuple[Waiting, ...]

    @property
    def look(self) -> str:
        """How it asks."""
        return self.members[0].look

    @property
    def conn_id(self) -> str:
        """Its connection."""
        return self.members[0].conn_id

    @property
    def interval(self) -> float:
        """Seconds between two rounds: whoever looks most often sets the pace."""
        return min(member.interval for member in self.members)

    @property
    def jobs(self) -> int:
        """All jobs that are waited for."""
        return sum(member.tasks * member.jobs for member in self.members)

    @property
    def calls_a_round(self) -> int:
        """Calls of a round in which all are asked for."""
        return calls_a_round(self.look, self.jobs)

    @property
    def calls_an_hour(self) -> float:
        """Calls of an hour in which all wait."""
        if service_of(self.look).batch_size == 1:
            # Nobody joins but who looks at the same thing.
            return self.calls_an_hour_apart
        # Who looks in each second round only looks in the first as often as in the second.
        jobs = sum(member.tasks * member.jobs / self._step(member) for member in self.members)
        return calls_a_round(self.look, math.ceil(jobs)) * _HOUR / self.interval

    @property
    def calls_an_hour_apart(self) -> float:
        """Calls of an hour if each task had a poll of its own."""
        return sum(member.calls_an_hour_apart for member in self.members)

    @property
    def seconds_a_round(self) -> float:
        """How long a round takes at least: the poll pauses between its calls."""
        service = service_of(self.look)
        return max(0, math.ceil(self.jobs / service.batch_size) - 1) * service.pause

    def _step(self, member: Waiting) -> int:
        """In which rounds it is asked for: in each, each second one …"""
        return max(1, _looks((1 - poller.JOIN) * member.interval, self.interval))


def polls_of(waits: Sequence[Waiting]) -> list[Poll]:
    """What of these waits together in the triggerer."""

    def shared(waiting: Waiting) -> tuple[str, str]:
        return waiting.conn_id, waiting.look

    deferred = sorted((waiting for waiting in waits if waiting.deferred), key=shared)
    return [Poll(tuple(members)) for _, members in groupby(deferred, key=shared)]


class Load(NamedTuple):
    """
    What all waits together ask of one API with one connection, which is one identity.

    :param calls_an_hour: while all wait.
    """

    conn_id: str
    api: str
    calls_an_hour: float

    @property
    def share(self) -> float | None:
        """The part of Globus's limit; ``None`` where none is published."""
        return self.calls_an_hour / LIMITS[self.api].an_hour if self.api in LIMITS else None


def loads_of(waits: Sequence[Waiting]) -> list[Load]:
    """The load of each connection on each API."""
    asking: list[Waiting | Poll] = [waiting for waiting in waits if not waiting.deferred]
    loads: dict[tuple[str, str], float] = {}
    for one in [*asking, *polls_of(waits)]:
        key = one.conn_id, api_of(one.look)
        loads[key] = loads.get(key, 0.0) + one.calls_an_hour
    return [Load(*key, calls) for key, calls in sorted(loads.items())]


# How often a worker looks


class _Nothing(Condition):
    """What is waited for while looks are counted."""

    name = noun = "nothing"
    batch_size = 1

    def fetch(self, hook: Any, job_ids: Sequence[str]) -> dict[str, Document]:
        return {}

    def judge(
        self, documents: Sequence[Document | None], rules: Mapping[str, Any], memory: dict[str, Any], now: float
    ) -> Verdict:
        return Verdict(Outcome.RUNNING)


class _Count(JobWatch):
    """Counts the looks until a job ends, on a clock that only its own pauses move."""

    def __init__(self, seconds: float) -> None:
        super().__init__(_Nothing(), ["nothing"], log=None)
        self.looks = 0
        # What is not quite a tenth adds up to a look more.
        self._left = seconds - 1e-9
        self.stop = threading.Event()
        self.stop.wait = self._pass  # type: ignore[method-assign]

    def observe(self, documents: Mapping[str, Document]) -> Verdict | None:
        self.looks += 1
        return Verdict(Outcome.SUCCEEDED) if self._left <= 0 else None

    def _pass(self, timeout: float | None = None) -> bool:
        self._left -= timeout or 0.0
        return False


def looks_in_worker(poll_interval: float, seconds: float) -> int:
    """How often an operator looks that waits for so long in its worker; it is its own loop that is asked."""
    if seconds <= 0:
        return 0
    # Once the pauses have grown to the interval they stay so, and need not be gone through one by one.
    steady = max(0, math.floor(seconds / poll_interval) - _GROWING)
    count = _Count(seconds - steady * poll_interval)
    hook: Any = None
    wait(count, hook, poll_interval=poll_interval, first_pause=min(1.0, poll_interval), stop=count.stop)
    return steady + count.looks
