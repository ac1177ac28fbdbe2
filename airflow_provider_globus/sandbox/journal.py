"""The record of every request the sandbox answered, with all that is secret masked before it is kept."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qsl

from airflow_provider_globus.sandbox import json_text

MASK = "***"
_MOST_ENTRIES = 100_000
# A manifest of a million files would fill the memory: what is larger is noted by its size only.
_LARGEST_BODY = 256 * 1024
# A field whose name contains one of these holds a secret …
_SECRET_NAMES = ("secret", "token", "password", "passwd", "authorization", "credential_value", "private_key")
_SECRET_EXACT = {
    "assertion",
    "aws_access_key_id",
    "ceph_admin_key_id",
    "code_verifier",
    "cookie",
    "passphrase",
    "privatekey",
    "s3_access_key_id",
    "s3_key_id",
    "service_account_key",
}
# … unless it only speaks about one.
_NOT_SECRET = {"token_type", "token_type_hint", "next_token", "pagination_token", "other_tokens"}
# The shape of every token the sandbox issues (see auth/state.py), wherever it turns up.
_ISSUED_TOKEN = re.compile(r"\bAg[0-9A-Za-z]{40,}\b")


@dataclass(frozen=True)
class Entry:
    """One answered request.

    `route` is what serves it, such as ``/v0.10/task/{task_id}``, or null when nothing does; `code` is the code
    field of the answer (or of its error), `fault` the id of the injected fault that met it.
    """

    seq: int
    time: str
    service: str
    method: str
    path: str
    route: str | None
    query: dict[str, list[str]]
    status: int | None
    identity: str | None
    request_id: str
    user_agent: str
    body: Any
    code: str | None
    fault: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return the entry as a JSON document."""
        return asdict(self)


class Journal:
    """The last 100,000 requests, oldest first; safe to use from any thread."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=_MOST_ENTRIES)
        # Replaced, never changed: requests read it while a secret is added.
        self._protected: tuple[str, ...] = ()
        self._lock = threading.Lock()
        self._seq = 0

    def protect(self, secret: str | None) -> None:
        """Mask this very text wherever a request carries it."""
        if secret:
            with self._lock:
                # The longest first: one that begins like another must not leave its end behind.
                self._protected = tuple(sorted({*self._protected, secret}, key=len, reverse=True))

    def record(
        self,
        *,
        query: Iterable[tuple[str, str]],
        body: bytes,
        content_type: str,
        path: str,
        user_agent: str,
        **fields: Any,
    ) -> Entry:
        """Mask a request and keep it."""
        masked_query: dict[str, list[str]] = {}
        for name, value in query:
            masked_query.setdefault(name, []).append(self._mask_field(name, value))
        masked_body = self._mask(_parse(body, content_type))
        with self._lock:
            self._seq += 1
            entry = Entry(
                seq=self._seq,
                query=masked_query,
                body=masked_body,
                path=self._mask_text(path),
                user_agent=self._mask_text(user_agent),
                **fields,
            )
            self._entries.append(entry)
        return entry

    @property
    def entries(self) -> list[Entry]:
        """All entries kept, oldest first."""
        with self._lock:
            return list(self._entries)

    def requests(self, service: str | None = None, method: str | None = None, path: str | None = None) -> list[Entry]:
        """Return the entries that match; `path` is a glob such as ``/v0.10/task/*``."""
        return [
            entry
            for entry in self.entries
            if (service is None or entry.service == service)
            and (method is None or entry.method == method.upper())
            and (path is None or fnmatchcase(entry.path, path))
        ]

    def count(self, service: str | None = None, method: str | None = None, path: str | None = None) -> int:
        """Return how many requests match."""
        return len(self.requests(service, method, path))

    def clear(self) -> None:
        """Forget all entries."""
        with self._lock:
            self._entries.clear()

    def _mask(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {self._mask_text(str(name)): self._mask_field(str(name), item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._mask(item) for item in value]
        return self._mask_text(value) if isinstance(value, str) else value

    def _mask_field(self, name: str, value: Any) -> Any:
        if is_secret_name(name) and value not in (None, ""):
            return MASK
        return self._mask(value)

    def _mask_text(self, text: str) -> str:
        for secret in self._protected:
            text = text.replace(secret, MASK)
        return _ISSUED_TOKEN.sub(MASK, text)


def is_secret_name(name: str) -> bool:
    """Tell whether a field of this name holds a secret."""
    folded = name.lower().replace("-", "_")
    if folded in _NOT_SECRET:
        return False
    return folded in _SECRET_EXACT or any(part in folded for part in _SECRET_NAMES)


def _parse(body: bytes, content_type: str) -> Any:
    """Return what was sent as something that can be masked and read; None when nothing was."""
    if not body:
        return None
    if len(body) > _LARGEST_BODY:
        return {"_omitted": f"{len(body)} bytes"}
    if content_type.startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        return json_text.read(body)
    except ValueError:
        # Unreadable text might hold anything, so none of it is kept.
        return {"_unreadable": f"{len(body)} bytes"}
