"""Groups: their properties, policies, subgroups and subscriptions."""

from __future__ import annotations

from dataclasses import replace

from airflow_provider_globus.sandbox.errors import NotServed
from airflow_provider_globus.sandbox.groups import bodies, errors
from airflow_provider_globus.sandbox.groups.access import (
    administrated_group,
    group_in_path,
    is_admin,
    is_visible,
    sees_members,
    visible_group,
    with_scope,
)
from airflow_provider_globus.sandbox.groups.documents import group_document
from airflow_provider_globus.sandbox.service import Answer, Basis, Route, ServiceRequest

_INCLUDES = ("memberships", "my_memberships", "policies", "allowed_actions", "child_ids")


def listed(request: ServiceRequest, name: str) -> list[str]:
    """Return the values of a parameter that may be repeated, or hold several between commas."""
    return [part for value in request.query.getlist(name) for part in value.split(",") if part]


def _create(request: ServiceRequest) -> Answer:
    state, caller = request.world.groups, request.caller
    wanted = bodies.read(request, bodies.NEW_GROUP)
    parent = state.groups.get(str(wanted.parent_id)) if wanted.parent_id else None
    if wanted.parent_id and (parent is None or not is_admin(caller, parent)):
        raise errors.forbidden("You must be the admin of the parent to create a child group.")
    group = state.add_group(
        wanted.name,
        description=wanted.description,
        admins=[caller.identity_id],
        parent=parent,
        policies=wanted.policies.given() if wanted.policies else {},
        terms_and_conditions=wanted.terms_and_conditions,
    )
    return Answer(group_document(state, caller, group), 201)


def _get(request: ServiceRequest) -> Answer:
    state, include = request.world.groups, _include(request)
    group = visible_group(request)
    if "memberships" in include and not sees_members(state, request.caller, group):
        raise errors.forbidden(f"You may not view the memberships of the group {group.id}")
    return Answer(group_document(state, request.caller, group, include))


def _update(request: ServiceRequest) -> Answer:
    group, changes = administrated_group(request), bodies.read(request, bodies.GROUP_CHANGES)
    given = changes.model_dump(exclude_unset=True)
    verified = str(given.pop("subscription_admin_verified_id", None) or "") or None
    if verified and verified != group.subscription_admin_verified_id:
        raise errors.forbidden("Admins of a group can only clear subscription_admin_verified_id")
    with request.world.groups.lock:
        for name, value in given.items():
            if name != "name" or value is not None:
                setattr(group, name, value)
        if "subscription_admin_verified_id" in changes.model_fields_set:
            group.subscription_admin_verified_id = verified
    return Answer(group_document(request.world.groups, request.caller, group, ("my_memberships", *_include(request))))


def _delete(request: ServiceRequest) -> Answer:
    state, group = request.world.groups, administrated_group(request)
    if state.children(group):
        raise NotServed("the deletion of a group that has subgroups", "as Globus does not say what becomes of them")
    document = group_document(state, request.caller, group)
    state.delete(group)
    return Answer(document)


def _children(request: ServiceRequest) -> Answer:
    state, caller = request.world.groups, request.caller
    children = state.children(visible_group(request))
    return Answer({"children": [group_document(state, caller, c) for c in children if is_visible(state, caller, c)]})


def _get_policies(request: ServiceRequest) -> Answer:
    return Answer(visible_group(request).policies.document())


def _set_policies(request: ServiceRequest) -> Answer:
    group, changes = administrated_group(request), bodies.read(request, bodies.POLICY_CHANGES)
    with request.world.groups.lock:
        group.policies = replace(group.policies, **changes.given())
    return Answer(group.policies.document())


def _by_subscription(request: ServiceRequest) -> Answer:
    wanted = bodies.id_in_path(request, "subscription_id")
    for group in request.world.groups.all():
        if (subscription := group.subscription) and subscription.id == wanted:
            info = subscription.limited_document()
            return Answer({"group_id": group.id, "subscription_id": wanted, "subscription_info": info})
    raise errors.subscription_not_found(wanted)


def _verify(request: ServiceRequest) -> Answer:
    """Take a group into a subscription, or out of it: a matter of the subscription's admins, not of the group's."""
    group, wanted = group_in_path(request), bodies.read(request, bodies.VERIFIED_SUBSCRIPTION)
    after = str(wanted.subscription_admin_verified_id) if wanted.subscription_admin_verified_id else None
    for subscription_id in {group.subscription_admin_verified_id, after} - {None}:
        if not _administrates_subscription(request, subscription_id):
            raise errors.forbidden(f"You must be an admin of the group of the subscription {subscription_id}")
    group.subscription_admin_verified_id = after
    return Answer({"group_id": group.id, "subscription_admin_verified_id": after})


def _administrates_subscription(request: ServiceRequest, subscription_id: str | None) -> bool:
    return any(
        group.subscription is not None and group.subscription.id == subscription_id and is_admin(request.caller, group)
        for group in request.world.groups.all()
    )


def _include(request: ServiceRequest) -> list[str]:
    wanted = listed(request, "include")
    allowed = f"Input should be one of {', '.join(_INCLUDES)}"
    wrong = [{"loc": ("query", "include"), "msg": allowed, "type": "enum"} for name in wanted if name not in _INCLUDES]
    if wrong:
        raise errors.invalid(wrong)
    return wanted


_ALL = with_scope()

ROUTES = (
    Route("POST", "/v2/groups", _create, authorize=_ALL, basis=Basis.RECORDED),
    Route("GET", "/v2/groups/{group_id}", _get, authorize=_ALL, basis=Basis.RECORDED),
    Route("PUT", "/v2/groups/{group_id}", _update, authorize=_ALL, basis=Basis.QUOTED),
    Route("DELETE", "/v2/groups/{group_id}", _delete, authorize=_ALL, basis=Basis.RECORDED),
    Route("GET", "/v2/groups/{group_id}/children", _children, authorize=_ALL, basis=Basis.SCHEMA),
    Route("GET", "/v2/groups/{group_id}/policies", _get_policies, authorize=_ALL, basis=Basis.SCHEMA),
    Route("PUT", "/v2/groups/{group_id}/policies", _set_policies, authorize=_ALL, basis=Basis.RECORDED),
    Route("PUT", "/v2/groups/{group_id}/subscription_admin_verified", _verify, authorize=_ALL, basis=Basis.RECORDED),
    Route("GET", "/v2/subscription_info/{subscription_id}", _by_subscription, authorize=_ALL, basis=Basis.RECORDED),
)
