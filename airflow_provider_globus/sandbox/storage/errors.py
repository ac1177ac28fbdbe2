"""The one error of every storage backend, in the words Globus uses for faults."""

from __future__ import annotations


class StorageError(Exception):
    """A file operation that failed; `code` is a Globus event code such as FILE_NOT_FOUND."""

    def __init__(self, code: str, message: str, path: str = "") -> None:
        super().__init__(f"{code}: {message} ({path})" if path else f"{code}: {message}")
        self.code = code
        self.message = message
        self.path = path
