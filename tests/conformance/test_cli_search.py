"""`globus search …`: indexes, roles on them, records put in, found and taken out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.sandbox.search.models import DELETE_PENDING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conformance.conftest import GlobusCli


def entry(subject: str, content: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"@datatype": "GMetaEntry", "subject": subject, "content": content, "visible_to": ["public"], **more}


ONE = entry("https://example.org/one", {"title": "first light", "year": 2025})
TWO = entry("https://example.org/two", {"title": "second light", "year": 2026})


@pytest.fixture
def index(cli: GlobusCli) -> str:
    return cli.sandbox.add_search_index("catalogue", description="of everything").id


def ingest(cli: GlobusCli, index: str, *entries: dict[str, Any]) -> str:
    """Put records in, and return the id of the task."""
    document = {"@datatype": "GMetaList", "gmeta": list(entries)}
    return str(cli.json("search", "ingest", index, json.dumps(document))["task_id"])


def subjects(found: dict[str, Any]) -> list[str]:
    return [result["subject"] for result in found["gmeta"]]


def test_an_index_from_its_making_to_its_end(cli: GlobusCli) -> None:
    made = cli.json("search", "index", "create", "scans", "of a beamline")
    assert (made["display_name"], made["description"], made["status"]) == ("scans", "of a beamline", "open")
    listed = cli.text("search", "index", "list")
    assert made["id"] in listed
    assert "owner" in listed
    assert "scans" in cli.text("search", "index", "show", made["id"])
    assert cli.json("search", "index", "show", made["id"])["description"] == "of a beamline"
    assert cli.json("search", "index", "delete", made["id"])["acknowledged"] is True
    assert cli.sandbox.world.search.indexes[made["id"]].status == DELETE_PENDING
    said = cli.text("search", "index", "delete", made["id"], fails=1)
    assert "Conflict.IncompatibleIndexStatus" in said


def test_records_are_put_in_found_and_taken_out(cli: GlobusCli, index: str, tmp_path: Path) -> None:
    file = tmp_path / "records.json"
    file.write_text(json.dumps({"@datatype": "GMetaList", "gmeta": [ONE, TWO]}))
    said = cli.text("search", "ingest", index, str(file))
    assert "Acknowledged: True" in said
    assert subjects(cli.json("search", "query", index, "-q", "light")) == [ONE["subject"], TWO["subject"]]
    assert subjects(cli.json("search", "query", index, "-q", "year:2026", "--advanced")) == [TWO["subject"]]
    assert subjects(cli.json("search", "query", index, "-q", "*", "--limit", "1")) == [ONE["subject"]]
    query = {"filters": [{"type": "range", "field_name": "year", "values": [{"from": 2026, "to": "*"}]}]}
    found = cli.json("search", "query", index, "--query-document", json.dumps(query))
    assert subjects(found) == [TWO["subject"]]
    assert cli.json("search", "subject", "show", index, str(ONE["subject"]))["entries"][0]["content"] == ONE["content"]
    assert "first light" in cli.text("search", "subject", "show", index, str(ONE["subject"]))
    taken_out = cli.json("search", "subject", "delete", index, str(ONE["subject"]))
    assert cli.json("search", "task", "show", taken_out["task_id"])["task_type"] == "delete-by-subject"
    assert "404" in cli.text("search", "subject", "show", index, str(ONE["subject"]), fails=1)
    task_id = cli.json("search", "delete-by-query", index, "-q", "second")["task_id"]
    assert cli.json("search", "task", "show", task_id)["task_type"] == "delete-by-query"
    assert cli.json("search", "query", index, "-q", "*")["total"] == 0


def test_tasks_are_watched(cli: GlobusCli, index: str) -> None:
    done = ingest(cli, index, ONE)
    cli.sandbox.settings.search_task_seconds = 60
    waiting = ingest(cli, index, TWO)
    text = cli.text("search", "task", "show", waiting)
    assert "PENDING (Task is waiting to start)" in text
    assert index in text
    assert "SUCCESS (Task succeeded)" in cli.text("search", "task", "show", done)
    listed = cli.text("search", "task", "list", index)
    assert "PENDING" in listed
    assert "SUCCESS" in listed
    assert [task["task_id"] for task in cli.json("search", "task", "list", index)["tasks"]] == [waiting, done]


def test_roles_on_an_index(cli: GlobusCli, index: str) -> None:
    ada = cli.sandbox.add_identity("ada@example.org")
    made = cli.json("search", "index", "role", "create", index, "writer", ada.username)
    assert made["principal"] == f"urn:globus:auth:identity:{ada.id}"
    group = cli.sandbox.add_group("curators", members=[ada.id]).id
    cli.text("search", "index", "role", "create", index, "admin", group, "--type", "group")
    listed = cli.text("search", "index", "role", "list", index)
    assert "ada@example.org" in listed
    assert group in listed
    roles = cli.json("search", "index", "role", "list", index)["role_list"]
    assert [(role["role_name"], role["principal_type"]) for role in roles] == [
        ("owner", "identity"),
        ("writer", "identity"),
        ("admin", "group"),
    ]
    assert cli.json("search", "index", "role", "delete", index, made["id"])["success"] is True
    assert "ada@example.org" not in cli.text("search", "index", "role", "list", index)


def test_refusals_are_told(cli: GlobusCli, index: str) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    said = cli.text("search", "query", unknown, "-q", "*", fails=1)
    assert "NotFound.NoSuchIndex" in said
    assert f'There is no search index named "{unknown}"' in said
    incomplete = {name: value for name, value in ONE.items() if name != "visible_to"}
    said = cli.text("search", "ingest", index, json.dumps(incomplete), fails=1)
    assert "BadRequest.ValidationError" in said
    assert "Missing data for required field." in said
    other = cli.of(cli.sandbox.add_client("other"))
    said = other.text("search", "ingest", index, json.dumps(ONE), fails=1)
    assert "Forbidden.Generic" in said
