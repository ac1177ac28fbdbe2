"""What the Search service remembers: indexes, their entries and roles, and tasks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

OPEN, DELETE_PENDING = "open", "delete_pending"
PENDING, SUCCESS, FAILED = "PENDING", "SUCCESS", "FAILED"

_DESCRIPTIONS = {PENDING: "Task is waiting to start", SUCCESS: "Task succeeded", FAILED: "Task failed"}

#: A subject, and which of its entries.
Key: TypeAlias = tuple[str, str | None]


def date(moment: float) -> str:
    """Return a time as indexes and roles show it."""
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%d %H:%M:%S")


def task_date(moment: float | None) -> str | None:
    """Return a time as tasks show it."""
    return None if moment is None else datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%S")


@dataclass(frozen=True)
class Entry:
    """One record of a subject; `visible_to` holds URNs and words."""

    subject: str
    entry_id: str | None
    content: dict[str, Any]
    visible_to: tuple[str, ...]
    schema: str | None = None


@dataclass(frozen=True)
class Role:
    """What somebody may do with an index."""

    id: str
    name: str
    principal: str
    created_at: float

    def document(self, index_id: str) -> dict[str, Any]:
        """Return the role as the service lists it."""
        return {
            "creation_date": date(self.created_at),
            "id": self.id,
            "index_id": index_id,
            "principal": self.principal,
            "principal_type": "group" if ":groups:" in self.principal else "identity",
            "role_name": self.name,
        }


@dataclass
class Index:
    """An index; who goes through its entries or roles takes a list of them, since others change them meanwhile."""

    id: str
    display_name: str
    description: str
    created_at: float
    alias: str | None = None
    status: str = OPEN
    entries: dict[Key, Entry] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the index as the service shows it."""
        return {
            "@datatype": "GSearchIndex",
            "@version": "2017-09-01",
            "id": self.id,
            "display_name": self.display_name,
            "description": self.description,
            "status": self.status,
            "creation_date": date(self.created_at),
            "is_trial": True,
            "subscription_id": None,
            "max_size_in_mb": 1,
            "size_in_mb": 0,
            "num_subjects": len({subject for subject, _ in list(self.entries)}),
            "num_entries": len(self.entries),
        }


@dataclass
class SearchTask:
    """What an index has been given to do.

    :param puts: entries to be put in.
    :param takes: keys of entries to be taken out.
    """

    id: str
    index_id: str
    kind: str
    created_at: float
    due_at: float
    puts: list[Entry] = field(default_factory=list)
    takes: list[Key] = field(default_factory=list)
    state: str = PENDING
    message: str | None = None
    completed_at: float | None = None

    def document(self) -> dict[str, Any]:
        """Return the task as the service shows it."""
        return {
            "task_id": self.id,
            "index_id": self.index_id,
            "task_type": self.kind,
            "state": self.state,
            "state_description": _DESCRIPTIONS[self.state],
            "message": self.message,
            "creation_date": task_date(self.created_at),
            "completion_date": task_date(self.completed_at),
            "additional_details": None,
        }
