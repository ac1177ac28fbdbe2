"""The surroundings of `cold_archive`: a project folder, an archive in S3, scratch.

The DAG runs twice: the second time there is nothing left to do.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.demo.checks import Check, digests, same_files
from airflow_provider_globus.sandbox.demo.s3 import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from airflow_provider_globus.sandbox.demo.scenario import Place, Scenario
from airflow_provider_globus.sandbox.demo.scenarios.instrument_to_archive import sample_files

if TYPE_CHECKING:
    from collections.abc import Mapping

DAY = 86400.0
BUCKET = "cold-archive"
DATASET = "forams_2026"
#: Still being worked on, so it stays at home.
YOUNG = "notes/today.md"


class Demo(Scenario):
    """A month-old dataset, one file of which is of today."""

    dag_id = "cold_archive"

    def prepare(self) -> None:
        """Write the dataset; make the bucket and the collections."""
        self.project = self.folder / "project"
        self.dataset = self.project / "project" / DATASET
        self.scratch = self.folder / "scratch"
        for name, content in sample_files():
            self._write(name, content, age=30 * DAY)
        self._write(YOUNG, b"The shell of 14:20 is broken.\n", age=0.0)
        self.scratch.mkdir(parents=True)
        self.originals = digests(self.dataset)
        self.s3.create_bucket(BUCKET)
        self.globus.add_collection("Project space", self.project, alias="project")
        self.globus.add_collection("Scratch", self.scratch, alias="scratch")
        self.globus.add_collection(
            "Cold archive (S3)",
            f"s3://{BUCKET}",
            alias="archive",
            s3_endpoint_url=self.s3.url,
            s3_access_key_id=ACCESS_KEY_ID,
            s3_secret_access_key=SECRET_ACCESS_KEY,
        )
        self.objects: dict[str, Any] = {}

    def _write(self, name: str, content: bytes, *, age: float) -> None:
        path = self.dataset / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        moment = time.time() - age
        os.utime(path, (moment, moment))

    @property
    def secrets(self) -> list[str]:
        """The secret of the bucket."""
        return [SECRET_ACCESS_KEY]

    @property
    def conf(self) -> dict[str, Any]:
        """Which dataset."""
        return {"dataset": DATASET}

    @property
    def runs(self) -> list[dict[str, Any]]:
        """Archive; once more, for nothing."""
        return [self.conf, self.conf]

    def checks(self, xcoms: Mapping[str, Any]) -> list[Check]:
        """Same bytes in the archive, a manifest that says so, the project freed of them and of nothing else."""
        self.s3.download(BUCKET, self.folder / "bucket")
        self.objects = self._listed()
        left = digests(self.dataset)
        entries = json.loads((self.folder / "bucket" / "cold" / "manifests" / f"{DATASET}.json").read_text())
        verified = xcoms["verify"]
        return [
            same_files("the archive has the same bytes (SHA-256)", self.originals, digests(self._archived)),
            Check("the manifest lists them all, with checksums", self._lists_all(entries), f"{len(entries)} files"),
            Check(
                "all of them were read back and compared",
                verified["ok"] and verified["proof"] == "reread" and verified["files"] == len(self.originals),
                f"{verified['files']} files, {verified['bytes']:,} bytes",
            ),
            Check("of the project only the young file is left", list(left) == [YOUNG], ", ".join(left)),
            Check("scratch is clean", not digests(self.scratch)),
            Check("the report knows who did it", self._reported(xcoms["report"]), f"{xcoms['report']['tasks']} tasks"),
        ]

    def checks_after(self, number: int, xcoms: Mapping[str, Any]) -> list[Check]:
        """What holds after each run."""
        if number == 1:
            return self.checks(xcoms)
        moved, pruned = xcoms["to_archive"]["files_transferred"], xcoms["prune_project"]["deleted"]
        return [
            Check("the second run copied nothing", moved == 0, f"{moved} files"),
            Check("it left the manifest as it was", xcoms["write_manifest"]["action"] == "unchanged"),
            Check("it deleted nothing", pruned == 0 and list(digests(self.dataset)) == [YOUNG], f"{pruned} files"),
            Check("no object of the archive was written anew", self._listed() == self.objects),
        ]

    def _lists_all(self, entries: list[dict[str, Any]]) -> bool:
        return {entry["path"] for entry in entries} == set(self.originals) and all("checksum" in e for e in entries)

    def _reported(self, report: Mapping[str, Any]) -> bool:
        return report["bytes_in"] > 0 and report["failed"] == 0 and len(report["users"]) == 1

    def _listed(self) -> dict[str, Any]:
        """Return when each object was written."""
        pages = self.s3.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return {item["Key"]: item["LastModified"] for page in pages for item in page.get("Contents", [])}

    @property
    def _archived(self) -> Any:
        return self.folder / "bucket" / "cold" / DATASET

    def places(self) -> list[Place]:
        """What is left at home, and a copy of the bucket."""
        return [
            Place("project", f"/project/{DATASET}/", self.dataset),
            Place("archive", f"s3://{BUCKET}/cold/", self.folder / "bucket" / "cold"),
        ]
