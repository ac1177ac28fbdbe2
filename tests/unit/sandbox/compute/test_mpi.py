"""MPI tasks: what they may ask for, what they find, and the launcher itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_globus.sandbox.compute import mpi


def environment_of_mpi() -> dict[str, str]:
    import os

    return {name: value for name, value in os.environ.items() if name.startswith("PARSL_")}


def one() -> int:
    return 1


def launcher(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", mpi.__file__, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("specification", "ranks"),
    [
        ({"num_nodes": 2, "ranks_per_node": 3}, ("6", "3", "2")),
        ({"num_nodes": 2, "num_ranks": 4}, ("4", "2", "2")),
        ({"num_ranks": 3}, ("3", "3", "1")),
        ({"num_nodes": 2}, ("2", "1", "2")),
        ({"num_nodes": "2", "num_ranks": 3, "launcher_options": "--verbose"}, ("3", "2", "2")),
    ],
)
def test_a_task_knows_its_size(lab: Any, specification: dict[str, Any], ranks: tuple[str, str, str]) -> None:
    seen = lab.value(lab.call(lab.endpoint(mpi=True), environment_of_mpi, resource_specification=specification))
    assert (seen["PARSL_NUM_RANKS"], seen["PARSL_RANKS_PER_NODE"], seen["PARSL_NUM_NODES"]) == ranks
    hosts = ",".join(f"node{number}" for number in range(int(ranks[2])))
    assert seen["PARSL_MPI_NODELIST"] == hosts
    prefix = f"globus-sandbox-mpiexec -n {ranks[0]} -ppn {ranks[1]} -hosts {hosts}"
    assert (seen["PARSL_MPI_PREFIX"], seen["PARSL_MPIEXEC_PREFIX"]) == (prefix, prefix)


@pytest.mark.parametrize(
    ("mpi_enabled", "specification", "message"),
    [
        (False, {"num_nodes": 2}, "{'num_nodes'}. Task resource specification only accepts these types of resources"),
        (True, {}, "MPI mode requires optional parsl_resource_specification keyword argument to be configured"),
        (True, {"num_nodes": 1, "gpus": 4}, "{'gpus'}"),
        (True, {"num_nodes": "many"}, "{'num_nodes'}. They must be numbers"),
    ],
)
def test_an_engine_refuses_what_it_does_not_know(
    lab: Any, mpi_enabled: bool, specification: dict[str, Any], message: str
) -> None:
    task = lab.call(lab.endpoint(mpi=mpi_enabled), one, resource_specification=specification)
    assert (task.status, task.executions) == ("failed", 0)
    _, text, _ = task.exception.splitlines()
    assert text.startswith(
        "parsl.executors.errors.InvalidResourceSpecification: Invalid Resource Specification Supplied"
    )
    assert message in text


def test_a_plain_engine_takes_a_priority(lab: Any) -> None:
    assert lab.value(lab.call(lab.endpoint(), one, resource_specification={"priority": 1})) == 1


def test_ranks_see_who_they_are() -> None:
    names = ("PMI_RANK", "PMI_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK")
    done = launcher(
        "-n", "3", "-ppn", "2", "-hosts", "a,b", "sh", "-c", f"echo {' '.join('$' + name for name in names)}"
    )
    assert sorted(done.stdout.splitlines()) == ["0 3 0 3 0", "1 3 1 3 1", "2 3 2 3 0"]
    assert done.returncode == 0


def test_the_highest_exit_code_counts() -> None:
    assert launcher("-n", "3", "-ppn", "3", "sh", "-c", "exit $((PMI_RANK % 2 * 5))").returncode == 5
    killed = launcher("-n", "2", "-ppn", "2", "sh", "-c", "if [ $PMI_RANK = 0 ]; then kill -9 $$; fi")
    assert killed.returncode == 128 + 9


def test_a_program_that_is_not_there() -> None:
    done = launcher("-n", "1", "-ppn", "1", "/no/such/program")
    assert done.returncode == 127
    assert done.stderr == "globus-sandbox-mpiexec: /no/such/program: No such file or directory\n"


def test_the_launcher_is_found_where_folders_have_spaces(tmp_path: Path) -> None:
    mpi.install_launcher(tmp_path / "with a space")
    found = mpi.environment({"num_ranks": 2}, tmp_path / "with a space", "/usr/bin:/bin")
    done = subprocess.run(
        "$PARSL_MPI_PREFIX echo hi", shell=True, env=found, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "hi\nhi\n"
    assert found["PATH"].endswith("with a space/bin:/usr/bin:/bin")
