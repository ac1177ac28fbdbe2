"""DAGs run from the UI: what a person sees while tasks wait, where the links lead, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import expect
from tests.browser.stage import ASSET, FRAME_BYTES, FRAMES, SCAN

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.browser.airflow_ui import AirflowUi
    from tests.browser.stage import Stage

pytestmark = pytest.mark.e2e


def fact(page: Page, name: str) -> Locator:
    """A row of a page of the sandbox."""
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name, exact=True))


def expect_heading(page: Page, title: str, status: str) -> None:
    """Pages of the sandbox load themselves anew while their status may change."""
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_contain_text(title)
    expect(heading).to_contain_text(status)


@pytest.fixture
def copied(connected: AirflowUi, beamline: Stage) -> None:
    """Transfers go through at once, and a scan has just come; `review_scan` is switched on and waits for that."""
    connected.open_dag("review_scan")
    connected.unpause()
    beamline.globus.world.transfer.release()
    connected.open_dag("collect_scan")
    connected.trigger()
    connected.expect_state("Success")


def test_a_transfer_is_followed_from_the_trigger_to_its_end(connected: AirflowUi, beamline: Stage) -> None:
    beamline.globus.world.transfer.hold()
    connected.open_dag("collect_scan")
    connected.trigger()
    connected.open_task("to_scratch")
    connected.expect_state("Deferred")
    link = connected.extra_link("Globus task")
    there = f"{beamline.globus.url}/activity/{beamline.newest_task().id}"
    page = connected.follow(link)
    assert page.url == there
    expect_heading(page, f"{SCAN} to scratch", "ACTIVE")
    expect(fact(page, "From")).to_contain_text("Beamline 7 instrument")

    beamline.globus.world.transfer.release()
    expect_heading(page, f"{SCAN} to scratch", "SUCCEEDED")
    expect(fact(page, "Files")).to_contain_text(f"{FRAMES} of {FRAMES}")
    page.close()
    connected.expect_state("Success")
    after = connected.follow(link)
    assert after.url == there
    expect_heading(after, f"{SCAN} to scratch", "SUCCEEDED")
    after.close()
    connected.tab("Logs")
    for line in ("Submitted the Globus task", f"{FRAMES} of {FRAMES} files", "succeeded."):
        expect(connected.page.get_by_role("code").get_by_text(line).first).to_be_visible()
    facts = connected.event_facts(ASSET)
    expect(facts).to_contain_text(f'"task_id": "{beamline.newest_task().id}"')
    expect(facts).to_contain_text(f'"bytes": {FRAMES * FRAME_BYTES}')
    connected.back_to_run()
    connected.expect_state("Success")
    assert len(list((beamline.scratch / "scans" / SCAN).iterdir())) == FRAMES


@pytest.mark.usefixtures("copied")
def test_a_function_waits_for_its_endpoint_and_a_flow_for_its_reviewer(connected: AirflowUi, beamline: Stage) -> None:
    # The scan that has come started this run: nobody triggered it.
    connected.open_dag("review_scan")
    connected.tab("Runs")
    connected.page.get_by_role("link", name="asset_triggered__").click()
    connected.open_task("count_frames")
    connected.expect_state("Deferred")
    page = connected.follow(connected.extra_link("Compute endpoint"))
    assert page.url == f"{beamline.globus.url}/compute/endpoints/{beamline.endpoint.id}"
    expect_heading(page, "HPC cluster", "offline")
    function = page.get_by_role("row").filter(has=page.get_by_role("cell", name="count_frames"))
    expect(function).to_contain_text("waiting-for-ep")
    beamline.endpoint.go_online()
    expect_heading(page, "HPC cluster", "online")
    expect(function).to_contain_text("success")
    page.close()
    connected.expect_state("Success")

    connected.back_to_run()
    connected.open_task("review")
    connected.expect_state("Deferred")
    link = connected.extra_link("Flow run")
    (run,) = beamline.globus.world.flows.runs.values()
    page = connected.follow(link)
    assert page.url == f"{beamline.globus.url}/runs/{run.id}/logs"
    expect_heading(page, f"Review {SCAN}", "ACTIVE")
    expect(page.get_by_role("heading", name=f"Reconstruct {SCAN}?")).to_be_visible()
    expect(fact(page, "Frames")).to_contain_text(str(FRAMES))
    page.get_by_role("button", name="Approve").click()
    expect_heading(page, f"Review {SCAN}", "SUCCEEDED")
    page.close()
    connected.expect_state("Success")
    connected.back_to_run()
    connected.expect_state("Success")
