"""Search's answers have the keys and types of recorded ones, and keep to the published schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import SearchAPIError

from tests.conformance import shapes
from tests.conformance.openapi import OpenApi
from tests.conformance.recordings import Recordings
from tests.unit.sandbox.search.test_search import client_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from globus_sdk import SearchClient

    from airflow_provider_globus.sandbox import GlobusSandbox

RECORDS = {"one": {"title": "first", "year": 2025, "tags": ["ct"]}, "two": {"title": "second", "year": 2026}}
UNKNOWN = "00000000-0000-4000-8000-000000000000"
DESCRIBED = ("Awesome Index of Awesomeness", "An index so awesome that it simply cannot be described")

_NULL = "recordings have null: the types that the schema was made from do not say where it may be"
WRONG = {
    **{f"{where}.subscription_id: None is not of type 'string'": _NULL for where in ("", ".index_list[]")},
    **{f"{where}.entries[].entry_id: None is not of type 'string'": _NULL for where in ("", ".gmeta[]")},
    **{f"{where}.message: None is not of type 'string'": _NULL for where in ("", ".tasks[]")},
    ": Additional properties are not allowed ('@version' was unexpected)": (
        "the result of a search has it, and a page of a scroll is one"
    ),
}
UNLISTED = {
    "@datatype": "every recorded document has it that has an @version, which the schema lists",
    "success": "a quoted answer to an ingest has it",
    "num_documents_ingested": "a quoted answer to an ingest has it",
}
OPENAPI = OpenApi("search", wrong=WRONG, unlisted=UNLISTED)


class Catalogue:
    """An index with two records, its owner, and somebody else."""

    def __init__(self, sandbox: GlobusSandbox) -> None:
        self.sandbox = sandbox
        self.client: SearchClient = client_of(sandbox, sandbox.client_id)
        self.person = sandbox.add_identity("ada@example.edu")
        self.index = sandbox.add_search_index("catalogue").id
        entries = [{"subject": s, "content": content, "visible_to": ["public"]} for s, content in RECORDS.items()]
        self.entries = {"ingest_type": "GMetaList", "ingest_data": {"gmeta": entries}}
        self.task_id = self.client.ingest(self.index, self.entries)["task_id"]
        self.role = {"role_name": "writer", "principal": f"urn:globus:auth:identity:{self.person.id}"}

    def entry(self, **more: Any) -> dict[str, Any]:
        return {"subject": "two entries", "content": {"foo": "bar"}, "visible_to": ["public"], **more}

    def ingest(self, entry: dict[str, Any]) -> Any:
        return self.client.ingest(self.index, {"ingest_type": "GMetaEntry", "ingest_data": entry})

    def closed(self) -> str:
        self.client.delete_index(self.index)
        return self.index

    def pending(self) -> str:
        """The id of a task that has yet to begin."""
        self.sandbox.settings.search_task_seconds = 60
        return str(self.ingest(self.entry())["task_id"])


@pytest.fixture
def catalogue(globus_sandbox: GlobusSandbox) -> Catalogue:
    return Catalogue(globus_sandbox)


def _too_many(catalogue: Catalogue) -> Any:
    catalogue.sandbox.settings.search_trial_indices = 1
    return catalogue.client.create_index(*DESCRIBED)


def _roles(catalogue: Catalogue) -> Any:
    catalogue.client.create_role(catalogue.index, catalogue.role)
    return catalogue.client.get_role_list(catalogue.index)


def _reopen(catalogue: Catalogue) -> Any:
    return catalogue.client.reopen_index(catalogue.closed())


def _subject(catalogue: Catalogue) -> Any:
    for entry_id in ("a", "b"):
        catalogue.ingest(catalogue.entry(id=entry_id))
    return catalogue.client.get_subject(catalogue.index, "two entries")


def _tasks(catalogue: Catalogue) -> Any:
    catalogue.pending()
    return catalogue.client.get_task_list(catalogue.index)


def _faceted(catalogue: Catalogue) -> Any:
    facets = [
        {"name": "Tags", "type": "terms", "field_name": "tags"},
        {"name": "Years", "type": "sum", "field_name": "year"},
    ]
    return catalogue.client.post_search(catalogue.index, {"q": "*", "facets": facets})


def _incomplete(catalogue: Catalogue) -> Any:
    entry = catalogue.entry()
    del entry["visible_to"]
    return catalogue.ingest(entry)


#: The call of each recorded response, after what brings Search into the state it is of.
SCENARIOS: dict[str, Callable[[Catalogue], Any]] = {
    "batch_delete_by_subject:default": lambda c: c.client.batch_delete_by_subject(c.index, ["one", "two"]),
    "create_index:default": lambda c: c.client.create_index(*DESCRIBED),
    "create_index:trial_limit": _too_many,
    "create_role:default": lambda c: c.client.create_role(c.index, c.role),
    "delete_index:default": lambda c: c.client.delete_index(c.index),
    "delete_index:delete_pending": lambda c: c.client.delete_index(c.closed()),
    "delete_role:default": lambda c: c.client.delete_role(c.index, c.client.create_role(c.index, c.role)["id"]),
    "get_role_list:default": _roles,
    "index_list:default": lambda c: c.client.index_list(),
    "post_search:default": lambda c: c.client.post_search(c.index, {"q": "*", "limit": 1}),
    "reopen_index:already_open": lambda c: c.client.reopen_index(c.index),
    "reopen_index:default": _reopen,
    "search:default": lambda c: c.client.search(c.index, "*", limit=1),
    "update_index:default": lambda c: c.client.update_index(c.index, display_name=DESCRIBED[0]),
    "update_index:forbidden": lambda c: client_of(c.sandbox, c.person.id).update_index(c.index, display_name="mine"),
}
QUOTED: dict[str, Callable[[Catalogue], Any]] = {
    "delete_subject": lambda c: c.client.delete_subject(c.index, "one"),
    "facets": _faceted,
    "get_index": lambda c: c.client.get_index(c.index),
    "get_subject": _subject,
    "get_task": lambda c: c.client.get_task(c.task_id),
    "get_task_documented": lambda c: c.client.get_task(c.task_id),
    "get_task_list": _tasks,
    "get_task_pending": lambda c: c.client.get_task(c.pending()),
    "ingest": lambda c: c.ingest(c.entry()),
    "ingest_incomplete": _incomplete,
    "ingest_list": lambda c: c.client.ingest(c.index, c.entries),
    "search_unknown_index": lambda c: c.client.search(UNKNOWN, "*"),
}
_OF_A_SEARCH = "the quoted answer is an extract; those of searches have it"
RECORDINGS = Recordings(
    service="search",
    scenarios=SCENARIOS,
    quoted=QUOTED,
    extras={
        **{
            f"{name}:.task_type": "the schema has it; the recording is older"
            for name in ("get_task", "get_task_pending")
        },
        "get_task_list:.tasks[].task_type": "the schema has it; the recording is older",
        "ingest:.success": "another quoted answer to an ingest has it",
        "ingest:.num_documents_ingested": "another quoted answer to an ingest has it",
        "get_index:.permissions": "the schema has it; the recording is older",
        "get_subject:.@datatype": "the results of searches have it; the recording lacks it",
        "get_subject:.@version": "the schema has it; the recording lacks it",
        "facets:.facet_results[].value": "of a sum; the first quoted facet has buckets",
        **{
            f"facets:.{name}": _OF_A_SEARCH
            for name in ("@datatype", "@version", "count", "gmeta", "has_next_page", "offset", "total")
        },
    },
    free=("content",),
    openapi=OPENAPI,
)


@pytest.mark.parametrize("name", RECORDINGS.names())
def test_answers_have_what_the_recorded_ones_have(name: str, catalogue: Catalogue) -> None:
    RECORDINGS.check(name, catalogue, catalogue.sandbox)


@pytest.mark.parametrize("name", QUOTED)
def test_answers_have_what_the_quoted_ones_have(name: str, catalogue: Catalogue) -> None:
    RECORDINGS.check_quoted(name, catalogue, catalogue.sandbox)


def test_every_recording_has_its_scenario() -> None:
    RECORDINGS.check_complete()


def test_a_refusal_says_what_the_recorded_ones_say(catalogue: Catalogue) -> None:
    said = RECORDINGS.check_quoted("ingest_incomplete", catalogue, catalogue.sandbox)
    missing = {"ingest_data": {"visible_to": ["Missing data for required field."]}}
    assert said["message"] == "Request failed input validation."
    assert said["error_data"] == {"messages": {"json": missing}}
    said = RECORDINGS.check_quoted("search_unknown_index", catalogue, catalogue.sandbox)
    assert said["message"] == f'There is no search index named "{UNKNOWN}"'


def test_a_task_is_told_as_recorded(catalogue: Catalogue) -> None:
    pending = catalogue.client.get_task(catalogue.pending())
    assert (pending["state"], pending["state_description"]) == ("PENDING", "Task is waiting to start")
    done = catalogue.client.get_task(catalogue.task_id)
    assert (done["state_description"], done["task_type"], done["message"]) == ("Task succeeded", "ingest", None)
    assert "T" in done["completion_date"]


# The published schema


def _emitted(catalogue: Catalogue) -> Iterator[tuple[str, Any]]:
    """Yield every kind of document that Search tells, in its different states."""
    client, index = catalogue.client, catalogue.index
    one = f"/v1/index/{index}"
    yield "an index on its own", client.create_index(*DESCRIBED)
    yield (
        "all kinds of facets",
        client.post_search(
            index,
            {
                "q": "*",
                "facets": [
                    {"name": kind, "type": kind, "field_name": "tags" if kind == "terms" else "year"}
                    for kind in ("terms", "sum", "avg", "value_count")
                ],
            },
        ),
    )
    yield "nothing found", client.search(index, "nothing")
    yield "the last page", client.search(index, "*", limit=1, offset=1)
    yield "a scroll, with more to come", client.scroll(index, {"q": "*", "limit": 1})
    yield "a scroll, at its end", client.scroll(index, {"q": "*"})
    yield "an entry", client.get_entry(index, "one")
    yield "an entry with an id", _subject(catalogue)
    yield "an entry put in", client.post(f"{one}/entry", data=catalogue.entry(id="c"))
    yield "an entry replaced", client.put(f"{one}/entry", data=catalogue.entry(id="c"))
    yield "an entry taken out", client.delete_entry(index, "two entries", entry_id="c")
    yield "a deletion by query", client.delete_by_query(index, {"q": "first"})
    group = f"urn:globus:groups:id:{catalogue.sandbox.add_group('readers', members=[catalogue.person.id]).id}"
    yield "a group's role", client.create_role(index, {"role_name": "admin", "principal": group})
    yield "roles of all kinds", _roles(catalogue)
    yield "indexes that one may write to", client_of(catalogue.sandbox, catalogue.person.id).index_list()
    yield "an index by nobody known", client_of(catalogue.sandbox, None).get_index(index)
    yield "tasks of all kinds", _tasks(catalogue)
    yield "an index that is being deleted", client.get_index(catalogue.closed())


def test_every_document_keeps_to_its_schema(catalogue: Catalogue) -> None:
    kinds: set[str] = set()
    for what, response in _emitted(catalogue):
        assert OPENAPI.check(catalogue.sandbox, response.headers, response.data), what
        kinds |= {task["task_type"] for task in response.data.get("tasks", ())}
    assert kinds == {"ingest", "delete-by-entry-id", "delete-by-query"}


def test_what_the_schema_leaves_out_is_found_unless_there_is_a_reason(catalogue: Catalogue) -> None:
    answer = catalogue.client.create_role(catalogue.index, catalogue.role)
    more = {**answer.data, "more": 1, "extra": 2}
    for known in ({}, {"more": "said elsewhere"}):
        with pytest.raises(AssertionError):
            OpenApi("search", unlisted=known).check(catalogue.sandbox, answer.headers, more)
    known = {"more": "said elsewhere", "extra": "said elsewhere"}
    assert OpenApi("search", unlisted=known).check(catalogue.sandbox, answer.headers, more)


def test_what_is_free_is_not_looked_into() -> None:
    recorded, answer = {"content": {"a": 1}, "more": {"a": 1}}, {"content": {"b": 1}, "more": {"a": 1, "b": 1}}
    assert [path for path, _ in shapes.extra(recorded, answer, free=("content",))] == [".more.b"]


def test_a_scroll_is_a_result_of_a_search(catalogue: Catalogue) -> None:
    page = catalogue.client.scroll(catalogue.index, {"q": "*", "limit": 1})
    assert (page["count"], page["total"], page["has_next_page"]) == (1, 2, True)
    last = catalogue.client.scroll(catalogue.index, {"q": "*", "limit": 1}, marker=page["marker"])
    assert (last["has_next_page"], last["marker"]) == (False, None)


def test_who_has_no_token_is_refused_as_an_error_of_search(catalogue: Catalogue) -> None:
    with pytest.raises(SearchAPIError) as raised:
        client_of(catalogue.sandbox, None).ingest(catalogue.index, catalogue.entries)
    answer: Any = raised.value.raw_json
    assert (raised.value.http_status, answer["@datatype"], answer["status"]) == (401, "GError", 401)
