"""Checking a definition before anything runs it: each problem names the state and the field, and how to mend it.

The shape of each kind of state is a JSON schema; what a schema cannot say (that states exist, that paths and
expressions can be read) is checked after it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from airflow_provider_globus.sandbox.flow_language.choice import COMPARISONS, OPERATORS, TESTS, rfc3339
from airflow_provider_globus.sandbox.flow_language.execution import LONGEST_WAIT_SECONDS
from airflow_provider_globus.sandbox.flow_language.expressions import problem as expression_problem
from airflow_provider_globus.sandbox.flow_language.parameters import (
    EXPRESSION_SUFFIX,
    PATH_SUFFIX,
    PRIVATE_PARAMETERS,
    bare,
)
from airflow_provider_globus.sandbox.flow_language.paths import compiled, reference_problem
from airflow_provider_globus.sandbox.json_schema import schema_problem

VALUE_ERROR = "value_error"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where: ``loc`` leads to it from ``definition``."""

    loc: tuple[str | int, ...]
    msg: str
    type: str = VALUE_ERROR

    def document(self) -> dict[str, Any]:
        """Return the problem as the service lists it."""
        return {"loc": list(self.loc), "msg": self.msg, "type": self.type}


_TEXT, _OBJECT, _FLAG = {"type": "string"}, {"type": "object"}, {"type": "boolean"}
_URL = {"type": "string", "pattern": "^https://.+$"}
_CATCH = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"ErrorEquals": {"type": "array", "items": _TEXT}, "Next": _TEXT, "ResultPath": _TEXT},
        "required": ["ErrorEquals", "Next"],
        "additionalProperties": False,
    },
}
#: For each type of handler: its fields, and the one that it must have.
_HANDLERS: dict[str, tuple[dict[str, Any], str]] = {
    "ActionProvider": ({"Type": _TEXT, "Url": _URL, "Scope": _TEXT}, "Url"),
    "RegisteredAPI": ({"Type": _TEXT, "Id": _TEXT}, "Id"),
}
_COMMON = {"Type": _TEXT, "Comment": _TEXT}
_GOES_ON = {"Next": _TEXT, "End": _FLAG}
_GIVEN = {"Parameters": _OBJECT, "InputPath": _TEXT, "ResultPath": _TEXT}
_FIELDS: dict[str, dict[str, Any]] = {
    "Action": {
        **_GOES_ON,
        **_GIVEN,
        "ActionUrl": _URL,
        "ActionScope": _TEXT,
        "Handler": {"type": ["string", "object"]},
        "WaitTime": {"type": "integer", "minimum": 0},
        "ExceptionOnActionFailure": _FLAG,
        "Catch": _CATCH,
        "RunAs": _TEXT,
    },
    "Pass": {**_GOES_ON, **_GIVEN, "Result": _OBJECT},
    "ExpressionEval": {**_GOES_ON, "Parameters": _OBJECT, "ResultPath": _TEXT},
    "Choice": {"Choices": {"type": "array", "minItems": 1, "items": _OBJECT}, "Default": _TEXT},
    "Wait": {
        **_GOES_ON,
        "Seconds": {"type": "integer", "minimum": 0, "maximum": LONGEST_WAIT_SECONDS},
        "SecondsPath": _TEXT,
        "Timestamp": _TEXT,
        "TimestampPath": _TEXT,
    },
    "Fail": {"Error": _TEXT, "ErrorPath": _TEXT, "Cause": _TEXT, "CausePath": _TEXT},
    "CreateWebInput": {**_GOES_ON, **_GIVEN, "Catch": _CATCH},
    "AwaitWebInput": {**_GOES_ON, **_GIVEN, "Catch": _CATCH},
}
_REQUIRED = {"ExpressionEval": ["Parameters", "ResultPath"], "Choice": ["Choices"]}
#: Of each group, a state of this type must have exactly one field.
_ONE_OF: dict[str, tuple[tuple[str, ...], ...]] = {
    "Action": (("ActionUrl", "Handler"), ("Parameters", "InputPath")),
    "Wait": (("Seconds", "SecondsPath", "Timestamp", "TimestampPath"),),
}
#: Of each group, a state of this type may have one field.
_AT_MOST_ONE_OF: dict[str, tuple[tuple[str, ...], ...]] = {
    "Pass": (("Parameters", "InputPath", "Result"),),
    "Fail": (("Error", "ErrorPath"), ("Cause", "CausePath")),
    "CreateWebInput": (("Parameters", "InputPath"),),
    "AwaitWebInput": (("Parameters", "InputPath"),),
}
_PATH_FIELDS = ("InputPath", "SecondsPath", "TimestampPath", "ErrorPath", "CausePath")
_COMPARED = (*COMPARISONS, *TESTS)
#: For each kind of choice rule: what may be in it beside ``Next``.
_RULES: dict[str, tuple[str, ...]] = {"And": (), "Or": (), "Not": (), "Variable": _COMPARED}


def check_definition(definition: Any) -> list[Problem]:
    """Return everything that is wrong with a definition."""
    try:
        return list(_problems(definition))
    except RecursionError:
        return [Problem(("definition",), "The definition is nested too deeply")]


def check_input_schema(schema: Any) -> list[Problem]:
    """Return what is wrong with a flow's input schema."""
    if not isinstance(schema, Mapping):
        return [Problem(("input_schema",), "The input schema must be an object", "type_error")]
    found = schema_problem(schema)
    return [] if found is None else [Problem(("input_schema", *found.path), found.message)]


def _problems(definition: Any) -> Iterator[Problem]:
    top = ("definition",)
    if not isinstance(definition, Mapping):
        yield Problem(top, "The definition must be an object", "type_error")
        return
    yield from _unknown(definition, ("StartAt", "States", "Comment"), top)
    states, start = definition.get("States"), definition.get("StartAt")
    if not isinstance(states, Mapping) or not states:
        yield Problem((*top, "States"), "States must be an object with at least one state", "type_error")
        return
    if not isinstance(start, str):
        yield Problem((*top, "StartAt"), "field required", "value_error.missing")
    elif start not in states:
        yield Problem((*top, "StartAt"), _no_state(start, states))
    for name, state in states.items():
        yield from _state(name, state, states)


def _state(name: str, state: Any, states: Mapping[str, Any]) -> Iterator[Problem]:
    loc = ("definition", "States", name)
    kind = state.get("Type") if isinstance(state, Mapping) else None
    if not isinstance(kind, str) or kind not in _FIELDS:
        hint = _suggestion(str(kind), _FIELDS)
        yield Problem((*loc, "Type"), f"{kind!r} is not a type of state; there are {', '.join(_FIELDS)}{hint}")
        return
    shape = list(_shape(kind, state, loc))
    if not shape and isinstance(state.get("Handler"), Mapping):
        shape = list(_handler(state["Handler"], (*loc, "Handler")))
    yield from shape
    if shape:
        return
    yield from _alternatives(kind, state, loc)
    yield from _transitions(kind, state, states, loc)
    yield from _paths(state, loc)
    yield from _template(state.get("Parameters"), (*loc, "Parameters"))
    if kind == "Wait" and "Timestamp" in state and rfc3339(state["Timestamp"]) is None:
        yield Problem((*loc, "Timestamp"), f"{state['Timestamp']!r} is not a timestamp such as 2030-01-31T12:00:00Z")
    for number, rule in enumerate(state.get("Choices", ())):
        yield from _rule(rule, (*loc, "Choices", number), states, root=True)


def _shape(kind: str, state: Mapping[str, Any], loc: tuple[str | int, ...]) -> Iterator[Problem]:
    yield from _fields({**_COMMON, **_FIELDS[kind]}, _REQUIRED.get(kind, []), state, loc)


def _handler(handler: Mapping[str, Any], loc: tuple[str | int, ...]) -> Iterator[Problem]:
    kind = handler.get("Type")
    if not isinstance(kind, str) or kind not in _HANDLERS:
        hint = _suggestion(str(kind), _HANDLERS)
        yield Problem((*loc, "Type"), f"{kind!r} is not a type of handler; there are {', '.join(_HANDLERS)}{hint}")
        return
    fields, required = _HANDLERS[kind]
    yield from _fields(fields, [required], handler, loc)
    if kind == "RegisteredAPI" and isinstance(handler.get("Id"), str) and not _is_uuid(handler["Id"]):
        yield Problem((*loc, "Id"), f"{handler['Id']!r} is not a UUID")


def _fields(
    fields: Mapping[str, Any], required: list[str], document: Mapping[str, Any], loc: tuple[str | int, ...]
) -> Iterator[Problem]:
    # Imported here: it takes longer to import than a sandbox to start.
    import jsonschema

    yield from _unknown(document, tuple(fields), loc)
    schema = {"type": "object", "properties": fields, "required": required}
    for error in jsonschema.Draft7Validator(schema).iter_errors(dict(document)):
        yield Problem((*loc, *error.absolute_path), error.message)


def _unknown(document: Mapping[str, Any], known: tuple[str, ...], loc: tuple[str | int, ...]) -> Iterator[Problem]:
    for field in document:
        if field not in known:
            message = f"extra fields not permitted{_suggestion(field, known)}"
            yield Problem((*loc, field), message, "value_error.extra")


def _alternatives(kind: str, state: Mapping[str, Any], loc: tuple[str | int, ...]) -> Iterator[Problem]:
    for group in _ONE_OF.get(kind, ()):
        if len(set(group) & set(state)) != 1:
            yield Problem(loc, f"A state of type '{kind}' must have exactly one of {', '.join(group)}")
    for group in _AT_MOST_ONE_OF.get(kind, ()):
        if len(set(group) & set(state)) > 1:
            yield Problem(loc, f"A state of type '{kind}' must not have more than one of {', '.join(group)}")


def _transitions(
    kind: str, state: Mapping[str, Any], states: Mapping[str, Any], loc: tuple[str | int, ...]
) -> Iterator[Problem]:
    if "Next" in _FIELDS[kind] and ("Next" in state) == (state.get("End") is True):
        yield Problem(
            loc,
            f"A state of type '{kind}' must be defined as either terminal (\"End\": true) "
            'or transitional ("Next": "NextStateId")',
        )
    targets: list[tuple[tuple[str | int, ...], str]] = []
    targets += [((field,), state[field]) for field in ("Next", "Default") if field in state]
    targets += [(("Catch", number, "Next"), catcher["Next"]) for number, catcher in enumerate(state.get("Catch", ()))]
    for where, target in targets:
        if target not in states:
            yield Problem((*loc, *where), _no_state(target, states))


def _paths(state: Mapping[str, Any], loc: tuple[str | int, ...]) -> Iterator[Problem]:
    for field in _PATH_FIELDS:
        if field in state:
            yield from _path(state[field], (*loc, field))
    written: list[tuple[tuple[str | int, ...], str]] = []
    if "ResultPath" in state:
        written.append((("ResultPath",), state["ResultPath"]))
    for number, catcher in enumerate(state.get("Catch", ())):
        if "ResultPath" in catcher:
            written.append((("Catch", number, "ResultPath"), catcher["ResultPath"]))
    for where, path in written:
        if why := reference_problem(path):
            yield Problem((*loc, *where), why)


def _path(path: Any, loc: tuple[str | int, ...]) -> Iterator[Problem]:
    try:
        compiled(str(path))
    except ValueError as error:
        yield Problem(loc, str(error))


def _template(template: Any, loc: tuple[str | int, ...]) -> Iterator[Problem]:
    if isinstance(template, list):
        for number, item in enumerate(template):
            yield from _template(item, (*loc, number))
    if not isinstance(template, Mapping):
        return
    for key, value in template.items():
        where = (*loc, key)
        if key == PRIVATE_PARAMETERS:
            yield from _private(value, template, where)
        elif not key.endswith((PATH_SUFFIX, EXPRESSION_SUFFIX)):
            yield from _template(value, where)
        elif not isinstance(value, str):
            yield Problem(where, f"The value must be text, since the key ends in '{key[-2:]}'", "type_error")
        elif key.endswith(PATH_SUFFIX):
            yield from _path(value, where)
        elif why := expression_problem(value):
            yield Problem(where, f"The expression {value!r} cannot be read: {why}")


def _private(names: Any, template: Mapping[str, Any], loc: tuple[str | int, ...]) -> Iterator[Problem]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        yield Problem(loc, f"{PRIVATE_PARAMETERS} must be a list of names", "type_error")
        return
    there = {bare(key) for key in template}
    for name in names:
        if bare(name) not in there:
            yield Problem(loc, f"There is no parameter {name!r} to keep private")


def _rule(rule: Any, loc: tuple[str | int, ...], states: Mapping[str, Any], *, root: bool) -> Iterator[Problem]:
    if not isinstance(rule, Mapping):
        yield Problem(loc, "A choice rule must be an object", "type_error")
        return
    if root and not isinstance(rule.get("Next"), str):
        yield Problem((*loc, "Next"), "field required", "value_error.missing")
    elif root and rule["Next"] not in states:
        yield Problem((*loc, "Next"), _no_state(rule["Next"], states))
    if not root and "Next" in rule:
        yield Problem((*loc, "Next"), "Only the outermost rule may have Next", "value_error.extra")
    kinds = [field for field in _RULES if field in rule]
    if len(kinds) != 1:
        yield Problem(loc, f"A choice rule must have exactly one of {', '.join(_RULES)}")
        return
    yield from _unknown(rule, (*kinds, "Next", *_RULES[kinds[0]]), loc)
    if kinds == ["Variable"]:
        yield from _comparison(rule, loc)
    else:
        yield from _joined(kinds[0], rule, loc, states)


def _joined(
    kind: str, rule: Mapping[str, Any], loc: tuple[str | int, ...], states: Mapping[str, Any]
) -> Iterator[Problem]:
    parts = rule[kind]
    if kind == "Not":
        yield from _rule(parts, (*loc, kind), states, root=False)
    elif not isinstance(parts, list) or not parts:
        yield Problem((*loc, kind), f"{kind} must be a list of at least one rule", "type_error")
    else:
        for number, part in enumerate(parts):
            yield from _rule(part, (*loc, kind, number), states, root=False)


def _comparison(rule: Mapping[str, Any], loc: tuple[str | int, ...]) -> Iterator[Problem]:
    yield from _path(rule["Variable"], (*loc, "Variable"))
    compared = [field for field in rule if field in _COMPARED]
    if not set(rule) - {"Variable", "Next"}:
        yield Problem(loc, "A rule with a Variable must compare it with something, for example StringEquals")
    for field in compared:
        value = rule[field]
        if field.endswith("Path"):
            yield from _path(value, (*loc, field))
        elif why := _wrong_type(field, value):
            yield Problem((*loc, field), why, "type_error")


def _wrong_type(field: str, value: Any) -> str | None:
    kind = "Boolean" if field in TESTS else OPERATORS[field][0]
    fits = {
        "Boolean": isinstance(value, bool),
        "Numeric": isinstance(value, (int, float)) and not isinstance(value, bool),
        "String": isinstance(value, str),
        "Timestamp": rfc3339(value) is not None,
    }[kind]
    return None if fits else f"{field} needs a {kind.lower()}, not {value!r}"


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _no_state(name: Any, states: Mapping[str, Any]) -> str:
    return f"There is no state {name!r}{_suggestion(str(name), states)}"


def _suggestion(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
