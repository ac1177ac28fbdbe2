"""Functions that misbehave: they harm no other task, no endpoint and not the sandbox, and nothing outlives it."""

from __future__ import annotations

import contextlib
import inspect
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.sandbox.compute import session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_globus.sandbox.compute.state import ComputeTask


def one() -> int:
    return 1


def exits_at_once() -> None:
    import os

    os._exit(0)


def raises_system_exit() -> None:
    import sys

    sys.exit("enough")


def crashes() -> None:
    import ctypes

    ctypes.string_at(0)


def kills_its_group() -> None:
    import os
    import signal

    os.killpg(0, signal.SIGKILL)


def eats_memory() -> int:
    return len(bytearray(1 << 30))


def maps_a_file(path: str) -> int:
    import mmap
    from pathlib import Path

    with Path(path).open("rb") as file:
        return len(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def kills_its_endpoint() -> None:
    import os
    import signal
    import time

    os.kill(os.getppid(), signal.SIGKILL)
    while True:
        time.sleep(1)


def loops() -> None:
    while True:
        pass


def changes_everything() -> None:
    import builtins
    import json
    import os
    import sys

    builtins.len = None  # type: ignore[assignment]
    json.dumps = None  # type: ignore[assignment]
    os.environ.clear()
    os.chdir("/")
    sys.path.clear()
    raise RuntimeError("changed")


def half_a_report() -> None:
    """Write to every pipe there is what looks like the beginning of a report, then go."""
    import os
    import stat

    for descriptor in range(3, 64):
        try:
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                os.write(descriptor, b"\x00\x00\x00\xff{")
        except OSError:
            pass
    os._exit(0)


def tells_pids_and_waits(path: str) -> None:
    """Leave a background process behind that has left its session, tell all pids, and never end."""
    import os
    import subprocess
    import time
    from pathlib import Path

    child = subprocess.Popen(["sleep", "1000"])
    daemon = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    Path(path).write_text(f"{os.getpid()} {os.getppid()} {child.pid} {daemon.pid}")
    while True:
        time.sleep(1)


def leaves_a_daemon() -> list[int]:
    import os
    import subprocess

    return [
        os.getppid(),
        subprocess.Popen(["sleep", "1000"]).pid,
        subprocess.Popen(["sleep", "1000"], start_new_session=True).pid,
    ]


def reads_environment_of_ancestors() -> str:
    import os
    from pathlib import Path

    return Path(f"/proc/{os.getppid()}/environ").read_text()


@pytest.fixture
def lost() -> Callable[[ComputeTask], bool]:
    """Check that a task ended the way a real endpoint says that its worker did."""

    def check(task: ComputeTask) -> bool:
        assert task.exception is not None
        over, text, under = task.exception.splitlines()
        assert (over, under) == ("+" * 68, "-" * 68)
        start, worker, host = text.rpartition("loss of worker ")[0], *text.split()[-4::3]
        assert start == "parsl.executors.high_throughput.errors.WorkerLost: Task failure due to "
        assert worker.isdigit()
        assert host == platform.node()
        return task.status == "failed" and task.result is None

    return check


@pytest.mark.parametrize(
    "function",
    [exits_at_once, raises_system_exit, crashes, kills_its_group, half_a_report],
    ids=lambda item: item.__name__,
)
def test_a_worker_that_dies_takes_no_other_task_along(lab: Any, lost: Any, function: Callable[[], None]) -> None:
    gate = lab.gate()
    endpoint = lab.endpoint()
    (neighbour,) = lab.submit(endpoint, waits_at, [(str(gate.path),)])
    lab.until(neighbour, "running")
    assert lost(lab.call(endpoint, function))
    gate.open()
    assert lab.value(lab.wait(neighbour)) == "was not disturbed"
    assert lab.value(lab.call(endpoint, one)) == 1


def waits_at(path: str) -> str:
    from pathlib import Path

    Path(path).read_text()
    return "was not disturbed"


def test_a_task_that_needs_too_much_memory_is_killed(lab: Any, lost: Any) -> None:
    assert lost(lab.call(lab.endpoint(memory_limit_bytes=512 << 20), eats_memory))
    assert lab.value(lab.call(lab.endpoint("roomy", memory_limit_bytes=None), eats_memory)) == 1 << 30


def test_files_that_are_larger_than_the_memory_may_be_mapped(lab: Any) -> None:
    large = lab.folder / "large"
    with large.open("wb") as file:
        file.truncate(1 << 30)
    assert lab.value(lab.call(lab.endpoint(memory_limit_bytes=512 << 20), maps_a_file, str(large))) == 1 << 30


def test_the_endpoints_log_tells_how_a_worker_was_lost(lab: Any) -> None:
    endpoint = lab.endpoint()
    exited, crashed = lab.call(endpoint, exits_at_once), lab.call(endpoint, crashes)
    log = (endpoint.folder / ".globus_compute" / "endpoint.log").read_text()
    assert f"Task {exited.id} is lost: its process ended with exit code 0\n" in log
    assert f"Task {crashed.id} is lost: its process ended with signal {signal.SIGSEGV.value}\n" in log


def test_an_endless_loop_blocks_one_worker_only(lab: Any) -> None:
    endpoint = lab.endpoint()
    (endless,) = lab.submit(endpoint, loops)
    lab.until(endless, "running")
    assert [lab.value(lab.call(endpoint, one)) for _ in range(3)] == [1, 1, 1]
    assert lab.compute.tasks[endless].status == "running"


def test_what_a_function_changes_is_as_before_for_the_next(lab: Any) -> None:
    endpoint = lab.endpoint(workers=1)
    assert lab.call(endpoint, changes_everything).status == "failed"
    assert lab.value(lab.call(endpoint, one)) == 1


def test_an_endpoint_process_that_is_killed_is_replaced(lab: Any, lost: Any, gone: Any) -> None:
    endpoint = lab.endpoint(workers=2)
    before = lab.value(lab.call(endpoint, leaves_a_daemon))
    (neighbour,) = lab.submit(endpoint, loops)
    lab.until(neighbour, "running")
    killer, waiting = lab.submit(endpoint, kills_its_endpoint)[0], lab.submit(endpoint, one)[0]
    assert lost(lab.wait(killer))
    assert lost(lab.wait(neighbour))
    assert lab.value(lab.wait(waiting)) == 1
    assert all(gone(pid) for pid in before[:2]), "the endpoint and what was left in its session"
    os.kill(before[2], signal.SIGKILL)  # it left the session: nobody can know whose it was
    assert lab.compute.tasks[waiting].executions == 1


def test_a_reset_ends_all_that_tasks_have_started(lab: Any, gone: Any) -> None:
    gate = lab.gate()
    endpoint = lab.endpoint()
    left_behind = lab.value(lab.call(endpoint, leaves_a_daemon))
    lab.submit(endpoint, tells_pids_and_waits, [(str(gate.path),)])
    pids = left_behind + [int(pid) for pid in gate.path.read_text().split()]
    lab.sandbox.reset()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert lab.compute.tasks == {}


def test_an_endpoint_may_be_stopped_while_its_process_starts(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = lab.endpoint("hasty")
    start, threads, starting = session._start, [], threading.Event()

    def start_and_regret(connection: socket.socket) -> subprocess.Popen[bytes]:
        threads.append(threading.current_thread())
        endpoint.forget()
        starting.set()
        return start(connection)

    monkeypatch.setattr(session, "_start", start_and_regret)
    (task_id,) = lab.submit(endpoint, one)
    assert starting.wait(30)
    threads[0].join(30)
    assert not threads[0].is_alive()
    assert lab.compute.tasks[task_id].executions == 0


def test_deleting_an_endpoint_ends_all_that_runs_there(lab: Any, gone: Any) -> None:
    gate = lab.gate()
    endpoint = lab.endpoint()
    lab.submit(endpoint, tells_pids_and_waits, [(str(gate.path),)])
    pids = [int(pid) for pid in gate.path.read_text().split()]
    lab.v2.delete_endpoint(endpoint.id)
    assert all(gone(pid) for pid in pids)


def test_the_environment_of_the_sandbox_is_nowhere_to_be_found(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SANDBOX", "do not tell")
    assert "SECRET" not in lab.value(lab.call(lab.endpoint(), reads_environment_of_ancestors))


# The end of the sandbox

_PROGRAM = """
import os, signal, sys
import globus_sdk
from airflow_provider_globus.sandbox import GlobusSandbox
from airflow_provider_globus.sandbox.world import Settings

how, path, source = sys.argv[1:]
with GlobusSandbox(settings=Settings(require_issued_tokens=False)) as sandbox:
    endpoint = sandbox.add_compute_endpoint("hpc")
    client = globus_sdk.ComputeClientV3(authorizer=globus_sdk.AccessTokenAuthorizer("any"), base_url=sandbox.url)
    function = client.register_function(
        {"function_name": "tells_pids_and_waits", "function_code": source, "serialized": False}
    )["function_uuid"]
    text = '11\\n["' + path + '"]'
    client.submit(endpoint.id, {"tasks": {function: [f"{len(text)}\\n{text}5\\n11\\n{{}}"]}})
    pids = open(path).read()
    if how == "with another that holds its sockets" and os.fork() == 0:
        signal.pause()
    print(endpoint.folder, pids, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def sandbox_elsewhere(tmp_path: Path) -> Iterator[Callable[[str], tuple[subprocess.Popen[str], Path, list[int]]]]:
    """Run a sandbox in a process of its own; return that, the folder of its endpoint, and the pids of a task."""
    started: list[subprocess.Popen[str]] = []
    path = tmp_path / "pids"
    os.mkfifo(path)

    def start(how: str) -> tuple[subprocess.Popen[str], Path, list[int]]:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, how, str(path), inspect.getsource(tells_pids_and_waits)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(tmp_path)},
            start_new_session=True,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        folder, *pids = process.stdout.readline().split()
        return process, Path(folder), [int(pid) for pid in pids]

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("how", ["alone", "with another that holds its sockets"])
def test_nothing_outlives_a_sandbox_that_is_killed(sandbox_elsewhere: Any, gone: Any, how: str) -> None:
    process, _, pids = sandbox_elsewhere(how)
    os.kill(process.pid, signal.SIGKILL)
    assert all(gone(pid) for pid in pids)


def test_nothing_outlives_a_sandbox_that_ends(sandbox_elsewhere: Any, gone: Any) -> None:
    process, folder, pids = sandbox_elsewhere("orderly")
    assert folder.is_dir()
    process.communicate("", timeout=30)
    assert all(gone(pid) for pid in pids)
    assert not folder.parent.exists()
