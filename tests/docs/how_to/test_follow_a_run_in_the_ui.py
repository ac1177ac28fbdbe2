"""What a person sees in the UI; tests/browser does it, and here is the setting that it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.docs.page import Page


def test_follow_a_run_in_the_ui(page: Page) -> None:
    page.run()
