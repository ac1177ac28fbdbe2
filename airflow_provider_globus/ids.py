"""Ids at Globus: UUIDs, all of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID


def is_uuid(text: Any) -> bool:
    """Whether ``text`` is a UUID."""
    try:
        UUID(text)
    except (ValueError, AttributeError, TypeError):
        return False
    return True
