"""JSON schemas that clients bring: whether they are such, and what does not keep to them.

What a schema refers to is looked for in itself and in the published drafts, and nowhere else: the library alone would
fetch it from any URL, those of files among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, and where: as a path of keys, and as a JSONPath."""

    path: tuple[str | int, ...]
    json_path: str
    message: str


def schema_problem(schema: Mapping[str, Any]) -> Finding | None:
    """Return why something is no JSON schema; None when it is one. Without ``$schema`` it is of draft 7."""
    # Imported here, as below: it takes longer to import than a sandbox to start.
    import jsonschema

    if not isinstance(schema.get("$schema", ""), str):
        return Finding(("$schema",), "$['$schema']", "$schema must be the URI of a draft")
    try:
        _class(schema).check_schema(dict(schema))
    except jsonschema.SchemaError as error:
        return Finding(tuple(error.absolute_path), error.json_path, error.message)
    return None


def findings(schema: Mapping[str, Any], value: Any) -> list[Finding]:
    """Return how a value differs from what a schema says."""
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]
    from referencing.exceptions import Unresolvable

    try:
        validator = _class(schema)(dict(schema), registry=REGISTRY)
        return [Finding(tuple(e.absolute_path), e.json_path, e.message) for e in validator.iter_errors(value)]
    except Unresolvable as error:
        return [Finding((), "$", f"The schema refers to {error.ref!r}, which is not in it")]
    except RecursionError:
        return [Finding((), "$", "The schema refers to itself without an end")]


def _class(schema: Mapping[str, Any]) -> Any:
    import jsonschema

    return jsonschema.validators.validator_for(schema, default=jsonschema.Draft7Validator)
