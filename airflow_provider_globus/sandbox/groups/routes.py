"""The Groups service: all its routes."""

from __future__ import annotations

from globus_sdk.scopes import GroupsScopes

from airflow_provider_globus.sandbox.groups import group_routes, membership_routes
from airflow_provider_globus.sandbox.groups.errors import CONFIRMED, FORBIDDEN, INVALID_TOKEN, render_error
from airflow_provider_globus.sandbox.service import Service

SERVICE = Service(
    name="groups",
    prefixes=("/v2/groups", "/v2/preferences", "/v2/subscription_info/"),
    # The caller's own groups first: their path fits the one of a group, too.
    routes=(*membership_routes.ROUTES, *group_routes.ROUTES),
    render_error=render_error,
    confirmed_codes=CONFIRMED,
    resource_server=GroupsScopes.resource_server,
    unauthenticated_code=INVALID_TOKEN,
    forbidden_code=FORBIDDEN,
)
