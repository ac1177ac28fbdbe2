"""
Base of the triggers that watch Globus for an asset, for as long as a DAG is scheduled on it.

A watcher never ends, and never fails: nobody would see it, and Airflow would start it anew at once. What goes wrong is
in the triggerer's log, and it goes on when that is cured.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_globus.exceptions import GlobusError, GlobusInputError
from airflow_provider_globus.jobs import polled
from airflow_provider_globus.jobs.watch import kind_of
from airflow_provider_globus.triggers.event_ledger import EVENT_ID, WATCHER, EventLedger, Knowledge

if TYPE_CHECKING:
    from airflow.sdk.execution_time.context import AssetStateStoreAccessor

    from airflow_provider_globus.hooks.globus import GlobusHook
    from airflow_provider_globus.jobs.base import Document
    from airflow_provider_globus.triggers.poller import Look

#: Events on their way to Airflow's database at once: each is kept until it is there.
BATCH = 100

#: Seconds before the first new attempt after trouble, and the most of them.
_PAUSE, _LONGEST_PAUSE = 15.0, 600.0

_ID_LENGTH = 12


def short_id(*parts: Any) -> str:
    """Twelve characters that stand for a thing; of a million things, two have the same in one of ten billion cases."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return base64.urlsafe_b64encode(digest).decode()[:_ID_LENGTH]


class Arrival(NamedTuple):
    """
    Something to tell.

    :param id: what :func:`short_id` made of it.
    :param facts: what the event says; JSON.
    """

    id: str
    facts: dict[str, Any]


class News(NamedTuple):
    """What a look has brought, and what the watcher knows once it has told it."""

    arrivals: list[Arrival]
    after: Knowledge


class GlobusWatcher(BaseEventTrigger):
    """
    Watches something at Globus, and fires an event for each thing that arrives.

    Watchers of the same thing, by the same connection, share their looks at it. What was told is kept in the state
    store of the asset (Airflow 3.3): a restart of the triggerer loses no event and repeats none. On Airflow 3.2 a
    restarted watcher begins anew.

    :param globus_conn_id: id of an Airflow connection of type ``globus``.
    :param poll_interval: seconds between two looks. Default: 60.
    """

    #: what the poller asks for
    service: ClassVar[str]

    def __init__(self, *, globus_conn_id: str = "globus_default", poll_interval: float = 60.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.globus_conn_id = globus_conn_id
        self.poll_interval = poll_interval
        if poll_interval <= 0:
            raise self.refuse(f"poll_interval must be above 0, not {poll_interval}.")
        # What is known is kept here where Airflow keeps nothing.
        self._remembered: Knowledge | None = None
        self._trouble = ""

    def refuse(self, message: str, advice: str = "") -> GlobusInputError:
        """An error about this watcher's arguments."""
        return GlobusInputError(f"{type(self).__name__}: {message}", advice=advice)

    @abstractmethod
    def watched(self) -> dict[str, Any]:
        """The arguments that say what is watched: whoever has the same goes on where the other has stopped."""

    def choices(self) -> dict[str, Any]:
        """The other arguments."""
        return {}

    @abstractmethod
    def subject(self, hook: GlobusHook) -> str:
        """Check the arguments at Globus, and return what the poller shall look at."""

    @abstractmethod
    def begin(self, document: Document) -> Knowledge:
        """What a new watcher takes for known when it first looks."""

    @abstractmethod
    def news(self, document: Document, known: Knowledge) -> News:
        """What of a look has not been told. The oldest come first."""

    def wider(self, document: Document, known: Knowledge) -> str | None:
        """What to look at instead, once, when a look does not reach back to what is known."""
        return None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The arguments of the constructor."""
        kind = type(self)
        arguments = {"globus_conn_id": self.globus_conn_id, "poll_interval": self.poll_interval}
        return f"{kind.__module__}.{kind.__qualname__}", {**self.watched(), **self.choices(), **arguments}

    @property
    def key(self) -> str:
        """What tells this watcher's rows in the state store from those of others."""
        return short_id(type(self).__name__, self.globus_conn_id, sorted(self.watched().items()))

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire an event for each arrival, for ever."""
        pause = _PAUSE
        while True:
            try:
                async for event in self._watch():
                    pause = _PAUSE
                    yield event
            except GlobusError as error:
                self.log.error("%s cannot watch; it tries again in %.0f s. %s", self._name(), pause, error)
            except Exception:
                self.log.exception("%s cannot watch; it tries again in %.0f s.", self._name(), pause)
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, 2 * pause)

    async def _watch(self) -> AsyncIterator[TriggerEvent]:
        from airflow_provider_globus.triggers.poller import poller_for

        subject = await asyncio.to_thread(self._subject)
        ledger = EventLedger(self._stores(), self.key)
        known = await ledger.knowledge(_ID_LENGTH) if ledger.lasts else self._remembered
        if known is not None and (leaving := await ledger.leaving()):
            for event in await ledger.lost(leaving):
                yield TriggerEvent(dict(event))
                ledger.sent(event)
            known = await self._close(ledger, known, leaving)
        with poller_for(self.globus_conn_id, self.service).subscribe([subject], self.poll_interval) as looks:
            # At once: what arrives from now on is news.
            document = await asyncio.to_thread(self._look, subject)
            if known is None:
                known = await self._learn(ledger, self.begin(document))
                self._say_hello(ledger, known)
            while True:
                if (wider := self.wider(document, known)) is not None:
                    document = await asyncio.to_thread(self._look, wider)
                arrivals, after = self.news(document, known)
                for start in range(0, len(arrivals), BATCH):
                    events = [self._event(arrival) for arrival in arrivals[start : start + BATCH]]
                    await ledger.send(events)
                    for event in events:
                        yield TriggerEvent(event)
                        ledger.sent(event)
                    known = await self._close(ledger, known, events)
                if after != known:
                    known = await self._learn(ledger, after)
                document = await self._next(looks, subject)

    async def _close(self, ledger: EventLedger, known: Knowledge, events: Sequence[dict[str, Any]]) -> Knowledge:
        """Wait until the events are in Airflow's database, and know them."""
        await ledger.written(events)
        told = known.seen | {event[EVENT_ID] for event in events}
        known = await self._learn(ledger, known._replace(seen=told))
        await ledger.close(events)
        return known

    async def _learn(self, ledger: EventLedger, known: Knowledge) -> Knowledge:
        self._remembered = known
        await ledger.learn(known)
        return known

    async def _next(self, looks: asyncio.Queue[Look], subject: str) -> Document:
        """The latest look that brought something."""
        while True:
            look = await looks.get()
            while not looks.empty():
                look = looks.get_nowait()
            if not isinstance(look, GlobusError):
                if self._trouble:
                    self.log.info("%s: Globus answers again.", self._name())
                self._trouble = ""
                return look[subject]
            trouble = kind_of(look)
            if trouble != self._trouble:
                self._trouble = trouble
                self.log.warning("%s cannot look; it goes on trying. %s", self._name(), look)

    def _event(self, arrival: Arrival) -> dict[str, Any]:
        return {**arrival.facts, WATCHER: self.key, EVENT_ID: arrival.id}

    def _subject(self) -> str:
        return self.subject(self._hook())

    def _look(self, subject: str) -> Document:
        return polled(self.service).fetch(self._hook(), [subject])[subject]

    def _hook(self) -> GlobusHook:
        from airflow_provider_globus.hooks.globus import GlobusHook

        return GlobusHook(self.globus_conn_id, caller=type(self).__name__)

    def _stores(self) -> list[AssetStateStoreAccessor]:
        """The state stores of the assets that this watcher fires for."""
        given = getattr(self, "asset_state_store", None)
        if given is None:
            return []
        # Airflow hands out the store of one asset without its name; of several it does not tell the names.
        stores = {**getattr(given, "_by_name", {}), **getattr(given, "_by_uri", {})}
        return [stores[name] for name in sorted(stores)]

    def _say_hello(self, ledger: EventLedger, known: Knowledge) -> None:
        lasting = "" if ledger.lasts else " Airflow keeps no state of assets here: it begins anew after a restart."
        self.log.info("%s begins; %d things are there already.%s", self._name(), len(known.seen), lasting)

    def _name(self) -> str:
        return f"{type(self).__name__} of {', '.join(f'{name} {value!r}' for name, value in self._shown())}"

    def _shown(self) -> list[tuple[str, Any]]:
        return [(name, value) for name, value in self.watched().items() if value not in (None, [], False)]
