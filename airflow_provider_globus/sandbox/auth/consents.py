"""Consents: what an identity lets a client do for it, and what services may do further down for that.

They belong to identity and client, not to a token: a consent given later makes older tokens good for more, which is
how the Globus CLI cures a ConsentRequired for a service account (it asks for the scopes and drops the new token).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from globus_sdk.scopes import Scope

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.auth.scopes import ScopeRegistry

# A scope, and before it the scopes it was reached through.
Path: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class Consent:
    """One node of a consent tree."""

    path: Path
    optional: bool
    allows_refresh: bool
    granted_at: float


class ConsentStore:
    """The consents of one sandbox; what it hands out is never changed, only replaced."""

    def __init__(self) -> None:
        self._granted: dict[tuple[str, str], Mapping[Path, Consent]] = {}

    def grant(
        self, identity_id: str, client_id: str, scopes: Iterable[Scope], *, now: float, allows_refresh: bool
    ) -> None:
        """Add the consents of scope trees to those there are."""
        known = self.of(identity_id, client_id)
        new = {
            path: Consent(path, optional, allows_refresh, now)
            for path, optional in _walk(scopes, ())
            if path not in known
        }
        if new:
            self._granted[identity_id, client_id] = {**known, **new}

    def of(self, identity_id: str, client_id: str) -> Mapping[Path, Consent]:
        """Return what an identity consented to for a client, by path, what depends on a scope after it."""
        return self._granted.get((identity_id, client_id), {})

    def clients(self, identity_id: str) -> list[str]:
        """Return the clients that an identity gave consents to."""
        return [client_id for of, client_id in self._granted if of == identity_id]

    def withdraw(self, identity_id: str | None = None, *, client_id: str | None = None) -> None:
        """Take back all consents (of one identity, or to one client)."""
        self._granted = {
            key: consents
            for key, consents in self._granted.items()
            if identity_id not in (None, key[0]) or client_id not in (None, key[1])
        }

    def copy(self) -> ConsentStore:
        """Return a store that goes its own way from here."""
        copied = ConsentStore()
        copied._granted = dict(self._granted)
        return copied


def _walk(scopes: Iterable[Scope], above: Path) -> Iterator[tuple[Path, bool]]:
    for scope in scopes:
        path = (*above, scope.scope_string)
        yield path, scope.optional
        yield from _walk(scope.dependencies, path)


def dependencies(consents: Mapping[Path, Consent], above: Path) -> tuple[Scope, ...]:
    """Return the scopes consented to that are reached through a path."""
    return tuple(
        Scope(path[-1], optional=consent.optional, dependencies=dependencies(consents, path))
        for path, consent in consents.items()
        if path[:-1] == above
    )


def consent_documents(
    identity_id: str, client_id: str, consents: Mapping[Path, Consent], scopes: ScopeRegistry, *, first: int = 1
) -> list[dict[str, Any]]:
    """Return consents as Auth lists them.

    :param first: the id of the first.
    """
    numbers = {path: number for number, path in enumerate(consents, first)}
    return [
        {
            "id": numbers[path],
            "scope": scopes.id_of(path[-1]),
            "scope_name": path[-1],
            # What a scope depends on is used by the service of that scope, not by the client.
            "client": client_id if len(path) == 1 else scopes.client_of(path[-2]),
            "dependency_path": [numbers[path[: depth + 1]] for depth in range(len(path))],
            "status": "approved",
            "allows_refresh": consent.allows_refresh,
            "atomically_revocable": consent.optional,
            "auto_approved": False,
            "effective_identity": identity_id,
            **dict.fromkeys(
                ("created", "updated", "last_used"), datetime.fromtimestamp(consent.granted_at, UTC).isoformat()
            ),
        }
        for path, consent in consents.items()
    ]
