"""Compares an answer of the sandbox with what the SDK ships as the recorded answer of the service: keys and types."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

from globus_sdk.testing import RegisteredResponse, get_response_set

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def recording(name: str, case: str = "default") -> RegisteredResponse:
    """Return the recorded response of a method of the SDK's clients, such as ``flows.get_flow``; of several, the first.

    It is the set's own module that is looked for, e.g. ``globus_connect_server.get_endpoint`` for Connect Server.
    """
    response = get_response_set(name).lookup(case)
    found = getattr(response, "responses", [response])[0]
    assert isinstance(found, RegisteredResponse)
    return found


def recorded(name: str, case: str = "default") -> Any:
    """Return the document of a recorded response."""
    return recording(name, case).json


def lacking(recorded: Any, answer: Any, *, free: Iterable[str] = (), where: str = "") -> Iterator[str]:
    """Yield what a recorded document has, and an answer has not, or has as another type.

    Null, on either side, tells nothing of the type. Every element of a list is compared with what all elements of the
    recorded list with its ``DATA_TYPE``, versions left out, have in common. Objects whose keys are UUIDs are compared
    as lists of their values.

    :param free: properties whose contents are different in each document, and are not looked into.
    """
    if recorded is None or answer is None:
        return
    if _kind(recorded) != _kind(answer):
        yield f"{where}: {_kind(answer)} instead of {_kind(recorded)}"
    elif isinstance(recorded, list):
        yield from _lacking_in_list(recorded, answer, tuple(free), where)
    elif isinstance(recorded, dict):
        if recorded and all(_is_id(key) for key in recorded):
            yield from _lacking_in_list(list(recorded.values()), list(answer.values()), tuple(free), where)
            return
        for key, value in recorded.items():
            if key not in answer:
                yield f"{where}.{key}"
            elif key not in free:
                yield from lacking(value, answer[key], free=free, where=f"{where}.{key}")


def _lacking_in_list(recorded: list[Any], answer: list[Any], free: tuple[str, ...], where: str) -> Iterator[str]:
    if not answer:
        if recorded and isinstance(recorded[0], dict | list):
            yield f"{where}[]: nothing to compare"
        return
    for kind in dict.fromkeys(map(data_type, recorded)):
        wanted = reduce(_common, (item for item in recorded if data_type(item) == kind))
        alike = [item for item in answer if data_type(item) == kind]
        if not alike:
            yield f"{where}[]: no {kind or 'such element'}"
        for item in alike:
            yield from lacking(wanted, item, free=free, where=f"{where}[]")


def _common(one: Any, other: Any) -> Any:
    """Return what two documents have in common."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {key: _common(value, other[key]) for key, value in one.items() if key in other}
    if isinstance(one, list) and isinstance(other, list):
        return one + other
    return one if _kind(one) == _kind(other) else None


def extra(recorded: Any, answer: Any, *, free: Iterable[str] = (), where: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path of what an answer has and a recorded document has not, with the object that it is in.

    As in `lacking`, objects whose keys are UUIDs are lists of their values.

    :param free: properties whose contents are different in each document, and are not looked into.
    """
    if isinstance(recorded, list) and isinstance(answer, list):
        for item in answer:
            alike = [wanted for wanted in recorded if data_type(wanted) == data_type(item)]
            for wanted in alike[:1]:
                yield from extra(wanted, item, free=free, where=f"{where}[]")
    elif isinstance(recorded, dict) and isinstance(answer, dict):
        if recorded and all(_is_id(key) for key in recorded):
            yield from extra(list(recorded.values()), list(answer.values()), free=free, where=where)
            return
        for key, value in answer.items():
            if key not in recorded:
                yield f"{where}.{key}", answer
            elif key not in free:
                yield from extra(recorded[key], value, free=free, where=f"{where}.{key}")


def data_type(document: Any) -> str:
    """Return the ``DATA_TYPE`` of a document without its version; nothing where it has none."""
    return str(document.get("DATA_TYPE", "")).partition("#")[0] if isinstance(document, dict) else ""


def _kind(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    return type(value).__name__


def _is_id(key: str) -> bool:
    return len(key) == 36 and key.count("-") == 4
