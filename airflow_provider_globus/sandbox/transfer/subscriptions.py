"""Subscriptions of Globus Connect Personal collections: a group has a subscription, who is in it may use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.groups.models import ADMIN, MANAGER
from airflow_provider_globus.sandbox.provisional import PROVISIONAL
from airflow_provider_globus.sandbox.transfer.errors import bad_request, permission_denied

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.auth.models import Caller
    from airflow_provider_globus.sandbox.groups.models import Group
    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from airflow_provider_globus.sandbox.world import World

FIELDS = ("subscription_id", "subscription_admin_verified")


def change(world: World, collection: Collection, field: str, value: Any, caller: Caller) -> None:
    """Change one of the `FIELDS` of a collection in a caller's name, or refuse."""
    (_assign if field == "subscription_id" else _verify)(world, collection, value, caller)


def _groups(world: World) -> dict[str, Group]:
    """Return the groups that have a subscription, by its id."""
    return {group.subscription.id: group for group in world.groups.all() if group.subscription}


def _assign(world: World, collection: Collection, wanted: Any, caller: Caller) -> None:
    """Put a personal collection under a subscription, or under none.

    Administrators of the collection do so with any subscription of theirs; managers of a subscription with everybody's
    collections that are under none, or under one that they manage.
    """
    if collection.kind != "personal":
        # The documentation says whose subscription can be set here, and not how the service refuses others.
        message = f"'{collection.name}' is no Globus Connect Personal mapped collection"
        raise ServiceError(409, "Conflict", message, headers=PROVISIONAL)
    groups = _groups(world)
    chosen = None if wanted is None else _chosen(world, groups, wanted, caller)
    if not collection.has_role(caller.identity_id, ("administrator",)):
        touched = {key for key in (chosen, collection.subscription_id) if key in groups}
        roles = [world.groups.role_in(groups[key], caller.identity_id) for key in touched]
        if not roles or not all(role in (MANAGER, ADMIN) for role in roles):
            raise permission_denied(f"You do not have an effective administrator role on '{collection.name}'")
    if chosen != collection.subscription_id:
        collection.subscription_id, collection.subscription_admin_verified = chosen, False


def _chosen(world: World, groups: dict[str, Group], wanted: Any, caller: Caller) -> str:
    """Return the subscription that a member means: by its id, or the only one as ``DEFAULT``."""
    mine = [key for key, group in groups.items() if world.groups.role_in(group, caller.identity_id)]
    if wanted == "DEFAULT" and len(mine) > 1:
        raise bad_request(f"Please specify the subscription ID to use. You currently have access to: {', '.join(mine)}")
    found = mine[0] if wanted == "DEFAULT" and mine else str(wanted).lower()
    if found not in mine:
        # How the service refuses this could not be confirmed.
        raise ServiceError(
            403, "PermissionDenied", f"You do not have access to the subscription '{wanted}'", headers=PROVISIONAL
        )
    return found


def _verify(world: World, collection: Collection, wanted: Any, caller: Caller) -> None:
    """Say, as an admin of its subscription, that a collection is what it claims to be; or take that back.

    Administrators of the collection may take it back, too.
    """
    if not isinstance(wanted, bool):
        raise bad_request(f"Field 'subscription_admin_verified' must be true or false, got {wanted!r}")
    group = _groups(world).get(collection.subscription or "")
    if group is None or group.subscription is None:
        raise bad_request("The collection must be associated with a subscription to set subscription_admin_verified")
    is_admin = world.groups.role_in(group, caller.identity_id) == ADMIN
    if not is_admin and (wanted or not collection.has_role(caller.identity_id, ("administrator",))):
        raise permission_denied(
            "User does not have an admin role on the collection's subscription to set subscription_admin_verified"
        )
    since, allowed = caller.authenticated_at, group.policies.authentication_assurance_timeout
    expired = since is not None and world.clock.time() - since > allowed
    if group.subscription.is_high_assurance and expired:
        raise bad_request(
            f"No manager or admin identities in session for high-assurance subscription {group.subscription.id}"
        )
    collection.subscription_admin_verified = wanted
