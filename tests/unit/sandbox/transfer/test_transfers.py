"""Transfers between folders move real bytes, as every option of the service asks."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import TransferData

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.transfer.tasks import Task
    from tests.unit.sandbox.transfer.conftest import Lab

FILES = {"a.txt": b"alpha", "sub/b.bin": os.urandom(2_500_000), "sub/deep/c": b"", "empty/": b""}


def outcome(task: Task) -> tuple[str, int, int, int]:
    return task.status, task.files_transferred, task.files_skipped, task.faults


def test_a_tree_arrives_whole(lab: Lab) -> None:
    source, target = lab.collection("source", FILES), lab.collection("target")
    task = lab.move(source, target, ("/", "/copy/"), verify_checksum=True)
    assert outcome(task) == ("SUCCEEDED", 3, 0, 0)
    assert lab.tree(target) == {f"copy/{name}": data for name, data in lab.tree(source).items()}
    document = lab.client().get_task(task.id)
    assert document["bytes_transferred"] == 2_500_005
    assert (document["files"], document["directories"]) == (3, 4)
    assert (document["subtasks_total"], document["subtasks_succeeded"], document["subtasks_pending"]) == (8, 8, 0)
    assert document["nice_status"] is document["is_ok"] is document["fatal_error"] is None


def test_successful_transfers_carry_real_checksums(lab: Lab) -> None:
    source, target = lab.collection("source", FILES), lab.collection("target")
    task = lab.move(source, target, ("/sub", "/sub"), verify_checksum=True)
    found = {item["source_path"]: item for item in lab.client().task_successful_transfers(task.id)}
    assert set(found) == {"/sub/b.bin", "/sub/deep/c"}
    item = found["/sub/b.bin"]
    assert item["destination_path"] == "/sub/b.bin"
    assert item["size"] == 2_500_000
    assert item["checksum"] == hashlib.md5(FILES["sub/b.bin"]).hexdigest()
    assert item["checksum_algorithm"] == "MD5"


def test_without_verification_nothing_is_summed(lab: Lab) -> None:
    source, target = lab.collection("source", {"a": b"x"}), lab.collection("target")
    task = lab.move(source, target, ("/a", "/a"), verify_checksum=False)
    assert task.successes[0].checksum is None
    assert lab.tree(target) == {"a": b"x"}


def test_a_wrong_destination_is_noticed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that stores other bytes than it was given must not end in success."""
    from airflow_provider_globus.sandbox.storage.local import LocalWriter

    write = LocalWriter.write
    monkeypatch.setattr(LocalWriter, "write", lambda self, data: write(self, data.replace(b"x", b"y")))
    source, target = lab.collection("source", {"a": b"xxx"}), lab.collection("target")
    task = lab.faulting(lab.submit(source, target, ("/a", "/a"), verify_checksum=True), "VERIFY_CHECKSUM")
    assert lab.tree(target) == {}
    assert task.bytes_transferred == 0


@pytest.mark.parametrize("algorithm", ["MD5", "SHA256", "sha-512"])
def test_an_external_checksum_is_compared(lab: Lab, algorithm: str) -> None:
    source, target = lab.collection("source", {"good": b"data", "bad": b"other"}), lab.collection("target")
    digest = hashlib.new(algorithm.lower().replace("-", ""), b"data").hexdigest()
    for name in ("good", "bad"):
        data = TransferData(source.id, target.id)
        data.add_item(f"/{name}", f"/{name}", external_checksum=digest, checksum_algorithm=algorithm)
        task_id = lab.client().submit_transfer(data)["task_id"]
        if name == "good":
            assert lab.wait(task_id).successes[0].checksum == digest
        else:
            lab.faulting(task_id, "EXTERNAL_CHECKSUM_MISMATCH")
    assert lab.tree(target) == {"good": b"data"}


@pytest.mark.parametrize(
    ("level", "copied"),
    [
        ("exists", {"new"}),
        ("size", {"new", "longer"}),
        ("mtime", {"new", "longer", "newer"}),
        ("checksum", {"new", "longer", "newer", "older"}),
        (None, {"new", "longer", "newer", "older", "same"}),
    ],
)
def test_sync_levels_compare(lab: Lab, level: Any, copied: set[str]) -> None:
    names = {"new": b"1111", "longer": b"11111", "newer": b"1111", "older": b"1111", "same": b"0000"}
    source = lab.collection("source", names)
    target = lab.collection("target", dict.fromkeys(set(names) - {"new"}, b"0000"))
    for name in names:
        os.utime(Path(source.root, name), (1000, 3000 if name == "newer" else 1000))
    for name in set(names) - {"new"}:
        os.utime(Path(target.root, name), (2000, 2000))
    task = lab.move(source, target, ("/", "/"), sync_level=level)
    assert {item.source.lstrip("/") for item in task.successes} == copied
    assert task.files_skipped == 5 - len(copied)
    assert {name for name, data in lab.tree(target).items() if data == names[name]} >= copied
    assert (task.bytes_checksummed > 0) == (level == "checksum")


def test_modification_times_are_kept_when_asked(lab: Lab) -> None:
    source, target = lab.collection("source", {"a": b"x", "b": b"x"}), lab.collection("target")
    for name in "ab":
        os.utime(Path(source.root, name), (1_500_000_000, 1_500_000_000))
    lab.move(source, target, ("/a", "/a"), preserve_timestamp=True)
    lab.move(source, target, ("/b", "/b"))
    assert Path(target.root, "a").stat().st_mtime == 1_500_000_000
    assert Path(target.root, "b").stat().st_mtime > 1_600_000_000


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([("*.tmp", "exclude", None)], {"a.h5", "b.h5", "logs/x.log", "logs/keep.h5"}),
        ([("*.h5", "include", "file"), ("*", "exclude", "file")], {"a.h5", "b.h5", "logs/keep.h5"}),
        ([("*", "exclude", "file"), ("*.h5", "include", "file")], set()),
        ([("logs", "exclude", "dir")], {"a.h5", "b.h5", "c.tmp"}),
        ([("logs", "exclude", "file")], {"a.h5", "b.h5", "c.tmp", "logs/x.log", "logs/keep.h5"}),
        ([("?.h5", "exclude", None), ("a.h5", "include", None)], {"c.tmp", "logs/x.log", "logs/keep.h5"}),
    ],
)
def test_the_first_filter_rule_that_matches_decides(lab: Lab, rules: Any, expected: set[str]) -> None:
    names = ("a.h5", "b.h5", "c.tmp", "logs/x.log", "logs/keep.h5")
    source, target = lab.collection("source", dict.fromkeys(names, b"x")), lab.collection("target")
    data = TransferData(source.id, target.id)
    data.add_item("/", "/")
    for name, method, kind in rules:
        data.add_filter_rule(name, method=method, **({"type": kind} if kind else {}))
    lab.wait(lab.client().submit_transfer(data)["task_id"])
    assert {name for name, content in lab.tree(target).items() if content is not None} == expected


def test_extra_files_of_the_destination_go_when_asked(lab: Lab) -> None:
    source = lab.collection("source", {"keep": b"1", "kind": b"file", "dir/x": b"1"})
    extra = {"keep": b"0", "kind/inner": b"0", "old": b"0", "olddir/a/b": b"0", "dir/y": b"0"}
    target = lab.collection("target", {**{f"in/{name}": data for name, data in extra.items()}, "outside": b"0"})
    task = lab.move(source, target, ("/", "/in"), delete_destination_extra=True)
    assert task.status == "SUCCEEDED"
    assert lab.tree(target) == {"in/keep": b"1", "in/kind": b"file", "in/dir/x": b"1", "outside": b"0"}


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("ignore", {"real/f": b"x"}),
        ("copy", {"real/f": b"x", "file": b"x", "dir/f": b"x"}),
        ("keep", {"real/f": b"x", "file": b"x", "dir/f": b"x"}),
    ],
)
def test_symbolic_links(lab: Lab, mode: str, expected: dict[str, bytes]) -> None:
    source, target = lab.collection("source", {"real/f": b"x"}), lab.collection("target")
    Path(source.root, "file").symlink_to("real/f")
    Path(source.root, "dir").symlink_to("real")
    task = lab.move(source, target, ("/", "/"), additional_fields={"recursive_symlinks": mode})
    links = {name: Path(target.root, name).is_symlink() for name in ("file", "dir")}
    assert links == dict.fromkeys(("file", "dir"), mode == "keep")
    found = {name: Path(target.root, name).read_bytes() for name in expected}
    assert (found, task.symlinks) == (expected, 2 if mode == "keep" else 0)
    assert Path(target.root, "file").exists() == (mode != "ignore")


def test_links_in_a_circle_are_a_fault_and_not_a_flood(lab: Lab) -> None:
    source, target = lab.collection("source", {"dir/f": b"x"}), lab.collection("target")
    Path(source.root, "dir/up").symlink_to("..")
    task = lab.faulting(
        lab.submit(source, target, ("/", "/"), additional_fields={"recursive_symlinks": "copy"}), "INVALID_SYMLINK"
    )
    assert task.files == 1


def test_links_out_of_the_source_carry_nothing_over(lab: Lab) -> None:
    (lab.folder / "secret").write_bytes(b"secret")
    source, target = lab.collection("source"), lab.collection("target")
    Path(source.root, "leak").symlink_to(lab.folder / "secret")
    lab.faulting(
        lab.submit(source, target, ("/", "/"), additional_fields={"recursive_symlinks": "copy"}), "PERMISSION_DENIED"
    )
    lab.faulting(lab.submit(source, target, ("/leak", "/x")), "INVALID_SYMLINK")
    assert lab.tree(target) == {}


def test_links_out_of_the_destination_are_replaced_not_followed(lab: Lab) -> None:
    (lab.folder / "host-file").write_bytes(b"mine")
    source, target = lab.collection("source", {"a": b"theirs"}), lab.collection("target")
    Path(target.root, "a").symlink_to(lab.folder / "host-file")
    Path(target.root, "dir").symlink_to(lab.folder)
    assert lab.move(source, target, ("/a", "/a")).status == "SUCCEEDED"
    lab.faulting(lab.submit(source, target, ("/a", "/dir/host-file")), "PERMISSION_DENIED")
    assert (lab.folder / "host-file").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (("/dir", "/x", False), "IS_A_DIRECTORY"),
        (("/file", "/x", True), "NOT_A_DIRECTORY"),
        (("/none", "/x"), "FILE_NOT_FOUND"),
        (("/file", "/taken"), "IS_A_DIRECTORY"),
        (("/dir", "/file"), "NOT_A_DIRECTORY"),
    ],
)
def test_wrong_kinds_are_faults(lab: Lab, item: tuple[Any, ...], code: str) -> None:
    source = lab.collection("source", {"dir/f": b"x", "file": b"x"})
    target = lab.collection("target", {"taken/": b"", "file": b"old"})
    task = lab.faulting(lab.submit(source, target, item), code)
    assert (task.status, task.faults) == ("ACTIVE", 1 if code != "NOT_A_DIRECTORY" or item[0] == "/file" else 2)
    assert lab.tree(target) == {"taken": None, "file": b"old"}


def test_parents_of_a_file_are_made(lab: Lab) -> None:
    source, target = lab.collection("source", {"f": b"x"}), lab.collection("target")
    lab.move(source, target, ("/f", "/new/deep/f"))
    assert lab.tree(target) == {"new/deep/f": b"x"}


def test_home_is_the_default_directory(lab: Lab) -> None:
    source = lab.collection("source", {"f": b"x"})
    (lab.folder / "target/home/ann").mkdir(parents=True)
    target = lab.sandbox.world.transfer.add_collection("target", lab.folder / "target", default_directory="/home/ann")
    lab.move(source, target, ("/f", "/~/one"), ("f", "two"))
    assert lab.tree(target) == {"home/ann/one": b"x", "home/ann/two": b"x"}


def test_names_of_all_sorts(lab: Lab) -> None:
    names = ("ünï côdé.h5", "%2e%2e", "..%2f", "a b", "~", "-rf", "*", "\\", "x" * 200)
    source, target = lab.collection("source", {name: name.encode() for name in names}), lab.collection("target")
    assert lab.move(source, target, ("/", "/")).status == "SUCCEEDED"
    assert lab.tree(target) == {name: name.encode() for name in names}


def test_a_name_with_a_line_break_is_a_fault_of_that_file_only(lab: Lab) -> None:
    source, target = lab.collection("source", {"a\nb": b"x", "fine": b"x"}), lab.collection("target")
    lab.faulting(lab.submit(source, target, ("/", "/")), "INVALID_PATH_NAME")
    assert lab.tree(target) == {"fine": b"x"}


def test_a_canceled_copy_leaves_no_half_file(lab: Lab) -> None:
    lab.sandbox.clock.freeze()
    lab.sandbox.settings.bytes_per_second = 1000
    source, target = lab.collection("source", {"big": os.urandom(10_000)}), lab.collection("target", {"big": b"old"})
    client = lab.client()
    task_id = lab.submit(source, target, ("/big", "/big"), client=client)
    task = lab.until(task_id, lambda task: task.bytes_transferred > 0)
    assert client.get_task(task_id)["status"] == "ACTIVE"
    assert client.cancel_task(task_id)["code"] == "Canceled"
    assert (task.status, task.bytes_transferred) == ("FAILED", 0)
    assert [item.name for item in Path(target.root).iterdir()] == ["big"]
    assert lab.tree(target) == {"big": b"old"}


def test_progress_shows_under_a_throttle(lab: Lab) -> None:
    lab.sandbox.clock.freeze()
    lab.sandbox.settings.bytes_per_second = 1000
    source = lab.collection("source", {f"f{number}": bytes(1000) for number in range(4)})
    target = lab.collection("target")
    client = lab.client()
    task_id = lab.submit(source, target, ("/", "/"), client=client)
    lab.until(task_id, lambda task: task.bytes_transferred > 0)
    for expected in range(1, 4):
        lab.sandbox.clock.advance(1.0)
        lab.until(task_id, lambda task, wanted=expected: task.files_transferred >= wanted)  # type: ignore[misc]
        document = client.get_task(task_id)
        assert document["status"] == "ACTIVE"
        assert document["files_transferred"] == expected
        assert document["subtasks_pending"] == 5 - expected
        assert 900 <= document["effective_bytes_per_second"] <= 1200
    lab.sandbox.clock.advance(10)
    assert lab.wait(task_id).status == "SUCCEEDED"


def test_deleting(lab: Lab) -> None:
    from globus_sdk import DeleteData

    target = lab.collection("target", {"a/b/c": b"x", "a/d": b"x", "keep": b"x", "one.tmp": b"", ".two.tmp": b""})
    (lab.folder / "outside").mkdir()
    (lab.folder / "outside/file").write_bytes(b"x")
    Path(target.root, "a/link").symlink_to(lab.folder / "outside")
    client = lab.client()

    def delete(path: str, **options: Any) -> str:
        data = DeleteData(target.id, **options)
        data.add_item(path)
        return str(client.submit_delete(data)["task_id"])

    refused = delete("/a")
    lab.faulting(refused, "IS_A_DIRECTORY")
    client.cancel_task(refused)
    task = lab.wait(delete("/a", recursive=True))
    assert (task.status, task.files, task.directories) == ("SUCCEEDED", 3, 2)
    assert (lab.folder / "outside/file").exists()
    assert (lab.wait(delete("/gone")).fatal_error or {})["code"] == "FILE_NOT_FOUND"
    assert lab.wait(delete("/gone2", ignore_missing=True)).status == "SUCCEEDED"
    assert lab.wait(delete("/*.tmp", interpret_globs=True)).files == 1
    assert lab.wait(delete("/*.none", interpret_globs=True)).status == "FAILED"
    assert lab.wait(delete("/keep")).status == "SUCCEEDED"
    assert lab.tree(target) == {".two.tmp": b""}
    document = client.get_task(task.id)
    assert (document["type"], document["destination_endpoint_id"]) == ("DELETE", None)


def test_patterns_are_read_in_the_last_part_of_a_path_and_can_be_escaped(lab: Lab) -> None:
    from globus_sdk import DeleteData

    target = lab.collection("target", {"run/a*": b"", "run/ab": b"", "run/[x]": b"", "run/x": b""})
    client = lab.client()

    def delete(path: str) -> str:
        data = DeleteData(target.id, interpret_globs=True)
        data.add_item(path)
        return str(client.submit_delete(data)["task_id"])

    assert lab.wait(delete("/r*/ab")).status == "FAILED"
    assert lab.wait(delete(r"/run/\[x\]")).files == 1
    assert lab.wait(delete(r"/run/?\*")).files == 1
    assert lab.tree(target) == {"run/ab": b"", "run/x": b""}


def test_the_root_of_a_collection_is_never_deleted(lab: Lab) -> None:
    from globus_sdk import DeleteData

    target = lab.collection("target", {"a": b"x"})
    data = DeleteData(target.id, recursive=True)
    data.add_item("/")
    lab.faulting(lab.client().submit_delete(data)["task_id"], "PERMISSION_DENIED")
    assert lab.tree(target) == {"a": b"x"}
