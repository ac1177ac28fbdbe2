"""Programs in sessions of their own, and a reaper that ends them when their owner dies, however it dies.

A killed Airflow component leaves children behind (task processes move to a process group of their own, log servers
survive their parent), so a component is ended by its *session*: every process that `setsid` put together. Run as a
script, this module is the reaper: it reads session ids from its standard input and, once that closes, kills them.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

import psutil  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def session_members(session_id: int) -> list[int]:
    """Process ids that belong to the session, zombies left out."""
    members = []
    for pid in psutil.pids():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getsid(pid) == session_id and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                members.append(pid)
    return members


def kill_session(session_id: int, *, timeout: float = 10.0) -> None:
    """SIGKILL every process of the session, until none is left (a member may fork while we look)."""
    deadline = time.monotonic() + timeout
    while (members := session_members(session_id)) and time.monotonic() < deadline:
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        psutil.wait_procs(_processes(members), timeout=0.2)


def _processes(pids: Iterable[int]) -> list[psutil.Process]:
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return found


class SessionProcess:
    """One program in a session of its own, with its output in a log file.

    :param name: what the program is called in messages.
    :param argv: the command.
    :param env: its whole environment.
    :param log_path: where standard output and error are appended.
    """

    def __init__(self, name: str, argv: Sequence[str], *, env: Mapping[str, str], log_path: Path) -> None:
        self.name = name
        self.argv = list(argv)
        self.env = dict(env)
        self.log_path = log_path
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the program, which is also the id of its session; None before the start."""
        return self._popen.pid if self._popen else None

    @property
    def alive(self) -> bool:
        """Whether the program itself still runs."""
        return self._popen is not None and self._popen.poll() is None

    def start(self) -> int:
        """Start the program and return the id of its session."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._popen = subprocess.Popen(  # noqa: S603 - the command is ours
                self.argv,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self._popen.pid

    def terminate(self, timeout: float) -> None:
        """SIGTERM, to the program alone, and wait so many seconds at most for its end; what is left may be killed."""
        if self._popen is None:
            return
        self._popen.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout)

    def kill(self, *, whole_session: bool = True) -> None:
        """SIGKILL, by default everything the program started too, as when a machine goes down."""
        if self._popen is None:
            return
        self._popen.kill()
        if whole_session:
            kill_session(self._popen.pid)
        self._popen.wait()

    def log_tail(self, lines: int = 30) -> str:
        """Return the last lines the program wrote."""
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])


class Reaper:
    """Ends the sessions and removes the folders it is told of when this process goes away, also by SIGKILL."""

    def __init__(self) -> None:
        self._popen: subprocess.Popen[str] = subprocess.Popen(  # noqa: S603 - our own interpreter and file
            [sys.executable, "-I", str(Path(__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )

    @property
    def pid(self) -> int:
        """Process id of the reaper."""
        return self._popen.pid

    def watch(self, session_id: int) -> None:
        """Add a session to those that must not outlive this process."""
        self._tell("watch", session_id)

    def forget(self, session_id: int) -> None:
        """Take a session off the list: it has ended."""
        self._tell("forget", session_id)

    def remove(self, folder: Path) -> None:
        """Add a folder that must not outlive this process."""
        self._tell("remove", str(folder))

    def _tell(self, order: str, subject: int | str) -> None:
        assert self._popen.stdin is not None
        self._popen.stdin.write(json.dumps([order, subject]) + "\n")
        self._popen.stdin.flush()

    def close(self) -> None:
        """Do now what would be done at the end of this process."""
        if self._popen.stdin is not None:
            with contextlib.suppress(OSError):
                self._popen.stdin.close()
        self._popen.wait()


def reap(orders: IO[str]) -> None:
    """Note the orders until they end, then kill the sessions and remove the folders that are left."""
    sessions: set[int] = set()
    folders: set[str] = set()
    for line in orders:
        order, subject = json.loads(line)
        if order == "watch":
            sessions.add(subject)
        elif order == "forget":
            sessions.discard(subject)
        elif order == "remove":
            folders.add(subject)
    for session_id in sessions:
        kill_session(session_id)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    reap(sys.stdin)
