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
    filled, public = _fill(template, state, "")
    return filled, public


def bare(key: str) -> str:
    """Return a key without its suffix."""
    return key[:-2] if key.endswith((PATH_SUFFIX, EXPRESSION_SUFFIX)) else key


def _fill(template: Any, state: Mapping[str, Any], above: str) -> tuple[Any, Any]:
    """Return a filled part of a template, and what of it is public."""
    if isinstance(template, list):
        items = [_fill(item, state, above) for item in template]
        return [item for item, _ in items], [public for _, public in items]
    if not isinstance(template, Mapping):
        return template, template
    hidden = {bare(str(name)) for name in template.get(PRIVATE_PARAMETERS) or ()}
    filled, public = {}, {}
    for key, value in template.items():
        if key == PRIVATE_PARAMETERS:
            continue
        name = bare(key)
        filled[name], shown = _value(key, value, state, f"{above}{key}")
        if name not in hidden:
            public[name] = shown
    return filled, public


def _value(key: str, value: Any, state: Mapping[str, Any], field: str) -> tuple[Any, Any]:
    if not key.endswith((PATH_SUFFIX, EXPRESSION_SUFFIX)):
        return _fill(value, state, f"{field}.")
    if not isinstance(value, str):
        raise NamedError(RUNTIME_ERROR, f"The field '{field}' must be text, since it ends in '{key[-2:]}'")
    result = read(value, state, field) if key.endswith(PATH_SUFFIX) else evaluate(value, state, field)
    return result, result
