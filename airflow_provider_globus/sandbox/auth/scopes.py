"""Scopes: which exist, and which resource server each belongs to.

Scope strings are read with the SDK's own parser: ``a[b *c]`` is scope ``a`` that may use ``b`` and, optionally, ``c``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from globus_sdk.scopes import (
    AuthScopes,
    ComputeScopes,
    FlowsScopes,
    GCSEndpointScopes,
    GroupsScopes,
    NexusScopes,
    Scope,
    ScopeParseError,
    ScopeParser,
    SearchScopes,
    SpecificFlowScopes,
    TimersScopes,
    TransferScopes,
)

# The one Connect Server endpoint of every sandbox, and the scope of its GCS Manager.
ENDPOINT_ID = "5a4db0c5-0000-4000-8000-0000000000e0"
MANAGE_COLLECTIONS = str(GCSEndpointScopes(ENDPOINT_ID).manage_collections)

AUTH_SERVER = "auth.globus.org"
TRANSFER_SERVER = "transfer.api.globus.org"
TRANSFER_ALL = str(TransferScopes.all)
OPENID = "openid"

_COLLECTION_SCOPE = re.compile(r"https://auth\.globus\.org/scopes/([0-9a-f-]{36})/(data_access|https)")
# A role of a flow has its own; the name after the id is what the flow calls it.
_FLOW_SCOPE = re.compile(r"https://auth\.globus\.org/scopes/([0-9a-f-]{36})/flow_([0-9a-f_]{36})_\w+")
_SERVICES = (
    AuthScopes,
    ComputeScopes,
    FlowsScopes,
    GroupsScopes,
    NexusScopes,
    SearchScopes,
    TimersScopes,
    TransferScopes,
)


#: What a service needs that acts for somebody at all the others.
ALL_SERVICES = (TRANSFER_ALL, str(ComputeScopes.all), str(SearchScopes.all), str(FlowsScopes.all))


def flow_scope(flow_id: str, role: str = "User") -> str:
    """Return the scope that runs a flow, or lets its actions act in a role.

    That roles other than ``User`` have theirs by the same rule is not confirmed.
    """
    return str(SpecificFlowScopes(flow_id).user).removesuffix("user") + role.lower()


def data_access_scope(collection_id: str) -> str:
    """Return the scope whose consent lets Transfer read a mapped collection for its caller."""
    return f"https://auth.globus.org/scopes/{collection_id}/data_access"


def https_scope(collection_id: str) -> str:
    """Return the scope of who reads and writes a collection's files over HTTPS."""
    return f"https://auth.globus.org/scopes/{collection_id}/https"


def parse_scopes(text: str) -> tuple[Scope, ...]:
    """Read a space-separated list of scopes with their dependencies; ValueError when it cannot be read."""
    try:
        # Sorted, because the parser works with sets and the first scope's service leads the token answer.
        return tuple(sorted(ScopeParser.parse(text), key=lambda scope: text.find(scope.scope_string)))
    except (ScopeParseError, ValueError) as error:
        raise ValueError(f"Unreadable scope {text!r}: {error}") from None


class ScopeRegistry:
    """The scopes a sandbox knows.

    :param collection_scope_exists: tells whether a collection (by id) has a ``data_access`` or ``https`` scope.
    :param flow_exists: tells whether there is a flow of this id.
    """

    def __init__(self, collection_scope_exists: Callable[[str, str], bool], flow_exists: Callable[[str], bool]) -> None:
        self._collection_scope_exists = collection_scope_exists
        self._flow_exists = flow_exists
        self._servers = {scope.scope_string: service.resource_server for service in _SERVICES for scope in service}
        self._servers[MANAGE_COLLECTIONS] = ENDPOINT_ID

    def register(self, scope: str, resource_server: str) -> None:
        """Make a further scope known."""
        self._servers[scope] = resource_server

    def resource_server(self, scope: str) -> str | None:
        """Return whose scope this is; None when there is no such scope."""
        if found := _COLLECTION_SCOPE.fullmatch(scope):
            collection_id, name = found.groups()
            return collection_id if self._collection_scope_exists(collection_id, name) else None
        if found := _FLOW_SCOPE.fullmatch(scope):
            flow_id, again = found.groups()
            return flow_id if again == flow_id.replace("-", "_") and self._flow_exists(flow_id) else None
        return self._servers.get(scope)

    def unknown(self, scopes: Iterable[Scope]) -> list[str]:
        """Return the scopes of a tree, dependencies included, that do not exist."""
        missing: list[str] = []
        for scope in scopes:
            if self.resource_server(scope.scope_string) is None:
                missing.append(scope.scope_string)
            missing += self.unknown(scope.dependencies)
        return missing

    def by_server(self, scopes: Iterable[Scope]) -> dict[str, tuple[Scope, ...]]:
        """Group scopes by the resource server they belong to, in the order given."""
        grouped: dict[str, tuple[Scope, ...]] = {}
        for scope in scopes:
            server = self.resource_server(scope.scope_string)
            if server is not None:
                grouped[server] = (*grouped.get(server, ()), scope)
        return grouped
