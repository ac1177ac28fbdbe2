"""The SDK's own clients of HTTPS access to collections, unmodified, over TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from globus_sdk import ClientApp, GlobusAPIError, GlobusAppConfig
from globus_sdk.experimental.gcs_collection_client import GCSCollectionClient
from globus_sdk.experimental.gcs_downloader import GCSDownloader

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder


@pytest.fixture
def app(globus_sandbox: GlobusSandbox) -> ClientApp:
    """The default service account."""
    config = GlobusAppConfig(token_storage="memory")
    return ClientApp(client_id=globus_sandbox.client_id, client_secret=globus_sandbox.client_secret, config=config)


@pytest.fixture
def url(globus_sandbox: GlobusSandbox) -> Callable[..., str]:
    """Return where a file of a collection is."""
    return lambda collection, path="": f"{globus_sandbox.tls_url}/https/{collection.id}{path}"


@pytest.fixture
def client(app: ClientApp, url: Callable[..., str]) -> Callable[[CollectionFolder], GCSCollectionClient]:
    """Make a client of a collection."""
    return lambda collection: GCSCollectionClient(collection.id, url(collection), app=app)


@pytest.mark.parametrize("kind", ["mapped", "guest", "high assurance"])
def test_the_downloader_finds_out_what_it_needs(
    kind: str, app: ClientApp, url: Callable[..., str], globus_collection: CollectionFactory
) -> None:
    files: dict[str, bytes | str] = {"run/a.txt": "text", "b": b"\x00\xff"}
    collection = globus_collection("data", files=files, high_assurance=kind == "high assurance")
    if kind == "guest":
        collection = globus_collection("guest", host=collection)
    with GCSDownloader(app) as downloader:
        assert downloader.read_file(url(collection, "/run/a.txt")) == "text"
        assert downloader.read_file(url(collection, "/b"), as_text=False) == b"\x00\xff"


def test_the_collection_client_reads_writes_and_deletes(
    client: Callable[[CollectionFolder], GCSCollectionClient], globus_collection: CollectionFactory
) -> None:
    data = globus_collection("data")
    files = client(data)
    files.put("/a.json", data='{"x": 1}', encoding="text")
    assert files.get("/a.json")["x"] == 1
    assert (data.folder / "a.json").read_bytes() == b'{"x": 1}'
    head = files.request("HEAD", "/a.json")
    assert (head.headers["Content-Length"], head.headers["Content-Type"]) == ("8", "application/json")
    files.delete("/a.json")
    with pytest.raises(GlobusAPIError) as error:
        files.get("/a.json")
    assert error.value.http_status == 404
    assert "PATH_NOT_FOUND" in error.value.text


def test_parts_of_a_file_are_read(
    client: Callable[[CollectionFolder], GCSCollectionClient], globus_collection: CollectionFactory
) -> None:
    files = client(globus_collection("data", files={"a.txt": "0123456789"}))
    part = files.get("/a.txt", headers={"Range": "bytes=2-4"})
    assert (part.http_status, part.text, part.headers["Content-Range"]) == (206, "234", "bytes 2-4/*")
