"""What the demo shows while it runs, and at the end."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from airflow_provider_globus.sandbox.compute.models import RUNNING, ComputeFunction, ComputeTask
from airflow_provider_globus.sandbox.demo.progress import Job, Progress, jobs, name_of, result_table

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=100)


def said(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return [line.split(" s  ", 1)[-1] for line in console.file.getvalue().splitlines()]


def instance(task_id: str, state: str | None, map_index: int = -1, **more: Any) -> dict[str, Any]:
    return {"task_id": task_id, "state": state, "map_index": map_index, "duration": 1.5, **more}


def test_mapped_task_instances_have_numbers() -> None:
    assert name_of(instance("bin", None)) == "bin"
    assert name_of(instance("bin", None, 2)) == "bin[2]"


def test_each_change_is_a_line_and_nothing_is_said_twice(console: Console) -> None:
    with Progress(console) as display:
        for first, second in (("queued", None), ("queued", "queued"), ("success", "queued")):
            display.show([instance("bin", first, 0), instance("bin", second, 1)], [])
    assert said(console) == ["bin[0]: queued", "bin[1]: queued", "bin[0]: success"]


def test_the_end_of_a_job_is_said_at_once(console: Console) -> None:
    with Progress(console) as display:
        display.show([], [Job("1", "reconstruct: running", False)])
        display.show([], [Job("1", "reconstruct: success", True)])
        display.show([], [Job("1", "reconstruct: success", True)])
    assert said(console) == ["  Globus  reconstruct: running", "  Globus  reconstruct: success"]


def test_flow_runs_are_jobs_with_the_state_they_are_in(globus_sandbox: GlobusSandbox) -> None:
    wait = {"StartAt": "Nap", "States": {"Nap": {"Type": "Wait", "Seconds": 3600, "End": True}}}
    flows = globus_sandbox.world.flows
    flow = globus_sandbox.add_flow("waiting", wait)
    run = flows.create_run(flow, globus_sandbox.world.auth.anyone(), body={}, label="my run")
    flows.begin(run)
    with flows.changed:
        assert flows.changed.wait_for(lambda: run.log and run.log[-1].code == "WaitStarted", 10)
    assert jobs(globus_sandbox.world) == [Job(run.id, "my run: Nap, ACTIVE", False)]
    flows.cancel(run)
    assert jobs(globus_sandbox.world) == [Job(run.id, "my run: FAILED", True)]


def test_compute_tasks_are_jobs_but_for_those_that_only_open_a_group(globus_sandbox: GlobusSandbox) -> None:
    endpoint = globus_sandbox.add_compute_endpoint("HPC cluster")
    state = globus_sandbox.world.compute
    for number, name in enumerate(("open_task_group", "reconstruct")):
        task_id = f"{number}" * 8 + "-1234"
        state.tasks[task_id] = ComputeTask(
            id=task_id,
            function=ComputeFunction(id=f"{name}-id", name=name, code="", owner="me"),
            endpoint_id=endpoint.id,
            group_id="group",
            owner="me",
            submitted_at=0.0,
            payload=None,
            status=RUNNING,
        )
    name = "reconstruct 11111111 on HPC cluster"
    assert jobs(globus_sandbox.world) == [Job(task_id, f"{name}: running", False)]
    state.finish(task_id, result="")
    assert jobs(globus_sandbox.world) == [Job(task_id, f"{name}: success", True)]


def test_the_final_table_has_a_row_for_each_instance_with_its_own_bytes(console: Console) -> None:
    tasks = [instance("bin", "success", number) for number in range(2)]
    console.print(result_table(tasks, {"bin[0]": {"bytes": 111}, "bin[1]": {"bytes": 222}}, "title"))
    lines = said(console)
    assert any("bin[0]" in line and "success" in line and "111" in line for line in lines)
    assert any("bin[1]" in line and "222" in line for line in lines)
