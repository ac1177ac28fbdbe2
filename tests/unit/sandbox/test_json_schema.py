"""JSON schemas that clients bring: what they may refer to, and what is none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.sandbox.json_schema import findings, schema_problem

if TYPE_CHECKING:
    from pathlib import Path


def test_no_file_is_read_that_a_schema_refers_to(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text(json.dumps({"const": "hush"}))
    (found,) = findings({"$ref": file.as_uri()}, {"a": 1})
    assert "which is not in it" in found.message
    assert "hush" not in found.message


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"$ref": "http://127.0.0.1:9/x"}, "refers to 'http://127.0.0.1:9/x', which is not in it"),
        ({"properties": {"a": {"$ref": "#/definitions/none"}}}, "which is not in it"),
        ({"$id": "http://[", "$ref": "x"}, "which is not in it"),
        ({"$ref": "#"}, "refers to itself without an end"),
    ],
)
def test_a_reference_that_leads_nowhere_is_a_finding(schema: dict[str, Any], message: str) -> None:
    (found,) = findings(schema, {"a": 1})
    assert (found.json_path, message in found.message) == ("$", True)


def test_references_within_a_schema_and_to_drafts_are_followed() -> None:
    schema = {"definitions": {"n": {"type": "integer"}}, "properties": {"a": {"$ref": "#/definitions/n"}}}
    assert [(item.json_path, item.path) for item in findings(schema, {"a": "x"})] == [("$.a", ("a",))]
    assert findings({"$ref": "http://json-schema.org/draft-07/schema#"}, {"type": "object"}) == []


@pytest.mark.parametrize(
    "schema", [{"$schema": ["x"]}, {"type": 1}, {"$ref": 5}, {"properties": {"a": {"pattern": "("}}}]
)
def test_what_is_no_schema_is_told(schema: dict[str, Any]) -> None:
    assert schema_problem(schema) is not None
