"""JSON as clients send it, held to the standard, so that what was read can be kept, shown and sent again.

Python's reader takes more: words for numbers that are none, halves of characters, and nesting until it breaks.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

#: What is nested deeper is refused. Whoever walks through a document does so recursively, some calls a level.
MOST_LEVELS = 100

_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")


def read(text: bytes) -> Any:
    """Return what a JSON text in UTF-8 says; ValueError tells what is wrong with it."""
    characters = text.decode()
    try:
        value = json.loads(characters, parse_constant=_no_number, parse_float=_number)
    except RecursionError:
        raise _too_deep() from None
    _check_levels(value)
    # Only an escape can write one: UTF-8 has none.
    if _HALF_CHARACTER.search(characters):
        _check_characters(value)
    return value


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number in JSON")


def _number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is too large a number")
    return number


def _check_levels(value: Any) -> None:
    level = [value]
    for _ in range(MOST_LEVELS + 1):
        level = [
            item
            for inside in level
            if isinstance(inside, (dict, list))
            for item in (inside.values() if isinstance(inside, dict) else inside)
            if isinstance(item, (dict, list))
        ]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> ValueError:
    return ValueError(f"It is nested more than {MOST_LEVELS} levels deep")


def _check_characters(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("Its text has half of a surrogate pair, which is no character") from None
