"""The notebook demo's checks pass on a good run, and find each thing that can be wrong with it."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from airflow_provider_globus.sandbox.demo.s3 import S3Server
from airflow_provider_globus.sandbox.demo.scenarios import notebook_on_hpc

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox import GlobusSandbox

EXAMPLES = Path(__file__).resolve().parents[5] / "example_dags"
ARRIVED = "what the notebook made arrived with the same bytes (SHA-256)"
EXECUTED = "each cell was executed, in order and without an error"
INJECTED = "the run's params were the notebook's parameters"
RIGHT = "the lattice constant is silicon's, and what a search over all finds"
DRAWN = "the figure shows something"


def make(folder: Path, sandbox: GlobusSandbox) -> notebook_on_hpc.Demo:
    demo = notebook_on_hpc.Demo(folder, sandbox, S3Server())
    demo.prepare()
    demo.while_running({"wait_for_measurement": "deferred"})
    return demo


def measurement_on_scratch(demo: notebook_on_hpc.Demo) -> Path:
    return demo.scratch / "diffraction/measurements" / notebook_on_hpc.MEASUREMENT


def run_on_scratch(demo: notebook_on_hpc.Demo) -> Path:
    return demo.scratch / "diffraction/runs" / notebook_on_hpc.MEASUREMENT


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the example's function leaves on scratch: run once, with names in place of the folders' paths."""
    spec = importlib.util.spec_from_file_location("notebook_on_hpc_example", EXAMPLES / "notebook_on_hpc.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    run: Callable[..., dict[str, Any]] = module.run_notebook.function
    folder = tmp_path_factory.mktemp("endpoint")
    notebook_on_hpc.write_measurement(folder)
    parameters = {
        "pattern": str(folder / "pattern.csv"),
        "wavelength_angstrom": notebook_on_hpc.WAVELENGTH_ANGSTROM,
        "reflections": notebook_on_hpc.REFLECTIONS,
        "expected_angstrom": notebook_on_hpc.EXPECTED_ANGSTROM,
    }
    notebook = EXAMPLES / "notebooks" / notebook_on_hpc.NOTEBOOK
    assert run(str(notebook), str(folder / "run"), parameters, "python3", 60)["failure"] is None
    return folder


@pytest.fixture
def demo(tmp_path: Path, globus_sandbox: GlobusSandbox, executed: Path) -> notebook_on_hpc.Demo:
    """A demo whose DAG has run, as far as files tell."""
    demo = make(tmp_path, globus_sandbox)
    shutil.copytree(demo.measurement, measurement_on_scratch(demo))
    notebook = executed / "run" / notebook_on_hpc.NOTEBOOK
    text = notebook.read_text().replace(
        str(executed / "pattern.csv"), str(measurement_on_scratch(demo) / "pattern.csv")
    )
    shutil.copytree(executed / "run", run_on_scratch(demo))
    (run_on_scratch(demo) / notebook_on_hpc.NOTEBOOK).write_text(text)
    shutil.copytree(run_on_scratch(demo), demo.executed.parent)
    return demo


def failed(demo: notebook_on_hpc.Demo) -> set[str]:
    # Nothing was submitted here: those two checks have their own tests, and the DAG's.
    services = {"each function was executed once for each task", "each transfer was submitted once"}
    return {check.name for check in demo.checks({}) if not check.passed} - services


def change(demo: notebook_on_hpc.Demo, edit: Callable[[list[dict[str, Any]]], None]) -> None:
    """Change the cells of the executed notebook, on scratch and in the results."""
    document = json.loads(demo.executed.read_text())
    edit(document["cells"])
    for folder in (run_on_scratch(demo), demo.executed.parent):
        (folder / notebook_on_hpc.NOTEBOOK).write_text(json.dumps(document))


def test_a_good_run_passes(demo: notebook_on_hpc.Demo) -> None:
    assert failed(demo) == set()
    assert all(place.on_disk.exists() for place in demo.places())


def test_a_notebook_that_was_not_executed_is_found(demo: notebook_on_hpc.Demo) -> None:
    def forget(cells: list[dict[str, Any]]) -> None:
        cells[-1] |= {"outputs": [], "execution_count": None}

    change(demo, forget)
    assert failed(demo) == {EXECUTED}


def test_an_error_in_a_cell_is_found(demo: notebook_on_hpc.Demo) -> None:
    error = {"output_type": "error", "ename": "ValueError", "evalue": "no peak", "traceback": []}
    change(demo, lambda cells: cells[-1]["outputs"].append(error))
    assert failed(demo) == {EXECUTED}
    assert any("errors: ValueError" in check.detail for check in demo.checks({}))


@pytest.mark.parametrize(
    ("old", "new"),
    [("5.42\n", "5.43\n"), ("[4, 2, 2]", "[5, 1, 1]"), ("injected-parameters", "parameters")],
)
def test_parameters_other_than_the_run_s_are_found(demo: notebook_on_hpc.Demo, old: str, new: str) -> None:
    def swap(cells: list[dict[str, Any]]) -> None:
        for cell in cells:
            if "injected-parameters" in cell["metadata"].get("tags", []):
                text = json.dumps(cell).replace(json.dumps(old)[1:-1], json.dumps(new)[1:-1])
                assert text != json.dumps(cell)
                cell.update(json.loads(text))

    change(demo, swap)
    assert failed(demo) == {INJECTED}


def test_a_wrong_result_is_found(demo: notebook_on_hpc.Demo) -> None:
    for folder in (run_on_scratch(demo), demo.executed.parent):
        results = json.loads((folder / "results.json").read_text())
        # As without a zero shift.
        (folder / "results.json").write_text(json.dumps(results | {"lattice_angstrom": 5.4277}))
    assert failed(demo) == {RIGHT}


def test_a_file_that_changed_on_its_way_or_did_not_come_is_found(demo: notebook_on_hpc.Demo) -> None:
    with demo.executed.open("a") as file:
        file.write("\n")
    assert failed(demo) == {ARRIVED}


def test_an_empty_figure_is_found(demo: notebook_on_hpc.Demo) -> None:
    for folder in (run_on_scratch(demo), demo.executed.parent):
        Image.new("RGB", (960, 360), "white").save(folder / "pattern.png")
    assert failed(demo) == {DRAWN}


def test_a_measurement_that_did_not_reach_scratch_is_found(demo: notebook_on_hpc.Demo) -> None:
    (measurement_on_scratch(demo) / notebook_on_hpc.MARKER).unlink()
    assert failed(demo) == {"scratch has the measurement's bytes (SHA-256)"}


@pytest.mark.parametrize("shift", [0.0, 0.05])
def test_the_search_follows_the_pattern_and_not_the_constant(
    tmp_path: Path, shift: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebook_on_hpc, "LATTICE_ANGSTROM", 5.445)
    monkeypatch.setattr(notebook_on_hpc, "ZERO_SHIFT_DEGREES", shift)
    notebook_on_hpc.write_measurement(tmp_path)
    found = notebook_on_hpc.search(tmp_path / "pattern.csv")
    assert np.isclose(found, 5.445, atol=notebook_on_hpc.MAX_ERROR_ANGSTROM)
