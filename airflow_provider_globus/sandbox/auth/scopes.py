"""Scopes: which exist, and which resource server each belongs to.

Scope strings are read with the SDK's own parser: ``a[b *c]`` is scope ``a`` that may use ``b`` and, optionally, ``c``.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

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

# Ids of scopes that are public knowledge; others have one made from their string.
_KNOWN_IDS: Mapping[str, str] = {
    TRANSFER_ALL: "89ecabba-4acf-4e2e-a98d-ce592ccc2818",
    str(GroupsScopes.view_my_groups_and_memberships): "73320ffe-4cb4-4b25-a0a3-83d53d59ce4f",
}

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
    # Not the SDK's class, which takes no id that could not be one.
    return f"https://auth.globus.org/scopes/{flow_id}/flow_{flow_id.replace('-', '_')}_{role.lower()}"


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


@dataclass(frozen=True)
class Dependent:
    """A scope that another one needs.

    :param scope: its id.
    :param optional: whether a consent may leave it out.
    """

    scope: str
    optional: bool
    requires_refresh_token: bool

    def document(self) -> dict[str, Any]:
        """Return the dependency as Auth shows it."""
        return {
            "scope": self.scope,
            "optional": self.optional,
            "requires_refresh_token": self.requires_refresh_token,
        }


@dataclass(frozen=True)
class ScopeDefinition:
    """A scope that somebody made for a client.

    :param advertised: anybody may see it, whatever the visibility of the client.
    :param required_domains: who consents needs an identity of one of them.
    """

    id: str
    client_id: str
    scope_suffix: str
    name: str
    description: str
    advertised: bool = False
    allows_refresh_token: bool = True
    required_domains: tuple[str, ...] = ()
    dependents: tuple[Dependent, ...] = ()

    @property
    def scope_string(self) -> str:
        """What clients ask for."""
        return f"https://auth.globus.org/scopes/{self.client_id}/{self.scope_suffix}"

    def document(self) -> dict[str, Any]:
        """Return the scope as Auth shows it."""
        return {
            "id": self.id,
            "scope_string": self.scope_string,
            "client": self.client_id,
            "name": self.name,
            "description": self.description,
            "advertised": self.advertised,
            "allows_refresh_token": self.allows_refresh_token,
            "required_domains": list(self.required_domains),
            "dependent_scopes": [dependent.document() for dependent in self.dependents],
        }


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
        self._defined: dict[str, ScopeDefinition] = {}
        self.mark()

    # What is made through the API

    def define(self, definition: ScopeDefinition) -> None:
        """Add a scope to a client, or change one."""
        self._defined = {**self._defined, definition.id: definition}

    def remove(self, scope_id: str) -> None:
        """Take a scope from its client: nobody can ask for it any more."""
        self._defined = {key: found for key, found in self._defined.items() if key != scope_id}

    def definition(self, scope_id: str) -> ScopeDefinition | None:
        """Return the scope of this id, if somebody made it for a client."""
        return self._defined.get(scope_id)

    def definition_of(self, scope: str) -> ScopeDefinition | None:
        """Return what is known of a scope string, if somebody made it for a client."""
        return next((found for found in self._defined.values() if found.scope_string == scope), None)

    def definitions(self, client_id: str | None = None) -> list[ScopeDefinition]:
        """Return all scopes that were made (for a client)."""
        return [found for found in self._defined.values() if client_id in (None, found.client_id)]

    def with_dependents(self, scopes: Iterable[Scope], above: tuple[str, ...] = ()) -> tuple[Scope, ...]:
        """Return scopes with all that they cannot be used without, as their definitions say."""
        return tuple(self._with_dependents(scope, above) for scope in scopes)

    def _with_dependents(self, scope: Scope, above: tuple[str, ...]) -> Scope:
        path = (*above, scope.scope_string)
        named = {dependency.scope_string for dependency in scope.dependencies}
        definition = self.definition_of(scope.scope_string)
        needed = [self.scope_string(d.scope) for d in definition.dependents if not d.optional] if definition else []
        more = [Scope(item) for item in needed if item is not None and item not in named and item not in path]
        return Scope(
            scope.scope_string,
            optional=scope.optional,
            dependencies=self.with_dependents((*scope.dependencies, *more), path),
        )

    def closed_to(self, domain: str, scopes: Iterable[Scope]) -> list[ScopeDefinition]:
        """Return those of some scopes that identities of a domain cannot have."""
        known = [self.definition_of(scope.scope_string) for scope in scopes]
        return [found for found in known if found and found.required_domains and domain not in found.required_domains]

    # All scopes

    def id_of(self, scope: str) -> str:
        """Return the id of a scope."""
        definition = self.definition_of(scope)
        return definition.id if definition else _KNOWN_IDS.get(scope) or str(uuid.uuid5(uuid.NAMESPACE_URL, scope))

    def scope_string(self, scope_id: str) -> str | None:
        """Return the scope of an id: one that was made, or one of a service."""
        if definition := self._defined.get(scope_id):
            return definition.scope_string
        return next((scope for scope in self._servers if self.id_of(scope) == scope_id), None)

    def document(self, scope: str) -> dict[str, Any] | None:
        """Return a scope as Auth shows it; what Globus says of the scopes of its services is not known here."""
        if definition := self.definition_of(scope):
            return definition.document()
        server = self.resource_server(scope)
        if server is None:
            return None
        return {
            "id": self.id_of(scope),
            "scope_string": scope,
            "client": self.client_of(scope),
            "name": scope.rpartition("/" if "/" in scope else ":")[2],
            "description": "",
            "advertised": True,
            "allows_refresh_token": True,
            "required_domains": [],
            "dependent_scopes": [],
        }

    def client_of(self, scope: str) -> str:
        """Return the client a scope belongs to; of Globus's services, whose are not known here, an id like one."""
        server = self.resource_server(scope) or scope
        try:
            return str(uuid.UUID(server))
        except ValueError:
            return str(uuid.uuid5(uuid.NAMESPACE_URL, server))

    def mark(self) -> None:
        """Remember what was made as what `reset` goes back to."""
        self._base = self._defined

    def reset(self) -> None:
        """Go back to what was marked."""
        self._defined = self._base

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
        if definition := self.definition_of(scope):
            return definition.client_id
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
