"""Transfers to, from and between S3 buckets, against moto's server."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.buckets import s3_service

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from tests.unit.sandbox.transfer.conftest import Lab

Bucket = "Callable[[str], Collection]"


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Client]:
    with s3_service() as client:
        yield client


@pytest.fixture
def bucket(lab: Lab, s3: S3Client, request: pytest.FixtureRequest) -> Callable[[str], Collection]:
    def make(name: str) -> Collection:
        unique = f"{name}-{hashlib.md5(request.node.name.encode()).hexdigest()[:8]}"
        s3.create_bucket(Bucket=unique)
        return lab.sandbox.add_collection(
            name,
            f"s3://{unique}/data",
            s3_endpoint_url=s3.meta.endpoint_url,
            s3_access_key_id="key",
            s3_secret_access_key="secret",
        )

    return make


def objects(s3: S3Client, collection: Collection) -> dict[str, bytes]:
    name = collection.root.removeprefix("s3://").split("/")[0]
    found = s3.list_objects_v2(Bucket=name).get("Contents", [])
    return {item["Key"]: s3.get_object(Bucket=name, Key=item["Key"])["Body"].read() for item in found}


FILES = {"a": b"alpha", "sub/big": os.urandom(9_000_000), "empty/": b""}


def test_there_and_back_again(lab: Lab, s3: S3Client, bucket: Callable[[str], Collection]) -> None:
    source, first, second, target = (
        lab.collection("source", FILES), bucket("first"), bucket("second"), lab.collection("target"),
    )  # fmt: skip
    for here, there in ((source, first), (first, second), (second, target)):
        task = lab.move(here, there, ("/", "/"), verify_checksum=True)
        assert (task.status, task.files_transferred, task.faults) == ("SUCCEEDED", 2, 0)
        assert {item.checksum for item in task.successes} == {
            hashlib.md5(FILES[name]).hexdigest() for name in ("a", "sub/big")
        }
    assert lab.tree(target) == lab.tree(source)
    assert objects(s3, first)["data/sub/big"] == FILES["sub/big"]
    assert objects(s3, second)["data/empty/"] == b""


def test_a_canceled_upload_leaves_nothing(lab: Lab, s3: S3Client, bucket: Callable[[str], Collection]) -> None:
    lab.sandbox.clock.freeze()
    lab.sandbox.settings.bytes_per_second = 10_000_000
    source, target = lab.collection("source", {"big": os.urandom(9_500_000)}), bucket("target")
    task_id = lab.submit(source, target, ("/big", "/big"))
    lab.until(task_id, lambda task: task.bytes_transferred > 0)
    assert lab.client().cancel_task(task_id)["code"] == "Canceled"
    assert objects(s3, target) == {}
    assert s3.list_multipart_uploads(Bucket=target.root.removeprefix("s3://").split("/")[0]).get("Uploads", []) == []


def test_operations(lab: Lab, refused: Any, bucket: Callable[[str], Collection]) -> None:
    target = bucket("target")
    client = lab.client()
    client.operation_mkdir(target.id, "/new")
    listing = client.operation_ls(target.id, path="/")
    assert [(entry["name"], entry["type"]) for entry in listing] == [("new", "dir")]
    assert (listing["rename_supported"], listing["symlink_supported"]) == (False, False)
    assert refused(lambda: client.operation_mkdir(target.id, "/new")).code == "ExternalError.MkdirFailed.Exists"
    assert refused(lambda: client.operation_rename(target.id, "/new", "/x")).code == "NotSupported"
    assert refused(lambda: client.operation_ls(target.id, path="/none")).code == "ClientError.NotFound"
    assert client.operation_stat(target.id, "/new")["type"] == "dir"


def test_sync_extra_and_delete(lab: Lab, s3: S3Client, bucket: Callable[[str], Collection]) -> None:
    from globus_sdk import DeleteData

    source, target = lab.collection("source", {"same": b"1", "changed": b"2"}), bucket("target")
    lab.move(source, target, ("/", "/in"))
    lab.move(source, target, ("/same", "/in/old/deep"))
    (lab.folder / "source/changed").write_bytes(b"3")
    task = lab.move(source, target, ("/", "/in"), sync_level="checksum", delete_destination_extra=True)
    assert (task.files_transferred, task.files_skipped) == (1, 1)
    assert objects(s3, target) == {"data/in/": b"", "data/in/same": b"1", "data/in/changed": b"3"}
    data = DeleteData(target.id, recursive=True)
    data.add_item("/in")
    assert lab.wait(lab.client().submit_delete(data)["task_id"]).status == "SUCCEEDED"
    assert objects(s3, target) == {}


def test_keys_that_climb_do_not(lab: Lab, s3: S3Client, bucket: Callable[[str], Collection]) -> None:
    source, target = bucket("source"), lab.collection("target")
    name = source.root.removeprefix("s3://").split("/")[0]
    for key in ("data/../../evil", "data/in/../../../evil", "data//etc/evil", "data/in/good"):
        s3.put_object(Bucket=name, Key=key, Body=b"x")
    assert lab.move(source, target, ("/", "/")).status == "SUCCEEDED"
    assert lab.tree(target) == {"in/good": b"x"}
    assert sorted(item.name for item in lab.folder.iterdir()) == ["target"]
