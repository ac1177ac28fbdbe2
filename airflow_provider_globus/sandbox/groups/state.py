"""The memory of the Groups service: groups, who is in them, and what identities prefer."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict

from pydantic import ValidationError

from airflow_provider_globus.sandbox.auth.state import DEFAULT_CLIENT_ID
from airflow_provider_globus.sandbox.groups.bodies import PolicyChanges
from airflow_provider_globus.sandbox.groups.models import (
    ACTIVE,
    ADMIN,
    MANAGER,
    MEMBER,
    Group,
    Membership,
    Policies,
    Subscription,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_globus.sandbox.world import World


class GroupOptions(TypedDict, total=False):
    """What may be said of a group that is added."""

    description: str | None
    members: Iterable[str]
    managers: Iterable[str]
    admins: Iterable[str]
    id: str | None
    parent: Group | str | None
    policies: Mapping[str, Any] | None
    terms_and_conditions: str | None
    open_to_join: bool
    subscription: Mapping[str, Any] | None


class GroupsState:
    """Groups of one sandbox; safe to use from any thread.

    The one owner of who is in a group: Transfer, Connect Server, Flows, Search and Compute ask `groups_of`.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.lock = threading.RLock()
        self.groups: dict[str, Group] = {}
        # Whether an identity lets others add it to groups, where it has said so.
        self.allow_add: dict[str, bool | None] = {}
        self.mark()

    # What there is

    def add_group(
        self,
        name: str,
        *,
        description: str | None = None,
        members: Iterable[str] = (),
        managers: Iterable[str] = (),
        admins: Iterable[str] = (),
        id: str | None = None,
        parent: Group | str | None = None,
        policies: Mapping[str, Any] | None = None,
        terms_and_conditions: str | None = None,
        open_to_join: bool = False,
        subscription: Mapping[str, Any] | None = None,
    ) -> Group:
        """Add a group.

        :param members: ids or usernames of identities that are in it; they count wherever the group is named.
        :param managers: of those who manage its members, too.
        :param admins: of those who may change it; the default client when left out.
        :param parent: the group that it is a subgroup of, or its id or name; its members are members of that, too.
        :param policies: such as ``{"group_visibility": "authenticated", "join_requests": True}``; as of any new group,
            what is left out.
        :param open_to_join: whether identities become members without approval, which no API can set.
        :param subscription: which the group has: ``id`` and, if it matters, ``name``, ``subscriber_name``,
            ``is_high_assurance``, ``is_baa`` and ``connectors``.
        """
        group = Group(
            str(uuid.UUID(id)) if id else self.world.new_id(),
            name,
            description,
            parent.id if isinstance(parent, Group) else self.find(parent).id if parent else None,
            terms_and_conditions,
            changed(Policies(), policies or {}),
            open_to_join=open_to_join,
        )
        if subscription is not None:
            if not subscription.get("id"):
                raise ValueError("A subscription needs an id")
            group.subscription = Subscription(**{**subscription, "id": str(uuid.UUID(subscription["id"]))})
        admins = list(admins) or [DEFAULT_CLIENT_ID]
        for role, wanted in ((MEMBER, members), (MANAGER, managers), (ADMIN, admins)):
            for one in wanted:
                self.put(group, self._identity_id(one), role=role, status=ACTIVE)
        with self.lock:
            if group.id in self.groups:
                raise ValueError(f"There already is a group {group.id}")
            self.groups[group.id] = group
        return group

    def _identity_id(self, wanted: str) -> str:
        identity = self.world.auth.identity(wanted) or self.world.auth.identity_by_username(wanted)
        if identity is None:
            raise ValueError(f"There is no identity {wanted!r}; add it first")
        return identity.id

    def find(self, wanted: str) -> Group:
        """Return the group of this id, or of this name if it is the only one; ValueError when there is none."""
        named = [group for group in self.all() if group.name == wanted]
        group = self.groups.get(wanted.lower()) or (named[0] if len(named) == 1 else None)
        if group is None:
            raise ValueError(f"There {'is no group' if not named else 'are several groups'} {wanted!r}")
        return group

    def all(self) -> list[Group]:
        """Return all groups."""
        with self.lock:
            return list(self.groups.values())

    def children(self, group: Group) -> list[Group]:
        """Return the subgroups of a group, without theirs."""
        return [child for child in self.all() if child.parent_id == group.id]

    def delete(self, group: Group) -> None:
        """Delete a group; it opens nothing any more."""
        with self.lock:
            self.groups.pop(group.id, None)

    # Who is in a group

    def put(self, group: Group, identity_id: str, **changes: Any) -> Membership:
        """Change the membership of an identity in a group, or give it one, and return it."""
        with self.lock:
            before = group.memberships.get(identity_id) or Membership(identity_id, MEMBER, ACTIVE, 0.0)
            group.memberships[identity_id] = after = replace(before, **changes, updated=self.world.clock.time())
        return after

    def groups_of(self, identity_id: str) -> set[str]:
        """Return the ids of the groups that an identity is in, by itself or as a member of a subgroup."""
        found: set[str] = set()
        for group in self.all():
            if group.role_of(identity_id):
                found.update(above.id for above in self._lineage(group))
        return found

    def is_in(self, identity_id: str, group_id: str) -> bool:
        """Tell whether an identity is in a group."""
        return group_id in self.groups_of(identity_id)

    def role_in(self, group: Group, identity_id: str) -> str | None:
        """Return the role of an identity in a group; who is in a subgroup is a member. None outside."""
        return group.role_of(identity_id) or (MEMBER if self.is_in(identity_id, group.id) else None)

    def implied(self, group: Group) -> Iterator[tuple[Group, Membership]]:
        """Yield the memberships in subgroups, with the subgroup, of identities that have no active one in the group."""
        seen: set[str] = set()
        for other in self.all():
            if other is group or group not in self._lineage(other):
                continue
            for membership in list(other.memberships.values()):
                who = membership.identity_id
                if membership.status == ACTIVE and not group.role_of(who) and who not in seen:
                    seen.add(who)
                    yield other, membership

    def _lineage(self, group: Group | None) -> list[Group]:
        """Return a group, its parent, and so on."""
        found = []
        while group is not None:
            found.append(group)
            group = self.groups.get(group.parent_id or "")
        return found

    # As every state of the world

    def mark(self) -> None:
        """Remember groups and preferences as what `reset` goes back to."""
        with self.lock:
            self._base = ([group.copy() for group in self.groups.values()], dict(self.allow_add))

    def reset(self) -> None:
        """Go back to the marked groups and preferences."""
        with self.lock:
            groups, allow_add = self._base
            self.groups = {group.id: group.copy() for group in groups}
            self.allow_add = dict(allow_add)

    def snapshot(self) -> list[dict[str, Any]]:
        """Return the groups in a few words."""
        return [
            {
                "id": group.id,
                "name": group.name,
                "parent_id": group.parent_id,
                "members": sum(item.status == ACTIVE for item in list(group.memberships.values())),
            }
            for group in self.all()
        ]

    def close(self) -> None:
        """Nothing runs here."""


def changed(policies: Policies, changes: Mapping[str, Any]) -> Policies:
    """Return policies with changes; ValueError for what is no policy."""
    if unknown := sorted(set(changes) - set(PolicyChanges.model_fields)):
        raise ValueError(f"There is no policy {', '.join(unknown)}")
    try:
        return replace(policies, **PolicyChanges.model_validate(changes).given())
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"Policy {first['loc'][0]}: {first['msg']}") from None
