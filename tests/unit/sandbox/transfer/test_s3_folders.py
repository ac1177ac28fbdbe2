"""Folders of a bucket: with the zero-byte key that stands for one, without it, and where an object has its name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import DeleteData

from tests.unit.buckets import KEYS, keys_in, s3_service

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from airflow_provider_globus.sandbox.transfer.tasks import Task
    from tests.unit.sandbox.transfer.conftest import Lab

Bucket = Callable[..., "Collection"]

#: The same two files, with and without the keys of their folders.
FILES = ("in/a", "in/sub/b")
WITH_KEYS = ("in/", "in/a", "in/sub/", "in/sub/b")
BOTH = pytest.mark.parametrize("keys", [FILES, WITH_KEYS], ids=["implied", "with keys"])


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Client]:
    with s3_service() as client:
        yield client


@pytest.fixture
def bucket(lab: Lab, s3: S3Client, request: pytest.FixtureRequest) -> Bucket:
    def make(*keys: str) -> Collection:
        name = "b" + hashlib.md5(request.node.name.encode()).hexdigest()
        s3.create_bucket(Bucket=name)
        for key in keys:
            s3.put_object(Bucket=name, Key=key, Body=b"" if key.endswith("/") else key.encode())
        return lab.sandbox.add_collection("bucket", f"s3://{name}", s3_endpoint_url=s3.meta.endpoint_url, **KEYS)

    return make


def names(s3: S3Client, collection: Collection) -> list[str]:
    return keys_in(s3, collection.root.removeprefix("s3://"))


def delete(lab: Lab, collection: Collection, *paths: str, recursive: bool) -> Task:
    data = DeleteData(collection.id, recursive=recursive)
    for path in paths:
        data.add_item(path)
    return lab.wait(lab.client().submit_delete(data)["task_id"])


@BOTH
def test_a_listing_shows_the_folder_and_not_its_key(lab: Lab, bucket: Bucket, keys: tuple[str, ...]) -> None:
    collection, client = bucket(*keys), lab.client()
    listed = {
        path: [(entry["name"], entry["type"], entry["size"]) for entry in client.operation_ls(collection.id, path=path)]
        for path in ("/", "/in", "/in/sub/")
    }
    assert listed == {
        "/": [("in", "dir", 0)],
        "/in": [("sub", "dir", 0), ("a", "file", 4)],
        "/in/sub/": [("b", "file", 8)],
    }
    assert client.operation_stat(collection.id, "/in/")["type"] == "dir"


def test_an_empty_folder_is_its_key(lab: Lab, bucket: Bucket) -> None:
    collection = bucket("empty/", "full/a")
    assert [entry["name"] for entry in lab.client().operation_ls(collection.id, path="/")] == ["empty", "full"]
    assert list(lab.client().operation_ls(collection.id, path="/empty/")) == []


@BOTH
def test_a_transfer_brings_files_and_folders(lab: Lab, bucket: Bucket, keys: tuple[str, ...]) -> None:
    target = lab.collection("target")
    task = lab.move(bucket(*keys), target, ("/in/", "/out/", True))
    assert (task.status, task.files_transferred, task.faults) == ("SUCCEEDED", 2, 0)
    assert lab.tree(target) == {"out/a": b"in/a", "out/sub/b": b"in/sub/b"}


@BOTH
def test_a_sync_finds_what_is_there_and_adds_no_keys(
    lab: Lab, s3: S3Client, bucket: Bucket, keys: tuple[str, ...]
) -> None:
    source = lab.collection("source", {"a": b"in/a", "sub/b": b"in/sub/b"})
    collection = bucket(*keys)
    task = lab.move(source, collection, ("/", "/in/", True), sync_level="checksum", delete_destination_extra=True)
    assert (task.status, task.files_transferred, task.files_skipped) == ("SUCCEEDED", 0, 2)
    assert names(s3, collection) == list(keys)


@BOTH
def test_a_deletion_leaves_nothing_behind(lab: Lab, s3: S3Client, bucket: Bucket, keys: tuple[str, ...]) -> None:
    collection = bucket(*keys, "other")
    task = delete(lab, collection, "/in/", recursive=True)
    assert (task.status, task.faults) == ("SUCCEEDED", 0)
    assert names(s3, collection) == ["other"]


def test_a_folder_lives_as_long_as_its_key_or_a_file(lab: Lab, s3: S3Client, bucket: Bucket) -> None:
    collection, client = bucket("kept/", "kept/a", "implied/a"), lab.client()
    assert delete(lab, collection, "/kept/a", "/implied/a", recursive=False).status == "SUCCEEDED"
    assert [entry["name"] for entry in client.operation_ls(collection.id, path="/")] == ["kept"]
    assert delete(lab, collection, "/kept/", recursive=False).status == "SUCCEEDED"
    assert names(s3, collection) == []


def test_an_object_may_have_the_name_of_a_folder(lab: Lab, bucket: Bucket) -> None:
    collection, client = bucket("x", "x/y"), lab.client()
    assert sorted((entry["name"], entry["type"]) for entry in client.operation_ls(collection.id, path="/")) == [
        ("x", "dir"),
        ("x", "file"),
    ]
    assert [entry["name"] for entry in client.operation_ls(collection.id, path="/x/")] == ["y"]


def test_a_sync_asks_for_a_folder_and_not_for_each_file(lab: Lab, bucket: Bucket) -> None:
    names = [f"{number:02}" for number in range(20)]
    source = lab.collection("source", dict.fromkeys(names, b"in/00"))
    collection = bucket(*(f"in/{name}" for name in names))
    files: Any = lab.world.transfer.files(collection, lab.sandbox.client_id)
    asked: list[str] = []
    files.client.meta.events.register("before-call.s3", lambda model, **_: asked.append(model.name))
    task = lab.move(source, collection, ("/", "/in/", True), sync_level="size")
    assert (task.files, task.files_transferred, task.files_skipped) == (20, 0, 20)
    assert (task.subtasks_total, task.steps_succeeded) == (22, 21)
    assert len(asked) < 10


def test_a_fault_at_a_file_in_its_place_is_met_all_the_same(lab: Lab, bucket: Bucket) -> None:
    source, collection = lab.collection("source", {"a": b"in/a", "b": b"in/b"}), bucket("in/a", "in/b")
    lab.sandbox.faults.add(collection=collection.id, path="/in/b", nice_status="PERMISSION_DENIED")
    task_id = lab.submit(source, collection, ("/", "/in/", True), sync_level="exists")
    task = lab.faulting(task_id, "PERMISSION_DENIED")
    assert (task.files_skipped, [step.source for step in task.retry]) == (1, ["/b"])
    lab.client().cancel_task(task_id)
