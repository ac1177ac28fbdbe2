"""What a look at a path asks for and remembers."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.jobs.paths import MAX_LISTED, PathCondition, PathConditions, _Tally

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory


def entry(size: int = 1, modified: str = "2030-01-01 00:00:00+00:00") -> dict[str, Any]:
    return {"size": size, "last_modified": modified}


def tally(*files: tuple[str, dict[str, Any]]) -> _Tally:
    made = _Tally()
    for path, described in files:
        made.add(path, described)
    return made


def test_the_order_of_a_listing_does_not_matter() -> None:
    files = [(f"d{number % 7}/{number:03}", entry(number)) for number in range(500)]
    shuffled = files.copy()
    random.Random(1).shuffle(shuffled)
    first, second = tally(*files), tally(*shuffled)
    assert first.digest == second.digest
    assert first.first == second.first == sorted(path for path, _ in files)[:MAX_LISTED]
    assert (second.count, second.bytes) == (500, sum(range(500)))


@pytest.mark.parametrize(
    "changed",
    [
        [("a", entry(1))],
        [("a", entry(1)), ("c", entry(2))],
        [("a", entry(1)), ("b", entry(3))],
        [("a", entry(1)), ("b", entry(2, "2030-01-01 00:00:01+00:00"))],
        [("a", entry(2)), ("b", entry(1))],
        [("a", entry(1)), ("b", entry(2)), ("c", entry(3)), ("c", entry(3))],
    ],
)
def test_each_change_shows(changed: list[tuple[str, dict[str, Any]]]) -> None:
    assert tally(*changed).digest != tally(("a", entry(1)), ("b", entry(2))).digest


def look(path: str, **more: Any) -> dict[str, Any]:
    hook = GlobusHook()
    condition = PathCondition(hook.use_collection("lab"), path, **more)
    return PathConditions().fetch(hook, [condition.job_id])[condition.job_id]


@pytest.mark.parametrize("name", ["plain-1.h5", "with blank", "a,b", "x:y", "[z]", "~tilde", "=equal", "!no", "ü"])
def test_a_file_is_found_whatever_its_name(globus_collection: CollectionFactory, name: str) -> None:
    globus_collection("lab", files={f"dir/{name}": "xyz", "dir/other": ""})
    found = look(f"/dir/{name}")
    assert (found["fulfilled"], found["count"], found["bytes"], found["files"]) == (True, 1, 3, [f"/dir/{name}"])
    assert not look(f"/dir/{name}2")["fulfilled"]


def test_one_file_of_many_costs_one_entry(globus_collection: CollectionFactory, globus_sandbox: GlobusSandbox) -> None:
    globus_collection("lab", files={f"dir/{number}": "" for number in range(20)})
    assert look("/dir/7")["fulfilled"]
    (listing,) = globus_sandbox.journal.requests("transfer", path="*/ls")
    assert listing.query["filter"] == ["name:=7"]


def test_roots_and_directories(globus_collection: CollectionFactory) -> None:
    globus_collection("lab", files={"dir/a": "x", "b": "yy"})
    assert look("/")["fulfilled"]
    assert look("/")["files"] == ["/b"]
    directory = look("/dir/")
    assert (directory["fulfilled"], directory["count"], directory["said"]) == (True, 0, "exists")
    assert look("/none/deeper") == look("/none/deeper") | {"fulfilled": False, "said": "does not exist yet", "count": 0}


def test_an_empty_root_exists(globus_collection: CollectionFactory) -> None:
    globus_collection("lab")
    assert look("/")["fulfilled"]
