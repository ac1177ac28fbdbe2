"""A worker dies at any moment: the retry ends in one Globus task. A user clears the task: exactly one new one runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_globus.exceptions import (
    GlobusConflictError,
    GlobusError,
    GlobusJobFailedError,
    GlobusJobLostError,
    GlobusJobTimeoutError,
)
from airflow_provider_globus.operators.transfer import GlobusTransferOperator

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.unit.conftest import TaskContext


@pytest.fixture(autouse=True)
def _collections(globus_collection: CollectionFactory) -> None:
    globus_collection("source", files={"a.dat": "aaaa", "b.dat": "bb"})
    globus_collection("target")


class Died(BaseException):
    """The worker's end, which no except clause of ours sees."""


def operator(**changes: Any) -> GlobusTransferOperator:
    arguments: dict[str, Any] = {
        "task_id": "a_task",
        "source_collection": "source",
        "destination_collection": "target",
        "source_path": "/a.dat",
        "destination_path": "/a.dat",
        "poll_interval": 0.05,
        "worker_wait": 0,
    }
    return GlobusTransferOperator(**arguments | changes)


def tasks(globus: GlobusSandbox) -> list[Any]:
    return list(globus.world.transfer.tasks.values())


def die_in(monkeypatch: pytest.MonkeyPatch, method: str, *, after: bool) -> None:
    """End the worker before or after a method has done its work, once."""
    original = getattr(GlobusTransferOperator, method)

    def dying(self: Any, *args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(GlobusTransferOperator, method, original)
        if after:
            original(self, *args, **kwargs)
        raise Died

    monkeypatch.setattr(GlobusTransferOperator, method, dying)


@pytest.mark.parametrize(
    ("method", "after"),
    [
        ("reserve", True),
        ("submit", False),
        ("submit", True),
        ("_announce", False),
        ("_wait", False),
        ("_conclude", False),
    ],
)
def test_a_retry_ends_in_one_task(
    method: str, after: bool, globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_in(monkeypatch, method, after=after)
    with pytest.raises(Died):
        operator().execute(context)
    context.ti.retry()
    result = operator().execute(context)
    assert [task.id for task in tasks(globus_sandbox)] == [result["task_id"]]


def test_a_lost_answer_is_asked_for_again(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.faults.add({"service": "transfer", "path": "/v0.10/transfer", "drop_after": True, "times": 1})
    assert operator().execute(context)["status"] == "SUCCEEDED"
    assert len(tasks(globus_sandbox)) == 1
    sent = [e.body["submission_id"] for e in globus_sandbox.journal.requests("transfer", "POST", "/v0.10/transfer")]
    assert len(sent) == 2
    assert len(set(sent)) == 1


def test_a_cleared_success_runs_again(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    first = operator().execute(context)
    context.ti.clear()
    second = operator().execute(context)
    assert first["task_id"] != second["task_id"]
    assert globus_sandbox.journal.count("transfer", "POST", "*/cancel") == 0


def test_a_retry_after_success_takes_the_result(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    """Airflow lost the worker after the job's end, before it was told of it."""
    first = operator().execute(context)
    context.ti.retry()
    assert operator().execute(context) == first


def test_cleared_while_running_the_old_task_is_cancelled_and_one_new_runs(
    globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    globus_sandbox.settings.task_seconds = 3600
    with pytest.raises(TaskDeferred):
        operator(deferrable=True).execute(context)
    context.ti.clear()
    result = operator(wait_for_completion=False).execute(context)
    old, new = tasks(globus_sandbox)
    assert (old.status, new.status) == ("FAILED", "ACTIVE")
    assert [new.id] == result["job_ids"]


def test_cleared_it_waits_for_the_old_task_to_end_and_never_adopts_it(
    globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    """Globus may still finish a file that is on its way, and until then refuses identical work."""
    globus_sandbox.settings.task_seconds = 3600
    with pytest.raises(TaskDeferred):
        operator(deferrable=True).execute(context)
    globus_sandbox.faults.add({"task": "*", "cancel_seconds": 60})
    globus_sandbox.clock.scale = 30
    context.ti.clear()
    result = operator(wait_for_completion=False).execute(context)
    globus_sandbox.clock.scale = 1
    old, new = tasks(globus_sandbox)
    assert (old.status, result["job_ids"]) == ("FAILED", [new.id])
    assert [e for e in globus_sandbox.journal.requests("transfer", "POST", "/v0.10/transfer") if e.status == 409]


def test_cleared_between_key_and_answer_one_task_runs(
    globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_in(monkeypatch, "submit", after=True)
    with pytest.raises(Died):
        operator().execute(context)
    context.ti.clear()
    operator().execute(context)
    assert len(tasks(globus_sandbox)) == 1


def test_changed_arguments_are_another_job(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.settings.task_seconds = 3600
    with pytest.raises(TaskDeferred):
        operator(deferrable=True).execute(context)
    context.ti.retry()
    operator(source_path="/b.dat", destination_path="/b.dat", wait_for_completion=False).execute(context)
    assert [task.status for task in tasks(globus_sandbox)] == ["FAILED", "ACTIVE"]


def test_a_failed_job_is_submitted_anew_by_the_retry(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.settings.task_seconds = 3600
    with pytest.raises(TaskDeferred):
        operator(deferrable=True).execute(context)
    (task,) = tasks(globus_sandbox)
    hook = operator().hook
    hook.call("cancelling", hook.transfer_client().cancel_task, task.id)
    globus_sandbox.settings.task_seconds = 0
    context.ti.retry()
    assert operator().execute(context)["status"] == "SUCCEEDED"
    assert len(tasks(globus_sandbox)) == 2


def test_identical_work_of_somebody_else_is_adopted_and_never_cancelled(
    globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    globus_sandbox.settings.task_seconds = 3600
    operator(wait_for_completion=False, task_label="by hand").execute(context)
    context.store.values.clear()
    ours = operator(wait_for_completion=False)
    ours.execute(context)
    ours.on_kill()
    (task,) = tasks(globus_sandbox)
    assert task.status == "ACTIVE"


def test_several_candidates_for_identical_work_are_listed(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.settings.task_seconds = 3600
    for path in ("/a.dat", "/b.dat"):
        context.store.values.clear()
        operator(wait_for_completion=False, source_path=path, destination_path=path, task_label="x").execute(context)
    context.store.values.clear()
    with pytest.raises(GlobusConflictError, match="Several unfinished ones") as caught:
        operator(task_label="ours").execute(context)
    assert all(task.id in str(caught.value) for task in tasks(globus_sandbox))


def test_a_kill_cancels(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.settings.task_seconds = 3600
    killed = operator(wait_for_completion=False)
    killed.execute(context)
    killed.on_kill()
    (task,) = tasks(globus_sandbox)
    assert task.status == "FAILED"


def test_a_kill_leaves_the_job_when_told_so(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.settings.task_seconds = 3600
    killed = operator(wait_for_completion=False, cancel_on_kill=False)
    killed.execute(context)
    killed.on_kill()
    (task,) = tasks(globus_sandbox)
    assert task.status == "ACTIVE"


def test_a_kill_during_submission_cancels_what_was_submitted(
    globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    globus_sandbox.settings.task_seconds = 3600
    killed = operator()
    original = killed.submit

    def submit(document: Any, key: Any) -> list[str]:
        killed.on_kill()
        return original(document, key)

    monkeypatch.setattr(killed, "submit", submit)
    with pytest.raises(GlobusJobFailedError, match="killed"):
        killed.execute(context)
    (task,) = tasks(globus_sandbox)
    assert task.status == "FAILED"


def resume(deferral: TaskDeferred, context: TaskContext, task: GlobusTransferOperator) -> Any:
    """What Airflow does: run the trigger, then the operator's method with its event."""
    event = asyncio.run(anext(deferral.trigger.run()))
    return getattr(task, deferral.method_name)(context, event=event.payload)


def test_a_deferred_task_resumes_with_the_result(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.world.transfer.hold()
    with pytest.raises(TaskDeferred) as deferral:
        operator(deferrable=True).execute(context)
    globus_sandbox.world.transfer.release()
    assert resume(deferral.value, context, operator(deferrable=True))["status"] == "SUCCEEDED"


def test_execution_timeout_counts_while_deferred_and_cancels(
    globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    from datetime import timedelta

    globus_sandbox.settings.task_seconds = 3600
    limited = operator(deferrable=True, execution_timeout=timedelta(seconds=0.3))
    with pytest.raises(TaskDeferred) as deferral:
        limited.execute(context)
    with pytest.raises(GlobusJobTimeoutError, match="execution_timeout"):
        resume(deferral.value, context, operator(deferrable=True))
    (task,) = tasks(globus_sandbox)
    assert task.status == "FAILED"
    globus_sandbox.settings.task_seconds = 0
    context.ti.retry()
    assert operator().execute(context)["status"] == "SUCCEEDED"


def test_a_task_that_globus_forgot_is_lost(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.settings.task_seconds = 3600
    with pytest.raises(TaskDeferred) as deferral:
        operator(deferrable=True).execute(context)
    globus_sandbox.world.transfer.tasks.clear()
    for owned in globus_sandbox.world.transfer._by_owner.values():
        owned.clear()
    with pytest.raises(GlobusJobLostError, match="does not know the task"):
        resume(deferral.value, context, operator(deferrable=True))


def test_without_a_state_store_it_runs_and_says_what_is_missing(
    context: TaskContext, capsys: pytest.CaptureFixture[str]
) -> None:
    del context["task_state_store"]
    assert operator().execute(context)["status"] == "SUCCEEDED"
    assert "no task state store" in capsys.readouterr().out


def test_no_room_for_another_task_is_waited_for(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.settings.pending_tasks_per_identity = 1
    globus_sandbox.settings.task_seconds = 0.5
    operator(wait_for_completion=False).execute(context)
    context.store.values.clear()
    assert operator(source_path="/b.dat", destination_path="/b.dat").execute(context)["status"] == "SUCCEEDED"
    refused = [e for e in globus_sandbox.journal.requests("transfer", "POST", "/v0.10/transfer") if e.status == 409]
    assert refused
    assert (
        len({e.body["submission_id"] for e in globus_sandbox.journal.requests("transfer", "POST", "/v0.10/transfer")})
        == 2
    )


def test_no_room_is_waited_for_in_the_triggerer(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.settings.pending_tasks_per_identity = 1
    globus_sandbox.world.transfer.hold()
    operator(wait_for_completion=False).execute(context)
    context.store.values.clear()
    another = {"source_path": "/b.dat", "destination_path": "/b.dat", "deferrable": True}
    with pytest.raises(TaskDeferred) as deferral:
        operator(**another).execute(context)
    assert deferral.value.trigger.serialize()[1]["service"] == "transfer-room"
    globus_sandbox.settings.pending_tasks_per_identity = 100
    with pytest.raises(TaskDeferred) as second:
        resume(deferral.value, context, operator(**another))
    globus_sandbox.world.transfer.release()
    assert resume(second.value, context, operator(**another))["status"] == "SUCCEEDED"
    assert len(tasks(globus_sandbox)) == 2


def test_without_a_state_store_a_running_task_of_ours_is_found_and_stays_ours(
    globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    del context["task_state_store"]
    globus_sandbox.settings.task_seconds = 3600
    operator(wait_for_completion=False).execute(context)
    context.ti.retry()
    second = operator(wait_for_completion=False)
    second.execute(context)
    second.on_kill()
    assert [task.status for task in tasks(globus_sandbox)] == ["FAILED"]


def test_a_refused_submission_loses_nothing_and_its_key_is_not_used_again(
    globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    globus_sandbox.faults.add(
        {"service": "transfer", "path": "/v0.10/transfer", "status": 403, "code": "PermissionDenied"}
    )
    with pytest.raises(GlobusError, match="PermissionDenied"):
        operator().execute(context)
    globus_sandbox.faults.clear()
    context.ti.retry()
    assert operator().execute(context)["status"] == "SUCCEEDED"
    sent = globus_sandbox.journal.requests("transfer", "POST", "/v0.10/transfer")
    assert len({entry.body["submission_id"] for entry in sent}) == 2
