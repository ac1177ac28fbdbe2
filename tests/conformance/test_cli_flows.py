"""`globus flows …`: deploy, run, watch, cancel, resume, answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from globus_sdk.scopes import ScopeParser

from tests.unit.flows import APPROVAL

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.conformance.conftest import GlobusCli

HELLO = {
    "StartAt": "Hello",
    "States": {
        "Hello": {
            "Type": "Action",
            "ActionUrl": "https://actions.globus.org/hello_world",
            "Parameters": {"echo_string.$": "$.who"},
            "ResultPath": "$.Hello",
            "End": True,
        }
    },
}
BROKEN = {"StartAt": "Hello", "States": {"Hello": {"Type": "Pass"}}}
SCHEMA = {"type": "object", "properties": {"who": {"type": "string"}}, "required": ["who"]}
WAIT = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}
MOVE = {
    "StartAt": "Move",
    "States": {
        "Move": {
            "Type": "Action",
            "ActionUrl": "https://transfer.actions.globus.org/transfer",
            "Parameters": {
                "source_endpoint.$": "$.collection",
                "destination_endpoint.$": "$.collection",
                "DATA": [{"source_path": "/a.txt", "destination_path": "/b.txt"}],
            },
            "ResultPath": "$.Move",
            "End": True,
        }
    },
}


def test_a_flow_from_its_making_to_its_end(cli: GlobusCli, tmp_path: Path) -> None:
    definition, schema = tmp_path / "definition.json", tmp_path / "schema.json"
    definition.write_text(json.dumps(HELLO))
    schema.write_text(json.dumps(SCHEMA))
    assert "Hello" not in cli.text("flows", "list")
    assert cli.json("flows", "validate", str(definition), "--input-schema", str(schema))["scopes"]
    made = cli.json("flows", "create", "Greetings", str(definition), "--input-schema", str(schema))
    assert (made["title"], made["input_schema"]) == ("Greetings", SCHEMA)
    assert "Greetings" in cli.text("flows", "list")
    shown = cli.text("flows", "show", made["id"])
    assert "Greetings" in shown
    cli.text("flows", "update", made["id"], "--title", "Salutations", "--starters", "all_authenticated_users")
    assert cli.json("flows", "show", made["id"])["flow_starters"] == ["all_authenticated_users"]
    assert "Salutations" in cli.text("flows", "delete", made["id"])
    assert "404" in cli.text("flows", "show", made["id"], fails=1)


def test_a_broken_definition_is_explained(cli: GlobusCli) -> None:
    for command in (("flows", "validate"), ("flows", "create", "Broken")):
        said = cli.text(*command, json.dumps(BROKEN), fails=1)
        assert "must be defined as either terminal" in said


def test_a_run_is_started_watched_and_deleted(cli: GlobusCli) -> None:
    flow = cli.sandbox.add_flow("Greetings", HELLO, input_schema=SCHEMA)
    arguments = ("--label", "from the CLI", "--tag", "cool")
    started = cli.json("flows", "start", flow.id, "--input", json.dumps({"who": "you"}), *arguments)
    run_id = started["run_id"]
    cli.sandbox.world.flows.wait(run_id)
    run = cli.json("flows", "run", "show", run_id)
    assert (run["status"], run["label"], run["tags"]) == ("SUCCEEDED", "from the CLI", ["cool"])
    assert run["details"]["output"]["Hello"]["details"]["hello"] == "you"
    text = cli.text("flows", "run", "show", run_id)
    assert "SUCCEEDED" in text
    logs = cli.text("flows", "run", "show-logs", run_id)
    assert "ActionCompleted" in logs
    assert "State Hello of type Action completed" in cli.text("flows", "run", "show-logs", run_id, "--details")
    assert cli.json("flows", "run", "show-definition", run_id)["definition"] == HELLO
    assert run_id in cli.text("flows", "run", "list")
    assert run_id in cli.text("flows", "run", "list", "--filter-flow-id", flow.id)
    cli.text("flows", "run", "update", run_id, "--label", "renamed")
    assert cli.json("flows", "run", "show", run_id)["label"] == "renamed"
    cli.text("flows", "run", "delete", run_id)
    assert run_id not in cli.text("flows", "run", "list")


def test_input_that_breaks_the_schema_is_explained(cli: GlobusCli) -> None:
    flow = cli.sandbox.add_flow("Greetings", HELLO, input_schema=SCHEMA)
    said = cli.text("flows", "start", flow.id, "--input", json.dumps({"who": 3}), fails=1)
    assert "Input failed schema validation with 1 error." in said
    assert "is not of type 'string'" in said


def test_a_run_is_cancelled(cli: GlobusCli) -> None:
    flow = cli.sandbox.add_flow("waiting", WAIT)
    run_id = cli.json("flows", "start", flow.id)["run_id"]
    assert cli.json("flows", "run", "cancel", run_id)["status"] == "FAILED"
    assert "FlowCanceled" in cli.text("flows", "run", "show-logs", run_id)


def test_a_suspended_run_is_resumed(cli: GlobusCli, globus_collection: CollectionFactory) -> None:
    collection = globus_collection("mapped", files={"a.txt": "a"})
    flow = cli.sandbox.add_flow("moving", MOVE)
    run_id = cli.json("flows", "start", flow.id, "--input", json.dumps({"collection": collection.id}))["run_id"]
    cli.sandbox.world.flows.wait(run_id, "INACTIVE")
    assert "INACTIVE" in cli.text("flows", "run", "show", run_id)
    # The CLI looks at the consents there are, and names the one that is missing.
    command = ("flows", "run", "resume", run_id)
    scope = cli.json("flows", "run", "show", run_id)["details"]["required_scope"]
    assert scope in cli.text(*command, fails=4)
    auth, client_id = cli.sandbox.world.auth, cli.sandbox.client_id
    auth.issue(identity_id=client_id, client_id=client_id, resource_server=flow.id, scopes=ScopeParser.parse(scope))
    cli.text(*command)
    assert cli.sandbox.world.flows.wait(run_id, "SUCCEEDED", "INACTIVE").status == "SUCCEEDED"
    assert (collection.folder / "b.txt").read_text() == "a"


def test_a_question_is_answered(cli: GlobusCli) -> None:
    flow = cli.sandbox.add_flow("approval", APPROVAL)
    body = {"respondents": [f"urn:globus:auth:identity:{cli.sandbox.client_id}"]}
    run_id = cli.json("flows", "start", flow.id, "--input", json.dumps(body))["run_id"]
    asked = cli.sandbox.world.flows.wait_for_question(run_id)
    assert "Publish?" in cli.text("flows", "web-input", "list")
    shown: Any = cli.json("flows", "web-input", "show", asked.id)
    assert shown["context"]["title"] == "Publish?"
    cli.text("flows", "web-input", "respond", asked.id, shown["options"][0]["option_id"])
    assert cli.sandbox.world.flows.wait(run_id).details["output"]["answer"]["response"] == "yes"


def test_registered_apis_are_listed_and_shown(cli: GlobusCli) -> None:
    api_id = cli.sandbox.world.flows.add_registered_api("count", len, description="counts what is sent")
    (listed,) = cli.json("flows", "registered-api", "list", "--orderby", "name:ASC")["registered_apis"]
    assert (listed["id"], listed["description"]) == (api_id, "counts what is sent")
    assert "count" in cli.text("flows", "registered-api", "list")
    assert cli.json("flows", "registered-api", "list", "--filter-role", "viewer")["registered_apis"] == []
    shown = cli.text("flows", "registered-api", "show", api_id)
    for said in ("ACTIVE", "openapi", "python:builtins.len", f"{cli.sandbox.client_id}@clients.auth.globus.org"):
        assert said in shown
    assert "404" in cli.text("flows", "registered-api", "show", cli.sandbox.client_id, fails=1)


def test_flows_and_runs_are_filtered_ordered_and_paged(cli: GlobusCli) -> None:
    for number in range(3):
        flow = cli.sandbox.add_flow(f"flow {number}", HELLO, keywords=[f"k{number}"])
    found = cli.json("flows", "list", "--orderby", "title:DESC", "--limit", "2")["flows"]
    assert [item["title"] for item in found] == ["flow 2", "flow 1"]
    (found,) = cli.json("flows", "list", "--filter-fulltext", "FLOW 1", "--filter-role", "flow_owner")["flows"]
    assert found["title"] == "flow 1"
    run_id = cli.json("flows", "start", flow.id, "--input", json.dumps({"who": "you"}))["run_id"]
    assert [run["run_id"] for run in cli.json("flows", "run", "list", "--filter-role", "run_owner")["runs"]] == [run_id]
    assert cli.json("flows", "run", "list", "--filter-flow-id", found["id"])["runs"] == []


def test_a_suspended_run_is_resumed_without_a_look_at_why(cli: GlobusCli, globus_collection: CollectionFactory) -> None:
    collection = globus_collection("mapped")
    flow = cli.sandbox.add_flow("moving", MOVE)
    run_id = cli.json("flows", "start", flow.id, "--input", json.dumps({"collection": collection.id}))["run_id"]
    cli.sandbox.world.flows.wait(run_id, "INACTIVE")
    assert cli.json("flows", "run", "resume", run_id, "--skip-inactive-reason-check")["status"] == "ACTIVE"


def test_a_flow_with_a_policy_asks_for_a_login_that_meets_it(cli: GlobusCli) -> None:
    policy = "6f2c1d7e-0000-4000-8000-000000000000"
    flow = cli.sandbox.add_flow("high assurance", HELLO, authentication_policy_id=policy)
    for command in (("show", flow.id), ("start", flow.id)):
        assert f"globus session update --policy '{policy}'" in cli.text("flows", *command, fails=4)
