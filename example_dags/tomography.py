"""From a beamline's scan to a judged, reconstructed volume: moved to a supercomputer, computed there, delivered.

Projections go to HPC scratch, NumPy reconstructs them there by filtered back-projection, a quality gate decides, and
the volume in three resolutions and a picture of it come back. Airflow itself moves and computes nothing.

Collections and the Compute endpoint are named by alias: `beamline`, `scratch`, `results` and `hpc` stand for what the
connection says. Functions of `@task.globus_compute` travel as source text, so each imports what it uses.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_globus.assets import globus_asset
from airflow_provider_globus.operators.transfer import GlobusTransferOperator
from airflow_provider_globus.sensors.path import GlobusPathSensor

ON_BEAMLINE = "{{ params.beamline_folder }}/{{ params.scan }}/"
ON_SCRATCH = "{{ params.scratch_folder }}/{{ params.scan }}/"
IN_RESULTS = "/accepted/{{ params.scan }}/"
IN_REJECTED = "/rejected/{{ params.scan }}/"
# The same folder as ON_SCRATCH, as the supercomputer's file system calls it.
ON_HPC = "{{ params.scratch_on_hpc }}{{ params.scratch_folder }}/{{ params.scan }}"

# What functions read and write only their author knows; OpenLineage learns it from these.
SCANS = globus_asset("scratch", "/tomography")
PRODUCTS = globus_asset("scratch", "/tomography/products")

log = logging.getLogger(__name__)


@task.globus_compute(endpoint="hpc", inlets=[SCANS], outlets=[PRODUCTS])
def reconstruct(folder: str) -> dict[str, Any]:
    """Reconstruct a parallel-beam scan by filtered back-projection; return where it is and how good it looks.

    `volume.npy` holds the attenuation in 1/mm as float32, by slice, row and column. Two figures judge the middle slice
    by itself: `snr`, the mean of its inner half over the noise in the ring of air around the sample; and `sharpness`,
    the part of the grey range that the steepest hundredth of its pixels cross in one step.
    """
    import json
    from pathlib import Path

    import numpy as np

    scan = Path(folder)
    geometry = json.loads((scan / "scan.json").read_text())
    raw, flat, dark = (np.load(scan / f"{name}.npy") for name in ("projections", "flats", "darks"))
    angles = np.deg2rad(geometry["angles_degrees"])
    columns = raw.shape[-1]

    # Counts to line integrals (Beer-Lambert); a dead pixel must not make a logarithm infinite.
    dark = dark.mean(axis=0)
    transmission = (raw - dark) / np.maximum(flat.mean(axis=0) - dark, 1.0)
    projections = -np.log(np.maximum(transmission, 1e-4))

    # The ramp filter, from its samples in space: sampled in frequency instead, it would lose the mean. Padded, since
    # the FFT convolves in a circle.
    padded = 2 ** int(np.ceil(np.log2(2 * columns)))
    offset = np.fft.fftfreq(padded, 1 / padded)
    kernel = np.zeros(padded)
    kernel[0] = 1 / 4
    odd = offset % 2 == 1
    kernel[odd] = -1 / (np.pi * offset[odd]) ** 2
    spectrum = np.fft.rfft(projections, padded) * np.fft.rfft(kernel)
    filtered = np.fft.irfft(spectrum, padded)[..., :columns]

    # Back-projection: at each angle every pixel takes, from between two detector columns, what its ray saw.
    centred = np.arange(columns) - (columns - 1) / 2
    x, y = np.meshgrid(centred, -centred)
    volume = np.zeros((raw.shape[1], columns, columns))
    for projection, angle in zip(filtered, angles, strict=True):
        position = x * np.cos(angle) + y * np.sin(angle) + geometry["rotation_axis_pixel"]
        position = np.clip(position, 0, columns - 1)
        left = np.minimum(position.astype(int), columns - 2)
        weight = position - left
        volume += (1 - weight) * projection[:, left] + weight * projection[:, left + 1]
    volume *= np.pi / len(angles) / geometry["pixel_mm"]
    radius = np.hypot(x, y) / (columns / 2)
    volume[:, radius >= 1] = 0  # not every projection saw these
    volume = volume.astype(np.float32)
    np.save(scan / "volume.npy", volume)

    middle = volume[len(volume) // 2]
    air = middle[(radius > 0.95) & (radius < 1)]
    low, high = np.percentile(middle[radius < 1], [1, 99])
    steps = np.hypot(*np.gradient(middle))[radius < 0.95]
    figures = {
        "volume": str(scan / "volume.npy"),
        "shape": list(volume.shape),
        "minimum": float(volume.min()),
        "maximum": float(volume.max()),
        "snr": float(middle[radius < 0.5].mean() / air.std()),
        "sharpness": float(np.percentile(steps, 99) / (high - low)),
    }
    products = scan / "products"
    products.mkdir(exist_ok=True)
    (products / "figures.json").write_text(json.dumps(figures, indent=2))
    return figures


@task.branch
def judge(figures: Any, **context: Any) -> list[str]:
    """Go on with a good reconstruction; file the scan of a poor one as rejected, for a person to look at."""
    poor = shortcomings(figures, context["params"])
    log.info("Rejected: %s" if poor else "Accepted%s", "; ".join(poor))
    return ["to_rejected"] if poor else ["bin_volume", "draw_slice"]


def shortcomings(figures: Mapping[str, Any], params: Mapping[str, Any]) -> list[str]:
    """Say in words where a reconstruction is below the params' limits."""
    return [
        f"{name} is {figures[name]:.3g}, wanted {params[limit]:.3g}"
        for name, limit in (("snr", "min_snr"), ("sharpness", "min_sharpness"))
        if not figures[name] >= params[limit]  # so that a NaN falls short
    ]


@task.globus_compute(endpoint="hpc", inlets=[SCANS], outlets=[PRODUCTS])
def bin_volume(folder: str, level: int) -> dict[str, Any]:
    """Write the volume with each cube of `level` voxels a side averaged into one."""
    from pathlib import Path

    import numpy as np

    volume = np.load(Path(folder) / "volume.npy", mmap_mode="r")
    slices, rows, columns = (length // level for length in volume.shape)
    blocks = volume[: slices * level, : rows * level, : columns * level].reshape(
        slices, level, rows, level, columns, level
    )
    path = Path(folder) / "products" / f"level_{level}.npy"
    np.save(path, blocks.mean(axis=(1, 3, 5), dtype=np.float64).astype(np.float32))
    return {"level": level, "path": str(path), "shape": [slices, rows, columns], "bytes": path.stat().st_size}


@task.globus_compute(endpoint="hpc", inlets=[SCANS], outlets=[PRODUCTS])
def draw_slice(folder: str, zoom: int = 4) -> dict[str, Any]:
    """Draw the middle slice as a grey picture, each voxel `zoom` pixels wide."""
    from pathlib import Path

    import numpy as np
    from PIL import Image

    volume = np.load(Path(folder) / "volume.npy", mmap_mode="r")
    middle = volume[len(volume) // 2]
    # A few stray pixels must not decide what is black and what is white.
    low, high = np.percentile(middle, [1, 99.5])
    grey = (np.clip((middle - low) / max(high - low, 1e-12), 0, 1) * 255).astype(np.uint8)
    path = Path(folder) / "products" / "slice.png"
    Image.fromarray(grey).resize((grey.shape[1] * zoom, grey.shape[0] * zoom), Image.Resampling.NEAREST).save(path)
    return {"path": str(path), "bytes": path.stat().st_size}


@task(trigger_rule="none_failed_min_one_success")
def report(**context: Any) -> dict[str, Any]:
    """Say what became of the scan, whichever way it went."""
    pull, params = context["ti"].xcom_pull, context["params"]
    figures = pull(task_ids="reconstruct")
    poor = shortcomings(figures, params)
    moved = pull(task_ids="to_rejected" if poor else "to_results")
    summary = {
        "scan": params["scan"],
        "verdict": "rejected" if poor else "accepted",
        "shortcomings": poor,
        "snr": round(figures["snr"], 2),
        "sharpness": round(figures["sharpness"], 3),
        "files_transferred": moved["files_transferred"],
        "bytes": moved["bytes"],
    }
    log.info(
        "%(scan)s was %(verdict)s (SNR %(snr)s, sharpness %(sharpness)s): "
        "%(files_transferred)d files, %(bytes)d bytes delivered",
        summary,
    )
    return summary


with DAG(
    dag_id="tomography",
    description="Beamline scan → HPC scratch → reconstruction on Globus Compute → quality gate → results",
    doc_md=f"""
{__doc__}

| task | where | what it does |
|---|---|---|
| `wait_for_scan` | Transfer | waits until the beamline writes its marker file, without holding a worker |
| `to_scratch` | Transfer | copies the scan to the supercomputer's scratch, checksums verified |
| `reconstruct` | Compute | flat-field correction and filtered back-projection; returns a few figures |
| `judge` | Airflow | the quality gate: `min_snr` and `min_sharpness` |
| `bin_volume` | Compute | one mapped task for each resolution: full, half and quarter |
| `draw_slice` | Compute | a picture of the middle slice |
| `to_results` | Transfer | delivers volumes, picture and figures |
| `to_rejected` | Transfer | or files the whole scan under `rejected`, for a person to look at |
| `report` | Airflow | sums up, whichever way it went |

**A scan** is a folder with `projections.npy` (counts by angle, row and column of the detector), `flats.npy` and
`darks.npy` (counts by frame, row and column: with the beam on and no sample, and with the beam off) and `scan.json`,
`{{"angles_degrees": […], "pixel_mm": 0.1, "rotation_axis_pixel": 63.5}}`. The beam is parallel: at angle θ the detector
sees the point (x, y) of a slice, in pixels from the axis, in column `rotation_axis_pixel + x cos θ + y sin θ`.

**To run it on your machines**, make a connection `globus_default` of type *Globus* with the client id and secret of
your service account, the three collections under *Collections* and the endpoint under *Compute endpoints*. Where
functions run, NumPy and Pillow must be installed. A function sees the file system of the supercomputer: when your
scratch collection begins in `/lustre/scratch` there, say so with `scratch_on_hpc`.
""",
    schedule=None,
    catchup=False,
    tags=["globus", "compute", "example"],
    default_args={
        "globus_conn_id": "globus_default",
        "deferrable": True,
        "poll_interval": 5,
        "poke_interval": 5,
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
    },
    params={
        "scan": Param("tomo_0007", type="string", minLength=1, pattern=r"^\w[\w.-]*$", title="Scan"),
        "marker": Param("scan.done", type="string", description="File the beamline writes last"),
        "beamline_folder": Param("/data", type="string", pattern="^/.*[^/]$"),
        "scratch_folder": Param("/tomography", type="string", pattern="^/.*[^/]$"),
        "scratch_on_hpc": Param(
            "",
            type="string",
            pattern="^(/.*[^/])?$",
            description="Folder of the supercomputer in which the scratch collection begins; empty for the root",
        ),
        "min_snr": Param(5.0, type="number", minimum=0, description="Below, the scan is rejected: dim beam, bad axis"),
        "min_sharpness": Param(0.35, type="number", minimum=0, description="Below, too: vibration, bad focus"),
    },
) as dag:
    wait_for_scan = GlobusPathSensor(
        task_id="wait_for_scan",
        collection="beamline",
        path=ON_BEAMLINE,
        marker="{{ params.marker }}",
        timeout=timedelta(hours=12).total_seconds(),
    )
    to_scratch = GlobusTransferOperator(
        task_id="to_scratch",
        source_collection="beamline",
        source_path=ON_BEAMLINE,
        destination_collection="scratch",
        destination_path=ON_SCRATCH,
        recursive=True,
        task_label="{{ params.scan }} to scratch",
        sync_level="checksum",
        verify_checksum=True,
        encrypt_data=True,
    )
    figures = reconstruct(folder=ON_HPC)
    verdict = judge(figures)
    levels = bin_volume.partial(folder=ON_HPC).expand(level=[1, 2, 4])
    picture = draw_slice(folder=ON_HPC)
    to_results = GlobusTransferOperator(
        task_id="to_results",
        source_collection="scratch",
        source_path=ON_SCRATCH + "products/",
        destination_collection="results",
        destination_path=IN_RESULTS,
        recursive=True,
        task_label="{{ params.scan }} to results",
        sync_level="checksum",
        verify_checksum=True,
        encrypt_data=True,
    )
    to_rejected = GlobusTransferOperator(
        task_id="to_rejected",
        source_collection="scratch",
        source_path=ON_SCRATCH,
        destination_collection="results",
        destination_path=IN_REJECTED,
        recursive=True,
        task_label="{{ params.scan }} rejected",
        sync_level="checksum",
        verify_checksum=True,
        encrypt_data=True,
    )

    wait_for_scan >> to_scratch >> figures
    verdict >> [levels, picture] >> to_results
    verdict >> to_rejected
    [to_results, to_rejected] >> report()
