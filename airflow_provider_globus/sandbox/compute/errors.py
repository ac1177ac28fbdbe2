"""How the Compute service says no: its numbered error codes, their texts, and the shape of its error documents.

A `ServiceError` carries the readable name of a code, for the journal; clients get the number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.errors import NotServed, ServiceError
from airflow_provider_globus.sandbox.provisional import PROVISIONAL

if TYPE_CHECKING:
    from collections.abc import Mapping

UNAUTHENTICATED = "USER_UNAUTHENTICATED"

#: Why a route that needs a broker is not served.
NO_BROKER = "without an AMQP broker (start the sandbox with amqp_url)"

# As the service publishes them.
_NUMBERS = {
    "UNKNOWN_ERROR": 0,
    UNAUTHENTICATED: 1,
    "USER_NOT_FOUND": 2,
    "FUNCTION_NOT_FOUND": 3,
    "ENDPOINT_NOT_FOUND": 4,
    "CONTAINER_NOT_FOUND": 5,
    "TASK_NOT_FOUND": 6,
    "AUTH_GROUP_NOT_FOUND": 7,
    "FUNCTION_ACCESS_FORBIDDEN": 8,
    "ENDPOINT_ACCESS_FORBIDDEN": 9,
    "FUNCTION_NOT_PERMITTED": 10,
    "ENDPOINT_ALREADY_REGISTERED": 11,
    "REQUEST_KEY_ERROR": 16,
    "REQUEST_MALFORMED": 17,
    "INTERNAL_ERROR": 18,
    "ENDPOINT_OUTDATED": 19,
    "TASK_GROUP_NOT_FOUND": 20,
    "TASK_GROUP_ACCESS_FORBIDDEN": 21,
    "INVALID_UUID": 22,
}
# Codes of the sandbox's own that have a number all the same.
_SAME_AS = {"BadRequest": "REQUEST_MALFORMED", "InternalError": "INTERNAL_ERROR"}


def render_error(error: ServiceError, request_id: str, resource: str) -> dict[str, Any]:
    """Return the error document of Compute; a code without a number is an unknown error."""
    return {
        "status": "Failed",
        "code": _NUMBERS.get(_SAME_AS.get(error.code, error.code), 0),
        "http_status_code": error.status,
        "reason": error.message,
        "error_args": [],
    }


def error_headers(error: ServiceError) -> Mapping[str, str]:
    """Mark the errors whose number nothing confirms."""
    return {} if error.code in _NUMBERS or isinstance(error, NotServed) else PROVISIONAL


def _error(status: int, code: str, reason: str, *args: str) -> ServiceError:
    return ServiceError(status, code, reason, extra={"error_args": list(args)})


def function_not_found(function_id: str) -> ServiceError:
    """Refuse an unknown function."""
    return _error(404, "FUNCTION_NOT_FOUND", f"Function {function_id} could not be resolved", function_id)


def function_forbidden(function_id: str) -> ServiceError:
    """Refuse a function that is someone else's."""
    return _error(403, "FUNCTION_ACCESS_FORBIDDEN", f"Unauthorized access to function {function_id}", function_id)


def function_not_permitted(function_id: str, endpoint_id: str) -> ServiceError:
    """Refuse a function that is not on the allow-list of an endpoint."""
    reason = f"Function {function_id} not permitted on endpoint {endpoint_id}"
    return _error(403, "FUNCTION_NOT_PERMITTED", reason, function_id, endpoint_id)


def endpoint_not_found(endpoint_id: str) -> ServiceError:
    """Refuse an unknown endpoint."""
    return _error(404, "ENDPOINT_NOT_FOUND", f"Endpoint {endpoint_id} could not be resolved", endpoint_id)


def endpoint_forbidden(endpoint_id: str) -> ServiceError:
    """Refuse an endpoint that is someone else's."""
    return _error(403, "ENDPOINT_ACCESS_FORBIDDEN", f"Unauthorized access to endpoint {endpoint_id}", endpoint_id)


def task_not_found(task_id: str) -> ServiceError:
    """Refuse an unknown task, or one that is someone else's."""
    return _error(404, "TASK_NOT_FOUND", f"Task {task_id} not found", task_id)


def group_not_found(group_id: str) -> ServiceError:
    """Refuse an unknown task group: the service makes their ids, clients do not."""
    return _error(404, "TASK_GROUP_NOT_FOUND", f"Task Group {group_id} could not be resolved", group_id)


def group_forbidden(group_id: str) -> ServiceError:
    """Refuse a task group that is someone else's."""
    return _error(403, "TASK_GROUP_ACCESS_FORBIDDEN", f"Unauthorized access to Task Group {group_id}", group_id)


def invalid_uuid(text: object) -> ServiceError:
    """Refuse what should be a UUID."""
    reason = f"{text!r} is not a valid UUID"
    return _error(400, "INVALID_UUID", reason, reason)


def key_error(name: str) -> ServiceError:
    """Refuse a document that lacks a field."""
    return _error(400, "REQUEST_KEY_ERROR", f"Missing key in JSON request - '{name}'", name)


def malformed(what: str) -> ServiceError:
    """Refuse a document with a field that cannot be."""
    return _error(400, "REQUEST_MALFORMED", f"Request Malformed. Missing critical information: {what}", what)


def too_large(size: int, limit: int) -> ServiceError:
    """Refuse a submission that is too big."""
    return ServiceError(413, "PAYLOAD_TOO_LARGE", f"The request has {size} bytes; {limit} are allowed in a submission")


def nothing_to_do() -> ServiceError:
    """Refuse a submission without tasks."""
    refusal = malformed("tasks must hold at least one task")
    refusal.headers |= PROVISIONAL  # nobody has seen the real service refuse it
    return refusal
