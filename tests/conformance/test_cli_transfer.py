"""`globus transfer`: what is submitted, and what it does to files."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from airflow_provider_globus.sandbox.transfer.tasks import Task
    from tests.conformance.conftest import GlobusCli

NOWHERE = "00000000-0000-4000-8000-000000000000"
SUBMIT = ("transfer", "POST", "/v0.10/transfer")
LATER, LATEST = 1_700_000_000, 1_800_000_000


@pytest.fixture
def source(globus_collection: CollectionFactory) -> CollectionFolder:
    files = {"run/a.dat": "aaaa", "run/b.txt": "bb", "run/sub/c.dat": "c", "one.txt": "1"}
    return globus_collection("source", files=files, kind="personal")


@pytest.fixture
def target(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("target", kind="personal")


def moved(cli: GlobusCli, *arguments: str, stdin: str = "") -> Task:
    """Submit a transfer, and wait until it has ended."""
    task_id = cli.json("transfer", *arguments, stdin=stdin)["task_id"]
    return cli.sandbox.world.transfer.wait(task_id)


def files_of(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def submission(cli: GlobusCli) -> dict[str, Any]:
    """Return what the CLI sent last."""
    body = cli.sandbox.journal.requests(*SUBMIT)[-1].body
    assert isinstance(body, dict)
    return body


# What is moved


def test_a_file_is_moved(cli: GlobusCli, source: CollectionFolder, target: CollectionFolder) -> None:
    text = cli.text("transfer", f"{source.id}:/one.txt", f"{target.id}:/new/1.txt")
    message, task = text.splitlines()
    assert message == "Message: The transfer has been accepted and a task has been created and queued for execution"
    cli.sandbox.world.transfer.wait(task.removeprefix("Task ID: "))
    assert files_of(target.folder) == {"new/1.txt": "1"}


@pytest.mark.parametrize("recursive", [("--recursive",), ("-r",), ()])
def test_a_directory_is_moved(
    cli: GlobusCli, source: CollectionFolder, target: CollectionFolder, recursive: tuple[str, ...]
) -> None:
    moved(cli, f"{source.id}:/run/", f"{target.id}:/copy/", *recursive)
    assert files_of(target.folder) == {"copy/a.dat": "aaaa", "copy/b.txt": "bb", "copy/sub/c.dat": "c"}


def test_a_directory_is_not_taken_for_a_file(
    cli: GlobusCli, source: CollectionFolder, target: CollectionFolder
) -> None:
    task_id = cli.json("transfer", f"{source.id}:/run", f"{target.id}:/copy", "--no-recursive")["task_id"]
    with cli.sandbox.world.transfer.engine.changed:
        task = cli.sandbox.world.transfer.task(task_id)
        assert cli.sandbox.world.transfer.engine.changed.wait_for(lambda: task.faults == 1, 10)
    assert cli.json("task", "show", task_id)["nice_status"] == "IS_A_DIRECTORY"


@pytest.mark.parametrize("way", ["file", "stdin"])
def test_a_batch_is_moved(
    cli: GlobusCli, source: CollectionFolder, target: CollectionFolder, tmp_path: Path, way: str
) -> None:
    batch = "# a comment\n\none.txt 'a b.txt'\n--recursive run all\nrun/b.txt b.txt --no-recursive\n"
    (tmp_path / "batch.txt").write_text(batch)
    where = ("--batch", str(tmp_path / "batch.txt")) if way == "file" else ("--batch", "-")
    task = moved(cli, f"{source.id}:/", f"{target.id}:/in", *where, stdin=batch if way == "stdin" else "")
    assert len(task.spec.items) == 3
    assert files_of(target.folder) == {
        "in/a b.txt": "1", "in/all/a.dat": "aaaa", "in/all/b.txt": "bb", "in/all/sub/c.dat": "c", "in/b.txt": "bb",
    }  # fmt: skip


def test_links_are_not_followed(cli: GlobusCli, source: CollectionFolder, target: CollectionFolder) -> None:
    (source.folder / "run/link").symlink_to(source.folder / "one.txt")
    moved(cli, f"{source.id}:/run/", f"{target.id}:/copy/", "-r")
    assert "copy/link" not in files_of(target.folder)


@pytest.mark.parametrize(
    ("rules", "names"),
    [
        (("--exclude", "*.dat"), {"b.txt"}),
        (("--include", "*.dat", "--exclude", "*"), {"a.dat", "sub/c.dat"}),
        (("--exclude", "*", "--include", "*.dat"), set()),
        (("--exclude", "sub"), {"a.dat", "b.txt", "sub/c.dat"}),
        (("--include", "c.*", "--exclude", "?.dat"), {"b.txt", "sub/c.dat"}),
    ],
)
def test_files_are_filtered_by_the_first_rule_that_fits(
    cli: GlobusCli, source: CollectionFolder, target: CollectionFolder, rules: tuple[str, ...], names: set[str]
) -> None:
    moved(cli, f"{source.id}:/run/", f"{target.id}:/", "-r", *rules)
    assert set(files_of(target.folder)) == names


def test_mapped_collections_are_reached_with_a_service_accounts_consents(
    cli: GlobusCli, globus_collection: CollectionFactory
) -> None:
    one, two = globus_collection("one", files={"a.dat": "a"}), globus_collection("two")
    moved(cli, f"{one.id}:/a.dat", f"{two.id}:/a.dat")
    assert files_of(two.folder) == {"a.dat": "a"}
    assert [entry.status for entry in cli.sandbox.journal.requests(*SUBMIT)] == [403, 202]


# What is left alone


@pytest.mark.parametrize(
    ("level", "kept"),
    [
        ("exists", {"same", "shorter", "newer", "other"}),
        ("size", {"same", "newer", "other"}),
        ("mtime", {"same", "other"}),
        ("checksum", {"same", "newer"}),
    ],
)
def test_what_is_there_is_compared(
    cli: GlobusCli, globus_collection: CollectionFactory, level: str, kept: set[str]
) -> None:
    ours = {"same": "same", "shorter": "longer", "newer": "newer", "other": "other", "missing": "m"}
    theirs = {"same": "same", "shorter": "short", "newer": "newer", "other": "oTHER"}
    source = globus_collection("ours", files={f"x/{name}": text for name, text in ours.items()}, kind="personal")
    target = globus_collection("theirs", files={f"x/{name}": text for name, text in theirs.items()}, kind="personal")
    for folder, moment in ((source.folder, LATER), (target.folder, LATER)):
        for path in (folder / "x").iterdir():
            os.utime(path, (moment, moment))
    os.utime(source.folder / "x/newer", (LATEST, LATEST))
    task = moved(cli, f"{source.id}:/x/", f"{target.id}:/x/", "-r", "--sync-level", level)
    sent = {success.source.removeprefix("/x/") for success in task.successes}
    assert sent == ours.keys() - kept
    assert task.files_skipped == len(kept)


def test_what_the_source_has_not_is_deleted(cli: GlobusCli, globus_collection: CollectionFactory) -> None:
    source = globus_collection("ours", files={"x/a": "a"}, kind="personal")
    target = globus_collection("theirs", files={"x/a": "a", "x/old/b": "b"}, kind="personal")
    moved(cli, f"{source.id}:/x/", f"{target.id}:/x/", "-r")
    assert set(files_of(target.folder)) == {"x/a", "x/old/b"}
    moved(cli, f"{source.id}:/x/", f"{target.id}:/x/", "-r", "--delete-destination-extra")
    assert set(files_of(target.folder)) == {"x/a"}
    (target.folder / "x/more").write_text("")
    moved(cli, f"{source.id}:/x/", f"{target.id}:/x/", "-r", "--delete")
    assert set(files_of(target.folder)) == {"x/a"}


# How it is moved


@pytest.mark.parametrize(
    ("flag", "kept"), [(("--preserve-mtime",), True), (("--preserve-timestamp",), True), ((), False)]
)
def test_times_are_preserved_when_asked(
    cli: GlobusCli, source: CollectionFolder, target: CollectionFolder, flag: tuple[str, ...], kept: bool
) -> None:
    os.utime(source.folder / "one.txt", (LATER, LATER))
    moved(cli, f"{source.id}:/one.txt", f"{target.id}:/one.txt", *flag)
    assert ((target.folder / "one.txt").stat().st_mtime == LATER) is kept


@pytest.mark.parametrize(
    ("flag", "field", "value"),
    [
        ((), "verify_checksum", True),
        (("--no-verify-checksum",), "verify_checksum", False),
        ((), "encrypt_data", False),
        (("--encrypt",), "encrypt_data", True),
        (("--encrypt-data",), "encrypt_data", True),
        (("--fail-on-quota-errors",), "fail_on_quota_errors", True),
        (("--skip-source-errors",), "skip_source_errors", True),
        (("--label", "nightly"), "label", "nightly"),
        (("--deadline", "2999-01-02"), "deadline", "2999-01-02T00:00:00+00:00"),
        (("--sync-level", "mtime"), "sync_level", 2),
    ],
)
def test_a_task_says_how_it_was_submitted(
    cli: GlobusCli,
    source: CollectionFolder,
    target: CollectionFolder,
    flag: tuple[str, ...],
    field: str,
    value: object,
) -> None:
    task = moved(cli, f"{source.id}:/one.txt", f"{target.id}:/one.txt", *flag)
    assert cli.json("task", "show", task.id)[field] == value


@pytest.mark.parametrize(
    ("notify", "sent"),
    [
        ("off", {"notify_on_succeeded": False, "notify_on_failed": False, "notify_on_inactive": False}),
        ("failed", {"notify_on_succeeded": False, "notify_on_failed": True, "notify_on_inactive": False}),
    ],
)
def test_notifications_are_chosen(
    cli: GlobusCli, source: CollectionFolder, target: CollectionFolder, notify: str, sent: dict[str, bool]
) -> None:
    moved(cli, f"{source.id}:/one.txt", f"{target.id}:/one.txt", "--notify", notify)
    assert submission(cli).items() >= sent.items()


@pytest.mark.parametrize("algorithm", ["MD5", "SHA256"])
def test_a_checksum_from_elsewhere_is_verified(
    cli: GlobusCli, source: CollectionFolder, target: CollectionFolder, algorithm: str
) -> None:
    checksum = hashlib.new(algorithm.lower(), b"1", usedforsecurity=False).hexdigest()
    task = moved(
        cli, f"{source.id}:/one.txt", f"{target.id}:/one.txt", "--external-checksum", checksum,
        "--checksum-algorithm", algorithm,
    )  # fmt: skip
    shown = cli.json("task", "show", task.id, "--successful-transfers")["DATA"]
    assert [(item["checksum"], item["checksum_algorithm"]) for item in shown] == [(checksum, algorithm)]


def test_a_checksum_that_does_not_fit_is_a_fault(
    cli: GlobusCli, source: CollectionFolder, target: CollectionFolder
) -> None:
    batch = f"one.txt one.txt --external-checksum {'0' * 32}\n"
    task_id = cli.json("transfer", f"{source.id}:/", f"{target.id}:/", "--batch", "-", stdin=batch)["task_id"]
    engine, task = cli.sandbox.world.transfer.engine, cli.sandbox.world.transfer.task(task_id)
    with engine.changed:
        assert engine.changed.wait_for(lambda: task.faults == 1, 10)
    assert "EXTERNAL_CHECKSUM_MISMATCH" in cli.text("task", "event-list", task_id, "--filter-errors")
    assert files_of(target.folder) == {}


def test_source_errors_are_skipped_and_shown(
    cli: GlobusCli, source: CollectionFolder, target: CollectionFolder
) -> None:
    cli.sandbox.faults.add(collection="source", path="/run/a.dat", nice_status="PERMISSION_DENIED", details="no")
    task = moved(cli, f"{source.id}:/run/", f"{target.id}:/", "-r", "--skip-source-errors")
    assert set(files_of(target.folder)) == {"b.txt", "sub/c.dat"}
    skipped = cli.text("task", "show", task.id, "--skipped-errors")
    assert [cell.strip() for cell in skipped.splitlines()[-1].split("|")] == [
        "/run/a.dat", "/a.dat", "PERMISSION_DENIED",
    ]  # fmt: skip
    assert "Subtasks with Skipped Errors: 1" in " ".join(cli.text("task", "show", task.id).split())


def test_a_full_disk_fails_the_task_when_asked(
    cli: GlobusCli, source: CollectionFolder, target: CollectionFolder
) -> None:
    cli.sandbox.faults.add(collection="target", path="/one.txt", nice_status="QUOTA_EXCEEDED", details="full")
    task = moved(cli, f"{source.id}:/one.txt", f"{target.id}:/one.txt", "--fail-on-quota-errors")
    shown = cli.json("task", "show", task.id)
    assert (shown["status"], shown["fatal_error"]["code"]) == ("FAILED", "QUOTA_EXCEEDED")


# Once and only once


def test_a_submission_is_accepted_once(cli: GlobusCli, source: CollectionFolder, target: CollectionFolder) -> None:
    submission_id = cli.text("task", "generate-submission-id").strip()
    arguments = (f"{source.id}:/one.txt", f"{target.id}:/one.txt", "--submission-id", submission_id)
    first, second = cli.json("transfer", *arguments), cli.json("transfer", *arguments)
    assert (first["code"], second["code"]) == ("Accepted", "Duplicate")
    assert first["task_id"] == second["task_id"]
    assert first["submission_id"] == submission_id
    assert len(cli.json("task", "list")["DATA"]) == 1


def test_the_same_paths_are_not_moved_twice_at_once(
    cli: GlobusCli, source: CollectionFolder, target: CollectionFolder
) -> None:
    cli.sandbox.world.transfer.hold()
    arguments = (f"{source.id}:/one.txt", f"{target.id}:/one.txt")
    cli.text("transfer", *arguments)
    said = cli.text("transfer", *arguments, fails=1)
    assert "HTTP status:      409" in said
    assert "code:             Conflict" in said


def test_too_many_pending_tasks_are_refused(cli: GlobusCli, source: CollectionFolder, target: CollectionFolder) -> None:
    cli.sandbox.settings.pending_tasks_per_identity = 1
    cli.sandbox.world.transfer.hold()
    cli.text("transfer", f"{source.id}:/one.txt", f"{target.id}:/1")
    refused = cli.json("transfer", f"{source.id}:/one.txt", f"{target.id}:/2", fails=1)
    assert refused["code"] == "ClientError.Conflict.TooManyPendingJobs"


# What is not sent


def test_a_dry_run_sends_nothing(cli: GlobusCli, source: CollectionFolder, target: CollectionFolder) -> None:
    arguments = ("transfer", f"{source.id}:/one.txt", f"{target.id}:/one.txt", "--dry-run")
    assert "/one.txt" in cli.text(*arguments)
    document = cli.json(*arguments, "--label", "try")
    assert (document["DATA_TYPE"], document["label"]) == ("transfer", "try")
    assert cli.sandbox.journal.count(*SUBMIT) == 0


def test_what_is_printed_can_be_chosen(cli: GlobusCli, source: CollectionFolder, target: CollectionFolder) -> None:
    chosen = ("--jmespath", "task_id", "--format", "unix")
    task_id = cli.text("transfer", f"{source.id}:/one.txt", f"{target.id}:/one.txt", *chosen).strip()
    assert cli.sandbox.world.transfer.wait(task_id).status == "SUCCEEDED"


# Refusals


def test_an_unknown_collection_is_refused(cli: GlobusCli, source: CollectionFolder) -> None:
    refused = cli.json("transfer", f"{source.id}:/one.txt", f"{NOWHERE}:/one.txt", fails=1)
    assert (refused["code"], refused["resource"]) == ("EndpointNotFound", "/v0.10/transfer")


def test_somebody_elses_computer_is_refused(cli: GlobusCli, source: CollectionFolder, target: CollectionFolder) -> None:
    theirs = cli.of(cli.sandbox.add_client("other"))
    said = theirs.text("transfer", f"{source.id}:/one.txt", f"{target.id}:/one.txt", fails=1)
    assert "code:             PermissionDenied" in said


@pytest.mark.parametrize(
    ("flag", "field"),
    [
        (("--deadline", "1999-01-01"), "deadline"),
        (("--label", "x" * 129), "label"),
        (("--submission-id", "mine"), "submission_id"),
        (("--external-checksum", "0", "--checksum-algorithm", "CRC"), "checksum_algorithm"),
    ],
)
def test_a_field_that_makes_no_sense_is_named(
    cli: GlobusCli, source: CollectionFolder, target: CollectionFolder, flag: tuple[str, ...], field: str
) -> None:
    refused = cli.json("transfer", f"{source.id}:/one.txt", f"{target.id}:/one.txt", *flag, fails=1)
    assert refused["code"] == "BadRequest"
    assert field in refused["message"]
    assert cli.sandbox.world.transfer.tasks == {}


def test_an_empty_batch_is_refused(cli: GlobusCli, source: CollectionFolder, target: CollectionFolder) -> None:
    refused = cli.json("transfer", source.id, target.id, "--batch", "-", fails=1)
    assert refused["code"] == "ClientError.BadRequest.NoTransferItems"
