"""Who may do what with a group: scopes, roles, and the actions on memberships that a caller is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from globus_sdk.scopes import GroupsScopes

from airflow_provider_globus.sandbox.groups import bodies, errors
from airflow_provider_globus.sandbox.groups.models import (
    ACTIVE,
    ADMIN,
    AUTHENTICATED,
    INVITED,
    MANAGER,
    MEMBERS,
    PENDING,
)

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.auth.models import Caller
    from airflow_provider_globus.sandbox.groups.models import Group
    from airflow_provider_globus.sandbox.groups.state import GroupsState
    from airflow_provider_globus.sandbox.service import Authorize, ServiceRequest

MANAGE = (MANAGER, ADMIN)


def with_scope(*names: str) -> Authorize:
    """Return what takes tokens with one of these scopes of Groups, or all of it."""
    wanted = [str(getattr(GroupsScopes, name)) for name in ("all", *names)]

    def authorize(request: ServiceRequest) -> Caller:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not value.strip():
            raise errors.no_credentials()
        return request.world.auth.authenticate(
            request, *wanted, refusal=lambda caller: errors.missing_scope(caller.scopes)
        )

    return authorize


def identity_set(caller: Caller) -> list[str]:
    """Return the identities that a caller is; in the sandbox, none is linked to another."""
    return [caller.identity_id]


def group_in_path(request: ServiceRequest) -> Group:
    """Return the group that a path names, if the login of the caller is recent enough for it."""
    group_id = bodies.id_in_path(request, "group_id")
    group = request.world.groups.groups.get(group_id)
    if group is None:
        raise errors.group_not_found(group_id)
    since, limit = request.caller.authenticated_at, group.policies.authentication_assurance_timeout
    if group.policies.is_high_assurance and since is not None and request.world.clock.time() - since > limit:
        raise errors.session_required(request.caller.identity_id)
    return group


def visible_group(request: ServiceRequest) -> Group:
    """Return the group that a path names, if the caller may see it."""
    group = group_in_path(request)
    if not is_visible(request.world.groups, request.caller, group):
        raise errors.forbidden(f"You may not view the group {group.id}")
    return group


def administrated_group(request: ServiceRequest) -> Group:
    """Return the group that a path names, if the caller is an admin of it."""
    group = group_in_path(request)
    if not _has_role(request.caller, group, ADMIN):
        raise errors.forbidden(f"You must be an admin of the group {group.id}")
    return group


def is_visible(state: GroupsState, caller: Caller, group: Group) -> bool:
    """Tell whether a caller may see a group: anybody, or who is in it, invited, or wants to be."""
    return group.policies.group_visibility == AUTHENTICATED or any(
        state.role_in(group, me) or group.status_of(me) in (INVITED, PENDING) for me in identity_set(caller)
    )


def sees_members(state: GroupsState, caller: Caller, group: Group) -> bool:
    """Tell whether a caller may see who is in a group."""
    if group.policies.group_members_visibility == MEMBERS:
        return any(state.role_in(group, me) for me in identity_set(caller))
    return _has_role(caller, group, *MANAGE)


def manages(caller: Caller, group: Group) -> bool:
    """Tell whether a caller is an admin or a manager of a group."""
    return _has_role(caller, group, *MANAGE)


def is_admin(caller: Caller, group: Group) -> bool:
    """Tell whether a caller is an admin of a group."""
    return _has_role(caller, group, ADMIN)


def allowed_actions(caller: Caller, group: Group) -> dict[str, list[str]]:
    """Return, by kind of action, the identities of a caller that may in principle do it."""
    identities = identity_set(caller)
    by_role = {role: [me for me in identities if _is(group, me, role)] for role in MANAGE}
    managers, policies = [*by_role[MANAGER], *by_role[ADMIN]], group.policies
    outside = [me for me in identities if group.status_of(me) not in (ACTIVE, INVITED, PENDING)]
    invited = [me for me in identities if group.status_of(me) == INVITED]
    return {
        "add": managers,
        "change_role": by_role[ADMIN],
        "invite": managers,
        "remove": managers,
        "join": outside if group.open_to_join and not policies.is_high_assurance else [],
        "request_join": outside if policies.join_requests else [],
        "approve": managers,
        "reject": managers,
        "accept": invited,
        "leave": [me for me in identities if group.status_of(me) == ACTIVE],
        "decline": invited,
    }


def _has_role(caller: Caller, group: Group, *roles: str) -> bool:
    return any(_is(group, me, *roles) for me in identity_set(caller))


def _is(group: Group, identity_id: str, *roles: str) -> bool:
    return group.role_of(identity_id) in roles
