"""
Run as a process of its own: one Airflow task on a collection with many files, in one of three ways.

Prints a line of JSON: how many files it has seen, the seconds this took, and the memory at its peak.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from benchmarks.bucket import PREFIX
from benchmarks.memory import peak_kilobytes


def by_list(files: int) -> int:
    """The first 10,000 entries, which is what an XCom may hold."""
    from airflow_provider_globus.operators.collections import MAX_ENTRIES, GlobusListOperator

    operator = GlobusListOperator(task_id="list", collection="archive", path=f"/{PREFIX}/", truncate=True)
    return len(operator.execute(_context())) + max(0, files - MAX_ENTRIES)


def by_sensor(files: int) -> int:
    """One look at all."""
    from airflow_provider_globus.sensors.path import GlobusPathSensor

    sensor = GlobusPathSensor(task_id="sensor", collection="archive", path=f"/{PREFIX}/", min_files=files)
    looked: Any = sensor.poke(_context())
    return int(looked.xcom_value["count"]) if looked.is_done else -1


def by_sync(files: int) -> int:
    """A transfer that finds every file in its place; Globus compares, the task waits."""
    from airflow_provider_globus.operators.transfer import GlobusTransferOperator

    operator = GlobusTransferOperator(
        task_id="sync",
        source_collection="instrument",
        destination_collection="archive",
        source_path=f"/{PREFIX}/",
        destination_path=f"/{PREFIX}/",
        sync_level="size",
        deferrable=False,
        poll_interval=2.0,
    )
    result = operator.execute(_context())
    return int(result["files_skipped"]) if result["files_transferred"] == 0 else -1


KINDS: dict[str, Callable[[int], int]] = {"list": by_list, "sensor": by_sensor, "sync": by_sync}


def _context() -> Any:
    stored: dict[str, Any] = {}
    ti = SimpleNamespace(
        dag_id="bench",
        task_id="task",
        run_id="run",
        map_index=-1,
        try_number=1,
        max_tries=0,
        xcom_push=lambda key, value: None,
    )
    return {"ti": ti, "task_state_store": SimpleNamespace(get=stored.get, set=stored.__setitem__)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=list(KINDS))
    parser.add_argument("files", type=int)
    given = parser.parse_args()
    began = time.time()
    seen = KINDS[given.kind](given.files)
    if seen != given.files:
        raise RuntimeError(f"{given.kind} has seen {seen} files where {given.files} are")
    print(json.dumps({"wall": time.time() - began, "kilobytes": peak_kilobytes()}))


if __name__ == "__main__":
    main()
