"""The sandbox clock: reading, changing and waiting, from several threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_globus.sandbox.clock import SandboxClock

HOUR = 3600.0
# Far below any wait under test, far above a thread switch.
AT_ONCE = 5.0


@contextmanager
def waiting(wait: Callable[[], bool]) -> Iterator[list[bool]]:
    """Run a wait in a thread; when the block ends it must have returned."""
    result: list[bool] = []
    thread = threading.Thread(target=lambda: result.append(wait()), daemon=True)
    thread.start()
    try:
        yield result
    finally:
        thread.join(AT_ONCE)
    assert not thread.is_alive(), "the wait did not end"


def test_starts_at_the_real_time_in_utc() -> None:
    now = SandboxClock().now()
    assert now.tzinfo is UTC
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=2)


def test_frozen_time_stands_still_but_can_be_advanced() -> None:
    clock = SandboxClock()
    clock.freeze()
    before = clock.time()
    assert clock.time() == before
    clock.advance(HOUR)
    assert clock.time() == before + HOUR


def test_resumed_time_runs_on_from_where_it_stood() -> None:
    clock = SandboxClock()
    clock.freeze()
    clock.advance(HOUR)
    stood_at = clock.time()
    clock.resume()
    assert stood_at <= clock.time() < stood_at + AT_ONCE
    assert not clock.frozen


def test_scale_makes_time_run_faster_without_a_jump() -> None:
    clock = SandboxClock()
    before = clock.time()
    clock.scale = 1_000_000
    start = time.monotonic()
    assert clock.wait_until(before + 10_000)
    assert time.monotonic() - start < 1
    clock.scale = 1
    assert clock.time() >= before + 10_000


@pytest.mark.parametrize("scale", [0, -1])
def test_a_scale_that_would_stop_or_turn_time_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="freeze the clock"):
        SandboxClock(scale)


def test_time_never_goes_back() -> None:
    with pytest.raises(ValueError, match="only moves forward"):
        SandboxClock().advance(-1)


def test_reset_goes_back_to_real_time_at_the_first_scale() -> None:
    clock = SandboxClock(scale=2)
    clock.freeze()
    clock.advance(1000 * HOUR)
    clock.scale = 7
    clock.reset()
    assert abs(clock.time() - time.time()) < AT_ONCE
    assert clock.scale == 2
    assert not clock.frozen


def test_a_wait_for_the_past_ends_at_once() -> None:
    clock = SandboxClock()
    clock.freeze()
    assert clock.wait_until(clock.now())
    assert clock.wait_until(clock.time() - HOUR)


@pytest.mark.parametrize("frozen", [True, False])
def test_advancing_ends_a_wait(frozen: bool) -> None:
    clock = SandboxClock()
    if frozen:
        clock.freeze()
    target = clock.now() + timedelta(hours=1)
    with waiting(lambda: clock.wait_until(target)) as result:
        clock.advance(HOUR / 2)
        assert not result
        clock.advance(HOUR / 2)
    assert result == [True]


def test_speeding_up_ends_a_wait() -> None:
    clock = SandboxClock()
    with waiting(lambda: clock.wait_until(clock.time() + HOUR)) as result:
        clock.scale = 1_000_000
    assert result == [True]


def test_an_event_of_the_clock_cancels_a_wait_on_frozen_time() -> None:
    clock = SandboxClock()
    clock.freeze()
    cancel = clock.event()
    with waiting(lambda: clock.wait_until(clock.time() + HOUR, cancel)) as result:
        cancel.set()
    assert result == [False]


def test_any_event_cancels_a_wait() -> None:
    clock = SandboxClock()
    cancel = threading.Event()
    with waiting(lambda: clock.wait_until(clock.time() + HOUR, cancel)) as result:
        cancel.set()
    assert result == [False]


def test_a_moment_in_a_thousand_years_is_waited_for() -> None:
    clock = SandboxClock()
    cancel = clock.event()
    with waiting(lambda: clock.wait_until(datetime(2999, 1, 1, tzinfo=UTC), cancel)) as result:
        cancel.set()
    assert result == [False]


def test_a_wait_cancelled_before_it_began_returns_false_even_when_the_moment_came() -> None:
    clock = SandboxClock()
    cancel = clock.event()
    cancel.set()
    assert clock.wait_until(clock.time() - 1, cancel) is False


def test_one_advance_ends_a_hundred_waits() -> None:
    clock = SandboxClock()
    clock.freeze()
    target = clock.time() + HOUR
    threads = [threading.Thread(target=clock.wait_until, args=(target,), daemon=True) for _ in range(100)]
    for thread in threads:
        thread.start()
    clock.advance(HOUR)
    for thread in threads:
        thread.join(AT_ONCE)
    assert not any(thread.is_alive() for thread in threads)
