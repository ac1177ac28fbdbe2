"""Watchers tell of each thing once, whatever dies, and end for nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.triggers import event_ledger, watcher
from tests.unit.triggers.watching import QUICK, Airflow, Log, files

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory


async def test_what_landed_while_nobody_watched_is_told_after_the_restart(airflow: Airflow, inbox: Path) -> None:
    airflow.start(files())
    await airflow.ready()
    await airflow.kill()
    (inbox / "a.h5").write_text("1")
    airflow.start(files(poll_interval=2 * QUICK))
    await airflow.told("a.h5")


@pytest.mark.parametrize("written", range(6))
async def test_a_kill_among_events_loses_none_and_repeats_none(airflow: Airflow, inbox: Path, written: int) -> None:
    """Of five events that leave together, some were written when all processes died."""
    airflow.start(files())
    await airflow.ready()
    await airflow.kill()
    names = [f"{number}.h5" for number in range(5)]
    for name in names:
        (inbox / name).write_text("1")
    airflow.start(files(), lives_for=written)
    await (airflow.until(lambda: len(airflow.events) == 5) if written == 5 else airflow.dead())
    await airflow.kill()
    assert len(airflow.events) == written
    airflow.start(files())
    await airflow.told(*names)
    (inbox / "after.h5").write_text("1")
    await airflow.told(*names, "after.h5")


async def test_many_files_leave_in_parts(airflow: Airflow, inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "BATCH", 4)
    airflow.start(files())
    await airflow.ready()
    await airflow.kill()
    names = [f"{number:02}.h5" for number in range(10)]
    for number, name in enumerate(names):
        (inbox / name).write_text("1")
        os.utime(inbox / name, (number, number))
    airflow.start(files(), lives_for=6)
    await airflow.dead()
    assert [event["name"] for event in airflow.events] == names[:6]
    assert len(airflow.leaving()) == 4
    airflow.start(files())
    await airflow.told(*names)


async def test_without_a_ledger_events_come_at_least_once(
    quick: None, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_ledger, "_kept", False)
    airflow = Airflow(notes=False)
    airflow.start(files())
    await airflow.ready()
    for name in ("a.h5", "b.h5"):
        (inbox / name).write_text("1")
    await airflow.until(lambda: {event["name"] for event in airflow.events} == {"a.h5", "b.h5"})
    await airflow.until(lambda: airflow.leaving() == [])
    await airflow.kill()
    airflow.start(files())
    (inbox / "c.h5").write_text("1")
    await airflow.told("a.h5", "b.h5", "c.h5")
    await airflow.kill()


async def test_a_new_watcher_of_a_living_process_waits_for_what_is_under_way(airflow: Airflow, inbox: Path) -> None:
    """As when a DAG is edited: the events that the old one has sent will be written."""
    airflow.notes = False
    airflow.start(files())
    await airflow.ready()
    (inbox / "a.h5").write_text("1")
    await airflow.until(lambda: len(airflow.events) == 1 and airflow.leaving())
    assert airflow._task is not None
    airflow._task.cancel()
    read = airflow.state.reads
    airflow.start(files(poll_interval=2 * QUICK))
    # It has looked again and again whether they are written.
    await airflow.until(lambda: airflow.state.reads > read + 10)
    airflow.notes = True
    await airflow.state.aset(f"globus_watch_written:{files().key}", [airflow.events[0]["event_id"]])
    (inbox / "b.h5").write_text("1")
    await airflow.told("a.h5", "b.h5")


async def test_an_event_that_airflow_does_not_write_is_complained_of_and_not_repeated(
    airflow: Airflow, inbox: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(event_ledger, "_LONG", 0.1)
    log = Log(capsys)
    airflow.notes = False
    airflow.start(files())
    await airflow.ready()
    (inbox / "a.h5").write_text("1")
    await airflow.until(lambda: log.says("Airflow has not written 1 of its events"))
    airflow.notes = True
    await airflow.state.aset(f"globus_watch_written:{files().key}", [airflow.events[0]["event_id"]])
    (inbox / "b.h5").write_text("1")
    await airflow.told("a.h5", "b.h5")


async def test_watchers_of_one_directory_share_their_looks(
    quick: None, inbox: Path, globus_sandbox: GlobusSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = [Airflow() for _ in range(10)]
    for number, each in enumerate(several):
        each.start(files(pattern=f"{number}-*", poll_interval=0.2))
    for each in several:
        await each.ready()
    globus_sandbox.journal.clear()
    (inbox / "3-a.h5").write_text("1")
    await several[3].told("3-a.h5")
    (inbox / "7-a.h5").write_text("1")
    await several[7].told("7-a.h5")
    asked = [entry for entry in globus_sandbox.journal.requests("transfer", "GET") if entry.path.endswith("/ls")]
    assert 0 < len(asked) < 10
    for each in several:
        await each.kill()


@pytest.mark.parametrize(
    "fault",
    [
        # The SDK sends what may pass once more, four times.
        {"status": 503, "times": 6},
        {"status": 403, "code": "PermissionDenied", "times": 2},
        {"status": 200, "body": "garbage", "times": 2},
    ],
)
async def test_trouble_ends_no_watcher(
    fault: dict[str, Any], airflow: Airflow, inbox: Path, globus_sandbox: GlobusSandbox, capsys: Any
) -> None:
    airflow.start(files())
    await airflow.ready()
    globus_sandbox.faults.add({"service": "transfer", "path": "*/ls", **fault})
    (inbox / "a.h5").write_text("1")
    await airflow.told("a.h5")
    log = Log(capsys)
    assert log.says("cannot look; it goes on trying")
    assert log.says("answers again")


async def test_a_watcher_that_cannot_begin_says_why_and_tries_again(
    airflow: Airflow, globus_collection: CollectionFactory, capsys: Any
) -> None:
    log = Log(capsys)
    airflow.start(files())
    await airflow.until(lambda: log.says("cannot watch; it tries again"))
    assert log.says("No collection visible to this identity is named 'instrument'")
    globus_collection("instrument", files={"inbox/old.h5": "1"})
    await airflow.ready()
