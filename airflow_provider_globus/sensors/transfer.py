"""Sensor for a task of Globus Transfer that somebody else submitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_globus.ids import is_uuid
from airflow_provider_globus.jobs.transfer import FATAL_NICE_STATUSES, STUCK_GRACE
from airflow_provider_globus.sensors.base import GlobusJobSensor


class GlobusTransferTaskSensor(GlobusJobSensor):
    """
    Wait for a transfer or delete task to succeed; fail when it fails, is stuck or suspended. Cancels nothing.

    Returns the summary that ``GlobusTransferOperator`` returns.

    :param transfer_task_id: id of the task at Globus; also from XCom.
    :param allow_skipped: succeed although files were skipped.
    :param stuck_grace: seconds that a fault which time does not cure, or a suspension, may last.
    :param fatal_nice_statuses: codes of such faults.
    """

    template_fields: Sequence[str] = ("transfer_task_id", "globus_conn_id")
    service_name = "transfer"

    def __init__(
        self,
        *,
        transfer_task_id: str,
        allow_skipped: bool = False,
        stuck_grace: float = STUCK_GRACE,
        fatal_nice_statuses: Sequence[str] = FATAL_NICE_STATUSES,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.transfer_task_id = transfer_task_id
        self.allow_skipped = allow_skipped
        self.stuck_grace = stuck_grace
        self.fatal_nice_statuses = fatal_nice_statuses

    def job_ids(self) -> list[str]:
        """The task's id."""
        if not is_uuid(self.transfer_task_id):
            raise self.refuse(
                f"transfer_task_id {self.transfer_task_id!r} is no UUID.",
                "Pass the task_id of a transfer, for example {{ ti.xcom_pull('transfer')['task_id'] }}.",
            )
        return [self.transfer_task_id]

    def rules(self) -> dict[str, Any]:
        """How long to bear which faults, and whether skipped files are a failure."""
        return {
            "stuck_grace": self.stuck_grace,
            "fatal_nice_statuses": list(self.fatal_nice_statuses),
            "allow_skipped": self.allow_skipped,
        }
