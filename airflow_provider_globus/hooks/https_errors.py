"""What the server of a collection answers over HTTPS, translated into our errors: it speaks in text, mostly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.exceptions import (
    GlobusBadRequestError,
    GlobusConsentRequiredError,
    GlobusNotFoundError,
    GlobusPermissionError,
    GlobusServiceError,
    GlobusUnavailableError,
)
from airflow_provider_globus.hooks.errors import from_api_error, globus_errors
from airflow_provider_globus.hooks.gcs_errors import refusal

if TYPE_CHECKING:
    from globus_sdk import GlobusAPIError

#: The server's code for a missing file or directory.
MISSING = "PATH_NOT_FOUND"

_CODE = re.compile(r"GlobusError: v=1 c=([A-Z_]+)")
_FAULTS = ("ENDPOINT_ERROR", "INTERNAL_ERROR", "GCS Manager Internal Error")
_MOST_SAID = 500

_BY_STATUS: dict[int, tuple[type[GlobusServiceError], str]] = {
    400: (GlobusBadRequestError, "Give the path of a file: directories are made, listed and deleted through Transfer."),
    403: (
        GlobusPermissionError,
        "Give the identity of this connection access: a role or an access rule on the collection, "
        "or permission on the storage behind it.",
    ),
    404: (GlobusNotFoundError, "Check the path; it begins at the root of the collection."),
    507: (GlobusServiceError, "Make room on the collection's storage."),
}


def is_server_fault(status: int, text: str) -> bool:
    """
    Whether the server of a collection failed and answers as if a file was missing.

    One server of several may be ill, and what it answers has status 404, as for a missing file; only the text tells.
    """
    if status != 404 or MISSING in text or re.search(r"GridFTP-Errno: 2\b", text):
        return False
    return any(sign in text for sign in _FAULTS)


@contextmanager
def https_errors(doing: str) -> Iterator[None]:
    """
    Translate what the SDK raises inside the block.

    :param doing: completes "… while ", for example ``reading /done on 'instrument'``.
    :raises GlobusError: always one of ours.
    """
    import globus_sdk

    with globus_errors(doing):
        try:
            yield
        except globus_sdk.GlobusAPIError as error:
            translated = _translate(error, doing)
        else:
            return
    raise translated from None


def _translate(error: GlobusAPIError, doing: str) -> GlobusServiceError:
    request_id = error.request_id or (error.headers or {}).get("X-Request-Id")
    where = f"{error.http_status}" + (f", request {request_id}" if request_id else "")
    facts: dict[str, Any] = {"status": error.http_status, "request_id": request_id}
    if scopes := _required_scopes(error):
        return GlobusConsentRequiredError(
            f"The collection's server asks for another login while {doing} ({where}).",
            advice=f"Log in again with the scope {' '.join(scopes)} and store that refresh token in the connection, "
            "or let a service account act.",
            required_scopes=scopes,
            **facts,
        )
    found = _CODE.search(error.text)
    if found is None:
        return from_api_error(error, doing)
    code, said = found.group(1), " ".join(error.text.split())[:_MOST_SAID]
    if is_server_fault(error.http_status, error.text):
        return GlobusUnavailableError(
            f"The collection's server failed while {doing}: {said} ({where}).",
            advice="It answers so when something behind it fails, which is no sign that a file is missing, "
            "and usually passes.",
            code=code,
            **facts,
        )
    cls, advice = _BY_STATUS.get(error.http_status, (GlobusUnavailableError, "This usually passes."))
    # Whom the server lets in at all it decides with its manager, whose reason it hands on.
    reason = refusal({"message": error.text})
    if reason is not None:
        said, advice = reason.said, reason.advice or advice
    return cls(f"Globus refused {doing}: {said} ({where}).", advice=advice, code=code, **facts)


def _required_scopes(error: GlobusAPIError) -> list[str]:
    body = error.raw_json if isinstance(error.raw_json, dict) else {}
    wanted = body.get("authorization_parameters")
    named = wanted.get("required_scopes") if isinstance(wanted, dict) else None
    return [str(scope) for scope in named or ()]
