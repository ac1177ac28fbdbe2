"""The surroundings of `tomography`: a beamline that scans a known body, HPC scratch, a Compute endpoint, results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from airflow_provider_globus.sandbox.demo import phantom, pictures
from airflow_provider_globus.sandbox.demo.checks import (
    Check,
    digests,
    one_execution_each,
    one_submission_each,
    same_files,
)
from airflow_provider_globus.sandbox.demo.scenario import Place, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

SCAN = "tomo_0007"
MARKER = "scan.done"
ROWS, SIZE, ANGLES = 8, 128, 180
PIXEL_MM = 0.1
SHELL_PER_MM = 0.5  # attenuation where the body's value is 1: the densest ray lets an eighth of the light through
PHOTONS = 40_000  # that reach a pixel with no sample in the way
LEVELS = (1, 2, 4)

# The reconstruction against the body, over all slices inside the field of view. Seen: an RMS error of 3.1 % of the
# grey range and a correlation of 0.990. What remains is the shell's edge, which cannot be drawn sharper than a pixel,
# and the detector's noise; another seed or FFT moves it in the third digit. The bounds lie between that and the
# smallest fault tried: a rotation axis a quarter of a pixel off gives 5.2 % and 0.971, no flat fields 8.1 % and 0.930.
MAX_RMS_ERROR = 0.05
MIN_CORRELATION = 0.975


def write_scan(folder: Path, *, photons: float = PHOTONS) -> None:
    """Write the body's scan, as the DAG documents it, all but the marker.

    :param photons: brightness of the beam; noise is what counting so many leaves.
    """
    noise = np.random.default_rng(42)  # the same counts in every run
    angles = np.arange(ANGLES) * (180.0 / ANGLES)
    integrals = phantom.line_integrals(np.deg2rad(angles), ROWS, SIZE) * (SHELL_PER_MM * PIXEL_MM * SIZE / 2)
    # Pixels differ in sensitivity by a tenth, and count a little with the beam off.
    open_beam = photons * noise.uniform(0.9, 1.1, (ROWS, SIZE))
    offset = noise.uniform(90, 110, (ROWS, SIZE))
    frames = {
        "projections": offset + noise.poisson(open_beam * np.exp(-integrals)),
        "flats": offset + noise.poisson(open_beam, (20, ROWS, SIZE)),
        "darks": noise.poisson(offset, (20, ROWS, SIZE)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, counts in frames.items():
        np.save(folder / f"{name}.npy", np.clip(counts.round(), 0, 65535).astype(np.uint16))
    geometry = {
        "sample": "modified Shepp-Logan phantom",
        "angles_degrees": angles.tolist(),
        "pixel_mm": PIXEL_MM,
        "rotation_axis_pixel": (SIZE - 1) / 2,
    }
    (folder / "scan.json").write_text(json.dumps(geometry))


def truth() -> NDArray[np.floating]:
    """Return what a perfect reconstruction would show: attenuation in 1/mm."""
    return phantom.volume(ROWS, SIZE) * SHELL_PER_MM


def likeness(found: NDArray[np.floating], expected: NDArray[np.floating]) -> tuple[float, float]:
    """Return RMS error, as a part of the expected grey range, and correlation, inside the field of view."""
    centred = np.arange(SIZE) - (SIZE - 1) / 2
    inside = np.hypot(*np.meshgrid(centred, centred)) < SIZE / 2
    one, other = found[:, inside], expected[:, inside]
    error = np.sqrt(np.mean((one - other) ** 2)) / np.ptp(other)
    return float(error), float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


class Demo(Scenario):
    """A scan that is being finished, three collections and the endpoint, which works in the folder of `scratch`."""

    dag_id = "tomography"
    bytes_per_second = 250_000.0

    def prepare(self) -> None:
        """Write the scan, all but its marker; make collections and endpoint."""
        self.scan = self.folder / "beamline" / "data" / SCAN
        self.scratch = self.folder / "scratch"
        self.results = self.folder / "results"
        write_scan(self.scan)
        for folder in (self.scratch, self.results):
            folder.mkdir()
        add = self.globus.add_collection
        add("Beamline 7 detector", self.folder / "beamline", alias="beamline", kind="personal")
        add("HPC scratch", self.scratch, alias="scratch")
        add("Reconstructions", self.results, alias="results")
        self.globus.add_compute_endpoint("HPC cluster", alias="hpc", folder=self.folder / "hpc")
        self.originals: dict[str, str] = {}

    @property
    def conf(self) -> dict[str, Any]:
        """Which scan, and where the collection `scratch` begins for a function on the endpoint."""
        return {"scan": SCAN, "marker": MARKER, "scratch_on_hpc": str(self.scratch.absolute())}

    def while_running(self, states: Mapping[str, str | None]) -> None:
        """Let the beamline finish once Airflow waits for it."""
        if not self.originals and states.get("wait_for_scan") == "deferred":
            (self.scan / MARKER).touch()
            self.originals = digests(self.scan)

    def checks(self, xcoms: Mapping[str, Any]) -> list[Check]:
        """The body is what was reconstructed, all products arrived, and nothing was done twice."""
        scratch = digests(self._on_scratch)
        scan = {name: digest for name, digest in scratch.items() if name in self.originals}
        products = digests(self._on_scratch / "products")
        return [
            same_files("scratch has the scan's bytes (SHA-256)", self.originals, scan),
            self._reconstructed(),
            self._resolutions(),
            self._drawn(),
            same_files("the results arrived with the same bytes (SHA-256)", products, digests(self._in_results)),
            one_execution_each(
                self.globus.world.compute, {"reconstruct": 1, "bin_volume": len(LEVELS), "draw_slice": 1}
            ),
            one_submission_each(self.globus.journal, xcoms, ("to_scratch", "to_results")),
        ]

    def _reconstructed(self) -> Check:
        found, expected = np.load(self._in_results / "level_1.npy"), truth()
        error, correlation = likeness(found, expected)
        self._compare(found[ROWS // 2], expected[ROWS // 2])
        return Check(
            "the reconstruction is the body that was scanned",
            error <= MAX_RMS_ERROR and correlation >= MIN_CORRELATION,
            f"RMS error {error:.2%} of the grey range (at most {MAX_RMS_ERROR:.0%}), "
            f"correlation {correlation:.4f} (at least {MIN_CORRELATION})",
        )

    def _compare(self, found: NDArray[np.floating], expected: NDArray[np.floating]) -> None:
        """Draw body, reconstruction and difference beside each other."""
        # The filling's details span a third of the shell's attenuation; drawn up to the shell, they would be one grey.
        low, high, difference = 0.0, 0.4 * SHELL_PER_MM, 0.1 * SHELL_PER_MM
        panels = [
            pictures.Panel(f"phantom ({low:g} to {high:g}/mm)", expected, low, high),
            pictures.Panel(f"reconstruction ({low:g} to {high:g}/mm)", found, low, high),
            pictures.Panel(f"difference (±{difference:g}/mm)", found - expected, -difference, difference, signed=True),
        ]
        pictures.draw(self._comparison, panels)

    def _resolutions(self) -> Check:
        levels = {level: np.load(self._in_results / f"level_{level}.npy") for level in LEVELS}
        wrong = [level for level in LEVELS if not _is_binned(levels[level], levels[1], level)]
        shapes = ", ".join("x".join(map(str, volume.shape)) for volume in levels.values())
        return Check("every resolution is there, each the average of the first", not wrong, shapes)

    def _drawn(self) -> Check:
        with Image.open(self._in_results / "slice.png") as picture:
            width, height = picture.size
            darkest, brightest = picture.convert("L").getextrema()
        passed = (width, height, darkest, brightest) == (4 * SIZE, 4 * SIZE, 0, 255)
        detail = f"{width}x{height} pixels, grey {darkest} to {brightest}"
        return Check("the picture shows the slice", passed, detail)

    @property
    def _on_scratch(self) -> Path:
        return self.scratch / "tomography" / SCAN

    @property
    def _in_results(self) -> Path:
        return self.results / "accepted" / SCAN

    @property
    def _comparison(self) -> Path:
        return self.folder / "comparison.png"

    def places(self) -> list[Place]:
        """Volumes and picture; and the picture that compares body and reconstruction."""
        return [
            Place("scratch", f"/tomography/{SCAN}/", self._on_scratch),
            Place("results", f"/accepted/{SCAN}/", self._in_results),
            Place("results", f"/accepted/{SCAN}/slice.png", self._in_results / "slice.png"),
            Place("", "phantom, reconstruction, difference", self._comparison),
        ]


def _is_binned(volume: NDArray[np.floating], first: NDArray[np.floating], level: int) -> bool:
    """Whether each voxel of a volume is the average of a cube of voxels of the first."""
    if volume.shape != tuple(length // level for length in first.shape):
        return False
    total = sum(
        first[slices::level, rows::level, columns::level].astype(np.float64)
        for slices in range(level)
        for rows in range(level)
        for columns in range(level)
    )
    return bool(np.allclose(volume, total / level**3, atol=1e-6))
