"""Listings of collections: page by page, in memory that a page fills, whatever the size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.exceptions import GlobusBadRequestError
from airflow_provider_globus.hooks.files import list_directory, walk
from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.operators.collections import GlobusListOperator
from airflow_provider_globus.sandbox.transfer import operation_routes

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.unit.conftest import TaskContext

NAMES = [f"f{number}" for number in range(6)]


@pytest.fixture
def lab(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("lab", files=dict.fromkeys([*NAMES, "d/g", "d/deep/h", ".hidden"], "x"))


@pytest.fixture
def hook(lab: CollectionFolder) -> GlobusHook:
    return GlobusHook()


@pytest.fixture
def collection(hook: GlobusHook) -> str:
    return hook.use_collection("lab")


def asked(globus: GlobusSandbox) -> list[dict[str, list[str]]]:
    return [entry.query for entry in globus.journal.requests("transfer", path="*/ls")]


@pytest.mark.parametrize(("page_size", "calls"), [(1, 6), (2, 3), (4, 2), (5, 2), (6, 1), (7, 1)])
def test_pages_are_joined_without_one_call_too_many(
    globus_sandbox: GlobusSandbox, hook: GlobusHook, collection: str, page_size: int, calls: int
) -> None:
    entries = list_directory(hook, collection, "/", page_size=page_size, filter={"name": "~f*"}, orderby="name")
    assert [entry["name"] for entry in entries] == NAMES
    assert len(asked(globus_sandbox)) == calls


def test_an_empty_directory(globus_sandbox: GlobusSandbox, hook: GlobusHook, collection: str) -> None:
    assert list(list_directory(hook, collection, "/", filter={"name": "none"})) == []
    assert len(asked(globus_sandbox)) == 1


def test_the_next_page_is_asked_for_when_it_is_wanted(
    globus_sandbox: GlobusSandbox, hook: GlobusHook, collection: str
) -> None:
    entries = list_directory(hook, collection, "/", page_size=2)
    next(entries), next(entries)
    assert len(asked(globus_sandbox)) == 1
    next(entries)
    assert len(asked(globus_sandbox)) == 2


def test_a_page_that_was_read_is_let_go(hook: GlobusHook, collection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import gc
    import weakref

    class Page(list[Any]):
        """A list that can be watched."""

    pages: list[weakref.ref[Page]] = []
    alive: list[int] = []
    call = hook.call

    def watched(*args: Any, **kwargs: Any) -> dict[str, Any]:
        gc.collect()
        alive.append(sum(page() is not None for page in pages))
        answer = call(*args, **kwargs)
        page = answer["DATA"] = Page(answer["DATA"])
        pages.append(weakref.ref(page))
        return answer

    monkeypatch.setattr(hook, "call", watched)
    for _ in list_directory(hook, collection, "/", page_size=2):
        pass
    assert alive == [0, 0, 0, 0]


def test_a_walk_names_directories_before_what_they_hold(hook: GlobusHook, collection: str) -> None:
    walked = [relative for relative, _ in walk(hook, collection, "/", orderby="name", page_size=1)]
    assert walked == [".hidden", "d", *NAMES, "d/deep", "d/g", "d/deep/h"]
    assert [relative for relative, _ in walk(hook, collection, "/d")] == ["deep", "g", "deep/h"]


def test_a_directory_that_globus_does_not_list(
    globus_sandbox: GlobusSandbox, hook: GlobusHook, collection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operation_routes, "LISTING_LIMIT", 3)
    with pytest.raises(GlobusBadRequestError, match=r"no directory of more than 100,000 entries") as refused:
        list(list_directory(hook, collection, "/", page_size=2))
    assert refused.value.code == "ExternalError.DirListingFailed.SizeLimit"
    assert (refused.value.status, bool(refused.value.request_id)) == (502, True)
    with pytest.raises(GlobusBadRequestError, match="NotDirectory") as other:
        list(list_directory(hook, collection, "/f1", page_size=2))
    assert "100,000" not in str(other.value)


@pytest.mark.parametrize(
    ("arguments", "limits"),
    [({"limit": 3, "truncate": True}, ["4"]), ({"limit": 8}, ["9"]), ({"limit": 10_000}, ["10001"])],
)
def test_a_list_asks_for_no_more_than_it_returns(
    globus_sandbox: GlobusSandbox, context: TaskContext, lab: CollectionFolder, arguments: dict[str, Any], limits: Any
) -> None:
    operator = GlobusListOperator(task_id="t", collection="lab", path="/", **arguments)
    assert len(operator.execute(context)) == min(arguments["limit"], 8)
    assert [query["limit"] for query in asked(globus_sandbox)] == [limits]


def test_a_recursive_list_with_a_filter_lists_each_directory_once(
    globus_sandbox: GlobusSandbox, context: TaskContext, lab: CollectionFolder
) -> None:
    operator = GlobusListOperator(
        task_id="t", collection="lab", path="/", recursive=True, filter={"name": "~[gh]"}, orderby="name"
    )
    assert [entry["path"] for entry in operator.execute(context)] == ["/d/g", "/d/deep/h"]
    assert [query["path"] for query in asked(globus_sandbox)] == [["/"], ["/d"], ["/d/deep"]]
