"""The Flows service: all its routes."""

from __future__ import annotations

from airflow_provider_globus.sandbox.flows import flow_routes, page, run_routes, web_input_routes
from airflow_provider_globus.sandbox.flows.errors import CONFIRMED, FORBIDDEN, UNAUTHENTICATED, render_error
from airflow_provider_globus.sandbox.service import Service

SERVICE = Service(
    name="flows",
    prefixes=("/flows", "/runs", "/web_inputs", "/registered_apis", "/batch/runs"),
    routes=(*flow_routes.ROUTES, *run_routes.ROUTES, *web_input_routes.ROUTES, *page.ROUTES),
    render_error=render_error,
    confirmed_codes=CONFIRMED,
    unauthenticated_code=UNAUTHENTICATED,
    forbidden_code=FORBIDDEN,
)
