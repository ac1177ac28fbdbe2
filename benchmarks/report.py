"""What a benchmark hands back: a table to read, numbers to keep, and the rules it found broken."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table


@dataclass
class Report:
    """The outcome of one benchmark.

    :param table: for people.
    :param numbers: the same as JSON.
    :param notes: sentences below the table.
    :param broken: rules of the project that the numbers break; empty is good.
    """

    table: Table
    numbers: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def table(title: str, *columns: str) -> Table:
    """A table whose first column is text and whose others are numbers."""
    made = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        made.add_column(column, justify="right" if number else "left", overflow="fold")
    return made


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many percent of the values do not exceed."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]
