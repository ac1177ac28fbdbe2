"""Mapping documents and the table of expected accounts, as authors give them: read, checked, compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from airflow_provider_globus.identity_mapping.rules import IDENTITY_FIELDS, Rule, read_rule, shadowed, suspicions
from airflow_provider_globus.ids import is_uuid

EXPRESSION = "expression_identity_mapping#1.0.0"
EXTERNAL = "external_identity_mapping#1.0.0"

_SUFFIXES = (".json", ".yaml", ".yml")
_FORMS = "give a dict, JSON or YAML text, or the path of a .json, .yaml or .yml file"


@dataclass(frozen=True)
class Document:
    """A mapping document: rules of an expression mapping, or the command of an external one."""

    where: str
    rules: tuple[Rule, ...] = ()
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """
    What is expected of an identity.

    :param accounts: all its local accounts; none when nobody may map it.
    :param ordered: whether the first of them is the one to be used by default.
    """

    name: str
    identity: dict[str, Any]
    accounts: tuple[str, ...]
    ordered: bool = True


def load(given: Any, what: str) -> Any:
    """
    Return what a text or file holds; other things as they are.

    :param what: what it is, for errors.
    :raises ValueError: it cannot be read.
    """
    if not isinstance(given, (str, Path)):
        return given
    text = str(given)
    if text.strip().endswith(_SUFFIXES) and "\n" not in text.strip():
        what = f"{what} ({text.strip()})"
        try:
            text = Path(text.strip()).expanduser().read_text(encoding="utf-8")
        except OSError as error:
            raise ValueError(f"{what} cannot be read: {error.strerror}.") from None
    try:
        # JSON is YAML, too.
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{what} is neither JSON nor YAML: {' '.join(str(error).split())}.") from None


def load_mappings(given: Any) -> tuple[list[Any], list[str]]:
    """Return the documents an author gave in any form, and what could not be read."""
    documents: list[Any] = []
    problems: list[str] = []
    try:
        whole = load(given, "the identity mappings")
    except ValueError as error:
        return [], [str(error)]
    for number, item in enumerate(_listed(whole), start=1):
        try:
            documents += _listed(load(item, f"mapping {number}"))
        except ValueError as error:
            problems.append(str(error))
    if not documents and not problems:
        problems.append("there is no mapping document; give one, or a list of them.")
    return documents, problems


def _listed(given: Any) -> list[Any]:
    if given is None:
        return []
    return list(given) if isinstance(given, Sequence) and not isinstance(given, (str, bytes)) else [given]


def read_mappings(given: Iterable[Any]) -> tuple[list[Document], list[str], list[str]]:
    """Return documents, everything that is wrong with them, and what a reviewer should look at."""
    documents, problems, warnings = [], [], []
    for number, item in enumerate(given, start=1):
        document, wrong = _read_mapping(item, f"mapping {number}")
        problems += wrong
        if document:
            documents.append(document)
            if not document.rules and not document.command:
                warnings.append(f"{document.where} has no rules: it maps nobody.")
    rules = [rule for document in documents for rule in document.rules]
    if not problems:
        warnings += [text for rule in rules for text in suspicions(rule)]
        warnings += shadowed(rules)
    return documents, problems, warnings


def _read_mapping(given: Any, where: str) -> tuple[Document | None, list[str]]:
    if not isinstance(given, Mapping):
        return None, [f"{where} must be a mapping document, not {type(given).__name__}: {_FORMS}."]
    kind = given.get("DATA_TYPE")
    if kind == EXPRESSION:
        return _read_expression(given, where)
    if kind == EXTERNAL:
        return _read_external(given, where)
    said = "has no DATA_TYPE" if kind is None else f"has the unknown DATA_TYPE {kind!r}"
    return None, [f"{where} {said}; Connect Server takes {EXPRESSION} and {EXTERNAL}."]


def _read_expression(given: Mapping[str, Any], where: str) -> tuple[Document | None, list[str]]:
    problems = _strange(given, where, "mappings")
    rules: list[Rule] = []
    listed = given.get("mappings")
    if not isinstance(listed, list):
        return None, [*problems, f"{where}: mappings must be a list of rules."]
    for number, item in enumerate(listed, start=1):
        rule, wrong = read_rule(item, f"{where}, rule {number}")
        problems += wrong
        if rule:
            rules.append(rule)
    return Document(where, rules=tuple(rules)), problems


def _read_external(given: Mapping[str, Any], where: str) -> tuple[Document | None, list[str]]:
    problems = _strange(given, where, "command")
    command = given.get("command")
    if not isinstance(command, list) or not command or not all(isinstance(part, str) for part in command):
        return None, [*problems, f"{where}: command must be a list of texts: the program and its arguments."]
    return Document(where, command=tuple(command)), problems


def _strange(given: Mapping[str, Any], where: str, own: str) -> list[str]:
    return [
        f"{where}: {name!r} is no property of {given['DATA_TYPE']}." for name in given if name not in ("DATA_TYPE", own)
    ]


def read_table(given: Any) -> tuple[list[Row], list[str]]:
    """Return the rows of the table of expected accounts, and everything that is wrong with it."""
    try:
        table = load(given, "the table of expected accounts")
    except ValueError as error:
        return [], [str(error)]
    if isinstance(table, Mapping):
        pairs = list(table.items())
    elif isinstance(table, Sequence) and not isinstance(table, (str, bytes)):
        pairs = [_pair(item) for item in table]
    else:
        pairs = []
    if not pairs:
        return [], ["expected is empty; name identities and their local accounts: {'ada@example.org': 'ada'}."]
    rows: dict[str, Row] = {}
    problems: list[str] = []
    for number, pair in enumerate(pairs, start=1):
        try:
            row = _row(pair, f"expected, row {number}")
        except ValueError as error:
            problems.append(str(error))
            continue
        if row.name in rows:
            problems.append(f"expected, row {number}: {row.name} was named before.")
        rows[row.name] = row
    return list(rows.values()), problems


def _pair(item: Any) -> Any:
    if isinstance(item, Mapping) and set(item) == {"identity", "local_user"}:
        return item["identity"], item["local_user"]
    return item


def _row(pair: Any, where: str) -> Row:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise ValueError(f"{where} must have identity and local_user, or be a pair of both.")
    identity = _identity(pair[0], where)
    name = str(identity.get("username") or identity["id"])
    return Row(name, identity, _accounts(pair[1], f"{where} ({name})"), ordered=not isinstance(pair[1], Set))


def _identity(given: Any, where: str) -> dict[str, Any]:
    if isinstance(given, Mapping) and (given.get("username") or given.get("id")):
        strange = [name for name in IDENTITY_FIELDS if not isinstance(given.get(name), (str, type(None)))]
        if strange:
            raise ValueError(f"{where}: {strange[0]} must be text, or None when the identity has none.")
        return dict(given)
    if is_uuid(given):
        return {"id": str(given).lower()}
    if isinstance(given, str) and "@" in given:
        return {"username": given}
    raise ValueError(
        f"{where}: {given!r} is no identity; give a username such as ada@example.org, "
        "the UUID, or an identity document with username or id."
    )


def _accounts(given: Any, where: str) -> tuple[str, ...]:
    listed = [] if given is None else list(given) if isinstance(given, (list, tuple, Set)) else [given]
    if not all(isinstance(account, str) and account.strip() for account in listed):
        raise ValueError(f"{where}: {given!r} is no local account; give one, a list of them, or None for nobody.")
    return tuple(dict.fromkeys(listed))


def same_mappings(first: Iterable[Any] | None, second: Iterable[Any] | None) -> bool:
    """Whether two lists of documents map alike; properties left at their defaults make no difference."""
    return [_plain(document) for document in first or ()] == [_plain(document) for document in second or ()]


def _plain(document: Any) -> Any:
    if not isinstance(document, Mapping) or not isinstance(document.get("mappings"), list):
        return document
    defaults = {"ignore_case": False, "literal": False}
    rules = [{**defaults, **rule} if isinstance(rule, Mapping) else rule for rule in document["mappings"]]
    return {**document, "mappings": rules}
