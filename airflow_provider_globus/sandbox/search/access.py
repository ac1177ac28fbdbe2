"""Who may do what with an index, and see which entries."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from globus_sdk.scopes import SearchScopes

from airflow_provider_globus.sandbox.auth.models import Caller
from airflow_provider_globus.sandbox.search import errors
from airflow_provider_globus.sandbox.search.models import OPEN
from airflow_provider_globus.sandbox.search.state import IDENTITY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_globus.sandbox.search.models import Entry, Index
    from airflow_provider_globus.sandbox.search.state import SearchState
    from airflow_provider_globus.sandbox.service import Authorize, ServiceRequest

GROUP = "urn:globus:groups:id:"
EVERYBODY = ("public", "all_authenticated_users")
ROLES = ("owner", "admin", "writer")
_ANONYMOUS = Caller("", "", "", (), "anonymous")


def with_scope(*names: str, anonymous: bool = False) -> Authorize:
    """Return what takes tokens with one of these scopes of Search, or all of it.

    :param anonymous: take no token, too.
    """
    wanted = [str(getattr(SearchScopes, name)) for name in ("all", *names)]

    def authorize(request: ServiceRequest) -> Caller:
        if anonymous and "authorization" not in request.headers:
            return _ANONYMOUS
        return request.world.auth.authenticate(request, *wanted)

    return authorize


def index_for(state: SearchState, index_id: str, *, status: str | None = OPEN) -> Index:
    """Return an index that is there, and has a status."""
    state.settle()
    try:
        index = state.indexes[str(uuid.UUID(index_id))]
    except (KeyError, ValueError):
        raise errors.index_not_found(index_id) from None
    if status is not None and index.status != status:
        raise errors.wrong_status(index.status, status)
    return index


def roles_on(state: SearchState, caller: Caller, index: Index) -> list[str]:
    """Return the names of a caller's roles, the mightiest first."""
    held = {role.name for role in list(index.roles.values()) if _is(state, caller, role.principal)}
    return [name for name in ROLES if name in held]


def require_role(state: SearchState, caller: Caller, index: Index, operation: str, *names: str) -> None:
    """Refuse a caller who has none of these roles."""
    if not set(names) & set(roles_on(state, caller, index)):
        raise errors.forbidden(operation)


def visible(
    state: SearchState, caller: Caller, index: Index, entries: Iterable[Entry], *, bypass: bool = False
) -> list[Entry]:
    """Return the entries that a caller may see.

    :param bypass: all of them; for owners and admins only, and for nobody without a token.
    """
    if bypass and caller.identity_id:
        require_role(state, caller, index, "bypass_visible_to", "owner", "admin")
        return list(entries)
    return [entry for entry in entries if any(_is(state, caller, principal) for principal in entry.visible_to)]


def is_principal(text: object) -> bool:
    """Tell whether an entry may be visible to this."""
    if not isinstance(text, str):
        return False
    for prefix in (IDENTITY, GROUP):
        if text.startswith(prefix):
            try:
                return bool(uuid.UUID(text.removeprefix(prefix)))
            except ValueError:
                return False
    return text in EVERYBODY


def _is(state: SearchState, caller: Caller, principal: str) -> bool:
    if principal == "public":
        return True
    if not caller.identity_id:
        return False
    if principal in ("all_authenticated_users", IDENTITY + caller.identity_id):
        return True
    group_id = principal.removeprefix(GROUP)
    return principal.startswith(GROUP) and state.world.groups.is_in(caller.identity_id, group_id)
