"""
Jobs: what Globus runs for us, and the one way to wait for it.

A module for each service says how to ask after many jobs at once, how to read the answer, and how to cancel.
Operators, triggers and sensors share the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_globus.jobs.base import JobService, Polled

_SERVICES = {
    "transfer": "airflow_provider_globus.jobs.transfer:TransferJobs",
    "transfer-room": "airflow_provider_globus.jobs.transfer:TransferRoom",
    "paths": "airflow_provider_globus.jobs.paths:PathConditions",
    "activity": "airflow_provider_globus.jobs.activity:ActivityConditions",
    "compute": "airflow_provider_globus.jobs.compute:ComputeTasks",
    "compute-endpoint": "airflow_provider_globus.jobs.compute:EndpointStates",
    "flows": "airflow_provider_globus.jobs.flows:FlowRuns",
    "web-inputs": "airflow_provider_globus.jobs.flows:WebInputs",
    "search": "airflow_provider_globus.jobs.search:SearchTasks",
}
#: What watchers ask for; nobody waits for its end.
_ARRIVALS = {
    "listings": "airflow_provider_globus.jobs.arrivals:Listings",
    "ended-tasks": "airflow_provider_globus.jobs.arrivals:EndedTasks",
    "ended-runs": "airflow_provider_globus.jobs.arrivals:EndedRuns",
}


def job_service(name: str) -> JobService:
    """
    The service of that name; its module is imported when it is first used.

    :raises ValueError: for an unknown name.
    """
    if name not in _SERVICES:
        raise ValueError(f"Unknown job service {name!r}; known are {', '.join(_SERVICES)}.")
    service: JobService = _load(_SERVICES[name])
    return service


def polled(name: str) -> Polled:
    """
    What the poller asks for under that name: a job service, or what watchers look at.

    :raises ValueError: for an unknown name.
    """
    if name not in _ARRIVALS:
        return job_service(name)
    arrivals: Polled = _load(_ARRIVALS[name])
    return arrivals


def _load(path: str) -> Any:
    module, _, cls = path.partition(":")
    return getattr(import_module(module), cls)()
