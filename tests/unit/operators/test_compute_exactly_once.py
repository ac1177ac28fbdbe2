"""A worker dies at any moment, or an answer is lost: each function runs once, or the task says that it cannot know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout

from airflow_provider_globus import looks
from airflow_provider_globus.compute import payloads, submission
from airflow_provider_globus.exceptions import (
    GlobusJobFailedError,
    GlobusSubmissionUnknownError,
    GlobusUnavailableError,
)
from airflow_provider_globus.operators.compute import (
    GlobusComputeMapOperator,
    GlobusComputeOperator,
    GlobusComputeRegisterFunctionOperator,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.compute.endpoint import ComputeEndpoint
    from airflow_provider_globus.sandbox.pytest_plugin import ComputeEndpointFactory
    from tests.unit.conftest import TaskContext


@pytest.fixture(autouse=True)
def _quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The looks into the group after a lost answer are seconds apart."""
    monkeypatch.setattr(looks, "LOOKS", (0.01, 0.02, 0.03))
    monkeypatch.setattr(submission, "_RECOUNT_SECONDS", 0.01)


@pytest.fixture(autouse=True)
def hpc(globus_compute_endpoint: ComputeEndpointFactory) -> ComputeEndpoint:
    return globus_compute_endpoint("hpc", workers=4)


class Died(BaseException):
    """The worker's end, which no except clause of ours sees."""


def square(value: int) -> int:
    return value * value


def single(**changes: Any) -> GlobusComputeOperator:
    arguments: dict[str, Any] = {"task_id": "a_task", "endpoint": "hpc", "poll_interval": 0.05, "worker_wait": 0}
    if "function_id" not in changes:
        arguments["python_callable"] = square
    return GlobusComputeOperator(**arguments | {"op_args": [3]} | changes)


def many(**changes: Any) -> GlobusComputeMapOperator:
    arguments: dict[str, Any] = {"task_id": "a_task", "endpoint": "hpc", "poll_interval": 0.05, "worker_wait": 0}
    if "function_id" not in changes:
        arguments["python_callable"] = square
    return GlobusComputeMapOperator(**arguments | {"inputs": list(range(9))} | changes)


def executions(globus: GlobusSandbox) -> int:
    world = globus.world.compute
    work = [task for task in world.tasks.values() if world.functions[task.function_id].name != "open_task_group"]
    return sum(task.executions for task in work)


def work_submissions(globus: GlobusSandbox) -> int:
    sent = globus.journal.requests("compute", "POST", "*/submit")
    return len([entry for entry in sent if entry.body.get("task_group_id")])


def die_in(monkeypatch: pytest.MonkeyPatch, owner: type, method: str, *, after: bool, at: int = 1) -> None:
    """End the worker before or after a method has done its work for the n-th time."""
    original = getattr(owner, method)
    calls = iter(range(1, 1000))

    def dying(self: Any, *args: Any, **kwargs: Any) -> Any:
        if next(calls) != at:
            return original(self, *args, **kwargs)
        monkeypatch.setattr(owner, method, original)
        if after:
            original(self, *args, **kwargs)
        raise Died

    monkeypatch.setattr(owner, method, dying)


STEPS: list[tuple[type, str, bool]] = [
    (GlobusComputeOperator, "reserve", True),
    (GlobusComputeOperator, "submit", False),
    (submission.Sender, "_post", False),
    (submission.Sender, "_post", True),
    (submission.Sender, "_accept", False),
    (submission.Sender, "_accept", True),
    (GlobusComputeOperator, "submit", True),
    (GlobusComputeOperator, "_announce", False),
    (GlobusComputeOperator, "_wait", False),
    (GlobusComputeOperator, "_conclude", False),
]


@pytest.mark.parametrize(("owner", "method", "after"), STEPS)
def test_a_retry_runs_the_function_once(
    owner: type,
    method: str,
    after: bool,
    globus_sandbox: GlobusSandbox,
    context: TaskContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    die_in(monkeypatch, owner, method, after=after)
    with pytest.raises(Died):
        single().execute(context)
    context.ti.retry()
    assert single().execute(context) == 9
    assert executions(globus_sandbox) == 1


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize(
    ("method", "after"), [("_post", False), ("_post", True), ("_accept", False), ("_accept", True)]
)
def test_a_retry_of_many_submissions_runs_each_input_once(
    method: str,
    after: bool,
    at: int,
    globus_sandbox: GlobusSandbox,
    context: TaskContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(payloads, "_BATCH_BYTES", 120)
    die_in(monkeypatch, submission.Sender, method, after=after, at=at)
    with pytest.raises(Died):
        many().execute(context)
    context.ti.retry()
    assert many().execute(context) == [n * n for n in range(9)]
    assert executions(globus_sandbox) == 9
    assert work_submissions(globus_sandbox) in (3, 4)


@pytest.mark.parametrize("method", ["take", "_conclude"])
@pytest.mark.parametrize("after", [False, True])
def test_a_map_whose_worker_dies_at_the_end(
    method: str, after: bool, globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_in(monkeypatch, GlobusComputeMapOperator, method, after=after)
    with pytest.raises(Died):
        many().execute(context)
    context.ti.retry()
    assert many().execute(context) == [n * n for n in range(9)]
    assert executions(globus_sandbox) == 9


@pytest.mark.parametrize("make", [single, many])
def test_a_lost_answer_is_looked_for_in_the_group(
    make: Callable[..., Any], globus_sandbox: GlobusSandbox, context: TaskContext, capsys: pytest.CaptureFixture[str]
) -> None:
    lose_answer(globus_sandbox, drop_after=True)
    assert make().execute(context) == (9 if make is single else [n * n for n in range(9)])
    assert executions(globus_sandbox) == (1 if make is single else 9)
    assert work_submissions(globus_sandbox) == 1
    assert "Looking whether the task group" in capsys.readouterr().out


def lose_answer(globus: GlobusSandbox, *, skip: int = 1, **fault: Any) -> None:
    """Trouble for a submission after the one that opens the group."""
    globus.faults.add({"service": "compute", "path": "/v3/endpoints/*/submit", "nth": skip + 1, "times": 1, **fault})


@pytest.mark.parametrize("fault", [{"drop": True}, {"status": 503}, {"status": 502}])
def test_a_request_that_never_arrived_is_sent_again(
    fault: dict[str, Any], globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    lose_answer(globus_sandbox, **fault)
    assert single().execute(context) == 9
    assert executions(globus_sandbox) == 1
    assert globus_sandbox.journal.count("compute", "GET", "/v2/taskgroup/*") == 3


BUSY = {
    "status": 409,
    "code": "RESOURCE_CONFLICT",
    "message": "The resource is already in use: possibly due to concurrent requests -- please try again",
}


@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize("fault", [{"status": 429, "headers": {"Retry-After": "1"}}, BUSY])
def test_what_is_refused_for_the_moment_is_sent_again(
    fault: dict[str, Any], skip: int, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    lose_answer(globus_sandbox, skip=skip, **fault)
    assert single().execute(context) == 9
    assert globus_sandbox.journal.count("compute", "GET", "/v2/taskgroup/*") == 0


def test_an_outage_ends_in_an_error_that_is_worth_a_retry(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.settings.compute_requests_per_10_seconds = None
    globus_sandbox.faults.add({"service": "compute", "path": "/v3/endpoints/*/submit", "nth": 2, "status": 503})
    with pytest.raises(GlobusUnavailableError):
        single().execute(context)
    globus_sandbox.faults.clear()
    context.ti.retry()
    assert single().execute(context) == 9
    assert executions(globus_sandbox) == 1


def test_the_opener_may_be_sent_twice(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    lose_answer(globus_sandbox, skip=0, drop_after=True)
    assert single().execute(context) == 9
    assert executions(globus_sandbox) == 1


def test_without_a_group_a_lost_answer_is_not_guessed(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    lose_answer(globus_sandbox, skip=0, drop_after=True)
    with pytest.raises(GlobusSubmissionUnknownError, match="cannot be told \\(no task group\\)") as error:
        single(exactly_once=False).execute(context)
    assert isinstance(error.value, AirflowFailException)
    assert globus_sandbox.journal.count("compute", "POST", "*/submit") == 1
    context.ti.clear()
    assert single(exactly_once=False).execute(context) == 9


def test_without_a_group_a_dead_worker_is_not_guessed_about(
    globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_in(monkeypatch, submission.Sender, "_post", after=True)
    with pytest.raises(Died):
        single(exactly_once=False).execute(context)
    context.ti.retry()
    with pytest.raises(GlobusSubmissionUnknownError, match="An earlier try ended while it was submitting"):
        single(exactly_once=False).execute(context)
    assert executions_settle(globus_sandbox) == 1


def executions_settle(globus: GlobusSandbox) -> int:
    for task_id in list(globus.world.compute.tasks):
        globus.world.compute.wait(task_id, 20)
    return executions(globus)


def test_what_was_accepted_in_order_stays_so_after_a_crash(
    globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    function_id = GlobusComputeRegisterFunctionOperator(task_id="register", python_callable=square).execute(context)
    monkeypatch.setattr(payloads, "_BATCH_BYTES", 120)
    die_in(monkeypatch, submission.Sender, "_post", after=False, at=2)
    with pytest.raises(Died):
        many(function_id=function_id).execute(context)
    context.ti.retry()
    assert many(function_id=function_id).execute(context) == [n * n for n in range(9)]
    assert executions(globus_sandbox) == 9


def test_unordered_tasks_of_a_registered_function_are_not_guessed(
    globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    function_id = GlobusComputeRegisterFunctionOperator(task_id="register", python_callable=square).execute(context)
    lose_answer(globus_sandbox, drop_after=True)
    with pytest.raises(GlobusSubmissionUnknownError, match="belongs to which input cannot be told"):
        many(function_id=function_id).execute(context)
    context.ti.clear()
    assert many(function_id=function_id).execute(context) == [n * n for n in range(9)]


def test_a_group_in_any_order_still_gives_results_in_order(
    globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = submission.Sender._new_tasks
    monkeypatch.setattr(submission.Sender, "_new_tasks", lambda self: original(self)[::-1])
    lose_answer(globus_sandbox, drop_after=True)
    assert many().execute(context) == [n * n for n in range(9)]


def test_a_request_of_a_dead_worker_that_is_accepted_late(
    globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was on its way when the worker died, and arrives after the retry has looked for it once."""
    post, look = submission.Sender._post, submission.Sender._new_tasks
    sent: list[Any] = []

    def dying(self: Any, *request: Any) -> None:
        sent.append(request)
        raise Died

    def arriving(self: Any) -> list[str]:
        found = look(self)
        if sent:
            post(self, *sent.pop())
        return found

    monkeypatch.setattr(submission.Sender, "_post", dying)
    with pytest.raises(Died):
        single().execute(context)
    monkeypatch.setattr(submission.Sender, "_post", post)
    monkeypatch.setattr(submission.Sender, "_new_tasks", arriving)
    context.ti.retry()
    assert single().execute(context) == 9
    assert executions(globus_sandbox) == 1


def test_killed_while_looking_nothing_is_sent(
    globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_in(monkeypatch, submission.Sender, "_post", after=False)
    with pytest.raises(Died):
        single().execute(context)
    context.ti.retry()
    retried = single()
    retried.on_kill()
    with pytest.raises(GlobusJobFailedError, match="killed before its function was submitted"):
        retried.execute(context)
    assert work_submissions(globus_sandbox) == 0


def test_strangers_in_the_group_are_an_error(
    globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = submission.Sender._new_tasks
    monkeypatch.setattr(submission.Sender, "_new_tasks", lambda self: [*original(self), "stranger"])
    lose_answer(globus_sandbox, drop_after=True)
    with pytest.raises(GlobusSubmissionUnknownError, match="holds 2 tasks that no submission of ours accounts for"):
        single().execute(context)


def test_tasks_that_are_still_being_written_down_are_counted_again(
    globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = submission.Sender._new_tasks
    shown = iter([1, 5, 9])
    monkeypatch.setattr(submission.Sender, "_new_tasks", lambda self: original(self)[: next(shown)])
    lose_answer(globus_sandbox, drop_after=True)
    assert many().execute(context) == [n * n for n in range(9)]
    assert work_submissions(globus_sandbox) == 1


def test_cleared_between_group_and_answer_the_function_runs_once(
    globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_in(monkeypatch, submission.Sender, "_post", after=True)
    with pytest.raises(Died):
        single().execute(context)
    context.ti.clear()
    assert single().execute(context) == 9
    assert executions(globus_sandbox) == 1


def test_what_airflow_timed_out_is_adopted_since_it_runs_on(
    globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_time(self: Any) -> None:
        raise AirflowTaskTimeout

    with monkeypatch.context() as patched:
        patched.setattr(GlobusComputeOperator, "_wait", out_of_time)
        with pytest.raises(AirflowTaskTimeout):
            single().execute(context)
    context.ti.retry()
    assert single().execute(context) == 9
    assert executions(globus_sandbox) == 1


def test_changed_arguments_ask_for_another_run(
    globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_in(monkeypatch, GlobusComputeOperator, "_wait", after=False)
    with pytest.raises(Died):
        single().execute(context)
    context.ti.retry()
    assert single(op_args=[4]).execute(context) == 16


def test_a_changed_function_asks_for_another_run(
    globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cube(value: int) -> int:
        return value**3

    die_in(monkeypatch, GlobusComputeOperator, "_wait", after=False)
    with pytest.raises(Died):
        single().execute(context)
    context.ti.retry()
    assert single(python_callable=cube).execute(context) == 27
