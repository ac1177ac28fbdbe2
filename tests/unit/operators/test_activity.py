"""Reports and cancels of what others do on a collection, through the real SDK in the sandbox."""

from __future__ import annotations

import json
import re
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.exceptions import (
    GlobusError,
    GlobusInputError,
    GlobusNotFoundError,
    GlobusPermissionError,
    GlobusUnavailableError,
)
from airflow_provider_globus.hooks import activity as listing
from airflow_provider_globus.operators.activity import GlobusActivityReportOperator, GlobusCancelActivityOperator
from tests.unit.activity import Users

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from airflow_provider_globus.sandbox.transfer.tasks import Task
    from tests.unit.conftest import TaskContext


@pytest.fixture
def users(globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory) -> Users:
    source = globus_collection("source", files={"a": "12345", "b": "1"})
    return Users(globus_sandbox, source, globus_collection("target", files={"old": "1"}))


@pytest.fixture
def theirs(users: Users, globus_sandbox: GlobusSandbox) -> str:
    """A collection that the connection's identity does not manage."""
    kept = globus_sandbox.add_collection("theirs", str(users.source.folder), owner=users.who("bob").id, alias="theirs")
    kept.host = None
    return "theirs"


def report(**changes: Any) -> GlobusActivityReportOperator:
    return GlobusActivityReportOperator(**{"task_id": "t", "collection": "target"} | changes)


def cancel(**changes: Any) -> GlobusCancelActivityOperator:
    arguments: dict[str, Any] = {"task_id": "t", "collection": "target", "message": "Too many faults: call us."}
    return GlobusCancelActivityOperator(**arguments | changes)


def sent(sandbox: GlobusSandbox, method: str, path: str) -> int:
    return sandbox.journal.count("transfer", method, f"/v0.10/endpoint_manager/{path}")


# Reports


def test_who_moved_what(users: Users, context: TaskContext) -> None:
    users.move("bob")
    users.move("bob", "/b")
    users.move("carol", "/old", back=True)
    users.delete("carol", "/old")
    users.hold()
    users.trouble(users.submit("dave"), "PERMISSION_DENIED", 4)
    users.trouble(users.submit("dave"), "TIMEOUT", 1)
    found = report().execute(context)
    counts = ("tasks", "succeeded", "failed", "unfinished", "stuck", "faulting", "active", "bytes_in", "bytes_out")
    assert [found[name] for name in counts] == [6, 4, 0, 2, 1, 1, 0, 6, 1]
    assert (found["bytes"], found["faults"]) == (7, 5)
    bytes_by_user = {user["owner"]: (user["tasks"], user["bytes"], user["faults"]) for user in found["users"]}
    assert bytes_by_user == {
        users.who("bob").username: (2, 6, 0),
        users.who("carol").username: (2, 1, 0),
        users.who("dave").username: (2, 0, 5),
    }
    assert [(task["state"], task["code"]) for task in found["troubled_tasks"]] == [
        ("stuck", "PERMISSION_DENIED"),
        ("faulting", "TIMEOUT"),
    ]
    assert (found["collection"], found["collection_id"]) == ("target", users.target.id)
    assert json.loads(json.dumps(found)) == found


def test_the_window(users: Users, context: TaskContext) -> None:
    def ended(hours: float) -> str:
        task = users.move("bob")
        assert task.completion_time is not None
        task.completion_time -= hours * 3600
        task.request_time -= hours * 3600
        return task.id

    now = datetime.now(UTC)
    ended(1), ended(5), ended(30)
    users.hold()
    users.submit("bob")
    old = users.submit("bob")
    old.request_time -= 4 * 3600

    def counted(**window: Any) -> tuple[int, int]:
        found = report(**window).execute(context)
        return found["succeeded"], found["unfinished"]

    assert counted() == (2, 2)
    assert counted(since=timedelta(hours=2)) == (1, 2)
    assert counted(since=now - timedelta(hours=40)) == (3, 2)
    # What began after the window is no part of it.
    before = (now - timedelta(hours=2)).isoformat()
    assert counted(since=timedelta(hours=48), until=before) == (2, 1)
    assert counted(since=timedelta(hours=1), until=now - timedelta(hours=10)) == (0, 0)


def test_no_activity_is_a_report(users: Users, context: TaskContext, tmp_path: Path) -> None:
    found = report(markdown_path=str(tmp_path / "r.md")).execute(context)
    assert (found["tasks"], found["bytes"], found["users"], found["troubled_tasks"]) == (0, 0, [], [])
    assert "No activity." in (tmp_path / "r.md").read_text()


def test_owners_narrow_it(users: Users, context: TaskContext) -> None:
    users.move("bob")
    users.move("carol", "/b")
    found = report(owners=[users.who("carol").username]).execute(context)
    assert ([user["owner"] for user in found["users"]], found["bytes"]) == ([users.who("carol").username], 1)
    with pytest.raises(GlobusInputError, match="nobody@x"):
        report(owners="nobody@x").execute(context)


def test_writes_files_whole(users: Users, context: TaskContext, tmp_path: Path) -> None:
    users.move("bob")
    paths = {"json_path": str(tmp_path / "new/r.json"), "markdown_path": str(tmp_path / "r.md")}
    (tmp_path / "r.md").write_text("old")
    found = report(**paths).execute(context)
    assert json.loads((tmp_path / "new/r.json").read_text()) == found
    text = (tmp_path / "r.md").read_text()
    assert users.who("bob").username.replace("_", r"\_") in text
    assert "old" not in text.splitlines()
    assert [item.name for item in tmp_path.rglob(".*")] == [], "nothing unfinished is left"


def test_a_file_that_cannot_be_written_is_named(users: Users, context: TaskContext, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GlobusError, match=re.escape(str(tmp_path / "file/r.json"))):
        report(json_path=str(tmp_path / "file/r.json")).execute(context)
    with pytest.raises(GlobusInputError, match="directory"):
        report(json_path=str(tmp_path)).execute(context)


def test_a_full_disk_leaves_the_old_report(
    users: Users, context: TaskContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "r.json").write_text("old")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(GlobusError, match="No space left"):
        report(json_path=str(tmp_path / "r.json")).execute(context)
    assert (tmp_path / "r.json").read_text() == "old"
    assert list(tmp_path.rglob(".*")) == []


def test_reads_page_after_page(users: Users, globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.settings.update({"pending_tasks_per_identity": 1000, "rate_limit_per_second": None})
    users.hold()
    for _ in range(201):
        users.submit("bob")
    assert report().execute(context)["tasks"] == 201
    assert sent(globus_sandbox, "GET", "task_list") == 3


def test_pages_that_lead_nowhere_end(users: Users, context: TaskContext, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = report()
    page = {"DATA": [], "has_next_page": True, "last_key": "x"}
    monkeypatch.setattr(operator.hook, "call", lambda *args, **options: page)
    with pytest.raises(GlobusUnavailableError, match="where to go on"):
        list(listing.unfinished_tasks(operator.hook, users.target.id))


@pytest.mark.parametrize(
    ("operator", "role"),
    [(report(), "activity_monitor"), (cancel(min_faults=1), "activity_monitor")],
)
def test_a_missing_role_is_named(operator: Any, role: str, theirs: str, context: TaskContext) -> None:
    operator.collection = theirs
    with pytest.raises(GlobusPermissionError) as refused:
        operator.execute(context)
    assert f"the role {role}" in str(refused.value)
    assert repr(theirs) in str(refused.value)
    assert "PermissionDenied" in str(refused.value)


def test_an_unknown_collection_is_not_one_without_activity(users: Users, context: TaskContext) -> None:
    with pytest.raises(GlobusNotFoundError):
        report(collection="99999999-2222-3333-4444-555555555555").execute(context)


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ({"since": "yesterday"}, "since"),
        ({"until": "tomorrow"}, "until"),
        ({"since": timedelta(0)}, "no length"),
        ({"since": "2024-01-02", "until": "2024-01-01"}, "no length"),
        ({"since": 5}, "since"),
    ],
)
def test_windows_that_are_none_are_refused(
    window: dict[str, Any], said: str, users: Users, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    with pytest.raises(GlobusInputError, match=said):
        report(**window).execute(context)
    assert sent(globus_sandbox, "GET", "task_list") == 0


# Cancels


def ages(task: Task, hours: float) -> Task:
    task.request_time -= hours * 3600
    return task


def cancelled(sandbox: GlobusSandbox) -> set[str]:
    return {task.id for task in sandbox.world.transfer.tasks.values() if task.canceled_by_admin}


@pytest.fixture
def tasks(users: Users) -> dict[str, Task]:
    """Unfinished tasks of several kinds."""
    users.hold()
    return {
        "well": users.submit("bob"),
        "faulty": users.trouble(users.submit("bob"), "TIMEOUT", 9),
        "stuck": users.trouble(users.submit("carol"), "PERMISSION_DENIED", 3),
        "old": ages(users.submit("carol"), 48),
        "old and faulty": ages(users.trouble(users.submit("dave"), "TIMEOUT", 9), 48),
    }


@pytest.mark.parametrize(
    ("policy", "names"),
    [
        ({"min_faults": 9}, {"faulty", "old and faulty"}),
        ({"min_faults": "3"}, {"faulty", "old and faulty", "stuck"}),
        ({"older_than": timedelta(hours=24)}, {"old", "old and faulty"}),
        ({"older_than": 86400}, {"old", "old and faulty"}),
        ({"older_than": timedelta(hours=49)}, set()),
        ({"min_faults": 9, "older_than": timedelta(hours=24)}, {"old and faulty"}),
        ({"owners": ["bob"]}, {"well", "faulty"}),
        ({"owners": "bob", "min_faults": 1}, {"faulty"}),
        ({"not_owners": ["bob", "carol"]}, {"old and faulty"}),
        ({"states": ["stuck"]}, {"stuck"}),
        ({"states": ["stuck", "faulting"], "older_than": 60}, {"old and faulty"}),
        ({"min_faults": 9, "use": "source"}, set()),
    ],
)
def test_cancels_what_meets_every_condition(
    policy: dict[str, Any], names: set[str], users: Users, tasks: dict[str, Task], context: TaskContext
) -> None:
    for name in ("owners", "not_owners"):
        if name in policy:
            given = policy[name]
            usernames = [users.who(one).username for one in ([given] if isinstance(given, str) else given)]
            policy = {**policy, name: usernames[0] if isinstance(given, str) else usernames}
    result = cancel(**policy).execute(context)
    expected = {tasks[name].id for name in names}
    assert cancelled(users.sandbox) == expected
    assert {task["task_id"] for task in result["cancelled"]} == expected
    unfinished = 0 if "use" in policy else len(tasks) - len(names)
    assert (result["count"], result["kept"], result["dry_run"], result["done"]) == (len(names), unfinished, False, True)


def test_owners_are_told_and_reasons_kept(users: Users, tasks: dict[str, Task], context: TaskContext) -> None:
    (reported,) = cancel(states=["stuck"], min_faults=2).execute(context)["cancelled"]
    assert reported["reasons"] == ["3 faults", "its state stuck"]
    assert reported["owner"] == users.who("carol").username
    document = users.client("carol").get_task(tasks["stuck"].id)
    assert document["canceled_by_admin_message"] == "Too many faults: call us."
    assert (document["status"], document["fatal_error"]["code"]) == ("FAILED", "CANCELED")


def test_a_dry_run_touches_nothing(users: Users, tasks: dict[str, Task], context: TaskContext) -> None:
    result = cancel(min_faults=9, dry_run=True).execute(context)
    assert {task["task_id"] for task in result["cancelled"]} == {tasks["faulty"].id, tasks["old and faulty"].id}
    assert (result["dry_run"], result["count"], cancelled(users.sandbox)) == (True, 2, set())
    assert sent(users.sandbox, "POST", "admin_cancel") == 0


def test_own_tasks_are_spared(users: Users, tasks: dict[str, Task], context: TaskContext) -> None:
    tasks["faulty"].owner_id = users.sandbox.client_id
    assert cancel(min_faults=9).execute(context)["count"] == 1
    assert cancelled(users.sandbox) == {tasks["old and faulty"].id}
    assert cancel(min_faults=9, include_own=True).execute(context)["count"] == 1


def test_nothing_is_cancelled_twice(users: Users, tasks: dict[str, Task], context: TaskContext) -> None:
    assert cancel(min_faults=9).execute(context)["count"] == 2
    again = cancel(min_faults=9).execute(context)
    assert (again["count"], again["kept"], sent(users.sandbox, "POST", "admin_cancel")) == (0, 3, 1)


def test_a_cancel_under_way_is_left_alone(users: Users, tasks: dict[str, Task], context: TaskContext) -> None:
    users.sandbox.faults.add({"task": "*", "cancel_seconds": 3600})
    first = cancel(min_faults=9, wait=0).execute(context)
    assert (first["count"], first["done"]) == (2, False)
    assert tasks["faulty"].status == "ACTIVE"
    assert cancel(min_faults=9, wait=0).execute(context)["count"] == 0
    assert sent(users.sandbox, "POST", "admin_cancel") == 1


def test_killed_it_cancels_nothing(users: Users, tasks: dict[str, Task], context: TaskContext) -> None:
    killed = cancel(min_faults=9)
    killed.on_kill()
    with pytest.raises(GlobusError, match=r"killed when 0 of 2 tasks were cancelled.*Run it again"):
        killed.execute(context)
    assert cancelled(users.sandbox) == set()


def test_killed_while_it_waits_it_asks_no_longer(users: Users, tasks: dict[str, Task], context: TaskContext) -> None:
    users.sandbox.faults.add({"task": "*", "cancel_seconds": 3600})
    killed = cancel(min_faults=9, wait=30)

    def kill() -> None:
        pause = threading.Event()
        while not sent(users.sandbox, "POST", "admin_cancel"):
            pause.wait(0.02)
        killed.on_kill()

    killer = threading.Thread(target=kill)
    killer.start()
    result = killed.execute(context)
    killer.join()
    assert (result["count"], result["done"]) == (2, False)
    assert sent(users.sandbox, "GET", "admin_cancel/*") == 0


def test_a_second_look_spares_who_has_recovered(
    users: Users, tasks: dict[str, Task], context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = listing.tasks_named

    def recovered(*args: Any, **options: Any) -> list[dict[str, Any]]:
        tasks["stuck"].nice_status = "OK"
        return whole(*args, **options)

    monkeypatch.setattr(listing, "tasks_named", recovered)
    assert cancel(states=["stuck"]).execute(context)["count"] == 0
    assert cancelled(users.sandbox) == set()


def test_who_succeeds_first_is_not_called_cancelled(
    users: Users, tasks: dict[str, Task], context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = cancel(min_faults=9)
    whole = operator._cancel

    def late(task_ids: Any) -> bool:
        users.sandbox.world.transfer.release()
        users.sandbox.world.transfer.wait(tasks["faulty"].id)
        users.sandbox.world.transfer.wait(tasks["old and faulty"].id)
        return whole(task_ids)

    monkeypatch.setattr(operator, "_cancel", late)
    result = operator.execute(context)
    assert (result["count"], result["cancelled"]) == (0, [])


def test_many_are_cancelled_in_batches(users: Users, context: TaskContext) -> None:
    users.hold()
    for _ in range(51):
        users.trouble(users.submit("bob"), "AUTH", 1)
    assert cancel(states=["stuck"]).execute(context)["count"] == 51
    assert len(cancelled(users.sandbox)) == 51
    assert sent(users.sandbox, "POST", "admin_cancel") == 2


def test_monitors_may_not_cancel(users: Users, tasks: dict[str, Task], theirs: str, context: TaskContext) -> None:
    state = users.sandbox.world.transfer
    state.add_role(theirs, "activity_monitor", users.sandbox.client_id)
    tasks["stuck"].spec.__dict__["destination"] = state.find(theirs)
    tasks["stuck"].spec.__dict__["source"] = state.find(theirs)
    with pytest.raises(GlobusPermissionError, match="the role activity_manager"):
        cancel(collection=theirs, states=["stuck"]).execute(context)
    assert cancelled(users.sandbox) == set()


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({}, "without a condition"),
        ({"use": "source"}, "without a condition"),
        ({"message": "", "min_faults": 1}, "message"),
        ({"message": "  ", "min_faults": 1}, "message"),
        ({"message": "x" * 257, "min_faults": 1}, "257 characters"),
        ({"min_faults": 0}, "min_faults"),
        ({"min_faults": "many"}, "min_faults"),
        ({"older_than": -1}, "older_than"),
        ({"older_than": "a day"}, "older_than"),
        ({"older_than": "nan"}, "older_than"),
        # A template that renders to nothing must not widen the policy.
        ({"min_faults": "", "states": ["stuck"]}, "min_faults is given, but empty"),
        ({"older_than": "", "states": ["stuck"]}, "older_than is given, but empty"),
        ({"owners": "", "states": ["stuck"]}, "owners is given, but empty"),
        ({"owners": [], "states": ["stuck"]}, "owners is given, but empty"),
        ({"not_owners": "", "states": ["stuck"]}, "not_owners is given, but empty"),
        ({"owners": [""], "states": ["stuck"]}, "identity is missing"),
        ({"owners": "  ", "states": ["stuck"]}, "identity is missing"),
        ({"states": [], "min_faults": 1}, "states is given, but empty"),
    ],
)
def test_policies_that_say_too_little_are_refused(
    policy: dict[str, Any], said: str, users: Users, tasks: dict[str, Task], context: TaskContext
) -> None:
    with pytest.raises(GlobusInputError, match=said):
        cancel(**policy).execute(context)
    assert cancelled(users.sandbox) == set()
    assert sent(users.sandbox, "GET", "task_list") == 0


@pytest.mark.parametrize("wrong", [{"states": "stuck"}, {"states": ["gone"]}, {"use": "both"}, {"dry_run": "yes"}])
def test_arguments_that_cannot_be_meant_are_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(GlobusInputError, match="GlobusCancelActivityOperator"):
        cancel(**wrong)
