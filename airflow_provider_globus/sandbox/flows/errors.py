"""How the Flows service says no: its codes, their texts, and the shape of its error documents."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_globus.sandbox.flow_language.validation import Problem

UNAUTHENTICATED = "AUTHENTICATION_ERROR"
FORBIDDEN = "FORBIDDEN"

CONFIRMED = {
    UNAUTHENTICATED,
    FORBIDDEN,
    "AUTHENTICATION_POLICY_REQUIRED",
    "FLOW_INPUT_ERROR",
    "MISSING_SCOPE",
    "NOT_FOUND",
    "STATE_CONFLICT",
    "UNPROCESSABLE_ENTITY",
}
# Codes of the sandbox's own that have a name there.
_SAME_AS = {"BadRequest": "UNPROCESSABLE_ENTITY", "NotFound": "NOT_FOUND", "InternalError": "INTERNAL_SERVER_ERROR"}


def render_error(error: ServiceError, request_id: str, resource: str) -> dict[str, Any]:
    """Return the error document of Flows."""
    detail = "Expired or invalid Bearer token" if error.code == UNAUTHENTICATED else error.message
    return {
        "error": {"code": _SAME_AS.get(error.code, error.code), "detail": detail},
        # A UUID, made from the request id, so that the journal leads to the request.
        "debug_id": str(uuid.uuid5(uuid.NAMESPACE_OID, request_id)),
    }


def not_found(kind: str, item_id: str) -> ServiceError:
    """Refuse what does not exist, or what the caller may not know of."""
    return ServiceError(404, "NOT_FOUND", f"No {kind} exists with id value {item_id}")


def forbidden(kind: str, item_id: str, permission: str) -> ServiceError:
    """Refuse what the caller's role does not allow."""
    return ServiceError(
        403,
        FORBIDDEN,
        f"You do not have the necessary permissions to perform this action on the {kind} with id value {item_id}. "
        f"Missing permissions: {permission}.",
    )


def missing_scope(scopes: Iterable[str]) -> ServiceError:
    """Refuse a token that was made for something else."""
    return ServiceError(403, "MISSING_SCOPE", f"This action requires the following scope: {' or '.join(scopes)}")


def policy_required(policy_id: str, what: str, more: Mapping[str, Any]) -> ServiceError:
    """Refuse what asks for a login that meets a policy.

    :param what: the word for it, such as ``web input``.
    :param more: further fields of the document.
    """
    wanted = {
        "session_required_policies": [policy_id],
        "session_message": f"Globus Flows detected an unsatisfied session policy for this {what}.",
    }
    return ServiceError(
        403,
        "AUTHENTICATION_POLICY_REQUIRED",
        f"None of the identities in session meet the requirements for the authentication policy of this {what}. "
        "Reauthenticate as an identity that can meet them.",
        extra={"code": "AuthenticationPolicyRequired", "authorization_parameters": wanted, **more},
    )


def conflict(run_id: str, status: str, wanted: Sequence[str]) -> ServiceError:
    """Refuse what a run's status does not allow."""
    listed = ", ".join(repr(item) for item in wanted)
    return ServiceError(
        409,
        "STATE_CONFLICT",
        f"Run {run_id} has status '{status}' but must have status in {{{listed}}} for requested operation",
    )


def unprocessable(problems: Sequence[Problem]) -> ServiceError:
    """Refuse a document, with everything that is wrong with it."""
    findings = [f"$.{'.'.join(map(str, problem.loc))}: {problem.msg}" for problem in problems]
    counted = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} in body. {'; '.join(findings)}"
    return _listed(422, "UNPROCESSABLE_ENTITY", [problem.document() for problem in problems], counted)


def invalid_input(findings: Sequence[tuple[str, str]]) -> ServiceError:
    """Refuse a run's input that its flow's schema does not allow: pairs of path and message."""
    listed = [{"loc": [path], "type": "InvalidActionInput", "msg": message} for path, message in findings]
    counted = f"Input failed schema validation with {len(listed)} error{'s' if len(listed) > 1 else ''}."
    return _listed(400, "FLOW_INPUT_ERROR", listed, counted)


def _listed(status: int, code: str, detail: list[dict[str, Any]], message: str) -> ServiceError:
    return ServiceError(status, code, message, extra={"error": {"code": code, "detail": detail, "message": message}})
