"""Running a notebook on a supercomputer, as the page tells it: a good dataset, and one that fails in a cell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, ComputeEndpointFactory
    from tests.docs.page import Page


def code_cells(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


def test_run_a_notebook_on_hpc(
    page: Page,
    globus_collection: CollectionFactory,
    globus_compute_endpoint: ComputeEndpointFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = {"data/run1/temperatures.csv": "290\n310\n330\n", "data/run2/temperatures.csv": "290\n-1\n"}
    scratch = globus_collection("scratch", files=files)
    results = globus_collection("results")
    globus_compute_endpoint("hpc")
    page.replace("<folder of the supercomputer>", str(scratch.folder))
    page.excuse("pip install", "installs from a registry; the tests' environment has these packages")
    page.dag("summarise", conf={"run": "run1", "limit_kelvin": 300.5})
    page.run()

    assert "python3" in page.output("jupyter kernelspec list")
    assert {path.name for path in (results.folder / "run1").iterdir()} == {"summary.ipynb", "results.json"}
    assert json.loads((results.folder / "run1/results.json").read_text()) == {"mean": 310.0, "above_limit": 2}
    cells = code_cells(results.folder / "run1/summary.ipynb")
    (injected,) = [cell for cell in cells if "injected-parameters" in cell["metadata"]["tags"]]
    assert "limit_kelvin = 300.5\n" in "".join([*injected["source"], "\n"])
    assert all(cell["execution_count"] for cell in cells)
    assert page.results("summarise")["deliver"]["files_transferred"] == 2

    # A cell fails: the notebook is delivered with its traceback, and the last task fails with the cell's error.
    run = page.run_dag("summarise", {"run": "run2"}, ends="failed")
    assert run.results["run_notebook"].startswith("Cell [3] raised ValueError: ")
    assert run.results["deliver"]["files_transferred"] == 1
    assert "Cell [3] raised ValueError" in capsys.readouterr().out
    errors = [o for cell in code_cells(results.folder / "run2/summary.ipynb") for o in cell["outputs"] if "ename" in o]
    assert [error["evalue"].partition(" has ")[2] for error in errors] == ["-1.0 K, which is no temperature"]

    # Another go at the data of the first run: nothing of that lies beside the failed notebook.
    (scratch.folder / "data/run1/temperatures.csv").write_text("-5\n")
    page.run_dag("summarise", {"run": "run1"}, ends="failed")
    assert [path.name for path in (results.folder / "run1").iterdir()] == ["summary.ipynb"]


def test_what_the_page_says_of_errors_is_what_papermill_says(tmp_path: Path) -> None:
    """The error texts of the table."""
    import papermill  # type: ignore[import-untyped]
    import pytest
    from jupyter_client.kernelspec import NoSuchKernel

    cell: dict[str, Any] = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        "source": "1",
    }
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"language_info": {"name": "python"}}, "cells": [cell]}
    (tmp_path / "a.ipynb").write_text(json.dumps(document))
    with pytest.raises(NoSuchKernel, match="No such kernel named nothing"):
        papermill.execute_notebook(
            tmp_path / "a.ipynb", tmp_path / "b.ipynb", kernel_name="nothing", progress_bar=False
        )
