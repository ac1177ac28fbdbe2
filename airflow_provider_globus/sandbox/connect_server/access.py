"""Who may do what at the GCS Manager: tokens, roles, and lists in pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.auth.scopes import ENDPOINT_ID, MANAGE_COLLECTIONS
from airflow_provider_globus.sandbox.connect_server.errors import (
    envelope,
    invalid_input,
    missing_role,
    permission_denied,
    refusal,
)
from airflow_provider_globus.sandbox.connect_server.login import wrong_domain
from airflow_provider_globus.sandbox.connect_server.sessions import session_required
from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.service import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_globus.sandbox.auth.models import Caller
    from airflow_provider_globus.sandbox.connect_server.models import StorageGateway
    from airflow_provider_globus.sandbox.service import ServiceRequest
    from airflow_provider_globus.sandbox.transfer.collections import Collection

PAGE_SIZE = 100
ADMINISTRATORS = ("owner", "administrator")


def authorize(request: ServiceRequest) -> Caller:
    """Return the caller of a request, or refuse as the GCS Manager does."""
    token = request.world.auth.bearer(request)
    if token is None:
        return request.world.auth.anyone()
    caller = request.world.auth.caller_of(token)
    if token.resource_server != ENDPOINT_ID or not caller.has_scope(MANAGE_COLLECTIONS):
        detail = {"DATA_TYPE": "missing_required_scopes#1.0.0", "required_scopes": [MANAGE_COLLECTIONS]}
        raise refusal(401, "not_authorized", "The token lacks a scope that this needs", detail)
    return caller


def principals(request: ServiceRequest) -> set[str]:
    """Return whom a role may name to mean the caller: itself and its groups."""
    me = request.caller.identity_id
    return {me, *request.world.groups.groups_of(me)}


def has_role(request: ServiceRequest, place: Collection, roles: Iterable[str] | None = None) -> bool:
    """Whether the caller made a collection (or the endpoint), or has one of some roles on it, or any."""
    me = principals(request)
    return place.owner_id in me or any(
        item.principal in me and (roles is None or item.role in roles) for item in list(place.roles.values())
    )


def is_endpoint_admin(request: ServiceRequest) -> bool:
    """Whether the caller administrates the endpoint."""
    return has_role(request, request.world.transfer.endpoint, ADMINISTRATORS)


def require_endpoint_admin(request: ServiceRequest) -> None:
    """Refuse who does not administrate the endpoint."""
    if not is_endpoint_admin(request):
        raise missing_role("administrator")


def is_admin(request: ServiceRequest, collection: Collection) -> bool:
    """Whether the caller administrates a collection: by a role on it, on its mapped collection or on the endpoint."""
    place: Collection | None = collection
    while place is not None:
        if has_role(request, place, ADMINISTRATORS):
            return True
        place = place.host
    return False


def may_view(request: ServiceRequest, collection: Collection) -> bool:
    """Whether the caller may know of a collection (or of the endpoint): all may, unless the endpoint is not public."""
    if request.world.transfer.endpoint.public or has_role(request, request.world.transfer.endpoint):
        return True
    return has_role(request, collection) or is_admin(request, collection)


def may_view_endpoint(request: ServiceRequest) -> bool:
    """Whether the caller may know of the endpoint: also by a role on one of its collections."""
    return any(
        may_view(request, item)
        for item in list(request.world.transfer.collections.values())
        if item.kind == "endpoint" or item.mapped is not None
    )


def require_admin(request: ServiceRequest, collection: Collection) -> None:
    """Refuse who does not administrate a collection."""
    if not is_admin(request, collection):
        raise missing_role("administrator", None if collection.kind == "endpoint" else collection.id)


def require_domain(username: str, gateway: StorageGateway) -> None:
    """Refuse an identity whose domain a storage gateway does not take."""
    if not gateway.admits_domain(username):
        error = wrong_domain(gateway.allowed_domains)
        raise permission_denied(
            error.message, {"DATA_TYPE": "not_from_allowed_domain#1.0.0", "allowed_domains": gateway.allowed_domains}
        )


def require_session(request: ServiceRequest, gateway: StorageGateway) -> None:
    """Refuse a caller whose login is too old or too weak for a storage gateway."""
    refused = session_required(gateway, request.caller, request.world.clock.time())
    if refused is not None:
        detail = {
            "DATA_TYPE": "authentication_timeout#1.1.0",
            "high_assurance": gateway.high_assurance,
            "identities": [request.caller.identity_id],
            "require_mfa": bool(gateway.fields.get("require_mfa")),
        }
        raise permission_denied(refused.message, detail, DATA_TYPE="result#1.1.0", **refused.extra)


def document_of(request: ServiceRequest) -> dict[str, Any]:
    """Return the JSON document sent."""
    try:
        return request.json()
    except ServiceError as error:
        raise refusal(400, "bad_request", error.message) from None


def included(request: ServiceRequest) -> set[str]:
    """Return what an answer shall include beside what it has."""
    return {name for text in request.query.getlist("include") for name in text.split(",")}


def one(document: Mapping[str, Any], *, status: int = 200, message: str = "Operation successful") -> Answer:
    """Answer with one document."""
    return Answer(envelope([document], status=status, message=message), status=status)


def done(message: str, data: Iterable[Mapping[str, Any]] = ()) -> Answer:
    """Answer that something was done."""
    return Answer(envelope(data, message=message))


def page(request: ServiceRequest, documents: Iterable[Mapping[str, Any]]) -> Answer:
    """Answer with a page of a list; the marker is the number of what was listed before."""
    try:
        size = int(request.query.get("page_size") or PAGE_SIZE)
        start = int(request.query.get("marker") or 0)
    except ValueError:
        raise invalid_input([("page_size", "Not a valid integer.")]) from None
    if not 1 <= size <= 1000 or start < 0:
        raise invalid_input([("page_size", "Must be greater than or equal to 1 and less than or equal to 1000.")])
    listed = list(documents)
    more = start + size < len(listed)
    return Answer(envelope(listed[start : start + size], marker=str(start + size) if more else None))
