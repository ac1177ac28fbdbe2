"""How Auth says no: its codes, and the shapes of its error documents."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable

UNAUTHENTICATED = "UNAUTHORIZED"
FORBIDDEN = "FORBIDDEN"

# Errors of the token endpoint follow RFC 6749, which has one word for each and no document.
_OAUTH_ERRORS = {
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "unauthorized_client",
    "unsupported_grant_type",
}
# What recordings, or people who met the real service's errors, have of them.
CONFIRMED = {UNAUTHENTICATED, FORBIDDEN, "UNKNOWN_SCOPE_ERROR", "invalid_client", "invalid_grant"}
# Codes of the sandbox's own that have a name there.
_SAME_AS = {"BadRequest": "BAD_REQUEST", "InternalError": "INTERNAL_SERVER_ERROR"}


def render_error(error: ServiceError, request_id: str, resource: str) -> dict[str, Any]:
    """Return an error as Auth shows it."""
    if error.code in _OAUTH_ERRORS:
        return {"error": error.code, "error_description": error.message}
    code = _SAME_AS.get(error.code, error.code)
    unapproved = {name: error.extra[name] for name in ("unapproved_scopes",) if name in error.extra}
    return {
        "errors": [
            {
                "status": str(error.status),
                # Auth's error ids are UUIDs; made from the request id, so that the journal leads to the request.
                "id": str(uuid.uuid5(uuid.NAMESPACE_OID, request_id)),
                "code": code,
                "detail": error.message,
                "title": code.replace("_", " ").title(),
                **unapproved,
            }
        ],
        "error": code.lower(),
        "error_description": error.message,
    }


def unauthenticated() -> ServiceError:
    """Refuse who has not said who they are, or wrongly."""
    return ServiceError(401, UNAUTHENTICATED, "Call must be authenticated")


def forbidden(message: str) -> ServiceError:
    """Refuse what the caller may not do."""
    return ServiceError(403, FORBIDDEN, message)


def not_an_admin(identities: Iterable[str] = ()) -> ServiceError:
    """Refuse who is no administrator of a project, or has not logged in as one of late.

    :param identities: of the caller, as which a login would do.
    """
    message = (
        "To access this project you must have an identity with admin privileges in session within the last 30 minutes."
    )
    required = list(identities)
    parameters = {"session_message": message, "session_required_identities": required}
    return ServiceError(403, FORBIDDEN, message, extra={"authorization_parameters": parameters} if required else {})


def not_found(kind: str, item_id: str) -> ServiceError:
    """Refuse what does not exist."""
    return ServiceError(404, "NOT_FOUND", f"No {kind} with id {item_id} exists")


def bad_request(message: str) -> ServiceError:
    """Refuse a document that cannot be read, or says what it must not."""
    return ServiceError(400, "BAD_REQUEST", message)


def conflict(message: str) -> ServiceError:
    """Refuse what contradicts what there is."""
    return ServiceError(409, "CONFLICT", message)


def dependent_consent_required(scopes: list[str]) -> ServiceError:
    """Refuse a service the tokens of scopes that nobody let it use."""
    message = "Missing required dependent consent"
    return ServiceError(403, "DEPENDENT_CONSENT_REQUIRED", message, extra={"unapproved_scopes": scopes})
