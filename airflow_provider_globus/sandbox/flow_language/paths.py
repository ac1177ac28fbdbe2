"""JSONPath: what a flow reads from its state, and where it writes results to."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jsonpath

from airflow_provider_globus.sandbox.flow_language.effects import NamedError

#: What a path or an expression that cannot be evaluated raises.
RUNTIME_ERROR = "States.Runtime"
#: The part of the state that the service keeps: it can be read, not written.
CONTEXT = "_context"
#: Keys of the state that begin so are in no log and no status.
PRIVATE_PREFIX = "_private"

_REFERENCE_PATH = re.compile(r"""\$(?:\.[^\W\d][\w-]*|\[(?:'[^'\]]+'|"[^"\]]+"|\d{1,9})\])*""")
_STEP = re.compile(r"""\.([^\W\d][\w-]*)|\[(?:'([^'\]]+)'|"([^"\]]+)"|(\d{1,9}))\]""")


@lru_cache(maxsize=4096)
def compiled(path: str) -> Any:
    """Return a path ready for use; ValueError when it is none."""
    try:
        if not path.startswith("$"):
            raise ValueError(f"{path!r} does not begin with '$'")
        return jsonpath.compile(path)
    except (jsonpath.JSONPathError, AttributeError, TypeError) as error:
        raise ValueError(f"{path!r} is not a JSONPath: {str(error).splitlines()[0]}") from None


def is_singular(path: str) -> bool:
    """Tell whether a path can only lead to one place."""
    query = compiled(path)
    return isinstance(query, jsonpath.JSONPath) and query.singular_query()


def found(path: str, state: Mapping[str, Any]) -> list[Any]:
    """Return all that a path leads to; to the service's own part of the state only a path that names it does."""
    if CONTEXT in state and CONTEXT not in path:
        state = {key: value for key, value in state.items() if key != CONTEXT}
    try:
        return list(compiled(path).findall(state))
    except jsonpath.JSONPathError as error:
        why = str(error).splitlines()[0]
        raise NamedError(RUNTIME_ERROR, f"The path '{path}' could not be followed: {why}.") from None


def read(path: str, state: Mapping[str, Any], field: str) -> Any:
    """Return what is at a path; for one that may lead to many places, a list.

    :param field: what the path is for, for the error.
    """
    values = found(path, state)
    if not is_singular(path):
        return values
    if not values:
        raise NamedError(
            RUNTIME_ERROR,
            f"The path '{path}' specified for the field '{field}' could not be found in the state input.",
        )
    return values[0]


def is_present(path: str, state: Mapping[str, Any]) -> bool:
    """Tell whether a path leads anywhere."""
    return bool(found(path, state))


def reference_problem(path: str) -> str | None:
    """Return why a result cannot be written to a path; None when it can."""
    if not _REFERENCE_PATH.fullmatch(path):
        return f"{path!r} is not a reference path: only names and indexes may follow '$'"
    if _steps(path)[:1] == [CONTEXT]:
        return f"'$.{CONTEXT}' is read-only"
    return None


def write(path: str, state: dict[str, Any], value: Any) -> dict[str, Any]:
    """Return the state with a value at a reference path; what is missing above it is made."""
    steps = _steps(path)
    if not steps:
        if not isinstance(value, dict):
            raise NamedError(RUNTIME_ERROR, "The whole state can only be replaced by an object")
        return {key: item for key, item in value.items() if key != CONTEXT}
    changed = copy.deepcopy(state)
    place: Any = changed
    for step, following in itertools.pairwise(steps):
        place = _descend(path, place, step, [] if isinstance(following, int) else {})
    _put(path, place, steps[-1], value)
    return changed


def _steps(path: str) -> list[str | int]:
    return [name or single or double or int(index) for name, single, double, index in _STEP.findall(path)]


def _descend(path: str, place: Any, step: str | int, missing: Any) -> Any:
    if isinstance(place, dict) and isinstance(step, str):
        return place.setdefault(step, missing)
    if isinstance(place, list) and isinstance(step, int) and step < len(place):
        return place[step]
    raise _unwritable(path, step)


def _put(path: str, place: Any, step: str | int, value: Any) -> None:
    known = isinstance(place, list) and isinstance(step, int) and step < len(place)
    if known or (isinstance(place, dict) and isinstance(step, str)):
        place[step] = value
    elif isinstance(place, list) and step == len(place):
        place.append(value)
    else:
        raise _unwritable(path, step)


def _unwritable(path: str, step: str | int) -> NamedError:
    return NamedError(RUNTIME_ERROR, f"The result cannot be written to '{path}': there is no place for {step!r}")


def shown(document: Any) -> Any:
    """Return a document as logs and status may have it: without private keys and the service's own part."""
    if isinstance(document, Mapping):
        return {
            key: shown(value)
            for key, value in document.items()
            if key != CONTEXT and not str(key).startswith(PRIVATE_PREFIX)
        }
    if isinstance(document, list):
        return [shown(value) for value in document]
    return document
