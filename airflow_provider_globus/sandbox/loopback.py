"""Where a sandbox listens: on loopback, unless it is told otherwise."""

from __future__ import annotations

import ipaddress
import socket


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
