"""What the demo shows while the DAG runs: a live table on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.live import Live
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from rich.console import Console

    from airflow_provider_globus.sandbox.transfer.tasks import Task

STYLES = {
    "success": "green",
    "failed": "bold red",
    "upstream_failed": "red",
    "running": "cyan",
    "deferred": "magenta",
    "up_for_retry": "yellow",
    "queued": "dim",
    "scheduled": "dim",
}
# A transfer's progress is worth a line this often where lines cannot be overwritten.
LINE_SECONDS = 2.0


def megabytes(count: int) -> str:
    """Return a number of bytes as people read it."""
    return f"{count / 1e6:.2f} MB" if count >= 10_000 else f"{count} B"


def transfer_line(task: Task) -> str:
    """Return one line on a Globus task: label, how far it is, status."""
    name = task.label or task.type.lower()
    if task.type == "DELETE":
        return f"{name}: {task.steps_succeeded}/{task.steps_total} steps, {task.status}"
    files = f"{task.files_transferred}/{task.files} files"
    return f"{name}: {files}, {megabytes(task.bytes_transferred)}, {task.status}"


class Progress:
    """Shows states of Airflow tasks and of Globus tasks as they change; a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begin = time.monotonic()
        self._states: dict[str, str | None] = {}
        self._lines: dict[str, tuple[str, float]] = {}
        self._live: Live | None = None

    def __enter__(self) -> Progress:
        """Begin."""
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=8, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; on a terminal the live table goes, the final one takes its place."""
        if self._live is not None:
            self._live.stop()

    def show(self, tasks: Sequence[Mapping[str, Any]], transfers: Sequence[Task]) -> None:
        """Show what there is now."""
        if self._live is not None:
            self._live.update(self._picture(tasks, transfers))
            return
        for task in tasks:
            if self._states.get(task["task_id"]) != task["state"]:
                self._states[task["task_id"]] = task["state"]
                if task["state"]:
                    self._say(f"{task['task_id']}: {task['state']}")
        for transfer in transfers:
            self._say_progress(transfer)

    def _say(self, text: str) -> None:
        self._console.print(
            f"{time.monotonic() - self._begin:6.1f} s  {text}", highlight=False, markup=False, soft_wrap=True
        )

    def _say_progress(self, transfer: Task) -> None:
        line, now = transfer_line(transfer), time.monotonic()
        before, said_at = self._lines.get(transfer.id, ("", 0.0))
        if line != before and (transfer.done or now - said_at >= LINE_SECONDS):
            self._lines[transfer.id] = (line, now)
            self._say(f"  Globus  {line}")

    def _picture(self, tasks: Sequence[Mapping[str, Any]], transfers: Sequence[Task]) -> Table:
        picture = Table(title=f"running for {time.monotonic() - self._begin:.0f} s", title_justify="left")
        picture.add_column("Airflow task", min_width=22)
        picture.add_column("state", min_width=12)
        picture.add_column("Globus", overflow="fold")
        lines = [transfer_line(transfer) for transfer in transfers]
        for number in range(max(len(tasks), len(lines))):
            task = tasks[number] if number < len(tasks) else {"task_id": "", "state": ""}
            state = task["state"] or ""
            line = lines[number] if number < len(lines) else ""
            picture.add_row(task["task_id"], f"[{STYLES.get(state, 'white')}]{state}[/]", line)
        return picture


def result_table(tasks: Sequence[Mapping[str, Any]], xcoms: Mapping[str, Any], title: str) -> Table:
    """Return the final table: task, state, seconds, files, bytes."""
    table = Table(title=title, title_justify="left")
    table.add_column("task")
    table.add_column("state")
    for name in ("seconds", "files", "bytes"):
        table.add_column(name, justify="right")
    for task in tasks:
        state = task["state"] or "none"
        files, size = _counts(xcoms.get(task["task_id"]))
        style = STYLES.get(state, "white")
        table.add_row(task["task_id"], f"[{style}]{state}[/]", _seconds(task["duration"]), files, size)
    return table


def _seconds(duration: float | None) -> str:
    return "" if duration is None else f"{duration:.1f}"


def _counts(result: Any) -> tuple[str, str]:
    """Files and bytes of a task's result; each operator names what it counted, a zero says nothing."""
    if not isinstance(result, dict):
        return "", ""
    files = next((result[key] for key in ("deleted", "files_transferred", "count") if key in result), None)
    size = next((result[key] for key in ("deleted_bytes", "bytes") if key in result), None)
    return str(files or ""), str(size or "")
