"""
Run as a process of its own: submits transfers, then waits for all in one event loop, as a triggerer does.

Prints two lines of JSON: the task ids once all are submitted, and what waiting cost once all have ended.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.triggers.job import GlobusJobTrigger
from benchmarks.one_poll_per_job import OnePollPerJobTrigger

if TYPE_CHECKING:
    from airflow.triggers.base import TriggerEvent


def _shared(task_id: str, interval: float) -> AsyncIterator[TriggerEvent]:
    trigger = GlobusJobTrigger(
        service="transfer", job_ids=[task_id], globus_conn_id="globus_default", poll_interval=interval
    )
    return trigger.run()


def _one_each(task_id: str, interval: float) -> AsyncIterator[TriggerEvent]:
    return OnePollPerJobTrigger(task_id, interval).run()


KINDS: dict[str, Callable[[str, float], AsyncIterator[TriggerEvent]]] = {"shared": _shared, "one each": _one_each}


def submit(count: int) -> list[str]:
    hook = GlobusHook()
    source, target = (hook.use_collection(name) for name in ("source", "target"))
    client = hook.transfer_client()
    ids = []
    for number in range(count):
        item = {"DATA_TYPE": "transfer_item", "source_path": "/a.dat", "destination_path": f"/{number}.dat"}
        document = {"DATA_TYPE": "transfer", "source_endpoint": source, "destination_endpoint": target, "DATA": [item]}
        ids.append(str(hook.call("submitting", client.submit_transfer, document)["task_id"]))
    return ids


async def wait(kind: str, task_ids: list[str], interval: float) -> dict[str, float]:
    """When each task's event came, in seconds since the epoch."""
    heard: dict[str, float] = {}

    async def one(task_id: str) -> None:
        event = await anext(KINDS[kind](task_id, interval))
        if event.payload["outcome"] != "succeeded":
            raise RuntimeError(f"Task {task_id} ended as {event.payload}")
        heard[task_id] = time.time()

    await asyncio.gather(*(one(task_id) for task_id in task_ids))
    return heard


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=list(KINDS))
    parser.add_argument("jobs", type=int)
    parser.add_argument("interval", type=float)
    given = parser.parse_args()
    task_ids = submit(given.jobs)
    print(json.dumps(task_ids), flush=True)
    began, cpu = time.time(), _cpu()
    heard = asyncio.run(wait(given.kind, task_ids, given.interval))
    print(json.dumps({"began": began, "wall": time.time() - began, "cpu": _cpu() - cpu, "heard": heard}), flush=True)


if __name__ == "__main__":
    main()
