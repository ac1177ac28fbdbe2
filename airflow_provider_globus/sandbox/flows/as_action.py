"""Flows as action providers: a state of a flow that runs another flow."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from airflow_provider_globus.sandbox.action_providers.base import (
    ACTIVE,
    FAILED,
    INACTIVE,
    SUCCEEDED,
    Action,
    ActionRefused,
    Progress,
)
from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.flows import access
from airflow_provider_globus.sandbox.flows.run_request import check_body

_URL = re.compile(r"https://flows(?:\.automate)?\.globus\.org/flows/([0-9a-f-]{36})")


class FlowProvider:
    """Runs a flow for another one, in the name of who runs that."""

    title: ClassVar[str] = "Flow"
    urls: ClassVar[tuple[str, ...]] = ()
    scope: ClassVar[str] = "https://auth.globus.org/scopes/eec9b274-0c81-4334-bdc2-54e90e689b9a/run"
    input_schema: ClassVar[dict[str, Any]] = {"type": "object"}

    def __init__(self, flow_id: str) -> None:
        self._flow_id = flow_id

    @classmethod
    def of(cls, url: str) -> FlowProvider | None:
        """Return the provider that a flow's URL is."""
        found = _URL.fullmatch(url)
        return cls(found[1]) if found else None

    def start(self, action: Action) -> Progress:
        """Run the flow; a suspended one is resumed."""
        flows = action.world.flows
        if run_id := action.memory.get("run_id"):
            flows.resume(flows.runs[run_id])
            return self.progress(action)
        try:
            flow = access.flow_for(flows, action.caller, self._flow_id, "RUN")
            check_body(flow, action.body)
        except ServiceError as error:
            raise ActionRefused(error.status, error.code, error.message) from None
        label = f"{action.run_label} ({flow.title})"[:64]
        run = flows.create_run(flow, action.caller, body=action.body, label=label)
        action.memory["run_id"] = action.id = run.id
        flows.begin(run)
        return self.progress(action)

    def progress(self, action: Action) -> Progress:
        """Tell how far the run is."""
        run = action.world.flows.runs.get(action.memory["run_id"])
        if run is None:
            return Progress(FAILED, {"code": "NotFound", "description": "The run was released"})
        status = run.status if run.status in (ACTIVE, INACTIVE, SUCCEEDED) else FAILED
        return Progress(status, dict(run.details))

    def cancel(self, action: Action) -> None:
        """Cancel the run."""
        flows = action.world.flows
        if (run := flows.runs.get(action.memory.get("run_id", ""))) and not run.ended:
            flows.cancel(run)
