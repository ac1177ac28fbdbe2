"""S3 storage gateways made through the API, against moto: keys, buckets, prefixes, who pays, classes, archives."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import requests
from globus_sdk import DeleteData

from airflow_provider_globus.sandbox.storage import LocalStorage, StorageError
from airflow_provider_globus.sandbox.storage.s3_buckets import S3Buckets, S3Keys, S3Options
from tests.unit.sandbox.connect_server.conftest import S3, guest_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from globus_sdk import TransferAPIError
    from mypy_boto3_s3 import S3Client

    from tests.unit.sandbox.connect_server.conftest import Refused, Site

    Denied = Callable[[Callable[..., object]], TransferAPIError]
    NewBucket = Callable[..., str]

ADA, BOB = "ada@example.org", "bob@example.org"
STORAGE, CREDENTIAL = "s3_storage_policies#1.3.0", "s3_user_credential_policies#1.2.0"


def collection(site: Site, s3: S3Client, base_path: str = "/", **more: Any) -> str:
    """Make an S3 gateway and a mapped collection on it."""
    policies = {"DATA_TYPE": STORAGE, "s3_endpoint": s3.meta.endpoint_url, **more}
    return site.mapped(site.gateway(connector_id=S3, policies=policies), base_path)


def gateway_of(site: Site, collection_id: str) -> str:
    return str(site.gcs().get_collection(collection_id)["storage_gateway_id"])


def give_keys(site: Site, collection_id: str, who: str | None = None, **more: Any) -> str:
    """Register a credential for a collection's gateway; returns its id."""
    policies = {"DATA_TYPE": CREDENTIAL, "s3_key_id": "key", "s3_secret_key": "secret", **more}
    document = {
        "DATA_TYPE": "user_credential#1.0.0",
        "storage_gateway_id": gateway_of(site, collection_id),
        "policies": policies,
    }
    return str(site.gcs(who).create_user_credential(document)["id"])


def detail_of(error: TransferAPIError) -> dict[str, Any]:
    assert (error.http_status, error.code) == (502, "ExternalError.DirListingFailed.LoginFailed")
    line = next(line for line in (error.message or "").splitlines() if "530-GridFTP-JSON-Result: " in line)
    detail: dict[str, Any] = json.loads(line.partition("530-GridFTP-JSON-Result: ")[2])["detail"]
    return detail


# Credentials


def test_without_a_credential_nobody_is_let_in(site: Site, s3: S3Client, denied: Denied, new_bucket: NewBucket) -> None:
    bucket = new_bucket(objects={"a.txt": b"a"})
    mapped = collection(site, s3)
    assert detail_of(denied(lambda: site.names(mapped, who=ADA))) == {
        "DATA_TYPE": "credential_not_found#1.0.0",
        "accounts": [
            {
                "DATA_TYPE": "account#1.0.0",
                "identity_id": site.person(ADA),
                "storage_gateway_id": gateway_of(site, mapped),
                "username": ADA,
            }
        ],
    }
    credential = give_keys(site, mapped, ADA)
    assert bucket in site.names(mapped, who=ADA)
    assert site.names(mapped, f"/{bucket}", who=ADA) == ["a.txt"]
    assert denied(lambda: site.names(mapped, who=BOB)).http_status == 502
    site.gcs(ADA).delete_user_credential(credential)
    assert detail_of(denied(lambda: site.names(mapped, who=ADA)))["DATA_TYPE"] == "credential_not_found#1.0.0"


def test_a_credential_without_keys_is_invalid(site: Site, s3: S3Client, denied: Denied, refused: Refused) -> None:
    mapped = collection(site, s3)
    credential = give_keys(site, mapped, ADA, s3_secret_key=None)
    expected = {"DATA_TYPE": "invalid_credential#1.0.0", "user_credential_id": credential}
    assert detail_of(denied(lambda: site.names(mapped, who=ADA))) == expected
    error = refused(lambda: site.guest(mapped, who=ADA))
    assert error.raw_json is not None
    assert (error.http_status, error.raw_json["detail"]) == (403, expected)


def test_a_guest_collection_uses_its_owner_s_keys(
    site: Site, s3: S3Client, denied: Denied, refused: Refused, new_bucket: NewBucket
) -> None:
    bucket = new_bucket(objects={"shared/a.txt": b"a"})
    mapped = collection(site, s3, f"/{bucket}")
    error = refused(lambda: site.guest(mapped, "/shared", who=ADA))
    assert error.raw_json is not None
    assert error.raw_json["detail"]["DATA_TYPE"] == "credential_not_found#1.0.0"
    credential, his = give_keys(site, mapped, ADA), give_keys(site, mapped, BOB)
    assert refused(lambda: site.guest(mapped, who=ADA, user_credential_id=his)).http_status == 422
    guest = site.guest(mapped, "/shared", who=ADA, user_credential_id=credential)
    assert site.gcs().get_collection(guest)["user_credential_id"] == credential
    site.world.transfer.add_rule(guest, path="/", principal=site.person(BOB))
    assert site.names(guest, who=BOB) == ["a.txt"]
    document = {"DATA_TYPE": "collection#1.16.0", "user_credential_id": his}
    assert refused(lambda: site.gcs(ADA).update_collection(guest, document)).http_status == 422
    site.gcs(ADA).delete_user_credential(credential)
    give_keys(site, mapped, ADA)
    assert detail_of(denied(lambda: site.names(guest, who=BOB)))["DATA_TYPE"] == "credential_not_found#1.0.0"


def test_a_deleted_credential_does_not_fall_back_to_none(
    site: Site, s3: S3Client, denied: Denied, new_bucket: NewBucket
) -> None:
    mapped = collection(site, s3, f"/{new_bucket()}", s3_user_credential_required=False)
    assert site.names(mapped, who=ADA) == []
    credential = give_keys(site, mapped, ADA)
    guest = site.guest(mapped, who=ADA)
    site.gcs(ADA).delete_user_credential(credential)
    assert detail_of(denied(lambda: site.names(guest, who=ADA)))["DATA_TYPE"] == "credential_not_found#1.0.0"
    assert site.names(mapped, who=ADA) == []


@pytest.fixture
def strict(s3_url: str) -> Iterator[None]:
    """Let moto check keys from now on, as AWS does."""
    requests.post(f"{s3_url}/moto-api/reset-auth", data=b"0", timeout=10).raise_for_status()
    yield
    requests.post(f"{s3_url}/moto-api/reset-auth", data=b"Infinity", timeout=10).raise_for_status()


@pytest.mark.usefixtures("strict")
def test_wrong_keys_are_told_from_denied_ones(site: Site, s3: S3Client, denied: Denied) -> None:
    site.sandbox.clock.freeze()
    source = site.mapped(site.gateway())
    mapped = collection(site, s3, "/some-bucket")
    give_keys(site, mapped, s3_key_id="AKIAWRONGWRONGWRONGW")
    client = site.transfer()
    for operation, act in (
        ("DirListing", lambda: site.names(mapped)),
        ("Stat", lambda: client.operation_stat(mapped, "/a.txt")),
        ("Mkdir", lambda: client.operation_mkdir(mapped, "/new")),
    ):
        error = denied(act)
        assert (error.http_status, error.code) == (502, f"ExternalError.{operation}Failed.LoginFailed")
        assert "AKIAWRONG" not in (error.message or "")
    task = site.faulting(site.submit(source, mapped, ("/alpha/a.txt", "/a.txt")))
    assert (task.status, task.nice_status) == ("ACTIVE", "INVALID_SERVICE_CREDENTIAL")
    task = site.faulting(site.submit(mapped, source, ("/a.txt", "/b.txt")))
    assert (task.status, task.nice_status) == ("ACTIVE", "INVALID_SERVICE_CREDENTIAL")


# Buckets and paths


def test_the_root_shows_buckets(site: Site, s3: S3Client, denied: Denied, new_bucket: NewBucket) -> None:
    bucket = new_bucket(objects={"folder/a.txt": b"a"})
    mapped = collection(site, s3, s3_buckets=["of-somebody-else"])
    give_keys(site, mapped)
    client = site.transfer()
    assert {bucket, "of-somebody-else"} <= set(site.names(mapped))
    listed = client.operation_ls(mapped, path="/", filter=f"name:{bucket}")
    assert [item["type"] for item in listed] == ["dir"]
    assert site.names(mapped, f"/{bucket}/folder") == ["a.txt"]
    assert client.operation_stat(mapped, f"/{bucket}")["type"] == "dir"
    assert client.operation_stat(mapped, f"/{bucket}/folder")["type"] == "dir"
    assert client.operation_stat(mapped, f"/{bucket}/folder/a.txt")["size"] == 1
    assert denied(lambda: client.operation_stat(mapped, f"/{bucket}-not")).http_status == 404
    assert denied(lambda: site.names(mapped, f"/{bucket}-not")).http_status == 404
    assert denied(lambda: site.names(mapped, f"/{bucket}/nothing")).http_status == 404


def test_buckets_are_neither_made_nor_removed(site: Site, s3: S3Client, denied: Denied, new_bucket: NewBucket) -> None:
    bucket = new_bucket(objects={"a.txt": b"a"})
    mapped = collection(site, s3)
    give_keys(site, mapped)
    client = site.transfer()
    assert denied(lambda: client.operation_mkdir(mapped, "/new-bucket")).http_status == 403
    client.operation_mkdir(mapped, f"/{bucket}/new")
    assert site.names(mapped, f"/{bucket}") == ["new", "a.txt"]
    error = denied(lambda: client.operation_rename(mapped, f"/{bucket}/a.txt", f"/{bucket}/b.txt"))
    assert (error.http_status, error.code) == (409, "NotSupported")
    data = DeleteData(mapped, recursive=True)
    data.add_item(f"/{bucket}/new")
    assert site.world.transfer.wait(client.submit_delete(data)["task_id"]).status == "SUCCEEDED"
    site.sandbox.clock.freeze()
    data = DeleteData(mapped, recursive=True)
    data.add_item(f"/{bucket}")
    task = site.faulting(client.submit_delete(data)["task_id"])
    assert (task.status, task.nice_status) == ("ACTIVE", "PERMISSION_DENIED")
    assert bucket in site.names(mapped)


@pytest.mark.parametrize("below", ["", "/folder"])
def test_there_and_back_again(site: Site, s3: S3Client, new_bucket: NewBucket, below: str) -> None:
    bucket, disks = new_bucket(), site.mapped(site.gateway())
    mapped = collection(site, s3, f"/{bucket}{below}")
    give_keys(site, mapped)
    task = site.move(disks, mapped, ("/alpha", "/in"), verify_checksum=True)
    assert (task.status, task.files_transferred, task.faults) == ("SUCCEEDED", 2, 0)
    key = f"{below}/in/deep/b.txt".lstrip("/")
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"alpha/deep/b.txt"
    assert site.move(mapped, disks, ("/in", "/out")).status == "SUCCEEDED"
    assert (site.folder / "out/deep/b.txt").read_text() == "alpha/deep/b.txt"
    whole = site.mapped(gateway_of(site, mapped))
    assert site.move(disks, whole, ("/beta", f"/{bucket}/through")).status == "SUCCEEDED"
    assert s3.head_object(Bucket=bucket, Key="through/c.txt")["ContentLength"] == 10


def test_a_transfer_into_the_root_makes_no_bucket(site: Site, s3: S3Client, new_bucket: NewBucket) -> None:
    mapped, disks = collection(site, s3), site.mapped(site.gateway())
    give_keys(site, mapped)
    site.sandbox.clock.freeze()
    task = site.faulting(site.submit(disks, mapped, ("/alpha", "/no-such-bucket")))
    assert (task.status, task.nice_status) == ("ACTIVE", "FILE_NOT_FOUND")
    files = site.world.transfer.files(site.world.transfer.find(mapped), site.sandbox.client_id)
    with pytest.raises(StorageError, match="FILE_NOT_FOUND"):
        files.make_parents("/no-such-bucket")
    task = site.faulting(site.submit(disks, mapped, ("/alpha/a.txt", "/a.txt")))
    assert (task.status, task.nice_status) == ("ACTIVE", "IS_A_DIRECTORY")


# Several keys


def test_the_longest_prefix_decides(s3_url: str, new_bucket: NewBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str | None] = []
    real = boto3.session.Session

    def session(**more: Any) -> Any:
        used.append(more["aws_access_key_id"])
        return real(**more)

    bucket, other = new_bucket(objects={"deep/a": b"1", "b": b"2"}), new_bucket(objects={"c": b"3"})
    monkeypatch.setattr(boto3.session, "Session", session)
    keys = [
        S3Keys("wide", "s", (f"{bucket}/",)),
        S3Keys("narrow", "s", (f"{bucket}/deep/", f"{bucket}/dee")),
        S3Keys("other", "s", (f"{other}",)),
    ]
    storage = S3Buckets(S3Options(endpoint_url=s3_url), keys)
    for path, key in (
        (f"/{bucket}/deep/a", "narrow"),
        (f"/{bucket}/b", "wide"),
        (f"/{bucket}", "wide"),
        (f"/{other}/c", "other"),
    ):
        used.clear()
        S3Buckets(S3Options(endpoint_url=s3_url), keys).stat(path)
        assert used == [key]
    with pytest.raises(StorageError, match="None of the S3 keys"):
        storage.stat("/elsewhere/x")
    storage.close()


def test_keys_without_a_prefix_are_for_the_rest(
    site: Site, s3: S3Client, denied: Denied, new_bucket: NewBucket
) -> None:
    bucket, other = new_bucket(objects={"a": b"1"}), new_bucket(objects={"b": b"2"})
    mapped = collection(site, s3, s3_allow_multi_keys=True)
    pair = {"path_prefixes": [f"{bucket}/"], "s3_key_id": "k", "s3_secret_key": "s"}
    give_keys(site, mapped, ADA, s3_multi_keys=[pair], s3_key_id=None, s3_secret_key=None)
    give_keys(site, mapped, BOB, s3_multi_keys=[pair])
    assert site.names(mapped, f"/{bucket}", who=ADA) == ["a"]
    error = denied(lambda: site.names(mapped, f"/{other}", who=ADA))
    assert (error.http_status, error.code) == (403, "EndpointPermissionDenied")
    assert "None of the S3 keys of the user credential is for this path" in (error.message or "")
    assert site.names(mapped, f"/{other}", who=BOB) == ["b"]


# Policies of every request


def requests_of(storage: S3Buckets, path: str) -> dict[str, dict[str, Any]]:
    """Return the parameters with which operations leave, by name."""
    sent: dict[str, dict[str, Any]] = {}
    client = storage._client(path)

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        sent[model.name] = dict(params)

    client.meta.events.register("before-parameter-build.s3.*", note)
    return sent


def test_who_asks_pays(s3_url: str, new_bucket: NewBucket) -> None:
    bucket = new_bucket(objects={"a": b"1"})
    storage = S3Buckets(S3Options(endpoint_url=s3_url, requester_pays=True), [S3Keys("k", "s")])
    sent = requests_of(storage, f"/{bucket}")
    storage.stat(f"/{bucket}/a")
    storage.open_read(f"/{bucket}/a").close()
    list(storage.list(f"/{bucket}"))
    with storage.open_write(f"/{bucket}/big") as writer:
        writer.write(b"x" * (8 * 1024 * 1024 + 1))
        writer.commit()
    with storage.open_write(f"/{bucket}/small") as writer:
        writer.commit()
    storage.remove_file(f"/{bucket}/small")
    paid = {name for name, parameters in sent.items() if parameters.get("RequestPayer") == "requester"}
    assert paid == set(sent) - {"HeadBucket"}
    assert paid >= {"HeadObject", "GetObject", "ListObjectsV2", "PutObject", "DeleteObject", "UploadPart"}
    assert paid >= {"CreateMultipartUpload", "CompleteMultipartUpload"}


def test_both_have_to_agree_to_pay(site: Site, s3: S3Client, denied: Denied, new_bucket: NewBucket) -> None:
    mapped = collection(site, s3, f"/{new_bucket()}", s3_requester_pays=True)
    give_keys(site, mapped, ADA)
    give_keys(site, mapped, BOB, s3_requester_pays=True)
    assert detail_of(denied(lambda: site.names(mapped, who=ADA)))["DATA_TYPE"] == "invalid_credential#1.0.0"
    assert site.names(mapped, who=BOB) == []


def test_objects_get_the_storage_class_of_the_gateway(site: Site, s3: S3Client, new_bucket: NewBucket) -> None:
    bucket, disks = new_bucket(), site.mapped(site.gateway())
    mapped = collection(site, s3, f"/{bucket}", s3_storage_class="STANDARD_IA")
    give_keys(site, mapped)
    (site.folder / "big").write_bytes(b"x" * (8 * 1024 * 1024 + 1))
    assert site.move(disks, mapped, ("/big", "/big"), ("/alpha/a.txt", "/small")).status == "SUCCEEDED"
    for key in ("big", "small"):
        assert s3.head_object(Bucket=bucket, Key=key)["StorageClass"] == "STANDARD_IA"
    plain = collection(site, s3, f"/{bucket}")
    give_keys(site, plain)
    site.move(disks, plain, ("/alpha/a.txt", "/plain"))
    assert "StorageClass" not in s3.head_object(Bucket=bucket, Key="plain")


@pytest.mark.parametrize("restore", [True, False])
def test_archived_objects_are_asked_back(site: Site, s3: S3Client, new_bucket: NewBucket, restore: bool) -> None:
    bucket, disks = new_bucket(), site.mapped(site.gateway())
    s3.put_object(Bucket=bucket, Key="old", Body=b"archived", StorageClass="GLACIER")
    mapped = collection(site, s3, f"/{bucket}", s3_restore=restore)
    give_keys(site, mapped)
    site.sandbox.clock.freeze()
    task = site.faulting(site.submit(mapped, disks, ("/old", "/old")))
    assert task.status == "ACTIVE"
    assert task.nice_status == ("FILE_ACCESS" if restore else "ENDPOINT_ERROR")
    assert ("Restore" in s3.head_object(Bucket=bucket, Key="old")) is restore
    if restore:
        assert "is being restored" in (task.nice_details or "")
        site.sandbox.clock.advance(60)
        assert site.world.transfer.wait(task.id).status == "SUCCEEDED"
        assert (site.folder / "old").read_text() == "archived"


def test_what_is_being_restored_is_waited_for(s3_url: str, s3: S3Client, new_bucket: NewBucket) -> None:
    bucket = new_bucket()
    s3.put_object(Bucket=bucket, Key="old", Body=b"archived", StorageClass="GLACIER")
    storage = S3Buckets(S3Options(endpoint_url=s3_url, restore=True), [S3Keys("k", "s")])
    client = storage._client(f"/{bucket}")

    def busy(**_: Any) -> Any:
        raise client.exceptions.ClientError({"Error": {"Code": "RestoreAlreadyInProgress"}}, "RestoreObject")

    client.meta.events.register("before-call.s3.RestoreObject", busy)
    with pytest.raises(StorageError) as error:
        storage.open_read(f"/{bucket}/old")
    assert (error.value.code, error.value.message) == (
        "FILE_ACCESS",
        "The object is being restored from archival storage",
    )


# Connections


def test_connections_stay_until_what_they_are_for_changes(site: Site, s3: S3Client, new_bucket: NewBucket) -> None:
    mapped = collection(site, s3, f"/{new_bucket()}")
    credential = give_keys(site, mapped)
    server = site.world.connect_server
    site.names(mapped)
    (first,) = server._services.values()
    site.gateway(display_name="another")
    site.names(mapped)
    assert list(server._services.values()) == [first]
    changed = {"DATA_TYPE": CREDENTIAL, "s3_key_id": "other", "s3_secret_key": "pair"}
    document = {"DATA_TYPE": "user_credential#1.0.0", "policies": changed}
    site.gcs().update_user_credential(credential, document)
    site.names(mapped)
    (second,) = server._services.values()
    assert second is not first


def test_reset_closes_nothing_that_may_be_in_use(
    site: Site, s3: S3Client, new_bucket: NewBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = new_bucket(objects={"a": b"1"})
    mapped = collection(site, s3, f"/{bucket}")
    give_keys(site, mapped)
    outside = site.sandbox.add_collection("outside", site.folder)
    me = site.sandbox.client_id
    held = [site.world.transfer.files(site.world.transfer.find(item), me) for item in (mapped, outside.id)]
    closed: list[object] = []
    for kind in (S3Buckets, LocalStorage):
        monkeypatch.setattr(kind, "close", closed.append)
    site.sandbox.reset()
    assert closed == []
    assert [sorted(entry.name for entry in files.list("/")) for files in held] == [["a"], ["alpha", "beta"]]
    assert site.world.connect_server.credentials == {}
    assert mapped not in site.world.transfer.collections


# Other storage


def test_what_the_sandbox_cannot_reach_says_so(site: Site, denied: Denied) -> None:
    from globus_sdk import ConnectorTable

    policies = {
        "DATA_TYPE": "google_drive_storage_policies#1.0.0",
        "client_id": "x",
        "secret": "y",
        "user_api_rate_quota": 1,
    }
    drive = ConnectorTable.GOOGLE_DRIVE.connector_id
    mapped = site.mapped(site.gateway(connector_id=drive, policies=policies))
    credential = {
        "DATA_TYPE": "user_credential#1.0.0",
        "storage_gateway_id": gateway_of(site, mapped),
        "policies": {"DATA_TYPE": "google_drive_user_credential_policies#1.0.0"},
    }
    site.gcs().create_user_credential(credential)
    error = denied(lambda: site.names(mapped))
    assert (error.http_status, error.code) == (502, "EndpointError")
    assert "does not reach storage of the Google Drive connector" in (error.message or "")


def test_restrictions_know_buckets(site: Site, s3: S3Client, denied: Denied, new_bucket: NewBucket) -> None:
    bucket = new_bucket(objects={"open/a": b"1", "closed/b": b"2"})
    policies = {"DATA_TYPE": STORAGE, "s3_endpoint": s3.meta.endpoint_url}
    paths = {"DATA_TYPE": "path_restrictions#1.0.0", "read": [f"/{bucket}/open"]}
    mapped = site.mapped(site.gateway(connector_id=S3, policies=policies, restrict_paths=paths), f"/{bucket}")
    give_keys(site, mapped)
    assert site.names(mapped, "/open") == ["a"]
    assert denied(lambda: site.names(mapped, "/closed")).http_status == 403
    assert denied(lambda: site.transfer().operation_mkdir(mapped, "/open/x")).http_status == 403
    assert site.gcs().create_collection(guest_document(mapped, "/open")).http_status == 201
