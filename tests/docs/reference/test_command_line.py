"""The command line as the page shows it, and that the page names all there is."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from airflow.cli import cli_parser

from airflow_provider_globus.sandbox.local_airflow import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, ComputeEndpointFactory
    from tests.docs.page import Page

PAGE = Path(__file__).resolve().parents[3] / "docs/reference/command_line.md"
CODE_PAGE = re.compile(r"https?://\S+/v2/oauth2/authorize\?\S+")


def test_the_command_line(
    page: Page,
    globus_sandbox: GlobusSandbox,
    globus_collection: CollectionFactory,
    globus_compute_endpoint: ComputeEndpointFactory,
) -> None:
    instrument = globus_collection("Beamline 7", alias="instrument")
    globus_compute_endpoint("hpc")
    globus_sandbox.add_identity("ada@example.org", name="Ada")
    port = free_ports(1)[0]
    url = f"http://127.0.0.1:{port}/_sandbox"
    page.replace("8765", port)
    page.replace("<client UUID of the native app>", globus_sandbox.add_client("native", public=True).id)
    page.command("doctor --conn-id globus_elsewhere", status=1)

    def log_in(printed: str) -> str:
        shown = CODE_PAGE.search(printed)
        return f"{globus_sandbox.log_in(shown[0], 'ada@example.org')}\n" if shown and "code" in printed else ""

    page.command("airflow globus login", typed=log_in)
    page.dag("hourly", runs=0)
    page.leave_running("sandbox serve --port 8765 --ca-file sandbox_ca.pem --seed seed.yaml\n", lambda: answers(url))
    page.excuse("sandbox demo tomography", "takes minutes; tests/e2e/test_demo.py runs the demos")
    page.run(until="--print-env)")

    elsewhere = page.output("doctor --conn-id globus_elsewhere")
    assert "There is no connection 'globus_elsewhere'." in elsewhere
    assert 'connection: Add it: airflow connections import FILE, which holds {"globus_elsewhere"' in elsewhere
    person = json.loads((page.folder / "ada.json").read_text())
    assert (person["conn_type"], person["extra"]["app_type"]) == ("globus", "user")
    found = page.output("collections search beamline")
    assert len(re.findall(instrument.id, found)) == 2
    shown = page.output("cost dags/hourly.py")
    assert squeezed(page.block("hourly: 749").text) in squeezed(shown)
    assert "seed.yaml is good: " in page.output("seed --check")

    page.run()
    assert "collection scratch" in page.output("--print-env)")
    assert "problem" not in page.output("--print-env)")
    assert "# collection archive: " in page.output("sandbox seed more.yaml")
    aliases = [item["alias"] for item in httpx.get(f"{url}/state").json()["transfer"]["collections"]]
    assert {"instrument", "archive"} < set(aliases)
    assert (page.folder / "archive").is_dir()


def answers(url: str) -> bool:
    return httpx.get(f"{url}/health").is_success


def squeezed(text: str) -> str:
    """Text without what only fills its columns."""
    return "\n".join(re.sub(r"\s+", " ", line).strip() for line in text.splitlines() if line.strip())


def commands(parser: argparse.ArgumentParser, *names: str) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """All commands below one, with what they are called."""
    groups: list[Any] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield names, parser
    for group in groups:
        for name, below in group.choices.items():
            yield from commands(below, *names, name)


def test_every_command_and_option_is_named() -> None:
    (group,) = [action for action in cli_parser.get_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    text = PAGE.read_text()
    missing = []
    for names, parser in commands(group.choices["globus"]):
        section = text.split(f"\n## {names[0]}\n")[1].split("\n## ")[0]
        named = set(re.findall(r"`([^`\n]+)`", section))
        if f"`{' '.join(names)}" not in text:
            missing.append(" ".join(names))
        for action in parser._actions:
            if isinstance(action, argparse._HelpAction):
                continue
            wanted = action.option_strings or [str(action.metavar or action.dest)]
            missing += [f"{' '.join(names)}: {name}" for name in wanted if name not in named]
    assert missing == []
