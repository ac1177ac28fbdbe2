"""
A hundred thousand objects under one prefix: what listing, waiting for and syncing them take of memory.

The S3 server, the sandbox and the Airflow task run in a process each, new for each row, so that every peak is of one
thing. A thousand objects are the base line: what Airflow, the SDKs and the sandbox take anyway.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.bucket import PREFIX, name_of
from benchmarks.memory import peak_kilobytes
from benchmarks.reader import KINDS
from benchmarks.report import Report, table

FEW, MANY = 1_000, 100_000
#: what a hundred times the objects may take more
LIMIT_MEGABYTES = 200
_PATIENCE = 1800
_TITLES = {
    "list": "GlobusListOperator, first 10,000",
    "sensor": "GlobusPathSensor, one look at all",
    "sync": "GlobusTransferOperator, sync_level size, all in place",
}


class Taken(NamedTuple):
    """What one way took.

    :ivar task: megabytes of the Airflow task's process at its peak.
    :ivar sandbox: the same of the sandbox.
    """

    wall: float
    task: float
    sandbox: float


def run() -> Report:
    """Measure each way with few and with many objects."""
    columns = ("what", "objects", "s", "task MB", "growth", "sandbox MB", "growth")
    report = Report(table(f"{MANY:,} objects under a prefix of an S3 bucket", *columns), {})
    taken = {objects: _measure(objects) for objects in (FEW, MANY)}
    for kind in KINDS:
        few, many = (taken[objects][kind] for objects in (FEW, MANY))
        _add_rows(report, kind, few, many)
        for what, grown in (("the task", many.task - few.task), ("the sandbox", many.sandbox - few.sandbox)):
            if grown > LIMIT_MEGABYTES:
                report.broken.append(
                    f"{kind} of {MANY:,} objects: {what} grows by {grown:.0f} MB; {LIMIT_MEGABYTES} MB are allowed."
                )
    report.notes.append(
        "The seconds are mostly those of the S3 server, which sorts all keys anew for each thousand that it answers."
    )
    return report


def _add_rows(report: Report, kind: str, few: Taken, many: Taken) -> None:
    for objects, one in ((FEW, few), (MANY, many)):
        grown = ("", "") if one is few else (f"{many.task - few.task:+.0f}", f"{many.sandbox - few.sandbox:+.0f}")
        report.table.add_row(
            _TITLES[kind],
            f"{objects:,}",
            f"{one.wall:.1f}",
            f"{one.task:.0f}",
            grown[0],
            f"{one.sandbox:.0f}",
            grown[1],
        )
        report.numbers[f"{kind}, {objects} objects"] = {
            "wall_seconds": round(one.wall, 1),
            "task_megabytes": round(one.task, 1),
            "sandbox_megabytes": round(one.sandbox, 1),
        }


def _measure(objects: int) -> dict[str, Taken]:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        # Only this one is synced.
        below = Path(folder, PREFIX)
        below.mkdir()
        for number in range(objects):
            (below / name_of(number)).write_bytes(b"x")
        s3_url, _ = stack.enter_context(_process("benchmarks.bucket", str(objects)))
        return {kind: _one(kind, objects, folder, s3_url) for kind in KINDS}


def _one(kind: str, objects: int, folder: str, s3_url: str) -> Taken:
    with _process("benchmarks.served", folder, s3_url) as (connection, sandbox), tempfile.TemporaryDirectory() as home:
        env = {
            **os.environ,
            "HOME": home,
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
            "AIRFLOW_CONN_GLOBUS_DEFAULT": connection,
        }
        argv = [sys.executable, "-m", "benchmarks.reader", kind, str(objects)]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=_PATIENCE)
        if done.returncode:
            raise RuntimeError(f"{kind} of {objects} objects failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        measured = json.loads(done.stdout.splitlines()[-1])
        return Taken(measured["wall"], measured["kilobytes"] / 1000, peak_kilobytes(sandbox) / 1000)


@contextmanager
def _process(module: str, *arguments: str) -> Iterator[tuple[str, int]]:
    """A process that prints a line when it is ready, and ends when its input does; the line and its id."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = process.stdout.readline().strip()
            if not line:
                raise RuntimeError(f"{module} ended before it was ready")
            yield line, process.pid
            process.stdin.close()
            process.wait(30)
        finally:
            process.kill()


if __name__ == "__main__":
    from rich.console import Console

    Console(width=140).print(run().table)
