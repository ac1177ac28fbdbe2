"""Choice rules: comparisons with the state, joined by And, Or and Not."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from airflow_provider_globus.sandbox.flow_language.effects import NamedError
from airflow_provider_globus.sandbox.flow_language.paths import RUNTIME_ERROR, is_present, read

_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "GreaterThan": operator.gt,
    "LessThanEquals": operator.le,
    "GreaterThanEquals": operator.ge,
}
_ORDERED = ("String", "Numeric", "Timestamp")
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")

#: Every comparison with a value, by name: what kind of value, and how it is compared.
OPERATORS: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    **{f"{kind}{name}": (kind, compare) for kind in _ORDERED for name, compare in _COMPARISONS.items()},
    "BooleanEquals": ("Boolean", operator.eq),
    "StringMatches": ("String", lambda text, pattern: _matches(text, pattern)),
}
#: Those with a value, and those with what is at a path: all but patterns can be at one.
COMPARISONS = (*OPERATORS, *(f"{name}Path" for name in OPERATORS if name != "StringMatches"))
#: Every question about the type of a value.
TESTS = ("IsNull", "IsPresent", "IsNumeric", "IsString", "IsBoolean", "IsTimestamp")


def holds(rule: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    """Tell whether a rule is true of the state."""
    if "And" in rule:
        return all(holds(part, state) for part in rule["And"])
    if "Or" in rule:
        return any(holds(part, state) for part in rule["Or"])
    if "Not" in rule:
        return not holds(rule["Not"], state)
    return all(_compare(name, rule, state) for name in rule if name not in ("Variable", "Next"))


def rfc3339(value: Any) -> datetime | None:
    """Return a moment written as RFC 3339 wants it, with seconds and a zone; None for anything else."""
    return timestamp(value) if isinstance(value, str) and _RFC_3339.fullmatch(value) else None


def timestamp(value: Any) -> datetime | None:
    """Return a moment written in any form of ISO 8601, in UTC when it names no zone; None for anything else."""
    if not isinstance(value, str) or "T" not in value.upper():
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _compare(name: str, rule: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    variable = rule["Variable"]
    if name == "IsPresent":
        return is_present(variable, state) is rule[name]
    value = read(variable, state, "Variable")
    if name in TESTS:
        return _is(name, value) is rule[name]
    wanted = rule[name]
    if name.endswith("Path"):
        wanted = read(wanted, state, name)
    kind, compare = OPERATORS[name.removesuffix("Path")]
    left, right = _typed(kind, value), _typed(kind, wanted)
    if right is None:
        raise NamedError(RUNTIME_ERROR, f"'{name}' cannot compare with {wanted!r}, which is no {kind.lower()}")
    # A value of another type equals nothing, and is neither more nor less.
    return left is not None and bool(compare(left, right))


def _is(name: str, value: Any) -> bool:
    if name == "IsNull":
        return value is None
    return _typed(name.removeprefix("Is"), value) is not None


def _typed(kind: str, value: Any) -> Any:
    if kind == "Timestamp":
        return rfc3339(value)
    if kind == "Boolean":
        return value if isinstance(value, bool) else None
    if kind == "Numeric":
        return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    return value if isinstance(value, str) else None


def _matches(text: str, pattern: str) -> bool:
    """Tell whether text matches a pattern, in which only ``*`` is special and a backslash makes it plain."""
    glob = "".join("[*]" if part == "\\*" else part for part in _parts(pattern))
    return fnmatchcase(text, glob)


def _parts(pattern: str) -> list[str]:
    parts, position = [], 0
    while position < len(pattern):
        if pattern[position] == "\\" and position + 1 < len(pattern):
            parts.append("\\*" if pattern[position + 1] == "*" else pattern[position + 1])
            position += 2
            continue
        character = pattern[position]
        parts.append(f"[{character}]" if character in "?[" else character)
        position += 1
    return parts
