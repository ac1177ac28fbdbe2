"""Runs tasks: who may start, who waits, what is tried again, how a task ends.

A few worker threads, started when first needed, do the moving. One scheduler thread sleeps on the sandbox clock until
the next moment something is due (a retry, a deadline, the end of a task's minimum time), so that hundreds of waiting
tasks cost no thread each. Everything here is guarded by one condition.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

from airflow_provider_globus.sandbox.storage import CHUNK_BYTES
from airflow_provider_globus.sandbox.transfer.moving import Interrupted
from airflow_provider_globus.sandbox.transfer.outcome import finish, pause, progress_made, start, unpause
from airflow_provider_globus.sandbox.transfer.stepping import Fatal, Stepper
from airflow_provider_globus.sandbox.transfer.tasks import PARKED, PAUSES, Action, Phase, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from airflow_provider_globus.sandbox.transfer.pause_rules import PauseRules
    from airflow_provider_globus.sandbox.world import World

log = logging.getLogger(__name__)

MAX_WORKERS = 8
FAR_AWAY_SECONDS = 30 * 86400.0
STOP_PATIENCE_SECONDS = 2.0  # how long a cancel or a reset waits for a worker between two chunks
CANCELED = ("CANCELED", "canceled")
EXPIRED = ("EXPIRED", "expired")


Due: TypeAlias = "Callable[[Task, float, float], None]"


class Engine:
    """Schedules and runs the tasks of one sandbox.

    :param may: what the owner of a task may do at a path of a collection.
    :param rules: what endpoint managers have paused.
    """

    def __init__(self, world: World, may: Callable[[Task, Collection, str], str], rules: PauseRules) -> None:
        self._world = world
        self._rules = rules
        self.changed = threading.Condition(threading.RLock())
        self._stepper = Stepper(world, self, may)
        self._unfinished: dict[str, Task] = {}
        self._ready: deque[Task] = deque()
        self._timers: list[tuple[float, int, Task, Due]] = []
        self._sequence = itertools.count()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._holding = False
        self._closed = False
        self._alarm = world.clock.event()
        world.faults.on_change(self._faults_changed)

    # What a worker asks between two chunks

    def check(self, task: Task) -> None:
        """Raise `Interrupted` when the task shall stop."""
        if task.interrupt.is_set():
            raise Interrupted

    def chunk_size(self) -> int:
        """Return how much to read at once: a fraction of a second's worth under a throttle."""
        rate = self._world.settings.bytes_per_second
        return CHUNK_BYTES if not rate else int(min(CHUNK_BYTES, max(1, rate / 8)))

    def spend(self, task: Task, count: int) -> None:
        """Wait, in sandbox time, until the throttle allows more bytes."""
        rate = self._world.settings.bytes_per_second
        if rate:
            task.pace_at += count / rate
            self._world.clock.wait_until(task.pace_at, task.interrupt)

    # Tasks come and go

    def submit(self, task: Task) -> None:
        """Take a new task."""
        with self.changed:
            self._unfinished[task.id] = task
            if self._holding:
                task.stops.add("hold")
            self._strike(task, submitted=True)
            if not task.done:
                self._at(task.deadline, task, self._deadline)
                self._heed(task)
                self._promote()

    def unfinished(self) -> list[Task]:
        """Return all tasks that have not ended."""
        with self.changed:
            return list(self._unfinished.values())

    def cancel(self, task: Task) -> str:
        """Cancel a task; returns the service's code for how far that came."""
        with self.changed:
            if task.done:
                return "TaskComplete"
            delay = self._world.faults.cancel_delay(task.id)
            if delay is not None:
                self._at(self._world.clock.time() + delay, task, self._cancel_late)
                return "CancelAccepted"
            self._end(task, *CANCELED)
            if not self._wait_for(lambda: task.done):
                return "CancelAccepted"
            return "Canceled" if (task.fatal_error or {}).get("code") == "CANCELED" else "TaskComplete"

    def stop(self, task: Task, reason: str) -> None:
        """Let a task rest for a reason (`hold`, `inactive`, a pause) until `resume` takes the reason away."""
        with self.changed:
            if task.done:
                return
            task.stops.add(reason)
            if task.phase is Phase.RUNNING:
                task.interrupt.set()
            elif task.phase is not Phase.QUEUED:
                task.phase = Phase.STOPPED
            self._promote()

    def resume(self, task: Task, reason: str) -> None:
        """Take away a reason to rest."""
        with self.changed:
            if task.done or reason not in task.stops:
                return
            task.stops.discard(reason)
            if reason == "inactive":
                task.status, task.fault_id = "ACTIVE", None
            if task.stops or task.phase is Phase.RUNNING:
                return
            task.nice_status, task.nice_details = "OK", None
            if task.phase is Phase.STOPPED:
                self._make_ready(task)
            self._promote()

    def hold(self) -> None:
        """Let no task move until `release`; new ones start and are held too."""
        with self.changed:
            self._holding = True
            for task in self.unfinished():
                self.stop(task, "hold")

    def release(self) -> None:
        """Let tasks move again."""
        with self.changed:
            self._holding = False
            for task in self.unfinished():
                self.resume(task, "hold")

    def reschedule(self, task: Task) -> None:
        """Heed a changed deadline."""
        with self.changed:
            self._at(task.deadline, task, self._deadline)

    # Pauses

    def pause(self, task: Task, reason: str, message: str | None) -> None:
        """Let a task rest by an endpoint manager's word (`pause`) or rule (`rule`)."""
        with self.changed:
            if task.done:
                return
            if not task.paused:
                pause(task, self._world.clock.time(), message)
            self.stop(task, reason)
            self.reschedule(task)

    def unpause(self, task: Task, reason: str) -> None:
        """Take back a word or a rule; the task goes on when none is left."""
        with self.changed:
            if reason not in task.stops:
                return
            if not task.stops & PAUSES - {reason}:
                unpause(task, self._world.clock.time())
            self.resume(task, reason)
            self.reschedule(task)

    def heed_rules(self) -> None:
        """Apply the pause rules there are now to all tasks."""
        with self.changed:
            for task in self.unfinished():
                self._heed(task)

    def _heed(self, task: Task) -> None:
        now = self._world.clock.time()
        if applying := self._rules.on_task(task, now):
            self.pause(task, "rule", applying[0].message)
        else:
            self.unpause(task, "rule")
        if (later := self._rules.next_start(task, now)) is not None:
            self._at(later, task, lambda task, moment, now: self._heed(task))

    # Faults that are added or removed while tasks run

    def _faults_changed(self) -> None:
        with self.changed:
            for task in self.unfinished():
                self._strike(task)
            self._alarm.set()

    def _strike(self, task: Task, *, submitted: bool = False) -> None:
        """Apply the task fault that is meant for a task, and lift the one that is over."""
        if task.fault_id is not None:
            if self._world.faults.is_active(task.fault_id):
                return
            task.fault_id = None
            self.resume(task, "inactive")
            self.resume(task, "fault")
        fault = self._world.faults.task_fault(task.id, submitted=submitted)
        if fault is None:
            return
        now = self._world.clock.time()
        if fault.hold:
            task.fault_id = fault.id
            self.stop(task, "fault")
        elif fault.status == "FAILED":
            self._end(task, fault.code or "EXPIRED", fault.message)
        else:
            task.fault_id = fault.id
            code = fault.code or "NO_CREDENTIALS"
            task.status, task.nice_status, task.nice_details, task.nice_since = "INACTIVE", code, fault.message, now
            task.log(now, code, code.replace("_", " ").lower(), fault.message, is_error=True)
            self.stop(task, "inactive")
        if task.fault_id is not None and fault.until is not None:
            self._at(fault.until, task, lambda task, moment, now: self._strike(task))

    # Inside, always with the condition held

    def _promote(self) -> None:
        """Start queued tasks as far as their owners have free slots."""
        active: dict[tuple[str, str], int] = {}
        for task in self._unfinished.values():
            if task.holds_slot:
                key = (task.owner_id, task.type)
                active[key] = active.get(key, 0) + 1
        limit = self._world.settings.active_tasks_per_identity
        for task in self._unfinished.values():
            key = (task.owner_id, task.type)
            if task.phase is not Phase.QUEUED or task.stops & PARKED or active.get(key, 0) >= limit:
                continue
            active[key] = active.get(key, 0) + 1
            start(task, self._world.clock.time())
            if task.stops:
                task.phase = Phase.STOPPED
            else:
                self._make_ready(task)

    def _make_ready(self, task: Task) -> None:
        task.phase = Phase.READY
        task.interrupt.clear()
        self._ready.append(task)
        if self._idle < len(self._ready) and len(self._threads) <= MAX_WORKERS:
            self._spawn(self._work, "worker")
        self.changed.notify_all()

    def _spawn(self, target: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=target, name=f"globus-sandbox-transfer-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _at(self, moment: float, task: Task, due: Due) -> None:
        """Look at a task again at a moment of sandbox time."""
        heapq.heappush(self._timers, (moment, next(self._sequence), task, due))
        if not any(thread.name.endswith("scheduler") for thread in self._threads):
            self._spawn(self._schedule, "scheduler")
        self._alarm.set()

    def _end(self, task: Task, code: str, description: str) -> None:
        """End a task in failure, now or as soon as its worker lets go of it."""
        if task.phase is Phase.RUNNING:
            task.cancel_code = (code, description)
            task.interrupt.set()
        else:
            self._finished(task, code, description)

    def _finished(self, task: Task, code: str | None = None, description: str = "") -> None:
        finish(task, self._world.clock.time(), code, description)
        self._unfinished.pop(task.id, None)
        self._promote()
        self.changed.notify_all()

    def _wait_for(self, settled: Callable[[], bool]) -> bool:
        return self.changed.wait_for(settled, timeout=STOP_PATIENCE_SECONDS)

    # Threads

    def _work(self) -> None:
        while True:
            with self.changed:
                self._idle += 1
                while not self._ready and not self._closed:
                    self.changed.wait()
                self._idle -= 1
                if self._closed:
                    return
                task = self._ready.popleft()
                if task.phase is not Phase.READY:
                    continue
                task.phase = Phase.RUNNING
                task.pace_at = self._world.clock.time()
            self._attempt(task)

    def _attempt(self, task: Task) -> None:
        """Let a worker do what can be done of a task, then decide how it goes on."""
        ending: tuple[str, str] | None = None
        try:
            self._stepper.run(task)
        except Interrupted:
            pass
        except Fatal as fatal:
            ending = (fatal.code, fatal.description)
        except Exception as error:
            log.exception(f"The sandbox failed in task {task.id}")
            ending = ("INTERNAL_ERROR", f"{type(error).__name__}: {error}")
        with self.changed:
            if task.id in self._unfinished:
                self._after(task, task.cancel_code or ending)
            else:
                task.phase = Phase.DONE  # forgotten by a reset meanwhile
            self.changed.notify_all()

    def _after(self, task: Task, ending: tuple[str, str] | None) -> None:
        now = self._world.clock.time()
        if progress_made(task, now):
            self._at(task.deadline, task, self._deadline)
        if ending is not None:
            self._finished(task, *ending)
        elif task.stops:
            task.phase = Phase.STOPPED
        elif task.scans or task.work:
            self._make_ready(task)  # stopped and resumed before the worker noticed
        elif task.retry:
            self._rest(task, Phase.RETRYING, now + self._world.settings.fault_retry_seconds)
        else:
            task.nice_status, task.nice_details = "OK", None
            self._complete(task, now)

    def _complete(self, task: Task, now: float) -> None:
        until = (task.start_time or now) + self._world.settings.task_seconds
        if now < until:
            self._rest(task, Phase.FINISHING, until)
        else:
            self._finished(task)

    def _rest(self, task: Task, phase: Phase, until: float) -> None:
        task.phase, task.wake_at = phase, until
        self._at(until, task, self._wake)

    def _schedule(self) -> None:
        clock = self._world.clock
        while True:
            with self.changed:
                if self._closed:
                    return
                self._alarm.clear()
                now = clock.time()
                while self._timers and self._timers[0][0] <= now:
                    moment, _, task, due = heapq.heappop(self._timers)
                    if not task.done:
                        due(task, moment, now)
                moment = self._timers[0][0] if self._timers else now + FAR_AWAY_SECONDS
            clock.wait_until(moment, self._alarm)

    def _deadline(self, task: Task, moment: float, now: float) -> None:
        if now >= task.deadline:  # it may have moved since
            self._end(task, *EXPIRED)

    def _cancel_late(self, task: Task, moment: float, now: float) -> None:
        self._end(task, *CANCELED)

    def _wake(self, task: Task, moment: float, now: float) -> None:
        if task.wake_at != moment:
            return
        if task.phase is Phase.RETRYING:
            _retry(task)
            self._make_ready(task)
        elif task.phase is Phase.FINISHING:
            self._complete(task, now)

    # The end

    def reset(self) -> None:
        """Forget all tasks, ending those that run."""
        with self.changed:
            running = [task for task in self._unfinished.values() if task.phase is Phase.RUNNING]
            self._unfinished.clear()
            self._ready.clear()
            self._timers.clear()
            self._holding = False
            self._interrupt(running)
            self._wait_for(lambda: all(task.done for task in running))

    def close(self) -> None:
        """End all threads; at most a step that cannot be interrupted outlives it by a moment."""
        with self.changed:
            self._closed = True
            self._interrupt(self._unfinished.values())
            self._alarm.set()
            self.changed.notify_all()
            threads = list(self._threads)
        until = time.monotonic() + 0.04
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _interrupt(self, tasks: Iterable[Task]) -> None:
        for task in tasks:
            task.interrupt.set()


def _retry(task: Task) -> None:
    """Put what failed back where it came from."""
    for step in task.retry:
        queue = task.scans if step.action in (Action.SCAN, Action.SCAN_DIR) else task.work
        queue.append(step)
    task.retry = []
