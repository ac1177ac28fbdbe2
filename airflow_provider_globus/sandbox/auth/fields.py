"""Reads the documents that the developer API is sent, and refuses what it cannot take."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from airflow_provider_globus.sandbox import json_text
from airflow_provider_globus.sandbox.auth import errors

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.service import ServiceRequest

#: Returns a value as it is kept; ValueError says what is wrong with it.
Check: TypeAlias = Callable[[Any], Any]

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def sent(
    request: ServiceRequest, kind: str, checks: Mapping[str, Check], required: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the fields of the document that a request has under its kind, such as ``project``.

    :param checks: of every field it may have.
    """
    try:
        document = json_text.read(request.body)
    except ValueError as error:
        raise errors.bad_request(f"The request body is not valid JSON: {error}") from None
    fields = document.get(kind) if isinstance(document, dict) else None
    if not isinstance(fields, dict):
        raise errors.bad_request(f"The request body must be an object with the object {kind!r}")
    if unknown := sorted(set(fields) - set(checks)):
        raise errors.bad_request(f"A {kind} takes no {', '.join(unknown)} here")
    if missing := [name for name in required if fields.get(name) is None]:
        raise errors.bad_request(f"A {kind} needs {', '.join(missing)}")
    found = {}
    for name, value in fields.items():
        try:
            found[name] = checks[name](value)
        except ValueError as error:
            raise errors.bad_request(f"{name} {error}") from None
    return found


def text(value: Any) -> str:
    """Take some text."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"must be some text, not {value!r}")
    return value


def line(value: Any) -> str:
    """Take text without line breaks."""
    if len(text(value).splitlines()) > 1:
        raise ValueError("must not have line breaks")
    return text(value)


def flag(value: Any) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {value!r}")
    return value


def seconds(value: Any) -> int:
    """Take a number of seconds."""
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ValueError(f"must be a whole number of seconds, not {value!r}")
    return value


def uuid_text(value: Any) -> str:
    """Take a UUID."""
    try:
        return str(uuid.UUID(text(value)))
    except ValueError:
        raise ValueError(f"must be a UUID, not {value!r}") from None


def one_of(*choices: str) -> Check:
    """Take one of some words."""

    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}, not {value!r}")
        return str(value)

    return check


def list_of(check: Check) -> Check:
    """Take a list; it is kept as a tuple."""

    def each(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError(f"must be a list, not {value!r}")
        return tuple(check(item) for item in value)

    return each


def or_null(check: Check) -> Check:
    """Take null as well."""
    return lambda value: None if value is None else check(value)


def redirect_uri(value: Any) -> str:
    """Take a URI that a browser may be sent to with a code: https, or of its own machine, or of an app of its own."""
    parts = urlsplit(text(value))
    plain = parts.scheme == "http" and not is_loopback(parts.hostname)
    if not parts.scheme or parts.fragment or plain or parts.port == 0:
        raise ValueError(f"must be https, or http of localhost, and have no fragment, which {value!r} is not")
    return str(value)


def is_loopback(host: str | None) -> bool:
    """Tell whether a host is the browser's own machine."""
    return host in _LOOPBACK
