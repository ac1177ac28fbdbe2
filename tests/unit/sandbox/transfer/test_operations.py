"""ls, stat, mkdir and rename."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from tests.unit.sandbox.transfer.conftest import Lab


@pytest.fixture
def data(lab: Lab) -> Collection:
    collection = lab.collection(
        "data", {"a.h5": b"1", "b.h5": b"22", "c.txt": b"333", ".hidden": b"", "dir/inner": b"x", "dir/empty/": b""}
    )
    for name, moment in (("a.h5", 1_000_000_000), ("b.h5", 1_100_000_000), ("c.txt", 1_200_000_000)):
        os.utime(Path(collection.root, name), (moment, moment))
    return collection


def names(found: Any) -> list[str]:
    return [entry["name"] for entry in found]


def test_ls(lab: Lab, data: Collection) -> None:
    found = lab.client().operation_ls(data.id, path="/dir")
    assert (found["DATA_TYPE"], found["endpoint"], found["path"]) == ("file_list", data.id, "/dir/")
    assert (found["length"], found["total"]) == (2, 2)
    assert [(entry["name"], entry["type"], entry["size"]) for entry in found][1] == ("inner", "file", 1)
    entry = lab.client().operation_ls(data.id, filter="name:a.h5")["DATA"][0]
    assert entry["last_modified"] == "2001-09-09 01:46:40+00:00"
    assert len(entry["permissions"]) == 4
    assert set(entry) == {
        "DATA_TYPE", "name", "type", "size", "permissions", "user", "group", "last_modified",
        "link_target", "link_size", "link_user", "link_group", "link_last_modified",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("home", "asked", "shown", "absolute"),
    [
        ("/", "/~/dir", "/~/dir/", "/dir/"),
        ("/", "~", "/~/", "/"),
        ("/dir/", "/~/", "/~/", "/dir/"),
        ("/dir/", "/~/empty/", "/~/empty/", "/dir/empty/"),
        ("/dir/", "/~/../", "/", "/"),
        ("/dir/", "/dir/empty", "/dir/empty/", "/dir/empty/"),
        ("/dir/", None, "/dir/", "/dir/"),
        ("/~/dir/", None, "/~/", "/dir/"),
    ],
)
def test_ls_keeps_the_tilde(
    lab: Lab, data: Collection, home: str, asked: str | None, shown: str, absolute: str
) -> None:
    data.default_directory = home
    found = lab.client().operation_ls(data.id, path=asked) if asked else lab.client().operation_ls(data.id)
    assert (found["path"], found["absolute_path"]) == (shown, absolute)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["dir", ".hidden", "a.h5", "b.h5", "c.txt"]),
        ({"show_hidden": False}, ["dir", "a.h5", "b.h5", "c.txt"]),
        ({"orderby": "size DESC", "filter": "type:file"}, ["c.txt", "b.h5", "a.h5", ".hidden"]),
        ({"orderby": ["type DESC", "name DESC"]}, ["c.txt", "b.h5", "a.h5", ".hidden", "dir"]),
        ({"limit": 2, "offset": 1}, [".hidden", "a.h5"]),
        ({"filter": "name:~*.H5"}, ["a.h5", "b.h5"]),
        ({"filter": {"name": ["a.h5", "c.txt"], "type": "file"}}, ["a.h5", "c.txt"]),
        ({"filter": "name:!~*.h5/type:file"}, [".hidden", "c.txt"]),
        ({"filter": "size:>1"}, ["dir", "b.h5", "c.txt"]),
        ({"filter": {"last_modified": ["2002-01-01", "2005-01-01"]}}, ["b.h5"]),
        ({"filter": {"last_modified": ["", "2002-01-01"]}}, ["a.h5"]),
        ({"filter": ["name:a.h5", "name:c.txt"]}, ["a.h5", "c.txt"]),
    ],
)
def test_ls_filters_orders_and_pages(lab: Lab, data: Collection, query: dict[str, Any], expected: list[str]) -> None:
    assert names(lab.client().operation_ls(data.id, path="/", **query)) == expected


def test_ls_of_links(lab: Lab, data: Collection) -> None:
    Path(data.root, "link").symlink_to("a.h5")
    Path(data.root, "out").symlink_to("/etc/passwd")
    found = {entry["name"]: entry for entry in lab.client().operation_ls(data.id, path="/")}
    assert (found["link"]["type"], found["link"]["link_target"], found["link"]["size"]) == ("file", "a.h5", 1)
    assert (found["out"]["type"], found["out"]["size"]) == ("invalid_symlink", 0)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/none", 404, "ClientError.NotFound"),
        ("/a.h5", 502, "ExternalError.DirListingFailed.NotDirectory"),
        ("/../", 400, "InvalidPath"),
        ("/a\nb", 400, "InvalidPath"),
        ("/a\x00b", 400, "InvalidPath"),
    ],
)
def test_ls_refuses(lab: Lab, refused: Any, data: Collection, path: str, status: int, code: str) -> None:
    error = refused(lambda: lab.client().operation_ls(data.id, path=path))
    assert (error.http_status, error.code) == (status, code)


@pytest.mark.parametrize(
    ("nice_status", "status", "code"),
    [
        ("PERMISSION_DENIED", 403, "EndpointPermissionDenied"),
        ("CONNECT_FAILED", 502, "ExternalError.DirListingFailed.ConnectFailed"),
        ("NO_CREDENTIALS", 502, "ExternalError.DirListingFailed.LoginFailed"),
        ("LIMIT_EXCEEDED", 502, "ExternalError.DirListingFailed.SizeLimit"),
        ("ENDPOINT_ERROR", 502, "EndpointError"),
        ("FILE_NOT_FOUND", 404, "ClientError.NotFound"),
    ],
)
def test_path_faults_reach_ls(
    lab: Lab, refused: Any, data: Collection, nice_status: str, status: int, code: str
) -> None:
    lab.sandbox.faults.add(collection="data", path="/dir*", nice_status=nice_status)
    error = refused(lambda: lab.client().operation_ls(data.id, path="/dir"))
    assert (error.http_status, error.code) == (status, code)
    assert names(lab.client().operation_ls(data.id, path="/"))


def test_a_disconnected_computer(lab: Lab, refused: Any) -> None:
    collection = lab.collection("laptop", kind="personal")
    collection.connected = False
    error = refused(lambda: lab.client().operation_ls(collection.id))
    assert (error.http_status, error.code) == (502, "ExternalError.DirListingFailed.GCDisconnected")


def test_consent_and_identity(lab: Lab, refused: Any, data: Collection) -> None:
    for act in (
        lambda client: client.operation_ls(data.id),
        lambda client: client.operation_stat(data.id, "/a.h5"),
        lambda client: client.operation_mkdir(data.id, "/x"),
        lambda client: client.operation_rename(data.id, "/a.h5", "/x"),
    ):
        error = refused(lambda act=act: act(lab.client(consent=False)))
        assert (error.http_status, error.code) == (403, "ConsentRequired")
    assert requests.get(f"{lab.sandbox.url}/v0.10/operation/endpoint/{data.id}/ls", timeout=5).status_code == 401


def test_stat(lab: Lab, refused: Any, data: Collection) -> None:
    client = lab.client()
    assert client.operation_stat(data.id, "/b.h5")["size"] == 2
    assert client.operation_stat(data.id, "/dir/")["type"] == "dir"
    for missing in ("/none", "/a.h5/x"):
        error = refused(lambda missing=missing: client.operation_stat(data.id, missing))
        assert (error.http_status, error.code) == (404, "NotFound")
    lab.sandbox.faults.add(collection=data.id, path="/b.h5", nice_status="PERMISSION_DENIED")
    error = refused(lambda: client.operation_stat(data.id, "/b.h5"))
    assert (error.http_status, error.code) == (403, "EndpointPermissionDenied")


def test_mkdir(lab: Lab, refused: Any, data: Collection) -> None:
    client = lab.client()
    assert client.operation_mkdir(data.id, "/new/")["code"] == "DirectoryCreated"
    assert Path(data.root, "new").is_dir()
    for path, code in (
        ("/new", "ExternalError.MkdirFailed.Exists"),
        ("/a.h5", "ExternalError.MkdirFailed.Exists"),
        ("/none/x", "ExternalError.MkdirFailed"),
    ):
        error = refused(lambda path=path: client.operation_mkdir(data.id, path))
        assert (error.http_status, error.code) == (502, code)
    assert refused(lambda: client.post(f"/v0.10/operation/endpoint/{data.id}/mkdir", data={})).http_status == 400


def test_rename(lab: Lab, refused: Any, data: Collection) -> None:
    client = lab.client()
    assert client.operation_rename(data.id, "/a.h5", "/dir/moved.h5")["code"] == "FileRenamed"
    assert Path(data.root, "dir/moved.h5").read_bytes() == b"1"
    assert refused(lambda: client.operation_rename(data.id, "/none", "/x")).http_status == 404
    error = refused(lambda: client.operation_rename(data.id, "/b.h5", "/c.txt"))
    assert (error.http_status, error.code) == (502, "ExternalError.RenameFailed.Exists")
    assert Path(data.root, "c.txt").read_bytes() == b"333"


def test_a_read_only_collection_only_reads(lab: Lab, refused: Any) -> None:
    collection = lab.collection("frozen", {"a": b"1"}, writable=False)
    client = lab.client()
    assert names(client.operation_ls(collection.id)) == ["a"]
    assert refused(lambda: client.operation_mkdir(collection.id, "/x")).code == "PermissionDenied"
    assert refused(lambda: client.operation_rename(collection.id, "/a", "/b")).code == "PermissionDenied"


@pytest.mark.parametrize(
    "raw",
    ["/..%2f..%2f..%2fetc", "/%2e%2e/%2e%2e/etc", "/%2e%2e%2fetc", "..%5c..%5cetc", "/%252e%252e/etc",
     "/dir/%2e%2e/%2e%2e/etc", "/%00",
     "/a%0d%0aX-Evil:1", "//etc", "/etc/passwd", "~root", "/~/../../etc", "/proc/self/root/etc", "%2fetc"],
)  # fmt: skip
def test_no_raw_path_leaves_the_folder(lab: Lab, data: Collection, raw: str) -> None:
    """Sent as they are, past the SDK's own quoting."""
    token = lab.client()
    token.operation_ls(data.id)
    header = (
        token.authorizer.get_authorization_header()
        if token.authorizer
        else token._app.get_authorizer(  # type: ignore[union-attr]
            "transfer.api.globus.org"
        ).get_authorization_header()
    )
    url = f"{lab.sandbox.url}/v0.10/operation/endpoint/{data.id}/ls?path={raw}"
    answer = requests.get(url, headers={"Authorization": str(header)}, timeout=5)
    assert answer.status_code in (400, 404), answer.text
    assert "passwd" not in [entry.get("name") for entry in answer.json().get("DATA", [])]
