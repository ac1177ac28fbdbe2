"""The memory of the Search service: indexes and what is in them."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.auth.state import DEFAULT_CLIENT_ID
from airflow_provider_globus.sandbox.search.models import (
    DELETE_PENDING,
    PENDING,
    SUCCESS,
    Entry,
    Index,
    Key,
    Role,
    SearchTask,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_globus.sandbox.world import World

IDENTITY = "urn:globus:auth:identity:"


class SearchState:
    """Indexes of one sandbox; safe to use from any thread."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lock = threading.RLock()
        self.indexes: dict[str, Index] = {}
        self.tasks: dict[str, SearchTask] = {}
        self.mark()

    def add_index(
        self,
        display_name: str,
        *,
        description: str = "",
        id: str | None = None,
        alias: str | None = None,
        owner: str | None = None,
        writers: Iterable[str] = (),
    ) -> Index:
        """Add an index; see `GlobusSandbox.add_search_index`."""
        index_id = str(uuid.UUID(id)) if id else self.world.new_id()
        index = Index(index_id, display_name, description, self.world.clock.time(), alias)
        self._give(index, "owner", owner or DEFAULT_CLIENT_ID)
        for writer in writers:
            self._give(index, "writer", writer)
        with self.lock:
            if index.id in self.indexes:
                raise ValueError(f"There already is a Search index {index.id}")
            self.indexes[index.id] = index
        return index

    def _give(self, index: Index, name: str, wanted: str) -> None:
        identity = self.world.auth.identity(wanted) or self.world.auth.identity_by_username(wanted)
        if identity is None:
            raise ValueError(f"There is no identity {wanted!r}; add it first")
        self.add_role(index, name, IDENTITY + identity.id)

    def add_role(self, index: Index, name: str, principal: str) -> Role:
        """Give somebody a role on an index."""
        role = Role(self.world.new_id(), name, principal, self.world.clock.time())
        with self.lock:
            index.roles[role.id] = role
        return role

    def submit(self, index: Index, kind: str, *, puts: Iterable[Entry] = (), takes: Iterable[Key] = ()) -> SearchTask:
        """Have an index take entries in, and give others up."""
        now = self.world.clock.time()
        due = now + self.world.settings.search_task_seconds
        task = SearchTask(self.world.new_id(), index.id, kind, now, due, list(puts), list(takes))
        with self.lock:
            self.tasks[task.id] = task
        self.settle()
        return task

    def settle(self) -> None:
        """Do the tasks whose time has come; called before anything is looked at."""
        now = self.world.clock.time()
        with self.lock:
            for task in self.tasks.values():
                if task.state == PENDING and now >= task.due_at:
                    index = self.indexes.get(task.index_id)
                    if index is not None:
                        _apply(index, task)
                    task.state, task.completed_at = SUCCESS, task.due_at

    def delete(self, index: Index) -> None:
        """Begin to delete an index; the sandbox never finishes, so it can be reopened."""
        index.status = DELETE_PENDING

    # As every state of the world

    def mark(self) -> None:
        """Remember indexes, with what is in them, as what `reset` goes back to."""
        with self.lock:
            self._base = [_copy(index) for index in self.indexes.values()]

    def reset(self) -> None:
        """Go back to the marked indexes; tasks are forgotten."""
        with self.lock:
            self.indexes = {index.id: _copy(index) for index in self._base}
            self.tasks = {}

    def snapshot(self) -> list[dict[str, Any]]:
        """Return the indexes in a few words."""
        self.settle()
        with self.lock:
            return [
                {"id": i.id, "display_name": i.display_name, "alias": i.alias, "entries": len(i.entries)}
                for i in self.indexes.values()
            ]

    def close(self) -> None:
        """Nothing runs here."""


def _apply(index: Index, task: SearchTask) -> None:
    for key in task.takes:
        index.entries.pop(key, None)
    for entry in task.puts:
        index.entries[entry.subject, entry.entry_id] = entry


def _copy(index: Index) -> Index:
    return replace(index, entries=dict(index.entries), roles=dict(index.roles))
