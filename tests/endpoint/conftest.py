"""One laboratory for two kinds of Compute endpoint: the sandbox's own workers, and a real endpoint behind RabbitMQ.

A test that takes `endpoint_lab` runs with both. What is not installed is skipped, with what to do about it as the
reason, unless `GLOBUS_ENDPOINT_TESTS=required` (`make test-endpoint`) makes that a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import globus_sdk
import psutil  # type: ignore[import-untyped]
import pytest
from globus_sdk.token_storage import MemoryTokenStorage

from airflow_provider_globus.sandbox.compute.real_endpoint import COMMAND, RealEndpoint
from airflow_provider_globus.sandbox.pytest_plugin import CONNECTION_VARIABLE
from airflow_provider_globus.sandbox.rabbitmq import RabbitMQ, find_rabbitmq
from airflow_provider_globus.sandbox.server import GlobusSandbox
from tests.installed import missing

if TYPE_CHECKING:
    from globus_compute_sdk import Client

    from airflow_provider_globus.sandbox.compute.models import ComputeTask

#: The SDK's own has no types: a `globus_compute_sdk.Executor`.
Executor = Any
Kind = Literal["sandbox workers", "real endpoint"]

ROOT = Path(__file__).resolve().parents[2]
ENDPOINT_COMMAND = ROOT / ".venv-endpoint" / "bin" / COMMAND
DEMANDED_BY = "GLOBUS_ENDPOINT_TESTS"
NO_RABBITMQ = "RabbitMQ is not installed: run `make test-endpoint` (Debian, root), or install rabbitmq-server"
NO_ENDPOINT = "globus-compute-endpoint is not installed: run `make test-endpoint`"
# Real seconds until a task must have ended: an endpoint notices some worker deaths by missing heartbeats only.
TASK_SECONDS = 90.0


@dataclass(frozen=True)
class EndpointLab:
    """A sandbox with one Compute endpoint, ``hpc`` in Airflow's connection.

    :param has_broker: whether the sandbox has an AMQP broker, which the SDK's ``Executor`` needs.
    :param real: the real endpoint, when it is one.
    """

    kind: Kind
    sandbox: GlobusSandbox
    endpoint_id: str
    has_broker: bool
    real: RealEndpoint | None = None

    @property
    def tasks(self) -> list[ComputeTask]:
        """All tasks since the test began, in the order of their submission."""
        return list(self.sandbox.world.compute.tasks.values())

    def wait(self, task_id: str) -> ComputeTask:
        """Wait until a task has ended."""
        return self.sandbox.world.compute.wait(task_id, TASK_SECONDS)


def processes_of(folder: Path) -> list[psutil.Process]:
    """Return what runs for a broker: all of it has the broker's folder as its home."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("HOME") == str(folder):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


@pytest.fixture(scope="session")
def optional_broker() -> Iterator[RabbitMQ | None]:
    """A RabbitMQ of our own, when this machine has one."""
    if find_rabbitmq() is None:
        yield None
        return
    with RabbitMQ() as broker:
        yield broker


@pytest.fixture(scope="session")
def broker(optional_broker: RabbitMQ | None) -> RabbitMQ:
    """A RabbitMQ of our own; tests without one are skipped."""
    if optional_broker is None:
        missing(NO_RABBITMQ, DEMANDED_BY)
    assert optional_broker is not None
    return optional_broker


@pytest.fixture(scope="session")
def second_broker(broker: RabbitMQ) -> Iterator[RabbitMQ]:
    """Another RabbitMQ, beside `broker`, for tests that stop and start it."""
    with RabbitMQ() as second:
        yield second


@pytest.fixture(scope="session")
def endpoint_command() -> Path:
    """The program ``globus-compute-endpoint``; tests without it are skipped."""
    if not ENDPOINT_COMMAND.exists():
        missing(NO_ENDPOINT, DEMANDED_BY)
    return ENDPOINT_COMMAND


@pytest.fixture(scope="session")
def _workers_lab(optional_broker: RabbitMQ | None) -> Iterator[EndpointLab]:
    url = optional_broker.url if optional_broker else None
    with GlobusSandbox(amqp_url=url) as sandbox:
        schema = {"type": "object", "properties": {"workers": {"type": "integer", "minimum": 1}}}
        endpoint = sandbox.add_compute_endpoint("hpc", user_config_schema=schema)
        sandbox.mark()
        yield EndpointLab("sandbox workers", sandbox, endpoint.id, has_broker=url is not None)


@pytest.fixture(scope="session")
def _real_lab(broker: RabbitMQ, endpoint_command: Path) -> Iterator[EndpointLab]:
    with GlobusSandbox(amqp_url=broker.url) as sandbox, RealEndpoint(sandbox, endpoint_command, name="hpc") as endpoint:
        sandbox.mark()
        yield EndpointLab("real endpoint", sandbox, endpoint.id, has_broker=True, real=endpoint)


@pytest.fixture(
    params=[
        pytest.param("_workers_lab", id="sandbox workers"),
        pytest.param("_real_lab", id="real endpoint", marks=pytest.mark.endpoint),
    ]
)
def endpoint_lab(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[EndpointLab]:
    """A Compute endpoint, once of each kind; Airflow's connection and the SDK's environment lead to its sandbox."""
    lab: EndpointLab = request.getfixturevalue(request.param)
    lab.sandbox.reset()
    for name, value in lab.sandbox.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(CONNECTION_VARIABLE, lab.sandbox.connection)
    yield lab
    lab.sandbox.reset()


@pytest.fixture
def sdk_client(endpoint_lab: EndpointLab, monkeypatch: pytest.MonkeyPatch) -> Client:
    """The Compute SDK's own client, unmodified."""
    from globus_compute_sdk import Client
    from globus_compute_sdk.serialize import AllCodeStrategies

    # It knows one local service, http://localhost:5000; as its proxy, the sandbox gets what is for that.
    monkeypatch.setenv("http_proxy", endpoint_lab.sandbox.url)
    monkeypatch.setenv("no_proxy", "")
    config = globus_sdk.GlobusAppConfig(token_storage=MemoryTokenStorage())
    app = globus_sdk.ClientApp(
        "tests",
        client_id=endpoint_lab.sandbox.client_id,
        client_secret=endpoint_lab.sandbox.client_secret,
        config=config,
    )
    # The functions of a test travel as source: the endpoint cannot import the test.
    return Client(local_compute_services=True, app=app, code_serialization_strategy=AllCodeStrategies())


@pytest.fixture
def outcome(endpoint_lab: EndpointLab, sdk_client: Client) -> Callable[..., Any]:
    """Run a function at the endpoint with the SDK, and return or raise what it does."""

    def run(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        function_id = sdk_client.register_function(function)
        task_id = sdk_client.run(*args, endpoint_id=endpoint_lab.endpoint_id, function_id=function_id, **kwargs)
        endpoint_lab.wait(task_id)
        return sdk_client.get_result(task_id)

    return run


@pytest.fixture
def executor(endpoint_lab: EndpointLab, sdk_client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
    """The Compute SDK's ``Executor``, which needs a broker."""
    import globus_compute_sdk

    if not endpoint_lab.has_broker:
        missing(NO_RABBITMQ, DEMANDED_BY)
    # One task group for all executors of a process, which would outlive the sandbox that knows it.
    monkeypatch.setattr(globus_compute_sdk.Executor, "_default_task_group_id", None)
    with globus_compute_sdk.Executor(endpoint_lab.endpoint_id, client=sdk_client) as executor:
        yield executor
        leave(executor)


def leave(executor: Executor) -> None:
    """Have an executor go as the end of its process would: what listens for it would live as long as ours."""
    from globus_compute_sdk.sdk import executor as module

    executor.shutdown(wait=False, cancel_futures=True)
    watchers: list[Any] = list(module._RESULT_WATCHERS.values())
    for watcher in watchers:
        watcher.shutdown(cancel_futures=True)
