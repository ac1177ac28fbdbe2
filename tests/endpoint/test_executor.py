"""The Compute SDK's ``Executor``, which waits for results at the broker: with either kind of endpoint."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import globus_compute_sdk
import pytest
from globus_compute_sdk.errors import TaskExecutionFailed

from tests.endpoint.conftest import Executor, leave

if TYPE_CHECKING:
    from pathlib import Path

    from globus_compute_sdk import Client

    from tests.endpoint.conftest import EndpointLab


def double(number: int) -> int:
    return 2 * number


def wait_for_file(path: str) -> str:
    """Wait until there is something in a file: the test decides when the task ends."""
    import pathlib
    import time

    while not (text := pathlib.Path(path).read_text()):
        time.sleep(0.01)
    return text


def refuse(why: str) -> None:
    raise ValueError(why)


def test_futures_get_results_and_errors(executor: Executor) -> None:
    futures = [executor.submit(double, number) for number in range(3)]
    failed = executor.submit(refuse, "not today")
    assert [future.result(60) for future in futures] == [0, 2, 4]
    with pytest.raises(TaskExecutionFailed, match="ValueError: not today"):
        failed.result(60)


def test_results_are_pushed_and_never_asked_for(executor: Executor, endpoint_lab: EndpointLab) -> None:
    assert executor.submit(double, 21).result(60) == 42
    assert endpoint_lab.sandbox.journal.count("compute", "GET", "/v2/tasks/*") == 0
    assert endpoint_lab.sandbox.journal.count("compute", "POST", "/v2/batch_status") == 0


def test_another_executor_takes_a_task_group_over(
    executor: Executor, endpoint_lab: EndpointLab, sdk_client: Client, tmp_path: Path
) -> None:
    door = tmp_path / "door"
    door.touch()
    finished = executor.submit(double, 21)
    waiting = executor.submit(wait_for_file, str(door))
    assert finished.result(60) == 42
    leave(executor)

    group_id = executor.task_group_id
    second: Executor
    with globus_compute_sdk.Executor(endpoint_lab.endpoint_id, client=sdk_client, task_group_id=group_id) as second:
        futures = {future.task_id: future for future in second.reload_tasks()}
        assert set(futures) == {task.id for task in endpoint_lab.tasks}
        assert futures[finished.task_id].result(60) == 42
        assert not futures[waiting.task_id].done()
        door.write_text("open")
        assert futures[waiting.task_id].result(60) == "open"
        leave(second)


def test_the_journal_has_no_password_of_the_broker(
    executor: Executor, endpoint_lab: EndpointLab, sdk_client: Client
) -> None:
    url = sdk_client.get_result_amqp_url()["connection_url"]
    sdk_client.register_function(double, description=f"reads {url}")
    assert executor.submit(double, 1).result(60) == 2
    sandbox = endpoint_lab.sandbox
    kept = json.dumps([entry.as_dict() for entry in sandbox.journal.entries]) + json.dumps(sandbox.world.snapshot())
    password = url.split(":")[2].partition("@")[0]
    assert len(password) > 20
    assert password not in kept
