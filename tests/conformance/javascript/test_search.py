"""Search through `@globus/sdk`: indexes, records, queries, roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import globus_sdk
from globus_sdk.scopes import SearchScopes

if TYPE_CHECKING:
    from tests.conformance.javascript.sdk import JavaScriptSdk


def test_an_index_from_its_making_to_its_end(js: JavaScriptSdk, app: globus_sdk.ClientApp) -> None:
    search = globus_sdk.SearchClient(app=app)
    search.add_app_scope(SearchScopes.all)
    made = js.call("search.index.create", payload={"display_name": "Scans", "description": "All of them"})
    index = made["id"]
    # This one function sends no token.
    assert js.call("search.index.get", index) == {**search.get_index(index).data, "permissions": []}
    assert js.call("search.index.getAll") == search.index_list().data
    role = {"role_name": "writer", "principal": f"urn:globus:auth:identity:{js.sandbox.add_identity('a@b.org').id}"}
    role_id = js.call("search.index.roles.create", index, payload=role)["id"]
    assert js.call("search.index.roles.getAll", index) == search.get_role_list(index).data
    assert js.call("search.index.roles.remove", {"index_id": index, "role_id": role_id})["success"] is True
    assert js.call("search.index.remove", index)["acknowledged"] is True
    assert js.call("search.index.get", index)["status"] == "delete_pending"
    assert js.call("search.index.reopen", index)["acknowledged"] is True


def test_records_are_put_in_and_found(js: JavaScriptSdk, app: globus_sdk.ClientApp) -> None:
    search, index = globus_sdk.SearchClient(app=app), js.sandbox.add_search_index("catalogue").id
    records = [
        {"subject": f"scan_{year}", "visible_to": ["public"], "content": {"year": year, "title": "Foraminifera"}}
        for year in (2024, 2025)
    ]
    document: dict[str, Any] = {"ingest_type": "GMetaList", "ingest_data": {"gmeta": records}}
    assert js.call("search.index.ingest", index, payload=document)["acknowledged"] is True
    found = js.call("search.query.get", index, query={"q": "foraminifera", "limit": 5})
    assert found == search.search(index, "foraminifera", limit=5).data
    assert {item["subject"] for item in found["gmeta"]} == {"scan_2024", "scan_2025"}
    query = {
        "q": "*",
        "filters": [{"type": "range", "field_name": "year", "values": [{"from": 2025, "to": 2030}]}],
        "facets": [{"name": "Years", "type": "terms", "field_name": "year"}],
    }
    narrow = js.call("search.query.post", index, payload=query)
    assert narrow == search.post_search(index, query).data
    assert [item["subject"] for item in narrow["gmeta"]] == ["scan_2025"]
    assert narrow["facet_results"][0]["name"] == "Years"
    subject = {"subject": "scan_2024"}
    assert js.call("search.subject.get", index, query=subject) == search.get_subject(index, "scan_2024").data
    assert js.call("search.entry.get", index, query=subject) == search.get_entry(index, "scan_2024").data
    status, error = js.refused("search.subject.get", index, query={"subject": "scan_1900"})
    assert status == 404
    assert js.value("errors.isErrorWellFormed", error)
