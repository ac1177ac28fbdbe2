"""What the Search service documents of roles, visibility and whole subjects, with the SDK's own client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import SearchAPIError, SearchClient

from tests.unit.sandbox.search.test_search import client, client_of, index, put, subjects

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox import GlobusSandbox

__all__ = ["client", "index"]


def refused(status: int, call: Any) -> SearchAPIError:
    with pytest.raises(SearchAPIError) as raised:
        call()
    assert raised.value.http_status == status
    return raised.value


@pytest.fixture
def writer(globus_sandbox: GlobusSandbox, client: SearchClient, index: str) -> SearchClient:
    ada = globus_sandbox.add_identity("ada@example.edu")
    client.create_role(index, {"role_name": "writer", "principal": f"urn:globus:auth:identity:{ada.id}"})
    return client_of(globus_sandbox, ada.id)


def test_anybody_may_scroll_through_what_is_public(
    globus_sandbox: GlobusSandbox, client: SearchClient, index: str
) -> None:
    put(client, index, {"hidden": {}}, "all_authenticated_users")
    anonymous = client_of(globus_sandbox, None)
    assert subjects(anonymous.scroll(index, {"q": "*"})) == ["scan_1", "scan_2", "scan_3"]
    assert "hidden" in subjects(client.scroll(index, {"q": "*"}))


def test_deletion_by_query_is_for_owners_and_admins(client: SearchClient, writer: SearchClient, index: str) -> None:
    assert refused(403, lambda: writer.delete_by_query(index, {"q": "*"})).code == "Forbidden.Generic"
    assert client.search(index, "*")["total"] == 3
    writer.delete_subject(index, "scan_1")
    assert subjects(client.search(index, "*")) == ["scan_2", "scan_3"]


def test_deletion_by_query_takes_whole_subjects(client: SearchClient, index: str) -> None:
    for entry_id, word in (("a", "coral"), ("b", "sponge")):
        entry = {"subject": "reef", "id": entry_id, "content": {"what": word}, "visible_to": ["public"]}
        client.ingest(index, {"ingest_type": "GMetaEntry", "ingest_data": entry})
    client.delete_by_query(index, {"q": "coral", "limit": 1, "sort": [{"field_name": "what"}]})
    refused(404, lambda: client.get_entry(index, "reef", entry_id="b"))
    assert client.search(index, "*")["total"] == 3


@pytest.mark.parametrize("query", [{}, {"limit": 3}, {"filters": []}])
def test_a_query_asks_for_something(query: dict[str, Any], client: SearchClient, index: str) -> None:
    refused(400, lambda: client.post_search(index, query))
    refused(400, lambda: client.delete_by_query(index, query))
    assert client.search(index, "*")["total"] == 3


def test_filters_are_enough_of_a_query(client: SearchClient, index: str) -> None:
    filters = [{"type": "match_any", "field_name": "tags", "values": ["sem"]}]
    assert subjects(client.post_search(index, {"filters": filters})) == ["scan_3"]


@pytest.mark.parametrize(
    "more",
    [
        {"boosts": [{"field_name": "title", "factor": 2}]},
        {"filter_principal_sets": ["managers"]},
        {"query_template": "mine"},
        {"result_format_version": "2017-09-01"},
    ],
)
def test_what_changes_results_and_is_not_served_says_so(more: dict[str, Any], client: SearchClient, index: str) -> None:
    refused(501, lambda: client.post_search(index, {"q": "*", **more}))
    if "result_format_version" not in more:
        refused(501, lambda: client.delete_by_query(index, {"q": "*", **more}))
    assert client.search(index, "*")["total"] == 3


def test_admins_may_see_all(
    globus_sandbox: GlobusSandbox, client: SearchClient, writer: SearchClient, index: str
) -> None:
    bob = globus_sandbox.add_identity("bob@example.edu")
    put(client, index, {"his": {"kind": "private"}}, f"urn:globus:auth:identity:{bob.id}")
    assert subjects(client.search(index, "private")) == []
    everything: dict[str, Any] = {"bypass_visible_to": "true"}
    assert subjects(client.search(index, "private", query_params=everything)) == ["his"]
    assert subjects(client.post_search(index, {"q": "private", "bypass_visible_to": True})) == ["his"]
    assert client.get_subject(index, "his", query_params=everything)["subject"] == "his"
    assert client.get_entry(index, "his", query_params=everything)["subject"] == "his"
    refused(403, lambda: writer.search(index, "private", query_params=everything))
    refused(403, lambda: writer.get_subject(index, "his", query_params=everything))
    anonymous = client_of(globus_sandbox, None)
    assert subjects(anonymous.search(index, "private", query_params=everything)) == []


def test_filters_after_facets(client: SearchClient, index: str) -> None:
    answer = client.post_search(
        index,
        {
            "q": "*",
            "facets": [{"name": "tags", "type": "terms", "field_name": "tags"}],
            "post_facet_filters": [{"type": "match_any", "field_name": "tags", "values": ["sem"]}],
        },
    )
    assert (subjects(answer), answer["total"]) == (["scan_3"], 1)
    (facet,) = answer["facet_results"]
    assert (facet["@datatype"], facet["buckets"][0]["@datatype"]) == ("GFacetResult", "GBucket")
    assert {bucket["value"]: bucket["count"] for bucket in facet["buckets"]} == {"ct": 2, "marine": 1, "sem": 1}


@pytest.mark.parametrize("size", [0, "3", True])
def test_facets_have_a_size(size: Any, client: SearchClient, index: str) -> None:
    facet = {"type": "terms", "field_name": "tags", "size": size}
    refused(400, lambda: client.post_search(index, {"q": "*", "facets": [facet]}))


@pytest.mark.parametrize(
    "item",
    [
        {"type": "geo_bounding_box", "field_name": "where", "top_left": {}, "bottom_right": {}},
        {"type": "geo_shape", "field_name": "where", "shape": {}},
    ],
)
def test_places_are_not_served(item: dict[str, Any], client: SearchClient, index: str) -> None:
    refused(501, lambda: client.post_search(index, {"q": "*", "filters": [item]}))


@pytest.mark.parametrize("method", ["post", "put"])
def test_one_entry_is_put_in(method: str, client: SearchClient, writer: SearchClient, index: str) -> None:
    entry = {"subject": "one", "id": "x", "content": {"n": 1}, "visible_to": ["public"]}
    answer = getattr(writer, method)(f"/v1/index/{index}/entry", data=entry)
    assert client.get_task(answer["task_id"])["state"] == "SUCCESS"
    assert client.get_entry(index, "one", entry_id="x")["entries"][0]["content"] == {"n": 1}
    refused(400, lambda: getattr(client, method)(f"/v1/index/{index}/entry", data={"subject": "one"}))


def test_field_mappings(client: SearchClient, index: str) -> None:
    entry = {"subject": "one", "content": {"when": "2026-01-01"}, "visible_to": ["public"]}
    document = {"ingest_type": "GMetaEntry", "ingest_data": entry}
    client.ingest(index, {**document, "field_mapping": {"when": "date"}})
    assert client.get_subject(index, "one")["subject"] == "one"
    refused(400, lambda: client.ingest(index, {**document, "field_mapping": ["when"]}))


def test_too_much_at_once(client: SearchClient, index: str) -> None:
    refused(413, lambda: put(client, index, {"big": {"text": "x" * 10 * 1024 * 1024}}))
    refused(404, lambda: client.get_subject(index, "big"))


def test_codes_that_nothing_confirms_are_marked(client: SearchClient, index: str) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    calls: tuple[tuple[Callable[[], Any], bool], ...] = (
        (lambda: client.get_subject(index, "nothing"), True),
        (lambda: client.get_task(unknown), True),
        (lambda: client.get_index(unknown), False),
        (lambda: client.ingest(index, {}), False),
        (lambda: client.post_search(index, {"q": "x", "boosts": [1]}), False),
    )
    for call, marked in calls:
        with pytest.raises(SearchAPIError) as raised:
            call()
        assert ("X-Sandbox-Provisional" in raised.value.headers) == marked
