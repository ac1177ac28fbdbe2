"""How the Groups service says no: its codes and the shapes of its error documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from globus_sdk.scopes import Scope

NO_CREDENTIALS, INVALID_TOKEN = "AUTHENTICATION_ERROR", "INVALID_TOKEN"
FORBIDDEN = "FORBIDDEN"
UNPROCESSABLE = "UNPROCESSABLE_ENTITY"
# For the journal alone: the answer to a document that is not as the schema says has no code.
_INVALID = "VALIDATION_ERROR"
#: What the documentation, or public code that reads it, confirms.
CONFIRMED = {NO_CREDENTIALS, INVALID_TOKEN, FORBIDDEN, _INVALID}


def render_error(error: ServiceError, request_id: str, resource: str) -> dict[str, Any]:
    """Return the error document of Groups."""
    if error.status == 422 and error.code != UNPROCESSABLE:
        return {"detail": error.extra.get("detail", [])}
    document: dict[str, Any] = {"code": error.code, "detail": error.message}
    return {**document, "authorization_parameters": {}} if error.status == 401 else document


def no_credentials() -> ServiceError:
    """Refuse a request without a bearer token."""
    return ServiceError(401, NO_CREDENTIALS, "The Authorization header is missing or malformed")


def session_required(identity_id: str) -> ServiceError:
    """Refuse a caller whose login is too old for a group of high assurance."""
    message = "The group requires a more recent login"
    wanted = {"session_message": message, "session_required_identities": [identity_id]}
    return ServiceError(401, "SESSION_REQUIRED", message, extra={"authorization_parameters": wanted})


def missing_scope(provided: Iterable[Scope]) -> ServiceError:
    """Refuse a token that is good for other things."""
    scopes = [scope.scope_string for scope in provided]
    return ServiceError(
        403, FORBIDDEN, "The token lacks a scope that this action needs", extra={"provided_scopes": scopes}
    )


def forbidden(message: str) -> ServiceError:
    """Refuse what the caller's role, or the group's policies, do not allow."""
    return ServiceError(403, FORBIDDEN, message)


def group_not_found(group_id: str) -> ServiceError:
    """Refuse an unknown group."""
    return ServiceError(404, "NOT_FOUND", f"There is no group {group_id}")


def subscription_not_found(subscription_id: str) -> ServiceError:
    """Refuse a subscription that no group has."""
    return ServiceError(404, "NOT_FOUND", f"There is no group with the subscription {subscription_id}")


def repeated_identities(identities: Iterable[str]) -> ServiceError:
    """Refuse actions of which more than one is about the same identity."""
    message = "Identities must be unique across all actions"
    return ServiceError(400, "BAD_REQUEST", message, extra={"ambiguous_identities": list(identities)})


def invalid(found: Iterable[Mapping[str, Any]]) -> ServiceError:
    """Refuse what is not as the schema says; `found` has where (``loc``), what (``msg``) and its ``type``."""
    detail = [{"loc": list(item["loc"]), "msg": item["msg"], "type": item["type"]} for item in found]
    return ServiceError(422, _INVALID, "; ".join(item["msg"] for item in detail), extra={"detail": detail})


def unknown_statuses(message: str) -> ServiceError:
    """Refuse statuses that no membership has; the one refused parameter with a code of its own."""
    return ServiceError(422, UNPROCESSABLE, message)
