"""Many files, many tasks, clean ends: what a suite of hundreds of DAG tests leans on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_globus.sandbox.transfer.tasks import Phase, Task

if TYPE_CHECKING:
    import pytest

    from tests.unit.sandbox.transfer.conftest import Lab


def test_fifty_thousand_files_in_one_task(lab: Lab) -> None:
    source, target = lab.collection("source"), lab.collection("target")
    for folder in range(50):
        (place := Path(source.root, f"{folder:02}")).mkdir()
        for number in range(1000):
            (place / f"{number:03}").touch()
    client = lab.client()
    task_id = lab.submit(source, target, ("/", "/"), client=client, verify_checksum=False)
    lab.until(task_id, lambda task: task.files_transferred > 100)
    assert 100 < client.get_task(task_id)["files_transferred"] < 50_000
    lab.world.transfer.hold()
    lab.until(task_id, lambda task: task.phase is Phase.STOPPED)
    document = client.get_task(task_id)
    assert (document["status"], document["files"]) == ("ACTIVE", 50_000)
    assert 100 < document["files_transferred"] < 50_000
    lab.sandbox.reset()
    assert not lab.world.transfer.tasks


def test_ten_thousand_tasks_are_listed(lab: Lab) -> None:
    from airflow_provider_globus.sandbox.transfer.outcome import finish

    source, target = lab.collection("source", {"a": b"1"}), lab.collection("target")
    first = lab.move(source, target, ("/a", "/a"))
    state = lab.world.transfer
    for number in range(10_000):
        task = Task(
            id=lab.world.new_id(), owner_id=first.owner_id, username=first.username, spec=first.spec,
            request_time=first.request_time + number, deadline=first.deadline, interrupt=lab.sandbox.clock.event(),
        )  # fmt: skip
        finish(task, first.request_time + number, None, "")
        state.tasks[task.id] = state._by_owner[task.owner_id][task.id] = task
    client = lab.client()
    ids = list(state.tasks)[-50:]
    assert {task["task_id"] for task in client.task_list(filter={"task_id": ids}, limit=50)} == {*ids}
    assert len(client.task_list(filter="status:SUCCEEDED", limit=1000)["DATA"]) == 1000
    assert client.task_list(limit=1)["total"] == 10_001


def test_reset_forgets_what_came_after_the_mark(lab: Lab, refused: pytest.FixtureRequest) -> None:
    source, target = lab.collection("source", {"a": bytes(100_000)}), lab.collection("target")
    guest = lab.sandbox.add_collection("guest", kind="guest", host=source, base_path="/")
    kept = dict(lab.world.transfer.collections)
    lab.sandbox.mark()
    try:
        lab.world.transfer.add_rule(guest, path="/", principal=lab.sandbox.client_id)
        source.apply({"display_name": "other"})
        later = lab.collection("later")
        lab.sandbox.settings.bytes_per_second = 10
        task_id = lab.submit(source, target, ("/a", "/a"))
        lab.until(task_id, lambda task: task.bytes_transferred > 0)
        lab.sandbox.reset()
        assert dict(lab.world.transfer.collections) == kept
        assert later.id not in kept
        assert (source.name, guest.rules, lab.world.transfer.tasks) == ("source", {}, {})
        assert list(Path(target.root).iterdir()) == []
        assert lab.move(source, target, ("/a", "/a")).status == "SUCCEEDED"
    finally:
        for item in (source, target, guest):
            lab.world.transfer.remove_collection(item)
        lab.world.connect_server.gateways.clear()
        lab.sandbox.mark()


def test_close_ends_tasks_that_run(lab: Lab, tmp_path: Path) -> None:
    from airflow_provider_globus.sandbox.world import Settings, World

    world = World(Settings(bytes_per_second=1000))
    (tmp_path / "s").mkdir()
    (tmp_path / "t").mkdir()
    (tmp_path / "s/a").write_bytes(bytes(100_000))
    source, target = (world.transfer.add_collection(name, tmp_path / name) for name in "st")
    from airflow_provider_globus.sandbox.transfer.tasks import Item, Spec

    owner = world.auth.client(lab.sandbox.client_id)
    assert owner is not None
    spec = Spec("TRANSFER", world.new_id(), source, target, (Item("/a", "/a"),))
    caller = world.auth.caller_of(
        world.auth.issue(identity_id=owner.id, client_id=owner.id, resource_server="transfer.api.globus.org", scopes=())
    )
    task, _ = world.transfer.submit(caller, spec)
    patience = time.monotonic() + 10
    while task.bytes_transferred == 0:
        assert time.monotonic() < patience
    threads = list(world.transfer.engine._threads)
    world.close()
    assert not any(thread.is_alive() for thread in threads)
    assert [item.name for item in (tmp_path / "t").iterdir()] == []
