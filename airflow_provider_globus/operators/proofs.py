"""What finished transfers prove: the checksums with which Globus read a file at one side and found it at the other."""

from __future__ import annotations

import itertools
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_globus.paths import join

if TYPE_CHECKING:
    from airflow_provider_globus.hooks.globus import GlobusHook
    from airflow_provider_globus.operators.base import GlobusOperator

#: Clocks of storages and of Globus may differ by as much.
CLOCK_SKEW = timedelta(seconds=60)


class Copied(NamedTuple):
    """
    A file that a transfer copied and verified.

    :param size: in bytes, if Globus says it.
    :param checksum: which source and destination had in common, if Globus says it.
    :param algorithm: of the checksum.
    :param as_of: until when it may have been modified: when the transfer that wrote it ended, or that read it began.
    """

    size: int | None
    checksum: str | None
    algorithm: str | None
    as_of: datetime

    def is_stale(self, entry: Mapping[str, Any]) -> bool:
        """Whether a listing says that the file was modified later."""
        return datetime.fromisoformat(entry["last_modified"]) > self.as_of + CLOCK_SKEW


def task_ids(operator: GlobusOperator, given: Any) -> list[str]:
    """The ids in ``verified_by``: a task id, the result of a transfer, or a sequence of either."""
    listed = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    ids = [item.get("task_id") if isinstance(item, Mapping) else item for item in listed]
    named = [task_id for task_id in ids if isinstance(task_id, str) and task_id]
    if not ids or named != ids:
        raise operator.refuse(f"verified_by cannot be read: {given!r}.", "Give task ids or results of transfers.")
    return named


def copied_items(hook: GlobusHook, task_id: str) -> Iterator[dict[str, Any]]:
    """The files that a transfer copied, as Globus lists them, page by page."""
    client = hook.transfer_client()
    marker = None
    for page_number in itertools.count(1):
        doing = f"reading page {page_number} of the files of transfer {task_id}"
        page = hook.call(doing, client.task_successful_transfers, task_id, marker=marker)
        yield from page["DATA"]
        marker = page.get("next_marker")
        if marker is None:
            return


def verified_copies(operator: GlobusOperator, given: Any, collection_id: str, path: str) -> dict[str, Copied]:
    """
    The files below a directory that verified transfers wrote there, or read there, by their relative paths.

    Of several transfers of a file, the last one given counts.

    :raises GlobusInputError: for a transfer that proves nothing of the directory's collection.
    """
    copies: dict[str, Copied] = {}
    root = join(posixpath.normpath(path), "")
    for task_id in task_ids(operator, given):
        client = operator.hook.transfer_client()
        task = operator.hook.call(f"reading the transfer {task_id}", client.get_task, task_id)
        sides = _sides(task, collection_id)
        problem = no_proof(task) or (None if sides else "it ran between other collections")
        if problem:
            raise operator.refuse(f"the transfer {task_id} proves nothing: {problem}.")
        for item in copied_items(operator.hook, task_id):
            for side, as_of in sides.items():
                if item[f"{side}_path"].startswith(root):
                    copies[item[f"{side}_path"][len(root) :]] = _copied(item, as_of)
    return copies


def _copied(item: Mapping[str, Any], as_of: datetime) -> Copied:
    # Globus may list a file without its checksum.
    checksum, algorithm = item.get("checksum"), item.get("checksum_algorithm")
    return Copied(
        item.get("size"),
        checksum.lower() if checksum else None,
        algorithm.upper().replace("-", "") if algorithm else None,
        as_of,
    )


def _sides(task: Mapping[str, Any], collection_id: str) -> dict[str, datetime]:
    """On which sides a collection took part in a transfer, and what its files are then known to be as of."""
    times = {"destination": "completion_time", "source": "request_time"}
    return {
        side: datetime.fromisoformat(task[time])
        for side, time in times.items()
        if task.get(f"{side}_endpoint_id") == collection_id and task.get(time)
    }


def no_proof(task: Mapping[str, Any]) -> str | None:
    """Why a transfer proves nothing of what it copied, if it does not."""
    if task["type"] != "TRANSFER":
        return f"it is a {task['type'].lower()} task"
    if task["status"] != "SUCCEEDED":
        return f"it is {task['status']}"
    if not task.get("verify_checksum"):
        return "it did not verify checksums"
    return None
