"""The configuration a submission may bring for the endpoint that runs it, checked as a real endpoint checks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.json_schema import findings, schema_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

# What templates of user endpoints are given by the endpoint itself.
_RESERVED = ("parent_config", "mapped_identity", "user_runtime", "_GC")


def config_problem(config: Mapping[str, Any], schema: Mapping[str, Any] | None) -> str | None:
    """Return why an endpoint cannot use a configuration; None when it can.

    :param schema: the JSON schema of the endpoint; None takes everything.
    """
    for name in _RESERVED:
        if name in config:
            return _failed("ValueError", f"'{name}' is a reserved word and cannot be passed in via user config")
    if schema is None:
        return None
    if found := findings(schema, dict(config)):
        return _failed("ValidationError", f"{found[0].message} ({found[0].json_path})")
    return None


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raise ValueError for what is no JSON schema."""
    if found := schema_problem(schema):
        raise ValueError(f"user_config_schema is no valid JSON schema: {found.message}")


def _failed(kind: str, why: str) -> str:
    # As a real endpoint reports it.
    return f"Failed to start or unexpected error:\n  ({kind}) {why}"
