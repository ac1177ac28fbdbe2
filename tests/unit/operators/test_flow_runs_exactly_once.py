"""A worker dies at any moment, or an answer is lost: each flow is run once."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_globus import looks
from airflow_provider_globus.exceptions import GlobusJobFailedError, GlobusUnavailableError
from airflow_provider_globus.operators.flow_runs import GlobusRunFlowOperator, _Starter

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from tests.unit.conftest import TaskContext

FLOW = {"StartAt": "Note", "States": {"Note": {"Type": "Pass", "Parameters": {"done": True}, "End": True}}}
WAIT = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}
RUN = {"service": "flows", "method": "POST", "path": "/flows/*/run"}


@pytest.fixture(autouse=True)
def _flows(globus_sandbox: GlobusSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "LOOKS", (0.01, 0.02, 0.03))
    globus_sandbox.add_flow("note", FLOW)
    globus_sandbox.add_flow("wait", WAIT)


class Died(BaseException):
    """The worker's end, which no except clause of ours sees."""


def operator(flow: str = "note", **changes: Any) -> GlobusRunFlowOperator:
    arguments: dict[str, Any] = {"task_id": "a_task", "flow": flow, "poll_interval": 0.05, "worker_wait": 0}
    return GlobusRunFlowOperator(**arguments | changes)


def runs(globus: GlobusSandbox) -> list[Any]:
    return list(globus.world.flows.runs.values())


def die_in(monkeypatch: pytest.MonkeyPatch, owner: type, method: str, *, after: bool) -> None:
    """End the worker before or after a method has done its work, once."""
    original = getattr(owner, method)

    def dying(self: Any, *args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(owner, method, original)
        if after:
            original(self, *args, **kwargs)
        raise Died

    monkeypatch.setattr(owner, method, dying)


STEPS: list[tuple[type, str, bool]] = [
    (GlobusRunFlowOperator, "prepare", True),
    (GlobusRunFlowOperator, "reserve", True),
    (GlobusRunFlowOperator, "submit", False),
    (_Starter, "start", False),
    (_Starter, "start", True),
    (GlobusRunFlowOperator, "submit", True),
    (GlobusRunFlowOperator, "_announce", False),
    (GlobusRunFlowOperator, "_wait", False),
    (GlobusRunFlowOperator, "_wait", True),
    (GlobusRunFlowOperator, "_conclude", False),
    (GlobusRunFlowOperator, "result", True),
]


@pytest.mark.parametrize(("owner", "method", "after"), STEPS)
def test_a_retry_runs_the_flow_once(
    owner: type,
    method: str,
    after: bool,
    globus_sandbox: GlobusSandbox,
    context: TaskContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    die_in(monkeypatch, owner, method, after=after)
    with pytest.raises(Died):
        operator().execute(context)
    context.ti.retry()
    assert operator().execute(context) == {"done": True}
    assert len(runs(globus_sandbox)) == 1


def test_a_lost_answer_is_looked_for(
    globus_sandbox: GlobusSandbox, context: TaskContext, capsys: pytest.CaptureFixture[str]
) -> None:
    globus_sandbox.faults.add({**RUN, "times": 1, "drop_after": True})
    assert operator().execute(context) == {"done": True}
    assert len(runs(globus_sandbox)) == 1
    assert globus_sandbox.journal.count("flows", "POST", "/flows/*/run") == 1
    assert "Adopting run" in capsys.readouterr().out


def test_a_lost_request_is_sent_again(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.faults.add({**RUN, "times": 1, "drop": True})
    assert operator().execute(context) == {"done": True}
    assert len(runs(globus_sandbox)) == 1


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_service_in_trouble_is_asked_again(status: int, globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.faults.add({**RUN, "times": 2, "status": status})
    assert operator().execute(context) == {"done": True}
    assert len(runs(globus_sandbox)) == 1


def test_a_service_that_stays_away_is_left_to_a_retry(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.faults.add({**RUN, "times": 3, "status": 503})
    with pytest.raises(GlobusUnavailableError):
        operator().execute(context)
    assert runs(globus_sandbox) == []
    context.ti.retry()
    assert operator().execute(context) == {"done": True}
    assert len(runs(globus_sandbox)) == 1


def test_of_two_runs_the_older_is_kept(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    """A start that is accepted later than anybody looks; the next try finds both."""
    waiting = operator("wait", deferrable=True)
    with pytest.raises(TaskDeferred):
        waiting.execute(context)
    (first,) = runs(globus_sandbox)
    (sent,) = globus_sandbox.journal.requests("flows", "POST", "/flows/*/run")
    client = waiting.hook.specific_flow_client(first.flow_id)
    late = client.run_flow(**{name: sent.body[name] for name in ("body", "label")})["run_id"]
    entry = context.store.values["globus_job"]
    context.store.values["globus_job"] = entry | {"sent": False, "job_ids": []}
    context.ti.retry()
    with pytest.raises(TaskDeferred) as deferred:
        operator("wait", deferrable=True).execute(context)
    assert deferred.value.trigger.job_ids == [first.id]
    assert globus_sandbox.world.flows.runs[late].status == "FAILED"
    assert first.status == "ACTIVE"


def test_a_failed_run_is_run_anew_by_a_retry(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    waiting = operator("wait", deferrable=True)
    with pytest.raises(TaskDeferred):
        waiting.execute(context)
    waiting.on_kill()
    context.ti.retry()
    with pytest.raises(TaskDeferred):
        operator("wait", deferrable=True).execute(context)
    assert sorted(run.status for run in runs(globus_sandbox)) == ["ACTIVE", "FAILED"]


def test_cleared_the_old_run_is_cancelled_and_a_new_one_started(
    globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    for _ in range(2):
        with pytest.raises(TaskDeferred):
            operator("wait", deferrable=True).execute(context)
        context.ti.clear()
    assert sorted(run.status for run in runs(globus_sandbox)) == ["ACTIVE", "FAILED"]


def test_a_label_of_another_flow_or_task_is_not_ours(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    operator(run_label="same").execute(context)
    other = type(context)()
    operator(run_label="same").execute(other)
    assert len(runs(globus_sandbox)) == 2


def test_a_run_is_found_among_many_newer_ones(
    globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_in(monkeypatch, _Starter, "start", after=True)
    with pytest.raises(Died):
        operator().execute(context)
    (run,) = runs(globus_sandbox)
    for number in range(120):
        newer = dataclasses.replace(run, id=f"{number:08d}{run.id[8:]}", label="other", started_at=run.started_at + 1)
        globus_sandbox.world.flows.runs[newer.id] = newer
    context.ti.retry()
    assert operator().execute(context) == {"done": True}
    assert globus_sandbox.journal.count("flows", "POST", "/flows/*/run") == 1


def test_killed_while_looking_it_sends_no_other_start(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.faults.add({**RUN, "times": 1, "drop": True})
    killed = operator()
    killed.on_kill()
    with pytest.raises(GlobusJobFailedError, match="killed before its run was known"):
        killed.execute(context)
    assert globus_sandbox.journal.count("flows", "POST", "/flows/*/run") == 1
    assert runs(globus_sandbox) == []


def test_a_retry_looks_at_once_and_then_for_a_while(
    globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_in(monkeypatch, _Starter, "start", after=False)
    with pytest.raises(Died):
        operator().execute(context)
    context.ti.retry()
    assert operator().execute(context) == {"done": True}
    assert globus_sandbox.journal.count("flows", "GET", "/runs") == 4


def test_a_run_that_only_speaks_of_the_token_is_not_ours(
    globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_in(monkeypatch, _Starter, "start", after=False)
    dying = operator()
    with pytest.raises(Died):
        dying.execute(context)
    token = context.store.values["globus_job"]["key"]
    client = dying.hook.specific_flow_client(dying.hook.flow("note"))
    foreign = client.run_flow({}, label=f"what became of [{token}]?")["run_id"]
    context.ti.retry()
    assert operator().execute(context) == {"done": True}
    assert [run.label.endswith(f"[{token}]") for run in runs(globus_sandbox) if run.id != foreign] == [True]


def test_another_label_is_no_other_run(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    for label in ("a", "b"):
        with pytest.raises(TaskDeferred):
            operator("wait", deferrable=True, run_label=label).execute(context)
        context.ti.retry()
    assert len(runs(globus_sandbox)) == 1


def test_what_adopting_a_run_has_told_is_not_told_again(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    with pytest.raises(TaskDeferred):
        operator("wait", deferrable=True).execute(context)
    (run,) = runs(globus_sandbox)
    flows = globus_sandbox.world.flows
    with flows.changed:
        assert flows.changed.wait_for(lambda: [entry.code for entry in run.log][-1:] == ["WaitStarted"], 10)
    context.ti.retry()
    with pytest.raises(TaskDeferred) as adopted:
        operator("wait", deferrable=True).execute(context)
    assert [line.partition(":")[0] for line in adopted.value.trigger.memory["told"]][-1] == "WaitStarted"
