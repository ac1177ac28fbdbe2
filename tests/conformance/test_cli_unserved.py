"""What the sandbox does not serve, the CLI is told with 501: Timers, and what moves data without files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance import commands

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.conformance.conftest import GlobusCli

SOME = "00000000-0000-4000-8000-000000000000"
STREAMS = ("streams", "tunnel")
UNSERVED = (
    ("api", "timers", "GET", "/jobs/"),
    ("timer", "list"),
    ("timer", "show", SOME),
    ("timer", "pause", SOME),
    ("timer", "resume", SOME),
    ("timer", "delete", SOME),
    (*STREAMS, "list"),
    (*STREAMS, "show", SOME),
    (*STREAMS, "events", SOME),
    (*STREAMS, "create", SOME, SOME, "--label", "x"),
    (*STREAMS, "update", SOME, "--label", "x"),
    (*STREAMS, "stop", SOME),
    (*STREAMS, "delete", SOME),
    ("streams", "access-point", "show", SOME),
)


@pytest.fixture
def lab(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("lab", files={"a": ""}, kind="personal")


@pytest.mark.parametrize("command", UNSERVED, ids=" ".join)
def test_it_says_so(cli: GlobusCli, command: tuple[str, ...]) -> None:
    assert commands.command_of(command, commands.NOT_RUN) is not None
    said = cli.text(*command, fails=1)
    assert "501" in said
    answers = [entry.status for entry in cli.sandbox.journal.requests() if entry.service in ("timers", "transfer")]
    assert set(answers) == {501}


def test_a_timer_is_not_made(cli: GlobusCli, lab: CollectionFolder) -> None:
    arguments = (f"{lab.id}:/a", f"{lab.id}:/b", "--interval", "1d", "--stop-after-runs", "2")
    assert "501" in cli.text("timer", "create", "transfer", *arguments, fails=1)
    flow = cli.sandbox.add_flow("Hello", {"StartAt": "End", "States": {"End": {"Type": "Pass", "End": True}}})
    assert "501" in cli.text("timer", "create", "flow", flow.id, "--input", "{}", "--interval", "1d", fails=1)
