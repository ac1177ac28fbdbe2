"""
One poll for all: the waiting jobs of a connection and a service share their calls to Globus.

A triggerer with a thousand deferred transfers asks Globus twenty questions a round, not a thousand.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow_provider_globus.exceptions import GlobusError, is_transient
from airflow_provider_globus.jobs import polled
from airflow_provider_globus.jobs.watch import backoff

if TYPE_CHECKING:
    from airflow_provider_globus.hooks.globus import GlobusHook
    from airflow_provider_globus.jobs.base import Document

    #: what Globus says of one job: nothing when it does not know it, an error when it could not be asked
    Answer = Document | GlobusError | None
    #: what a look brought: documents by job id, or why there are none
    Look = dict[str, Document] | GlobusError

#: Jobs due within this part of their interval join the round: they fall into step, and share calls from then on.
JOIN = 0.5


class _Subscription:
    """Somebody who waits: what for, how often to look, when next."""

    def __init__(self, job_ids: Sequence[str], interval: float) -> None:
        self.job_ids = job_ids
        self.interval = interval
        # The first look comes after a part of the interval, so that jobs submitted together are asked for together.
        self.due = time.monotonic() + interval * random.uniform(0.5, 1.0)  # noqa: S311
        self.looks: asyncio.Queue[Look] = asyncio.Queue()
        self.failures = 0

    def deliver(self, answers: Mapping[str, Answer], began: float, settled: Callable[[Document], bool]) -> bool:
        """
        Hand over what the round that began then has brought, and plan the next.

        :param settled: tells which documents whoever waits keeps: those jobs are not asked after again.

        :return: ``False`` while some of these jobs have not been asked for yet.
        """
        if not all(job_id in answers for job_id in self.job_ids):
            return False
        mine = {job_id: answers[job_id] for job_id in self.job_ids}
        error = next((answer for answer in mine.values() if isinstance(answer, GlobusError)), None)
        self.failures = self.failures + 1 if error else 0
        # Counted from the beginning of the round: a long one must not stretch the interval.
        self.due = time.monotonic() + backoff(self.interval, self.failures, error) if error else began + self.interval
        known = {job_id: answer for job_id, answer in mine.items() if isinstance(answer, dict)}
        if not error:
            self.job_ids = [job_id for job_id in mine if job_id not in known or not settled(known[job_id])]
        self.looks.put_nowait(error or known)
        return True


class Poller:
    """
    The poll of one connection and service in one event loop. It runs while somebody waits.

    It never logs: what it does belongs to no single task. Its subscribers log what matters to them.
    """

    def __init__(self, conn_id: str, service: str) -> None:
        self._conn_id = conn_id
        self._service = polled(service)
        self._subscriptions: set[_Subscription] = set()
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._hook: GlobusHook | None = None

    @contextmanager
    def subscribe(self, job_ids: Sequence[str], interval: float) -> Iterator[asyncio.Queue[Look]]:
        """
        Receive what each round says of these jobs, for as long as the block runs.

        :param interval: seconds between two looks.
        """
        subscription = _Subscription(job_ids, interval)
        self._subscriptions.add(subscription)
        self._wake.set()
        if self._task is None or self._task.done():
            # A context of its own: in the triggerer, the context says whose log a line belongs to.
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())
        try:
            yield subscription.looks
        finally:
            self._subscriptions.discard(subscription)
            self._wake.set()

    async def _run(self) -> None:
        while self._subscriptions:
            self._wake.clear()
            first = min(subscription.due for subscription in self._subscriptions)
            if (pause := first - time.monotonic()) > 0:
                try:
                    await asyncio.wait_for(self._wake.wait(), pause)
                except TimeoutError:
                    pass
                else:
                    continue
            await self._round()

    async def _round(self) -> None:
        began = time.monotonic()
        due = self._due(began)
        answers: dict[str, Answer] = {}
        outage: GlobusError | None = None
        for number, batch in enumerate(_batches(due, self._service.batch_size)):
            # A service that cannot answer one batch will not answer the next; one that refuses this one may.
            if outage is not None:
                answers |= dict.fromkeys(batch, outage)
            else:
                if number:
                    await asyncio.sleep(self._service.pause)
                asked = await self._ask(batch)
                outage = next((a for a in asked.values() if isinstance(a, GlobusError) and is_transient(a)), None)
                answers |= asked
            due = [waiting for waiting in due if not waiting.deliver(answers, began, self._service.settled)]

    def _due(self, began: float) -> list[_Subscription]:
        """Who is asked for in the round that begins now: those whose time has come, and those who join at no cost."""
        due = [waiting for waiting in self._subscriptions if waiting.due <= began]
        asked = {job_id for waiting in due for job_id in waiting.job_ids}
        # Where a call asks after one thing, only who wants the same thing joins.
        free = self._service.batch_size > 1
        soon = (waiting for waiting in self._subscriptions - {*due} if waiting.due <= began + JOIN * waiting.interval)
        return [*due, *(waiting for waiting in soon if free or asked.issuperset(waiting.job_ids))]

    async def _ask(self, batch: Sequence[str]) -> dict[str, Answer]:
        try:
            found = await asyncio.to_thread(self._fetch, batch)
        except GlobusError as error:
            return dict.fromkeys(batch, error)
        except Exception as error:
            # A poll that died of what nobody foresaw would leave all its jobs waiting for ever.
            return dict.fromkeys(batch, GlobusError(f"Asking Globus failed: {type(error).__name__}: {error}."))
        return {job_id: found.get(job_id) for job_id in batch}

    def _fetch(self, batch: Sequence[str]) -> dict[str, Document]:
        # In a thread: the SDK blocks, and reading an Airflow connection does too.
        try:
            if self._hook is None:
                from airflow_provider_globus.hooks.globus import GlobusHook

                self._hook = GlobusHook(self._conn_id, caller="triggerer")
            return self._service.fetch(self._hook, batch)
        except Exception:
            # The connection may have been corrected meanwhile, so the next round reads it again.
            self._hook = None
            raise


def _batches(due: Iterable[_Subscription], size: int) -> list[list[str]]:
    ids = list(dict.fromkeys(job_id for subscription in due for job_id in subscription.job_ids))
    return [ids[start : start + size] for start in range(0, len(ids), size)]


# dag.test() runs each trigger in an event loop of its own, hence a poller for each loop.
_POLLERS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str], Poller]] = WeakKeyDictionary()


def poller_for(conn_id: str, service: str) -> Poller:
    """The poller of a connection and service in the running event loop."""
    pollers = _POLLERS.setdefault(asyncio.get_running_loop(), {})
    return pollers.setdefault((conn_id, service), Poller(conn_id, service))
