"""Command line of the demo: `python -m airflow_provider_globus.sandbox.demo [--dag NAME] [--ui]`."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from airflow_provider_globus.sandbox.demo import scenario
from airflow_provider_globus.sandbox.demo.runner import DemoFailedError, DemoRun
from airflow_provider_globus.sandbox.local_airflow import LocalAirflowError

if TYPE_CHECKING:
    from types import FrameType

    from airflow_provider_globus.sandbox.local_airflow import LocalAirflow

FAILED = 1
INTERRUPTED = 130
TERMINATED = 143
REPOSITORY = Path(__file__).resolve().parents[3]
HOME_PAGE = "https://github.com/airflow-provider-globus/airflow-provider-globus"


def main(arguments: list[str] | None = None) -> int:
    """Run a demo and return the exit status: 0 when the DAG and every check succeeded."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not (options.dags / f"{options.dag}.py").is_file():
        parser.error(
            f"there is no {options.dag}.py in {options.dags}: the example DAGs are in the repository, not in the "
            f"installed package. Get the folder example_dags of {HOME_PAGE}, and name it with --dags."
        )
    console = Console(soft_wrap=False)
    # A shell that starts us in the background has SIGINT ignored, which children would inherit too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _on_sigterm)

    def keep_up(airflow: LocalAirflow) -> None:
        console.print(f"\nAirflow stays up at [bold]{airflow.url}[/] (no log-in). Ctrl-C ends it.", highlight=False)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()

    demo = DemoRun(
        options.dag,
        dags=options.dags,
        work=options.work,
        console=console,
        keep_up=keep_up if options.ui else None,
    )
    try:
        return 0 if demo.run() else FAILED
    except (DemoFailedError, LocalAirflowError) as error:
        console.print(f"\n{error}", style="bold red", highlight=False, markup=False, soft_wrap=True)
        return FAILED
    except KeyboardInterrupt:
        console.print("\ninterrupted; everything has been stopped", highlight=False)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_globus.sandbox.demo",
        description="Run an example DAG on real files, in a real Airflow, with Globus on loopback.",
    )
    parser.add_argument("--dag", default="instrument_to_archive", choices=scenario.names(), help="which example")
    parser.add_argument("--ui", action="store_true", help="leave Airflow up after the run, until Ctrl-C")
    parser.add_argument("--dags", type=Path, default=REPOSITORY / "example_dags", help="folder of the example DAGs")
    parser.add_argument("--work", type=Path, default=Path(".demo"), help="folder for data, logs and caches")
    return parser


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    sys.exit(TERMINATED)


if __name__ == "__main__":
    sys.exit(main())
