"""`globus task …`: look at tasks, wait for them, change and cancel them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from globus_sdk import MISSING, DeleteData, TransferData

from airflow_provider_globus.sandbox.transfer.documents import iso
from tests.conformance.conftest import transfer_client

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from airflow_provider_globus.sandbox.transfer.tasks import Task
    from tests.conformance.conftest import GlobusCli

UNKNOWN = "00000000-0000-4000-8000-000000000000"
DAY = 86400


@pytest.fixture
def source(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("source", files={"a": "aaaa", "b": "bb"}, kind="personal")


@pytest.fixture
def target(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("target", kind="personal")


class Lab:
    """Two collections and tasks between them."""

    def __init__(self, cli: GlobusCli, source: CollectionFolder, target: CollectionFolder) -> None:
        self.cli, self.source, self.target = cli, source, target
        self.transfer = cli.sandbox.world.transfer
        self.client = transfer_client(cli.sandbox)

    def submit(self, path: str = "/a", to: str = "", label: str | None = None) -> str:
        """Submit a transfer; return the id of its task."""
        data = TransferData(self.source.id, self.target.id, label=label or MISSING)
        data.add_item(path, to or path)
        return str(self.client.submit_transfer(data)["task_id"])

    def delete(self, path: str, label: str | None = None) -> str:
        """Submit a deletion; return the id of its task."""
        data = DeleteData(self.source.id, label=label or MISSING)
        data.add_item(path)
        return str(self.client.submit_delete(data)["task_id"])

    def done(self, task_id: str) -> Task:
        """Wait until a task has ended."""
        return self.transfer.wait(task_id)

    def faulting(self, task_id: str) -> None:
        """Wait for the first fault of a task."""
        task, engine = self.transfer.task(task_id), self.transfer.engine
        with engine.changed:
            assert engine.changed.wait_for(lambda: task.phase.name == "RETRYING", 10)

    def listed(self, *filters: str) -> set[str]:
        """Return the labels of the tasks that the CLI lists."""
        return {item["label"] for item in self.cli.json("task", "list", *filters)["DATA"]}


@pytest.fixture
def lab(cli: GlobusCli, source: CollectionFolder, target: CollectionFolder) -> Lab:
    return Lab(cli, source, target)


# list


@pytest.fixture
def history(lab: Lab) -> dict[str, str]:
    """Return tasks that ended in all ways, an hour apart, by their labels."""
    clock, made = lab.cli.sandbox.clock, {}
    clock.freeze()
    made["Alpha one"] = lab.submit("/a", "/1", "Alpha one")
    lab.done(made["Alpha one"])
    clock.advance(3600)
    made["alpha two"] = lab.delete("/b", "alpha two")
    lab.done(made["alpha two"])
    clock.advance(3600)
    lab.cli.sandbox.faults.add(task="next", status="FAILED", code="EXPIRED", message="expired")
    made["beta"] = lab.submit("/a", "/2", "beta")
    lab.done(made["beta"])
    clock.advance(3600)
    lab.cli.sandbox.faults.add(task="next", status="INACTIVE", code="NO_CREDENTIALS")
    made["gamma"] = lab.submit("/a", "/3", "gamma")
    lab.transfer.hold()
    made["delta"] = lab.submit("/a", "/4", "delta")
    return made


def test_tasks_are_listed_the_latest_first(lab: Lab, history: dict[str, str]) -> None:
    head, _, *rows = lab.cli.text("task", "list").splitlines()
    assert [column.strip() for column in head.split("|")] == [
        "Task ID", "Status", "Type", "Source Display Name", "Dest Display Name", "Label",
    ]  # fmt: skip
    shown = [[cell.strip() for cell in row.split("|")] for row in rows]
    assert [row[5] for row in shown][2:] == ["beta", "alpha two", "Alpha one"]
    by_label = {row[5]: row[:5] for row in shown}
    assert by_label["alpha two"] == [history["alpha two"], "SUCCEEDED", "DELETE", "source", "None"]
    assert by_label["beta"] == [history["beta"], "FAILED", "TRANSFER", "source", "target"]


@pytest.mark.parametrize(
    ("filters", "labels"),
    [
        (("--filter-type", "DELETE"), {"alpha two"}),
        (("--filter-type", "TRANSFER"), {"Alpha one", "beta", "gamma", "delta"}),
        (("--filter-status", "FAILED"), {"beta"}),
        (("--filter-status", "ACTIVE", "--filter-status", "INACTIVE"), {"gamma", "delta"}),
        (("--filter-label", "alpha*"), {"Alpha one", "alpha two"}),
        (("--filter-label", "beta", "--filter-label", "*ta"), {"beta", "delta"}),
        (("--exact", "--filter-label", "alpha two"), {"alpha two"}),
        (("--exact", "--filter-label", "alpha*"), set()),
        (("--exact", "--filter-not-label", "alpha two"), {"Alpha one", "beta", "gamma", "delta"}),
        (("--filter-not-label", "alpha*"), {"beta", "gamma", "delta"}),
        (("--filter-not-label", "alpha*", "--filter-status", "ACTIVE"), {"delta"}),
    ],
)
def test_tasks_are_filtered(lab: Lab, history: dict[str, str], filters: tuple[str, ...], labels: set[str]) -> None:
    assert lab.listed(*filters) == labels


def test_tasks_are_filtered_by_their_ids(lab: Lab, history: dict[str, str]) -> None:
    asked = ("--filter-task-id", history["beta"], "--filter-task-id", history["delta"], "--filter-task-id", UNKNOWN)
    assert lab.listed(*asked) == {"beta", "delta"}


def test_tasks_are_filtered_by_when_they_were_asked_for_and_ended(lab: Lab, history: dict[str, str]) -> None:
    clock = lab.cli.sandbox.clock
    then = (iso(clock.time() - 5400) or "").removesuffix("+00:00")
    assert lab.listed("--filter-requested-before", then) == {"Alpha one", "alpha two"}
    assert lab.listed("--filter-requested-after", then) == {"beta", "gamma", "delta"}
    assert lab.listed("--filter-completed-before", then) == {"Alpha one", "alpha two"}
    assert lab.listed("--filter-completed-after", then) == {"beta"}


def test_a_list_has_a_limit(lab: Lab) -> None:
    made = [lab.submit("/a", f"/{number}") for number in range(12)]
    assert [item["task_id"] for item in lab.cli.json("task", "list")["DATA"]] == made[:1:-1]
    assert len(lab.cli.json("task", "list", "--limit", "11")["DATA"]) == 11


def test_tasks_of_others_are_not_listed(lab: Lab, history: dict[str, str]) -> None:
    theirs = lab.cli.of(lab.cli.sandbox.add_client("other"))
    assert theirs.json("task", "list")["DATA"] == []
    assert "code:             ClientError.NotFound" in theirs.text("task", "show", history["beta"], fails=1)


# show


def test_a_task_that_succeeded_is_shown(lab: Lab) -> None:
    task_id = lab.submit("/a", label="mine")
    lab.done(task_id)
    shown = lab.cli.text("task", "show", task_id).splitlines()
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in shown)}
    expected = {
        "Label": "mine", "Task ID": task_id, "Is Paused": "False", "Type": "TRANSFER", "Directories": "0", "Files": "1",
        "Status": "SUCCEEDED", "Faults": "0", "Total Subtasks": "2", "Subtasks Succeeded": "2",
        "Subtasks Pending": "0", "Subtasks Retrying": "0", "Subtasks Failed": "0", "Subtasks Canceled": "0",
        "Subtasks Expired": "0", "Subtasks with Skipped Errors": "0", "Source Endpoint": "source",
        "Source Endpoint ID": lab.source.id, "Destination Endpoint": "target", "Destination Endpoint ID": lab.target.id,
        "Bytes Transferred": "4",
    }  # fmt: skip
    assert facts.items() >= expected.items()
    assert facts.keys() - expected.keys() == {"Request Time", "Completion Time", "Bytes Per Second"}


def test_a_task_that_is_in_trouble_is_shown(lab: Lab) -> None:
    task_id = lab.submit("/none")
    lab.faulting(task_id)
    shown = lab.cli.text("task", "show", task_id)
    assert "Details:                      FILE_NOT_FOUND" in shown
    assert "Faults:                       1" in shown
    assert "Subtasks Retrying:            1" in shown
    assert "Deadline:" in shown
    assert "Completion Time" not in shown


def test_what_arrived_is_shown(lab: Lab) -> None:
    task_id = lab.submit("/", "/copy")
    lab.done(task_id)
    shown = lab.cli.text("task", "show", task_id, "--successful-transfers").splitlines()
    assert [cell.strip() for cell in shown[0].split("|")] == [
        "Source Path", "Destination Path", "Size", "Checksum Algorithm", "Checksum",
    ]  # fmt: skip
    found = lab.cli.json("task", "show", task_id, "-t")["DATA"]
    assert [(item["source_path"], item["destination_path"], item["size"]) for item in found] == [
        ("/a", "/copy/a", 4), ("/b", "/copy/b", 2),
    ]  # fmt: skip


def test_a_deletion_has_no_arrivals(lab: Lab) -> None:
    task_id = lab.delete("/a")
    lab.done(task_id)
    assert "HTTP status:      400" in lab.cli.text("task", "show", task_id, "--successful-transfers", fails=1)


@pytest.mark.parametrize(
    "command",
    [
        ("show",),
        ("show", "--successful-transfers"),
        ("show", "--skipped-errors"),
        ("wait",),
        ("event-list",),
        ("cancel",),
        ("update", "--label", "x"),
        ("pause-info",),
    ],
)
def test_an_unknown_task_is_refused(cli: GlobusCli, command: tuple[str, ...]) -> None:
    said = cli.text("task", *command, UNKNOWN, fails=1)
    assert "HTTP status:      404" in said
    assert "code:             ClientError.NotFound" in said
    assert UNKNOWN in said


# wait


def test_a_task_is_waited_for(lab: Lab) -> None:
    task_id = lab.submit()
    assert lab.cli.text("task", "wait", task_id, "--timeout", "30", "--polling-interval", "1") == ""
    assert lab.cli.json("task", "wait", task_id)["status"] == "SUCCEEDED"


@pytest.mark.parametrize(("option", "code"), [((), 1), (("--timeout-exit-code", "50"), 50)])
def test_a_wait_ends_at_its_timeout(lab: Lab, option: tuple[str, ...], code: int) -> None:
    lab.transfer.hold()
    arguments = (lab.submit(), "--timeout", "1", "--polling-interval", "1", "-H", *option)
    said = lab.cli.text("task", "wait", *arguments, fails=code)
    assert "Task has yet to complete after 1 seconds" in said


def test_a_wait_for_a_task_that_fails_fails(lab: Lab) -> None:
    lab.cli.sandbox.faults.add(task="next", status="FAILED", code="EXPIRED")
    assert lab.cli.json("task", "wait", lab.submit(), fails=1)["status"] == "FAILED"


# event-list


@pytest.fixture
def troubled(lab: Lab) -> str:
    """Return a task that met a fault, and then got over it."""
    lab.cli.sandbox.clock.freeze()
    task_id = lab.submit("/late")
    lab.faulting(task_id)
    (lab.source.folder / "late").write_text("")
    lab.cli.sandbox.clock.advance(31)
    lab.done(task_id)
    return task_id


def test_events_are_listed_the_latest_first(lab: Lab, troubled: str) -> None:
    head, _, *rows = lab.cli.text("task", "event-list", troubled).splitlines()
    assert [column.strip() for column in head.split("|")] == ["Time", "Code", "Is Error", "Details"]
    codes = [row.split("|")[1].strip() for row in rows]
    assert (codes[0], codes[-1]) == ("SUCCEEDED", "STARTED")
    assert "FILE_NOT_FOUND" in codes


def test_events_are_filtered(lab: Lab, troubled: str) -> None:
    errors = lab.cli.json("task", "event-list", troubled, "--filter-errors")["DATA"]
    assert [(event["code"], event["is_error"]) for event in errors] == [("FILE_NOT_FOUND", True)]
    others = lab.cli.json("task", "event-list", troubled, "--filter-non-errors")["DATA"]
    assert {event["is_error"] for event in others} == {False}
    every = lab.cli.json("task", "event-list", troubled)["DATA"]
    assert len(errors) + len(others) == len(every)
    assert lab.cli.json("task", "event-list", troubled, "--limit", "1")["DATA"] == every[:1]


# update, cancel


def test_a_task_is_changed_while_it_runs(lab: Lab) -> None:
    lab.transfer.hold()
    task_id = lab.submit()
    assert lab.cli.text("task", "update", task_id, "--label", "new", "--deadline", "2999-01-22").strip() == "Success"
    shown = lab.cli.json("task", "show", task_id)
    assert (shown["label"], shown["deadline"]) == ("new", "2999-01-22T00:00:00+00:00")


def test_a_task_that_ended_is_not_changed(lab: Lab) -> None:
    task_id = lab.submit()
    lab.done(task_id)
    assert lab.cli.json("task", "update", task_id, "--label", "new", fails=1)["code"] == "Conflict"


def test_a_task_is_cancelled(lab: Lab) -> None:
    lab.transfer.hold()
    task_id = lab.submit()
    assert lab.cli.text("task", "cancel", task_id).strip() == "The task has been cancelled successfully."
    shown = lab.cli.json("task", "show", task_id)
    assert (shown["status"], shown["fatal_error"]["code"]) == ("FAILED", "CANCELED")
    assert lab.cli.json("task", "cancel", task_id)["code"] == "TaskComplete"


def test_a_cancel_may_take_its_time(lab: Lab) -> None:
    lab.cli.sandbox.clock.freeze()
    lab.transfer.hold()
    task_id = lab.submit()
    lab.cli.sandbox.faults.add(task=task_id, cancel_seconds=60)
    answer = lab.cli.json("task", "cancel", task_id)
    assert (answer["code"], lab.cli.json("task", "show", task_id)["status"]) == ("CancelAccepted", "ACTIVE")
    lab.cli.sandbox.clock.advance(61)
    assert lab.done(task_id).status == "FAILED"


def test_all_tasks_are_cancelled(lab: Lab) -> None:
    lab.done(lab.submit("/b"))
    lab.transfer.hold()
    ids = [lab.submit("/a", f"/{number}") for number in range(5)]
    said = lab.cli.text("task", "cancel", "--all").splitlines()
    assert len(said) == 5
    assert all("The task has been cancelled successfully." in line for line in said)
    assert {lab.transfer.task(task_id).status for task_id in ids} == {"FAILED"}
    assert "You have no in-progress tasks." in lab.cli.text("task", "cancel", "--all", fails=1)


# pause-info


def test_a_task_that_runs_is_not_paused(lab: Lab) -> None:
    task_id = lab.submit()
    assert lab.cli.text("task", "pause-info", task_id).strip() == f"Task {task_id} is not paused."


def test_it_is_told_who_paused_a_task(lab: Lab) -> None:
    lab.transfer.hold()
    task_id = lab.submit()
    lab.client.endpoint_manager_pause_tasks([task_id], "Maintenance")
    assert lab.cli.json("task", "show", task_id)["is_paused"] is True
    said = lab.cli.text("task", "pause-info", task_id)
    assert "This task has been explicitly paused." in said
    assert "Maintenance" in said
    rule = {"DATA_TYPE": "pause_rule", "endpoint_id": lab.target.id, "message": "No writing"}
    lab.client.endpoint_manager_create_pause_rule(rule)
    said = lab.cli.text("task", "pause-info", task_id)
    assert "The following pause rules are effective on this task:" in said
    operations, endpoint, _, message = (cell.strip() for cell in said.splitlines()[-1].split("|"))
    assert (operations, endpoint, message) == ("write/read/delete/rename/mkdir/ls", "target", "No writing")


# generate-submission-id


def test_a_submission_id_is_a_new_one_each_time(cli: GlobusCli) -> None:
    made = {str(uuid.UUID(cli.text("task", "generate-submission-id").strip())) for _ in range(2)}
    assert len(made) == 2
