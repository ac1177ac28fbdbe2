"""Publishing: what the page's DAGs put into the index, who finds it, and what the page's errors are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.exceptions import GlobusError
from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.operators.search import GlobusSearchIngestOperator, GlobusSearchQueryOperator
from tests.unit.conftest import Attempt

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.docs.page import Page

SUBJECT = "https://data.example.org/forams_2026"
TITLE = "Foraminifera, synchrotron tomography"


def test_publish_and_find_datasets(
    page: Page, globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory
) -> None:
    globus_collection("staging", files={f"{name}/{n}.tif": "…" for name in ("forams_2026", "diatoms") for n in "ab"})
    repository = globus_collection("repository")
    published = globus_collection("published", host=repository, base_path="/published")
    index = globus_sandbox.add_search_index("Institute catalogue", alias="catalogue")

    def find(q: str, **more: Any) -> list[dict[str, Any]]:
        answer = GlobusHook().search_client().post_search(index.id, {"q": q, **more})
        return [entry["content"] for result in answer["gmeta"] for entry in result["entries"]]

    page.run(until='DAG("catalogue_all"')
    assert sorted(path.name for path in (published.folder / "forams_2026").iterdir()) == ["a.tif", "b.tif"]
    (rule,) = globus_sandbox.world.transfer.collections[published.id].rules.values()
    assert (rule.path, rule.principal_type) == ("/forams_2026/", "all_authenticated_users")
    (record,) = find("*")
    assert record == {"title": TITLE, "creators": ["Ada Lovelace"], "published": page.ds, "files": 2}
    ingested = page.results("publish")["catalogued"]
    assert ingested == {"index_id": index.id, "subjects": [SUBJECT], "count": 1}

    page.run_dag("publish", {"title": f"{TITLE}, revised"})
    assert [found["title"] for found in find("*")] == [f"{TITLE}, revised"], "the same subject is the same record"
    page.run_dag("publish", {"dataset": "diatoms", "title": "Diatoms", "creators": ["Ben Example"]})
    page.run_dag("publish", {"dataset": "forams_2026", "title": TITLE, "creators": ["Ada Lovelace"]})

    page.run()
    assert page.results("catalogue_all")["ingested"]["count"] == 2
    assert sorted(found["title"] for found in find("*")) == ["Diatoms", TITLE, "diatoms", "forams_2026"]
    assert page.results("find")["titles"] == [TITLE]
    assert page.results("find")["found"]["total"] == 1
    (advanced,) = find(f"title:foram* AND published:{page.ds}", advanced=True)
    assert advanced["title"] == TITLE
    page.run_dag("find", {"words": "nothing of that name"}, ends="failed")


def ingest(**changes: Any) -> GlobusSearchIngestOperator:
    arguments: dict[str, Any] = {"task_id": "catalogued", "index": "catalogue", "subject": "s", "content": {"a": 1}}
    return GlobusSearchIngestOperator(**arguments | changes)


@pytest.mark.parametrize(
    ("operator", "said"),
    [
        (ingest(index="catalog"), "No Search indexes that this identity can see are named 'catalog'"),
        (ingest(visible_to=[]), "the record is visible to nobody"),
        (ingest(subject=None, entries=[{"subject": "s"}]), r"entries\[0\] needs a subject and a dict as content"),
        (ingest(content={"a": object()}), "the record cannot be written as JSON"),
        (ingest(index="theirs"), "putting 1 records into the Search index .*403"),
        (
            GlobusSearchQueryOperator(task_id="found", index="catalogue", q="dodo", fail_when_empty=True),
            "Nothing in the Search index 'catalogue' matches 'dodo'",
        ),
    ],
)
def test_what_can_go_wrong(globus_sandbox: GlobusSandbox, operator: Any, said: str) -> None:
    globus_sandbox.add_search_index("catalogue")
    globus_sandbox.add_identity("somebody@example.edu")
    globus_sandbox.add_search_index("theirs", owner="somebody@example.edu")
    with pytest.raises(GlobusError, match=said):
        operator.execute(Attempt())
