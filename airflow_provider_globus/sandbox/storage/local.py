"""A folder of this machine as storage, in a jail: no path and no symbolic link leads out of it.

Every operation resolves all links of the path first and refuses what does not lie below the root. The last
component is then opened without following links, so a link put there in between is not followed either. The
jail is against paths that clients send, not against another program that rearranges the folder meanwhile.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import secrets
import stat as stat_bits
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from airflow_provider_globus.sandbox.storage.base import Entry, EntryKind, Link, Reader, Storage, Writer
from airflow_provider_globus.sandbox.storage.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

PART_PREFIX = ".globus-sandbox-part-"

_CODES = {
    errno.ENOENT: ("FILE_NOT_FOUND", "No such file or directory"),
    errno.EACCES: ("PERMISSION_DENIED", "Permission denied"),
    errno.EPERM: ("PERMISSION_DENIED", "Operation not permitted"),
    errno.EROFS: ("PERMISSION_DENIED", "Read-only file system"),
    errno.ENOTDIR: ("NOT_A_DIRECTORY", "Not a directory"),
    errno.EISDIR: ("IS_A_DIRECTORY", "Is a directory"),
    errno.EEXIST: ("FILE_EXISTS", "File exists"),
    errno.ENOTEMPTY: ("DIRECTORY_NOT_EMPTY", "Directory not empty"),
    errno.ENOSPC: ("NO_SPACE_LEFT", "No space left on device"),
    errno.EDQUOT: ("QUOTA_EXCEEDED", "Disk quota exceeded"),
    errno.ENAMETOOLONG: ("INVALID_PATH_NAME", "File name too long"),
    errno.ELOOP: ("INVALID_SYMLINK", "Too many levels of symbolic links"),
}

_KINDS: dict[int, EntryKind] = {
    stat_bits.S_IFREG: "file",
    stat_bits.S_IFDIR: "dir",
    stat_bits.S_IFCHR: "chr",
    stat_bits.S_IFBLK: "blk",
    stat_bits.S_IFIFO: "pipe",
}


@contextmanager
def _faults(path: str) -> Iterator[None]:
    """Turn an OSError into the Globus word for it; host paths do not show in it."""
    try:
        yield
    except OSError as error:
        code, message = _CODES.get(error.errno or 0, ("FILE_ACCESS", os.strerror(error.errno or 0)))
        raise StorageError(code, message, path) from None


@lru_cache(maxsize=256)
def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@lru_cache(maxsize=256)
def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


class LocalWriter(Writer):
    """Writes beside the target under a hidden name and renames on commit."""

    def __init__(self, target: Path, path: str) -> None:
        self._target = target
        self._path = path
        self._part = target.with_name(PART_PREFIX + secrets.token_hex(8))
        self._file: BinaryIO | None = None
        with _faults(path):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            self._file = os.fdopen(os.open(self._part, flags, 0o644), "wb", buffering=0)
        self._done = False

    def write(self, data: bytes) -> None:
        """Append `data`."""
        assert self._file is not None
        with _faults(self._path):
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]

    def read_back(self) -> Reader:
        """Open the hidden file for reading."""
        self._finish()
        with _faults(self._path):
            return self._part.open("rb")

    def commit(self) -> None:
        """Rename the hidden file to its name."""
        self._finish()
        with _faults(self._path):
            if self._target.is_dir() and not self._target.is_symlink():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self._part.replace(self._target)
        self._done = True

    def abort(self) -> None:
        """Remove the hidden file."""
        self._finish()
        if not self._done:
            self._part.unlink(missing_ok=True)

    def _finish(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class LocalStorage(Storage):
    """Files below one folder."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).expanduser().resolve()
        if not self.root.is_dir():
            raise ValueError(f"The folder of a collection must exist: {root}")

    def _inside(self, path: str, *, follow: bool = True) -> Path:
        """Return the real place of `path`, refusing what lies outside; `follow=False` keeps a final link."""
        if "\x00" in path:
            raise StorageError("INVALID_PATH_NAME", "Path contains a NUL", path)
        wanted = self.root / path.lstrip("/")
        with _faults(path):
            if follow or wanted == self.root:
                real = Path(os.path.realpath(wanted))
            else:
                real = Path(os.path.realpath(wanted.parent)) / wanted.name
        if real != self.root and self.root not in real.parents:
            raise StorageError("PERMISSION_DENIED", "Path not allowed: it leads outside of the collection", path)
        return real

    def stat(self, path: str) -> Entry:
        """Return the entry at `path`, links followed; a broken link is an `invalid_symlink`."""
        place = self._inside(path, follow=False)
        with _faults(path):
            own = place.lstat()
        return self._entry(Path(path).name, path, place, own)

    def _entry(self, name: str, path: str, place: Path, own: os.stat_result) -> Entry:
        if not stat_bits.S_ISLNK(own.st_mode):
            return _describe(name, own, None)
        link = Link(
            target=str(place.readlink()),
            size=own.st_size,
            modified=own.st_mtime,
            user=_user_name(own.st_uid),
            group=_group_name(own.st_gid),
        )
        try:
            info = self._inside(path).lstat()
        except (StorageError, OSError):
            info = own
        if stat_bits.S_ISLNK(info.st_mode):  # leads nowhere, in a circle, or out of the jail
            return Entry(name=name, kind="invalid_symlink", link=link, permissions="0777")
        return _describe(name, info, link)

    def list(self, path: str) -> Iterator[Entry]:
        """Yield the entries; files still being written are left out."""
        place = self._inside(path)
        with _faults(path):
            scan = os.scandir(place)
        with scan:
            for item in scan:
                if item.name.startswith(PART_PREFIX):
                    continue
                with suppress(FileNotFoundError):  # removed while we list
                    own = item.stat(follow_symlinks=False)
                    yield self._entry(item.name, f"{path.rstrip('/')}/{item.name}", Path(item.path), own)

    def open_read(self, path: str) -> Reader:
        """Open a regular file; a pipe or device is refused rather than waited for."""
        place = self._inside(path)
        with _faults(path):
            descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            mode = os.fstat(descriptor).st_mode
            if not stat_bits.S_ISREG(mode):
                os.close(descriptor)
                if stat_bits.S_ISDIR(mode):
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
                raise StorageError("NOT_A_FILE", "Not a regular file", path)
            return os.fdopen(descriptor, "rb", buffering=0)

    def open_write(self, path: str) -> Writer:
        """Start writing a file; a link at its place is replaced, never written through."""
        self.make_parents(path.rsplit("/", 1)[0] or "/")
        place = self._inside(path, follow=False)
        with _faults(path):
            if place.is_dir() and not place.is_symlink():
                raise StorageError("IS_A_DIRECTORY", "Is a directory", path)
        return LocalWriter(place, path)

    def mkdir(self, path: str) -> None:
        """Make one directory."""
        place = self._inside(path, follow=False)
        with _faults(path):
            place.mkdir()

    def make_parents(self, path: str) -> None:
        """Make the directory and those above it."""
        place = self._inside(path)
        with _faults(path):
            try:
                place.mkdir(parents=True, exist_ok=True)
            except FileExistsError:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None

    def rename(self, old: str, new: str) -> None:
        """Move an entry; an existing target is never replaced."""
        source = self._inside(old, follow=False)
        target = self._inside(new, follow=False)
        if source == self.root:
            raise StorageError("PERMISSION_DENIED", "The root of a collection cannot be renamed", old)
        with _faults(old):
            source.lstat()
        if os.path.lexists(target):
            raise StorageError("FILE_EXISTS", "File exists", new)
        with _faults(new):
            try:
                source.rename(target)
            except OSError as error:
                if error.errno == errno.EINVAL:
                    raise StorageError("INVALID_PATH_NAME", "A directory cannot move into itself", new) from None
                raise

    def remove_file(self, path: str) -> None:
        """Remove a file or a link."""
        place = self._inside(path, follow=False)
        with _faults(path):
            place.unlink()

    def remove_dir(self, path: str) -> None:
        """Remove an empty directory; the root stays."""
        place = self._inside(path, follow=False)
        if place == self.root:
            raise StorageError("PERMISSION_DENIED", "The root of a collection cannot be removed", path)
        with _faults(path):
            place.rmdir()

    def set_modified(self, path: str, moment: float) -> None:
        """Set the modification time."""
        place = self._inside(path)
        with _faults(path):
            os.utime(place, (moment, moment), follow_symlinks=False)

    def make_link(self, path: str, target: str) -> None:
        """Make a symbolic link with the given text; reading through it is still held to the jail."""
        self.make_parents(path.rsplit("/", 1)[0] or "/")
        place = self._inside(path, follow=False)
        with _faults(path):
            if os.path.lexists(place):
                place.unlink()
            place.symlink_to(target)

    def identity(self, path: str) -> str:
        """Return the real place of the directory."""
        return str(self._inside(path))

    def below(self, path: str) -> Storage:
        """Return a folder as a storage jailed in it."""
        place = self._inside(path)
        with _faults(path):
            if not place.is_dir():
                raise StorageError("FILE_NOT_FOUND", "No such directory", path)
        return LocalStorage(place)

    def close(self) -> None:
        """Do nothing: no file stays open."""


def _describe(name: str, info: os.stat_result, link: Link | None) -> Entry:
    return Entry(
        name=name,
        kind=_KINDS.get(stat_bits.S_IFMT(info.st_mode), "other"),
        size=info.st_size,
        modified=info.st_mtime,
        permissions=f"{stat_bits.S_IMODE(info.st_mode):04o}",
        user=_user_name(info.st_uid),
        group=_group_name(info.st_gid),
        link=link,
    )
