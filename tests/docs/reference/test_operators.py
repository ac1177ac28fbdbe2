"""What all operators have in common, as the page shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.docs.page import Page


def test_a_result_is_handed_on(page: Page, globus_collection: CollectionFactory) -> None:
    globus_collection("instrument", files={"data/a.h5": b"12345"})
    page.run()
    assert page.results("look_at_a_file")["tell"] == page.results("look_at_a_file")["stat"]["size"] == 5
