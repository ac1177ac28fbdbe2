"""The DAGs that people click through in a browser: one brings a scan, the other starts when it has come."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_globus.assets import globus_asset
from airflow_provider_globus.operators.flow_runs import GlobusRunFlowOperator
from airflow_provider_globus.operators.transfer import GlobusTransferOperator

# Each task waits in the triggerer, where people have the time to look at it.
WAITING: dict[str, Any] = {
    "globus_conn_id": "globus_beamline",
    "deferrable": True,
    "worker_wait": 0,
    "poll_interval": 1,
}

scans = globus_asset("scratch", "/scans")

with DAG("collect_scan", description="Brings a scan from the instrument to scratch", tags=["globus"]):
    GlobusTransferOperator(
        task_id="to_scratch",
        source_collection="instrument",
        source_path="/data/scan_0042/",
        destination_collection="scratch",
        destination_path="/scans/scan_0042/",
        recursive=True,
        task_label="scan_0042 to scratch",
        outlets=[scans],
        **WAITING,
    )

with DAG("review_scan", description="Counts a scan's frames, and asks a reviewer", schedule=[scans], tags=["globus"]):
    # While its endpoint is away, the function waits rather than be refused.
    @task.globus_compute(endpoint="hpc", require_online=False, **WAITING)
    def count_frames(scan: str) -> int:
        from pathlib import Path

        return len(list(Path(scan).glob("*.tif")))

    review = GlobusRunFlowOperator(
        task_id="review",
        flow="review",
        body={"frames": "{{ ti.xcom_pull('count_frames') }}"},
        run_label="Review scan_0042",
        output_path="$.answer.response",
        **WAITING,
    )
    count_frames("scans/scan_0042") >> review
