"""Transfer and delete: the operators whose job is a task of Globus Transfer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_globus.exceptions import GlobusError
from airflow_provider_globus.jobs.base import Outcome, Verdict
from airflow_provider_globus.jobs.transfer import FATAL_NICE_STATUSES, STUCK_GRACE
from airflow_provider_globus.operators.datasets import Place
from airflow_provider_globus.operators.documents import read_json
from airflow_provider_globus.operators.job import GlobusJobOperator
from airflow_provider_globus.operators.labels import default_label
from airflow_provider_globus.paths import check_path

if TYPE_CHECKING:
    from airflow.sdk import Context

SYNC_LEVELS = {"exists": 0, "size": 1, "mtime": 2, "checksum": 3}
SYMLINKS = ("ignore", "keep", "copy")
NOTIFICATIONS = ("succeeded", "failed", "inactive")

#: Longest label that Globus takes.
LABEL_LENGTH = 128

#: Files that an XCom lists at most, whatever the author asks for.
MAX_RETURNED_FILES = 1000

#: Items whose type is looked up before the submission; more would cost more calls than they save.
CHECKED_ITEMS = 10


class GlobusTransferTaskOperator(GlobusJobOperator):
    """
    Base of the operators whose job is a task of Globus Transfer.

    :param task_label: label of the task, shown in the web app. Default: the DAG, task and run.
    :param deadline: when Globus gives up: a datetime, its ISO text, or a timedelta from now. Default: Globus's own,
        a day, extended while there is progress.
    :param notify: events for which Globus sends e-mail to the identity: ``succeeded``, ``failed``, ``inactive``.
    :param stuck_grace: seconds that a fault which time does not cure (see ``fatal_nice_statuses``) or a suspension may
        last before the task is cancelled and fails. Globus alone would retry it until the deadline.
    :param fatal_nice_statuses: codes of such faults. Default: missing files, denied permissions and the like.
    """

    service_name = "transfer"
    room_service_name = "transfer-room"
    #: kind of task in the Transfer API
    transfer_type: ClassVar[str]

    def __init__(
        self,
        *,
        task_label: str | None = None,
        deadline: datetime | timedelta | str | None = None,
        notify: Sequence[str] = (),
        stuck_grace: float = STUCK_GRACE,
        fatal_nice_statuses: Sequence[str] = FATAL_NICE_STATUSES,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.task_label = task_label
        self.deadline = deadline
        self.notify = notify
        self.stuck_grace = stuck_grace
        self.fatal_nice_statuses = fatal_nice_statuses
        if unknown := set(notify) - set(NOTIFICATIONS):
            raise self.refuse(f"notify does not know {', '.join(sorted(unknown))}.", f"Choose from {NOTIFICATIONS}.")

    def rules(self) -> dict[str, Any]:
        """How long to bear which faults."""
        return {"stuck_grace": self.stuck_grace, "fatal_nice_statuses": list(self.fatal_nice_statuses)}

    def facts(self, verdict: Verdict) -> dict[str, Any]:
        """The task, and what it did."""
        told = ("task_id", "label", "files", "files_transferred", "files_skipped", "bytes", "completion_time")
        result = verdict.result
        known = {name: result[name] for name in told if result.get(name) is not None}
        return {**super().facts(verdict), **known}

    def reserve(self) -> str:
        """Globus's submission id: a submission with it is accepted once, however often it is sent."""
        client = self.hook.transfer_client()
        return str(self.hook.call("asking for a submission id", client.get_submission_id)["value"])

    def find_running(self, document: dict[str, Any]) -> tuple[list[str], bool]:
        """Unfinished tasks between the same collections; those with the same label, if there are any."""
        client = self.hook.transfer_client()
        answer = self.hook.call(
            "looking for the task that is under way",
            client.task_list,
            limit=1000,
            filter={"status": ["ACTIVE", "INACTIVE"], "type": self.transfer_type},
        )
        same = [task for task in answer["DATA"] if self.is_same_work(task, document)]
        labelled = [task for task in same if task.get("label") == document["label"]]
        # Our default label names the DAG, task and run: no other task has it.
        ours = bool(labelled) and self.task_label is None
        return [str(task["task_id"]) for task in labelled or same], ours

    @abstractmethod
    def is_same_work(self, task: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
        """Whether an unfinished task may do what ``document`` asks for; its paths are not to be seen."""

    def common_fields(self, context: Context) -> dict[str, Any]:
        """What both kinds of submission have."""
        fields: dict[str, Any] = {"label": self._label(context)}
        fields |= {f"notify_on_{event}": event in self.notify for event in NOTIFICATIONS}
        if (deadline := self._deadline()) is not None:
            fields["deadline"] = deadline.astimezone(UTC).isoformat(timespec="seconds")
        return fields

    def _label(self, context: Context) -> str:
        label = self.task_label
        if label is None:
            label = default_label(context)[:LABEL_LENGTH].strip()
        if len(label) > LABEL_LENGTH or "\n" in label or label != label.strip():
            raise self.refuse(
                f"the label {label!r} is not one Globus takes.",
                f"Use at most {LABEL_LENGTH} characters, on one line, without blanks around.",
            )
        return label

    def _deadline(self) -> datetime | None:
        deadline, now = self.deadline, datetime.now(UTC)
        if deadline is None or deadline == "":
            return None
        if isinstance(deadline, timedelta):
            deadline = now + deadline
        elif isinstance(deadline, str):
            try:
                deadline = datetime.fromisoformat(deadline)
            except ValueError:
                raise self.refuse(
                    f"the deadline {deadline!r} is no point in time.", "Write it like 2030-01-31T12:00:00+00:00."
                ) from None
        if deadline.tzinfo is None:
            deadline = deadline.replace(tzinfo=UTC)
        if deadline <= now:
            raise self.refuse(f"the deadline {deadline.isoformat()} is in the past.", "Give a later one, or none.")
        return deadline


class GlobusTransferOperator(GlobusTransferTaskOperator):
    """
    Copy files and directories from one collection to another.

    The transfer runs at Globus; this task waits for it, in a worker or the triggerer, and fails when it fails.
    A retry adopts a running transfer instead of starting another. Returns a summary to XCom: ``task_id``, ``files``,
    ``bytes``, ``faults``, ``files_skipped``, ``effective_bytes_per_second`` and more. The events of its ``outlets``
    tell the same: of an ``Asset`` at the destination, or of an ``AssetAlias``, which gets an asset for each item.

    :param source_collection: UUID, alias of the connection, or unique display name.
    :param destination_collection: the same for the other side.
    :param items: what to copy: dicts with ``source_path``, ``destination_path`` and optionally ``recursive``,
        ``external_checksum``, ``checksum_algorithm``; or pairs of paths; or either as JSON text; also from XCom.
    :param source_path: instead of ``items``, one file or directory.
    :param destination_path: where it goes; for a file, including the file's name.
    :param recursive: whether ``source_path`` is a directory. Default: Globus looks.
    :param sync_level: copy only files that are missing (``exists``) or differ in ``size``, ``mtime`` or ``checksum``.
        ``mtime`` copies what is younger at the source. Object storage such as S3 keeps the time of the upload, not the
        file's: both ways with ``mtime`` copy all back and forth without end, unless the way back from S3 sets
        ``preserve_timestamp``; use ``size`` or ``checksum`` there. Default: copy all.
    :param verify_checksum: compare checksums after each file. Sent to Globus either way. Default: ``True``.
    :param preserve_timestamp: keep modification times.
    :param encrypt_data: encrypt the data channel.
    :param skip_source_errors: skip files that are missing or not permitted; see ``allow_skipped``.
    :param allow_skipped: succeed although files were skipped. Default: the task fails and says how many.
    :param fail_on_quota_errors: fail at once when the destination is full. Default: Globus waits for room.
    :param filter_rules: dicts with ``method`` (``include`` or ``exclude``), ``name`` (glob) and ``type`` (``file`` or
        ``dir``); the first that matches decides.
    :param delete_destination_extra: delete files at the destination that the source does not have.
    :param symlinks: ``ignore``, ``keep`` or ``copy`` symbolic links in directories. Default: Globus's, ``ignore``.
    :param source_local_user: account on a source that maps the identity to several.
    :param destination_local_user: the same for the destination.
    :param return_files: return the first so many pairs of paths that were copied under ``file_list``, up to 1,000.
    """

    template_fields: Sequence[str] = (
        "source_collection",
        "destination_collection",
        "items",
        "source_path",
        "destination_path",
        "filter_rules",
        "task_label",
        "deadline",
        "globus_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"items": "json", "filter_rules": "json"}
    ui_color = "#d9e7f5"
    transfer_type = "TRANSFER"

    def __init__(
        self,
        *,
        source_collection: str,
        destination_collection: str,
        items: Any = None,
        source_path: str | None = None,
        destination_path: str | None = None,
        recursive: bool | None = None,
        sync_level: str | int | None = None,
        verify_checksum: bool = True,
        preserve_timestamp: bool = False,
        encrypt_data: bool = False,
        skip_source_errors: bool = False,
        allow_skipped: bool = False,
        fail_on_quota_errors: bool = False,
        filter_rules: Sequence[Mapping[str, str]] | None = None,
        delete_destination_extra: bool = False,
        symlinks: str | None = None,
        source_local_user: str | None = None,
        destination_local_user: str | None = None,
        return_files: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source_collection = source_collection
        self.destination_collection = destination_collection
        self.items = items
        self.source_path = source_path
        self.destination_path = destination_path
        self.recursive = recursive
        self.sync_level = sync_level
        self.verify_checksum = verify_checksum
        self.preserve_timestamp = preserve_timestamp
        self.encrypt_data = encrypt_data
        self.skip_source_errors = skip_source_errors
        self.allow_skipped = allow_skipped
        self.fail_on_quota_errors = fail_on_quota_errors
        self.filter_rules = filter_rules
        self.delete_destination_extra = delete_destination_extra
        self.symlinks = symlinks
        self.source_local_user = source_local_user
        self.destination_local_user = destination_local_user
        self.return_files = return_files
        self._check_choices()

    def _check_choices(self) -> None:
        if (self.items is None) == (self.source_path is None):
            raise self.refuse("give either items, or source_path with destination_path.")
        if self.source_path is not None and self.destination_path is None:
            raise self.refuse("source_path needs destination_path.")
        if self.sync_level is not None and self.sync_level not in (*SYNC_LEVELS, *SYNC_LEVELS.values()):
            raise self.refuse(f"sync_level {self.sync_level!r} is unknown.", f"Choose from {', '.join(SYNC_LEVELS)}.")
        if self.symlinks is not None and self.symlinks not in SYMLINKS:
            raise self.refuse(f"symlinks={self.symlinks!r} is unknown.", f"Choose from {', '.join(SYMLINKS)}.")
        if not 0 <= self.return_files <= MAX_RETURNED_FILES:
            raise self.refuse(f"return_files must be 0 to {MAX_RETURNED_FILES}.", "XComs are not made for long lists.")

    def rules(self) -> dict[str, Any]:
        """How long to bear which faults, and whether skipped files are a failure."""
        return {**super().rules(), "allow_skipped": self.allow_skipped}

    def prepare(self, context: Context) -> dict[str, Any] | None:
        """The transfer document of the Transfer API."""
        items = self._items()
        document = self.common_fields(context) | {
            "DATA_TYPE": "transfer",
            "verify_checksum": self.verify_checksum,
            "preserve_timestamp": self.preserve_timestamp,
            "encrypt_data": self.encrypt_data,
            "skip_source_errors": self.skip_source_errors,
            "fail_on_quota_errors": self.fail_on_quota_errors,
            "delete_destination_extra": self.delete_destination_extra,
            "DATA": items,
        }
        optional = {
            "sync_level": SYNC_LEVELS.get(str(self.sync_level), self.sync_level),
            "recursive_symlinks": self.symlinks,
            "source_local_user": self.source_local_user,
            "destination_local_user": self.destination_local_user,
            "filter_rules": self._filter_rules() or None,
        }
        document |= {name: value for name, value in optional.items() if value is not None}
        document["source_endpoint"] = self.hook.use_collection(self.source_collection)
        document["destination_endpoint"] = self.hook.use_collection(self.destination_collection)
        self._refuse_copy_onto_itself(document)
        self._check_types(document)
        return document

    def submit(self, document: dict[str, Any], key: str | None) -> list[str]:
        """Submit; the submission id makes it safe to send again."""
        client = self.hook.transfer_client()
        doing = f"submitting the transfer {self.source_collection!r} -> {self.destination_collection!r}"
        answer = self.hook.call(doing, client.submit_transfer, document | {"submission_id": key})
        return [str(answer["task_id"])]

    def is_same_work(self, task: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
        """Same collections on both sides."""
        sides = task["source_endpoint_id"], task["destination_endpoint_id"]
        return sides == (document["source_endpoint"], document["destination_endpoint"])

    def result(self, verdict: Verdict) -> dict[str, Any]:
        """Summary of the transfer, with a list of files if asked for."""
        result = super().result(verdict)
        if self.return_files and verdict.outcome == Outcome.SUCCEEDED:
            result["file_list"] = self._file_list(result["task_id"])
        return dict(result)

    def read(self) -> list[Place]:
        """The sources of all items."""
        return [Place(self.source_collection, item["source_path"]) for item in self._items()]

    def written(self) -> list[Place]:
        """The destinations of all items."""
        return [Place(self.destination_collection, item["destination_path"]) for item in self._items()]

    def facts(self, verdict: Verdict) -> dict[str, Any]:
        """The transfer's task, what it moved, and whether checksums were compared."""
        source = self.hook.settings.collection_id(self.source_collection)
        return {**super().facts(verdict), "source_collection": source, "verify_checksum": self.verify_checksum}

    def _file_list(self, task_id: str) -> list[dict[str, str]]:
        client = self.hook.transfer_client()
        files: list[dict[str, str]] = []
        marker = None
        while len(files) < self.return_files:
            page = self.hook.call("listing copied files", client.task_successful_transfers, task_id, marker=marker)
            files += [{key: item[key] for key in ("source_path", "destination_path")} for item in page["DATA"]]
            marker = page.get("next_marker")
            if marker is None:
                break
        return files[: self.return_files]

    # Items

    def _items(self) -> list[dict[str, Any]]:
        if self.source_path is not None:
            single = {"source_path": self.source_path, "destination_path": self.destination_path}
            return [self._item(0, single if self.recursive is None else single | {"recursive": self.recursive})]
        items = read_json(self, "items", self.items)
        if isinstance(items, Mapping) or not isinstance(items, Sequence):
            raise self.refuse(f"items must be a list, not {type(items).__name__}.", "Give dicts or pairs of paths.")
        if not items:
            raise self.refuse("items is empty: there is nothing to transfer.", "Skip the task when that is expected.")
        return [self._item(number, item) for number, item in enumerate(items)]

    def _item(self, number: int, item: Any) -> dict[str, Any]:
        where = f"items[{number}]" if self.source_path is None else "the transfer"
        if isinstance(item, Sequence) and not isinstance(item, str) and len(item) == 2:
            item = {"source_path": item[0], "destination_path": item[1]}
        allowed = {"source_path", "destination_path", "recursive", "external_checksum", "checksum_algorithm"}
        if not isinstance(item, Mapping) or not {"source_path", "destination_path"} <= set(item) <= allowed:
            raise self.refuse(
                f"{where} cannot be read: {item!r}.",
                "Give a dict with source_path, destination_path and optionally recursive, or a pair of paths.",
            )
        source = check_path(item["source_path"], f"{where}: source_path")
        destination = check_path(item["destination_path"], f"{where}: destination_path")
        recursive = item.get("recursive")
        if not recursive and destination.endswith("/") and not source.endswith("/"):
            raise self.refuse(
                f"{where} copies {source!r} to the directory {destination!r}.",
                f"For a file, name it at the destination ({destination}{source.rpartition('/')[2]}); "
                "for a directory, set recursive=True.",
            )
        return {"DATA_TYPE": "transfer_item"} | {name: value for name, value in item.items() if value is not None}

    def _filter_rules(self) -> list[dict[str, str]]:
        rules = []
        for number, rule in enumerate(self.filter_rules or ()):
            complete = {"method": "exclude", **rule}
            if (
                not {"method", "name"} <= set(complete) <= {"method", "name", "type"}
                or complete["method"] not in ("include", "exclude")
                or complete.get("type", "file") not in ("file", "dir")
            ):
                raise self.refuse(
                    f"filter_rules[{number}] cannot be read: {rule!r}.",
                    "Give name (a glob), method (include or exclude) and type (file or dir).",
                )
            rules.append({"DATA_TYPE": "filter_rule", **complete})
        return rules

    def _refuse_copy_onto_itself(self, document: Mapping[str, Any]) -> None:
        if document["source_endpoint"] != document["destination_endpoint"]:
            return
        for item in document["DATA"]:
            if item["source_path"].rstrip("/") == item["destination_path"].rstrip("/"):
                raise self.refuse(f"{item['source_path']!r} would be copied onto itself.")

    def _check_types(self, document: Mapping[str, Any]) -> None:
        """Look whether items are what ``recursive`` says: Globus would accept the task and retry it for a day."""
        stated = [item for item in document["DATA"] if "recursive" in item][:CHECKED_ITEMS]
        client = self.hook.transfer_client()
        for item in stated:
            path = item["source_path"]
            try:
                doing = f"looking at {path} on {self.source_collection!r}"
                stat = self.hook.call(doing, client.operation_stat, document["source_endpoint"], path=path)
            except GlobusError as error:
                # Not every storage can tell, and a file may still be on its way: the task itself will show.
                self.log.info("Could not look at %s before the transfer: %s", path, error.message)
                continue
            if (stat["type"] == "dir") != item["recursive"]:
                kind = "a directory" if stat["type"] == "dir" else "a file"
                raise self.refuse(
                    f"{path!r} on {self.source_collection!r} is {kind}, but recursive={item['recursive']}.",
                    f"Set recursive={not item['recursive']}, or leave it out.",
                )


class GlobusDeleteOperator(GlobusTransferTaskOperator):
    """
    Delete files and directories on a collection, as a task of Globus.

    :param collection: UUID, alias of the connection, or unique display name.
    :param paths: one path or a list; also from XCom.
    :param recursive: delete directories with all they contain.
    :param ignore_missing: count paths that do not exist as deleted.
    :param interpret_globs: read ``*``, ``?`` and ``[…]`` in the last part of a path as patterns.
    :param local_user: account on a collection that maps the identity to several.
    """

    template_fields: Sequence[str] = ("collection", "paths", "task_label", "deadline", "globus_conn_id")
    ui_color = "#f5dcd9"
    transfer_type = "DELETE"

    def __init__(
        self,
        *,
        collection: str,
        paths: Any,
        recursive: bool = False,
        ignore_missing: bool = False,
        interpret_globs: bool = False,
        local_user: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.collection = collection
        self.paths = paths
        self.recursive = recursive
        self.ignore_missing = ignore_missing
        self.interpret_globs = interpret_globs
        self.local_user = local_user

    def prepare(self, context: Context) -> dict[str, Any] | None:
        """The delete document of the Transfer API."""
        paths = self.paths_to_delete()
        document = self.common_fields(context) | {
            "DATA_TYPE": "delete",
            "recursive": self.recursive,
            "ignore_missing": self.ignore_missing,
            "interpret_globs": self.interpret_globs,
            "DATA": [{"DATA_TYPE": "delete_item", "path": path} for path in paths],
        }
        if self.local_user is not None:
            document["local_user"] = self.local_user
        document["endpoint"] = self.hook.use_collection(self.collection)
        return document

    def submit(self, document: dict[str, Any], key: str | None) -> list[str]:
        """Submit; the submission id makes it safe to send again."""
        client = self.hook.transfer_client()
        doing = f"submitting the deletion on {self.collection!r}"
        answer = self.hook.call(doing, client.submit_delete, document | {"submission_id": key})
        return [str(answer["task_id"])]

    def is_same_work(self, task: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
        """Same collection."""
        return bool(task["source_endpoint_id"] == document["endpoint"])

    def deleted(self) -> list[Place]:
        """All paths."""
        return [Place(self.collection, path) for path in self.paths_to_delete()]

    def paths_to_delete(self) -> list[str]:
        """The paths, checked. The root of a collection is refused: that is never what is meant."""
        paths = [self.paths] if isinstance(self.paths, str) else self.paths
        if not isinstance(paths, Sequence) or not paths:
            raise self.refuse("paths is empty: there is nothing to delete.", "Skip the task when that is expected.")
        checked = [check_path(path, f"paths[{number}]") for number, path in enumerate(paths)]
        if roots := [path for path in checked if path.strip("/") in ("", "~", "*", "~/*")]:
            raise self.refuse(f"{roots[0]!r} is all of the collection.", "Name the directories to delete.")
        return checked
