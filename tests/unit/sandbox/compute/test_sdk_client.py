"""The unmodified `globus_compute_sdk.Client`, as people use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import globus_sdk
import pytest
from globus_compute_sdk import Client, MPIFunction, ShellFunction
from globus_compute_sdk.errors import TaskExecutionFailed, TaskPending
from globus_compute_sdk.sdk.client import _ComputeWebClient
from globus_compute_sdk.serialize import (
    AllCodeStrategies,
    DillCode,
    JSONData,
    PureSourceTextInspect,
    SerializationStrategy,
)

if TYPE_CHECKING:
    from collections.abc import Callable


DILL = SerializationStrategy.get_cached_by_class(DillCode)


def square(number: int) -> int:
    """Return a number times itself."""
    return number * number


def fails() -> None:
    raise LookupError("nothing there")


def waits_at(path: str) -> str:
    from pathlib import Path

    Path(path).read_text()
    return "passed"


@pytest.fixture
def client(lab: Any) -> Callable[..., Client]:
    """Make a client of the sandbox: it takes no base URL, so its web client is exchanged."""

    def make(code: SerializationStrategy | None = None, data: SerializationStrategy | None = None) -> Client:
        login = globus_sdk.ConfidentialAppAuthClient(
            lab.sandbox.client_id, lab.sandbox.client_secret, base_url=lab.sandbox.url
        )
        token = login.oauth2_client_credentials_tokens(requested_scopes=Client.FUNCX_SCOPE)["access_token"]
        authorizer = globus_sdk.AccessTokenAuthorizer(token)
        made = Client(
            authorizer=authorizer,
            do_version_check=False,
            code_serialization_strategy=code or PureSourceTextInspect(),
            data_serialization_strategy=data,
        )
        web_client: Any = _ComputeWebClient
        made._compute_web_client = web_client(base_url=lab.sandbox.url, authorizer=authorizer)
        return made

    return make


@pytest.fixture
def finished(lab: Any) -> Callable[[Client, str], Any]:
    """Wait for a task and fetch its result through the client."""

    def fetch(client: Client, task_id: str) -> Any:
        lab.wait(task_id)
        return client.get_result(task_id)

    return fetch


def test_the_version_check_is_passed(client: Any) -> None:
    client().version_check(endpoint_version="4.19.0")


@pytest.mark.parametrize("code", [PureSourceTextInspect, AllCodeStrategies])
@pytest.mark.parametrize("data", [None, JSONData])
def test_run(lab: Any, client: Any, finished: Any, code: Any, data: Any) -> None:
    compute = client(code(), data and data())
    function = compute.register_function(square)
    assert compute.get_function(function)["description"] == "Return a number times itself."
    task_id = compute.run(7, endpoint_id=lab.endpoint().id, function_id=function)
    assert finished(compute, task_id) == 49
    task = compute.get_task(task_id)
    assert (task["pending"], task["status"], task["result"]) == (False, "success", 49)


def test_a_function_by_value_and_data_that_json_has_not(lab: Any, client: Any, finished: Any) -> None:
    compute = client(DILL)
    function = compute.register_function(len)
    assert finished(compute, compute.run({1, 2, 3}, endpoint_id=lab.endpoint().id, function_id=function)) == 3


def test_source_code(lab: Any, client: Any, finished: Any) -> None:
    compute = client()
    function = compute.register_source_code("import math\n\ndef half(x):\n    return math.floor(x / 2)\n", "half")
    assert finished(compute, compute.run(9, endpoint_id=lab.endpoint().id, function_id=function)) == 4


def test_a_batch_into_a_group_that_grows(lab: Any, client: Any, finished: Any) -> None:
    compute, endpoint = client(), lab.endpoint()
    function = compute.register_function(square)
    batch = compute.create_batch()
    for number in range(10):
        batch.add(function, (number,))
    first = compute.batch_run(endpoint.id, batch)
    again = compute.create_batch(task_group_id=first["task_group_id"])
    again.add(function, kwargs={"number": 12})
    second = compute.batch_run(endpoint.id, again)
    assert second["task_group_id"] == first["task_group_id"]
    ids = first["tasks"][function] + second["tasks"][function]
    assert [finished(compute, task_id) for task_id in ids] == [number**2 for number in (*range(10), 12)]
    results = client().get_batch_result(ids)
    assert {results[task_id]["result"] for task_id in ids} == {number**2 for number in (*range(10), 12)}


def test_an_empty_batch_is_refused(lab: Any, client: Any) -> None:
    """The SDK lets it pass."""
    compute = client()
    with pytest.raises(globus_sdk.ComputeAPIError) as caught:
        compute.batch_run(lab.endpoint().id, compute.create_batch())
    assert caught.value.http_status == 400


def test_results_as_asked(lab: Any, client: Any, finished: Any) -> None:
    compute = client()
    function = compute.register_function(square)
    batch = compute.create_batch(result_serializers=["globus_compute_sdk.serialize.JSONData"])
    batch.add(function, (3,))
    task_id = compute.batch_run(lab.endpoint().id, batch)["tasks"][function][0]
    assert finished(compute, task_id) == 9
    assert lab.compute.tasks[task_id].result == "11\n9"
    assert lab.compute.tasks[task_id].user_runtime["globus_compute_sdk_version"]


def test_failures_and_waiting(lab: Any, client: Any) -> None:
    compute, endpoint, gate = client(), lab.endpoint(), lab.gate()
    failing = compute.run(endpoint_id=endpoint.id, function_id=compute.register_function(fails))
    lab.wait(failing)
    with pytest.raises(TaskExecutionFailed, match="LookupError: nothing there"):
        compute.get_result(failing)
    waiting = compute.run(str(gate.path), endpoint_id=endpoint.id, function_id=compute.register_function(waits_at))
    lab.until(waiting, "running")
    with pytest.raises(TaskPending, match="running"):
        compute.get_result(waiting)
    gate.open()
    lab.wait(waiting)
    lab.sandbox.clock.advance(1801)
    task = compute.get_task(waiting)
    assert (task["pending"], task["status"]) == (False, "failed")
    assert "abandoned" in task["reason"]


def test_shell_functions(lab: Any, client: Any, finished: Any) -> None:
    compute, endpoint = client(DILL), lab.endpoint(env={"GREETING": "hello"})
    shell = ShellFunction("echo $GREETING {name}; echo trouble >&2; pwd; exit {code}", name="greets")
    function = compute.register_function(shell)
    task_id = compute.run(name="Ada", code=3, endpoint_id=endpoint.id, function_id=function)
    result = finished(compute, task_id)
    assert result.cmd == "echo $GREETING Ada; echo trouble >&2; pwd; exit 3"
    assert result.stdout == f"hello Ada\n{endpoint.folder / 'tasks' / task_id}\n"
    assert (result.stderr, result.returncode) == ("trouble\n", 3)
    assert result.exception_name == "subprocess.CalledProcessError"


def test_a_shell_function_warns_where_there_are_no_task_folders(lab: Any, client: Any, finished: Any) -> None:
    compute = client(DILL)
    function = compute.register_function(ShellFunction("true", name="nothing", return_dict=True))
    task_id = compute.run(endpoint_id=lab.endpoint(task_folders=False).id, function_id=function)
    assert "Task sandboxing will not work" in finished(compute, task_id)["stderr"]


def test_a_wall_time_ends_a_shell_function(lab: Any, client: Any, finished: Any) -> None:
    compute = client(DILL)
    function = compute.register_function(ShellFunction("sleep 1000", name="sleeps", walltime=0.1))
    result = finished(compute, compute.run(endpoint_id=lab.endpoint().id, function_id=function))
    assert (result.returncode, result.exception_name) == (124, "subprocess.TimeoutExpired")


def test_mpi_functions(lab: Any, client: Any, finished: Any) -> None:
    compute = client(DILL)
    endpoint = lab.endpoint("an mpi cluster", mpi=True)
    function = compute.register_function(MPIFunction("sh -c 'echo rank $PMI_RANK of {what} $PMI_SIZE'", name="ranks"))
    batch = compute.create_batch(resource_specification={"num_nodes": 2, "ranks_per_node": 2})
    batch.add(function, kwargs={"what": "all"})
    result = finished(compute, compute.batch_run(endpoint.id, batch)["tasks"][function][0])
    assert result.returncode == 0, result
    assert sorted(result.stdout.splitlines()) == [f"rank {rank} of all 4" for rank in range(4)]


def test_endpoints(lab: Any, client: Any) -> None:
    compute, endpoint = client(), lab.endpoint()
    assert compute.get_endpoint_status(endpoint.id)["status"] == "online"
    assert compute.get_endpoint_metadata(endpoint.id)["name"] == "hpc"
    assert [item["uuid"] for item in compute.get_endpoints()] == [endpoint.id]
    assert compute.get_allowed_functions(endpoint.id)["restricted"] is False
    assert compute.stop_endpoint(endpoint.id)["endpoint_id"] == endpoint.id
    function = compute.register_function(square)
    assert compute.delete_function(function).http_status == 200
    assert compute.delete_endpoint(endpoint.id).http_status == 200
    assert compute.get_endpoints() == []
