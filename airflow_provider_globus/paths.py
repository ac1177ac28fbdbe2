"""Paths on collections: checked before they leave, joined the way Globus writes them."""

from __future__ import annotations

import posixpath
import re

from airflow_provider_globus.exceptions import GlobusInputError

# Compiled on first use: DAG files that are only parsed check no path.
_URL = r"[A-Za-z][A-Za-z0-9+.-]*://"
_DRIVE = r"[A-Za-z]:[\\/]"


def check_path(path: object, argument: str) -> str:
    """
    Return ``path`` when Globus can mean one place by it.

    :param argument: what the error calls it.
    :raises GlobusInputError: for anything but an absolute path, with the likely fix.
    """
    if not isinstance(path, str) or not path:
        raise GlobusInputError(f"{argument} must be a path, not {path!r}.", advice="Give a path such as /data/run1/.")
    if any(ord(character) < 32 for character in path):
        raise GlobusInputError(f"{argument} {path!r} contains a control character, which Globus does not take.")
    if re.match(_URL, path):
        raise GlobusInputError(
            f"{argument} {path!r} is a URL.", advice="Name the collection in its own argument and give the path on it."
        )
    if re.match(_DRIVE, path) or "\\" in path:
        raise GlobusInputError(f"{argument} {path!r} looks like a Windows path.", advice="Write it as /C/data/file.")
    if not path.startswith(("/", "~")):
        raise GlobusInputError(
            f"{argument} {path!r} is relative.",
            advice=f"Write /{path} from the collection's root, or /~/{path} from the identity's home.",
        )
    return path


def join(directory: str, *names: str) -> str:
    """The path of ``names`` below ``directory``."""
    return posixpath.join(directory, *names)


def parent(path: str) -> str:
    """The directory that holds ``path``."""
    return posixpath.dirname(path.rstrip("/")) or "/"


def name(path: str) -> str:
    """The last part of ``path``."""
    return posixpath.basename(path.rstrip("/"))
