"""
Takes the pictures of the documentation anew: ``python -m tests.browser.screenshots [scene …]``.

Each scene brings up what it shows, on this machine alone, and takes it down: an Airflow, a sandbox, a browser.
Pictures of an example DAG are only taken of a demo whose checks have all passed.
"""

from __future__ import annotations

import re
import sys
import tempfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from rich.console import Console

from airflow_provider_globus.sandbox import GlobusSandbox
from airflow_provider_globus.sandbox.demo.runner import DemoRun
from airflow_provider_globus.sandbox.demo.s3 import S3Server
from airflow_provider_globus.sandbox.demo.scenarios import publish_dataset
from airflow_provider_globus.sandbox.local_airflow import LocalAirflow
from tests.browser.airflow_ui import AirflowUi
from tests.browser.chromium import HEIGHT, WIDTH, chromium, expect, new_window
from tests.browser.stage import ASSET, CONNECTION, FRAME_BYTES, FRAMES, ROOT, local_airflow, stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Locator, Page

    from tests.browser.stage import Stage

IMAGES = ROOT / "docs" / "images"
EXAMPLE_DAGS = ROOT / "example_dags"
WORK = ROOT / ".demo"
MOST_BYTES = 250_000
COLOURS = 256
#: A graph of more tasks than this gets the whole width, without the panel beside it, or nobody could read it.
SHORT = 6
LONG_HEIGHT = 520
#: The notification is at the bottom: a lower window leaves less empty space above it.
TEST_HEIGHT = 560
#: Of the pages of the sandbox, which are narrower than Airflow's.
NARROW, NARROW_HEIGHT = 940, 735
#: Between two looks at whether a page still changes, in milliseconds, and how often to look.
STILL_MS, MOST_LOOKS = 300, 40
TRANSFER_SECONDS = 8


class Camera:
    """
    Takes pictures of pages that have come to rest.

    :param browser: where windows are opened.
    :param console: told of each picture.
    """

    def __init__(self, browser: Browser, console: Console) -> None:
        self._browser = browser
        self.console = console

    def open(self, *, width: int = WIDTH, height: int = HEIGHT) -> Page:
        """Open a page in a window of its own."""
        return new_window(self._browser, width=width, height=height).new_page()

    def take(self, page: Page, name: str, *, down_to: Locator | None = None) -> None:
        """Write `name`.png once the page does not change any more: all of it, or what ends with an element."""
        picture = _still(page)
        box = None if down_to is None else down_to.bounding_box()
        self.keep(name, _reduced(picture, None if box is None else round(box["y"] + box["height"])))

    def keep(self, name: str, picture: bytes) -> None:
        """Write `name`.png."""
        if len(picture) > MOST_BYTES:
            raise RuntimeError(f"{name}.png has {len(picture)} bytes, more than {MOST_BYTES}: show less, or smaller")
        (IMAGES / f"{name}.png").write_bytes(picture)
        self.console.print(f"{name}.png: {len(picture)} bytes", highlight=False)


def _still(page: Page) -> bytes:
    before = b""
    for _ in range(MOST_LOOKS):
        page.wait_for_timeout(STILL_MS)
        now = page.screenshot(animations="disabled")
        if now == before:
            return now
        before = now
    raise RuntimeError(f"{page.url} does not come to rest")


def _reduced(picture: bytes, height: int | None) -> bytes:
    with Image.open(BytesIO(picture)) as image:
        cut = image.convert("RGB").crop((0, 0, image.width, height or image.height))
    # Of the methods, the one that keeps colours of few pixels, such as those of Airflow's logo.
    few = cut.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
    written = BytesIO()
    few.save(written, "PNG", optimize=True)
    return written.getvalue()


# Example DAGs


def graph_of(name: str) -> Callable[[Camera], None]:
    """Return the scene that shows the graph of an example's latest run, after its demo."""

    def scene(camera: Camera) -> None:
        demo = DemoRun(
            name,
            dags=EXAMPLE_DAGS,
            work=WORK,
            console=Console(quiet=True),
            keep_up=lambda airflow: take_graph(camera, airflow, name),
        )
        if not demo.run():
            raise RuntimeError(f"the demo of {name} failed: run `make demo DAG={name}`")

    return scene


def take_graph(camera: Camera, airflow: LocalAirflow, dag_id: str) -> None:
    """Show the graph of the latest run of a DAG."""
    newest = {"order_by": "-run_after", "limit": 1}
    (run,) = airflow.api.request("GET", f"/dags/{dag_id}/dagRuns", params=newest)["dag_runs"]
    page = camera.open()
    page.goto(f"{airflow.url}/dags/{dag_id}/runs/{run['dag_run_id']}")
    page.get_by_role("button", name="Show Graph").click()
    nodes = page.locator(".react-flow__node")
    expect(nodes.first).to_be_visible()
    if nodes.count() > SHORT:
        page.get_by_role("button", name="Collapse Details Panel").click()
        page.set_viewport_size({"width": WIDTH, "height": LONG_HEIGHT})
        _still(page)
    page.get_by_role("button", name="Fit View").click()
    page.mouse.move(WIDTH // 2, 1)
    camera.take(page, dag_id)


def tomography(camera: Camera) -> None:
    """Show the graph, and what the demo has drawn: body, reconstruction, difference."""
    graph_of("tomography")(camera)
    camera.keep("tomography_slice", (WORK / "tomography" / "comparison.png").read_bytes())


def question(camera: Camera) -> None:
    """Show the page of a flow run while it asks the reviewer of `publish_dataset`."""
    with tempfile.TemporaryDirectory() as folder, S3Server() as s3, GlobusSandbox() as globus:
        subject = publish_dataset.Demo(Path(folder), globus, s3)
        subject.prepare()
        with LocalAirflow(dags=EXAMPLE_DAGS, cache=WORK, connections={"globus_default": globus.connection}) as airflow:
            airflow.run_dag(subject.dag_id, subject.conf, wait=False)
            asked = globus.world.flows.web_inputs
            airflow.api.wait_until("the question", lambda: asked, 180)
            (web_input,) = asked.values()
            page = camera.open(width=NARROW, height=NARROW_HEIGHT)
            page.goto(f"{globus.url}/runs/{web_input.run.id}/logs")
            expect(page.get_by_role("button", name="Approve")).to_be_visible()
            state = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="State"))
            camera.take(page, "publish_dataset_question", down_to=state)


# What a person does in Airflow


def follow_a_run(camera: Camera) -> None:
    """Show the way from the connection's form to the asset that a transfer has brought."""
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder)) as beamline, local_airflow() as airflow:
        ui = AirflowUi(camera.open(), airflow.url)
        take_connection(camera, ui, beamline, airflow)
        take_transfer(camera, ui, beamline)
        ui.open_asset(ASSET)
        ui.page.get_by_test_id("card-list").locator(".codicon-folding-collapsed").first.click()
        ui.page.get_by_role("button", name="Fit View").click()
        ui.page.mouse.move(WIDTH // 2, 1)
        camera.take(ui.page, "asset_graph")


def take_connection(camera: Camera, ui: AirflowUi, beamline: Stage, airflow: LocalAirflow) -> None:
    """Show the form with both kinds of fields, and what the test says."""
    ui.go_to_connections()
    form = ui.add_connection()
    form.name(CONNECTION, "Globus")
    form.type({"Description": "Service account of beamline 7", **beamline.credentials})
    form.dialog.get_by_role("heading").click()
    camera.take(ui.page, "connection_form")
    form.open("Extra Fields")
    form.type(beamline.extra)
    form.field("Collection aliases").scroll_into_view_if_needed()
    camera.take(ui.page, "connection_aliases", down_to=form.field("Compute endpoint aliases"))
    form.save()
    ui.page.set_viewport_size({"width": WIDTH, "height": TEST_HEIGHT})
    ui.page.reload()
    ui.start_test(CONNECTION, "Test Connection Successful")
    camera.take(ui.page, "connection_test")
    ui.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})


def take_transfer(camera: Camera, ui: AirflowUi, beamline: Stage) -> None:
    """Show a transfer while its task is deferred, in Airflow and at Globus, and the log after."""
    ui.open_dag("collect_scan")
    ui.trigger()
    ui.open_task("to_scratch")
    ui.expect_state("Deferred")
    # The log is to show each step: the triggerer has to look at the task before anything moves.
    ui.tab("Logs")
    expect(ui.page.get_by_role("code").get_by_text("0 of 0 files")).to_be_visible()
    link = ui.extra_link("Globus task")
    link.hover()
    # What follows names the machine that the triggerer runs on.
    camera.take(ui.page, "task_deferred", down_to=ui.page.get_by_role("row", name="Trigger creation time"))
    beamline.globus.settings.bytes_per_second = FRAMES * FRAME_BYTES / TRANSFER_SECONDS
    beamline.globus.world.transfer.release()
    there = ui.follow(link)
    there.set_viewport_size({"width": NARROW, "height": NARROW_HEIGHT})
    expect(there.get_by_text(re.compile(rf"^\d+ of {FRAMES}$"))).to_have_text(re.compile(r"^[1-9]\d* of"))
    camera.take(there, "task_page")
    there.close()
    ui.expect_state("Success")
    ui.tab("Logs")
    expect(ui.page.get_by_role("code").get_by_text("succeeded.").first).to_be_visible()
    ui.page.keyboard.press("w")  # wraps long lines
    ui.header.click()
    camera.take(ui.page, "task_log")


SCENES: dict[str, Callable[[Camera], None]] = {
    "follow_a_run": follow_a_run,
    "instrument_to_archive": graph_of("instrument_to_archive"),
    "tomography": tomography,
    "publish_dataset": question,
    "s3_gateway_lifecycle": graph_of("s3_gateway_lifecycle"),
}


def main(names: list[str]) -> int:
    """Play the scenes with these names, or all."""
    console = Console()
    if unknown := sorted(set(names) - set(SCENES)):
        console.print(f"There is no scene {', '.join(unknown)}; there are: {', '.join(SCENES)}")
        return 2
    WORK.mkdir(exist_ok=True)
    IMAGES.mkdir(exist_ok=True)
    with chromium() as browser:
        for name in names or SCENES:
            SCENES[name](Camera(browser, console))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
