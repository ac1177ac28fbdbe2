"""The surroundings of `notebook_on_hpc`: a diffractometer that measures silicon, HPC scratch, Compute, results."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

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

MEASUREMENT = "si_0001"
MARKER = "measurement.done"
NOTEBOOK = "powder_diffraction.ipynb"

# Silicon, its reflections by relative intensity, and what the diffractometer adds.
LATTICE_ANGSTROM = 5.4310
WAVELENGTH_ANGSTROM = 1.5406
INTENSITIES = {(1, 1, 1): 100, (2, 2, 0): 55, (3, 1, 1): 30, (4, 0, 0): 6, (3, 3, 1): 11, (4, 2, 2): 12}
ZERO_SHIFT_DEGREES = 0.035
FWHM_DEGREES = 0.14

#: Not the DAG's defaults, so that a parameter that does not arrive is noticed.
REFLECTIONS = [list(hkl) for hkl in INTENSITIES]
EXPECTED_ANGSTROM = 5.42

# The notebook's fit against the crystal that was measured, and against a search over all lattice constants. Seen:
# 0.0001 Å off the first, 0.0003 Å off the second. Without the zero shift it would be 0.0033 Å off.
MAX_ERROR_ANGSTROM = 0.001


def angle_of(hkl: tuple[int, ...], lattice: float) -> float:
    """Return where a cubic crystal reflects: 2θ in degrees."""
    return float(2 * np.degrees(np.arcsin(WAVELENGTH_ANGSTROM * np.linalg.norm(hkl) / (2 * lattice))))


def write_measurement(folder: Path, *, crystalline: bool = True) -> None:
    """Write a pattern as the DAG documents it; of a glass, when it is not crystalline: it has no peaks."""
    angles = np.arange(20.0, 100.0, 0.005)
    counts = 60 + 400 * np.exp(-(angles - 20) / 15)
    if crystalline:
        for hkl, intensity in INTENSITIES.items():
            distance = (angles - angle_of(hkl, LATTICE_ANGSTROM) - ZERO_SHIFT_DEGREES) / (FWHM_DEGREES / 2)
            # Half Gaussian, half Lorentzian, as diffractometers see it.
            counts += 80 * intensity * (0.5 * np.exp(-np.log(2) * distance**2) + 0.5 / (1 + distance**2))
    else:
        counts += 900 * np.exp(-(((angles - 24) / 6) ** 2))
    measured = np.random.default_rng(7).poisson(counts)  # the same counts in every run
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{angle:.3f},{count}" for angle, count in zip(angles, measured, strict=True)]
    (folder / "pattern.csv").write_text("\n".join(["two_theta_degrees,counts", *lines, ""]))


def search(pattern: Path) -> float:
    """Return the lattice constant under whose peaks most counts lie, at the best zero shift: no peak is fitted."""
    angles, counts = np.loadtxt(pattern, delimiter=",", skiprows=1, unpack=True)
    # A peak is a few steps wide, so its mean over them is less noisy than its top.
    smooth = np.convolve(counts, np.ones(21) / 21, mode="same")

    def best(lattices: NDArray[np.floating], shifts: NDArray[np.floating]) -> tuple[float, float]:
        sums = [
            # The square root lets weak peaks at large angles, which tell most, have their say.
            [
                sum(np.sqrt(np.interp(angle_of(hkl, a) + shift, angles, smooth)) for hkl in INTENSITIES)
                for shift in shifts
            ]
            for a in lattices
        ]
        row, column = np.unravel_index(np.argmax(sums), (len(lattices), len(shifts)))
        return float(lattices[row]), float(shifts[column])

    lattice, shift = best(np.arange(5.40, 5.46, 0.001), np.arange(-0.1, 0.1, 0.01))
    return best(np.arange(lattice - 0.002, lattice + 0.002, 0.0001), np.arange(shift - 0.02, shift + 0.02, 0.002))[0]


class Demo(Scenario):
    """A measurement that is being finished, three collections, and the endpoint, which sees the folder of `scratch`."""

    dag_id = "notebook_on_hpc"
    bytes_per_second = 150_000.0

    def prepare(self) -> None:
        """Write the pattern, without its marker; make collections and endpoint."""
        self.measurement = self.folder / "diffractometer" / "data" / MEASUREMENT
        self.scratch = self.folder / "scratch"
        self.results = self.folder / "results"
        write_measurement(self.measurement)
        for folder in (self.scratch, self.results):
            folder.mkdir()
        add = self.globus.add_collection
        add("Powder diffractometer", self.folder / "diffractometer", alias="diffractometer", kind="personal")
        add("HPC scratch", self.scratch, alias="scratch")
        add("Evaluations", self.results, alias="results")
        self.globus.add_compute_endpoint("HPC cluster", alias="hpc", folder=self.folder / "hpc")
        self.originals: dict[str, str] = {}

    @property
    def conf(self) -> dict[str, Any]:
        """Which measurement, the notebook's parameters, and where `scratch` begins for a function on the endpoint."""
        return {
            "measurement": MEASUREMENT,
            "marker": MARKER,
            "reflections": REFLECTIONS,
            "expected_angstrom": EXPECTED_ANGSTROM,
            "scratch_on_hpc": str(self.scratch.absolute()),
        }

    def while_running(self, states: Mapping[str, str | None]) -> None:
        """Let the diffractometer finish once Airflow waits for it."""
        if not self.originals and states.get("wait_for_measurement") == "deferred":
            (self.measurement / MARKER).touch()
            self.originals = digests(self.measurement)

    def checks(self, xcoms: Mapping[str, Any]) -> list[Check]:
        """The notebook came back executed, with the run's parameters and a right result, and nothing was done twice."""
        scratch = digests(self.scratch / "diffraction" / "measurements" / MEASUREMENT)
        scratch.pop(NOTEBOOK, None)
        notebook = _code_cells(self.executed)
        return [
            same_files("scratch has the measurement's bytes (SHA-256)", self.originals, scratch),
            same_files("what the notebook made arrived with the same bytes (SHA-256)", self._made, self._arrived),
            self._executed(notebook),
            self._injected(notebook),
            self._right(),
            self._drawn(),
            one_execution_each(self.globus.world.compute, {"run_notebook": 1}),
            one_submission_each(self.globus.journal, xcoms, ("data_to_scratch", "to_results")),
        ]

    @property
    def executed(self) -> Path:
        """The notebook that came back."""
        return self._in_results / NOTEBOOK

    @property
    def _in_results(self) -> Path:
        return self.results / "diffraction" / MEASUREMENT

    @property
    def _made(self) -> dict[str, str]:
        return digests(self.scratch / "diffraction" / "runs" / MEASUREMENT)

    @property
    def _arrived(self) -> dict[str, str]:
        return digests(self._in_results)

    def _executed(self, cells: list[dict[str, Any]]) -> Check:
        outputs = [output for cell in cells for output in cell["outputs"]]
        errors = [output["ename"] for output in outputs if output["output_type"] == "error"]
        pictures = sum("image/png" in output.get("data", {}) for output in outputs)
        numbers = [cell["execution_count"] for cell in cells]
        passed = bool(cells) and numbers == [*range(1, len(cells) + 1)] and not errors and pictures == 1
        detail = f"{len(cells)} cells, {len(outputs)} outputs, {pictures} of them a picture"
        return Check(
            "each cell was executed, in order and without an error",
            passed,
            f"{detail}, errors: {', '.join(errors) or 'none'}",
        )

    def _injected(self, cells: list[dict[str, Any]]) -> Check:
        sources = ["".join(c["source"]) for c in cells if "injected-parameters" in c["metadata"].get("tags", [])]
        assignments = [line for source in sources for line in ast.parse(source).body if isinstance(line, ast.Assign)]
        values = {ast.unparse(line.targets[0]): ast.literal_eval(line.value) for line in assignments}
        wanted = {
            "pattern": str(self.scratch.absolute() / "diffraction/measurements" / MEASUREMENT / "pattern.csv"),
            "wavelength_angstrom": WAVELENGTH_ANGSTROM,
            "reflections": REFLECTIONS,
            "expected_angstrom": EXPECTED_ANGSTROM,
        }
        wrong = sorted(name for name in wanted.keys() | values.keys() if wanted.get(name) != values.get(name))
        detail = f"wrong: {', '.join(wrong)}" if wrong else ", ".join(wanted)
        return Check("the run's params were the notebook's parameters", len(sources) == 1 and not wrong, detail)

    def _right(self) -> Check:
        found = json.loads((self._in_results / "results.json").read_text())["lattice_angstrom"]
        searched = search(self.measurement / "pattern.csv")
        return Check(
            "the lattice constant is silicon's, and what a search over all finds",
            all(abs(found - other) <= MAX_ERROR_ANGSTROM for other in (LATTICE_ANGSTROM, searched)),
            f"{found:.4f} Å; the sample's {LATTICE_ANGSTROM:.4f} Å, the search's {searched:.4f} Å "
            f"(at most {MAX_ERROR_ANGSTROM} Å off)",
        )

    def _drawn(self) -> Check:
        with Image.open(self._in_results / "pattern.png") as picture:
            colours = len(picture.getcolors(picture.width * picture.height) or [])
            size = f"{picture.width}x{picture.height} pixels, {colours} colours"
        return Check("the figure shows something", colours > 3, size)

    def places(self) -> list[Place]:
        """The executed notebook, and what it made."""
        return [
            Place("scratch", f"/diffraction/runs/{MEASUREMENT}/", self.scratch / "diffraction" / "runs" / MEASUREMENT),
            Place("results", f"/diffraction/{MEASUREMENT}/", self._in_results),
            Place("results", f"/diffraction/{MEASUREMENT}/{NOTEBOOK}", self.executed),
        ]


def _code_cells(notebook: Path) -> list[dict[str, Any]]:
    cells = json.loads(notebook.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]
