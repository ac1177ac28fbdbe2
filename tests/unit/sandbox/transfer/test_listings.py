"""Large directories, read page by page: listed once, and seen as they are by whoever begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.sandbox.transfer import operation_routes
from airflow_provider_globus.sandbox.transfer.listings import KEPT_SECONDS, WORTH_KEEPING
from tests.unit.buckets import KEYS, s3_service

if TYPE_CHECKING:
    from globus_sdk import TransferAPIError, TransferClient
    from mypy_boto3_s3 import S3Client

    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from tests.unit.sandbox.transfer.conftest import Lab

COUNT = WORTH_KEEPING
PAGE = COUNT // 2 + 1


@pytest.fixture
def large(lab: Lab) -> Collection:
    return lab.collection("large", {f"{number:04}": b"" for number in range(COUNT)})


def page(client: TransferClient, collection: Collection, offset: int, **more: Any) -> Any:
    return client.operation_ls(collection.id, path="/", limit=PAGE, offset=offset, **more)


def test_pages_join_to_the_whole(lab: Lab, large: Collection) -> None:
    client = lab.client()
    pages = [page(client, large, offset) for offset in (0, PAGE)]
    assert [entry["name"] for one in pages for entry in one] == [f"{number:04}" for number in range(COUNT)]
    assert {one["total"] for one in pages} == {COUNT}
    assert list(page(client, large, COUNT)) == []


def test_the_first_page_always_shows_what_is_there(lab: Lab, large: Collection) -> None:
    client = lab.client()
    for expected in range(COUNT, COUNT + 3):
        assert page(client, large, 0)["total"] == expected
        (lab.folder / "large" / f"new{expected}").touch()


def test_later_pages_are_of_the_same_listing_for_a_while(lab: Lab, large: Collection) -> None:
    lab.sandbox.clock.freeze()
    client = lab.client()
    page(client, large, 0)
    (lab.folder / "large" / "0000a").touch()
    assert page(client, large, 5)["total"] == COUNT
    assert page(client, large, 5, filter={"type": "file"})["total"] == COUNT + 1
    lab.sandbox.clock.advance(KEPT_SECONDS)
    assert page(client, large, 5)["total"] == COUNT + 1


def test_small_directories_are_listed_for_each_page(lab: Lab) -> None:
    small = lab.collection("small", {str(number): b"" for number in range(10)})
    client = lab.client()
    client.operation_ls(small.id, path="/", limit=5)
    (lab.folder / "small" / "new").touch()
    assert client.operation_ls(small.id, path="/", limit=5, offset=5)["total"] == 11


@pytest.mark.parametrize("change", ["mkdir", "rename", "transfer", "somebody else"])
def test_what_the_sandbox_changes_is_seen(lab: Lab, large: Collection, change: str) -> None:
    other = lab.collection("other", {"new": b""})
    client = lab.client()
    page(client, large, 0)
    expected = COUNT + 1
    if change == "mkdir":
        client.operation_mkdir(large.id, "/new")
    elif change == "rename":
        (lab.folder / "large" / "new").touch()
        client.operation_rename(large.id, "/0000", "/moved")
    elif change == "transfer":
        lab.move(other, large, ("/new", "/new"))
    else:
        (lab.folder / "large" / "new").touch()
        client = lab.client(of=lab.sandbox.add_client("other"))
    assert page(client, large, 5)["total"] == expected


def test_nothing_is_kept_while_a_task_works(lab: Lab, large: Collection) -> None:
    other = lab.collection("other", {"new": b""})
    client = lab.client()
    lab.world.transfer.hold()
    lab.submit(other, large, ("/new", "/new"))
    page(client, large, 0)
    (lab.folder / "large" / "0000a").touch()
    assert page(client, large, 5)["total"] == COUNT + 1


def test_a_reset_forgets(lab: Lab, large: Collection) -> None:
    page(lab.client(), large, 0)
    listings = lab.world.transfer.listings
    assert listings._kept
    lab.sandbox.reset()
    assert not listings._kept


def test_a_directory_of_more_than_globus_lists(
    lab: Lab,
    large: Collection,
    refused: Callable[[Callable[[], object]], TransferAPIError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(operation_routes, "LISTING_LIMIT", COUNT - 1)
    error = refused(lambda: lab.client().operation_ls(large.id, path="/", limit=10))
    assert (error.http_status, error.code) == (502, "ExternalError.DirListingFailed.SizeLimit")
    (lab.folder / "large" / "0000").unlink()
    assert lab.client().operation_ls(large.id, path="/", limit=10)["total"] == COUNT - 1


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Client]:
    from moto.core.models import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends

    with s3_service() as client:
        client.create_bucket(Bucket="large")
        # Over HTTP, so many would take seconds.
        for number in range(2 * COUNT + 500):
            s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object("large", f"in/{number:06}", b"")
        yield client


def test_a_bucket_is_asked_once_for_all_pages(lab: Lab, s3: S3Client) -> None:
    large = lab.sandbox.add_collection("large", "s3://large/in", s3_endpoint_url=s3.meta.endpoint_url, **KEYS)
    asked: list[str] = []
    files: Any = lab.world.transfer.files(large, lab.sandbox.client_id)
    files.client.meta.events.register("before-call.s3", lambda model, **_: asked.append(model.name))
    client = lab.client()
    pages = [client.operation_ls(large.id, path="/", limit=500, offset=offset) for offset in range(0, 2500, 500)]
    seen = [entry["name"] for one in pages for entry in one]
    assert seen == [f"{number:06}" for number in range(2 * COUNT + 500)]
    assert asked == ["ListObjectsV2"] * 3
