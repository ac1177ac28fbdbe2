"""MPI jobs: what the program is started with, what comes back, what the endpoint is told, and the page's errors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from airflow_provider_globus.exceptions import GlobusError
from airflow_provider_globus.operators.compute import GlobusComputeShellOperator
from tests.unit.conftest import Attempt

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import ComputeEndpointFactory
    from tests.docs.page import Page

PROGRAM = """#!/bin/sh
echo "rank $PMI_RANK of $PMI_SIZE on $PARSL_NUM_NODES nodes: $1 ${2##*/}"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Of the account that the endpoint runs as: it has the program."""
    program = tmp_path / "cluster" / "bin" / "flow"
    program.parent.mkdir(parents=True)
    program.write_text(PROGRAM)
    program.chmod(0o755)
    return tmp_path / "cluster"


def test_run_an_mpi_job(
    page: Page, globus_sandbox: GlobusSandbox, globus_compute_endpoint: ComputeEndpointFactory, home: Path
) -> None:
    globus_compute_endpoint("cluster", folder=home, mpi=True, multi_user=True)
    page.run()
    said = page.results("simulate")["simulate"]
    assert said["returncode"] == 0
    assert sorted(said["stdout"].splitlines()) == [f"rank {n} of 8 on 2 nodes: --case cavity" for n in range(8)]
    assert page.results("simulate_and_read")["ranks"] == 3

    # Functions that an earlier test's sandbox knew are refused at first.
    sent = [entry for entry in globus_sandbox.journal.requests("compute", "POST", "*/submit") if entry.status == 200]
    submitted = [entry.body for entry in sent]
    config = {"account": "fluids", "queue": "debug", "walltime": "00:30:00"}
    assert [body.get("user_endpoint_config") for body in submitted] == [config] * 2 + [{"account": "fluids"}] * 2
    specifications = [body["resource_specification"] for body in submitted if "resource_specification" in body]
    assert specifications == [{"num_nodes": 2, "ranks_per_node": 4}, {"num_nodes": 1, "num_ranks": 3}]

    template = yaml.safe_load((page.folder / "user_config_template.yaml.j2").read_text())
    values = json.dumps(template)
    assert all(f"{{{{ {name}" in values for name in config), "the template takes what the DAG sets"


def attempt() -> Any:
    return Attempt()


def simulate(**changes: Any) -> GlobusComputeShellOperator:
    arguments: dict[str, Any] = {"mpi": True, "resource_specification": {"num_nodes": 1}, "poll_interval": 0.1}
    return GlobusComputeShellOperator(**{"task_id": "simulate", "endpoint": "cluster"} | arguments | changes)


def test_only_the_first_command_is_started_by_the_launcher(
    globus_compute_endpoint: ComputeEndpointFactory, home: Path
) -> None:
    globus_compute_endpoint("cluster", folder=home, mpi=True)
    two = {"resource_specification": {"num_nodes": 1, "num_ranks": 2}}
    said = simulate(command="true && $HOME/bin/flow", **two).execute(attempt())
    assert said["stdout"].startswith("rank  of ")
    said = simulate(command="cd / && $PARSL_MPI_PREFIX $HOME/bin/flow", mpi=False, **two).execute(attempt())
    assert [line.split(" on ")[0] for line in sorted(said["stdout"].splitlines())] == ["rank 0 of 2", "rank 1 of 2"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"command": "$HOME/bin/flaw"}, r"The command returned 127\."),
        ({"command": "sleep 60", "walltime": 1}, "The command was ended after its walltime of 1 s: allow it more"),
        ({"command": "true", "endpoint": "serial"}, "The endpoint's engine does not take this resource_specification"),
        ({"command": "true", "endpoint": "asleep"}, "'asleep' .* is offline; nothing was submitted"),
    ],
)
def test_what_can_go_wrong(
    globus_compute_endpoint: ComputeEndpointFactory, home: Path, changes: dict[str, Any], said: str
) -> None:
    globus_compute_endpoint("cluster", folder=home, mpi=True)
    globus_compute_endpoint("serial")
    globus_compute_endpoint("asleep", online=False)
    with pytest.raises(GlobusError, match=said):
        simulate(**changes).execute(attempt())


def test_mpi_needs_a_resource_specification() -> None:
    with pytest.raises(GlobusError, match="mpi=True needs a resource_specification"):
        simulate(command="true", resource_specification=None)
