"""How the code blocks of README.md and docs/ are run.

A page with code has a test module that mirrors its path: docs/how_to/share.md has tests/docs/how_to/test_share.py. A
test there prepares the sandbox, runs the page, and asserts what the page promises::

    def test_share(page, globus_sandbox, globus_collection):
        project = globus_collection("project", files={"results/a.csv": "1,2"})
        ada = globus_sandbox.add_identity("ada@example.org")
        page.replace("<UUID of the collection>", project.id)
        page.excuse("docker compose up", "needs Docker")
        page.dag("share", conf={"person": "ada@example.org"})
        page.run()
        assert page.results("share")["grant"]["permissions"] == "r"
        assert "granted" in page.output("airflow-globus doctor")

The blocks run in the order of the page, in one folder, as a reader would run them:

``python``
    A block with ``def test_…`` runs in pytest. The DAGs of a block that defines some are loaded, and each is run with
    `dag.test()` (`page.dag` says how: conf, the state it ends in, what happens meanwhile, how often, 0 times when a
    bash block runs it). Every run has the logical date of `page.ds`; `page.connect` gives the DAGs another connection.
    Any other block runs as a script.
``bash``
    Runs with ``bash -eu``: PATH begins with this Python's programs; HOME and AIRFLOW_HOME, with a migrated database,
    are the page's own; connection and environment lead to the sandbox. What is exported stays for the blocks that
    follow, DAGs get its ``AIRFLOW_CONN_…`` and ``AIRFLOW_VAR_…``. `page.command` types answers, or expects a status;
    `page.leave_running` is for a server. ``page.terminal.exported["NAME"] = "value"`` adds to the environment.
``yaml``, ``json``, ``ini``
    Must parse; ``ini`` must name options that Airflow has, as must every exported ``AIRFLOW__SECTION__OPTION``.
``text``
    Is what a reader sees, and is not run.

A comment above a block, ``<!-- file: flows/publish.yaml -->``, makes it a file of the folder, where the page's DAGs
are, too. Such a file is still run when it defines DAGs or tests; other scripts wait for a block that runs them.

`page.run(until="words of a block")` stops before that block, so that a test can look, or change the world. A test
marked with ``@pytest.mark.section("A heading")`` has the blocks below that heading only; the tests of a module together
must have all of them. A block that a test neither runs nor excuses fails it. An excused block that is a file is
written.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.dag_runs import Load, Run, database, load, run, s3
from tests.docs.blocks import blocks_of, page_of
from tests.docs.page import Page
from tests.docs.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from airflow_provider_globus.sandbox import GlobusSandbox

__all__ = ["database", "load", "page", "run", "s3"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "section(heading): the blocks of the page that are below this heading")


@pytest.fixture
def page(
    request: pytest.FixtureRequest,
    globus_sandbox: GlobusSandbox,
    database: Path,
    load: Load,
    run: Run,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Page]:
    """The page that this test module mirrors, or the section of it that the test is marked with."""
    blocks = blocks_of(page_of(request.path))
    sections = [mark.args[0] for mark in request.node.iter_markers("section")]
    if sections:
        for section in sections:
            assert any(section in block.headings for block in blocks), f"The page has no blocks below {section!r}"
        blocks = [block for block in blocks if not set(sections).isdisjoint(block.headings)]
    folder = tmp_path_factory.mktemp("page")
    # A DAG file's own modules lie beside it.
    monkeypatch.syspath_prepend(folder)
    page = Page(blocks, Terminal(folder, tmp_path_factory.mktemp("reader"), database), load, run, monkeypatch)
    try:
        yield page
    finally:
        page.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """A test that has passed must have run all of its page."""
    yield
    if isinstance(item, pytest.Function) and isinstance(page := item.funcargs.get("page"), Page):
        page.require_complete()
