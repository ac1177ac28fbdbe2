"""Extra links of operators: where a person can look at the job in the Globus web app."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class GlobusTaskLink(BaseOperatorLink):
    """The activity page of a Globus task; there as soon as the job is submitted."""

    name = "Globus task"
    xcom_url_key: ClassVar[str] = "globus_task_url"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The URL, or nothing before the job was submitted."""
        if not getattr(operator, "announced", True):
            # Airflow would log the XCom that is not there as an error.
            return ""
        from airflow.sdk.execution_time.xcom import XCom

        return str(XCom.get_value(key=self.xcom_url_key, ti_key=ti_key) or "")


class GlobusFlowRunLink(GlobusTaskLink):
    """The page of a flow run: its states, its log, and what it asks people."""

    name = "Flow run"
    xcom_url_key = "globus_flow_run_url"


class GlobusComputeEndpointLink(GlobusTaskLink):
    """The page of the Compute endpoint that runs the function."""

    name = "Compute endpoint"
    xcom_url_key = "globus_compute_endpoint_url"
