"""The commands of the Globus CLI: which there are, which of them was run, and why some are not.

The list is the installed CLI's own, so a new release that brings new commands is noticed.
"""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests.conformance import evidence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GLOBUS = Path(__file__).resolve().parents[2] / ".venv-cli" / "bin" / "globus"

_LIST = "from globus_cli.reflect import iter_all_commands\nfor found in iter_all_commands(): print(found.command_path)"

_TIMERS = "Timers are not served: 501"
_STREAMS = "streams and their tunnels are not served: 501"

#: Commands that no test runs to a success, and why.
NOT_RUN = {
    "globus update": "asks PyPI for a newer CLI",
    "globus api timers": _TIMERS,
    "globus endpoint local-id": "reads the files of Globus Connect Personal on this machine",
    "globus gcs endpoint set-subscription-id": "subscriptions of Connect Server are not served: 501",
    **dict.fromkeys((f"globus timer {name}" for name in ("delete", "list", "pause", "resume", "show")), _TIMERS),
    **dict.fromkeys((f"globus timer create {name}" for name in ("flow", "transfer")), _TIMERS),
    **dict.fromkeys(
        (f"globus streams tunnel {name}" for name in ("create", "delete", "events", "list", "show", "stop", "update")),
        _STREAMS,
    ),
    "globus streams access-point show": _STREAMS,
}


@cache
def all_commands() -> frozenset[str]:
    """Return every command of the installed CLI that is not hidden, e.g. ``globus task list``."""
    python = GLOBUS.with_name("python")
    listed = subprocess.run([python, "-c", _LIST], capture_output=True, text=True, timeout=60, check=True)
    return frozenset(listed.stdout.splitlines())


def command_of(arguments: Sequence[str], commands: Iterable[str]) -> str | None:
    """Return the command that arguments begin with; None for a hidden one."""
    line = " ".join(("globus", *arguments)) + " "
    return max((name for name in commands if line.startswith(f"{name} ")), key=len, default=None)


def note_run(arguments: Sequence[str]) -> None:
    """Keep that a command came to its end."""
    if name := command_of(arguments, all_commands()):
        evidence.note("command", command=name)


def unaccounted(run: Iterable[str]) -> list[str]:
    """Return the commands that were neither run nor have a reason not to be."""
    return sorted(all_commands() - set(run) - NOT_RUN.keys())
