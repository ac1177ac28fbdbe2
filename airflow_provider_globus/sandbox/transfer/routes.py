"""The Transfer service: all its routes, of v0.10 and v2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_globus.sandbox.auth.scopes import TRANSFER_ALL
from airflow_provider_globus.sandbox.ratelimit import WINDOW_SECONDS
from airflow_provider_globus.sandbox.service import Service
from airflow_provider_globus.sandbox.transfer import (
    access_routes,
    bookmark_routes,
    endpoint_routes,
    manager_routes,
    operation_routes,
    pause_rule_routes,
    personal_routes,
    task_routes,
)
from airflow_provider_globus.sandbox.transfer.errors import render_error

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.world import Settings


def _rate(settings: Settings) -> float | None:
    rate = settings.rate_limit_per_second
    return None if rate is None else rate * WINDOW_SECONDS


SERVICE = Service(
    name="transfer",
    prefixes=("/v0.10", "/v2/bookmarks", "/v2/tunnels", "/v2/stream_access_points"),
    routes=(
        *task_routes.ROUTES,
        *operation_routes.ROUTES,
        *endpoint_routes.ROUTES,
        *personal_routes.ROUTES,
        *access_routes.ROUTES,
        *manager_routes.ROUTES,
        *pause_rule_routes.ROUTES,
        *bookmark_routes.ROUTES,
    ),
    render_error=render_error,
    scope=TRANSFER_ALL,
    resource_server="transfer.api.globus.org",
    rate_limit=_rate,
    unauthenticated_code="ClientError.AuthenticationFailed",
    forbidden_code="PermissionDenied",
    says_no_json="Could not parse JSON",
)
