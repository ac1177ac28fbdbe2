"""How the Compute service says no: its error codes, their texts, and the shapes of its error documents."""

from __future__ import annotations

from typing import Any

from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.provisional import PROVISIONAL

UNAUTHENTICATED = "USER_UNAUTHENTICATED"
FORBIDDEN = "INSUFFICIENT_AUTH_SCOPE"

#: Why a route that needs a broker is not served.
NO_BROKER = "without an AMQP broker (start the sandbox with amqp_url)"

# The codes here that the service has, as its published error classes and its documentation name them.
CONFIRMED = {
    UNAUTHENTICATED,
    FORBIDDEN,
    "FUNCTION_NOT_FOUND",
    "ENDPOINT_NOT_FOUND",
    "TASK_NOT_FOUND",
    "TASK_GROUP_NOT_FOUND",
    "FUNCTION_ACCESS_FORBIDDEN",
    "ENDPOINT_ACCESS_FORBIDDEN",
    "TASK_GROUP_ACCESS_FORBIDDEN",
    "FUNCTION_NOT_PERMITTED",
    "RESOURCE_CONFLICT",
    "RESOURCE_LOCKED",
    "BATCH_RUN_TOO_LARGE",
    "SEMANTICALLY_INVALID",
    "InternalError",
}
# Codes of the sandbox's own that the service has another name for.
_SAME_AS = {"InternalError": "INTERNAL_ERROR"}


def render_error(error: ServiceError, request_id: str, resource: str) -> dict[str, Any]:
    """Return the error document of Compute; `extra` overrides its `error_args` and `detail`.

    The published schemas tell of findings in what was sent in two ways: alone, and with all that other errors have.
    """
    detail = error.extra.get("detail", error.message)
    if isinstance(detail, list) and (resource.startswith("/v2/") or resource.endswith("/allowed_functions")):
        return {"detail": detail}
    return {
        "status": "Failed",
        "code": _SAME_AS.get(error.code, error.code),
        "http_status_code": error.status,
        "detail": detail,
        # The older name of the same.
        "reason": detail,
        "error_args": [],
    }


def _error(status: int, code: str, reason: str, *args: str | int) -> ServiceError:
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


def endpoint_in_use(endpoint_id: str, why: str) -> ServiceError:
    """Refuse to register an endpoint that is something else already."""
    return _error(409, "RESOURCE_CONFLICT", f"Endpoint {endpoint_id} is already in use: {why}", endpoint_id)


def endpoint_locked(endpoint_id: str, until: str) -> ServiceError:
    """Refuse to register an endpoint that is locked."""
    reason = f"Endpoint id {endpoint_id} is temporarily locked from registration until {until}"
    return _error(423, "RESOURCE_LOCKED", reason, endpoint_id)


def task_not_found(task_id: str) -> ServiceError:
    """Refuse an unknown task, or one that is someone else's."""
    return _error(404, "TASK_NOT_FOUND", f"Task {task_id} not found", task_id)


def group_not_found(group_id: str) -> ServiceError:
    """Refuse an unknown task group: the service makes their ids, clients do not."""
    return _error(404, "TASK_GROUP_NOT_FOUND", f"Task Group {group_id} could not be resolved", group_id)


def group_forbidden(group_id: str) -> ServiceError:
    """Refuse a task group that is someone else's."""
    return _error(403, "TASK_GROUP_ACCESS_FORBIDDEN", f"Unauthorized access to Task Group {group_id}", group_id)


def too_large(size: int, limit: int) -> ServiceError:
    """Refuse a submission that is too big."""
    reason = f"Batch submission is too large: {size} bytes > {limit} bytes"
    return _error(413, "BATCH_RUN_TOO_LARGE", reason, size, limit)


def config_refused(problem: str) -> ServiceError:
    """Refuse a submission whose ``user_endpoint_config`` its endpoint cannot use."""
    return _error(422, "SEMANTICALLY_INVALID", f"Request payload failed validation: {problem}")


def invalid(where: tuple[str | int, ...], message: str, kind: str) -> ServiceError:
    """Refuse what was sent, as the schema of the request does.

    :param where: the way to it, from ``body``, ``path`` or ``query``.
    :param kind: such as ``type_error.uuid``.
    """
    finding = {"loc": list(where), "msg": message, "type": kind}
    text = f"{'.'.join(map(str, where))}: {message}"
    return ServiceError(422, "SEMANTICALLY_INVALID", text, extra={"detail": [finding]})


def nothing_to_do() -> ServiceError:
    """Refuse a submission without tasks."""
    refusal = invalid(("body", "tasks"), "ensure this value has at least 1 items", "value_error.list.min_items")
    refusal.headers |= PROVISIONAL  # nobody has seen the real service refuse it
    return refusal
