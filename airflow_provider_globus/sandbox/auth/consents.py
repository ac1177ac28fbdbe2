"""Consents as Auth lists them: the scope trees a client was granted for an identity, one document a node."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from globus_sdk.scopes import Scope

    from airflow_provider_globus.sandbox.auth.models import Token


def consent_documents(tokens: Iterable[Token], client_id: str) -> list[dict[str, Any]]:
    """Return the consents behind an identity's tokens, each tree once; scopes point to their dependencies by id."""
    known: dict[tuple[str, ...], dict[str, Any]] = {}
    for token in sorted(tokens, key=lambda token: token.issued_at):
        _grow(known, token, token.scopes, (), client_id)
    return list(known.values())


def _grow(
    known: dict[tuple[str, ...], dict[str, Any]],
    token: Token,
    scopes: Iterable[Scope],
    above: tuple[str, ...],
    client_id: str,
) -> None:
    for scope in scopes:
        path = (*above, scope.scope_string)
        if path not in known:
            number = len(known) + 1
            upper = known[above]["dependency_path"] if above else []
            known[path] = _document(scope, token, number, [*upper, number], client_id)
        # What depends on a scope is used by the service of that scope, not by the first client.
        _grow(known, token, scope.dependencies, path, _id_of(scope.scope_string))


def _document(scope: Scope, token: Token, number: int, path: list[int], client_id: str) -> dict[str, Any]:
    granted = datetime.fromtimestamp(token.issued_at, UTC).isoformat()
    return {
        "id": number,
        "scope": _id_of(scope.scope_string),
        "scope_name": scope.scope_string,
        "client": client_id,
        "dependency_path": path,
        "status": "approved",
        "allows_refresh": token.expires_at is None,
        "atomically_revocable": scope.optional,
        "auto_approved": False,
        "effective_identity": token.identity_id,
        "created": granted,
        "updated": granted,
        "last_used": granted,
    }


def _id_of(scope: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, scope))
