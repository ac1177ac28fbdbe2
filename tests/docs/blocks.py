"""The code blocks of the pages: where each stands, what it is, and which test module has to run it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
TESTS = Path(__file__).resolve().parent

#: What a block may be; the fixture `page` of conftest.py says what is done with each.
LANGUAGES = ("bash", "ini", "json", "python", "text", "yaml")

#: Pages that take more than one process to run: these modules run all of the page by means of their own.
RUN_ELSEWHERE = {"docs/tutorial.md": "tests/tutorial/test_tutorial.py"}

_TOP_LEVEL = ("README.md", "CONTRIBUTING.md", "SECURITY.md")
# A comment that only Sphinx reads is a part of the page.
_FOR_SPHINX = re.compile(r"\s*<!--\s*sphinx\s*\n")
_FILE = re.compile(r"\s*<!--\s*file:\s*(?P<path>\S+)\s*-->\s*")
# Sphinx's directives that hold prose may hold blocks, too; those that hold code would hide it from the tests.
_DIRECTIVE = re.compile(r"\{(?P<name>[\w:-]+)\}")
_HIDES_CODE = {"code", "code-block", "code-cell", "sourcecode", "literalinclude", "parsed-literal", "highlight"}
_PARSER = MarkdownIt("commonmark")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    #: The headings above it, outermost first.
    headings: tuple[str, ...] = ()
    #: The file that the block is, as the comment above it says.
    file: str | None = None

    @property
    def where(self) -> str:
        """The page and the line of the block's fence."""
        return f"{self.page.relative_to(ROOT) if self.page.is_relative_to(ROOT) else self.page}:{self.line}"

    @property
    def is_output(self) -> bool:
        """Whether it shows what a reader sees, and is not run."""
        return self.language == "text"


def pages() -> list[Path]:
    """Every page that a reader finds code in or may."""
    top = [ROOT / name for name in _TOP_LEVEL if (ROOT / name).exists()]
    return [*top, *sorted((ROOT / "docs").rglob("*.md"))]


def module_of(page: Path) -> Path:
    """The module that runs a page's blocks: docs/how_to/share.md has tests/docs/how_to/test_share.py."""
    if elsewhere := RUN_ELSEWHERE.get(str(page.relative_to(ROOT))):
        return ROOT / elsewhere
    inner = page.relative_to(ROOT / "docs") if page.is_relative_to(ROOT / "docs") else page.relative_to(ROOT)
    return TESTS / inner.parent / f"test_{inner.stem.lower()}.py"


def page_of(module: Path) -> Path:
    """The page that a test module runs."""
    for page in pages():
        if module_of(page) == module:
            return page
    raise LookupError(f"{module.relative_to(ROOT)} mirrors no page: see `module_of` in tests/docs/blocks.py")


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return list(_blocks(page, page.read_text(), 0, []))


def _blocks(page: Path, text: str, above: int, headings: list[tuple[int, str]]) -> Iterator[Block]:
    comment: str | None = None
    tokens = _PARSER.parse(text)
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            level = int(token.tag[1:])
            headings[:] = [(at, title) for at, title in headings if at < level]
            headings.append((level, tokens[number + 1].content))
        if token.type in ("fence", "code_block"):
            line = above + (token.map or [0])[0] + 1
            language, _, _ = token.info.strip().partition(" ")
            directive = _DIRECTIVE.match(language)
            if directive is not None and directive["name"] not in _HIDES_CODE:
                yield from _blocks(page, token.content, line, headings)
            else:
                titles = tuple(title for _, title in headings)
                yield Block(page, line, language, token.content, titles, comment)
        if token.type == "html_block" and _FOR_SPHINX.match(token.content):
            yield from _blocks(page, token.content.partition("\n")[2], above + (token.map or [0])[0] + 1, headings)
        named = _FILE.fullmatch(token.content) if token.type == "html_block" else None
        comment = named["path"] if named else None


def sections_run(module: Path) -> set[str] | None:
    """The headings whose blocks a module's tests run; None when a test runs the whole page.

    Read without importing: a test that takes the fixture ``page: Page`` runs the page, or with ``@pytest.mark.section``
    what stands below that heading.
    """
    found: set[str] = set()
    for test in ast.walk(ast.parse(module.read_text())):
        if not isinstance(test, ast.FunctionDef) or not test.name.startswith("test_"):
            continue
        if "Page" not in {ast.unparse(argument.annotation) for argument in test.args.args if argument.annotation}:
            continue
        marks = [ast.unparse(mark.func) for mark in test.decorator_list if isinstance(mark, ast.Call)]
        sections = [
            str(ast.literal_eval(mark.args[0]))
            for mark in test.decorator_list
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.section"
        ]
        if any(mark.endswith((".skip", ".skipif", ".xfail")) for mark in marks):
            continue
        if not sections:
            return None
        found.update(sections)
    return found
