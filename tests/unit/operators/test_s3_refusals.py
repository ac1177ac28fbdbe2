"""What an S3 collection refuses, as an operator tells it: what happened, Connect Server's reason, what to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest
import requests

from airflow_provider_globus.exceptions import GlobusPermissionError
from airflow_provider_globus.operators.collections import GlobusListOperator
from airflow_provider_globus.operators.gcs_collections import GlobusCreateMappedCollectionOperator
from airflow_provider_globus.operators.storage_gateways import GlobusCreateStorageGatewayOperator
from airflow_provider_globus.operators.user_credentials import GlobusCreateUserCredentialOperator
from tests.unit.buckets import s3_service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

    from airflow_provider_globus.sandbox import GlobusSandbox
    from tests.unit.conftest import TaskContext

#: An IAM policy that lets its user see one bucket.
ONE_BUCKET = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "s3:*", "Resource": ["arn:aws:s3:::mine", "arn:aws:s3:::mine/*"]},
    ],
}


@pytest.fixture
def s3() -> Iterator[S3Client]:
    with s3_service() as client:
        for bucket in ("mine", "theirs"):
            client.create_bucket(Bucket=bucket)
        client.put_object(Bucket="mine", Key="a.txt", Body=b"a")
        yield client


@pytest.fixture
def keys(s3: S3Client) -> Iterator[tuple[str, str]]:
    """Keys that see one bucket, at a service that checks keys from now on."""
    url = s3.meta.endpoint_url
    admin = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    iam = boto3.client("iam", endpoint_url=url, **admin)  # type: ignore[call-overload]
    # moto's services share one memory in a process.
    user = uuid4().hex
    iam.create_user(UserName=user)
    iam.put_user_policy(UserName=user, PolicyName="one", PolicyDocument=json.dumps(ONE_BUCKET))
    pair = iam.create_access_key(UserName=user)["AccessKey"]
    requests.post(f"{url}/moto-api/reset-auth", data=b"0", timeout=10).raise_for_status()
    yield pair["AccessKeyId"], pair["SecretAccessKey"]
    requests.post(f"{url}/moto-api/reset-auth", data=b"Infinity", timeout=10).raise_for_status()


class Bucket:
    """An S3 gateway with a collection on a bucket, made by operators."""

    def __init__(self, globus: GlobusSandbox, context: TaskContext, s3: S3Client) -> None:
        self.endpoint, self.context, self.s3 = globus.world.transfer.endpoint.id, context, s3
        self.server = globus.world.connect_server

    def do(self, cls: Any, **arguments: Any) -> Any:
        return cls(task_id="a_task", endpoint=self.endpoint, **arguments).execute(self.context)

    def make(self, bucket: str, **gateway: Any) -> str:
        policies = {"s3_endpoint": self.s3.meta.endpoint_url, "s3_user_credential_required": True}
        options = {"display_name": "S3", "connector": "S3", "policies": policies, **gateway}
        self.do(GlobusCreateStorageGatewayOperator, **options)
        made = self.do(
            GlobusCreateMappedCollectionOperator,
            storage_gateway="S3",
            display_name=bucket,
            collection_base_path=f"/{bucket}",
        )
        return str(made["collection_id"])

    def give(self, keys: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
        document = {"conn_type": "aws", "login": keys[0], "password": keys[1]}
        monkeypatch.setenv("AIRFLOW_CONN_S3_KEYS", json.dumps(document))
        made = self.do(GlobusCreateUserCredentialOperator, storage_gateway="S3", credentials_conn_id="s3_keys")
        return str(made["user_credential_id"])

    def names(self, collection: str) -> list[str]:
        listed = GlobusListOperator(task_id="a_task", collection=collection, path="/").execute(self.context)
        return [entry["name"] for entry in listed]

    def refusal(self, collection: str) -> str:
        with pytest.raises(GlobusPermissionError) as error:
            self.names(collection)
        return str(error.value)


@pytest.fixture
def bucket(globus_sandbox: GlobusSandbox, context: TaskContext, s3: S3Client) -> Bucket:
    return Bucket(globus_sandbox, context, s3)


def test_a_bucket_that_the_keys_may_not_see(
    bucket: Bucket, keys: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, theirs = bucket.make("mine"), bucket.make("theirs")
    bucket.give(keys, monkeypatch)
    assert bucket.names(mine) == ["a.txt"]
    said = bucket.refusal(theirs)
    assert "403 EndpointPermissionDenied" in said
    assert "permission on the storage behind it" in said


@pytest.mark.parametrize("wrong", ["id", "secret"])
def test_keys_that_the_storage_does_not_know(
    wrong: str, bucket: Bucket, keys: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = bucket.make("mine")
    bucket.give(("AKIA0000000000000000", keys[1]) if wrong == "id" else (keys[0], "no-such-secret"), monkeypatch)
    said = bucket.refusal(mine)
    assert ("InvalidAccessKeyId" if wrong == "id" else "SignatureDoesNotMatch") in said
    assert "GlobusCreateUserCredentialOperator with rotate=True" in said
    assert "no-such-secret" not in said


def test_no_keys_at_all(bucket: Bucket) -> None:
    said = bucket.refusal(bucket.make("mine"))
    assert "no credential is registered" in said
    assert "Register a credential on the storage gateway first: GlobusCreateUserCredentialOperator." in said


def test_a_credential_that_has_expired(bucket: Bucket, keys: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    mine = bucket.make("mine")
    credential_id = bucket.give(keys, monkeypatch)
    bucket.server.credentials[credential_id].invalid = True
    said = bucket.refusal(mine)
    assert f"the user credential {credential_id} is not valid (any more)" in said
    assert "rotate=True" in said


def test_a_domain_that_the_gateway_does_not_take(bucket: Bucket) -> None:
    said = bucket.refusal(bucket.make("mine", allowed_domains=["example.org"]))
    assert "allowed domains are example.org" in said
    assert "service accounts are of the domain clients.auth.globus.org" in said
