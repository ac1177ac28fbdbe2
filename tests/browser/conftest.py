"""One Airflow and one sandbox for all tests of this folder, and a browser for each of its modules.

Playwright runs an event loop in the thread of the tests: a browser that lived longer would keep others from theirs.
What is not installed is skipped, with what to do about it as the reason, unless `GLOBUS_BROWSER_TESTS=required` makes
that a failure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import Complaints, NoBrowserError, chromium, find_chromium, new_window
from tests.browser.stage import CONNECTION, Stage, local_airflow, stage
from tests.installed import missing

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

    from airflow_provider_globus.sandbox.local_airflow import LocalAirflow
    from tests.browser.airflow_ui import AirflowUi

DEMANDED_BY = "GLOBUS_BROWSER_TESTS"


@pytest.fixture(scope="session")
def _installed() -> None:
    try:
        find_chromium()
    except NoBrowserError as error:
        missing(str(error), DEMANDED_BY)


@pytest.fixture(scope="session")
def beamline(_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The sandbox, and what it holds."""
    with stage(tmp_path_factory.mktemp("beamline")) as running:
        yield running


@pytest.fixture(scope="session")
def airflow(_installed: None) -> Iterator[LocalAirflow]:
    """An Airflow without connections."""
    with local_airflow() as running:
        yield running


@pytest.fixture(scope="module")
def _browser(_installed: None) -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def window(_browser: Browser) -> Iterator[BrowserContext]:
    """A window of the browser; nothing may go wrong in its pages."""
    opened = new_window(_browser)
    complaints = Complaints(opened)
    yield opened
    opened.close()
    assert complaints.seen == []


@pytest.fixture
def ui(window: BrowserContext, airflow: LocalAirflow) -> AirflowUi:
    """Airflow, open in the browser."""
    from tests.browser.airflow_ui import AirflowUi

    return AirflowUi(window.new_page(), airflow.url)


@pytest.fixture
def connected(ui: AirflowUi, airflow: LocalAirflow, beamline: Stage) -> AirflowUi:
    """The same, with the connection of the DAGs, which somebody has typed in."""
    if CONNECTION not in [found["connection_id"] for found in airflow.api.pages("/connections", "connections")]:
        ui.connect(CONNECTION, beamline.credentials, beamline.extra)
    return ui
