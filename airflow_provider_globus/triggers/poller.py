"""
One poll for all: the waiting jobs of a connection and a service share their calls to Globus.

A triggerer with a thousand deferred transfers asks Globus twenty questions a round, not a thousand.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

from airflow_provider_globus.exceptions import GlobusError, is_transient
from airflow_provider_globus.jobs import job_service
from airflow_provider_globus.jobs.watch import backoff

if TYPE_CHECKING:
    from airflow_provider_globus.hooks.globus import GlobusHook
    from airflow_provider_globus.jobs.base import Document

    #: what a look brought: documents by job id, or why there are none
    Look = dict[str, Document] | GlobusError

#: Jobs due within this part of their interval join the round: they fall into step, and share calls from then on.
_JOIN = 0.5


class _Subscription:
    """Somebody who waits: what for, how often to look, when next."""

    def __init__(self, job_ids: Sequence[str], interval: float) -> None:
        self.job_ids = job_ids
        self.interval = interval
        # The first look comes after a part of the interval, so that jobs submitted together are asked for together.
        self.due = time.monotonic() + interval * random.uniform(0.5, 1.0)  # noqa: S311
        self.looks: asyncio.Queue[Look] = asyncio.Queue()
        self.failures = 0

    def deliver(self, looks: Mapping[str, Document | GlobusError | None]) -> None:
        """Hand over what a round brought, and plan the next."""
        mine = {job_id: looks[job_id] for job_id in self.job_ids if looks.get(job_id) is not None}
        error = next((look for look in mine.values() if isinstance(look, GlobusError)), None)
        self.failures = self.failures + 1 if error else 0
        pause = backoff(self.interval, self.failures, error) if error else self.interval
        self.due = time.monotonic() + pause
        self.looks.put_nowait(error or cast("dict[str, Document]", mine))


class Poller:
    """
    The poll of one connection and service in one event loop. It runs while somebody waits.

    It never logs: what it does belongs to no single task. Its subscribers log what matters to them.
    """

    def __init__(self, conn_id: str, service: str) -> None:
        self._conn_id = conn_id
        self._service = job_service(service)
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
        now = time.monotonic()
        due = [s for s in self._subscriptions if s.due <= now + _JOIN * s.interval]
        looks: dict[str, Document | GlobusError | None] = {}
        trouble: GlobusError | None = None
        for number, batch in enumerate(_batches(due, self._service.batch_size)):
            # A service that cannot answer one batch will not answer the next; one that refuses this one may.
            if trouble is None or not is_transient(trouble):
                if number:
                    await asyncio.sleep(self._service.pause)
                trouble = await self._ask(batch, looks)
            if trouble is not None:
                looks.update(dict.fromkeys(batch, trouble))
        for subscription in due:
            subscription.deliver(looks)

    async def _ask(self, batch: Sequence[str], looks: dict[str, Document | GlobusError | None]) -> GlobusError | None:
        try:
            looks.update(await asyncio.to_thread(self._fetch, batch))
        except GlobusError as error:
            return error
        except Exception as error:
            # A poll that died of what nobody foresaw would leave all its jobs waiting for ever.
            return GlobusError(f"Asking Globus failed: {type(error).__name__}: {error}.")
        return None

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
