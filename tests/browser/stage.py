"""What the DAGs of this folder run on: a sandbox that finishes nothing before it is told to, and an Airflow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox import GlobusSandbox
from airflow_provider_globus.sandbox.local_airflow import LocalAirflow

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.transfer.tasks import Task

ROOT = Path(__file__).resolve().parents[2]
DAGS = Path(__file__).with_name("dags")
CONNECTION = "globus_beamline"
ASSET = "globus://scratch/scans"
SCAN = "scan_0042"
FRAMES = 24
FRAME_BYTES = 64 * 1024


def review_flow(reviewer: str) -> dict[str, Any]:
    """Return a flow that asks somebody whether a scan is good."""
    return {
        "StartAt": "Ask",
        "States": {
            "Ask": {
                "Type": "CreateWebInput",
                "Parameters": {
                    "InputType": "Selection",
                    "Context": {
                        "PresentationStyle": "Table",
                        "Title": f"Reconstruct {SCAN}?",
                        "Rows": [
                            {"Field": "Sample", "Value": "Foraminifera"},
                            {"Field": "Frames", "Value.$": "$.frames"},
                        ],
                    },
                    "Options": [
                        {"Value": "yes", "Label": "Approve", "Description": "The scan is good."},
                        {"Value": "no", "Label": "Reject", "Description": "The scan has to be repeated."},
                    ],
                    "RespondentUrns": [reviewer],
                },
                "ResultPath": "$.asked",
                "Next": "AwaitReviewer",
            },
            "AwaitReviewer": {
                "Type": "AwaitWebInput",
                "Parameters": {"web_input_id.$": "$.asked.web_input_id"},
                "ResultPath": "$.answer",
                "End": True,
            },
        },
    }


class Stage:
    """
    A sandbox with an instrument, a scratch, a Compute endpoint beside it, and a flow with a question.

    :ivar globus: the sandbox; at the start, transfers stand still and the endpoint is away.
    """

    def __init__(self, globus: GlobusSandbox, folder: Path) -> None:
        self.globus = globus
        self.scratch = folder / "scratch"
        scan = folder / "instrument" / "data" / SCAN
        scan.mkdir(parents=True)
        self.scratch.mkdir()
        for number in range(FRAMES):
            (scan / f"frame_{number:04d}.tif").write_bytes(bytes(FRAME_BYTES))
        globus.add_collection("Beamline 7 instrument", folder / "instrument", alias="instrument")
        globus.add_collection("HPC scratch", self.scratch, alias="scratch")
        self.endpoint = globus.add_compute_endpoint(
            "HPC cluster", alias="hpc", folder=self.scratch, task_folders=False, online=False
        )
        globus.add_flow("Review a scan", review_flow(f"urn:globus:auth:identity:{globus.client_id}"), alias="review")
        globus.world.transfer.hold()

    @property
    def credentials(self) -> dict[str, str]:
        """What a person types into the standard fields of a connection, by label."""
        return {"Client ID": self.globus.client_id, "Client secret": self.globus.client_secret, "Port": "0"}

    @property
    def extra(self) -> dict[str, str]:
        """What a person types into the extra fields, by label."""
        extra = json.loads(self.globus.connection)["extra"]
        aliases = {
            "Collection aliases": extra["collections"],
            "Compute endpoint aliases": extra["compute_endpoints"],
            "Flow aliases": extra["flows"],
            "Service URLs": extra["service_urls"],
        }
        return {label: json.dumps(value, indent=2) for label, value in aliases.items()} | {
            "CA bundle": extra["ca_bundle"]
        }

    def newest_task(self) -> Task:
        """Return the transfer that was submitted last."""
        return list(self.globus.world.transfer.tasks.values())[-1]


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Start the sandbox; its files are below `folder`."""
    with GlobusSandbox() as globus:
        yield Stage(globus, folder)


@contextmanager
def local_airflow() -> Iterator[LocalAirflow]:
    """Start an Airflow that has the DAGs of this folder, and no connection yet."""
    # Where `make demo` keeps a migrated database, so that an Airflow starts faster.
    with LocalAirflow(dags=DAGS, cache=ROOT / ".demo") as airflow:
        for dag_id in ("collect_scan", "review_scan"):
            airflow.api.wait_for_dag(dag_id)
        yield airflow
