"""The tomography demo's checks pass on a good reconstruction, and find each thing that can be wrong with it."""

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
from airflow_provider_globus.sandbox.demo.scenarios import tomography

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox import GlobusSandbox

EXAMPLE = Path(__file__).resolve().parents[5] / "example_dags" / "tomography.py"


@pytest.fixture(scope="module")
def functions() -> dict[str, Callable[..., dict[str, Any]]]:
    """The example's functions for Compute, undecorated."""
    spec = importlib.util.spec_from_file_location("tomography_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: getattr(module, name).function for name in ("reconstruct", "bin_volume", "draw_slice")}


Compute = dict[str, "Callable[..., dict[str, Any]]"]


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scan")
    tomography.write_scan(folder)
    return folder


def computed(scan: Path, folder: Path, functions: Compute) -> dict[str, Any]:
    """What the DAG does on the endpoint; returns the figures."""
    shutil.copytree(scan, folder)
    figures = functions["reconstruct"](str(folder))
    for level in tomography.LEVELS:
        functions["bin_volume"](str(folder), level)
    functions["draw_slice"](str(folder))
    return figures


@pytest.fixture
def demo(tmp_path: Path, globus_sandbox: GlobusSandbox, scan: Path, functions: Compute) -> tomography.Demo:
    """A demo whose DAG has run, as far as files tell."""
    demo = tomography.Demo(tmp_path, globus_sandbox, S3Server())
    demo.prepare()
    demo.while_running({"wait_for_scan": "deferred"})
    computed(demo.scan, demo.scratch / "tomography" / tomography.SCAN, functions)
    shutil.copytree(demo.scratch / "tomography" / tomography.SCAN / "products", demo.results / "accepted/tomo_0007")
    return demo


def failed(demo: tomography.Demo) -> set[str]:
    # Nothing was submitted here: those two checks have their own tests, and the DAG's.
    services = {"each function was executed once for each task", "each transfer was submitted once"}
    return {check.name for check in demo.checks({}) if not check.passed} - services


def test_a_good_reconstruction_passes_and_is_compared_in_a_picture(demo: tomography.Demo) -> None:
    assert failed(demo) == set()
    picture = next(place.on_disk for place in demo.places() if place.on_disk.name == "comparison.png")
    with Image.open(picture) as image:
        assert image.width > 3 * tomography.SIZE
    assert all(place.on_disk.exists() for place in demo.places())


RECONSTRUCTION = "the reconstruction is the body that was scanned"
RESOLUTIONS = "every resolution is there, each the average of the first"
ARRIVED = "the results arrived with the same bytes (SHA-256)"


def test_a_turned_reconstruction_is_found(demo: tomography.Demo) -> None:
    for folder in (demo.results / "accepted/tomo_0007", demo.scratch / "tomography/tomo_0007/products"):
        for path in folder.glob("level_*.npy"):
            np.save(path, np.load(path)[:, :, ::-1])
    assert failed(demo) == {RECONSTRUCTION}


def test_a_level_of_the_wrong_shape_is_found(demo: tomography.Demo) -> None:
    for folder in (demo.results / "accepted/tomo_0007", demo.scratch / "tomography/tomo_0007/products"):
        shutil.copy(folder / "level_2.npy", folder / "level_4.npy")
    assert failed(demo) == {RESOLUTIONS}


def test_a_level_that_picks_voxels_instead_of_averaging_is_found(demo: tomography.Demo) -> None:
    for folder in (demo.results / "accepted/tomo_0007", demo.scratch / "tomography/tomo_0007/products"):
        np.save(folder / "level_2.npy", np.load(folder / "level_1.npy")[::2, ::2, ::2])
    assert failed(demo) == {RESOLUTIONS}


def test_a_file_that_changed_on_its_way_is_found(demo: tomography.Demo) -> None:
    with (demo.results / "accepted/tomo_0007/figures.json").open("a") as file:
        file.write("\n")
    assert failed(demo) == {ARRIVED}


def test_an_empty_picture_is_found(demo: tomography.Demo) -> None:
    for folder in (demo.results / "accepted/tomo_0007", demo.scratch / "tomography/tomo_0007/products"):
        Image.new("L", (512, 512)).save(folder / "slice.png")
    assert failed(demo) == {"the picture shows the slice"}


def test_a_scan_that_did_not_reach_scratch_is_found(demo: tomography.Demo) -> None:
    (demo.scratch / "tomography/tomo_0007/flats.npy").unlink()
    assert failed(demo) == {"scratch has the scan's bytes (SHA-256)"}


def axis_off(scan: Path) -> None:
    geometry = json.loads((scan / "scan.json").read_text())
    geometry["rotation_axis_pixel"] += 0.25
    (scan / "scan.json").write_text(json.dumps(geometry))


def no_flats(scan: Path) -> None:
    flats = np.load(scan / "flats.npy")
    np.save(scan / "flats.npy", np.full_like(flats, flats.mean()))


def turning_back(scan: Path) -> None:
    geometry = json.loads((scan / "scan.json").read_text())
    geometry["angles_degrees"] = [-angle for angle in geometry["angles_degrees"]]
    (scan / "scan.json").write_text(json.dumps(geometry))


@pytest.mark.parametrize("fault", [axis_off, no_flats, turning_back])
def test_small_faults_are_beyond_the_bounds(
    fault: Callable[[Path], None], scan: Path, functions: Compute, tmp_path: Path
) -> None:
    shutil.copytree(scan, tmp_path / "scan")
    fault(tmp_path / "scan")
    functions["reconstruct"](str(tmp_path / "scan"))
    error, correlation = tomography.likeness(np.load(tmp_path / "scan" / "volume.npy"), tomography.truth())
    assert error > tomography.MAX_RMS_ERROR
    assert correlation < tomography.MIN_CORRELATION


def test_the_gates_figures_tell_a_good_scan_from_a_dim_and_from_a_shaken_one(
    scan: Path, functions: Compute, tmp_path: Path
) -> None:
    good = computed(scan, tmp_path / "good", functions)
    assert good["snr"] > 10
    assert good["sharpness"] > 0.45

    tomography.write_scan(tmp_path / "dim", photons=500)
    assert functions["reconstruct"](str(tmp_path / "dim"))["snr"] < 5

    shake(shutil.copytree(scan, tmp_path / "shaken"))
    assert functions["reconstruct"](str(tmp_path / "shaken"))["sharpness"] < 0.35


def shake(scan: Path) -> None:
    """Move the sample, not the detector, by a few pixels from one projection to the next."""
    projections, flats, darks = (np.load(scan / f"{name}.npy") for name in ("projections", "flats", "darks"))
    dark = darks.mean(axis=0)
    transmission = (projections - dark) / (flats.mean(axis=0) - dark)
    shifts = np.random.default_rng(1).integers(-3, 4, len(projections))
    moved = np.stack([np.roll(image, shift, axis=-1) for image, shift in zip(transmission, shifts, strict=True)])
    np.save(scan / "projections.npy", moved * (flats.mean(axis=0) - dark) + dark)
