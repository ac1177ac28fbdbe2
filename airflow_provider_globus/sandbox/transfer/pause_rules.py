"""Pause rules: what managers of a collection or endpoint forbid on it for a while, for everybody or for one identity.

A rule applies to its endpoint and to all that is hosted on it. Tasks under a rule rest until it is gone; file
operations under one are refused.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.provisional import PROVISIONAL
from airflow_provider_globus.sandbox.transfer.documents import iso
from airflow_provider_globus.sandbox.transfer.errors import bad_request
from airflow_provider_globus.sandbox.transfer.filters import parse_time
from airflow_provider_globus.sandbox.transfer.manager_access import lineage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from airflow_provider_globus.sandbox.transfer.tasks import Task

#: What a rule may pause; all of it unless it says otherwise. The symlink operation is not served.
OPERATIONS = (
    "pause_ls",
    "pause_mkdir",
    "pause_symlink",
    "pause_rename",
    "pause_task_delete",
    "pause_task_transfer_write",
    "pause_task_transfer_read",
)
MESSAGE_LENGTH = 256

# No document says which rule stops `stat`: assumed to go with listing.
_BY_OPERATION = {"DirListing": "pause_ls", "Stat": "pause_ls", "Mkdir": "pause_mkdir", "Rename": "pause_rename"}


@dataclass(frozen=True)
class PauseRule:
    """One rule.

    :param pauses: the names of `OPERATIONS` it pauses.
    :param identity_id: whom it concerns; everybody when None.
    :param start_time: from when on; at once when None.
    :param created_by_host_manager: whether a manager of what hosts the endpoint made it.
    """

    id: str
    endpoint: Collection
    message: str
    pauses: frozenset[str]
    identity_id: str | None
    start_time: float | None
    modified_by_id: str
    created_by_host_manager: bool

    def concerns(self, collection: Collection | None, identity_id: str) -> bool:
        """Whether the rule is about an identity's doings on a collection, now or later."""
        hosted = any(item.id == self.endpoint.id for item in lineage(collection))
        return hosted and self.identity_id in (None, identity_id)

    def begun(self, now: float) -> bool:
        """Whether it is in force."""
        return self.start_time is None or self.start_time <= now

    def limited(self) -> dict[str, Any]:
        """Return the rule as those it concerns see it."""
        return {
            "DATA_TYPE": "pause_rule_limited",
            "id": self.id,
            "message": self.message,
            "start_time": iso(self.start_time),
            "endpoint_id": self.endpoint.id,
            "endpoint_display_name": self.endpoint.name,
            "identity_id": self.identity_id,
            **{name: name in self.pauses for name in OPERATIONS},
        }

    def document(self, *, editable: bool) -> dict[str, Any]:
        """Return the rule as managers see it."""
        return {
            **self.limited(),
            "DATA_TYPE": "pause_rule",
            "modified_by_id": self.modified_by_id,
            "created_by_host_manager": self.created_by_host_manager,
            "editable": editable,
        }


class PauseRules:
    """All rules of one sandbox."""

    def __init__(self) -> None:
        self._rules: dict[str, PauseRule] = {}

    def put(self, rule: PauseRule) -> None:
        """Add or replace a rule."""
        self._rules[rule.id] = rule

    def get(self, rule_id: str) -> PauseRule:
        """Return a rule, or refuse an unknown one."""
        try:
            return self._rules[rule_id]
        except KeyError:
            raise ServiceError(404, "PauseRuleNotFound", f"No such pause rule '{rule_id}'") from None

    def remove(self, rule_id: str) -> None:
        """Forget a rule."""
        self._rules.pop(rule_id, None)

    def clear(self) -> None:
        """Forget all."""
        self._rules.clear()

    def all(self) -> list[PauseRule]:
        """Return the rules, the oldest first."""
        return list(self._rules.values())

    def on(self, collection: Collection, identity_id: str, now: float) -> list[PauseRule]:
        """Return the rules in force that concern an identity on a collection."""
        return [rule for rule in self.all() if rule.begun(now) and rule.concerns(collection, identity_id)]

    def on_task(self, task: Task, now: float) -> list[PauseRule]:
        """Return the rules in force that pause a task."""
        return [rule for rule in self._coming(task) if rule.begun(now)]

    def next_start(self, task: Task, now: float) -> float | None:
        """Return when the next rule about a task comes into force."""
        return min(
            (rule.start_time for rule in self._coming(task) if rule.start_time and not rule.begun(now)), default=None
        )

    def _coming(self, task: Task) -> list[PauseRule]:
        spec = task.spec
        sides = [
            (spec.source, "pause_task_delete" if task.type == "DELETE" else "pause_task_transfer_read"),
            (spec.destination, "pause_task_transfer_write"),
        ]
        return [
            rule
            for rule in self.all()
            if any(what in rule.pauses and rule.concerns(place, task.owner_id) for place, what in sides)
        ]

    def refuse(self, operation: str, collection: Collection, identity_id: str, now: float) -> None:
        """Refuse a file operation that a rule pauses. The code and its status are assumed."""
        what = _BY_OPERATION[operation]
        for rule in self.on(collection, identity_id, now):
            if what in rule.pauses:
                message = f"This operation is paused on '{collection.name}' by its managers: {rule.message}"
                raise ServiceError(409, "OperationPaused", message, headers=PROVISIONAL)


def parse(
    document: Mapping[str, Any],
    rule_id: str,
    find: Callable[[str], Collection],
    modified_by_id: str,
    by_host_manager: Callable[[Collection], bool],
) -> PauseRule:
    """Return the checked rule of a document; `find` returns an endpoint or refuses it."""
    endpoint_id = document.get("endpoint_id")
    if not isinstance(endpoint_id, str) or not endpoint_id:
        raise bad_request("Missing required field 'endpoint_id'")
    endpoint = find(endpoint_id)
    return PauseRule(
        id=rule_id,
        endpoint=endpoint,
        message=_message(document),
        pauses=_pauses(document, frozenset(OPERATIONS)),
        identity_id=_identity(document.get("identity_id")),
        start_time=_start(document.get("start_time")),
        modified_by_id=modified_by_id,
        created_by_host_manager=by_host_manager(endpoint),
    )


def changed(rule: PauseRule, document: Mapping[str, Any], modified_by_id: str) -> PauseRule:
    """Return a rule with the changes of a partial document; what cannot be changed in it is ignored.

    That endpoint and identity stay is assumed: the documentation only says that some fields do.
    """
    return replace(
        rule,
        message=_message(document) if "message" in document else rule.message,
        pauses=_pauses(document, rule.pauses),
        start_time=_start(document["start_time"]) if "start_time" in document else rule.start_time,
        modified_by_id=modified_by_id,
    )


def _message(document: Mapping[str, Any]) -> str:
    message = document.get("message")
    if not isinstance(message, str) or not message:
        raise bad_request("Missing required field 'message'")
    if len(message) > MESSAGE_LENGTH:
        raise bad_request(f"Field 'message' must be at most {MESSAGE_LENGTH} characters")
    return message


def _pauses(document: Mapping[str, Any], known: frozenset[str]) -> frozenset[str]:
    chosen = {name: document.get(name) for name in OPERATIONS}
    for name, value in chosen.items():
        if value is not None and not isinstance(value, bool):
            raise bad_request(f"Field '{name}' must be true or false, got {value!r}")
    return frozenset(name for name, value in chosen.items() if (name in known if value is None else value))


def _identity(value: Any) -> str | None:
    if value is None:
        return None
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        raise bad_request(f"Field 'identity_id' must be the UUID of an identity, got {value!r}") from None


def _start(value: Any) -> float | None:
    return None if value is None else parse_time(str(value))
