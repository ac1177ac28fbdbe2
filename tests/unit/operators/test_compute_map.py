"""One Airflow task, many inputs: results in order, failures by input, and nothing run twice."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_globus.compute import payloads
from airflow_provider_globus.exceptions import GlobusInputError, GlobusJobFailedError, GlobusResultError
from airflow_provider_globus.jobs import compute as jobs
from airflow_provider_globus.operators.compute import GlobusComputeMapOperator, GlobusComputeRegisterFunctionOperator

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.compute.endpoint import ComputeEndpoint
    from airflow_provider_globus.sandbox.pytest_plugin import ComputeEndpointFactory
    from tests.unit.conftest import TaskContext


@pytest.fixture(autouse=True)
def hpc(globus_compute_endpoint: ComputeEndpointFactory) -> ComputeEndpoint:
    return globus_compute_endpoint("hpc", workers=4)


def square(value: int) -> int:
    return value * value


def no_multiples_of_three(value: int) -> int:
    if value % 3 == 0:
        raise ValueError(f"no {value}")
    return value


def flaky(value: int, folder: str) -> int:
    """Fail for an odd value until it was tried before."""
    from pathlib import Path

    seen = Path(folder) / str(value)
    if value % 2 and not seen.exists():
        seen.touch()
        raise OSError(f"{value} is not ready")
    return value


def until_told(value: int, folder: str) -> int:
    """Wait for a file, except for the first input."""
    import time
    from pathlib import Path

    while value and not (Path(folder) / "go").exists():
        time.sleep(0.01)
    return value


def iter_once() -> Any:
    """Make what cannot be serialised."""
    yield 1


def operator(**changes: Any) -> GlobusComputeMapOperator:
    arguments: dict[str, Any] = {"task_id": "a_task", "endpoint": "hpc", "poll_interval": 0.05, "worker_wait": 0}
    if not {"python_callable", "function_id"} & set(changes):
        arguments["python_callable"] = square
    return GlobusComputeMapOperator(**arguments | changes)


def executions(globus: GlobusSandbox) -> int:
    """How often a function of ours was started, whatever its input."""
    world = globus.world.compute
    work = [task for task in world.tasks.values() if world.functions[task.function_id].name != "open_task_group"]
    return sum(task.executions for task in work)


def submissions(globus: GlobusSandbox) -> int:
    """Without the one that opens the group."""
    return globus.journal.count("compute", "POST", "*/submit") - 1


def test_results_in_the_order_of_the_inputs(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    assert operator(inputs=list(range(50))).execute(context) == [n * n for n in range(50)]
    assert submissions(globus_sandbox) == 1
    assert executions(globus_sandbox) == 50


def test_one_status_call_for_all(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    operator(inputs=list(range(50))).execute(context)
    looks = globus_sandbox.journal.requests("compute", "POST", "/v2/batch_status")
    assert len(looks[0].body["task_ids"]) == 50
    asked = [set(look.body["task_ids"]) for look in looks]
    # What has ended is not asked for again.
    assert all(later <= earlier for earlier, later in itertools.pairwise(asked))
    assert globus_sandbox.journal.count("compute", "GET", "/v2/tasks/*") == 0


def test_as_many_submissions_as_the_limit_asks_for(
    globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payloads, "_BATCH_BYTES", 800)
    inputs = ["x" * 200] * 12
    assert operator(python_callable="builtins:len", inputs=inputs).execute(context) == [200] * 12
    assert submissions(globus_sandbox) == 4


@pytest.mark.parametrize(
    ("unpack", "inputs"), [("args", [[2, 3], (3, 2)]), ("kwargs", [{"a": 2, "b": 3}, {"b": 2, "a": 3}])]
)
def test_inputs_become_arguments(unpack: Any, inputs: list[Any], context: TaskContext) -> None:
    def power(a: int, b: int, plus: int = 0) -> int:
        return int(a**b) + plus

    assert operator(python_callable=power, inputs=inputs, unpack=unpack, op_kwargs={"plus": 1}).execute(context) == [
        9,
        10,
    ]


def test_no_inputs_no_requests(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    assert operator(inputs=[]).execute(context) == []
    assert globus_sandbox.journal.count("compute") == 0


def test_a_registered_function(context: TaskContext) -> None:
    function_id = GlobusComputeRegisterFunctionOperator(task_id="register", python_callable=square).execute(context)
    assert operator(function_id=function_id, inputs=[1, 2, 3]).execute(context) == [1, 4, 9]


def test_deferred(context: TaskContext) -> None:
    with pytest.raises(TaskDeferred) as deferred:
        operator(inputs=[1, 2, 3], deferrable=True).execute(context)
    event = asyncio.run(anext(deferred.value.trigger.run())).payload
    assert operator(inputs=[1, 2, 3], deferrable=True).execute_complete(context, event) == [1, 4, 9]


# Failures


def test_failures_are_reported_by_input(context: TaskContext, capsys: pytest.CaptureFixture[str]) -> None:
    failing = operator(python_callable=no_multiples_of_three, inputs=list(range(7)))
    with pytest.raises(GlobusJobFailedError, match="3 of 7 inputs have failed, 0 may") as error:
        failing.execute(context)
    assert "3 ValueError" in str(error.value)
    assert "input 6" in str(error.value)
    reported = context.ti.xcoms["failures"]
    assert [(item["input"], item["reason"]) for item in reported] == [(n, f"ValueError: no {n}") for n in (0, 3, 6)]
    assert capsys.readouterr().out.count("failed at the endpoint: Traceback") == 1


def test_some_may_fail(context: TaskContext, capsys: pytest.CaptureFixture[str]) -> None:
    failing = operator(python_callable=no_multiples_of_three, inputs=list(range(7)), max_failed=3)
    assert failing.execute(context) == [None, 1, 2, None, 4, 5, None]
    assert len(context.ti.xcoms["failures"]) == 3
    assert "4 of 7 inputs have a result" in capsys.readouterr().out


def test_failed_inputs_run_again_and_only_those(
    globus_sandbox: GlobusSandbox, context: TaskContext, tmp_path: Path
) -> None:
    again = operator(python_callable=flaky, inputs=list(range(6)), op_kwargs={"folder": str(tmp_path)}, item_retries=1)
    assert again.execute(context) == list(range(6))
    assert executions(globus_sandbox) == 9


def test_failed_inputs_run_again_while_deferred(context: TaskContext, tmp_path: Path) -> None:
    arguments = {
        "inputs": list(range(6)),
        "op_kwargs": {"folder": str(tmp_path)},
        "item_retries": 1,
        "deferrable": True,
    }
    with pytest.raises(TaskDeferred) as deferred:
        operator(python_callable=flaky, **arguments).execute(context)
    event = asyncio.run(anext(deferred.value.trigger.run())).payload
    with pytest.raises(TaskDeferred) as deferred:
        operator(python_callable=flaky, **arguments).execute_complete(context, event)
    assert len(deferred.value.trigger.job_ids) == 3
    event = asyncio.run(anext(deferred.value.trigger.run())).payload
    assert operator(python_callable=flaky, **arguments).execute_complete(context, event) == list(range(6))


def test_a_retry_runs_only_what_failed(globus_sandbox: GlobusSandbox, context: TaskContext, tmp_path: Path) -> None:
    arguments = {"python_callable": flaky, "inputs": list(range(6)), "op_kwargs": {"folder": str(tmp_path)}}
    with pytest.raises(GlobusJobFailedError, match="A retry runs only those"):
        operator(**arguments).execute(context)
    context.ti.retry()
    assert operator(**arguments).execute(context) == list(range(6))
    assert executions(globus_sandbox) == 9


def test_a_cleared_task_runs_all_again(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    for _ in range(2):
        assert operator(inputs=[1, 2]).execute(context) == [1, 4]
        context.ti.clear()
    assert executions(globus_sandbox) == 4


def test_other_inputs_do_not_get_the_results_of_before(context: TaskContext) -> None:
    with pytest.raises(GlobusJobFailedError):
        operator(python_callable=no_multiples_of_three, inputs=[1, 3]).execute(context)
    context.ti.retry()
    assert operator(python_callable=no_multiples_of_three, inputs=[2, 4]).execute(context) == [2, 4]


# Results are handed on in time


def test_results_are_handed_on_while_the_rest_runs(
    hpc: ComputeEndpoint, context: TaskContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The triggerer lets go of what it holds, the worker makes it durable and waits for the rest."""
    monkeypatch.setattr(jobs, "HAND_ON_SECONDS", 0.0)
    inputs = {"inputs": [0, 1, 2], "op_kwargs": {"folder": str(tmp_path)}}
    arguments = {"python_callable": until_told, "poll_interval": 0.2, **inputs}
    with pytest.raises(TaskDeferred) as deferred:
        operator(**arguments, deferrable=True).execute(context)
    event = asyncio.run(anext(deferred.value.trigger.run())).payload
    assert event["outcome"] == "partial"
    with pytest.raises(TaskDeferred) as deferred:
        operator(**arguments, deferrable=True).execute_complete(context, event)
    assert len(deferred.value.trigger.job_ids) == 2
    (tmp_path / "go").touch()
    monkeypatch.setattr(jobs, "HAND_ON_SECONDS", 600.0)
    event = asyncio.run(anext(deferred.value.trigger.run())).payload
    assert operator(**arguments, deferrable=True).execute_complete(context, event) == [0, 1, 2]


def test_the_time_allowed_does_not_begin_anew_with_each_deferral(
    context: TaskContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "HAND_ON_SECONDS", 0.0)
    arguments = {"python_callable": until_told, "inputs": [0, 1], "op_kwargs": {"folder": str(tmp_path)}}
    arguments |= {"deferrable": True, "execution_timeout": timedelta(hours=1)}
    with pytest.raises(TaskDeferred) as first:
        operator(**arguments).execute(context)
    event = asyncio.run(anext(first.value.trigger.run())).payload
    with pytest.raises(TaskDeferred) as second:
        operator(**arguments).execute_complete(context, event)
    (tmp_path / "go").touch()
    assert first.value.trigger.deadline == second.value.trigger.deadline


def test_a_result_that_was_handed_on_survives_its_end_at_the_service(
    globus_sandbox: GlobusSandbox, context: TaskContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "HAND_ON_SECONDS", 0.0)
    arguments = {"python_callable": until_told, "inputs": [0, 1], "op_kwargs": {"folder": str(tmp_path)}}
    with pytest.raises(TaskDeferred) as deferred:
        operator(**arguments, deferrable=True).execute(context)
    event = asyncio.run(anext(deferred.value.trigger.run())).payload
    with pytest.raises(TaskDeferred):
        operator(**arguments, deferrable=True).execute_complete(context, event)
    (early,) = event["result"]["documents"]
    globus_sandbox.world.compute.tasks[early].result = None
    (tmp_path / "go").touch()
    context.ti.retry()
    assert operator(**arguments).execute(context) == [0, 1]


@pytest.mark.parametrize("registered", [False, True])
def test_without_a_state_store_what_was_handed_on_survives_the_deferral(
    registered: bool, context: TaskContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow 3.2 has none; there it is in XComs."""
    del context["task_state_store"]
    monkeypatch.setattr(jobs, "HAND_ON_SECONDS", 0.0)
    arguments: dict[str, Any] = {"inputs": [0, 1, 2], "op_kwargs": {"folder": str(tmp_path)}}
    arguments |= {"python_callable": until_told}
    if registered:
        register = GlobusComputeRegisterFunctionOperator(task_id="register", python_callable=until_told)
        arguments |= {"python_callable": None, "function_id": register.execute(context)}
    with pytest.raises(TaskDeferred) as deferred:
        operator(**arguments, deferrable=True).execute(context)
    event = asyncio.run(anext(deferred.value.trigger.run())).payload
    with pytest.raises(TaskDeferred) as deferred:
        operator(**arguments, deferrable=True).execute_complete(context, event)
    (tmp_path / "go").touch()
    event = asyncio.run(anext(deferred.value.trigger.run())).payload
    assert operator(**arguments, deferrable=True).execute_complete(context, event) == [0, 1, 2]


def test_many_results_are_kept_in_entries_of_a_fair_size(context: TaskContext) -> None:
    def wide(value: int) -> str:
        return str(value) * 20_000

    assert operator(python_callable=wide, inputs=list(range(10))).execute(context) == [
        str(n) * 20_000 for n in range(10)
    ]
    parts = [value for key, value in context.store.values.items() if key.startswith("globus_part_")]
    assert len(parts) == 4


def test_a_timeout_keeps_what_has_come(globus_sandbox: GlobusSandbox, context: TaskContext, tmp_path: Path) -> None:
    inputs = {"inputs": [0, 1, 2], "op_kwargs": {"folder": str(tmp_path)}}
    arguments = {"python_callable": until_told, "poll_interval": 0.2, **inputs}
    with pytest.raises(Exception, match=r"Last seen: 1 of 3 have ended"):
        operator(**arguments, execution_timeout=timedelta(seconds=1)).execute(context)
    (tmp_path / "go").touch()
    context.ti.retry()
    assert operator(**arguments).execute(context) == [0, 1, 2]
    assert executions(globus_sandbox) == 3


def test_a_result_that_names_no_input_is_refused(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    receipt = operator(inputs=[1], wait_for_completion=False).execute(context)
    task = globus_sandbox.world.compute.wait(receipt["job_ids"][0], 20)
    task.result = "11\n[99, 1]"
    context.ti.retry()
    with pytest.raises(GlobusResultError, match="does not say which input it belongs to"):
        operator(inputs=[1]).execute(context)


# Refused before anything is submitted


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": "{{ xcom }}"}, "inputs is str, not a list"),
        ({"inputs": None}, "inputs is NoneType, not a list"),
        ({"inputs": [1], "unpack": "args"}, "input 0 is int, but unpack='args' needs a list"),
        ({"inputs": [{}, 1], "unpack": "kwargs"}, "input 1 is int, but unpack='kwargs' needs a dict"),
        ({"inputs": [1, 2], "op_kwargs": {"c": 1}}, "input 0 does not fit the function"),
        ({"inputs": [1, iter_once()]}, r"op_args\[1\] of input 1 \(generator\) cannot be serialised"),
        ({"inputs": [1, "y" * 11_000_000]}, r"The arguments of input 1 take 11\.0 MB"),
    ],
)
def test_what_cannot_be_right_is_refused_by_input(
    changes: dict[str, Any], message: str, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    if changes.get("unpack") == "kwargs":
        changes["python_callable"] = "os.path:join"
    with pytest.raises(GlobusInputError, match=message):
        operator(**changes).execute(context)
    assert globus_sandbox.journal.count("compute") == 0


@pytest.mark.parametrize(
    "changes",
    [{"unpack": "both"}, {"max_failed": -1}, {"item_retries": -1}, {"function_id": "x", "python_callable": square}],
)
def test_contradictions_are_refused_when_the_dag_is_parsed(changes: dict[str, Any]) -> None:
    with pytest.raises(GlobusInputError):
        operator(inputs=[1], **changes)
