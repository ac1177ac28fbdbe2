"""Every page with code has a test module that runs it, and the mechanism that runs pages lets nothing slip."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import LANGUAGES, ROOT, TESTS, blocks_of, module_of, page_of, pages, sections_run

PAGES = [page for page in pages() if blocks_of(page)]


def test_there_are_pages() -> None:
    assert ROOT / "README.md" in PAGES


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_block_is_run_by_the_test_module_of_its_page(path: Path) -> None:
    blocks = blocks_of(path)
    unknown = [
        f"{block.where} ({block.language or 'no language'})" for block in blocks if block.language not in LANGUAGES
    ]
    assert unknown == [], f"A block is a fence of one of {', '.join(LANGUAGES)}"
    code = [block for block in blocks if not block.is_output]
    if not code:
        return
    module = module_of(path)
    assert module.exists(), f"{path.relative_to(ROOT)} has code, which {module.relative_to(ROOT)} has to run"
    sections = sections_run(module) if module.is_relative_to(TESTS) else None
    if sections is not None:
        left = [block.where for block in code if sections.isdisjoint(block.headings)]
        assert left == [], f"No test of {module.relative_to(ROOT)} runs these blocks"


HOW_TOS = sorted(path for path in (ROOT / "docs/how_to").glob("*.md") if path.stem != "index")


@pytest.mark.parametrize("path", HOW_TOS, ids=lambda path: path.stem)
def test_every_how_to_has_code_that_runs(path: Path) -> None:
    assert [block for block in blocks_of(path) if not block.is_output]


def test_whatever_runs_a_page_mirrors_one() -> None:
    for module in sorted(TESTS.rglob("test_*.py")):
        if sections_run(module) != set():
            assert page_of(module)
