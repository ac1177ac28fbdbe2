"""Manifests: what is sent is proven at the other institution and in S3, and a single other byte is found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airflow_provider_globus.sandbox.demo.checks import digests

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.demo.s3 import S3Server
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.docs.page import Page

FILES = {"a.h5": "aaaa", "meta/notes of Zoë.txt": "drift at 14:20", "empty.log": ""}
BUCKET = "manifest-archive"


@pytest.mark.section("1. Send data with a manifest")
@pytest.mark.section("2. Verify what has arrived")
def test_to_another_institution(
    page: Page,
    globus_sandbox: GlobusSandbox,
    globus_collection: CollectionFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    globus_collection("lab", files={f"scans/scan_0042/{name}": text for name, text in FILES.items()})
    partner = globus_collection("partner")
    scratch = globus_collection("scratch")
    page.run(until='"receive"')
    manifest = json.loads((partner.folder / "incoming/scan_0042.manifest.json").read_text())
    assert (manifest["files"], manifest["checksums"]) == (3, 3)
    assert {entry["path"] for entry in manifest["entries"]} == set(FILES)

    # The partner has a service account of its own, which knows the same collection by another name.
    theirs = globus_sandbox.add_client("partner")
    connection = json.loads(globus_sandbox.connection_for(theirs))
    connection["extra"]["collections"]["incoming"] = partner.id
    monkeypatch.setenv("AIRFLOW_CONN_GLOBUS_PARTNER", json.dumps(connection))
    page.run()
    verified = page.results("receive")["verify"]
    assert (verified["ok"], verified["proof"], verified["files"]) == (True, "reread", 3)
    assert verified["manifest_digest"] == manifest["digest"]
    assert digests(scratch.folder) == {}
    tasks = globus_sandbox.world.transfer.tasks.values()
    assert [task.owner_id for task in tasks if task.spec.source.id == partner.id] == [theirs.id], (
        "they read it themselves"
    )

    manifest["entries"][0]["size"] += 1
    (partner.folder / "incoming/scan_0042.manifest.json").write_text(json.dumps(manifest))
    assert "verify" not in page.run_dag("receive", ends="failed").results, "an altered manifest is refused"


@pytest.mark.section("3. Verify S3, or against a list that somebody else has made")
def test_against_a_list_of_checksums(
    page: Page, globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory, s3: S3Server
) -> None:
    scratch = globus_collection("scratch")
    s3.create_bucket(BUCKET)
    globus_sandbox.add_collection(
        "archive", f"s3://{BUCKET}", s3_endpoint_url=s3.url, s3_access_key_id="key", s3_secret_access_key="secret"
    )
    data = page.folder / "data/scan_0042"
    (page.folder / "shared/manifests").mkdir(parents=True)
    for name, text in FILES.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(text)
        s3.client.put_object(Bucket=BUCKET, Key=f"cold/scan_0042/{name}", Body=text.encode())
    page.replace("/data/scan_0042", data)
    page.replace("/shared/manifests", page.folder / "shared/manifests")
    # The reader waits a minute for Globus to find the same again.
    page.replace('reread_to=("scratch"', 'stuck_grace=1, reread_to=("scratch"')
    page.run()
    verified = page.results("verify_archive")["verify"]
    assert (verified["ok"], verified["proof"], verified["files"]) == (True, "reread", 3)
    assert digests(scratch.folder) == {f"verify/scan_0042/{name}": digest for name, digest in digests(data).items()}, (
        "Globus read what the list was made of"
    )

    s3.client.put_object(Bucket=BUCKET, Key="cold/scan_0042/a.h5", Body=b"aaXa")
    page.run_dag("verify_archive", ends="failed")
