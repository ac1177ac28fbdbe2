"""MPI tasks: what they may ask for, and the launcher that starts their ranks.

Run as a script, this module is the launcher: ``mpiexec``-like, it starts ``-n`` copies of a command, each with
its rank in the environment, and returns the highest of their exit codes. It connects nothing: a program that calls MPI
needs an MPI.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MPI_KEYS = {"num_nodes", "num_ranks", "ranks_per_node", "launcher_options"}
_PLAIN_KEYS = {"priority"}
_LAUNCHER = "globus-sandbox-mpiexec"


def specification_problem(specification: Mapping[str, Any], *, mpi_enabled: bool) -> str | None:
    """Return why an engine refuses a resource specification, in Parsl's words; None when it takes it."""
    if not mpi_enabled:
        return _invalid(
            set(specification) - _PLAIN_KEYS,
            "Task resource specification only accepts these types of resources: priority",
        )
    if not specification:
        return _invalid(
            set(),
            "MPI mode requires optional parsl_resource_specification keyword argument to be configured",
            even_if_none=True,
        )
    if problem := _invalid(set(specification) - _MPI_KEYS, ""):
        return problem
    try:
        _ranks(specification)
    except (TypeError, ValueError):
        return _invalid({"num_nodes", "num_ranks", "ranks_per_node"} & set(specification), "They must be numbers")
    return None


def _invalid(keys: set[str], message: str, *, even_if_none: bool = False) -> str | None:
    if not keys and not even_if_none:
        return None
    return (
        "parsl.executors.errors.InvalidResourceSpecification: "
        f"Invalid Resource Specification Supplied: {keys or 'set()'}. {message}"
    )


def _ranks(specification: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return the numbers of ranks, of ranks a node and of nodes: any two give the third."""
    nodes = int(specification.get("num_nodes") or 1)
    if specification.get("num_ranks"):
        ranks = int(specification["num_ranks"])
        return ranks, int(specification.get("ranks_per_node") or -(-ranks // nodes)), nodes
    each = int(specification.get("ranks_per_node") or 1)
    return nodes * each, each, nodes


def environment(specification: Mapping[str, Any], folder: Path, path: str) -> dict[str, str]:
    """Return what an MPI task finds in its environment, with the launcher's command as ``PARSL_MPI_PREFIX``.

    :param folder: where the launcher was installed.
    :param path: the ``PATH`` of the endpoint.
    """
    ranks, each, nodes = _ranks(specification)
    hosts = ",".join(f"node{number}" for number in range(nodes))
    prefix = f"{_LAUNCHER} -n {ranks} -ppn {each} -hosts {hosts}"
    return {
        **{f"PARSL_{key.upper()}": str(value) for key, value in specification.items()},
        "PARSL_NUM_RANKS": str(ranks),
        "PARSL_RANKS_PER_NODE": str(each),
        "PARSL_NUM_NODES": str(nodes),
        "PARSL_MPI_NODELIST": hosts,
        "PARSL_MPIEXEC_PREFIX": prefix,
        "PARSL_MPI_PREFIX": prefix,
        # By name and not by path: a shell splits the prefix at every space.
        "PATH": os.pathsep.join((str(_launcher(folder).parent), path)),
    }


def install_launcher(folder: Path) -> None:
    """Put the launcher into a folder."""
    launcher = _launcher(folder)
    launcher.parent.mkdir(parents=True, exist_ok=True)
    launcher.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-I", __file__])} "$@"\n')
    launcher.chmod(0o755)


def _launcher(folder: Path) -> Path:
    return folder / "bin" / _LAUNCHER


def launch(arguments: Sequence[str]) -> int:
    """Start the ranks, wait for all of them and return the highest exit code."""
    options: dict[str, str] = {}
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        name, value = rest.pop(0), rest.pop(0)
        options[name] = value
    size, each = int(options["-n"]), int(options["-ppn"])
    try:
        ranks = [subprocess.Popen(rest, env=_rank_environment(rank, size, each)) for rank in range(size)]  # noqa: S603
    except OSError as error:
        print(f"{_LAUNCHER}: {rest[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 127
    # A rank that a signal ended counts as a shell counts it.
    return max(code if code >= 0 else 128 - code for code in (process.wait() for process in ranks))


def _rank_environment(rank: int, size: int, each: int) -> dict[str, str]:
    return {
        **os.environ,
        "PMI_RANK": str(rank),
        "PMI_SIZE": str(size),
        "OMPI_COMM_WORLD_RANK": str(rank),
        "OMPI_COMM_WORLD_SIZE": str(size),
        "OMPI_COMM_WORLD_LOCAL_RANK": str(rank % each),
    }


if __name__ == "__main__":
    sys.exit(launch(sys.argv[1:]))
