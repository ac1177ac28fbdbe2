"""What a path sent by a client may mean."""

from __future__ import annotations

import pytest

from airflow_provider_globus.sandbox.storage import StorageError
from airflow_provider_globus.sandbox.storage.paths import clean, is_within, join, rebase


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("", "/home/ann"),
        ("~", "/home/ann"),
        ("/~/", "/home/ann"),
        ("/~/run1/", "/home/ann/run1"),
        ("~/run1", "/home/ann/run1"),
        ("run1/a.h5", "/home/ann/run1/a.h5"),
        ("/a//b/./c/", "/a/b/c"),
        ("/a/../b", "/b"),
        ("//etc/passwd", "/etc/passwd"),
        ("/%2e%2e/%2e%2e/etc", "/%2e%2e/%2e%2e/etc"),
        ("/..%2f..%2fetc", "/..%2f..%2fetc"),
        ("/~user/x", "/~user/x"),
        ("/...", "/..."),
        ("\\..\\x", "/home/ann/\\..\\x"),
    ],
)
def test_paths_fold_to_one_form(path: str, expected: str) -> None:
    assert clean(path, "/home/ann") == expected


@pytest.mark.parametrize(
    "path",
    ["../../..", "/..", "/../etc/passwd", "/a/../../etc", "a/../../../../x", "~/../../..", "/./../x",
     "/a\x00b", "/a\nb", "/a\r\nb", "/\ud800"],
)  # fmt: skip
def test_paths_that_leave_or_cannot_be_named_are_refused(path: str) -> None:
    with pytest.raises(StorageError) as refused:
        clean(path, "/home/ann")
    assert refused.value.code == "INVALID_PATH_NAME"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc", "a\x00"])
def test_a_name_is_one_step(name: str) -> None:
    with pytest.raises(StorageError):
        join("/data", name)


def test_join_rebase_and_within() -> None:
    assert join("/", "a") == "/a"
    assert join("/a", "b") == "/a/b"
    assert rebase("/", "/shared/") == "/shared"
    assert rebase("/x", "/shared/") == "/shared/x"
    assert rebase("/", "/") == "/"
    assert is_within("/a/b", "/a")
    assert is_within("/a", "/")
    assert not is_within("/ab", "/a")
