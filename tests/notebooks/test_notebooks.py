"""The workshop's notebooks run from top to bottom, come to what they say, and are committed tidily."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
#: What a pipeline runs is committed as tidily as what a reader opens.
ALL = [*NOTEBOOKS, *sorted((REPOSITORY / "example_dags" / "notebooks").glob("*.ipynb"))]
#: What a cell may take on a busy machine; the longest migrates Airflow's database.
CELL_SECONDS = 300


class Executed:
    """A notebook that is run in a kernel of its own, which can be asked afterwards.

    :param folder: what the notebook runs in; below it are its home and its temporary folder.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        import nbformat
        from nbclient import NotebookClient

        self._temporary = folder / "tmp"
        self._notebook = nbformat.read(path, 4)  # type: ignore[no-untyped-call]
        self._client = NotebookClient(
            self._notebook,
            timeout=CELL_SECONDS,
            shutdown_kernel="immediate",
            resources={"metadata": {"path": str(folder)}},
        )
        self._name = path.name

    def kernel(self) -> contextlib.AbstractContextManager[object]:
        """Return the kernel: it is there for as long as this is entered."""
        entered: contextlib.AbstractContextManager[object] = self._client.setup_kernel()
        return entered

    def run(self) -> None:
        """Execute all cells; a failure shows the cell and its error."""
        from nbclient.exceptions import CellExecutionError, CellTimeoutError

        for number, cell in enumerate(self._notebook.cells):
            try:
                self._client.execute_cell(cell, number)
            except (CellExecutionError, CellTimeoutError) as error:
                # Without the colours of IPython's tracebacks.
                pytest.fail(re.sub(r"\x1b\[[\d;]*m", "", f"{self._name}, cell {cell.id!r}:\n{error}"), pytrace=False)

    def ask(self, expression: str) -> Any:
        """Return the value of an expression in the kernel; JSON."""
        from nbformat.v4 import new_code_cell

        cell = new_code_cell(f"import json as _json\nprint(_json.dumps({expression}))")  # type: ignore[no-untyped-call]
        self._notebook.cells.append(cell)
        self._client.execute_cell(cell, len(self._notebook.cells) - 1)
        return json.loads("".join(output["text"] for output in cell.outputs))

    def output_of(self, cell_id: str) -> str:
        """Return what a cell has printed and shown."""
        (cell,) = [cell for cell in self._notebook.cells if cell.id == cell_id]
        shown = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
        return "".join(shown)

    def files(self, below: str) -> dict[str, bytes]:
        """Return the files that the notebook has made below a folder of its own, by relative path."""
        (work,) = self._temporary.glob("globus-workshop-*")
        folder = work / below
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def execute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Executed]]:
    """Return a function that executes a notebook, in an environment that leads to no service but what it sets up."""
    for name in [name for name in os.environ if name.startswith(("AIRFLOW", "GLOBUS"))]:
        monkeypatch.delenv(name)
    # A notebook that kept tokens, or read somebody's, would do it below HOME.
    for name, folder in (("TMPDIR", tmp_path / "tmp"), ("HOME", tmp_path / "home")):
        folder.mkdir()
        monkeypatch.setenv(name, str(folder))
    with contextlib.ExitStack() as running:

        def run(name: str) -> Executed:
            executed = Executed(REPOSITORY / "notebooks" / name, tmp_path)
            running.enter_context(executed.kernel())
            executed.run()
            return executed

        yield run
    assert not (tmp_path / "home" / ".globus").exists(), "the notebook has left tokens on the disk"


def test_globus_from_python_moves_files_and_gives_up_on_what_is_not_there(execute: Callable[[str], Executed]) -> None:
    notebook = execute("01_globus_from_python.ipynb")
    moved = notebook.files("scratch/raw/run1")
    assert set(moved) == {*(f"frame_{number}.dat" for number in range(4)), "notes.txt"}
    assert moved == notebook.files("instrument/run1")
    # Consents: refused without, listed with.
    assert notebook.ask("[refused.http_status, refused.code]") == [403, "ConsentRequired"]
    assert notebook.output_of("add-consent") == "[]\n"
    assert "transfer.api.globus.org:all" in notebook.ask("scopes_of(app)['transfer.api.globus.org']")
    # Exercises and errors.
    assert notebook.ask("names") == [f"frame_{number}.dat" for number in (3, 2, 1, 0)]
    assert notebook.ask("[again['status'], again['files_transferred'], again['files_skipped']]") == ["SUCCEEDED", 0, 5]
    assert notebook.ask("[not_found.http_status, not_found.code]") == [404, "ClientError.NotFound"]
    assert notebook.ask("[stuck['status'], stuck['nice_status']]") == ["ACTIVE", "FILE_NOT_FOUND"]
    assert notebook.ask("[given_up['status'], given_up['fatal_error']['code']]") == ["FAILED", "CANCELED"]
    # A service account and a person.
    assert notebook.ask("who") == "ada@example.org"
    identities = "sorted({entry.identity for entry in globus.journal.requests('transfer') if entry.identity})"
    assert "ada@example.org" in notebook.ask(identities)
    assert len(notebook.ask(identities)) == 2


def test_flows_ask_a_person_keep_and_reject(execute: Callable[[str], Executed]) -> None:
    notebook = execute("02_flows.ipynb")
    assert notebook.ask("[refused.http_status, 'Aks' in refused.message]") == [422, True]
    assert notebook.ask("[no_reviewer.http_status, no_reviewer.code]") == [400, "FLOW_INPUT_ERROR"]
    assert notebook.ask("[run['status'], output['Answer']['response']]") == ["SUCCEEDED", "keep"]
    assert notebook.ask("output['Copy']['details']['files_transferred']") == 3
    details = notebook.ask("[entry['details'] for entry in entries]")
    entered = [entry["state_name"] for entry in details if entry.keys() >= {"state_name", "input"}]
    assert entered == ["Copy", "Ask", "Wait", "Decide", "Kept"]
    assert notebook.ask("rejected['status']") == "FAILED"
    assert notebook.ask("rejected['details']['details']['cause']") == "The reviewer has said no."
    # The changed flow has deleted the copy before it failed, and nothing else.
    assert notebook.ask("cleaned['details']['details']['state_name']") == "Rejected"
    assert notebook.files("archive") == {}
    assert len(notebook.files("staging/forams")) == 3
    # One flow, and a run for each start but the one without a reviewer.
    assert notebook.ask("len(list(flows.list_flows()))") == 1
    assert notebook.ask("len(list(flows.list_runs()))") == 3


def test_compute_runs_functions_and_says_what_does_not_travel(execute: Callable[[str], Executed]) -> None:
    notebook = execute("03_compute.ipynb")
    assert notebook.ask("mean") == 50.5
    assert notebook.ask("means") == [50.5, 101.0, 151.5, 202.0, 252.5]
    assert notebook.ask("[counted.returncode, counted.stdout.strip()]") == [0, "100"]
    assert notebook.ask("failed['status']") == "failed"
    assert "FileNotFoundError" in notebook.output_of("failing")
    assert notebook.output_of("names") == "NameError: name 'PLANCK_TIMES_C' is not defined\n"
    assert notebook.ask("round(wavelength, 3)") == 1.550
    assert notebook.ask("not_json['status']") == "failed"
    assert notebook.ask("letters") == sorted(set("globus"))
    # The five means were one submission.
    sent = "[e.body['tasks'] for e in globus.journal.requests('compute', 'POST', '*/submit')]"
    assert notebook.ask(f"max(len(calls) for tasks in {sent} for calls in tasks.values())") == 5


def test_from_notebook_to_dag_runs_the_dag_and_the_exercise_s(execute: Callable[[str], Executed]) -> None:
    notebook = execute("04_from_notebook_to_dag.ipynb")
    assert notebook.ask("[str(run.state), moved['files_transferred']]") == ["success", 5]
    assert notebook.ask("means") == {f"spectrum_{n}.csv": 50.5 * n for n in range(1, 6)}
    spectra = notebook.files("scratch/raw/run1")
    assert spectra == notebook.files("instrument/run1")
    assert notebook.ask("str(failing.state)") == "failed"
    assert notebook.ask("states") == {
        "to_scratch": "failed",
        **dict.fromkeys(("spectra_in", "means", "report"), "upstream_failed"),
    }
    assert "FILE_NOT_FOUND" in notebook.output_of("solution-failing")
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in spectra.items()]
    assert notebook.ask("checksums").splitlines() == sums
    assert notebook.ask("files_again") == 0


# How they are committed


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_notebook_is_committed_tidily(path: Path) -> None:
    """No outputs, which would differ with each run; the same bytes as `nbformat` writes, so that a diff is a change."""
    import nbformat

    text = path.read_text()
    notebook = nbformat.reads(text, 4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert nbformat.writes(notebook) + "\n" == text  # type: ignore[no-untyped-call]
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        assert re.fullmatch(r"[a-z][a-z0-9-]*", cell.id), f"{cell.id!r} says nothing: name the cell"
        assert cell.source.strip(), f"{cell.id} is empty"
        if cell.cell_type == "code":
            assert cell.outputs == [], f"{cell.id} has outputs: clear them"
            assert cell.execution_count is None


def names(source: str, use: type[ast.expr_context]) -> set[str]:
    """Return the names that a cell reads, or those that it binds."""
    magic = source.partition("\n")[0]
    # `%%writefile {name}/file` reads a name, too; what it writes is another program.
    if magic.startswith("%%"):
        return set(re.findall(r"{(\w+)}", magic)) if use is ast.Load else set()
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, use):
            found.add(node.id)
        elif use is ast.Store and isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif use is ast.Store and isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_a_lesson(path: Path) -> None:
    """It has a goal, one cell that knows the sandbox, and for each exercise room to try and a folded solution."""
    cells = json.loads(path.read_text())["cells"]
    sources = {cell["id"]: "".join(cell["source"]) for cell in cells}
    tags = {cell["id"]: cell["metadata"].get("tags", []) for cell in cells}
    assert "**Goal:**" in sources["title"]
    code = {cell["id"] for cell in cells if cell["cell_type"] == "code"}
    # Names of hosts are none of the sandbox.
    assert [name for name in code if re.search(r"GlobusSandbox|(?<![\w./])globus\.", sources[name])] == ["setup"]
    # What replaces it on the real Globus gives the later cells all that they take from it.
    (replacement,) = re.findall(r"^```python\n(.*?)^```$", sources["real"], re.DOTALL | re.MULTILINE)
    later = [sources[cell["id"]] for cell in cells if cell["id"] in code - {"setup"}]
    used, bound = (set().union(*(names(source, use) for source in later)) for use in (ast.Load, ast.Store))
    assert (used - bound) & names(sources["setup"], ast.Store) <= names(replacement, ast.Store)
    exercises = [name.removeprefix("exercise-") for name in sources if name.startswith("exercise-")]
    assert len(exercises) >= 2
    for name in exercises:
        assert tags[f"try-{name}"] == ["exercise"]
        assert tags[f"solution-{name}"] == ["solution"]
    folded = [cell["id"] for cell in cells if cell["metadata"].get("jupyter") == {"source_hidden": True}]
    assert folded == [name for name in sources if tags[name] == ["solution"]]


def test_the_notebooks_are_those_of_the_workshop() -> None:
    assert [path.name for path in NOTEBOOKS] == [
        "01_globus_from_python.ipynb",
        "02_flows.ipynb",
        "03_compute.ipynb",
        "04_from_notebook_to_dag.ipynb",
    ]
