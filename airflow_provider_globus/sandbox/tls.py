"""TLS on loopback: a certificate authority of the sandbox's own, for clients that speak nothing but https.

The SDK's ``GCSClient`` and the data access of collections do. Who is to trust the sandbox is given the authority's
certificate (`ca_file`); its key never leaves the process, and ends with it.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from pathlib import Path

_NAMES = ("localhost", "127.0.0.1", "::1")


class LoopbackAuthority:
    """A certificate authority and the server certificate it issued.

    :param host: the address that the server listens on, beside loopback's names.
    :param ca_file: where the authority's certificate is written; a temporary file, which `close` removes, when left
        out.
    """

    def __init__(self, host: str, ca_file: str | os.PathLike[str] | None = None) -> None:
        import trustme  # costs some 60 ms, which a sandbox that is only asked for its help need not pay

        authority = trustme.CA(organization_name="Globus sandbox", organization_unit_name="loopback only")
        certificate = authority.issue_cert(*dict.fromkeys((*_NAMES, host)))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self.context)
        self._is_temporary = ca_file is None
        self.ca_file = Path(ca_file) if ca_file is not None else _temporary_file()
        self.ca_file.write_bytes(authority.cert_pem.bytes())

    def close(self) -> None:
        """Remove the file, if it was a temporary one."""
        if self._is_temporary:
            with contextlib.suppress(FileNotFoundError):
                self.ca_file.unlink()


def _temporary_file() -> Path:
    handle, name = tempfile.mkstemp(prefix="globus-sandbox-ca-", suffix=".pem")
    os.close(handle)
    return Path(name)
