"""Testing a DAG, as the page tells it: its tests pass, and notice when the DAG is broken."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx

from airflow_provider_globus.sandbox.local_airflow import free_ports

if TYPE_CHECKING:
    from tests.docs.page import Page


def test_test_your_dag_with_the_sandbox(page: Page) -> None:
    page.excuse("pip install", "installed already; the tutorial's test begins with the wheel")
    page.dag("nightly_copy", runs=0)
    for file in ("def test_copies_the_day", "def test_an_outage_is_sat_out"):
        page.excuse(file, "`pytest tests` runs it")
    port = free_ports(1)[0]
    page.replace("8765", port)
    page.leave_running("sandbox serve", lambda: httpx.get(f"http://127.0.0.1:{port}/_sandbox/health").is_success)
    page.run()
    assert "7 passed" in page.output("pytest tests")
    state = json.dumps(httpx.get(f"http://127.0.0.1:{port}/_sandbox/state").json())
    assert "Shared results" in state
    assert "ada@example.org" in state

    # A DAG that does something else is found out.
    dag = page.folder / "dags/nightly_copy.py"
    dag.write_text(dag.read_text().replace('"/scratch/', '"/elsewhere/'))
    report = page.terminal.bash("pytest tests/test_nightly_copy.py", status=1)
    assert "1 failed, 1 passed" in report
