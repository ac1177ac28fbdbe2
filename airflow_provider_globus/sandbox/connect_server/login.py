"""How the data side of Connect Server turns somebody away: GridFTP's answer to a login, as Transfer passes it on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.connect_server.errors import envelope
from airflow_provider_globus.sandbox.storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_RESULT = "530-GridFTP-JSON-Result: "


def login_detail(error: StorageError) -> dict[str, Any] | None:
    """Return the typed document of a login that failed."""
    for line in (error.login or "").split("\r\n"):
        if line.startswith(_RESULT):
            detail: dict[str, Any] | None = json.loads(line.removeprefix(_RESULT))["detail"]
            return detail
    return None


def login_denied(message: str, detail: Mapping[str, Any], *, code: str = "AUTH") -> StorageError:
    """Return the error of a login that fails.

    :param detail: Connect Server's typed document of the reason.
    :param code: what a task says.
    """
    document = envelope(status=403, code="permission_denied", message=message, detail=dict(detail))
    del document["data"]
    said = (
        "530-Login incorrect. : Mapping collection to specified ID failed.",
        "530-GlobusError: v=1 c=LOGIN_DENIED",
        f"530-GridFTP-Message: {message}",
        f"{_RESULT}{json.dumps(document)}",
        "530 End.",
    )
    return StorageError(code, message, login="\r\n".join(said))


def wrong_domain(allowed: Iterable[str]) -> StorageError:
    """Return the error of an identity whose domain the storage gateway does not take."""
    domains = list(allowed)
    return login_denied(
        "None of your identities are from domains allowed by resource policies",
        {"DATA_TYPE": "not_from_allowed_domain#1.0.0", "allowed_domains": domains},
    )


def session_denied(message: str, wanted: Mapping[str, Any], *, identity_id: str, high_assurance: bool) -> StorageError:
    """Return the error of a login that is too old or too weak.

    :param wanted: the ``authorization_parameters`` that it lacks.
    """
    if domains := wanted.get("session_required_single_domain"):
        return wrong_domain(domains)
    detail = {
        "DATA_TYPE": "authentication_timeout#1.1.0",
        "high_assurance": high_assurance,
        "identities": [identity_id],
        "require_mfa": bool(wanted.get("session_required_mfa")),
    }
    return login_denied(message, detail)


def invalid_user(accounts: Iterable[str]) -> StorageError:
    """Return the error of an identity without an account that may be used."""
    return login_denied(
        "Identity set contains an identity from an allowed domain, but it does not map to a valid username for this "
        "connector",
        {"DATA_TYPE": "invalid_user#1.0.0", "usernames": list(accounts)},
    )


def credential_not_found(account: str, identity_id: str, gateway_id: str) -> StorageError:
    """Return the error of an account that lacks the credential its storage needs."""
    entry = {
        "DATA_TYPE": "account#1.0.0",
        "identity_id": identity_id,
        "storage_gateway_id": gateway_id,
        "username": account,
    }
    return login_denied(
        "No valid user credential is registered for this storage gateway",
        {"DATA_TYPE": "credential_not_found#1.0.0", "accounts": [entry]},
        code="NO_CREDENTIALS",
    )


def invalid_credential(credential_id: str) -> StorageError:
    """Return the error of a credential that has to be mended first."""
    return login_denied(
        "The user credential is not valid",
        {"DATA_TYPE": "invalid_credential#1.0.0", "user_credential_id": credential_id},
        code="INVALID_SERVICE_CREDENTIAL",
    )
