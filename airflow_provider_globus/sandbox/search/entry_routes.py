"""Entries: put in, found, taken out; and the tasks that do it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from airflow_provider_globus.sandbox.errors import NotServed, ServiceError
from airflow_provider_globus.sandbox.search import errors
from airflow_provider_globus.sandbox.search.access import (
    index_for,
    is_principal,
    require_role,
    roles_on,
    visible,
    with_scope,
)
from airflow_provider_globus.sandbox.search.models import Entry, Index, Key
from airflow_provider_globus.sandbox.search.query import compile_filters, compile_query, facets, sort_key
from airflow_provider_globus.sandbox.service import Answer, Basis, Route, ServiceRequest

INGEST_BYTES = 10 * 1024 * 1024
MOST_RESULTS = 10_000
_DEFAULT_LIMIT = 10
_MISSING = "Missing data for required field."
_VERSION = "2017-09-01"
_FORMAT = "2019-08-27"
# What would change which results there are, or their order, and is not done here.
_NOT_SERVED = ("boosts", "filter_principal_sets", "query_template")
_DELETES_BY = ("q", "advanced", "filters", "bypass_visible_to", *_NOT_SERVED)


# Putting in and taking out


def _ingest(request: ServiceRequest) -> Answer:
    index, document = _writable(request, "ingest"), _bounded_json(request)
    kind, data = document.get("ingest_type"), document.get("ingest_data")
    _check_field_mapping(document.get("field_mapping"))
    if kind not in ("GMetaEntry", "GMetaList"):
        raise errors.bad_request(_MISSING if kind is None else "Must be one of: GMetaEntry, GMetaList.", "ingest_type")
    if not isinstance(data, Mapping):
        raise errors.bad_request(_MISSING if data is None else "Must be an object.", "ingest_data")
    if kind == "GMetaEntry":
        answer = _put_in(request, index, [_entry(data, "ingest_data")])
    else:
        entries = data.get("gmeta")
        if not isinstance(entries, list) or not entries:
            raise errors.bad_request("Must be a list of at least one entry.", "ingest_data", "gmeta")
        where = ("ingest_data", "gmeta")
        answer = _put_in(request, index, [_entry(item, *where, str(number)) for number, item in enumerate(entries)])
    # Always 0: it is told before anything is put in.
    return Answer({**answer.body, "success": True, "num_documents_ingested": 0})


def _put_entry(request: ServiceRequest) -> Answer:
    """Put one entry in: an ingest of that alone."""
    return _put_in(request, _writable(request, "ingest"), [_entry(_bounded_json(request))])


def _bounded_json(request: ServiceRequest) -> dict[str, Any]:
    if len(request.body) > INGEST_BYTES:
        raise ServiceError(413, "RequestEntityTooLarge.Generic", f"{INGEST_BYTES:,} bytes are allowed at once")
    return request.json()


def _put_in(request: ServiceRequest, index: Index, entries: list[Entry]) -> Answer:
    task = request.world.search.submit(index, "ingest", puts=entries)
    return Answer({"acknowledged": True, "task_id": task.id})


def _check_field_mapping(mapping: Any) -> None:
    """Refuse what names no types; values are compared as they are, whatever type a field is given."""
    if mapping is None:
        return
    if not isinstance(mapping, Mapping) or not all(isinstance(kind, str) for kind in mapping.values()):
        raise errors.bad_request("Must be an object of field names and types.", "field_mapping")


def _entry(item: Any, *where: str) -> Entry:
    """Return a checked entry; `where` says where in the document it is."""
    if not isinstance(item, Mapping):
        raise errors.bad_request("Must be an object.", *where)
    for name in ("subject", "content", "visible_to"):
        if item.get(name) is None:
            raise errors.bad_request(_MISSING, *where, name)
    if not isinstance(item["subject"], str) or not item["subject"]:
        raise errors.bad_request("Must be text.", *where, "subject")
    if not isinstance(item["content"], Mapping):
        raise errors.bad_request("Must be an object.", *where, "content")
    seen_by = item["visible_to"]
    if not isinstance(seen_by, list) or not seen_by or not all(map(is_principal, seen_by)):
        raise errors.bad_request("Must be a list of URNs, or of 'public'.", *where, "visible_to")
    entry_id = item.get("id")
    return Entry(
        subject=item["subject"],
        entry_id=None if entry_id is None else str(entry_id),
        content=dict(item["content"]),
        visible_to=tuple(seen_by),
    )


def _writable(request: ServiceRequest, operation: str) -> Index:
    index = index_for(request.world.search, request.path_params["index_id"])
    require_role(request.world.search, request.caller, index, operation, "owner", "admin", "writer")
    return index


def _take_out(request: ServiceRequest, index: Index, kind: str, keys: Iterable[Key]) -> Answer:
    task = request.world.search.submit(index, kind, takes=keys)
    return Answer({"task_id": task.id})


def _delete_subject(request: ServiceRequest) -> Answer:
    index, subject = _writable(request, "delete_subject"), _parameter(request, "subject")
    keys = [key for key in list(index.entries) if key[0] == subject]
    return _take_out(request, index, "delete-by-subject", keys)


def _delete_entry(request: ServiceRequest) -> Answer:
    index, subject = _writable(request, "delete_entry"), _parameter(request, "subject")
    return _take_out(request, index, "delete-by-entry-id", [(subject, request.query.get("entry_id"))])


def _batch_delete(request: ServiceRequest) -> Answer:
    index, subjects = _writable(request, "batch_delete_by_subject"), request.json().get("subjects")
    if not isinstance(subjects, list) or not all(isinstance(subject, str) for subject in subjects):
        raise errors.bad_request("Must be a list of text.", "subjects")
    keys = [key for key in list(index.entries) if key[0] in set(subjects)]
    return _take_out(request, index, "delete-by-subject", keys)


def _delete_by_query(request: ServiceRequest) -> Answer:
    """Take out subjects, whole, of which one entry matches."""
    state, index = request.world.search, index_for(request.world.search, request.path_params["index_id"])
    require_role(state, request.caller, index, "delete_by_query", "owner", "admin")
    # Pages, order and facets do not change which subjects match.
    query = {name: value for name, value in request.json().items() if name in _DELETES_BY}
    found = {entry.subject for entry in _matching(request, index, _asking(query))}
    return _take_out(request, index, "delete-by-query", [key for key in list(index.entries) if key[0] in found])


# Finding


def _get_subject(request: ServiceRequest) -> Answer:
    index, subject = index_for(request.world.search, request.path_params["index_id"]), _parameter(request, "subject")
    # A list of them first: others may put entries in meanwhile.
    entries = [entry for entry in list(index.entries.values()) if entry.subject == subject]
    seen = visible(request.world.search, request.caller, index, entries, bypass=_bypass(request.query))
    if not seen:
        raise errors.subject_not_found(subject)
    return Answer(_result(subject, seen))


def _get_entry(request: ServiceRequest) -> Answer:
    index, subject = index_for(request.world.search, request.path_params["index_id"]), _parameter(request, "subject")
    entry = index.entries.get((subject, entry_id := request.query.get("entry_id")))
    bypass = _bypass(request.query)
    if entry is None or not visible(request.world.search, request.caller, index, [entry], bypass=bypass):
        raise errors.subject_not_found(subject, entry_id)
    return Answer(_result(subject, [entry]))


def _search(request: ServiceRequest) -> Answer:
    """Find by the parameters of the address."""
    query: dict[str, Any] = dict(request.query.items())
    query["advanced"] = str(query.get("advanced", "")).lower() == "true"
    return _found(request, query)


def _post_search(request: ServiceRequest) -> Answer:
    return _found(request, request.json())


def _found(request: ServiceRequest, query: Mapping[str, Any]) -> Answer:
    index = index_for(request.world.search, request.path_params["index_id"])
    _asking(query)
    offset, limit = _number(query, "offset", 0), _number(query, "limit", _DEFAULT_LIMIT)
    if offset + limit > MOST_RESULTS:
        why = f"offset and limit must not be more than {MOST_RESULTS:,} together; scroll instead."
        raise errors.bad_request(why, "offset")
    contents = [entry.content for _, entries in _subjects(request, index, query) for entry in entries]
    # Facets count what is there before these filters.
    subjects = _subjects(request, index, query, post_filters=True)
    page = subjects[offset : offset + limit]
    answer = {
        "@datatype": "GSearchResult",
        "@version": _VERSION,
        "count": len(page),
        "offset": offset,
        "total": len(subjects),
        "has_next_page": offset + limit < len(subjects),
        "gmeta": [_result(subject, entries) for subject, entries in page],
    }
    if wanted := query.get("facets"):
        answer["facet_results"] = facets(wanted, contents)
    return Answer(answer)


def _scroll(request: ServiceRequest) -> Answer:
    """Find everything, page by page."""
    index, query = index_for(request.world.search, request.path_params["index_id"]), request.json()
    start = _start(query.get("marker"))
    limit = _number(query, "limit", 1000)
    subjects = _subjects(request, index, query)
    page = subjects[start : start + limit]
    more = start + limit < len(subjects)
    return Answer(
        {
            "@datatype": "GSearchResult",
            "@version": _VERSION,
            "count": len(page),
            "total": len(subjects),
            "has_next_page": more,
            "marker": base64.urlsafe_b64encode(f"from:{start + limit}".encode()).decode() if more else None,
            "gmeta": [_result(subject, entries) for subject, entries in page],
        }
    )


def _start(marker: Any) -> int:
    if marker is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(str(marker)).decode().removeprefix("from:"))
    except (ValueError, binascii.Error):
        raise errors.bad_request("Is not a marker of this scroll.", "marker") from None


def _matching(request: ServiceRequest, index: Index, query: Mapping[str, Any]) -> list[Entry]:
    """Return the entries that match a query and that the caller may see."""
    if asked := [name for name in _NOT_SERVED if query.get(name)]:
        raise NotServed(f"queries with {', '.join(asked)}")
    if str(query.get("result_format_version") or _FORMAT) != _FORMAT:
        raise NotServed(f"results in the format of {query['result_format_version']}")
    matches = compile_query(str(query.get("q") or "*"), advanced=bool(query.get("advanced")))
    fits = compile_filters(query.get("filters") or [])
    entries = list(index.entries.values())
    seen = visible(request.world.search, request.caller, index, entries, bypass=_bypass(query))
    # A subject is found by its name, too.
    return [e for e in seen if matches({**e.content, "subject": e.subject}) and fits(e.content)]


def _asking(query: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a query, or refuse one that asks for nothing."""
    if query.get("q") is None and not query.get("filters"):
        raise errors.bad_request("Required when there are no filters.", "q")
    return query


def _bypass(query: Mapping[str, Any]) -> bool:
    return str(query.get("bypass_visible_to", "")).lower() == "true"


def _subjects(
    request: ServiceRequest, index: Index, query: Mapping[str, Any], *, post_filters: bool = False
) -> list[tuple[str, list[Entry]]]:
    fits = compile_filters(query.get("post_facet_filters") or []) if post_filters else lambda content: True
    found = [entry for entry in _matching(request, index, query) if fits(entry.content)]
    found.sort(key=lambda entry: (entry.subject, entry.entry_id or ""))
    subjects = [(subject, list(entries)) for subject, entries in groupby(found, key=lambda entry: entry.subject)]
    for key, backwards in reversed(sort_key(query.get("sort") or [])):
        subjects.sort(key=lambda pair: key(pair[1][0].content), reverse=backwards)
    return subjects


def _result(subject: str, entries: list[Entry]) -> dict[str, Any]:
    return {
        "@datatype": "GMetaResult",
        "@version": _FORMAT,
        "subject": subject,
        "entries": [
            {"content": entry.content, "entry_id": entry.entry_id, "matched_principal_sets": []} for entry in entries
        ],
    }


def _number(query: Mapping[str, Any], name: str, default: int) -> int:
    value = query.get(name, default)
    if isinstance(value, bool) or not str(value).isdigit():
        raise errors.bad_request(f"Must be a number of at least 0, not {value!r}.", name)
    return int(value)


def _parameter(request: ServiceRequest, name: str) -> str:
    if not (value := request.query.get(name)):
        raise errors.bad_request(_MISSING, name, part="query")
    return str(value)


# Tasks


def _get_task(request: ServiceRequest) -> Answer:
    state, task_id = request.world.search, request.path_params["task_id"]
    state.settle()
    task = state.tasks.get(task_id)
    if task is None or not roles_on(state, request.caller, index_for(state, task.index_id, status=None)):
        raise errors.task_not_found(task_id)
    return Answer(task.document())


def _list_tasks(request: ServiceRequest) -> Answer:
    state = request.world.search
    index = index_for(state, request.path_params["index_id"], status=None)
    require_role(state, request.caller, index, "task_list", "owner", "admin", "writer")
    tasks = [task.document() for task in reversed(list(state.tasks.values())) if task.index_id == index.id]
    return Answer({"index_id": index.id, "tasks": tasks})


_INGEST = with_scope("ingest")
_FIND = with_scope("search", anonymous=True)
_INDEX = "/v1/index/{index_id}"

ROUTES = (
    Route("POST", f"{_INDEX}/ingest", _ingest, authorize=_INGEST, basis=Basis.QUOTED),
    Route("GET", f"{_INDEX}/subject", _get_subject, authorize=_FIND, basis=Basis.QUOTED),
    Route("DELETE", f"{_INDEX}/subject", _delete_subject, authorize=_INGEST, basis=Basis.QUOTED),
    Route("POST", f"{_INDEX}/batch_delete_by_subject", _batch_delete, authorize=_INGEST, basis=Basis.RECORDED),
    Route("POST", f"{_INDEX}/delete_by_query", _delete_by_query, authorize=_INGEST, basis=Basis.SCHEMA),
    Route("GET", f"{_INDEX}/entry", _get_entry, authorize=_FIND, basis=Basis.SCHEMA),
    Route("POST", f"{_INDEX}/entry", _put_entry, authorize=_INGEST, basis=Basis.SCHEMA),
    Route("PUT", f"{_INDEX}/entry", _put_entry, authorize=_INGEST, basis=Basis.SCHEMA),
    Route("DELETE", f"{_INDEX}/entry", _delete_entry, authorize=_INGEST, basis=Basis.SCHEMA),
    Route("GET", f"{_INDEX}/search", _search, authorize=_FIND, basis=Basis.RECORDED),
    Route("POST", f"{_INDEX}/search", _post_search, authorize=_FIND, basis=Basis.RECORDED),
    Route("POST", f"{_INDEX}/scroll", _scroll, authorize=_FIND, basis=Basis.SCHEMA),
    Route("GET", "/v1/task/{task_id}", _get_task, authorize=_INGEST, basis=Basis.QUOTED),
    Route("GET", "/v1/task_list/{index_id}", _list_tasks, authorize=_INGEST, basis=Basis.QUOTED),
)
