"""Path restrictions: what may be done at which path of a storage, by the published rules of precedence."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_KINDS = {"none": "", "read": "r", "read_write": "rw"}
_HOME = re.compile(r"^(~|\$HOME)(?=/|$)")
_WILD = re.compile(r"\[[^\]]*\]|\?|\*")


class _Rule(NamedTuple):
    # What sorts first is the longer match: literal characters count most, then brackets, `?`, and the fewest `*`.
    rank: tuple[int, int, int, int]
    permission: str
    pattern: str

    def matches(self, path: str) -> bool:
        return self.pattern == "/" or _regex(self.pattern, below=True).match(path) is not None


class PathRules:
    """A ``path_restrictions`` document; None restricts nothing.

    A pattern means the path it matches and all below. What nothing matches is denied as soon as something is allowed
    by name (``read``, ``read_write``), and allowed otherwise; the way down to an allowed path can be read. Both are
    assumptions: the published rules are silent here.
    """

    def __init__(self, document: Mapping[str, Any] | None) -> None:
        self._document = document or {}
        self._restricts = any(self._document.get(kind) for kind in _KINDS)
        self._names_allowed = any(self._document.get(kind) for kind in ("read", "read_write"))
        self._of = lru_cache(maxsize=64)(self._rules)

    def __bool__(self) -> bool:
        """Whether anything is restricted."""
        return self._restricts

    def permission(self, path: str, account: str, home: str = "/") -> str:
        """Return `rw`, `r` or nothing for a path of the storage, as an account."""
        if not self:
            return "rw"
        rules = self._of(account, home)
        found = [rule.permission for rule in rules if rule.matches(path)]
        if not found:
            if not self._names_allowed:
                return "rw"
            return "r" if any(_leads_to(path, rule.pattern) for rule in rules if rule.permission) else ""
        if found[0] == "r" and "rw" in found:
            return "rw"
        return found[0]

    def _rules(self, account: str, home: str) -> list[_Rule]:
        return sorted(
            (
                _rule(permission, pattern, account, home)
                for kind, permission in _KINDS.items()
                for pattern in self._document.get(kind) or ()
            ),
            reverse=True,
        )


def _rule(permission: str, pattern: str, account: str, home: str) -> _Rule:
    pattern = _HOME.sub(home.rstrip("/"), str(pattern)).replace("$USER", account)
    pattern = pattern.rstrip("/") or "/"
    wild = _WILD.findall(pattern)
    rank = (
        len(_WILD.sub("", pattern)),
        sum(part.startswith("[") for part in wild),
        wild.count("?"),
        -wild.count("*"),
    )
    return _Rule(rank, permission, pattern)


def _leads_to(path: str, pattern: str) -> bool:
    """Whether a path lies on the way to what a pattern names."""
    if path == "/":
        return True
    parts, wanted = path.strip("/").split("/"), pattern.strip("/").split("/")
    return len(parts) < len(wanted) and all(_regex(want).match(part) for part, want in zip(parts, wanted, strict=False))


@lru_cache(maxsize=1024)
def _regex(pattern: str, *, below: bool = False) -> re.Pattern[str]:
    """Return what a path must match: the pattern, or (with `below`) it and anything in it."""
    return re.compile(f"{translate(pattern)}|{translate(f'{pattern}/*')}" if below else translate(pattern))
