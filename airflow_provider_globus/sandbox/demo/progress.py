"""What the demo shows while the DAG runs: a live table on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.live import Live
from rich.markup import escape
from rich.table import Table

from airflow_provider_globus.sandbox.demo.checks import GROUP_OPENER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from rich.console import Console

    from airflow_provider_globus.sandbox.compute.state import ComputeState, ComputeTask
    from airflow_provider_globus.sandbox.flows.models import Run
    from airflow_provider_globus.sandbox.transfer.tasks import Task
    from airflow_provider_globus.sandbox.world import World

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


class Job(NamedTuple):
    """Something Globus was asked to do, in one line."""

    id: str
    line: str
    done: bool


def jobs(world: World) -> list[Job]:
    """Return every task of Transfer, then every task of Compute, then every run of a flow."""
    transfers = [Job(task.id, transfer_line(task), task.done) for task in list(world.transfer.tasks.values())]
    runs = [Job(run.id, run_line(run), run.ended) for run in list(world.flows.runs.values())]
    return transfers + compute_jobs(world.compute) + runs


def transfer_line(task: Task) -> str:
    """Return one line on a task of Transfer: label, how far it is, status."""
    name = task.label or task.type.lower()
    if task.type == "DELETE":
        return f"{name}: {task.steps_succeeded}/{task.steps_total} steps, {task.status}"
    files = f"{task.files_transferred}/{task.files} files"
    return f"{name}: {files}, {megabytes(task.bytes_transferred)}, {task.status}"


def run_line(run: Run) -> str:
    """Return one line on a run of a flow: label, the state it is in, status."""
    name = run.details.get("state_name")
    return f"{run.label or run.flow_title}: {f'{name}, ' if name and not run.ended else ''}{run.status}"


def compute_jobs(state: ComputeState) -> list[Job]:
    """Return a line for each task of Compute that does work: function, the id's beginning, endpoint, status."""
    return [
        Job(task.id, f"{_named(task)} on {state.endpoints[task.endpoint_id].name}: {task.status}", task.done)
        for task in list(state.tasks.values())
        if task.function.name != GROUP_OPENER
    ]


def _named(task: ComputeTask) -> str:
    # Tasks of one function, as mapped Airflow tasks make them, differ by nothing else that is seen here.
    return f"{task.function.name} {task.id[:8]}"


def name_of(task: Mapping[str, Any]) -> str:
    """Return what to call a task instance: its task, and its number when the task is mapped."""
    index = task.get("map_index", -1)
    return str(task["task_id"]) if index < 0 else f"{task['task_id']}[{index}]"


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

    def show(self, tasks: Sequence[Mapping[str, Any]], globus: Sequence[Job]) -> None:
        """Show what there is now."""
        if self._live is not None:
            self._live.update(self._picture(tasks, globus))
            return
        for task in tasks:
            name = name_of(task)
            if self._states.get(name) != task["state"]:
                self._states[name] = task["state"]
                if task["state"]:
                    self._say(f"{name}: {task['state']}")
        for job in globus:
            self._say_progress(job)

    def _say(self, text: str) -> None:
        self._console.print(
            f"{time.monotonic() - self._begin:6.1f} s  {text}", highlight=False, markup=False, soft_wrap=True
        )

    def _say_progress(self, job: Job) -> None:
        now = time.monotonic()
        before, said_at = self._lines.get(job.id, ("", 0.0))
        if job.line != before and (job.done or now - said_at >= LINE_SECONDS):
            self._lines[job.id] = (job.line, now)
            self._say(f"  Globus  {job.line}")

    def _picture(self, tasks: Sequence[Mapping[str, Any]], globus: Sequence[Job]) -> Table:
        picture = Table(title=f"running for {time.monotonic() - self._begin:.0f} s", title_justify="left")
        picture.add_column("Airflow task", min_width=22)
        picture.add_column("state", min_width=12)
        picture.add_column("Globus", overflow="fold")
        for number in range(max(len(tasks), len(globus))):
            task = tasks[number] if number < len(tasks) else {"task_id": "", "state": ""}
            state = task["state"] or ""
            line = globus[number].line if number < len(globus) else ""
            picture.add_row(escape(name_of(task)), f"[{STYLES.get(state, 'white')}]{state}[/]", escape(line))
        return picture


def result_table(tasks: Sequence[Mapping[str, Any]], results: Mapping[str, Any], title: str) -> Table:
    """Return the final table: task, state, seconds, files, bytes; `results` holds return values by `name_of`."""
    table = Table(title=title, title_justify="left")
    table.add_column("task")
    table.add_column("state")
    for name in ("seconds", "files", "bytes"):
        table.add_column(name, justify="right")
    for task in tasks:
        state = task["state"] or "none"
        files, size = _counts(results.get(name_of(task)))
        style = STYLES.get(state, "white")
        table.add_row(escape(name_of(task)), f"[{style}]{state}[/]", _seconds(task["duration"]), files, size)
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
