"""`globus bookmark …`: names for folders of collections."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.conformance.conftest import GlobusCli

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def lab(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("lab", files={"run/a.dat": ""}, kind="personal")


def create(cli: GlobusCli, lab: CollectionFolder, name: str, path: str = "/run/") -> str:
    """Make a bookmark; return its id."""
    said = cli.text("bookmark", "create", f"{lab.id}:{path}", name)
    assert said.startswith("Bookmark ID: ")
    return said.removeprefix("Bookmark ID: ").strip()


def test_a_bookmark_leads_to_its_folder(cli: GlobusCli, lab: CollectionFolder) -> None:
    made = create(cli, lab, "Run 1")
    for reference in (made, "Run 1"):
        place = cli.text("bookmark", "show", reference).strip()
        assert place == f"{lab.id}:/run/"
    assert cli.text("ls", place).split() == ["a.dat"]
    shown = cli.text("bookmark", "show", "Run 1", "--verbose")
    assert f"ID:          {made}" in shown
    assert "Name:        Run 1" in shown


def test_bookmarks_are_listed(cli: GlobusCli, lab: CollectionFolder) -> None:
    made = [create(cli, lab, "one"), create(cli, lab, "two", "/")]
    head, _, *rows = cli.text("bookmark", "list").splitlines()
    assert [column.strip() for column in head.split("|")] == [
        "Name", "Bookmark ID", "Endpoint ID", "Endpoint Name", "Path",
    ]  # fmt: skip
    assert [[cell.strip() for cell in row.split("|")] for row in rows] == [
        ["one", made[0], lab.id, "lab", "/run/"], ["two", made[1], lab.id, "lab", "/"],
    ]  # fmt: skip
    assert [item["name"] for item in cli.json("bookmark", "list")["DATA"]] == ["one", "two"]


def test_a_bookmark_outlives_its_collection(cli: GlobusCli, lab: CollectionFolder) -> None:
    create(cli, lab, "one")
    cli.text("endpoint", "delete", lab.id)
    assert "[DELETED ENDPOINT]" in cli.text("bookmark", "list")


def test_a_bookmark_is_renamed(cli: GlobusCli, lab: CollectionFolder) -> None:
    made = create(cli, lab, "old")
    assert cli.text("bookmark", "rename", "old", "new").strip() == "Success"
    assert cli.json("bookmark", "show", "new")["id"] == made
    assert 'No bookmark found for "old"' in cli.text("bookmark", "show", "old", fails=1)


def test_a_bookmark_is_deleted(cli: GlobusCli, lab: CollectionFolder) -> None:
    made = create(cli, lab, "old")
    assert cli.text("bookmark", "delete", made).strip() == f"Bookmark '{made}' deleted successfully"
    assert cli.json("bookmark", "list")["DATA"] == []


def test_a_name_is_given_once(cli: GlobusCli, lab: CollectionFolder) -> None:
    create(cli, lab, "one")
    two = create(cli, lab, "two", "/")
    said = cli.text("bookmark", "create", f"{lab.id}:/", "one", fails=1)
    assert "HTTP status:      409" in said
    assert "HTTP status:      409" in cli.text("bookmark", "rename", two, "one", fails=1)
    create(cli, lab, "One", "/")


def test_bookmarks_are_their_owners_alone(cli: GlobusCli, lab: CollectionFolder) -> None:
    made = create(cli, lab, "mine")
    theirs = cli.of(cli.sandbox.add_client("other"))
    assert theirs.json("bookmark", "list")["DATA"] == []
    # The CLI asks for the id first, and for a name when there is no such id.
    assert f'No bookmark found for "{made}"' in theirs.text("bookmark", "show", made, fails=1)


@pytest.mark.parametrize(
    ("place", "code"),
    [(f"{UNKNOWN}:/", "EndpointNotFound"), ("{lab}:/run", "BadRequest")],
)
def test_a_place_that_is_none_is_refused(cli: GlobusCli, lab: CollectionFolder, place: str, code: str) -> None:
    assert cli.json("bookmark", "create", place.format(lab=lab.id), "x", fails=1)["code"] == code


@pytest.mark.parametrize("command", [("show",), ("delete",), ("rename", "new")])
def test_an_unknown_bookmark_is_refused(cli: GlobusCli, command: tuple[str, ...]) -> None:
    said = cli.text("bookmark", command[0], UNKNOWN, *command[1:], fails=1)
    assert f'No bookmark found for "{UNKNOWN}"' in said
