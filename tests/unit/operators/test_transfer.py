"""Transfers and deletions through the real SDK, moving real files in the sandbox."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_globus.exceptions import (
    GlobusInputError,
    GlobusJobFailedError,
    GlobusJobInactiveError,
    GlobusJobStuckError,
)
from airflow_provider_globus.operators.transfer import GlobusDeleteOperator, GlobusTransferOperator

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.unit.conftest import TaskContext

SUBMIT = ("transfer", "POST", "/v0.10/transfer")


@pytest.fixture
def source(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("source", files={"run/a.dat": "aaaa", "run/sub/b.dat": "bb", "one.txt": "1"})


@pytest.fixture
def target(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("target")


def transfer(**changes: Any) -> GlobusTransferOperator:
    arguments: dict[str, Any] = {
        "task_id": "a_task",
        "source_collection": "source",
        "destination_collection": "target",
        "poll_interval": 0.05,
    }
    if "items" not in changes:
        arguments |= {"source_path": "/run/", "destination_path": "/copy/"}
    return GlobusTransferOperator(**arguments | changes)


def submission(globus: GlobusSandbox) -> dict[str, Any]:
    body = globus.journal.requests(*SUBMIT)[-1].body
    assert isinstance(body, dict)
    return body


def test_copies_a_directory_and_returns_a_small_summary(
    source: CollectionFolder, target: CollectionFolder, context: TaskContext
) -> None:
    result = transfer(recursive=True).execute(context)
    assert (target.folder / "copy/a.dat").read_bytes() == b"aaaa"
    assert (target.folder / "copy/sub/b.dat").read_bytes() == b"bb"
    assert (result["status"], result["files"], result["bytes"], result["faults"]) == ("SUCCEEDED", 2, 6, 0)
    assert len(json.dumps(result)) < 1000
    assert context.ti.xcoms["globus_task_url"].endswith(f"/activity/{result['task_id']}")
    assert context.ti.xcoms["_link_GlobusTaskLink"] == context.ti.xcoms["globus_task_url"]


@pytest.mark.parametrize(
    "items",
    [
        [
            {"source_path": "/one.txt", "destination_path": "/1.txt"},
            {"source_path": "/run/", "destination_path": "/r/"},
        ],
        [("/one.txt", "/1.txt"), ["/run/", "/r/"]],
        json.dumps([["/one.txt", "/1.txt"], ["/run/", "/r/"]]),
    ],
)
@pytest.mark.usefixtures("source")
def test_items_may_be_dicts_pairs_or_json(items: Any, target: CollectionFolder, context: TaskContext) -> None:
    transfer(items=items).execute(context)
    assert (target.folder / "1.txt").read_text() == "1"
    assert (target.folder / "r/sub/b.dat").exists()


@pytest.mark.usefixtures("source", "target")
def test_says_verify_checksum_and_no_mail_unless_told(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    transfer().execute(context)
    sent = submission(globus_sandbox)
    assert sent["verify_checksum"] is True
    assert [sent[f"notify_on_{event}"] for event in ("succeeded", "failed", "inactive")] == [False] * 3
    assert sent["label"] == "airflow a_dag a_task a_run"


@pytest.mark.usefixtures("source", "target")
def test_a_default_label_is_as_long_as_globus_takes(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    context.ti.run_id = f"{'x' * 103} {'y' * 100}"
    transfer().execute(context)
    assert submission(globus_sandbox)["label"] == f"airflow a_dag a_task {'x' * 103} yyy"
    context.ti.run_id = f"{'x' * 106} {'y' * 100}"
    context.ti.clear()
    transfer().execute(context)
    assert submission(globus_sandbox)["label"] == f"airflow a_dag a_task {'x' * 106}"


@pytest.mark.usefixtures("source", "target")
def test_every_option_reaches_globus(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    transfer(
        sync_level="checksum",
        verify_checksum=False,
        preserve_timestamp=True,
        encrypt_data=True,
        skip_source_errors=True,
        fail_on_quota_errors=True,
        delete_destination_extra=True,
        symlinks="keep",
        notify=["failed"],
        task_label="my label",
        deadline=timedelta(hours=1),
        filter_rules=[{"method": "exclude", "name": "*.tmp", "type": "file"}],
    ).execute(context)
    sent = submission(globus_sandbox)
    assert {key: sent[key] for key in ("sync_level", "verify_checksum", "recursive_symlinks", "label")} == {
        "sync_level": 3,
        "verify_checksum": False,
        "recursive_symlinks": "keep",
        "label": "my label",
    }
    for flag in ("preserve_timestamp", "encrypt_data", "skip_source_errors", "fail_on_quota_errors"):
        assert sent[flag] is True
    assert sent["delete_destination_extra"] is True
    assert sent["notify_on_failed"] is True
    assert sent["filter_rules"][0]["name"] == "*.tmp"
    assert datetime.fromisoformat(sent["deadline"]) > datetime.now(UTC)


@pytest.mark.usefixtures("source", "target")
def test_returns_files_when_asked_and_caps_them(context: TaskContext) -> None:
    listed = transfer(return_files=1).execute(context)["file_list"]
    assert len(listed) == 1
    assert set(listed[0]) == {"source_path", "destination_path"}


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"items": []}, "Skip the task"),
        ({"items": "not json"}, "XComArg"),
        ({"items": {"source_path": "/a", "destination_path": "/b"}}, "must be a list"),
        ({"items": [{"source": "/a"}]}, "source_path"),
        ({"items": [("/a", "/b", "/c")]}, "pair of paths"),
        ({"items": [None]}, "cannot be read"),
        ({"items": [("run/a.dat", "/copy")]}, "/~/run/a.dat"),
        ({"items": [("/run/a.dat", "copy")]}, "destination_path"),
        ({"items": [("/one.txt", "/copy/")]}, "/copy/one.txt"),
        ({"source_path": "/run/", "destination_path": "/run/", "destination_collection": "source"}, "onto itself"),
        ({"deadline": "2001-01-01T00:00:00Z"}, "in the past"),
        ({"deadline": "tomorrow"}, "2030-01-31"),
        ({"task_label": "two\nlines"}, "one line"),
        ({"task_label": "x" * 200}, "128"),
        ({"filter_rules": [{"nam": "x"}]}, "filter_rules[0]"),
    ],
)
@pytest.mark.usefixtures("source", "target")
def test_bad_arguments_are_refused_before_anything_is_submitted(
    changes: dict[str, Any], hint: str, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    with pytest.raises(GlobusInputError) as caught:
        transfer(**changes).execute(context)
    assert hint in str(caught.value)
    assert globus_sandbox.journal.count("transfer", "POST") == 0


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"sync_level": "md5"}, "checksum"),
        ({"symlinks": "follow"}, "copy"),
        ({"notify": ["always"]}, "succeeded"),
        ({"return_files": 5000}, "1000"),
        ({"poll_interval": 0}, "poll_interval"),
        ({"items": [], "source_path": "/a"}, "either"),
        ({"destination_path": None}, "destination_path"),
    ],
)
def test_wrong_choices_fail_when_the_dag_is_parsed(changes: dict[str, Any], hint: str) -> None:
    with pytest.raises(GlobusInputError) as caught:
        transfer(**changes)
    assert hint in str(caught.value)


@pytest.mark.parametrize(("path", "recursive"), [("/one.txt", True), ("/run", False)])
@pytest.mark.usefixtures("source", "target")
def test_recursive_must_fit_the_source(
    path: str, recursive: bool, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    with pytest.raises(GlobusInputError, match=f"Set recursive={not recursive}"):
        transfer(items=[{"source_path": path, "destination_path": "/x", "recursive": recursive}]).execute(context)
    assert globus_sandbox.journal.count(*SUBMIT) == 0


@pytest.mark.usefixtures("source", "target")
def test_a_missing_file_is_given_up_after_its_grace_and_cancelled(
    globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    with pytest.raises(GlobusJobStuckError, match="FILE_NOT_FOUND") as caught:
        transfer(items=[("/gone.txt", "/gone.txt")], stuck_grace=0.2).execute(context)
    assert "/gone.txt" in str(caught.value)
    assert "/activity/" in str(caught.value)
    task = globus_sandbox.world.transfer.task(caught.value.job_id)
    assert task.status == "FAILED"
    assert globus_sandbox.journal.count("transfer", "POST", "*/cancel") == 1


@pytest.mark.usefixtures("source", "target")
def test_a_suspended_task_is_explained_and_cancelled(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.faults.add({"task": "next", "status": "INACTIVE", "code": "AUTH", "message": "consent expired"})
    with pytest.raises(GlobusJobInactiveError, match="until its credentials are renewed") as caught:
        transfer(stuck_grace=0.2).execute(context)
    assert globus_sandbox.world.transfer.task(caught.value.job_id).status == "FAILED"


@pytest.mark.usefixtures("source", "target")
def test_a_deadline_that_passes_fails_the_task(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.faults.add({"collection": "*", "path": "*", "nice_status": "CONNECT_FAILED"})
    operator = transfer(deadline=timedelta(hours=1), deferrable=True, worker_wait=0)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)
    globus_sandbox.clock.advance(7200)
    event = asyncio.run(anext(deferred.value.trigger.run())).payload
    with pytest.raises(GlobusJobFailedError, match="EXPIRED"):
        operator.execute_complete(context, event)


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.usefixtures("source")
def test_skipped_files_fail_unless_allowed(allowed: bool, target: CollectionFolder, context: TaskContext) -> None:
    operator = transfer(
        items=[("/gone.txt", "/gone.txt"), ("/one.txt", "/1.txt")], skip_source_errors=True, allow_skipped=allowed
    )
    if allowed:
        assert operator.execute(context)["skipped_errors"] == 1
    else:
        with pytest.raises(GlobusJobFailedError, match="1 source files could not be read"):
            operator.execute(context)
    assert (target.folder / "1.txt").exists()


def test_a_short_job_never_defers_and_a_long_one_does(
    source: CollectionFolder, target: CollectionFolder, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    assert transfer(deferrable=True).execute(context)["status"] == "SUCCEEDED"
    globus_sandbox.settings.task_seconds = 3600
    with pytest.raises(TaskDeferred) as deferral:
        transfer(deferrable=True, worker_wait=0, items=[("/one.txt", "/2.txt")]).execute(_other(context))
    path, arguments = deferral.value.trigger.serialize()
    assert path == "airflow_provider_globus.triggers.job.GlobusJobTrigger"
    assert json.loads(json.dumps(arguments)) == arguments
    assert not [secret for secret in (globus_sandbox.client_secret,) if secret in json.dumps(arguments)]
    assert arguments["not_before"] is not None


def _other(context: TaskContext) -> TaskContext:
    context.ti.task_id = "another_task"
    context.store.values.clear()
    return context


def test_ends_once_accepted_when_told_not_to_wait(
    source: CollectionFolder, target: CollectionFolder, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    globus_sandbox.settings.task_seconds = 3600
    (task_id,) = transfer(wait_for_completion=False).execute(context)["job_ids"]
    assert globus_sandbox.world.transfer.task(task_id).status == "ACTIVE"


def delete(**changes: Any) -> GlobusDeleteOperator:
    arguments: dict[str, Any] = {"task_id": "a_task", "collection": "source", "poll_interval": 0.05}
    return GlobusDeleteOperator(**arguments | changes)


def test_deletes_directories_and_globs(source: CollectionFolder, context: TaskContext) -> None:
    result = delete(paths=["/run/", "/*.txt"], recursive=True, interpret_globs=True).execute(context)
    assert result["status"] == "SUCCEEDED"
    assert list(source.folder.iterdir()) == []


def test_ignores_what_is_missing_when_told(source: CollectionFolder, context: TaskContext) -> None:
    delete(paths="/gone", ignore_missing=True).execute(context)
    with pytest.raises(GlobusJobFailedError, match="FILE_NOT_FOUND"):
        delete(paths="/gone").execute(_other(context))


@pytest.mark.parametrize("paths", [[], "", ["relative"], ["/"], "/~/", ["/ok", "/*"], None])
def test_an_empty_or_sweeping_deletion_is_refused(
    paths: Any, source: CollectionFolder, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    with pytest.raises(GlobusInputError):
        delete(paths=paths, recursive=True).execute(context)
    assert globus_sandbox.journal.count("transfer", "POST") == 0


def test_a_dag_that_transfers_can_be_copied() -> None:
    with DAG("a_dag") as dag:
        GlobusTransferOperator(
            task_id="a_task",
            source_collection="a",
            source_path="/a",
            destination_collection="b",
            destination_path="/b",
        )
    assert dag.partial_subset("a_task").task_ids == ["a_task"]
