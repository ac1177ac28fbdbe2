"""What all sensors have in common, as the page shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_globus.exceptions import GlobusInputError
from airflow_provider_globus.sensors.path import GlobusPathSensor

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.docs.page import Page


def test_a_scan_is_waited_for(page: Page, globus_collection: CollectionFactory) -> None:
    globus_collection("instrument", files={f"data/{page.ds}/{name}": name for name in ("1.h5", "2.h5", "done")})
    page.run()
    assert page.results("wait_for_a_scan")["scan"]["count"] == 2


def test_reschedule_is_refused() -> None:
    with pytest.raises(GlobusInputError, match="deferrable=True"):
        GlobusPathSensor(task_id="scan", collection="instrument", path="/data/", mode="reschedule")
