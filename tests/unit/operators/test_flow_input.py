"""A flow's input: names in it become what Globus wants where the flow's schema says so, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.exceptions import GlobusCollectionNameError
from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.operators.flow_input import resolve_input
from airflow_provider_globus.operators.flow_runs import GlobusRunFlowOperator

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.unit.conftest import TaskContext

FLOW_ID = "5a4db0c5-0000-4000-8000-0000000000aa"
PLACE = {"type": "string", "format": "globus-collection"}
MOVE = {
    "StartAt": "Move",
    "States": {
        "Move": {
            "Type": "Action",
            "ActionUrl": "https://transfer.actions.globus.org/transfer",
            "Parameters": {
                "source_endpoint.$": "$.from",
                "destination_endpoint.$": "$.to",
                "DATA": [{"source_path": "/one.txt", "destination_path": "/1.txt"}],
            },
            "ResultPath": "$.Move",
            "End": True,
        }
    },
}


def resolved(schema: Any, body: Any) -> Any:
    return resolve_input(GlobusHook(), FLOW_ID, schema, body)


@pytest.mark.usefixtures("globus_sandbox")
@pytest.mark.parametrize(
    ("schema", "body"),
    [
        (None, {"a": "source"}),
        (True, {"a": "source"}),
        ({}, {"a": "source"}),
        ({"properties": {"a": {"type": "string"}}}, {"a": "source", "b": ["source"]}),
        # What no collection or person can be is for Globus to refuse.
        ({"properties": {"a": PLACE}}, {"a": 3}),
        ({"properties": {"a": PLACE}}, {"a": ""}),
        ({"properties": {"a": PLACE}}, {"a": {"id": 3}}),
        ({"properties": {"a": {"format": "globus-principal"}}}, {"a": 3}),
        ({"properties": {"a": {"format": "globus-principal"}}}, {"a": ""}),
    ],
)
def test_what_the_schema_does_not_tell_stays_as_it_is(schema: Any, body: Any) -> None:
    assert resolved(schema, body) == body


def test_names_deep_in_the_input(globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory) -> None:
    source = globus_collection("source")
    person = globus_sandbox.add_identity("someone@example.edu")
    schema = {
        "properties": {
            "steps": {"items": {"properties": {"at": {"format": "globus-collection"}}}},
            "who": {"format": "globus-principal-identity"},
        }
    }
    body = {"steps": [{"at": {"id": "source", "path": "/x"}}, {"at": "source", "n": 1}], "who": person.username}
    assert resolved(schema, body) == {
        "steps": [{"at": {"id": source.id, "path": "/x"}}, {"at": source.id, "n": 1}],
        "who": f"urn:globus:auth:identity:{person.id}",
    }


@pytest.mark.usefixtures("globus_sandbox")
def test_a_collection_that_there_is_not() -> None:
    with pytest.raises(GlobusCollectionNameError, match="nowhere"):
        resolved({"properties": {"a": PLACE}}, {"a": "nowhere"})


def test_the_flow_may_use_what_is_named_without_a_resumption(
    globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory, context: TaskContext
) -> None:
    globus_collection("source", files={"one.txt": "1"})
    target = globus_collection("target")
    schema = {"type": "object", "properties": {"from": PLACE, "to": PLACE}}
    globus_sandbox.add_flow("move", MOVE, input_schema=schema)
    body = {"from": "source", "to": target.id}
    GlobusRunFlowOperator(task_id="a_task", flow="move", body=body, poll_interval=0.05).execute(context)
    assert (target.folder / "1.txt").read_text() == "1"
    assert globus_sandbox.journal.count("flows", "POST", "*/resume") == 0
