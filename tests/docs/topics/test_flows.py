"""Flows, and people in them: a flow is deployed and run, and a reviewer answers what it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from globus_sdk import AccessTokenAuthorizer, FlowsClient
from globus_sdk.scopes import FlowsScopes

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.docs.page import Page

PUBLISH = """
StartAt: Ask
States:
  Ask:
    Type: CreateWebInput
    Parameters:
      InputType: Selection
      Context: {{PresentationStyle: Text, Title: "Publish?", Text: "Publish what is in staging?"}}
      Options: [{{Value: approve, Label: Approve}}, {{Value: reject, Label: Reject}}]
      RespondentUrns.=: "[reviewer]"
    ResultPath: $.Question
    Next: Await
  Await:
    Type: AwaitWebInput
    Parameters: {{web_input_id.$: $.Question.web_input_id}}
    ResultPath: $.Answer
    Next: Decide
  Decide:
    Type: Choice
    Choices: [{{Variable: $.Answer.response, StringEquals: approve, Next: Ingest}}]
    Default: Rejected
  Rejected: {{Type: Fail, Error: Rejected, Cause: "The reviewer has said no"}}
  Ingest:
    Type: Action
    ActionUrl: https://actions.globus.org/search/ingest
    Parameters:
      search_index: {index}
      subject.=: "'globus://' + source.id + source.path"
      visible_to: [public]
      content: {{title: Dataset}}
    ResultPath: $.Ingest
    End: true
"""
PUBLISH_INPUT = """
type: object
required: [source, reviewer]
properties:
  source: {type: object, format: globus-collection}
  reviewer: {type: string, format: globus-principal}
"""


def test_flow(page: Page, globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory) -> None:
    staging = globus_collection("staging", files={f"{page.ds}/a.csv": "1,2"})
    index = globus_sandbox.add_search_index("catalogue")
    for person in ("reviewer@example.edu", "colleague@example.edu"):
        globus_sandbox.add_identity(person)
    (page.folder / "flows").mkdir()
    (page.folder / "flows/publish.yaml").write_text(PUBLISH.format(index=index.id))
    (page.folder / "flows/publish_input.yaml").write_text(PUBLISH_INPUT)
    page.dag("publish", meanwhile=lambda: answer(globus_sandbox, "Approve"))
    page.run()
    results = page.results("publish")
    assert results["deploy"]["action"] == "created"
    (flow,) = globus_sandbox.world.flows.flows.values()
    (flow_run,) = globus_sandbox.world.flows.runs.values()
    assert results["run"] == flow_run.details["output"]["Ingest"]["details"]["task_id"]
    assert list(index.entries) == [(f"globus://{staging.id}/{page.ds}/", None)]
    assert flow.starters


def answer(sandbox: GlobusSandbox, label: str) -> None:
    """Let the reviewer answer what a flow asks them."""
    reviewer = sandbox.world.auth.identity_by_username("reviewer@example.edu")
    assert reviewer is not None
    token = sandbox.world.auth.issue(
        identity_id=reviewer.id,
        client_id=sandbox.client_id,
        resource_server="flows.globus.org",
        scopes=[FlowsScopes.run_manage],
    )
    client = FlowsClient(base_url=sandbox.url, authorizer=AccessTokenAuthorizer(token.value))
    for question in [item for item in sandbox.world.flows.web_inputs.values() if item.status == "open"]:
        options = client.get_web_input(question.id)["options"]
        (option,) = [option for option in options if option["label"] == label]
        client.respond_to_web_input(question.id, option["option_id"])
