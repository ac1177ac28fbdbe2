"""A page whose blocks are run as a reader would run them, one after the other, in one folder."""

from __future__ import annotations

import ast
import configparser
import json
import os
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import yaml

from tests.dag_runs import beside
from tests.docs.blocks import LANGUAGES, Block

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pytest
    from airflow.sdk import DAG

    from tests.dag_runs import Load, Run
    from tests.docs.terminal import Terminal

#: The logical date of every DAG run: a page's DAGs look for data of a day.
LOGICAL_DATE = datetime(2026, 11, 3, tzinfo=UTC)


@dataclass(frozen=True)
class DagRun:
    """A DAG run that has ended."""

    dag_id: str
    state: str
    #: What each task returned, of a mapped task a list; a task that returned nothing is missing.
    results: dict[str, Any]


@dataclass
class _DagPlan:
    conf: Mapping[str, Any] = field(default_factory=dict)
    ends: str = "success"
    meanwhile: Callable[[], object] | None = None
    runs: int = 1


@dataclass
class _BlockPlan:
    typed: str | Callable[[str], str] = ""
    status: int = 0
    ready: Callable[[], object] | None = None


class Page:
    """The blocks of a page, or of a section of it; the guide in conftest.py says how a test uses it."""

    def __init__(
        self, blocks: list[Block], terminal: Terminal, load: Load, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.blocks = blocks
        self.terminal = terminal
        #: Where the blocks run, and where their files are.
        self.folder = terminal.folder
        #: The day of the DAG runs, as ``{{ ds }}``.
        self.ds = LOGICAL_DATE.date().isoformat()
        #: Each DAG's runs.
        self.runs: dict[str, list[DagRun]] = {}
        self._dags: dict[str, DAG] = {}
        self._outputs: dict[Block, str] = {}
        self._load = load
        self._run = run
        self._monkeypatch = monkeypatch
        self._replacements: dict[str, str] = {}
        self._excused: dict[Block, str] = {}
        self._dag_plans: dict[str, _DagPlan] = {}
        self._block_plans: dict[Block, _BlockPlan] = {}
        self._done: set[Block] = set()

    # What a test says before

    def block(self, words: str) -> Block:
        """The one block that holds these words."""
        found = [block for block in self.blocks if words in block.text]
        if len(found) != 1:
            places = ", ".join(block.where for block in found) or "none"
            raise LookupError(f"{len(found)} blocks hold {words!r} ({places}); give words that only one holds")
        return found[0]

    def replace(self, placeholder: str, value: object) -> None:
        """Put a value where the page has a placeholder."""
        if not any(placeholder in block.text for block in self.blocks):
            raise LookupError(f"No block holds the placeholder {placeholder!r}")
        self._replacements[placeholder] = str(value)

    def excuse(self, words: str, reason: str) -> None:
        """Do not run the block that holds these words, for a reason that a reader of the test understands.

        What is a file of the page is written all the same.
        """
        if not reason.strip():
            raise ValueError(f"Why is the block with {words!r} not run?")
        self._excused[self.block(words)] = reason

    def dag(
        self,
        dag_id: str,
        *,
        conf: Mapping[str, Any] | None = None,
        ends: str = "success",
        meanwhile: Callable[[], object] | None = None,
        runs: int = 1,
    ) -> None:
        """Say how a DAG of the page is run.

        :param conf: the run's conf, which sets params.
        :param ends: the state that the run ends in.
        :param meanwhile: what happens outside Airflow: called before the run, and again and again until it has ended.
        :param runs: how often it runs; 0 when a later block of the page runs it.
        """
        self._dag_plans[dag_id] = _DagPlan(conf or {}, ends, meanwhile, runs)

    def connect(self, connection: str, conn_id: str = "globus_default") -> None:
        """Give the page's DAGs another connection than the sandbox's own."""
        self._monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", connection)

    def command(self, words: str, *, typed: str | Callable[[str], str] = "", status: int = 0) -> None:
        """Say what the reader types while a block runs (see `Terminal.bash`), or with which status it ends."""
        self._block_plans[self.block(words)] = _BlockPlan(typed, status)

    def leave_running(self, words: str, ready: Callable[[], object]) -> None:
        """Leave a block running that does not end by itself; it is up when `ready` returns something true."""
        self._block_plans[self.block(words)] = _BlockPlan(ready=ready)

    # Running

    def run(self, until: str | None = None) -> None:
        """Run the blocks that have not been run.

        :param until: stop before the block that holds these words, so that the test can do or look at something.
        """
        last = self.block(until) if until is not None else None
        for block in self.blocks:
            if block == last:
                return
            if block in self._done:
                continue
            try:
                self._run_block(block)
            except Exception as error:
                error.add_note(f"This was the {block.language} block at {block.where}")
                raise
            self._done.add(block)
        if unknown := self._dag_plans.keys() - self._dags.keys():
            raise LookupError(f"The page has no DAG {', '.join(sorted(unknown))}")

    def run_dag(self, dag_id: str, conf: Mapping[str, Any] | None = None, *, ends: str = "success") -> DagRun:
        """Run a DAG of the page again."""
        return self._run_dag(self._dags[dag_id], _DagPlan(conf or {}, ends))

    def results(self, dag_id: str) -> dict[str, Any]:
        """What the tasks of the last run of a DAG returned."""
        return self.runs[dag_id][-1].results

    def output(self, words: str) -> str:
        """What a block printed: a bash block, a script, or pytest."""
        return self._outputs[self.block(words)]

    def require_complete(self) -> None:
        """Fail when a block was neither run nor excused."""
        left = [b.where for b in self.blocks if b not in self._done and b not in self._excused and not b.is_output]
        if left:
            raise AssertionError(f"These blocks were neither run nor excused: {', '.join(left)}")

    # Each kind of block

    def _run_block(self, block: Block) -> None:
        if block.language not in LANGUAGES:
            raise AssertionError(f"A block is one of {', '.join(LANGUAGES)}, not {block.language!r}")
        text = block.text
        for placeholder, value in self._replacements.items():
            text = text.replace(placeholder, value)
        file: Path | None = None
        if block.file is not None:
            file = self.folder / block.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        if not block.is_output and block not in self._excused:
            getattr(self, f"_run_{block.language}")(block, text, file)

    def _run_bash(self, block: Block, text: str, file: Path | None) -> None:
        if file is not None:
            return
        plan = self._block_plans.get(block, _BlockPlan())
        if plan.ready is not None:
            self.terminal.leave_running(text, plan.ready)
            return
        self._outputs[block] = self.terminal.bash(text, typed=plan.typed, status=plan.status)
        for name, value in self.terminal.exported.items():
            if name.startswith("AIRFLOW__"):
                _, section, option = name.split("__", 2)
                require_option(section.lower(), option.lower().removesuffix("_cmd").removesuffix("_secret"))
            # The reader starts Airflow from this terminal.
            elif name.startswith(("AIRFLOW_CONN_", "AIRFLOW_VAR_")) and value is not None:
                self._monkeypatch.setenv(name, value)

    def _run_python(self, block: Block, text: str, file: Path | None) -> None:
        tree = ast.parse(text)
        functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        if any(name.startswith("test_") for name in functions):
            self._outputs[block] = self.terminal.pytest(file or self._write(f"test_line_{block.line}.py", text))
        elif _defines_dags(tree):
            self._run_dags(file or self._write(f"dags_line_{block.line}.py", text))
        elif file is None:
            plan = self._block_plans.get(block, _BlockPlan())
            script = self._write(f"script_line_{block.line}.py", text)
            self._outputs[block] = self.terminal.python(script, typed=plan.typed, status=plan.status)

    def _run_yaml(self, _: Block, text: str, __: Path | None) -> None:
        assert [document for document in yaml.safe_load_all(text) if document is not None], "The YAML is empty"

    def _run_json(self, _: Block, text: str, __: Path | None) -> None:
        json.loads(text)

    def _run_ini(self, _: Block, text: str, __: Path | None) -> None:
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(text)
        assert parser.sections(), "The block sets nothing"
        for section in parser.sections():
            for option in parser[section]:
                require_option(section, option)

    def _write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.write_text(text)
        return file

    def _run_dags(self, file: Path) -> None:
        dags = self._load(file)
        assert dags, "The block defines no DAG"
        self._dags |= dags
        for dag_id, dag in dags.items():
            plan = self._dag_plans.get(dag_id, _DagPlan())
            for _ in range(plan.runs):
                self._run_dag(dag, plan)

    def _run_dag(self, dag: DAG, plan: _DagPlan) -> DagRun:
        if plan.meanwhile is None:
            state, results = self._run(dag, dict(plan.conf), LOGICAL_DATE)
        else:
            with beside(plan.meanwhile):
                state, results = self._run(dag, dict(plan.conf), LOGICAL_DATE)
        ended = DagRun(dag.dag_id, state, results)
        self.runs.setdefault(dag.dag_id, []).append(ended)
        assert state == plan.ends, f"The DAG {dag.dag_id} ended as {state}, not {plan.ends}; its results: {results}"
        return ended

    def close(self) -> None:
        """End what was left running, and forget the page's modules: another page may have some of the same name."""
        self.terminal.close()
        for name, module in list(sys.modules.items()):
            if (getattr(module, "__file__", None) or "").startswith(f"{self.folder}{os.sep}"):
                del sys.modules[name]


def _defines_dags(tree: ast.Module) -> bool:
    """Whether a DAG is made at the top level of a file."""
    for node in ast.walk(tree):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Name) and called.id == "DAG":
            return True
        if isinstance(node, ast.FunctionDef) and any(
            (mark.func if isinstance(mark, ast.Call) else mark).__dict__.get("id") == "dag"
            for mark in node.decorator_list
        ):
            return True
    return False


def require_option(section: str, option: str) -> None:
    """Fail unless Airflow, or a provider that it configures, has this option and it is not deprecated."""
    from airflow.configuration import conf

    described = conf.configuration_description.get(section, {}).get("options", {}).get(option)
    # The options of the providers for Celery and Kubernetes, which tests do not install, are among these.
    known = described is not None or conf.has_option(section, option)
    assert known, f"Airflow has no option [{section}] {option}"
    assert not (described or {}).get("version_deprecated"), f"Airflow has deprecated [{section}] {option}"
