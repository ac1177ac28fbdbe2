"""Base sensor: waits for a job that somebody else started, in a worker or in the triggerer."""

from __future__ import annotations

import time
from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException

from airflow_provider_globus.exceptions import GlobusError, GlobusInputError, is_transient
from airflow_provider_globus.jobs import job_service
from airflow_provider_globus.jobs.base import Outcome, Verdict
from airflow_provider_globus.jobs.watch import JobWatch, verdict_of_event
from airflow_provider_globus.operators.deferral import default_deferrable, settle_seconds
from airflow_provider_globus.operators.endings import JOB_ERRORS

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_globus.hooks.globus import GlobusHook


class GlobusJobSensor(BaseSensorOperator):
    """
    A sensor for something that Globus knows.

    It looks once in the worker: what can never come true fails at once. Killing it cancels nothing.

    :param globus_conn_id: id of an Airflow connection of type ``globus``.
    :param deferrable: wait in the triggerer. Default: ``[operators] default_deferrable``.
    :param poke_interval: seconds between two looks. Default: 30.
    :param timeout: seconds before the sensor gives up, deferred or not. Default: Airflow's, a week.
    """

    service_name: ClassVar[str]

    def __init__(
        self,
        *,
        globus_conn_id: str = "globus_default",
        deferrable: bool | None = None,
        poke_interval: float = 30.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.globus_conn_id = globus_conn_id
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        self._watch: JobWatch | None = None
        self._memory: dict[str, Any] = {}
        if self.reschedule and not self.deferrable:
            raise self.refuse(
                "mode='reschedule' forgets between two looks for how long something has been so.",
                "Use deferrable=True, which holds no worker either.",
            )

    @cached_property
    def hook(self) -> GlobusHook:
        """The hook of this sensor's connection; made on first use, since DAG files are parsed often."""
        from airflow_provider_globus.hooks.globus import GlobusHook

        return GlobusHook(self.globus_conn_id, caller=type(self).__name__)

    def refuse(self, message: str, advice: str = "") -> GlobusInputError:
        """An error about this sensor's arguments."""
        return GlobusInputError(f"{type(self).__name__}: {message}", advice=advice)

    @abstractmethod
    def job_ids(self) -> list[str]:
        """What to wait for, checked."""

    def rules(self) -> dict[str, Any]:
        """Choices for the service's judgement."""
        return {}

    def result(self, verdict: Verdict) -> Any:
        """What goes to XCom; JSON."""
        return dict(verdict.result)

    def last_news(self) -> list[str]:
        """What the looks have not told of something that has ended, for the log."""
        return []

    def execute(self, context: Context) -> Any:
        """Wait here, or look once and defer."""
        if not self.deferrable:
            return super().execute(context)
        looked = self.poke(context)
        if looked.is_done:
            return looked.xcom_value
        return self._defer()

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""
        if self._watch is None:
            service = job_service(self.service_name)
            self._watch = JobWatch(service, self.job_ids(), rules=self.rules(), memory=self._memory, log=self.log)
        try:
            verdict = self._watch.observe(self._watch.service.fetch_all(self.hook, self._watch.pending))
        except GlobusError as error:
            if not is_transient(error):
                raise
            verdict = self._watch.observe_error(error)
        if verdict is None:
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self._conclude(verdict))

    def execute_complete(self, context: Context, event: Any) -> Any:
        """Resume after the deferral."""
        verdict = verdict_of_event(event)
        self._memory = event.get("memory") or {}
        return self._conclude(verdict)

    def _defer(self) -> None:
        from airflow_provider_globus.triggers.job import GlobusJobTrigger

        now = time.time()
        trigger = GlobusJobTrigger(
            service=self.service_name,
            job_ids=self.job_ids(),
            globus_conn_id=self.globus_conn_id,
            poll_interval=self.poke_interval,
            rules=self.rules(),
            deadline=now + self.timeout,
            not_before=now + settle_seconds(),
            memory=self._memory,
        )
        self.defer(trigger=trigger, method_name="execute_complete")

    def _conclude(self, verdict: Verdict) -> Any:
        if verdict.outcome != Outcome.LOST:
            try:
                for line in self.last_news():
                    self.log.info("%s", line)
            except GlobusError as error:
                self.log.warning("The rest of its log could not be read: %s", error)
        if verdict.outcome == Outcome.SUCCEEDED:
            return self.result(verdict)
        if verdict.outcome == Outcome.TIMEOUT:
            message = f"{type(self).__name__} waited for {self.timeout:.0f} s in vain."
            raise AirflowSkipException(message) if self.soft_fail else AirflowSensorTimeout(message)
        message = f"{type(self).__name__}: what it waited for is {verdict.outcome.value}. {verdict.message}"
        if self.soft_fail:
            raise AirflowSkipException(message)
        raise JOB_ERRORS[verdict.outcome](message, code=verdict.code)
