"""What docs/troubleshooting.md quotes is what the package, or Airflow, still says; and its blocks run."""

from __future__ import annotations

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_globus.compute.failures import failure_of
from airflow_provider_globus.exceptions import GlobusError, GlobusJobStuckError
from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.jobs import job_service
from airflow_provider_globus.jobs.base import Outcome
from airflow_provider_globus.operators.transfer import GlobusTransferOperator
from tests.docs.blocks import ROOT, blocks_of

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.docs.page import Page

PAGE = ROOT / "docs/troubleshooting.md"

#: Where Airflow says what the page quotes of it.
AIRFLOW_MODULES = (
    "airflow.api_fastapi.core_api.routes.public.connections",
    "airflow.jobs.scheduler_job_runner",
    "airflow.sdk.execution_time.context",
)

#: Shortest piece that tells one message from another.
TELLING = 10

_PERCENT = re.compile(r"%[-.\d]*[sdfr]")


def _quoted() -> list[tuple[str, str]]:
    """Each quoted line, and the heading above it."""
    return [
        (line, " / ".join(block.headings))
        for block in blocks_of(PAGE)
        if block.is_output
        for line in block.text.splitlines()
        if line.strip()
    ]


def _pieces(line: str) -> list[str]:
    """The parts of a quoted line between what differs each time."""
    return [piece for part in line.split("…") if len(piece := part.strip(" ():;,.")) >= TELLING]


@cache
def _said(*modules: str) -> tuple[str, ...]:
    """Every fixed piece of text in the strings of the package, or of the modules named."""
    if modules:
        specs = [importlib.util.find_spec(name) for name in modules]
        files = [Path(str(spec.origin)) for spec in specs if spec is not None]
    else:
        package = ROOT / "airflow_provider_globus"
        files = [path for path in package.rglob("*.py") if not path.is_relative_to(package / "sandbox")]
    return tuple(
        " ".join(piece.split())
        for path in files
        for text in _texts(ast.parse(path.read_text()))
        for piece in _PERCENT.split(text)
    )


def _texts(tree: ast.Module) -> list[str]:
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]


@pytest.mark.parametrize(("line", "heading"), _quoted())
def test_what_is_quoted_is_still_said(line: str, heading: str) -> None:
    pieces = _pieces(line)
    assert pieces, f"{line!r} is too short to be looked for"
    said = _said() + (_said(*AIRFLOW_MODULES) if "In Airflow" in heading else ())
    for piece in pieces:
        assert any(piece in text for text in said), f"Under {heading!r}: nothing says {piece!r} (any more)"


def test_a_message_that_nothing_says_would_be_noticed() -> None:
    assert not any("The client id must be an UUID of a Globus app" in text for text in _said())


def test_the_blocks_run(page: Page) -> None:
    page.run()
    assert "globus_default" in page.output("airflow globus doctor")


# Provoked: what a user meets most is as the page shows it, beginning to end.


def _shown(fragment: str) -> re.Pattern[str]:
    """The quoted line that has these words, as a pattern for what is said."""
    (line,) = [line for line, _ in _quoted() if fragment in line]
    return re.compile(".*".join(re.escape(part.strip()) for part in line.split("…")), re.DOTALL)


def test_a_connection_without_a_client_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_GLOBUS_DEFAULT", '{"conn_type": "globus", "login": "me", "password": "x"}')
    ok, said = GlobusHook().test_connection()
    assert not ok
    assert _shown("the client id (login) must be").search(said)


def test_a_refused_secret(globus_sandbox: GlobusSandbox) -> None:
    globus_sandbox.world.auth.revoke_secret(globus_sandbox.client_id)
    ok, said = GlobusHook().test_connection()
    assert not ok
    assert "invalid_client" in said
    assert _shown("The client id and secret do not match").search(said)


def test_a_name_that_no_collection_has(globus_sandbox: GlobusSandbox) -> None:
    with pytest.raises(GlobusError, match=_shown("No collection visible")):
        GlobusHook().resolve_collection("nowhere")


def test_a_missing_path(globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory) -> None:
    collection = globus_collection("instrument")
    hook = GlobusHook()
    client, collection_id = hook.transfer_client(), hook.use_collection(collection.id)
    with pytest.raises(GlobusError, match=_shown("Check the id or path")):
        hook.call("listing /nowhere", client.operation_ls, collection_id, path="/nowhere/")


def test_a_fault_that_time_does_not_cure() -> None:
    task = {"task_id": "1", "type": "TRANSFER", "status": "ACTIVE", "nice_status": "PERMISSION_DENIED"}
    memory = {"trouble": "PERMISSION_DENIED", "since": 0.0}
    verdict = job_service("transfer").judge([task], {"stuck_grace": 300.0}, memory, now=301.0)
    assert verdict.outcome == Outcome.STUCK
    assert _shown("This has lasted for").search(verdict.message)
    operator = GlobusTransferOperator(
        task_id="copy", source_collection="a", source_path="/", destination_collection="b", destination_path="/"
    )
    error = operator.error(verdict, verdict.message)
    assert isinstance(error, GlobusJobStuckError)
    assert _shown("was stuck and has been cancelled").search(str(error))


def test_skipped_files() -> None:
    task = {"task_id": "1", "type": "TRANSFER", "status": "SUCCEEDED", "subtasks_skipped_errors": 2}
    verdict = job_service("transfer").judge([task], {}, {}, now=0.0)
    assert _shown("could not be read and were skipped").search(verdict.message)


def test_a_lost_worker() -> None:
    failure = failure_of({"exception": "Traceback …\nparsl.executors.errors.WorkerLost: Task failed"})
    assert _shown("The process that ran the function died").search(str(failure))
