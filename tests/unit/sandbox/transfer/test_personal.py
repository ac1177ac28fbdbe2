"""Globus Connect Personal: collections that are registered, set up, shared, put under a subscription and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox.auth.models import Client
    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from tests.unit.sandbox.transfer.conftest import Lab


@pytest.fixture
def laptop(lab: Lab) -> Collection:
    return lab.collection("laptop", {"out/a": b"1", "out/deep/b": b"2", "private/c": b"3"}, kind="personal")


@pytest.fixture
def bob(lab: Lab) -> Client:
    return lab.sandbox.add_client("bob")


def register(lab: Lab, **more: Any) -> Any:
    document = {"DATA_TYPE": "endpoint", "is_globus_connect": True, "display_name": "Laptop", **more}
    return lab.client().post("/v0.10/endpoint", data=document)


def share(lab: Lab, host: Collection, path: str = "/out/", **more: Any) -> str:
    document = {"host_endpoint": host.id, "host_path": path, "display_name": "Shared", **more}
    return str(lab.client().create_shared_endpoint(document)["id"])


def test_a_laptop_is_registered_and_set_up(lab: Lab, tmp_path: Path, refused: Any) -> None:
    client, made = lab.client(), register(lab, description="mine", public=False)
    shown = client.get_endpoint(made["id"])
    assert (shown["gcp_connected"], shown["public"], shown["description"]) == (False, False, "mine")
    assert shown["globus_connect_setup_key"] == made["globus_connect_setup_key"]
    other = lab.client(of=lab.sandbox.add_client("other"))
    assert other.get_endpoint(made["id"])["globus_connect_setup_key"] is None
    assert refused(lambda: client.operation_ls(made["id"])).code == "ExternalError.DirListingFailed.GCDisconnected"
    target = lab.collection("target", kind="personal")
    waiting = lab.submit(lab.world.transfer.collections[made["id"]], target, ("/a", "/a"))
    lab.faulting(waiting, "GC_NOT_CONNECTED")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "a").write_bytes(b"1")
    lab.world.transfer.set_up(made["globus_connect_setup_key"], tmp_path / "home")
    lab.sandbox.clock.advance(60)
    assert lab.wait(waiting).status == "SUCCEEDED"
    shown = client.get_endpoint(made["id"])
    assert (shown["gcp_connected"], shown["globus_connect_setup_key"]) == (True, None)
    assert [entry["name"] for entry in client.operation_ls(made["id"])] == ["a"]
    with pytest.raises(ValueError, match="setup key"):
        lab.world.transfer.set_up(made["globus_connect_setup_key"], tmp_path / "home")


@pytest.mark.parametrize(
    "wrong", [{"is_globus_connect": False}, {"display_name": ""}, {"display_name": None}, {"public": 1}, {"owner": "x"}]
)
def test_wrong_laptops_are_refused(lab: Lab, refused: Any, wrong: dict[str, Any]) -> None:
    assert refused(lambda: register(lab, **wrong)).http_status == 400
    assert list(lab.client().endpoint_search(filter_scope="my-gcp-endpoints")) == []


def test_a_folder_of_a_laptop_is_shared(lab: Lab, laptop: Collection, bob: Client, refused: Any) -> None:
    client, other = lab.client(), lab.client(of=bob)
    guest = share(lab, laptop)
    shown = client.get_endpoint(guest)
    assert (shown["entity_type"], shown["host_endpoint_id"]) == ("GCP_guest_collection", laptop.id)
    assert (shown["host_path"], shown["sharing_target_root_path"]) == ("/out/", "/out/")
    assert (shown["mapped_collection_id"], shown["gcs_manager_url"], shown["gcp_connected"]) == (None, None, True)
    assert shown["owner_id"] == lab.sandbox.client_id
    assert refused(lambda: other.operation_ls(guest, "/")).code == "PermissionDenied"
    lab.world.transfer.add_rule(guest, path="/", principal=bob.id)
    assert [entry["name"] for entry in other.operation_ls(guest, "/")] == ["deep", "a"]
    assert refused(lambda: other.operation_ls(guest, "/../private")).code == "InvalidPath"
    target = lab.collection("target", kind="personal", owner=bob.id)
    moved = lab.move(lab.world.transfer.collections[guest], target, ("/deep/", "/deep/"), client=other)
    assert (moved.status, lab.tree(target)) == ("SUCCEEDED", {"deep/b": b"2"})
    assert [item["id"] for item in client.my_shared_endpoint_list(laptop.id)] == [guest]
    assert list(other.my_shared_endpoint_list(laptop.id)) == []


def test_managers_see_what_a_share_is_on(lab: Lab, laptop: Collection) -> None:
    shares = [lab.world.transfer.collections[share(lab, laptop)]]
    host = lab.collection("host", {"a": b"1"})
    shares.append(lab.sandbox.add_collection("guest", kind="guest", host=host))
    lab.world.transfer.hold()
    shown = lab.client().endpoint_manager_get_task(lab.submit(shares[0], shares[1], ("/a", "/b")))
    assert (shown["source_host_endpoint_id"], shown["source_mapped_collection_id"]) == (laptop.id, None)
    assert (shown["destination_host_endpoint_id"], shown["destination_mapped_collection_id"]) == (None, host.id)
    assert (shown["source_host_path"], shown["destination_host_path"]) == ("/out", "/")


def test_what_is_shared_is_gone_while_the_laptop_is_off(lab: Lab, laptop: Collection, refused: Any) -> None:
    guest = share(lab, laptop)
    laptop.connected = False
    code = refused(lambda: lab.client().operation_ls(guest, "/")).code
    assert code == "ExternalError.DirListingFailed.GCDisconnected"
    assert lab.client().get_endpoint(guest)["gcp_connected"] is False
    assert refused(lambda: share(lab, laptop)).http_status == 400


def test_wrong_shares_are_refused(lab: Lab, laptop: Collection, bob: Client, refused: Any) -> None:
    mapped = lab.collection("mapped", {"out/a": b"1"})
    guest = lab.world.transfer.collections[share(lab, laptop)]
    for host, path, more, status in (
        (mapped, "/out/", {}, 409),
        (guest, "/", {}, 409),
        (laptop, "/none/", {}, 400),
        (laptop, "/../", {}, 400),
        (laptop, "", {}, 400),
        (laptop, "/out/", {"display_name": ""}, 400),
        (laptop, "/out/", {"color": "red"}, 400),
    ):
        assert refused(lambda h=host, p=path, m=more: share(lab, h, p, **m)).http_status == status
    theirs = lab.client(of=bob)
    document = {"host_endpoint": laptop.id, "host_path": "/out/", "display_name": "mine"}
    assert refused(lambda: theirs.create_shared_endpoint(document)).code == "PermissionDenied"
    assert refused(lambda: theirs.get_shared_endpoint_list(laptop.id)).code == "PermissionDenied"


def test_the_sandbox_adds_shares_of_laptops(lab: Lab, laptop: Collection) -> None:
    guest = lab.sandbox.add_collection("share", kind="guest", host=laptop, base_path="/out/deep")
    assert (guest.entity_type, guest.mapped) == ("GCP_guest_collection", None)
    assert [entry["name"] for entry in lab.client(consent=False).operation_ls(guest.id, "/")] == ["b"]


def test_a_deleted_laptop_takes_its_shares_along(lab: Lab, laptop: Collection, refused: Any) -> None:
    guest, client = share(lab, laptop), lab.client()
    client.delete_endpoint(laptop.id)
    for gone in (guest, laptop.id):
        error = refused(lambda gone=gone: client.operation_ls(gone))
        assert (error.http_status, error.code) == (404, "EndpointDeleted")
        assert error.message == f"Endpoint '{gone}' has been deleted"
    assert lab.tree(laptop)["out/a"] == b"1"


def test_a_reset_brings_deleted_collections_back(tmp_path: Path) -> None:
    world = World()
    state = world.transfer
    kept, gone = (state.add_collection(name, tmp_path, kind="personal") for name in ("kept", "gone"))
    state.remove_collection(gone)
    world.mark()
    state.remove_collection(kept)
    world.reset()
    assert state.collection(kept.id) is kept
    with pytest.raises(ServiceError) as refused:
        state.collection(gone.id)
    assert refused.value.code == "EndpointDeleted"
    world.close()


# Connect Server's are read only here


def test_connect_server_manages_its_own(lab: Lab, refused: Any) -> None:
    mapped = lab.collection("mapped", {"out/a": b"1"})
    guest = lab.sandbox.add_collection("guest", kind="guest", host=mapped, base_path="/out")
    mapped.policy["delete_protected"] = False
    client = lab.client()
    for place in (mapped.id, guest.id, lab.world.transfer.endpoint.id):
        for call in (
            client.delete_endpoint,
            lambda key: client.update_endpoint(key, {"display_name": "x"}),
            lambda key: client.add_endpoint_role(key, {}),
            lambda key: client.delete_endpoint_role(key, "none"),
        ):
            error = refused(lambda call=call, place=place: call(place))
            assert (error.http_status, error.code) == (409, "Conflict")
            assert "Manager API" in error.message
    assert mapped.name == "mapped"
    assert len(list(client.endpoint_role_list(guest.id))) == 1


# Subscriptions


def subscription(lab: Lab, *, admins: Any = (), managers: Any = (), members: Any = (), **more: Any) -> str:
    made = lab.world.new_id()
    somebody = [lab.sandbox.add_client("boss").id]
    subscription = {"id": made, **more}
    lab.sandbox.add_group(
        "Subscribers", admins=admins or somebody, managers=managers, members=members, subscription=subscription
    )
    return made


def test_a_laptop_is_put_under_a_subscription(lab: Lab, laptop: Collection, bob: Client, refused: Any) -> None:
    client, me = lab.client(), lab.sandbox.client_id
    mine, theirs = subscription(lab, members=[me]), subscription(lab, members=[bob.id])
    guest = share(lab, laptop)
    assert refused(lambda: client.set_subscription_id(laptop.id, theirs)).code == "PermissionDenied"
    assert refused(lambda: client.set_subscription_id(guest, mine)).http_status == 409
    client.set_subscription_id(laptop.id, "DEFAULT")
    shown = [client.get_endpoint(place)["subscription_id"] for place in (laptop.id, guest)]
    assert shown == [mine, mine]
    client.update_endpoint(laptop.id, {"subscription_id": None})
    assert client.get_endpoint(laptop.id)["subscription_id"] is None
    assert client.get_endpoint(register(lab, subscription_id=mine)["id"])["subscription_id"] == mine


def test_managers_of_a_subscription_take_laptops_in_and_out(
    lab: Lab, laptop: Collection, bob: Client, refused: Any
) -> None:
    theirs, me = lab.client(of=bob), lab.sandbox.client_id
    managed, joined = subscription(lab, managers=[bob.id]), subscription(lab, members=[bob.id, me])
    assert refused(lambda: theirs.set_subscription_id(laptop.id, joined)).code == "PermissionDenied"
    assert refused(lambda: theirs.set_subscription_id(laptop.id, None)).code == "PermissionDenied"
    theirs.set_subscription_id(laptop.id, managed.upper())
    assert laptop.subscription_id == managed
    lab.client().set_subscription_id(laptop.id, joined)
    assert refused(lambda: theirs.set_subscription_id(laptop.id, managed)).code == "PermissionDenied"


def test_the_default_needs_one_subscription(lab: Lab, laptop: Collection, refused: Any) -> None:
    client, me = lab.client(), lab.sandbox.client_id
    assert refused(lambda: client.set_subscription_id(laptop.id, "DEFAULT")).http_status == 403
    both = [subscription(lab, members=[me]), subscription(lab, members=[me])]
    error = refused(lambda: client.set_subscription_id(laptop.id, "DEFAULT"))
    assert (error.http_status, error.code) == (400, "BadRequest")
    assert error.message.endswith(f"You currently have access to: {', '.join(both)}")


def test_admins_verify_and_owners_take_it_back(lab: Lab, laptop: Collection, bob: Client, refused: Any) -> None:
    client, theirs = lab.client(), lab.client(of=bob)
    made = subscription(lab, admins=[bob.id], members=[lab.sandbox.client_id])
    assert refused(lambda: theirs.set_subscription_admin_verified(laptop.id, True)).http_status == 400
    client.set_subscription_id(laptop.id, made)
    assert refused(lambda: client.set_subscription_admin_verified(laptop.id, True)).http_status == 403
    assert refused(lambda: client.update_endpoint(laptop.id, {"subscription_admin_verified": True})).http_status == 403
    theirs.set_subscription_admin_verified(laptop.id, True)
    assert client.get_endpoint(laptop.id)["subscription_admin_verified"] is True
    for wrong in ("yes", None, 1):
        assert refused(lambda w=wrong: theirs.set_subscription_admin_verified(laptop.id, w)).http_status == 400
    client.set_subscription_admin_verified(laptop.id, False)
    assert client.get_endpoint(laptop.id)["subscription_admin_verified"] is False
    theirs.set_subscription_admin_verified(laptop.id, True)
    client.set_subscription_id(laptop.id, None)
    assert client.get_endpoint(laptop.id)["subscription_admin_verified"] is False


def test_a_high_assurance_subscription_wants_a_fresh_login(lab: Lab, laptop: Collection, refused: Any) -> None:
    client = lab.client()
    client.set_subscription_id(laptop.id, subscription(lab, admins=[lab.sandbox.client_id], is_high_assurance=True))
    client.set_subscription_admin_verified(laptop.id, True)
    lab.sandbox.clock.advance(9 * 3600)
    error = refused(lambda: client.set_subscription_admin_verified(laptop.id, False))
    assert (error.http_status, error.code) == (400, "BadRequest")
    assert laptop.subscription_admin_verified is True


# Servers


def test_servers(lab: Lab, laptop: Collection, refused: Any) -> None:
    client = lab.client()
    (server,) = client.endpoint_server_list(lab.world.transfer.endpoint.id)
    assert (server["hostname"], server["port"], server["is_connected"]) == ("127.0.0.1", 2811, True)
    (mine,) = client.endpoint_server_list(laptop.id)
    assert (mine["hostname"], mine["uri"]) == (None, None)
    assert client.get_endpoint_server(laptop.id, mine["id"]).data == mine
    assert list(client.endpoint_server_list(lab.collection("mapped").id)) == []
    assert refused(lambda: client.get_endpoint_server(laptop.id, server["id"])).http_status == 404
