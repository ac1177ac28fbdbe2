"""A laboratory for tests of Compute: a sandbox, endpoints on folders, and the real SDK as client."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from globus_compute_sdk.serialize import ComputeSerializer, JSONData, PureSourceTextInspect
from globus_sdk import ClientApp, ComputeClientV2, ComputeClientV3, GlobusAppConfig
from globus_sdk.transport import RetryConfig

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.auth.models import Client
    from airflow_provider_globus.sandbox.compute.state import ComputeEndpoint, ComputeState, ComputeTask
    from airflow_provider_globus.sandbox.server import GlobusSandbox

PATIENCE_SECONDS = 30.0
JSON_RESULTS = ["globus_compute_sdk.serialize.JSONData"]
SERIALIZER = ComputeSerializer(strategy_code=PureSourceTextInspect, strategy_data=JSONData)


@dataclass
class Lab:
    """What tests of the Compute service work with."""

    sandbox: GlobusSandbox
    folder: Path
    _clients: dict[str, tuple[ComputeClientV2, ComputeClientV3]] = field(default_factory=dict)

    @property
    def compute(self) -> ComputeState:
        return self.sandbox.world.compute

    @property
    def v2(self) -> ComputeClientV2:
        return self.clients()[0]

    @property
    def v3(self) -> ComputeClientV3:
        return self.clients()[1]

    def clients(self, of: Client | None = None) -> tuple[ComputeClientV2, ComputeClientV3]:
        """Return the SDK's clients, of the default client or of another one."""
        who = of.id if of else self.sandbox.client_id
        if who not in self._clients:
            secret = (of.secret if of else self.sandbox.client_secret) or ""
            app = ClientApp(client_id=who, client_secret=secret, config=GlobusAppConfig(token_storage="memory"))
            more: dict[str, Any] = {"app": app, "base_url": self.sandbox.url}
            self._clients[who] = (
                ComputeClientV2(retry_config=RetryConfig(max_retries=0), **more),
                ComputeClientV3(retry_config=RetryConfig(max_retries=0), **more),
            )
        return self._clients[who]

    def endpoint(self, name: str = "hpc", **more: Any) -> ComputeEndpoint:
        """Make an endpoint whose home is a folder of its own."""
        return self.sandbox.add_compute_endpoint(name, **{"folder": self.folder / name, **more})

    def register(self, function: Callable[..., object] | str, *, of: Client | None = None, **fields: Any) -> str:
        """Register a function of a test module; or, without sending its code, one of this name."""
        name, code = (
            (function, "") if isinstance(function, str) else (function.__name__, SERIALIZER.serialize(function))
        )
        document = {
            "function_name": name,
            "function_code": SERIALIZER.pack_buffers([code]),
            "serialized": True,
            "meta": {"python_version": "3.12.6", "sdk_version": "4.19.0"},
            **fields,
        }
        return str(self.clients(of)[1].register_function(document)["function_uuid"])

    def payload(self, *args: Any, **kwargs: Any) -> str:
        return SERIALIZER.pack_buffers([SERIALIZER.serialize(list(args)), SERIALIZER.serialize(kwargs)])

    def submit(
        self,
        endpoint: ComputeEndpoint,
        function: Callable[..., object] | str,
        calls: Sequence[tuple[Any, ...]] = ((),),
        *,
        of: Client | None = None,
        **fields: Any,
    ) -> list[str]:
        """Submit calls of a function (or of a function id) and return the ids of their tasks."""
        function_id = function if isinstance(function, str) else self.register(function, of=of)
        document = {
            "tasks": {function_id: [self.payload(*call) for call in calls]},
            "result_serializers": JSON_RESULTS,
            **fields,
        }
        return list(self.clients(of)[1].submit(endpoint.id, document)["tasks"][function_id])

    def call(
        self, endpoint: ComputeEndpoint, function: Callable[..., object], *args: Any, **fields: Any
    ) -> ComputeTask:
        """Call a function once and wait for its end."""
        return self.wait(self.submit(endpoint, function, [args], **fields)[0])

    def wait(self, task_id: str) -> ComputeTask:
        return self.compute.wait(task_id, PATIENCE_SECONDS)

    def until(self, task_id: str, status: str) -> ComputeTask:
        """Wait until a task has a status."""
        task = self.compute.tasks[task_id]
        with self.compute.changed:
            assert self.compute.changed.wait_for(lambda: task.status == status, PATIENCE_SECONDS), task
        return task

    def value(self, task: ComputeTask) -> Any:
        """Return what a function returned."""
        assert task.result is not None, task.exception or task.reason
        return SERIALIZER.deserialize(task.result)

    def gate(self, name: str = "gate") -> Gate:
        """Make something functions can wait at."""
        path = self.folder / name
        os.mkfifo(path)
        return Gate(path)


@dataclass(frozen=True)
class Gate:
    """A pipe with a name: a function that reads `path` waits until the gate is opened."""

    path: Path

    def open(self) -> None:
        """Let one function pass; waits until it is there."""
        with self.path.open("w"):
            pass
