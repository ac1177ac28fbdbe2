"""Directories that are read page by page: the storage is asked once, not again for each page.

The real service fetches the whole directory for every page. An S3 bucket answers a thousand keys at a time, so ten
pages of a large prefix would cost a thousand requests here.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.clock import SandboxClock
    from airflow_provider_globus.sandbox.storage import Entry

# Who reads pages asks for the next at once; what was changed behind the sandbox's back shows after this time.
KEPT_SECONDS = 15.0
# Smaller ones are listed again in no time.
WORTH_KEEPING = 1000
_MOST_KEPT = 4


class _Kept(NamedTuple):
    rows: list[Entry]
    expires: float


class Listings:
    """The listings that somebody is in the middle of; safe to use from any thread."""

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock
        self._kept: dict[Hashable, _Kept] = {}
        self._lock = threading.Lock()

    def find(self, key: Hashable) -> list[Entry] | None:
        """Return the listing that an earlier page was cut from, if it is still good."""
        with self._lock:
            found = self._kept.get(key)
            return found.rows if found is not None and self._clock.time() < found.expires else None

    def keep(self, key: Hashable, rows: list[Entry]) -> None:
        """Keep a listing for its next page."""
        if len(rows) < WORTH_KEEPING:
            return
        with self._lock:
            self._kept.pop(key, None)
            while len(self._kept) >= _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = _Kept(rows, self._clock.time() + KEPT_SECONDS)

    def drop(self, key: Hashable) -> None:
        """Forget a listing whose last page was read."""
        with self._lock:
            self._kept.pop(key, None)

    def forget(self) -> None:
        """Forget all: something has changed."""
        with self._lock:
            self._kept.clear()
