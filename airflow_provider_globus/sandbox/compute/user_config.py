"""The configuration a submission may bring for the endpoint that runs it, checked as a real endpoint checks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
            return _failed(f"ValueError: '{name}' is a reserved word and cannot be passed in via user config")
    if schema is None:
        return None
    jsonschema = _jsonschema()
    try:
        jsonschema.validate(dict(config), dict(schema))
    except jsonschema.ValidationError as error:
        return _failed(f"ValidationError at {error.json_path}: {error.message}")
    return None


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raise ValueError for what is no JSON schema."""
    jsonschema = _jsonschema()
    try:
        jsonschema.validators.validator_for(schema).check_schema(schema)
    except jsonschema.SchemaError as error:
        raise ValueError(f"user_config_schema is no valid JSON schema: {error.message}") from None


def _jsonschema() -> Any:
    # Few endpoints have a schema, and this takes longer to import than a sandbox to start.
    import jsonschema

    return jsonschema


def _failed(why: str) -> str:
    return f"The endpoint cannot start a user endpoint with this user_endpoint_config: {why}"
