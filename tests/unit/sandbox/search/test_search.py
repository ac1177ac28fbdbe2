"""The Search service, with the SDK's own client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import AccessTokenAuthorizer, SearchAPIError, SearchClient, SearchQueryV1
from globus_sdk.scopes import SearchScopes
from globus_sdk.transport import RetryConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox import GlobusSandbox

RECORDS: dict[str, dict[str, Any]] = {
    "scan_1": {"title": "Foraminifera shell", "year": 2024, "tags": ["ct", "marine"], "owner": {"name": "Ada"}},
    "scan_2": {"title": "Diatom frustule", "year": 2025, "tags": ["ct"], "path": "/data/scan_2/raw.h5"},
    "scan_3": {"title": "Foraminifera test chamber", "year": 2026, "tags": ["sem"], "public": True},
}


@pytest.fixture
def client(globus_sandbox: GlobusSandbox) -> SearchClient:
    return client_of(globus_sandbox, globus_sandbox.client_id)


def client_of(sandbox: GlobusSandbox, identity_id: str | None, *names: str) -> SearchClient:
    """A client of an identity; None has no token."""
    retries = RetryConfig(max_retries=0)
    if identity_id is None:
        return SearchClient(retry_config=retries)
    token = sandbox.world.auth.issue(
        identity_id=identity_id,
        client_id=sandbox.client_id,
        resource_server="search.api.globus.org",
        scopes=[getattr(SearchScopes, name) for name in names or ("all",)],
    )
    return SearchClient(authorizer=AccessTokenAuthorizer(token.value), retry_config=retries)


@pytest.fixture
def index(globus_sandbox: GlobusSandbox, client: SearchClient) -> str:
    index = globus_sandbox.add_search_index("catalogue")
    put(client, index.id, RECORDS)
    return index.id


def put(client: SearchClient, index: str, records: dict[str, dict[str, Any]], visible_to: str = "public") -> Any:
    gmeta = [{"subject": s, "content": c, "visible_to": [visible_to]} for s, c in records.items()]
    return client.ingest(index, {"ingest_type": "GMetaList", "ingest_data": {"gmeta": gmeta}})


def subjects(answer: Any) -> list[str]:
    return [result["subject"] for result in answer["gmeta"]]


def test_an_index_from_its_making_to_its_end(client: SearchClient) -> None:
    made = client.create_index("Awesome", "so awesome")
    index = made["id"]
    assert client.get_index(index)["description"] == "so awesome"
    assert client.update_index(index, display_name="Renamed")["display_name"] == "Renamed"
    (listed,) = client.index_list()
    assert (listed["id"], listed["permissions"]) == (index, ["owner"])
    assert client.delete_index(index).data == {"index_id": index, "acknowledged": True}
    with pytest.raises(SearchAPIError) as raised:
        client.delete_index(index)
    error = raised.value
    assert (error.http_status, error.code) == (409, "Conflict.IncompatibleIndexStatus")
    assert error.message == "Index status (delete_pending) did not match required status for this operation: open"
    with pytest.raises(SearchAPIError):
        client.search(index, "x")
    assert client.reopen_index(index)["acknowledged"]
    with pytest.raises(SearchAPIError, match="409"):
        client.reopen_index(index)


def test_an_unknown_index(client: SearchClient, globus_sandbox: GlobusSandbox) -> None:
    for index in (globus_sandbox.client_id, "nonsense"):
        with pytest.raises(SearchAPIError) as raised:
            client.get_index(index)
        assert (raised.value.http_status, raised.value.code) == (404, "NotFound.NoSuchIndex")


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("*", ["scan_1", "scan_2", "scan_3"]),
        ("foraminifera", ["scan_1", "scan_3"]),
        ("FORAMINIFERA shell", ["scan_1"]),
        ('"foraminifera test"', ["scan_3"]),
        ('"test foraminifera"', []),
        ("foram*", ["scan_1", "scan_3"]),
        ("foram", []),
        ("2025", ["scan_2"]),
        ("ada", ["scan_1"]),
        ("scan_2", ["scan_2"]),
        ("/data/scan_2/raw.h5", ["scan_2"]),
        ("title:diatom", []),
    ],
)
def test_words_and_phrases(q: str, found: list[str], client: SearchClient, index: str) -> None:
    assert subjects(client.search(index, q)) == found


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("title:diatom", ["scan_2"]),
        ("title:Diatom AND year:2025", ["scan_2"]),
        ("diatom OR shell", ["scan_1", "scan_2"]),
        ("foraminifera NOT shell", ["scan_3"]),
        ("NOT foraminifera", ["scan_2"]),
        ("(diatom OR shell) AND tags:marine", ["scan_1"]),
        ("diatom OR shell AND marine", ["scan_1", "scan_2"]),
        ('title:"test chamber"', ["scan_3"]),
        ("tags:c*", ["scan_1", "scan_2"]),
        ("owner.name:ada", ["scan_1"]),
        ("public:true", ["scan_3"]),
    ],
)
def test_the_advanced_language(q: str, found: list[str], client: SearchClient, index: str) -> None:
    assert subjects(client.search(index, q, advanced=True)) == found


@pytest.mark.parametrize("q", ["(a", "a)", "AND", "a OR", "NOT"])
def test_queries_that_cannot_be_read(q: str, client: SearchClient, index: str) -> None:
    with pytest.raises(SearchAPIError, match="400"):
        client.search(index, q, advanced=True)


@pytest.mark.parametrize(
    ("item", "found"),
    [
        ({"type": "match_any", "field_name": "tags", "values": ["sem", "marine"]}, ["scan_1", "scan_3"]),
        ({"type": "match_all", "field_name": "tags", "values": ["ct", "marine"]}, ["scan_1"]),
        ({"type": "range", "field_name": "year", "values": [{"from": 2025, "to": "*"}]}, ["scan_2", "scan_3"]),
        ({"type": "range", "field_name": "year", "values": [{"from_exclusive": 2025}]}, ["scan_3"]),
        ({"type": "range", "field_name": "title", "values": [{"from": 1}]}, []),
        ({"type": "exists", "field_name": "owner.name"}, ["scan_1"]),
        ({"type": "like", "field_name": "title", "value": "*shell"}, ["scan_1"]),
        ({"type": "not", "filter": {"type": "exists", "field_name": "path"}}, ["scan_1", "scan_3"]),
        (
            {
                "type": "or",
                "filters": [
                    {"type": "exists", "field_name": "path"},
                    {"type": "match_any", "field_name": "public", "values": [True]},
                ],
            },
            ["scan_2", "scan_3"],
        ),
        (
            {
                "type": "and",
                "filters": [
                    {"type": "exists", "field_name": "path"},
                    {"type": "match_any", "field_name": "public", "values": [True]},
                ],
            },
            [],
        ),
    ],
)
def test_filters(item: dict[str, Any], found: list[str], client: SearchClient, index: str) -> None:
    assert subjects(client.post_search(index, {"q": "*", "filters": [item]})) == found


@pytest.mark.parametrize(
    ("item", "status"),
    [({"type": "geo_bounding_box", "field_name": "x", "values": [1]}, 501), ({"field_name": "x"}, 400), ("x", 400)],
)
def test_filters_that_are_not_served(item: Any, status: int, client: SearchClient, index: str) -> None:
    with pytest.raises(SearchAPIError) as raised:
        client.post_search(index, {"q": "*", "filters": [item]})
    assert raised.value.http_status == status


def test_facets_and_sorting(client: SearchClient, index: str) -> None:
    query = SearchQueryV1(q="*")
    query["sort"] = [{"field_name": "year", "order": "desc"}]
    query["facets"] = [
        {"name": "tags", "type": "terms", "field_name": "tags", "size": 1},
        {"name": "sum", "type": "sum", "field_name": "year"},
        {"name": "avg", "type": "avg", "field_name": "year"},
        {"name": "count", "type": "value_count", "field_name": "tags"},
    ]
    answer = client.post_search(index, query)
    assert subjects(answer) == ["scan_3", "scan_2", "scan_1"]
    tags, total, average, count = answer["facet_results"]
    assert [(bucket["value"], bucket["count"]) for bucket in tags["buckets"]] == [("ct", 2)]
    assert (total["value"], average["value"], count["value"]) == (6075.0, 2025.0, 4)
    with pytest.raises(SearchAPIError, match="501"):
        client.post_search(index, {"q": "*", "facets": [{"type": "date_histogram", "field_name": "year"}]})


def test_pages(client: SearchClient, index: str) -> None:
    first = client.search(index, "*", limit=2)
    assert (first["count"], first["total"], first["has_next_page"]) == (2, 3, True)
    last = client.search(index, "*", limit=2, offset=2)
    assert (subjects(last), last["has_next_page"]) == (["scan_3"], False)
    scrolled = [subjects(page) for page in client.paginated.scroll(index, {"q": "*", "limit": 2})]
    assert scrolled == [["scan_1", "scan_2"], ["scan_3"]]
    for query in ({"offset": 9999, "limit": 2}, {"limit": "x"}):
        with pytest.raises(SearchAPIError, match="400"):
            client.post_search(index, {"q": "*", **query})


def test_entries_are_replaced_by_subject_and_id(client: SearchClient, index: str) -> None:
    for entry_id, content in (("a", {"n": 1}), ("b", {"n": 2}), ("a", {"n": 3})):
        entry = {"subject": "s", "id": entry_id, "content": content, "visible_to": ["public"]}
        client.ingest(index, {"ingest_type": "GMetaEntry", "ingest_data": entry})
    found = client.get_subject(index, "s")
    assert [(entry["entry_id"], entry["content"]) for entry in found["entries"]] == [("a", {"n": 3}), ("b", {"n": 2})]
    assert client.get_entry(index, "s", entry_id="b")["entries"][0]["content"] == {"n": 2}
    client.delete_entry(index, "s", entry_id="a")
    assert len(client.get_subject(index, "s")["entries"]) == 1
    client.delete_subject(index, "s")
    with pytest.raises(SearchAPIError) as raised:
        client.get_subject(index, "s")
    assert raised.value.http_status == 404


def test_many_are_taken_out(client: SearchClient, index: str) -> None:
    client.batch_delete_by_subject(index, ["scan_1"])
    assert subjects(client.search(index, "*")) == ["scan_2", "scan_3"]
    client.delete_by_query(index, {"q": "diatom"})
    assert subjects(client.search(index, "*")) == ["scan_3"]


def test_tasks_end_by_the_sandbox_clock(globus_sandbox: GlobusSandbox, client: SearchClient, index: str) -> None:
    globus_sandbox.settings.search_task_seconds = 60
    task_id = put(client, index, {"late": {"n": 1}})["task_id"]
    task = client.get_task(task_id)
    assert (task["state"], task["index_id"], task["completion_date"]) == ("PENDING", index, None)
    assert subjects(client.search(index, "late")) == []
    globus_sandbox.clock.advance(61)
    assert client.get_task(task_id)["state"] == "SUCCESS"
    assert subjects(client.search(index, "late")) == ["late"]
    assert client.get_task_list(index)["tasks"][0]["task_id"] == task_id
    with pytest.raises(SearchAPIError, match="404"):
        client.get_task(index)


def test_who_sees_what(globus_sandbox: GlobusSandbox, client: SearchClient, index: str) -> None:
    ada, bob = (globus_sandbox.add_identity(f"{name}@example.edu") for name in ("ada", "bob"))
    group = globus_sandbox.add_group("readers", members=[bob.id]).id
    for name, principal in (
        ("mine", f"urn:globus:auth:identity:{ada.id}"),
        ("groups", f"urn:globus:groups:id:{group}"),
        ("members", "all_authenticated_users"),
    ):
        put(client, index, {name: {"kind": "restricted"}}, principal)
    for identity, found in ((ada.id, ["members", "mine"]), (bob.id, ["groups", "members"]), (None, [])):
        seen = client_of(globus_sandbox, identity)
        assert subjects(seen.search(index, "restricted")) == found
    with pytest.raises(SearchAPIError, match="404"):
        client_of(globus_sandbox, bob.id).get_subject(index, "mine")
    assert client_of(globus_sandbox, None).get_subject(index, "scan_1")["subject"] == "scan_1"


def test_who_may_do_what(globus_sandbox: GlobusSandbox, client: SearchClient, index: str) -> None:
    ada = globus_sandbox.add_identity("ada@example.edu")
    hers = client_of(globus_sandbox, ada.id)
    with pytest.raises(SearchAPIError) as raised:
        put(hers, index, RECORDS)
    assert (raised.value.http_status, raised.value.code) == (403, "Forbidden.Generic")
    assert raised.value.error_data is not None
    assert "proper roles" in raised.value.error_data["cause"]
    role = client.create_role(index, {"role_name": "writer", "principal": f"urn:globus:auth:identity:{ada.id}"})
    put(hers, index, {"hers": {}})
    assert hers.index_list()["index_list"][0]["permissions"] == ["writer"]
    assert hers.get_index(index)["permissions"] == ["writer"]
    assert client_of(globus_sandbox, None).get_index(index)["permissions"] == []
    assert [r["role_name"] for r in client.get_role_list(index)["role_list"]] == ["owner", "writer"]
    calls: tuple[Callable[[], Any], ...] = (
        lambda: hers.delete_index(index),
        lambda: hers.update_index(index, description="x"),
        lambda: hers.get_role_list(index),
        lambda: hers.delete_by_query(index, {"q": "*"}),
    )
    for call in calls:
        with pytest.raises(SearchAPIError, match="403"):
            call()
    assert client.delete_role(index, role["id"])["success"]
    with pytest.raises(SearchAPIError, match="403"):
        put(hers, index, RECORDS)
    with pytest.raises(SearchAPIError, match="400"):
        client.create_role(index, {"role_name": "king", "principal": f"urn:globus:auth:identity:{ada.id}"})


def test_scopes_are_asked_for(globus_sandbox: GlobusSandbox, index: str) -> None:
    reader = client_of(globus_sandbox, globus_sandbox.client_id, "search")
    assert subjects(reader.search(index, "diatom")) == ["scan_2"]
    with pytest.raises(SearchAPIError, match="403"):
        put(reader, index, RECORDS)
    put(client_of(globus_sandbox, globus_sandbox.client_id, "ingest"), index, RECORDS)
    with pytest.raises(SearchAPIError, match="401"):
        put(client_of(globus_sandbox, None), index, RECORDS)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"ingest_type": "GMetaList", "ingest_data": {"gmeta": []}},
        {"ingest_type": "GMetaBag", "ingest_data": {}},
        {"ingest_type": "GMetaEntry", "ingest_data": {"subject": "s", "content": {}}},
        {"ingest_type": "GMetaEntry", "ingest_data": {"subject": "s", "content": [], "visible_to": ["public"]}},
        {"ingest_type": "GMetaEntry", "ingest_data": {"content": {}, "visible_to": ["public"]}},
        {"ingest_type": "GMetaEntry", "ingest_data": {"subject": "s", "content": {}, "visible_to": ["everybody"]}},
    ],
)
def test_bad_records(document: dict[str, Any], client: SearchClient, index: str) -> None:
    with pytest.raises(SearchAPIError, match="400"):
        client.ingest(index, document)
    assert client.search(index, "*")["total"] == 3


def test_a_reset_keeps_what_was_marked(globus_sandbox: GlobusSandbox) -> None:
    from airflow_provider_globus.sandbox.world import World

    world = World()
    index = world.search.add_index("kept")
    world.mark()
    world.search.add_index("not kept")
    world.reset()
    assert [kept.id for kept in world.search.indexes.values()] == [index.id]
    world.close()
