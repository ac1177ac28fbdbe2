"""`globus api …`: any request to any service, as it is sent and answered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airflow_provider_globus.sandbox.auth.scopes import ENDPOINT_ID

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.conformance.conftest import GlobusCli

NOWHERE = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def lab(globus_collection: CollectionFactory) -> CollectionFolder:
    files = {"run/a.dat": "", "run/b.dat": "", "run/c.dat": "", "run/.hidden": ""}
    return globus_collection("lab", files=files, kind="personal")


def test_parameters_are_sent(cli: GlobusCli, lab: CollectionFolder) -> None:
    path = f"/operation/endpoint/{lab.id}/ls"
    answer = cli.json("api", "transfer", "GET", path, "-Q", "path=/run/", "-Q", "limit=2", "-Q", "show_hidden=0")
    assert (answer["DATA_TYPE"], answer["path"], answer["length"], answer["total"]) == ("file_list", "/run/", 2, 3)


@pytest.mark.parametrize("way", ["text", "file"])
def test_a_document_is_sent(cli: GlobusCli, lab: CollectionFolder, tmp_path: Path, way: str) -> None:
    (tmp_path / "body.json").write_text('{"path": "/new"}')
    body = ("--body", '{"path": "/new"}') if way == "text" else ("--body-file", str(tmp_path / "body.json"))
    made = cli.json("api", "transfer", "POST", f"/v0.10/operation/endpoint/{lab.id}/mkdir", *body)
    assert made["code"] == "DirectoryCreated"
    assert (lab.folder / "new").is_dir()


def test_an_answer_is_shown_with_its_headers(cli: GlobusCli, lab: CollectionFolder) -> None:
    said = cli.text("api", "transfer", "GET", f"/endpoint/{lab.id}", "--verbose")
    assert said.startswith("HTTP/1.1 200 OK\n")
    assert "x-request-id: " in said.casefold()
    assert json.loads(said.partition("\n\n")[2])["id"] == lab.id


def test_an_error_is_shown_as_it_is_when_allowed(cli: GlobusCli) -> None:
    said = cli.text("api", "transfer", "GET", f"/endpoint/{NOWHERE}", "--allow-errors")
    assert json.loads(said)["code"] == "EndpointNotFound"
    assert "HTTP status:      404" in cli.text("api", "transfer", "GET", f"/endpoint/{NOWHERE}", fails=1)


def test_too_many_requests_are_refused(cli: GlobusCli, lab: CollectionFolder) -> None:
    cli.sandbox.clock.freeze()
    cli.sandbox.settings.rate_limit_per_second = 0.1
    request = ("api", "transfer", "GET", f"/endpoint/{lab.id}", "--no-retry")
    cli.text(*request)
    assert "HTTP status:      429" in cli.text(*request, fails=1)
    cli.sandbox.clock.advance(11)
    cli.text(*request)


def test_what_is_not_served_is_said_so(cli: GlobusCli) -> None:
    said = cli.text("api", "transfer", "GET", "/endpoint_manager/no_such_thing", "--no-retry", fails=1)
    assert "HTTP status:      501" in said


def test_flows_are_asked(cli: GlobusCli) -> None:
    flow = cli.sandbox.add_flow("Hello", {"StartAt": "End", "States": {"End": {"Type": "Pass", "End": True}}})
    assert [item["id"] for item in cli.json("api", "flows", "GET", "/flows")["flows"]] == [flow.id]


def test_search_is_asked(cli: GlobusCli) -> None:
    index = cli.sandbox.add_search_index("catalogue")
    assert cli.json("api", "search", "GET", f"/v1/index/{index.id}")["display_name"] == "catalogue"


def test_connect_server_is_asked(cli: GlobusCli) -> None:
    answer = cli.json("api", "gcs", ENDPOINT_ID, "GET", "/endpoint")
    assert answer["data"][0]["id"] == ENDPOINT_ID


def test_auth_is_asked(cli: GlobusCli) -> None:
    answer = cli.json("api", "auth", "GET", "/v2/api/identities", "-Q", f"ids={cli.sandbox.client_id}")
    assert [item["id"] for item in answer["identities"]] == [cli.sandbox.client_id]
