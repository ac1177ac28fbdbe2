"""Checks documents of the GCS Manager API against its published OpenAPI schemas, version by version.

`schemas.json` is made from the types that Globus publishes with its JavaScript SDK (``@globus/sdk`` 6.2.0, Apache-2.0).
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.connect_server.errors import invalid_input

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jsonschema import Draft7Validator

# Documents inside documents, each of which says by its own DATA_TYPE what it is; None is looked at elsewhere.
_NESTED: dict[str, tuple[str, ...] | None] = {
    "policies": None,
    "identity_mappings": ("expression_identity_mapping", "external_identity_mapping"),
    "restrict_paths": ("path_restrictions",),
    "sharing_restrict_paths": ("path_restrictions",),
}
# What may be null by its description, though not by its schema.
_NULLABLE = {"sharing_policy": ("users",)}


@cache
def _definitions() -> dict[str, Any]:
    text = files(__package__).joinpath("schemas.json").read_text(encoding="utf-8")
    definitions: dict[str, Any] = json.loads(text)["definitions"]
    return definitions


@cache
def _by_data_type() -> dict[str, str]:
    """Return the name of the schema of each DATA_TYPE."""
    return {
        schema["properties"]["DATA_TYPE"]["const"]: name
        for name, schema in _definitions().items()
        if "DATA_TYPE" in schema.get("properties", {})
    }


def versions(base: str) -> list[str]:
    """Return the DATA_TYPEs of a kind of document, oldest first; none when there is no such kind."""
    found = [data_type for data_type in _by_data_type() if data_type.partition("#")[0] == base]
    return sorted(found, key=lambda data_type: [int(part) for part in re.findall(r"\d+", data_type.partition("#")[2])])


@cache
def properties(base: str) -> frozenset[str]:
    """Return the properties that the latest version of a kind of document has, DATA_TYPE left out."""
    schema = _definitions()[_by_data_type()[versions(base)[-1]]]
    return frozenset(schema["properties"]) - {"DATA_TYPE"}


@cache
def read_only(base: str) -> frozenset[str]:
    """Return the properties that the service alone sets."""
    schema = _definitions()[_by_data_type()[versions(base)[-1]]]
    return frozenset(name for name, about in schema["properties"].items() if about.get("readOnly"))


def required(base: str) -> list[str]:
    """Return the properties that the latest version of a kind of document cannot be without, DATA_TYPE left out."""
    return [name for name in _definitions()[_by_data_type()[versions(base)[-1]]]["required"] if name != "DATA_TYPE"]


def without_nulls(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document without the properties that are null and, by its schema, never are."""
    known = _definitions()[_by_data_type()[document["DATA_TYPE"]]]["properties"]
    return {name: value for name, value in document.items() if value is not None or _nullable(known.get(name, {}))}


def _nullable(schema: Mapping[str, Any]) -> bool:
    return "type" not in schema or "null" in schema["type"]


def check(document: Mapping[str, Any], base: str, *, partial: bool = False) -> None:
    """Refuse a document that is no valid one of its kind.

    :param partial: what is required may be missing, as in a PATCH, and null takes away what is not.
    :raises ServiceError: 422 with every finding.
    """
    if found := list(_findings(document, (base,), partial=partial)):
        raise invalid_input(found)


def _findings(
    document: Any, bases: tuple[str, ...] | None, *, partial: bool, where: str = ""
) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a document and with those inside it, by property."""
    data_type = document.get("DATA_TYPE") if isinstance(document, dict) else None
    if not isinstance(data_type, str) or data_type not in _by_data_type():
        yield f"{where}DATA_TYPE", f"Unsupported value: {data_type}"
        return
    if bases is not None and data_type.partition("#")[0] not in bases:
        yield f"{where}DATA_TYPE", f"Must be one of: {', '.join(bases)}"
        return
    known, unsaid = _properties(data_type), _unsaid(data_type, partial)
    outer = {name: value for name, value in document.items() if not (value is None and name in unsaid)}
    for error in sorted(_validator(data_type, partial).iter_errors(outer), key=lambda error: list(error.path)):
        yield from ((f"{where}{name}", said) for name, said in _said(error))
    for name, kinds in _NESTED.items():
        if document.get(name) is None or name not in known:
            continue
        inner = document[name]
        for number, item in enumerate(inner if isinstance(inner, list) else [inner]):
            index = f"{name}[{number}]" if isinstance(inner, list) else name
            yield from _findings(item, kinds, partial=partial and name == "policies", where=f"{where}{index}.")


def _properties(data_type: str) -> dict[str, Any]:
    found: dict[str, Any] = _definitions()[_by_data_type()[data_type]]["properties"]
    return found


@cache
def _unsaid(data_type: str, partial: bool) -> frozenset[str]:
    """Return the properties that null leaves out: in a PATCH, all that are not required."""
    if not partial:
        return frozenset(_NULLABLE.get(data_type.partition("#")[0], ()))
    required = _definitions()[_by_data_type()[data_type]].get("required", ())
    return frozenset(_properties(data_type)) - frozenset(required)


def _said(error: Any) -> Iterator[tuple[str, str]]:
    """Yield the property and the complaint of a finding, without the value: it may be a secret."""
    path = ".".join(map(str, error.path))
    if error.validator == "additionalProperties":
        for name in sorted(set(error.instance) - set(error.schema["properties"])):
            yield ".".join(filter(None, (path, name))), "Unknown field."
    elif error.validator == "required":
        for name in sorted(set(error.validator_value) - set(error.instance)):
            yield ".".join(filter(None, (path, name))), "Missing data for required field."
    elif error.validator == "enum":
        yield path, f"Must be one of: {', '.join(map(str, error.validator_value))}."
    elif error.validator == "type":
        wanted = error.validator_value
        yield path, f"Not a valid {' or '.join(wanted) if isinstance(wanted, list) else wanted}."
    else:
        yield path, "Invalid value."


@cache
def _validator(data_type: str, partial: bool) -> Draft7Validator:
    from jsonschema import Draft7Validator  # only who changes something pays for it

    definitions = _definitions()
    schema = dict(definitions[_by_data_type()[data_type]])
    # What only the service sets may come back to it in a document that was read before: it is ignored.
    schema["properties"] = {
        name: {} if about.get("readOnly") or name in _NESTED else about for name, about in schema["properties"].items()
    }
    if partial:
        schema["required"] = ["DATA_TYPE"]
    return Draft7Validator({**schema, "definitions": definitions})
