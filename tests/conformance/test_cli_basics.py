"""`globus …`: who one is, collections, files, transfers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.conformance.conftest import GlobusCli


def test_who_one_is(cli: GlobusCli) -> None:
    assert cli.text("whoami").strip() == f"{cli.sandbox.client_id}@clients.auth.globus.org"


def test_files_and_transfers(cli: GlobusCli, globus_collection: CollectionFactory) -> None:
    source = globus_collection("source", files={"run/a.dat": "aaaa"}, kind="personal")
    target = globus_collection("target", kind="personal")
    assert cli.text("ls", f"{source.id}:/run/").split() == ["a.dat"]
    assert "source" in cli.text("endpoint", "search", "source")
    cli.text("mkdir", f"{target.id}:/new")
    arguments = (f"{source.id}:/run/a.dat", f"{target.id}:/new/a.dat", "--label", "mine")
    task_id = cli.json("transfer", *arguments)["task_id"]
    cli.text("task", "wait", task_id, "--timeout", "30", "--polling-interval", "1")
    assert (target.folder / "new/a.dat").read_text() == "aaaa"
    assert task_id in cli.text("task", "list")
