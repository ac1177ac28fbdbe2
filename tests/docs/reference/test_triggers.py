"""A watcher as the page shows it: Airflow knows what the DAG waits for, and by which trigger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_globus.triggers.watchers import GlobusArrivedFilesTrigger

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.docs.page import Page


def test_a_dag_waits_for_files(page: Page, globus_collection: CollectionFactory) -> None:
    globus_collection("instrument")
    page.run()
    assert "take_in" in page.runs
    assert _triggers("globus://instrument/inbox") == [
        f"{GlobusArrivedFilesTrigger.__module__}.{GlobusArrivedFilesTrigger.__name__}"
    ]


def _triggers(uri: str) -> list[str]:
    """The classes of the triggers that watch an asset."""
    from airflow.models.asset import AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        asset = session.scalars(select(AssetModel).where(AssetModel.uri == uri)).one()
        return [watcher.trigger.classpath for watcher in asset.watchers]
