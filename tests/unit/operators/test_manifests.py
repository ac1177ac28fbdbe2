"""Manifests made of collections and verified against them, through the real SDK in the sandbox."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.exceptions import GlobusInputError, GlobusJobStuckError, GlobusVerificationError
from airflow_provider_globus.operators.manifests import GlobusCreateManifestOperator, GlobusVerifyManifestOperator
from airflow_provider_globus.operators.proofs import CLOCK_SKEW
from airflow_provider_globus.operators.transfer import GlobusTransferOperator
from tests.unit.conftest import Attempt, TaskInstance

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.unit.conftest import TaskContext

FILES = {"run/a.dat": "aaaa", "run/sub/b c.dat": "bb"}
NAMES = ["a.dat", "sub/b c.dat"]


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


@pytest.fixture
def source(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("source", files=FILES)


@pytest.fixture
def archive(source: CollectionFolder, globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("archive")


@pytest.fixture
def copied(archive: CollectionFolder) -> dict[str, Any]:
    """The result of the transfer that filled the archive."""
    return copy()


def copy(**changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "task_id": "copy",
        "source_collection": "source",
        "destination_collection": "archive",
        "source_path": "/run/",
        "destination_path": "/kept/",
        "poll_interval": 0.05,
    }
    context: Any = Attempt(ti=TaskInstance(task_id="copy"))
    result: dict[str, Any] = GlobusTransferOperator(**arguments | changes).execute(context)
    return result


def create(**changes: Any) -> dict[str, Any]:
    arguments = {"task_id": "create", "collection": "archive", "path": "/kept/"} | changes
    context: Any = Attempt(ti=TaskInstance(task_id="create"))
    return GlobusCreateManifestOperator(**arguments).execute(context)


def verify(context: TaskContext, manifest: Any, **changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {"task_id": "t", "collection": "archive", "path": "/kept/", "poll_interval": 0.05}
    result: dict[str, Any] = GlobusVerifyManifestOperator(manifest=manifest, **arguments | changes).execute(context)
    return result


# Making one


def test_a_manifest_has_the_checksums_that_the_transfer_verified(copied: dict[str, Any]) -> None:
    result = create(verified_by=copied)
    assert result["entries"] == [
        {"path": "a.dat", "size": 4, "checksum": md5("aaaa"), "algorithm": "MD5"},
        {"path": "sub/b c.dat", "size": 2, "checksum": md5("bb"), "algorithm": "MD5"},
    ]
    summary = {name: result[name] for name in ("files", "bytes", "checksums", "truncated", "location")}
    assert summary == {"files": 2, "bytes": 6, "checksums": 2, "truncated": False, "location": None}
    assert create(verified_by=[copied["task_id"]])["digest"] == result["digest"] != create()["digest"]


def test_the_side_that_was_read_has_the_same_manifest(copied: dict[str, Any]) -> None:
    here = create(collection="source", path="/run//", verified_by=copied)
    assert here["digest"] == create(verified_by=copied)["digest"]


def test_a_copy_within_a_collection_serves_both_of_its_directories(
    source: CollectionFolder, globus_sandbox: GlobusSandbox
) -> None:
    moved = copy(destination_collection="source", destination_path="/again/")
    digests = {create(collection="source", path=path, verified_by=moved)["digest"] for path in ("/run/", "/again/")}
    assert len(digests) == 1
    assert create(collection="source", path="/", verified_by=moved)["checksums"] == 4


def test_a_local_file_takes_what_the_result_does_not(copied: dict[str, Any], tmp_path: Path) -> None:
    output = tmp_path / "out/run.md5"
    result = create(verified_by=copied, write_to=str(output), limit=1)
    assert (result["location"], result["format"], result["truncated"]) == (str(output), "checksums", True)
    assert [entry["path"] for entry in result["entries"]] == ["a.dat"]
    assert output.read_text() == f"{md5('aaaa')}  a.dat\n{md5('bb')}  sub/b c.dat\n"
    lines = create(verified_by=copied, write_to=str(tmp_path / "run.jsonl"), limit=0)
    assert [json.loads(line)["path"] for line in Path(lines["location"]).read_text().splitlines()] == NAMES


def test_the_lines_are_checked_by_md5sum(archive: CollectionFolder, copied: dict[str, Any]) -> None:
    create(verified_by=copied, write_to=str(archive.folder / "kept.md5"))
    subprocess.run(["md5sum", "--check", "../kept.md5"], cwd=archive.folder / "kept", check=True)


@pytest.mark.usefixtures("copied")
def test_a_manifest_that_would_be_lost_is_refused() -> None:
    with pytest.raises(GlobusInputError, match=r"holds 2 files, and a result 1 at most.*write_to"):
        create(limit=1)


def test_files_without_a_checksum(archive: CollectionFolder, copied: dict[str, Any]) -> None:
    (archive.folder / "kept/late").write_text("x")
    with pytest.raises(GlobusVerificationError, match=r"1 of 3 files in /kept/ .* have no checksum: late\."):
        create(verified_by=copied)
    assert create(verified_by=copied, require_checksums=False)["checksums"] == 2
    with pytest.raises(GlobusVerificationError, match="3 of 3"):
        create(require_checksums=True)


def test_files_that_changed_after_they_were_verified(archive: CollectionFolder, copied: dict[str, Any]) -> None:
    later = time.time() + CLOCK_SKEW.total_seconds() + 5
    os.utime(archive.folder / "kept/a.dat", (later, later))
    with pytest.raises(GlobusVerificationError, match=r"/kept/a\.dat on 'archive' has changed"):
        create(verified_by=copied)
    os.utime(archive.folder / "kept/a.dat", (0, 0))
    create(verified_by=copied)
    (archive.folder / "kept/a.dat").write_text("other size")
    with pytest.raises(GlobusVerificationError, match="has changed"):
        create(verified_by=copied)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"verify_checksum": False}, "it did not verify checksums"),
        ({"destination_collection": "third"}, "between other collections"),
    ],
)
def test_transfers_that_prove_nothing(
    archive: CollectionFolder, globus_collection: CollectionFactory, changes: dict[str, Any], said: str
) -> None:
    globus_collection("third")
    other = copy(**changes)
    with pytest.raises(GlobusInputError, match=said):
        create(path="/", verified_by=other)
    with pytest.raises(GlobusInputError, match="cannot be read"):
        create(path="/", verified_by=[{"no": "id"}])


def test_what_was_skipped_by_a_sync_is_proven_by_the_transfer_before(copied: dict[str, Any]) -> None:
    again = copy(sync_level="size")
    assert (again["files_skipped"], again["files_transferred"]) == (2, 0)
    with pytest.raises(GlobusVerificationError, match="2 of 2"):
        create(verified_by=again)
    assert create(verified_by=[copied, again])["checksums"] == 2


def test_choices_are_checked_in_the_dag_file() -> None:
    with pytest.raises(GlobusInputError, match="format 'xml'"):
        create(format="xml")
    with pytest.raises(GlobusInputError, match="limit"):
        create(limit=10_001)
    with pytest.raises(GlobusInputError, match="extra"):
        GlobusVerifyManifestOperator(task_id="t", collection="c", path="/", manifest=[], extra="x")


# Verifying


def test_a_set_is_as_its_manifest_says(
    copied: dict[str, Any], globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    manifest = create(verified_by=copied)
    globus_sandbox.journal.clear()
    result = verify(context, manifest)
    assert result == {
        "ok": True,
        "files": 2,
        "bytes": 6,
        "proof": "size",
        "manifest_digest": manifest["digest"],
        "findings": {},
    }
    assert verify(context, manifest, verified_by=copied)["proof"] == "transfer"
    # The listing and what is known of the transfer are all that is asked for.
    assert globus_sandbox.journal.count("transfer", "POST") == 0


def test_each_kind_of_finding(archive: CollectionFolder, copied: dict[str, Any], context: TaskContext) -> None:
    manifest = create(verified_by=copied)["entries"]
    manifest.append({"path": "gone", "size": 1})
    (archive.folder / "kept/new").write_text("new")
    (archive.folder / "kept/sub/b c.dat").write_text("longer")
    manifest[0]["checksum"] = md5("other")
    with pytest.raises(GlobusVerificationError) as failed:
        verify(context, manifest, verified_by=copied)
    for said in (
        "Of 3 files of the manifest in /kept/ on 'archive'",
        "1 missing (gone)",
        "1 of another size (sub/b c.dat)",
        "1 of another checksum (a.dat)",
        "1 not in the manifest (new)",
    ):
        assert said in failed.value.message
    result = verify(context, manifest, verified_by=copied, fail_on_findings=False, extra="ignore")
    assert not result["ok"]
    assert result["findings"] == {
        "missing": {"count": 1, "paths": ["gone"]},
        "size": {"count": 1, "paths": ["sub/b c.dat"]},
        "checksum": {"count": 1, "paths": ["a.dat"]},
    }


def test_a_listing_does_not_see_other_bytes_of_the_same_size(
    archive: CollectionFolder, copied: dict[str, Any], context: TaskContext
) -> None:
    manifest = create(verified_by=copied)
    (archive.folder / "kept/a.dat").write_text("AAAA")
    later = time.time() + CLOCK_SKEW.total_seconds() + 5
    os.utime(archive.folder / "kept/a.dat", (later, later))
    assert verify(context, manifest)["ok"]
    with pytest.raises(GlobusVerificationError, match=r"1 not proven to be the same \(a\.dat\).*give reread_to"):
        verify(context, manifest, verified_by=copied)
    assert verify(context, manifest, verified_by=copied, require_checksums=False)["ok"]


def test_checksums_of_another_algorithm_prove_nothing(
    archive: CollectionFolder, copied: dict[str, Any], context: TaskContext
) -> None:
    sums = "".join(f"{hashlib.sha256(text.encode()).hexdigest()}  {path[4:]}\n" for path, text in FILES.items())
    with pytest.raises(GlobusVerificationError, match="2 not proven"):
        verify(context, sums, verified_by=copied)
    other = [
        {"source_path": f"/{path}", "destination_path": f"/kept/{path[4:]}", "checksum_algorithm": "SHA256"}
        for path in FILES
    ]
    assert verify(context, sums, verified_by=copy(source_path=None, destination_path=None, items=other))["ok"]


def test_an_empty_manifest_verifies_nothing(archive: CollectionFolder, context: TaskContext) -> None:
    with pytest.raises(GlobusInputError, match="lists no file"):
        verify(context, [])


# Reading all again


@pytest.fixture
def scratch(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("scratch")


def test_bytes_are_read_again(
    copied: dict[str, Any], scratch: CollectionFolder, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    manifest = create(verified_by=copied)
    globus_sandbox.journal.clear()
    result = verify(context, manifest, reread_to=("scratch", "/proof/"))
    assert (result["ok"], result["proof"]) == (True, "reread")
    assert result["transfer"]["files_transferred"] == 2
    assert (scratch.folder / "proof/sub/b c.dat").read_text() == "bb"
    (submitted,) = globus_sandbox.journal.requests("transfer", "POST", "*/transfer")
    assert {item["external_checksum"] for item in submitted.body["DATA"]} == {md5("aaaa"), md5("bb")}


def test_any_algorithm_is_compared(copied: dict[str, Any], scratch: CollectionFolder, context: TaskContext) -> None:
    sums = "".join(f"{hashlib.sha256(text.encode()).hexdigest()}  {path[4:]}\n" for path, text in FILES.items())
    assert verify(context, sums, reread_to=("scratch", "/"))["transfer"]["files_transferred"] == 2


def test_other_bytes_of_the_same_size_and_age_are_found(
    archive: CollectionFolder, copied: dict[str, Any], scratch: CollectionFolder, context: TaskContext
) -> None:
    manifest = create(verified_by=copied)
    rotten = archive.folder / "kept/a.dat"
    before = rotten.stat()
    rotten.write_text("aaab")
    os.utime(rotten, (before.st_atime, before.st_mtime))
    assert verify(context, manifest, verified_by=copied)["ok"]
    with pytest.raises(GlobusJobStuckError, match=r"NOT those of the manifest.*EXTERNAL_CHECKSUM_MISMATCH"):
        verify(context, manifest, reread_to={"collection": "scratch", "path": "/"}, stuck_grace=0)
    assert not (scratch.folder / "a.dat").exists()


def test_nothing_is_read_again_when_the_listing_tells_enough(
    copied: dict[str, Any], scratch: CollectionFolder, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    manifest = [*create(verified_by=copied)["entries"], {"path": "gone", "size": 1, "checksum": md5("x")}]
    globus_sandbox.journal.clear()
    with pytest.raises(GlobusVerificationError, match="1 missing"):
        verify(context, manifest, reread_to=("scratch", "/"))
    assert not verify(context, manifest, reread_to=("scratch", "/"), fail_on_findings=False)["ok"]
    assert globus_sandbox.journal.count("transfer", "POST") == 0


def test_files_without_checksums_cannot_be_read_again(
    copied: dict[str, Any], scratch: CollectionFolder, context: TaskContext
) -> None:
    with pytest.raises(GlobusVerificationError, match="2 not proven"):
        verify(context, create(), reread_to=("scratch", "/"))
    with pytest.raises(GlobusInputError, match="has no checksums"):
        verify(context, create(), reread_to=("scratch", "/"), require_checksums=False)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("scratch", "cannot be read"),
        (("scratch", "relative"), "is relative"),
        ({"collection": "scratch"}, "cannot be read"),
        (("archive", "/kept/"), "is the directory that is verified"),
    ],
)
def test_a_scratch_directory_that_is_none(
    copied: dict[str, Any], scratch: CollectionFolder, context: TaskContext, given: Any, said: str
) -> None:
    with pytest.raises(GlobusInputError, match=said):
        verify(context, create(), reread_to=given)


def test_a_retry_adopts_the_reading(
    copied: dict[str, Any], scratch: CollectionFolder, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    manifest = create(verified_by=copied)
    globus_sandbox.world.transfer.hold()
    arguments: dict[str, Any] = {"reread_to": ("scratch", "/"), "execution_timeout": timedelta(minutes=5)}
    first = GlobusVerifyManifestOperator(
        task_id="t", collection="archive", path="/kept/", manifest=manifest, wait_for_completion=False, **arguments
    )
    first.execute(context)
    globus_sandbox.world.transfer.release()
    context["ti"].retry()
    result = verify(context, manifest, **arguments)
    assert (result["ok"], result["transfer"]["files_transferred"]) == (True, 2)
    assert globus_sandbox.journal.count("transfer", "POST", "*/transfer") == 2
