"""Points in time and lengths of time, as authors and templates write them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

#: Makes the error for an argument that cannot be right: ``refuse`` of operators and sensors.
Refuse = Callable[..., Exception]


def point_in_time(value: Any, name: str, refuse: Refuse) -> datetime:
    """
    A point in time, with a zone.

    :param value: a datetime or its ISO text; without a zone it is UTC.
    :param name: the argument, for the error.
    :raises GlobusInputError: by way of ``refuse``.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise refuse(f"{name} {value!r} is no point in time.", "Give a datetime or its ISO text.") from None
    if not isinstance(value, datetime):
        raise refuse(f"{name} {value!r} is no point in time.", "Give a datetime or its ISO text.")
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def instant(text: str | None) -> datetime | None:
    """The point in time that a document of Globus names, which without a zone is UTC; None for none."""
    if not text:
        return None
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def length_in_seconds(value: Any, name: str, refuse: Refuse) -> float:
    """
    A length of time in seconds.

    :param value: a timedelta, or seconds as a number or its text.
    :param name: the argument, for the error.
    :raises GlobusInputError: by way of ``refuse``, also for one below 0.
    """
    try:
        seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise refuse(f"{name} must be a timedelta or seconds not below 0, not {value!r}.")
    return seconds
