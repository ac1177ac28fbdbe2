"""Queries: words, phrases, fields and wildcards, joined by AND, OR and NOT; filters, facets and sorting.

Words without an operator between them must all be there. How well something matches is not weighed: results come in
the order of their subjects unless a sort asks for another.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from airflow_provider_globus.sandbox.errors import NotServed
from airflow_provider_globus.sandbox.search.errors import bad_request

Content: TypeAlias = Mapping[str, Any]
Test: TypeAlias = Callable[[Content], bool]

_TOKEN = re.compile(r"""\s*(?:(?P<bracket>[()])|(?P<field>[\w.@-]+):)?(?P<text>"[^"]*"|[^\s()"]+)?""")
_WORD = re.compile(r"[^\W_]+(?:[._-][^\W_]+)*", re.UNICODE)
_OPERATORS = ("AND", "OR", "NOT")
_FIELD_FILTERS = ("exists", "like", "match_any", "match_all", "range")
_FACET_VERSION = "2017-09-01"
_BOUNDS: dict[str, Callable[[Any, Any], Any]] = {
    "from": operator.ge,
    "to": operator.le,
    "from_exclusive": operator.gt,
    "to_exclusive": operator.lt,
}


def compile_query(text: str, *, advanced: bool) -> Test:
    """Return the test of a query.

    :param advanced: read fields, brackets and operators, rather than take them for words.
    """
    text = text.strip()
    if text in ("", "*"):
        return lambda content: True
    if not advanced:
        return _all([_matches(None, part) for part in re.findall(r'"[^"]*"|\S+', text)])
    return _Parser(text).parse()


def compile_filters(filters: Any) -> Test:
    """Return the test of a query's filters: all must be true."""
    if not isinstance(filters, list):
        raise bad_request("filters must be a list", "filters")
    return _all([_filter(item) for item in filters])


def values(content: Any, field: str) -> list[Any]:
    """Return what is in a field, whose parts are separated by dots; of lists, what is in each item."""
    found = [content]
    for part in re.split(r"(?<!\\)\.", field):
        name = part.replace("\\.", ".")
        found = [item[name] for item in _flat(found) if isinstance(item, Mapping) and name in item]
    return [item for item in _flat(found) if item is not None]


def facets(wanted: Any, contents: Sequence[Content]) -> list[dict[str, Any]]:
    """Return the results of a query's facets."""
    if not isinstance(wanted, list):
        raise bad_request("facets must be a list", "facets")
    return [_facet(facet, contents) for facet in wanted]


def sort_key(criteria: Any) -> list[tuple[Callable[[Content], Any], bool]]:
    """Return what to sort by, and whether backwards, the least important last."""
    if not isinstance(criteria, list) or not all(isinstance(c, Mapping) and "field_name" in c for c in criteria):
        raise bad_request("sort must be a list of objects with a field_name", "sort")
    return [(_first_value(str(c["field_name"])), str(c.get("order", "asc")) == "desc") for c in criteria]


def _first_value(field: str) -> Callable[[Content], Any]:
    def key(content: Content) -> tuple[int, Any, str]:
        found = values(content, field)
        first = found[0] if found else None
        if isinstance(first, (int, float)):
            return (0, first, "")
        return (1 if found else 2, 0, str(first))

    return key


# The language


class _Parser:
    """Reads advanced queries: OR binds least, then AND, then NOT."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._position = 0

    def parse(self) -> Test:
        """Return the test of the whole."""
        test = self._either()
        if self._position < len(self._tokens):
            raise bad_request(f"The query has an unexpected {self._tokens[self._position][1]!r}", "q")
        return test

    def _either(self) -> Test:
        tests = [self._both()]
        while self._take("OR"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else _any(tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._position < len(self._tokens) and self._peek() not in ("OR", ")"):
            self._take("AND")
            tests.append(self._one())
        return _all(tests)

    def _one(self) -> Test:
        if self._take("NOT"):
            inner = self._one()
            return lambda content: not inner(content)
        if self._take("("):
            test = self._either()
            if not self._take(")"):
                raise bad_request("The query has a bracket that is not closed", "q")
            return test
        if self._position >= len(self._tokens) or self._peek() in (*_OPERATORS, ")"):
            raise bad_request("The query ends where a word should be", "q")
        field, text = self._tokens[self._position]
        self._position += 1
        return _matches(field, text)

    def _peek(self) -> str:
        field, text = self._tokens[self._position]
        return text if field is None else ""

    def _take(self, wanted: str) -> bool:
        if self._position < len(self._tokens) and self._peek() == wanted:
            self._position += 1
            return True
        return False


def _tokens(text: str) -> Iterator[tuple[str | None, str]]:
    position = 0
    while position < len(text.rstrip()):
        found = _TOKEN.match(text, position)
        if not found or found.end() == position:
            raise bad_request(f"The query cannot be read at {text[position:]!r}", "q")
        position = found.end()
        if found["bracket"]:
            yield None, found["bracket"]
            if found["text"]:
                position = found.start("text")
        elif found["text"]:
            yield found["field"], found["text"]


def _matches(field: str | None, text: str) -> Test:
    phrase = text.startswith('"')
    wanted = [word.casefold() for word in (_WORD.findall(text) if phrase else [text])]

    def test(content: Content) -> bool:
        where = values(content, field) if field else [content]
        return any(_contains(words, wanted) for words in map(_words, _texts(where)))

    return test


def _contains(words: list[str], wanted: list[str]) -> bool:
    """Tell whether words hold others, next to each other."""
    size = len(wanted)
    return any(
        all(fnmatchcase(word, pattern) for word, pattern in zip(words[start : start + size], wanted, strict=True))
        for start in range(len(words) - size + 1)
    )


def _words(text: str) -> list[str]:
    whole = text.casefold()
    found = [word.casefold() for word in _WORD.findall(text)]
    # A value is found by itself, too: a path or a URL is more than its words.
    return found if len(found) == 1 and found[0] == whole else [*found, whole]


def _texts(items: Any) -> Iterator[str]:
    for item in _flat(items):
        if isinstance(item, Mapping):
            yield from _texts(list(item.values()))
        elif item is not None:
            yield str(item).lower() if isinstance(item, bool) else str(item)


def _flat(items: Any) -> Iterator[Any]:
    for item in items:
        if isinstance(item, list):
            yield from _flat(item)
        else:
            yield item


def _all(tests: Sequence[Test]) -> Test:
    return lambda content: all(test(content) for test in tests)


def _any(tests: Sequence[Test]) -> Test:
    return lambda content: any(test(content) for test in tests)


# Filters and facets


def _filter(item: Any) -> Test:
    if not isinstance(item, Mapping) or "type" not in item:
        raise bad_request("Each filter must be an object with a type", "filters")
    kind = item["type"]
    if kind == "not":
        inner = _filter(item.get("filter"))
        return lambda content: not inner(content)
    if kind in ("and", "or"):
        parts = [_filter(part) for part in item.get("filters") or ()]
        return _all(parts) if kind == "and" else _any(parts)
    if kind not in _FIELD_FILTERS:
        raise NotServed(f"filters of the type {kind}")
    field = item.get("field_name")
    if not isinstance(field, str):
        raise bad_request(f"A filter of the type {kind} needs a field_name", "filters")
    if kind == "exists":
        return lambda content: bool(values(content, field))
    if kind == "like":
        pattern = str(item.get("value")).casefold()
        return lambda content: any(fnmatchcase(str(value).casefold(), pattern) for value in values(content, field))
    wanted = item.get("values")
    if not isinstance(wanted, list) or not wanted:
        raise bad_request(f"A filter of the type {kind} needs values", "filters")
    if kind == "match_any":
        return lambda content: any(value in values(content, field) for value in wanted)
    if kind == "match_all":
        return lambda content: all(value in values(content, field) for value in wanted)
    return lambda content: any(_within(value, span) for value in values(content, field) for span in wanted)


def _within(value: Any, span: Any) -> bool:
    if not isinstance(span, Mapping):
        raise bad_request("The values of a range must be objects with from and to", "filters")
    bounds = {name: span[name] for name in _BOUNDS if span.get(name, "*") not in ("*", None)}
    try:
        return all(_BOUNDS[name](value, bound) for name, bound in bounds.items())
    except TypeError:
        return False


def _facet(facet: Any, contents: Sequence[Content]) -> dict[str, Any]:
    if not isinstance(facet, Mapping) or not isinstance(facet.get("field_name"), str):
        raise bad_request("Each facet must be an object with a field_name", "facets")
    kind, field = facet.get("type", "terms"), facet["field_name"]
    found = [value for content in contents for value in values(content, field)]
    result: dict[str, Any] = {
        "@datatype": "GFacetResult",
        "@version": _FACET_VERSION,
        "name": facet.get("name", field),
    }
    if kind == "terms":
        counts: dict[Any, int] = {}
        for content in contents:
            for value in dict.fromkeys(map(str, values(content, field))):
                counts[value] = counts.get(value, 0) + 1
        size = facet.get("size", 10)
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise bad_request(f"The size of a facet must be a number of at least 1, not {size!r}", "facets")
        ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:size]
        bucket = {"@datatype": "GBucket", "@version": _FACET_VERSION}
        return {**result, "buckets": [{**bucket, "value": v, "count": c} for v, c in ordered]}
    numbers = [value for value in found if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if kind == "sum":
        return {**result, "value": float(sum(numbers))}
    if kind == "avg":
        return {**result, "value": sum(numbers) / len(numbers) if numbers else None}
    if kind == "value_count":
        return {**result, "value": len(found)}
    raise NotServed(f"facets of the type {kind}")
