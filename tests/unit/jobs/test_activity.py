"""How tasks become a summary, and what conditions make of it."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_globus.jobs import activity, job_service
from airflow_provider_globus.jobs.activity import (
    ActivityCondition,
    ActivityConditions,
    ActivitySummary,
    described,
    in_trouble,
    state_of,
)
from airflow_provider_globus.jobs.activity_report import markdown
from airflow_provider_globus.jobs.base import Outcome

HERE = "here"


def task(task_id: str = "1", **changes: Any) -> dict[str, Any]:
    document = {
        "task_id": task_id,
        "type": "TRANSFER",
        "status": "SUCCEEDED",
        "owner_id": "alice-id",
        "owner_string": "alice@x.org",
        "source_endpoint_id": "there",
        "source_endpoint_display_name": "There",
        "destination_endpoint_id": HERE,
        "destination_endpoint_display_name": "Here",
        "files_transferred": 2,
        "bytes_transferred": 10,
        "faults": 0,
        "nice_status": None,
    }
    return document | changes


def summed(*tasks: dict[str, Any]) -> dict[str, Any]:
    summary = ActivitySummary(HERE)
    for one in tasks:
        summary.add(one)
    return summary.document()


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "succeeded"),
        ({"status": "FAILED"}, "failed"),
        ({"status": "ACTIVE", "nice_status": "OK"}, "active"),
        ({"status": "ACTIVE", "nice_status": "Queued"}, "active"),
        ({"status": "ACTIVE", "nice_status": "PERMISSION_DENIED"}, "stuck"),
        ({"status": "ACTIVE", "nice_status": "CONNECTION_RESET"}, "faulting"),
        ({"status": "INACTIVE", "nice_status": "OK"}, "stuck"),
        ({"status": "ACTIVE", "nice_status": "PAUSED", "is_paused": True}, "paused"),
        ({"status": "ACTIVE", "nice_status": "FILE_NOT_FOUND", "is_paused": True}, "paused"),
    ],
)
def test_states(changes: dict[str, Any], state: str) -> None:
    assert state_of(task(**changes)) == state


def test_counts_by_user_and_route() -> None:
    found = summed(
        task("1"),
        task("2", status="FAILED", bytes_transferred=5, faults=3, fatal_error={"code": "EXPIRED", "description": "x"}),
        task("3", owner_id="bob-id", owner_string="bob@x.org", bytes_transferred=100),
        task("4", source_endpoint_id=HERE, destination_endpoint_id="there", status="ACTIVE", nice_status="OK"),
        task("5", type="DELETE", source_endpoint_id=HERE, destination_endpoint_id=None, bytes_transferred=0),
    )
    counts = ("tasks", "succeeded", "failed", "unfinished", "files", "bytes", "faults", "bytes_in", "bytes_out")
    assert [found[name] for name in counts] == [5, 3, 1, 1, 10, 125, 3, 115, 10]
    assert [(user["owner"], user["tasks"], user["bytes"]) for user in found["users"]] == [
        ("bob@x.org", 1, 100),
        ("alice@x.org", 4, 25),
    ]
    assert [(route["type"], route["tasks"], route["bytes"]) for route in found["routes"]] == [
        ("TRANSFER", 3, 115),
        ("TRANSFER", 1, 10),
        ("DELETE", 1, 0),
    ]
    (failed,) = found["failed_tasks"]
    assert (failed["task_id"], failed["code"], failed["details"]) == ("2", "EXPIRED", "x")


def test_what_guests_of_a_collection_move_counts_as_its_own() -> None:
    found = summed(task(destination_endpoint_id="guest", destination_mapped_collection_id=HERE))
    assert (found["bytes_in"], found["bytes_out"]) == (10, 0)


def test_trouble_is_listed_the_worst_first() -> None:
    unfinished = {"status": "ACTIVE", "nice_status": "CONNECTION_RESET"}
    found = summed(
        task("1", **unfinished, faults=2),
        task("2", **unfinished, faults=9),
        task("3", **unfinished | {"nice_status": "FILE_NOT_FOUND", "nice_status_details": "no\n such file"}, faults=1),
        task("4", status="ACTIVE", nice_status="OK"),
    )
    assert [(one["task_id"], one["state"]) for one in found["troubled_tasks"]] == [
        ("3", "stuck"),
        ("2", "faulting"),
        ("1", "faulting"),
    ]
    assert found["troubled_tasks"][0]["details"] == "no such file"
    assert (found["stuck"], found["faulting"], found["active"]) == (1, 2, 1)


def test_a_task_that_ends_between_two_pages_counts_once() -> None:
    assert summed(task("1", status="ACTIVE", nice_status="OK"), task("1"))["tasks"] == 1


def test_memory_and_result_do_not_grow_with_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "MAX_GROUPS", 3)
    monkeypatch.setattr(activity, "MAX_LISTED", 2)
    summary = ActivitySummary(HERE)
    for number in range(10):
        summary.add(
            task(
                str(number),
                status="FAILED",
                owner_id=f"u{number}",
                owner_string=f"u{number}",
                source_endpoint_id=f"s{number}",
                bytes_transferred=10 - number,
            )
        )
    found = summary.document()
    assert (len(summary._users), len(summary._routes), len(summary._failed)) == (4, 4, 2)
    assert (found["tasks"], found["bytes"], len(found["users"]), found["users_not_listed"]) == (10, 55, 2, 2)
    assert [(user["owner"], user["tasks"]) for user in found["users"]] == [("others", 7), ("u0", 1)]
    assert len(found["failed_tasks"]) == 2


def test_nothing_is_a_summary_too() -> None:
    found = summed()
    assert (found["tasks"], found["bytes"], found["users"], found["troubled_tasks"]) == (0, 0, [], [])


@pytest.mark.parametrize(
    ("changes", "min_faults", "troubled"),
    [
        ({"status": "ACTIVE", "nice_status": "AUTH"}, None, True),
        ({"status": "ACTIVE", "nice_status": "TIMEOUT", "faults": 5}, None, False),
        ({"status": "ACTIVE", "nice_status": "TIMEOUT", "faults": 5}, 5, True),
        ({"status": "ACTIVE", "nice_status": "TIMEOUT", "faults": 4}, 5, False),
        ({"status": "FAILED", "faults": 9}, 5, False),
    ],
)
def test_trouble(changes: dict[str, Any], min_faults: int | None, troubled: bool) -> None:
    assert in_trouble(task(**changes), min_faults) is troubled


def test_whom_a_condition_concerns() -> None:
    condition = ActivityCondition(HERE, "here", "quiet", 0.0)
    assert condition.concerns(task())
    assert condition._replace(owners=["alice-id"]).concerns(task())
    assert not condition._replace(owners=["bob-id"]).concerns(task())
    assert not condition._replace(not_owners=["alice-id"]).concerns(task())
    assert not condition._replace(condition="arrived").concerns(task(status="FAILED"))
    assert not condition._replace(condition="trouble").concerns(task())


def look(*, fulfilled: bool, lasting: float = 60.0) -> dict[str, Any]:
    counts = dict.fromkeys(("tasks", "succeeded", "failed", "unfinished", "bytes"), 0)
    return {
        **counts,
        "condition": "trouble",
        "listed": [],
        "said": "1 task",
        "fulfilled": fulfilled,
        "lasting": lasting,
    }


def test_it_must_last() -> None:
    service, memory = job_service("activity"), dict[str, Any]()
    assert isinstance(service, ActivityConditions)
    outcomes = [
        service.judge([look(fulfilled=fulfilled)], {}, memory, now).outcome
        for now, fulfilled in ((0, True), (59, True), (70, False), (80, True), (139, True), (140, True))
    ]
    # At 70 it was over, so that counting begins anew at 80; at 59 a second was missing.
    assert outcomes == [Outcome.RUNNING] * 5 + [Outcome.SUCCEEDED]
    assert service.judge([look(fulfilled=True, lasting=0)], {}, {}, 0).outcome == Outcome.SUCCEEDED


def report(**changes: Any) -> dict[str, Any]:
    window = {"collection": "lab", "since": "2024-01-01", "until": "2024-01-02"}
    return {**window, **summed(task(), task("2", status="FAILED", label="x")), **changes}


def test_markdown_holds_the_numbers() -> None:
    text = markdown(report())
    assert "# Activity on lab" in text
    assert "- 2 tasks: 1 succeeded, 1 failed, 0 unfinished" in text
    assert "| alice@x.org | 2 | 1 | 1 | 0 | 4 | 20 B | 0 |" in text
    assert "## Failed tasks" in text
    assert "Tasks in trouble" not in text
    assert "3 more are not listed." in markdown(report(users_not_listed=3))


def test_markdown_of_nothing() -> None:
    text = markdown({"collection": "lab", "since": "a", "until": "b", **summed()})
    assert text == "# Activity on lab\n\nFrom a to b.\n\nNo activity.\n"


def test_users_cannot_break_out_of_their_cell() -> None:
    text = markdown(report(**summed(task(owner_string="a|b\n# [x](http://y) <script>"))))
    row = next(line for line in text.splitlines() if "http" in line)
    assert r"a\|b # \[x](http://y) \<script>" in row


def test_descriptions_are_short() -> None:
    long = described(task(status="ACTIVE", nice_status="TIMEOUT", nice_status_details="x" * 999))
    assert len(long["details"]) == 200
