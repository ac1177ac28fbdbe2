"""A headless Chromium, driven by Playwright, and what its pages complain about."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Request, Response, WebError
    from playwright.sync_api._generated import LocatorAssertions

#: Names under which distributions install it; the variable CHROMIUM names another one.
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTH, HEIGHT = 1500, 760
#: Until something appears on a page, in milliseconds; Airflow's pages look for news every few seconds.
PATIENCE = 60_000


class NoBrowserError(RuntimeError):
    """Playwright or Chromium is not installed; the message says how to install it."""


def find_chromium() -> str:
    """
    Return the Chromium to use.

    :raises NoBrowserError: it, or Playwright, is missing.
    """
    if find_spec("playwright") is None:
        raise NoBrowserError("Playwright is not installed: run `pip install playwright`, or `make test`")
    wanted = os.environ.get("CHROMIUM")
    program = next(filter(None, map(shutil.which, [wanted] if wanted else PROGRAMS)), None)
    if program is None:
        raise NoBrowserError(
            "Chromium is not installed: run tests/browser/install_chromium.sh (Debian, root), or install chromium"
        )
    return program


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a Chromium with a fresh profile, and end it."""
    program = find_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def new_window(browser: Browser, *, width: int = WIDTH, height: int = HEIGHT) -> BrowserContext:
    """Return a window that remembers nothing; by default as large as the pictures of the documentation."""
    window = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="light", locale="en-GB", timezone_id="UTC"
    )
    window.set_default_timeout(PATIENCE)
    return window


def expect(locator: Locator) -> LocatorAssertions:
    """Return Playwright's assertions, which wait; tests can be collected without it."""
    from playwright.sync_api import expect as playwright_expect

    playwright_expect.set_options(timeout=PATIENCE)
    return playwright_expect(locator)


# Airflow's page of a task that has not begun asks for the log of its try 0, which there is none of.
_NOT_BEGUN = re.compile(r"/taskInstances/[^/]+/logs/0\?")


class Complaints:
    """
    What goes wrong in the pages of a window, those that links open included.

    :ivar seen: errors on the console, exceptions, and requests that failed or were refused.
    """

    def __init__(self, window: BrowserContext) -> None:
        self.seen: list[str] = []
        window.on("console", self._console)
        window.on("weberror", self._thrown)
        window.on("requestfailed", self._failed)
        window.on("response", self._answered)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not _NOT_BEGUN.search(message.location["url"]):
            self.seen.append(f"console: {message.text} ({message.location['url']})")

    def _thrown(self, error: WebError) -> None:
        self.seen.append(f"exception: {error.error}")

    def _failed(self, request: Request) -> None:
        # A page that is left gives up what it has asked for.
        if "ERR_ABORTED" not in (request.failure or ""):
            self.seen.append(f"failed: {request.method} {request.url}: {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and not _NOT_BEGUN.search(response.url):
            self.seen.append(f"refused: {response.request.method} {response.url}: {response.status}")
