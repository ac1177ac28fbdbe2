"""Tasks: what functions are given and return, what is told of them, and how long."""

from __future__ import annotations

import platform
import sys
import types
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
from globus_compute_sdk.errors import TaskExecutionFailed
from globus_compute_sdk.serialize import DillCode, SerializationStrategy

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox.compute.state import ComputeTask


def add(a: int, b: int = 1) -> int:
    return a + b


def fails_deep_down(what: str) -> None:
    def inner() -> None:
        raise ValueError(what)

    try:
        raise KeyError("nothing here")
    except KeyError:
        inner()


def passes_gate(path: str) -> str:
    from pathlib import Path

    Path(path).read_text()
    return "passed"


def looks_around() -> dict[str, Any]:
    import os
    import sys
    from pathlib import Path

    return {
        "env": dict(os.environ),
        "cwd": str(Path.cwd()),
        "files": [path.name for path in Path().iterdir()],
        "stdin": sys.stdin.read(),
        "path": sys.path,
    }


def speaks() -> None:
    import os
    import sys

    sys.stdout.write("from Python\n")
    os.system("echo from a program; echo to stderr >&2")
    sys.stderr.write("last words")


def imports_from_own_path() -> str:
    import brought_along  # type: ignore[import-not-found]

    return str(brought_along.NAME)


def has_the_sdk_loaded() -> bool:
    import sys

    return "globus_sdk" in sys.modules or "globus_compute_sdk.sdk.client" in sys.modules


def uses_the_sdk() -> list[str]:
    from globus_compute_sdk import Client, ShellFunction

    return [Client.__name__, ShellFunction.__name__]


def returns(value: Any) -> Any:
    return value


def returns_a_set() -> set[int]:
    return {1, 2}


def returns_letters(number: int) -> str:
    return "x" * number


def test_functions_run_and_return(lab: Any) -> None:
    first, second = map(lab.wait, lab.submit(lab.endpoint(), add, [(1,), (2, 40)]))
    assert (lab.value(first), lab.value(second)) == (2, 42)
    assert [task.executions for task in lab.compute.tasks.values()] == [1, 1]


def test_arguments_by_name_and_source_that_was_never_serialised(lab: Any) -> None:
    source = "import math\n\ndef area(radius):\n    return math.floor(math.pi * radius ** 2)\n"
    function = lab.register("area", function_code=source, serialized=False)
    tasks = {function: [lab.payload(radius=2)]}
    answer = lab.v3.submit(
        lab.endpoint().id, {"tasks": tasks, "result_serializers": ["globus_compute_sdk.serialize.JSONData"]}
    )
    assert lab.value(lab.wait(answer["tasks"][function][0])) == 12


def test_a_finished_task_is_told_with_all_details(lab: Any) -> None:
    endpoint = lab.endpoint()
    task = lab.call(endpoint, add, 1)
    document = lab.v2.get_task(task.id).data
    assert document == {
        "task_id": task.id,
        "status": "success",
        "result": "11\n2",
        "completion_t": str(task.completed_at),
        "details": {
            "os": platform.platform(),
            "python_version": ".".join(map(str, sys.version_info[:3])),
            "dill_version": version("dill"),
            "globus_compute_sdk_version": version("globus-compute-sdk"),
            "endpoint_id": endpoint.id,
            "task_transitions": {"execution-start": task.started_at, "execution-end": task.completed_at},
        },
    }


def test_an_exception_comes_as_the_traceback_of_the_users_code(lab: Any) -> None:
    task = lab.call(lab.endpoint(), fails_deep_down, "no such thing")
    assert (task.status, task.result) == ("failed", None)
    lines = task.exception.rstrip().splitlines()
    assert lines[-1] == "ValueError: no such thing"
    assert "KeyError: 'nothing here'" in lines
    assert sum("in fails_deep_down" in line for line in lines) == 2
    assert "in inner" in task.exception
    assert "worker.py" not in task.exception
    assert lab.v2.get_task(task.id)["exception"] == task.exception


def test_a_task_waits_runs_and_ends(lab: Any) -> None:
    gate, other_gate = lab.gate(), lab.gate("other gate")
    endpoint = lab.endpoint(workers=1)
    first, second = lab.submit(endpoint, passes_gate, [(str(gate.path),), (str(other_gate.path),)])
    lab.until(first, "running")
    assert lab.v2.get_task(first).data == {"task_id": first, "status": "running", "details": {}}
    assert lab.v2.get_task(second)["status"] == "waiting-for-nodes"
    assert lab.compute.tasks[second].executions == 0
    with pytest.raises(TimeoutError, match="is still running"):
        lab.compute.wait(first, 0)
    gate.open()
    lab.wait(first)
    other_gate.open()
    assert lab.value(lab.wait(second)) == "passed"


def test_at_most_as_many_tasks_run_as_there_are_workers_in_order(lab: Any) -> None:
    gates = [lab.gate(f"gate{number}") for number in range(5)]
    endpoint = lab.endpoint(workers=3)
    ids = lab.submit(endpoint, passes_gate, [(str(gate.path),) for gate in gates])
    for task_id in ids[:3]:
        lab.until(task_id, "running")
    details = lab.v2.get_endpoint_status(endpoint.id)["details"]
    assert details == {
        "total_workers": 3,
        "idle_workers": 0,
        "pending_tasks": 2,
        "outstanding_tasks": 5,
        "managers": 1,
    }
    assert [lab.compute.tasks[task_id].status for task_id in ids[3:]] == ["waiting-for-nodes"] * 2
    for gate in gates:
        gate.open()
    assert {lab.wait(task_id).status for task_id in ids} == {"success"}
    assert lab.v2.get_endpoint_status(endpoint.id)["details"]["idle_workers"] == 3


def test_five_hundred_tasks_in_one_batch(lab: Any) -> None:
    ids = lab.submit(lab.endpoint(), add, [(number,) for number in range(500)])
    for task_id in ids:
        lab.wait(task_id)
    results = lab.v2.get_task_batch(ids)["results"]
    assert [int(results[task_id]["result"].removeprefix("11\n")) for task_id in ids] == list(range(1, 501))


# Where functions run


def test_a_task_has_a_folder_and_an_environment_of_its_own(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SANDBOX", "do not tell")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    endpoint = lab.endpoint(env={"OMP_NUM_THREADS": 4, "LANG": "de_CH.UTF-8"})
    task = lab.call(endpoint, looks_around)
    seen = lab.value(task)
    assert seen["cwd"] == str(endpoint.folder / "tasks" / task.id)
    assert (seen["files"], seen["stdin"]) == ([], "")
    assert set(seen["env"]) == {
        "PATH",
        "HOME",
        "LANG",
        "TMPDIR",
        "OMP_NUM_THREADS",
        "GC_TASK_UUID",
        "GC_TASK_SANDBOX_DIR",
    }
    assert seen["env"]["HOME"] == str(endpoint.folder)
    assert seen["env"]["GC_TASK_UUID"] == task.id
    assert seen["env"]["GC_TASK_SANDBOX_DIR"] == seen["cwd"]
    assert (seen["env"]["OMP_NUM_THREADS"], seen["env"]["LANG"]) == ("4", "de_CH.UTF-8")
    assert "/nowhere" not in seen["path"]


def test_without_task_folders_all_run_in_the_endpoints(lab: Any) -> None:
    endpoint = lab.endpoint(task_folders=False)
    (endpoint.folder / "data.txt").write_text("here")
    task = lab.call(endpoint, looks_around)
    seen = lab.value(task)
    assert seen["cwd"] == str(endpoint.folder)
    assert sorted(seen["files"]) == [".globus_compute", "data.txt"]
    assert "GC_TASK_SANDBOX_DIR" not in seen["env"]
    assert seen["env"]["GC_TASK_UUID"] == task.id


def test_what_functions_print_goes_to_the_endpoints_log(lab: Any) -> None:
    endpoint = lab.endpoint()
    assert lab.value(lab.call(endpoint, speaks)) is None
    log = (endpoint.folder / ".globus_compute" / "endpoint.log").read_text()
    assert sorted(log.splitlines()) == ["from Python", "from a program", "last words", "to stderr"]


def test_an_endpoint_may_have_modules_of_its_own(lab: Any) -> None:
    modules = lab.folder / "modules"
    modules.mkdir()
    (modules / "brought_along.py").write_text("NAME = 'found'")
    endpoint = lab.endpoint(env={"PYTHONPATH": str(modules)})
    assert lab.value(lab.call(endpoint, imports_from_own_path)) == "found"
    elsewhere = lab.call(lab.endpoint("other"), imports_from_own_path)
    assert elsewhere.exception.rstrip().endswith("ModuleNotFoundError: No module named 'brought_along'")


def test_the_sdk_is_loaded_only_for_a_function_that_uses_it(lab: Any) -> None:
    assert lab.value(lab.call(lab.endpoint(), has_the_sdk_loaded)) is False


def test_a_function_may_use_the_sdk_itself(lab: Any) -> None:
    assert lab.value(lab.call(lab.endpoint(), uses_the_sdk)) == ["Client", "ShellFunction"]


def test_a_function_of_a_main_module_finds_only_what_it_brings(lab: Any) -> None:
    """`dill` gives it the endpoint's `__main__` as namespace, which must not hide a missing import."""
    main = sys.modules["__main__"]
    code = compile("def careless():\n    return os.getpid()\n", "<main>", "exec").co_consts[0]
    function = types.FunctionType(code, vars(main), "careless")
    function.__module__ = "__main__"
    packed = SerializationStrategy.get_cached_by_class(DillCode).serialize(function)
    function_id = lab.register("careless", function_code=f"{len(packed)}\n{packed}")
    task = lab.wait(lab.submit(lab.endpoint(), function_id)[0])
    assert task.exception.rstrip().endswith("NameError: name 'os' is not defined")


# Results


def test_a_result_is_serialised_as_asked(lab: Any) -> None:
    endpoint = lab.endpoint()
    json_only = lab.call(endpoint, returns_a_set)
    assert "SerializationError" in json_only.exception
    assert "All strategies failed" in json_only.exception
    either = ["globus_compute_sdk.serialize.JSONData", "globus_compute_sdk.serialize.DillDataBase64"]
    assert lab.call(endpoint, returns, {"a": 1}, result_serializers=either).result.startswith("11\n")
    as_dill = lab.call(endpoint, returns_a_set, result_serializers=either)
    assert as_dill.result.startswith("00\n")
    assert lab.value(as_dill) == {1, 2}
    assert lab.call(endpoint, returns, 1, result_serializers=None).result.startswith("00\n")


def test_a_result_may_be_so_big_and_no_bigger(lab: Any) -> None:
    lab.sandbox.settings.compute_result_bytes = 1000
    endpoint = lab.endpoint()
    overhead = len('11\n""')
    fits = lab.call(endpoint, returns_letters, 1000 - overhead)
    assert len(fits.result) == 1000
    too_big = lab.call(endpoint, returns_letters, 1001 - overhead)
    assert (too_big.status, too_big.exception) == ("failed", "MaxResultSizeExceeded(1001, 1000)")


def test_a_large_result_beside_small_ones(lab: Any) -> None:
    """More than any buffer of a socket holds, in both directions."""
    big = 5 * 1024 * 1024
    ids = lab.submit(lab.endpoint(), returns, [("x" * (big // 3),), (1,), ("y" * (big // 3),), (2,)])
    lengths = [len(lab.wait(task_id).result) for task_id in ids]
    assert lengths == [big // 3 + 5, 4, big // 3 + 5, 4]


# How long an outcome is kept


@pytest.fixture(params=["get_task", "get_task_batch"])
def fetch(request: pytest.FixtureRequest, lab: Any) -> Callable[[str], dict[str, Any]]:
    """Ask after a task, in either way."""

    def ask(task_id: str) -> dict[str, Any]:
        if request.param == "get_task":
            return dict(lab.v2.get_task(task_id).data)
        return dict(lab.v2.get_task_batch(task_id)["results"][task_id])

    return ask


def test_an_outcome_that_nobody_fetches_is_lost(lab: Any, fetch: Any) -> None:
    lab.sandbox.clock.freeze()
    good, bad = lab.call(lab.endpoint(), add, 1), lab.call(lab.endpoint("b"), fails_deep_down, "x")
    lab.sandbox.clock.advance(1800.5)
    for task in (good, bad):
        document = fetch(task.id)
        assert document["status"] == "failed"
        assert "result" not in document
        assert "exception" not in document
        assert "30 minutes" in document["reason"]
        assert "abandoned" in document["reason"]
    assert lab.v2.get_task(good.id).headers["X-Sandbox-Provisional"] == "1"


def test_an_outcome_that_was_fetched_in_time_stays(lab: Any, fetch: Any) -> None:
    lab.sandbox.clock.freeze()
    task = lab.call(lab.endpoint(), add, 1)
    lab.sandbox.clock.advance(1799.5)
    assert fetch(task.id)["result"] == "11\n2"
    lab.sandbox.clock.advance(86400)
    assert fetch(task.id)["result"] == "11\n2"
    assert "X-Sandbox-Provisional" not in lab.v2.get_task(task.id).headers


def test_asking_before_the_end_does_not_keep_an_outcome(lab: Any, fetch: Any) -> None:
    gate = lab.gate()
    (task_id,) = lab.submit(lab.endpoint(), passes_gate, [(str(gate.path),)])
    lab.until(task_id, "running")
    assert fetch(task_id)["status"] == "running"
    gate.open()
    lab.wait(task_id)
    lab.sandbox.settings.compute_result_seconds = 60
    lab.sandbox.clock.advance(61)
    assert "within 1 minutes" in fetch(task_id)["reason"]


# Asking


def test_a_batch_answers_for_every_id(lab: Any) -> None:
    other = lab.sandbox.add_client("other")
    mine = lab.call(lab.endpoint(public=True), add, 1)
    theirs = lab.wait(lab.submit(next(iter(lab.compute.endpoints.values())), add, [(1,)], of=other)[0])
    nobodys = lab.sandbox.world.new_id()
    answer = lab.v2.get_task_batch([mine.id, theirs.id, nobodys])
    assert answer["response"] == "batch"
    results = answer["results"]
    assert results[mine.id]["status"] == "success"
    for task_id in (theirs.id, nobodys):
        assert results[task_id] == {"task_id": task_id, "status": "failed", "reason": "unknown task id"}
    assert answer.headers["X-Sandbox-Provisional"] == "1"
    assert "X-Sandbox-Provisional" not in lab.v2.get_task_batch(mine.id).headers
    assert not theirs.fetched


def test_a_batch_that_is_none(lab: Any, refused: Any) -> None:
    missing = refused(lambda: lab.v2.post("/v2/batch_status", data={"ids": []}))
    assert (missing["http_status_code"], missing["detail"]) == (422, ["body.task_ids: field required"])
    for document, finding in (
        ({"task_ids": "x"}, "body.task_ids: value is not a valid list"),
        ({"task_ids": [7]}, "body.task_ids.0: str type expected"),
        ({"task_ids": ["x"]}, "body.task_ids.0: value is not a valid uuid"),
        (["x"], "body: The request body must be a JSON object"),
    ):
        error = refused(lambda document=document: lab.v2.post("/v2/batch_status", data=document))
        assert error["detail"] == [finding]


def test_tasks_of_others_and_of_nobody_are_not_found(lab: Any, refused: Any) -> None:
    other = lab.sandbox.add_client("other")
    task = lab.call(lab.endpoint(), add, 1)
    theirs, mine = lab.clients(other)[0], lab.v2
    for client, task_id in ((theirs, task.id), (mine, lab.sandbox.world.new_id())):
        error = refused(lambda client=client, task_id=task_id: client.get_task(task_id))
        assert (error["http_status_code"], error["code"], error["error_args"]) == (404, "TASK_NOT_FOUND", [task_id])
        assert error["reason"] == f"Task {task_id} not found"
    assert refused(lambda: lab.v2.get_task("seven"))["detail"] == ["path.task_uuid: value is not a valid uuid"]


def test_the_sdk_knows_a_lost_worker_by_its_text(lab: Any) -> None:
    task = lab.call(lab.endpoint(), exits)
    assert TaskExecutionFailed.WORKER_LOST_REGEX.search(task.exception)
    assert "WorkerLost exceptions is Python version mismatch" in str(TaskExecutionFailed(task.exception))


def exits() -> None:
    import os

    os._exit(0)


# Being told


def test_observers_are_told_of_every_end_once(lab: Any) -> None:
    told: list[ComputeTask] = []
    lab.compute.on_finished.append(told.append)
    try:
        good, bad = lab.call(lab.endpoint(), add, 1), lab.call(lab.endpoint("b"), exits)
        lab.compute.finish(good.id, result="again")
        for endpoint in lab.compute.endpoints.values():
            endpoint.forget()  # ends the thread that tells observers
    finally:
        lab.compute.on_finished.remove(told.append)
    assert sorted(told, key=lambda task: task.submitted_at) == [good, bad]
    assert lab.value(good) == 2


def test_the_journal_and_the_state_hold_nothing_that_tasks_said(lab: Any) -> None:
    task = lab.call(lab.endpoint(env={"A": "secret of the endpoint"}), returns, "secret of the function")
    state = repr(lab.sandbox.world.snapshot()["compute"])
    assert task.id in state
    assert "secret" not in state
    assert "secret" not in repr(task)
