"""Sensors in a worker and deferred, against the sandbox."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException, TaskDeferred

from airflow_provider_globus.exceptions import (
    GlobusInputError,
    GlobusJobFailedError,
    GlobusJobLostError,
    GlobusNotFoundError,
    GlobusPermissionError,
)
from airflow_provider_globus.operators.transfer import GlobusTransferOperator
from airflow_provider_globus.sensors.path import GlobusPathSensor
from airflow_provider_globus.sensors.transfer import GlobusTransferTaskSensor

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.unit.conftest import TaskContext


@pytest.fixture
def lab(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection(
        "lab", files={"run/a.h5": "aaaa", "run/b.h5": "bb", "run/sub/c.h5": "c", "run/log.txt": ""}
    )


def path_sensor(**changes: Any) -> GlobusPathSensor:
    arguments: dict[str, Any] = {"task_id": "s", "collection": "lab", "path": "/run", "poke_interval": 0.05}
    return GlobusPathSensor(**arguments | changes)


def deferred(sensor: Any, context: TaskContext) -> Any:
    """Run a deferrable sensor to its end."""
    try:
        return sensor.execute(context)
    except TaskDeferred as deferral:
        event = asyncio.run(anext(deferral.trigger.run()))
        return getattr(sensor, deferral.method_name)(context, event=event.payload)


@pytest.mark.parametrize("path", ["/", "/run", "/run/", "/run/a.h5"])
@pytest.mark.usefixtures("lab")
def test_finds_what_exists(path: str, context: TaskContext) -> None:
    assert path_sensor(path=path).poke(context).is_done


@pytest.mark.usefixtures("lab")
def test_waits_for_what_does_not(context: TaskContext) -> None:
    for path in ("/later", "/no/such/folder", "/run/later.h5"):
        assert not path_sensor(path=path).poke(context).is_done
    assert not path_sensor(path="/no/such", pattern="*").poke(context).is_done


@pytest.mark.usefixtures("lab")
def test_counts_files_by_pattern(context: TaskContext) -> None:
    found = path_sensor(pattern="*.h5", min_files=2).execute(context)
    assert (found["count"], found["bytes"], found["files"]) == (2, 6, ["/run/a.h5", "/run/b.h5"])
    assert not path_sensor(pattern="*.h5", min_files=3).poke(context).is_done
    assert path_sensor(pattern="*.h5", min_files=3, recursive=True).poke(context).is_done


def test_the_marker_alone_is_enough(lab: CollectionFolder, context: TaskContext) -> None:
    (lab.folder / "empty/folder").mkdir(parents=True)
    (lab.folder / "empty/done").touch()
    assert path_sensor(path="/empty", marker="done").poke(context).is_done
    assert not path_sensor(path="/empty", marker="done", min_files=1).poke(context).is_done


def test_waits_for_the_marker(lab: CollectionFolder, context: TaskContext) -> None:
    sensor = path_sensor(marker="done")
    assert not sensor.poke(context).is_done
    (lab.folder / "run/done").touch()
    found = sensor.execute(context)
    assert found["count"] == 3
    assert "/run/done" not in found["files"]


def test_waits_until_files_are_stable(lab: CollectionFolder, context: TaskContext) -> None:
    now = [0.0]
    sensor = path_sensor(pattern="*.h5", stable_for=60)
    assert not sensor.poke(context).is_done
    assert sensor._watch is not None
    sensor._watch._clock = lambda: now[0]
    sensor._watch.memory.clear()
    for now[0], text, done in ((0, "aaaa", False), (59, "aaaa", False), (60, "AAAAA", False), (119, "AAAAA", False)):
        (lab.folder / "run/a.h5").write_text(text)
        assert sensor.poke(context).is_done is done
    now[0] = 121
    assert sensor.poke(context).is_done


def test_defers_and_resumes_with_the_files(lab: CollectionFolder, context: TaskContext) -> None:
    sensor = path_sensor(marker="done", deferrable=True)
    with pytest.raises(TaskDeferred) as deferral:
        sensor.execute(context)
    (lab.folder / "run/done").touch()
    event = asyncio.run(anext(deferral.value.trigger.run()))
    assert sensor.execute_complete(context, event.payload)["count"] == 3


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.usefixtures("lab")
def test_gives_up_in_time(deferrable: bool, context: TaskContext) -> None:
    with pytest.raises(AirflowSensorTimeout):
        deferred(path_sensor(path="/later", timeout=0.2, deferrable=deferrable), context)
    with pytest.raises(AirflowSkipException):
        deferred(path_sensor(path="/later", timeout=0.2, deferrable=deferrable, soft_fail=True), context)


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.usefixtures("lab")
def test_what_can_never_come_true_fails_at_once(
    deferrable: bool, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    with pytest.raises(GlobusInputError, match="relative"):
        path_sensor(path="run", deferrable=deferrable).execute(context)
    with pytest.raises(GlobusNotFoundError):
        path_sensor(collection="99999999-2222-3333-4444-555555555555", deferrable=deferrable).execute(context)
    globus_sandbox.faults.add(
        {
            "service": "transfer",
            "path": "*/ls",
            "status": 502,
            "code": "ExternalError.DirListingFailed.PermissionDenied",
        }
    )
    with pytest.raises(GlobusPermissionError):
        path_sensor(deferrable=deferrable).execute(context)


def test_an_outage_is_no_answer(lab: CollectionFolder, globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    sensor = path_sensor()
    globus_sandbox.faults.add({"service": "transfer", "path": "*/ls", "status": 503, "times": 5})
    assert not sensor.poke(context).is_done
    globus_sandbox.faults.clear()
    assert sensor.poke(context).is_done


def test_rescheduling_is_refused_with_the_better_way() -> None:
    with pytest.raises(GlobusInputError, match="deferrable=True"):
        path_sensor(mode="reschedule")


@pytest.fixture
def task_id(lab: CollectionFolder, globus_collection: CollectionFactory, context: TaskContext) -> str:
    globus_collection("target")
    submit = GlobusTransferOperator(
        task_id="t",
        source_collection="lab",
        destination_collection="target",
        items=[("/run/a.h5", "/a.h5")],
        wait_for_completion=False,
    )
    return str(submit.execute(context)["job_ids"][0])


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_transfer_of_somebody_else_is_waited_for(
    deferrable: bool, task_id: str, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    sensor = GlobusTransferTaskSensor(task_id="s", transfer_task_id=task_id, poke_interval=0.05, deferrable=deferrable)
    assert deferred(sensor, context)["files"] == 1


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_failed_or_unknown_transfer_fails_the_sensor(
    deferrable: bool, globus_sandbox: GlobusSandbox, context: TaskContext, request: pytest.FixtureRequest
) -> None:
    globus_sandbox.settings.task_seconds = 3600
    task_id = request.getfixturevalue("task_id")
    sensor = GlobusTransferTaskSensor(task_id="s", transfer_task_id=task_id, poke_interval=0.05, deferrable=deferrable)
    sensor.hook.call("cancelling", sensor.hook.transfer_client().cancel_task, task_id)
    with pytest.raises(GlobusJobFailedError, match="CANCELED"):
        deferred(sensor, context)
    unknown = "99999999-2222-3333-4444-555555555555"
    with pytest.raises(GlobusJobLostError):
        deferred(GlobusTransferTaskSensor(task_id="s", transfer_task_id=unknown, deferrable=deferrable), context)
    with pytest.raises(GlobusInputError, match="no UUID"):
        deferred(GlobusTransferTaskSensor(task_id="s", transfer_task_id="{{ x }}", deferrable=deferrable), context)
