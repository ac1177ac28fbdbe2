"""How Connect Server answers and says no: its result envelope, and the typed details of its errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def envelope(
    data: Iterable[Mapping[str, Any]] = (),
    *,
    status: int = 200,
    code: str = "success",
    message: str | None = None,
    detail: Any = "success",
    marker: str | None = None,
    authorization_parameters: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the document that every answer is."""
    document: dict[str, Any] = {
        "DATA_TYPE": "result#1.0.0",
        "code": code,
        "data": list(data),
        "detail": detail,
        "has_next_page": marker is not None,
        "http_response_code": status,
    }
    if message is not None:
        document["message"] = message
    if marker is not None:
        document["marker"] = marker
    if authorization_parameters is not None:
        document |= {"DATA_TYPE": "result#1.1.0", "authorization_parameters": dict(authorization_parameters)}
    return document


def render_error(error: ServiceError, request_id: str, resource: str) -> dict[str, Any]:
    """Return an error in the shape of the GCS Manager."""
    document = envelope(status=error.status, code=error.code, message=error.message, detail=None)
    del document["data"]
    return document


def refusal(status: int, code: str, message: str, detail: Any = None, **more: Any) -> ServiceError:
    """Refuse, with a typed detail."""
    return ServiceError(status, code, message, extra={"detail": detail, **more})


def invalid_input(errors: Iterable[tuple[str, str]]) -> ServiceError:
    """Refuse a document: pairs of the property and what is wrong with it."""
    listed = [{"property": name, "message": message} for name, message in errors]
    detail = {"DATA_TYPE": "invalid_input#1.0.0", "errors": listed}
    return refusal(422, "unprocessable_entity", "Data Validation Error", detail)


def not_found(kind: str, wanted: str) -> ServiceError:
    """Refuse an unknown id."""
    return refusal(404, "not_found", f"No such {kind} '{wanted}'")


def conflict(message: str, resources: Iterable[str] = ()) -> ServiceError:
    """Refuse what contradicts something that is there."""
    return refusal(409, "conflict", message, {"DATA_TYPE": "resource_conflict#1.0.0", "resources": list(resources)})


def permission_denied(message: str, detail: Any = None, **more: Any) -> ServiceError:
    """Refuse somebody who may not."""
    return refusal(403, "permission_denied", message, detail, **more)


def missing_role(role: str, collection_id: str | None = None) -> ServiceError:
    """Refuse somebody who lacks a role."""
    entry = {"role": role} if collection_id is None else {"role": role, "collection": collection_id}
    what = "endpoint" if collection_id is None else "collection"
    return permission_denied(
        f"The caller lacks the {what}:{role} role", {"DATA_TYPE": "missing_required_role#1.0.0", "roles": [entry]}
    )
