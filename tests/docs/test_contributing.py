"""The guide for contributors: its operator works, its targets and folders are there."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from tests.docs.blocks import ROOT

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.docs.page import Page

TEXT = (ROOT / "CONTRIBUTING.md").read_text()

RUN = """
from pathlib import Path

source = next(Path().glob("script_line_*.py")).read_text()
exec(source)
operator = GlobusBookmarkOperator(task_id="mark", collection="instrument", path="/data/", name="data")
print(operator.execute({})["bookmark_id"])
"""


def test_the_operator_works(page: Page, globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory) -> None:
    page.excuse("make lint", "checks style, and runs this test")
    globus_collection("instrument", files={"data/a.h5": b"1"})
    page.run()
    (page.folder / "run.py").write_text(RUN)
    said = page.terminal.bash("python run.py")
    assert said.split()[-1] in str(globus_sandbox.world.snapshot())


def test_the_targets_are_there() -> None:
    for target in re.findall(r"^\| `make ([a-z-]+)` \|", TEXT, re.MULTILINE):
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


def test_the_folders_are_there() -> None:
    for folder in re.findall(r"`(tests/[a-z0-9_/]+|docs/[a-z_]+)`", TEXT):
        assert (ROOT / folder).exists(), folder
    for part in re.findall(r"`([a-z_]+(?:/|\.py))`", TEXT.partition("## The house")[2].partition("## Tests")[0]):
        assert (ROOT / "airflow_provider_globus" / part).exists(), part


def test_the_bases_are_those_of_the_sandbox() -> None:
    from airflow_provider_globus.sandbox.service import Basis

    assert re.findall(r"^\| `([A-Z]+)` \|", TEXT, re.MULTILINE) == [basis.name for basis in Basis]
