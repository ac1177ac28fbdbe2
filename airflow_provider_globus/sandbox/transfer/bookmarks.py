"""Bookmarks: names that identities give to folders of collections; each is its owner's alone."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.provisional import PROVISIONAL
from airflow_provider_globus.sandbox.storage import StorageError
from airflow_provider_globus.sandbox.storage.paths import clean
from airflow_provider_globus.sandbox.transfer.errors import bad_request

if TYPE_CHECKING:
    from collections.abc import Callable

NAME_LENGTH = 128


@dataclass(frozen=True)
class Bookmark:
    """A bookmark; it outlives its collection."""

    id: str
    owner_id: str
    collection_id: str
    name: str
    path: str
    pinned: bool = False


class Bookmarks:
    """The bookmarks of one sandbox; safe to use from any thread."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._lock = threading.Lock()
        self._bookmarks: dict[str, Bookmark] = {}
        self._base: dict[str, Bookmark] = {}

    def of(self, owner_id: str) -> list[Bookmark]:
        """Return the bookmarks of an identity, the oldest first."""
        with self._lock:
            return [item for item in self._bookmarks.values() if item.owner_id == owner_id]

    def get(self, owner_id: str, bookmark_id: str) -> Bookmark:
        """Return a bookmark of an identity; for everybody else it is not there."""
        found = self._bookmarks.get(bookmark_id.casefold())
        if found is None or found.owner_id != owner_id:
            raise ServiceError(404, "BookmarkNotFound", f"No such bookmark '{bookmark_id}'")
        return found

    def add(self, owner_id: str, collection_id: str, name: Any, path: Any, pinned: Any = False) -> Bookmark:
        """Make a bookmark."""
        made = Bookmark(self._new_id(), owner_id, collection_id, _name(name), _path(path), _pinned(pinned))
        return self._put(made)

    def change(self, bookmark: Bookmark, **changes: Any) -> Bookmark:
        """Take over a new ``name``, ``path`` or ``pinned``."""
        checks: dict[str, Callable[[Any], Any]] = {"name": _name, "path": _path, "pinned": _pinned}
        return self._put(replace(bookmark, **{name: checks[name](value) for name, value in changes.items()}))

    def remove(self, bookmark: Bookmark) -> None:
        """Forget a bookmark."""
        with self._lock:
            self._bookmarks.pop(bookmark.id, None)

    def _put(self, bookmark: Bookmark) -> Bookmark:
        with self._lock:
            others = (item for item in self._bookmarks.values() if item.id != bookmark.id)
            if any((item.owner_id, item.name) == (bookmark.owner_id, bookmark.name) for item in others):
                # Names are unique; how the service says so could not be confirmed.
                raise ServiceError(
                    409, "Exists", f"A bookmark with the name '{bookmark.name}' already exists", headers=PROVISIONAL
                )
            self._bookmarks[bookmark.id] = bookmark
        return bookmark

    def mark(self) -> None:
        """Remember the present bookmarks as what `reset` goes back to."""
        with self._lock:
            self._base = dict(self._bookmarks)

    def reset(self) -> None:
        """Go back to the marked bookmarks."""
        with self._lock:
            self._bookmarks = dict(self._base)

    def snapshot(self) -> list[dict[str, Any]]:
        """Return all bookmarks in a few words."""
        with self._lock:
            return [
                {
                    "id": item.id,
                    "owner": item.owner_id,
                    "name": item.name,
                    "target": f"{item.collection_id}:{item.path}",
                }
                for item in self._bookmarks.values()
            ]


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name or name != name.strip() or any(sign in name for sign in "\r\n"):
        raise bad_request("Field 'name' must be a text without line breaks and without blanks around it")
    if len(name) > NAME_LENGTH:
        raise bad_request(f"Field 'name' must be at most {NAME_LENGTH} characters, got {len(name)}")
    return name


def _path(path: Any) -> str:
    if not isinstance(path, str) or not path:
        raise bad_request(f"Field 'path' must be the path of a directory, got {path!r}")
    try:
        clean(path)
    except StorageError as error:
        raise bad_request(f"Invalid path: {error.message}", "InvalidPath") from None
    return path


def _pinned(pinned: Any) -> bool:
    if not isinstance(pinned, bool):
        raise bad_request(f"Field 'pinned' must be true or false, got {pinned!r}")
    return pinned
