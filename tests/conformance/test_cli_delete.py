"""`globus delete` submits a task, `globus rm` waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from airflow_provider_globus.sandbox.transfer.tasks import Task
    from tests.conformance.conftest import GlobusCli

NOWHERE = "00000000-0000-4000-8000-000000000000"
SUBMIT = ("transfer", "POST", "/v0.10/delete")
QUICK = ("--polling-interval", "1", "--timeout", "30")


@pytest.fixture
def lab(globus_collection: CollectionFactory) -> CollectionFolder:
    files = {"a.dat": "", "b.dat": "", "c.txt": "", ".hidden.dat": "", "run/d.dat": "", "run/sub/e.dat": ""}
    return globus_collection("lab", files=files, kind="personal")


def deleted(cli: GlobusCli, *arguments: str, stdin: str = "") -> Task:
    """Submit a deletion, and wait until it has ended."""
    task_id = cli.json("delete", *arguments, stdin=stdin)["task_id"]
    return cli.sandbox.world.transfer.wait(task_id)


def left(lab: CollectionFolder) -> set[str]:
    return {str(path.relative_to(lab.folder)) for path in lab.folder.rglob("*") if path.is_file()}


def fate(cli: GlobusCli, *arguments: str) -> tuple[str, str]:
    """Submit a deletion that goes wrong; return how it ends, and why."""
    shown = cli.json("task", "show", deleted(cli, *arguments).id)
    return shown["status"], shown["fatal_error"]["code"]


MISSING = ("FAILED", "FILE_NOT_FOUND")


def test_a_file_is_deleted(cli: GlobusCli, lab: CollectionFolder) -> None:
    before = left(lab)
    message, task = cli.text("delete", f"{lab.id}:/a.dat", "--label", "gone").splitlines()
    assert message == "Message: The delete has been accepted and a task has been created and queued for execution"
    task_id = task.removeprefix("Task ID: ")
    cli.sandbox.world.transfer.wait(task_id)
    assert before - left(lab) == {"a.dat"}
    shown = cli.text("task", "show", task_id)
    assert "Endpoint:                     lab" in shown
    assert "Destination" not in shown


def test_a_directory_is_deleted_with_all_it_holds(cli: GlobusCli, lab: CollectionFolder) -> None:
    before = left(lab)
    deleted(cli, f"{lab.id}:/run", "--recursive")
    assert before - left(lab) == {"run/d.dat", "run/sub/e.dat"}
    assert not (lab.folder / "run").exists()


def test_a_full_directory_is_not_deleted_by_itself(cli: GlobusCli, lab: CollectionFolder) -> None:
    task_id = cli.json("delete", f"{lab.id}:/run")["task_id"]
    engine, task = cli.sandbox.world.transfer.engine, cli.sandbox.world.transfer.task(task_id)
    with engine.changed:
        assert engine.changed.wait_for(lambda: task.faults == 1, 10)
    assert cli.json("task", "show", task_id)["nice_status"] == "IS_A_DIRECTORY"
    assert (lab.folder / "run/d.dat").exists()


def test_what_is_missing_fails_or_is_ignored(cli: GlobusCli, lab: CollectionFolder) -> None:
    assert deleted(cli, f"{lab.id}:/none", "--ignore-missing").status == "SUCCEEDED"
    assert fate(cli, f"{lab.id}:/none") == MISSING


def test_a_batch_is_deleted(cli: GlobusCli, lab: CollectionFolder, tmp_path: Path) -> None:
    before = left(lab)
    deleted(cli, f"{lab.id}:/", "--batch", "-", stdin="# comment\n\na.dat\n'c.txt'\n")
    assert before - left(lab) == {"a.dat", "c.txt"}
    (tmp_path / "batch.txt").write_text("/b.dat\n/run\n")
    deleted(cli, lab.id, "--batch", str(tmp_path / "batch.txt"), "--recursive")
    assert left(lab) == {".hidden.dat"}


def test_patterns_mean_names_when_asked(cli: GlobusCli, lab: CollectionFolder) -> None:
    before = left(lab)
    deleted(cli, f"{lab.id}:/*.dat", "--enable-globs")
    assert before - left(lab) == {"a.dat", "b.dat"}
    assert fate(cli, f"{lab.id}:/*.txt") == MISSING
    assert (lab.folder / "c.txt").exists()


def test_patterns_are_read_in_the_last_part_of_a_path_alone(cli: GlobusCli, lab: CollectionFolder) -> None:
    assert fate(cli, f"{lab.id}:/run/su*/e.dat", "--enable-globs") == MISSING
    assert (lab.folder / "run/sub/e.dat").exists()


def test_a_backslash_takes_the_meaning_from_a_pattern(cli: GlobusCli, globus_collection: CollectionFactory) -> None:
    odd = globus_collection("odd", files={"a*": "", "ab": "", "[x]": "", "x": ""}, kind="personal")
    deleted(cli, odd.id, "--batch", "-", "--enable-globs", stdin="'/?\\*'\n'/\\[x\\]'\n")
    assert left(odd) == {"ab", "x"}


def test_a_dry_run_deletes_nothing(cli: GlobusCli, lab: CollectionFolder) -> None:
    assert "/a.dat" in cli.text("delete", f"{lab.id}:/a.dat", "--dry-run")
    assert "/a.dat" in cli.text("rm", f"{lab.id}:/a.dat", "--dry-run")
    assert cli.sandbox.journal.count(*SUBMIT) == 0


def test_a_submission_is_accepted_once(cli: GlobusCli, lab: CollectionFolder) -> None:
    arguments = (f"{lab.id}:/a.dat", "--submission-id", cli.text("task", "generate-submission-id").strip())
    first, second = cli.json("delete", *arguments), cli.json("delete", *arguments)
    assert (first["code"], second["code"]) == ("Accepted", "Duplicate")
    assert first["task_id"] == second["task_id"]


def test_rm_waits(cli: GlobusCli, lab: CollectionFolder) -> None:
    before = left(lab)
    shown = cli.json("rm", f"{lab.id}:/run", "--recursive", *QUICK)
    assert (shown["status"], shown["type"]) == ("SUCCEEDED", "DELETE")
    assert before - left(lab) == {"run/d.dat", "run/sub/e.dat"}


def test_rm_reads_patterns_unless_told_not_to(cli: GlobusCli, lab: CollectionFolder) -> None:
    cli.text("rm", f"{lab.id}:/*.txt", *QUICK)
    assert not (lab.folder / "c.txt").exists()
    cli.text("rm", f"{lab.id}:/*.dat", "--no-enable-globs", "--ignore-missing", *QUICK)
    assert (lab.folder / "a.dat").exists()


def test_rm_gives_up_waiting(cli: GlobusCli, lab: CollectionFolder) -> None:
    cli.sandbox.world.transfer.hold()
    said = cli.text("rm", f"{lab.id}:/a.dat", "--polling-interval", "1", "--timeout", "1", fails=1)
    assert "Task has yet to complete after 1 seconds" in said


def test_rm_of_what_is_missing_fails(cli: GlobusCli, lab: CollectionFolder) -> None:
    said = cli.text("rm", f"{lab.id}:/none", *QUICK, fails=1)
    assert "Task has yet to complete" not in said


@pytest.mark.parametrize("command", ["delete", "rm"])
def test_refusals(cli: GlobusCli, lab: CollectionFolder, command: str) -> None:
    assert "code:             EndpointNotFound" in cli.text(command, f"{NOWHERE}:/a", fails=1)
    theirs = cli.of(cli.sandbox.add_client("other"))
    assert "code:             PermissionDenied" in theirs.text(command, f"{lab.id}:/a.dat", fails=1)
    assert (lab.folder / "a.dat").exists()


def test_the_same_paths_are_not_deleted_twice_at_once(cli: GlobusCli, lab: CollectionFolder) -> None:
    cli.sandbox.world.transfer.hold()
    cli.text("delete", f"{lab.id}:/a.dat")
    assert cli.json("delete", f"{lab.id}:/a.dat", fails=1)["code"] == "Conflict"
