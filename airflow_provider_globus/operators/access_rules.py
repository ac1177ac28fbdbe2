"""Access rules: who may read or write what of a guest collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.exceptions import GlobusConflictError
from airflow_provider_globus.ids import is_uuid
from airflow_provider_globus.moments import instant, point_in_time
from airflow_provider_globus.operators.base import GlobusOperator
from airflow_provider_globus.operators.principals import identity_id
from airflow_provider_globus.operators.rules import GlobusDeleteRuleOperator
from airflow_provider_globus.paths import check_path

if TYPE_CHECKING:
    from airflow.sdk import Context

PRINCIPAL_TYPES = ("identity", "group", "all_authenticated_users", "anonymous")


class GlobusCreateAccessRuleOperator(GlobusOperator):
    """
    Share a directory of a guest collection.

    Doing it again changes nothing; when a rule for the same principal and path exists with other permissions or
    another expiry, it is updated. Returns ``rule_id``, ``action`` (``created``, ``updated`` or ``unchanged``),
    ``collection_id``, ``path``, ``principal_type``, ``principal`` (a UUID; empty for the two types without one),
    ``permissions`` and ``expiration_date`` (ISO text, or ``None``).

    :param collection: the guest collection: UUID, alias of the connection, or unique display name.
    :param path: the directory to share; what lies below is shared, too.
    :param principal: identity (UUID or username), or group UUID; not given for the other two types.
    :param principal_type: ``identity``, ``group``, ``all_authenticated_users`` or ``anonymous``.
    :param permissions: ``r`` or ``rw``.
    :param expiration_date: when the rule ends by itself: a datetime, its ISO text, or a timedelta from now.
    :param notify_email: address that Globus tells about the share.
    :param notify_message: text for that e-mail.
    """

    template_fields: Sequence[str] = ("collection", "path", "principal", "expiration_date", "globus_conn_id")

    def __init__(
        self,
        *,
        collection: str,
        path: str,
        principal: str = "",
        principal_type: str = "identity",
        permissions: str = "r",
        expiration_date: datetime | timedelta | str | None = None,
        notify_email: str | None = None,
        notify_message: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.collection = collection
        self.path = path
        self.principal = principal
        self.principal_type = principal_type
        self.permissions = permissions
        self.expiration_date = expiration_date
        self.notify_email = notify_email
        self.notify_message = notify_message
        if principal_type not in PRINCIPAL_TYPES:
            raise self.refuse(f"principal_type {principal_type!r} is unknown.", f"Choose from {PRINCIPAL_TYPES}.")
        if permissions not in ("r", "rw"):
            raise self.refuse(f"permissions {permissions!r} are unknown.", "Choose r or rw.")
        if (principal_type in ("identity", "group")) != bool(principal):
            raise self.refuse("principal goes with principal_type identity and group, and with no other.")

    def execute(self, context: Context) -> dict[str, Any]:
        """Create the rule, or bring the one that exists in line."""
        path = check_path(self.path, "path").rstrip("/") + "/"
        collection_id = self.hook.use_collection(self.collection)
        rule = self._rule(path)
        client = self.hook.transfer_client()
        doing = f"sharing {path} of {self.collection!r}"
        try:
            answer = self.hook.call(doing, client.add_endpoint_acl_rule, collection_id, rule)
        except GlobusConflictError:
            action, rule_id = self._keep(collection_id, rule)
        else:
            action, rule_id = "created", answer["access_id"]
            self.log.info("Shared %s with %s (%s).", path, self.principal or self.principal_type, self.permissions)
        return {
            "rule_id": rule_id,
            "action": action,
            "collection_id": collection_id,
            **{name: rule[name] for name in ("path", "principal_type", "principal", "permissions")},
            "expiration_date": rule.get("expiration_date"),
        }

    def _keep(self, collection_id: str, rule: Mapping[str, Any]) -> tuple[str, str]:
        """Update the rule that is there, if it differs; return what was done to it, and its id."""
        client = self.hook.transfer_client()
        rules = self.hook.call("listing access rules", client.endpoint_acl_list, collection_id)["DATA"]
        same = ("principal_type", "principal", "path")
        existing = next((other for other in rules if all(other[key] == rule[key] for key in same)), None)
        if existing is None:
            raise GlobusConflictError(f"Globus says {rule['path']} is shared already, but lists no such rule.")
        ends = [instant(document.get("expiration_date")) for document in (existing, rule)]
        if existing["permissions"] == rule["permissions"] and ends[0] == ends[1]:
            self.log.info("%s is shared that way already.", rule["path"])
            return "unchanged", existing["id"]
        changes = {key: rule.get(key) for key in ("permissions", "expiration_date")}
        doing = f"updating the access rule {existing['id']}"
        changed = {"DATA_TYPE": "access", **changes}
        self.hook.call(doing, client.update_endpoint_acl_rule, collection_id, existing["id"], changed)
        self.log.info("Updated the rule for %s to %s.", rule["path"], self.permissions)
        return "updated", existing["id"]

    def _rule(self, path: str) -> dict[str, Any]:
        rule = {
            "DATA_TYPE": "access",
            "principal_type": self.principal_type,
            "principal": self._principal_id(),
            "path": path,
            "permissions": self.permissions,
            "expiration_date": self._expiration(),
            "notify_email": self.notify_email,
            "notify_message": self.notify_message,
        }
        return {name: value for name, value in rule.items() if value is not None}

    def _principal_id(self) -> str:
        if not self.principal or is_uuid(self.principal):
            return self.principal
        if self.principal_type != "identity":
            raise self.refuse(f"the group {self.principal!r} is no UUID.", "Groups are named by UUID.")
        return identity_id(self.hook, self.principal)

    def _expiration(self) -> str | None:
        when = self.expiration_date
        if when is None or when == "":
            return None
        if isinstance(when, timedelta):
            when = datetime.now(UTC) + when
        when = point_in_time(when, "the expiration date", self.refuse)
        if when <= datetime.now(UTC):
            raise self.refuse(f"the expiration date {when.isoformat()} is in the past.")
        return when.astimezone(UTC).isoformat(timespec="seconds")


class GlobusDeleteAccessRuleOperator(GlobusDeleteRuleOperator):
    """
    Stop sharing: delete an access rule. Returns ``rule_id`` and ``action``: ``deleted`` or ``absent``.

    :param collection: the guest collection: UUID, alias of the connection, or unique display name.
    """

    template_fields: Sequence[str] = ("collection", *GlobusDeleteRuleOperator.template_fields)
    kind = "access rule"

    def __init__(self, *, collection: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.collection = collection

    def delete(self, rule_id: str) -> None:
        """Ask Transfer to."""
        collection_id = self.hook.use_collection(self.collection)
        client = self.hook.transfer_client()
        doing = f"deleting the access rule {rule_id} of {self.collection!r}"
        self.hook.call(doing, client.delete_endpoint_acl_rule, collection_id, rule_id)
