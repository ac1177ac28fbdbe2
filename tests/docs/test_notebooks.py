"""The page about the notebooks names those there are, and its check of the installation works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from tests.docs.page import Page

REPOSITORY = Path(__file__).resolve().parents[2]


def test_notebooks(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    page.excuse("pip install", "installs from a registry and clones; the tests' environment has these packages")
    # As after the clone.
    (page.folder / "airflow-provider-globus").symlink_to(REPOSITORY, target_is_directory=True)
    page.run()

    text = (REPOSITORY / "docs" / "notebooks.md").read_text()
    named = re.findall(r"blob/main/notebooks/(\w+)\.ipynb", text)
    assert named == sorted(path.stem for path in (REPOSITORY / "notebooks").glob("*.ipynb"))
    assert re.findall(r"^\| \[`(\w+)`\]", text, re.MULTILINE) == named
