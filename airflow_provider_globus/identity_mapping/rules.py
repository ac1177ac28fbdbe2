"""One rule of an expression mapping: what it does, what is wrong with it and what looks wrong."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: What an identity document of Globus Auth has, and rules may read.
IDENTITY_FIELDS = ("id", "username", "name", "email", "organization", "status", "identity_provider", "identity_type")

_TEXTS = ("source", "match", "output")
_FLAGS = ("ignore_case", "literal")
_REFERENCE = re.compile(r"(?<!\\)(?:\\\\)*{([^}]*)}")
_UNESCAPED_DOT = re.compile(r"(?<!\\)\.")
_STANDS_FOR_ITSELF = re.compile(r"(?<!\\)[\^$+{}\[\]]")
_EVERYTHING = frozenset({".*", "(.*)"})

# Nobody's identity: a rule that matches it matches people of any domain.
_ANYBODY = {
    "id": "0a1b2c3d-4e5f-4607-8899-aabbccddeeff",
    "username": "any.body7@anywhere.invalid",
    "name": "Any Body",
    "email": "any.body7@anywhere.invalid",
    "organization": "Anywhere",
    "status": "used",
    "identity_provider": "0a1b2c3d-4e5f-4607-8899-aabbccddee00",
    "identity_type": "login",
}


@dataclass(frozen=True)
class Rule:
    """A well-formed rule; ``where`` names it for people: ``mapping 1, rule 2``."""

    where: str
    source: str
    match: str
    output: str
    ignore_case: bool = False
    literal: bool = False

    @cached_property
    def source_fields(self) -> list[str]:
        """Properties of the identity that decide whether the rule matches."""
        return list(references(self.source))

    @cached_property
    def output_fields(self) -> list[str]:
        """Properties of the identity that the account is made of."""
        return [name for name in references(self.output) if not _is_number(name)]

    def matches(self, identity: Mapping[str, Any]) -> bool:
        """
        Whether the rule matches, whatever its output.

        :raises ValueError: the source asks for a property that the identity lacks.
        """
        return self._matcher.map_identity(identity) is not None

    def account(self, identity: Mapping[str, Any]) -> str | None:
        """
        The account of an identity, ``None`` when the rule does not match.

        :raises ValueError: source or output asks for a property or a group that the identity lacks.
        """
        account: str | None = self._mapper.map_identity(identity)
        return account

    @property
    def groups(self) -> int:
        """
        How many groups an output may refer to.

        :raises ValueError: ``match`` is no valid expression.
        """
        return int(self._matcher.mappings[0]["compiled_match"].groups)

    @cached_property
    def _matcher(self) -> Any:
        return _mapper(asdict(self) | {"output": "matches"})

    @cached_property
    def _mapper(self) -> Any:
        return _mapper(asdict(self))


def _mapper(rule: dict[str, Any]) -> Any:
    # Globus' own library decides, not an expression compiled here.
    from globus_identity_mapping.mappers.expression import ExpressionIdentityMapping

    return ExpressionIdentityMapping([rule])  # type: ignore[list-item]


def references(text: str) -> Iterator[str]:
    """Yield what stands in curly brackets in a source or an output."""
    for found in _REFERENCE.finditer(text):
        yield found.group(1)


def read_rule(given: Any, where: str) -> tuple[Rule | None, list[str]]:
    """Return a rule and everything that is wrong with it; the rule only when it has the right form."""
    if not isinstance(given, dict):
        return None, [f"{where} must be a mapping with source, match and output, not {type(given).__name__}."]
    problems = [
        f"{where} has no {name}." if name not in given else f"{where}: {name} must be text."
        for name in _TEXTS
        if not isinstance(given.get(name), str)
    ]
    problems += [
        f"{where}: {name} must be true or false, not {given[name]!r}."
        for name in _FLAGS
        if not isinstance(given.get(name, False), bool)
    ]
    problems += [f"{where}: {name!r} is no property of a rule." for name in given if name not in _TEXTS + _FLAGS]
    if problems:
        return None, problems
    rule = Rule(where, **given)
    return rule, list(_mistakes(rule))


def _mistakes(rule: Rule) -> Iterator[str]:
    for name in rule.source_fields:
        if _is_number(name):
            yield f"{rule.where}: source reads {{{name}}}, but groups of match are for the output."
    for place, names in (("source", rule.source_fields), ("output", rule.output_fields)):
        for name in names:
            if name not in IDENTITY_FIELDS and not _is_number(name):
                yield (
                    f"{rule.where}: {place} reads {{{name}}}, which identities do not have; "
                    f"they have {', '.join(IDENTITY_FIELDS)}."
                )
    if not rule.output:
        yield f"{rule.where}: output is empty, which is no account."
    try:
        groups = rule.groups
    except ValueError as error:
        yield f"{rule.where}: match {rule.match!r} is no valid expression: {_said(error)}."
        return
    for name in references(rule.output):
        if _is_number(name) and not 0 <= int(name) < groups:
            yield f"{rule.where}: output reads group {{{name}}}, but match {_has(rule, groups)}."


def _has(rule: Rule, groups: int) -> str:
    if rule.literal:
        return "is literal and has none"
    if groups == 0:
        return f"{rule.match!r} has none"
    return f"{rule.match!r} has only {', '.join(f'{{{number}}}' for number in range(groups))}"


def suspicions(rule: Rule) -> Iterator[str]:
    """Yield what a reviewer should look at: a rule that is valid and probably not meant so."""
    if not rule.literal:
        if _has_bare_alternatives(rule.match):
            yield (
                f"{rule.where}: match {rule.match!r} has a | outside of parentheses: its first alternative matches all "
                "that begins so, its last all that ends so. Write (this|that)."
            )
        plain = sorted(set(_STANDS_FOR_ITSELF.findall(rule.match)))
        if plain:
            yield (
                f"{rule.where}: in match {rule.match!r}, {' '.join(plain)} stands for itself. A match is for the whole "
                "source, without ^ and $, and knows . ? * | and parentheses only."
            )
    yield from _suspicious_domain(rule)


def _suspicious_domain(rule: Rule) -> Iterator[str]:
    if _matches_anybody(rule):
        yield f"{rule.where}: match {rule.match!r} matches people of any domain. Name the domain: (.*)@example\\.org."
    elif not {"username", "email"} & set(rule.source_fields):
        return
    elif "@" not in rule.match:
        yield from _without_domain(rule)
    elif not rule.literal:
        yield from _loose_domain(rule, rule.match.rpartition("@")[2])


def _without_domain(rule: Rule) -> Iterator[str]:
    if not rule.literal and "*" in rule.match:
        yield (
            f"{rule.where}: match {rule.match!r} has no @: it matches other domains, too, that end so. "
            "Name the whole domain: (.*)@example\\.org."
        )
    elif rule.source == "{username}" and (rule.literal or not _UNESCAPED_DOT.search(rule.match)):
        yield f"{rule.where}: match {rule.match!r} never matches: usernames have a domain, as in ada@example.org."


def _loose_domain(rule: Rule, domain: str) -> Iterator[str]:
    if re.search(r"(?<!\\)\.[*?]", domain):
        yield f"{rule.where}: the domain in match {rule.match!r} has a wildcard: whoever owns such a domain is let in."
    elif _UNESCAPED_DOT.search(domain):
        yield (
            f"{rule.where}: a dot in the domain of match {rule.match!r} stands for any character, "
            "as in cs.example for csxexample. Write \\."
        )


def _matches_anybody(rule: Rule) -> bool:
    try:
        return rule.matches(_ANYBODY)
    except ValueError:
        return False


def shadowed(rules: Sequence[Rule]) -> Iterator[str]:
    """Yield rules that cannot decide, since an earlier one matches all that they match."""
    for number, rule in enumerate(rules):
        for earlier in rules[:number]:
            if earlier.source == rule.source and _covers(earlier, rule):
                yield (
                    f"{rule.where} comes too late: {earlier.where} has the same source and matches first, so its "
                    f"account {rule.output!r} is never the one used by default. Put it before, or remove it."
                )
                break


def _covers(earlier: Rule, later: Rule) -> bool:
    if not earlier.literal and earlier.match in _EVERYTHING:
        return True
    same = (earlier.match, earlier.literal) == (later.match, later.literal)
    return same and (earlier.ignore_case or not later.ignore_case)


def _has_bare_alternatives(match: str) -> bool:
    depth = 0
    for character in re.sub(r"\\.", "", match):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "|" and depth == 0:
            return True
    return False


def _is_number(name: str) -> bool:
    try:
        int(name)
    except ValueError:
        return False
    return True


def _said(error: Exception) -> str:
    # The library leaves the filling in of its message's brackets to the reader.
    return str(error.args[-1]).strip().rstrip(".")
