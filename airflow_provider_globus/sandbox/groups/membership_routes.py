"""Memberships: the caller's own, actions on those of a group, and what identities say of themselves."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from airflow_provider_globus.sandbox.groups import bodies, errors
from airflow_provider_globus.sandbox.groups.access import (
    group_in_path,
    identity_set,
    manages,
    visible_group,
    with_scope,
)
from airflow_provider_globus.sandbox.groups.actions import Batch, confirmed
from airflow_provider_globus.sandbox.groups.documents import group_document, status_counts
from airflow_provider_globus.sandbox.groups.group_routes import listed
from airflow_provider_globus.sandbox.groups.models import ACTIVE, STATUSES
from airflow_provider_globus.sandbox.provisional import PROVISIONAL
from airflow_provider_globus.sandbox.service import Answer, Basis, Route, ServiceRequest


def _my_groups(request: ServiceRequest) -> Answer:
    state, statuses = request.world.groups, listed(request, "statuses") or [ACTIVE]
    if unknown := sorted(set(statuses) - set(STATUSES)):
        raise errors.unknown_statuses(f"There is no status {', '.join(unknown)}; there are {', '.join(STATUSES)}")
    found = [group_document(state, request.caller, group, statuses=statuses) for group in state.all()]
    return Answer([document for document in found if document["my_memberships"]])


def _statuses(request: ServiceRequest) -> Answer:
    groups = [group for group in request.world.groups.all() if manages(request.caller, group)]
    return Answer({group.id: status_counts(group) for group in groups})


def _act(request: ServiceRequest) -> Answer:
    group, actions = group_in_path(request), bodies.read(request, bodies.ACTIONS)
    answer = Batch(request.world.groups, request.caller, group).perform(actions)
    return Answer(answer, headers={} if confirmed(answer) else PROVISIONAL)


def _get_fields(request: ServiceRequest) -> Answer:
    fields = visible_group(request).membership_fields
    return Answer({me: dict(fields.get(me, {})) for me in identity_set(request.caller)})


def _set_fields(request: ServiceRequest) -> Answer:
    group, wanted = visible_group(request), bodies.read(request, bodies.MEMBERSHIP_FIELDS)
    _require_own(request, wanted)
    with request.world.groups.lock:
        group.membership_fields |= {str(identity): fields.given() for identity, fields in wanted.items()}
    return _get_fields(request)


def _get_preferences(request: ServiceRequest) -> Answer:
    allow_add = request.world.groups.allow_add
    return Answer({me: {"allow_add": allow_add.get(me)} for me in identity_set(request.caller)})


def _set_preferences(request: ServiceRequest) -> Answer:
    wanted = bodies.read(request, bodies.PREFERENCES)
    _require_own(request, wanted)
    with request.world.groups.lock:
        request.world.groups.allow_add |= {str(identity): item.allow_add for identity, item in wanted.items()}
    return _get_preferences(request)


def _require_own(request: ServiceRequest, identities: Iterable[uuid.UUID]) -> None:
    mine = identity_set(request.caller)
    if others := [str(identity) for identity in identities if str(identity) not in mine]:
        raise errors.forbidden(f"Not identities of yours: {', '.join(others)}")


_ALL = with_scope()

ROUTES = (
    Route(
        "GET",
        "/v2/groups/my_groups",
        _my_groups,
        authorize=with_scope("view_my_groups_and_memberships"),
        basis=Basis.RECORDED,
    ),
    Route("GET", "/v2/groups/statuses", _statuses, authorize=_ALL, basis=Basis.SCHEMA),
    Route("POST", "/v2/groups/{group_id}", _act, authorize=_ALL, basis=Basis.QUOTED),
    Route("GET", "/v2/groups/{group_id}/membership_fields", _get_fields, authorize=_ALL, basis=Basis.SCHEMA),
    Route("PUT", "/v2/groups/{group_id}/membership_fields", _set_fields, authorize=_ALL, basis=Basis.SCHEMA),
    Route("GET", "/v2/preferences", _get_preferences, authorize=_ALL, basis=Basis.SCHEMA),
    Route("PUT", "/v2/preferences", _set_preferences, authorize=_ALL, basis=Basis.SCHEMA),
)
