"""An Airflow as watchers see it: it writes their events a moment after they are sent, and can be killed in between."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.sdk.serde import deserialize, serialize

from airflow_provider_globus.triggers import event_ledger
from airflow_provider_globus.triggers.event_ledger import EVENT_ID, WATCHER
from airflow_provider_globus.triggers.watchers import GlobusArrivedFilesTrigger

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from airflow_provider_globus.triggers.watcher import GlobusWatcher

#: Seconds that anything may take before a test gives up.
LIMIT = 20.0

#: Seconds between two looks of a watcher in a test.
QUICK = 0.05


class AssetState:
    """The state store of an asset: JSON by key."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.reads = 0

    async def aget(self, key: str, default: Any = None) -> Any:
        await asyncio.sleep(0)
        self.reads += 1
        return json.loads(self.rows[key]) if key in self.rows else default

    async def aset(self, key: str, value: Any) -> None:
        await asyncio.sleep(0)
        if value is None:
            raise ValueError("Cannot set value as None")
        self.rows[key] = json.dumps(value)


class Airflow:
    """
    Runs one watcher after the other for the same asset.

    :param notes: whether whoever writes an event notes it in the ledger.
    """

    def __init__(self, *, notes: bool = True) -> None:
        self.notes = notes
        self.state = AssetState()
        #: what was written to the database, as payloads
        self.events: list[dict[str, Any]] = []
        #: events that are written before Airflow is killed; ``None`` for all
        self.lives_for: int | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, watcher: GlobusWatcher, *, lives_for: int | None = None) -> None:
        """Start a triggerer with a watcher, as Airflow makes it of what it keeps."""
        path, arguments = watcher.serialize()
        kind = type(watcher)
        assert path == f"{kind.__module__}.{kind.__qualname__}"
        kept: dict[str, Any] = deserialize(serialize(arguments))  # type: ignore[assignment]
        again = kind(**kept)
        store: Any = SimpleNamespace(_by_name={"asset": self.state}, _by_uri={})
        again.asset_state_store = store
        self.lives_for = lives_for
        self._task = asyncio.create_task(self._run(again))

    async def kill(self) -> None:
        """Kill the triggerer: what was sent and not written is gone, and so is all that the process knew."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        event_ledger._SENT.clear()

    async def dead(self) -> None:
        """Wait until the triggerer has been killed."""
        assert self._task is not None
        await asyncio.wait_for(asyncio.wait([self._task]), LIMIT)
        event_ledger._SENT.clear()

    async def until(self, check: Callable[[], Any]) -> None:
        """Wait until something is true."""
        async with asyncio.timeout(LIMIT):
            while not check():
                assert self._task is not None
                if self._task.done() and self.lives_for is None:
                    self._task.result()
                await asyncio.sleep(0.01)

    async def ready(self) -> None:
        """Wait until the watcher knows what is there."""
        await self.until(lambda: any(key.startswith("globus_watch:") for key in self.state.rows))

    async def told(self, *names: str, of: str = "name") -> None:
        """Wait until there are so many events, and see that they are these, each once, and nothing is on its way."""
        await self.until(lambda: len(self.events) >= len(names))
        assert sorted(event[of] for event in self.events) == sorted(names)
        await self.until(lambda: self.leaving() == [])

    def leaving(self) -> list[Any]:
        """The events that the watcher has not seen written."""
        return [
            event
            for key, text in self.state.rows.items()
            if key.startswith("globus_watch_leaving:")
            for event in json.loads(text)
        ]

    async def _run(self, watcher: GlobusWatcher) -> None:
        async for event in watcher.run():
            payload = json.loads(json.dumps(event.payload))
            if self.lives_for == 0:
                # Killed before it was written.
                return
            if self.lives_for is not None:
                self.lives_for -= 1
            self.events.append(payload)
            if self.notes:
                key = f"globus_watch_written:{payload[WATCHER]}"
                written = json.loads(self.state.rows.get(key, "[]"))
                self.state.rows[key] = json.dumps([*written, payload[EVENT_ID]])


def files(**changes: Any) -> GlobusArrivedFilesTrigger:
    arguments: dict[str, Any] = {
        "collection": "instrument",
        "path": "/inbox/",
        "stable_for": 0,
        "poll_interval": QUICK,
    }
    return GlobusArrivedFilesTrigger(**arguments | changes)


class Log:
    """What watchers have said: they log as triggers do, for the triggerer's own log."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._read = ""

    def says(self, words: str) -> bool:
        self._read += self._capsys.readouterr().out
        return words in self._read
