"""A summary of the activity on a collection as Markdown, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_globus.jobs.base import human_bytes


def markdown(report: Mapping[str, Any]) -> str:
    """
    The report as Markdown.

    :param report: what ``GlobusActivityReportOperator`` returns.
    """
    lines = [f"# Activity on {_cell(report['collection'])}", "", f"From {report['since']} to {report['until']}.", ""]
    if not report["tasks"]:
        return "\n".join([*lines, "No activity.", ""])
    lines += [
        f"- {report['tasks']} tasks: {report['succeeded']} succeeded, {report['failed']} failed, "
        f"{report['unfinished']} unfinished",
        f"- {report['files']} files, {human_bytes(report['bytes'])} moved: {human_bytes(report['bytes_in'])} in, "
        f"{human_bytes(report['bytes_out'])} out",
        f"- unfinished: {report['active']} active, {report['faulting']} faulting, {report['stuck']} stuck, "
        f"{report['paused']} paused",
        f"- {report['faults']} faults",
        "",
    ]
    counts = ("tasks", "succeeded", "failed", "unfinished", "files")
    for title, names, rows, more in (
        ("Users", ("owner",), report["users"], report["users_not_listed"]),
        ("Routes", ("source", "destination", "type"), report["routes"], report["routes_not_listed"]),
    ):
        lines += _table(title, (*names, *counts, "bytes", "faults"), rows)
        lines += [f"{more} more are not listed.", ""] if more else []
    shown = ("task_id", "owner", "state", "code", "faults", "details", "source", "destination")
    lines += _table("Tasks in trouble", shown, report["troubled_tasks"])
    lines += _table("Failed tasks", shown, report["failed_tasks"])
    return "\n".join(lines)


def _table(title: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return []
    names = [column.replace("_", " ") for column in columns]
    return [
        f"## {title}",
        "",
        f"| {' | '.join(names)} |",
        f"|{'---|' * len(names)}",
        *(f"| {' | '.join(_shown(column, row.get(column)) for column in columns)} |" for row in rows),
        "",
    ]


def _shown(column: str, value: Any) -> str:
    return human_bytes(value) if column == "bytes" else _cell(value)


def _cell(value: Any) -> str:
    """A value that stays in its cell, whatever users have put into labels and names."""
    text = " ".join(str("" if value is None else value).split())
    for special in ("\\", "|", "`", "<", "[", "*", "_"):
        text = text.replace(special, f"\\{special}")
    return text
