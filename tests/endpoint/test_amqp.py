"""What the Compute service says and hears at the broker, to an endpoint that the test plays itself."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from uuid import UUID

import globus_sdk
import pika  # type: ignore[import-untyped]
import pytest
from globus_compute_common import messagepack
from globus_compute_common.messagepack.message_types import EPStatusReport, Result, Task

from airflow_provider_globus.sandbox.compute.amqp_link import BrokerUnreachable
from airflow_provider_globus.sandbox.local_airflow import free_ports
from airflow_provider_globus.sandbox.server import GlobusSandbox
from tests.endpoint.conftest import processes_of

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.auth.state import Client
    from airflow_provider_globus.sandbox.compute.endpoint import ComputeEndpoint
    from airflow_provider_globus.sandbox.rabbitmq import RabbitMQ

pytestmark = pytest.mark.endpoint

SECONDS = 20.0
LONG = 3600.0


def eventually(condition: Callable[[], Any]) -> Any:
    """Wait until something is true, which other threads and the broker make it; return it."""
    deadline, pause = time.monotonic() + SECONDS, threading.Event()
    while not (value := condition()):
        assert time.monotonic() < deadline, "it never came to pass"
        pause.wait(0.01)
    return value


def clients_of(sandbox: GlobusSandbox, client: Client | None = None) -> tuple[Any, Any]:
    """Return the SDK's raw Compute clients of a service account."""
    client_id, secret = (client.id, client.secret) if client else (sandbox.client_id, sandbox.client_secret)
    auth = globus_sdk.ConfidentialAppAuthClient(client_id, secret or "", base_url=sandbox.url)
    authorizer = globus_sdk.ClientCredentialsAuthorizer(auth, globus_sdk.ComputeClientV3.scopes.all)
    return (
        globus_sdk.ComputeClientV2(authorizer=authorizer, base_url=sandbox.url),
        globus_sdk.ComputeClientV3(authorizer=authorizer, base_url=sandbox.url),
    )


class PlayedEndpoint:
    """An endpoint as the service sees it: what registers, and what takes and sends messages."""

    def __init__(self, sandbox: GlobusSandbox, **document: Any) -> None:
        self.sandbox = sandbox
        self.v2, self.v3 = clients_of(sandbox)
        self.registration = self.v3.register_endpoint({"endpoint_name": "played", **document}).data
        self.id: str = self.registration["endpoint_id"]
        self.open()

    def open(self) -> None:
        self.connection = pika.BlockingConnection(
            pika.URLParameters(self.registration["command_queue_info"]["connection_url"])
        )
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()

    @property
    def known(self) -> ComputeEndpoint:
        return self.sandbox.world.compute.endpoints[self.id]

    def take(self, queue: str) -> tuple[Any, bytes]:
        """Take the next message of a queue: properties and body."""
        _, properties, body = eventually(lambda: self._get(queue))
        return properties, body

    def _get(self, queue: str) -> tuple[Any, Any, bytes] | None:
        found = self.channel.basic_get(queue, auto_ack=True)
        return None if found[0] is None else found

    def count(self, queue: str) -> int:
        return int(self.channel.queue_declare(queue, passive=True).method.message_count)

    def command(self) -> dict[str, Any]:
        _, body = self.take(self.registration["command_queue_info"]["queue"])
        return dict(json.loads(body))

    def publish(self, info: dict[str, Any], body: bytes) -> None:
        kwargs = dict(info["queue_publish_kwargs"])
        self.channel.basic_publish(body=body, **kwargs | {"properties": pika.BasicProperties(**kwargs["properties"])})

    def heartbeat(self, info: dict[str, Any] | None = None, sender: str | None = None, **state: Any) -> None:
        report = EPStatusReport(endpoint_id=UUID(sender or self.id), ep_status_report=state, task_statuses={})
        self.publish(info or self.registration["heartbeat_queue_info"], messagepack.pack(report))

    def come_online(self) -> None:
        self.heartbeat(heartbeat_period=LONG)
        eventually(lambda: self.known.online)

    def submit(self, count: int = 1, v3: Any = None, **more: Any) -> list[str]:
        v3 = v3 or self.v3
        function = {"function_name": "f", "function_code": "4\n00\nX", "serialized": True, "public": True}
        function_id = v3.register_function(function)["function_uuid"]
        document = {"tasks": {function_id: ["3\narg"] * count}, **more}
        return list(v3.submit(self.id, document)["tasks"][function_id])

    def status(self, task_id: str) -> str:
        return self.sandbox.world.compute.tasks[task_id].status


@pytest.fixture
def sandbox(broker: RabbitMQ) -> Iterator[GlobusSandbox]:
    with GlobusSandbox(amqp_url=broker.url) as sandbox:
        yield sandbox


@pytest.fixture
def endpoint(sandbox: GlobusSandbox) -> Iterator[PlayedEndpoint]:
    endpoint = PlayedEndpoint(sandbox)
    yield endpoint
    endpoint.connection.close()


def test_heartbeats_make_it_online_and_the_last_one_offline(endpoint: PlayedEndpoint) -> None:
    assert not endpoint.known.online
    endpoint.come_online()
    assert endpoint.v2.get_endpoint_status(endpoint.id)["status"] == "online"
    endpoint.heartbeat(heartbeat_period=0)
    eventually(lambda: not endpoint.known.online)
    assert endpoint.v2.get_endpoint_status(endpoint.id)["status"] == "offline"


def test_missing_heartbeats_make_it_offline(endpoint: PlayedEndpoint) -> None:
    endpoint.come_online()
    endpoint.heartbeat(heartbeat_period=0.01)
    eventually(lambda: not endpoint.known.online)


def test_tasks_wait_for_the_endpoint_and_follow_one_command(endpoint: PlayedEndpoint) -> None:
    task_ids = endpoint.submit(5, user_endpoint_config={"workers": 3}, result_serializers=["a.Strategy"])
    assert {endpoint.status(task_id) for task_id in task_ids} == {"waiting-for-ep"}
    endpoint.come_online()
    command = endpoint.command()
    assert command["command"] == "cmd_start_endpoint"
    assert command["globus_effective_identity"] == endpoint.known.owner_id
    assert command["globus_identity_set"][0]["sub"] == endpoint.known.owner_id
    assert command["kwargs"]["user_opts"] == {"workers": 3}
    assert command["kwargs"]["name"].startswith("uep.")
    queue = command["kwargs"]["amqp_creds"]["task_queue_info"]["queue"]
    for task_id in task_ids:
        properties, body = endpoint.take(queue)
        task = messagepack.unpack(body)
        assert isinstance(task, Task)
        assert str(task.task_id) == properties.headers["task_uuid"] == task_id
        assert properties.headers["result_serializers"] == ["a.Strategy"]
        assert task.task_buffer == "4\n00\nX3\narg"
    assert endpoint.count(endpoint.registration["command_queue_info"]["queue"]) == 0
    assert {endpoint.status(task_id) for task_id in task_ids} == {"waiting-for-nodes"}


def test_a_task_ends_with_the_result_message(endpoint: PlayedEndpoint) -> None:
    endpoint.come_online()
    first, second = endpoint.submit(2)
    info = endpoint.command()["kwargs"]["amqp_creds"]["result_queue_info"]
    endpoint.publish(info, b"this is no message")
    endpoint.publish(info, messagepack.pack(Result(task_id=UUID(int=7), data="of a task nobody knows")))
    endpoint.publish(info, messagepack.pack(Result(task_id=UUID(second), data="4\n11\n5", details={"os": "Plan 9"})))
    task = endpoint.sandbox.world.compute.wait(second, SECONDS)
    assert (task.status, task.result, task.details["os"]) == ("success", "4\n11\n5", "Plan 9")
    assert endpoint.status(first) == "waiting-for-nodes"


def test_a_user_endpoint_that_cannot_start_fails_its_own_tasks(endpoint: PlayedEndpoint) -> None:
    endpoint.come_online()
    bad = endpoint.submit(2, user_endpoint_config={"partition": "none"})
    credentials = endpoint.command()["kwargs"]["amqp_creds"]
    (good,) = endpoint.submit(1)
    assert endpoint.command()["kwargs"]["amqp_creds"]["endpoint_id"] != credentials["endpoint_id"]
    queue = credentials["task_queue_info"]["queue"]
    eventually(lambda: endpoint.count(queue) == 2)
    endpoint.heartbeat(credentials["heartbeat_queue_info"], credentials["endpoint_id"], error="no such partition")
    for task_id in bad:
        task = endpoint.sandbox.world.compute.wait(task_id, SECONDS)
        assert task.status == "failed"
        assert "no such partition" in (task.exception or "")
    assert endpoint.status(good) == "waiting-for-nodes"
    eventually(lambda: endpoint.count(queue) == 0)


def test_the_load_is_that_of_the_user_endpoints(endpoint: PlayedEndpoint) -> None:
    endpoint.come_online()
    for config in ({"a": 1}, {"a": 2}):
        endpoint.submit(1, user_endpoint_config=config)
        credentials = endpoint.command()["kwargs"]["amqp_creds"]
        state = {"heartbeat_period": LONG, "total_workers": 4, "idle_workers": 3, "managers": 1}
        endpoint.heartbeat(credentials["heartbeat_queue_info"], credentials["endpoint_id"], **state)

    def details() -> dict[str, int]:
        return dict(endpoint.v2.get_endpoint_status(endpoint.id)["details"])

    assert eventually(lambda: details() if details()["total_workers"] == 8 else None)["idle_workers"] == 6
    endpoint.heartbeat(
        credentials["heartbeat_queue_info"], credentials["endpoint_id"], heartbeat_period=LONG, active=False
    )
    eventually(lambda: details()["total_workers"] == 4)


def test_another_identity_gets_a_user_endpoint_of_its_own(sandbox: GlobusSandbox) -> None:
    endpoint = PlayedEndpoint(sandbox, public=True, multi_user=True)
    endpoint.come_online()
    other = sandbox.add_client("other")
    _, v3 = clients_of(sandbox, other)
    endpoint.submit(1)
    endpoint.submit(1, v3=v3)
    mine, theirs = endpoint.command(), endpoint.command()
    assert theirs["globus_effective_identity"] == other.id
    assert mine["kwargs"]["amqp_creds"]["endpoint_id"] != theirs["kwargs"]["amqp_creds"]["endpoint_id"]
    endpoint.connection.close()


def test_user_endpoints_are_started_again_for_tasks_that_wait(endpoint: PlayedEndpoint) -> None:
    endpoint.come_online()
    endpoint.submit(1)
    first = endpoint.command()
    endpoint.heartbeat(heartbeat_period=0)
    eventually(lambda: not endpoint.known.online)
    endpoint.come_online()
    assert endpoint.command()["kwargs"]["name"] == first["kwargs"]["name"]
    endpoint.v3.update_endpoint(endpoint.id, {"endpoint_name": "played"})  # killed, and back before it was missed
    endpoint.come_online()
    assert endpoint.command()["kwargs"]["name"] == first["kwargs"]["name"]


def test_who_may_register_again(endpoint: PlayedEndpoint, sandbox: GlobusSandbox) -> None:
    document = {"endpoint_name": "played", "allowed_functions": ["5a4db0c5-0000-4000-8000-000000000001"]}
    assert endpoint.v3.update_endpoint(endpoint.id, document).data == endpoint.registration
    assert endpoint.known.allowed_functions == frozenset({"5a4db0c5-0000-4000-8000-000000000001"})
    endpoint.v3.update_endpoint(endpoint.id, {**document, "metadata": {"hostname": "login.hpc", "local_user": 7}})
    assert endpoint.v2.get_endpoint(endpoint.id)["hostname"] == "login.hpc"
    assert endpoint.v2.get_endpoint(endpoint.id)["local_user"] != 7
    _, stranger = clients_of(sandbox, sandbox.add_client("stranger"))
    own = sandbox.add_compute_endpoint("the sandbox's own")
    endpoint.v3.lock_endpoint(endpoint.id)
    for client, endpoint_id, status in (
        (endpoint.v3, "5a4db0c5-0000-4000-8000-000000000002", 404),
        (stranger, endpoint.id, 403),
        (endpoint.v3, own.id, 409),
        (endpoint.v3, endpoint.id, 423),
    ):
        with pytest.raises(globus_sdk.GlobusAPIError) as refused:
            client.update_endpoint(endpoint_id, document)
        assert refused.value.http_status == status


def test_a_reset_forgets_what_waits_at_the_broker(sandbox: GlobusSandbox) -> None:
    endpoint = PlayedEndpoint(sandbox)
    endpoint.come_online()
    sandbox.mark()
    (task_id,) = endpoint.submit(1)
    credentials = endpoint.command()["kwargs"]["amqp_creds"]
    queue = credentials["task_queue_info"]["queue"]
    eventually(lambda: endpoint.count(queue) == 1)
    sandbox.reset()
    eventually(lambda: endpoint.count(queue) == 0)
    endpoint.publish(credentials["result_queue_info"], messagepack.pack(Result(task_id=UUID(task_id), data="late")))
    assert endpoint.known.online
    endpoint.submit(1)
    endpoint.take(queue)
    assert task_id not in sandbox.world.compute.tasks
    endpoint.connection.close()


def test_nothing_is_left_at_the_broker(broker: RabbitMQ) -> None:
    with GlobusSandbox(amqp_url=broker.url) as sandbox:
        endpoint = PlayedEndpoint(sandbox)
        endpoint.come_online()
        endpoint.submit(1, create_queue=True)
        credentials = endpoint.command()["kwargs"]["amqp_creds"]
        group = next(iter(sandbox.world.compute.groups))
        results = endpoint.v2.get_result_amqp_url()
        queues = [
            results["queue_prefix"] + group,
            credentials["task_queue_info"]["queue"],
            credentials["result_queue_info"]["queue"],
            endpoint.registration["heartbeat_queue_info"]["queue"],
            endpoint.registration["command_queue_info"]["queue"],
        ]
        for queue in queues:
            assert endpoint.count(queue) >= 0
    for queue in queues:
        with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="NOT_FOUND"):
            endpoint.count(queue)
        endpoint.channel = endpoint.connection.channel()
    endpoint.connection.close()


def test_a_broker_that_restarts_loses_nothing(second_broker: RabbitMQ) -> None:
    with GlobusSandbox(amqp_url=second_broker.url) as sandbox:
        endpoint = PlayedEndpoint(sandbox)
        endpoint.come_online()
        before = endpoint.submit(1)
        queue = endpoint.command()["kwargs"]["amqp_creds"]["task_queue_info"]["queue"]
        second_broker.stop()
        assert processes_of(second_broker.folder) == []
        meanwhile = endpoint.submit(1)
        second_broker.start()
        endpoint.open()
        after = endpoint.submit(1)
        taken = [endpoint.take(queue)[0].headers["task_uuid"] for _ in range(3)]
        assert taken == before + meanwhile + after
        endpoint.connection.close()


def test_a_wrong_password_is_told_without_it(broker: RabbitMQ) -> None:
    url = broker.url.replace("@127.", "wrong@127.")
    with pytest.raises(BrokerUnreachable, match="amqp_url") as refused:
        GlobusSandbox(amqp_url=url).start()
    assert "wrong" not in str(refused.value)


def test_no_broker_at_all_is_told() -> None:
    (port,) = free_ports(1)
    sandbox = GlobusSandbox(amqp_url=f"amqp://me:secret@127.0.0.1:{port}/%2F")
    with pytest.raises(BrokerUnreachable, match=f"127.0.0.1:{port}") as refused:
        sandbox.start()
    assert "secret" not in str(refused.value)
    sandbox.stop()
