"""Where a sandbox listens, on loopback unless it is told otherwise, and the server that answers there."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    import ssl

    from starlette.types import ASGIApp

# Longer than any test: a server that closes idle connections makes clients see errors it never meant.
_KEEP_ALIVE_SECONDS = 3600
_START_SECONDS = 30.0
_STOP_SECONDS = 5.0


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; OSError says why it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise OSError(error.errno, f"The Globus sandbox cannot listen on {host}:{port}: {error.strerror}") from None


def require_loopback(host: str) -> None:
    """Raise ValueError for an address that others than this machine reach."""
    try:
        addresses = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError:
        addresses = set()
    if addresses and all(ipaddress.ip_address(address).is_loopback for address in addresses):
        return
    raise ValueError(
        f"The Globus sandbox listens on loopback only, and {host!r} is not: whoever reaches it may read and write "
        "the folders and buckets of its collections, its control plane takes no credentials, and a client of it "
        "may be sent real ones by mistake. On a network you trust, say allow_non_loopback=True "
        "(--allow-non-loopback)."
    )


def port_of(listener: socket.socket) -> int:
    """Return the port a socket listens on."""
    return int(listener.getsockname()[1])


class LoopbackServer(uvicorn.Server):
    """uvicorn in a thread that starts and stops at once, where its own loops look about ten times a second.

    :param context: for TLS.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                date_header=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                ssl_context_factory=None if context is None else lambda config, default: context,
            )
        )
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._listener = listener
        self._thread = threading.Thread(
            target=self._serve_on_listener, name=f"globus-sandbox-{port_of(listener)}", daemon=True
        )

    def start(self) -> None:
        """Serve, from a thread, until `stop`."""
        self._thread.start()

    def _serve_on_listener(self) -> None:
        with self._listener:
            self.run([self._listener])

    def wait_until_ready(self) -> None:
        """Return once requests are answered."""
        if not self._ready.wait(_START_SECONDS):
            raise RuntimeError(f"The Globus sandbox did not start within {_START_SECONDS:g} seconds")

    def join(self) -> None:
        """Wait for the end that `stop` asked for."""
        self._thread.join(_STOP_SECONDS)

    def stop(self) -> None:
        """Ask the server, from another thread, to end."""
        if self._loop is not None and self._stopping is not None:
            # The loop may have ended by itself; then there is nothing left to stop.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stopping.set)

    async def main_loop(self) -> None:
        """Wait for `stop`."""
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        await self.on_tick(0)
        self._ready.set()
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close everything without waiting for clients that keep their connections open."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()
        await asyncio.gather(*self.server_state.tasks, return_exceptions=True)
