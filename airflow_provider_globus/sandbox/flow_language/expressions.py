"""Expressions: the part of Python that flows may compute with, evaluated by simpleeval and bounded in every way.

An expression names keys of the state (``source.path``) or holds JSONPaths in backticks. It calls five functions and
the methods of text and containers listed here, and cannot reach anything else.
"""

from __future__ import annotations

import ast
import operator
import re
import threading
from collections.abc import Callable, ItemsView, KeysView, Mapping, ValuesView
from typing import Any

import simpleeval  # type: ignore[import-untyped]

from airflow_provider_globus.sandbox.flow_language.effects import NamedError
from airflow_provider_globus.sandbox.flow_language.paths import RUNTIME_ERROR, compiled, found, is_singular, read

MOST_CHARACTERS = 20_000
MOST_STEPS = 100_000
MOST_LENGTH = 100_000
#: Characters and items of all values that one expression makes, those inside others counted every time.
MOST_PARTS = 1_000_000
_MOST_BITS = 4096

_reading = threading.Lock()

_TEXT_METHODS = """
    capitalize casefold count endswith find index isalnum isalpha isdecimal isdigit islower isnumeric isspace isupper
    join lower lstrip partition removeprefix removesuffix replace rfind rindex rpartition rsplit rstrip split
    splitlines startswith strip swapcase title upper
"""
_METHODS: dict[type, frozenset[str]] = {
    str: frozenset(_TEXT_METHODS.split()),
    dict: frozenset(("get", "items", "keys", "values")),
    list: frozenset(("count", "index")),
    tuple: frozenset(("count", "index")),
}
_MAKES_A_VALUE = (
    *(ast.BinOp, ast.Call, ast.JoinedStr, ast.Slice),
    *(ast.Dict, ast.List, ast.Set, ast.Tuple, ast.DictComp, ast.GeneratorExp, ast.ListComp),
)
_COLLECTIONS: tuple[type[Any], ...] = (
    list,
    tuple,
    set,
    frozenset,
    type({}.keys()),
    type({}.values()),
    type({}.items()),
)
# A piece of text in quotes, or a path in backticks: in text, a backtick is a backtick.
_PIECES = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`([^`]*)`""", re.DOTALL)
_PATH_NAME = "jsonpath_{}_"


def pathsplit(path: str) -> list[str]:
    """Split a path into its folder, which ends in a slash, and its last part."""
    folder, _, last = str(path).rstrip("/").rpartition("/")
    return [f"{folder}/", last]


class _Evaluator(simpleeval.EvalWithCompoundTypes):  # type: ignore[misc]  # the library is not typed
    """simpleeval, with an allow-list for attributes and a limit on everything that can grow."""

    def __init__(self, names: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> None:
        operators = {
            **simpleeval.DEFAULT_OPERATORS,
            ast.Pow: _power,
            ast.Mult: _times,
            ast.Mod: _modulo,
            ast.LShift: _refused_shift,
        }
        super().__init__(operators=operators, functions=dict(functions), names=dict(names))
        self._steps = 0
        self._parts_left = MOST_PARTS

    def _eval(self, node: ast.AST) -> Any:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise ValueError(f"it takes more than {MOST_STEPS:,} steps")
        value = super()._eval(node)
        if isinstance(value, (str, list, tuple, dict)) and len(value) > MOST_LENGTH:
            raise ValueError(f"a value has more than {MOST_LENGTH:,} parts")
        if isinstance(getattr(node, "slice", node), _MAKES_A_VALUE):
            self._parts_left = _count_off(value, self._parts_left)
        return value

    def _check_disallowed_items(self, item: Any) -> None:
        # simpleeval looks through every value for functions and modules, which takes for ever for a list of the same
        # list many times. Here there are none to find: the state is JSON, and the functions are those of `evaluate`.
        pass

    def _eval_attribute(self, node: ast.Attribute) -> Any:
        owner = self._eval(node.value)
        if isinstance(owner, Mapping) and node.attr in owner:
            return owner[node.attr]
        for kind, methods in _METHODS.items():
            if isinstance(owner, kind) and node.attr in methods:
                method = getattr(owner, node.attr)
                return _bounded(owner, node.attr, method) if isinstance(owner, str) else method
        raise ValueError(f"there is no {node.attr!r} in it, or it may not be used")

    def _eval_formattedvalue(self, node: ast.FormattedValue) -> Any:
        if node.format_spec is not None or node.conversion != -1:
            raise ValueError("formats may not be used")
        return str(self._eval(node.value))


def evaluate(expression: str, state: Mapping[str, Any], field: str = "expression") -> Any:
    """Return the value of an expression, as JSON has it.

    :param state: what its names and paths read.
    :param field: what the expression is for, for the error.
    """
    if len(expression) > MOST_CHARACTERS:
        raise _failure(field, expression[:80] + "…", f"it has more than {MOST_CHARACTERS:,} characters")
    source, paths = prepared(expression)
    names = {**state, **{_PATH_NAME.format(number): read(path, state, field) for number, path in enumerate(paths)}}
    functions: dict[str, Callable[..., Any]] = {
        "pathsplit": pathsplit,
        "is_present": lambda path: _look_up(path, state) is not _MISSING,
        "getattr": lambda path, default=None: _or_default(_look_up(path, state), default),
        "len": len,
        "str": _text,
    }
    try:
        return _as_json(_Evaluator(names, functions).eval(source, previously_parsed=_parsed(source)))
    except NamedError:
        raise
    except simpleeval.NameNotDefined as error:
        raise _failure(field, expression, f"'{error.name}' is not in the state") from None
    except simpleeval.FunctionNotDefined as error:
        raise _failure(field, expression, f"there is no function '{error.func_name}'") from None
    except RecursionError:
        raise _failure(field, expression, "it is nested too deeply") from None
    except Exception as error:
        # What simpleeval raises is any of Python's errors; none may end the run as if the service had failed.
        raise _failure(
            field, expression, f"{str(error).splitlines()[0] if str(error) else type(error).__name__}"
        ) from None


def problem(expression: str) -> str | None:
    """Return why an expression cannot be read; None when it can."""
    if len(expression) > MOST_CHARACTERS:
        return f"it has more than {MOST_CHARACTERS:,} characters"
    source, paths = prepared(expression)
    try:
        for path in paths:
            compiled(path)
        _parsed(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        return str(getattr(error, "msg", "") or error)
    return None


def _parsed(source: str) -> ast.expr:
    # Runs are in threads, and CPython 3.11 may fail when two of them read source at once (its issue 106905).
    with _reading:
        return ast.parse(source, mode="eval").body


def prepared(expression: str) -> tuple[str, list[str]]:
    """Return an expression as Python has it, with a name for each path in backticks, and those paths."""
    paths: list[str] = []

    def piece(found: re.Match[str]) -> str:
        if found[1] is None:
            # JSON turns \n into a line break, which Python does not take inside quotes.
            return found[0].replace("\n", "\\n")
        paths.append(found[1].strip())
        return _PATH_NAME.format(len(paths) - 1)

    source = _PIECES.sub(piece, expression)
    return " ".join(source.split("\n")).strip(), paths


_MISSING = object()


def _look_up(path: Any, state: Mapping[str, Any]) -> Any:
    """Return what is at a path written like ``a.b[0]``."""
    if not isinstance(path, str) or not path.strip():
        raise ValueError("a path must be text, such as 'a.b[0]'")
    full = path if path.startswith("$") else f"$.{path}"
    values = found(full, state)
    if not values:
        return _MISSING
    return values[0] if is_singular(full) else values


def _or_default(value: Any, default: Any) -> Any:
    return default if value is _MISSING else value


def _failure(field: str, expression: str, why: str) -> NamedError:
    return NamedError(
        RUNTIME_ERROR, f"The expression '{expression}' specified for the field '{field}' could not be evaluated: {why}."
    )


def _count_off(value: Any, left: int) -> int:
    """Return what is left of a number of parts after all that is in a value."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        left -= 1
        # The commonest first, and no abstract classes: this runs for every item.
        if item is None or isinstance(item, (int, float)):
            continue
        if isinstance(item, (str, bytes)):
            left -= len(item)
        elif isinstance(item, dict):
            left -= len(item)
            waiting.extend(item.values())
        elif isinstance(item, _COLLECTIONS):
            # Not taken along once it is too much: it may be the same list many times.
            waiting.extend(item if len(item) <= left else ())
            left -= len(item)
        if left < 0:
            raise ValueError(f"its values have more than {MOST_PARTS:,} parts")
    return left


def _bounded(text: str, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of text that makes nothing huge."""

    def call(*args: Any, **kwargs: Any) -> Any:
        size = 0
        if name == "join" and args:
            parts = [part for part in args[0] if isinstance(part, str)]
            size = sum(map(len, parts)) + len(text) * len(parts)
        elif name == "replace" and len(args) >= 2:
            size = len(text) + (text.count(args[0]) + 1) * len(args[1])
        if size > MOST_LENGTH:
            raise ValueError(f"a text would have more than {MOST_LENGTH:,} characters")
        return method(*args, **kwargs)

    return call


def _text(value: Any = "") -> str:
    return str(value)


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > _MOST_BITS:
        raise ValueError("a power is too large")
    return operator.pow(base, exponent)


def _times(left: Any, right: Any) -> Any:
    for value, count in ((left, right), (right, left)):
        if isinstance(value, (str, bytes, list, tuple)) and isinstance(count, int) and len(value) * count > MOST_LENGTH:
            raise ValueError(f"a value would have more than {MOST_LENGTH:,} parts")
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > _MOST_BITS:
        raise ValueError("a product is too large")
    return operator.mul(left, right)


def _modulo(left: Any, right: Any) -> Any:
    if isinstance(left, (str, bytes)):
        raise ValueError("formats may not be used")
    return operator.mod(left, right)


def _refused_shift(left: Any, right: Any) -> Any:
    raise ValueError("shifts may not be used")


def _as_json(value: Any) -> Any:
    """Return a value in the types of JSON; what has none is refused."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, KeysView, ValuesView, ItemsView)):
        return [_as_json(item) for item in value]
    raise ValueError(f"a value of type {type(value).__name__} is none of JSON's")
