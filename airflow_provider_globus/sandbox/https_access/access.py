"""Who may read and write the files of a collection over HTTPS, and where those files are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from airflow_provider_globus.sandbox.auth.scopes import https_scope
from airflow_provider_globus.sandbox.connect_server.collections import policy_of
from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.https_access.errors import FORBIDDEN, LOGIN_PAGE, denied, login_required, refused
from airflow_provider_globus.sandbox.storage import StorageError
from airflow_provider_globus.sandbox.storage.paths import is_within

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.auth.models import Caller
    from airflow_provider_globus.sandbox.service import ServiceRequest
    from airflow_provider_globus.sandbox.storage import Storage
    from airflow_provider_globus.sandbox.transfer.collections import Collection

#: What needs the right to write.
_WRITING = ("PUT", "DELETE")


@dataclass(frozen=True)
class Place:
    """A file of a collection, for somebody who may do with it what was asked."""

    storage: Storage
    path: str


def place_of(request: ServiceRequest) -> Place:
    """Return the place a request means, or refuse whoever may not."""
    collection = _collection(request)
    method = "GET" if request.method == "HEAD" else request.method
    if method not in policy_of(collection, "https_methods"):
        raise ServiceError(405, "MethodNotAllowed", f"The collection does not allow {method} over HTTPS")
    right, doing = ("w", "write") if request.method in _WRITING else ("r", "read")
    try:
        path = collection.clean(request.path_params["path"] or "/")
        if "authorization" not in request.headers and _open_to_all(request, collection, path):
            # A guest collection shows everybody what its owner sees.
            identity_id = collection.owner_id
        else:
            identity_id = _caller(request, collection).identity_id
        if right not in request.world.transfer.permissions(identity_id, collection, path):
            raise denied(f"No permission to {doing} {path}")
        return Place(request.world.transfer.files(collection, identity_id), path)
    except StorageError as error:
        raise refused(error) from None


def _collection(request: ServiceRequest) -> Collection:
    """Return the collection; one without HTTPS has no server that could answer."""
    collection = request.world.transfer.collections.get(request.path_params["collection_id"].lower())
    if collection is None or collection.mapped is None or not policy_of(collection, "enable_https"):
        raise ServiceError(404, "NotFound", "There is no collection with HTTPS access here")
    return collection


def _open_to_all(request: ServiceRequest, collection: Collection, path: str) -> bool:
    """Tell whether anybody may read a path, or write it, without a login."""
    now, right = request.world.clock.time(), "w" if request.method in _WRITING else "r"
    return any(
        rule.principal_type == "anonymous"
        and right in rule.permissions
        and is_within(path, rule.path.rstrip("/") or "/")
        and (rule.expires is None or rule.expires > now)
        for rule in collection.rules.values()
    )


def _caller(request: ServiceRequest, collection: Collection) -> Caller:
    """Return who asks. To whom comes without a token, a browser's way to the login is shown, unless it asks not to."""
    scope = https_scope(collection.id)
    if "authorization" not in request.headers and "x-requested-with" not in request.headers:
        raise ServiceError(302, LOGIN_PAGE, "Log in", headers={"Location": _login_page(request, collection)})
    try:
        token = request.world.auth.bearer(request)
    except ServiceError as error:
        raise login_required(error.message, [scope]) from None
    caller = request.world.auth.anyone() if token is None else request.world.auth.caller_of(token)
    if token is not None and token.resource_server != collection.id:
        raise login_required("Token is not active", [scope])
    if token is not None and not caller.has_scope(scope):
        raise ServiceError(403, FORBIDDEN, f"The token lacks the scope {scope}")
    request.identity = caller.username
    request.world.connect_server.require_session(caller, collection)
    return caller


def _login_page(request: ServiceRequest, collection: Collection) -> str:
    """Return where a browser logs in: as an application, the collection has its own id."""
    query = {
        "client_id": collection.id,
        "redirect_uri": f"{request.world.tls_url}/https/{collection.id}/_globus_login",
        "response_type": "code",
        "scope": https_scope(collection.id),
        "state": request.request_id,
    }
    return f"{request.world.url}/v2/oauth2/authorize?{urlencode(query)}"
