"""Parameters: a template whose ``.$`` and ``.=`` keys are filled from the state, some of it kept out of sight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_globus.sandbox.flow_language.effects import NamedError
from airflow_provider_globus.sandbox.flow_language.expressions import evaluate
from airflow_provider_globus.sandbox.flow_language.paths import RUNTIME_ERROR, read

PRIVATE_PARAMETERS = "__Private_Parameters"
PATH_SUFFIX, EXPRESSION_SUFFIX = ".$", ".="


def fill(template: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return filled parameters, and the same without those that are private."""
    filled = _fill(template, state, "")
    return filled, _public(filled, template)


def bare(key: str) -> str:
    """Return a key without its suffix."""
    return key[:-2] if key.endswith((PATH_SUFFIX, EXPRESSION_SUFFIX)) else key


def _fill(template: Any, state: Mapping[str, Any], above: str) -> Any:
    if isinstance(template, Mapping):
        return {
            bare(key): _value(key, value, state, f"{above}{key}")
            for key, value in template.items()
            if key != PRIVATE_PARAMETERS
        }
    if isinstance(template, list):
        return [_fill(item, state, above) for item in template]
    return template


def _value(key: str, value: Any, state: Mapping[str, Any], field: str) -> Any:
    if not key.endswith((PATH_SUFFIX, EXPRESSION_SUFFIX)):
        return _fill(value, state, f"{field}.")
    if not isinstance(value, str):
        raise NamedError(RUNTIME_ERROR, f"The field '{field}' must be text, since it ends in '{key[-2:]}'")
    return read(value, state, field) if key.endswith(PATH_SUFFIX) else evaluate(value, state, field)


def _public(filled: Any, template: Any) -> Any:
    if isinstance(template, Mapping):
        hidden = {bare(str(name)) for name in template.get(PRIVATE_PARAMETERS) or ()}
        return {
            bare(key): _public(filled[bare(key)], value) if bare(key) == key else filled[bare(key)]
            for key, value in template.items()
            if key != PRIVATE_PARAMETERS and bare(key) not in hidden
        }
    if isinstance(template, list):
        return [_public(item, part) for item, part in zip(filled, template, strict=True)]
    return filled
