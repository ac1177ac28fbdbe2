"""The page of a Compute endpoint, as the Globus web app has one: whether it is there, and its latest tasks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.activity import fact_rows, page
from airflow_provider_globus.sandbox.compute.documents import endpoint_status, timestamp

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.compute.endpoint import ComputeEndpoint
    from airflow_provider_globus.sandbox.compute.models import ComputeTask

_COLOURS = {"online": "#2c7a3f", "offline": "#b3261e"}
_MOST_TASKS = 50


def endpoint_page(endpoint: ComputeEndpoint, tasks: list[ComputeTask]) -> str:
    """Return the page of an endpoint; `tasks` are those of this endpoint, oldest first."""
    document = endpoint_status(endpoint)
    status, load = document["status"], document["details"]
    facts: dict[str, Any] = {
        "Workers": f"{load['total_workers'] - load['idle_workers']} busy of {load['total_workers']}",
        "Tasks that wait": load["pending_tasks"],
        "Tasks so far": len(tasks),
        "Folder": endpoint.folder,
    }
    latest = "".join(map(_row, reversed(tasks[-_MOST_TASKS:])))
    return page(
        title=endpoint.name,
        status=status,
        colour=_COLOURS[status],
        subtitle=f"Globus sandbox · Compute endpoint {endpoint.id}",
        body=f"<table>{fact_rows(facts)}</table>\n<table><tr><th>Submitted</th><th>Function</th><th>Status</th></tr>{latest}</table>",
        refreshing=True,
    )


def _row(task: ComputeTask) -> str:
    kind = ' class="error"' if task.status == "failed" else ""
    cells = (timestamp(task.submitted_at), task.function.name, task.status)
    return f"<tr{kind}>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
