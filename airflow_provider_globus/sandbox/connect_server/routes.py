"""The GCS Manager API of the sandbox's endpoint: all its routes, at `/api`."""

from __future__ import annotations

from dataclasses import replace

from airflow_provider_globus.sandbox.connect_server import (
    collection_routes,
    credential_routes,
    endpoint_routes,
    gateway_routes,
    role_routes,
)
from airflow_provider_globus.sandbox.connect_server.access import authorize
from airflow_provider_globus.sandbox.connect_server.errors import render_error
from airflow_provider_globus.sandbox.service import Service

_ROUTES = (
    *endpoint_routes.ROUTES,
    *gateway_routes.ROUTES,
    *collection_routes.ROUTES,
    *credential_routes.ROUTES,
    *role_routes.ROUTES,
)

SERVICE = Service(
    name="connect_server",
    prefixes=("/api/",),
    routes=tuple(route if route.public else replace(route, authorize=authorize) for route in _ROUTES),
    render_error=render_error,
    unauthenticated_code="not_authorized",
    forbidden_code="permission_denied",
)
