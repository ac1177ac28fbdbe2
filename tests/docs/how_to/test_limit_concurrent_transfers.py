"""Limits on transfers: what the page's DAGs copy, the pool they name, and what the estimate says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_globus.sandbox.demo.checks import digests

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.docs.page import Page


def test_limit_concurrent_transfers(
    page: Page, globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory
) -> None:
    files = {f"data/scan_{number}/a.h5": str(number) for number in range(5)}
    instrument = globus_collection("instrument", files=files)
    scratch = globus_collection("scratch")
    journal = globus_sandbox.journal

    page.run(until='DAG("many_transfers"')
    assert journal.count("transfer", "POST", "/v0.10/transfer") == 1
    assert set(digests(scratch.folder)) == {path.replace("data/", "raw/") for path in files}
    pool = page.terminal.bash("airflow pools get globus_transfers --output plain 2>/dev/null")
    name, slots, *_, includes_deferred = pool.splitlines()[-1].split()
    assert (name, slots, includes_deferred) == ("globus_transfers", "90", "True")

    page.run(until="max_active_tis_per_dag=3")
    assert journal.count("transfer", "POST", "/v0.10/transfer") == 1 + 5
    assert len(page.results("many_transfers")["copy"]) == 5
    assert digests(instrument.folder) == {}

    for path, content in files.items():
        (instrument.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (instrument.folder / path).write_text(content)
    page.dag("nightly", runs=0)
    page.run()
    assert {path.replace("data/", "again/") for path in files} < set(digests(scratch.folder))
    # What the page shows is the end of what is printed.
    shown = page.block("- copy submits 60 transfers").text.strip()
    assert page.output("airflow globus cost dags/").strip().endswith(shown)
