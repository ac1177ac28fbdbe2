"""What the Flows service remembers: flows, their runs, what runs ask people, and APIs that flows may call."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

ACTIVE, INACTIVE, SUCCEEDED, FAILED = "ACTIVE", "INACTIVE", "SUCCEEDED", "FAILED"
ENDED = (SUCCEEDED, FAILED, "ENDED")
OPEN, CLOSED = "open", "closed"


def iso(moment: float | None) -> str | None:
    """Return a time as the service shows it, to the millisecond."""
    if moment is None:
        return None
    return datetime.fromtimestamp(round(moment, 3), UTC).isoformat(timespec="microseconds")


@dataclass
class Flow:
    """A flow; who may do what with it is in URNs."""

    id: str
    title: str
    definition: dict[str, Any]
    input_schema: dict[str, Any]
    owner_urn: str
    created_at: float
    updated_at: float
    subtitle: str = ""
    description: str = ""
    keywords: list[str] = field(default_factory=list)
    viewers: list[str] = field(default_factory=list)
    starters: list[str] = field(default_factory=list)
    administrators: list[str] = field(default_factory=list)
    run_managers: list[str] = field(default_factory=list)
    run_monitors: list[str] = field(default_factory=list)
    subscription_id: str | None = None
    authentication_policy_id: str | None = None
    alias: str | None = None
    deleted_at: float | None = None


@dataclass
class LogEntry:
    """One entry of a run's log."""

    time: float
    code: str
    description: str
    details: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """Return the entry as the service lists it."""
        return {
            "time": iso(self.time),
            "code": self.code,
            "description": self.description,
            "details": self.details,
        }


@dataclass
class Run:
    """A run of a flow, as it was defined when the run started.

    :param flow: the flow as it is now, even when it has been deleted.
    :param owner_id: identity that started it.
    :param client_id: the client through which it did: its consents count.
    """

    id: str
    flow: Flow
    flow_id: str
    flow_title: str
    flow_updated_at: float
    definition: dict[str, Any]
    input_schema: dict[str, Any]
    body: dict[str, Any]
    owner_id: str
    owner_urn: str
    client_id: str
    started_at: float
    label: str
    tags: list[str]
    managers: list[str]
    monitors: list[str]
    status: str = ACTIVE
    details: dict[str, Any] = field(default_factory=dict)
    completed_at: float | None = None
    log: list[LogEntry] = field(default_factory=list)
    web_input_id: str | None = None

    @property
    def ended(self) -> bool:
        """Whether it goes on no more."""
        return self.status in ENDED


@dataclass
class Option:
    """One answer that may be given; the flow is told its value."""

    id: str
    value: str
    label: str
    description: str


@dataclass
class WebInput:
    """What a run asks people."""

    id: str
    run: Run
    title: str
    context: dict[str, Any]
    options: list[Option]
    respondents: list[str]
    viewers: list[str]
    created_at: float
    expires_at: float
    status: str = OPEN
    closed_at: float | None = None
    chosen: Option | None = None
    expired: bool = False


@dataclass
class RegisteredApi:
    """An API that flows may call by its id; who may do what with it is in URNs.

    :param target: what is called, in OpenAPI's words.
    """

    id: str
    name: str
    description: str
    created_at: float
    target: dict[str, Any]
    owners: list[str]
    administrators: list[str] = field(default_factory=list)
    viewers: list[str] = field(default_factory=list)
