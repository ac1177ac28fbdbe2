"""The sandbox's own time: it can be frozen, advanced and sped up, so that hours of Globus cost no waiting.

Every deadline, token lifetime and retry interval in the sandbox is read from one `SandboxClock`.
"""

from __future__ import annotations

import math
import threading
import time
from datetime import UTC, datetime

# How often a wait looks at a plain `threading.Event`; events made by `SandboxClock.event` wake it at once.
_FOREIGN_EVENT_CHECK_SECONDS = 0.05
# A datetime is rounded to microseconds: a wait for one must not miss it by less than that.
_ROUNDING_SECONDS = 1e-6
# Time ends here, so that what is some centuries later is still a date.
_LAST = datetime(9000, 1, 1, tzinfo=UTC).timestamp()


class ClockEvent(threading.Event):
    """An event that also wakes every wait on the clock it belongs to."""

    def __init__(self, changed: threading.Condition) -> None:
        super().__init__()
        self._changed = changed

    def set(self) -> None:
        """Set the event and wake the waits that watch it."""
        super().set()
        with self._changed:
            self._changed.notify_all()


class SandboxClock:
    """Time as the sandbox sees it; safe to use from any thread.

    :param scale: sandbox seconds that pass in one real second.
    """

    def __init__(self, scale: float = 1.0) -> None:
        self._changed = threading.Condition()
        self._initial_scale = _checked_scale(scale)
        self._restart()

    def _restart(self) -> None:
        self._scale = self._initial_scale
        self._frozen = False
        self._real_anchor = time.monotonic()
        self._anchor = time.time()

    def time(self) -> float:
        """Return the sandbox time in seconds since 1970."""
        with self._changed:
            return self._time()

    def _time(self) -> float:
        passed = 0.0 if self._frozen else (time.monotonic() - self._real_anchor) * self._scale
        return min(self._anchor + passed, _LAST)

    def now(self) -> datetime:
        """Return the sandbox time, in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    @property
    def frozen(self) -> bool:
        """Whether time stands still."""
        return self._frozen

    @property
    def scale(self) -> float:
        """Sandbox seconds that pass in one real second."""
        return self._scale

    @scale.setter
    def scale(self, value: float) -> None:
        with self._changed:
            self._rebase()
            self._scale = _checked_scale(value)
            self._changed.notify_all()

    def advance(self, seconds: float) -> None:
        """Move the sandbox time forward at once; works on a frozen clock too."""
        if not seconds >= 0:
            raise ValueError(f"The sandbox clock only moves forward; got {seconds} seconds")
        with self._changed:
            self._rebase()
            self._anchor += seconds
            self._changed.notify_all()

    def freeze(self) -> None:
        """Let time stand still until `resume`."""
        with self._changed:
            self._rebase()
            self._frozen = True
            self._changed.notify_all()

    def resume(self) -> None:
        """Let time run on from where it stands."""
        with self._changed:
            self._rebase()
            self._frozen = False
            self._changed.notify_all()

    def reset(self) -> None:
        """Go back to real time, running at the scale the clock was made with."""
        with self._changed:
            self._restart()
            self._changed.notify_all()

    def _rebase(self) -> None:
        """Make this moment the anchor, so that the next change counts from here."""
        self._anchor = self._time()
        self._real_anchor = time.monotonic()

    def event(self) -> ClockEvent:
        """Return an event that ends a `wait_until` the moment it is set."""
        return ClockEvent(self._changed)

    def wait_until(self, moment: float | datetime, cancel: threading.Event | None = None) -> bool:
        """Block until the sandbox time reaches `moment`.

        :param moment: sandbox time, as a datetime or in seconds since 1970.
        :param cancel: ends the wait early when set.
        :return: True when the moment came, False when the wait was cancelled.
        """
        target = moment.timestamp() if isinstance(moment, datetime) else moment
        with self._changed:
            while not (cancel is not None and cancel.is_set()):
                remaining = target - self._time()
                if remaining <= _ROUNDING_SECONDS:
                    return True
                self._changed.wait(self._real_wait(remaining, cancel))
        return False

    def _real_wait(self, sandbox_seconds: float, cancel: threading.Event | None) -> float | None:
        """Return for how many real seconds to sleep before looking again (None: until something changes)."""
        limit = None if self._frozen else min(sandbox_seconds / self._scale, threading.TIMEOUT_MAX)
        if cancel is None or isinstance(cancel, ClockEvent):
            return limit
        return _FOREIGN_EVENT_CHECK_SECONDS if limit is None else min(limit, _FOREIGN_EVENT_CHECK_SECONDS)


def _checked_scale(scale: float) -> float:
    if not 0 < scale < math.inf:
        raise ValueError(f"The clock's scale must be positive, got {scale}; freeze the clock to stop time")
    return float(scale)
