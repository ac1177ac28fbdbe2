"""One life of an endpoint's process (see `worker.py`): how it is started, spoken to and ended."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import site
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.compute import mpi
from airflow_provider_globus.sandbox.compute.models import RUNNING
from airflow_provider_globus.sandbox.compute.worker import Frames, frame, kill, processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_globus.sandbox.compute.endpoint import ComputeEndpoint
    from airflow_provider_globus.sandbox.compute.models import ComputeTask
    from airflow_provider_globus.sandbox.compute.state import ComputeState

_PROGRAM = Path(__file__).with_name("worker.py")
_PRIVATE = ".globus_compute"  # where a real endpoint has its own files, below its owner's home
_STOP_SECONDS = 5.0


class Session:
    """An endpoint's process, the thread that listens to it, and the tasks it has.

    :param next_task: returns the next task that waits, or None.
    :param ended: told when the process ended though nobody stopped it: with None when it had been ready for tasks, with
        the reason when it never was.
    """

    def __init__(
        self,
        endpoint: ComputeEndpoint,
        state: ComputeState,
        next_task: Callable[[], ComputeTask | None],
        ended: Callable[[Session, str | None], None],
    ) -> None:
        self._endpoint = endpoint
        self._state = state
        self._next_task = next_task
        self._tell_ended = ended
        self._env = {**_base_environment(endpoint.folder), **endpoint.env}
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._stopped = False
        self._failure: str | None = "The process ended before it was ready"
        self._details: dict[str, Any] = {}
        self._free = list(range(endpoint.workers))
        self._tasks: dict[str, tuple[ComputeTask, int]] = {}
        self._pids: dict[str, int] = {}
        self._thread = threading.Thread(target=self._live, name=f"compute-{endpoint.name}", daemon=True)

    def start(self) -> None:
        """Start the process, from its thread: whoever submits does not wait for it."""
        self._thread.start()

    @property
    def busy(self) -> int:
        """How many workers have a task."""
        return len(self._tasks)

    def fill(self) -> None:
        """Give every free worker a task, once the process is there to take it."""
        with self._lock:
            while self._connection is not None and not self._stopped and self._free:
                task = self._next_task()
                if task is None:
                    return
                worker = self._free.pop(0)
                self._tasks[task.id] = (task, worker)
                with contextlib.suppress(OSError):  # it has ended: the thread sees it too, and to the task
                    self._connection.sendall(frame(self._order(task)))

    def stop(self) -> None:
        """End the process and everything its tasks started."""
        with self._lock:
            self._stopped = True
            if self._connection is not None:
                with contextlib.suppress(OSError):
                    self._connection.shutdown(socket.SHUT_WR)
        if self._thread is not threading.current_thread():
            self._thread.join()

    # In the thread

    def _live(self) -> None:
        try:
            with self._connected() as connection:
                self.fill()
                self._listen(connection)
        except OSError as error:
            self._failure = str(error)
        finally:
            if not self._stopped:
                self._give_up()

    def _give_up(self) -> None:
        """End the tasks that were there when the process ended by itself."""
        for task, worker in list(self._tasks.values()):
            if self._failure is None:
                self._state.finish(task.id, exception=_worker_lost(worker), details=self._details)
            else:
                self._state.finish(task.id, exception=self._failure, provisional=True)
        self._tell_ended(self, self._failure)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        """Start the process; at the end, make sure that it and all its tasks are gone."""
        configuration = frame(self._configuration())
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                process = _start(theirs)
            try:
                ours.sendall(configuration)
                with self._lock:
                    self._connection = ours
                    if self._stopped:  # while the process was started
                        ours.shutdown(socket.SHUT_WR)
                yield ours
            finally:
                with self._lock:
                    self._connection = None
                ours.close()  # ends the process, when it has not ended yet
                self._bury(process)

    def _bury(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the end of the process, which then has ended all others; when it did not, do so ourselves."""
        try:
            orderly = process.wait(_STOP_SECONDS) == 0
        except subprocess.TimeoutExpired:
            orderly = False
        if orderly:
            return
        process.kill()
        process.wait()
        members = [item.pid for item in processes() if item.session == process.pid]
        for pid in (*self._pids.values(), *members):
            kill(pid)

    def _listen(self, connection: socket.socket) -> None:
        frames = Frames()
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(1 << 16):
                for message in frames.feed(piece):
                    self._hear(message)

    def _hear(self, message: dict[str, Any]) -> None:
        event = message["event"]
        if event == "ready":
            self._failure, self._details = None, message["details"]
        elif event == "failed":
            self._failure = message["reason"]
        elif event == "started":
            self._pids[message["task_id"]] = message["pid"]
            self._state.set_status(message["task_id"], RUNNING)
        else:
            self._finished(message)

    def _finished(self, message: dict[str, Any]) -> None:
        task_id = message["task_id"]
        with self._lock:
            _, worker = self._tasks.pop(task_id)
            self._free.append(worker)
        self._pids.pop(task_id, None)
        if message["event"] == "lost":
            self._state.finish(task_id, exception=_worker_lost(worker), details=self._details)
        else:
            self._state.finish(
                task_id, result=message.get("result"), exception=message.get("exception"), details=self._details
            )
        self.fill()

    # What it is told

    def _configuration(self) -> dict[str, Any]:
        private = self._endpoint.folder / _PRIVATE
        private.mkdir(parents=True, exist_ok=True)
        if self._endpoint.mpi:
            mpi.install_launcher(private)
        return {
            "folder": str(self._endpoint.folder),
            "log": str(private / "endpoint.log"),
            "memory_limit_bytes": self._endpoint.memory_limit_bytes,
            "env": self._env,
        }

    def _order(self, task: ComputeTask) -> dict[str, Any]:
        folder = self._endpoint.folder
        env = {"GC_TASK_UUID": task.id}
        if self._endpoint.task_folders:
            folder = folder / "tasks" / task.id
            env["GC_TASK_SANDBOX_DIR"] = str(folder)
        if self._endpoint.mpi:
            env |= mpi.environment(task.resource_specification, self._endpoint.folder / _PRIVATE, self._env["PATH"])
        return {
            "task_id": task.id,
            "buffer": task.buffer,
            "folder": str(folder),
            "env": env,
            "result_serializers": list(task.result_serializers),
            "result_bytes": self._state.world.settings.compute_result_bytes,
        }


def _start(connection: socket.socket) -> subprocess.Popen[bytes]:
    # An isolated interpreter does not look where this user's own packages are.
    paths = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return subprocess.Popen(  # noqa: S603 - our own interpreter and file
        [sys.executable, "-I", _PROGRAM, str(connection.fileno()), str(os.getpid()), json.dumps(paths)],
        pass_fds=[connection.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={},
        cwd="/",
        start_new_session=True,
    )


def _base_environment(home: Path) -> dict[str, str]:
    """Return the environment of an endpoint: nothing of this process's own, where the sandbox's secrets may be."""
    here = str(Path(sys.executable).parent)  # as with an endpoint in a virtual environment, whose `python` is its own
    return {
        "PATH": os.pathsep.join((here, os.environ.get("PATH", os.defpath))),
        "HOME": str(home),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "TMPDIR": tempfile.gettempdir(),
    }


def _worker_lost(worker: int) -> str:
    """Return what is said of a task whose process died under it."""
    return engine_failure(
        "parsl.executors.high_throughput.errors.WorkerLost: "
        f"Task failure due to loss of worker {worker} on host {platform.node()}"
    )


def engine_failure(text: str) -> str:
    """Return the text of a failure of the engine, not of a function, as an endpoint frames it."""
    return f"{'+' * 68}\n{text}\n{'-' * 68}"
