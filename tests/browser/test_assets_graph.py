"""The page of an asset: who brings it, and who waits for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import expect
from tests.browser.stage import ASSET

if TYPE_CHECKING:
    from tests.browser.airflow_ui import AirflowUi

pytestmark = pytest.mark.e2e


def test_the_graph_leads_from_who_brings_data_to_who_waits_for_it(ui: AirflowUi) -> None:
    ui.open_asset(ASSET)
    graph = ui.page.get_by_role("application")
    for name in ("collect_scan", ASSET, "review_scan"):
        expect(graph.get_by_role("link", name=name, exact=True)).to_be_visible()
    for edge in (r"from dag:collect_scan to asset:", r"from asset:\d+ to dag:review_scan"):
        expect(graph.get_by_role("group", name=re.compile(edge))).to_have_count(1)
    graph.get_by_role("link", name="review_scan", exact=True).click()
    expect(ui.header).to_contain_text("review_scan")
    expect(ui.header.get_by_role("link", name=ASSET)).to_be_visible()
