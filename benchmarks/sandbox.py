"""The sandbox's own speed: how fast it comes and goes, and whether a long history of tasks slows it down."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack

from globus_sdk import AccessTokenAuthorizer, TransferClient

from airflow_provider_globus.sandbox import GlobusSandbox
from airflow_provider_globus.sandbox.auth.models import Caller
from airflow_provider_globus.sandbox.transfer.submission import parse
from airflow_provider_globus.sandbox.world import Settings
from benchmarks.report import Report, percentile, table

ROUNDS = 7
REQUESTS = 200
HISTORY = 10_000
IN_LIST = 50


def run() -> Report:
    """Measure start, reset and stop, then requests beside each other on an empty and on a full sandbox."""
    report = Report(table("Sandbox", "what", "ms (median)", "p95 or max", "ratio"), {})
    lives = [_life() for _ in range(ROUNDS)]
    for number, what in enumerate(("start", "reset (100 tasks)", "stop (a client connected)")):
        times = [life[number] for life in lives]
        _add_row(report, what, statistics.median(times), max(times))
    with ExitStack() as stack:
        few, many = (_Filled(stack, tasks) for tasks in (1, HISTORY))
        for what, few_call, many_call in (
            ("get_task", few.get, many.get),
            (f"task_list of {IN_LIST} ids", few.list, many.list),
        ):
            few_times, many_times = _side_by_side(few_call, many_call)
            base = statistics.median(few_times)
            for times, tasks in ((few_times, 1), (many_times, HISTORY)):
                median = statistics.median(times)
                _add_row(report, f"{what}, {tasks} task(s) kept", median, percentile(times, 95), median / base)
    return report


def _add_row(report: Report, what: str, median: float, worst: float, ratio: float | None = None) -> None:
    shown = "" if ratio is None else f"{ratio:.2f}"
    report.table.add_row(what, f"{median:.1f}", f"{worst:.1f}", shown)
    report.numbers[what] = {"ms": round(median, 2), "ratio": None if ratio is None else round(ratio, 2)}


def _life() -> tuple[float, float, float]:
    """Milliseconds to start, to reset after use, and to stop with a connection open."""
    with ExitStack() as stack:
        globus = GlobusSandbox(settings=_settings())
        stack.callback(globus.stop)
        start = _milliseconds(globus.start)
        globus.mark()
        filled = _Filled(stack, 100, globus)
        filled.get()
        return start, _milliseconds(globus.reset), _milliseconds(globus.stop)


class _Filled:
    """A sandbox with a number of tasks that have ended, and an SDK client of it."""

    def __init__(self, stack: ExitStack, tasks: int, globus: GlobusSandbox | None = None) -> None:
        self._globus = globus or stack.enter_context(GlobusSandbox(settings=_settings()))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        collection = self._globus.add_collection("files", folder)
        # Submitted inside: over HTTP, ten thousand submissions would take most of the run.
        caller = Caller(self._globus.client_id, "bench", self._globus.client_id, (), "", every_consent=True)
        self._ids = [self._submit(caller, collection.id, number) for number in range(tasks)]
        self._globus.world.transfer.wait(self._ids[-1])
        self._client = TransferClient(authorizer=AccessTokenAuthorizer("any"), base_url=self._globus.url)
        stack.callback(self._client.close)

    def _submit(self, caller: Caller, collection_id: str, number: int) -> str:
        world = self._globus.world
        document = {
            "DATA_TYPE": "delete",
            "submission_id": world.new_id(),
            "endpoint": collection_id,
            "ignore_missing": True,
            "DATA": [{"DATA_TYPE": "delete_item", "path": f"/{number}"}],
        }
        task, _ = world.transfer.submit(caller, parse(document, world.transfer.collection, world.clock.time()))
        return world.transfer.wait(task.id).id

    def get(self) -> None:
        self._client.get_task(self._ids[0])

    def list(self) -> None:
        wanted = self._ids[:IN_LIST]
        self._client.task_list(limit=len(wanted), filter={"task_id": wanted})


def _settings() -> Settings:
    # Any bearer will do: this is about tasks, not about tokens.
    return Settings(require_issued_tokens=False, pending_tasks_per_identity=HISTORY)


def _side_by_side(first: Callable[[], None], second: Callable[[], None]) -> tuple[list[float], list[float]]:
    """Milliseconds of two calls that take turns, so that a busy machine hits both alike."""
    first()
    second()
    pairs = [(_milliseconds(first), _milliseconds(second)) for _ in range(REQUESTS)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _milliseconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000
