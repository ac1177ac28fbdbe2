"""The sandbox's own speed: how fast it comes and goes, and whether many tasks, or many files in one, slow it down."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from globus_sdk import AccessTokenAuthorizer, TransferClient

from airflow_provider_globus.sandbox import GlobusSandbox
from airflow_provider_globus.sandbox.auth.models import Caller
from airflow_provider_globus.sandbox.transfer.submission import parse
from airflow_provider_globus.sandbox.world import Settings
from benchmarks.report import Report, percentile, table

ROUNDS = 7
REQUESTS = 200
HISTORY = 10_000
FILES = 50_000
IN_LIST = 50
# What the project promises: milliseconds, and how much slower many tasks or files may make a call.
PROMISED = {"start": 1500.0, "reset": 20.0, "stop": 100.0, "start as a process": 1500.0}
SLOWER = 2.0
_WITH = {"reset": " (100 tasks)", "stop": " (a client connected)"}


def run() -> Report:
    """Measure start, reset and stop, then requests beside each other on an empty and on a full sandbox."""
    report = Report(table("Sandbox", "what", "ms (median)", "p95 or max", "ratio"), {})
    lives = [(*_life(), _process()) for _ in range(ROUNDS)]
    for number, (what, promised) in enumerate(PROMISED.items()):
        times = [life[number] for life in lives]
        _add_row(report, f"{what}{_WITH.get(what, '')}", statistics.median(times), max(times))
        if statistics.median(times) > promised:
            report.broken.append(f"the sandbox needs more than {promised:g} ms to {what}")
    with ExitStack() as stack:
        few, many = (_Filled(stack, tasks) for tasks in (1, HISTORY))
        for what, few_call, many_call in (
            ("get_task", few.get, many.get),
            (f"task_list of {IN_LIST} ids", few.list, many.list),
        ):
            _compare(report, what, ("1 task kept", few_call), (f"{HISTORY} tasks kept", many_call))
    with ExitStack() as stack:
        small, large = (_Filled(stack, 0).moved(files) for files in (1, FILES))
        _compare(report, "get_task", ("of 1 file", small), (f"of {FILES} files", large))
    return report


def _compare(
    report: Report, what: str, few: tuple[str, Callable[[], None]], many: tuple[str, Callable[[], None]]
) -> None:
    few_times, many_times = _side_by_side(few[1], many[1])
    base = statistics.median(few_times)
    for times, of in ((few_times, few[0]), (many_times, many[0])):
        median = statistics.median(times)
        _add_row(report, f"{what}, {of}", median, percentile(times, 95), median / base)
    # A list of fifty documents takes longer than one of one, however many tasks there are beside them.
    if what == "get_task" and median > base * SLOWER:
        report.broken.append(f"{what}, {many[0]}, takes more than {SLOWER:g} times as long as {few[0]}")


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


def _process() -> float:
    """Milliseconds until a sandbox in a process of its own says where it is."""
    command = [sys.executable, "-m", "airflow_provider_globus.sandbox", "serve", "--port", "0"]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        assert "Globus sandbox" in process.stdout.readline()
        took = (time.perf_counter() - began) * 1000
        process.terminate()
    return took


class _Filled:
    """A sandbox with a number of tasks that have ended, and an SDK client of it."""

    def __init__(self, stack: ExitStack, tasks: int, globus: GlobusSandbox | None = None) -> None:
        self._globus = globus or stack.enter_context(GlobusSandbox(settings=_settings()))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        collection = self._globus.add_collection("files", folder)
        # Submitted inside: over HTTP, ten thousand submissions would take most of the run.
        caller = Caller(self._globus.client_id, "bench", self._globus.client_id, (), "", every_consent=True)
        self._caller, self._collection, self._folder = caller, collection.id, Path(folder)
        self._ids = [self._submit(self._deletion(number)) for number in range(tasks)]
        self._client = TransferClient(authorizer=AccessTokenAuthorizer("any"), base_url=self._globus.url)
        stack.callback(self._client.close)

    def _deletion(self, number: int) -> dict[str, Any]:
        item = {"DATA_TYPE": "delete_item", "path": f"/{number}"}
        return {"DATA_TYPE": "delete", "endpoint": self._collection, "ignore_missing": True, "DATA": [item]}

    def _submit(self, document: dict[str, Any]) -> str:
        world = self._globus.world
        document["submission_id"] = world.new_id()
        parsed = parse(document, world.transfer.collection, world.clock.time())
        task, _ = world.transfer.submit(self._caller, parsed)
        return world.transfer.wait(task.id, 600).id

    def moved(self, files: int) -> Callable[[], None]:
        """Copy so many files in one task, and return the call that asks after it."""
        source = self._folder / "source"
        source.mkdir()
        for number in range(files):
            (source / str(number)).touch()
        item = {
            "DATA_TYPE": "transfer_item",
            "source_path": "/source/",
            "destination_path": "/copy/",
            "recursive": True,
        }
        ends = {"source_endpoint": self._collection, "destination_endpoint": self._collection}
        self._ids = [self._submit({"DATA_TYPE": "transfer", **ends, "DATA": [item]})]
        task = self._globus.world.transfer.tasks[self._ids[0]]
        assert (task.status, task.files_transferred) == ("SUCCEEDED", files), task
        return self.get

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
