"""The activity sensor in a worker and deferred, against the sandbox."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowSensorTimeout, TaskDeferred

from airflow_provider_globus.exceptions import GlobusInputError, GlobusNotFoundError, GlobusPermissionError
from airflow_provider_globus.sensors.activity import GlobusCollectionActivitySensor
from tests.unit.activity import Users

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.unit.conftest import TaskContext


@pytest.fixture
def users(globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory) -> Users:
    source = globus_collection("source", files={"a": "12345"})
    return Users(globus_sandbox, source, globus_collection("target", files={"old": "1"}))


def sensor(**changes: Any) -> GlobusCollectionActivitySensor:
    arguments: dict[str, Any] = {"task_id": "s", "collection": "target", "poke_interval": 0.05}
    return GlobusCollectionActivitySensor(**arguments | changes)


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def test_quiet_is_when_nothing_runs(users: Users, context: TaskContext) -> None:
    assert sensor().poke(context).is_done
    users.move("bob")
    assert sensor().poke(context).is_done
    users.hold()
    running = users.submit("bob")
    waiting = sensor()
    assert not waiting.poke(context).is_done
    assert sensor(use="source").poke(context).is_done
    assert sensor(owners=users.who("carol").username).poke(context).is_done
    assert not sensor(owners=[users.who("bob").username]).poke(context).is_done
    users.client("bob").cancel_task(running.id)
    looked = waiting.poke(context)
    assert looked.is_done
    assert looked.xcom_value == {
        "condition": "quiet",
        "tasks": 0,
        "succeeded": 0,
        "failed": 0,
        "unfinished": 0,
        "bytes": 0,
        "listed": [],
    }


def test_quiet_for_a_while_hears_what_ran_between_two_looks(users: Users, context: TaskContext) -> None:
    waiting = sensor(lasting=3600)
    assert waiting.poke(context).is_done
    ended = users.move("bob")
    assert not sensor(lasting=3600).poke(context).is_done
    assert ended.completion_time is not None
    ended.completion_time -= 3700
    assert sensor(lasting=3600).poke(context).is_done


def test_own_tasks_can_be_left_out(users: Users, globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    users.hold()
    task = users.submit("bob")
    task.owner_id = globus_sandbox.client_id
    assert not sensor().poke(context).is_done
    assert sensor(exclude_own=True).poke(context).is_done


def test_finished(users: Users, context: TaskContext) -> None:
    since = ago(60)
    assert not sensor(condition="finished", since=since).poke(context).is_done
    users.move("bob")
    assert sensor(condition="finished", since=since).poke(context).is_done
    assert not sensor(condition="finished", since=since, min_tasks=2).poke(context).is_done
    users.hold()
    task = users.submit("carol")
    assert not sensor(condition="finished", since=since).poke(context).is_done
    users.client("carol").cancel_task(task.id)
    result = sensor(condition="finished", since=since, min_tasks=2).execute(context)
    assert (result["succeeded"], result["failed"], result["unfinished"]) == (1, 1, 0)
    assert {task["owner_id"] for task in result["listed"]} == {users.who("bob").id, users.who("carol").id}


def test_what_ended_before_the_window_does_not_count(users: Users, context: TaskContext) -> None:
    ended = users.move("bob")
    assert ended.completion_time is not None
    ended.completion_time -= 3600
    assert not sensor(condition="finished", since=ago(60)).poke(context).is_done
    assert sensor(condition="finished", since=ago(7200)).poke(context).is_done
    assert not sensor(condition="finished").poke(context).is_done, "without since, the window begins now"


def test_trouble(users: Users, context: TaskContext) -> None:
    users.hold()
    users.trouble(users.submit("bob"), "TIMEOUT", 5)
    assert not sensor(condition="trouble").poke(context).is_done
    assert not sensor(condition="trouble", min_faults=6).poke(context).is_done
    assert sensor(condition="trouble", min_faults=5).poke(context).is_done
    stuck = users.trouble(users.submit("carol"), "PERMISSION_DENIED", 1)
    (listed,) = sensor(condition="trouble").execute(context)["listed"]
    assert (listed["task_id"], listed["state"], listed["code"]) == (stuck.id, "stuck", "PERMISSION_DENIED")
    assert not sensor(condition="trouble", min_tasks=2).poke(context).is_done
    assert not sensor(condition="trouble", lasting=60).poke(context).is_done


def test_arrived_counts_what_came_and_succeeded(users: Users, context: TaskContext) -> None:
    since = ago(60)
    users.move("bob", "/old", back=True)
    assert not sensor(condition="arrived", since=since).poke(context).is_done
    users.move("bob")
    looked = sensor(condition="arrived", since=since, min_bytes=5).poke(context)
    assert looked.is_done
    assert looked.xcom_value is not None
    assert (looked.xcom_value["tasks"], looked.xcom_value["bytes"]) == (1, 5)
    assert not sensor(condition="arrived", since=since, min_bytes=6).poke(context).is_done
    assert not sensor(condition="arrived", since=since, min_tasks=2).poke(context).is_done
    users.hold()
    users.submit("bob").bytes_transferred = 100
    assert not sensor(condition="arrived", since=since, min_bytes=6).poke(context).is_done


def test_reads_all_pages(users: Users, context: TaskContext) -> None:
    users.sandbox.settings.update({"pending_tasks_per_identity": 1000, "rate_limit_per_second": None})
    users.hold()
    tasks = [users.submit("bob") for _ in range(101)]
    # The first page is full of tasks that are well; the one in trouble is the oldest and comes last.
    users.trouble(tasks[0], "AUTH", 1)
    assert sensor(condition="trouble").execute(context)["listed"][0]["task_id"] == tasks[0].id


def test_defers_and_resumes(users: Users, context: TaskContext) -> None:
    users.hold()
    task = users.submit("bob")
    waiting = sensor(deferrable=True)
    with pytest.raises(TaskDeferred) as deferral:
        waiting.execute(context)
    users.client("bob").cancel_task(task.id)
    event = asyncio.run(anext(deferral.value.trigger.run()))
    assert waiting.execute_complete(context, event.payload)["condition"] == "quiet"


def test_gives_up_in_time(users: Users, context: TaskContext) -> None:
    users.hold()
    users.submit("bob")
    with pytest.raises(AirflowSensorTimeout):
        sensor(timeout=0.2).execute(context)


def test_a_missing_role_is_named(users: Users, globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    bob = users.who("bob")
    globus_sandbox.add_collection("theirs", str(users.source.folder), owner=bob.id, alias="theirs")
    globus_sandbox.world.transfer.find("theirs").host = None
    with pytest.raises(GlobusPermissionError, match=r"activity_monitor.*'theirs'|'theirs'.*activity_monitor"):
        sensor(collection="theirs").execute(context)


def test_an_unknown_collection_fails_at_once(users: Users, context: TaskContext) -> None:
    with pytest.raises(GlobusNotFoundError):
        sensor(collection="99999999-2222-3333-4444-555555555555").execute(context)


def test_the_endpoint_stands_for_all_its_collections(users: Users, context: TaskContext) -> None:
    users.hold()
    users.submit("bob")
    endpoint = users.sandbox.world.transfer.find("target").host
    assert endpoint is not None
    assert not sensor(collection=endpoint.id).poke(context).is_done


@pytest.mark.parametrize(
    "wrong",
    [
        {"condition": "busy"},
        {"use": "both"},
        {"min_tasks": 0},
        {"min_bytes": -1, "condition": "arrived"},
        {"lasting": -1},
        {"min_faults": 0, "condition": "trouble"},
        {"min_bytes": 1},
        {"min_faults": 1},
        {"min_tasks": 2},
        {"since": "2024-01-01"},
        {"lasting": 1, "condition": "finished"},
        {"use": "source", "condition": "arrived"},
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(GlobusInputError, match="GlobusCollectionActivitySensor"):
        sensor(**wrong)


def test_a_window_that_is_no_time_is_refused(users: Users, globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    with pytest.raises(GlobusInputError, match="since"):
        sensor(condition="finished", since="yesterday").execute(context)
    assert globus_sandbox.journal.count("transfer", "GET", "/v0.10/endpoint_manager/task_list") == 0
