"""How the Transfer service says no: its error codes and the shape of its error documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.auth.scopes import TRANSFER_ALL, data_access_scope
from airflow_provider_globus.sandbox.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable


def render_error(error: ServiceError, request_id: str, resource: str) -> dict[str, Any]:
    """Return an error document: of v0.10, which has no DATA_TYPE, or of v2, which is JSON:API."""
    if resource.startswith("/v2/"):
        said = {"status": str(error.status), "code": error.code, "detail": error.message, **error.extra}
        return {"errors": [said], "meta": {"request_id": request_id}}
    return {
        "code": error.code,
        "message": error.message,
        "request_id": request_id,
        "resource": resource,
        **error.extra,
    }


def bad_request(message: str, code: str = "BadRequest") -> ServiceError:
    """Refuse a document or a parameter."""
    return ServiceError(400, code, message)


def permission_denied(message: str, code: str = "PermissionDenied") -> ServiceError:
    """Refuse someone who may not."""
    return ServiceError(403, code, message)


def endpoint_deleted(endpoint_id: str) -> ServiceError:
    """Refuse a collection that is no more."""
    return ServiceError(404, "EndpointDeleted", f"Endpoint '{endpoint_id}' has been deleted")


def endpoint_not_found(endpoint_id: str) -> ServiceError:
    """Refuse an unknown collection."""
    return ServiceError(404, "EndpointNotFound", f"No such endpoint '{endpoint_id}'")


def task_not_found(task_id: str) -> ServiceError:
    """Refuse an unknown task, or one that is someone else's."""
    return ServiceError(404, "ClientError.NotFound", f"Task ID '{task_id}' not found")


def consent_required(collection_ids: Iterable[str]) -> ServiceError:
    """Refuse access to mapped collections that lack a `data_access` consent."""
    scopes = [f"{TRANSFER_ALL}[*{data_access_scope(item)}]" for item in collection_ids]
    return ServiceError(
        403, "ConsentRequired", "Missing required data_access consent", extra={"required_scopes": scopes}
    )
