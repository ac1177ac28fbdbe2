"""Who asks Auth, and what of a project, a client or a scope they may see and change."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from globus_sdk.scopes import AuthScopes

from airflow_provider_globus.sandbox.auth import errors
from airflow_provider_globus.sandbox.auth.models import Caller
from airflow_provider_globus.sandbox.errors import ServiceError

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.auth.models import Client
    from airflow_provider_globus.sandbox.auth.projects import Project
    from airflow_provider_globus.sandbox.auth.scopes import ScopeDefinition
    from airflow_provider_globus.sandbox.service import Authorize, ServiceRequest

MANAGE_PROJECTS = str(AuthScopes.manage_projects)
VIEW_CLIENTS = str(AuthScopes.view_clients)
VIEW_CLIENTS_AND_SCOPES = str(AuthScopes.view_clients_and_scopes)
#: For how long a login is good enough to administer a project.
SESSION_SECONDS = 1800

_NOBODY = Caller("", "", "", (), "anonymous")


def basic_credentials(request: ServiceRequest) -> tuple[str, str] | None:
    """Return the client id and secret of a request's HTTP Basic authentication."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return client_id, secret


def token_client(request: ServiceRequest, form: dict[str, str]) -> Client:
    """Return the client that asks for tokens: by HTTP Basic, by form fields, or, a native app, by its id alone."""
    auth = request.world.auth
    credentials = basic_credentials(request)
    if credentials is None and "client_secret" in form:
        credentials = form.get("client_id", ""), form["client_secret"]
    if credentials is not None:
        client = auth.check_secret(*credentials)
    else:
        client = auth.client(form.get("client_id", ""))
        if client is not None and not client.public:
            client = None
    if client is None:
        raise ServiceError(401, "invalid_client", "Unknown client, or wrong client secret")
    request.identity = client.username
    return client


def by(*scopes: str, client: bool = False, anonymous: bool = False) -> Authorize:
    """Return what takes tokens for Auth with one of some scopes, or with any.

    :param client: take a client's own secret, too.
    :param anonymous: take a request of nobody, too.
    """

    def authorize(request: ServiceRequest) -> Caller:
        auth = request.world.auth
        if anonymous and "authorization" not in request.headers:
            return _NOBODY
        credentials = basic_credentials(request) if client else None
        if credentials is not None:
            found = auth.check_secret(*credentials)
            if found is None:
                raise errors.unauthenticated()
            return Caller(found.id, found.username, found.id, (), "secret")
        lacking = f"The token lacks the scope {' or '.join(scopes)}"
        return auth.authenticate(request, *scopes, refusal=lambda caller: errors.forbidden(lacking))

    return authorize


# Projects


def administers(request: ServiceRequest, project: Project) -> bool:
    """Tell whether the caller is an administrator of a project, itself or by a group."""
    me, groups = request.caller.identity_id, request.world.groups
    return me in project.admin_ids or any(groups.is_in(me, group_id) for group_id in project.admin_group_ids)


def project_for(request: ServiceRequest, project_id: str) -> Project:
    """Return a project that the caller may administer now."""
    project = request.world.auth.projects.projects.get(project_id)
    if project is None:
        raise errors.not_found("project", project_id)
    if not administers(request, project):
        raise errors.not_an_admin()
    caller = request.caller
    identity = request.world.auth.identity(caller.identity_id)
    is_person = identity is not None and identity.identity_type == "login"
    since, now = caller.authenticated_at, request.world.clock.time()
    if is_person and since is not None and now - since > SESSION_SECONDS:
        raise errors.not_an_admin([caller.identity_id])
    return project


# Clients and their scopes


def client_for(request: ServiceRequest, client_id: str, *, reading: bool = False) -> Client:
    """Return a client that the caller may change, or see: its own, a child of it, or one of its projects.

    :param reading: only to see it, which everybody may who is signed in if it is public.
    """
    client = request.world.auth.client(client_id)
    if client is None:
        raise errors.not_found("client", client_id)
    if (reading and client.visibility == "public") or owns(request, client):
        return client
    if client.project is None:
        raise errors.forbidden(f"Only client {client_id} itself, or its parent, may do this")
    project_for(request, client.project)
    return client


def owns(request: ServiceRequest, client: Client | None) -> bool:
    """Tell whether the caller is a client, or a parent of it."""
    while client is not None:
        if client.id == request.caller.identity_id:
            return True
        client = request.world.auth.client(client.parent or "")
    return False


def sees_client(request: ServiceRequest, client: Client) -> bool:
    """Tell whether a client is in the caller's list of clients."""
    project = request.world.auth.projects.projects.get(client.project or "")
    return owns(request, client) or (project is not None and administers(request, project))


def scope_for(request: ServiceRequest, scope_id: str, *, reading: bool = False) -> ScopeDefinition:
    """Return a scope that the caller may change, or see."""
    definition = request.world.auth.scopes.definition(scope_id)
    if definition is None:
        raise errors.not_found("scope", scope_id)
    if not (reading and definition.advertised):
        client_for(request, definition.client_id, reading=reading)
    return definition
