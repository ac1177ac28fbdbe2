"""Path arithmetic of collections: one place that decides what a path a client sent may mean.

A collection path is an absolute POSIX path inside the collection. It is never decoded a second time: `%2e%2e`
that survives the HTTP layer is a file name, not a way up.
"""

from __future__ import annotations

import posixpath

from airflow_provider_globus.sandbox.storage.errors import StorageError

_FORBIDDEN = {"\x00": "NUL", "\r": "carriage return", "\n": "line feed"}


def clean(path: str, home: str = "/") -> str:
    """Return the absolute, normalised form of `path` (no trailing slash but for the root itself).

    `~` and `/~/` stand for `home`, a relative path starts there. `..` is folded in the text; a path that
    climbs over the root is refused and not silently cut, so that a wrong template shows.
    """
    for character, name in _FORBIDDEN.items():
        if character in path:
            raise StorageError("INVALID_PATH_NAME", f"Path contains a {name}", path)
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        raise StorageError("INVALID_PATH_NAME", "Path is not valid UTF-8", path) from None
    return _fold(_expand_home(path, home), path)


def _expand_home(path: str, home: str) -> str:
    for prefix in ("/~", "~"):
        if path == prefix or path.startswith(prefix + "/"):
            return home.rstrip("/") + "/" + path[len(prefix) :].lstrip("/")
    if path.startswith("/"):
        return path
    return home.rstrip("/") + "/" + path


def _fold(path: str, original: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            raise StorageError("INVALID_PATH_NAME", "Path leads outside of the collection", original)
    return "/" + "/".join(parts)


def join(directory: str, name: str) -> str:
    """Return the path of the entry `name` of `directory`; a name that is more than one step is refused."""
    if name in ("", ".", "..") or "/" in name or "\x00" in name:
        raise StorageError("INVALID_PATH_NAME", f"{name!r} cannot be the name of a file", directory)
    return posixpath.join(directory, name)


def rebase(path: str, base: str) -> str:
    """Return the path in the host collection of `path` in a guest collection rooted at `base`."""
    return base.rstrip("/") + path if path != "/" else (base.rstrip("/") or "/")


def is_within(path: str, directory: str) -> bool:
    """Tell whether clean `path` is `directory` or lies below it."""
    return directory == "/" or path == directory or path.startswith(directory + "/")
