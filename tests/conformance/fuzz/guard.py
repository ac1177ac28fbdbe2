"""Watches that a sandbox touches no file beside those it may, and that nothing fails unseen."""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHANGING = {
    "os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate",
    "os.utime", "os.mkfifo", "os.mknod", "shutil.move", "shutil.rmtree", "shutil.copyfile",
}  # fmt: skip
_LOOKING = {"os.listdir", "os.scandir"}
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Guard:
    """Notes what goes wrong beside the answers.

    :param allowed: folders that may be changed.
    :param forbidden: folders and files that may not even be read.
    """

    def __init__(self, allowed: list[Path], forbidden: list[Path]) -> None:
        self._allowed = [path.resolve() for path in allowed]
        self._forbidden = [path.resolve() for path in forbidden]
        self._found: list[str] = []

    def check(self) -> None:
        """Fail when anything was noted."""
        found, self._found = self._found, []
        assert not found, "\n".join(found)

    def note(self, what: str) -> None:
        """Note something that is wrong."""
        self._found.append(what)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Look at what Python is about to do; in the main thread, that is the test."""
        if threading.current_thread() is threading.main_thread():
            return
        if event == "open":
            path, _, flags = arguments
            self._look(path, changes=bool((flags or 0) & _WRITE_FLAGS), what=event)
        elif event in _LOOKING:
            self._look(arguments[0], changes=False, what=event)
        elif event in _CHANGING:
            # A symbolic link may say what it likes; what matters is where it is.
            for path in arguments[1:2] if event == "os.symlink" else arguments[: 2 if event in _TWO else 1]:
                self._look(path, changes=True, what=event)

    def _look(self, path: Any, *, changes: bool, what: str) -> None:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        text = os.fsdecode(path)
        if text == os.devnull:
            return
        # The parent, because operations on a name do not follow a link that is there.
        place = Path(os.path.realpath(text) if what == "open" else _beside(text))
        if _within(place, self._forbidden) or (changes and not _within(place, self._allowed)):
            self.note(f"{what} of {place}\n{''.join(traceback.format_stack(limit=12))}")


_TWO = {"os.link", "os.rename", "shutil.move", "shutil.copyfile"}


def _beside(text: str) -> str:
    above, name = os.path.split(text.rstrip("/"))
    return os.path.join(os.path.realpath(above or "."), name)  # noqa: PTH118 - plain and fast, it is called often


def _within(place: Path, folders: list[Path]) -> bool:
    return any(place == folder or folder in place.parents for folder in folders)


class _Log(logging.Handler):
    def __init__(self, guard: Guard) -> None:
        super().__init__(logging.ERROR)
        self._guard = guard

    def emit(self, record: logging.LogRecord) -> None:
        self._guard.note(logging.Formatter().format(record))


_active: list[Guard] = []
_installed = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    # Python knows no way to take an audit hook away.
    for guard in _active:
        guard.audit(event, arguments)


@contextmanager
def guarding(guard: Guard) -> Iterator[None]:
    """Have a guard watch this process: its files, its threads and what the sandbox logs as an error."""
    global _installed
    if not _installed:
        sys.addaudithook(_hook)
        _installed = True
    log, before = _Log(guard), threading.excepthook

    def failed(arguments: threading.ExceptHookArgs) -> None:
        trace = "".join(traceback.format_exception(arguments.exc_type, arguments.exc_value, arguments.exc_traceback))
        guard.note(f"Thread {arguments.thread} ended:\n{trace}")

    logger = logging.getLogger("airflow_provider_globus.sandbox")
    logger.addHandler(log)
    threading.excepthook = failed
    _active.append(guard)
    try:
        yield
    finally:
        _active.remove(guard)
        threading.excepthook = before
        logger.removeHandler(log)
