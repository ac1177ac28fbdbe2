"""
``python -m tests.conformance.report <folder>``: end a run of the conformance tests with one table.

The folder is what `evidence.py` wrote to. Also writes `docs/fidelity.md`. Fails when something that is claimed was not
seen: a recording without its comparison, a key that is missing or not explained, a route that no client has used or
that says another basis than the tests have found.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from airflow_provider_globus.sandbox.service import Basis
from tests.conformance import commands, fidelity
from tests.conformance.evidence import Witness
from tests.conformance.findings import Findings

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "fidelity.md"


def main() -> int:
    """Print the table, write the page, and tell whether all is well."""
    findings = Findings(Path(sys.argv[1]))
    PAGE.write_text(fidelity.page(findings), encoding="utf-8")
    console = Console(width=None if sys.stdout.isatty() else 110)
    table = Table(title="Conformance", title_justify="left", title_style="bold")
    table.add_column("what")
    table.add_column("number", justify="right")
    table.add_column("remarks", overflow="fold")
    for row in _rows(findings):
        table.add_row(*row)
    console.print(table)
    problems = list(findings.problems())
    for problem in problems:
        console.print(f"[bold red]Problem:[/] {escape(problem)}", highlight=False)
    console.print(f"docs/{PAGE.name} lists every route.", style="dim")
    return 1 if problems else 0


def _rows(findings: Findings) -> Iterator[tuple[str, str, str]]:
    yield from _recordings(findings)
    yield from _schemas(findings)
    yield from _clients(findings)
    counts = (f"{sum(seen.route.basis is basis for seen in findings.routes)} {basis}" for basis in Basis)
    yield "routes", str(len(findings.routes)), ", ".join(counts)
    fuzzed = findings.notes("fuzz")
    routes = {(note["service"], note["method"], note["route"]) for note in fuzzed}
    failed = sum(count for note in fuzzed for status, count in note["statuses"].items() if status == "500")
    requests = sum(note["requests"] for note in fuzzed)
    yield "fuzz requests", str(requests), f"to {len(routes)} routes; {failed} answered 500"


def _recordings(findings: Findings) -> Iterator[tuple[str, str, str]]:
    coverage = findings.coverage
    sets, covered = sum(len(found.sets) for found in coverage), sum(len(found.covered) for found in coverage)
    reasons = [
        f"{found.service} {len(found.unserved)} ({'; '.join(sorted(set(found.unserved.values())))})"
        for found in coverage
        if found.unserved
    ]
    served = sets - sum(len(found.unserved) for found in coverage)
    yield "sets of recordings served", f"{covered} of {served}", f"not served: {', '.join(reasons) or 'none'}"
    yield "sets of these services", f"{covered} of {sets}", f"{covered / sets:.1%}" if sets else ""
    others = sorted(set(findings.recorded_services()) - {found.service for found in coverage})
    yield "services not served", str(len(others)), ", ".join(others)
    for witness, what in ((Witness.RECORDED, "recordings of the SDK"), (Witness.QUOTED, "quoted recordings")):
        notes = findings.recordings(witness)
        missing = sum(len(note["missing"]) for note in notes)
        extra = {(note["service"], path): why for note in notes for path, why in note["extra"].items()}
        unexplained = sum(not why for why in extra.values())
        remarks = f"missing keys: {missing}; extra keys: {len(extra)}, {unexplained} of them unexplained"
        yield what, str(len(notes)), remarks


def _schemas(findings: Findings) -> Iterator[tuple[str, str, str]]:
    notes = findings.notes("schema")
    routes = {(note["service"], note["method"], note["route"]) for note in notes}
    absent = sum(len(fields) for fields in findings.absent.values())
    wrong = {(note["service"], message) for note in notes for message in note["wrong"]}
    remarks = f"of {len(routes)} routes; optional fields never answered: {absent}; known differences: {len(wrong)}"
    yield "answers that keep to OpenAPI", str(len(notes)), remarks


def _clients(findings: Findings) -> Iterator[tuple[str, str, str]]:
    for witness in (Witness.CLI, Witness.JAVASCRIPT, Witness.COMPUTE_SDK, Witness.PYTHON_SDK):
        seen = [route for route in findings.routes if witness in route.tests]
        tests = {test for route in seen for test in route.tests[witness]}
        yield f"routes used by {witness}", str(len(seen)), f"in {len(tests)} tests"
    for note in findings.notes("functions"):
        remarks = "the others are listed with a reason each in the tests"
        yield f"functions of {note['client']}", f"{note['served']} of {note['of']}", remarks
    run = {note["command"] for note in findings.notes("command")}
    remarks = f"{len(commands.NOT_RUN)} others have a reason"
    yield "commands of globus-cli", f"{len(run)} of {len(commands.all_commands())}", remarks


if __name__ == "__main__":
    sys.exit(main())
