"""Flows to run, and clients to run them with."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import AccessTokenAuthorizer, FlowsClient, SpecificFlowClient
from globus_sdk.scopes import FlowsScopes, GCSCollectionScopes, SpecificFlowScopes, TransferScopes
from globus_sdk.transport import RetryConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.flows.models import Flow, Run

NOTE = {"StartAt": "Note", "States": {"Note": {"Type": "Pass", "End": True}}}


def until(check: Callable[[], Any]) -> None:
    """Wait for what tells nobody that it has come to pass; for at most some seconds."""
    pause = threading.Event()
    for _ in range(400):
        if check():
            return
        pause.wait(0.02)
    raise AssertionError("it did not come to pass")


class Lab:
    """One sandbox, and whoever uses its Flows service."""

    def __init__(self, sandbox: GlobusSandbox) -> None:
        self.sandbox = sandbox
        self.world = sandbox.world
        self.person = sandbox.add_identity("ada@example.edu")
        self.other = sandbox.add_identity("bob@example.edu")

    def token(self, server: str, scopes: Any, identity_id: str | None = None) -> str:
        client_id = self.sandbox.client_id
        issued = self.world.auth.issue(
            identity_id=identity_id or client_id, client_id=client_id, resource_server=server, scopes=scopes
        )
        return issued.value

    def client(self, identity_id: str | None = None, *names: str) -> FlowsClient:
        wanted = [getattr(FlowsScopes, name) for name in names or ("all",)]
        token = self.token("flows.globus.org", wanted, identity_id)
        return FlowsClient(authorizer=AccessTokenAuthorizer(token), retry_config=RetryConfig(max_retries=0))

    def flow_client(
        self, flow: Flow | str, identity_id: str | None = None, *, collections: list[str] | None = None
    ) -> SpecificFlowClient:
        flow_id = flow if isinstance(flow, str) else flow.id
        access = [GCSCollectionScopes(c).data_access.with_optional(True) for c in collections or []]
        scope = SpecificFlowScopes(flow_id).user.with_dependency(TransferScopes.all.with_dependencies(access))
        token = self.token(flow_id, [scope], identity_id)
        return SpecificFlowClient(
            flow_id, authorizer=AccessTokenAuthorizer(token), retry_config=RetryConfig(max_retries=0)
        )

    def run(self, definition: dict[str, Any], body: dict[str, Any] | None = None, **more: Any) -> Run:
        """Deploy a flow, run it, and return the run once it has ended (or is as `until` says)."""
        until = more.pop("until", ())
        collections = more.pop("collections", None)
        flow = self.sandbox.add_flow("a flow", definition, **more)
        started = self.flow_client(flow, collections=collections).run_flow(body or {})
        return self.world.flows.wait(started["run_id"], *until)

    def reaches(self, run: Run, code: str) -> None:
        """Wait until the latest entry of a run's log has a code."""
        flows = self.world.flows
        with flows.changed:
            assert flows.changed.wait_for(lambda: run.log and run.log[-1].code == code, 10), run.log

    def output(self, definition: dict[str, Any], body: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        run = self.run(definition, body, **more)
        assert run.status == "SUCCEEDED", run.details
        return dict(run.details["output"])


@pytest.fixture
def lab(globus_sandbox: GlobusSandbox) -> Lab:
    return Lab(globus_sandbox)
