"""
Conditions on files of a collection, waited for the way jobs are.

Globus runs nothing here: a "job" is a condition, written as JSON, and a look is a listing.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_globus.exceptions import GlobusNotFoundError
from airflow_provider_globus.hooks.files import list_directory, walk
from airflow_provider_globus.jobs.base import Condition, Document, Outcome, Verdict, human_bytes
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
        return json.dumps(self._asdict(), sort_keys=True)

    @property
    def counts_files(self) -> bool:
        """Whether existence alone is not enough."""
        return self.pattern is not None or self.marker is not None or self.min_files > 1 or self.recursive


class PathConditions(Condition):
    """Conditions on paths; each look is one listing, or one for each directory below."""

    name = "paths"
    noun = "path"
    batch_size = 1
    pause = 0.1

    def fetch(self, hook: GlobusHook, job_ids: Sequence[str]) -> dict[str, Document]:
        """Look at each path."""
        return {job_id: _look(hook, PathCondition(**json.loads(job_id))) for job_id in job_ids}

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
        progress = f"{look['path']}: {look['said']}"
        if not look["fulfilled"]:
            memory.clear()
            return Verdict(Outcome.RUNNING, "", None, progress, result)
        if memory.get("digest") != look["digest"]:
            memory.update(digest=look["digest"], since=now)
        stable_for = float(rules.get("stable_for", 0.0))
        if now - memory["since"] < stable_for:
            return Verdict(Outcome.RUNNING, "", None, f"{progress}; watching whether it stays so", result)
        return Verdict(Outcome.SUCCEEDED, "", None, progress, result)


def _look(hook: GlobusHook, condition: PathCondition) -> Document:
    try:
        found = _count_files(hook, condition) if condition.counts_files else _find(hook, condition)
    except GlobusNotFoundError:
        found = None
    if found is None:
        return _document(condition, [], fulfilled=False, said="does not exist yet")
    files = [(relative, entry) for relative, entry in found if entry["type"] == "file"]
    marked = condition.marker is None or any(entry["name"] == condition.marker for _, entry in found)
    counted = [
        (relative, entry)
        for relative, entry in files
        if entry["name"] != condition.marker and fnmatch.fnmatchcase(entry["name"], condition.pattern or "*")
    ]
    if not condition.counts_files:
        return _document(condition, counted, fulfilled=True, said="exists")
    enough = len(counted) >= condition.min_files
    said = f"{len(counted)} of at least {condition.min_files} files"
    if condition.marker is not None:
        said += f", marker {condition.marker} {'found' if marked else 'missing'}"
    return _document(condition, counted, fulfilled=marked and enough, said=said)


def _find(hook: GlobusHook, condition: PathCondition) -> list[tuple[str, dict[str, Any]]] | None:
    """The entry itself, found in its parent: not every storage can describe a single path."""
    if condition.path.strip("/") in ("", "~"):
        list_entries = list_directory(hook, condition.collection_id, condition.path, filter={"type": "file"})
        return [(entry["name"], entry) for entry in list_entries]
    wanted = name(condition.path)
    for entry in list_directory(hook, condition.collection_id, parent(condition.path)):
        if entry["name"] == wanted:
            return [("", entry)]
    return None


def _count_files(hook: GlobusHook, condition: PathCondition) -> list[tuple[str, dict[str, Any]]]:
    if condition.recursive:
        return list(walk(hook, condition.collection_id, condition.path))
    entries = list_directory(hook, condition.collection_id, condition.path)
    return [(entry["name"], entry) for entry in entries]


def _document(
    condition: PathCondition, counted: Sequence[tuple[str, Mapping[str, Any]]], *, fulfilled: bool, said: str
) -> Document:
    state = sorted((relative, entry["size"], entry["last_modified"]) for relative, entry in counted)
    total = sum(size for _, size, _ in state)
    listed = [join(condition.path, relative) if relative else condition.path for relative, _, _ in state[:MAX_LISTED]]
    return {
        "path": condition.path,
        "fulfilled": fulfilled,
        "said": f"{said}, {human_bytes(total)}" if state else said,
        "count": len(state),
        "bytes": total,
        "files": listed,
        "digest": hashlib.sha256(json.dumps(state).encode()).hexdigest(),
    }
