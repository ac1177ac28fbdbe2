"""``airflow globus cost``: how many API calls a DAG's waits will make, before it runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.cli.cost_advice import advice
from airflow_provider_globus.cli.dag_waits import waits_of
from airflow_provider_globus.costs import LIMITS, Load, Poll, Waiting, api_of, loads_of, polls_of

if TYPE_CHECKING:
    import argparse

    from airflow.sdk import DAG

#: Hours that a wait can take: a year.
_MOST_HOURS = 8760


def command(args: argparse.Namespace) -> None:
    """Show the estimate of a DAG, or of all DAGs in a file; what cannot be loaded ends with status 1."""
    from airflow.cli.simple_table import AirflowConsole
    from airflow.utils.cli import suppress_logs_and_warning

    if not 0 < args.hours <= _MOST_HOURS or args.mapped < 1:
        sys.exit(f"--hours must be above 0 and at most {_MOST_HOURS}, and --mapped at least 1.")
    estimates: list[dict[str, Any]] = []

    # Loading a DAG logs to standard output, which JSON must have to itself.
    @suppress_logs_and_warning
    def fill(args: argparse.Namespace) -> None:
        estimates.extend(estimate(dag, hours=args.hours, mapped=args.mapped) for dag in load(args.dag))

    fill(args)
    console = AirflowConsole()
    if args.output == "json":
        console.print_as_json(estimates)  # type: ignore[arg-type]
    elif args.output == "yaml":
        console.print_as_yaml(estimates)  # type: ignore[arg-type]
    else:
        for number, found in enumerate(estimates):
            if number:
                console.print()
            _show(found, console, args.output)


def load(dag: str) -> list[DAG]:
    """The DAG of that id, or the DAGs of that file; loaded as Airflow does."""
    path = Path(dag).expanduser()
    if path.is_file():
        return _load_file(path)
    if path.suffix in (".py", ".zip"):
        sys.exit(f"There is no file {dag!r}.")
    return [_find(dag)]


def _load_file(path: Path) -> list[DAG]:
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(dag_folder=str(path), bundle_path=path.resolve().parent, bundle_name="")
    for error in bag.import_errors.values():
        sys.exit(f"{path} cannot be loaded:\n{error}")
    if not bag.dags:
        sys.exit(f"There is no DAG in {path}. Airflow looks only into files that hold the words 'airflow' and 'dag'.")
    return [bag.dags[dag_id] for dag_id in sorted(bag.dags)]


def _find(dag_id: str) -> DAG:
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag

    known: list[str] = []
    errors: dict[str, str] = {}
    for bundle in DagBundlesManager().get_all_dag_bundles():
        bundle.initialize()
        bag = BundleDagBag(dag_folder=str(bundle.path), bundle_path=bundle.path, bundle_name=bundle.name)
        if dag_id in bag.dags:
            return bag.dags[dag_id]
        known += bag.dags
        errors |= bag.import_errors
    said = f"There is no DAG {dag_id!r}. There are: {', '.join(sorted(known)) or 'none'}."
    if errors:
        said += (
            f" These files cannot be loaded: {', '.join(sorted(errors))}; `airflow dags list-import-errors` says why."
        )
    sys.exit(f"{said} A file can be named instead.")


def estimate(dag: DAG, *, hours: float, mapped: int) -> dict[str, Any]:
    """
    What the waits of a DAG cost; JSON.

    :param hours: how long each job takes.
    :param mapped: how many mapped tasks are assumed where the DAG does not say.
    """
    waits = waits_of(dag, mapped)
    polls, loads = polls_of(waits), loads_of(waits)
    return {
        "dag_id": dag.dag_id,
        "hours": hours,
        "mapped": mapped,
        "waits": [_waiting_row(waiting, hours) for waiting in waits],
        "polls": [_poll_row(poll) for poll in polls],
        "loads": [_load_row(load) for load in loads],
        "calls": sum(waiting.calls(hours) for waiting in waits),
        "advice": advice(waits, polls, loads),
    }


def _waiting_row(waiting: Waiting, hours: float) -> dict[str, Any]:
    told = asdict(waiting)
    named = {name: told[name] for name in ("name", "kind", "role", "conn_id", "tasks", "jobs", "assumed", "interval")}
    return named | {
        "api": api_of(waiting.look),
        "service": waiting.look,
        "waits_in": "triggerer" if waiting.deferred else "worker",
        "calls_a_round": waiting.calls_a_round,
        "calls_an_hour": round(waiting.calls_an_hour, 1),
        "calls_besides": waiting.tasks * waiting.beside,
        "calls": waiting.calls(hours),
    }


def _poll_row(poll: Poll) -> dict[str, Any]:
    return {
        "api": api_of(poll.look),
        "service": poll.look,
        "conn_id": poll.conn_id,
        "shared_by": [member.name for member in poll.members],
        "jobs": poll.jobs,
        "interval": poll.interval,
        "calls_a_round": poll.calls_a_round,
        "calls_an_hour": round(poll.calls_an_hour, 1),
        "calls_an_hour_apart": round(poll.calls_an_hour_apart, 1),
        # Mapped over nothing, it makes no calls at all.
        "saved": round(1 - poll.calls_an_hour / poll.calls_an_hour_apart, 3) if poll.jobs else 0.0,
    }


def _load_row(load: Load) -> dict[str, Any]:
    limit = LIMITS.get(load.api)
    return {
        "api": load.api,
        "conn_id": load.conn_id,
        "calls_an_hour": round(load.calls_an_hour, 1),
        "limit_an_hour": None if limit is None else round(limit.an_hour),
        "share": None if load.share is None else round(load.share, 5),
    }


def _show(found: dict[str, Any], console: Any, output: str) -> None:
    if not found["waits"]:
        console.print(f"{found['dag_id']}: no task waits for Globus.", highlight=False, markup=False)
        return
    for title, rows in _tables(found):
        console.print(title, style="bold", highlight=False, markup=False)
        console.print_as(data=rows, output=output)
        if output == "plain":
            # A table has an empty line below it.
            console.print()
    for line in found["advice"]:
        console.print(f"- {line}", highlight=False, markup=False, soft_wrap=True)


def _tables(found: dict[str, Any]) -> Iterator[tuple[str, Sequence[dict[str, Any]]]]:
    hours, guessed = found["hours"], any(row["assumed"] for row in found["waits"])
    assumed = f"; {found['mapped']} mapped tasks where it does not say (*)" if guessed else ""
    lasting = f"when each wait takes {hours:g} h, one after the other"
    yield (
        f"{found['dag_id']}: {found['calls']} calls in a run, {lasting}{assumed}",
        [
            {
                "waits": row["name"],
                "in": row["waits_in"],
                "asks for": row["service"],
                "tasks": f"{row['tasks']}{'*' if row['assumed'] and row['jobs'] == 1 else ''}",
                "jobs": f"{row['tasks'] * row['jobs']}{'*' if row['assumed'] else ''}",
                "every s": f"{row['interval']:g}",
                "calls/round": row["calls_a_round"],
                "calls/hour": _count(row["calls_an_hour"]),
                "besides": row["calls_besides"],
                "in all": row["calls"],
            }
            for row in found["waits"]
        ],
    )
    if found["polls"]:
        yield (
            "What is deferred shares a poll",
            [
                {
                    "asks for": row["service"],
                    "connection": row["conn_id"],
                    "shared by": ", ".join(row["shared_by"]),
                    "jobs": row["jobs"],
                    "calls/hour": _count(row["calls_an_hour"]),
                    "if apart": _count(row["calls_an_hour_apart"]),
                    "saved": f"{row['saved']:.0%}",
                }
                for row in found["polls"]
            ],
        )
    yield (
        "If all wait at once",
        [
            {
                "API": row["api"],
                "connection": row["conn_id"],
                "calls/hour": _count(row["calls_an_hour"]),
                "Globus allows": "not published" if row["limit_an_hour"] is None else _count(row["limit_an_hour"]),
                "share": "" if row["share"] is None else f"{row['share']:.2%}",
            }
            for row in found["loads"]
        ],
    )


def _count(number: float) -> str:
    return f"{number:,.0f}"
