"""Sensors for Globus Compute: tasks that somebody else submitted, and endpoints that have to come online."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.compute import RESULT_SERIALIZERS
from airflow_provider_globus.ids import is_uuid
from airflow_provider_globus.sensors.base import GlobusJobSensor

if TYPE_CHECKING:
    from airflow_provider_globus.compute.payloads import ResultSerializer
    from airflow_provider_globus.jobs.base import Verdict


class GlobusComputeTaskSensor(GlobusJobSensor):
    """
    Wait for Compute tasks to succeed, and return their results; fail when one has failed.

    Looking at an ended task takes its result: Globus Compute drops a result that nobody fetches for 30 minutes.

    :param compute_task_ids: ids of tasks, or one id; also from XCom: ``{{ ti.xcom_pull('run')['job_ids'] }}`` of an
        operator with ``wait_for_completion=False``.
    :param result_serializer: as in :class:`~airflow_provider_globus.operators.compute.GlobusComputeOperator`, with the
        same risk: reading ``dill`` runs code of the endpoint's choosing.

    Returns the result of the one task, or a list for several.
    """

    template_fields: Sequence[str] = ("compute_task_ids", "globus_conn_id")
    service_name = "compute"

    def __init__(
        self, *, compute_task_ids: str | Sequence[str], result_serializer: ResultSerializer = "json", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.compute_task_ids = compute_task_ids
        self.result_serializer = result_serializer
        if result_serializer not in RESULT_SERIALIZERS:
            raise self.refuse(f"result_serializer {result_serializer!r} is unknown.", "Use 'json' or 'dill'.")

    def job_ids(self) -> list[str]:
        """The tasks' ids."""
        ids = [self.compute_task_ids] if isinstance(self.compute_task_ids, str) else list(self.compute_task_ids or ())
        if not ids or not all(map(is_uuid, ids)):
            raise self.refuse(
                f"compute_task_ids {self.compute_task_ids!r} are no UUIDs.", "Pass the job_ids of a Compute operator."
            )
        return ids

    def result(self, verdict: Verdict) -> Any:
        """What the functions returned."""
        from airflow_provider_globus.compute.payloads import unpack_result

        documents = verdict.result["documents"]
        results = [unpack_result(documents[task_id]["result"], self.result_serializer) for task_id in self.job_ids()]
        return results[0] if isinstance(self.compute_task_ids, str) else results


class GlobusComputeEndpointSensor(GlobusJobSensor):
    """
    Wait until a Compute endpoint is online. Returns its ``status`` and, if it reports them, its workers.

    :param endpoint: UUID of the endpoint, alias of the connection, or unique display name.
    :param min_idle_workers: wait for so many idle workers, too. An endpoint that reports none is taken as it is; one
        that starts workers on demand reports 0 until a task is there.
    """

    template_fields: Sequence[str] = ("endpoint", "globus_conn_id")
    service_name = "compute-endpoint"

    def __init__(self, *, endpoint: str, min_idle_workers: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.endpoint = endpoint
        self.min_idle_workers = min_idle_workers
        if min_idle_workers < 0:
            raise self.refuse("min_idle_workers must not be below 0.")

    def job_ids(self) -> list[str]:
        """The endpoint's id."""
        return [self.hook.compute_endpoint(self.endpoint)]

    def rules(self) -> dict[str, Any]:
        """How many workers must be idle."""
        return {"min_idle_workers": self.min_idle_workers}
