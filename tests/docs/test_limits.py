"""The limits that the page names are those of the code, and its pool works."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from airflow_provider_globus.compute import payloads, registry
from airflow_provider_globus.hooks import connection, files
from airflow_provider_globus.jobs import compute, transfer, watch
from airflow_provider_globus.operators import collections, datasets, flow_runs, flows, search
from airflow_provider_globus.operators import files as file_operators
from airflow_provider_globus.operators import transfer as transfer_operators
from airflow_provider_globus.sandbox.world import Settings
from tests.docs.blocks import ROOT

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.docs.page import Page

TEXT = (ROOT / "docs/limits.md").read_text()


def _row(begin: str) -> str:
    (row,) = re.findall(rf"^\| {re.escape(begin)} \|.*$", TEXT, re.MULTILINE)
    return str(row)


@pytest.mark.parametrize(
    ("begin", "value"),
    [
        ("unfinished tasks", f"| {transfer.PENDING_TASKS} |"),
        ("label", f"{transfer_operators.LABEL_LENGTH} characters"),
        ("files in a directory", f"{files.MAX_DIRECTORY:,} entries"),
        ("arguments of a submission", f"{payloads.SUBMISSION_BYTES // 10**6} MB"),
        ("label of a run", f"{flow_runs.LABEL_LENGTH} characters"),
        ("tags, managers and monitors of a run", f"{flow_runs.MOST_NAMED} each"),
        ("title of a flow", f"{flows.TITLE_LENGTH} characters"),
        ("results of a query", f"{search.MOST_RECORDS:,}"),
        ("a fault that time does not cure", f"{transfer.STUCK_GRACE:.0f} seconds"),
        ("a refusal of the question after a job", f"{watch.REFUSAL_GRACE:.0f} seconds"),
        ("pause between two looks while Globus does not answer", f"{watch.MAX_BACKOFF:.0f} seconds"),
        ("file that is read or written over HTTPS", f"{file_operators.MAX_BYTES // 10**6} MB"),
        ("entries that `GlobusListOperator` returns", f"{collections.MAX_ENTRIES:,}"),
        ("copied files in an XCom", f"{transfer_operators.MAX_RETURNED_FILES:,}"),
        ("assets of an `AssetAlias` for one task", f"{datasets.MAX_ALIASED}"),
        ("functions that `globus_compute_functions` remembers", f"{registry._REMEMBERED}"),
        ("request to Globus", f"{connection.DEFAULT_HTTP_TIMEOUT:.0f} seconds"),
    ],
)
def test_a_limit_is_the_codes(begin: str, value: str) -> None:
    assert value in _row(begin)


def test_the_sandbox_has_globuss_limits() -> None:
    settings = Settings()
    assert f"| {settings.rate_limit_per_second:.0f} a second" in TEXT
    assert f"| {settings.compute_requests_per_10_seconds:.0f} in ten seconds" in TEXT
    assert f"{settings.active_tasks_per_identity} transfers and" in TEXT
    assert f"kept for {settings.compute_result_seconds / 60:.0f} minutes" in TEXT
    assert f"up to {compute.ComputeTasks.batch_size:,} tasks" in TEXT


def test_a_pool_counts_deferred_transfers(page: Page, globus_collection: CollectionFactory) -> None:
    globus_collection("instrument", files={"data/a.h5": b"1"})
    globus_collection("scratch")
    page.run(until="pool=")
    assert "globus_transfers" in page.output("airflow pools set")
    _make_pool()
    page.run()
    assert page.results("nightly")["copy"]["files_transferred"] == 1


def _make_pool() -> None:
    """The same in the database in which the page's DAGs run, which is not the terminal's."""
    from airflow.models.pool import Pool

    Pool.create_or_update_pool("globus_transfers", 90, "", include_deferred=True)
