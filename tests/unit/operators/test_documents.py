"""Documents as authors give them: mappings, text, files beside the DAG."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from airflow_provider_globus.exceptions import GlobusInputError
from airflow_provider_globus.operators.base import GlobusOperator
from airflow_provider_globus.operators.documents import read_document, read_json

if TYPE_CHECKING:
    from airflow.sdk import Context

DOCUMENT = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
YAML = "StartAt: A\nStates:\n  A: {Type: Pass, End: true}\n"


class Reader(GlobusOperator):
    def execute(self, context: Context) -> None: ...


def read(given: Any, folder: Path | None = None, **context: Any) -> dict[str, Any]:
    operator = Reader(task_id="a_task")
    if folder is not None:
        dag = DAG("a_dag")
        dag.fileloc = str(folder / "dag.py")
        operator.dag = dag
    return read_document(operator, context, "definition", given)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", ['{"a": [1]}', {"a": [1]}])
def test_json_may_be_text(given: Any) -> None:
    assert read_json(Reader(task_id="a_task"), "body", given) == {"a": [1]}


@pytest.mark.parametrize("given", [None, [], (1, 2), 3])
def test_what_is_no_text_stays_as_it_is(given: Any) -> None:
    assert read_json(Reader(task_id="a_task"), "body", given) is given


def test_text_that_is_not_json_is_quoted_in_part() -> None:
    text = "StartAt: A" + "x" * 1000
    with pytest.raises(GlobusInputError, match=f"Reader: body is text that is not JSON: '{text[:80]}'") as raised:
        read_json(Reader(task_id="a_task"), "body", text)
    assert "render_template_as_native_obj=True" in raised.value.advice


@pytest.mark.parametrize("given", [DOCUMENT, json.dumps(DOCUMENT), YAML])
def test_mappings_and_text(given: Any) -> None:
    assert read(given) == DOCUMENT


@pytest.mark.parametrize(("name", "text"), [("f.json", json.dumps(DOCUMENT)), ("sub/f.yaml", YAML), ("f.yml", YAML)])
def test_files_beside_the_dag(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / name).write_text(text)
    assert read(name, tmp_path) == DOCUMENT
    assert read(tmp_path / name) == DOCUMENT


def test_files_are_templates(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(YAML.replace("At: A", "At: {{ first }}"))
    assert read("f.yaml", tmp_path, first="B")["StartAt"] == "B"


def test_text_inside_a_mapping_is_never_taken_for_a_file() -> None:
    assert read({"Variable": "manifest.json"}) == {"Variable": "manifest.json"}


@pytest.mark.parametrize(
    ("given", "why"),
    [("nowhere.json", "nowhere.json.* cannot be read"), ("{", "neither JSON nor YAML"), ("- a", "list"), (3, "int")],
)
def test_what_is_none_of_these_is_refused(given: Any, why: str) -> None:
    with pytest.raises(GlobusInputError, match=f"Reader: definition.*{why}"):
        read(given)


def test_text_that_ends_like_a_file_is_text() -> None:
    assert read("StartAt: A\nManifest: manifest.json\n") == {"StartAt": "A", "Manifest": "manifest.json"}


def test_files_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "f.yaml").write_text(YAML)
    assert read("~/f.yaml", Path("/nowhere")) == DOCUMENT
