"""Airflow's ObjectStoragePath on collections, in the sandbox over TLS."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import store
from airflow.sdk.io.fs import get_fs as airflows_get_fs
from fsspec.asyn import sync  # type: ignore[import-untyped]

from airflow_provider_globus.exceptions import GlobusInputError
from airflow_provider_globus.fs import globus
from airflow_provider_globus.fs.filesystem import IN_MEMORY, GlobusCollectionFileSystem

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder

pytestmark = pytest.mark.filterwarnings("ignore:UPath 'globus' filesystem not explicitly implemented")

ODD = "ü b?#%41+.txt"
ILL = "Mapping collection to specified ID failed.\nGlobusError: v=1 c=ENDPOINT_ERROR\nGCS Manager Internal Error\n"


@pytest.fixture(autouse=True)
def _no_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow keeps a file system for each connection: those of other tests must not be met."""
    monkeypatch.setattr(store, "_STORE_CACHE", {})


@pytest.fixture
def lab(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("lab", files={"run1/a.txt": "one\ntwo\n", f"run1/{ODD}": "odd", "b.bin": b"\xff", "e": ""})


@pytest.fixture
def root(lab: CollectionFolder) -> ObjectStoragePath:
    return ObjectStoragePath(f"globus://{lab.id}/", conn_id="globus_default")


def test_the_scheme_is_registered_with_airflow() -> None:
    assert isinstance(airflows_get_fs("globus", "globus_default"), GlobusCollectionFileSystem)
    fs = airflows_get_fs("globus", "globus_default", {"retries": 2})  # type: ignore[dict-item]
    assert (fs.conn_id, fs.retries) == ("globus_default", 2)
    assert globus.get_fs(None).conn_id == "globus_default"


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "globusfs", None)
    with pytest.raises(ImportError, match=r"airflow-provider-globus\[fs\]"):
        globus.get_fs("globus_default")


def test_reading(root: ObjectStoragePath) -> None:
    assert (root / "run1" / "a.txt").read_text() == "one\ntwo\n"
    assert (root / "run1" / ODD).read_text() == "odd"
    assert (root / "b.bin").read_bytes() == b"\xff"
    assert (root / "e").read_bytes() == b""
    with (root / "run1/a.txt").open() as file:
        assert [line.strip() for line in file] == ["one", "two"]


def test_reading_a_part(root: ObjectStoragePath, globus_sandbox: GlobusSandbox) -> None:
    with (root / "run1/a.txt").open("rb", block_size=2) as file:
        file.seek(4)
        assert file.read(3) == b"two"
    assert {entry.status for entry in globus_sandbox.journal.requests("https", "GET")} == {206}


@pytest.mark.parametrize("block_size", [0, 1, None])
def test_nothing_is_asked_for_without_a_token(
    root: ObjectStoragePath, globus_sandbox: GlobusSandbox, block_size: int | None
) -> None:
    with (root / "run1/a.txt").open("rb", block_size=block_size) as file:
        assert file.read() == b"one\ntwo\n"
    assert all(entry.identity for entry in globus_sandbox.journal.requests("https"))


def test_the_size_of_blocks(root: ObjectStoragePath) -> None:
    fs = globus.get_fs("globus_default", {"block_size": 3})
    path = (root / "run1/a.txt").path
    assert fs.open(path).blocksize == 3
    assert fs.open(path, block_size=2).blocksize == 2


def test_what_there_is(root: ObjectStoragePath, lab: CollectionFolder) -> None:
    assert sorted(path.name for path in root.iterdir()) == ["b.bin", "e", "run1"]
    assert sorted(path.name for path in (root / "run1").iterdir()) == ["a.txt", ODD]
    assert (root / "run1").is_dir()
    assert not (root / "run1").is_file()
    assert (root / "run1/a.txt").is_file()
    assert not (root / "none").exists()
    assert root.exists()
    stat = (root / "run1/a.txt").stat()
    assert stat.st_size == 8
    assert stat.st_mtime == int((lab.folder / "run1/a.txt").stat().st_mtime)


def test_patterns(root: ObjectStoragePath) -> None:
    assert [path.name for path in root.glob("run1/a*")] == ["a.txt"]
    assert sorted(path.name for path in root.glob("**/*.txt")) == ["a.txt", ODD]


def test_a_file_lists_itself(root: ObjectStoragePath) -> None:
    found = root.fs.ls((root / "run1/a.txt").path)
    assert [item["type"] for item in found] == ["file"]
    assert found[0]["name"].endswith("/run1/a.txt")


def test_an_alias_names_the_collection(lab: CollectionFolder) -> None:
    path = ObjectStoragePath("globus://globus_default@lab/run1/a.txt")
    assert path.conn_id == "globus_default"
    assert path.read_text() == "one\ntwo\n"
    assert [found.name for found in path.parent.glob("a*")] == ["a.txt"]


def test_writing(root: ObjectStoragePath, lab: CollectionFolder, globus_sandbox: GlobusSandbox) -> None:
    (root / "run1" / "n ü%41.txt").write_text("one")
    assert (lab.folder / "run1/n ü%41.txt").read_text() == "one"
    with (root / "run1/n2").open("wb") as file:
        file.write(b"a")
        file.write(b"b")
        assert globus_sandbox.journal.count("https", "PUT") == 1
    assert (lab.folder / "run1/n2").read_bytes() == b"ab"
    (root / "done").touch()
    (root / "empty").write_bytes(b"")
    assert (lab.folder / "empty").read_bytes() == b""


def test_a_file_larger_than_what_is_held_in_memory(root: ObjectStoragePath, lab: CollectionFolder) -> None:
    data = bytes(range(256)) * (IN_MEMORY // 256 + 1)
    (root / "large").write_bytes(data)
    assert (lab.folder / "large").read_bytes() == data
    assert (root / "large").read_bytes() == data


def test_what_fails_while_it_is_written_is_not_sent(root: ObjectStoragePath, lab: CollectionFolder) -> None:
    def fail() -> None:
        with (root / "half").open("wb") as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not (lab.folder / "half").exists()


def test_a_file_is_sent_once(root: ObjectStoragePath, globus_sandbox: GlobusSandbox) -> None:
    file = (root / "once").open("wb")
    file.write(b"x")
    file.close()
    file.close()
    assert globus_sandbox.journal.count("https", "PUT") == 1


def test_nothing_is_appended(root: ObjectStoragePath) -> None:
    with pytest.raises(NotImplementedError, match="whole"):
        (root / "b.bin").open("ab")


def test_directories(root: ObjectStoragePath, lab: CollectionFolder) -> None:
    with pytest.raises(FileNotFoundError):
        (root / "x/y").mkdir()
    (root / "x/y").mkdir(parents=True)
    (root / "x/y").mkdir(parents=True, exist_ok=True)
    assert (lab.folder / "x/y").is_dir()
    with pytest.raises(FileExistsError):
        (root / "x/y").mkdir()
    with pytest.raises(FileNotFoundError):
        (root / "new/a").write_text("x")
    with pytest.raises(IsADirectoryError):
        (root / "x").read_bytes()


def test_deleting(root: ObjectStoragePath, lab: CollectionFolder) -> None:
    (root / "b.bin").unlink()
    assert not (lab.folder / "b.bin").exists()
    with pytest.raises(FileNotFoundError):
        (root / "b.bin").unlink()
    with pytest.raises(NotImplementedError, match="GlobusDeleteOperator"):
        (root / "run1").rmdir()
    assert (lab.folder / "run1/a.txt").exists()


def test_renaming(root: ObjectStoragePath, lab: CollectionFolder, globus_collection: CollectionFactory) -> None:
    root.fs.mv((root / "b.bin").path, (root / "run1/c.bin").path)
    assert (lab.folder / "run1/c.bin").read_bytes() == b"\xff"
    other = globus_collection("other")
    with pytest.raises(NotImplementedError, match="GlobusTransferOperator"):
        root.fs.mv((root / "e").path, f"{other.id}/e")


def test_copies_to_and_from_this_machine(root: ObjectStoragePath, lab: CollectionFolder, tmp_path: Path) -> None:
    here = tmp_path / "here.txt"
    (root / "run1/a.txt").copy(ObjectStoragePath(f"file://{here}"))
    assert here.read_text() == "one\ntwo\n"
    ObjectStoragePath(f"file://{here}").copy(root / "there #1.txt")
    assert (lab.folder / "there #1.txt").read_text() == "one\ntwo\n"


def test_many_to_this_machine(root: ObjectStoragePath, lab: CollectionFolder, tmp_path: Path) -> None:
    root.fs.get(f"{lab.id}/run1/*.txt", f"{tmp_path}/out/")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.txt", ODD]


def test_the_length_is_told_before_the_file(root: ObjectStoragePath, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, str]] = []
    put = aiohttp.ClientSession.put

    def noted(self: aiohttp.ClientSession, url: Any, **more: Any) -> Any:
        sent.append(more["headers"])
        return put(self, url, **more)

    monkeypatch.setattr(aiohttp.ClientSession, "put", noted)
    (root / "new").write_bytes(b"12345")
    assert [headers["Content-Length"] for headers in sent] == ["5"]


def test_between_collections(root: ObjectStoragePath, globus_collection: CollectionFactory) -> None:
    other = globus_collection("other")
    (root / "b.bin").copy(ObjectStoragePath(f"globus://{other.id}/b.bin", conn_id="globus_default"))
    assert (other.folder / "b.bin").read_bytes() == b"\xff"


def test_who_may_not(globus_collection: CollectionFactory, globus_sandbox: GlobusSandbox) -> None:
    ada = globus_sandbox.add_identity("ada@example.org")
    host = globus_collection("lab", files={"a.txt": "text"})
    guest = globus_collection("shared", host=host, owner=ada.id)
    path = ObjectStoragePath(f"globus://{guest.id}/a.txt", conn_id="globus_default")
    with pytest.raises(PermissionError):
        path.exists()
    with pytest.raises(PermissionError) as error:
        path.write_text("x")
    assert "Bearer" not in repr(error.value.__dict__) + repr(error.value) + repr(error.value.__context__)


def test_a_collection_without_https(globus_collection: CollectionFactory) -> None:
    laptop = globus_collection("laptop", kind="personal", files={"a.txt": "text"})
    path = ObjectStoragePath(f"globus://{laptop.id}/a.txt", conn_id="globus_default")
    assert path.exists()
    with pytest.raises(GlobusInputError, match="has no HTTPS access"):
        path.read_text()


def test_a_path_without_a_collection() -> None:
    with pytest.raises(ValueError, match="must name a collection"):
        GlobusCollectionFileSystem().info("globus://")


def test_an_ill_server_is_asked_again(root: ObjectStoragePath, globus_sandbox: GlobusSandbox) -> None:
    root.fs.backoff = 0
    globus_sandbox.faults.add(service="https", status=404, body=ILL, times=2)
    assert (root / "b.bin").read_bytes() == b"\xff"
    globus_sandbox.faults.add(service="https", method="PUT", status=404, body=ILL, times=2)
    (root / "n").write_bytes(b"x")
    assert (root / "n").read_bytes() == b"x"


def test_another_try_has_another_connection(root: ObjectStoragePath) -> None:
    session = sync(root.fs.loop, root.fs.set_session)
    assert session.connector.force_close


def test_no_token_is_pickled(root: ObjectStoragePath, globus_sandbox: GlobusSandbox) -> None:
    path = root / "run1/a.txt"
    path.read_bytes()
    pickled = pickle.dumps(path.fs)
    tokens = [token.encode() for token in globus_sandbox.world.auth._access]
    assert tokens
    assert not any(token in pickled for token in tokens)
    assert globus_sandbox.client_secret.encode() not in pickled
    assert pickle.loads(pickled).cat_file(path.path) == b"one\ntwo\n"
    assert json.loads(path.fs.to_json())["args"] == ["globus_default"]


def test_the_connections_certificates_are_used(
    root: ObjectStoragePath, globus_sandbox: GlobusSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = json.loads(globus_sandbox.connection)
    del connection["extra"]["ca_bundle"]
    monkeypatch.setenv("AIRFLOW_CONN_GLOBUS_DEFAULT", json.dumps(connection))
    with pytest.raises(OSError, match="certificate"):
        GlobusCollectionFileSystem().cat_file((root / "b.bin").path)
