"""What functions do at an endpoint, through the Compute SDK: the same for the sandbox's workers and a real endpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from globus_compute_sdk import ShellFunction
from globus_compute_sdk.errors import TaskExecutionFailed
from globus_compute_sdk.serialize import ComputeSerializer, JSONData, PureSourceTextInspect
from globus_sdk import ComputeAPIError

if TYPE_CHECKING:
    from globus_compute_sdk import Client

    from tests.endpoint.conftest import EndpointLab

Outcome = Callable[..., Any]


def add(a: int, b: int = 0) -> int:
    return a + b


def divide(a: int, b: int) -> float:
    return a / b


def die() -> None:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


def write_much(megabytes: int) -> str:
    return "x" * (megabytes * 1024 * 1024)


def surroundings() -> dict[str, Any]:
    import os
    import pathlib

    return {"folder": str(pathlib.Path.cwd()), "environment": dict(os.environ)}


def test_a_function_returns_its_result(outcome: Outcome, endpoint_lab: EndpointLab) -> None:
    assert outcome(add, 40, b=2) == 42
    (task,) = endpoint_lab.tasks
    assert task.status == "success"
    assert task.executions == 1
    transitions = task.details["task_transitions"]
    assert transitions["execution-start"] <= transitions["execution-end"]
    assert task.details["globus_compute_sdk_version"].startswith("4.")


def test_an_error_comes_back_with_its_traceback(outcome: Outcome) -> None:
    with pytest.raises(TaskExecutionFailed) as raised:
        outcome(divide, 1, 0)
    assert "in divide" in str(raised.value)
    assert str(raised.value).rstrip(" -+\n").endswith("ZeroDivisionError: division by zero")


def test_a_shell_function_returns_output_and_status(outcome: Outcome) -> None:
    result = outcome(ShellFunction("echo hello {name}; echo trouble >&2; exit {status}"), name="Globus", status=3)
    assert (result.returncode, result.stdout) == (3, "hello Globus\n")
    assert "trouble" in result.stderr


def test_a_shell_function_has_a_wall_time(outcome: Outcome) -> None:
    assert outcome(ShellFunction("sleep 60", walltime=0.5)).returncode == 124


def test_each_task_has_a_folder_of_its_own_and_no_secrets(outcome: Outcome, endpoint_lab: EndpointLab) -> None:
    seen = [outcome(surroundings) for _ in range(2)]
    assert seen[0]["folder"] != seen[1]["folder"]
    for task, each in zip(endpoint_lab.tasks, seen, strict=True):
        assert each["environment"]["GC_TASK_UUID"] == task.id
        assert each["environment"]["GC_TASK_SANDBOX_DIR"] == each["folder"]
        assert endpoint_lab.sandbox.client_secret not in json.dumps(each)
        assert not each["environment"].get("http_proxy")


def test_a_batch_of_two_hundred(endpoint_lab: EndpointLab, sdk_client: Client) -> None:
    function_id = sdk_client.register_function(add)
    batch = sdk_client.create_batch()
    for number in range(200):
        batch.add(function_id, (number,), {"b": 1})
    task_ids = sdk_client.batch_run(endpoint_lab.endpoint_id, batch)["tasks"][function_id]
    for task_id in task_ids:
        endpoint_lab.wait(task_id)
    results = sdk_client.get_batch_result(task_ids)
    assert [results[task_id]["result"] for task_id in task_ids] == [number + 1 for number in range(200)]
    assert [task.id for task in endpoint_lab.tasks] == task_ids


# A result that no worker made does not say which Python made it, which the SDK takes for a difference.
@pytest.mark.filterwarnings("ignore:\\s*Environment differences:UserWarning")
def test_a_dead_worker_fails_its_task_and_no_other(outcome: Outcome) -> None:
    with pytest.raises(TaskExecutionFailed) as raised:
        outcome(die)
    assert TaskExecutionFailed.WORKER_LOST_REGEX.search(str(raised.value))
    assert outcome(add, 1, 1) == 2


def test_a_result_that_is_too_big_is_refused(outcome: Outcome) -> None:
    with pytest.raises(TaskExecutionFailed, match=r"MaxResultSizeExceeded.*10485760"):
        outcome(write_much, 11)


def test_a_configuration_that_the_endpoint_does_not_take(endpoint_lab: EndpointLab, sdk_client: Client) -> None:
    """The sandbox does not wait for what a real endpoint says of it, which fails the task then."""
    function_id = sdk_client.register_function(add)
    batch = sdk_client.create_batch(user_endpoint_config={"workers": "many"})
    batch.add(function_id, (1,))
    if endpoint_lab.real is None:
        with pytest.raises(ComputeAPIError, match="'many' is not of type 'integer'") as refused:
            sdk_client.batch_run(endpoint_lab.endpoint_id, batch)
        assert (refused.value.http_status, refused.value.code) == (422, "SEMANTICALLY_INVALID")
        return
    (task_id,) = sdk_client.batch_run(endpoint_lab.endpoint_id, batch)["tasks"][function_id]
    task = endpoint_lab.wait(task_id)
    assert task.status == "failed"
    assert task.exception is not None
    assert "'many' is not of type 'integer'" in task.exception


def test_only_json_comes_back_when_that_is_asked_for(endpoint_lab: EndpointLab, sdk_client: Client) -> None:
    function_id = sdk_client.register_function(add)
    batch = sdk_client.create_batch(result_serializers=["globus_compute_sdk.serialize.JSONData"])
    batch.add(function_id, (20,), {"b": 1})
    (task_id,) = sdk_client.batch_run(endpoint_lab.endpoint_id, batch)["tasks"][function_id]
    result = endpoint_lab.wait(task_id).result
    assert result is not None
    assert ComputeSerializer(allowed_deserializer_types=[JSONData, PureSourceTextInspect]).deserialize(result) == 21


def test_the_endpoint_is_online(endpoint_lab: EndpointLab, sdk_client: Client) -> None:
    assert sdk_client.get_endpoint_status(endpoint_lab.endpoint_id)["status"] == "online"
