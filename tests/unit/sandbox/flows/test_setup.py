"""Flows that a sandbox starts with, and what it tells of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.sandbox.seed import Seed, SeedError
from airflow_provider_globus.sandbox.world import World
from tests.unit.sandbox.flows.conftest import NOTE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.sandbox.flows.conftest import Lab


def seeded(entry: dict[str, Any], folder: Path) -> World:
    world = World()
    path = folder / "seed.yaml"
    path.write_text(json.dumps({"identities": [{"username": "ada@example.edu"}], "flows": [entry]}))
    Seed.load(path).apply(world)
    return world


def test_a_seed_has_flows(tmp_path: Path) -> None:
    (tmp_path / "note.json").write_text(json.dumps(NOTE))
    (tmp_path / "schema.yaml").write_text("type: object\nrequired: [n]\n")
    entry = {
        "title": "Publish",
        "alias": "publish",
        "definition_file": "note.json",
        "input_schema_file": "schema.yaml",
        "owner": "ada@example.edu",
        "starters": ["all_authenticated_users"],
        "viewers": ["public"],
        "keywords": ["k"],
    }
    first, second = (seeded(entry, tmp_path) for _ in range(2))
    (flow,) = first.flows.flows.values()
    assert list(second.flows.flows) == [flow.id]
    ada = first.auth.identity_by_username("ada@example.edu")
    assert ada is not None
    assert flow.owner_urn == f"urn:globus:auth:identity:{ada.id}"
    assert (flow.definition, flow.input_schema) == (NOTE, {"type": "object", "required": ["n"]})
    assert (flow.starters, flow.viewers, flow.keywords) == (["all_authenticated_users"], ["public"], ["k"])


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"title": "t"}, "definition_file"),
        ({"title": "t", "definition_file": "missing.json"}, "missing.json"),
        ({"title": "t", "definition": {"StartAt": "A", "States": {}}}, "flow 't'"),
        ({"title": "t", "definition": NOTE, "input_schema": {"type": "x"}}, "flow 't'"),
        ({"title": "t", "definition": NOTE, "owner": "nobody@example.edu"}, "nobody@example.edu"),
        ({"title": "t", "definition": NOTE, "colour": "red"}, "colour"),
    ],
)
def test_a_seed_whose_flows_cannot_be(entry: dict[str, Any], why: str, tmp_path: Path) -> None:
    with pytest.raises(SeedError, match=why):
        seeded(entry, tmp_path)


def test_the_connection_names_flows(lab: Lab) -> None:
    told: list[str] = []
    lab.sandbox.on_connection_change = lambda: told.append(lab.sandbox.connection)
    named = lab.sandbox.add_flow("Publish", NOTE, alias="publish")
    plain = lab.sandbox.add_flow("Archive", NOTE)
    assert json.loads(told[-1])["extra"]["flows"] == {"publish": named.id, "Archive": plain.id}


def test_what_cannot_be_added_twice(lab: Lab) -> None:
    flow = lab.sandbox.add_flow("a", NOTE, alias="x")
    with pytest.raises(ValueError, match="alias 'x'"):
        lab.sandbox.add_flow("b", NOTE, alias="x")
    with pytest.raises(ValueError, match=flow.id):
        lab.sandbox.add_flow("b", NOTE, id=flow.id)


def test_a_flow_is_somebody_as_long_as_it_is_there(lab: Lab) -> None:
    flow = lab.sandbox.add_flow("a", NOTE)
    identity = lab.world.auth.identity_by_username(f"{flow.id}@clients.auth.globus.org")
    assert identity is not None
    assert identity.id == flow.id
    scope = lab.client().get_flow(flow.id)["globus_auth_scope"]
    assert lab.world.auth.scopes.resource_server(scope) == flow.id
    lab.client().delete_flow(flow.id)
    assert lab.world.auth.scopes.resource_server(scope) is None
    assert lab.world.auth.identity(flow.id) is None


def test_the_state_that_is_shown_has_nothing_of_what_runs_are_given(lab: Lab) -> None:
    run = lab.run(NOTE, {"secret": "hush"})
    shown = lab.world.snapshot()["flows"]
    assert shown["runs"] == [{"id": run.id, "flow_id": run.flow_id, "label": "", "status": "SUCCEEDED"}]
    assert [flow["title"] for flow in shown["flows"]] == ["a flow"]
    assert "hush" not in json.dumps(shown)
