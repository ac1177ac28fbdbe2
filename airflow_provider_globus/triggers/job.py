"""One trigger for every job."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_globus.exceptions import GlobusError
from airflow_provider_globus.jobs import job_service
from airflow_provider_globus.jobs.watch import JobWatch


class JobEvent(TriggerEvent):
    """
    The end of the waiting, which the triggerer logs without what the job has brought: that may be megabytes.

    Airflow hands it on by its payload, as it does any trigger event.
    """

    def __repr__(self) -> str:
        said = {name: self.payload[name] for name in ("service", "outcome", "code", "message")}
        return f"TriggerEvent<{said}>"

    __str__ = __repr__


class GlobusJobTrigger(BaseTrigger):
    """
    Waits for jobs that Globus runs, and fires once when the waiting is over.

    All triggers of a connection and service in a triggerer share one poll. The arguments carry ids, never a token.

    :param service: which service runs the jobs, for example ``transfer``.
    :param job_ids: their ids at Globus.
    :param globus_conn_id: id of the Airflow connection.
    :param poll_interval: seconds between two looks.
    :param rules: choices for the service's judgement; JSON.
    :param deadline: when to give up, in seconds since the epoch; Airflow itself does not enforce
        ``execution_timeout`` while a task is deferred.
    :param not_before: earliest time of the event, in seconds since the epoch: Airflow can fail a task whose trigger
        fires before the worker that deferred it was reaped.
    :param cancel_on_kill: cancel the jobs when a user marks or clears the deferred task (Airflow 3.3 and later).
    :param memory: what the worker has seen of the jobs; JSON.
    """

    def __init__(
        self,
        *,
        service: str,
        job_ids: Sequence[str],
        globus_conn_id: str,
        poll_interval: float = 30.0,
        rules: Mapping[str, Any] | None = None,
        deadline: float | None = None,
        not_before: float | None = None,
        cancel_on_kill: bool = False,
        memory: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.service = service
        self.job_ids = list(job_ids)
        self.globus_conn_id = globus_conn_id
        self.poll_interval = poll_interval
        self.rules = dict(rules or {})
        self.deadline = deadline
        self.not_before = not_before
        self.cancel_on_kill = cancel_on_kill
        self.memory = dict(memory or {})

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The arguments of the constructor; newer versions only ever add some, with defaults."""
        return (
            "airflow_provider_globus.triggers.job.GlobusJobTrigger",
            {
                "service": self.service,
                "job_ids": self.job_ids,
                "globus_conn_id": self.globus_conn_id,
                "poll_interval": self.poll_interval,
                "rules": self.rules,
                "deadline": self.deadline,
                "not_before": self.not_before,
                "cancel_on_kill": self.cancel_on_kill,
                "memory": self.memory,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then fire one event."""
        watch = JobWatch(
            job_service(self.service),
            self.job_ids,
            rules=self.rules,
            deadline=self.deadline,
            memory=dict(self.memory),
            log=self.log,
        )
        event = await self._event(watch)
        if self.not_before is not None:
            await asyncio.sleep(max(0.0, self.not_before - time.time()))
        yield JobEvent(payload=event)

    async def _event(self, watch: JobWatch) -> dict[str, Any]:
        from airflow_provider_globus.triggers.poller import poller_for

        with poller_for(self.globus_conn_id, self.service).subscribe(self.job_ids, self.poll_interval) as looks:
            while True:
                try:
                    look = await asyncio.wait_for(looks.get(), self._time_left())
                except TimeoutError:
                    verdict = watch.check_deadline()
                else:
                    verdict = watch.observe_error(look) if isinstance(look, GlobusError) else watch.observe(look)
                if verdict is not None:
                    return watch.event(verdict)

    def _time_left(self) -> float | None:
        return None if self.deadline is None else max(0.0, self.deadline - time.time())

    async def on_kill(self) -> None:
        """Cancel the jobs: a user marked or cleared the deferred task."""
        if self.cancel_on_kill:
            await asyncio.to_thread(self._cancel)

    def _cancel(self) -> None:
        from airflow_provider_globus.hooks.globus import GlobusHook

        service, hook = job_service(self.service), GlobusHook(self.globus_conn_id, caller="triggerer")
        if not service.cancellable:
            answer = service.cancel(hook, self.job_ids[0])
            self.log.warning("%s: %s", service.named(self.job_ids), answer)
            return
        for job_id in self.job_ids:
            self.log.info("Cancelling %s %s: %s", service.noun, job_id, service.cancel(hook, job_id))
