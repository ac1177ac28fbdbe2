"""What is behind a collection counts over HTTPS, too: buckets, and what a storage gateway demands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.buckets import s3_service

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from tests.unit.sandbox.https_access.conftest import Lab


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Client]:
    with s3_service() as client:
        yield client


def demand(lab: Lab, collection: Collection, **fields: Any) -> None:
    """Change the storage gateway of a collection."""
    state = lab.sandbox.world.connect_server
    gateway = state.gateway_of(collection)
    assert gateway is not None
    state.gateways[gateway.id] = replace(gateway, fields=gateway.fields | fields)
    state.changed()


def test_a_bucket(lab: Lab, s3: S3Client) -> None:
    s3.create_bucket(Bucket="bucket")
    collection = lab.sandbox.add_collection(
        "bucket",
        "s3://bucket/data",
        s3_endpoint_url=s3.meta.endpoint_url,
        s3_access_key_id="key",
        s3_secret_access_key="secret",
    )
    # Directories of a bucket are but names: none has to be there.
    assert lab.ask("PUT", collection, "/run1/a.txt", data=b"0123456789").status_code == 200
    assert s3.get_object(Bucket="bucket", Key="data/run1/a.txt")["Body"].read() == b"0123456789"
    assert lab.ask("GET", collection, "/run1/a.txt").content == b"0123456789"
    assert lab.ask("GET", collection, "/run1/a.txt", headers={"Range": "bytes=4-6"}).content == b"456"
    assert lab.ask("HEAD", collection, "/run1").status_code == 400
    assert lab.ask("DELETE", collection, "/run1/a.txt").status_code == 200
    assert lab.ask("GET", collection, "/run1/a.txt").status_code == 404


def test_https_that_is_switched_off(lab: Lab) -> None:
    host = lab.collection(files={"a": b"x"})
    guest = lab.guest(host)
    assert lab.ask("GET", guest, "/a").status_code == 200
    guest.policy["enable_https"] = False
    assert lab.ask("GET", guest, "/a").status_code == 404
    assert lab.ask("GET", host, "/a").status_code == 200
    assert lab.ask("GET", host, "/a", token="").status_code == 302


def test_an_identity_without_an_account(lab: Lab) -> None:
    data = lab.collection(files={"a": b"x"})
    demand(lab, data, allowed_domains=["example.org"])
    answer = lab.ask("GET", data, "/a")
    assert answer.status_code == 403
    assert "c=LOGIN_DENIED" in answer.text
    assert '"not_from_allowed_domain#1.0.0"' in answer.text
    ada = lab.sandbox.add_identity("ada@example.org")
    assert lab.ask("GET", data, "/a", token=lab.token(data, identity_id=ada.id)).content == b"x"


def test_paths_that_are_kept_from_everybody(lab: Lab) -> None:
    host = lab.collection(files={"open/a": b"x", "closed/a": b"x"})
    guest = lab.guest(host)
    lab.sandbox.world.transfer.add_rule(guest, path="/", principal_type="anonymous")
    demand(lab, host, restrict_paths={"none": ["/closed"]})
    for collection in (host, guest):
        assert lab.ask("GET", collection, "/open/a").status_code == 200
        assert lab.ask("GET", collection, "/closed/a").status_code == 403
    assert lab.ask("GET", guest, "/open/a", token="").status_code == 200
    assert lab.ask("GET", guest, "/closed/a", token="").status_code == 403


def test_a_login_that_is_too_weak(lab: Lab) -> None:
    data = lab.collection(files={"a": b"x"})
    demand(lab, data, require_mfa=True)
    answer = lab.ask("GET", data, "/a")
    assert answer.status_code == 403
    assert answer.json()["authorization_parameters"]["session_required_mfa"] is True
