"""Who manages what: roles on a collection, on the one it is shared from, or on the endpoint above both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_globus.sandbox.transfer.errors import permission_denied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_globus.sandbox.service import ServiceRequest
    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from airflow_provider_globus.sandbox.transfer.tasks import Task

MONITOR = ("administrator", "activity_manager", "activity_monitor")
MANAGE = ("administrator", "activity_manager")


def lineage(collection: Collection | None) -> Iterator[Collection]:
    """Yield a collection, then what it is hosted on, up to the endpoint."""
    while collection is not None:
        yield collection
        collection = collection.host


def manages(request: ServiceRequest, collection: Collection | None, roles: tuple[str, ...]) -> bool:
    """Whether the caller, or a group they are in, has a role on a collection or on what hosts it."""
    me = request.caller.identity_id
    groups = request.world.groups.groups_of(me)
    return any(
        item.has_role(me, roles)
        or any(role.principal in groups and role.role in roles for role in list(item.roles.values()))
        for item in lineage(collection)
    )


def sides(request: ServiceRequest, task: Task, roles: tuple[str, ...]) -> list[str]:
    """Return the sides of a task the caller manages."""
    both = {"SOURCE": task.spec.source, "DESTINATION": task.spec.destination}
    return [side for side, collection in both.items() if manages(request, collection, roles)]


def pause_slots(request: ServiceRequest, task: Task) -> tuple[list[str], list[str]]:
    """Return where the caller's word on a task is kept, and which words they may take back.

    Who manages only a guest collection speaks as its manager, and cannot undo what a manager of its host did.
    """
    mine, below = [], []
    for side, collection in (("source", task.spec.source), ("destination", task.spec.destination)):
        if collection is None or not manages(request, collection, MANAGE):
            continue
        guest_only = collection.kind == "guest" and not manages(request, collection.host, MANAGE)
        mine.append(f"{side}_share" if guest_only else side)
        below += [f"{side}_share"] if guest_only else [side, f"{side}_share"]
    return mine, below


def managed_task(request: ServiceRequest, task_id: str, roles: tuple[str, ...]) -> Task:
    """Return a task the caller manages a side of, or refuse."""
    task = request.world.transfer.task(task_id)
    if not sides(request, task, roles):
        raise permission_denied(f"You do not have an effective {roles[-1]} role on an endpoint of task '{task_id}'")
    return task


def managed_collection(request: ServiceRequest, collection_id: str, roles: tuple[str, ...]) -> Collection:
    """Return a collection or endpoint the caller manages, or refuse."""
    collection = request.world.transfer.collection(collection_id)
    require(request, collection, roles)
    return collection


def require(request: ServiceRequest, collection: Collection, roles: tuple[str, ...]) -> None:
    """Refuse who has none of the roles on a collection or what hosts it."""
    if not manages(request, collection, roles):
        raise permission_denied(f"You do not have an effective {roles[-1]} role on '{collection.id}'")


def require_any(request: ServiceRequest) -> None:
    """Refuse who monitors nothing at all."""
    if not any(manages(request, item, MONITOR) for item in list(request.world.transfer.collections.values())):
        raise permission_denied("You do not have an activity_monitor or activity_manager role on any endpoint")
