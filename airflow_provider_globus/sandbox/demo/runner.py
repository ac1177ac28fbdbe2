"""Runs one example DAG from nothing: sample data, services, a real Airflow, the run, the checks, and no trace after."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from airflow_provider_globus.sandbox import GlobusSandbox
from airflow_provider_globus.sandbox.airflow_api import FINISHED_RUN
from airflow_provider_globus.sandbox.demo import progress, scenario
from airflow_provider_globus.sandbox.demo.checks import Check, no_secret_left
from airflow_provider_globus.sandbox.demo.s3 import S3Server
from airflow_provider_globus.sandbox.local_airflow import LocalAirflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rich.console import Console

LOOK_SECONDS = 0.5
LOG_TAIL = 25


MARKER = ".globus-demo"


class DemoFailedError(RuntimeError):
    """The demo could not begin or did not end; the message says why."""


@contextlib.contextmanager
def own_folder(folder: Path) -> Iterator[None]:
    """Empty a folder that a demo made before, or make it, and keep other demos out of it meanwhile."""
    marker = folder / MARKER
    if folder.exists() and not marker.exists():
        raise DemoFailedError(
            f"{folder} was not made by a demo, so it is not emptied: move it or choose another --work"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with marker.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoFailedError(f"another demo is running in {folder}: choose another --work") from None
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
        yield


class DemoRun:
    """One demo.

    :param name: the DAG.
    :param dags: folder with the example DAGs.
    :param work: folder for data, logs and the cached database; made when missing, kept afterwards.
    :param console: where to show what happens.
    :param keep_up: called after the run while everything is still up (`--ui`).
    """

    def __init__(
        self,
        name: str,
        *,
        dags: Path,
        work: Path,
        console: Console,
        keep_up: Callable[[LocalAirflow], None] | None = None,
        timeout: float = 300.0,
    ) -> None:
        self._make_scenario = scenario.load(name)
        self._name = name
        self._dags = dags
        self._cache = work
        self._work = work / name
        self._console = console
        self._keep_up = keep_up
        self._timeout = timeout
        self._seconds: dict[str, float] = {}
        self._triggers_seen: set[str] = set()

    def run(self) -> bool:
        """Run the demo; True when the DAG and every check succeeded. Whatever was started has ended on return."""
        begin = time.monotonic()
        with contextlib.ExitStack() as running:
            running.enter_context(own_folder(self._work))
            with self._phase("sample data, S3 and Globus on loopback"):
                s3 = running.enter_context(S3Server())
                globus = running.enter_context(GlobusSandbox())
                subject = self._make_scenario(self._work, globus, s3)
                subject.prepare()
                globus.settings.bytes_per_second = subject.bytes_per_second
            with self._phase("Airflow (API server, scheduler, DAG processor, triggerer)"):
                airflow = running.enter_context(self._airflow(globus, subject))
                airflow.api.wait_for_dag(self._name)
            self._say(f"Airflow: {airflow.url}\nGlobus:  {globus.url}\n")
            succeeded = all(
                self._run_and_judge(airflow, globus, subject, number) for number in range(1, len(subject.runs) + 1)
            )
            if succeeded:
                self._show_places(subject)
            if self._keep_up is not None:
                self._keep_up(airflow)
            stopping = time.monotonic()
        self._seconds["stop"] = time.monotonic() - stopping
        self._seconds["total"] = time.monotonic() - begin
        phases = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self._seconds.items())
        self._say(f"\n{phases}")
        return succeeded

    def _airflow(self, globus: GlobusSandbox, subject: scenario.Scenario) -> LocalAirflow:
        return LocalAirflow(
            dags=self._dags,
            connections={"globus_default": globus.connection, **subject.connections},
            home=self._work / "airflow",
            cache=self._cache,
        )

    @contextlib.contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        self._console.print(f"starting {name} …", highlight=False, end="")
        begin = time.monotonic()
        yield
        seconds = time.monotonic() - begin
        self._seconds["Airflow" if "Airflow" in name else "services"] = seconds
        self._console.print(f" {seconds:.1f} s", highlight=False)

    def _run_and_judge(
        self, airflow: LocalAirflow, globus: GlobusSandbox, subject: scenario.Scenario, number: int
    ) -> bool:
        """Run the DAG once; True when it and what is looked at afterwards are as they must be."""
        begin = time.monotonic()
        airflow.api.unpause(self._name)
        run_id = airflow.api.trigger(self._name, subject.runs[number - 1])
        state = self._follow(airflow, globus, subject, run_id)
        seconds = time.monotonic() - begin
        self._add("run", seconds)
        tasks = self._tasks_in_order(airflow, run_id)
        results = {progress.name_of(task): self._result(airflow, run_id, task) for task in tasks}
        several = f" · run {number} of {len(subject.runs)}" if len(subject.runs) > 1 else ""
        title = f"{self._name}{several} · {state} in {seconds:.1f} s"
        self._console.print(progress.result_table(tasks, results, title))
        if state != "success":
            self._show_failures(airflow, run_id, tasks)
            return False
        begin = time.monotonic()
        checks = [
            *subject.checks_after(number, _by_task(tasks, results)),
            no_secret_left(globus, airflow, self._triggers_seen, subject.secrets),
        ]
        self._add("checks", time.monotonic() - begin)
        self._show_checks(checks)
        return all(check.passed for check in checks)

    def _add(self, phase: str, seconds: float) -> None:
        self._seconds[phase] = self._seconds.get(phase, 0.0) + seconds

    def _follow(self, airflow: LocalAirflow, globus: GlobusSandbox, subject: scenario.Scenario, run_id: str) -> str:
        """Show progress until the run ends; return its state."""
        deadline = time.monotonic() + self._timeout
        before = {job.id for job in progress.jobs(globus.world)}  # of an earlier run
        with progress.Progress(self._console) as display:
            while True:
                state = str(airflow.api.run(self._name, run_id)["state"])
                tasks = self._tasks_in_order(airflow, run_id)
                display.show(tasks, [job for job in progress.jobs(globus.world) if job.id not in before])
                # Trigger rows live only as long as tasks wait, so they are read as they come.
                self._triggers_seen.update(arguments for _, _, arguments in airflow.trigger_rows())
                if state in FINISHED_RUN:
                    return state
                if time.monotonic() > deadline:
                    raise DemoFailedError(
                        f"{self._name} did not end within {self._timeout:.0f} s: {airflow.logs_folder}"
                    )
                subject.while_running({task["task_id"]: task["state"] for task in tasks})
                time.sleep(LOOK_SECONDS)

    def _tasks_in_order(self, airflow: LocalAirflow, run_id: str) -> list[dict[str, Any]]:
        """Task instances in the order in which they started; those of a mapped task by number."""
        tasks = airflow.api.task_instances(self._name, run_id)

        def order(task: dict[str, Any]) -> tuple[Any, ...]:
            return task["start_date"] is None, task["start_date"] or "", task["task_id"], task["map_index"]

        return sorted(tasks, key=order)

    def _result(self, airflow: LocalAirflow, run_id: str, task: dict[str, Any]) -> Any:
        found = airflow.api.xcoms(self._name, run_id, task["task_id"], map_index=task["map_index"])
        return found.get("return_value")

    # -- what is shown after ----------------------------------------------------------------------------------------

    def _show_failures(self, airflow: LocalAirflow, run_id: str, tasks: list[dict[str, Any]]) -> None:
        for task in tasks:
            if task["state"] != "failed":
                continue
            task_id, attempt, index = task["task_id"], task["try_number"], task["map_index"]
            entries = airflow.api.logs(self._name, run_id, task_id, try_number=attempt, map_index=index)
            where = airflow.logs_folder / f"dag_id={self._name}" / f"run_id={run_id}" / f"task_id={task_id}"
            if index >= 0:
                where /= f"map_index={index}"
            self._say(f"\n{progress.name_of(task)} failed, the end of its log:", style="bold red")
            for entry in [entry for entry in entries if not entry["event"].startswith("::")][-LOG_TAIL:]:
                self._say(f"  {entry['event']}")
                for error in entry.get("error_detail") or []:
                    self._say(f"  {error['exc_type']}: {error['exc_value']}")
            self._say(f"The whole log: {where}")

    def _say(self, text: str, style: str | None = None) -> None:
        """Print a line that may hold anything, unwrapped."""
        self._console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)

    def _show_checks(self, checks: list[Check]) -> None:
        self._console.print()
        for check in checks:
            mark = "[green]✓[/]" if check.passed else "[bold red]✗[/]"
            detail = f"[dim]{escape(check.detail)}[/]" if check.detail else ""
            self._console.print(mark, check.name, detail, highlight=False, soft_wrap=True)

    def _show_places(self, subject: scenario.Scenario) -> None:
        self._say("\nThe files are now in:")
        for place in subject.places():
            self._console.print(
                f"  {place.collection:8} {place.path:38} {place.on_disk}", highlight=False, soft_wrap=True
            )


def _by_task(tasks: list[dict[str, Any]], results: Mapping[str, Any]) -> dict[str, Any]:
    """Return results by task: of a mapped task a list, in order of the map index."""
    found: dict[str, Any] = {}
    for task in sorted(tasks, key=lambda task: int(task["map_index"])):
        result = results[progress.name_of(task)]
        if task["map_index"] < 0:
            found[task["task_id"]] = result
        else:
            found.setdefault(task["task_id"], []).append(result)
    return found
