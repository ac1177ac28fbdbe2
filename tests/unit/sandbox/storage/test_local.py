"""A folder as storage: what it does, and that nothing gets out of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from airflow_provider_globus.sandbox.storage import LocalStorage, StorageError
from airflow_provider_globus.sandbox.storage.local import PART_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET = b"outside"
TOO_LONG = "/" + "x" * 300


@pytest.fixture
def jail(tmp_path: Path) -> LocalStorage:
    """A storage whose folder is full of ways out."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(SECRET)
    (tmp_path / "root-evil").mkdir()  # shares its prefix with the root
    (tmp_path / "root-evil" / "secret").write_bytes(SECRET)
    root = tmp_path / "root"
    (root / "dir").mkdir(parents=True)
    (root / "inside").write_bytes(b"inside")
    (root / "to-file").symlink_to(outside / "secret")
    (root / "to-dir").symlink_to(outside)
    (root / "relative").symlink_to("../outside")
    (root / "evil").symlink_to("../root-evil")
    (root / "dir" / "chain").symlink_to("../to-dir")
    (root / "good").symlink_to("inside")
    (root / "good-absolute").symlink_to(root / "dir")
    (root / "loop").symlink_to("loop")
    (root / "dangling").symlink_to("../outside/new")
    return LocalStorage(root)


ESCAPES = [
    "/to-file", "/to-dir", "/to-dir/secret", "/relative/secret", "/evil/secret", "/dir/chain/secret",
    "/../outside/secret", "/dir/../../outside/secret", "/to-dir/../outside/secret", "/dangling", "/a\x00b",
]  # fmt: skip

READS: dict[str, Callable[[LocalStorage, str], object]] = {
    "read": lambda storage, path: storage.open_read(path),
    "list": lambda storage, path: list(storage.list(path)),
    "mtime": lambda storage, path: storage.set_modified(path, 0),
    "below": lambda storage, path: storage.below(path),
    "identity": lambda storage, path: storage.identity(path),
    "parents": lambda storage, path: storage.make_parents(path),
}
WRITES: dict[str, Callable[[LocalStorage, str], object]] = {
    "write": lambda storage, path: storage.open_write(path).commit(),
    "mkdir": lambda storage, path: storage.mkdir(path),
    "remove": lambda storage, path: storage.remove_file(path),
    "rmdir": lambda storage, path: storage.remove_dir(path),
    "rename from": lambda storage, path: storage.rename(path, "/taken"),
    "rename to": lambda storage, path: storage.rename("/inside", path),
    "link": lambda storage, path: storage.make_link(path, "x"),
    "stat": lambda storage, path: storage.stat(path),
}


def _outside(root: Path) -> dict[str, bytes]:
    found = {}
    for folder in (root.parent / "outside", root.parent / "root-evil"):
        found.update({str(item): item.read_bytes() for item in folder.rglob("*") if item.is_file()})
    return found


@pytest.mark.parametrize("path", ESCAPES)
@pytest.mark.parametrize("action", READS)
def test_nothing_is_reached_outside(jail: LocalStorage, action: str, path: str) -> None:
    before = _outside(jail.root)
    with pytest.raises(StorageError):
        READS[action](jail, path)
    assert _outside(jail.root) == before


@pytest.mark.parametrize(
    "path", [item + "/new" for item in ESCAPES if "secret" not in item] + ["/to-dir/secret", "/../x"]
)
@pytest.mark.parametrize("action", WRITES)
def test_nothing_is_changed_outside(jail: LocalStorage, action: str, path: str) -> None:
    before = _outside(jail.root)
    with pytest.raises(StorageError):
        WRITES[action](jail, path)
    assert _outside(jail.root) == before


def test_writing_over_a_link_replaces_the_link(jail: LocalStorage) -> None:
    with jail.open_write("/to-file") as writer:
        writer.write(b"new")
        writer.commit()
    assert (jail.root / "to-file").read_bytes() == b"new"
    assert not (jail.root / "to-file").is_symlink()
    assert (jail.root.parent / "outside" / "secret").read_bytes() == SECRET


def test_removing_a_link_leaves_its_target(jail: LocalStorage) -> None:
    jail.remove_file("/to-dir")
    assert (jail.root.parent / "outside" / "secret").exists()


def test_links_inside_are_followed_and_links_outside_are_invalid(jail: LocalStorage) -> None:
    kinds = {entry.name: entry.kind for entry in jail.list("/")}
    assert kinds["good"] == "file"
    assert kinds["good-absolute"] == "dir"
    assert {kinds[name] for name in ("to-file", "to-dir", "relative", "evil", "loop", "dangling")} == {
        "invalid_symlink"
    }
    good = jail.stat("/good")
    assert good.link is not None
    assert (good.link.target, good.size) == ("inside", 6)
    assert jail.open_read("/good").read(10) == b"inside"


def test_a_guest_below_cannot_reach_its_host(jail: LocalStorage) -> None:
    (jail.root / "dir" / "up").symlink_to("../inside")
    guest = jail.below("/dir")
    assert jail.open_read("/dir/up").read(10) == b"inside"
    with pytest.raises(StorageError):
        guest.open_read("/up")


def test_a_file_shows_only_when_committed(jail: LocalStorage) -> None:
    writer = jail.open_write("/dir/deep/er/file")
    writer.write(b"half")
    assert [entry.name for entry in jail.list("/dir/deep/er")] == []
    assert [item.name.startswith(PART_PREFIX) for item in (jail.root / "dir/deep/er").iterdir()] == [True]
    writer.abort()
    assert list((jail.root / "dir/deep/er").iterdir()) == []
    with jail.open_write("/dir/deep/er/file") as again:
        again.write(b"whole")
        assert again.read_back().read(10) == b"whole"
        again.commit()
    assert jail.stat("/dir/deep/er/file").size == 5


def test_pipes_are_refused_instead_of_waited_for(jail: LocalStorage) -> None:
    os.mkfifo(jail.root / "pipe")
    assert jail.stat("/pipe").kind == "pipe"
    with pytest.raises(StorageError) as refused:
        jail.open_read("/pipe")
    assert refused.value.code == "NOT_A_FILE"


@pytest.mark.parametrize(
    ("code", "act"),
    [
        ("FILE_NOT_FOUND", lambda storage: storage.stat("/none")),
        ("FILE_NOT_FOUND", lambda storage: storage.remove_file("/none")),
        ("FILE_NOT_FOUND", lambda storage: storage.mkdir("/none/x")),
        ("FILE_NOT_FOUND", lambda storage: storage.rename("/none", "/x")),
        ("NOT_A_DIRECTORY", lambda storage: list(storage.list("/inside"))),
        ("NOT_A_DIRECTORY", lambda storage: storage.make_parents("/inside")),
        ("NOT_A_DIRECTORY", lambda storage: storage.open_write("/inside/x")),
        ("IS_A_DIRECTORY", lambda storage: storage.open_read("/dir")),
        ("IS_A_DIRECTORY", lambda storage: storage.open_write("/dir")),
        ("FILE_EXISTS", lambda storage: storage.mkdir("/dir")),
        ("FILE_EXISTS", lambda storage: storage.rename("/inside", "/dir")),
        ("INVALID_PATH_NAME", lambda storage: storage.rename("/dir", "/dir/x")),
        ("DIRECTORY_NOT_EMPTY", lambda storage: storage.remove_dir("/dir")),
        ("PERMISSION_DENIED", lambda storage: storage.remove_dir("/")),
        ("PERMISSION_DENIED", lambda storage: storage.rename("/", "/dir/x")),
        ("INVALID_PATH_NAME", lambda storage: storage.mkdir("/" + "x" * 300)),
    ],
)  # fmt: skip
def test_failures_are_in_globus_words(jail: LocalStorage, code: str, act: Callable[[LocalStorage], object]) -> None:
    with pytest.raises(StorageError) as refused:
        act(jail)
    assert refused.value.code == code
    assert str(jail.root) not in str(refused.value)


def test_times_and_permissions(jail: LocalStorage) -> None:
    jail.set_modified("/inside", 1_600_000_000)
    (jail.root / "inside").chmod(0o640)
    entry = jail.stat("/inside")
    assert (entry.modified, entry.permissions) == (1_600_000_000, "0640")


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must exist"):
        LocalStorage(tmp_path / "none")


@pytest.mark.parametrize(
    "act",
    [
        lambda jail: jail.below(TOO_LONG),
        lambda jail: jail.open_write(TOO_LONG),
        lambda jail: jail.open_read(TOO_LONG),
        lambda jail: jail.make_parents(f"{TOO_LONG}/x"),
        lambda jail: jail.make_link(TOO_LONG, "inside"),
    ],
)
def test_a_name_that_is_too_long_is_a_storage_error(jail: LocalStorage, act: Callable[[LocalStorage], object]) -> None:
    with pytest.raises(StorageError, match="INVALID_PATH_NAME") as raised:
        act(jail)
    assert raised.value.code == "INVALID_PATH_NAME"
