"""A notebook is run on a supercomputer, beside the data: parameters go in, the executed notebook comes back.

A powder diffraction pattern and the notebook that evaluates it go to HPC scratch. papermill runs the notebook there, on
a Compute endpoint, with the params of the DAG's run. What returns is the notebook with its outputs, the figure and the
results; and when a cell fails, the notebook with the cell's traceback.

Collections and the Compute endpoint are named by alias: `diffractometer`, `scratch`, `results` and `hpc` stand for what
the connection says.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, AssetAlias, Param, task
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_globus.assets import globus_asset
from airflow_provider_globus.operators.files import GlobusWriteFileOperator
from airflow_provider_globus.operators.transfer import GlobusTransferOperator
from airflow_provider_globus.sensors.path import GlobusPathSensor

NOTEBOOK = "powder_diffraction.ipynb"
ON_DIFFRACTOMETER = "{{ params.diffractometer_folder }}/{{ params.measurement }}/"
DATA_ON_SCRATCH = "{{ params.scratch_folder }}/measurements/{{ params.measurement }}/"
RUN_ON_SCRATCH = "{{ params.scratch_folder }}/runs/{{ params.measurement }}/"
IN_RESULTS = "{{ params.results_folder }}/{{ params.measurement }}/"

# What functions read and write only their author knows; OpenLineage learns it from these.
MEASUREMENTS = globus_asset("scratch", "/diffraction/measurements")
RUNS = globus_asset("scratch", "/diffraction/runs")
# Each executed notebook becomes an asset of this alias; a DAG with `schedule=AssetAlias(…)` runs for each.
EXECUTED = AssetAlias("powder_diffraction")

log = logging.getLogger(__name__)


@task
def read_notebook() -> str:
    """Return the notebook that lies beside this file: so it has the DAG's version."""
    return (Path(__file__).parent / "notebooks" / NOTEBOOK).read_text()


@task.globus_compute(endpoint="hpc", inlets=[MEASUREMENTS], outlets=[RUNS])
def run_notebook(
    notebook: str, folder: str, parameters: dict[str, Any], kernel: str, cell_seconds: int | str
) -> dict[str, Any]:
    """Run a notebook in an empty folder, and leave the executed one there; return its results, or what failed.

    A cell that fails is no failure of this function: the same cell would fail again, and what has become of the
    notebook has to be delivered.
    """
    import json
    import re
    import shutil
    from pathlib import Path

    import papermill  # type: ignore[import-untyped]
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    def code_cells(path: str | Path) -> list[dict[str, Any]]:
        return [cell for cell in json.loads(Path(path).read_text())["cells"] if cell["cell_type"] == "code"]

    # papermill only warns of these, and a parameter that nobody reads changes no result.
    if not any("parameters" in cell["metadata"].get("tags", []) for cell in code_cells(notebook)):
        raise ValueError(f"{notebook} has no cell tagged 'parameters'")
    declared = papermill.inspect_notebook(notebook).keys()  # of languages that papermill cannot read, none
    unknown = parameters.keys() - declared
    if declared and unknown:
        raise ValueError(f"{notebook} has no parameter {', '.join(sorted(unknown))} in its cell tagged 'parameters'")
    shutil.rmtree(folder, ignore_errors=True)  # of an earlier run
    Path(folder).mkdir(parents=True)
    executed = Path(folder) / Path(notebook).name
    failure = None
    try:
        papermill.execute_notebook(
            notebook,
            executed,
            parameters=parameters,
            kernel_name=kernel,
            cwd=folder,
            execution_timeout=int(cell_seconds),
            progress_bar=False,
        )
    except (papermill.PapermillExecutionError, CellTimeoutError, DeadKernelError) as error:
        failure = {
            "cell": sum(bool(cell["metadata"]["papermill"]["start_time"]) for cell in code_cells(executed)),
            "error": getattr(error, "ename", type(error).__name__),
            "message": getattr(error, "evalue", str(error)),
            # A notebook's tracebacks are coloured.
            "traceback": re.sub(r"\x1b\[[\d;]*m", "", "\n".join(getattr(error, "traceback", []))),
        }
    results = Path(folder) / "results.json"
    return {
        "notebook": str(executed),
        "failure": failure,
        "results": json.loads(results.read_text()) if results.exists() else None,
    }


@task(outlets=[EXECUTED])
def judge(executed: Any, delivered: Any, **context: Any) -> dict[str, Any]:
    """Fail with the error of the cell that failed; or announce the executed notebook."""
    params = context["params"]
    asset = globus_asset("results", f"{params['results_folder']}/{params['measurement']}/{NOTEBOOK}")
    failure = executed["failure"]
    if failure:
        log.error("Cell [%(cell)s] raised %(error)s:\n%(traceback)s", failure)
        # Another try would meet the same notebook and the same data.
        raise AirflowFailException(
            f"Cell [{failure['cell']}] of {NOTEBOOK} raised {failure['error']}: {failure['message']}. The executed "
            f"notebook is {asset.uri}: mend the notebook, its parameters or the data, and run the DAG again."
        )
    told = {"results": executed["results"], "transfer_task_id": delivered["task_id"]}
    context["outlet_events"][EXECUTED].add(asset, extra=told)
    return {"notebook": asset.uri, "files_transferred": delivered["files_transferred"], **told}


with DAG(
    dag_id="notebook_on_hpc",
    description="Data and notebook → HPC scratch → papermill on Globus Compute → executed notebook, figure, results",
    doc_md=f"""
{__doc__}

| task | where | what it does |
|---|---|---|
| `wait_for_measurement` | Transfer | waits until the diffractometer writes its marker file, without holding a worker |
| `data_to_scratch` | Transfer | copies the measurement to the supercomputer's scratch, checksums verified |
| `read_notebook` | Airflow | reads the notebook beside the DAG file |
| `notebook_to_scratch` | HTTPS | puts it beside the data |
| `run_notebook` | Compute | runs it with papermill, in the kernel `kernel`, with the run's parameters |
| `to_results` | Transfer | delivers the executed notebook, figure and results, also when a cell has failed |
| `judge` | Airflow | fails with the cell's error, or makes the executed notebook an asset |

**A measurement** is a folder with `pattern.csv`: a line of headings, then for each step the angle 2θ in degrees and the
counts. The sample is cubic; the notebook finds the peaks of `reflections` near where a crystal with `expected_angstrom`
has them, and fits the lattice constant and the diffractometer's zero shift.

**To run your own notebook**, tag its cell of parameters with `parameters`, give `run_notebook` their values, and let it
write what it finds to `results.json` in the folder it runs in. It must not be larger than what an XCom may hold.

**To run it on your machines**, make a connection `globus_default` of type *Globus* with the client id and secret of
your service account, the three collections under *Collections* and the endpoint under *Compute endpoints*. Where
functions run, papermill, ipykernel and what the notebook imports (here NumPy and Pillow) must be installed; `kernel` is
a name that `jupyter kernelspec list` shows there. The collection `scratch` needs HTTPS access. A function sees the
file system of the supercomputer: when your scratch collection begins in `/lustre/scratch` there, say so with
`scratch_on_hpc`.
""",
    schedule=None,
    catchup=False,
    tags=["globus", "compute", "notebook", "example"],
    default_args={
        "globus_conn_id": "globus_default",
        "deferrable": True,
        "poll_interval": 5,
        "poke_interval": 5,
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
    },
    params={
        "measurement": Param("si_0001", type="string", minLength=1, pattern=r"^\w[\w.-]*$", title="Measurement"),
        "marker": Param("measurement.done", type="string", description="File the diffractometer writes last"),
        "wavelength_angstrom": Param(
            1.5406, type="number", exclusiveMinimum=0, description="1.5406 is copper's K alpha 1"
        ),
        "reflections": Param(
            [[1, 1, 1], [2, 2, 0], [3, 1, 1], [4, 0, 0], [3, 3, 1]],
            type="array",
            minItems=2,
            items={"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3},
            description="Miller indices of the peaks to fit",
        ),
        "expected_angstrom": Param(5.43, type="number", exclusiveMinimum=0, description="Where to look for the peaks"),
        "kernel": Param("python3", type="string", minLength=1, description="Jupyter kernel at the endpoint"),
        "cell_seconds": Param(600, type="integer", minimum=1, description="What a cell may take at most"),
        "diffractometer_folder": Param("/data", type="string", pattern="^/.*[^/]$"),
        "scratch_folder": Param("/diffraction", type="string", pattern="^/.*[^/]$"),
        "results_folder": Param("/diffraction", type="string", pattern="^/.*[^/]$"),
        "scratch_on_hpc": Param(
            "",
            type="string",
            pattern="^(/.*[^/])?$",
            description="Folder of the supercomputer in which the scratch collection begins; empty for the root",
        ),
    },
    # So that the notebook gets numbers and lists, and not texts.
    render_template_as_native_obj=True,
) as dag:
    wait_for_measurement = GlobusPathSensor(
        task_id="wait_for_measurement",
        collection="diffractometer",
        path=ON_DIFFRACTOMETER,
        marker="{{ params.marker }}",
        timeout=timedelta(hours=12).total_seconds(),
    )
    data_to_scratch = GlobusTransferOperator(
        task_id="data_to_scratch",
        source_collection="diffractometer",
        source_path=ON_DIFFRACTOMETER,
        destination_collection="scratch",
        destination_path=DATA_ON_SCRATCH,
        recursive=True,
        task_label="{{ params.measurement }} to scratch",
        sync_level="checksum",
        verify_checksum=True,
        encrypt_data=True,
    )
    notebook_to_scratch = GlobusWriteFileOperator(
        task_id="notebook_to_scratch",
        collection="scratch",
        path=DATA_ON_SCRATCH + NOTEBOOK,
        content=read_notebook(),
    )
    executed = run_notebook(
        # The same folders as on the collection, as the supercomputer's file system calls them.
        notebook="{{ params.scratch_on_hpc }}" + DATA_ON_SCRATCH + NOTEBOOK,
        folder="{{ params.scratch_on_hpc }}" + RUN_ON_SCRATCH,
        parameters={
            "pattern": "{{ params.scratch_on_hpc }}" + DATA_ON_SCRATCH + "pattern.csv",
            "wavelength_angstrom": "{{ params.wavelength_angstrom }}",
            "reflections": "{{ params.reflections }}",
            "expected_angstrom": "{{ params.expected_angstrom }}",
        },
        kernel="{{ params.kernel }}",
        cell_seconds="{{ params.cell_seconds }}",
    )
    to_results = GlobusTransferOperator(
        task_id="to_results",
        source_collection="scratch",
        source_path=RUN_ON_SCRATCH,
        destination_collection="results",
        destination_path=IN_RESULTS,
        recursive=True,
        task_label="{{ params.measurement }} to results",
        sync_level="checksum",
        # The figure of an earlier run must not lie beside the notebook of this one.
        delete_destination_extra=True,
        verify_checksum=True,
        encrypt_data=True,
    )

    wait_for_measurement >> data_to_scratch >> executed
    notebook_to_scratch >> executed >> to_results
    judge(executed, to_results.output)
