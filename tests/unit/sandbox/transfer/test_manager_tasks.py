"""What endpoint managers see of other people's tasks, and what they may do to them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from globus_sdk import TransferClient

    from airflow_provider_globus.sandbox.auth.models import Client
    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from tests.unit.sandbox.transfer.conftest import Lab


@pytest.fixture
def bob(lab: Lab) -> Client:
    return lab.world.auth.add_client("bob")


@pytest.fixture
def carol(lab: Lab) -> Client:
    return lab.world.auth.add_client("carol")


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


def ids(answer: Any) -> list[str]:
    return [task["task_id"] for task in answer]


@pytest.fixture
def source(lab: Lab) -> Collection:
    return lab.collection("source", {"a": b"12345", "b": b"1"})


@pytest.fixture
def target(lab: Lab) -> Collection:
    return lab.collection("target")


@pytest.mark.parametrize("role", ["activity_monitor", "activity_manager", "administrator"])
@pytest.mark.parametrize("place", ["collection", "host", "endpoint", "group"])
def test_a_role_counts_on_the_collection_and_above_it(
    lab: Lab, bob: Client, carol: Client, refused: Any, role: str, place: str
) -> None:
    host = lab.collection("host", {"a": b"1"})
    guest = lab.sandbox.add_collection("guest", kind="guest", host=host, base_path="/")
    lab.world.transfer.hold()
    task_id = lab.submit(guest, guest, ("/a", "/b"))
    manager, stranger = lab.client(of=bob), lab.client(of=carol)
    assert refused(lambda: manager.endpoint_manager_get_task(task_id)).http_status == 403
    assert host.host is not None
    on = {"collection": guest, "host": host, "endpoint": host.host, "group": guest}[place]
    lab.world.transfer.add_role(on, role, bob.id)
    if place == "group":
        group = lab.sandbox.add_group("managers", members=[bob.id]).id
        (given,) = on.roles.values()
        on.roles[given.id] = type(given)(given.id, "group", group, role)
    assert manager.endpoint_manager_get_task(task_id)["status"] == "ACTIVE"
    assert ids(manager.endpoint_manager_task_list(filter_endpoint=guest.id)) == [task_id]
    for other in (
        lambda: stranger.endpoint_manager_get_task(task_id),
        lambda: stranger.endpoint_manager_task_list(filter_status="ACTIVE"),
        lambda: stranger.endpoint_manager_task_list(filter_endpoint=guest.id),
        lambda: stranger.endpoint_manager_monitored_endpoints(),
        lambda: stranger.endpoint_manager_get_endpoint(guest.id),
        lambda: stranger.endpoint_manager_acl_list(guest.id),
        lambda: stranger.endpoint_manager_hosted_endpoint_list(host.id),
        lambda: stranger.endpoint_manager_task_event_list(task_id),
        lambda: stranger.endpoint_manager_task_pause_info(task_id),
        lambda: stranger.endpoint_manager_task_successful_transfers(task_id),
        lambda: stranger.endpoint_manager_task_skipped_errors(task_id),
        lambda: stranger.endpoint_manager_resume_tasks([task_id]),
    ):
        error = refused(other)
        assert (error.http_status, error.code) == (403, "PermissionDenied")


def test_a_role_elsewhere_is_none_here(lab: Lab, bob: Client, source: Collection, target: Collection) -> None:
    other = lab.collection("other")
    lab.world.transfer.hold()
    mine = lab.submit(source, target, ("/a", "/a"))
    lab.submit(source, other, ("/a", "/a"))
    lab.world.transfer.add_role(target, "activity_monitor", bob.id)
    assert ids(lab.client(of=bob).endpoint_manager_task_list(filter_status="ACTIVE")) == [mine]


def test_endpoints_as_their_manager_sees_them(lab: Lab, bob: Client, refused: Any) -> None:
    host = lab.collection("host")
    guest = lab.sandbox.add_collection("guest", kind="guest", host=host, base_path="/")
    lab.world.transfer.add_rule(guest, path="/", principal=bob.id)
    lab.world.transfer.add_role(host, "activity_monitor", bob.id)
    manager = lab.client(of=bob)
    assert manager.endpoint_manager_get_endpoint(host.id)["in_use"] is None
    hosted = manager.endpoint_manager_hosted_endpoint_list(host.id)
    assert (hosted["DATA_TYPE"], [item["id"] for item in hosted]) == ("endpoint_list", [guest.id])
    conflict = refused(lambda: manager.endpoint_manager_hosted_endpoint_list(guest.id))
    assert (conflict.http_status, conflict.code) == (409, "Conflict")
    rules = manager.endpoint_manager_acl_list(guest.id)
    assert rules["DATA_TYPE"] == "access_list"
    assert bob.id in [rule["principal"] for rule in rules]
    assert refused(lambda: manager.endpoint_manager_acl_list(host.id)).http_status == 400
    assert [item["id"] for item in manager.endpoint_manager_monitored_endpoints()] == [host.id, guest.id]


def test_filters(lab: Lab, bob: Client, carol: Client, source: Collection, target: Collection, refused: Any) -> None:
    manager, state = lab.client(), lab.world.transfer
    done = lab.move(source, target, ("/a", "/done"), client=lab.client(of=bob)).id
    state.hold()
    back = lab.submit(target, source, ("/done", "/back"), client=lab.client(of=carol), source_local_user="c")
    faulty = lab.submit(source, target, ("/b", "/b"), client=lab.client(of=bob))
    state.task(faulty).faults = 3
    manager.endpoint_manager_pause_tasks([faulty], "no")

    def listed(**filters: Any) -> set[str]:
        return set(ids(manager.endpoint_manager_task_list(**filters)))

    here: dict[str, Any] = {"filter_endpoint": target.id}
    assert listed(**here) == {done, back, faulty}
    assert listed(**here, filter_endpoint_use="source") == {back}
    assert listed(**here, filter_endpoint_use="destination") == {done, faulty}
    assert listed(**here, filter_status="SUCCEEDED") == {done}
    assert listed(filter_status=["ACTIVE", "INACTIVE"]) == {back, faulty}
    assert listed(**here, filter_owner_id=carol.id) == {back}
    assert listed(filter_status="ACTIVE", filter_is_paused=True) == {faulty}
    assert listed(filter_status="ACTIVE", filter_is_paused=False) == {back}
    assert listed(**here, filter_min_faults=1) == {faulty}
    assert listed(**here, filter_local_user="c") == {back}
    assert listed(filter_endpoint=state.find("source").id, filter_local_user="c") == set()
    assert listed(filter_task_id=[done]) == {done}
    assert target.host is not None
    assert listed(filter_endpoint=target.host.id) == {done, back, faulty}
    ended = state.task(done).completion_time or 0.0
    assert listed(**here, filter_completion_time=(iso(ended - 9), iso(ended + 9))) == {done}
    assert listed(**here, filter_completion_time=("", iso(ended + 9))) == {done}
    assert listed(**here, filter_completion_time=(iso(ended - 9), "")) == {done, back, faulty}
    assert listed(**here, filter_completion_time=(iso(ended + 9), "")) == {back, faulty}
    wrong: list[dict[str, Any]] = [
        {},
        {"filter_owner_id": bob.id},
        {"filter_task_id": [done], "filter_status": "ACTIVE"},
        {"filter_status": "DONE", **here},
        {"filter_is_paused": True, **here},
        {"filter_is_paused": True, "filter_status": "FAILED", **here},
        {"filter_local_user": "c", "filter_status": "ACTIVE"},
        {"filter_completion_time": ",", **here},
        {"last_key": "nonsense", **here},
        {"filter_task_id": [lab.world.new_id() for _ in range(51)]},
        {"query_params": {"filter_endpoint_use": "both"}, **here},
    ]
    for filters in wrong:
        assert refused(lambda given=filters: manager.endpoint_manager_task_list(**given)).http_status == 400, filters
    nobody = refused(lambda: manager.endpoint_manager_task_list(**here, filter_owner_id=lab.world.new_id()))
    assert nobody.code == "UserNotFound"


def test_pages_lose_and_repeat_nothing_while_tasks_of_one_moment_end(
    lab: Lab, source: Collection, target: Collection
) -> None:
    lab.world.clock.freeze()
    ended = {lab.move(source, target, ("/a", f"/{number}")).id for number in range(3)}
    lab.world.transfer.hold()
    running = {lab.submit(source, target, ("/a", f"/{number}")) for number in "xyz"}
    manager = lab.client()
    options: dict[str, Any] = {"filter_endpoint": target.id, "query_params": {"limit": 1}}
    page = manager.endpoint_manager_task_list(**options)
    seen = ids(page)
    assert set(seen) <= running
    manager.cancel_task(seen[0])  # the task at the key has moved: the key must still tell where to go on
    while page["has_next_page"]:
        page = manager.endpoint_manager_task_list(**options, last_key=page["last_key"])
        seen += ids(page)
        assert len(seen) < 10
    assert set(seen) == ended | running
    assert len(set(seen[:-4]) & ended) == 0, "unfinished ones come first"
    assert set(ids(manager.paginated.endpoint_manager_task_list(**options).items())) == ended | running


def owner_of(client: TransferClient, task_id: str) -> Any:
    return client.get_task(task_id)


def test_a_cancel_says_which_side_did_it(
    lab: Lab, bob: Client, carol: Client, source: Collection, target: Collection, refused: Any
) -> None:
    lab.world.transfer.add_role(source, "activity_manager", bob.id)
    lab.world.transfer.hold()
    task_id = lab.submit(source, target, ("/a", "/a"))
    answer = lab.client(of=bob).endpoint_manager_cancel_tasks([task_id, task_id], "too much")
    assert (answer["DATA_TYPE"], answer["done"]) == ("admin_cancel", True)
    document = owner_of(lab.client(), task_id)
    assert (document["canceled_by_admin"], document["canceled_by_admin_message"]) == ("SOURCE", "too much")
    assert refused(lambda: lab.client(of=carol).endpoint_manager_cancel_status(answer["id"])).http_status == 404


def test_who_manages_the_guest_cannot_undo_what_the_host_did(lab: Lab, bob: Client) -> None:
    host = lab.collection("host", {"a": b"1"})
    guest = lab.sandbox.add_collection("guest", kind="guest", host=host, base_path="/")
    lab.world.transfer.add_role(guest, "activity_manager", bob.id)
    of_host, of_guest = lab.client(), lab.client(of=bob)
    lab.world.transfer.hold()
    task_id = lab.submit(guest, guest, ("/a", "/b"))
    of_guest.endpoint_manager_pause_tasks([task_id], "guest says")
    of_host.endpoint_manager_pause_tasks([task_id], "host says")
    info = of_host.task_pause_info(task_id)
    assert (info["DATA_TYPE"], info["pause_rules"]) == ("pause_info_limited", [])
    assert (info["source_pause_message"], info["source_pause_message_share"]) == ("host says", "guest says")
    of_guest.endpoint_manager_resume_tasks([task_id])
    info = of_host.task_pause_info(task_id)
    assert (info["destination_pause_message"], info["destination_pause_message_share"]) == ("host says", None)
    lab.world.transfer.release()
    assert of_host.get_task(task_id)["is_paused"]
    of_host.endpoint_manager_resume_tasks([task_id])
    assert lab.wait(task_id).status == "SUCCEEDED"
