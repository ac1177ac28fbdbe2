"""The little languages of Transfer's query strings: `filter`, `orderby`, `limit` and `offset`.

A filter is `field:value,value/field:value`: clauses are AND-ed by `/`, values within one OR-ed by `,`. Text values may
start with `=` (exact), `~` (pattern), `!` (not) or `!~` (not the pattern); numbers with `<`, `<=`, `>`, `>=`; times are
a range `from,to` in which either end may be empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from fnmatch import translate
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from airflow_provider_globus.sandbox.transfer.errors import bad_request

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams

Row = TypeVar("Row")
Test = Callable[[Any], bool]
FieldType = Literal["text", "word", "number", "time", "flag"]

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": lambda value, limit: value <= limit,
    ">=": lambda value, limit: value >= limit,
    "<": lambda value, limit: value < limit,
    ">": lambda value, limit: value > limit,
    "=": lambda value, limit: value == limit,
    "!": lambda value, limit: value != limit,
}
_NUMBER = re.compile(r"(<=|>=|<|>|=|!)?(\d+(?:\.\d+)?)$")


def parse_time(text: str) -> float:
    """Return an ISO 8601 time as seconds since 1970; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text.strip().replace(" +", "+"))
        # A year that is not in UTC, as of 9999-12-31T23:59:59-14:00, could not be shown.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).timestamp()
    except (OverflowError, ValueError):
        raise bad_request(f"'{text}' is not a time in ISO 8601") from None


def parse_clauses(text: str) -> dict[str, list[str]]:
    """Split a filter into its clauses."""
    clauses: dict[str, list[str]] = {}
    for clause in text.split("/"):
        if not clause:
            continue
        name, colon, values = clause.partition(":")
        if not colon:
            raise bad_request(f"Filter clause '{clause}' is not of the form field:value")
        clauses[name.strip()] = values.split(",")
    return clauses


def compile_clauses(clauses: Mapping[str, list[str]], types: Mapping[str, FieldType]) -> dict[str, Test]:
    """Return a test for each field of a filter; unknown fields are refused."""
    tests = {}
    for name, values in clauses.items():
        if name not in types:
            raise bad_request(f"Cannot filter by '{name}'; known fields are {', '.join(sorted(types))}")
        tests[name] = _TESTS[types[name]](values)
    return tests


def _text_test(values: list[str]) -> Test:
    return _any_of([_one_text(value) for value in values])


def _one_text(value: str) -> Test:
    negate, value = value.startswith("!"), value.removeprefix("!")
    if value.startswith("~"):
        pattern = re.compile(translate(value[1:]), re.IGNORECASE)
        return lambda text: (pattern.match(text or "") is not None) != negate
    value = value.removeprefix("=")
    return lambda text: ((text or "") == value) != negate


def _word_test(values: list[str]) -> Test:
    words = {value.casefold() for value in values if value}
    return lambda word: str(word).casefold() in words


def _number_test(values: list[str]) -> Test:
    return _any_of([_one_number(value) for value in values])


def _one_number(value: str) -> Test:
    found = _NUMBER.match(value.strip())
    if found is None:
        raise bad_request(f"'{value}' is not a number to filter by")
    compare, limit = _COMPARE[found[1] or "="], float(found[2])
    return lambda number: number is not None and compare(number, limit)


def _time_test(values: list[str]) -> Test:
    start, end = [*values, ""][:2]
    low = parse_time(start) if start.strip() else float("-inf")
    high = parse_time(end) if end.strip() else float("inf")
    return lambda moment: moment is not None and low <= moment <= high


def _flag_test(values: list[str]) -> Test:
    wanted = {value.casefold() in ("1", "true", "t", "yes") for value in values}
    return lambda flag: bool(flag) in wanted


def _any_of(tests: list[Test]) -> Test:
    return lambda value: any(test(value) for test in tests)


_TESTS: dict[FieldType, Callable[[list[str]], Test]] = {
    "text": _text_test,
    "word": _word_test,
    "number": _number_test,
    "time": _time_test,
    "flag": _flag_test,
}


def order(rows: list[Row], text: str, fields: Mapping[str, Callable[[Row], Any]]) -> list[Row]:
    """Return rows sorted by an `orderby` such as `type ASC,size DESC`."""
    for part in reversed([piece for piece in text.split(",") if piece.strip()]):
        name, _, direction = part.strip().partition(" ")
        if name not in fields:
            raise bad_request(f"Cannot order by '{name}'; known fields are {', '.join(sorted(fields))}")
        if direction.strip().upper() not in ("", "ASC", "DESC"):
            raise bad_request(f"'{direction.strip()}' is no order; use ASC or DESC")
        key = fields[name]
        rows = sorted(rows, key=lambda row: _sortable(key(row)), reverse=direction.strip().upper() == "DESC")
    return rows


def _sortable(value: Any) -> tuple[bool, Any]:
    return (value is not None, value if value is not None else 0)


def page_bounds(query: QueryParams, *, default: int, maximum: int) -> tuple[int, int]:
    """Return `limit` and `offset` of a request."""
    limit = integer(query, "limit", default)
    offset = integer(query, "offset", 0)
    if limit < 1 or limit > maximum:
        raise bad_request(f"limit must be between 1 and {maximum}, got {limit}")
    if offset < 0:
        raise bad_request(f"offset must not be negative, got {offset}")
    return limit, offset


def integer(query: QueryParams, name: str, default: int) -> int:
    """Return a whole number of the query string."""
    text = query.get(name)
    if text is None or not text.strip():
        return default
    try:
        return int(text)
    except ValueError:
        raise bad_request(f"{name} must be a whole number, got '{text}'") from None


def flag(query: QueryParams, name: str, default: bool) -> bool:
    """Return a 0/1 or true/false of the query string."""
    text = query.get(name)
    return default if text is None else text.strip().casefold() not in ("0", "false", "no", "")
