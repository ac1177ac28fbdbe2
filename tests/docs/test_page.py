"""What runs the pages: a block runs as a reader would run it, and what cannot be run, or is forgotten, fails."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs.blocks import Block, blocks_of, sections_run
from tests.docs.conftest import pytest_runtest_call
from tests.docs.page import Page
from tests.docs.terminal import CommandFailed, Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.dag_runs import Load, Run


DAGS = """
from airflow.sdk import DAG, Param, task
from airflow_provider_globus.operators.transfer import GlobusTransferOperator

with DAG("greets", params={"name": Param("nobody", type="string")}):
    @task
    def greet(params):
        if params["name"] == "failure":
            raise ValueError("asked to fail")
        return "hello " + params["name"]
    greet()

with DAG("copies"):
    GlobusTransferOperator(
        task_id="copy", source_collection="here", source_path="/{{ ds }}/a",
        destination_collection="there", destination_path="/a",
    )
"""


@pytest.fixture
def make(
    database: Path, load: Load, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Page]]:
    """Make a page of Markdown, ready to run."""
    made: list[Page] = []

    def make(text: str) -> Page:
        file = tmp_path / "a_page.md"
        file.write_text(text)
        folder = tmp_path / "page"
        folder.mkdir()
        page = Page(blocks_of(file), Terminal(folder, tmp_path / "reader", database), load, run, monkeypatch)
        made.append(page)
        return page

    yield make
    for page in made:
        page.close()


def fenced(*blocks: tuple[str, str]) -> str:
    return "\n\n".join(f"```{language}\n{text}\n```" for language, text in blocks)


def test_every_fence_is_found_with_its_headings_and_file(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Title\n\n<!-- file: a/b.yaml -->\n```yaml\na: 1\n```\n\n## One\n\n- item\n\n  ```bash\n  ls\n  ```\n\n"
        "<!-- sphinx\n\n```python\nhidden = 1\n```\n-->\n\n## Two\n\n````{note}\n```json\n{}\n```\n````\n\n"
        "    indented\n\n```{code-block} python\nx = 1\n```\n"
    )
    found = [(block.line, block.language, block.text, block.headings, block.file) for block in blocks_of(page)]
    assert found == [
        (4, "yaml", "a: 1\n", ("Title",), "a/b.yaml"),
        (12, "bash", "ls\n", ("Title", "One"), None),
        (18, "python", "hidden = 1\n", ("Title", "One"), None),
        (26, "json", "{}\n", ("Title", "Two"), None),
        (31, "", "indented\n", ("Title", "Two"), None),
        (33, "{code-block}", "x = 1\n", ("Title", "Two"), None),
    ]


def test_sections_are_read_from_the_tests(tmp_path: Path) -> None:
    module = tmp_path / "test_x.py"
    marked = '@pytest.mark.section("{}")\ndef test_{}(page: Page): ...\n'
    module.write_text(marked.format("One", "one") + marked.format("Two", "two") + "def test_other(page: str): ...\n")
    assert sections_run(module) == {"One", "Two"}
    module.write_text(module.read_text() + "@pytest.mark.skip('later')\ndef test_all(page: Page): ...\n")
    assert sections_run(module) == {"One", "Two"}
    module.write_text(module.read_text() + "def test_everything(page: Page): ...\n")
    assert sections_run(module) is None


def test_the_terminal_remembers(make: Callable[[str], Page]) -> None:
    page = make(
        fenced(
            ("bash", "export NAME='two words'\nexport AIRFLOW_VAR_COLOUR=red\nmkdir sub\ncd sub"),
            ("bash", 'echo "$NAME in $PWD"; airflow variables get colour; airflow pools list'),
            ("text", "is not run"),
        )
    )
    page.run()
    output = page.output("airflow variables")
    assert f"two words in {page.folder / 'sub'}" in output
    assert "red" in output
    assert "default_pool" in output
    page.require_complete()


def test_a_command_that_fails_fails_the_page_and_says_where(make: Callable[[str], Page]) -> None:
    page = make("# Page\n\n" + fenced(("bash", "echo before\nfalse\necho after")))
    with pytest.raises(CommandFailed, match=r"(?s)status 1 instead of 0.*before") as error:
        page.run()
    assert "after" not in str(error.value)
    assert "a_page.md:3" in error.value.__notes__[0]
    page.command("echo before", status=1)
    page.run()


def test_what_the_reader_types_may_follow_from_what_is_printed(make: Callable[[str], Page]) -> None:
    page = make(
        fenced(("bash", 'echo "code is 42"; read answer; echo "got $answer"'), ("python", "print(input()[::-1])"))
    )
    page.command("code is", typed=lambda printed: "42\n" if "code is 42" in printed else "")
    page.command("input()", typed="abc\n")
    page.run()
    assert "got 42" in page.output("code is")
    assert page.output("input()") == "cba\n"


def test_a_server_is_left_running_and_ended(make: Callable[[str], Page]) -> None:
    page = make(fenced(("bash", "echo $$ > pid\nexec sleep 600"), ("bash", "kill -0 $(cat pid)")))
    page.leave_running("sleep 600", lambda: (page.folder / "pid").read_text().strip())
    page.run()
    pid = int((page.folder / "pid").read_text())
    page.close()
    assert not Path(f"/proc/{pid}").exists()


def test_dags_run_with_conf_on_the_page_s_day(
    make: Callable[[str], Page], globus_collection: CollectionFactory
) -> None:
    page = make(fenced(("python", DAGS)))
    globus_collection("here", files={f"{page.ds}/a": "bytes"})
    there = globus_collection("there")
    page.dag("greets", conf={"name": "Ada"}, runs=2)
    page.run()
    assert [run.results for run in page.runs["greets"]] == [{"greet": "hello Ada"}] * 2
    assert page.results("copies")["copy"]["files_transferred"] == 1
    assert (there.folder / "a").read_text() == "bytes"
    assert page.run_dag("greets", {"name": "failure"}, ends="failed").state == "failed"
    with pytest.raises(AssertionError, match="greets ended as failed, not success"):
        page.run_dag("greets", {"name": "failure"})


def test_what_happens_meanwhile(make: Callable[[str], Page], globus_collection: CollectionFactory) -> None:
    page = make(fenced(("python", DAGS)))
    here = globus_collection("here")
    globus_collection("there")

    def arrive() -> None:
        (here.folder / page.ds).mkdir(exist_ok=True)
        (here.folder / page.ds / "a").write_text("late")

    page.dag("copies", meanwhile=arrive)
    page.run()
    assert page.results("copies")["copy"]["files_transferred"] == 1


def test_tests_run_in_pytest_and_must_pass(make: Callable[[str], Page]) -> None:
    page = make(fenced(("python", "def test_it(tmp_path):\n    assert 1 == 2"), ("python", "def test_fine(): ...")))
    with pytest.raises(CommandFailed, match="assert 1 == 2"):
        page.run()
    page.excuse("1 == 2", "is wrong on purpose")
    page.run()
    assert "1 passed" in page.output("test_fine")


def test_files_are_written_and_placeholders_filled(make: Callable[[str], Page]) -> None:
    page = make(
        "<!-- file: sub/tool.py -->\n"
        + fenced(("python", "VALUE = '<the value>'"), ("python", "from sub.tool import VALUE\nprint(VALUE)"))
    )
    page.replace("<the value>", 7)
    page.run()
    assert (page.folder / "sub/tool.py").read_text() == "VALUE = '7'\n"
    assert page.output("print(VALUE)") == "7\n"
    with pytest.raises(LookupError, match="No block holds"):
        page.replace("<another>", 1)


@pytest.mark.parametrize(
    ("language", "text", "message"),
    [
        ("ini", "[core]\nno_such_option = 1", r"no option \[core\] no_such_option"),
        ("ini", "[nowhere]\ndags_folder = x", r"no option \[nowhere\] dags_folder"),
        ("bash", "export AIRFLOW__CORE__NO_SUCH=1", r"no option \[core\] no_such"),
        ("yaml", "a: [", "expected the node content"),
        ("json", "{'a': 1}", "Expecting property name"),
        ("python", "from airflow.sdk import DAG\nDAG('x', nonsense=1)", "nonsense"),
        ("shell", "ls", "not 'shell'"),
    ],
)
def test_what_is_wrong_fails(language: str, text: str, message: str, make: Callable[[str], Page]) -> None:
    with pytest.raises(Exception, match=message):
        make(fenced((language, text))).run()


def test_what_airflow_and_its_providers_have_passes(make: Callable[[str], Page]) -> None:
    make(fenced(("ini", "[triggerer]\ncapacity = 500\n[celery]\nworker_concurrency = 8\n[secrets]\nbackend = x"))).run()


def test_nothing_slips_through(make: Callable[[str], Page]) -> None:
    page = make(fenced(("bash", "echo one"), ("bash", "echo two"), ("yaml", "a: 1")))
    page.run(until="echo two")
    with pytest.raises(AssertionError, match=r"neither run nor excused: .*a_page.md:5, .*a_page.md:9"):
        page.require_complete()
    with pytest.raises(LookupError, match="0 blocks hold 'three'"):
        page.excuse("three", "no such block")
    with pytest.raises(LookupError, match="2 blocks hold 'echo'"):
        page.excuse("echo", "which?")
    with pytest.raises(ValueError, match="Why is the block"):
        page.excuse("two", " ")
    page.excuse("two", "for a reason")
    page.dag("absent")
    with pytest.raises(LookupError, match="The page has no DAG absent"):
        page.run()
    page.require_complete()
    assert page.block("a: 1") == Block(page.blocks[0].page, 9, "yaml", "a: 1\n")


def test_a_test_that_forgets_blocks_fails(make: Callable[[str], Page], request: pytest.FixtureRequest) -> None:
    request.node.funcargs["page"] = page = make(fenced(("bash", "echo one")))
    call = pytest_runtest_call(request.node)
    next(call)
    with pytest.raises(AssertionError, match="neither run nor excused"):
        next(call)
    page.run()
    call = pytest_runtest_call(request.node)
    next(call)
    with pytest.raises(StopIteration):
        next(call)
