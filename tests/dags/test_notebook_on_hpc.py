"""The pipeline that runs a notebook: a good one becomes an asset; of a failing one the traceback comes back."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.sandbox.demo.scenarios import notebook_on_hpc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.sdk import DAG

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.demo.s3 import S3Server

DELIVERED = f"diffraction/{notebook_on_hpc.MEASUREMENT}"


def states() -> dict[str, str]:
    """The state of each task of the latest run."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        runs = select(DagRun).where(DagRun.dag_id == "notebook_on_hpc").order_by(DagRun.id.desc())
        run = session.scalars(runs.limit(1)).one()
        return {task.task_id: str(task.state) for task in run.get_task_instances(session=session)}


def asset_events() -> list[tuple[str, dict[str, Any]]]:
    """The events of the DAG's last task: URI and extra."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        rows = select(AssetModel.uri, AssetEvent.extra).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        found = session.execute(rows.where(AssetEvent.source_task_id == "judge").order_by(AssetEvent.id))
        return [(row.uri, row.extra) for row in found]


def code_cells(notebook: Path | str) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(Path(notebook).read_text())["cells"] if cell["cell_type"] == "code"]


def test_a_failing_cell_comes_back_with_its_traceback_and_fails_the_run(
    example_dags: Path,
    load: Callable[[Path], dict[str, DAG]],
    run: Callable[[DAG, dict[str, Any]], tuple[str, dict[str, Any]]],
    run_beside: Callable[..., tuple[str, dict[str, Any]]],
    globus_sandbox: GlobusSandbox,
    s3: S3Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    demo = notebook_on_hpc.Demo(tmp_path, globus_sandbox, s3)
    demo.prepare()
    dag = load(example_dags / "notebook_on_hpc.py")["notebook_on_hpc"]
    results = demo.results / DELIVERED
    # Other tests may have run the same DAG in this process's database.
    before = len(asset_events())

    # A crystal: the executed notebook is an asset, which tells the results.
    state, xcoms = run_beside(demo, dag, run)
    assert state == "success"
    on_scratch = demo.scratch / "diffraction/measurements" / notebook_on_hpc.MEASUREMENT / demo.executed.name
    assert on_scratch.read_bytes() == (example_dags / "notebooks" / demo.executed.name).read_bytes()
    assert {path.name for path in results.iterdir()} == {demo.executed.name, "results.json", "pattern.png"}
    found = json.loads((results / "results.json").read_text())
    told = {"results": found, "transfer_task_id": xcoms["to_results"]["task_id"]}
    assert asset_events()[before:] == [(f"globus://results/{DELIVERED}/{demo.executed.name}", told)]

    # A glass, which has no peaks.
    notebook_on_hpc.write_measurement(demo.measurement, crystalline=False)
    capsys.readouterr()
    state, xcoms = run_beside(demo, dag, run)
    assert state == "failed"
    assert {task for task, state in states().items() if state != "success"} == {"judge"}
    said = capsys.readouterr().out
    assert "Cell [4] of powder_diffraction.ipynb raised ValueError: no peak of [1, 1, 1] near" in said
    assert f"globus://results/{DELIVERED}/{demo.executed.name}: mend the notebook" in said
    assert "---> 17         raise ValueError(" in caplog.text
    assert "\x1b" not in xcoms["run_notebook"]["failure"]["traceback"]
    assert len(asset_events()) == before + 1
    # The figure of the crystal does not lie beside the notebook of the glass.
    assert {path.name for path in results.iterdir()} == {demo.executed.name}
    outputs = [output for cell in code_cells(demo.executed) for output in cell["outputs"]]
    errors = [output for output in outputs if output["output_type"] == "error"]
    assert [error["ename"] for error in errors] == ["ValueError"]
    assert "raise" in "".join(errors[0]["traceback"])
    assert xcoms["run_notebook"]["failure"]["message"] == errors[0]["evalue"]


# What the function does that runs at the endpoint, without an endpoint


@pytest.fixture(scope="module")
def run_notebook() -> Callable[..., dict[str, Any]]:
    file = Path(__file__).resolve().parents[2] / "example_dags" / "notebook_on_hpc.py"
    spec = importlib.util.spec_from_file_location("notebook_on_hpc_example", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[..., dict[str, Any]] = module.run_notebook.function
    return function


def notebook(tmp_path: Path, *sources: str, tags: Sequence[str] = ("parameters",)) -> str:
    """A notebook whose first cell holds the parameters."""
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "id": f"cell-{number}", "source": source, "outputs": [], "execution_count": None}
        | {"metadata": {"tags": [] if number else list(tags)}}
        for number, source in enumerate(sources)
    ]
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": cells}
    (tmp_path / "made.ipynb").write_text(json.dumps(document))
    return str(tmp_path / "made.ipynb")


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "DeadKernelError"),
        ("import time\ntime.sleep(600)", "CellTimeoutError"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_what_ended_a_notebook_is_told_and_what_it_had_done_is_kept(
    run_notebook: Callable[..., dict[str, Any]], tmp_path: Path, source: str, error: str
) -> None:
    made = notebook(tmp_path, "number = 1", "print(number + 1)", source, "print('never')")
    folder = tmp_path / "run"
    ended = run_notebook(made, str(folder), {"number": 41}, "python3", 2)
    assert ended["failure"]["error"] == error
    assert ended["failure"]["cell"] == 4  # the second is the one that papermill has injected
    assert ended["results"] is None
    outputs = [cell["outputs"] for cell in code_cells(ended["notebook"])]
    assert "".join(outputs[2][0]["text"]) == "42\n"
    assert outputs[4] == []
    assert json.loads(json.dumps(ended)) == ended


def test_a_parameter_that_the_notebook_does_not_have_is_refused(
    run_notebook: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """papermill would set a variable that nobody reads."""
    made = notebook(tmp_path, "number = 1")
    with pytest.raises(ValueError, match="no parameter numbre in its cell tagged 'parameters'"):
        run_notebook(made, str(tmp_path / "run"), {"number": 1, "numbre": 2}, "python3", 60)
    untagged = notebook(tmp_path, "number = 1", tags=())
    with pytest.raises(ValueError, match="no cell tagged 'parameters'"):
        run_notebook(untagged, str(tmp_path / "run"), {"number": 2}, "python3", 60)
    assert not (tmp_path / "run").exists()


def test_it_runs_in_an_empty_folder(run_notebook: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "results.json").write_text("{}")
    made = notebook(tmp_path, "number = 1", "from pathlib import Path\nsorted(p.name for p in Path().iterdir())")
    ended = run_notebook(made, str(folder), {"number": 2}, "python3", 60)
    assert ended["failure"] is None
    assert ended["results"] is None
    (shown,) = code_cells(ended["notebook"])[-1]["outputs"]
    assert "".join(shown["data"]["text/plain"]) == "['made.ipynb']"
