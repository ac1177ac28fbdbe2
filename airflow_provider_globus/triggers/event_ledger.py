"""
What a watcher has told Airflow, so that a restart neither loses an event nor repeats one.

A watcher runs in a process that sends its events to another, which writes them to Airflow's database a moment later. If
both are killed in between, Airflow cannot say which events were written. So whoever writes an event notes it in the
state store of its asset, in the same transaction (:func:`keep_ledger`), and the watcher reads that
(:class:`EventLedger`). Rows of an asset, by watcher:

``globus_watch:<key>``
    what the watcher knows: written by the watcher
``globus_watch_leaving:<key>``
    events that are leaving, written before they do
``globus_watch_written:<key>``
    which of them are written: by Airflow's process, with the event
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_globus.exceptions import GlobusError

if TYPE_CHECKING:
    from airflow.sdk.execution_time.context import AssetStateStoreAccessor
    from sqlalchemy.engine import Connection

#: In the payload of an event: the key of the watcher it comes from, and the event's id.
WATCHER, EVENT_ID = "watcher", "event_id"

#: Seconds between two looks at whether events were written.
_LOOK_AGAIN = 0.5

#: Seconds for which an event may be on its way.
_LONG = 60.0

#: Seconds that events are given to be written, where Airflow's process does not note them.
_UNSEEN = 5.0

_kept = False


def keep_ledger() -> None:
    """
    Note from now on each event of a watcher that this process writes to the metadata database.

    Child processes, of which the watchers' own is one, inherit the knowledge that it is kept. Nothing is kept where
    Airflow has no asset state store (before 3.3), or keeps it outside the metadata database.
    """
    global _kept
    if _kept:
        return
    try:
        from airflow.models.asset import AssetEvent
        from airflow.state import get_state_backend
        from airflow.state.metastore import MetastoreBackend
        from sqlalchemy import event
    except ImportError:
        return
    if type(get_state_backend()) is MetastoreBackend:
        event.listen(AssetEvent, "after_insert", _note)
        _kept = True


def is_kept() -> bool:
    """Whether this process, or the one it was forked from, notes events."""
    return _kept


def _note(mapper: Any, connection: Connection, written: Any) -> None:
    """Add the event's id to what is written of its watcher; part of the transaction that writes the event."""
    extra = written.extra or {}
    payload = extra.get("payload") if extra.get("from_trigger") else None
    if not isinstance(payload, dict) or not {WATCHER, EVENT_ID} <= payload.keys():
        return
    from airflow.models.asset_state_store import AssetStateStoreModel
    from sqlalchemy import insert, select, update

    model, key = AssetStateStoreModel, f"globus_watch_written:{payload[WATCHER]}"
    here = (model.asset_id == written.asset_id, model.key == key)
    known = connection.execute(select(model.value).where(*here)).scalar()
    values: dict[str, Any] = {"value": json.dumps([*json.loads(known or "[]"), payload[EVENT_ID]])}
    if known is None:
        connection.execute(insert(model).values(asset_id=written.asset_id, key=key, **values))
    else:
        connection.execute(update(model).where(*here).values(**values))


class Knowledge(NamedTuple):
    """
    What a watcher knows.

    :param seen: ids of what it has told, or had found there when it began, as long as it may see them again.
    :param until: how far it has looked, for watchers that look at times (seconds since the epoch).
    """

    seen: frozenset[str]
    until: float = 0.0

    def document(self) -> dict[str, Any]:
        """The same as JSON. Ids are of one length, and one text, since there may be many thousands."""
        return {"version": 1, "seen": "".join(sorted(self.seen)), "until": self.until}

    @classmethod
    def of(cls, document: Mapping[str, Any], length: int) -> Knowledge:
        """Read the document back; ``length`` is that of an id."""
        seen = document["seen"]
        return cls(frozenset(seen[at : at + length] for at in range(0, len(seen), length)), document["until"])


#: Ids of events that this process has sent: as long as it lives, they will be written.
_SENT: set[tuple[str, str]] = set()


class EventLedger:
    """
    The watcher's side of the ledger.

    :param stores: the state stores of the assets that the watcher fires for; none where Airflow has none, and then all
        is forgotten with the process.
    :param key: what tells this watcher's rows from those of others.
    """

    def __init__(self, stores: Sequence[AssetStateStoreAccessor], key: str) -> None:
        self._stores = list(stores)
        self._key = key

    @property
    def lasts(self) -> bool:
        """Whether what is written outlives this process."""
        return bool(self._stores)

    async def knowledge(self, id_length: int) -> Knowledge | None:
        """What the watcher has come to know, in this process or an earlier one; ``None`` if it is new."""
        found = await self._get("globus_watch")
        return Knowledge.of(found, id_length) if found else None

    async def learn(self, knowledge: Knowledge) -> None:
        """Write down what the watcher knows."""
        await self._set("globus_watch", knowledge.document())

    async def leaving(self) -> list[dict[str, Any]]:
        """The events that an earlier process, or this one, was sending when it ended."""
        return list(await self._get("globus_watch_leaving") or [])

    async def send(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Write down that these events are about to leave."""
        await self._set("globus_watch_leaving", [dict(event) for event in events])

    def sent(self, event: Mapping[str, Any]) -> None:
        """Remember that an event has left."""
        _SENT.add((self._key, event[EVENT_ID]))

    async def lost(self, events: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Those of the events that were not written, and never will be: whoever was sending them is gone."""
        written = set(await self._get("globus_watch_written") or [])
        return [
            event for event in events if event[EVENT_ID] not in written and (self._key, event[EVENT_ID]) not in _SENT
        ]

    async def written(self, events: Sequence[Mapping[str, Any]]) -> None:
        """
        Come back when Airflow has written the events.

        :raises GlobusError: when it has not for so long that something must be wrong.
        """
        if not (self._stores and is_kept()):
            await asyncio.sleep(_UNSEEN)
            return
        awaited = {event[EVENT_ID] for event in events}
        give_up_at = time.monotonic() + _LONG
        while awaited := awaited - set(await self._get("globus_watch_written") or []):
            if time.monotonic() > give_up_at:
                raise GlobusError(
                    f"Airflow has not written {len(awaited)} of its events within {_LONG:.0f} s, and until it has, "
                    "nothing new is told.",
                    advice="See in the triggerer's log why; or is the asset no longer in use?",
                )
            await asyncio.sleep(_LOOK_AGAIN)

    async def close(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Forget events that are written, and known to be. The order matters: see :meth:`lost`."""
        await self._set("globus_watch_leaving", [])
        await self._set("globus_watch_written", [])
        _SENT.difference_update((self._key, event[EVENT_ID]) for event in events)

    async def _get(self, row: str) -> Any:
        for store in self._stores:
            if (found := await store.aget(f"{row}:{self._key}")) is not None:
                return found
        return None

    async def _set(self, row: str, value: Any) -> None:
        for store in self._stores:
            await store.aset(f"{row}:{self._key}", value)
