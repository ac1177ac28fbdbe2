"""The one error of every storage backend, in the words Globus uses for faults."""

from __future__ import annotations


class StorageError(Exception):
    """A file operation that failed.

    :param code: a Globus event code such as FILE_NOT_FOUND.
    :param login: what the server said, line by line, when it did not let somebody in at all.
    """

    def __init__(self, code: str, message: str, path: str = "", *, login: str | None = None) -> None:
        super().__init__(f"{code}: {message} ({path})" if path else f"{code}: {message}")
        self.code = code
        self.message = message
        self.path = path
        self.login = login
