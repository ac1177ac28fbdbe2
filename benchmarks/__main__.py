"""
``python -m benchmarks [imports] [waiting] [compute] [sandbox] [s3]``: run all or some, and print a table for each.

Numbers also go to ``.bench/results.json``. Fails when a rule of the project is broken: what imports may cost and load,
how many submissions and status calls waiting may make, and what memory large prefixes may take. Nothing else is judged:
times depend on the machine.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from benchmarks.report import Report

NAMES = ("imports", "waiting", "compute", "sandbox", "s3")
RESULTS = Path(".bench", "results.json")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What the provider costs.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"which to run: {', '.join(NAMES)}")
    names = parser.parse_args().names or NAMES
    if unknown := sorted(set(names) - set(NAMES)):
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(NAMES)}")
    # Narrower than this, the tables are hard to read; a log has no width of its own.
    console = Console(width=None if sys.stdout.isatty() else 110)
    results: dict[str, Any] = {}
    broken: list[str] = []
    for name in names:
        began = time.monotonic()
        report: Report = importlib.import_module(f"benchmarks.{name}").run()
        _show(console, report, time.monotonic() - began)
        results[name] = report.numbers
        broken += report.broken
    _keep(results)
    for rule in broken:
        console.print(f"[bold red]Broken rule:[/] {rule}")
    return 1 if broken else 0


def _show(console: Console, report: Report, seconds: float) -> None:
    console.print(report.table)
    for note in report.notes:
        console.print(note)
    console.print(f"Measured in {seconds:.0f} s.\n", style="dim")


def _keep(results: dict[str, Any]) -> None:
    """Replace what was measured, keep what was not."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(known | results, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
