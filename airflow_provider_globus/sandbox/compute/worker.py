"""The processes that run functions for one of the sandbox's Compute endpoints; a program of its own.

The *endpoint* process has the environment and the folder of a Compute endpoint. It loads what every function needs,
runs none itself, and forks a *task* process for each order it reads from its socket: that one runs one function,
reports how it went, and ends. Whatever a function does to its process (exit, crash, eat memory, loop, change globals)
stays there. When the sandbox goes away, however it dies, the endpoint process kills all that its tasks ever started,
and then itself.

The sandbox imports the framing and `processes` from here; it starts the rest as a script, which knows nothing of the
package.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import json
import os
import resource
import selectors
import signal
import socket
import struct
import sys
import traceback
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_HEADER = struct.Struct("!I")
_PIECE = 1 << 16
_PR_SET_CHILD_SUBREAPER = 36


# What goes over sockets and pipes


def frame(message: Mapping[str, Any]) -> bytes:
    """Return a message as it is sent: its length, then JSON."""
    data = json.dumps(message).encode()
    return _HEADER.pack(len(data)) + data


def _is_whole(data: bytes | bytearray) -> bool:
    return len(data) >= _HEADER.size and len(data) >= _HEADER.size + _HEADER.unpack_from(data)[0]


class Frames:
    """Puts messages together again from the pieces a socket delivers."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> Iterator[dict[str, Any]]:
        """Take a piece; yield each message that is complete by now."""
        self._buffer += piece
        while _is_whole(self._buffer):
            end = _HEADER.size + _HEADER.unpack_from(self._buffer)[0]
            message = json.loads(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            yield message


# Other processes


class Process(NamedTuple):
    """A process of this machine, by the ids of its parent and of its session."""

    pid: int
    parent: int
    session: int


def processes() -> Iterator[Process]:
    """Yield all processes, zombies too; none where the system has no ``/proc``."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended in the meantime
            # `pid (name) state parent group session …`, and the name may hold anything.
            _, parent, _, session, *_ = (folder / "stat").read_bytes().rpartition(b")")[2].split()
            yield Process(int(folder.name), int(parent), int(session))


def kill(pid: int) -> None:
    """Kill a process, and its group when it leads one."""
    for send in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            send(pid, signal.SIGKILL)


class _Task:
    """A task that runs, as the endpoint process sees it."""

    def __init__(self, task_id: str, pipe: int) -> None:
        self.id = task_id
        self.pipe = pipe
        self.report = bytearray()
        self.closed = False


class _Endpoint:
    """The endpoint process; the first message it reads says what endpoint it is.

    :param connection: leads to the sandbox.
    :param sandbox: a pidfd of the sandbox's process: it tells of its end even when others hold the socket's other end.
    """

    def __init__(self, connection: socket.socket, sandbox: int | None) -> None:
        self._connection = connection
        self._sandbox = sandbox
        self._ended = False
        self._configured = False
        self._memory: int | None = None
        self._tasks: dict[int, _Task] = {}
        self._orders = Frames()
        self._unsent = bytearray()
        self._selector = selectors.DefaultSelector()
        self._wake_up = os.pipe()
        for descriptor in (*self._wake_up, connection.fileno()):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_up[1])
        self._watch(self._wake_up[0], self._reap)
        self._watch(connection.fileno(), self._converse)
        if sandbox is not None:
            self._watch(sandbox, self._end)
        # What a task leaves behind becomes our child, so that we can end it.
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def serve(self) -> NoReturn:
        """Do what is asked for until the sandbox is gone, then leave no process behind."""
        try:
            while not self._ended:
                for key, _ in self._selector.select():
                    key.data()
        except BaseException:
            traceback.print_exc()
        finally:
            self._end_children()
            os._exit(0)

    def _watch(self, descriptor: int, do: Callable[[], None]) -> None:
        self._selector.register(descriptor, selectors.EVENT_READ, do)

    def _end(self) -> None:
        self._ended = True

    def _end_children(self) -> None:
        """Kill all children, and theirs: what loses its parent becomes our child, and so goes in a later round."""
        while children := {item.pid for item in processes() if item.parent == os.getpid()} or set(self._tasks):
            for pid in children:
                kill(pid)
            try:
                self._tasks.pop(os.waitpid(-1, 0)[0], None)
            except ChildProcessError:
                return

    # With the sandbox: nothing here waits, or two full buffers would wait for each other forever

    def _converse(self) -> None:
        try:
            while piece := self._connection.recv(_PIECE):
                for order in self._orders.feed(piece):
                    self._obey(order)
            self._end()
        except BlockingIOError:
            pass
        except OSError:
            self._end()
        self._flush()

    def _send(self, data: bytes | bytearray) -> None:
        self._unsent += data
        self._flush()

    def _flush(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._connection.send(self._unsent[:_PIECE])]
        except BlockingIOError:
            pass
        except OSError:
            self._end()
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        self._selector.modify(self._connection.fileno(), events, self._converse)

    def _obey(self, order: dict[str, Any]) -> None:
        if self._configured:
            self._start(order)
            return
        self._configured = True
        try:
            self._configure(order)
        except OSError as error:
            self._send(frame({"event": "failed", "reason": str(error)}))
            self._end()

    def _configure(self, order: dict[str, Any]) -> None:
        self._memory = order["memory_limit_bytes"]
        os.environ.clear()
        os.environ.update(order["env"])
        # An interpreter reads it as it starts, which was before.
        sys.path[:0] = [path for path in order["env"].get("PYTHONPATH", "").split(os.pathsep) if path]
        os.chdir(order["folder"])
        log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        self._send(frame({"event": "ready", "details": _environment_details()}))

    # With tasks

    def _start(self, order: dict[str, Any]) -> None:
        ours, theirs = os.pipe()
        try:
            pid = os.fork()
        except OSError as error:
            os.close(ours)
            os.close(theirs)
            self._lose(order["task_id"], f"no process can be made for it: {error.strerror}")
            return
        if pid == 0:
            try:
                os.close(ours)
                self._let_go()
                _run(order, theirs, self._memory)
            except Exception:
                traceback.print_exc()
            finally:
                os._exit(70)  # whatever happens, it must not go on as if it were its parent
        with contextlib.suppress(OSError):  # both do it, so that it is done whoever is first
            os.setpgid(pid, pid)
        os.close(theirs)
        os.set_blocking(ours, False)
        self._tasks[pid] = task = _Task(order["task_id"], ours)
        self._watch(ours, lambda: self._read(task))
        self._send(frame({"event": "started", "task_id": task.id, "pid": pid}))

    def _let_go(self) -> None:
        """In a child: give up what belongs to its parent."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        descriptors = {key.fd for key in self._selector.get_map().values()}
        self._connection.detach()
        self._selector.close()
        for descriptor in (*descriptors, self._wake_up[1]):
            os.close(descriptor)

    def _read(self, task: _Task) -> None:
        if task.closed:
            return  # the process has ended since we were told that its pipe has something
        try:
            while piece := os.read(task.pipe, _PIECE):
                task.report += piece
            self._close(task)
        except BlockingIOError:
            pass

    def _close(self, task: _Task) -> None:
        if not task.closed:
            task.closed = True
            self._selector.unregister(task.pipe)
            os.close(task.pipe)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_up[0], _PIECE)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                task = self._tasks.pop(ended[0], None)
                if task is not None:  # else something that a task had left behind
                    self._report(task, os.waitstatus_to_exitcode(ended[1]))

    def _report(self, task: _Task, exit_code: int) -> None:
        self._read(task)
        self._close(task)  # a process that the task has left behind may hold the other end
        if _is_whole(task.report):
            self._send(task.report)
        else:
            how = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
            self._lose(task.id, f"its process ended with {how}")

    def _lose(self, task_id: str, why: str) -> None:
        # To the endpoint's log: a real endpoint tells its users no more than that the worker is lost.
        sys.stderr.write(f"Task {task_id} is lost: {why}\n")
        self._send(frame({"event": "lost", "task_id": task_id}))


# In a task process


def _run(order: dict[str, Any], report: int, memory: int | None) -> None:
    """Run a function, write the report, end."""
    os.setpgid(0, 0)  # a function may signal its whole group, and scripts do
    os.environ.update(order["env"])
    Path(order["folder"]).mkdir(parents=True, exist_ok=True)
    os.chdir(order["folder"])
    _limit(resource.RLIMIT_CORE, 0)
    if memory is not None:
        # What is written to, and not RLIMIT_AS: a function may map files that are larger than any memory.
        _limit(resource.RLIMIT_DATA, memory)
    outcome = _execute(order)
    with contextlib.suppress(Exception):  # what becomes of its output is the function's affair
        sys.stdout.flush()
        sys.stderr.flush()
    data = frame({"event": "finished", "task_id": order["task_id"], **outcome})
    while data:
        data = data[os.write(report, data) :]
    os._exit(0)


def _execute(order: dict[str, Any]) -> dict[str, str]:
    """Call the function; return its serialised result, or the text of what it raised, as a real endpoint does."""
    from globus_compute_sdk.errors import MaxResultSizeExceeded
    from globus_compute_sdk.serialize import ComputeSerializer

    try:
        function, args, kwargs = ComputeSerializer().unpack_and_deserialize(order["buffer"])
        result = ComputeSerializer.serialize_from_list(function(*args, **kwargs), order["result_serializers"])
        if len(result) > order["result_bytes"]:
            raise MaxResultSizeExceeded(len(result), order["result_bytes"])
    except MaxResultSizeExceeded as error:
        return {"exception": repr(error)}
    except MemoryError:
        # More than the task may have: a batch system kills it, and never asks the function.
        os.kill(os.getpid(), signal.SIGKILL)
        raise
    except Exception as error:
        trace = error.__traceback__ and (error.__traceback__.tb_next or error.__traceback__)
        return {"exception": "".join(traceback.format_exception(type(error), error, trace))}
    return {"result": result}


def _limit(what: int, amount: int) -> None:
    """Lower a limit of this process; it stays lower for good."""
    with contextlib.suppress(ValueError, OSError):
        hard = resource.getrlimit(what)[1]
        amount = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        resource.setrlimit(what, (amount, amount))


# Start


def _environment_details() -> dict[str, Any]:
    from globus_compute_sdk.sdk.utils import get_env_details

    return get_env_details()


def _put_off(package: str) -> None:
    """Make a package's modules importable without what its ``__init__`` imports, until something asks for that.

    The SDK's own costs half a second, a thread, and most of what a fork would have to copy for each task.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    module, loader = importlib.util.module_from_spec(spec), spec.loader

    def look_up(name: str) -> Any:
        del module.__getattr__
        loader.exec_module(module)
        return getattr(module, name)

    module.__getattr__ = look_up  # type: ignore[method-assign]
    sys.modules[package] = module


def main(descriptor: int, sandbox: int, paths: list[str]) -> NoReturn:
    """Be the endpoint process.

    :param descriptor: the socket to the sandbox.
    :param sandbox: the sandbox's process id.
    :param paths: where else Python looks for modules.
    """
    os.set_inheritable(descriptor, False)
    connection = socket.socket(fileno=descriptor)
    sys.path += paths
    # A function from the `__main__` of its author gets ours as its namespace: an empty one hides no missing import.
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        _put_off("globus_compute_sdk")
        importlib.import_module("globus_compute_sdk.serialize")
        pidfd = os.pidfd_open(sandbox) if hasattr(os, "pidfd_open") else None
    except Exception:
        connection.sendall(frame({"event": "failed", "reason": traceback.format_exc()}))
        os._exit(1)
    _Endpoint(connection, pidfd).serve()


if __name__ == "__main__":
    # The module has to outlive its place in `sys.modules`, which `main` gives to another.
    _this_module = sys.modules["__main__"]
    main(int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]))
