"""Transfer and delete tasks: what was asked, how far it is, what went wrong."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.clock import ClockEvent
    from airflow_provider_globus.sandbox.transfer.collections import Collection

TaskType = Literal["TRANSFER", "DELETE"]

EVENTS_KEPT = 10_000  # a fault retried for weeks must not fill the memory
HISTORY_SECONDS = 30 * 86400
# Reasons to rest: an endpoint manager's word, a pause rule.
PAUSES = frozenset({"pause", "rule"})
# A task that rests for one of these holds no slot of its owner.
PARKED = PAUSES | {"inactive"}


class Phase(Enum):
    """Where a task is inside the engine; what clients see is derived from it."""

    QUEUED = "waits for one of the active slots of its owner"
    READY = "waits for a worker"
    RUNNING = "a worker moves its files"
    RETRYING = "waits to try again what failed"
    FINISHING = "all done, stays active a little longer"
    STOPPED = "held, paused or inactive"
    DONE = "ended"


class Action(Enum):
    """What one step of a task does."""

    SCAN = "look at an item of the submission"
    SCAN_DIR = "look into a directory"
    MKDIR = "make a directory"
    COPY = "copy a file"
    LINK = "make a symbolic link"
    REMOVE = "remove a file or an empty directory"


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a submission; a delete item has only `source`."""

    source: str
    destination: str = ""
    recursive: bool | None = None
    external_checksum: str | None = None
    algorithm: str | None = None
    symlink: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One subtask. `seen` are the real directories above, to notice links that lead in circles."""

    action: Action
    source: str
    destination: str = ""
    item: Item | None = None
    is_dir: bool = False
    seen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FilterRule:
    """Includes or excludes names in a recursive transfer."""

    method: str
    name: str
    type: str | None

    def document(self) -> dict[str, Any]:
        """Return the rule as it was sent."""
        return {"DATA_TYPE": "filter_rule", "method": self.method, "name": self.name, "type": self.type}


@dataclass(frozen=True)
class Spec:
    """A checked submission."""

    type: TaskType
    submission_id: str
    source: Collection
    destination: Collection | None
    items: tuple[Item, ...]
    label: str | None = None
    deadline: float | None = None
    sync_level: int | None = None
    verify_checksum: bool = True
    preserve_timestamp: bool = False
    encrypt_data: bool = False
    skip_source_errors: bool = False
    fail_on_quota_errors: bool = False
    delete_destination_extra: bool = False
    recursive_symlinks: str = "ignore"
    filter_rules: tuple[FilterRule, ...] | None = None
    recursive: bool = False
    ignore_missing: bool = False
    interpret_globs: bool = False
    source_local_user: str | None = None
    destination_local_user: str | None = None

    @property
    def paths(self) -> tuple[object, ...]:
        """What makes two unfinished tasks the same to the service."""
        return (
            self.type,
            self.source.id,
            self.destination.id if self.destination else None,
            frozenset((item.source, item.destination) for item in self.items),
        )


class Event(NamedTuple):
    """One line of a task's event list."""

    time: float
    code: str
    description: str
    details: str
    is_error: bool


class Success(NamedTuple):
    """A file that was copied."""

    source: str
    destination: str
    size: int
    checksum: str | None
    algorithm: str | None


class Skipped(NamedTuple):
    """A file that was left out because its source failed."""

    source: str
    destination: str
    code: str
    details: str
    time: float
    is_dir: bool
    item: Item | None


@dataclass(eq=False)
class Task:
    """A task and its progress. One worker at a time changes the counters; the engine's lock guards the rest."""

    id: str
    owner_id: str
    username: str
    spec: Spec
    request_time: float
    deadline: float
    interrupt: ClockEvent
    deadline_chosen: bool = False
    label: str | None = None
    status: str = "ACTIVE"
    phase: Phase = Phase.QUEUED
    stops: set[str] = field(default_factory=set)
    start_time: float | None = None
    completion_time: float | None = None
    wake_at: float = 0.0
    pace_at: float = 0.0
    fault_id: str | None = None
    cancel_code: tuple[str, str] | None = None
    fatal_error: dict[str, str] | None = None
    canceled_by_admin: str | None = None
    canceled_by_admin_message: str | None = None
    pause_messages: dict[str, str] = field(default_factory=dict)
    nice_status: str = "Queued"
    nice_details: str | None = None
    nice_since: float = 0.0
    faults: int = 0
    files: int = 0
    directories: int = 0
    symlinks: int = 0
    files_skipped: int = 0
    files_transferred: int = 0
    bytes_transferred: int = 0
    bytes_checksummed: int = 0
    steps_total: int = 0
    steps_succeeded: int = 0
    steps_reported: int = 0
    steps_failed: int = 0
    steps_left: int = 0
    scans: deque[Step] = field(default_factory=deque, repr=False)
    work: deque[Step] = field(default_factory=deque, repr=False)
    retry: list[Step] = field(default_factory=list, repr=False)
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT), repr=False)
    successes: list[Success] = field(default_factory=list, repr=False)
    skipped: list[Skipped] = field(default_factory=list, repr=False)

    @property
    def type(self) -> TaskType:
        """TRANSFER or DELETE."""
        return self.spec.type

    @property
    def done(self) -> bool:
        """Whether the task has ended."""
        return self.phase is Phase.DONE

    @property
    def paused(self) -> bool:
        """Whether an endpoint manager, or a rule of one, paused it."""
        return bool(self.stops & PAUSES)

    @property
    def holds_slot(self) -> bool:
        """Whether it counts against its owner's active tasks."""
        idle = self.phase in (Phase.QUEUED, Phase.DONE)
        return not idle and not self.stops & PARKED

    @property
    def subtasks_total(self) -> int:
        """Steps known so far and the task itself, as the service counts."""
        return 1 + self.steps_total

    def log(self, now: float, code: str, description: str, details: str = "", *, is_error: bool = False) -> None:
        """Add an event."""
        self.events.append(Event(now, code, description, details, is_error))

    def history_deleted(self, now: float) -> bool:
        """Whether the details of the task are gone, thirty days after its end."""
        return self.completion_time is not None and now - self.completion_time > HISTORY_SECONDS
