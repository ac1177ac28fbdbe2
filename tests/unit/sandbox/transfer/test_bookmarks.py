"""Bookmarks: whose they are, what they may be, and how long they stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import ClientApp, GlobusAppConfig
from globus_sdk.experimental import TransferClientV2

from airflow_provider_globus.sandbox.world import World

if TYPE_CHECKING:
    from globus_sdk import TransferClient

    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from tests.unit.sandbox.transfer.conftest import Lab


@pytest.fixture
def laptop(lab: Lab) -> Collection:
    return lab.collection("laptop", {"run/a": b"1"}, kind="personal")


@pytest.fixture
def v2(lab: Lab, laptop: Collection) -> TransferClientV2:
    config = GlobusAppConfig(token_storage="memory")
    app = ClientApp(client_id=lab.sandbox.client_id, client_secret=lab.sandbox.client_secret, config=config)
    return TransferClientV2(app=app, base_url=lab.sandbox.url)


def document(laptop: Collection, **more: Any) -> dict[str, Any]:
    return {"name": "run", "endpoint_id": laptop.id, "path": "/run/", **more}


def names(client: TransferClient) -> list[str]:
    return [item["name"] for item in client.bookmark_list()]


def test_bookmarks_are_kept_in_order_and_apart(lab: Lab, laptop: Collection, refused: Any) -> None:
    mine, theirs = lab.client(), lab.client(of=lab.sandbox.add_client("bob"))
    first = mine.create_bookmark(document(laptop))["id"]
    mine.create_bookmark(document(laptop, name="Run", pinned=True))
    theirs.create_bookmark(document(laptop))
    assert (names(mine), names(theirs)) == (["run", "Run"], ["run"])
    assert [item["pinned"] for item in mine.bookmark_list()] == [False, True]
    for call in (theirs.get_bookmark, theirs.delete_bookmark, lambda key: theirs.update_bookmark(key, {"name": "x"})):
        assert refused(lambda call=call: call(first)).code == "BookmarkNotFound"
    assert mine.get_bookmark(first.upper())["path"] == "/run/"


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""}, {"name": None}, {"name": " run"}, {"name": "a\nb"}, {"name": "x" * 129}, {"name": 5},
        {"path": "/run"}, {"path": ""}, {"path": None}, {"path": "/../"}, {"endpoint_id": None}, {"pinned": "yes"},
    ],
)  # fmt: skip
def test_wrong_bookmarks_are_refused(lab: Lab, laptop: Collection, refused: Any, wrong: dict[str, Any]) -> None:
    client = lab.client()
    assert refused(lambda: client.create_bookmark(document(laptop, **wrong))).http_status == 400
    assert names(client) == []


def test_a_bookmark_gets_another_name_and_leads_to_the_same_place(lab: Lab, laptop: Collection, refused: Any) -> None:
    client = lab.client()
    made = client.create_bookmark(document(laptop))
    changed = client.update_bookmark(made["id"], {**made.data, "name": "x" * 128, "pinned": True})
    assert (len(changed["name"]), changed["pinned"]) == (128, True)
    for wrong in ({"path": "/"}, {"endpoint_id": lab.sandbox.client_id}, {"color": "red"}):
        assert refused(lambda wrong=wrong: client.update_bookmark(made["id"], wrong)).http_status == 400
    other = client.create_bookmark(document(laptop, name="other"))["id"]
    assert refused(lambda: client.update_bookmark(other, {"name": "x" * 128})).http_status == 409
    client.delete_bookmark(made["id"])
    assert names(client) == ["other"]


def test_both_versions_show_the_same_bookmarks(lab: Lab, laptop: Collection, v2: TransferClientV2) -> None:
    client = lab.client()
    made = client.create_bookmark(document(laptop))["id"]
    (resource,) = v2.list_bookmarks()
    assert (resource["id"], resource["attributes"]) == (made, {"name": "run", "path": "/run/", "pinned": False})
    assert "included" not in v2.get_bookmark(made).data
    v2.update_bookmark(made, {"data": {"type": "Bookmark", "attributes": {"path": "/else/where"}}})
    assert client.get_bookmark(made)["path"] == "/else/where"
    v2.delete_bookmark(made)
    assert names(client) == []


@pytest.mark.parametrize(
    "data",
    [
        None, {"type": "Tunnel"}, {"type": "Bookmark", "attributes": []},
        {"type": "Bookmark", "attributes": {"color": 1}},
        {"type": "Bookmark", "attributes": {"name": "a", "path": "/"}},
        {"type": "Bookmark", "attributes": {"name": "a", "path": "/"}, "relationships": {"collection": {"data": None}}},
    ],
)  # fmt: skip
def test_wrong_resources_are_refused(v2: TransferClientV2, refused: Any, data: Any) -> None:
    error = refused(lambda: v2.create_bookmark({"data": data}))
    assert (error.http_status, error.code) == (400, "BadRequest")


def test_a_resource_stays_at_its_collection(v2: TransferClientV2, laptop: Collection, refused: Any) -> None:
    relation = {"collection": {"data": {"type": "Collection", "id": laptop.id}}}
    resource = {"type": "Bookmark", "attributes": {"name": "a", "path": "/"}, "relationships": relation}
    made = v2.create_bookmark({"data": resource})["data"]["id"]
    assert refused(lambda: v2.update_bookmark(made, {"data": resource})).http_status == 400
    assert refused(lambda: v2.get_bookmark(made, query_params={"include": "owner"})).http_status == 400


def test_a_bookmark_outlives_its_collection(lab: Lab, laptop: Collection, v2: TransferClientV2) -> None:
    client = lab.client()
    client.create_bookmark(document(laptop))
    client.delete_endpoint(laptop.id)
    assert names(client) == ["run"]
    assert v2.list_bookmarks(query_params={"include": "collection"}).data["included"] == []


def test_a_reset_brings_the_marked_bookmarks_back() -> None:
    world = World()
    bookmarks = world.transfer.bookmarks
    kept = bookmarks.add("ada", "lab", "run", "/run/")
    world.mark()
    bookmarks.remove(kept)
    bookmarks.add("ada", "lab", "new", "/")
    world.reset()
    assert bookmarks.of("ada") == [kept]
    assert world.snapshot()["transfer"]["bookmarks"] == [
        {"id": kept.id, "owner": "ada", "name": "run", "target": "lab:/run/"}
    ]
    world.close()
