"""What a check of identity mappings has found: for programs, for people and for Airflow."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_globus.exceptions import GlobusInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Status = Literal["ok", "mismatch", "unproved"]

#: Lines of identities that an error shows at most.
MOST_LINES = 60


@dataclass(frozen=True)
class AccountMatch:
    """
    A local account that an identity gets.

    :param mapping: number of the document, from 1.
    :param rule: number of the rule in it, from 1; ``None`` for an external program.
    """

    account: str
    mapping: int
    rule: int | None = None

    def __str__(self) -> str:
        """The account and where it comes from."""
        origin = "its program" if self.rule is None else f"rule {self.rule}"
        return f"{self.account} (mapping {self.mapping}, {origin})"


@dataclass(frozen=True)
class IdentityResult:
    """
    What became of one identity of the table.

    :param identity: username, or UUID where no username was given.
    :param expected: the accounts it should have, none for an identity that nobody may map.
    :param matches: the accounts it gets, in Connect Server's order: the first is the one used by default.
    :param status: ``ok``; ``mismatch``; or ``unproved``, when the documents cannot tell it here.
    :param notes: why it is unproved, and rules that broke off.
    """

    identity: str
    expected: tuple[str, ...]
    matches: tuple[AccountMatch, ...]
    status: Status
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the identity gets exactly what it should."""
        return self.status == "ok"

    @property
    def got(self) -> tuple[str, ...]:
        """The accounts it gets, each once."""
        return tuple(dict.fromkeys(match.account for match in self.matches))

    def lines(self) -> Iterator[str]:
        """Yield the lines of a diff: ``-`` expected, ``+`` got, ``?`` not proved."""
        if self.ok:
            yield f"  {self.identity}: {_people(self.matches)}"
            return
        yield f"- {self.identity}: {', '.join(self.expected) or 'nobody'}"
        if self.status == "mismatch" or self.matches:
            yield f"+ {self.identity}: {_people(self.matches)}"
        for note in self.notes:
            yield f"? {self.identity}: {note}"


@dataclass(frozen=True)
class IdentityMappingReport:
    """
    What a check has found.

    :param identities: one result for each identity of the table; none when there are problems.
    :param problems: what is wrong with documents or table, all of it; nothing was evaluated then.
    :param warnings: rules that are valid and deserve a second look.
    """

    identities: tuple[IdentityResult, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every identity of the table was proved to get exactly its accounts."""
        return not self.problems and all(result.ok for result in self.identities)

    @property
    def proved(self) -> int:
        """How many identities were proved to get exactly their accounts."""
        return sum(result.ok for result in self.identities)

    @property
    def mismatches(self) -> tuple[IdentityResult, ...]:
        """Identities that get other accounts than they should."""
        return tuple(result for result in self.identities if result.status == "mismatch")

    @property
    def unproved(self) -> tuple[IdentityResult, ...]:
        """Identities of which the documents cannot tell here what they get."""
        return tuple(result for result in self.identities if result.status == "unproved")

    def __str__(self) -> str:
        """The whole report as text."""
        return self.text()

    def text(self, *, everything: bool = True, most_lines: int | None = None) -> str:
        """
        The report for people: a summary, the diff, the warnings.

        :param everything: show identities that are as expected, and warnings, too.
        :param most_lines: shorten the diff.
        """
        if self.problems:
            return "\n".join([_summary(self), *(f"! {problem}" for problem in self.problems)])
        shown = self.identities if everything else (*self.mismatches, *self.unproved)
        lines = [line for result in shown for line in result.lines()]
        if most_lines is not None and len(lines) > most_lines:
            lines = [*lines[:most_lines], f"... and {len(lines) - most_lines} lines more"]
        warnings = [f"! {warning}" for warning in self.warnings] if everything else []
        return "\n".join([_summary(self), *lines, *warnings])

    def require(self, *, allow_unproved: bool = False) -> IdentityMappingReport:
        """
        Return the report if it is good.

        :param allow_unproved: take identities that could not be proved, if no other is wrong.
        :raises GlobusInputError: with the problems or the diff.
        """
        if self.problems or self.mismatches or (self.unproved and not allow_unproved):
            raise GlobusInputError(self.text(everything=False, most_lines=MOST_LINES), advice="\n" + self._advice())
        return self

    def _advice(self) -> str:
        if self.problems:
            return "Correct these first; nothing was evaluated."
        if self.mismatches:
            return "Correct the rules, or the table of expected accounts if the rules are right."
        return "Prove these elsewhere and say allow_unproved=True, or give what the notes ask for."

    def as_dict(self) -> dict[str, Any]:
        """The report in what JSON can hold, for XComs and other programs."""
        rows = [asdict(result) | {"got": list(result.got), "ok": result.ok} for result in self.identities]
        return {
            "ok": self.ok,
            "proved": self.proved,
            "identities": [_listed(row) for row in rows],
            "problems": list(self.problems),
            "warnings": list(self.warnings),
        }


def _summary(report: IdentityMappingReport) -> str:
    if report.problems:
        return f"The identity mappings cannot be checked ({_count(len(report.problems), 'problem')}):"
    total = _count(len(report.identities), "identity", "identities")
    if report.ok:
        return f"Proved: {total} would get exactly the local accounts expected."
    return (
        f"Of {total}, {report.proved} would get exactly the local accounts expected, "
        f"{len(report.mismatches)} would not, {len(report.unproved)} could not be proved (- expected, + got):"
    )


def _people(matches: Iterable[AccountMatch]) -> str:
    return ", ".join(str(match) for match in matches) or "nobody"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _listed(row: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in row.items()}
