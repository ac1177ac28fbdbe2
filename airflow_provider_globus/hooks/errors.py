"""Errors of the Globus SDK, translated into ours: what happened, what Globus answered, what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.exceptions import (
    GlobusAuthError,
    GlobusBadRequestError,
    GlobusConflictError,
    GlobusConsentRequiredError,
    GlobusError,
    GlobusNotFoundError,
    GlobusPermissionError,
    GlobusRateLimitError,
    GlobusServiceError,
    GlobusTaskLimitError,
    GlobusUnavailableError,
)
from airflow_provider_globus.hooks.gcs_errors import Refusal, refusal

if TYPE_CHECKING:
    from globus_sdk import GlobusAPIError

_BY_STATUS: dict[int, type[GlobusServiceError]] = {
    400: GlobusBadRequestError,
    401: GlobusAuthError,
    403: GlobusPermissionError,
    404: GlobusNotFoundError,
    409: GlobusConflictError,
    413: GlobusBadRequestError,
    422: GlobusBadRequestError,
    429: GlobusRateLimitError,
}

# Transfer reports what the storage said as 502 with a telling code: only some of these pass with time.
_BY_CODE_ENDING: dict[str, type[GlobusServiceError]] = {
    "PermissionDenied": GlobusPermissionError,
    "NotFound": GlobusNotFoundError,
    "Exists": GlobusConflictError,
    "NotDirectory": GlobusBadRequestError,
    "SizeLimit": GlobusBadRequestError,
    "LoginFailed": GlobusPermissionError,
}

_ADVICE: dict[type[GlobusServiceError], str] = {
    GlobusPermissionError: (
        "Give the identity of this connection access: a role or an access rule on the collection, "
        "or permission on the storage behind it."
    ),
    GlobusNotFoundError: "Check the id or path; what an identity may not see also counts as not found.",
    GlobusRateLimitError: (
        "All tasks of one identity share Globus's limits: raise poll_interval, or put the tasks in an Airflow pool."
    ),
    GlobusTaskLimitError: "Wait for some to end; an Airflow pool of 100 slots or fewer avoids the limit.",
    GlobusUnavailableError: "This usually passes; see https://status.globus.org if it does not.",
}

# Compute names its errors, and has numbered them; numbers and names are those of its published error classes.
_COMPUTE_CODES = {
    1: "USER_UNAUTHENTICATED",
    2: "USER_NOT_FOUND",
    3: "FUNCTION_NOT_FOUND",
    4: "ENDPOINT_NOT_FOUND",
    6: "TASK_NOT_FOUND",
    7: "AUTH_GROUP_NOT_FOUND",
    8: "FUNCTION_ACCESS_FORBIDDEN",
    9: "ENDPOINT_ACCESS_FORBIDDEN",
    10: "FUNCTION_NOT_PERMITTED",
    16: "REQUEST_KEY_ERROR",
    17: "REQUEST_MALFORMED",
    18: "INTERNAL_ERROR",
    19: "ENDPOINT_OUTDATED",
    20: "TASK_GROUP_NOT_FOUND",
    21: "TASK_GROUP_ACCESS_FORBIDDEN",
    22: "INVALID_UUID",
}

_ADVICE_BY_CODE = {
    "OperationPaused": "A manager of the collection has paused this for a while: the message says why.",
    "ENDPOINT_NOT_FOUND": (
        "Check the endpoint's UUID: `globus-compute-endpoint list` shows it on the machine, "
        "https://app.globus.org/compute in the web app. A deleted endpoint cannot be brought back."
    ),
    "ENDPOINT_ACCESS_FORBIDDEN": (
        "Let the endpoint's owner admit the identity of this connection, or use an endpoint of its own."
    ),
    "FUNCTION_NOT_FOUND": "Check function_id; register the function again if it was deleted.",
    "FUNCTION_ACCESS_FORBIDDEN": (
        "The function belongs to somebody else and is not shared with the identity of this connection."
    ),
    "FUNCTION_NOT_PERMITTED": (
        "The endpoint runs only the functions on its list (allowed_functions): let its administrator add this one, "
        "or pass the function_id of one that is listed."
    ),
    "FORBIDDEN": (
        "Let an owner or administrator of the flow give the identity of this connection the role: a starter "
        "(flow_starters) may run it, a manager (run_managers) cancel and resume its runs. What a run asks, those "
        "answer whom the flow names (RespondentUrns)."
    ),
    "FLOW_INPUT_ERROR": "Correct the body: it has to match the flow's input schema.",
    "UNPROCESSABLE_ENTITY": "Correct what is named; nothing was changed at Globus.",
    "MISSING_SCOPE": "Log in again with the scope that Globus names, and store that refresh token in the connection.",
    "AUTHENTICATION_POLICY_REQUIRED": (
        "The flow demands a login that a policy describes, which a service account may not have: ask its owner."
    ),
    "FLOW_LIMIT_EXCEEDED": "Give subscription_id: without a Globus subscription, an identity may have one flow.",
}

# What S3 says of keys that it does not take, which a collection passes on.
_REFUSED_KEYS = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken")
_KEYS_ADVICE = (
    "The storage does not take the S3 keys of the user credential (any more): put valid ones into their Airflow "
    "connection, and run GlobusCreateUserCredentialOperator with rotate=True."
)

#: Findings that a message lists at most.
_FINDINGS = 5
_MOST_SAID = 1000


@contextmanager
def globus_errors(doing: str) -> Iterator[None]:
    """
    Translate what the SDK raises inside the block.

    :param doing: completes "… while ", for example ``listing /data on 'instrument'``.
    :raises GlobusError: always one of ours; the SDK's own error is dropped, since it may carry a response body.
    """
    import globus_sdk
    from globus_sdk.token_storage import TokenValidationError

    try:
        yield
    except globus_sdk.GlobusAPIError as error:
        translated: GlobusError = from_api_error(error, doing)
    except globus_sdk.NetworkError as error:
        cause = error.underlying_exception
        translated = GlobusUnavailableError(
            f"No answer from Globus while {doing} ({type(cause).__name__}).",
            advice="Check that this machine can reach the service; the request is tried again.",
        )
    except TokenValidationError as error:
        translated = GlobusConsentRequiredError(
            f"The token does not cover what is needed while {doing}: {error}.",
            advice="Grant the app the scopes it asks for, or log in again with them.",
        )
    else:
        return
    raise translated from None


def from_api_error(error: GlobusAPIError, doing: str) -> GlobusServiceError:
    """Our error for an answer that the SDK reports as an error."""
    body = error.raw_json if isinstance(error.raw_json, dict) else {}
    refused = refusal(body)
    code = _code(error, body)
    facts: dict[str, Any] = {
        "status": error.http_status,
        "code": code,
        "request_id": error.request_id or body.get("debug_id"),
        "retry_after": _retry_after(error.headers),
    }
    said = _tidy(refused.said) if refused else _message(error, body)
    where = f"{error.http_status} {code}" if code else str(error.http_status)
    if facts["request_id"]:
        where += f", request {facts['request_id']}"
    text = f"Globus refused {doing}: {said} ({where})."
    if refused and (consent := _unmet(refused, error.http_status, text, facts)):
        return consent
    if error.http_status == 403 and _needs_consent(error, body):
        scopes = _required_scopes(error, body)
        return GlobusConsentRequiredError(text, advice=_consent_advice(body), required_scopes=scopes, **facts)
    cls = _class_of(error.http_status, code or "", said)
    if cls is GlobusAuthError:
        return GlobusAuthError(text, advice=_auth_advice(code or ""), **facts)
    if cls is GlobusUnavailableError:
        text = f"Globus could not answer while {doing}: {said} ({where})."
    if any(word in said for word in _REFUSED_KEYS):
        advice = _KEYS_ADVICE
    else:
        advice = (refused.advice if refused else "") or _ADVICE_BY_CODE.get(code or "") or _ADVICE.get(cls, "")
    return cls(text, advice=advice, **facts)


def _unmet(refused: Refusal, status: int, text: str, facts: Mapping[str, Any]) -> GlobusConsentRequiredError | None:
    """What a collection or its endpoint demands of the login, be it answered directly or through Transfer."""
    if refused.required_scopes and status in (401, 403):
        return GlobusConsentRequiredError(
            text, advice=refused.advice, required_scopes=list(refused.required_scopes), **facts
        )
    if refused.kind != "authentication_timeout" and not refused.authorization_parameters:
        return None
    wanted = dict(refused.authorization_parameters)
    advice = refused.advice or _consent_advice({"authorization_parameters": wanted})
    return GlobusConsentRequiredError(text, advice=advice, required_scopes=wanted.get("required_scopes"), **facts)


def _class_of(status: int, code: str, said: str) -> type[GlobusServiceError]:
    if code in ("invalid_client", "invalid_grant", "unauthorized_client"):
        return GlobusAuthError
    if "TooManyPendingJobs" in code:
        return GlobusTaskLimitError
    if code == "OperationPaused":
        return GlobusUnavailableError
    if "ExternalError" in code or "EndpointError" in code:
        # Some operations name no ending; the storage's own words then tell.
        missing = GlobusNotFoundError if "No such file or directory" in said else GlobusUnavailableError
        return _BY_CODE_ENDING.get(code.rpartition(".")[2], missing)
    if status >= 500:
        return GlobusUnavailableError
    return _BY_STATUS.get(status, GlobusServiceError)


def _code(error: GlobusAPIError, body: Mapping[str, Any]) -> str | None:
    # The token endpoint answers in OAuth's shape, which the SDK leaves without a code.
    if error.code and error.code != "Error":
        return str(error.code)
    if isinstance(number := body.get("code"), int):
        return _COMPUTE_CODES.get(number)
    oauth = body.get("error")
    return oauth if isinstance(oauth, str) else None


def _message(error: GlobusAPIError, body: Mapping[str, Any]) -> str:
    # Flows lists what it found, Compute gives a reason, the token endpoint an error_description.
    said = _findings(body) or error.message or body.get("reason") or body.get("error_description") or body.get("error")
    return _tidy(said) if isinstance(said, str) and said else "no reason given"


def _tidy(said: str) -> str:
    return " ".join(said.split())[:_MOST_SAID].rstrip(".")


def _findings(body: Mapping[str, Any]) -> str:
    """Each thing that Flows, Compute or Search found wrong, and where."""
    inner, data = body.get("error"), body.get("error_data")
    detail = (inner if isinstance(inner, Mapping) else body).get("detail")
    found = [item for item in detail if isinstance(item, Mapping)] if isinstance(detail, list) else []
    listed = [f"{'.'.join(map(str, item.get('loc') or ()))}: {item.get('msg')}" for item in found]
    # Search tells them by the part of the request that they are in.
    parts = data.get("messages") if isinstance(data, Mapping) else None
    for messages in parts.values() if isinstance(parts, Mapping) else ():
        listed += _by_field(messages, "")
    more = [f"and {len(listed) - _FINDINGS} more"] if len(listed) > _FINDINGS else []
    return "; ".join([*listed[:_FINDINGS], *more])


def _by_field(messages: Any, where: str) -> list[str]:
    if isinstance(messages, Mapping):
        return [said for name, value in messages.items() for said in _by_field(value, f"{where}.{name}".strip("."))]
    return [f"{where}: {said}" for said in (messages if isinstance(messages, list) else [messages])]


def _retry_after(headers: Mapping[str, str] | None) -> float | None:
    try:
        return float((headers or {})["Retry-After"])
    except (KeyError, ValueError):
        return None


def _needs_consent(error: GlobusAPIError, body: Mapping[str, Any]) -> bool:
    return bool(error.info.consent_required or error.info.authorization_parameters) or (
        body.get("error") == "dependent_consent_required"
    )


def _required_scopes(error: GlobusAPIError, body: Mapping[str, Any]) -> list[str]:
    named = (
        error.info.consent_required.required_scopes
        or (body.get("authorization_parameters") or {}).get("required_scopes")
        or []
    )
    return [str(scope) for scope in named]


def _consent_advice(body: Mapping[str, Any]) -> str:
    wanted = body.get("authorization_parameters") or {}
    if wanted.get("session_required_mfa"):
        return (
            "The collection demands multi-factor authentication, which a service account cannot do: "
            "use a guest collection, or have its administrator exempt this identity."
        )
    if domains := wanted.get("session_required_single_domain"):
        return (
            f"The collection demands an identity of the domain {_listed(domains)}: "
            "use a connection with such an identity, or a guest collection."
        )
    if identities := wanted.get("session_required_identities"):
        return f"The service demands a recent login of the identity {_listed(identities)}: log in again as that."
    if wanted.get("session_required_policies"):
        return "An authentication policy of the collection is not met: ask its administrator to admit this identity."
    return "Grant the consent: log in again with the scope that Globus names, or let a service account act."


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _auth_advice(code: str) -> str:
    if code == "invalid_client":
        return (
            "The client id and secret do not match: check login and password of the connection, "
            "and that the secret was not deleted under https://app.globus.org/settings/developers."
        )
    if code == "invalid_grant":
        return "The refresh token was revoked or has expired: log in again and store the new one in the connection."
    return "The token was refused: check that the app of the connection still exists and may use this service."
