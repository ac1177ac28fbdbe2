"""A flow's input as authors write it: collections by alias, people by username, where the flow's schema says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.operators.principals import principal_urns

if TYPE_CHECKING:
    from airflow_provider_globus.hooks.globus import GlobusHook

#: Formats by which Globus's own form for starting a flow offers collections and people.
COLLECTION, PRINCIPAL = "globus-collection", "globus-principal"


def resolve_input(hook: GlobusHook, flow_id: str, schema: Any, body: Any) -> Any:
    """
    The input with names replaced by what Globus wants.

    What the schema gives the format ``globus-collection`` is a collection, or an object whose ``id`` is one: it becomes
    a UUID, and the flow may use its data from then on. What has a format that begins with ``globus-principal`` becomes
    a URN. All else stays as it is, and so does what is a UUID or URN already.
    """
    if not isinstance(schema, Mapping):
        return body
    kind = str(schema.get("format", ""))
    if kind == COLLECTION:
        return _collection(hook, flow_id, body)
    if kind.startswith(PRINCIPAL) and isinstance(body, str) and body:
        return principal_urns(hook, [body])[0]
    if isinstance(body, list):
        return [resolve_input(hook, flow_id, schema.get("items"), item) for item in body]
    if isinstance(body, Mapping):
        known = schema.get("properties") or {}
        return {name: resolve_input(hook, flow_id, known.get(name), value) for name, value in body.items()}
    return body


def _collection(hook: GlobusHook, flow_id: str, given: Any) -> Any:
    if isinstance(given, Mapping) and isinstance(given.get("id"), str):
        return {**given, "id": hook.use_collection(given["id"], flow_id=flow_id)}
    # What is neither is for Globus to refuse, by the schema.
    return hook.use_collection(given, flow_id=flow_id) if isinstance(given, str) and given else given
