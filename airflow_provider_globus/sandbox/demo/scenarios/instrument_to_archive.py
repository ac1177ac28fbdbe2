"""The surroundings of `instrument_to_archive`: a beamline's disk, HPC scratch, an archive in S3, a collaborator."""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.demo.checks import Check, digests, one_submission_each, same_files
from airflow_provider_globus.sandbox.demo.s3 import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from airflow_provider_globus.sandbox.demo.scenario import Place, Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

DAY = 86400.0
KIB = 1024
ACQUISITION = "scan_0042"
UNFINISHED = "scan_0043"
MARKER = "acquisition.done"
BUCKET = "research-archive"
COLLABORATOR = "collaborator@example.edu"


def sample_files() -> Iterator[tuple[str, bytes]]:
    """Yield names and contents of one acquisition: images, metadata, awkward names, an empty file."""
    noise = random.Random(42)  # noqa: S311 - the same bytes in every run
    for number in range(24):
        yield f"projections/proj_{number:04d}.tif", noise.randbytes(noise.randint(96, 288) * KIB)
    for number in range(4):
        yield f"references/dark/dark_{number:02d}.tif", noise.randbytes(64 * KIB)
        yield f"references/flat/flat_{number:02d}.tif", noise.randbytes(96 * KIB)
    yield "metadata/scan.json", b'{"sample": "foraminifera", "energy_keV": 22.5, "projections": 24}\n'
    yield "metadata/angles.csv", "".join(f"{n},{n * 7.5:.1f}\n" for n in range(24)).encode()
    yield "metadata/notes of Zoë (draft).txt", b"Stage drifted at 14:20, see 50% of proj_0013.\n"
    yield "log/beamline.log", "".join(f"{n:06d} shutter open\n" for n in range(4000)).encode()
    yield "log/errors.log", b""


class Demo(Scenario):
    """One finished acquisition, one that is still being written, and the four collections the DAG names."""

    dag_id = "instrument_to_archive"
    bytes_per_second = 750_000.0

    def prepare(self) -> None:
        """Write the acquisition, all but its marker; make the collections."""
        self.instrument = self.folder / "instrument"
        self.scratch = self.folder / "scratch"
        self.bucket_copy = self.folder / "bucket"
        self.acquisition = self.instrument / "data" / ACQUISITION
        for name, content in sample_files():
            self._write(self.acquisition / name, content, age=30 * DAY)
        self._write(self.instrument / "data" / UNFINISHED / "projections" / "proj_0000.tif", b"unfinished" * 1000)
        self.scratch.mkdir(parents=True)
        self.s3.create_bucket(BUCKET)
        self._add_collections()
        self.globus.add_identity(COLLABORATOR, name="Dr. Collaborator")
        self.originals: dict[str, str] = {}

    def _add_collections(self) -> None:
        add = self.globus.add_collection
        add("Beamline 7 instrument", self.instrument, alias="instrument", kind="personal")
        add("HPC scratch", self.scratch, alias="scratch")
        archive = add(
            "Research archive (S3)",
            f"s3://{BUCKET}",
            alias="archive",
            s3_endpoint_url=self.s3.url,
            s3_access_key_id=ACCESS_KEY_ID,
            s3_secret_access_key=SECRET_ACCESS_KEY,
        )
        add("Shared results", alias="results", kind="guest", host=archive, base_path="/acquisitions/")

    @staticmethod
    def _write(path: Path, content: bytes, *, age: float = 0.0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        moment = time.time() - age
        os.utime(path, (moment, moment))

    @property
    def conf(self) -> dict[str, Any]:
        """Which acquisition, and whom to share it with."""
        return {"acquisition": ACQUISITION, "marker": MARKER, "collaborator": COLLABORATOR}

    def while_running(self, states: Mapping[str, str | None]) -> None:
        """Let the instrument finish once Airflow waits for it."""
        if not self.originals and states.get("wait_for_acquisition") == "deferred":
            self._write(self.acquisition / MARKER, b"", age=30 * DAY)
            self.originals = digests(self.acquisition)

    def checks(self, xcoms: Mapping[str, Any]) -> list[Check]:
        """Same bytes everywhere, the instrument freed of them and of nothing else, one submission a transfer."""
        self.s3.download(BUCKET, self.bucket_copy)
        archived = next(iter(sorted(self.bucket_copy.glob(f"acquisitions/*/{ACQUISITION}"))), self.bucket_copy)
        left = digests(self.acquisition)
        unfinished = digests(self.instrument / "data" / UNFINISHED)
        return [
            same_files("scratch has the same bytes (SHA-256)", self.originals, digests(self._on_scratch)),
            same_files("the S3 archive has the same bytes (SHA-256)", self.originals, digests(archived)),
            Check("the acquisition is gone from the instrument", not left, ", ".join(sorted(left))),
            Check("the unfinished acquisition is untouched", len(unfinished) == 1),
            self._shared(),
            one_submission_each(self.globus.journal, xcoms, ("to_scratch", "to_archive")),
        ]

    def _shared(self) -> Check:
        collaborator = self.globus.world.auth.identity_by_username(COLLABORATOR)
        results = next(c for c in self.globus.world.transfer.collections.values() if c.alias == "results")
        rules = [rule for rule in results.rules.values() if collaborator and rule.principal == collaborator.id]
        expected = len(rules) == 1 and rules[0].permissions == "r" and rules[0].expiration_date is not None
        detail = "; ".join(f"{rule.path} {rule.permissions} until {rule.expiration_date}" for rule in rules)
        return Check("the collaborator may read the archived folder, for a time", expected, detail)

    @property
    def _on_scratch(self) -> Path:
        return self.scratch / "scratch" / "beamline" / ACQUISITION

    def places(self) -> list[Place]:
        """Scratch, and a copy of the bucket."""
        return [
            Place("scratch", f"/scratch/beamline/{ACQUISITION}/", self._on_scratch),
            Place("archive", f"s3://{BUCKET}/acquisitions/", self.bucket_copy / "acquisitions"),
        ]
