"""The Search service: all its routes."""

from __future__ import annotations

from globus_sdk.scopes import SearchScopes

from airflow_provider_globus.sandbox.search import entry_routes, index_routes
from airflow_provider_globus.sandbox.search.errors import CONFIRMED, UNAUTHENTICATED, render_error
from airflow_provider_globus.sandbox.service import Service

SERVICE = Service(
    name="search",
    prefixes=("/v1/",),
    routes=(*index_routes.ROUTES, *entry_routes.ROUTES),
    render_error=render_error,
    confirmed_codes=CONFIRMED,
    resource_server=SearchScopes.resource_server,
    unauthenticated_code=UNAUTHENTICATED,
    forbidden_code="Forbidden.Generic",
)
