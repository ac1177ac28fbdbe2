"""Pause rules: holding up what users do on a collection, for managers of its activity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.exceptions import GlobusJobLostError, GlobusUnavailableError
from airflow_provider_globus.looks import look_for
from airflow_provider_globus.moments import instant, point_in_time
from airflow_provider_globus.operators.base import GlobusOperator
from airflow_provider_globus.operators.principals import identity_id
from airflow_provider_globus.operators.rules import GlobusDeleteRuleOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

#: What a rule can pause.
OPERATIONS = ("ls", "mkdir", "rename", "symlink", "task_delete", "task_transfer_read", "task_transfer_write")

#: Characters of a rule's message; assumed to be as for other messages of managers.
MESSAGE_LENGTH = 256


class GlobusCreatePauseRuleOperator(GlobusOperator):
    """
    Pause what users do on a collection, or on all collections of an endpoint, until the rule is deleted.

    Tasks under the rule rest, with ``nice_status`` ``PAUSED``, and go on when it is gone; file operations under it are
    refused. Doing it again changes nothing: rules are told apart by collection, identity and message, and one that is
    there with other operations or another start is updated. Rules with another message are never touched. Returns
    ``rule_id``, ``action`` (``created``, ``updated`` or ``unchanged``), ``collection_id``, ``identity_id``,
    ``operations`` and ``message``.

    The identity of the connection needs the role ``activity_manager`` on the collection, on the one it is shared from,
    or on the endpoint.

    :param collection: UUID, alias of the connection, or unique display name; or the UUID of a Connect Server endpoint,
        for all collections on it.
    :param message: what users are told, up to 256 characters.
    :param operations: what to pause: ``ls``, ``mkdir``, ``rename``, ``symlink``, ``task_delete``,
        ``task_transfer_read``, ``task_transfer_write``. Default: all.
    :param identity: pause only this identity (UUID or username). Default: everybody.
    :param start_time: from when on: a datetime or its ISO text. Default: at once.
    """

    template_fields: Sequence[str] = ("collection", "message", "identity", "start_time", "globus_conn_id")

    def __init__(
        self,
        *,
        collection: str,
        message: str,
        operations: Sequence[str] = OPERATIONS,
        identity: str | None = None,
        start_time: datetime | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.collection = collection
        self.message = message
        self.operations = operations
        self.identity = identity
        self.start_time = start_time
        if isinstance(operations, str) or not operations or set(operations) - set(OPERATIONS):
            raise self.refuse(f"operations {operations!r} are unknown.", f"Give a list of {', '.join(OPERATIONS)}.")

    def execute(self, context: Context) -> dict[str, Any]:
        """Create the rule, bring the one that exists in line, or do nothing."""
        wanted = self._rule()
        found = self._find(wanted)
        if found is None:
            action, rule = "created", self._create(wanted)
        elif changes := _changes(found, wanted):
            action, rule = "updated", self._update(found, changes)
        else:
            action, rule = "unchanged", found
        self.log.info("The pause rule %s on %r: %s.", rule["id"], self.collection, action)
        return {
            "rule_id": rule["id"],
            "action": action,
            "collection_id": rule["endpoint_id"],
            "identity_id": rule["identity_id"],
            "operations": [name for name in OPERATIONS if rule.get(f"pause_{name}")],
            "message": rule["message"],
        }

    def _rule(self) -> dict[str, Any]:
        if not isinstance(self.message, str) or not self.message.strip():
            raise self.refuse("message must say why: users see nothing else.")
        if len(self.message) > MESSAGE_LENGTH:
            raise self.refuse(f"message has {len(self.message)} characters; Globus takes {MESSAGE_LENGTH}.")
        start = point_in_time(self.start_time, "start_time", self.refuse) if self.start_time else None
        return {
            "DATA_TYPE": "pause_rule",
            "endpoint_id": self.hook.resolve_collection(self.collection),
            "message": self.message,
            "identity_id": identity_id(self.hook, self.identity).lower() if self.identity else None,
            "start_time": start.astimezone(UTC).isoformat(timespec="seconds") if start else None,
            **{f"pause_{name}": name in self.operations for name in OPERATIONS},
        }

    def _find(self, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
        from airflow_provider_globus.hooks.activity import MANAGER, needs_role

        client = self.hook.transfer_client()
        with needs_role(MANAGER, self.collection):
            answer = self.hook.call(
                f"listing the pause rules on {self.collection!r}",
                client.endpoint_manager_pause_rule_list,
                filter_endpoint=wanted["endpoint_id"],
            )
        same = ("endpoint_id", "identity_id", "message")
        return next((rule for rule in answer["DATA"] if all(rule.get(key) == wanted[key] for key in same)), None)

    def _create(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Send the rule once: sent twice, there would be two. What was not answered is looked for."""
        from airflow_provider_globus.hooks.activity import MANAGER, needs_role

        client = self.hook.transfer_client(resend=False)
        doing = f"making a pause rule on {self.collection!r}"
        try:
            with needs_role(MANAGER, self.collection):
                return self.hook.call(doing, client.endpoint_manager_create_pause_rule, wanted)
        except GlobusUnavailableError:
            killed = GlobusJobLostError("The task was killed before it was known whether the pause rule was made.")
            found = look_for(lambda: self._find(wanted), stop=self._killed, killed=killed, at_once=True)
            if found is None:
                raise
            self.log.info("The answer was lost, but the rule is there.")
            return found

    def _update(self, rule: Mapping[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
        from airflow_provider_globus.hooks.activity import MANAGER, needs_role

        if not rule.get("editable", True):
            raise self.refuse(
                f"the pause rule {rule['id']} differs in {', '.join(sorted(changes))} and may not be changed.",
                "A manager of what hosts the collection made it: ask them, or give another message for a rule of "
                "your own.",
            )
        self.log.info("The pause rule %s differs in %s.", rule["id"], ", ".join(sorted(changes)))
        client = self.hook.transfer_client()
        document = {"DATA_TYPE": "pause_rule", **changes}
        with needs_role(MANAGER, self.collection):
            doing = f"updating the pause rule {rule['id']} on {self.collection!r}"
            return self.hook.call(doing, client.endpoint_manager_update_pause_rule, rule["id"], document)


class GlobusDeletePauseRuleOperator(GlobusDeleteRuleOperator):
    """Let users go on: delete a pause rule. Returns ``rule_id`` and ``action``: ``deleted`` or ``absent``."""

    kind = "pause rule"

    def delete(self, rule_id: str) -> None:
        """Ask Transfer to."""
        from airflow_provider_globus.hooks.activity import MANAGER, needs_role

        client = self.hook.transfer_client()
        with needs_role(MANAGER, f"the collection of pause rule {rule_id}"):
            self.hook.call(f"deleting the pause rule {rule_id}", client.endpoint_manager_delete_pause_rule, rule_id)


def _changes(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What differs; a service that does not know an operation leaves it out, which is no difference."""
    changes = {
        name: wanted[name]
        for name in wanted
        if name.startswith("pause_") and name in found and bool(found[name]) != wanted[name]
    }
    if instant(found.get("start_time")) != instant(wanted["start_time"]):
        changes["start_time"] = wanted["start_time"]
    return changes
