"""Trouble on demand: what the sandbox's network, services, files and tasks shall suffer.

Four kinds of fault, told apart by their fields (see `Faults.add`): HTTP faults change how a request is answered,
path faults make files of a collection fail while a task stays ACTIVE, task faults change a task's fate, action faults
that of a flow's action.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.clock import SandboxClock


# Three centuries, as seconds; more is no time, and no number of times.
_MOST = 1e10


_HEADER = re.compile(r"[\x20-\x7e\xa0-\xff]*")
# What a field must be, by its type; numbers are checked with their limits.
_TYPES: dict[str, tuple[Any, str]] = {
    "str": (str, "text"),
    "str | None": (str | None, "text"),
    "str | Mapping[str, Any] | None": (str | Mapping | None, "text or an object"),
    "bool": (bool, "true or false"),
    "dict[str, str]": (Mapping, "an object"),
}


class Named(Protocol):
    """What a path fault needs to know of a collection."""

    @property
    def id(self) -> str:
        """The collection's UUID."""

    @property
    def name(self) -> str:
        """The collection's display name."""


@dataclass(kw_only=True)
class Fault:
    """What all faults share: when they strike.

    :param nth: strike only from the nth match on (1 is the first).
    :param times: strike this often, then never again.
    :param probability: strike with this probability.
    :param for_seconds: strike for so many sandbox seconds from when the fault was added.
    """

    kind: ClassVar[str] = "fault"

    nth: int | None = None
    times: int | None = None
    probability: float | None = None
    for_seconds: float | None = None
    id: str = ""
    until: float | None = None
    seen: int = 0
    struck: int = 0

    def __post_init__(self) -> None:
        for item in fields(self):
            wanted, words = _TYPES.get(str(item.type), (object, ""))
            if not isinstance(value := getattr(self, item.name), wanted):
                raise ValueError(f"{item.name} must be {words}, not {value!r}")
        for name in ("nth", "times"):
            _check(name, getattr(self, name), int, 1)
        _check("probability", self.probability, float, 0, 1)
        _check("for_seconds", self.for_seconds, float, 0)

    def strikes(self, now: float, rng: random.Random) -> bool:
        """Count one match and tell whether it is struck."""
        if self.over(now):
            return False
        self.seen += 1
        if self.nth is not None and self.seen < self.nth:
            return False
        if self.probability is not None and rng.random() >= self.probability:
            return False
        self.struck += 1
        return True

    def over(self, now: float) -> bool:
        """Tell whether the fault will never strike again."""
        return (self.until is not None and now >= self.until) or (self.times is not None and self.struck >= self.times)


@dataclass(kw_only=True)
class HttpFault(Fault):
    """How a request is answered instead of as it should be; the control plane is never affected.

    :param service: ``auth``, ``transfer``, … or ``*``.
    :param path: glob over the request path.
    :param status: answer with this status, in the service's error shape with `code` and `message`.
    :param body: answer with exactly this text, or this JSON document (with status 200 unless `status` says otherwise).
    :param drop: close the connection without doing anything.
    :param drop_after: do what was asked, then close the connection: the client never learns of it.
    :param delay_seconds: wait before answering, in real seconds (clients' timeouts run in real time).
    """

    kind: ClassVar[str] = "http"

    service: str = "*"
    method: str = "*"
    path: str = "*"
    status: int | None = None
    code: str = "ServiceUnavailable"
    message: str = "Injected by the sandbox"
    headers: dict[str, str] = field(default_factory=dict)
    body: str | Mapping[str, Any] | None = None
    drop: bool = False
    drop_after: bool = False
    delay_seconds: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check("status", self.status, int, 100, 599)
        _check("delay_seconds", self.delay_seconds, float, 0)
        self.headers = {str(name): str(value) for name, value in self.headers.items()}
        if not all(_HEADER.fullmatch(text) for header in self.headers.items() for text in header):
            raise ValueError(f"headers must have names and values that HTTP can carry, which {self.headers!r} cannot")
        does_something = self.status is not None or self.body is not None or self.delay_seconds > 0
        if not (does_something or self.drop or self.drop_after):
            raise ValueError("An HTTP fault needs status, body, drop, drop_after or delay_seconds")

    def matches(self, service: str, method: str, path: str) -> bool:
        """Tell whether a request is meant by this fault."""
        return self.service in ("*", service) and self.method.upper() in ("*", method) and fnmatchcase(path, self.path)


@dataclass(kw_only=True)
class PathFault(Fault):
    """Makes paths of a collection fail as a storage system would; tasks keep retrying meanwhile.

    :param collection: id or name of the collection, or ``*``.
    :param path: glob over the path inside the collection.
    """

    kind: ClassVar[str] = "path"

    collection: str = "*"
    path: str = "*"
    nice_status: str = "PERMISSION_DENIED"
    details: str = "Injected by the sandbox"

    def matches(self, collection: Named, path: str) -> bool:
        """Tell whether a path of a collection is meant by this fault."""
        alias = getattr(collection, "alias", None)
        return self.collection in ("*", collection.id, collection.name, alias) and fnmatchcase(path, self.path)


@dataclass(kw_only=True)
class TaskFault(Fault):
    """Changes the fate of a task.

    :param task: task id, ``next`` (the next one submitted; with `cancel_seconds`, the next one cancelled) or ``*``.
    :param status: ``INACTIVE`` (until the fault is over or removed) or ``FAILED``.
    :param code: nice status of an inactive task, or code of the fatal error of a failed one.
    :param hold: instead, keep the task ACTIVE without moving anything while the fault lasts.
    :param cancel_seconds: instead, let a cancel only be accepted and take so many sandbox seconds.
    """

    kind: ClassVar[str] = "task"

    task: str = "next"
    status: str = "INACTIVE"
    code: str | None = None
    message: str = "Injected by the sandbox"
    hold: bool = False
    cancel_seconds: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.task == "next" and self.times is None:
            self.times = 1


@dataclass(kw_only=True)
class ActionFault(Fault):
    """Makes the actions of flows fail, as the services behind them would.

    :param action: glob over the action provider's URL, as the flow has it.
    :param state: glob over the name of the flow's state.
    :param flow: id or title of the flow, or ``*``.
    :param status: HTTP status with which the provider refuses the action, with `code` and `message`.
    :param fail: instead, the action begins and has failed.
    :param hang: instead, the action begins and never ends.
    """

    kind: ClassVar[str] = "action"

    action: str = "*"
    state: str = "*"
    flow: str = "*"
    status: int | None = None
    code: str = "ActionProviderError"
    message: str = "Injected by the sandbox"
    fail: bool = False
    hang: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _check("status", self.status, int, 100, 599)
        if (self.status is not None) + self.fail + self.hang != 1:
            raise ValueError("An action fault needs one of status, fail, hang")

    def matches(self, url: str, state: str, flow: tuple[str, str]) -> bool:
        """Tell whether an action is meant by this fault; a flow is its id and title."""
        return fnmatchcase(url, self.action) and fnmatchcase(state, self.state) and self.flow in ("*", *flow)


# Set by the sandbox itself, never by who adds a fault.
_OWN_FIELDS = {"id", "until", "seen", "struck"}
_AnyFault = TypeVar("_AnyFault", bound=Fault)


class Faults:
    """The faults of one sandbox; safe to use from any thread."""

    def __init__(self, clock: SandboxClock, rng: random.Random) -> None:
        self._clock = clock
        self._rng = rng
        self._lock = threading.Lock()
        self._faults: dict[str, Fault] = {}
        self._number = 0
        self._listeners: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever faults were added or removed."""
        self._listeners.append(listener)

    def _changed(self) -> None:
        for listener in self._listeners:
            listener()

    def add(self, spec: Mapping[str, Any] | None = None, **more: Any) -> str:
        """Add a fault and return its id.

        With ``task`` it is a `TaskFault`, with ``action`` an `ActionFault`, with ``collection`` or ``nice_status`` a
        `PathFault`, else an `HttpFault`:
        ``faults.add(service="transfer", path="*/task_list", status=503, for_seconds=300)``.
        """
        given = {**(spec or {}), **more}
        kind = _kind_of(given)
        known = {item.name for item in fields(kind)} - _OWN_FIELDS
        if unknown := sorted(set(given) - known):
            raise ValueError(f"A {kind.kind} fault has no {', '.join(unknown)}; it has {', '.join(sorted(known))}")
        fault = kind(**given)
        with self._lock:
            self._number += 1
            fault.id = f"fault-{self._number}"
            if fault.for_seconds is not None:
                fault.until = self._clock.time() + fault.for_seconds
            self._faults[fault.id] = fault
        self._changed()
        return fault.id

    def remove(self, fault_id: str) -> bool:
        """Take a fault away; False when there is none of that id."""
        with self._lock:
            found = self._faults.pop(fault_id, None) is not None
        self._changed()
        return found

    def clear(self) -> None:
        """Take all faults away."""
        with self._lock:
            self._faults.clear()
        self._changed()

    def as_list(self) -> list[dict[str, Any]]:
        """Return all faults as JSON documents, with how often each was seen and struck."""
        with self._lock:
            return [{"kind": fault.kind, **asdict(fault)} for fault in self._faults.values()]

    def http_fault(self, service: str, method: str, path: str) -> HttpFault | None:
        """Return the fault that strikes this request, if any."""
        return self._first(HttpFault, lambda fault: fault.matches(service, method, path))

    def path_fault(self, collection: Named, path: str) -> PathFault | None:
        """Return the fault that strikes this path of a collection, if any."""
        return self._first(PathFault, lambda fault: fault.matches(collection, path))

    def task_fault(self, task_id: str, *, submitted: bool = False) -> TaskFault | None:
        """Return the fault that strikes a task; `submitted` when the task is just being submitted."""
        names = ("*", task_id, "next") if submitted else ("*", task_id)
        return self._first(TaskFault, lambda fault: fault.task in names and fault.cancel_seconds is None)

    def cancel_delay(self, task_id: str) -> float | None:
        """Return how long a cancel of this task shall take, or None for at once."""
        names = ("*", task_id, "next")
        fault = self._first(TaskFault, lambda fault: fault.task in names and fault.cancel_seconds is not None)
        return fault.cancel_seconds if fault is not None else None

    def action_fault(self, url: str, state: str, flow: tuple[str, str]) -> ActionFault | None:
        """Return the fault that strikes an action of a flow (its id and title), if any."""
        return self._first(ActionFault, lambda fault: fault.matches(url, state, flow))

    def is_active(self, fault_id: str) -> bool:
        """Tell whether a fault that struck still lasts: neither removed nor past its time."""
        with self._lock:
            fault = self._faults.get(fault_id)
            return fault is not None and (fault.until is None or self._clock.time() < fault.until)

    def _first(self, kind: type[_AnyFault], matches: Callable[[_AnyFault], bool]) -> _AnyFault | None:
        if not self._faults:
            return None
        now = self._clock.time()
        with self._lock:
            for fault in self._faults.values():
                if isinstance(fault, kind) and matches(fault) and fault.strikes(now, self._rng):
                    return fault
        return None


def _check(name: str, value: Any, kind: type[int | float], least: float, most: float = _MOST) -> None:
    """Refuse a number that would only fail once the fault strikes."""
    if value is None:
        return
    fits = isinstance(value, (int, kind)) and not isinstance(value, bool) and least <= value <= most
    if not fits:
        limits = f"of at least {least:g}" if most == _MOST else f"from {least:g} to {most:g}"
        raise ValueError(f"{name} must be {'a whole number' if kind is int else 'a number'} {limits}, not {value!r}")


def _kind_of(spec: Mapping[str, Any]) -> type[Fault]:
    if "task" in spec:
        return TaskFault
    if "action" in spec:
        return ActionFault
    if "collection" in spec or "nice_status" in spec:
        return PathFault
    return HttpFault
