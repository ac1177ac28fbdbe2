"""Functions and commands on a Compute endpoint: what comes back, what is refused, and what an author reads."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_provider_globus.compute.registry import FunctionRegistry
from airflow_provider_globus.exceptions import (
    GlobusEndpointNameError,
    GlobusEndpointOfflineError,
    GlobusInputError,
    GlobusJobFailedError,
    GlobusJobTimeoutError,
    GlobusNotFoundError,
    GlobusPermissionError,
    GlobusResultError,
)
from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.operators.compute import (
    GlobusComputeOperator,
    GlobusComputeRegisterFunctionOperator,
    GlobusComputeShellOperator,
)

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.compute.endpoint import ComputeEndpoint
    from airflow_provider_globus.sandbox.pytest_plugin import ComputeEndpointFactory
    from tests.unit.conftest import TaskContext


@pytest.fixture
def hpc(globus_compute_endpoint: ComputeEndpointFactory) -> ComputeEndpoint:
    return globus_compute_endpoint("hpc")


def add(a: int, b: int = 1) -> int:
    return a + b


def fail(text: str) -> None:
    raise ValueError(text)


def die() -> None:
    import os

    os._exit(3)


def large(count: int) -> str:
    return "x" * count


def no_json() -> set[int]:
    return {1}


def iter_once() -> Any:
    """Make what cannot be serialised."""
    yield 1


def operator(cls: Any = GlobusComputeOperator, **changes: Any) -> Any:
    arguments: dict[str, Any] = {"task_id": "a_task", "endpoint": "hpc", "poll_interval": 0.05, "worker_wait": 0}
    if cls is GlobusComputeOperator and not {"python_callable", "function_id"} & set(changes):
        arguments |= {"python_callable": add, "op_args": [2]}
    return cls(**arguments | changes)


def shell(command: str, **changes: Any) -> Any:
    return operator(GlobusComputeShellOperator, command=command, **changes)


def submitted(globus: GlobusSandbox) -> list[str]:
    """Names of the functions whose tasks were accepted, without the one that opens a group."""
    world = globus.world.compute
    names = [world.functions[task.function_id].name for task in world.tasks.values()]
    return [name for name in names if name != "open_task_group"]


# What comes back


def test_a_function_runs_at_the_endpoint(
    globus_sandbox: GlobusSandbox, hpc: ComputeEndpoint, context: TaskContext
) -> None:
    assert operator(op_kwargs={"b": 5}).execute(context) == 7
    assert submitted(globus_sandbox) == ["add"]
    url = f"{globus_sandbox.url}/compute/endpoints/{hpc.id}"
    assert context.ti.xcoms["globus_compute_endpoint_url"] == url
    assert context.ti.xcoms["globus_task_group_id"] in {t.group_id for t in globus_sandbox.world.compute.tasks.values()}


@pytest.mark.parametrize("endpoint", ["id", "alias", "name"])
def test_an_endpoint_by_id_alias_or_name(
    endpoint: str, globus_sandbox: GlobusSandbox, globus_compute_endpoint: ComputeEndpointFactory, context: TaskContext
) -> None:
    made = globus_compute_endpoint("Polaris at ALCF", alias="polaris")
    chosen = {"id": made.id, "alias": "polaris", "name": "Polaris at ALCF"}[endpoint]
    assert operator(endpoint=chosen).execute(context) == 3


def test_a_deferred_function(hpc: ComputeEndpoint, context: TaskContext) -> None:
    with pytest.raises(TaskDeferred) as deferred:
        operator(deferrable=True).execute(context)
    event = asyncio.run(anext(deferred.value.trigger.run())).payload
    assert operator().execute_complete(context, event) == 3


def test_an_import_path(hpc: ComputeEndpoint, context: TaskContext) -> None:
    assert operator(python_callable="os.path:join", op_args=["a", "b"]).execute(context) == "a/b"


def test_a_registered_function(hpc: ComputeEndpoint, context: TaskContext) -> None:
    function_id = GlobusComputeRegisterFunctionOperator(task_id="register", python_callable=add).execute(context)
    assert operator(function_id=function_id, op_args=[4]).execute(context) == 5


@pytest.mark.parametrize("value", [(1, 2), {1: "a"}])
def test_arguments_that_json_would_change(value: Any, hpc: ComputeEndpoint, context: TaskContext) -> None:
    def kind(given: Any) -> str:
        return repr(given)

    assert operator(python_callable=kind, op_args=[value]).execute(context) == repr(value)


def test_results_by_dill_when_asked_for(hpc: ComputeEndpoint, context: TaskContext) -> None:
    assert operator(python_callable=no_json, result_serializer="dill").execute(context) == {1}


def test_not_waiting_returns_the_ids(globus_sandbox: GlobusSandbox, hpc: ComputeEndpoint, context: TaskContext) -> None:
    receipt = operator(wait_for_completion=False).execute(context)
    (task_id,) = receipt["job_ids"]
    assert globus_sandbox.world.compute.tasks[task_id].group_id == receipt["task_group_id"]


def test_config_and_resources_travel(
    globus_sandbox: GlobusSandbox, globus_compute_endpoint: ComputeEndpointFactory, context: TaskContext
) -> None:
    globus_compute_endpoint("hpc", multi_user=True, mpi=True)
    operator(user_endpoint_config={"account": "bl8"}, resource_specification={"num_nodes": 1}).execute(context)
    opener, work = globus_sandbox.journal.requests("compute", "POST", "*/submit")
    assert opener.body["user_endpoint_config"] == work.body["user_endpoint_config"] == {"account": "bl8"}
    assert work.body["resource_specification"] == {"num_nodes": 1}
    assert "resource_specification" not in opener.body


# Functions are registered once


def test_a_function_is_registered_once_for_each_content(
    globus_sandbox: GlobusSandbox, hpc: ComputeEndpoint, context: TaskContext, airflow_variables: dict[str, Any]
) -> None:
    for _ in range(3):
        FunctionRegistry._known.clear()  # as a new process
        operator().execute(context)
        context.ti.clear()
    registered = [e.body["function_name"] for e in globus_sandbox.journal.requests("compute", "POST", "/v3/functions")]
    assert sorted(registered) == ["add", "open_task_group"]


def test_a_deleted_function_is_registered_anew(
    globus_sandbox: GlobusSandbox, hpc: ComputeEndpoint, context: TaskContext, airflow_variables: dict[str, Any]
) -> None:
    operator().execute(context)
    client = GlobusHook().compute_client_v2()
    for function in list(globus_sandbox.world.compute.functions.values()):
        if function.name == "add":
            client.delete_function(function.id)
    context.ti.clear()
    assert operator().execute(context) == 3
    assert submitted_now(globus_sandbox) == 2


def submitted_now(globus: GlobusSandbox) -> int:
    return len([task for task in globus.world.compute.tasks.values() if task.status == "success"]) - 2


def test_without_a_variable_it_still_works(
    globus_sandbox: GlobusSandbox, hpc: ComputeEndpoint, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk import Variable

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(Variable, "get", refuse)
    monkeypatch.setattr(Variable, "set", refuse)
    assert operator().execute(context) == 3


@pytest.fixture
def airflow_variables(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Airflow's Variables, which need its processes."""
    from airflow.sdk import Variable

    stored: dict[str, Any] = {}
    monkeypatch.setattr(Variable, "get", lambda key, default=None, deserialize_json=False: stored.get(key, default))
    monkeypatch.setattr(
        Variable, "set", lambda key, value, description=None, serialize_json=False: stored.update({key: value})
    )
    return stored


def test_a_registration_says_what_the_author_wants(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    register = GlobusComputeRegisterFunctionOperator(
        task_id="register", python_callable=add, description="Adds.", public=True
    )
    function_id = register.execute(context)
    assert register.execute(context) == function_id
    (sent,) = globus_sandbox.journal.requests("compute", "POST", "/v3/functions")
    assert (sent.body["description"], sent.body["public"]) == ("Adds.", True)


def test_a_deleted_function_is_not_given_out_again(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    register = GlobusComputeRegisterFunctionOperator(task_id="register", python_callable=add)
    deleted = register.execute(context)
    GlobusHook().compute_client_v2().delete_function(deleted)
    again = register.execute(context)
    assert again != deleted
    assert register.execute(context) == again


# Failures


def test_a_failing_function_shows_its_traceback(
    hpc: ComputeEndpoint, context: TaskContext, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(GlobusJobFailedError, match="ValueError: no angles") as error:
        operator(python_callable=fail, op_args=["no angles"]).execute(context)
    assert error.value.code == "ValueError"
    assert "in fail" in capsys.readouterr().out
    assert not isinstance(error.value, AirflowFailException)


@pytest.mark.parametrize(
    ("changes", "code", "advice"),
    [
        ({"python_callable": die}, "WORKER_LOST", "ran out of memory or time"),
        ({"python_callable": no_json}, "RESULT_NOT_JSON", "result_serializer='dill'"),
        ({"python_callable": large, "op_args": [2000]}, "RESULT_TOO_LARGE", "write the result to a file"),
        ({"python_callable": "no_such_package:f"}, "MODULE_NOT_FOUND", "Install the package"),
        ({"resource_specification": {"num_nodes": 2}}, "RESOURCE_SPECIFICATION", "MPI engine"),
    ],
)
def test_what_fails_says_what_to_do(
    changes: dict[str, Any],
    code: str,
    advice: str,
    globus_sandbox: GlobusSandbox,
    hpc: ComputeEndpoint,
    context: TaskContext,
) -> None:
    globus_sandbox.settings.compute_result_bytes = 1000
    with pytest.raises(GlobusJobFailedError, match=advice) as error:
        operator(**changes).execute(context)
    assert error.value.code == code


def _retried(context: TaskContext) -> TaskContext:
    context.ti.retry()
    return context


def test_an_endpoint_that_sends_dill_unasked(
    globus_sandbox: GlobusSandbox, hpc: ComputeEndpoint, context: TaskContext, tmp_path: Any
) -> None:
    """An old or a hostile one."""
    from globus_compute_sdk.serialize import DillDataBase64

    from tests.unit.compute.test_payloads import Evil

    receipt = operator(wait_for_completion=False).execute(context)
    task = globus_sandbox.world.compute.wait(receipt["job_ids"][0], 20)
    task.result = DillDataBase64().serialize(Evil(tmp_path / "trap"))  # type: ignore[no-untyped-call]
    with pytest.raises(GlobusResultError, match="did not send the result as json"):
        operator().execute(_retried(context))
    assert not (tmp_path / "trap").exists()


# Refused before anything is submitted


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"function_id": "no-uuid"}, "function_id 'no-uuid' is no UUID"),
        ({"op_args": []}, "the arguments do not fit the function: missing a required argument: 'a'"),
        ({"op_args": [1], "op_kwargs": {"c": 1}}, "unexpected keyword argument 'c'"),
        ({"op_args": [iter_once()]}, r"op_args\[0\] \(generator\) cannot be serialised"),
        ({"op_args": ["x" * 11_000_000]}, r"take 11\.0 MB"),
        ({"python_callable": lambda: 1, "op_args": []}, "is a lambda"),
        ({"python_callable": "nonsense", "op_args": []}, "'nonsense' is no import path"),
        ({"endpoint": ""}, "names no endpoint"),
    ],
)
def test_what_cannot_be_right_is_refused_before_a_request(
    changes: dict[str, Any], message: str, globus_sandbox: GlobusSandbox, hpc: ComputeEndpoint, context: TaskContext
) -> None:
    with pytest.raises(GlobusInputError, match=message) as error:
        operator(**changes).execute(context)
    assert isinstance(error.value, AirflowFailException)
    assert globus_sandbox.journal.count("compute") == 0


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [
        (GlobusComputeOperator, {"python_callable": add, "function_id": str(uuid4())}, "either python_callable or"),
        (GlobusComputeOperator, {"python_callable": None}, "either python_callable or"),
        (GlobusComputeOperator, {"result_serializer": "pickle"}, "result_serializer 'pickle' is unknown"),
        (GlobusComputeShellOperator, {"command": "ls", "walltime": 0}, "walltime must be above 0"),
        (GlobusComputeShellOperator, {"command": "ls", "mpi": True}, "mpi=True needs a resource_specification"),
    ],
)
def test_contradictions_are_refused_when_the_dag_is_parsed(cls: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(GlobusInputError, match=message):
        operator(cls, **arguments)


def test_an_unknown_endpoint(globus_sandbox: GlobusSandbox, hpc: ComputeEndpoint, context: TaskContext) -> None:
    with pytest.raises(GlobusNotFoundError, match="could not be resolved") as error:
        operator(endpoint=str(uuid4())).execute(context)
    assert error.value.code == "ENDPOINT_NOT_FOUND"
    assert "globus-compute-endpoint list" in str(error.value)


def test_an_unknown_name_lists_what_there_is(hpc: ComputeEndpoint, context: TaskContext) -> None:
    with pytest.raises(GlobusEndpointNameError, match=f"named 'hcp'. There are: hpc \\({hpc.id}\\)"):
        operator(endpoint="hcp").execute(context)


def test_an_offline_endpoint_is_not_submitted_to(
    globus_sandbox: GlobusSandbox, hpc: ComputeEndpoint, context: TaskContext
) -> None:
    hpc.go_offline()
    with pytest.raises(GlobusEndpointOfflineError, match="is offline; nothing was submitted") as error:
        operator().execute(context)
    assert "globus-compute-endpoint start" in str(error.value)
    assert not isinstance(error.value, AirflowFailException)
    assert globus_sandbox.world.compute.tasks == {}


def test_submitting_to_an_offline_endpoint_all_the_same(
    hpc: ComputeEndpoint, context: TaskContext, capsys: pytest.CaptureFixture[str]
) -> None:
    hpc.go_offline()
    slow = operator(require_online=False, execution_timeout=timedelta(seconds=0.3))
    with pytest.raises(GlobusJobTimeoutError, match="Last seen: waiting for the endpoint, which is offline") as error:
        slow.execute(context)
    assert "it cannot be cancelled and runs on, and a retry adopts it" in str(error.value)
    assert "Globus Compute cannot cancel" in capsys.readouterr().out
    hpc.go_online()
    assert operator(require_online=False).execute(_retried(context)) == 3


def test_a_function_that_the_endpoint_does_not_list(
    globus_sandbox: GlobusSandbox, globus_compute_endpoint: ComputeEndpointFactory, context: TaskContext
) -> None:
    globus_compute_endpoint("hpc", allowed_functions=[str(uuid4())])
    with pytest.raises(GlobusPermissionError, match="runs only the functions on its list") as error:
        operator().execute(context)
    assert error.value.code == "FUNCTION_NOT_PERMITTED"


def test_a_listed_function_runs_without_a_group(
    globus_sandbox: GlobusSandbox, globus_compute_endpoint: ComputeEndpointFactory, context: TaskContext
) -> None:
    function_id = GlobusComputeRegisterFunctionOperator(task_id="register", python_callable=add).execute(context)
    globus_compute_endpoint("hpc", allowed_functions=[function_id])
    assert operator(function_id=function_id, op_args=[1]).execute(context) == 2
    assert submitted(globus_sandbox) == ["add"]


def test_somebody_elses_function(globus_sandbox: GlobusSandbox, hpc: ComputeEndpoint, context: TaskContext) -> None:
    function_id = GlobusComputeRegisterFunctionOperator(task_id="register", python_callable=add).execute(context)
    functions = globus_sandbox.world.compute.functions
    functions[function_id] = dataclasses.replace(functions[function_id], owner=str(uuid4()))
    with pytest.raises(GlobusPermissionError, match="not shared with the identity of this connection"):
        operator(function_id=function_id, op_args=[1]).execute(context)


# Commands


def test_a_command(hpc: ComputeEndpoint, context: TaskContext, capsys: pytest.CaptureFixture[str]) -> None:
    result = shell("echo {not} a $((1 + 1)) template; echo careful >&2").execute(context)
    assert (result["returncode"], result["stdout"]) == (0, "{not} a 2 template\n")
    assert "careful" in result["stderr"]
    assert "The last lines of stdout:\n{not} a 2 template" in capsys.readouterr().out


def test_a_command_that_fails(hpc: ComputeEndpoint, context: TaskContext) -> None:
    with pytest.raises(GlobusJobFailedError, match=r"returned 3\. The end of stderr:\n  no beam") as error:
        shell("echo no beam >&2; exit 3").execute(context)
    assert error.value.code == "RETURNCODE_3"


def test_a_failed_command_runs_again_at_the_retry(
    globus_sandbox: GlobusSandbox, hpc: ComputeEndpoint, context: TaskContext
) -> None:
    for _ in range(2):
        with pytest.raises(GlobusJobFailedError):
            shell("exit 3").execute(context)
        context.ti.retry()
    assert submitted(globus_sandbox) == ["run_command", "run_command"]


def test_a_walltime_ends_the_command_itself(hpc: ComputeEndpoint, context: TaskContext) -> None:
    pid_file = hpc.folder / "pid"
    with pytest.raises(GlobusJobFailedError, match=r"after its walltime of 0.3 s: allow it more"):
        shell(f"echo $$ > {pid_file}; sleep 600", walltime=0.3).execute(context)
    assert not Path(f"/proc/{pid_file.read_text().strip()}").exists()


def test_few_lines_come_back(hpc: ComputeEndpoint, context: TaskContext) -> None:
    assert shell("seq 1 1000", output_lines=2).execute(context)["stdout"] == "999\n1000\n"


def test_mpi(globus_compute_endpoint: ComputeEndpointFactory, context: TaskContext) -> None:
    globus_compute_endpoint("hpc", mpi=True)
    specification = {"num_nodes": 1, "ranks_per_node": 3, "num_ranks": 3}
    result = shell("sh -c 'echo rank $PMI_RANK of $PMI_SIZE'", mpi=True, resource_specification=specification)
    assert sorted(result.execute(context)["stdout"].splitlines()) == [f"rank {n} of 3" for n in range(3)]


# Kills


def test_a_kill_names_what_runs_on(
    globus_sandbox: GlobusSandbox, hpc: ComputeEndpoint, context: TaskContext, capsys: pytest.CaptureFixture[str]
) -> None:
    hpc.go_offline()
    killed = operator(require_online=False, wait_for_completion=False)
    killed.execute(context)
    killed.on_kill()
    group = context.ti.xcoms["globus_task_group_id"]
    assert (
        f"of task group {group} although the task was killed. Globus Compute cannot cancel a task"
        in capsys.readouterr().out
    )


def test_a_killed_trigger_says_so(
    hpc: ComputeEndpoint, context: TaskContext, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TaskDeferred) as deferred:
        operator(deferrable=True).execute(context)
    asyncio.run(deferred.value.trigger.on_kill())
    assert "cannot cancel a task" in capsys.readouterr().out
