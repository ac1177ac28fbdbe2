"""Every command of the Globus CLI is run by a test, or there is a reason why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance import commands, evidence
from tests.conformance.findings import Findings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conformance.conftest import GlobusCli

pytestmark = pytest.mark.usefixtures("cli")


def test_the_cli_lists_its_commands(cli: GlobusCli) -> None:
    listed = [line.strip() for line in cli.text("list-commands").splitlines() if line.startswith("    globus ")]
    assert sorted(listed) == sorted(commands.all_commands())


def test_reasons_are_for_commands_that_there_are() -> None:
    assert sorted(commands.NOT_RUN.keys() - commands.all_commands()) == []


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (("ls", "x:/"), "globus ls"),
        (("task", "list", "--limit", "3"), "globus task list"),
        (("gcs", "collection", "create", "guest", "x"), "globus gcs collection create guest"),
        (("api", "timer", "GET", "/jobs/"), None),
    ],
)
def test_arguments_name_their_command(arguments: tuple[str, ...], command: str | None) -> None:
    assert commands.command_of(arguments, commands.all_commands()) == command


def test_a_command_counts_when_it_comes_to_its_end(
    cli: GlobusCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Installed Version" in cli.text("version")
    monkeypatch.setenv(evidence.FOLDER, str(tmp_path / "seen"))
    cli.text("version")
    cli.text("endpoint", "show", "00000000-0000-4000-8000-000000000000", fails=1)
    run = {note["command"] for note in Findings(tmp_path / "seen").notes("command")}
    assert run == {"globus version"}
    assert "globus ls" in commands.unaccounted(run)
    assert "globus version" not in commands.unaccounted(run)
