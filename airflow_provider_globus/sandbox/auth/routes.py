"""The Auth service: its routes, put together."""

from __future__ import annotations

from airflow_provider_globus.sandbox.auth import (
    client_routes,
    identity_routes,
    login_routes,
    project_routes,
    scope_routes,
    token_routes,
)
from airflow_provider_globus.sandbox.auth.errors import CONFIRMED, FORBIDDEN, UNAUTHENTICATED, render_error
from airflow_provider_globus.sandbox.auth.scopes import AUTH_SERVER
from airflow_provider_globus.sandbox.service import Service

SERVICE = Service(
    name="auth",
    prefixes=("/v2/oauth2/", "/v2/api/", "/v2/web/", "/.well-known/", "/jwk.json"),
    routes=(
        *token_routes.ROUTES,
        *login_routes.ROUTES,
        *identity_routes.ROUTES,
        *project_routes.ROUTES,
        *client_routes.ROUTES,
        *scope_routes.ROUTES,
    ),
    render_error=render_error,
    confirmed_codes=CONFIRMED,
    resource_server=AUTH_SERVER,
    unauthenticated_code=UNAUTHENTICATED,
    forbidden_code=FORBIDDEN,
)
