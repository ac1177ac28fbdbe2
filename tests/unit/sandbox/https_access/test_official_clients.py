"""The SDK's own clients of HTTPS access, unmodified, over TLS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from globus_sdk import GlobusAPIError
from globus_sdk.experimental.gcs_collection_client import GCSCollectionClient
from globus_sdk.experimental.gcs_downloader import GCSDownloader

if TYPE_CHECKING:
    from tests.unit.sandbox.https_access.conftest import Lab


@pytest.mark.parametrize("kind", ["mapped", "guest", "high assurance"])
def test_the_downloader_finds_out_what_it_needs(lab: Lab, kind: str) -> None:
    collection = lab.collection(files={"run/a.txt": b"text", "b": b"\x00\xff"}, high_assurance=kind == "high assurance")
    if kind == "guest":
        collection = lab.guest(collection)
    with GCSDownloader(lab.app()) as downloader:
        assert downloader.read_file(lab.url(collection, "/run/a.txt")) == "text"
        assert downloader.read_file(lab.url(collection, "/b"), as_text=False) == b"\x00\xff"


def test_the_collection_client_reads_writes_and_deletes(lab: Lab) -> None:
    data = lab.collection()
    client = GCSCollectionClient(data.id, lab.url(data), app=lab.app())
    client.put("/a.json", data='{"x": 1}', encoding="text")
    assert client.get("/a.json")["x"] == 1
    assert (Path(data.root) / "a.json").read_bytes() == b'{"x": 1}'
    client.delete("/a.json")
    with pytest.raises(GlobusAPIError) as error:
        client.get("/a.json")
    assert error.value.http_status == 404
    assert "PATH_NOT_FOUND" in error.value.text
