"""
What the site's pages may do beyond plain Markdown, and what their links have to be.

Pages are read on GitHub, too. What only Sphinx understands, such as a table of contents, stands in a comment, which
GitHub does not show::

    <!-- sphinx
    :::{toctree}
    tutorial
    :::
    -->

A whole file of the repository is taken over by ``<!-- sphinx: ../CHANGELOG.md -->``, but for its title. Links to files
outside of ``docs`` lead to the repository.

Links to other sites are collected in ``external_links.txt`` beside the pages, and must be well formed and https;
nothing is asked of those sites.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from docutils import nodes  # type: ignore[import-untyped]
from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx

log = logging.getLogger(__name__)

#: Where files of the repository are that are no pages.
REPOSITORY = "https://github.com/airflow-provider-globus/airflow-provider-globus"

_FOR_SPHINX = re.compile(r"^<!-- sphinx\n(.*?)^-->$", re.MULTILINE | re.DOTALL)
#: A file that is taken over, and its title.
_FILE = re.compile(r"^<!-- sphinx: (\S+) -->$", re.MULTILINE)
_TITLE = re.compile(r"\A# .*\n")
#: The target of a link in Markdown to something of the repository.
_RELATIVE = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)#\s]+)")
#: MyST takes reST from a fence of backticks alone, which would pass for a block of code.
_REST = re.compile(r"^:::\{eval-rst\}\n(.*?)^:::$", re.MULTILINE | re.DOTALL)
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}", re.IGNORECASE)

#: Links that lead to no other site: letters, and what runs on the reader's own machine.
_NO_SITE = re.compile(r"mailto:|http://127\.0\.0\.1(:\d+)?(/|$)")


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("source-read", _uncomment)
    app.connect("doctree-read", _collect_links)
    app.connect("env-purge-doc", _forget_links)
    app.connect("env-merge-info", _merge_links)
    app.connect("build-finished", _write_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}


def _uncomment(app: Sphinx, docname: str, source: list[str]) -> None:
    page = Path(app.env.doc2path(docname))
    if page.suffix != ".md":
        return

    def take_over(found: re.Match[str]) -> str:
        file = (page.parent / found.group(1)).resolve()
        app.env.note_dependency(str(file))
        return _led(_TITLE.sub("", file.read_text()), file.parent, page.parent, app)

    text = _led(source[0], page.parent, page.parent, app)
    text = _FOR_SPHINX.sub(lambda found: _REST.sub(r"```{eval-rst}\n\1```", found.group(1)), text)
    source[0] = _FILE.sub(take_over, text)


def _led(text: str, written_in: Path, shown_in: Path, app: Sphinx) -> str:
    """Markdown whose relative links lead where they are meant to, from another folder; out of the site by https."""

    def lead(found: re.Match[str]) -> str:
        target = Path(os.path.normpath(written_in / found.group()))
        if target.is_relative_to(app.srcdir):
            return os.path.relpath(target, shown_in)
        root = Path(app.srcdir).parent
        return f"{REPOSITORY}/blob/main/{os.path.relpath(target, root)}"

    return _RELATIVE.sub(lead, text)


def fault_of(url: str) -> str:
    """What is wrong with a link to another site; nothing when it is fine."""
    if any(char.isspace() for char in url):
        return "it has blanks"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme != "https":
        return "it is not https"
    if not _HOST.fullmatch(parts.hostname or "") or port is not None or "@" in parts.netloc:
        return "it names no public host"
    return ""


def _links(app: Sphinx) -> dict[str, set[str]]:
    links: dict[str, set[str]] = app.env.__dict__.setdefault("site_external_links", {})
    return links


def _collect_links(app: Sphinx, doctree: nodes.document) -> None:
    found = set()
    for node in doctree.findall(nodes.reference):
        url = str(node.get("refuri", ""))
        # A name of a page or place is none; an address without a scheme is one of this site.
        if not re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", url) or _NO_SITE.match(url):
            continue
        found.add(url)
        if fault := fault_of(url):
            log.warning("link to another site %s: %s", url, fault, location=node)
    for image in doctree.findall(nodes.image):
        if "://" in str(image["uri"]):
            log.warning("the picture %s is of another site", image["uri"], location=image)
    _links(app)[app.env.docname] = found


def _forget_links(app: Sphinx, env: Any, docname: str) -> None:
    _links(app).pop(docname, None)


def _merge_links(app: Sphinx, env: Any, docnames: set[str], other: Any) -> None:
    _links(app).update({name: other.site_external_links.get(name, set()) for name in docnames})


def _write_links(app: Sphinx, exception: Exception | None) -> None:
    if exception is None:
        urls = sorted(set().union(*_links(app).values()))
        Path(app.outdir, "external_links.txt").write_text("".join(f"{url}\n" for url in urls))
