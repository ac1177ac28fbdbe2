"""Safe prune: free space at a source, deleting only what is proven to exist elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.exceptions import GlobusNotFoundError
from airflow_provider_globus.operators.proofs import copied_items, no_proof, task_ids
from airflow_provider_globus.operators.transfer import GlobusDeleteOperator
from airflow_provider_globus.paths import check_path, join

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_globus.jobs.base import Verdict

#: Kept files that the log names for each reason.
_NAMED = 5


class GlobusSafePruneOperator(GlobusDeleteOperator):
    """
    Delete the files below a directory that exist elsewhere, and no other.

    A file is deleted when its copy has the same relative path and size, and it has not been modified for
    ``older_than_days``. With ``verified_by`` it must also be among the files that one of those transfers copied with
    checksum verification, unmodified since that transfer began. All else is kept, and the log says why. Directories
    are kept: deleting them could take a file that has just arrived.

    Returns ``deleted``, ``deleted_bytes``, ``kept`` (count by reason) and the summary of the delete task.

    :param collection: where to delete: UUID, alias of the connection, or unique display name.
    :param path: directory to prune.
    :param copy_collection: where the copies are.
    :param copy_path: directory there that corresponds to ``path``.
    :param older_than_days: keep files modified within so many days.
    :param verified_by: ids of transfer tasks, or results of ``GlobusTransferOperator``, that made the copies.
    """

    template_fields: Sequence[str] = (
        "collection",
        "path",
        "copy_collection",
        "copy_path",
        "older_than_days",
        "verified_by",
        "task_label",
        "deadline",
        "globus_conn_id",
    )

    def __init__(
        self,
        *,
        path: str,
        copy_collection: str,
        copy_path: str,
        older_than_days: float | str = 0,
        verified_by: Any = None,
        **kwargs: Any,
    ) -> None:
        # A file that somebody else deletes meanwhile is no reason to fail.
        super().__init__(paths=[], ignore_missing=True, **kwargs)
        self.path = path
        self.copy_collection = copy_collection
        self.copy_path = copy_path
        self.older_than_days = older_than_days
        self.verified_by = verified_by
        self._plan: list[tuple[str, int]] = []
        self._kept: Counter[str] = Counter()

    def prepare(self, context: Context) -> dict[str, Any] | None:
        """Find out what is proven, and make the document that deletes it; ``None`` when that is nothing."""
        check_path(self.path, "path")
        check_path(self.copy_path, "copy_path")
        source, copies = (self.hook.use_collection(name) for name in (self.collection, self.copy_collection))
        if (source, self.path.rstrip("/")) == (copies, self.copy_path.rstrip("/")):
            raise self.refuse("path and copy_path are the same place: nothing would be left.")
        self._plan, self._kept = self._decide(source, copies)
        self.log.info(
            "%d files (%d bytes) are proven to exist in %s on %r; %d are kept.",
            len(self._plan),
            sum(size for _, size in self._plan),
            self.copy_path,
            self.copy_collection,
            sum(self._kept.values()),
        )
        return super().prepare(context) if self._plan else None

    def paths_to_delete(self) -> list[str]:
        """The proven files."""
        return [join(self.path, relative) for relative, _ in self._plan]

    def notes(self) -> dict[str, Any]:
        """The counts, for the result."""
        return {
            "deleted": len(self._plan),
            "deleted_bytes": sum(size for _, size in self._plan),
            "kept": dict(self._kept),
        }

    def result(self, verdict: Verdict) -> dict[str, Any]:
        """The counts with the summary of the delete task, if there was one."""
        notes = self._entry.notes if self._entry else self.notes()
        return {**verdict.result, **notes}

    def _decide(self, source: str, copies: str) -> tuple[list[tuple[str, int]], Counter[str]]:
        from airflow_provider_globus.hooks.files import walk

        oldest = datetime.now(UTC) - timedelta(days=self._days())
        verified = self._verified(source, copies)
        sizes = self._sizes(copies, self.copy_path)
        plan: list[tuple[str, int]] = []
        kept: Counter[str] = Counter()
        for relative, entry in walk(self.hook, source, self.path):
            if entry["type"] == "dir":
                continue
            reason = self._reason_to_keep(relative, entry, sizes, oldest, verified)
            if reason is None:
                plan.append((relative, entry["size"]))
                continue
            kept[reason] += 1
            if kept[reason] <= _NAMED:
                self.log.info("Keeping %s: %s.", relative, reason)
        return plan, kept

    def _reason_to_keep(
        self,
        relative: str,
        entry: Mapping[str, Any],
        sizes: Mapping[str, int],
        oldest: datetime,
        verified: Mapping[str, datetime] | None,
    ) -> str | None:
        modified = datetime.fromisoformat(entry["last_modified"])
        if entry["type"] != "file":
            return f"it is a {entry['type']}, not a file"
        if relative not in sizes:
            return "it has no copy"
        if sizes[relative] != entry["size"]:
            return "its copy differs in size"
        if modified > oldest:
            return f"it was modified within {self.older_than_days} days"
        if verified is None:
            return None
        copied_at = verified.get(join(self.path, relative))
        if copied_at is None:
            return "no transfer given as verified_by copied it"
        return "it was modified after the verified transfer began" if modified > copied_at else None

    def _days(self) -> float:
        try:
            days = float(self.older_than_days)
        except (TypeError, ValueError):
            days = -1.0
        if days < 0:
            raise self.refuse(f"older_than_days must be a number not below 0, not {self.older_than_days!r}.")
        return days

    def _sizes(self, collection_id: str, path: str) -> dict[str, int]:
        from airflow_provider_globus.hooks.files import walk

        try:
            entries = walk(self.hook, collection_id, path)
            return {relative: entry["size"] for relative, entry in entries if entry["type"] == "file"}
        except GlobusNotFoundError:
            self.log.info("There is no %s on %r: nothing is proven.", path, self.copy_collection)
            return {}

    def _verified(self, source: str, copies: str) -> dict[str, datetime] | None:
        """Source paths that the given transfers copied with verification, with the time the transfer was requested."""
        if self.verified_by is None:
            return None
        verified: dict[str, datetime] = {}
        client = self.hook.transfer_client()
        for task_id in task_ids(self, self.verified_by):
            task = self.hook.call(f"reading the transfer {task_id}", client.get_task, task_id)
            if problem := _no_proof(task, source, copies):
                raise self.refuse(f"the transfer {task_id} proves nothing: {problem}.")
            requested = datetime.fromisoformat(task["request_time"])
            verified.update((item["source_path"], requested) for item in copied_items(self.hook, task_id))
        return verified


def _no_proof(task: Mapping[str, Any], source: str, copies: str) -> str | None:
    if (task["source_endpoint_id"], task["destination_endpoint_id"]) != (source, copies):
        return "it ran between other collections"
    return no_proof(task)
