"""Sessions end with everything in them, and the reaper does its work when its owner is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]
import pytest

from airflow_provider_globus.sandbox.local_airflow import free_ports
from airflow_provider_globus.sandbox.processes import (
    Reaper,
    SessionProcess,
    kill_session,
    session_members,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A parent, a child in the parent's group and a child in a group of its own, as Airflow's task processes are.
FAMILY = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], process_group=0)
print("ready", flush=True)
time.sleep(600)
"""

# Owns one session and one folder through a reaper, says so, and waits to be killed.
OWNER = """
import pathlib, sys, time
from airflow_provider_globus.sandbox.processes import Reaper, SessionProcess
reaper, folder = Reaper(), pathlib.Path(sys.argv[1])
reaper.remove(folder)
program = SessionProcess("family", [sys.executable, "-c", sys.argv[2]], env={}, log_path=folder / "log")
reaper.watch(program.start())
while "ready" not in program.log_tail():
    time.sleep(0.02)
print(program.pid, reaper.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def family(tmp_path: Path) -> Iterator[SessionProcess]:
    program = SessionProcess("family", [sys.executable, "-c", FAMILY], env={}, log_path=tmp_path / "log")
    program.start()
    while "ready" not in program.log_tail():
        assert program.alive, program.log_tail()
    yield program
    program.kill()


def wait_gone(pids: list[int]) -> None:
    processes = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            processes.append(psutil.Process(pid))
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert not alive


def test_a_session_is_the_program_and_all_it_started(family: SessionProcess) -> None:
    assert family.pid is not None
    members = session_members(family.pid)
    assert len(members) == 3
    assert len({os.getpgid(pid) for pid in members}) == 2
    assert os.getpid() not in members


def test_kill_leaves_no_member(family: SessionProcess) -> None:
    assert family.pid is not None
    members = session_members(family.pid)
    family.kill()
    assert not family.alive
    wait_gone(members)
    assert session_members(family.pid) == []


def test_killing_only_the_program_leaves_its_children_to_be_found(family: SessionProcess) -> None:
    assert family.pid is not None
    family.kill(whole_session=False)
    assert not family.alive
    assert len(session_members(family.pid)) == 2
    kill_session(family.pid)
    assert session_members(family.pid) == []


def test_reaper_works_after_its_owner_was_killed(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(folder), FAMILY], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    session_id, reaper_id = map(int, owner.stdout.readline().split())
    members = session_members(session_id)
    assert len(members) == 3
    reaper = psutil.Process(reaper_id)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    wait_gone(members)
    psutil.wait_procs([reaper], timeout=10)
    assert not folder.exists()


def test_reaper_spares_what_it_was_told_to_forget(family: SessionProcess) -> None:
    assert family.pid is not None
    reaper = Reaper()
    reaper.watch(family.pid)
    reaper.forget(family.pid)
    reaper.close()
    assert family.alive


def test_free_ports_differ() -> None:
    assert len(set(free_ports(20))) == 20
