"""A real endpoint comes, goes, comes back, and leaves nothing behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import globus_sdk
import psutil  # type: ignore[import-untyped]
import pytest
from globus_compute_sdk.serialize import ComputeSerializer, PureSourceTextInspect

from airflow_provider_globus.sandbox.compute.real_endpoint import RealEndpoint, RealEndpointError
from airflow_provider_globus.sandbox.server import GlobusSandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_globus.sandbox.rabbitmq import RabbitMQ

pytestmark = pytest.mark.endpoint

SECONDS = 60.0


def triple(number: int) -> int:
    return 3 * number


@pytest.fixture(scope="module")
def sandbox(broker: RabbitMQ) -> Iterator[GlobusSandbox]:
    with GlobusSandbox(amqp_url=broker.url) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def _endpoint(sandbox: GlobusSandbox, endpoint_command: Path) -> Iterator[RealEndpoint]:
    # At once there, where Parsl takes seconds.
    with RealEndpoint(sandbox, endpoint_command, engine="ProcessPoolEngine") as endpoint:
        yield endpoint


@pytest.fixture
def endpoint(_endpoint: RealEndpoint) -> RealEndpoint:
    if not _endpoint.pids:
        _endpoint.start()
    return _endpoint


def lives(process: psutil.Process) -> bool:
    """Tell whether a process runs; one that nobody has buried yet does not."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def submit(sandbox: GlobusSandbox, endpoint: RealEndpoint, number: int) -> str:
    auth = globus_sdk.ConfidentialAppAuthClient(sandbox.client_id, sandbox.client_secret, base_url=sandbox.url)
    authorizer = globus_sdk.ClientCredentialsAuthorizer(auth, globus_sdk.ComputeClientV3.scopes.all)
    client = globus_sdk.ComputeClientV3(authorizer=authorizer, base_url=sandbox.url)
    serializer = ComputeSerializer(strategy_code=PureSourceTextInspect())
    code = serializer.pack_buffers([serializer.serialize(triple)])
    document = {"function_name": "triple", "function_code": code, "serialized": True}
    function_id = client.register_function(document)["function_uuid"]
    payload = serializer.pack_buffers([serializer.serialize([number]), serializer.serialize({})])
    return str(client.submit(endpoint.id, {"tasks": {function_id: [payload]}})["tasks"][function_id][0])


def result_of(sandbox: GlobusSandbox, task_id: str) -> Any:
    task = sandbox.world.compute.wait(task_id, SECONDS)
    assert task.exception is None
    return ComputeSerializer().deserialize(task.result or "")


def test_it_stops_without_a_trace_and_comes_back_as_the_same(sandbox: GlobusSandbox, endpoint: RealEndpoint) -> None:
    known = sandbox.world.compute.endpoints[endpoint.id]
    assert result_of(sandbox, submit(sandbox, endpoint, 1)) == 3
    processes = [psutil.Process(pid) for pid in endpoint.pids]
    assert len(processes) >= 3  # the core endpoint, a user endpoint, a worker

    endpoint.stop()
    assert [process for process in processes if lives(process)] == []
    assert endpoint.pids == []
    assert not known.online
    waiting = submit(sandbox, endpoint, 2)
    assert sandbox.world.compute.tasks[waiting].status == "waiting-for-ep"

    endpoint.start()
    assert sandbox.world.compute.endpoints == {endpoint.id: known}
    assert result_of(sandbox, waiting) == 6


def test_a_killed_one_is_gone_at_once_and_can_come_back(sandbox: GlobusSandbox, endpoint: RealEndpoint) -> None:
    assert result_of(sandbox, submit(sandbox, endpoint, 1)) == 3
    endpoint.kill()
    assert endpoint.pids == []
    endpoint.start()
    assert result_of(sandbox, submit(sandbox, endpoint, 3)) == 9


def test_one_that_cannot_register_shows_its_log(endpoint_command: Path, tmp_path: Path) -> None:
    settings = tmp_path / "globus_compute" / "sandbox"
    settings.mkdir(parents=True)
    (settings / "endpoint.json").write_text('{"endpoint_id": "of another sandbox"}')
    with (
        GlobusSandbox() as sandbox,
        pytest.raises(RealEndpointError, match=r"(?s)ended while starting.*POST /v3/endpoints without an AMQP broker"),
        RealEndpoint(sandbox, endpoint_command, folder=tmp_path),
    ):
        pass


def test_a_missing_program_is_told(sandbox: GlobusSandbox, tmp_path: Path) -> None:
    with pytest.raises(RealEndpointError, match="install the package globus-compute-endpoint"):
        RealEndpoint(sandbox, tmp_path / "none").start()
