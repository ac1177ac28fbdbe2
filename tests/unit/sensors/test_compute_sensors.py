"""Waiting for somebody else's functions, and for endpoints to come online."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from airflow.sdk.exceptions import AirflowSensorTimeout, TaskDeferred

from airflow_provider_globus.exceptions import GlobusInputError, GlobusJobFailedError, GlobusNotFoundError
from airflow_provider_globus.operators.compute import GlobusComputeMapOperator, GlobusComputeOperator
from airflow_provider_globus.sensors.compute import GlobusComputeEndpointSensor, GlobusComputeTaskSensor

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.compute.endpoint import ComputeEndpoint
    from airflow_provider_globus.sandbox.pytest_plugin import ComputeEndpointFactory
    from tests.unit.conftest import TaskContext


@pytest.fixture(autouse=True)
def hpc(globus_compute_endpoint: ComputeEndpointFactory) -> ComputeEndpoint:
    return globus_compute_endpoint("hpc")


def double(value: int) -> int:
    return 2 * value


def fail() -> None:
    raise ValueError("no beam")


def start(context: TaskContext, **function: Any) -> list[str]:
    receipt = GlobusComputeOperator(
        task_id="start", endpoint="hpc", wait_for_completion=False, require_online=False, **function
    ).execute(context)
    return list(receipt["job_ids"])


def tasks(ids: Any, **changes: Any) -> GlobusComputeTaskSensor:
    return GlobusComputeTaskSensor(task_id="wait", compute_task_ids=ids, poke_interval=0.05, **changes)


def online(**changes: Any) -> GlobusComputeEndpointSensor:
    return GlobusComputeEndpointSensor(task_id="wait", poke_interval=0.05, **{"endpoint": "hpc", **changes})


def test_one_task_gives_its_result(context: TaskContext) -> None:
    (task_id,) = start(context, python_callable=double, op_args=[4])
    assert tasks(task_id).execute(context) == 8


def test_several_tasks_give_a_list_in_order(context: TaskContext) -> None:
    ids = [start(context_of(), python_callable=double, op_args=[n])[0] for n in range(3)]
    assert tasks(ids[::-1]).execute(context) == [4, 2, 0]


def context_of() -> Any:
    from tests.unit.conftest import Attempt

    return Attempt()


def test_deferred(hpc: ComputeEndpoint, context: TaskContext) -> None:
    hpc.go_offline()
    ids = start(context, python_callable=double, op_args=[4])
    with pytest.raises(TaskDeferred) as deferred:
        tasks(ids, deferrable=True).execute(context)
    hpc.go_online()
    event = asyncio.run(anext(deferred.value.trigger.run())).payload
    assert tasks(ids, deferrable=True).execute_complete(context, event) == [8]


def test_a_failure(context: TaskContext) -> None:
    ids = start(context, python_callable=fail)
    with pytest.raises(GlobusJobFailedError, match="ValueError: no beam"):
        tasks(ids).execute(context)


def test_a_result_that_nobody_fetched_in_time(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    ids = start(context, python_callable=double, op_args=[4])
    globus_sandbox.world.compute.wait(ids[0], 20)
    globus_sandbox.clock.advance(1801)
    with pytest.raises(GlobusJobFailedError, match="keep a triggerer or worker running"):
        tasks(ids).execute(context)


@pytest.mark.parametrize("ids", ["", [], None, "no-uuid", ["no-uuid"]])
def test_what_is_no_task_is_refused(ids: Any, context: TaskContext) -> None:
    with pytest.raises(GlobusInputError, match="are no UUIDs"):
        tasks(ids).execute(context)


def test_many_results_of_a_map(context: TaskContext) -> None:
    receipt = GlobusComputeMapOperator(
        task_id="start", endpoint="hpc", python_callable=double, inputs=[1, 2], wait_for_completion=False
    ).execute(context)
    # Each says which input it belongs to.
    assert tasks(receipt["job_ids"]).execute(context) == [[0, 2], [1, 4]]


def test_an_endpoint_that_is_online(context: TaskContext) -> None:
    assert online().execute(context)["status"] == "online"


def test_an_endpoint_that_comes_online(hpc: ComputeEndpoint, context: TaskContext) -> None:
    hpc.go_offline()
    with pytest.raises(TaskDeferred) as deferred:
        online(deferrable=True).execute(context)
    hpc.go_online()
    event = asyncio.run(anext(deferred.value.trigger.run())).payload
    assert online(deferrable=True).execute_complete(context, event)["status"] == "online"


def test_an_endpoint_that_stays_offline(hpc: ComputeEndpoint, context: TaskContext) -> None:
    hpc.go_offline()
    with pytest.raises(AirflowSensorTimeout):
        online(timeout=0.2).execute(context)


def test_idle_workers(hpc: ComputeEndpoint, context: TaskContext) -> None:
    assert online(min_idle_workers=hpc.workers).execute(context)["total_workers"] == hpc.workers
    with pytest.raises(AirflowSensorTimeout):
        online(min_idle_workers=hpc.workers + 1, timeout=0.2).execute(context)


def test_an_unknown_endpoint_fails_at_once(context: TaskContext) -> None:
    with pytest.raises(GlobusNotFoundError, match="could not be resolved"):
        online(endpoint=str(uuid4())).execute(context)
