"""The Compute SDK on the sandbox, unmodified: its ``Client`` as people use it, and its ``Executor`` without a broker.

With a broker, and with a real endpoint, `tests/endpoint` has both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import globus_sdk
import pytest
from globus_compute_sdk import Client, Executor, MPIFunction, ShellFunction
from globus_compute_sdk.errors import TaskExecutionFailed, TaskPending
from globus_compute_sdk.serialize import (
    AllCodeStrategies,
    AllDataStrategies,
    CombinedCode,
    DillCode,
    DillCodeSource,
    DillDataBase64,
    JSONData,
    PureSourceTextInspect,
    SerializationStrategy,
)
from globus_sdk.token_storage import MemoryTokenStorage

from tests.compute_lab import Lab

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox

DILL = SerializationStrategy.get_cached_by_class(DillCode)
NO_BROKER = r"without an AMQP broker \(start the sandbox with amqp_url\)"


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
def lab(globus_sandbox: GlobusSandbox, tmp_path: Path) -> Lab:
    return Lab(globus_sandbox, tmp_path)


@pytest.fixture
def client(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Client]:
    """Make a client; it passes its version check as it begins."""
    # The SDK knows one local service, http://localhost:5000; as its proxy, the sandbox gets what is for that.
    monkeypatch.setenv("http_proxy", lab.sandbox.url)
    monkeypatch.setenv("no_proxy", "")

    def make(code: SerializationStrategy | None = None, data: SerializationStrategy | None = None) -> Client:
        config = globus_sdk.GlobusAppConfig(token_storage=MemoryTokenStorage())
        secret = lab.sandbox.client_secret
        app = globus_sdk.ClientApp("tests", client_id=lab.sandbox.client_id, client_secret=secret, config=config)
        return Client(
            local_compute_services=True,
            app=app,
            code_serialization_strategy=code or PureSourceTextInspect(),
            data_serialization_strategy=data,
        )

    return make


@pytest.fixture
def finished(lab: Lab) -> Callable[[Client, str], Any]:
    """Wait for a task and fetch its result through the client."""

    def fetch(client: Client, task_id: str) -> Any:
        lab.wait(task_id)
        return client.get_result(task_id)

    return fetch


def test_the_version_check_is_passed(lab: Lab, client: Any) -> None:
    client().version_check(endpoint_version="4.19.0")
    version_checks = [entry for entry in lab.sandbox.journal.entries if entry.route == "/v2/version"]
    assert len(version_checks) == 2, "a client makes one as it begins"
    assert all("globus-compute-sdk-" in entry.user_agent for entry in version_checks)


@pytest.mark.parametrize("code", [PureSourceTextInspect, AllCodeStrategies, CombinedCode, DillCodeSource])
@pytest.mark.parametrize("data", [None, JSONData, AllDataStrategies, DillDataBase64])
def test_run(lab: Lab, client: Any, finished: Any, code: Any, data: Any) -> None:
    compute = client(code(), data and data())
    function = compute.register_function(square)
    assert compute.get_function(function)["description"] == "Return a number times itself."
    task_id = compute.run(7, endpoint_id=lab.endpoint().id, function_id=function)
    assert finished(compute, task_id) == 49
    task = compute.get_task(task_id)
    assert (task["pending"], task["status"], task["result"]) == (False, "success", 49)


def test_a_function_by_value_and_data_that_json_has_not(lab: Lab, client: Any, finished: Any) -> None:
    compute = client(DILL)
    function = compute.register_function(len)
    assert finished(compute, compute.run({1, 2, 3}, endpoint_id=lab.endpoint().id, function_id=function)) == 3


def test_source_code(lab: Lab, client: Any, finished: Any) -> None:
    compute = client()
    function = compute.register_source_code("import math\n\ndef half(x):\n    return math.floor(x / 2)\n", "half")
    assert finished(compute, compute.run(9, endpoint_id=lab.endpoint().id, function_id=function)) == 4


def test_a_batch_into_a_group_that_grows(lab: Lab, client: Any, finished: Any) -> None:
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


def test_a_batch_leaves_out_what_failed(lab: Lab, client: Any) -> None:
    """So the SDK does it: with every task's end told, it has no result of one that raised."""
    compute, endpoint = client(), lab.endpoint()
    good, bad = (
        compute.run(*args, endpoint_id=endpoint.id, function_id=compute.register_function(function))
        for function, args in ((square, (3,)), (fails, ()))
    )
    for task_id in (good, bad):
        lab.wait(task_id)
    results = compute.get_batch_result([good, bad])
    assert {task_id: result["result"] for task_id, result in results.items()} == {good: 9}


def test_an_empty_batch_is_refused(lab: Lab, client: Any) -> None:
    """The SDK lets it pass."""
    compute = client()
    with pytest.raises(globus_sdk.ComputeAPIError) as caught:
        compute.batch_run(lab.endpoint().id, compute.create_batch())
    assert caught.value.http_status == 422


def test_results_as_asked(lab: Lab, client: Any, finished: Any) -> None:
    compute = client()
    function = compute.register_function(square)
    batch = compute.create_batch(result_serializers=["globus_compute_sdk.serialize.JSONData"])
    batch.add(function, (3,))
    task_id = compute.batch_run(lab.endpoint().id, batch)["tasks"][function][0]
    assert finished(compute, task_id) == 9
    assert lab.compute.tasks[task_id].result == "11\n9"
    assert lab.compute.tasks[task_id].user_runtime["globus_compute_sdk_version"]


def test_failures_and_waiting(lab: Lab, client: Any) -> None:
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


def test_shell_functions(lab: Lab, client: Any, finished: Any) -> None:
    compute, endpoint = client(DILL), lab.endpoint(env={"GREETING": "hello"})
    shell = ShellFunction("echo $GREETING {name}; echo trouble >&2; pwd; exit {code}", name="greets")
    function = compute.register_function(shell)
    task_id = compute.run(name="Ada", code=3, endpoint_id=endpoint.id, function_id=function)
    result = finished(compute, task_id)
    assert result.cmd == "echo $GREETING Ada; echo trouble >&2; pwd; exit 3"
    assert result.stdout == f"hello Ada\n{endpoint.folder / 'tasks' / task_id}\n"
    assert (result.stderr, result.returncode) == ("trouble\n", 3)
    assert result.exception_name == "subprocess.CalledProcessError"


def test_a_shell_function_warns_where_there_are_no_task_folders(lab: Lab, client: Any, finished: Any) -> None:
    compute = client(DILL)
    function = compute.register_function(ShellFunction("true", name="nothing", return_dict=True))
    task_id = compute.run(endpoint_id=lab.endpoint(task_folders=False).id, function_id=function)
    assert "Task sandboxing will not work" in finished(compute, task_id)["stderr"]


def test_a_wall_time_ends_a_shell_function(lab: Lab, client: Any, finished: Any) -> None:
    compute = client(DILL)
    function = compute.register_function(ShellFunction("sleep 1000", name="sleeps", walltime=0.1))
    result = finished(compute, compute.run(endpoint_id=lab.endpoint().id, function_id=function))
    assert (result.returncode, result.exception_name) == (124, "subprocess.TimeoutExpired")


def test_mpi_functions(lab: Lab, client: Any, finished: Any) -> None:
    compute = client(DILL)
    endpoint = lab.endpoint("an mpi cluster", mpi=True)
    function = compute.register_function(MPIFunction("sh -c 'echo rank $PMI_RANK of {what} $PMI_SIZE'", name="ranks"))
    batch = compute.create_batch(resource_specification={"num_nodes": 2, "ranks_per_node": 2})
    batch.add(function, kwargs={"what": "all"})
    result = finished(compute, compute.batch_run(endpoint.id, batch)["tasks"][function][0])
    assert result.returncode == 0, result
    assert sorted(result.stdout.splitlines()) == [f"rank {rank} of all 4" for rank in range(4)]


def test_endpoints(lab: Lab, client: Any) -> None:
    compute, endpoint = client(), lab.endpoint()
    theirs = lab.endpoint("theirs", owner=lab.sandbox.add_client("other").id, public=True)
    assert compute.get_endpoint_status(endpoint.id)["status"] == "online"
    assert compute.get_endpoint_metadata(endpoint.id)["name"] == "hpc"
    assert [item["uuid"] for item in compute.get_endpoints()] == [endpoint.id]
    assert [item["uuid"] for item in compute.get_endpoints(role="any")] == [endpoint.id, theirs.id]
    assert compute.get_allowed_functions(endpoint.id)["restricted"] is False
    locked = compute.stop_endpoint(endpoint.id)
    assert locked["endpoint_id"] == endpoint.id
    assert locked["lock_expiration_timestamp"] > lab.sandbox.clock.time()
    function = compute.register_function(square)
    assert compute.delete_function(function).http_status == 200
    with pytest.raises(globus_sdk.ComputeAPIError, match="FUNCTION_NOT_FOUND"):
        compute.get_function(function)
    assert compute.delete_endpoint(endpoint.id).http_status == 200
    assert compute.get_endpoints() == []


def test_an_endpoint_with_a_list_runs_what_is_on_it(lab: Lab, client: Any, finished: Any) -> None:
    compute = client()
    listed, other = compute.register_function(square), compute.register_function(square)
    endpoint = lab.endpoint(allowed_functions=[listed])
    shown = compute.get_allowed_functions(endpoint.id)
    assert (shown["restricted"], shown["functions"]) == (True, [listed])
    assert finished(compute, compute.run(4, endpoint_id=endpoint.id, function_id=listed)) == 16
    with pytest.raises(globus_sdk.ComputeAPIError, match="FUNCTION_NOT_PERMITTED"):
        compute.run(4, endpoint_id=endpoint.id, function_id=other)


def test_a_configuration_is_taken_or_refused(lab: Lab, client: Any, finished: Any) -> None:
    schema = {"type": "object", "properties": {"account": {"type": "string"}}, "required": ["account"]}
    compute, endpoint = client(), lab.endpoint(user_config_schema=schema)
    function = compute.register_function(square)
    for config in ({"account": "physics"}, {"account": 7}):
        batch = compute.create_batch(user_endpoint_config=config)
        batch.add(function, (5,))
        if config["account"] == "physics":
            assert finished(compute, compute.batch_run(endpoint.id, batch)["tasks"][function][0]) == 25
    with pytest.raises(globus_sdk.ComputeAPIError, match="SEMANTICALLY_INVALID") as refused:
        compute.batch_run(endpoint.id, batch)
    assert "(ValidationError) 7 is not of type 'string'" in (refused.value.message or "")


def test_the_hardware_of_workers(lab: Lab, client: Any, finished: Any) -> None:
    compute = client(DILL)
    assert "CPU" in finished(compute, compute.get_worker_hardware_details(lab.endpoint().id))


# Without a broker


def test_what_needs_a_broker_says_so(lab: Lab, client: Any) -> None:
    compute, endpoint = client(), lab.endpoint()
    with pytest.raises(globus_sdk.ComputeAPIError, match=NO_BROKER) as refused:
        compute.get_result_amqp_url()
    assert refused.value.http_status == 501
    with pytest.raises(globus_sdk.ComputeAPIError, match=NO_BROKER):
        compute.register_endpoint("hpc", None)
    executor: Any
    with Executor(endpoint_id=endpoint.id, client=compute) as executor:
        future = executor.submit(square, 7)
        with pytest.raises(globus_sdk.ComputeAPIError, match=NO_BROKER):
            future.result(timeout=30)
    assert lab.compute.tasks == {}


def test_an_executor_takes_over_a_group_that_is_done(lab: Lab, client: Any) -> None:
    compute, endpoint = client(), lab.endpoint()
    batch, failing = compute.create_batch(), compute.register_function(fails)
    function = compute.register_function(square)
    for number in range(3):
        batch.add(function, (number,))
    batch.add(failing)
    submitted = compute.batch_run(endpoint.id, batch)
    for task_id in (*submitted["tasks"][function], *submitted["tasks"][failing]):
        lab.wait(task_id)
    with Executor(endpoint_id=endpoint.id, client=compute, task_group_id=submitted["task_group_id"]) as executor:
        futures = {future.task_id: future for future in executor.reload_tasks()}
        assert [futures[task_id].result(timeout=30) for task_id in submitted["tasks"][function]] == [0, 1, 4]
        with pytest.raises(TaskExecutionFailed, match="LookupError: nothing there"):
            futures[submitted["tasks"][failing][0]].result(timeout=30)
