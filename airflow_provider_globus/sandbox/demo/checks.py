"""What demos check after their runs: same bytes, nothing submitted or executed twice, no secret left behind."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.demo.scenario import Check

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.compute.state import ComputeState
    from airflow_provider_globus.sandbox.journal import Journal
    from airflow_provider_globus.sandbox.local_airflow import LocalAirflow

__all__ = ["Check", "digests", "no_secret_left", "one_execution_each", "one_submission_each", "same_files"]

# Any access or refresh token the sandbox issues looks like this.
TOKEN = re.compile(r"\bAg[0-9A-Za-z]{40,}\b")
# Does nothing; operators run it to have the service make a task group, which they then send the work into.
GROUP_OPENER = "open_task_group"


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder by relative path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def same_files(name: str, expected: Mapping[str, str], found: Mapping[str, str]) -> Check:
    """Compare two folders' digests; no files at all is no success."""
    missing = sorted(expected.keys() - found.keys())
    extra = sorted(found.keys() - expected.keys())
    changed = sorted(path for path in expected.keys() & found.keys() if expected[path] != found[path])
    wrong = [f"{len(paths)} {kind} ({paths[0]})" for kind, paths in _named(missing, extra, changed) if paths]
    return Check(name, bool(expected) and not wrong, ", ".join(wrong) or f"{len(expected)} files")


def _named(missing: list[str], extra: list[str], changed: list[str]) -> Iterator[tuple[str, list[str]]]:
    yield "missing", missing
    yield "extra", extra
    yield "different", changed


def one_submission_each(journal: Journal, xcoms: Mapping[str, Any], transfer_tasks: Iterable[str]) -> Check:
    """Every transfer was sent once: as many submissions, with as many submission ids, as there are tasks."""
    task_ids = {xcoms[task]["task_id"] for task in transfer_tasks if isinstance(xcoms.get(task), dict)}
    sent = journal.requests("transfer", "POST", "*/transfer")
    ids = {entry.body.get("submission_id") for entry in sent if isinstance(entry.body, dict)}
    passed = bool(task_ids) and len(sent) == len(ids) == len(task_ids)
    detail = f"{len(sent)} submissions, {len(ids)} submission ids, {len(task_ids)} Globus tasks"
    return Check("each transfer was submitted once", passed, detail)


def one_execution_each(compute: ComputeState, expected: Mapping[str, int]) -> Check:
    """Every function was submitted and executed as often as expected, and no other function was.

    :param expected: number of tasks by name of the function.
    """
    work = [task for task in compute.tasks.values() if task.function.name != GROUP_OPENER]
    names = Counter(task.function.name for task in work)
    executions = sum(task.executions for task in work)
    passed = names == Counter(expected) and all(task.executions == 1 for task in work)
    detail = f"{executions} executions of {len(work)} tasks: {', '.join(f'{n} {name}' for name, n in names.items())}"
    return Check("each function was executed once for each task", passed, detail)


def no_secret_left(
    globus: GlobusSandbox, airflow: LocalAirflow, triggers: Iterable[str], secrets: Iterable[str] = ()
) -> Check:
    """Look for secrets and any token in all logs, the whole metadata database, triggers and the journal.

    :param triggers: arguments of the triggers there were, decrypted.
    :param secrets: what to look for beside the client secret.
    """
    wanted = (globus.client_secret, *secrets)
    texts = [*_texts(globus, airflow), ("trigger arguments", "\n".join(triggers))]
    leaks = [where for where, text in texts if any(secret in text for secret in wanted) or TOKEN.search(text)]
    tokens = globus.journal.count("auth", "POST", "*/token")
    detail = f"found in {', '.join(leaks)}" if leaks else f"{tokens} tokens were issued, none found"
    return Check("no secret and no token in logs, XComs, triggers and journal", bool(tokens) and not leaks, detail)


def _texts(globus: GlobusSandbox, airflow: LocalAirflow) -> Iterator[tuple[str, str]]:
    yield "the journal", json.dumps([entry.as_dict() for entry in globus.journal.entries])
    for path in airflow.logs_folder.rglob("*"):
        if path.is_file():
            yield path.name, path.read_text(errors="replace")
    # Every table: XComs, rendered fields, trigger rows, task state, and whatever else Airflow may keep.
    for (table,) in airflow.query("select name from sqlite_master where type = 'table'"):
        rows = airflow.query(f'select * from "{table}"')  # noqa: S608 - the name comes from the database itself
        yield f"table {table}", "\n".join(map(str, rows))
