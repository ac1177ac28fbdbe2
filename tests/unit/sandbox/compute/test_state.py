"""The state of the service: marks and resets, other backends, the page of an endpoint."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_globus.sandbox.compute.backend import Load

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.compute.state import ComputeEndpoint, ComputeTask


def one() -> int:
    return 1


class Recorder:
    """A backend that keeps what it is given."""

    def __init__(self, endpoint: ComputeEndpoint) -> None:
        self.endpoint = endpoint
        self.calls: list[str] = []
        self.tasks: list[ComputeTask] = []

    def run(self, task: ComputeTask) -> None:
        self.tasks.append(task)

    def load(self) -> Load:
        return Load(total_workers=64, idle_workers=60, pending_tasks=1, outstanding_tasks=5, managers=2)

    def cancel_all(self) -> None:
        self.calls.append("cancel_all")

    def close(self) -> None:
        self.calls.append("close")


class Broker:
    """A broker that keeps what it is asked for."""

    def __init__(self) -> None:
        self.queues: list[str] = []

    def register_endpoint(self, caller: Any, document: dict[str, Any], endpoint_id: str | None) -> dict[str, Any]:
        return {"endpoint_id": endpoint_id or "new", "document": document, "owner": caller.identity_id}

    def result_connection(self, caller: Any) -> dict[str, Any]:
        return {"queue_prefix": caller.identity_id, "connection_url": "amqp://"}

    def create_queue(self, group_id: str) -> None:
        self.queues.append(group_id)


def test_another_backend_gets_all_a_real_endpoint_needs(lab: Any) -> None:
    endpoint = lab.compute.add_endpoint("real", folder=lab.folder, backend=Recorder)
    function = lab.register(one)
    (task_id,) = lab.submit(endpoint, function, [(1, 2)], user_runtime={"python_version": "3.11"})
    (task,) = endpoint.backend.tasks
    assert task is lab.compute.tasks[task_id]
    code = lab.v2.get_function(function)["function_code"]
    assert task.buffer == code + lab.payload(1, 2)
    assert (task.function_id, task.endpoint_id, task.owner) == (function, endpoint.id, lab.sandbox.client_id)
    assert task.user_runtime == {"python_version": "3.11"}
    assert lab.v2.get_endpoint_status(endpoint.id)["details"]["total_workers"] == 64
    lab.compute.set_status(task_id, "running")
    assert (lab.v2.get_task(task_id)["status"], task.executions) == ("running", 1)
    lab.compute.finish(task_id, result="11\n42", details={"python_version": "3.9", "endpoint_id": "a user endpoint"})
    document = lab.v2.get_task(task_id)
    assert document["result"] == "11\n42"
    assert document["details"]["endpoint_id"] == "a user endpoint"
    assert document["details"]["python_version"] == "3.9"
    lab.sandbox.reset()
    assert endpoint.backend.calls == ["close"]


def test_what_waited_for_an_endpoint_is_handed_over_once(lab: Any) -> None:
    endpoint = lab.compute.add_endpoint("real", folder=lab.folder, backend=Recorder, online=False)
    ids = lab.submit(endpoint, one, [(), ()])
    assert endpoint.backend.tasks == []
    for _ in range(2):
        endpoint.go_online()
        endpoint.go_offline()
    assert [task.id for task in endpoint.backend.tasks] == ids


def test_an_outcome_is_taken_once_and_needs_a_task(lab: Any) -> None:
    endpoint = lab.compute.add_endpoint("real", folder=lab.folder, backend=Recorder)
    (task_id,) = lab.submit(endpoint, one)
    lab.compute.finish(task_id, exception="first")
    lab.compute.finish(task_id, result="11\n1")
    lab.compute.set_status(task_id, "running")
    task = lab.compute.tasks[task_id]
    assert (task.status, task.exception, task.result, task.executions) == ("failed", "first", None, 0)
    lab.compute.finish("unknown", result="11\n1")
    lab.compute.set_status("unknown", "running")
    for outcome in ({}, {"result": "1", "exception": "2"}):
        with pytest.raises(ValueError, match="with a result or with an exception"):
            lab.compute.finish(task_id, **outcome)


def test_an_observer_that_fails_harms_nobody(lab: Any, caplog: pytest.LogCaptureFixture) -> None:
    def fails(task: ComputeTask) -> None:
        raise RuntimeError("an observer's bug")

    endpoint = lab.endpoint(workers=1)
    lab.compute.on_finished.append(fails)
    try:
        assert [lab.value(lab.call(endpoint, one)) for _ in range(2)] == [1, 1]
        endpoint.forget()  # ends the thread that tells observers
    finally:
        lab.compute.on_finished.remove(fails)
    assert caplog.text.count("An observer of Compute tasks failed") == 2


def test_what_comes_after_the_end_starts_nothing(lab: Any) -> None:
    endpoint = lab.endpoint("counted")
    endpoint.close()
    (task_id,) = lab.submit(endpoint, one)
    assert not any(thread.name == "compute-counted" for thread in threading.enumerate())
    assert lab.compute.tasks[task_id].status == "waiting-for-nodes"


def test_waiting_ends_with_the_task(lab: Any) -> None:
    endpoint = lab.compute.add_endpoint("real", folder=lab.folder, backend=Recorder)
    (task_id,) = lab.submit(endpoint, one)
    threading.Timer(0.05, lambda: lab.compute.finish(task_id, result="11\n1")).start()
    assert lab.compute.wait(task_id, 30).status == "success"


def test_a_broker_serves_what_needs_one(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker()
    monkeypatch.setattr(lab.compute, "amqp", broker)
    me = lab.sandbox.client_id
    assert lab.v3.register_endpoint({"endpoint_name": "x"}).data == {
        "endpoint_id": "new",
        "document": {"endpoint_name": "x"},
        "owner": me,
    }
    assert lab.v3.update_endpoint("7", {})["endpoint_id"] == "7"
    assert lab.v2.get_result_amqp_url()["queue_prefix"] == me
    endpoint = lab.endpoint(online=False)
    (task_id,) = lab.submit(endpoint, one, create_queue=True)
    group = lab.compute.tasks[task_id].group_id
    lab.submit(endpoint, one, create_queue=True, task_group_id=group)
    assert broker.queues == [group]
    assert lab.v2.get_task_group(group)["create_websockets_queue"] is True


def test_a_reset_goes_back_to_the_marked_endpoints_and_functions(lab: Any) -> None:
    sandbox = lab.sandbox
    kept, function = lab.endpoint("kept"), lab.register(one)
    deleted = lab.endpoint("deleted")
    try:
        sandbox.mark()
        before = sandbox.world.compute.snapshot()
        lab.endpoint("extra")
        lab.register(one)
        lab.submit(kept, function)
        kept.go_offline()
        lab.submit(kept, function)
        lab.v2.delete_endpoint(deleted.id)
        lab.v2.delete_function(function)
        sandbox.reset()
        assert sandbox.world.compute.snapshot() == before
        assert lab.compute.endpoints[kept.id] is kept
        lab._clients.clear()
        assert lab.value(lab.wait(lab.submit(kept, function)[0])) == 1
        assert lab.value(lab.wait(lab.submit(deleted, function)[0])) == 1
        assert len(lab.compute.tasks) == 2, "what waited for the endpoint is forgotten"
    finally:
        lab.compute.endpoints.clear()
        lab.compute.functions.clear()
        sandbox.mark()


def test_the_state_is_told_in_a_few_words(lab: Any) -> None:
    lab.sandbox.clock.freeze()
    endpoint = lab.endpoint(alias="hpc")
    task = lab.call(endpoint, one)
    state = requests.get(f"{lab.sandbox.url}/_sandbox/state", timeout=10).json()["compute"]
    now = lab.sandbox.clock.now().replace(tzinfo=None).isoformat(timespec="microseconds")
    assert state["endpoints"] == [
        {
            "id": endpoint.id,
            "name": "hpc",
            "alias": "hpc",
            "folder": str(endpoint.folder),
            "owner": lab.sandbox.client_id,
            "status": "online",
            "workers": 2,
            "public": False,
            "multi_user": False,
            "mpi": False,
        }
    ]
    assert state["functions"] == [
        {"id": task.function_id, "name": "one", "owner": lab.sandbox.client_id, "public": False}
    ]
    assert state["tasks"] == [
        {
            "id": task.id,
            "status": "success",
            "function": "one",
            "function_id": task.function_id,
            "endpoint_id": endpoint.id,
            "group_id": task.group_id,
            "owner": lab.sandbox.client_id,
            "executions": 1,
            "submitted_at": now,
            "completed_at": now,
        }
    ]


def test_an_endpoint_has_a_page(lab: Any) -> None:
    endpoint, elsewhere = lab.endpoint("Cluster <7>"), lab.endpoint("elsewhere")
    lab.call(elsewhere, one)
    function = lab.register("<script>", function_code="x")
    for task_id in lab.submit(endpoint, function, [()] * 51):
        lab.wait(task_id)
    lab.call(endpoint, one)
    url = f"{lab.sandbox.url}/compute/endpoints/{endpoint.id}"
    page = requests.get(url, timeout=10)
    assert page.headers["Content-Type"].startswith("text/html")
    assert "Cluster &lt;7&gt;" in page.text
    assert ">online</span>" in page.text
    assert "0 busy of 2" in page.text
    assert "<th>Tasks so far</th><td>52</td>" in page.text
    assert page.text.count("<td>&lt;script&gt;</td><td>failed</td>") == 49, "the latest fifty"
    assert page.text.index("<td>one</td><td>success</td>") < page.text.index("&lt;script&gt;"), "newest first"
    assert "<script>" not in page.text
    endpoint.go_offline()
    lab.submit(endpoint, one)
    page = requests.get(url, timeout=10)
    assert ">offline</span>" in page.text
    assert "<th>Tasks that wait</th><td>1</td>" in page.text
    assert "<td>one</td><td>waiting-for-ep</td>" in page.text
    unknown = requests.get(f"{lab.sandbox.url}/compute/endpoints/seven", timeout=10)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "NotFound")
