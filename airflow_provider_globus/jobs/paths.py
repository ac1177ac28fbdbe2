"""
Conditions on files of a collection, waited for the way jobs are.

Globus runs nothing here: a "job" is a condition, written as JSON, and a look is a listing.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
from bisect import insort
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_globus.exceptions import GlobusNotFoundError
from airflow_provider_globus.hooks.files import entries_of, list_directory
from airflow_provider_globus.jobs.base import Document, Look, Outcome, Verdict, human_bytes, look_id
from airflow_provider_globus.paths import join, name, parent

if TYPE_CHECKING:
    from airflow_provider_globus.hooks.globus import GlobusHook

#: Paths that a result lists at most.
MAX_LISTED = 100


class PathCondition(NamedTuple):
    """
    What must be true of a path.

    :param collection_id: UUID of the collection.
    :param path: a file or directory that must exist.
    :param pattern: count files in the directory whose name matches this glob.
    :param min_files: so many files must be counted.
    :param marker: a file of this name must be in the directory.
    :param recursive: count files in directories below, too.
    """

    collection_id: str
    path: str
    pattern: str | None = None
    min_files: int = 1
    marker: str | None = None
    recursive: bool = False

    @property
    def job_id(self) -> str:
        """The condition as text, to be waited for."""
        return look_id(self._asdict())

    @property
    def counts_files(self) -> bool:
        """Whether existence alone is not enough."""
        return self.pattern is not None or self.marker is not None or self.min_files > 1 or self.recursive


class PathConditions(Look):
    """Conditions on paths; each look is one listing, or one for each directory below."""

    name = "paths"
    noun = "path"

    def look(self, hook: GlobusHook, what: dict[str, Any]) -> Document:
        """Look at the path."""
        return _look(hook, PathCondition(**what))

    def shown(self, condition: dict[str, Any]) -> str:
        """The path."""
        return str(condition["path"])

    def judge(
        self,
        documents: Sequence[Document | None],
        rules: Mapping[str, Any],
        memory: dict[str, Any],
        now: float,
    ) -> Verdict:
        """Decide whether the condition holds. Rule: ``stable_for`` (seconds)."""
        (look,) = documents
        assert look is not None
        result = {key: look[key] for key in ("path", "count", "bytes", "files")}
        progress = str(look["said"])
        if not look["fulfilled"]:
            memory.clear()
            return Verdict(Outcome.RUNNING, "", None, progress, result)
        if memory.get("digest") != look["digest"]:
            memory.update(digest=look["digest"], since=now)
        stable_for = float(rules.get("stable_for", 0.0))
        if now - memory["since"] < stable_for:
            return Verdict(Outcome.RUNNING, "", None, f"{progress}; watching whether it stays so", result)
        return Verdict(Outcome.SUCCEEDED, "", None, progress, result)


class _Tally:
    """What a look has counted so far; takes the same memory for any number of files."""

    def __init__(self) -> None:
        self.count = 0
        self.bytes = 0
        self.first: list[str] = []
        self._sum = 0

    def add(self, relative: str, entry: Mapping[str, Any]) -> None:
        """Count a file."""
        self.count += 1
        self.bytes += entry["size"]
        if len(self.first) < MAX_LISTED or relative < self.first[-1]:
            insort(self.first, relative)
            del self.first[MAX_LISTED:]
        state = json.dumps([relative, entry["size"], entry["last_modified"]])
        # A sum, since Globus promises no order, and sorting would take all files at once.
        self._sum += int.from_bytes(hashlib.sha256(state.encode()).digest(), "big")

    @property
    def digest(self) -> str:
        """The same for the same files in any order; another when one is new, gone, or has changed."""
        return f"{self._sum % (1 << 256):064x}"


def _look(hook: GlobusHook, condition: PathCondition) -> Document:
    tally, exists, marked = _Tally(), False, condition.marker is None
    try:
        for relative, entry in _entries(hook, condition):
            exists = True
            if condition.marker is not None and entry["name"] == condition.marker:
                marked = True
            elif entry["type"] == "file" and fnmatch.fnmatchcase(entry["name"], condition.pattern or "*"):
                tally.add(relative, entry)
    except GlobusNotFoundError:
        return _document(condition, _Tally(), fulfilled=False, said="does not exist yet")
    if not condition.counts_files:
        if not exists:
            return _document(condition, tally, fulfilled=False, said="does not exist yet")
        return _document(condition, tally, fulfilled=True, said="exists")
    enough = tally.count >= condition.min_files
    said = f"{tally.count} of at least {condition.min_files} files" if condition.min_files else f"{tally.count} files"
    if condition.marker is not None:
        said += f", marker {condition.marker} {'found' if marked else 'missing'}"
    return _document(condition, tally, fulfilled=marked and enough, said=said)


def _entries(hook: GlobusHook, condition: PathCondition) -> Iterator[tuple[str, dict[str, Any]]]:
    if not condition.counts_files:
        return _find(hook, condition)
    return entries_of(hook, condition.collection_id, condition.path, recursive=condition.recursive)


def _find(hook: GlobusHook, condition: PathCondition) -> Iterator[tuple[str, dict[str, Any]]]:
    """The entry itself, found in its parent: not every storage can describe a single path."""
    if condition.path.strip("/") in ("", "~"):
        # An empty root exists, too.
        yield "", {"name": "", "type": "dir"}
        for entry in list_directory(hook, condition.collection_id, condition.path, filter={"type": "file"}):
            yield entry["name"], entry
        return
    wanted = name(condition.path)
    # In Globus's filters, other characters have a meaning or may have.
    plain = re.fullmatch(r"[\w.-]+", wanted, re.ASCII) is not None
    options: dict[str, Any] = {"filter": {"name": f"={wanted}"}} if plain else {}
    for entry in list_directory(hook, condition.collection_id, parent(condition.path), **options):
        if entry["name"] == wanted:
            yield "", entry
            return


def _document(condition: PathCondition, tally: _Tally, *, fulfilled: bool, said: str) -> Document:
    return {
        "path": condition.path,
        "fulfilled": fulfilled,
        "said": f"{said}, {human_bytes(tally.bytes)}" if tally.count else said,
        "count": tally.count,
        "bytes": tally.bytes,
        "files": [join(condition.path, relative) if relative else condition.path for relative in tally.first],
        "digest": tally.digest,
    }
