"""Safe prune deletes what is proven to exist elsewhere, and nothing else."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.exceptions import GlobusInputError
from airflow_provider_globus.operators.prune import GlobusSafePruneOperator
from airflow_provider_globus.operators.transfer import GlobusTransferOperator

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.unit.conftest import TaskContext

FILES = {"run/a.dat": "aaaa", "run/sub/b.dat": "bb"}


@pytest.fixture
def source(globus_collection: CollectionFactory) -> CollectionFolder:
    folder = globus_collection("source", files=FILES)
    for path in FILES:
        age(folder.folder / path, days=20)
    return folder


@pytest.fixture
def archive(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("archive", files={path.replace("run/", "kept/"): text for path, text in FILES.items()})


def age(path: Path, days: float) -> None:
    then = time.time() - days * 86400
    os.utime(path, (then, then))


def prune(**changes: Any) -> GlobusSafePruneOperator:
    arguments: dict[str, Any] = {
        "task_id": "prune",
        "collection": "source",
        "path": "/run/",
        "copy_collection": "archive",
        "copy_path": "/kept/",
        "older_than_days": 14,
        "poll_interval": 0.05,
    }
    return GlobusSafePruneOperator(**arguments | changes)


def left(source: CollectionFolder) -> set[str]:
    return {str(path.relative_to(source.folder)) for path in source.folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("archive")
def test_deletes_what_has_a_copy(source: CollectionFolder, context: TaskContext) -> None:
    result = prune().execute(context)
    assert (result["deleted"], result["deleted_bytes"], result["kept"]) == (2, 6, {})
    assert left(source) == set()


def test_keeps_what_has_no_copy_differs_or_is_young(
    source: CollectionFolder, archive: CollectionFolder, context: TaskContext
) -> None:
    for name, text in {"uncopied": "x", "differs": "long", "young": "y"}.items():
        (source.folder / "run" / name).write_text(text)
        if name != "uncopied":
            (archive.folder / "kept" / name).write_text(text[:1])
        if name != "young":
            age(source.folder / "run" / name, days=20)
    result = prune().execute(context)
    assert result["deleted"] == 2
    assert sorted(result["kept"].items()) == [
        ("it has no copy", 1),
        ("it was modified within 14 days", 1),
        ("its copy differs in size", 1),
    ]
    assert left(source) == {"run/uncopied", "run/differs", "run/young"}


def test_nothing_proven_nothing_submitted(
    source: CollectionFolder, globus_collection: CollectionFactory, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    globus_collection("archive")
    result = prune().execute(context)
    assert (result["deleted"], result["kept"]) == (0, {"it has no copy": 2})
    assert globus_sandbox.journal.count("transfer", "POST") == 0
    assert len(left(source)) == 2


def copy(context: TaskContext, **changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "task_id": "copy",
        "source_collection": "source",
        "destination_collection": "archive",
        "source_path": "/run/",
        "destination_path": "/kept/",
        "poll_interval": 0.05,
    }
    context.store.values.clear()
    result = dict(GlobusTransferOperator(**arguments | changes).execute(context))
    context.store.values.clear()
    return result


@pytest.mark.usefixtures("archive")
def test_by_checksum_it_deletes_what_the_transfer_verified(source: CollectionFolder, context: TaskContext) -> None:
    (source.folder / "run/new").write_text("later")
    age(source.folder / "run/new", days=20)
    transfer = copy(context, items=[("/run/a.dat", "/kept/a.dat"), ("/run/new", "/kept/new")], **_no_single())
    (source.folder / "run/new").write_text("LATER")
    os.utime(source.folder / "run/new", (time.time() + 60, time.time() + 60))
    result = prune(older_than_days=0, verified_by=transfer).execute(context)
    assert result["deleted"] == 1
    assert left(source) == {"run/sub/b.dat", "run/new"}


@pytest.mark.usefixtures("archive")
def test_what_changed_after_the_transfer_began_is_kept(
    source: CollectionFolder, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    ages = {"/run/a.dat": 30, "/run/sub/b.dat": 10}
    began = {path: datetime.now(UTC) - timedelta(days=days) for path, days in ages.items()}
    monkeypatch.setattr(GlobusSafePruneOperator, "_verified", lambda *_: began)
    result = prune(verified_by="t").execute(context)
    assert result["kept"] == {"it was modified after the verified transfer began": 1}
    assert left(source) == {"run/a.dat"}


def _no_single() -> dict[str, None]:
    return {"source_path": None, "destination_path": None}


@pytest.mark.usefixtures("source", "archive")
def test_an_unverified_transfer_proves_nothing(context: TaskContext, globus_sandbox: GlobusSandbox) -> None:
    transfer = copy(context, verify_checksum=False)
    with pytest.raises(GlobusInputError, match="did not verify checksums"):
        prune(verified_by=[transfer["task_id"]]).execute(context)
    assert globus_sandbox.journal.count("transfer", "POST", "*/delete") == 0


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"older_than_days": -1}, "older_than_days"),
        ({"older_than_days": "two weeks"}, "older_than_days"),
        ({"verified_by": []}, "verified_by"),
        ({"verified_by": [{"no": "id"}]}, "verified_by"),
        ({"path": "run"}, "relative"),
        ({"copy_collection": "source", "copy_path": "/run"}, "same place"),
    ],
)
@pytest.mark.usefixtures("archive")
def test_bad_arguments_delete_nothing(
    changes: dict[str, Any], hint: str, source: CollectionFolder, context: TaskContext
) -> None:
    with pytest.raises(GlobusInputError, match=hint):
        prune(**changes).execute(context)
    assert len(left(source)) == 2


@pytest.mark.usefixtures("archive")
def test_a_retry_reports_what_the_first_try_deleted(source: CollectionFolder, context: TaskContext) -> None:
    first = prune().execute(context)
    context.ti.retry()
    assert prune().execute(context) == first
