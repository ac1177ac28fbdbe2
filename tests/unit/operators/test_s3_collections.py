"""What operators and sensors do on S3 collections, in the sandbox against moto's S3 server."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.exceptions import GlobusBadRequestError, GlobusNotFoundError, GlobusPermissionError
from airflow_provider_globus.operators.collections import GlobusListOperator, GlobusMkdirOperator, GlobusRenameOperator
from airflow_provider_globus.operators.manifests import GlobusCreateManifestOperator, GlobusVerifyManifestOperator
from airflow_provider_globus.operators.prune import GlobusSafePruneOperator
from airflow_provider_globus.operators.transfer import GlobusDeleteOperator, GlobusTransferOperator
from airflow_provider_globus.sensors.path import GlobusPathSensor
from tests.unit.buckets import KEYS, keys_in, s3_service
from tests.unit.conftest import Attempt, TaskInstance

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.unit.conftest import TaskContext

POLL: dict[str, Any] = {"poll_interval": 0.05}
BOTH = pytest.mark.parametrize("keys", [("run/a",), ("run/", "run/a")], ids=["implied", "with key"])


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Client]:
    with s3_service() as client:
        yield client


@pytest.fixture
def bucket(globus_sandbox: GlobusSandbox, s3: S3Client, request: pytest.FixtureRequest) -> Callable[..., str]:
    """Make a bucket that is the collection ``archive``; returns its name."""

    def make(*keys: str) -> str:
        name = "b" + hashlib.md5(request.node.name.encode()).hexdigest()
        s3.create_bucket(Bucket=name)
        for key in keys:
            s3.put_object(Bucket=name, Key=key, Body=b"" if key.endswith("/") else key.encode())
        globus_sandbox.add_collection("archive", f"s3://{name}", s3_endpoint_url=s3.meta.endpoint_url, **KEYS)
        return name

    return make


def fresh(task_id: str) -> Any:
    return Attempt(ti=TaskInstance(task_id=task_id))


def copy(source: str, destination: str, **changes: Any) -> dict[str, Any]:
    operator = GlobusTransferOperator(
        task_id="copy",
        source_collection=source,
        destination_collection=destination,
        **{"source_path": "/run/", "destination_path": "/run/", **POLL, **changes},
    )
    result: dict[str, Any] = operator.execute(fresh("copy"))
    return result


def look(context: TaskContext, path: str, **arguments: Any) -> Any:
    looked = GlobusPathSensor(task_id="t", collection="archive", path=path, **arguments).poke(context)
    return looked.xcom_value if looked.is_done else None


# No rename


def test_the_error_of_a_rename_says_what_to_do(bucket: Callable[..., str], context: TaskContext) -> None:
    bucket("run/a")
    with pytest.raises(GlobusBadRequestError) as refused:
        GlobusRenameOperator(task_id="t", collection="archive", old_path="/run/a", new_path="/b").execute(context)
    for said in ("S3 has no rename", "GlobusTransferOperator", "'/run/a' to '/b'", "GlobusDeleteOperator"):
        assert said in str(refused.value)
    assert (refused.value.status, refused.value.code) == (409, "NotSupported")
    assert refused.value.request_id


def test_other_refusals_are_explained_by_what_the_collection_says_of_itself(
    bucket: Callable[..., str],
    globus_collection: CollectionFactory,
    globus_sandbox: GlobusSandbox,
    context: TaskContext,
) -> None:
    bucket("run/a")
    globus_collection("posix", files={"a": ""})
    for code, status in (("ExternalError.RenameFailed", 502), ("BadRequest", 400)):
        globus_sandbox.faults.add(
            service="transfer", path="*/rename", status=status, body={"code": code, "message": "no"}
        )
        archive, posix = (
            GlobusRenameOperator(task_id="t", collection=name, old_path="/a", new_path="/b")
            for name in ("archive", "posix")
        )
        with pytest.raises(GlobusBadRequestError, match="has no rename"):
            archive.execute(context)
        with pytest.raises(Exception, match=code) as other:
            posix.execute(context)
        assert "has no rename" not in str(other.value)
        globus_sandbox.faults.clear()


def test_a_refusal_that_says_enough_is_left_as_it_is(
    bucket: Callable[..., str], globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    bucket("run/a")
    globus_sandbox.faults.add(service="transfer", path="*/rename", status=403, code="PermissionDenied")
    with pytest.raises(GlobusPermissionError):
        GlobusRenameOperator(task_id="t", collection="archive", old_path="/run/a", new_path="/b").execute(context)


def test_the_way_around_does_what_a_rename_does(bucket: Callable[..., str], s3: S3Client, context: TaskContext) -> None:
    name = bucket("run/a")
    copy("archive", "archive", source_path="/run/a", destination_path="/moved/a")
    GlobusDeleteOperator(task_id="delete", collection="archive", paths="/run/a", **POLL).execute(fresh("delete"))
    assert keys_in(s3, name) == ["moved/a"]


# Folders with and without a key of their own


@BOTH
def test_a_sensor_sees_a_folder(bucket: Callable[..., str], context: TaskContext, keys: tuple[str, ...]) -> None:
    bucket(*keys)
    assert look(context, "/run/") is not None
    found = look(context, "/run", pattern="*")
    assert (found["count"], found["bytes"], found["files"]) == (1, 5, ["/run/a"])
    assert look(context, "/run/", recursive=True)["files"] == ["/run/a"]
    assert look(context, "/run/", min_files=2) is None
    assert look(context, "/other/") is None
    assert look(context, "/other/", pattern="*") is None


@BOTH
def test_a_listing_counts_no_folder_keys(
    bucket: Callable[..., str], context: TaskContext, keys: tuple[str, ...]
) -> None:
    bucket(*keys)
    listed = GlobusListOperator(task_id="t", collection="archive", path="/", recursive=True).execute(context)
    assert [(entry["path"], entry["type"], entry["size"]) for entry in listed] == [
        ("/run", "dir", 0),
        ("/run/a", "file", 5),
    ]


@BOTH
def test_mkdir_is_repeatable(
    bucket: Callable[..., str], s3: S3Client, context: TaskContext, keys: tuple[str, ...]
) -> None:
    name = bucket(*keys)
    GlobusMkdirOperator(task_id="t", collection="archive", path="/run/").execute(context)
    assert keys_in(s3, name) == list(keys)
    for _ in range(2):
        GlobusMkdirOperator(task_id="t", collection="archive", path="/run/new/deep").execute(context)
    assert "run/new/deep/" in keys_in(s3, name)


@BOTH
def test_what_pruning_leaves(
    bucket: Callable[..., str],
    s3: S3Client,
    globus_collection: CollectionFactory,
    context: TaskContext,
    keys: tuple[str, ...],
) -> None:
    name = bucket(*keys)
    globus_collection("copies", files={"run/a": "run/a"})
    prune = GlobusSafePruneOperator(
        task_id="prune",
        collection="archive",
        path="/run/",
        copy_collection="copies",
        copy_path="/run/",
        older_than_days=0,
        **POLL,
    )
    result = prune.execute(fresh("prune"))
    assert (result["deleted"], result["kept"]) == (1, {})
    has_key = "run/" in keys
    assert keys_in(s3, name) == (["run/"] if has_key else [])
    # A folder without a key is gone with its last object.
    assert (look(context, "/run/") is not None) == has_key


@BOTH
def test_a_prune_against_copies_in_a_bucket(
    bucket: Callable[..., str], globus_collection: CollectionFactory, keys: tuple[str, ...]
) -> None:
    bucket(*keys)
    local = globus_collection("local", files={"run/a": "run/a", "run/b": "no copy"})
    prune = GlobusSafePruneOperator(
        task_id="prune",
        collection="local",
        path="/run/",
        copy_collection="archive",
        copy_path="/run/",
        older_than_days=0,
        **POLL,
    )
    assert prune.execute(fresh("prune"))["kept"] == {"it has no copy": 1}
    assert [path.name for path in (local.folder / "run").iterdir()] == ["b"]


# Both ways


@pytest.fixture
def local(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("local", files={"run/a": "alpha", "run/sub/b": "beta"})


def counts(result: dict[str, Any]) -> tuple[int, int]:
    return result["files_transferred"], result["files_skipped"]


def age(path: Path, days: float) -> None:
    then = path.stat().st_mtime - days * 86400
    os.utime(path, (then, then))


@pytest.mark.parametrize("level", ["size", "checksum"])
def test_a_prefix_is_synced_both_ways(
    bucket: Callable[..., str], local: CollectionFolder, globus_collection: CollectionFactory, s3: S3Client, level: str
) -> None:
    name, other = bucket(), globus_collection("other")
    assert counts(copy("local", "archive", sync_level=level)) == (2, 0)
    assert counts(copy("local", "archive", sync_level=level)) == (0, 2)
    assert counts(copy("archive", "other", sync_level=level)) == (2, 0)
    assert (other.folder / "run/sub/b").read_text() == "beta"
    for source, destination in (("archive", "other"), ("archive", "local"), ("local", "archive")):
        assert counts(copy(source, destination, sync_level=level)) == (0, 2)
    s3.put_object(Bucket=name, Key="run/a", Body=b"ALPHA")
    (local.folder / "run/sub/b").write_text("longer")
    # A sync knows no older and newer: what differs is taken from the source.
    same_size = (0, 2) if level == "size" else (1, 1)
    assert counts(copy("archive", "other", sync_level=level)) == same_size
    assert counts(copy("local", "archive", sync_level=level)) == ((1, 1) if level == "size" else (2, 0))


def test_modification_times_go_back_and_forth_for_ever(bucket: Callable[..., str], local: CollectionFolder) -> None:
    bucket()
    for path in ("run/a", "run/sub/b"):
        age(local.folder / path, days=3)
    copy("local", "archive", sync_level="mtime")
    assert counts(copy("local", "archive", sync_level="mtime")) == (0, 2)
    # S3 has kept the time of the upload, which is later than that of the file.
    assert counts(copy("archive", "local", sync_level="mtime")) == (2, 0)


def test_preserved_times_end_that(bucket: Callable[..., str], local: CollectionFolder) -> None:
    bucket()
    for path in ("run/a", "run/sub/b"):
        age(local.folder / path, days=3)
    options = {"sync_level": "mtime", "preserve_timestamp": True}
    assert counts(copy("local", "archive", **options)) == (2, 0)
    assert counts(copy("archive", "local", **options)) == (2, 0)
    for source, destination in (("local", "archive"), ("archive", "local")):
        assert counts(copy(source, destination, **options)) == (0, 2)


# Manifests


def test_an_archive_is_verified(
    bucket: Callable[..., str], local: CollectionFolder, globus_collection: CollectionFactory, s3: S3Client
) -> None:
    name, scratch = bucket(), globus_collection("scratch")
    copied = copy("local", "archive")
    create = GlobusCreateManifestOperator(task_id="create", collection="archive", path="/run/", verified_by=copied)
    manifest = create.execute(fresh("create"))
    assert [entry["path"] for entry in manifest["entries"]] == ["a", "sub/b"]

    def verify(**more: Any) -> dict[str, Any]:
        operator = GlobusVerifyManifestOperator(
            task_id="verify", collection="archive", path="/run/", manifest=manifest, **POLL, **more
        )
        result: dict[str, Any] = operator.execute(fresh("verify"))
        return result

    assert verify(verified_by=copied)["ok"]
    assert verify(reread_to=("scratch", "/"))["transfer"]["files_transferred"] == 2
    assert (scratch.folder / "sub/b").read_text() == "beta"
    s3.delete_object(Bucket=name, Key="run/a")
    assert verify(fail_on_findings=False)["findings"] == {"missing": {"count": 1, "paths": ["a"]}}


def test_a_prefix_that_is_not_there(bucket: Callable[..., str], context: TaskContext) -> None:
    bucket("run/a")
    with pytest.raises(GlobusNotFoundError):
        GlobusListOperator(task_id="t", collection="archive", path="/none/").execute(context)
