"""Our operators: the same outcome on the sandbox's workers and on a real endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_globus.compute.registry import FunctionRegistry
from airflow_provider_globus.exceptions import GlobusJobFailedError
from airflow_provider_globus.hooks.credentials import forget_credentials
from airflow_provider_globus.operators.compute import (
    GlobusComputeMapOperator,
    GlobusComputeOperator,
    GlobusComputeShellOperator,
)
from airflow_provider_globus.sensors.compute import GlobusComputeEndpointSensor, GlobusComputeTaskSensor
from tests.unit.conftest import Attempt

if TYPE_CHECKING:
    from tests.endpoint.conftest import EndpointLab

INPUTS = 200


@pytest.fixture(autouse=True)
def _fresh_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither tokens nor registered functions of another test's sandbox."""
    forget_credentials()
    monkeypatch.setattr(FunctionRegistry, "_known", {})
    yield
    forget_credentials()


def add(a: int, b: int = 1) -> int:
    return a + b


def no_multiples_of_three(value: int) -> int:
    if value % 3 == 0:
        raise ValueError(f"no {value}")
    return value


def fail(text: str) -> None:
    raise ValueError(text)


def no_json() -> set[int]:
    return {1}


def die() -> None:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


def operator(cls: Any, **arguments: Any) -> Any:
    return cls(task_id="a_task", endpoint="hpc", poll_interval=0.5, worker_wait=0, **arguments)


def run(cls: Any, **arguments: Any) -> Any:
    return operator(cls, **arguments).execute(Attempt())


def test_a_function(endpoint_lab: EndpointLab) -> None:
    assert run(GlobusComputeOperator, python_callable=add, op_args=[2], op_kwargs={"b": 5}) == 7
    opener, work = endpoint_lab.tasks
    assert opener.group_id == work.group_id


def test_a_deferred_function(endpoint_lab: EndpointLab) -> None:
    context: Any = Attempt()
    waiting = operator(GlobusComputeOperator, python_callable=add, op_args=[2], deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        waiting.execute(context)
    event = asyncio.run(anext(deferred.value.trigger.run())).payload
    assert waiting.execute_complete(context, event) == 3


def test_a_path_that_the_endpoint_imports(endpoint_lab: EndpointLab) -> None:
    assert run(GlobusComputeOperator, python_callable="os.path:join", op_args=["a", "b"]) == "a/b"


def test_arguments_that_json_would_change(endpoint_lab: EndpointLab) -> None:
    assert run(GlobusComputeOperator, python_callable="builtins:repr", op_args=[(1, 2)]) == "(1, 2)"


def test_results_by_dill(endpoint_lab: EndpointLab) -> None:
    assert run(GlobusComputeOperator, python_callable=no_json, result_serializer="dill") == {1}


def test_a_command(endpoint_lab: EndpointLab) -> None:
    result = run(GlobusComputeShellOperator, command="echo {here} $((1 + 1)); echo careful >&2")
    assert (result["returncode"], result["stdout"]) == (0, "{here} 2\n")
    assert "careful" in result["stderr"]


@pytest.mark.parametrize(
    ("cls", "arguments", "code", "said"),
    [
        (GlobusComputeOperator, {"python_callable": fail, "op_args": ["no angles"]}, "ValueError", "no angles"),
        (GlobusComputeOperator, {"python_callable": no_json}, "RESULT_NOT_JSON", "result_serializer='dill'"),
        (GlobusComputeOperator, {"python_callable": "no_such:f"}, "MODULE_NOT_FOUND", "Install the package"),
        (GlobusComputeShellOperator, {"command": "echo no beam >&2; exit 3"}, "RETURNCODE_3", "no beam"),
        (GlobusComputeShellOperator, {"command": "sleep 60", "walltime": 0.5}, "RETURNCODE_124", "allow it more"),
    ],
)
def test_a_failure_says_what_to_do(
    cls: Any, arguments: dict[str, Any], code: str, said: str, endpoint_lab: EndpointLab
) -> None:
    with pytest.raises(GlobusJobFailedError, match=said) as error:
        run(cls, **arguments)
    assert error.value.code == code


def test_a_dead_worker(endpoint_lab: EndpointLab) -> None:
    with pytest.raises(GlobusJobFailedError, match="ran out of memory or time") as error:
        run(GlobusComputeOperator, python_callable=die)
    assert error.value.code == "WORKER_LOST"


def test_a_batch(endpoint_lab: EndpointLab) -> None:
    results = run(
        GlobusComputeMapOperator, python_callable=no_multiples_of_three, inputs=list(range(INPUTS)), max_failed=INPUTS
    )
    assert results == [n if n % 3 else None for n in range(INPUTS)]
    submissions = endpoint_lab.sandbox.journal.requests("compute", "POST", "*/submit")
    assert [sum(map(len, sent.body["tasks"].values())) for sent in submissions] == [1, INPUTS]


def test_sensors(endpoint_lab: EndpointLab) -> None:
    context: Any = Attempt()
    sensor = GlobusComputeEndpointSensor(task_id="online", endpoint="hpc", poke_interval=0.5)
    assert sensor.execute(context)["status"] == "online"
    ids = run(GlobusComputeOperator, python_callable=add, op_args=[2], wait_for_completion=False)["job_ids"]
    waiting = GlobusComputeTaskSensor(task_id="wait", compute_task_ids=ids, poke_interval=0.5)
    assert waiting.execute(context) == [3]
