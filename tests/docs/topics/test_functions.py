"""Functions on supercomputers: a map with a bad input, and an MPI command, on a cluster's two endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_globus.sandbox.compute.real_endpoint import COMMAND
from airflow_provider_globus.sandbox.rabbitmq import find_rabbitmq
from tests.docs.blocks import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import ComputeEndpointFactory
    from tests.docs.page import Page

# What the function at the endpoint does is the beamline's; that it is importable there is what the README says.
BEAMLINE = """
def slice_figures(row, scan):
    import numpy as np

    if row == 2:
        raise ValueError("a bad row")
    return {"row": row, "mean": float(np.load(scan)[row].mean())}
"""
ASSEMBLE = """#!/bin/sh
echo "rank $OMPI_COMM_WORLD_RANK assembles $1"
"""


def test_functions(
    page: Page, globus_sandbox: GlobusSandbox, globus_compute_endpoint: ComputeEndpointFactory, tmp_path: Path
) -> None:
    # Compute's limit on requests is one in sandbox time, which passes faster.
    globus_sandbox.clock.scale = 20
    scratch = cluster(tmp_path, globus_compute_endpoint)
    (scratch / page.ds).mkdir(parents=True)
    np.save(scratch / page.ds / "scan.npy", np.arange(20.0).reshape(5, 4))
    page.replace("/scratch/", f"{scratch}/")
    installed = ROOT / ".venv-endpoint"
    if find_rabbitmq() is None or not (installed / "bin" / COMMAND).exists():
        page.excuse("RealEndpoint(", "needs what `make endpoint` installs; tests/endpoint starts one like this")
    else:
        (page.folder / ".venv-endpoint").symlink_to(installed)
        page.command("RealEndpoint(", typed="\n")
    page.run()
    results = page.results("reconstruct")
    assert results["slices"] == [0, 1, 2, 3, 4]
    assert [item and item["mean"] for item in results["figures"]] == [1.5, 5.5, None, 13.5, 17.5]
    assert sorted(results["volume"]["stdout"].splitlines()) == [
        f"rank {rank} assembles {scratch}/{page.ds}/" for rank in range(8)
    ]
    # The bad row was given its one more try, and the batch system was told the queue.
    tasks = globus_sandbox.world.compute.tasks.values()
    assert [task.function.name for task in tasks if "a bad row" in (task.exception or "")] == ["slice_figures"] * 2
    sent = [entry.body for entry in globus_sandbox.journal.requests("compute", "POST")]
    assert {"queue": "debug"} in [body.get("user_endpoint_config") for body in sent]


def cluster(folder: Path, endpoint: ComputeEndpointFactory) -> Path:
    """Make a cluster's two endpoints, one for MPI, with the site's programs; return its scratch."""
    package, programs = folder / "site" / "beamline", folder / "bin"
    for needed in (package, programs):
        needed.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "reconstruction.py").write_text(BEAMLINE)
    (programs / "assemble").write_text(ASSEMBLE)
    (programs / "assemble").chmod(0o755)
    env = {"PYTHONPATH": str(package.parent), "PATH": f"{programs}:/usr/bin:/bin"}
    endpoint("hpc", multi_user=True, env=env)
    endpoint("hpc mpi", mpi=True, env=env)
    return folder / "scratch"
