"""What runs at endpoints: the source of each function travels alone, so each stands on its own."""

from __future__ import annotations

from typing import Any


def open_task_group() -> None:
    """Do nothing: the submission is what opens the group."""


def run_command(command: str, walltime: float | None, mpi: bool, lines: int) -> dict[str, Any]:
    """Run a command line."""
    import shlex

    from globus_compute_sdk import ShellFunction

    if mpi:
        command = "$PARSL_MPI_PREFIX " + command
    line = command
    if walltime:
        # ShellFunction's own walltime stops waiting, but leaves the command running.
        line = f"timeout --kill-after=10 {walltime} /bin/bash -c {shlex.quote(command)}"
    result: Any = ShellFunction("{line}", snippet_lines=lines)(line=line)
    return {
        "command": command,
        "returncode": result.returncode,
        "stdout": result.stdout[-65536:],
        "stderr": result.stderr[-65536:],
    }
