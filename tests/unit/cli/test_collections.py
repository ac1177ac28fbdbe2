"""``airflow globus collections …``, and the same as ``airflow-globus``."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from airflow.cli import cli_parser

from airflow_provider_globus.cli import definition

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory


def run(*command: str, capsys: pytest.CaptureFixture[str]) -> Any:
    arguments = cli_parser.get_parser().parse_args(["globus", "collections", *command, "--output", "json"])
    arguments.func(arguments)
    return json.loads(capsys.readouterr().out)


def test_words_find_collections(
    globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    mapped = globus_collection("beamline data")
    globus_collection("scratch", kind="personal")
    (row,) = run("search", "beamline", capsys=capsys)
    assert (row["id"], row["display_name"]) == (mapped.id, "beamline data")
    assert (row["alias"], row["kind"]) == ("beamline data", "mapped collection")
    assert run("search", "nothing like it", capsys=capsys) == []


@pytest.mark.parametrize("named", ["alias", "id", "name"])
def test_an_argument_means_one_collection(
    named: str, globus_collection: CollectionFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    mapped = globus_collection("Scratch of the HPC centre", alias="scratch")
    argument = {"alias": "scratch", "id": mapped.id, "name": "Scratch of the HPC centre"}[named]
    (row,) = run("resolve", argument, capsys=capsys)
    assert (row["id"], row["alias"]) == (mapped.id, "scratch")


@pytest.mark.parametrize("command", [["search", "x"], ["resolve", "x"]])
def test_connections_of_the_database_are_looked_at(
    command: list[str], globus_sandbox: GlobusSandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    with contextlib.suppress(SystemExit):
        run(*command, capsys=capsys)
    assert os.environ["_AIRFLOW_PROCESS_CONTEXT"] == "server"


def test_what_means_none_is_said(globus_sandbox: GlobusSandbox, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("resolve", "nowhere", capsys=capsys)
    assert "No collection visible to this identity is named 'nowhere'" in str(ended.value.code)


def test_the_short_name_is_the_same(
    globus_collection: CollectionFactory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mapped = globus_collection("scratch")
    monkeypatch.setattr("sys.argv", ["airflow-globus", "collections", "resolve", "scratch", "--output", "json"])
    definition.main()
    assert json.loads(capsys.readouterr().out)[0]["id"] == mapped.id
