"""Small files: what the page's DAGs read and write, and that a second run changes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.docs.page import Page


@pytest.mark.section("1. With operators")
def test_operators(page: Page, globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory) -> None:
    lab = globus_collection("lab", files={"settings/beamline.json": '{"energy": 20}', "plans/in_progress": "here"})
    page.run()
    plan = lab.folder / f"plans/{page.ds}/plan.json"
    assert json.loads(plan.read_text()) == {"energies": [20, 25, 30]}
    assert (plan.parent / "done").read_bytes() == b""
    assert not (lab.folder / "plans/in_progress").exists()
    first = page.results("small_files")
    assert first["settings"]["content"] == {"energy": 20}
    assert [first[name]["action"] for name in ("written", "marker", "clean")] == ["created", "created", "deleted"]
    written = globus_sandbox.journal.count("https", "PUT", "*")
    again = page.run_dag("small_files").results
    assert {again[name]["action"] for name in ("written", "marker", "clean")} == {"unchanged"}
    assert globus_sandbox.journal.count("https", "PUT", "*") == written
    assert globus_sandbox.journal.count("transfer", "POST", "/v0.10/transfer") == 0, "no transfer task"


@pytest.mark.filterwarnings("ignore:UPath 'globus' filesystem not explicitly implemented")
@pytest.mark.section("2. With Airflow's ObjectStoragePath")
def test_object_storage_path(page: Page, globus_collection: CollectionFactory) -> None:
    runs = {"runs/b.json": '{"counts": 7}', "runs/a.json": '{"counts": 3}', "runs/notes.txt": "no JSON"}
    lab = globus_collection("lab", files=runs)
    page.run()
    assert page.results("summarise_runs") == {"summarise": {"a.json": 3, "b.json": 7}}
    assert (lab.folder / "summary.csv").read_text() == "a.json,3\nb.json,7\n"
