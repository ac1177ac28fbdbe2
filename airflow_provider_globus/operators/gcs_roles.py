"""Roles on a Globus Connect Server: who manages or watches an endpoint or one of its collections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.exceptions import GlobusConflictError, GlobusNotFoundError
from airflow_provider_globus.ids import is_uuid
from airflow_provider_globus.operators.connect_server import GlobusConnectServerOperator
from airflow_provider_globus.operators.principals import principal_urns

if TYPE_CHECKING:
    from airflow.sdk import Context

ROLES = ("owner", "administrator", "access_manager", "access_monitor", "activity_manager", "activity_monitor")
_PRINCIPAL_TYPES = ("identity", "group")
_GROUP = "urn:globus:groups:id:"


class GlobusCollectionRoleOperator(GlobusConnectServerOperator):
    """
    Base of the operators for roles.

    :param principal: who: username, UUID or URN of an identity; UUID or URN of a group.
    :param principal_type: ``identity`` or ``group``; says what a UUID means.
    :param role: ``administrator``, ``access_manager``, ``access_monitor``, ``activity_manager``, ``activity_monitor``
        or ``owner``.
    :param collection: the collection: UUID, alias of the connection, or unique display name. Default: the role is
        one on the endpoint itself.
    """

    template_fields: Sequence[str] = (
        *GlobusConnectServerOperator.template_fields,
        "principal",
        "principal_type",
        "role",
        "collection",
    )

    def __init__(
        self,
        *,
        principal: str,
        role: str,
        principal_type: str = "identity",
        collection: str | None = None,
        endpoint: str | None = None,
        **kwargs: Any,
    ) -> None:
        # What is missing is said below, in our words.
        super().__init__(endpoint=endpoint or collection or "", **kwargs)
        self.principal = principal
        self.role = role
        self.principal_type = principal_type
        self.collection = collection
        if not self.endpoint:
            raise self.refuse("give collection, or endpoint for a role on the endpoint itself.")

    def asked(self) -> tuple[str, str | None]:
        """The principal's URN and the collection's UUID, checked."""
        if self.role not in ROLES:
            raise self.refuse(f"role {self.role!r} is unknown.", f"Choose from {', '.join(ROLES)}.")
        if self.principal_type not in _PRINCIPAL_TYPES:
            raise self.refuse(f"principal_type {self.principal_type!r} is unknown.", "Choose identity or group.")
        if not self.principal:
            raise self.refuse("principal is empty.")
        urn = self._urn()
        if self.collection is None:
            return urn, None
        return urn, str(self.the_collection(self.collection)["id"])

    def _urn(self) -> str:
        if self.principal_type == "identity" or self.principal.startswith("urn:"):
            return principal_urns(self.hook, [self.principal])[0]
        if not is_uuid(self.principal):
            raise self.refuse(f"the group {self.principal!r} is no UUID.", "Groups are named by UUID.")
        return _GROUP + self.principal

    def find_role(self, urn: str, collection_id: str | None) -> dict[str, Any] | None:
        """The role as asked for, or ``None``."""
        client = self.client()
        narrow = {} if collection_id is None else {"collection_id": collection_id}
        doing = f"listing the roles on {self.collection or self.endpoint!r}"
        for document in self.pages(doing, client.get_role_list, include="all_roles", **narrow):
            held = (document.get("principal"), document.get("role"), document.get("collection") or None)
            if held == (urn, self.role, collection_id):
                return document
        return None

    @property
    def what(self) -> str:
        """For logs and errors."""
        return f"the role {self.role} of {self.principal!r} on {self.collection or self.endpoint!r}"


class GlobusCreateCollectionRoleOperator(GlobusCollectionRoleOperator):
    """
    Give somebody a role on an endpoint or one of its collections, or do nothing when they have it.

    Other roles of theirs stay. Returns ``role_id``, ``principal`` (a URN), ``role``, ``collection_id`` (``None`` for
    roles on the endpoint) and ``action``: ``created`` or ``unchanged``.

    :param principal: who: username, UUID or URN of an identity; UUID or URN of a group.
    :param principal_type: ``identity`` or ``group``; says what a UUID means.
    :param role: ``administrator``, ``access_manager``, ``access_monitor``, ``activity_manager``, ``activity_monitor``
        or ``owner``.
    :param collection: the collection: UUID, alias of the connection, or unique display name. Default: the role is
        one on the endpoint itself.
    :param endpoint: UUID of the endpoint, or UUID, alias of the connection or unique display name of any collection
        on it. Default: the endpoint of the collection.
    """

    def execute(self, context: Context) -> dict[str, Any]:
        """Give the role."""
        urn, collection_id = self.asked()
        found = self.find_role(urn, collection_id)
        if found is not None:
            return self._report("unchanged", found, urn, collection_id)
        document = {"DATA_TYPE": "role#1.0.0", "principal": urn, "role": self.role}
        if collection_id is not None:
            document["collection"] = collection_id
        try:
            created = self.create(
                self.what,
                self.client(resend=False).create_role,
                document,
                lambda: self.find_role(urn, collection_id),
            )
        except GlobusConflictError:
            # Somebody else was faster.
            found = self.find_role(urn, collection_id)
            if found is None:
                raise
            return self._report("unchanged", found, urn, collection_id)
        return self._report("created", created, urn, collection_id)

    def _report(self, action: str, document: dict[str, Any], urn: str, collection_id: str | None) -> dict[str, Any]:
        return self.report(
            action,
            self.what,
            role_id=str(document["id"]),
            principal=urn,
            role=self.role,
            collection_id=collection_id,
        )


class GlobusDeleteCollectionRoleOperator(GlobusCollectionRoleOperator):
    """
    Take a role on an endpoint or one of its collections away.

    Returns ``role_id`` and ``action``: ``deleted`` or ``absent``.

    :param principal: who: username, UUID or URN of an identity; UUID or URN of a group.
    :param principal_type: ``identity`` or ``group``; says what a UUID means.
    :param role: the role to take away; others stay.
    :param collection: the collection: UUID, alias of the connection, or unique display name. Default: the role is
        one on the endpoint itself.
    :param endpoint: UUID of the endpoint, or UUID, alias of the connection or unique display name of any collection
        on it. Default: the endpoint of the collection.
    :param ignore_missing: succeed when they have no such role (any more).
    """

    def __init__(self, *, ignore_missing: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ignore_missing = ignore_missing

    def execute(self, context: Context) -> dict[str, Any]:
        """Take the role away."""
        urn, collection_id = self.asked()
        found = self.find_role(urn, collection_id)
        if found is None:
            if not self.ignore_missing:
                raise GlobusNotFoundError(f"There is not {self.what}.")
            return self.report("absent", self.what, role_id=None)
        client = self.client()
        try:
            self.hook.call(f"deleting {self.what}", client.delete_role, found["id"])
        except GlobusNotFoundError:
            # It went between the look and the request.
            return self.report("absent", self.what, role_id=None)
        return self.report("deleted", self.what, role_id=str(found["id"]))
