"""Requests as bytes on the wire, sent to the sandbox's app without a network, or over HTTP."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from airflow_provider_globus.sandbox.app import build_app

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.world import World

#: No request may take longer, on however busy a machine.
PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class Sent:
    """One request.

    :param target: path and query, as in the request line.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)

    def __str__(self) -> str:
        shown = self.body if len(self.body) < 4000 else self.body[:4000] + b"... %d bytes" % len(self.body)
        return f"{self.method} {self.target}\n{dict(self.headers)}\n{shown!r}"

    @property
    def fits(self) -> bool:
        """Whether a server takes it at all: each has methods that it knows and a limit on the first line."""
        return self.method != "X" and len(self.target) < 60_000

    @property
    def text(self) -> str:
        """All that was sent, decoded as far as it can be: what an answer may repeat."""
        return "\n".join(
            (unquote(self.target), *(value for _, value in self.headers), self.body.decode("utf-8", "replace"))
        )


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    @property
    def content_type(self) -> str:
        """What kind of body it has."""
        return self.headers.get("content-type", "").partition(";")[0]

    def json(self) -> Any:
        """The document, which must be JSON as RFC 8259 has it."""
        return json.loads(self.body.decode("utf-8"), parse_constant=_no_json)


def _no_json(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


class InProcess:
    """The app, called as its server would, which is ten times as fast as HTTP."""

    def __init__(self, world: World) -> None:
        self._app = build_app(world)
        self._loop = asyncio.new_event_loop()

    def close(self) -> None:
        """End the loop."""
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def send(self, sent: Sent) -> Reply:
        """Return the answer; a TimeoutError when it takes too long."""
        return self._loop.run_until_complete(asyncio.wait_for(self._send(sent), PATIENCE_SECONDS))

    async def _send(self, sent: Sent) -> Reply:
        path, _, query = sent.target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": ("127.0.0.1", 80),
            "client": ("127.0.0.1", 1),
            "scheme": "http",
            "method": sent.method,
            "root_path": "",
            # As uvicorn does it.
            "path": unquote(path),
            "raw_path": path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in sent.headers],
        }
        waiting = [{"type": "http.request", "body": sent.body, "more_body": False}]
        told: dict[str, Any] = {}
        body = bytearray()

        async def receive() -> dict[str, Any]:
            if waiting:
                return waiting.pop()
            # Nobody hangs up: whoever waits for that is cancelled.
            await asyncio.get_running_loop().create_future()
            raise AssertionError

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                told.update(message)
            else:
                body.extend(message.get("body", b""))

        began = time.monotonic()
        await self._app(scope, receive, send)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in told["headers"]}
        return Reply(told["status"], headers, bytes(body), time.monotonic() - began)


class OverHttp:
    """A connection to a running sandbox; one for each thread."""

    def __init__(self, url: str) -> None:
        self._address = url.partition("://")[2]
        self._connection = http.client.HTTPConnection(self._address, timeout=PATIENCE_SECONDS)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def send(self, sent: Sent) -> Reply:
        """Return the answer; a TimeoutError when it takes too long."""
        began = time.monotonic()
        try:
            self._connection.request(sent.method, sent.target, sent.body or None, dict(sent.headers))
            answer = self._connection.getresponse()
            body = answer.read()
        except Exception:
            self._connection.close()
            raise
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, headers, body, time.monotonic() - began)
