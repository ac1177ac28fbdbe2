"""Bookmarks, in both versions of the API: `/v0.10/bookmark…` and, as JSON:API documents, `/v2/bookmarks…`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.service import Answer, Basis, Route
from airflow_provider_globus.sandbox.transfer.documents import result
from airflow_provider_globus.sandbox.transfer.errors import bad_request

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_globus.sandbox.service import ServiceRequest
    from airflow_provider_globus.sandbox.transfer.bookmarks import Bookmark

_COLLECTION = "Collection"
_FIXED = ("DATA_TYPE", "id", "endpoint_id", "path")


def _mine(request: ServiceRequest) -> Bookmark:
    bookmarks = request.world.transfer.bookmarks
    return bookmarks.get(request.caller.identity_id, request.path_params["bookmark_id"])


# Version 0.10


def _document(bookmark: Bookmark) -> dict[str, Any]:
    return {
        "DATA_TYPE": "bookmark",
        "id": bookmark.id,
        "name": bookmark.name,
        "endpoint_id": bookmark.collection_id,
        "path": bookmark.path,
        "pinned": bookmark.pinned,
    }


def list_bookmarks(request: ServiceRequest) -> Answer:
    """`GET /bookmark_list`: all of the caller's."""
    found = request.world.transfer.bookmarks.of(request.caller.identity_id)
    return Answer({"DATA_TYPE": "bookmark_list", "DATA": [_document(item) for item in found]})


def create_bookmark(request: ServiceRequest) -> Answer:
    """`POST /bookmark`, which answers with the bookmark."""
    document, state = request.json(), request.world.transfer
    collection = state.collection(_text(document, "endpoint_id"))
    path = _text(document, "path")
    if not path.endswith("/"):
        raise bad_request(f"Field 'path' must end with '/', got '{path}'")
    made = state.bookmarks.add(
        request.caller.identity_id, collection.id, document.get("name"), path, document.get("pinned", False)
    )
    return Answer(_document(made), status=201)


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise bad_request(f"Missing required field '{name}'")
    return value


def get_bookmark(request: ServiceRequest) -> Answer:
    """`GET /bookmark/<id>`."""
    return Answer(_document(_mine(request)))


def update_bookmark(request: ServiceRequest) -> Answer:
    """`PUT /bookmark/<id>`, which answers with the bookmark; where it leads to cannot be changed."""
    bookmark, document = _mine(request), request.json()
    same = _document(bookmark)
    for name, value in document.items():
        if name not in same or (name in _FIXED and value != same[name]):
            raise bad_request(f"Field '{name}' cannot be changed")
    changes = {name: value for name, value in document.items() if name not in _FIXED}
    return Answer(_document(request.world.transfer.bookmarks.change(bookmark, **changes)))


def delete_bookmark(request: ServiceRequest) -> Answer:
    """`DELETE /bookmark/<id>`."""
    bookmark = _mine(request)
    request.world.transfer.bookmarks.remove(bookmark)
    message = f"Bookmark '{bookmark.id}' deleted successfully"
    return Answer(result("Deleted", message, request.request_id, request.path))


# Version 2


def _resource(bookmark: Bookmark) -> dict[str, Any]:
    return {
        "type": "Bookmark",
        "id": bookmark.id,
        "attributes": {"name": bookmark.name, "path": bookmark.path, "pinned": bookmark.pinned},
        "relationships": {"collection": {"data": {"type": _COLLECTION, "id": bookmark.collection_id}}},
    }


def _answer(request: ServiceRequest, data: Any, shown: Iterable[Bookmark] = (), status: int = 200) -> Answer:
    """Return resources and, when asked for, the collections that they are of."""
    included = request.query.get("include")
    if included not in (None, "", "collection"):
        raise bad_request(f"Cannot include '{included}'; a bookmark has a collection")
    document: dict[str, Any] = {"data": data, "meta": {"request_id": request.request_id}}
    if included:
        known = request.world.transfer.collections
        wanted = dict.fromkeys(item.collection_id for item in shown)
        document["included"] = [
            {
                "type": _COLLECTION,
                "id": item.id,
                "attributes": {"display_name": item.name, "high_assurance": item.high_assurance},
            }
            for item in (known.get(collection_id) for collection_id in wanted)
            if item is not None
        ]
    return Answer(document, status)


def _sent(request: ServiceRequest) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the attributes and the relationships of the resource that was sent."""
    data = request.json().get("data")
    parts = [data.get(name, {}) for name in ("attributes", "relationships")] if isinstance(data, dict) else []
    if not isinstance(data, dict) or data.get("type") != "Bookmark" or not all(isinstance(x, dict) for x in parts):
        raise bad_request("'data' must be a resource of the type 'Bookmark'")
    if unknown := set(parts[0]) - {"name", "path", "pinned"}:
        raise bad_request(f"A bookmark has no attribute '{min(unknown)}'")
    return parts[0], parts[1]


def list_resources(request: ServiceRequest) -> Answer:
    """`GET /v2/bookmarks`: all of the caller's."""
    found = request.world.transfer.bookmarks.of(request.caller.identity_id)
    return _answer(request, [_resource(item) for item in found], found)


def create_resource(request: ServiceRequest) -> Answer:
    """`POST /v2/bookmarks`."""
    attributes, relationships = _sent(request)
    try:
        collection_id = relationships["collection"]["data"]["id"]
    except (KeyError, TypeError):
        raise bad_request("A bookmark needs the relationship 'collection'") from None
    state = request.world.transfer
    collection = state.collection(str(collection_id))
    name, path, pinned = attributes.get("name"), attributes.get("path"), attributes.get("pinned", False)
    made = state.bookmarks.add(request.caller.identity_id, collection.id, name, path, pinned)
    return _answer(request, _resource(made), [made], status=201)


def get_resource(request: ServiceRequest) -> Answer:
    """`GET /v2/bookmarks/<id>`."""
    bookmark = _mine(request)
    return _answer(request, _resource(bookmark), [bookmark])


def update_resource(request: ServiceRequest) -> Answer:
    """`PATCH /v2/bookmarks/<id>`: name, path and whether it is pinned."""
    bookmark = _mine(request)
    attributes, relationships = _sent(request)
    if relationships:
        raise bad_request("The collection of a bookmark cannot be changed")
    changed = request.world.transfer.bookmarks.change(bookmark, **attributes)
    return _answer(request, _resource(changed), [changed])


def delete_resource(request: ServiceRequest) -> Answer:
    """`DELETE /v2/bookmarks/<id>`."""
    request.world.transfer.bookmarks.remove(_mine(request))
    return Answer({"meta": {"request_id": request.request_id}})


_ONE = "/v0.10/bookmark/{bookmark_id}"
_RESOURCE = "/v2/bookmarks/{bookmark_id}"
ROUTES = (
    Route("GET", "/v0.10/bookmark_list", list_bookmarks, basis=Basis.QUOTED),
    Route("POST", "/v0.10/bookmark", create_bookmark, basis=Basis.QUOTED),
    Route("GET", _ONE, get_bookmark, basis=Basis.QUOTED),
    Route("PUT", _ONE, update_bookmark, basis=Basis.QUOTED),
    Route("DELETE", _ONE, delete_bookmark, basis=Basis.QUOTED),
    Route("GET", "/v2/bookmarks", list_resources, basis=Basis.RECORDED),
    Route("POST", "/v2/bookmarks", create_resource, basis=Basis.RECORDED),
    Route("GET", _RESOURCE, get_resource, basis=Basis.RECORDED),
    Route("PATCH", _RESOURCE, update_resource, basis=Basis.RECORDED),
    Route("DELETE", _RESOURCE, delete_resource, basis=Basis.RECORDED),
)
