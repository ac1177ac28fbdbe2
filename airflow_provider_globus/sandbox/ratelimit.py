"""The limits on requests: metered for each identity and service over ten seconds, as Globus does."""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import TYPE_CHECKING

from airflow_provider_globus.sandbox.errors import ServiceError

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.clock import SandboxClock

WINDOW_SECONDS = 10.0


class RateMeter:
    """Counts requests in sandbox time; safe to use from any thread."""

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, str], deque[float]] = {}

    def count(self, service: str, identity_id: str, per_window: float) -> None:
        """Count one request; raises a 429 that says when to come back when there were too many.

        :param per_window: requests that are allowed in ten seconds; at least one always is.
        """
        now = self._clock.time()
        allowed = max(1, int(per_window))
        with self._lock:
            recent = self._requests.setdefault((service, identity_id), deque())
            while recent and recent[0] <= now - WINDOW_SECONDS:
                recent.popleft()
            if len(recent) < allowed:
                recent.append(now)
                return
            wait = recent[0] + WINDOW_SECONDS - now
        raise ServiceError(
            429,
            "RateLimitExceeded",
            f"More than {allowed} requests in {WINDOW_SECONDS:g} seconds",
            # Clients wait in real time.
            headers={"Retry-After": str(max(1, math.ceil(wait / self._clock.scale)))},
        )

    def clear(self) -> None:
        """Forget all requests."""
        with self._lock:
            self._requests.clear()
