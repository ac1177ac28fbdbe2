"""What the sandbox asks of a place that holds bytes: `Storage`, its entries, readers and writers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

EntryKind = Literal["file", "dir", "invalid_symlink", "chr", "blk", "pipe", "other"]

CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Link:
    """The symbolic link itself, where `Entry` describes what it leads to."""

    target: str
    size: int
    modified: float
    user: str
    group: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or directory; symbolic links are followed and kept in `link`."""

    name: str
    kind: EntryKind
    size: int = 0
    modified: float = 0.0
    permissions: str = "0644"
    user: str = ""
    group: str = ""
    link: Link | None = None

    @property
    def is_dir(self) -> bool:
        """Whether the entry is a directory or a link to one."""
        return self.kind == "dir"


class Reader(Protocol):
    """An open source file."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, or none at the end."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...


class Writer(ABC):
    """A file being written: it appears under its name only with `commit`, whole, or never."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Append `data`."""

    @abstractmethod
    def read_back(self) -> Reader:
        """Open what was written, for a checksum; nothing can be written after it."""

    @abstractmethod
    def commit(self) -> None:
        """Put the file in its place."""

    @abstractmethod
    def abort(self) -> None:
        """Throw away what was written; does nothing after `commit`."""

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()


class Storage(ABC):
    """A tree of files. Paths are clean and absolute (`paths.clean`); failures are `StorageError`."""

    supports_rename = True
    supports_symlinks = True
    supports_modified = True

    @abstractmethod
    def stat(self, path: str) -> Entry:
        """Return the entry at `path`, links followed."""

    @abstractmethod
    def list(self, path: str) -> Iterator[Entry]:
        """Yield the entries of a directory, in no particular order."""

    @abstractmethod
    def open_read(self, path: str) -> Reader:
        """Open a regular file."""

    @abstractmethod
    def open_write(self, path: str) -> Writer:
        """Start writing a file, replacing the one that is there once committed; parents are made."""

    @abstractmethod
    def mkdir(self, path: str) -> None:
        """Make one directory; its parent must exist and it must not."""

    @abstractmethod
    def make_parents(self, path: str) -> None:
        """Make the directory `path` and those above it, as far as they are missing."""

    @abstractmethod
    def rename(self, old: str, new: str) -> None:
        """Move an entry within the storage; the new name must be free."""

    @abstractmethod
    def remove_file(self, path: str) -> None:
        """Remove a file, or a link without touching what it leads to."""

    @abstractmethod
    def remove_dir(self, path: str) -> None:
        """Remove an empty directory."""

    @abstractmethod
    def set_modified(self, path: str, moment: float) -> None:
        """Set the modification time, where the storage has one to set."""

    @abstractmethod
    def make_link(self, path: str, target: str) -> None:
        """Make a symbolic link, replacing the file or link that is there."""

    @abstractmethod
    def identity(self, path: str) -> str:
        """Return a key of the real directory behind `path`, to notice links that lead in circles."""

    @abstractmethod
    def below(self, path: str) -> Storage:
        """Return the directory `path` as a storage of its own, jailed there."""

    @abstractmethod
    def close(self) -> None:
        """Release connections."""
