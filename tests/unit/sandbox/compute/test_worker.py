"""The framing of messages, and what the processes that run functions load."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from airflow_provider_globus.sandbox.compute import worker


def test_messages_survive_any_cut() -> None:
    messages: list[dict[str, Any]] = [{"a": 1}, {"text": "ü" * 300}, {}]
    data = b"".join(worker.frame(message) for message in messages)
    for size in (1, 3, 7, 100, len(data)):
        frames = worker.Frames()
        pieces = [data[start : start + size] for start in range(0, len(data), size)]
        assert [message for piece in pieces for message in frames.feed(piece)] == messages


def test_processes_are_found_by_parent_and_session() -> None:
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as child:
        found = next(item for item in worker.processes() if item.pid == child.pid)
        worker.kill(child.pid)
    assert found.session == child.pid
    assert found.parent != child.pid


def test_it_loads_neither_airflow_nor_a_web_server_nor_the_whole_sdk() -> None:
    program = f"""
import sys
sys.path.insert(0, {str(worker.__file__.rpartition("/")[0])!r})
import worker
worker._put_off("globus_compute_sdk")
import globus_compute_sdk.serialize
loaded = {{name.partition(".")[0] for name in sys.modules}}
print(sorted(loaded & {{"airflow", "airflow_provider_globus", "starlette", "uvicorn", "globus_sdk", "pika"}}))
import globus_compute_sdk
print(globus_compute_sdk.Client.__name__, "globus_sdk" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["[]", "Client True"]


def test_a_package_that_is_not_there_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_package'"):
        worker._put_off("no_such_package")
