"""Copies one file: bytes in chunks, checksums, sync comparison, throttle. Knows nothing of queues and retries."""

from __future__ import annotations

import hashlib
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Protocol

from airflow_provider_globus.sandbox.storage import CHUNK_BYTES, Entry, StorageError
from airflow_provider_globus.sandbox.transfer.tasks import Success

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_globus.sandbox.storage import Reader, Storage, Writer
    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from airflow_provider_globus.sandbox.transfer.tasks import Spec, Step, Task

DEFAULT_ALGORITHM = "MD5"


class Interrupted(Exception):
    """The task was stopped between two chunks; what the step did is undone."""


class Fault(Exception):
    """A step failed, and will be tried again."""

    def __init__(self, code: str, details: str, collection: Collection, path: str, side: str) -> None:
        super().__init__(f"{code}: {details}")
        self.code = code
        self.details = details
        self.collection = collection
        self.path = path
        self.side = side


class Pace(Protocol):
    """What a copy asks between chunks."""

    def check(self, task: Task) -> None:
        """Raise `Interrupted` when the task shall stop."""

    def spend(self, task: Task, count: int) -> None:
        """Count bytes against the throttle, waiting when it is used up."""

    def chunk_size(self) -> int:
        """How much to read at once."""


@contextmanager
def side_of(collection: Collection, path: str, side: str) -> Iterator[None]:
    """Turn storage errors into faults that know where they happened."""
    try:
        yield
    except StorageError as error:
        raise Fault(error.code, error.message, collection, path, side) from None


def new_hash(algorithm: str) -> hashlib._Hash:
    """Return a hash object of an algorithm by Globus' name for it."""
    return hashlib.new(algorithm.lower(), usedforsecurity=False)


def digest_of(reader: Reader, algorithm: str, task: Task, pace: Pace) -> str:
    """Return the checksum of an open file."""
    value = new_hash(algorithm)
    with closing(reader):
        while chunk := reader.read(CHUNK_BYTES):
            pace.check(task)
            value.update(chunk)
    return value.hexdigest()


def stat_or_none(storage: Storage, path: str) -> Entry | None:
    """Return the entry at a path, or None when there is none."""
    try:
        return storage.stat(path)
    except StorageError as error:
        if error.code == "FILE_NOT_FOUND":
            return None
        raise


def looks_current(entry: Entry, present: Entry | None, level: int) -> bool:
    """Compare by what listings say, as sync levels ask: 0 exists, 1 and 3 size, 2 modification time, too."""
    if present is None or present.kind != "file":
        return False
    if level == 0:
        return True
    return present.size == entry.size and (level != 2 or int(entry.modified) <= int(present.modified))


class FileCopy:
    """One attempt at one file of a transfer task.

    :param source: the files of the source collection, as the owner of the task reaches them; so `destination`.
    """

    def __init__(self, task: Task, step: Step, pace: Pace, source: Storage, destination: Storage) -> None:
        spec = task.spec
        assert spec.destination is not None
        self._task = task
        self._spec: Spec = spec
        self._step = step
        self._pace = pace
        self._source_files, self._destination_files = source, destination
        self._source = spec.source
        self._destination = spec.destination
        self._algorithm = (step.item.algorithm if step.item else None) or DEFAULT_ALGORITHM
        self._external = step.item.external_checksum if step.item else None

    def run(self) -> None:
        """Copy the file, or count it as skipped when the sync level finds it unchanged."""
        with side_of(self._source, self._step.source, "source"):
            entry = self._source_files.stat(self._step.source)
        if self._spec.sync_level is not None and self._is_current(entry, self._spec.sync_level):
            self._task.files_skipped += 1
            return
        checksum = self._copy(entry)
        if self._spec.preserve_timestamp:
            with side_of(self._destination, self._step.destination, "destination"):
                self._destination_files.set_modified(self._step.destination, entry.modified)
        self._task.files_transferred += 1
        self._task.successes.append(
            Success(
                self._step.source,
                self._step.destination,
                entry.size,
                checksum,
                self._algorithm if checksum else None,
            )
        )

    def _is_current(self, entry: Entry, level: int) -> bool:
        """Compare as the sync level asks."""
        with side_of(self._destination, self._step.destination, "destination"):
            present = stat_or_none(self._destination_files, self._step.destination)
        return looks_current(entry, present, level) and (level != 3 or self._same_bytes(entry))

    def _same_bytes(self, entry: Entry) -> bool:
        with side_of(self._source, self._step.source, "source"):
            reader = self._source_files.open_read(self._step.source)
            ours = digest_of(reader, self._algorithm, self._task, self._pace)
        with side_of(self._destination, self._step.destination, "destination"):
            reader = self._destination_files.open_read(self._step.destination)
            theirs = digest_of(reader, self._algorithm, self._task, self._pace)
        self._task.bytes_checksummed += entry.size
        return ours == theirs

    def _copy(self, entry: Entry) -> str | None:
        """Move the bytes; the file appears at the destination only once it is whole and verified."""
        moved = 0
        with side_of(self._source, self._step.source, "source"):
            reader = self._source_files.open_read(self._step.source)
        try:
            with closing(reader), self._writer() as writer:
                wanted = self._spec.verify_checksum or self._external is not None
                digest = new_hash(self._algorithm) if wanted else None
                while chunk := self._read(reader):
                    self._pace.check(self._task)
                    if digest is not None:
                        digest.update(chunk)
                    self._write(writer, chunk)
                    moved += len(chunk)
                    self._task.bytes_transferred += len(chunk)
                    self._pace.spend(self._task, len(chunk))
                self._pace.check(self._task)
                checksum = digest.hexdigest() if digest is not None else None
                self._check(entry, moved, checksum, writer)
                with side_of(self._destination, self._step.destination, "destination"):
                    writer.commit()
        except (Fault, Interrupted):
            self._task.bytes_transferred -= moved  # only what arrived counts
            raise
        return checksum

    def _writer(self) -> Writer:
        with side_of(self._destination, self._step.destination, "destination"):
            return self._destination_files.open_write(self._step.destination)

    def _read(self, reader: Reader) -> bytes:
        with side_of(self._source, self._step.source, "source"):
            try:
                return reader.read(self._pace.chunk_size())
            except OSError as error:
                raise StorageError("FILE_ACCESS", error.strerror or "Read failed") from None

    def _write(self, writer: Writer, chunk: bytes) -> None:
        with side_of(self._destination, self._step.destination, "destination"):
            writer.write(chunk)

    def _check(self, entry: Entry, moved: int, checksum: str | None, writer: Writer) -> None:
        if moved != entry.size:
            raise self._fault("FILE_SIZE_CHANGED", f"File size changed from {entry.size} to {moved}", "source")
        if self._external is not None and checksum != self._external:
            raise self._fault(
                "EXTERNAL_CHECKSUM_MISMATCH",
                f"{self._algorithm} of the source is {checksum}, the submission expects {self._external}",
                "source",
            )
        if not self._spec.verify_checksum or checksum is None:
            return
        with side_of(self._destination, self._step.destination, "destination"):
            arrived = digest_of(writer.read_back(), self._algorithm, self._task, self._pace)
        if arrived != checksum:
            raise self._fault("VERIFY_CHECKSUM", f"{self._algorithm} is {arrived}, not {checksum}", "destination")

    def _fault(self, code: str, details: str, side: str) -> Fault:
        if side == "source":
            return Fault(code, details, self._source, self._step.source, side)
        return Fault(code, details, self._destination, self._step.destination, side)
