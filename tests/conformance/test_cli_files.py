"""`globus ls`, `stat`, `mkdir`, `rename`: what answers at once about the files of a collection."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.conformance.conftest import GlobusCli

NOWHERE = "00000000-0000-4000-8000-000000000000"
FILES = {
    "run/a.dat": "aaaa",
    "run/b.txt": "bb",
    "run/.hidden": "",
    "run/deep/c.dat": "c",
    "run/deep/deeper/d.dat": "dd",
    "run/deep/deeper/deepest/e.dat": "e",
    "run/deep/deeper/deepest/under/f.dat": "f",
}


@pytest.fixture
def lab(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("lab", files=FILES, kind="personal")


def data_access(collection: CollectionFolder) -> str:
    return f"https://auth.globus.org/scopes/{collection.id}/data_access"


# ls


def test_a_directory_is_listed(cli: GlobusCli, lab: CollectionFolder) -> None:
    assert cli.text("ls", f"{lab.id}:/run/").split() == ["deep/", "a.dat", "b.txt"]


def test_hidden_files_are_listed_when_asked_for(cli: GlobusCli, lab: CollectionFolder) -> None:
    assert ".hidden" in cli.text("ls", "--all", f"{lab.id}:/run/").split()


def test_a_collection_opens_in_its_default_directory(cli: GlobusCli, globus_collection: CollectionFactory) -> None:
    files = {"me/mine.txt": "", "other": ""}
    laptop = globus_collection("laptop", files=files, kind="personal", default_directory="/me/")
    assert cli.text("ls", laptop.id).split() == ["mine.txt"]
    assert cli.text("ls", f"{laptop.id}:/~/").split() == ["mine.txt"]
    assert cli.text("ls", f"{laptop.id}:/").split() == ["me/", "other"]


def test_the_long_form_shows_who_when_and_how_much(cli: GlobusCli, lab: CollectionFolder) -> None:
    os.utime(lab.folder / "run/a.dat", (1_700_000_000, 1_700_000_000))
    (lab.folder / "run/a.dat").chmod(0o640)
    head, _, *rows = cli.text("ls", "--long", f"{lab.id}:/run/").splitlines()
    assert [column.strip() for column in head.split("|")] == [
        "Permissions", "User", "Group", "Size", "Last Modified", "File Type", "Filename",
    ]  # fmt: skip
    (row,) = ([cell.strip() for cell in row.split("|")] for row in rows if "a.dat" in row)
    assert (row[0], row[3:]) == ("0640", ["4", "2023-11-14 22:13:20+00:00", "file", "a.dat"])


def test_json_is_what_the_service_says_of_each_entry(cli: GlobusCli, lab: CollectionFolder) -> None:
    listed = cli.json("ls", f"{lab.id}:/run/")
    assert [(item["name"], item["type"]) for item in listed["DATA"]] == [
        ("deep", "dir"), ("a.dat", "file"), ("b.txt", "file"),
    ]  # fmt: skip
    assert listed["DATA"][1]["DATA_TYPE"] == "file"


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("~*.dat", ["a.dat"]),
        ("=a.dat", ["a.dat"]),
        ("a.dat", ["a.dat"]),
        ("!a.dat", ["deep/", "b.txt"]),
        ("!~*.dat", ["deep/", "b.txt"]),
        ("~*E*", ["deep/"]),
        ("none", []),
    ],
)
def test_names_are_filtered(cli: GlobusCli, lab: CollectionFolder, pattern: str, names: list[str]) -> None:
    assert cli.text("ls", f"{lab.id}:/run/", "--filter", pattern).split() == names


def test_a_listing_is_ordered(cli: GlobusCli, lab: CollectionFolder) -> None:
    order = ("--orderby", "type:DESC", "--orderby", "size:ASC")
    assert cli.text("ls", f"{lab.id}:/run/", *order).split() == ["b.txt", "a.dat", "deep/"]


@pytest.mark.parametrize(
    ("depth", "deepest"),
    [((), "deep/deeper/deepest/e.dat"), (("1",), "deep/c.dat"), (("0",), "a.dat")],
)
def test_a_tree_is_listed_down_to_a_depth(
    cli: GlobusCli, lab: CollectionFolder, depth: tuple[str, ...], deepest: str
) -> None:
    limit = ("--recursive-depth-limit", *depth) if depth else ()
    listed = cli.text("ls", "--recursive", *limit, f"{lab.id}:/run/").split()
    files = [name for name in listed if name.endswith(".dat")]
    assert max(files, key=lambda name: name.count("/")) == deepest
    assert {name.count("/") for name in files} == set(range(deepest.count("/") + 1))


def test_a_tree_is_filtered_by_name_and_still_walked(cli: GlobusCli, lab: CollectionFolder) -> None:
    listed = cli.text("ls", "-r", f"{lab.id}:/run/", "--filter", "~c.*").split()
    assert [name for name in listed if not name.endswith("/")] == ["deep/c.dat"]


def test_a_path_may_hold_what_urls_do_not(cli: GlobusCli, globus_collection: CollectionFactory) -> None:
    odd = globus_collection("odd", files={"a b/ä & #1?.txt": "x"}, kind="personal")
    assert cli.text("ls", f"{odd.id}:/a b").strip() == "ä & #1?.txt"
    assert cli.json("stat", f"{odd.id}:/a b/ä & #1?.txt")["size"] == 1


# stat


def test_a_file_is_shown(cli: GlobusCli, lab: CollectionFolder) -> None:
    shown = cli.text("stat", f"{lab.id}:/run/a.dat")
    assert "Name:" in shown
    assert cli.json("stat", f"{lab.id}:/run/a.dat")["size"] == 4
    assert cli.json("stat", f"{lab.id}:/run")["type"] == "dir"


def test_a_missing_path_is_nothing_found(cli: GlobusCli, lab: CollectionFolder) -> None:
    # The CLI takes this answer for a result, not for an error.
    assert "Nothing found" in cli.text("stat", f"{lab.id}:/run/none")


# mkdir


def test_a_directory_is_made(cli: GlobusCli, lab: CollectionFolder) -> None:
    assert cli.text("mkdir", f"{lab.id}:/new").strip() == "The directory was created successfully"
    assert (lab.folder / "new").is_dir()


def test_a_directory_is_made_once(cli: GlobusCli, lab: CollectionFolder) -> None:
    refused = cli.json("mkdir", f"{lab.id}:/run", fails=1)
    assert refused["code"] == "ExternalError.MkdirFailed.Exists"


def test_a_directory_needs_one_above(cli: GlobusCli, lab: CollectionFolder) -> None:
    assert cli.json("mkdir", f"{lab.id}:/no/such/place", fails=1)["code"].startswith("ExternalError.MkdirFailed")
    assert not (lab.folder / "no").exists()


# rename


def test_a_file_is_renamed(cli: GlobusCli, lab: CollectionFolder) -> None:
    assert "renamed successfully" in cli.text("rename", lab.id, "/run/a.dat", "/a.dat")
    assert (lab.folder / "a.dat").read_text() == "aaaa"
    assert not (lab.folder / "run/a.dat").exists()


def test_a_rename_replaces_nothing(cli: GlobusCli, lab: CollectionFolder) -> None:
    refused = cli.json("rename", lab.id, "/run/a.dat", "/run/b.txt", fails=1)
    assert refused["code"] == "ExternalError.RenameFailed.Exists"
    assert (lab.folder / "run/b.txt").read_text() == "bb"


# Refusals, of each operation


OPERATIONS = (("ls", ":/run"), ("stat", ":/run"), ("mkdir", ":/new"), ("rename", ""))


@pytest.mark.parametrize(("command", "path"), OPERATIONS)
def test_an_unknown_collection_is_refused(cli: GlobusCli, command: str, path: str) -> None:
    more = ("/a", "/b") if command == "rename" else ()
    said = cli.text(command, f"{NOWHERE}{path}", *more, fails=1)
    assert "HTTP status:      404" in said
    assert "code:             EndpointNotFound" in said
    assert f"No such endpoint '{NOWHERE}'" in said


@pytest.mark.parametrize(("command", "path"), OPERATIONS)
def test_somebody_elses_computer_is_refused(cli: GlobusCli, lab: CollectionFolder, command: str, path: str) -> None:
    more = ("/a", "/b") if command == "rename" else ()
    theirs = cli.of(cli.sandbox.add_client("other"))
    said = theirs.text(command, f"{lab.id}{path}", *more, fails=1)
    assert "HTTP status:      403" in said
    assert "code:             PermissionDenied" in said


@pytest.mark.parametrize(
    ("command", "arguments", "code"),
    [
        ("ls", (":/none",), "ClientError.NotFound"),
        ("ls", (":/run/a.dat",), "ExternalError.DirListingFailed.NotDirectory"),
        ("rename", ("", "/none", "/b"), "ClientError.NotFound"),
    ],
)
def test_a_path_that_is_not_there_is_refused(
    cli: GlobusCli, lab: CollectionFolder, command: str, arguments: tuple[str, ...], code: str
) -> None:
    refused = cli.json(command, f"{lab.id}{arguments[0]}", *arguments[1:], fails=1)
    assert refused["code"] == code
    assert set(refused) == {"code", "message", "request_id", "resource"}
    assert refused["resource"].endswith(f"/endpoint/{lab.id}/{command}")


@pytest.mark.parametrize(
    ("command", "arguments"),
    [("ls", (":/run",)), ("stat", (":/run",)), ("mkdir", (":/run/new",)), ("rename", ("", "/run/a.dat", "/a.dat"))],
)
def test_a_path_that_the_storage_denies_is_refused(
    cli: GlobusCli, lab: CollectionFolder, command: str, arguments: tuple[str, ...]
) -> None:
    cli.sandbox.faults.add(collection="lab", path="/run*", nice_status="PERMISSION_DENIED", details="no")
    said = cli.text(command, f"{lab.id}{arguments[0]}", *arguments[1:], fails=1)
    assert "HTTP status:      403" in said
    assert "code:             EndpointPermissionDenied" in said
    assert "Denied by endpoint" in said


def test_a_computer_that_is_off_is_refused(cli: GlobusCli, lab: CollectionFolder) -> None:
    cli.sandbox.world.transfer.find("lab").connected = False
    said = cli.text("ls", f"{lab.id}:/", fails=1)
    assert "HTTP status:      502" in said
    assert "code:             ExternalError.DirListingFailed.GCDisconnected" in said


def test_a_consent_is_asked_for(cli: GlobusCli, globus_collection: CollectionFactory) -> None:
    # The CLI gets a service account's consents by itself, and shows what it was told when it may not ask again.
    one, two = globus_collection("one"), globus_collection("two")
    said = cli.text("api", "transfer", "GET", f"/operation/endpoint/{one.id}/ls", "--no-retry", fails=4)
    assert "requires you to" in said
    assert f"globus session consent 'urn:globus:auth:scope:transfer.api.globus.org:all[*{data_access(one)}]'" in said
    refused = cli.json("api", "transfer", "GET", f"/operation/endpoint/{two.id}/ls", "--no-retry", fails=1)
    assert refused["code"] == "ConsentRequired"
    assert data_access(two) in refused["required_scopes"][0]


def test_a_service_account_gets_its_consent_and_asks_again(
    cli: GlobusCli, globus_collection: CollectionFactory
) -> None:
    mapped = globus_collection("mapped", files={"a.dat": ""})
    assert cli.text("ls", f"{mapped.id}:/").split() == ["a.dat"]
    asked = cli.sandbox.journal.requests("transfer", "GET", "/v0.10/operation/endpoint/*/ls")
    assert [entry.status for entry in asked] == [403, 200]
