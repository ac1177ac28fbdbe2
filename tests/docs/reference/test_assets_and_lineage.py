"""Assets as the page tells of them: what the events hold, and which facets OpenLineage gets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.operators.datasets import MAX_ALIASED
from tests.docs.blocks import ROOT

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.docs.page import Page

TEXT = (ROOT / "docs/reference/assets_and_lineage.md").read_text()


def test_a_transfer_fills_the_event_with_what_the_table_names(page: Page, globus_collection: CollectionFactory) -> None:
    globus_collection("instrument", files={"scans/1.h5": "one"})
    globus_collection("scratch")
    page.run()
    events = _events("globus://scratch/raw/scans")
    assert events
    table = TEXT.partition("| key | of | what |")[2].partition("\n\n")[0]
    named = {key for row in table.splitlines() for key in re.findall(r"`(\w+)`", row.partition("| ")[2].split(" |")[0])}
    assert named == set(events[-1]) | {"label"}
    assert events[-1]["task_id"] == page.results("bring_scans")["bring"]["task_id"]


def _events(uri: str) -> list[dict[str, Any]]:
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        events = select(AssetEvent).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        found = session.scalars(events.where(AssetModel.uri == uri).order_by(AssetEvent.id))
        return [dict(event.extra) for event in found]


def test_every_facet_is_in_the_table() -> None:
    table = TEXT.partition("| facet | where |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == {
        "globus",
        "globusCollection",
        "outputStatistics",
        "lifecycleStateChange",
    }
    source = (ROOT / "airflow_provider_globus/lineage.py").read_text()
    assert set(re.findall(r'"(globus\w*|outputStatistics|lifecycleStateChange)"', source)) == set(
        re.findall(r"^\| `(\w+)`", table, re.MULTILINE)
    )


def test_how_many_assets_an_alias_gets() -> None:
    assert MAX_ALIASED == 100
    assert "a hundred at most" in TEXT
