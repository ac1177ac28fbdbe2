"""Deferred jobs of a connection share one poll; outages and restarts lose none."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.jobs.compute import ComputeTasks
from airflow_provider_globus.jobs.transfer import TransferJobs
from airflow_provider_globus.operators.compute import GlobusComputeMapOperator
from airflow_provider_globus.triggers.job import GlobusJobTrigger
from tests.unit.conftest import Attempt

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, ComputeEndpointFactory

JOBS = 120


@pytest.fixture
def task_ids(globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory) -> list[str]:
    """Many transfers under way at once."""
    settings = globus_sandbox.settings
    # Submitting takes more requests than the limit allows in so short a time.
    limit, settings.rate_limit_per_second = settings.rate_limit_per_second, None
    settings.pending_tasks_per_identity = 1000
    globus_sandbox.world.transfer.hold()
    files = {f"{number}.dat": str(number) for number in range(JOBS)}
    source, target = globus_collection("source", files=files), globus_collection("target")
    hook = GlobusHook()
    for name in ("source", "target"):
        hook.use_collection(name)
    client = hook.transfer_client()
    submitted = []
    for name in files:
        document = {
            "DATA_TYPE": "transfer",
            "source_endpoint": source.id,
            "destination_endpoint": target.id,
            "verify_checksum": True,
            "DATA": [{"DATA_TYPE": "transfer_item", "source_path": f"/{name}", "destination_path": f"/{name}"}],
        }
        submitted.append(str(hook.call("submitting", client.submit_transfer, document)["task_id"]))
    settings.rate_limit_per_second = limit
    return submitted


def trigger(task_id: str, **changes: Any) -> GlobusJobTrigger:
    arguments: dict[str, Any] = {
        "service": "transfer",
        "job_ids": [task_id],
        "globus_conn_id": "globus_default",
        "poll_interval": 0.5,
    }
    return GlobusJobTrigger(**arguments | changes)


async def outcomes(triggers: list[GlobusJobTrigger]) -> list[str]:
    events = await asyncio.gather(*(anext(waiting.run()) for waiting in triggers))
    return [event.payload["outcome"] for event in events]


def polls(globus: GlobusSandbox) -> int:
    return int(globus.journal.count("transfer", "GET", "*/task_list"))


def after_polls(monkeypatch: pytest.MonkeyPatch, number: int, then: Callable[[], object]) -> None:
    """Do something once so many calls of the poll have been answered."""
    fetch, made = TransferJobs.fetch, itertools.count(1)

    def counting(*args: Any) -> Any:
        answer = fetch(*args)
        if next(made) == number:
            then()
        return answer

    monkeypatch.setattr(TransferJobs, "fetch", counting)


async def test_all_jobs_share_the_polls(
    globus_sandbox: GlobusSandbox, task_ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = -(-JOBS // 50)
    after_polls(monkeypatch, 3 * batches, globus_sandbox.world.transfer.release)
    began = time.monotonic()
    assert await outcomes([trigger(task_id) for task_id in task_ids]) == ["succeeded"] * JOBS
    rounds = (time.monotonic() - began) / 0.5 + 1
    assert polls(globus_sandbox) <= rounds * batches
    assert globus_sandbox.journal.count("transfer", "GET", "*/task/*") == 0


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503},
        {"status": 429, "headers": {"Retry-After": "0"}},
        {"status": 200, "body": "garbage"},
        {"drop": True},
        {"status": 500},
    ],
)
async def test_no_job_is_lost_to_an_outage(
    fault: dict[str, Any], globus_sandbox: GlobusSandbox, task_ids: list[str]
) -> None:
    globus_sandbox.world.transfer.release()
    globus_sandbox.faults.add({"service": "transfer", **fault, "times": 6})
    assert await outcomes([trigger(task_id, poll_interval=0.1) for task_id in task_ids[:20]]) == ["succeeded"] * 20


async def test_tokens_that_expire_meanwhile_are_renewed(
    globus_sandbox: GlobusSandbox, task_ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def expire() -> None:
        globus_sandbox.world.auth.revoke_tokens()
        globus_sandbox.world.transfer.release()

    after_polls(monkeypatch, 3, expire)
    assert await outcomes([trigger(task_ids[0], poll_interval=0.1)]) == ["succeeded"]
    assert [entry for entry in globus_sandbox.journal.requests("transfer") if entry.status == 401]


async def test_what_nobody_foresaw_does_not_end_the_poll(
    globus_sandbox: GlobusSandbox, task_ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def surprise() -> None:
        raise KeyError("surprise")

    after_polls(monkeypatch, 1, surprise)
    globus_sandbox.world.transfer.release()
    assert await outcomes([trigger(task_ids[0], poll_interval=0.05)]) == ["succeeded"]


async def test_one_unknown_task_does_not_disturb_the_others(globus_sandbox: GlobusSandbox, task_ids: list[str]) -> None:
    globus_sandbox.world.transfer.release()
    unknown = trigger("99999999-2222-3333-4444-555555555555")
    assert await outcomes([unknown, trigger(task_ids[0])]) == ["lost", "succeeded"]


async def test_the_event_waits_for_the_worker_to_be_reaped(globus_sandbox: GlobusSandbox, task_ids: list[str]) -> None:
    globus_sandbox.world.transfer.release()
    not_before = time.time() + 1.5
    assert await outcomes([trigger(task_ids[0], poll_interval=0.05, not_before=not_before)]) == ["succeeded"]
    assert time.time() >= not_before


async def test_the_deadline_wakes_the_trigger_between_polls(task_ids: list[str]) -> None:
    deadline = time.time() + 0.3
    assert await outcomes([trigger(task_ids[0], poll_interval=3600, deadline=deadline)]) == ["timeout"]


async def test_a_user_who_kills_the_deferred_task_cancels_the_job(
    globus_sandbox: GlobusSandbox, task_ids: list[str]
) -> None:
    await trigger(task_ids[0]).on_kill()
    assert globus_sandbox.world.transfer.task(task_ids[0]).status == "ACTIVE"
    await trigger(task_ids[0], cancel_on_kill=True).on_kill()
    assert globus_sandbox.world.transfer.task(task_ids[0]).status == "FAILED"


def test_serializes_to_its_arguments_and_no_secret(globus_sandbox: GlobusSandbox) -> None:
    path, arguments = trigger("t", deadline=5.0, rules={"stuck_grace": 1}).serialize()
    assert path == f"{GlobusJobTrigger.__module__}.{GlobusJobTrigger.__qualname__}"
    assert GlobusJobTrigger(**arguments).serialize() == (path, arguments)
    assert globus_sandbox.client_secret not in repr(trigger("t"))


def test_each_event_loop_has_a_poll_of_its_own(globus_sandbox: GlobusSandbox, task_ids: list[str]) -> None:
    """dag.test() runs every trigger in a loop of its own."""
    globus_sandbox.world.transfer.release()
    for task_id in task_ids[:2]:
        assert asyncio.run(outcomes([trigger(task_id, poll_interval=0.05)])) == ["succeeded"]


async def test_what_has_ended_is_fetched_once(
    globus_sandbox: GlobusSandbox,
    globus_compute_endpoint: ComputeEndpointFactory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Compute hands a result out for half an hour; whoever waits keeps it and asks for the rest."""
    globus_compute_endpoint("hpc", workers=4)
    operator = GlobusComputeMapOperator(
        task_id="start",
        endpoint="hpc",
        python_callable=_wait_for,
        inputs=[[str(tmp_path)], [str(tmp_path / "go")]],
        unpack="args",
        wait_for_completion=False,
    )
    context: Any = Attempt()
    ids = (await asyncio.to_thread(operator.execute, context))["job_ids"]
    fetch = ComputeTasks.fetch

    def let_go_when_one_is_left(*args: Any) -> Any:
        if len(args[2]) == 1:
            (tmp_path / "go").touch()
        return fetch(*args)

    monkeypatch.setattr(ComputeTasks, "fetch", let_go_when_one_is_left)
    waiting = trigger("", service="compute", job_ids=ids, poll_interval=0.1, rules={"collect": True})
    event = (await anext(waiting.run())).payload
    looks = globus_sandbox.journal.requests("compute", "POST", "/v2/batch_status")
    assert looks[0].body["task_ids"] == ids
    assert looks[-1].body["task_ids"] == [ids[1]]
    assert set(event["result"]["documents"]) == set(ids)


def _wait_for(path: str) -> None:
    import time
    from pathlib import Path

    while not Path(path).exists():
        time.sleep(0.01)
