"""What drives runs: one thread that looks at all that wait, and a few that start actions and go from state to state."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.action_providers.base import (
    FAILED,
    INACTIVE,
    SUCCEEDED,
    Action,
    ActionRefused,
    Progress,
    check_body,
)
from airflow_provider_globus.sandbox.flow_language.effects import (
    AwaitResponse,
    Effect,
    Ended,
    Log,
    NamedError,
    OpenWebInput,
    RunAction,
    Sleep,
)
from airflow_provider_globus.sandbox.flow_language.paths import RUNTIME_ERROR
from airflow_provider_globus.sandbox.flows.access import urn_of
from airflow_provider_globus.sandbox.flows.models import CLOSED, iso

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from airflow_provider_globus.sandbox.action_providers.base import ActionProvider
    from airflow_provider_globus.sandbox.flows.models import Run
    from airflow_provider_globus.sandbox.flows.state import FlowsState

log = logging.getLogger(__name__)

# Real seconds between two looks at what waits: the sandbox clock may have been moved.
_TICK_SECONDS = 0.05
# Real seconds until an action is asked again; one that takes long is asked less and less often.
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.01, 1.0
_SHORTEST_TICK_SECONDS = 0.005
_THREADS = 8


class Driver:
    """One run on its way: where it is, and what it waits for."""

    def __init__(self, state: FlowsState, run: Run, steps: Generator[Effect, Any, Ended]) -> None:
        self.state = state
        self.run = run
        self.steps = steps
        self.lock = threading.Lock()
        self.effect: Effect | None = None
        self.action: Action | None = None
        self.provider: ActionProvider | None = None
        self.started_at = 0.0
        self.next_look = 0.0
        self.pause = _FIRST_PAUSE_SECONDS
        self.hangs = False
        self.suspended = False
        self.queued = False
        self.over = False

    # Called with the lock held

    def advance(self, answer: Any = None, error: NamedError | None = None) -> None:
        """Go on until the run has to wait, or has ended."""
        self.effect = None
        while not self.over:
            try:
                effect = self.steps.throw(error) if error is not None else self.steps.send(answer)
            except StopIteration as end:
                self._end(end.value)
                return
            answer = error = None
            if isinstance(effect, Log):
                self.state.write(self.run, effect.code, effect.description, effect.details)
            elif isinstance(effect, OpenWebInput):
                try:
                    answer = {"web_input_id": self.state.open_web_input(self.run, effect.parameters).id}
                except ValueError as problem:
                    error = NamedError(RUNTIME_ERROR, f"State '{effect.state_name}': {problem}")
            elif isinstance(effect, RunAction):
                self.effect = effect
                answer, error = self._start(effect)
                if answer is None and error is None:
                    return
                self.effect = None
            elif isinstance(effect, Sleep) and self.state.world.clock.time() >= effect.until:
                # Nothing to wait for; a loop may come by here a thousand times.
                continue
            else:
                self.effect = effect
                if isinstance(effect, AwaitResponse):
                    self.run.web_input_id = effect.web_input_id
                self.look()
                return

    def look(self) -> None:
        """See whether what the run waits for has come."""
        effect = self.effect
        if isinstance(effect, Sleep):
            if self.state.world.clock.time() >= effect.until:
                self.advance()
        elif isinstance(effect, AwaitResponse):
            self._look_for_response(effect)
        elif isinstance(effect, RunAction):
            self._look_at_action(effect)

    def resume(self) -> None:
        """Start the suspended action anew."""
        if isinstance(self.effect, RunAction) and self.suspended:
            self.suspended = False
            answer, error = self._start(self.effect)
            if answer is not None or error is not None:
                self.advance(answer, error)

    def stop(self) -> None:
        """End it here, and what it has started."""
        self.over = True
        if self.action is not None and self.provider is not None:
            try:
                self.provider.cancel(self.action)
            except Exception:
                log.exception(f"An action of run {self.run.id} could not be cancelled")
        self.steps.close()

    def fail(self, problem: Exception) -> None:
        """End it because of a mistake in the sandbox."""
        name = self.effect.state_name if self.effect is not None and not isinstance(self.effect, Log) else None
        cause = f"The sandbox failed: {type(problem).__name__}: {problem}"
        self._end(Ended(FAILED, {}, {"error": RUNTIME_ERROR, "cause": cause, "state_name": name}))

    # Inside

    def _end(self, ended: Ended) -> None:
        self.over = True
        self.state.finish(self.run, ended)

    def _look_for_response(self, effect: AwaitResponse) -> None:
        web_input = self.state.web_input(effect.web_input_id)
        if web_input is None or web_input.run.id != self.run.id:
            self._unblock()
            why = f"There is no web input {effect.web_input_id} of this run"
            self.advance(error=NamedError(RUNTIME_ERROR, why))
        elif web_input.chosen is not None:
            self._unblock()
            self.advance({"response": web_input.chosen.value})
        elif web_input.expired:
            self._unblock()
            self.advance(error=NamedError("Flows.WebInputExpired", f"Nobody answered web input {web_input.id} in time"))

    def _unblock(self) -> None:
        self.run.web_input_id = None

    def _start(self, effect: RunAction) -> tuple[Any, NamedError | None]:
        """Start an action; return its end when that has come already."""
        world = self.state.world
        self.started_at = world.clock.time()
        self.pause, self.hangs = _FIRST_PAUSE_SECONDS, False
        self.next_look = time.monotonic() + self.pause
        try:
            if self.action is None:
                self.provider, self.action = self._prepared(effect)
            assert self.provider is not None
            self.action.caller = self.state.caller_for(self.run, effect.run_as)
            progress = self._faulty(effect) or self.provider.start(self.action)
        except ActionRefused as refused:
            self.action = self.provider = None
            cause = f"{effect.url or effect.registered_api}: {refused.status} {refused.code}: {refused.description}"
            return None, NamedError("ActionUnableToRun", cause, refused.document())
        except Exception as problem:
            log.exception(f"The action of state {effect.state_name} of run {self.run.id} failed in the sandbox")
            self.action = self.provider = None
            return None, NamedError("ActionUnableToRun", f"The sandbox failed: {type(problem).__name__}: {problem}")
        return self._settle(effect, progress)

    def _prepared(self, effect: RunAction) -> tuple[ActionProvider, Action]:
        provider = self.state.provider(effect)
        body = {key: value for key, value in effect.body.items() if key != "_tokens"}
        check_body(provider, body)
        action = Action(
            id=self.state.world.new_id(),
            world=self.state.world,
            caller=self.state.caller_for(self.run, effect.run_as),
            body=body,
            run_id=self.run.id,
            flow_id=self.run.flow_id,
            run_label=self.run.label,
        )
        return provider, action

    def _faulty(self, effect: RunAction) -> Progress | None:
        """Return what a fault makes of a start; raises `ActionRefused` for one that refuses."""
        flow = (self.run.flow_id, self.run.flow_title)
        fault = self.state.world.faults.action_fault(effect.url or "", effect.state_name, flow)
        if fault is None:
            return None
        if fault.hang:
            self.hangs = True
            return Progress("ACTIVE", {"description": fault.message})
        if fault.fail:
            return Progress(FAILED, {"code": fault.code, "description": fault.message})
        raise ActionRefused(fault.status or 502, fault.code, fault.message)

    def _look_at_action(self, effect: RunAction) -> None:
        assert self.action is not None
        assert self.provider is not None
        if self.suspended:
            return
        progress = Progress("ACTIVE", {}) if self.hangs else self._progress()
        answer, error = self._settle(effect, progress)
        if answer is not None or error is not None:
            self.advance(answer, error)
            return
        self.pause = min(_LONGEST_PAUSE_SECONDS, self.pause * 1.5)
        self.next_look = time.monotonic() + self.pause

    def _progress(self) -> Progress:
        assert self.action is not None
        assert self.provider is not None
        try:
            return self.provider.progress(self.action)
        except Exception as problem:
            log.exception(f"The action {self.action.id} of run {self.run.id} failed in the sandbox")
            return Progress(FAILED, {"description": f"The sandbox failed: {type(problem).__name__}: {problem}"})

    def _settle(self, effect: RunAction, progress: Progress) -> tuple[Any, NamedError | None]:
        """Return the end of an action, if it has come; suspend the run when the action is suspended."""
        document = self._status(progress)
        if progress.status in (SUCCEEDED, FAILED):
            self.action = self.provider = None
            return document, None
        if progress.status == INACTIVE:
            self.suspended = True
            self.state.suspend(self.run, effect.state_name, document)
        elif self.state.world.clock.time() - self.started_at >= effect.wait_time:
            self.action = self.provider = None
            cause = f"The action of state '{effect.state_name}' has not ended within {effect.wait_time:g} seconds"
            return None, NamedError("ActionTimeout", cause, document)
        return None, None

    def _status(self, progress: Progress) -> dict[str, Any]:
        assert self.action is not None
        now = self.state.world.clock.time()
        return {
            "action_id": self.action.id,
            "status": progress.status,
            "display_status": progress.display_status or progress.status,
            "details": progress.details,
            "creator_id": urn_of(self.action.caller.identity_id),
            "label": self.run.label,
            "manage_by": self.run.managers,
            "monitor_by": self.run.monitors,
            "start_time": iso(self.started_at),
            "completion_time": iso(now) if progress.done else None,
            "release_after": "P30D",
        }

    def is_due(self) -> bool:
        """Tell whether a look may bring something."""
        effect = self.effect
        if isinstance(effect, RunAction):
            overdue = self.state.world.clock.time() - self.started_at >= effect.wait_time
            return not self.suspended and (overdue or time.monotonic() >= self.next_look)
        if isinstance(effect, Sleep):
            return self.state.world.clock.time() >= effect.until
        if isinstance(effect, AwaitResponse):
            web_input = self.state.web_input(effect.web_input_id)
            return web_input is None or web_input.status == CLOSED
        return False

    def pause_left(self) -> float:
        """Return for how many real seconds it need not be looked at, unless something happens."""
        if isinstance(self.effect, RunAction) and not self.suspended:
            return self.next_look - time.monotonic()
        return _TICK_SECONDS


class Engine:
    """Drives the runs of one sandbox; its threads begin with the first run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._drivers: dict[str, Driver] = {}
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._closed = False

    def add(self, driver: Driver) -> None:
        """Begin to drive a run."""
        with self._lock:
            if self._closed:
                return
            self._drivers[driver.run.id] = driver
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_THREADS, "globus-flows")
                self._thread = threading.Thread(target=self._loop, name="globus-flows", daemon=True)
                self._thread.start()
        self._do(driver, driver.advance)

    def resume(self, run_id: str) -> None:
        """Let a suspended run go on."""
        if driver := self._drivers.get(run_id):
            self._do(driver, driver.resume)

    def stop(self, run_id: str) -> None:
        """End the driving of a run, and what it has started; returns when that is done."""
        with self._lock:
            driver = self._drivers.pop(run_id, None)
        if driver is not None:
            driver.over = True
            with driver.lock:
                driver.stop()

    def wake(self) -> None:
        """Look at all that waits: something has happened."""
        self._wake.set()

    def clear(self) -> None:
        """Forget all runs."""
        for run_id in list(self._drivers):
            self.stop(run_id)

    def close(self) -> None:
        """Forget all runs, for good."""
        self._closed = True
        self._wake.set()
        self.clear()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _do(self, driver: Driver, what: Callable[[], None]) -> None:
        if self._pool is not None and not self._closed:
            # A sandbox that closes takes no more work.
            with contextlib.suppress(RuntimeError):
                self._pool.submit(self._work, driver, what)

    def _work(self, driver: Driver, what: Callable[[], None]) -> None:
        with driver.lock:
            # What happens from here on may need another look.
            driver.queued = False
            if not driver.over:
                try:
                    what()
                except Exception as problem:
                    log.exception(f"The sandbox failed at run {driver.run.id}")
                    driver.fail(problem)
        if driver.over:
            with self._lock:
                self._drivers.pop(driver.run.id, None)
        self._wake.set()

    def _loop(self) -> None:
        while not self._closed:
            with self._lock:
                drivers = list(self._drivers.values())
            for driver in drivers:
                if not driver.queued and driver.is_due():
                    driver.queued = True
                    self._do(driver, driver.look)
            left = min((driver.pause_left() for driver in drivers if not driver.queued), default=_TICK_SECONDS)
            self._wake.wait(min(_TICK_SECONDS, max(_SHORTEST_TICK_SECONDS, left)) if drivers else None)
            self._wake.clear()
