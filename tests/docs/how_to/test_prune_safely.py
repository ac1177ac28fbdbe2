"""Safe pruning: which files the page's DAGs delete, which they keep and why, and that a damaged archive stops them."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from airflow_provider_globus.sandbox.demo.checks import digests

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.demo.s3 import S3Server
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.docs.page import Page

BUCKET = "prune-archive"


def age(path: Path, days: float) -> None:
    then = time.time() - days * 86400
    os.utime(path, (then, then))


@pytest.mark.section("1. Copy with checksums, then prune by that transfer")
def test_only_what_is_proven_is_deleted(page: Page, globus_collection: CollectionFactory) -> None:
    old = {"data/scan_1/a.h5": "aaaa", "data/scan_1/b.h5": "bb"}
    instrument = globus_collection("instrument", files={**old, "data/scan_2/today.h5": "young"})
    scratch = globus_collection("scratch", files={"raw/late.h5": "same"})
    for path in old:
        age(instrument.folder / path, days=20)

    def appears_while_others_are_copied() -> None:
        # Its directory has been listed by then, so what has its name and size at scratch is no copy of it.
        if (scratch.folder / "raw/scan_1/a.h5").exists() and not late.exists():
            late.write_text("late")
            age(late, days=20)

    late = instrument.folder / "data/late.h5"
    page.dag("free_the_instrument", meanwhile=appears_while_others_are_copied)
    page.run()
    assert set(digests(instrument.folder)) == {"data/late.h5", "data/scan_2/today.h5"}
    assert {"raw/scan_1/a.h5", "raw/scan_1/b.h5", "raw/scan_2/today.h5"} < set(digests(scratch.folder))
    pruned = page.results("free_the_instrument")["prune"]
    assert (pruned["deleted"], pruned["deleted_bytes"]) == (2, 6)
    assert pruned["kept"] == {
        "it was modified within 14 days": 1,
        "no transfer given as verified_by copied it": 1,
    }


@pytest.mark.section("3. Read the archive back before you delete the last copy at home")
@pytest.mark.parametrize("damaged", [False, True], ids=["sound", "damaged"])
def test_the_archive_is_read_back_first(
    damaged: bool, page: Page, globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory, s3: S3Server
) -> None:
    project = globus_collection("project", files={"finished/a.dat": "aaaa", "finished/sub/b.dat": "bb"})
    scratch = globus_collection("scratch")
    s3.create_bucket(BUCKET)
    globus_sandbox.add_collection(
        "archive", f"s3://{BUCKET}", s3_endpoint_url=s3.url, s3_access_key_id="key", s3_secret_access_key="secret"
    )

    def rot() -> None:
        if damaged and any(task.status == "SUCCEEDED" for task in globus_sandbox.world.transfer.tasks.values()):
            s3.client.put_object(Bucket=BUCKET, Key="finished/a.dat", Body=b"aaXa")

    page.dag("archive_and_free", ends="failed" if damaged else "success", meanwhile=rot)
    if damaged:
        # The reader waits a minute for Globus to find the same again.
        page.replace('reread_to=("scratch"', 'stuck_grace=1, reread_to=("scratch"')
    page.run()
    results = page.results("archive_and_free")
    assert set(digests(project.folder)) == ({"finished/a.dat", "finished/sub/b.dat"} if damaged else set())
    if damaged:
        assert "prune" not in results
        return
    assert (results["verify"]["ok"], results["verify"]["proof"], results["verify"]["files"]) == (True, "reread", 2)
    assert results["prune"]["deleted"] == 2
    assert digests(scratch.folder) == {}
    assert s3.client.get_object(Bucket=BUCKET, Key="finished/a.dat")["Body"].read() == b"aaaa"
