"""The sandbox as the page shows it: from Python, in pytest, on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from airflow_provider_globus.sandbox.local_airflow import free_ports

if TYPE_CHECKING:
    from tests.docs.page import Page


def test_the_sandbox(page: Page) -> None:
    port = free_ports(1)[0]
    page.replace("8765", str(port))
    url = f"http://127.0.0.1:{port}/_sandbox"
    page.leave_running("sandbox serve", lambda: httpx.get(f"{url}/health").is_success)
    page.run()
    assert "127.0.0.1" in page.output("with GlobusSandbox()")
    assert "1 passed" in page.output("def test_the_collection_is_found")
    assert (page.folder / "instrument").is_dir()
    assert (page.folder / "scratch").is_dir()
    state = httpx.get(f"{url}/state").text
    assert "HPC cluster" in state
    answer = httpx.post(f"{url}/faults", json={"service": "transfer", "path": "*/task_list", "status": 503})
    assert answer.status_code == 201
    assert httpx.post(f"{url}/clock", json={"advance": 60}).is_success
