"""The one kind of error a sandbox service raises; `app.py` renders it in the shape of the service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ServiceError(Exception):
    """A refusal that reaches the client as an HTTP answer.

    :param status: HTTP status.
    :param code: the service's own error code, such as ``ClientError.NotFound``.
    :param message: text for people.
    :param headers: extra HTTP headers, such as ``Retry-After``.
    :param extra: fields merged into the body the service renders.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


class NotServed(ServiceError):
    """The real service answers this, the sandbox does not (yet): HTTP 501, and it says so.

    :param what: what was asked for, for example ``GET /v0.10/bookmark_list``.
    :param but: what would make the sandbox serve it, for example ``without an AMQP broker``.
    """

    def __init__(self, what: str, but: str = "yet") -> None:
        super().__init__(501, "NotServed", f"The Globus sandbox does not serve {what} {but}")
