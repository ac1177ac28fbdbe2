"""What is wanted of a document of Globus Connect Server, compared with what is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Lists whose order has a meaning; all others of plain values are sets to Globus.
_ORDERED = frozenset({"command", "identity_mappings", "mappings"})

#: Properties that must never be shown; what a document of such a name holds is secret, too.
SECRETS = frozenset(
    {
        "secret",
        "secret_key",
        "s3_secret_key",
        "ceph_admin_secret_key",
        "service_account_key",
        "boxAppSettings",
        "access_token",
        "refresh_token",
    }
)

_HIDDEN = "***"


@dataclass(frozen=True)
class Difference:
    """
    One property that is not as wanted.

    :param field: its name; properties of nested documents with dots, for example ``policies.s3_buckets``.
    """

    field: str
    wanted: Any
    found: Any

    def as_dict(self) -> dict[str, Any]:
        """For XComs."""
        return {"field": self.field, "wanted": self.wanted, "found": self.found}

    def __str__(self) -> str:
        """For logs."""
        return f"{self.field}: wanted {self.wanted!r}, found {self.found!r}"


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any] | None) -> list[Difference]:
    """
    Return what differs, with secrets hidden.

    Only what is wanted is compared, so properties that the service adds do not count, and neither do versions
    (``DATA_TYPE``). Nothing, false and an empty list are the same as a property that is missing.
    """
    return list(_differences(wanted, found or {}, ""))


def changed(wanted: Mapping[str, Any], found: Mapping[str, Any] | None) -> dict[str, Any]:
    """The properties at the top, with the wanted values, in which there is any difference."""
    return {
        name: value for name, value in wanted.items() if name != "DATA_TYPE" and differences({name: value}, found or {})
    }


def _differences(wanted: Mapping[str, Any], found: Mapping[str, Any], above: str) -> Iterable[Difference]:
    for name, value in wanted.items():
        there = found.get(name)
        if name == "DATA_TYPE" or _same(value, there, ordered=name in _ORDERED):
            continue
        if name in SECRETS:
            yield Difference(above + name, _HIDDEN, _HIDDEN if there else None)
        elif isinstance(value, Mapping):
            yield from _differences(value, there if isinstance(there, Mapping) else {}, f"{above}{name}.")
        else:
            yield Difference(above + name, _shown(value), _shown(there))


def _same(wanted: Any, found: Any, *, ordered: bool = False) -> bool:
    if isinstance(wanted, Mapping):
        there = found if isinstance(found, Mapping) else {}
        return all(
            name == "DATA_TYPE" or _same(value, there.get(name), ordered=name in _ORDERED)
            for name, value in wanted.items()
        )
    if _nothing(wanted) or _nothing(found):
        return _nothing(wanted) and _nothing(found)
    if _is_list(wanted):
        return _is_list(found) and _same_list(list(wanted), list(found), ordered=ordered)
    return bool(wanted == found)


def _same_list(wanted: list[Any], found: list[Any], *, ordered: bool) -> bool:
    if len(wanted) != len(found) and (ordered or any(isinstance(item, Mapping) for item in wanted)):
        return False
    if not ordered and not any(isinstance(item, (Mapping, list)) for item in (*wanted, *found)):
        return set(wanted) == set(found)
    return all(_same_item(ours, theirs) for ours, theirs in zip(wanted, found, strict=True))


def _same_item(wanted: Any, found: Any) -> bool:
    """Documents in a list are replaced as a whole, so what they hold beyond what is wanted counts."""
    if not isinstance(wanted, Mapping) or not isinstance(found, Mapping):
        return _same(wanted, found, ordered=True)
    more = {name: None for name in found if name not in wanted}
    return _same({**more, **wanted}, found)


def _nothing(value: Any) -> bool:
    # Zero is a value: a timeout of none and a timeout of 0 differ.
    return value is None or value is False or (isinstance(value, (str, list, tuple, Mapping)) and not value)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _shown(value: Any) -> Any:
    """The value without its secrets."""
    if isinstance(value, Mapping):
        return {name: _HIDDEN if name in SECRETS else _shown(item) for name, item in value.items()}
    return [_shown(item) for item in value] if _is_list(value) else value
