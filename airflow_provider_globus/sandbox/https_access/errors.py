"""How HTTPS access says no.

To programs, that they have to log in: JSON; anything else in the words of the server behind it, as text. A fault of
that server is told with the status of a missing file, 404, as has been observed of Connect Servers: only the text tells
the two apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_globus.sandbox.storage import StorageError

UNAUTHENTICATED = "Unauthorized"
FORBIDDEN = "PermissionDenied"

# Status, the server's own code, error number and its text.
_REFUSALS = {
    "FILE_NOT_FOUND": (404, "PATH_NOT_FOUND", 2, "No such file or directory"),
    "NOT_A_DIRECTORY": (404, "PATH_NOT_FOUND", 20, "Not a directory"),
    "PERMISSION_DENIED": (403, "PERMISSION_DENIED", 13, "Permission denied"),
    "IS_A_DIRECTORY": (400, "IS_A_DIRECTORY", 21, "Is a directory"),
    "NOT_A_FILE": (400, "NOT_A_FILE", 22, "Not a regular file"),
    "INVALID_PATH_NAME": (400, "INVALID_PATH_NAME", 22, "Invalid path"),
    "QUOTA_EXCEEDED": (507, "QUOTA_EXCEEDED", 122, "Disk quota exceeded"),
    "NO_SPACE_LEFT": (507, "NO_SPACE", 28, "No space left on device"),
}
# What keeps an identity from the storage, whatever the path.
_LOGIN_REFUSALS = ("AUTH", "NO_CREDENTIALS", "INVALID_SERVICE_CREDENTIAL")
_SERVER_FAULT = (
    "Mapping collection to specified ID failed.\nGlobusError: v=1 c=ENDPOINT_ERROR\nGCS Manager Internal Error"
)
#: Code of the way to the login that a browser is shown.
LOGIN_PAGE = "Found"
CONFIRMED = ("PATH_NOT_FOUND", "ENDPOINT_ERROR", UNAUTHENTICATED, LOGIN_PAGE)


def render_error(error: ServiceError, request_id: str, resource: str) -> dict[str, Any] | str:
    """Return JSON for who has to log in, text for everybody else."""
    if "authorization_parameters" in error.extra:
        return {"code": error.code, "message": error.message}
    return f"{error.message}\n"


def refused(error: StorageError) -> ServiceError:
    """Return the refusal for what the storage said."""
    if error.code in _LOGIN_REFUSALS:
        text = error.login or f"530-GlobusError: v=1 c=LOGIN_DENIED\n530-GridFTP-Message: {error.message}\n530 End."
        return ServiceError(403, "LOGIN_DENIED", text)
    if error.code not in _REFUSALS:
        text = (
            "Mapping collection to specified ID failed.\nGlobusError: v=1 c=ENDPOINT_ERROR\nGCS Manager Internal Error"
        )
        return ServiceError(404, "ENDPOINT_ERROR", text)
    status, code, number, reason = _REFUSALS[error.code]
    return ServiceError(
        status,
        code,
        f"GlobusError: v=1 c={code}\nGridFTP-Errno: {number}\nGridFTP-Reason: System error\n"
        f"GridFTP-Error-String: {reason}",
    )


def login_required(message: str, scopes: Iterable[str]) -> ServiceError:
    """Refuse a program without a token that serves, and name the scopes it needs."""
    return ServiceError(
        401,
        UNAUTHENTICATED,
        message,
        headers={"WWW-Authenticate": "Bearer"},
        extra={"authorization_parameters": {"session_message": message, "required_scopes": list(scopes)}},
    )


def denied(message: str) -> ServiceError:
    """Refuse an identity that may not."""
    return ServiceError(403, FORBIDDEN, f"GlobusError: v=1 c=PERMISSION_DENIED\n{message}")
