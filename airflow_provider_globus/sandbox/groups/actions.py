"""Actions on memberships: who is added, invited, approved or removed, and who joins or leaves."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.groups import errors
from airflow_provider_globus.sandbox.groups.access import allowed_actions, identity_set, is_admin
from airflow_provider_globus.sandbox.groups.documents import membership_document
from airflow_provider_globus.sandbox.groups.models import (
    ACTIVE,
    ADMIN,
    DECLINED,
    INVITED,
    LEFT,
    MEMBER,
    PENDING,
    REJECTED,
    REMOVED,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox.auth.models import Caller
    from airflow_provider_globus.sandbox.groups.bodies import Action, Actions, Invitation, RoleAction
    from airflow_provider_globus.sandbox.groups.models import Group, Membership
    from airflow_provider_globus.sandbox.groups.state import GroupsState

#: Codes that tests of the Globus CLI quote; the others are the sandbox's own.
QUOTED = {"ALREADY_ACTIVE", "NO_MEMBERSHIP"}


class ActionError(Exception):
    """An action that cannot be done to an identity; the others of its batch can."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Batch:
    """The actions of one request on a group."""

    def __init__(self, state: GroupsState, caller: Caller, group: Group) -> None:
        self._state = state
        self._caller = caller
        self._group = group
        self._kinds: dict[str, Callable[[Any], Membership]] = {
            "accept": self._accept,
            "add": self._add,
            "approve": lambda item: self._move(item, (PENDING,), ACTIVE),
            "change_role": self._change_role,
            "decline": lambda item: self._move(self._own(item), (INVITED,), DECLINED),
            "invite": self._invite,
            "join": lambda item: self._enter(item, ACTIVE),
            "leave": self._leave,
            "reject": lambda item: self._move(item, (PENDING,), REJECTED),
            "remove": self._remove,
            "request_join": lambda item: self._enter(item, PENDING),
        }

    def perform(self, actions: Actions) -> dict[str, Any]:
        """Do them all, and return the memberships they changed, and what could not be done.

        :raises ServiceError: when nothing is done: an identity is named twice, or a kind of action is not the caller's.
        """
        given = actions.given()
        named = Counter(str(item.identity_id) for items in given.values() for item in items)
        if repeated := [identity for identity, times in named.items() if times > 1]:
            raise errors.repeated_identities(repeated)
        with self._state.lock:
            allowed = allowed_actions(self._caller, self._group)
            for kind, items in given.items():
                if items and not allowed[kind]:
                    raise errors.forbidden(f"None of your identities may {kind} in the group {self._group.id}")
            return self._perform(given)

    def _perform(self, given: dict[str, list[Action]]) -> dict[str, Any]:
        answer: dict[str, Any] = {kind: [] for kind in given}
        failed: dict[str, list[dict[str, str]]] = {}
        for kind, items in given.items():
            for item in items:
                try:
                    changed = self._kinds[kind](item)
                except ActionError as error:
                    found = {"identity_id": str(item.identity_id), "code": error.code, "detail": error.detail}
                    failed.setdefault(kind, []).append(found)
                else:
                    answer[kind].append(membership_document(self._state, self._group, changed))
        return {**answer, "errors": failed} if failed else answer

    # Kinds of actions

    def _accept(self, item: Action) -> Membership:
        return self._move(self._own(item), (INVITED,), ACTIVE)

    def _add(self, item: RoleAction) -> Membership:
        identity_id = self._newcomer(item)
        if self._group.status_of(identity_id) == LEFT:
            raise ActionError("PREVIOUSLY_LEFT", "The identity has left the group, and can only be invited.")
        if self._state.allow_add.get(identity_id) is False:
            raise ActionError("ADD_NOT_ALLOWED", "The identity does not allow others to add it to groups.")
        return self._put(item, status=ACTIVE, role=item.role or MEMBER)

    def _invite(self, item: Invitation) -> Membership:
        self._newcomer(item)
        return self._put(
            item,
            status=INVITED,
            role=item.role or MEMBER,
            invite_email_address=item.invite_email_address,
            invite_time=self._state.world.clock.time(),
        )

    def _enter(self, item: Action, status: str) -> Membership:
        given = self._group.membership_fields.get(str(self._own(item).identity_id), {})
        if missing := [name for name in self._group.policies.signup_fields if not given.get(name)]:
            raise ActionError("MISSING_SIGNUP_FIELDS", f"The group requires the fields {', '.join(missing)}.")
        return self._put(item, status=status, role=MEMBER)

    def _leave(self, item: Action) -> Membership:
        self._own(item)
        self._keep_an_admin(item)
        return self._move(item, (ACTIVE,), LEFT)

    def _remove(self, item: Action) -> Membership:
        identity_id = str(item.identity_id)
        if identity_id in identity_set(self._caller):
            raise ActionError("OWN_MEMBERSHIP", "Identities cannot remove their own membership.")
        if self._group.role_of(identity_id) == ADMIN and not is_admin(self._caller, self._group):
            raise ActionError("FORBIDDEN", "Only admins can remove admins.")
        return self._move(item, (ACTIVE, INVITED), REMOVED)

    def _change_role(self, item: RoleAction) -> Membership:
        role = item.role or MEMBER
        if role != ADMIN:
            self._keep_an_admin(item)
        self._require_status(item, (ACTIVE,))
        return self._put(item, role=role)

    # What they have in common

    def _own(self, item: Action) -> Action:
        if str(item.identity_id) not in identity_set(self._caller):
            raise ActionError("NOT_IN_IDENTITY_SET", "The identity is not one of yours.")
        return item

    def _newcomer(self, item: RoleAction) -> str:
        """Return an identity that is not in the group, and may be given the role."""
        identity_id = str(item.identity_id)
        if self._state.world.auth.identity(identity_id) is None:
            raise ActionError("IDENTITY_NOT_FOUND", "There is no such identity.")
        if self._group.status_of(identity_id) == ACTIVE:
            raise ActionError("ALREADY_ACTIVE", "The identity is already an active member of the group.")
        if (item.role or MEMBER) != MEMBER and not is_admin(self._caller, self._group):
            raise ActionError("FORBIDDEN", "Only admins can make others managers or admins.")
        return identity_id

    def _keep_an_admin(self, item: Action) -> None:
        if self._group.admins() == [str(item.identity_id)]:
            raise ActionError("LAST_ADMIN", "The identity is the last admin of the group.")

    def _require_status(self, item: Action, statuses: tuple[str, ...]) -> None:
        status = self._group.status_of(str(item.identity_id))
        if status is None:
            raise ActionError("NO_MEMBERSHIP", "Identity has no membership in group.")
        if status not in statuses:
            raise ActionError("WRONG_STATUS", f"The membership is {status}, not {' or '.join(statuses)}.")

    def _move(self, item: Action, sources: tuple[str, ...], status: str) -> Membership:
        self._require_status(item, sources)
        return self._put(item, status=status)

    def _put(self, item: Action, **changes: Any) -> Membership:
        return self._state.put(self._group, str(item.identity_id), status_reason=item.status_reason, **changes)


def confirmed(answer: dict[str, Any]) -> bool:
    """Tell whether all that could not be done has a code that the service is known to have."""
    failed = answer.get("errors", {})
    return all(item["code"] in QUOTED for items in failed.values() for item in items)
