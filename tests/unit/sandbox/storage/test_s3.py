"""A bucket as storage, against moto's S3 server."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from airflow_provider_globus.sandbox.storage import Storage, StorageError, open_storage
from airflow_provider_globus.sandbox.storage.s3 import PART_BYTES, S3Storage
from tests.unit.buckets import s3_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_service() as client:
        yield client.meta.endpoint_url


@pytest.fixture
def s3(endpoint: str) -> Iterator[S3Storage]:
    storage = open_storage(
        "s3://archive/base/", s3_endpoint_url=endpoint, s3_access_key_id="key", s3_secret_access_key="secret"
    )
    assert isinstance(storage, S3Storage)
    storage.client.create_bucket(Bucket="archive")
    yield storage
    for item in keys(storage.client, ""):
        storage.client.delete_object(Bucket="archive", Key=item)
    storage.client.delete_bucket(Bucket="archive")
    storage.close()


def keys(client: S3Client, prefix: str) -> list[str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="archive", Prefix=prefix)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


def put(storage: Storage, path: str, data: bytes) -> None:
    with storage.open_write(path) as writer:
        writer.write(data)
        writer.commit()


def test_objects_live_below_the_prefix(s3: S3Storage) -> None:
    put(s3, "/run 1/ä.h5", b"data")
    assert keys(s3.client, "") == ["base/run 1/ä.h5"]
    assert s3.open_read("/run 1/ä.h5").read(100) == b"data"
    assert (s3.stat("/run 1/ä.h5").size, s3.stat("/run 1/ä.h5").name) == (4, "ä.h5")
    assert s3.stat("/run 1").is_dir
    assert s3.stat("/").is_dir
    assert s3.below("/run 1").stat("/ä.h5").size == 4


def test_listings_are_paged(s3: S3Storage) -> None:
    for number in range(1005):
        s3.client.put_object(Bucket="archive", Key=f"base/many/{number:04}", Body=b"")
    names = [entry.name for entry in s3.list("/many")]
    assert (len(names), len(set(names))) == (1005, 1005)


def test_listings_know_folders_and_leave_out_what_is_no_name(s3: S3Storage) -> None:
    s3.mkdir("/empty")
    for key in (
        "base/a//b",
        "base/a/../../escape",
        "base/a/./x",
        "base/a/sub/file",
        "base/a/file",
        "base2/other",
    ):
        s3.client.put_object(Bucket="archive", Key=key, Body=b"x")
    assert {entry.name: entry.kind for entry in s3.list("/a")} == {"sub": "dir", "file": "file"}
    assert {entry.name for entry in s3.list("/")} == {"a", "empty"}
    assert list(s3.list("/empty")) == []


def test_large_objects_go_up_in_parts_and_come_back_whole(s3: S3Storage) -> None:
    data = bytes(range(256)) * (PART_BYTES // 256 * 2 + 7)
    with s3.open_write("/large") as writer:
        for start in range(0, len(data), 1_000_000):
            writer.write(data[start : start + 1_000_000])
        assert keys(s3.client, "base/large") == []
        reader = writer.read_back()
        digest = hashlib.sha256()
        while chunk := reader.read(1_000_000):
            digest.update(chunk)
        reader.close()
        writer.commit()
    assert digest.digest() == hashlib.sha256(data).digest()
    assert s3.stat("/large").size == len(data)


@pytest.mark.parametrize("size", [10, PART_BYTES + 10])
@pytest.mark.parametrize("look", [True, False])
def test_an_aborted_object_is_not_there(s3: S3Storage, size: int, look: bool) -> None:
    writer = s3.open_write("/half")
    writer.write(b"x" * size)
    if look:
        writer.read_back().close()
    writer.abort()
    assert keys(s3.client, "base/half") == []
    assert s3.client.list_multipart_uploads(Bucket="archive").get("Uploads", []) == []


def test_folders(s3: S3Storage) -> None:
    s3.mkdir("/dir")
    assert keys(s3.client, "") == ["base/dir/"]
    with pytest.raises(StorageError) as exists:
        s3.mkdir("/dir")
    assert exists.value.code == "FILE_EXISTS"
    put(s3, "/dir/file", b"x")
    with pytest.raises(StorageError) as full:
        s3.remove_dir("/dir")
    assert full.value.code == "DIRECTORY_NOT_EMPTY"
    s3.remove_file("/dir/file")
    s3.remove_dir("/dir")
    assert keys(s3.client, "") == []
    s3.make_parents("/deep/er")
    s3.make_parents("/deep/er")
    assert keys(s3.client, "") == ["base/deep/er/"]


def test_failures_are_in_globus_words(s3: S3Storage) -> None:
    put(s3, "/dir/file", b"x")
    cases: dict[str, list[Callable[[], object]]] = {
        "FILE_NOT_FOUND": [
            lambda: s3.stat("/none"),
            lambda: s3.open_read("/none"),
            lambda: list(s3.list("/none")),
            lambda: s3.remove_file("/none"),
        ],
        "IS_A_DIRECTORY": [
            lambda: s3.open_read("/dir"),
            lambda: s3.open_write("/dir"),
            lambda: s3.open_write("/"),
        ],
        "NOT_A_DIRECTORY": [lambda: list(s3.list("/dir/file")), lambda: s3.make_parents("/dir/file")],
        "NOT_SUPPORTED": [lambda: s3.rename("/dir", "/x"), lambda: s3.make_link("/x", "y")],
        "PERMISSION_DENIED": [lambda: s3.remove_dir("/")],
    }
    for code, acts in cases.items():
        for act in acts:
            with pytest.raises(StorageError) as refused:
                act()
            assert refused.value.code == code


def test_an_endpoint_that_is_down_is_a_connection_fault() -> None:
    storage = open_storage(
        "s3://archive", s3_endpoint_url="http://127.0.0.1:9", s3_access_key_id="k", s3_secret_access_key="s"
    )
    with pytest.raises(StorageError) as refused:
        storage.stat("/x")
    assert refused.value.code == "CONNECT_FAILED"


def test_a_bucket_that_is_missing_is_a_fault(endpoint: str) -> None:
    storage = open_storage("s3://none", s3_endpoint_url=endpoint, s3_access_key_id="k", s3_secret_access_key="s")
    with pytest.raises(StorageError) as refused:
        list(storage.list("/"))
    assert refused.value.code == "FILE_NOT_FOUND"


def test_an_url_without_a_bucket_is_refused() -> None:
    with pytest.raises(ValueError, match="bucket"):
        open_storage("s3:///prefix")
