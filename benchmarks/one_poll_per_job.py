"""The trigger one writes first: every job asks for itself. What the shared poll is compared with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_globus.hooks.globus import GlobusHook

if TYPE_CHECKING:
    from globus_sdk import TransferClient


@cache
def _client() -> TransferClient:
    # One for all, which is kinder than one for each trigger: the comparison is about polls, nothing else.
    return GlobusHook().transfer_client(polling=True)


class OnePollPerJobTrigger(BaseTrigger):
    def __init__(self, task_id: str, poll_interval: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.globus_task_id = task_id
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            "benchmarks.one_poll_per_job.OnePollPerJobTrigger",
            {"task_id": self.globus_task_id, "poll_interval": self.poll_interval},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        while True:
            await asyncio.sleep(self.poll_interval)
            task = await asyncio.to_thread(_client().get_task, self.globus_task_id)
            if task["status"] in ("SUCCEEDED", "FAILED"):
                yield TriggerEvent({"task_id": self.globus_task_id, "outcome": task["status"].lower()})
                return
