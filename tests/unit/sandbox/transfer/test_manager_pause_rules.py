"""Pause rules: who may make them, and that what falls under one rests until it is gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import DeleteData

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.auth.models import Client
    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from tests.unit.sandbox.transfer.conftest import Lab

FLAGS = (
    "pause_ls",
    "pause_mkdir",
    "pause_rename",
    "pause_symlink",
    "pause_task_delete",
    "pause_task_transfer_read",
    "pause_task_transfer_write",
)


@pytest.fixture
def bob(lab: Lab) -> Client:
    return lab.world.auth.add_client("bob")


@pytest.fixture
def source(lab: Lab) -> Collection:
    return lab.collection("source", {"a": b"12345", "b": b"1"})


@pytest.fixture
def target(lab: Lab) -> Collection:
    return lab.collection("target", {"old": b"1"})


def rule_for(endpoint: Collection, **more: Any) -> dict[str, Any]:
    return {"DATA_TYPE": "pause_rule", "message": "maintenance", "endpoint_id": endpoint.id, **more}


def only(*flags: str) -> dict[str, bool]:
    return {flag: flag in flags for flag in FLAGS}


def test_the_life_of_a_rule(lab: Lab, target: Collection, refused: Any) -> None:
    manager = lab.client()
    made = manager.endpoint_manager_create_pause_rule(rule_for(target, identity_id=None, start_time=None))
    expected = {
        "DATA_TYPE": "pause_rule",
        "message": "maintenance",
        "start_time": None,
        "endpoint_id": target.id,
        "endpoint_display_name": "target",
        "identity_id": None,
        "modified_by_id": lab.sandbox.client_id,
        "editable": True,
        **dict.fromkeys(FLAGS, True),
    }
    assert made.data | expected == made.data
    assert manager.endpoint_manager_get_pause_rule(made["id"]).data == made.data
    listed = manager.endpoint_manager_pause_rule_list(filter_endpoint=target.id)
    assert (listed["DATA_TYPE"], list(listed)) == ("pause_rule_list", [made.data])
    assert list(manager.endpoint_manager_pause_rule_list()) == [made.data]
    changes = {"message": "reading is allowed", "pause_ls": False, "endpoint_id": "ignored", "id": "ignored"}
    updated = manager.endpoint_manager_update_pause_rule(made["id"], changes)
    assert updated.data == {**made.data, "message": "reading is allowed", "pause_ls": False}
    assert manager.endpoint_manager_get_pause_rule(made["id"]).data == updated.data
    effective = manager.my_effective_pause_rule_list(target.id)
    (limited,) = effective
    assert (effective["DATA_TYPE"], limited["DATA_TYPE"]) == ("pause_rule_list", "pause_rule_limited")
    assert set(updated.data) - set(limited) == {"modified_by_id", "created_by_host_manager", "editable"}
    deleted = manager.endpoint_manager_delete_pause_rule(made["id"])
    assert (deleted["DATA_TYPE"], deleted["code"]) == ("result", "Deleted")
    gone = refused(lambda: manager.endpoint_manager_get_pause_rule(made["id"]))
    assert (gone.http_status, gone.code) == (404, "PauseRuleNotFound")
    assert list(manager.my_effective_pause_rule_list(target.id)) == []


def test_only_managers_may(lab: Lab, bob: Client, target: Collection, refused: Any) -> None:
    other = lab.client(of=bob)
    rule_id = lab.client().endpoint_manager_create_pause_rule(rule_for(target))["id"]

    def calls() -> list[Any]:
        return [
            lambda: other.endpoint_manager_create_pause_rule(rule_for(target)),
            lambda: other.endpoint_manager_get_pause_rule(rule_id),
            lambda: other.endpoint_manager_update_pause_rule(rule_id, {"pause_ls": False}),
            lambda: other.endpoint_manager_delete_pause_rule(rule_id),
        ]

    lists = [
        lambda: other.endpoint_manager_pause_rule_list(),
        lambda: other.endpoint_manager_pause_rule_list(filter_endpoint=target.id),
    ]
    for call in [*calls(), *lists]:
        error = refused(call)
        assert (error.http_status, error.code) == (403, "PermissionDenied")
    lab.world.transfer.add_role(target, "activity_monitor", bob.id)
    assert [rule["editable"] for rule in other.endpoint_manager_pause_rule_list()] == [False]
    for call in calls():
        assert refused(call).code == "PermissionDenied"
    assert len(list(other.my_effective_pause_rule_list(target.id))) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"message": ""},
        {"message": None},
        {"message": "x" * 257},
        {"pause_ls": "yes"},
        {"identity_id": "bob"},
        {"start_time": "soon"},
        {"endpoint_id": None},
    ],
)
def test_wrong_rules_are_refused(lab: Lab, target: Collection, refused: Any, wrong: dict[str, Any]) -> None:
    assert (
        refused(lambda: lab.client().endpoint_manager_create_pause_rule(rule_for(target, **wrong))).http_status == 400
    )


def test_the_guests_manager_cannot_touch_the_hosts_rule(lab: Lab, bob: Client, refused: Any) -> None:
    host = lab.collection("host")
    guest = lab.sandbox.add_collection("guest", kind="guest", host=host, base_path="/")
    lab.world.transfer.add_role(guest, "activity_manager", bob.id)
    of_host, of_guest = lab.client(), lab.client(of=bob)
    theirs = of_host.endpoint_manager_create_pause_rule(rule_for(guest))
    mine = of_guest.endpoint_manager_create_pause_rule(rule_for(guest))
    assert (theirs["created_by_host_manager"], mine["created_by_host_manager"]) == (True, False)
    seen = {rule["id"]: rule["editable"] for rule in of_guest.endpoint_manager_pause_rule_list()}
    assert seen == {theirs["id"]: False, mine["id"]: True}
    assert refused(lambda: of_guest.endpoint_manager_delete_pause_rule(theirs["id"])).http_status == 403
    of_host.endpoint_manager_delete_pause_rule(mine["id"])
    of_host.endpoint_manager_create_pause_rule(rule_for(lab.collection("elsewhere")))
    below = of_host.endpoint_manager_pause_rule_list(filter_endpoint=host.id)
    assert [rule["id"] for rule in below] == [theirs["id"]]


def test_a_new_task_under_a_rule_rests_until_the_rule_goes(lab: Lab, source: Collection, target: Collection) -> None:
    client = lab.client()
    rule_id = client.endpoint_manager_create_pause_rule(rule_for(target, **only("pause_task_transfer_write")))["id"]
    task_id = lab.submit(source, target, ("/a", "/a"))
    document = client.get_task(task_id)
    assert (document["status"], document["is_paused"], document["nice_status"]) == ("ACTIVE", True, "PAUSED")
    info = client.task_pause_info(task_id)
    assert [(rule["DATA_TYPE"], rule["id"]) for rule in info["pause_rules"]] == [("pause_rule_limited", rule_id)]
    assert (info["source_pause_message"], info["destination_pause_message"]) == (None, None)
    assert client.endpoint_manager_task_pause_info(task_id).data == info.data
    assert lab.move(target, source, ("/old", "/old")).status == "SUCCEEDED", "the other direction is free"
    client.endpoint_manager_delete_pause_rule(rule_id)
    assert lab.wait(task_id).status == "SUCCEEDED"
    assert [e["code"] for e in client.task_event_list(task_id)] == [
        "SUCCEEDED",
        "PROGRESS",
        "STARTED",
        "UNPAUSED",
        "PAUSED",
    ]
    assert client.task_pause_info(task_id)["pause_rules"] == []


def test_a_running_task_stops_and_goes_on(lab: Lab, source: Collection, target: Collection) -> None:
    client = lab.client()
    lab.world.faults.add({"collection": "source", "path": "/a", "nice_status": "TIMEOUT"})
    task_id = lab.submit(source, target, ("/a", "/a"))
    lab.faulting(task_id, "TIMEOUT")
    rule_id = client.endpoint_manager_create_pause_rule(rule_for(source))["id"]
    assert client.get_task(task_id)["nice_status"] == "PAUSED"
    lab.world.faults.clear()
    # A word of its own keeps it paused when the rule goes, and so does the rule when the word goes.
    client.endpoint_manager_pause_tasks([task_id], "and me")
    client.endpoint_manager_update_pause_rule(rule_id, only())
    document = client.get_task(task_id)
    assert (document["is_paused"], document["nice_status"]) == (True, "PAUSED")
    assert "UNPAUSED" not in [event["code"] for event in client.task_event_list(task_id)]
    client.endpoint_manager_update_pause_rule(rule_id, only("pause_task_transfer_read"))
    client.endpoint_manager_resume_tasks([task_id])
    document = client.get_task(task_id)
    assert (document["is_paused"], document["nice_status"]) == (True, "PAUSED")
    client.endpoint_manager_update_pause_rule(rule_id, only("pause_task_delete"))
    lab.world.clock.advance(lab.world.settings.fault_retry_seconds + 1)
    assert lab.wait(task_id).status == "SUCCEEDED"


def test_delete_tasks_have_a_flag_of_their_own(lab: Lab, target: Collection) -> None:
    client = lab.client()
    client.endpoint_manager_create_pause_rule(rule_for(target, **only("pause_task_delete")))
    data = DeleteData(endpoint=target.id)
    data.add_item("/old")
    task_id = client.submit_delete(data)["task_id"]
    assert client.get_task(task_id)["is_paused"]
    assert client.cancel_task(task_id)["code"] == "Canceled"


def test_a_rule_for_one_identity_leaves_others_alone(
    lab: Lab, bob: Client, source: Collection, target: Collection
) -> None:
    mine, theirs = lab.client(), lab.client(of=bob)
    mine.endpoint_manager_create_pause_rule(rule_for(target, identity_id=bob.id))
    assert lab.move(source, target, ("/a", "/mine")).status == "SUCCEEDED"
    task_id = lab.submit(source, target, ("/a", "/theirs"), client=theirs)
    assert theirs.get_task(task_id)["is_paused"]
    assert len(list(theirs.my_effective_pause_rule_list(target.id))) == 1
    assert list(mine.my_effective_pause_rule_list(target.id)) == []
    mine.operation_ls(target.id)


def test_a_rule_on_the_endpoint_holds_for_all_below(lab: Lab, bob: Client, refused: Any) -> None:
    host = lab.collection("host", {"a": b"1"})
    guest = lab.sandbox.add_collection("guest", kind="guest", host=host, base_path="/")
    assert host.host is not None
    client = lab.client()
    client.endpoint_manager_create_pause_rule(rule_for(host.host))
    assert client.get_task(lab.submit(guest, guest, ("/a", "/b")))["is_paused"]
    assert refused(lambda: client.operation_ls(guest.id)).code == "OperationPaused"


def test_a_rule_begins_at_its_time(lab: Lab, source: Collection, target: Collection) -> None:
    client = lab.client()
    lab.world.transfer.hold()
    task_id = lab.submit(source, target, ("/a", "/a"))
    begin = lab.world.clock.now() + timedelta(hours=1)
    made = client.endpoint_manager_create_pause_rule(rule_for(target, start_time=begin.isoformat()))
    assert datetime.fromisoformat(made["start_time"]) == begin.replace(microsecond=0).astimezone(UTC)
    assert not client.get_task(task_id)["is_paused"]
    assert client.task_pause_info(task_id)["pause_rules"] == []
    client.operation_ls(target.id)
    lab.world.clock.advance(3601)
    lab.until(task_id, lambda task: task.paused)
    assert [rule["id"] for rule in client.task_pause_info(task_id)["pause_rules"]] == [made["id"]]


def test_file_operations_under_a_rule_are_refused(lab: Lab, target: Collection, refused: Any) -> None:
    client = lab.client()
    operations: dict[str, Any] = {
        "pause_ls": lambda: client.operation_ls(target.id),
        "pause_mkdir": lambda: client.operation_mkdir(target.id, "/new"),
        "pause_rename": lambda: client.operation_rename(target.id, "/old", "/moved"),
    }
    rule_id = client.endpoint_manager_create_pause_rule(rule_for(target))["id"]
    for flag, operation in operations.items():
        client.endpoint_manager_update_pause_rule(rule_id, only(flag))
        error = refused(operation)
        assert (error.http_status, error.code) == (409, "OperationPaused")
        assert "maintenance" in error.message
        client.endpoint_manager_update_pause_rule(rule_id, only(*(set(FLAGS) - {flag})))
        operation()


def test_a_reset_forgets_rules(lab: Lab, target: Collection) -> None:
    lab.client().endpoint_manager_create_pause_rule(rule_for(target))
    lab.sandbox.reset()
    assert lab.world.transfer.pause_rules.all() == []
