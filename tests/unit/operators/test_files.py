"""Small files are read, written and deleted over HTTPS, in the sandbox."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.exceptions import GlobusConflictError, GlobusInputError, GlobusNotFoundError
from airflow_provider_globus.operators.files import (
    GlobusDeleteFileOperator,
    GlobusReadFileOperator,
    GlobusWriteFileOperator,
)

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.unit.conftest import TaskContext

MANIFEST = {"run": 7, "files": ["a.h5"], "note": "größer"}


@pytest.fixture
def lab(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("lab", files={"m.json": json.dumps(MANIFEST), "n.txt": "größer", "b.bin": b"\xff\x00"})


def read(path: str, **more: Any) -> GlobusReadFileOperator:
    return GlobusReadFileOperator(task_id="t", collection="lab", path=path, **more)


def write(path: str, **more: Any) -> GlobusWriteFileOperator:
    return GlobusWriteFileOperator(task_id="t", collection="lab", path=path, **more)


def delete(path: str, **more: Any) -> GlobusDeleteFileOperator:
    return GlobusDeleteFileOperator(task_id="t", collection="lab", path=path, **more)


@pytest.mark.parametrize(
    ("path", "read_as", "content"),
    [
        ("/n.txt", "text", "größer"),
        ("/m.json", "json", MANIFEST),
        ("/b.bin", "bytes", base64.b64encode(b"\xff\x00").decode()),
    ],
)
def test_reading(lab: CollectionFolder, context: TaskContext, path: str, read_as: Any, content: Any) -> None:
    data = (lab.folder / path[1:]).read_bytes()
    assert read(path, read_as=read_as).execute(context) == {
        "collection": lab.id,
        "path": path,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "content": content,
    }


@pytest.mark.usefixtures("lab")
def test_what_cannot_be_read_that_way(context: TaskContext) -> None:
    with pytest.raises(GlobusInputError, match="no text in UTF-8"):
        read("/b.bin").execute(context)
    for path in ("/b.bin", "/n.txt"):
        with pytest.raises(GlobusInputError, match="no valid JSON"):
            read(path, read_as="json").execute(context)


@pytest.mark.usefixtures("lab")
def test_what_is_too_large(context: TaskContext) -> None:
    with pytest.raises(GlobusInputError, match=r"8 bytes.*max_bytes is 7.*GlobusTransferOperator"):
        read("/n.txt", max_bytes=7).execute(context)


@pytest.mark.usefixtures("lab")
def test_a_missing_file(context: TaskContext) -> None:
    with pytest.raises(GlobusNotFoundError):
        read("/none").execute(context)
    missing = read("/none", missing_ok=True).execute(context)
    assert (missing["content"], missing["sha256"], missing["bytes"], missing["path"]) == (None, None, 0, "/none")


@pytest.mark.usefixtures("lab")
def test_a_404_that_does_not_say_missing_is_no_missing_file(
    context: TaskContext, globus_sandbox: GlobusSandbox
) -> None:
    globus_sandbox.faults.add(service="https", status=404, body="<html>")
    with pytest.raises(GlobusNotFoundError):
        read("/n.txt", missing_ok=True).execute(context)
    with pytest.raises(GlobusNotFoundError):
        write("/n.txt", content="x", overwrite=False).execute(context)
    with pytest.raises(GlobusNotFoundError):
        delete("/n.txt").execute(context)


@pytest.mark.parametrize(
    ("content", "written"),
    [
        ("text", b"text"),
        (b"\xff", b"\xff"),
        ("", b""),
        ({"x": "ü"}, '{\n  "x": "ü"\n}\n'.encode()),
        ([1, None], b"[\n  1,\n  null\n]\n"),
        (3, b"3\n"),
    ],
)
def test_writing_twice_writes_once(
    lab: CollectionFolder, context: TaskContext, globus_sandbox: GlobusSandbox, content: Any, written: bytes
) -> None:
    first, again = (write("/new", content=content).execute(context) for _ in range(2))
    assert (lab.folder / "new").read_bytes() == written
    assert (first["action"], again["action"]) == ("created", "unchanged")
    assert first == {
        "collection": lab.id,
        "path": "/new",
        "bytes": len(written),
        "sha256": hashlib.sha256(written).hexdigest(),
        "action": "created",
    }
    assert globus_sandbox.journal.count("https", "PUT") == 1


def test_writing_other_content(lab: CollectionFolder, context: TaskContext) -> None:
    with pytest.raises(GlobusConflictError, match="overwrite=True"):
        write("/n.txt", content="other", overwrite=False).execute(context)
    with pytest.raises(GlobusConflictError):
        write("/n.txt", content="g-O\u00dfer!", overwrite=False).execute(context)
    assert (lab.folder / "n.txt").read_text() == "größer"
    assert write("/n.txt", content="größer", overwrite=False).execute(context)["action"] == "unchanged"
    assert write("/n.txt", content="other").execute(context)["action"] == "updated"
    assert (lab.folder / "n.txt").read_text() == "other"


def test_directories_above(lab: CollectionFolder, context: TaskContext) -> None:
    with pytest.raises(GlobusNotFoundError):
        write("/x/y/done", parents=False).execute(context)
    assert write("/x/y/done").execute(context)["action"] == "created"
    assert (lab.folder / "x/y/done").read_bytes() == b""


@pytest.mark.usefixtures("lab")
def test_what_cannot_be_written(context: TaskContext, globus_sandbox: GlobusSandbox) -> None:
    with pytest.raises(GlobusInputError, match="content is no JSON"):
        write("/x", content={"a": {1, 2}}).execute(context)
    assert globus_sandbox.journal.count() == 0


def test_deleting(lab: CollectionFolder, context: TaskContext) -> None:
    assert delete("/n.txt").execute(context) == {"collection": lab.id, "path": "/n.txt", "action": "deleted"}
    assert not (lab.folder / "n.txt").exists()
    assert delete("/n.txt").execute(context)["action"] == "unchanged"
    with pytest.raises(GlobusNotFoundError, match="missing_ok=True"):
        delete("/n.txt", missing_ok=False).execute(context)


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize("path", ["/run/", "/", "~", "/~", "relative", "https://example.org/a", ""])
@pytest.mark.parametrize("operator", [read, write, delete])
def test_paths_that_are_no_files(context: TaskContext, globus_sandbox: GlobusSandbox, operator: Any, path: str) -> None:
    with pytest.raises(GlobusInputError):
        operator(path).execute(context)
    assert globus_sandbox.journal.count() == 0


def test_arguments() -> None:
    with pytest.raises(GlobusInputError, match="read_as 'xml' is unknown"):
        read("/a", read_as="xml")
    with pytest.raises(GlobusInputError, match="max_bytes"):
        read("/a", max_bytes=-1)


def test_the_home_directory(lab: CollectionFolder, context: TaskContext, globus_sandbox: GlobusSandbox) -> None:
    (lab.folder / "home").mkdir()
    globus_sandbox.world.transfer.find(lab.id).default_directory = "/home/"
    for path in ("~/a", "/~/a"):
        write(path, content="x").execute(context)
        assert (lab.folder / "home/a").read_text() == "x"
        delete(path).execute(context)


def test_content_is_templated() -> None:
    assert "content" in GlobusWriteFileOperator.template_fields
    assert {"collection", "path", "globus_conn_id"} <= set(GlobusReadFileOperator.template_fields)
