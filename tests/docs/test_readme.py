"""The README's blocks, each on a sandbox that has what the block speaks of."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import httpx
import pytest

from airflow_provider_globus.sandbox.local_airflow import free_ports
from tests.docs.blocks import ROOT, blocks_of

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.docs.page import Page


@pytest.mark.section("Two commands")
def test_the_two_commands_are_targets(page: Page) -> None:
    page.excuse("make demo", "tests/e2e/test_demo.py runs the demos, and `make test` runs this")
    page.run()
    subprocess.run(["make", "--dry-run", "demo", "test"], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.section("A DAG")
def test_nightly_copy(page: Page, globus_collection: CollectionFactory) -> None:
    globus_collection("instrument", files={f"data/{page.ds}/{name}": name for name in ("a.h5", "b.h5", "done")})
    scratch = globus_collection("hpc scratch")
    page.run()
    assert page.results("nightly_copy")["copy"]["files_transferred"] == 3
    assert (scratch.folder / "scratch" / page.ds / "a.h5").read_text() == "a.h5"


@pytest.mark.section("A DAG")
@pytest.mark.section("The sandbox")
def test_the_sandbox(page: Page) -> None:
    page.dag("nightly_copy", runs=0)
    how_to = blocks_of(ROOT / "docs/how_to/test_your_dag_with_the_sandbox.md")
    (conftest,) = [block.text for block in how_to if block.file == "conftest.py"]
    (page.folder / "conftest.py").write_text(conftest)
    port = free_ports(1)[0]
    (page.folder / "seed.yaml").write_text("collections: [{name: instrument, root: ./instrument}]")
    page.replace("8080", port)
    page.leave_running("sandbox serve", lambda: httpx.get(f"http://127.0.0.1:{port}/_sandbox/health").is_success)
    page.run()
    assert "1 passed" in page.output("def test_nightly_copy")
    assert "instrument" in json.dumps(httpx.get(f"http://127.0.0.1:{port}/_sandbox/state").json())
    assert (page.folder / "instrument").is_dir()
