"""What Groups shows: documents of groups and memberships."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.groups.access import allowed_actions, identity_set
from airflow_provider_globus.sandbox.groups.models import MEMBER, STATUSES

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_globus.sandbox.auth.models import Caller
    from airflow_provider_globus.sandbox.groups.models import Group, Membership
    from airflow_provider_globus.sandbox.groups.state import GroupsState

_LAST = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())


def group_document(
    state: GroupsState,
    caller: Caller,
    group: Group,
    include: Collection[str] = ("my_memberships",),
    statuses: Collection[str] | None = None,
) -> dict[str, Any]:
    """Return a group as a caller sees it.

    :param include: properties that are shown to those who ask for them.
    :param statuses: of the caller's memberships that are shown; all when left out.
    """
    subscription = group.subscription
    document: dict[str, Any] = {
        "name": group.name,
        "description": group.description,
        "parent_id": group.parent_id,
        "id": group.id,
        "group_type": "plus" if subscription else "regular",
        "enforce_session": group.policies.is_high_assurance,
        "session_limit": group.policies.authentication_assurance_timeout,
        "session_timeouts": _session_timeouts(state, caller, group),
        "terms_and_conditions": group.terms_and_conditions,
        "policies": group.policies.document(),
        "subscription_id": subscription.id if subscription else None,
        "subscription_info": subscription.document() if subscription else None,
        "subscription_admin_verified_id": group.subscription_admin_verified_id,
    }
    if "my_memberships" in include:
        mine = my_memberships(state, caller, group)
        document["my_memberships"] = [one for one in mine if statuses is None or one["status"] in statuses]
    if "memberships" in include:
        document["memberships"] = all_memberships(state, group)
    if "allowed_actions" in include:
        document["allowed_actions"] = allowed_actions(caller, group)
    if "child_ids" in include:
        document["child_ids"] = [child.id for child in state.children(group)]
    return document


def my_memberships(state: GroupsState, caller: Caller, group: Group) -> list[dict[str, Any]]:
    """Return what a caller's identities are to a group."""
    mine = identity_set(caller)
    return [one for one in all_memberships(state, group) if one["identity_id"] in mine]


def all_memberships(state: GroupsState, group: Group) -> list[dict[str, Any]]:
    """Return who is, was or may become a member of a group, with those who are by a subgroup."""
    own = [membership_document(state, group, item) for item in list(group.memberships.values())]
    implied = [
        {**membership_document(state, group, item), "role": MEMBER, "source_group_id": source.id}
        for source, item in state.implied(group)
    ]
    members_by_subgroup = {item["identity_id"] for item in implied}
    return [item for item in own if item["identity_id"] not in members_by_subgroup] + implied


def membership_document(state: GroupsState, group: Group, membership: Membership) -> dict[str, Any]:
    """Return a membership; what does not apply to it is left out."""
    identity = state.world.auth.identity(membership.identity_id)
    document = {
        "group_id": group.id,
        "identity_id": membership.identity_id,
        "username": identity.username if identity else membership.identity_id,
        "role": membership.role,
        "status": membership.status,
        "membership_fields": dict(group.membership_fields.get(membership.identity_id, {})),
        "updated": iso(membership.updated),
    }
    if membership.status_reason is not None:
        document["status_reason"] = membership.status_reason
    if membership.invite_email_address is not None:
        document["invite_email_address"] = membership.invite_email_address
    if membership.invite_time is not None:
        document["invite_time"] = iso(membership.invite_time)
    return document


def status_counts(group: Group) -> dict[str, int]:
    """Return how many memberships of each status a group has."""
    found = [item.status for item in list(group.memberships.values())]
    return {status: found.count(status) for status in STATUSES}


def iso(moment: float) -> str:
    """Return a time as the service shows it; the last one there is for what is beyond it."""
    return datetime.fromtimestamp(min(int(moment), _LAST), UTC).isoformat()


def _session_timeouts(state: GroupsState, caller: Caller, group: Group) -> dict[str, dict[str, Any]]:
    """Return when logins become too old for a group, would it insist."""
    if caller.authenticated_at is None:
        return {}
    end = caller.authenticated_at + group.policies.authentication_assurance_timeout
    left = max(0, int(end - state.world.clock.time()))
    return {me: {"expire_time": iso(end), "expires_in": left} for me in identity_set(caller)}
