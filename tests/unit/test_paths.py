from __future__ import annotations

import pytest

from airflow_provider_globus.exceptions import GlobusInputError
from airflow_provider_globus.paths import check_path, join, name, parent


@pytest.mark.parametrize("path", ["/", "/a/b", "/~/data/", "~", "/a b/ü"])
def test_absolute_and_home_paths_pass(path: str) -> None:
    assert check_path(path, "path") == path


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("data/x", "/~/data/x"),
        ("", "such as"),
        (None, "such as"),
        (7, "such as"),
        ("C:\\data", "/C/data"),
        ("C:/data", "/C/data"),
        ("/a\\b", "Windows"),
        ("globus://x/y", "collection in its own argument"),
        ("s3://bucket/key", "collection in its own argument"),
        ("/a\nb", "control character"),
        ("/a\0b", "control character"),
    ],
)
def test_what_globus_cannot_mean_is_refused_with_a_hint(path: object, hint: str) -> None:
    with pytest.raises(GlobusInputError, match="the path") as caught:
        check_path(path, "the path")
    assert hint in str(caught.value)


def test_joining_and_splitting() -> None:
    assert join("/a/", "b", "c") == "/a/b/c"
    assert (parent("/a/b/"), name("/a/b/")) == ("/a", "b")
    assert parent("/a") == "/"
