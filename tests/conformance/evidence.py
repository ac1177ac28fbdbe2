"""What these tests have seen: which witness vouches for which route, and what the comparisons found.

Each test process adds what it sees to a file of its own in the folder that ``CONFORMANCE_EVIDENCE`` names, and
`report.py` reads them all; without the variable nothing is kept.
"""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.journal import Entry

FOLDER = "CONFORMANCE_EVIDENCE"


class Witness(StrEnum):
    """Who is content with an answer of the sandbox, or which document it was compared with."""

    RECORDED = "recorded"
    QUOTED = "quoted"
    SCHEMA = "schema"
    CLI = "globus-cli"
    JAVASCRIPT = "@globus/sdk"
    COMPUTE_SDK = "globus-compute-sdk"
    PYTHON_SDK = "globus-sdk"


# How clients call themselves; the first that fits is whose request it is.
_USER_AGENTS = (
    ("Globus CLI", Witness.CLI),
    ("@globus/sdk", Witness.JAVASCRIPT),
    ("globus-compute-sdk", Witness.COMPUTE_SDK),
    ("globus-sdk-py", Witness.PYTHON_SDK),
)


def note(what: str, **found: Any) -> None:
    """Keep a finding; ``what`` is its kind."""
    if folder := os.environ.get(FOLDER):
        Path(folder).mkdir(parents=True, exist_ok=True)
        with (Path(folder) / f"{os.getpid()}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"what": what, **found}) + "\n")


def vouch(sandbox: GlobusSandbox, headers: Mapping[str, str], witness: Witness) -> None:
    """Note that a witness vouches for the route that gave an answer with these headers."""
    _vouch(entry_of(sandbox, headers), witness)


def entry_of(sandbox: GlobusSandbox, headers: Mapping[str, str]) -> Entry:
    """Return what the journal has of the request whose answer has these headers."""
    request_id = headers["X-Request-Id"]
    return next(entry for entry in reversed(sandbox.journal.entries) if entry.request_id == request_id)


def vouch_for_clients(sandbox: GlobusSandbox) -> None:
    """Note each route that has served a client, and that the client took its answer."""
    seen = set()
    for entry in sandbox.journal.entries:
        witness = next((who for name, who in _USER_AGENTS if name in entry.user_agent), None)
        served = entry.status is not None and entry.status < 400
        if witness and served and (key := (witness, entry.method, entry.route)) not in seen:
            seen.add(key)
            _vouch(entry, witness)


def _vouch(entry: Entry, witness: Witness) -> None:
    # pytest's own name of the running test, e.g. "tests/conformance/test_x.py::test_y[1] (call)".
    test = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]
    note("route", service=entry.service, method=entry.method, route=entry.route, witness=witness, test=test)
