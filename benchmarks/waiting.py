"""
Waiting cost: many deferred transfers in one event loop, with the shared poll and with one poll for each job.

The sandbox runs in this process and the waiting in another, so that the CPU seconds are those of a triggerer alone.
"""

from __future__ import annotations

import json
import math
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_globus.sandbox import GlobusSandbox
from airflow_provider_globus.sandbox.world import Settings
from benchmarks.report import Report, percentile, table

JOBS = (200, 1000)
INTERVAL = 5.0
#: what an answer of a distant service takes
LATENCY = 0.05
#: what TransferJobs asks after in one call
BATCH = 50
#: what Globus Transfer allows an identity in a second
RATE_LIMIT = 20
_PATIENCE = 300.0


@dataclass
class Waited:
    """What it took to wait for some jobs.

    :ivar latencies: between a task's end and its event, in poll intervals.
    """

    kind: str
    jobs: int
    calls: int
    wall: float
    cpu: float
    latencies: list[float]

    @property
    def polls(self) -> int:
        """How often a job may be looked at in this time."""
        return math.floor(self.wall / INTERVAL) + 1

    @property
    def budget(self) -> int:
        """Calls that the shared poll may make."""
        return self.polls * math.ceil(self.jobs / BATCH)


def run() -> Report:
    """Wait for all, one experiment after the other."""
    report = Report(
        table(
            f"Waiting for transfers: poll interval {INTERVAL:g} s, answers take {LATENCY * 1000:g} ms",
            "poll", "jobs", "status calls", "allowed", "calls/s", "CPU s", "wall s", "latency p50", "p95",
        ),
        {},
        [f"Latency is in poll intervals; Globus allows an identity {RATE_LIMIT} calls/s."],
    )  # fmt: skip
    for jobs in JOBS:
        shared, one_each = (_experiment(kind, jobs) for kind in ("shared", "one each"))
        for waited in (shared, one_each):
            _add_row(report, waited)
        report.notes.append(
            f"{jobs} jobs: the shared poll makes {one_each.calls / shared.calls:.0f} times fewer calls "
            f"and takes {one_each.cpu / shared.cpu:.1f} times less CPU."
        )
        if shared.calls > shared.budget:
            report.broken.append(
                f"{jobs} jobs: {shared.calls} status calls; {shared.polls} polls allow {shared.budget}."
            )
    return report


def _add_row(report: Report, waited: Waited) -> None:
    p50, p95 = percentile(waited.latencies, 50), percentile(waited.latencies, 95)
    rate = waited.calls / waited.wall
    allowed = waited.budget if waited.kind == "shared" else None
    report.table.add_row(
        waited.kind,
        str(waited.jobs),
        str(waited.calls),
        "" if allowed is None else str(allowed),
        f"{rate:.1f}",
        f"{waited.cpu:.2f}",
        f"{waited.wall:.1f}",
        f"{p50:.2f}",
        f"{p95:.2f}",
    )
    report.numbers[f"{waited.kind}, {waited.jobs} jobs"] = {
        "calls": waited.calls,
        "allowed": allowed,
        "cpu_seconds": round(waited.cpu, 3),
        "wall_seconds": round(waited.wall, 1),
        "latency_p50_intervals": round(p50, 2),
        "latency_p95_intervals": round(p95, 2),
    }


def _experiment(kind: str, jobs: int) -> Waited:
    """Let tasks rest for more than an interval, then end one after the other over the next two."""
    settings = Settings(pending_tasks_per_identity=jobs, active_tasks_per_identity=jobs)
    with tempfile.TemporaryDirectory() as folder, GlobusSandbox(settings=settings) as globus:
        for name in ("source", "target"):
            root = Path(folder, name)
            root.mkdir()
            globus.add_collection(name, root)
        Path(folder, "source", "a.dat").write_bytes(b"a")
        globus.world.transfer.hold()
        env = {**os.environ, "AIRFLOW_HOME": folder, "AIRFLOW_CONN_GLOBUS_DEFAULT": globus.connection}
        command = [sys.executable, "-m", "benchmarks.waiter", kind, str(jobs), str(INTERVAL)]
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as waiter:
            try:
                return _watch(globus, waiter, kind, jobs)
            finally:
                waiter.kill()


def _watch(globus: GlobusSandbox, waiter: subprocess.Popen[str], kind: str, jobs: int) -> Waited:
    lines = _lines(waiter)
    if (first := next(lines, None)) is None:
        raise RuntimeError("The process that waits ended before it had submitted its tasks")
    task_ids: list[str] = json.loads(first)
    globus.faults.add(service="transfer", path="*/task*", delay_seconds=LATENCY)
    began = globus.clock.time()
    for number, task_id in enumerate(task_ids):
        globus.clock.wait_until(began + INTERVAL * (1.2 + 2 * number / jobs))
        globus.world.transfer.release(task_id)
    told = json.loads([*lines][-1])  # after what Airflow logs
    calls = sum(globus.journal.count("transfer", "GET", path) for path in ("*/task_list", "*/task/*"))
    latencies = [
        (heard - (globus.world.transfer.task(task_id).completion_time or heard)) / INTERVAL
        for task_id, heard in told["heard"].items()
    ]
    return Waited(kind, jobs, calls, told["wall"], told["cpu"], latencies)


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    """What a process writes, read as it comes: the triggers log, and a full pipe would stop them."""
    read: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def pump() -> None:
        for line in process.stdout or ():
            read.put(line)
        read.put(None)

    threading.Thread(target=pump, daemon=True).start()
    return iter(lambda: read.get(timeout=_PATIENCE), None)
