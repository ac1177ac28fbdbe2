"""A reader's terminal: what one bash block exports, and the folder it goes to, is there for the next."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Longer than any block may take; what hangs is to fail and not to hold up all tests.
TIMEOUT_SECONDS = 600.0

# Airflow's settings of the test process, which are none of the reader's.
_OURS = ("AIRFLOW__", "AIRFLOW_HOME", "PYTEST_", "PYTHONPATH")
# What every shell changes by itself.
_THE_SHELLS = {"_", "SHLVL", "PWD", "OLDPWD"}


class CommandFailed(AssertionError):
    """A command of a page ended as a reader must not see it end."""


class Terminal:
    """Runs commands in a folder, with a home, an Airflow home and a metadata database of their own.

    :param folder: where the reader begins.
    :param home: a folder for what belongs to the reader and is not shown on the page.
    :param database: the file that the Airflow home gets as its migrated, empty database.
    """

    def __init__(self, folder: Path, home: Path, database: Path) -> None:
        self.folder = folder
        self.home = home
        self.airflow_home = home / "airflow"
        self.airflow_home.mkdir(parents=True)
        shutil.copy(database, self.airflow_home / "airflow.db")
        #: What the reader has exported, or unset (None); a test may add to it.
        self.exported: dict[str, str | None] = {}
        self._left_running: list[subprocess.Popen[bytes]] = []

    @property
    def env(self) -> dict[str, str]:
        """The environment of the next command."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        env |= {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "AIRFLOW_HOME": str(self.airflow_home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            # Rich and Airflow fold their tables at the width of a terminal.
            "COLUMNS": "120",
        }
        for name, value in self.exported.items():
            if value is None:
                env.pop(name, None)
            else:
                env[name] = value
        return env

    def bash(self, script: str, *, typed: str | Callable[[str], str] = "", status: int = 0) -> str:
        """Run a bash block; return what it printed.

        :param typed: what the reader types while it runs; a function makes it of what was printed so far, and returns
            nothing as long as there is nothing to answer.
        :param status: the exit status that the page promises.
        """
        before = self.env
        after_file, folder_file = self.home / ".env", self.home / ".folder"
        # The trap sees what the block exports even when it fails.
        trap = f'trap \'env -0 > "{after_file}"; pwd > "{folder_file}"\' EXIT\n'
        output = self._run(["bash", "-eu", "-c", trap + script], typed, status)
        after = dict(item.split("=", 1) for item in after_file.read_text().split("\0") if "=" in item)
        for name in (before.keys() | after.keys()) - _THE_SHELLS:
            if before.get(name) != after.get(name):
                self.exported[name] = after.get(name)
        self.folder = Path(folder_file.read_text().strip())
        return output

    def python(self, script: Path, *, typed: str | Callable[[str], str] = "", status: int = 0) -> str:
        """Run a Python script; return what it printed."""
        return self._run([sys.executable, str(script)], typed, status)

    def pytest(self, file: Path) -> str:
        """Run the tests of a file as a reader does; return pytest's report."""
        report = self._run([sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", str(file)], "", 0)
        if " passed" not in report:
            raise CommandFailed(f"No test of {file.name} has passed:\n{report}")
        return report

    def leave_running(self, script: str, ready: Callable[[], object]) -> None:
        """Start a bash block that does not end by itself, and wait until `ready` returns something true."""
        log = self.home / f"left_running_{len(self._left_running)}.log"
        with log.open("w") as opened:
            process = subprocess.Popen(
                ["bash", "-eu", "-c", script],
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=opened,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._left_running.append(process)
        until = time.monotonic() + TIMEOUT_SECONDS
        while not _answers(ready):
            if process.poll() is not None or time.monotonic() > until:
                raise CommandFailed(f"This is not up, status {process.poll()}:\n{script}\n{log.read_text()}")
            time.sleep(0.1)

    def close(self) -> None:
        """End what was left running."""
        for process in self._left_running:
            _end(process)

    def _run(self, command: list[str], typed: str | Callable[[str], str], status: int) -> str:
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        printed = bytearray()
        reader = threading.Thread(target=_read, args=(process, printed))
        reader.start()
        until = time.monotonic() + TIMEOUT_SECONDS
        try:
            _type(process, printed, typed, until)
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise CommandFailed(f"Not over after {TIMEOUT_SECONDS:.0f} s:\n{printed.decode()}") from None
        finally:
            _end(process)
            reader.join()
        if process.returncode != status:
            raise CommandFailed(f"Ended with status {process.returncode} instead of {status}:\n{printed.decode()}")
        return printed.decode()


def _read(process: subprocess.Popen[bytes], printed: bytearray) -> None:
    assert process.stdout is not None
    while some := os.read(process.stdout.fileno(), 65536):
        printed += some


def _type(
    process: subprocess.Popen[bytes], printed: bytearray, typed: str | Callable[[str], str], until: float
) -> None:
    assert process.stdin is not None
    try:
        if isinstance(typed, str):
            process.stdin.write(typed.encode())
        else:
            while process.poll() is None:
                if answer := typed(printed.decode(errors="replace")):
                    process.stdin.write(answer.encode())
                    break
                if time.monotonic() > until:
                    raise subprocess.TimeoutExpired(process.args, TIMEOUT_SECONDS)
                time.sleep(0.05)
        process.stdin.close()
    except BrokenPipeError:
        # It has ended without reading; how, its status says.
        return


def _answers(ready: Callable[[], object]) -> bool:
    # While a server starts, asking it raises whatever its client raises.
    try:
        return bool(ready())
    except Exception:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command and all that it has started."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
