"""Lists of the Flows service: filtered, ordered, and in pages that a marker leads through."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_globus.sandbox.flow_language.choice import timestamp
from airflow_provider_globus.sandbox.flow_language.validation import Problem
from airflow_provider_globus.sandbox.flows import errors
from airflow_provider_globus.sandbox.service import Answer

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams

    from airflow_provider_globus.sandbox.service import ServiceRequest

DEFAULT_PAGE, LARGEST_PAGE = 20, 100

Item = TypeVar("Item")


def page(
    request: ServiceRequest, key: str, items: Sequence[Item], document: Callable[[Item], Any], **more: Any
) -> Answer:
    """Return one page of a list: ``per_page`` (or ``limit``) items from where the marker (or ``page``) says."""
    query = request.query
    size = number(query, "per_page", number(query, "limit", DEFAULT_PAGE), most=LARGEST_PAGE)
    start = _start(query, size)
    shown = [document(item) for item in items[start : start + size]]
    more_to_come = start + size < len(items)
    marker = _marker(start + size) if more_to_come else None
    return Answer({key: shown, "limit": size, "has_next_page": more_to_come, "marker": marker, **more})


def words(query: QueryParams, name: str) -> list[str]:
    """Return the words of a parameter, separated by commas or given more than once."""
    return [word for value in query.getlist(name) for word in value.split(",") if word]


def text_filter(query: QueryParams, name: str, *values: str) -> bool:
    """Tell whether one of these texts has one of those in it that a parameter asks for, in any case."""
    wanted = [text.casefold() for value in query.getlist(name) for text in value.split(",") if text]
    return not wanted or any(text in value.casefold() for text in wanted for value in values)


def time_filter(query: QueryParams, name: str, moment: float | None) -> bool:
    """Tell whether a time is in the span ``from,to`` of a parameter, of which either side may be empty."""
    given = query.get(name)
    if given is None:
        return True
    begin, _, end = given.partition(",")
    return moment is not None and _seconds(name, begin, 0.0) <= moment < _seconds(name, end, float("inf"))


def sorted_by(
    items: Sequence[Item], query: QueryParams, keys: Mapping[str, Callable[[Item], Any]], *, default: str
) -> list[Item]:
    """Return items in the order that ``orderby`` asks for."""
    ordered = list(items)
    for criterion in reversed(
        [part.strip() for value in query.getlist("orderby") or [default] for part in value.split(",")]
    ):
        name, _, direction = criterion.partition(" ")
        if name not in keys or direction.upper() not in ("", "ASC", "DESC"):
            raise errors.unprocessable([Problem(("query", "orderby"), f"cannot order by {criterion!r}")])
        ordered.sort(key=keys[name], reverse=direction.upper() == "DESC")
    return ordered


def number(query: QueryParams, name: str, default: int, *, most: int = LARGEST_PAGE) -> int:
    """Return a whole number of at least 1."""
    text = query.get(name)
    if text is None:
        return min(default, most)
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise errors.unprocessable([Problem(("query", name), f"must be a number from 1 to {most}")])
    return int(text)


def _seconds(name: str, text: str, default: float) -> float:
    if not text.strip():
        return default
    moment = timestamp(text.strip().replace(" ", "+"))
    if moment is None:
        raise errors.unprocessable([Problem(("query", name), f"{text!r} is not a timestamp")])
    return moment.timestamp()


def _marker(start: int) -> str:
    return base64.urlsafe_b64encode(f"from:{start}".encode()).decode()


def _start(query: QueryParams, size: int) -> int:
    marker = query.get("marker") or query.get("pagination_token")
    if marker is None:
        return (number(query, "page", 1, most=10_000) - 1) * size
    try:
        return int(base64.urlsafe_b64decode(marker).decode().removeprefix("from:"))
    except (ValueError, binascii.Error):
        raise errors.unprocessable([Problem(("query", "marker"), "is not a marker of this list")]) from None
