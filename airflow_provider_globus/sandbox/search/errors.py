"""How the Search service says no: its codes and the shape of its error documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = "2017-09-01"
UNAUTHENTICATED = "Unauthorized.Generic"

CONFIRMED = {
    "BadRequest.ValidationError",
    "Conflict.IncompatibleIndexStatus",
    "Conflict.LimitExceeded",
    "Forbidden.Generic",
    "NotFound.NoSuchIndex",
    # In the service's documentation of its errors.
    "BadRequest",
}
_GENERIC = ("BadRequest", "NotFound", "InternalError")


def render_error(error: ServiceError, request_id: str, resource: str) -> dict[str, Any]:
    """Return the error document of Search."""
    return {
        "@datatype": "GError",
        "@version": VERSION,
        "status": error.status,
        "code": f"{error.code}.Generic" if error.code in _GENERIC else error.code,
        "message": error.message,
        "request_id": request_id,
    }


def bad_request(problem: str, *where: str, part: str = "json") -> ServiceError:
    """Refuse a document, or a parameter of the address.

    :param problem: what is wrong; the service says so in ``error_data``, its message is always the same.
    :param where: the field, from the outermost one to it; of the whole document when left out.
    :param part: ``json`` or ``query``.
    """
    messages: Any = [problem]
    for name in reversed((part, *(where or ("_schema",)))):
        messages = {name: messages}
    return _error(400, "BadRequest.ValidationError", "Request failed input validation.", {"messages": messages})


def index_not_found(index_id: str) -> ServiceError:
    """Refuse an unknown index."""
    return _error(404, "NotFound.NoSuchIndex", f'There is no search index named "{index_id}"')


def too_many_trials(most: int) -> ServiceError:
    """Refuse an index beyond those that an identity may own without a subscription."""
    return _error(
        409,
        "Conflict.LimitExceeded",
        "Role limit exceeded",
        {
            "cause": "When creating an index, an 'owner' role is created automatically. If this would exceed ownership "
            "limits, this error is raised instead.",
            "constraint": f"Cannot create more ownership roles on trial indices than the limit ({most})",
        },
    )


def subject_not_found(subject: str, entry_id: str | None = None) -> ServiceError:
    """Refuse a subject or entry that is not there, or that the caller may not see."""
    entry = f" with entry id '{entry_id}'" if entry_id else ""
    return _error(404, "NotFound.NoSuchSubject", f"There is no subject '{subject}'{entry} that you can see")


def task_not_found(task_id: str) -> ServiceError:
    """Refuse an unknown task, or one of an index that is not the caller's affair."""
    return _error(404, "NotFound.Generic", f"There is no task '{task_id}'")


def forbidden(operation: str) -> ServiceError:
    """Refuse what the caller's roles do not allow."""
    return _error(
        403,
        "Forbidden.Generic",
        f"{operation} request denied by service",
        {
            "cause": f"You do not have the proper roles to perform the {operation} operation.",
            "recommended_resolution": "Ensure you are making a call authenticated with a valid Search token and that "
            "you have been granted the required roles for this operation",
        },
    )


def wrong_status(status: str, wanted: str) -> ServiceError:
    """Refuse what an index that is (not) being deleted does not do."""
    message = f"Index status ({status}) did not match required status for this operation: {wanted}"
    return _error(409, "Conflict.IncompatibleIndexStatus", message)


def _error(status: int, code: str, message: str, data: Mapping[str, Any] | None = None) -> ServiceError:
    return ServiceError(status, code, message, extra={"error_data": dict(data)} if data else {})
