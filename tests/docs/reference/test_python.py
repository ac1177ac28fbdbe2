"""What code of DAGs may use, as the page shows it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_globus.hooks import retries
from tests.docs.blocks import ROOT

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.docs.page import Page


def test_the_python_api(page: Page, globus_collection: CollectionFactory) -> None:
    globus_collection("instrument", files={"data/a.h5": b"12345"})
    scratch = globus_collection("scratch")
    page.run()
    assert "a.h5 5" in page.output("listing /data")
    assert page.results("copy_patiently")["copy"]["files_transferred"] == 1
    assert "acquired at 200 keV" in page.output("ObjectStoragePath(")
    assert (scratch.folder / "notes.txt").read_text() == "acquired at 200 keV\n"


def test_how_often_requests_are_sent_again() -> None:
    text = (ROOT / "docs/reference/python.md").read_text()
    rows = re.findall(r"^\| (reading|what Globus would do twice).*\| (.*) \|$", text, re.MULTILINE)
    assert rows == [
        ("reading", f'{retries.RETRIES} times; after "too many requests" up to {retries.RETRIES_WHEN_THROTTLED} times'),
        ("what Globus would do twice", f"up to {retries.RETRIES_WHEN_THROTTLED} times"),
    ]
    assert f"last {retries._LONGEST_SECONDS} seconds at most" in text
