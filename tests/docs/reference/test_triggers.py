"""A watcher as the page shows it: it is what the DAG waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.triggers.watchers import GlobusArrivedFilesTrigger

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.dag_runs import Load
    from tests.docs.page import Page


def test_a_dag_waits_for_files(page: Page, load: Load, globus_collection: CollectionFactory) -> None:
    globus_collection("instrument")
    page.run()
    (file,) = page.folder.glob("*.py")
    timetable: Any = load(file)["take_in"].timetable
    (asset,) = timetable.asset_condition.objects
    (watcher,) = asset.watchers
    assert (asset.uri, type(watcher.trigger)) == ("globus://instrument/inbox", GlobusArrivedFilesTrigger)
    assert watcher.trigger.pattern == "*.h5"
