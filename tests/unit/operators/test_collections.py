"""Files and directories through the real SDK in the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.exceptions import GlobusConflictError, GlobusError, GlobusInputError, GlobusNotFoundError
from airflow_provider_globus.operators.collections import (
    GlobusListOperator,
    GlobusMkdirOperator,
    GlobusRenameOperator,
    GlobusStatOperator,
)

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.unit.conftest import TaskContext


@pytest.fixture
def lab(globus_collection: CollectionFactory) -> CollectionFolder:
    files = {"a.h5": "aaaa", "b.txt": "bb", "sub/c.h5": "c", "sub/deep/d.txt": "d", ".hidden": "x"}
    return globus_collection("lab", files=files)


def make(**arguments: Any) -> GlobusMkdirOperator:
    return GlobusMkdirOperator(**{"task_id": "t", "collection": "lab"} | arguments)


def test_mkdir_makes_parents_and_is_repeatable(lab: CollectionFolder, context: TaskContext) -> None:
    assert make(path="/x/y/z/").execute(context) == "/x/y/z"
    assert make(path="/x/y/z").execute(context) == "/x/y/z"
    assert (lab.folder / "x/y/z").is_dir()


@pytest.mark.usefixtures("lab")
def test_mkdir_refuses_what_it_was_told_to(context: TaskContext) -> None:
    with pytest.raises(GlobusError):
        make(path="/no/parents", parents=False).execute(context)
    with pytest.raises(GlobusConflictError):
        make(path="/sub", exist_ok=False).execute(context)
    with pytest.raises(GlobusConflictError):
        make(path="/a.h5").execute(context)


def test_rename_moves_and_is_repeatable(lab: CollectionFolder, context: TaskContext) -> None:
    rename = GlobusRenameOperator(task_id="t", collection="lab", old_path="/a.h5", new_path="/sub/e.h5")
    assert rename.execute(context) == rename.execute(context) == "/sub/e.h5"
    assert (lab.folder / "sub/e.h5").read_text() == "aaaa"


@pytest.mark.usefixtures("lab")
def test_rename_of_nothing_fails(context: TaskContext) -> None:
    with pytest.raises(GlobusNotFoundError):
        GlobusRenameOperator(task_id="t", collection="lab", old_path="/no", new_path="/nor").execute(context)
    with pytest.raises(GlobusInputError, match="same"):
        GlobusRenameOperator(task_id="t", collection="lab", old_path="/a", new_path="/a/").execute(context)


def listed(context: TaskContext, **arguments: Any) -> list[str]:
    operator = GlobusListOperator(**{"task_id": "t", "collection": "lab", "path": "/"} | arguments)
    return [entry["path"] for entry in operator.execute(context)]


@pytest.mark.usefixtures("lab")
def test_listing(context: TaskContext) -> None:
    assert sorted(listed(context, show_hidden=False)) == ["/a.h5", "/b.txt", "/sub"]
    assert listed(context, orderby="size DESC", filter={"type": "file"})[0] == "/a.h5"
    assert set(listed(context, recursive=True)) >= {"/sub/deep/d.txt", "/sub/deep", "/.hidden"}
    assert sorted(listed(context, recursive=True, filter={"name": "~*.h5"})) == ["/a.h5", "/sub/c.h5"]


@pytest.mark.usefixtures("lab")
def test_a_listing_is_never_cut_in_silence(context: TaskContext) -> None:
    with pytest.raises(GlobusInputError, match="more than 2 entries"):
        listed(context, limit=2)
    assert len(listed(context, limit=2, truncate=True)) == 2
    with pytest.raises(GlobusInputError, match="10000"):
        listed(context, limit=100_000)


@pytest.mark.usefixtures("lab")
def test_stat(context: TaskContext) -> None:
    found = GlobusStatOperator(task_id="t", collection="lab", path="/a.h5").execute(context)
    assert found is not None
    assert (found["type"], found["size"]) == ("file", 4)
    assert GlobusStatOperator(task_id="t", collection="lab", path="/no", missing_ok=True).execute(context) is None
    with pytest.raises(GlobusNotFoundError):
        GlobusStatOperator(task_id="t", collection="lab", path="/no").execute(context)
