"""``s3://`` URLs resolved through the sandbox's Connect Server, against moto's S3 server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.exceptions import GlobusCollectionNameError, GlobusInputError
from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.operators.s3 import GlobusResolveS3PathOperator
from airflow_provider_globus.operators.transfer import GlobusTransferOperator
from airflow_provider_globus.s3_paths import S3_CONNECTORS, resolve_s3_url, split_s3_url
from tests.unit.buckets import KEYS, s3_service
from tests.unit.conftest import Attempt, TaskInstance

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from tests.unit.conftest import TaskContext

S3 = next(connector for connector, name in S3_CONNECTORS.items() if name == "S3")


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Client]:
    with s3_service() as client:
        client.create_bucket(Bucket="beamline")
        client.create_bucket(Bucket="private")
        client.put_object(Bucket="beamline", Key="run7/raw/a.dat", Body=b"alpha")
        yield client


@pytest.fixture
def collection(globus_sandbox: GlobusSandbox, s3: S3Client) -> Callable[..., Collection]:
    def make(name: str, root: str, **more: Any) -> Collection:
        options = {"s3_endpoint_url": s3.meta.endpoint_url, **KEYS, **more}
        return globus_sandbox.add_collection(name, root, **options)

    return make


@pytest.fixture
def hook(globus_sandbox: GlobusSandbox) -> GlobusHook:
    return GlobusHook()


def service(hook: GlobusHook, s3: S3Client, name: str = "All buckets", buckets: tuple[str, ...] = ()) -> str:
    """Make a collection of a whole S3 service, with the caller's keys, as an administrator does."""
    client = hook.gcs_client("5a4db0c5-0000-4000-8000-0000000000e0")
    gateway = hook.call(
        "making a gateway",
        client.create_storage_gateway,
        {
            "DATA_TYPE": "storage_gateway#1.0.0",
            "display_name": name,
            "connector_id": S3,
            "allowed_domains": ["clients.auth.globus.org"],
            "policies": {
                "DATA_TYPE": "s3_storage_policies#1.0.0",
                "s3_endpoint": s3.meta.endpoint_url,
                "s3_buckets": list(buckets),
                "s3_user_credential_required": True,
            },
        },
    )
    collection = hook.call(
        "making a collection",
        client.create_collection,
        {
            "DATA_TYPE": "collection#1.0.0",
            "collection_type": "mapped",
            "display_name": name,
            "storage_gateway_id": gateway["id"],
            "collection_base_path": "/",
            "public": True,
        },
    )
    hook.call(
        "registering keys",
        client.create_user_credential,
        {
            "DATA_TYPE": "user_credential#1.0.0",
            "storage_gateway_id": gateway["id"],
            "policies": {
                "DATA_TYPE": "s3_user_credential_policies#1.0.0",
                "s3_key_id": "key",
                "s3_secret_key": "secret",
            },
        },
    )
    return str(collection["id"])


def test_buckets_and_keys() -> None:
    assert split_s3_url("s3://beam.line-1/a b/ü%20#?/") == ("beam.line-1", "a b/ü%20#?/")
    assert split_s3_url("s3://beamline") == split_s3_url("s3://beamline/") == ("beamline", "")


@pytest.mark.parametrize(
    "url", ["", "s3://", "s3:///key", "https://beamline/a", "/beamline/a", "s3://conn@beamline/a", None, 7]
)
def test_what_is_no_s3_url(url: Any) -> None:
    with pytest.raises(GlobusInputError, match="is no S3 URL"):
        split_s3_url(url)


@pytest.mark.parametrize("key", ["a//b", "/a", "../a", "a/./b", "a/..", "a//", "a\nb"])
def test_keys_that_are_no_paths(key: str) -> None:
    with pytest.raises(GlobusInputError, match="The key of"):
        split_s3_url(f"s3://beamline/{key}")


def test_the_deepest_collection_is_meant(
    collection: Callable[..., Collection], globus_sandbox: GlobusSandbox, hook: GlobusHook
) -> None:
    whole, below = collection("whole", "s3://beamline"), collection("below", "s3://beamline/run7")
    shared = globus_sandbox.add_collection("shared", kind="guest", host=whole, base_path="/run7/raw")
    cases = {
        "s3://beamline": (whole, "/"),
        "s3://beamline/": (whole, "/"),
        "s3://beamline/run8/a.dat": (whole, "/run8/a.dat"),
        "s3://beamline/run70": (whole, "/run70"),
        "s3://beamline/run7": (below, "/"),
        "s3://beamline/run7/other/": (below, "/other/"),
        "s3://beamline/run7/raw/a.dat": (shared, "/a.dat"),
    }
    for url, (expected, path) in cases.items():
        place = resolve_s3_url(hook, url)
        assert (place.collection, place.path, place.collection_name) == (expected.id, path, expected.name), url


def test_only_the_collections_given_are_considered(
    collection: Callable[..., Collection], globus_sandbox: GlobusSandbox, hook: GlobusHook
) -> None:
    whole, _ = collection("whole", "s3://beamline", alias="w"), collection("below", "s3://beamline/run7")
    globus_sandbox.journal.clear()
    place = resolve_s3_url(hook, "s3://beamline/run7/x", collections=["w"])
    assert (place.collection, place.path) == (whole.id, "/run7/x")
    assert globus_sandbox.journal.count("transfer", path="*/endpoint_search") == 0
    with pytest.raises(
        GlobusCollectionNameError, match=r"(?s)No collection given leads to .*below \(.*\) begins at s3://b"
    ):
        resolve_s3_url(hook, "s3://beamline/run8/x", collections="below")


def test_none_leads_there(
    collection: Callable[..., Collection], globus_sandbox: GlobusSandbox, hook: GlobusHook, tmp_path: Any
) -> None:
    collection("below", "s3://beamline/run7")
    collection("personal", str(tmp_path), kind="personal")
    globus_sandbox.add_collection("posix", tmp_path)
    with pytest.raises(GlobusCollectionNameError) as refused:
        resolve_s3_url(hook, "s3://other/a")
    lines = refused.value.message.splitlines()
    assert lines[0] == "No collection that this identity can see leads to s3://other/a. Looked at:"
    reasons = [line.rpartition(") ")[2] for line in lines[1:]]
    assert reasons == ["begins at s3://beamline/run7", "is on other storage than S3"]


def test_several_that_begin_at_the_same_place(collection: Callable[..., Collection], hook: GlobusHook) -> None:
    first, second = collection("first", "s3://beamline"), collection("second", "s3://beamline")
    with pytest.raises(GlobusCollectionNameError, match=r"2 collections lead to .* equally well") as refused:
        resolve_s3_url(hook, "s3://beamline/a")
    assert f"first ({first.id}): /a" in refused.value.message
    assert f"second ({second.id}): /a" in refused.value.message
    assert resolve_s3_url(hook, "s3://beamline/a", collections=["second"]).collection == second.id


def test_buckets_of_one_name_at_two_services(
    collection: Callable[..., Collection], hook: GlobusHook, s3: S3Client
) -> None:
    here = collection("here", "s3://beamline")
    there = collection("there", "s3://beamline/run7", s3_endpoint_url="https://s3.example.org")
    with pytest.raises(GlobusCollectionNameError, match=r"at 2 S3 services \(.*s3\.example\.org\).*s3_endpoint"):
        resolve_s3_url(hook, "s3://beamline/run7/a")
    for endpoint, expected, path in ((s3.meta.endpoint_url, here, "/run7/a"), ("https://s3.example.org/", there, "/a")):
        place = resolve_s3_url(hook, "s3://beamline/run7/a", s3_endpoint=endpoint)
        assert (place.collection, place.path) == (expected.id, path)
    with pytest.raises(GlobusCollectionNameError, match=r"is on another S3 service, https://s3\.example\.org"):
        resolve_s3_url(hook, "s3://beamline/a", s3_endpoint="https://elsewhere", collections=["there"])


def test_a_whole_service_is_looked_into_where_no_policy_names_the_bucket(
    globus_sandbox: GlobusSandbox, hook: GlobusHook, s3: S3Client
) -> None:
    everything = service(hook, s3)
    globus_sandbox.journal.clear()
    place = resolve_s3_url(hook, "s3://private/a/b")
    assert (place.collection, place.path) == (everything, "/private/a/b")
    assert globus_sandbox.journal.count("transfer", path="*/ls") == 1
    assert resolve_s3_url(hook, "s3://private").path == "/private/"
    with pytest.raises(GlobusCollectionNameError, match=r"All buckets \(.*\) does not show the bucket"):
        resolve_s3_url(hook, "s3://nowhere/a")


def test_a_bucket_that_a_policy_names_needs_no_look(
    globus_sandbox: GlobusSandbox, hook: GlobusHook, s3: S3Client
) -> None:
    named = service(hook, s3, "Named", buckets=("beamline",))
    service(hook, s3, "Unnamed")
    globus_sandbox.journal.clear()
    assert resolve_s3_url(hook, "s3://beamline/a").collection == named
    assert globus_sandbox.journal.count("transfer", path="*/ls") == 0


@pytest.mark.parametrize(
    ("name", "aliases"), [("beamline archive", False), ("called otherwise", True)], ids=["by its words", "by its alias"]
)
def test_somebody_elses_collection_is_found(
    collection: Callable[..., Collection],
    globus_sandbox: GlobusSandbox,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    aliases: bool,
) -> None:
    theirs = collection(name, "s3://beamline")
    connection = json.loads(globus_sandbox.connection_for(globus_sandbox.add_client("other")))
    connection["extra"]["collections"] = {"theirs": theirs.id} if aliases else {}
    monkeypatch.setenv("AIRFLOW_CONN_GLOBUS_DEFAULT", json.dumps(connection))
    place = resolve_s3_url(GlobusHook(), "s3://beamline/a")
    assert (place.collection, place.path) == (theirs.id, "/a")


def test_the_operator_feeds_a_transfer(
    collection: Callable[..., Collection], globus_sandbox: GlobusSandbox, context: TaskContext, tmp_path: Any
) -> None:
    collection("beamline", "s3://beamline")
    globus_sandbox.add_collection("local", tmp_path)
    place = GlobusResolveS3PathOperator(task_id="resolve", url="s3://beamline/run7/raw/a.dat").execute(context)
    assert place == {
        "collection": place["collection"],
        "path": "/run7/raw/a.dat",
        "collection_name": "beamline",
    }
    copy: Any = Attempt(ti=TaskInstance(task_id="copy"))
    GlobusTransferOperator(
        task_id="copy",
        source_collection=place["collection"],
        source_path=place["path"],
        destination_collection="local",
        destination_path="/a.dat",
        poll_interval=0.05,
    ).execute(copy)
    assert (tmp_path / "a.dat").read_bytes() == b"alpha"


REFUSED: dict[str, Any] = {"status": 403, "code": "permission_denied", "message": "No role on this endpoint"}


def test_what_could_not_be_looked_at_is_told(
    collection: Callable[..., Collection], globus_sandbox: GlobusSandbox, hook: GlobusHook
) -> None:
    hidden, shown = collection("hidden", "s3://beamline"), collection("shown", "s3://beamline/run7")
    globus_sandbox.faults.add(service="connect_server", path=f"/api/collections/{hidden.id}", **REFUSED)
    assert resolve_s3_url(hook, "s3://beamline/run7/a").collection == shown.id
    with pytest.raises(GlobusCollectionNameError, match=r"hidden \(.*\) could not be looked at: .*No role"):
        resolve_s3_url(hook, "s3://beamline/a")


def test_a_gateway_need_not_be_shown(
    collection: Callable[..., Collection], globus_sandbox: GlobusSandbox, hook: GlobusHook
) -> None:
    whole = collection("whole", "s3://beamline")
    globus_sandbox.faults.add(service="connect_server", path="/api/storage_gateways/*", **REFUSED)
    assert resolve_s3_url(hook, "s3://beamline/a").collection == whole.id


def test_a_connect_server_that_is_down_is_asked_once(
    collection: Callable[..., Collection], globus_sandbox: GlobusSandbox, hook: GlobusHook
) -> None:
    for name in ("first", "second", "third"):
        collection(name, f"s3://beamline/{name}")
    # Something else that answers; the SDK would ask again for long after a 5xx.
    globus_sandbox.faults.add(service="connect_server", path="/api/collections/*", body="<html>")
    with pytest.raises(GlobusCollectionNameError) as refused:
        resolve_s3_url(hook, "s3://beamline/first/a")
    assert refused.value.message.count("could not be looked at") == 3
    assert globus_sandbox.journal.count("connect_server", path="/api/collections/*") == 1
