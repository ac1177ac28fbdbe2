"""A Connect Server to manage: the SDK's own GCSClient over TLS, Transfer, people with usernames, and moto as S3."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import globus_sdk
import pytest
from globus_sdk import AccessTokenAuthorizer, GCSAPIError, GCSClient, TransferAPIError, TransferClient, TransferData
from globus_sdk.transport import RetryConfig

from airflow_provider_globus.sandbox.auth.scopes import (
    ENDPOINT_ID,
    MANAGE_COLLECTIONS,
    TRANSFER_ALL,
    TRANSFER_SERVER,
    data_access_scope,
    parse_scopes,
)
from tests.unit.buckets import s3_service

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from airflow_provider_globus.sandbox.auth.models import Identity
    from airflow_provider_globus.sandbox.server import GlobusSandbox
    from airflow_provider_globus.sandbox.transfer.tasks import Task
    from airflow_provider_globus.sandbox.world import World

POSIX = globus_sdk.ConnectorTable.POSIX.connector_id
S3 = globus_sdk.ConnectorTable.S3.connector_id
PATIENCE_SECONDS = 20.0
#: A login that ended a while ago, or had a second factor: what tokens go back to.
Login = Any


@dataclass
class Site:
    """A laboratory's Connect Server, its administrator (the default client) and others."""

    sandbox: GlobusSandbox
    folder: Path
    people: dict[str, Identity] = field(default_factory=dict)

    @property
    def world(self) -> World:
        return self.sandbox.world

    def person(self, username: str) -> str:
        """Return the id of a person."""
        if username not in self.people:
            self.people[username] = self.sandbox.add_identity(username)
        return self.people[username].id

    def token(self, server: str, scope: str, who: str | None, *, consents: bool = True, mfa: bool = False) -> str:
        """Log somebody in: the default client, or a person by the username."""
        if consents and (mapped := [c.id for c in self.world.transfer.collections.values() if c.needs_data_access]):
            scope += f"[{' '.join(data_access_scope(item) for item in mapped)}]"
        identity_id = self.sandbox.client_id if who is None else self.person(who)
        token = self.world.auth.issue(
            identity_id=identity_id,
            client_id=self.sandbox.client_id,
            resource_server=server,
            scopes=parse_scopes(scope),
        )
        token.mfa = mfa
        return token.value

    def gcs(self, who: str | None = None, **login: Any) -> GCSClient:
        """Return the GCS Manager's client of the endpoint's administrator, or of a person."""
        token = self.token(ENDPOINT_ID, MANAGE_COLLECTIONS, who, **login)
        return GCSClient(
            self.sandbox.tls_url, authorizer=AccessTokenAuthorizer(token), retry_config=RetryConfig(max_retries=0)
        )

    def transfer(self, who: str | None = None, **login: Any) -> TransferClient:
        token = self.token(TRANSFER_SERVER, TRANSFER_ALL, who, **login)
        return TransferClient(
            authorizer=AccessTokenAuthorizer(token),
            base_url=self.sandbox.url,
            retry_config=RetryConfig(max_retries=0),
        )

    def gateway(self, **more: Any) -> str:
        """Make a POSIX storage gateway, unless `more` says otherwise; returns its id."""
        document = {
            "DATA_TYPE": "storage_gateway#1.3.0",
            "display_name": "disks",
            "connector_id": POSIX,
            "policies": {"DATA_TYPE": "posix_storage_policies#1.0.0"},
        }
        return str(self.gcs().create_storage_gateway({**document, **more})["id"])

    def mapped(self, gateway_id: str, base_path: str = "/", **more: Any) -> str:
        """Make a mapped collection that allows guest collections; returns its id."""
        document = {
            "DATA_TYPE": "collection#1.16.0",
            "collection_type": "mapped",
            "display_name": "data",
            "public": True,
            "allow_guest_collections": True,
            "collection_base_path": base_path,
            "storage_gateway_id": gateway_id,
        }
        return str(self.gcs().create_collection({**document, **more})["id"])

    def guest(self, mapped_id: str, base_path: str = "/", *, who: str | None = None, **more: Any) -> str:
        """Make a guest collection; returns its id."""
        document = guest_document(mapped_id, base_path, **more)
        return str(self.gcs(who).create_collection(document)["id"])

    def names(self, collection_id: str, path: str = "/", who: str | None = None, **login: Any) -> list[str]:
        """List a directory through Transfer."""
        return [item["name"] for item in self.transfer(who, **login).operation_ls(collection_id, path=path)]

    def submit(
        self, source: str, destination: str, *items: tuple[str, str], who: str | None = None, **options: Any
    ) -> str:
        data = TransferData(source, destination, **options)
        for here, there in items:
            data.add_item(here, there)
        return str(self.transfer(who).submit_transfer(data)["task_id"])

    def move(self, source: str, destination: str, *items: tuple[str, str], **options: Any) -> Task:
        """Transfer something and wait for the end."""
        return self.world.transfer.wait(self.submit(source, destination, *items, **options), PATIENCE_SECONDS)

    def faulting(self, task_id: str) -> Task:
        """Wait until a task rests after a fault."""
        task = self.world.transfer.task(task_id)
        with self.world.transfer.engine.changed:
            assert self.world.transfer.engine.changed.wait_for(
                lambda: task.done or task.phase.name == "RETRYING", PATIENCE_SECONDS
            )
        return task


def guest_document(mapped_id: str, base_path: str = "/", **more: Any) -> dict[str, Any]:
    return {
        "DATA_TYPE": "collection#1.16.0",
        "collection_type": "guest",
        "display_name": "shared",
        "public": True,
        "collection_base_path": base_path,
        "mapped_collection_id": mapped_id,
        **more,
    }


def mapping(*rules: tuple[str, str]) -> dict[str, Any]:
    """Return an identity mapping of usernames: pairs of a pattern and the account."""
    rows = [{"source": "{username}", "match": match, "output": output} for match, output in rules]
    return {"DATA_TYPE": "expression_identity_mapping#1.0.0", "mappings": rows}


def restrictions(**paths: Any) -> dict[str, Any]:
    return {"DATA_TYPE": "path_restrictions#1.0.0", **paths}


@pytest.fixture
def site(sandbox_as_new: GlobusSandbox, tmp_path: Path) -> Site:
    """A Connect Server without gateways, whose POSIX gateways show a folder of the test."""
    root = tmp_path / "storage"
    for name in ("alpha/a.txt", "alpha/deep/b.txt", "beta/c.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    sandbox_as_new.world.connect_server.set_folder(root)
    return Site(sandbox_as_new, root)


@pytest.fixture
def posix(site: Site) -> str:
    """The id of a mapped collection on the whole folder."""
    return site.mapped(site.gateway())


Refused = Callable[[Callable[..., object]], GCSAPIError]


@pytest.fixture
def refused() -> Refused:
    """Return the error of a call to the GCS Manager that must be refused; its envelope is checked, too."""

    def call(act: Callable[..., object]) -> GCSAPIError:
        with pytest.raises(GCSAPIError) as error:
            act()
        body: Mapping[str, Any] = error.value.raw_json or {}
        assert body["DATA_TYPE"] == ("result#1.1.0" if "authorization_parameters" in body else "result#1.0.0")
        assert body["http_response_code"] == error.value.http_status
        assert body["code"] == error.value.code
        assert body["has_next_page"] is False
        assert "detail" in body
        return error.value

    return call


@pytest.fixture
def denied() -> Callable[[Callable[..., object]], TransferAPIError]:
    """Return the error of a call to Transfer that must be refused."""

    def call(act: Callable[..., object]) -> TransferAPIError:
        with pytest.raises(TransferAPIError) as error:
            act()
        return error.value

    return call


def problems(error: GCSAPIError) -> dict[str, str]:
    """Return what a refused document is said to have wrong, by property."""
    detail = error.raw_json["detail"]  # type: ignore[index]
    assert (error.http_status, error.code, error.message) == (422, "unprocessable_entity", "Data Validation Error")
    assert detail["DATA_TYPE"] == "invalid_input#1.0.0"
    return {item["property"]: item["message"] for item in detail["errors"]}


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    with s3_service() as client:
        yield client.meta.endpoint_url


@pytest.fixture
def s3(s3_url: str) -> S3Client:
    return boto3.client(
        "s3", endpoint_url=s3_url, aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1"
    )


@pytest.fixture
def new_bucket(s3: S3Client) -> Callable[..., str]:
    """Make a bucket with objects; returns its name."""

    def make(name: str = "bucket", objects: Mapping[str, bytes] | None = None) -> str:
        unique = f"{name}-{uuid.uuid4().hex[:8]}"
        s3.create_bucket(Bucket=unique)
        for key, data in (objects or {}).items():
            s3.put_object(Bucket=unique, Key=key, Body=data)
        return unique

    return make
