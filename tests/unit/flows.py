"""A flow that asks a person, and one run of it that waits for the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.hooks.globus import GlobusHook

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox

APPROVAL: dict[str, Any] = {
    "StartAt": "Ask",
    "States": {
        "Ask": {
            "Type": "CreateWebInput",
            "Parameters": {
                "InputType": "Selection",
                "Context": {"PresentationStyle": "Text", "Title": "Publish?", "Text": "One dataset is ready."},
                "Options": [
                    {"Value": "yes", "Label": "Approve", "Description": "Publish it."},
                    {"Value": "no", "Label": "Reject", "Description": "Keep it."},
                ],
                "RespondentUrns.$": "$.respondents",
            },
            "ResultPath": "$.asked",
            "Next": "Answer",
        },
        "Answer": {
            "Type": "AwaitWebInput",
            "Parameters": {"web_input_id.$": "$.asked.web_input_id"},
            "ResultPath": "$.answer",
            "End": True,
        },
    },
}


def ask(globus: GlobusSandbox, respondent: str | None = None) -> tuple[str, dict[str, Any]]:
    """Start a run, and return its id with the question it asks, once it does."""
    flow = globus.add_flow("approval", APPROVAL)
    urn = respondent or f"urn:globus:auth:identity:{globus.client_id}"
    hook = GlobusHook()
    run_id = str(hook.specific_flow_client(flow.id).run_flow({"respondents": [urn]})["run_id"])
    asked = globus.world.flows.wait_for_question(run_id)
    return run_id, hook.flows_client().get_web_input(asked.id).data if respondent is None else {"id": asked.id}
