"""How tasks live: faults, deadlines, limits, holds, pauses, cancels and what is left of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.unit.sandbox.transfer.conftest import Lab

Refused = "Callable[[Callable[[], object]], TransferAPIError]"
DAY = 86400


def test_a_fault_keeps_the_task_active_until_it_is_mended(lab: Lab) -> None:
    lab.sandbox.clock.freeze()
    source, target = lab.collection("source", {"there": b"1"}), lab.collection("target")
    client = lab.client()
    task_id = lab.submit(source, target, ("/there", "/there"), ("/late", "/late"), client=client)
    lab.faulting(task_id, "FILE_NOT_FOUND")
    document = client.get_task(task_id)
    assert (document["status"], document["is_ok"], document["nice_status"]) == ("ACTIVE", False, "FILE_NOT_FOUND")
    assert "/late" in document["nice_status_details"]
    assert (document["faults"], document["files_transferred"], document["subtasks_retrying"]) == (1, 1, 1)
    errors = [event for event in client.task_event_list(task_id) if event["is_error"]]
    assert [event["code"] for event in errors] == ["FILE_NOT_FOUND"]
    lab.sandbox.clock.advance(31)
    lab.until(task_id, lambda task: task.faults == 2 and task.phase.name == "RETRYING")
    (lab.folder / "source/late").write_bytes(b"2")
    lab.sandbox.clock.advance(31)
    assert lab.wait(task_id).status == "SUCCEEDED"
    assert lab.tree(target) == {"there": b"1", "late": b"2"}


def test_the_deadline_ends_a_task_that_cannot_succeed(lab: Lab) -> None:
    lab.sandbox.clock.freeze()
    source, target = lab.collection("source"), lab.collection("target")
    task_id = lab.submit(source, target, ("/none", "/none"))
    lab.faulting(task_id, "FILE_NOT_FOUND")
    lab.sandbox.clock.advance(DAY + 1)
    task = lab.wait(task_id)
    document = lab.client().get_task(task.id)
    assert document["status"] == "FAILED"
    assert document["fatal_error"] == {"code": "EXPIRED", "description": "expired"}
    assert document["subtasks_expired"] == 1


def test_progress_moves_a_default_deadline_and_not_a_chosen_one(lab: Lab) -> None:
    lab.sandbox.clock.freeze()
    source, target = lab.collection("source", {"a": b"x"}), lab.collection("target")
    chosen = lab.submit(source, target, ("/a", "/1"), ("/none", "/1n"), deadline="2999-01-01")
    default = lab.submit(source, target, ("/a", "/2"), ("/none", "/2n"))
    for task_id in (chosen, default):
        lab.faulting(task_id, "FILE_NOT_FOUND")
    document = lab.client().get_task(default)
    assert document["deadline"][:10] != document["request_time"][:10]
    lab.sandbox.clock.advance(2 * DAY)
    lab.until(default, lambda task: task.faults == 2 and task.phase.name == "RETRYING")
    lab.sandbox.clock.advance(DAY + 60)
    assert (lab.wait(default).fatal_error or {})["code"] == "EXPIRED"
    assert lab.client().get_task(chosen)["deadline"] == "2999-01-01T00:00:00+00:00"


def test_a_deadline_can_be_moved_while_the_task_runs(lab: Lab) -> None:
    lab.sandbox.clock.freeze()
    source, target = lab.collection("source"), lab.collection("target")
    client = lab.client()
    task_id = lab.submit(source, target, ("/none", "/none"), client=client)
    soon = lab.sandbox.clock.now().replace(microsecond=0).timestamp() + 120
    from airflow_provider_globus.sandbox.transfer.documents import iso

    client.update_task(task_id, {"deadline": iso(soon), "label": "other"})
    assert client.get_task(task_id)["label"] == "other"
    lab.sandbox.clock.advance(121)
    assert (lab.wait(task_id).fatal_error or {})["code"] == "EXPIRED"


def test_a_deadline_in_the_past_ends_the_task(lab: Lab) -> None:
    source, target = lab.collection("source"), lab.collection("target")
    client = lab.client()
    task_id = lab.submit(source, target, ("/none", "/none"), client=client)
    answer = client.update_task(task_id, {"DATA_TYPE": "task", "deadline": "2000-01-01 00:00:06+00:00"})
    assert answer["message"] == "Updated task deadline successfully"
    assert (lab.wait(task_id).fatal_error or {})["code"] == "EXPIRED"


def test_what_ends_a_task_is_told_once(lab: Lab) -> None:
    from globus_sdk import DeleteData

    source, target = lab.collection("source"), lab.collection("target")
    client = lab.client()
    gone = DeleteData(target.id)
    gone.add_item("/gone")
    task = lab.wait(client.submit_delete(gone)["task_id"])
    events = list(client.task_event_list(task.id))
    assert [event["code"] for event in events] == ["FILE_NOT_FOUND", "STARTED"]
    assert "No such file or directory" in events[0]["details"]
    lab.world.transfer.hold()
    canceled = lab.submit(source, target, ("/a", "/a"), client=client)
    client.cancel_task(canceled)
    assert next(iter(client.task_event_list(canceled)))["details"] == "Canceled by the task owner"


@pytest.mark.parametrize("code", ["FILE_NOT_FOUND", "PERMISSION_DENIED", "AMBIGUOUS_PATH"])
def test_some_source_errors_can_be_skipped(lab: Lab, code: str) -> None:
    source, target = lab.collection("source", {"good": b"1", "bad": b"2"}), lab.collection("target")
    lab.sandbox.faults.add(collection="source", path="/bad", nice_status=code, details="injected")
    task = lab.move(source, target, ("/", "/"), skip_source_errors=True)
    client = lab.client()
    document = client.get_task(task.id)
    assert (document["status"], document["subtasks_skipped_errors"], document["faults"]) == ("SUCCEEDED", 1, 0)
    (skipped,) = client.task_skipped_errors(task.id)
    assert (skipped["source_path"], skipped["destination_path"], skipped["error_code"]) == ("/bad", "/bad", code)
    assert lab.tree(target) == {"good": b"1"}


@pytest.mark.parametrize(("collection", "code"), [("source", "CONNECT_FAILED"), ("target", "PERMISSION_DENIED")])
def test_other_errors_are_not_skipped(lab: Lab, collection: str, code: str) -> None:
    source, target = lab.collection("source", {"good": b"1", "bad": b"2"}), lab.collection("target")
    lab.sandbox.faults.add(collection=collection, path="/bad", nice_status=code)
    task = lab.faulting(lab.submit(source, target, ("/", "/"), skip_source_errors=True), code)
    assert task.skipped == []


@pytest.mark.parametrize("code", ["QUOTA_EXCEEDED", "NO_SPACE_LEFT"])
def test_quota_errors_are_fatal_only_when_asked(lab: Lab, code: str) -> None:
    source, target = lab.collection("source", {"a": b"1"}), lab.collection("target")
    lab.sandbox.faults.add(collection="target", nice_status=code)
    assert (lab.move(source, target, ("/a", "/a"), fail_on_quota_errors=True).fatal_error or {})["code"] == code
    lab.faulting(lab.submit(source, target, ("/a", "/a")), code)


def test_a_read_only_destination_denies(lab: Lab) -> None:
    from globus_sdk import DeleteData

    source, target = lab.collection("source", {"a": b"1"}), lab.collection("target", {"b": b"1"}, writable=False)
    lab.faulting(lab.submit(source, target, ("/a", "/a")), "PERMISSION_DENIED")
    data = DeleteData(target.id)
    data.add_item("/b")
    lab.faulting(lab.client().submit_delete(data)["task_id"], "PERMISSION_DENIED")
    assert lab.tree(target) == {"b": b"1"}


def test_a_personal_collection_goes_offline_and_comes_back(lab: Lab) -> None:
    lab.sandbox.clock.freeze()
    source, target = lab.collection("source", {"a": b"1"}, kind="personal"), lab.collection("target")
    source.connected = False
    client = lab.client()
    assert client.get_endpoint(source.id)["gcp_connected"] is False
    task_id = lab.submit(source, target, ("/a", "/a"), client=client)
    lab.faulting(task_id, "GC_NOT_CONNECTED")
    source.connected = True
    lab.sandbox.clock.advance(31)
    assert lab.wait(task_id).status == "SUCCEEDED"


def test_three_run_the_rest_queue(lab: Lab) -> None:
    source, target = lab.collection("source", {"a": b"1"}), lab.collection("target")
    lab.world.transfer.hold()
    client = lab.client()
    ids = [lab.submit(source, target, ("/a", f"/{number}"), client=client) for number in range(5)]
    assert [client.get_task(task_id)["nice_status"] for task_id in ids] == ["OK", "OK", "OK", "Queued", "Queued"]
    assert {client.get_task(task_id)["status"] for task_id in ids} == {"ACTIVE"}
    assert lab.tree(target) == {}
    lab.world.transfer.release()
    assert {lab.wait(task_id).status for task_id in ids} == {"SUCCEEDED"}
    assert len(lab.tree(target)) == 5


def test_others_and_deletes_have_slots_of_their_own(lab: Lab) -> None:
    from globus_sdk import DeleteData

    source, target = lab.collection("source", {"a": b"1"}), lab.collection("target")
    lab.sandbox.settings.active_tasks_per_identity = 1
    lab.world.transfer.hold()
    bob = lab.client(of=lab.sandbox.add_client("bob"))
    first = lab.submit(source, target, ("/a", "/1"))
    theirs = lab.submit(source, target, ("/a", "/1"), client=bob)
    data = DeleteData(target.id)
    data.add_item("/x")
    delete = lab.client().submit_delete(data)["task_id"]
    assert [lab.world.transfer.task(item).nice_status for item in (first, theirs, delete)] == ["OK"] * 3


def test_a_hundred_may_be_pending(lab: Lab, refused: Any) -> None:
    source, target = lab.collection("source", {"a": b"1"}), lab.collection("target")
    lab.sandbox.settings.pending_tasks_per_identity = 3
    lab.world.transfer.hold()
    client = lab.client()
    for number in range(3):
        lab.submit(source, target, ("/a", f"/{number}"), client=client)
    error = refused(lambda: lab.submit(source, target, ("/a", "/more"), client=client))
    assert (error.http_status, error.code) == (409, "ClientError.Conflict.TooManyPendingJobs")


def test_task_seconds_keep_a_task_active(lab: Lab) -> None:
    lab.sandbox.clock.freeze()
    lab.sandbox.settings.task_seconds = 100
    source, target = lab.collection("source", {"a": b"1"}), lab.collection("target")
    task_id = lab.submit(source, target, ("/a", "/a"))
    task = lab.until(task_id, lambda task: task.files_transferred == 1)
    lab.sandbox.clock.advance(99)
    assert task.status == "ACTIVE"
    lab.sandbox.clock.advance(2)
    task = lab.wait(task_id)
    assert (task.completion_time or 0) - task.request_time == pytest.approx(101)


def test_two_hundred_waiting_tasks_need_few_threads(lab: Lab) -> None:
    import threading

    def threads() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name.startswith("globus-sandbox-transfer")}

    # Those of other sandboxes in this process may still be ending.
    before = threads()
    lab.sandbox.clock.freeze()
    lab.sandbox.settings.update(
        {
            "task_seconds": 60,
            "active_tasks_per_identity": 500,
            "pending_tasks_per_identity": 500,
            "rate_limit_per_second": None,
        }
    )
    source, target = lab.collection("source", {"a": b"1"}), lab.collection("target")
    client = lab.client()
    ids = [lab.submit(source, target, ("/a", f"/{number}"), client=client) for number in range(200)]
    for task_id in ids:
        lab.until(task_id, lambda task: task.phase.name == "FINISHING")
    assert len(threads() - before) <= 9
    lab.sandbox.clock.advance(61)
    assert {lab.wait(task_id).status for task_id in ids} == {"SUCCEEDED"}


def test_cancel(lab: Lab) -> None:
    source, target = lab.collection("source", {"a": b"1"}), lab.collection("target")
    client = lab.client()
    done = lab.move(source, target, ("/a", "/done"))
    assert client.cancel_task(done.id)["code"] == "TaskComplete"
    assert client.get_task(done.id)["status"] == "SUCCEEDED"
    lab.world.transfer.hold()
    lab.sandbox.settings.active_tasks_per_identity = 1
    running, queued = (lab.submit(source, target, ("/a", f"/{name}"), client=client) for name in ("r", "q"))
    for task_id in (queued, running):
        assert client.cancel_task(task_id)["code"] == "Canceled"
        document = client.get_task(task_id)
        assert (document["status"], document["fatal_error"]["code"]) == ("FAILED", "CANCELED")
        assert document["subtasks_canceled"] >= 1
        assert document["nice_status"] is None
        assert next(iter(client.task_event_list(task_id)))["code"] == "CANCELED"
        assert client.cancel_task(task_id)["code"] == "TaskComplete"
    lab.world.transfer.release()
    assert lab.tree(target) == {"done": b"1"}


@pytest.mark.parametrize("task", ["*", "next"])
def test_a_cancel_may_take_its_time(lab: Lab, task: str) -> None:
    lab.sandbox.clock.freeze()
    source, target = lab.collection("source"), lab.collection("target")
    client = lab.client()
    lab.sandbox.faults.add(task=task, cancel_seconds=60)
    task_id = lab.submit(source, target, ("/none", "/a"), client=client)
    answer = client.cancel_task(task_id)
    assert (answer["code"], answer.http_status) == ("CancelAccepted", 202)
    assert client.get_task(task_id)["status"] == "ACTIVE"
    lab.sandbox.clock.advance(61)
    assert (lab.wait(task_id).fatal_error or {})["code"] == "CANCELED"


def test_many_cancels_at_once_have_one_winner(lab: Lab) -> None:
    source, target = lab.collection("source", {"a": b"1"}), lab.collection("target")
    lab.world.transfer.hold()
    client = lab.client()
    task_id = lab.submit(source, target, ("/a", "/a"), client=client)
    with ThreadPoolExecutor(8) as pool:
        codes = sorted(pool.map(lambda _: client.cancel_task(task_id)["code"], range(8)))
    assert codes == ["Canceled"] + ["TaskComplete"] * 7


def test_a_held_task_goes_on_when_its_fault_is_removed(lab: Lab) -> None:
    source, target = lab.collection("source", {"a": b"1"}), lab.collection("target")
    fault = lab.sandbox.faults.add(task="*", hold=True)
    client = lab.client()
    task_id = lab.submit(source, target, ("/a", "/a"), client=client)
    document = client.get_task(task_id)
    assert (document["status"], document["is_ok"], document["files_transferred"]) == ("ACTIVE", True, 0)
    lab.sandbox.faults.remove(fault)
    assert lab.wait(task_id).status == "SUCCEEDED"


def test_inactive_until_activated(lab: Lab) -> None:
    source, target = lab.collection("source", {"a": b"1"}), lab.collection("target")
    lab.sandbox.faults.add(task="next", status="INACTIVE", message="Credentials have expired")
    client = lab.client()
    task_id = lab.submit(source, target, ("/a", "/a"), client=client)
    document = client.get_task(task_id)
    assert (document["status"], document["is_ok"], document["nice_status"]) == ("INACTIVE", False, "NO_CREDENTIALS")
    assert document["nice_status_details"] == "Credentials have expired"
    assert document["completion_time"] is None
    assert lab.move(source, target, ("/a", "/other")).status == "SUCCEEDED"
    lab.world.transfer.activate(task_id)
    assert lab.wait(task_id).status == "SUCCEEDED"


def test_inactive_for_a_while_or_for_good(lab: Lab) -> None:
    lab.sandbox.clock.freeze()
    source, target = lab.collection("source", {"a": b"1"}), lab.collection("target")
    lab.sandbox.faults.add(task="next", status="INACTIVE", for_seconds=600)
    brief = lab.submit(source, target, ("/a", "/1"))
    lab.sandbox.faults.add(task="next", status="INACTIVE")
    lasting = lab.submit(source, target, ("/a", "/2"))
    lab.sandbox.clock.advance(601)
    assert lab.wait(brief).status == "SUCCEEDED"
    assert lab.world.transfer.task(lasting).status == "INACTIVE"
    lab.sandbox.clock.advance(DAY)
    assert (lab.wait(lasting).fatal_error or {})["code"] == "EXPIRED"


def test_a_running_task_can_be_made_inactive_or_fail(lab: Lab) -> None:
    source, target = lab.collection("source", {"a": b"1"}), lab.collection("target")
    ids = [lab.submit(source, target, ("/none", f"/{number}")) for number in range(2)]
    for task_id in ids:
        lab.faulting(task_id, "FILE_NOT_FOUND")
    lab.sandbox.faults.add(task=ids[0], status="INACTIVE", code="AUTH")
    lab.sandbox.faults.add(task=ids[1], status="FAILED", code="INTERNAL_ERROR", message="broken")
    assert lab.world.transfer.task(ids[0]).status == "INACTIVE"
    assert lab.wait(ids[1]).fatal_error == {"code": "INTERNAL_ERROR", "description": "broken"}
    lab.client().cancel_task(ids[0])
    assert lab.wait(ids[0]).status == "FAILED"


def test_only_the_owner_sees_a_task(lab: Lab, refused: Any) -> None:
    source, target = lab.collection("source", {"a": b"1"}), lab.collection("target")
    task = lab.move(source, target, ("/a", "/a"))
    stranger = lab.client(of=lab.sandbox.add_client("stranger"))
    for act in (
        lambda: stranger.get_task(task.id),
        lambda: stranger.cancel_task(task.id),
        lambda: stranger.update_task(task.id, {"label": "mine"}),
        lambda: stranger.task_event_list(task.id),
        lambda: stranger.task_successful_transfers(task.id),
        lambda: stranger.task_skipped_errors(task.id),
        lambda: stranger.task_pause_info(task.id),
        lambda: lab.client().get_task("c7b1f0a2-0000-4000-8000-000000000000"),
    ):
        error = refused(act)
        assert (error.http_status, error.code) == (404, "ClientError.NotFound")
    assert list(stranger.task_list()) == []


def test_history_is_deleted_after_thirty_days(lab: Lab) -> None:
    source, target = lab.collection("source", {"a": b"1"}), lab.collection("target")
    task = lab.move(source, target, ("/a", "/a"))
    lab.sandbox.clock.advance(31 * DAY)
    client = lab.client()
    assert client.get_task(task.id)["history_deleted"] is True
    assert list(client.task_event_list(task.id)) == list(client.task_successful_transfers(task.id)) == []


def test_a_crash_of_the_engine_ends_the_task_and_not_the_worker(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_globus.sandbox.storage.local import LocalStorage

    source, target = lab.collection("source", {"a": b"1"}), lab.collection("target")
    with monkeypatch.context() as patch:
        patch.setattr(LocalStorage, "stat", lambda self, path: 1 / 0)
        task = lab.move(source, target, ("/a", "/a"))
    assert (task.fatal_error or {})["code"] == "INTERNAL_ERROR"
    assert lab.move(source, target, ("/a", "/a")).status == "SUCCEEDED"
