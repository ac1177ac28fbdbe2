"""Flows in every state that its documents tell of, for the tests that compare them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.conformance.openapi import OpenApi
from tests.unit.flows import APPROVAL
from tests.unit.sandbox.flows.conftest import NOTE, Lab

if TYPE_CHECKING:
    from globus_sdk import FlowsClient, SpecificFlowClient

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.flows.models import Flow

__all__ = ["NOTE"]

APIS = ("one", "two", "three", "four", "five")
WAIT: dict[str, Any] = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}
PATH: dict[str, Any] = {
    "StartAt": "One",
    "States": {"One": {"Type": "Pass", "Next": "Two"}, "Two": {"Type": "Pass", "End": True}},
}
HELLO: dict[str, Any] = {
    "StartAt": "Hello",
    "States": {
        "Hello": {
            "Type": "Action",
            "ActionUrl": "https://actions.globus.org/hello_world",
            "Parameters": {"echo_string": "foo"},
            "ResultPath": "$.Hello",
            "End": True,
        }
    },
}
FAIL: dict[str, Any] = {
    "StartAt": "Fail",
    "States": {"Fail": {"Type": "Fail", "Error": "TooFewFiles", "Cause": "There are none"}},
}
TABLE = {"PresentationStyle": "Table", "Title": "Publish?", "Rows": [{"Field": "Version", "Value": "2"}]}


class FlowsSite:
    """One sandbox, by the owner of its flows and by a person who is asked."""

    def __init__(self, sandbox: GlobusSandbox) -> None:
        self.sandbox = sandbox
        self.lab = Lab(sandbox)
        self.client: FlowsClient = self.lab.client()
        self.person: FlowsClient = self.lab.client(self.lab.person.id)

    def flow(self, definition: dict[str, Any], **more: Any) -> Flow:
        return self.sandbox.add_flow("Multi Step Transfer", definition, **more)

    def flow_client(self, flow_id: str, identity_id: str | None = None) -> SpecificFlowClient:
        return self.lab.flow_client(flow_id, identity_id)

    def start(self, flow: Flow, body: dict[str, Any] | None = None) -> str:
        return str(self.flow_client(flow.id).run_flow(body or {}, label="My Cool Run", tags=["cool"])["run_id"])

    def wait(self, run_id: str, *statuses: str) -> str:
        self.sandbox.world.flows.wait(run_id, *statuses)
        return run_id

    def succeeded(self, definition: dict[str, Any] = HELLO) -> str:
        return self.wait(self.start(self.flow(definition)))

    def failed(self) -> str:
        return self.wait(self.start(self.flow(FAIL)))

    def active(self) -> str:
        return self.start(self.flow(WAIT))

    def monitored(self) -> str:
        """A run that the person may only look at."""
        urn = f"urn:globus:auth:identity:{self.lab.person.id}"
        client = self.flow_client(self.flow(NOTE).id)
        return self.wait(str(client.run_flow({}, run_monitors=[urn])["run_id"]))

    def suspended(self) -> str:
        """A run that lacks a consent."""
        return self.wait(self.start(self.flow(self.moving())), "INACTIVE")

    def moving(self) -> dict[str, Any]:
        """A flow that needs a consent to a mapped collection."""
        collection = self.sandbox.add_collection("mapped", self.sandbox.world.connect_server.folder).id
        return {
            "StartAt": "Move",
            "States": {
                "Move": {
                    "Type": "Action",
                    "ActionUrl": "https://transfer.actions.globus.org/transfer",
                    "Parameters": {
                        "source_endpoint": collection,
                        "destination_endpoint": collection,
                        "DATA": [{"source_path": "/a.txt", "destination_path": "/b.txt"}],
                    },
                    "ResultPath": "$.Move",
                    "End": True,
                }
            },
        }

    def asked(self, *, table: bool = False) -> str:
        """The id of what a run asks the person."""
        definition = APPROVAL
        if table:
            ask = APPROVAL["States"]["Ask"]
            asked = {**ask, "Parameters": {**ask["Parameters"], "Context": TABLE}}
            definition = {**APPROVAL, "States": {**APPROVAL["States"], "Ask": asked}}
        urn = f"urn:globus:auth:identity:{self.lab.person.id}"
        run_id = self.start(self.flow(definition), {"respondents": [urn]})
        return self.sandbox.world.flows.wait_for_question(run_id).id

    def listed_flows(self) -> Any:
        self.flow(NOTE)
        return self.client.list_flows()


_NULL = "recordings have null: the types that the schema was made from do not say where it may be"
_RECORDED = "recordings of runs and flows have it"
_WRONG = {
    ".marker: None is not of type 'string'": _NULL,
    **{
        f"{where}: 'completion_time' is a required property": (
            "no recording of a run that has not ended has it, be it active or suspended"
        )
        for where in ("", ".runs[]", ".actions[]")
    },
    ".error.detail[].loc[]: 0 is not of type 'string'": "the recorded error of create_flow has numbers in it",
    ".error.detail[].loc[]: 1 is not of type 'string'": "the recorded error of create_flow has numbers in it",
    ".flow_description: Additional properties are not allowed ('globus_auth_scope' was unexpected)": _RECORDED,
    ": Additional properties are not allowed ('limit' was unexpected)": "recordings of runs have it",
    ": Additional properties are not allowed ('debug_id' was unexpected)": (
        "every recorded error has it, save those of web inputs"
    ),
    ".error: Additional properties are not allowed ('message' was unexpected)": (
        "the recorded error of validate_flow has it"
    ),
}
_UNLISTED = {
    **dict.fromkeys(("flow_title", "created_by", "manage_by", "monitor_by"), _RECORDED),
    **dict.fromkeys(("action_url", "visible_to", "runnable_by", "administered_by"), _RECORDED),
    **dict.fromkeys(("run_managers", "run_monitors"), "recordings of flows have them, and the schema those of runs"),
    **dict.fromkeys(("DELETED", "deleted_at"), "the recording of a deleted flow has it"),
    "blocking_web_input_id": "the types of globus-sdk-javascript at a30fbfb have it",
    "globus_auth_scopes_by_RunAs": "the guide to authoring flows has an object of roles, the schema a list",
    "authentication_policy_id": "what the SDK sends when it creates a flow",
}


def schemas() -> OpenApi:
    """The published schemas of Flows, and what real answers have otherwise."""
    return OpenApi("flows", wrong=_WRONG, unlisted=_UNLISTED)
