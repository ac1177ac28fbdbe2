"""The outbox: what flows would have sent into the world, kept instead, without passwords."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.world import World


class Outbox:
    """Messages and registrations of one sandbox, in the order in which they were made."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self.items: list[dict[str, Any]] = []

    def put(self, kind: str, **what: Any) -> dict[str, Any]:
        """Keep something, and return it."""
        item = {"kind": kind, "time": self._world.clock.now().isoformat(), **what}
        with self._lock:
            self.items.append(item)
        return item

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return everything of one kind, such as ``email`` or ``doi``."""
        with self._lock:
            return [item for item in self.items if item["kind"] == kind]

    def mark(self) -> None:
        """Nothing is kept over a reset."""

    def reset(self) -> None:
        """Empty it."""
        with self._lock:
            self.items = []

    def snapshot(self) -> list[dict[str, Any]]:
        """Return everything in it."""
        with self._lock:
            return list(self.items)

    def close(self) -> None:
        """Nothing runs here."""
