"""Which local accounts identities get by mapping documents: evaluated here, by Globus' own library."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.identity_mapping.report import AccountMatch, IdentityResult, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_globus.identity_mapping.documents import Document, Row
    from airflow_provider_globus.identity_mapping.rules import Rule

#: Seconds that an external program may take, as Connect Server gives it.
PROGRAM_SECONDS = 5.0

INPUT_TYPE = "identity_mapping_input#1.0.0"


@dataclass(frozen=True)
class Place:
    """Where mapping takes place, as external programs are told."""

    connector: str
    storage_gateway: str


@dataclass
class _Found:
    matches: list[AccountMatch] = field(default_factory=list)
    #: Rules that read properties the table does not give, by the names of these.
    unknown: dict[str, list[str]] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def evaluate(documents: Sequence[Document], row: Row, place: Place | None) -> IdentityResult:
    """
    Return what one identity gets.

    :param place: run external programs for this gateway; ``None``: do not run them.
    """
    found = _Found()
    for number, document in enumerate(documents, start=1):
        if document.command:
            _ask_program(document, number, row, place, found)
        else:
            _apply_rules(document, number, row, found)
    found.doubts[:0] = [_unknown(names, rules) for names, rules in found.unknown.items()]
    return IdentityResult(
        identity=row.name,
        expected=row.accounts,
        matches=tuple(found.matches),
        status=_status(row, found),
        notes=(*found.doubts, *found.notes),
    )


def _status(row: Row, found: _Found) -> Status:
    got = list(dict.fromkeys(match.account for match in found.matches))
    if set(got) - set(row.accounts):
        return "mismatch"
    if found.doubts:
        return "unproved"
    same = set(got) == set(row.accounts)
    # Connect Server takes the first account unless a request names another.
    return "ok" if same and (not row.ordered or got[:1] == list(row.accounts[:1])) else "mismatch"


def _apply_rules(document: Document, number: int, row: Row, found: _Found) -> None:
    """
    Add what the rules of a document give.

    A rule that asks for a property the identity lacks ends the document: only the account that an earlier rule has
    given stays. That is how the library works; that Connect Server goes on with the next document is an assumption,
    taken from the validator that comes with the library.
    """
    own: list[AccountMatch] = []
    for rule_number, rule in enumerate(document.rules, start=1):
        try:
            account = _account(rule, row, found)
        except ValueError as error:
            found.notes.append(f"{rule.where} cannot be applied ({_said(error)}): {document.where} ends there.")
            own = own[:1]
            break
        if account:
            own.append(AccountMatch(account, number, rule_number))
    found.matches += own


def _account(rule: Rule, row: Row, found: _Found) -> str | None:
    unknown = [name for name in rule.source_fields if name not in row.identity]
    if not unknown and not rule.matches(row.identity):
        return None
    unknown += [name for name in rule.output_fields if name not in row.identity]
    if not unknown:
        return rule.account(row.identity)
    found.unknown.setdefault(", ".join(dict.fromkeys(unknown)), []).append(rule.where)
    return None


def _unknown(names: str, rules: Sequence[str]) -> str:
    who = f"{rules[0]} reads" if len(rules) == 1 else f"{rules[0]} and {len(rules) - 1} more read"
    return f"{who} {names}, which the table does not give: give the identity's document."


def _ask_program(document: Document, number: int, row: Row, place: Place | None, found: _Found) -> None:
    program = f"{document.where} is the program {document.command[0]}"
    if place is None:
        found.doubts.append(f"{program}, which was not run: what it says is not known.")
    elif not row.identity.get("id"):
        found.doubts.append(f"{program}, which asks for the identity's id: give the identity's document.")
    else:
        try:
            accounts = _run(document.command, row.identity, place)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            found.doubts.append(f"{program}, which failed: {error}.")
        else:
            found.matches += [AccountMatch(account, number) for account in accounts]


def _run(command: Sequence[str], identity: dict[str, Any], place: Place) -> list[str]:
    """Return the account a program gives by default and then all others."""
    default = _answers(command, [], identity, place)[:1]
    every = _answers(command, ["-a"], identity, place)
    return list(dict.fromkeys(account for account in (*default, *every) if account))


def _answers(command: Sequence[str], options: list[str], identity: dict[str, Any], place: Place) -> list[str]:
    # The library's own runner leaves a program that hangs behind; arguments and documents are the same.
    done = subprocess.run(  # noqa: S603  # its author asked for it by run_external
        [*command, "-c", place.connector, "-s", place.storage_gateway, *options],
        input=json.dumps({"DATA_TYPE": INPUT_TYPE, "identities": [identity]}),
        capture_output=True,
        text=True,
        timeout=PROGRAM_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or ["nothing on stderr"]
        raise ValueError(f"exit status {done.returncode}, {said[0]}")
    return _parsed(done.stdout, identity["id"]) if done.stdout else []


def _parsed(text: str, identity_id: str) -> list[str]:
    from globus_identity_mapping.mappers.external_program import identity_mapping_output_schema

    try:
        output: dict[str, Any] = identity_mapping_output_schema.loads(text)
        results = [(str(result["id"]), str(result["output"])) for result in output["result"]]
    except Exception as error:
        raise ValueError(f"its output is no identity_mapping_output#1.0.0 document ({error})") from None
    if any(answered != identity_id.lower() for answered, _ in results):
        raise ValueError("it answered for an identity that it was not asked about")
    return [account for _, account in results]


def _said(error: Exception) -> str:
    return str(error.args[-1]).rstrip(".")
