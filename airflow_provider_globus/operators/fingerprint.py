"""Digests of an operator's arguments: the same for the same arguments in every process, whatever they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any


def digest(arguments: Mapping[str, Any]) -> str:
    """A digest of arguments that JSON need not be able to hold."""
    return hashlib.sha256(json.dumps(arguments, sort_keys=True, default=_stable).encode()).hexdigest()


def _stable(value: Any) -> Any:
    if isinstance(value, AbstractSet):
        return sorted(map(repr, value))
    # The results of a mapped task come as Airflow's own lazy sequence.
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return list(value)
    if getattr(type(value), "__repr__", None) == getattr(object, "__repr__", None):
        # The default names an address, which differs from try to try.
        return type(value).__qualname__
    return repr(value)
