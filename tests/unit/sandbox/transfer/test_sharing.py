"""Guest collections, access rules, roles; endpoints and their search; the endpoint manager."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from globus_sdk import TransferClient

    from airflow_provider_globus.sandbox.auth.models import Client
    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from tests.unit.sandbox.transfer.conftest import Lab


@pytest.fixture
def host(lab: Lab) -> Collection:
    return lab.collection(
        "host", {"share/open/f": b"1", "share/open/deep/g": b"2", "share/closed/h": b"3", "top": b"4"}
    )


@pytest.fixture
def guest(lab: Lab, host: Collection) -> Collection:
    return lab.sandbox.add_collection("guest", kind="guest", host=host, base_path="/share")


@pytest.fixture
def bob(lab: Lab) -> Client:
    return lab.sandbox.add_client("bob")


def rule(principal: str, path: str, permissions: str = "r", **more: Any) -> dict[str, Any]:
    return {
        "DATA_TYPE": "access", "principal_type": "identity", "principal": principal, "path": path,
        "permissions": permissions, **more,
    }  # fmt: skip


def reach(client: TransferClient, collection: Collection, path: str) -> str:
    from globus_sdk import TransferAPIError

    try:
        client.operation_ls(collection.id, path=path)
    except TransferAPIError as error:
        return str(error.code)
    return "ok"


def test_a_guest_collection_shows_its_folder_and_needs_no_consent(lab: Lab, guest: Collection) -> None:
    client = lab.client(consent=False)
    assert {entry["name"] for entry in client.operation_ls(guest.id, path="/")} == {"open", "closed"}
    assert reach(client, guest, "/../") == "InvalidPath"
    document = client.get_endpoint(guest.id)
    assert (document["entity_type"], document["host_path"]) == ("GCSv5_guest_collection", "/share")
    assert document["acl_available"] is True
    assert document["host_endpoint_id"] == document["mapped_collection_id"] == guest.host.id  # type: ignore[union-attr]


def test_rules_open_folders(lab: Lab, guest: Collection, bob: Client) -> None:
    owner, other = lab.client(), lab.client(of=bob)
    assert reach(other, guest, "/open/") == "PermissionDenied"
    answer = owner.add_endpoint_acl_rule(guest.id, rule(bob.id, "/open/"))
    assert (answer["DATA_TYPE"], answer["code"]) == ("access_create_result", "Created")
    assert [reach(other, guest, path) for path in ("/open/", "/open/deep", "/closed", "/", "/opening")] == [
        "ok", "ok", "PermissionDenied", "PermissionDenied", "PermissionDenied",
    ]  # fmt: skip
    found = owner.get_endpoint_acl_rule(guest.id, answer["access_id"])
    assert (found["path"], found["permissions"], found["principal"]) == ("/open/", "r", bob.id)
    assert len(list(owner.endpoint_acl_list(guest.id))) == 2
    owner.update_endpoint_acl_rule(guest.id, answer["access_id"], {"permissions": "rw"})
    assert other.operation_mkdir(guest.id, "/open/new")["code"] == "DirectoryCreated"
    owner.delete_endpoint_acl_rule(guest.id, answer["access_id"])
    assert reach(other, guest, "/open/") == "PermissionDenied"


def test_the_longest_rule_counts(lab: Lab, guest: Collection, bob: Client, refused: Any) -> None:
    owner, other = lab.client(), lab.client(of=bob)
    owner.add_endpoint_acl_rule(guest.id, rule(bob.id, "/open/", "r"))
    owner.add_endpoint_acl_rule(guest.id, rule(bob.id, "/", "rw"))
    assert other.operation_mkdir(guest.id, "/closed/new")["code"] == "DirectoryCreated"
    assert refused(lambda: other.operation_mkdir(guest.id, "/open/new")).code == "PermissionDenied"


@pytest.mark.parametrize("kind", ["all_authenticated_users", "anonymous", "group"])
def test_rules_for_many(lab: Lab, guest: Collection, bob: Client, kind: str) -> None:
    group = lab.sandbox.add_group("readers", members=[bob.id]).id
    principal = group if kind == "group" else ""
    lab.client().add_endpoint_acl_rule(guest.id, rule(principal, "/open/", principal_type=kind))
    assert reach(lab.client(of=bob), guest, "/open/") == "ok"
    stranger = reach(lab.client(of=lab.sandbox.add_client("eve")), guest, "/open/")
    assert stranger == ("PermissionDenied" if kind == "group" else "ok")


def test_rules_expire(lab: Lab, guest: Collection, bob: Client) -> None:
    from airflow_provider_globus.sandbox.transfer.documents import iso

    until = iso(lab.sandbox.clock.time() + 100)
    lab.client().add_endpoint_acl_rule(guest.id, rule(bob.id, "/open/", expiration_date=until))
    assert reach(lab.client(of=bob), guest, "/open/") == "ok"
    lab.sandbox.clock.advance(101)
    assert reach(lab.client(of=bob), guest, "/open/") == "PermissionDenied"


def test_wrong_rules_are_refused(lab: Lab, host: Collection, guest: Collection, bob: Client, refused: Any) -> None:
    client = lab.client()
    for wrong in (
        rule(bob.id, "/open"),
        rule(bob.id, "open/"),
        rule(bob.id, "/../"),
        rule("bob", "/open/"),
        rule(bob.id, "/open/", "w"),
        rule(bob.id, "/open/", principal_type="robot"),
        rule(bob.id, "/open/", principal_type="all_authenticated_users"),
        rule(bob.id, "/open/", expiration_date="2001-01-01"),
    ):
        assert refused(lambda wrong=wrong: client.add_endpoint_acl_rule(guest.id, wrong)).http_status == 400
    client.add_endpoint_acl_rule(guest.id, rule(bob.id, "/open/"))
    twice = refused(lambda: client.add_endpoint_acl_rule(guest.id, rule(bob.id, "/open/", "rw")))
    assert (twice.http_status, twice.code) == (409, "Exists")
    assert refused(lambda: client.add_endpoint_acl_rule(host.id, rule(bob.id, "/open/"))).http_status == 400
    stranger = lab.client(of=bob)
    assert refused(lambda: stranger.add_endpoint_acl_rule(guest.id, rule(bob.id, "/"))).code == "PermissionDenied"
    assert refused(lambda: client.get_endpoint_acl_rule(guest.id, "none")).http_status == 404


def test_tasks_obey_the_rules_of_guests(lab: Lab, guest: Collection, bob: Client) -> None:
    target = lab.collection("target", kind="mapped")
    client = lab.client(of=bob)
    lab.faulting(lab.submit(guest, target, ("/open/f", "/f"), client=client), "PERMISSION_DENIED")
    lab.world.transfer.add_rule(guest, path="/open", principal=bob.id)
    assert lab.wait(lab.submit(guest, target, ("/open", "/open"), client=client)).files_transferred == 2
    lab.faulting(lab.submit(target, guest, ("/open/f", "/open/x"), client=client), "PERMISSION_DENIED")


def test_roles(lab: Lab, bob: Client, refused: Any) -> None:
    laptop = lab.collection("laptop", {"open/f": b"1"}, kind="personal")
    guest = lab.sandbox.add_collection("guest", kind="guest", host=laptop)
    owner, other = lab.client(), lab.client(of=bob)
    given = owner.add_endpoint_role(
        guest.id, {"DATA_TYPE": "role", "principal_type": "identity", "principal": bob.id, "role": "access_manager"}
    )
    assert owner.get_endpoint_role(guest.id, given["id"])["role"] == "access_manager"
    assert other.get_endpoint(guest.id)["my_effective_roles"] == ["access_manager"]
    assert other.add_endpoint_acl_rule(guest.id, rule(bob.id, "/open/"))["code"] == "Created"
    assert refused(lambda: other.endpoint_role_list(guest.id)).code == "PermissionDenied"
    assert refused(lambda: other.update_endpoint(guest.id, {"display_name": "mine"})).code == "PermissionDenied"
    assert len(list(owner.endpoint_role_list(guest.id))) == 2
    assert owner.delete_endpoint_role(guest.id, given["id"])["code"] == "Deleted"
    assert refused(lambda: owner.get_endpoint_role(guest.id, given["id"])).http_status == 404
    for wrong in ({"role": "king"}, {"principal": "bob"}, {"principal_type": "robot"}):
        role = {"principal_type": "identity", "principal": bob.id, "role": "administrator", **wrong}
        assert refused(lambda role=role: owner.add_endpoint_role(guest.id, role)).http_status == 400


def test_roles_stand_for_others(lab: Lab, guest: Collection, bob: Client) -> None:
    assert lab.client().get_endpoint(guest.id)["my_effective_roles"] == [
        "administrator", "access_manager", "activity_manager", "activity_monitor",
    ]  # fmt: skip
    assert lab.client(of=bob).get_endpoint(guest.id)["my_effective_roles"] == []
    lab.world.transfer.add_role(guest, "activity_manager", bob.id)
    assert lab.client(of=bob).get_endpoint(guest.id)["my_effective_roles"] == ["activity_manager", "activity_monitor"]


def test_endpoints(lab: Lab, host: Collection, refused: Any) -> None:
    from airflow_provider_globus.sandbox.transfer.state import ENDPOINT_ID

    client = lab.client()
    document = client.get_endpoint(host.id)
    assert (document["entity_type"], document["high_assurance"]) == ("GCSv5_mapped_collection", False)
    assert document["my_effective_roles"] == ["administrator", "activity_manager", "activity_monitor"]
    assert client.get_endpoint(ENDPOINT_ID)["entity_type"] == "GCSv5_endpoint"
    laptop = lab.collection("laptop", kind="personal")
    changes = {"display_name": "Renamed", "description": "old data"}
    assert client.update_endpoint(laptop.id, changes)["code"] == "Updated"
    assert client.get_endpoint(laptop.id)["description"] == "old data"
    assert [item["id"] for item in client.endpoint_search("renamed")] == [laptop.id]
    for wrong in ({"display_name": ""}, {"display_name": 5}, {"owner_id": "x"}, {"public": "yes"}):
        assert refused(lambda wrong=wrong: client.update_endpoint(laptop.id, wrong)).http_status == 400
    assert client.delete_endpoint(laptop.id)["code"] == "Deleted"
    assert refused(lambda: client.get_endpoint(laptop.id)).code == "EndpointDeleted"
    assert refused(lambda: client.operation_ls(laptop.id)).code == "EndpointDeleted"


def test_search(lab: Lab, host: Collection, guest: Collection, bob: Client, refused: Any) -> None:
    laptop = lab.collection("Bob's laptop", kind="personal", owner=bob.id, public=False)
    for number in range(12):
        lab.collection(f"many {number:02}")
    mine, theirs = lab.client(), lab.client(of=bob)

    def found(client: TransferClient, text: str | None = None, **filters: Any) -> list[str]:
        options = {**filters, **({"filter_fulltext": text} if text else {})}
        return [item["id"] for item in client.endpoint_search(**options)]

    assert found(mine, "host") == [host.id]
    assert found(mine, "many", limit=5, offset=10) == [
        lab.world.transfer.find(f"many {number:02}").id for number in (10, 11)
    ]
    page = mine.endpoint_search("many", limit=5)
    assert (page["has_next_page"], page["DATA_TYPE"]) == (True, "endpoint_list")
    assert len(list(mine.paginated.endpoint_search("many").items())) == 12
    assert found(mine, "laptop") == []
    assert found(theirs, "laptop") == found(theirs, filter_scope="my-endpoints") == [laptop.id]
    assert found(theirs, filter_scope="my-gcp-endpoints") == [laptop.id]
    assert found(mine, filter_scope="shared-by-me") == [guest.id]
    assert found(theirs, filter_scope="shared-with-me") == []
    lab.world.transfer.add_rule(guest, path="/", principal=bob.id)
    assert found(theirs, filter_scope="shared-with-me") == [guest.id]
    assert found(theirs, filter_scope="recently-used") == []
    theirs.operation_ls(guest.id)
    theirs.operation_ls(laptop.id)
    assert found(theirs, filter_scope="recently-used") == [laptop.id, guest.id]
    assert found(mine, "guest", filter_entity_type="GCSv5_mapped_collection") == []
    assert found(mine, filter_host_endpoint=host.id) == [guest.id]
    assert found(theirs, filter_scope="administered-by-me") == [laptop.id]
    assert refused(lambda: mine.endpoint_search()).http_status == 400
    assert refused(lambda: mine.endpoint_search(filter_scope="everything")).http_status == 400


def test_the_endpoint_manager_sees_and_stops_other_peoples_tasks(lab: Lab, bob: Client, refused: Any) -> None:
    source, target = lab.collection("source", {"a": b"1"}), lab.collection("target")
    manager, user = lab.client(), lab.client(of=bob)
    lab.world.transfer.hold()
    ids = [lab.submit(source, target, ("/a", f"/{number}"), client=user) for number in range(3)]
    listed = manager.endpoint_manager_task_list(filter_status="ACTIVE")
    assert {task["task_id"] for task in listed} == set(ids)
    assert {task["owner_id"] for task in listed} == {bob.id}
    one_by_one: dict[str, Any] = {"filter_endpoint": target.id, "query_params": {"limit": 1}}
    assert len(list(manager.paginated.endpoint_manager_task_list(**one_by_one).items())) == 3
    assert len(list(manager.endpoint_manager_task_list(filter_task_id=ids[:2]))) == 2
    assert manager.endpoint_manager_get_task(ids[0])["owner_string"] == bob.username
    assert refused(lambda: manager.endpoint_manager_task_list()).http_status == 400
    assert refused(lambda: user.endpoint_manager_get_task(ids[0])).code == "PermissionDenied"
    assert refused(lambda: user.endpoint_manager_task_list(filter_endpoint=target.id)).code == "PermissionDenied"
    assert refused(lambda: user.endpoint_manager_cancel_tasks(ids, "no")).code == "PermissionDenied"

    canceled = manager.endpoint_manager_cancel_tasks([ids[0]], "maintenance")
    assert manager.endpoint_manager_cancel_status(canceled["id"])["done"] is True
    document = user.get_task(ids[0])
    assert (document["status"], document["fatal_error"]["code"]) == ("FAILED", "CANCELED")
    assert (document["canceled_by_admin"], document["canceled_by_admin_message"]) == ("BOTH", "maintenance")

    manager.endpoint_manager_pause_tasks(ids[1:2], "wait a bit")
    document = user.get_task(ids[1])
    assert (document["is_paused"], document["nice_status"], document["status"]) == (True, "PAUSED", "ACTIVE")
    assert user.task_pause_info(ids[1])["source_pause_message"] == "wait a bit"
    lab.world.transfer.release()
    assert lab.wait(ids[2]).status == "SUCCEEDED"
    assert user.get_task(ids[1])["status"] == "ACTIVE"
    assert next(event["code"] for event in manager.endpoint_manager_task_event_list(ids[2])) == "SUCCEEDED"
    assert next(iter(manager.endpoint_manager_task_successful_transfers(ids[2])))["source_path"] == "/a"
    manager.endpoint_manager_resume_tasks(ids[1:2])
    assert lab.wait(ids[1]).status == "SUCCEEDED"
    codes = [event["code"] for event in user.task_event_list(ids[1])]
    assert codes == ["SUCCEEDED", "PROGRESS", "UNPAUSED", "PAUSED", "STARTED"]


def test_monitors_look_and_do_not_touch(lab: Lab, bob: Client, refused: Any) -> None:
    source, target = lab.collection("source", {"a": b"1"}), lab.collection("target")
    lab.world.transfer.add_role(target, "activity_monitor", bob.id)
    lab.world.transfer.hold()
    task_id = lab.submit(source, target, ("/a", "/a"))
    monitor = lab.client(of=bob)
    assert monitor.endpoint_manager_get_task(task_id)["status"] == "ACTIVE"
    assert [item["id"] for item in monitor.endpoint_manager_monitored_endpoints()] == [target.id]
    assert refused(lambda: monitor.endpoint_manager_pause_tasks([task_id], "x")).code == "PermissionDenied"
    assert refused(lambda: monitor.get_task(task_id)).http_status == 404
