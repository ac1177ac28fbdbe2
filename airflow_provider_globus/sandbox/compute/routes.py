"""The Compute service, versions 2 and 3 of its API: all its routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from globus_sdk.scopes import ComputeScopes

from airflow_provider_globus.sandbox.compute import endpoint_routes, function_routes, task_routes
from airflow_provider_globus.sandbox.compute.errors import CONFIRMED, FORBIDDEN, UNAUTHENTICATED, render_error
from airflow_provider_globus.sandbox.service import Service

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.world import Settings

_V2 = (
    "submit", "endpoints", "functions", "tasks", "batch_status", "taskgroup", "version", "get_amqp",
    "authenticate", "containers", "stats",
)  # fmt: skip


def _rate(settings: Settings) -> float | None:
    return settings.compute_requests_per_10_seconds


SERVICE = Service(
    name="compute",
    prefixes=(*(f"/v2/{name}" for name in _V2), "/v3/"),
    routes=(*task_routes.ROUTES, *function_routes.ROUTES, *endpoint_routes.ROUTES),
    render_error=render_error,
    confirmed_codes=CONFIRMED,
    scope=str(ComputeScopes.all),
    resource_server=ComputeScopes.resource_server,
    rate_limit=_rate,
    unauthenticated_code=UNAUTHENTICATED,
    forbidden_code=FORBIDDEN,
)
