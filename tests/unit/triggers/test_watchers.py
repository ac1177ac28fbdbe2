"""What the watchers of files, transfers and flow runs tell, and what they leave out."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_globus.exceptions import GlobusInputError
from airflow_provider_globus.jobs.arrivals import Listings
from airflow_provider_globus.triggers.watchers import (
    GlobusArrivedTransfersTrigger,
    GlobusEndedFlowRunsTrigger,
)
from tests.unit.activity import Users
from tests.unit.triggers.watching import QUICK, files

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.unit.triggers.watching import Airflow


async def test_each_new_file_is_told_once(airflow: Airflow, inbox: Path, globus_sandbox: GlobusSandbox) -> None:
    airflow.start(files())
    await airflow.ready()
    (inbox / "a.h5").write_text("12345")
    await airflow.told("a.h5")
    (inbox / "b.h5").write_text("1")
    (inbox / "deep" / "c.h5").write_text("1")
    await airflow.told("a.h5", "b.h5")
    first = airflow.events[0]
    assert first == {
        "collection": "instrument",
        "collection_id": globus_sandbox.world.transfer.collections[first["collection_id"]].id,
        "path": "/inbox/a.h5",
        "name": "a.h5",
        "size": 5,
        "last_modified": first["last_modified"],
        "watcher": files().key,
        "event_id": first["event_id"],
    }


async def test_a_watcher_begins_at_once_however_seldom_it_looks(airflow: Airflow, inbox: Path) -> None:
    airflow.start(files(poll_interval=3600))
    await airflow.ready()


async def test_a_file_that_is_written_anew_is_told_anew(airflow: Airflow, inbox: Path) -> None:
    airflow.start(files())
    await airflow.ready()
    (inbox / "old.h5").write_text("new and longer")
    await airflow.told("old.h5")
    (inbox / "old.h5").write_text("newer and even longer")
    await airflow.told("old.h5", "old.h5")
    assert [event["size"] for event in airflow.events] == [14, 21]


async def test_what_is_there_is_told_only_when_wanted(airflow: Airflow, inbox: Path) -> None:
    airflow.start(files(existing=True, recursive=True))
    await airflow.told("/inbox/old.h5", "/inbox/deep/old.h5", of="path")


async def test_only_files_that_match_are_told(airflow: Airflow, inbox: Path) -> None:
    airflow.start(files(pattern="*.h5"))
    await airflow.ready()
    for name in ("a.txt", "b.h5", "c.H5"):
        (inbox / name).write_text("1")
    await airflow.told("b.h5")


async def test_a_marker_tells_its_directory(airflow: Airflow, inbox: Path) -> None:
    airflow.start(files(marker="done", recursive=True, stable_for=None))
    await airflow.ready()
    (inbox / "deep" / "frame.h5").write_text("1")
    (inbox / "deep" / "not-done").write_text("1")
    (inbox / "deep" / "done").write_text("")
    await airflow.told("/inbox/deep", of="path")


async def test_a_file_is_told_when_it_grows_no_more(
    airflow: Airflow, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of ten looks finds it longer than the one before."""
    looks, look = [0], Listings.look

    def growing(self: Listings, *arguments: Any) -> Any:
        looks[0] += 1
        if 1 < looks[0] < 12:
            (inbox / "scan.h5").write_text("x" * looks[0])
        return look(self, *arguments)

    monkeypatch.setattr(Listings, "look", growing)
    airflow.start(files(stable_for=None))
    await airflow.told("scan.h5")
    assert airflow.events[0]["size"] == 11


async def test_a_directory_that_comes_back_is_not_news(
    airflow: Airflow, inbox: Path, globus_sandbox: GlobusSandbox
) -> None:
    """As when a file system is not mounted for a while."""

    async def looked_again() -> None:
        globus_sandbox.journal.clear()
        await airflow.until(lambda: globus_sandbox.journal.count("transfer", "GET", "*/ls") > 5)

    airflow.start(files())
    await airflow.ready()
    hidden = shutil.move(inbox, inbox.with_name("hidden"))
    await looked_again()
    shutil.move(hidden, inbox)
    await looked_again()
    (inbox / "a.h5").write_text("1")
    await airflow.told("a.h5")


async def test_a_directory_that_is_not_there_yet_is_waited_for(airflow: Airflow, inbox: Path) -> None:
    airflow.start(files(path="/inbox/later/"))
    await airflow.ready()
    (inbox / "later").mkdir()
    (inbox / "later" / "a.h5").write_text("1")
    await airflow.told("a.h5")


async def test_a_file_that_a_look_leaves_out_is_not_told_again(
    airflow: Airflow, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing that is read in pages may miss a file while others come and go."""
    looks, look = [0], Listings.look

    def forgetful(self: Listings, *arguments: Any) -> Any:
        looks[0] += 1
        document = look(self, *arguments)
        if looks[0] % 3:
            document["files"] = [file for file in document["files"] if file[0] != "old.h5"]
        return document

    monkeypatch.setattr(Listings, "look", forgetful)
    looks[0] = 2
    airflow.start(files())
    await airflow.ready()
    await airflow.until(lambda: looks[0] > 12)
    (inbox / "a.h5").write_text("1")
    await airflow.told("a.h5")


@pytest.fixture
def users(globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory) -> Users:
    source = globus_collection("source", files={"a": "12345"})
    return Users(globus_sandbox, source, globus_collection("target", files={"old": "1"}))


def transfers(**changes: Any) -> GlobusArrivedTransfersTrigger:
    arguments: dict[str, Any] = {"collection": "target", "poll_interval": QUICK}
    return GlobusArrivedTransfersTrigger(**arguments | changes)


async def test_transfers_of_anybody_are_told(airflow: Airflow, users: Users, globus_sandbox: GlobusSandbox) -> None:
    users.move("bob")
    airflow.start(transfers())
    await airflow.ready()
    first = users.move("bob", label="scan")
    users.move("bob", path="/old", back=True)
    users.delete("bob", "/old")
    second = users.move("carol")
    await airflow.told(first.id, second.id, of="task_id")
    (told,) = (event for event in airflow.events if event["task_id"] == first.id)
    assert {name: told[name] for name in ("owner", "label", "files", "bytes", "source", "destination")} == {
        "owner": users.who("bob").username,
        "label": "scan",
        "files": 1,
        "bytes": 5,
        "source": "source",
        "destination": "target",
    }
    assert told["url"].endswith(f"/activity/{first.id}")


async def test_a_transfer_that_failed_has_not_arrived(
    airflow: Airflow, users: Users, globus_sandbox: GlobusSandbox
) -> None:
    airflow.start(transfers())
    await airflow.ready()
    users.hold()
    cancelled = users.submit("bob")
    users.client("bob").cancel_task(cancelled.id)
    globus_sandbox.world.transfer.release()
    await airflow.told(users.move("bob").id, of="task_id")


@pytest.mark.parametrize("filters", ["owner", "own", "source", "label"])
async def test_transfers_are_chosen(
    airflow: Airflow, users: Users, filters: str, globus_sandbox: GlobusSandbox
) -> None:
    choices: dict[str, dict[str, Any]] = {
        "owner": {"owners": [users.who("carol").username]},
        "own": {"exclude_own": True},
        "source": {"source": "source"},
        "label": {"label": "nightly *"},
    }
    airflow.start(transfers(**choices[filters]))
    await airflow.ready()
    if filters == "owner":
        users.move("bob")
    elif filters == "own":
        globus_sandbox.world.transfer.wait(_own_transfer(users))
    elif filters == "source":
        _inside(users)
    else:
        users.move("carol", label="weekly 1")
    await airflow.told(users.move("carol", label="nightly 7").id, of="task_id")


def _own_transfer(users: Users) -> str:
    from globus_sdk import TransferData

    from airflow_provider_globus.hooks.globus import GlobusHook

    hook = GlobusHook()
    data = TransferData(hook.use_collection("source"), hook.use_collection("target"))
    data.add_item("/a", "/own")
    return str(hook.transfer_client().submit_transfer(data)["task_id"])


def _inside(users: Users) -> None:
    """A copy within the target."""
    from globus_sdk import TransferData

    data = TransferData(users.target.id, users.target.id)
    data.add_item("/old", "/copy")
    users.sandbox.world.transfer.wait(users.client("carol").submit_transfer(data)["task_id"])


async def test_transfers_of_a_long_absence_are_told(
    airflow: Airflow, users: Users, globus_sandbox: GlobusSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than a look reaches back."""
    airflow.start(transfers())
    await airflow.ready()
    await airflow.kill()
    missed = [users.move("bob").id for _ in range(3)]
    long_ago = 3_600.0
    for row in [row for row in airflow.state.rows if row.startswith("globus_watch:")]:
        known = await airflow.state.aget(row)
        await airflow.state.aset(row, {**known, "until": known["until"] - 2 * long_ago})
    for task_id in missed:
        task = globus_sandbox.world.transfer.task(task_id)
        assert task.completion_time is not None
        task.completion_time -= long_ago
    airflow.start(transfers())
    await airflow.told(*missed, of="task_id")


PASS = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
FAIL = {"StartAt": "A", "States": {"A": {"Type": "Fail", "Error": "Broken", "Cause": "Because."}}}


def _start(globus_sandbox: GlobusSandbox, flow_id: str, label: str = "") -> str:
    from airflow_provider_globus.hooks.globus import GlobusHook

    run_id = str(GlobusHook().specific_flow_client(flow_id).run_flow({}, label=label or "a run")["run_id"])
    globus_sandbox.world.flows.wait(run_id)
    return run_id


async def test_runs_that_end_are_told(airflow: Airflow, globus_sandbox: GlobusSandbox) -> None:
    flow, other = globus_sandbox.add_flow("publish", PASS), globus_sandbox.add_flow("other", PASS)
    _start(globus_sandbox, flow.id)
    airflow.start(GlobusEndedFlowRunsTrigger(flow="publish", poll_interval=QUICK))
    await airflow.ready()
    first = _start(globus_sandbox, flow.id, "monday")
    _start(globus_sandbox, other.id)
    second = _start(globus_sandbox, flow.id)
    await airflow.told(first, second, of="run_id")
    told = airflow.events[0]
    assert (told["label"], told["status"], told["flow_title"]) == ("monday", "SUCCEEDED", "publish")
    assert f"/runs/{first}" in told["url"]


async def test_failed_runs_are_told_when_wanted(airflow: Airflow, globus_sandbox: GlobusSandbox) -> None:
    good, bad = globus_sandbox.add_flow("good", PASS), globus_sandbox.add_flow("bad", FAIL)
    airflow.start(GlobusEndedFlowRunsTrigger(flow="bad", statuses=["FAILED"], label="n*", poll_interval=QUICK))
    await airflow.ready()
    _start(globus_sandbox, good.id)
    _start(globus_sandbox, bad.id, "weekly")
    await airflow.told(_start(globus_sandbox, bad.id, "nightly"), of="run_id")
    assert airflow.events[0]["error"] == "Broken"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: files(poll_interval=0), "poll_interval must be above 0"),
        (lambda: files(pattern="*", marker="done"), "exclude each other"),
        (lambda: files(stable_for=-1), "stable_for"),
        (lambda: files(path=""), "path"),
        (lambda: GlobusEndedFlowRunsTrigger(flow="f", statuses=["ENDED"]), "are no ends of a run"),
        (lambda: GlobusEndedFlowRunsTrigger(flow="f", statuses=[]), "are no ends of a run"),
    ],
)
def test_arguments_that_cannot_be_are_refused(make: Any, said: str) -> None:
    with pytest.raises(GlobusInputError, match=said):
        make()


def test_another_interval_is_the_same_watcher_to_the_ledger() -> None:
    assert files().key == files(poll_interval=9, stable_for=7, existing=True).key
    assert len({files().key, files(path="/other/").key, files(globus_conn_id="b").key, transfers().key}) == 4


def test_airflow_tells_watchers_apart_by_their_arguments() -> None:
    def known(one: BaseEventTrigger) -> int:
        return BaseEventTrigger.hash(*one.serialize())

    assert known(files()) == known(files())
    assert known(files()) != known(files(pattern="*.h5"))
