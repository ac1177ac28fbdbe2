"""Records put into a Search index and found there, through the real SDK, in the sandbox."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_globus.exceptions import (
    GlobusIndexNameError,
    GlobusInputError,
    GlobusJobFailedError,
    GlobusNothingFoundError,
    GlobusPermissionError,
)
from airflow_provider_globus.operators import search
from airflow_provider_globus.operators.search import GlobusSearchIngestOperator, GlobusSearchQueryOperator

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from tests.unit.conftest import TaskContext


@pytest.fixture(autouse=True)
def _index(globus_sandbox: GlobusSandbox) -> None:
    globus_sandbox.add_search_index("catalogue")


def ingest(**changes: Any) -> GlobusSearchIngestOperator:
    arguments: dict[str, Any] = {"task_id": "a_task", "index": "catalogue", "poll_interval": 0.05}
    if "entries" not in changes:
        arguments |= {"subject": "globus://data/scan_1/", "content": {"title": "Foraminifera", "year": 2026}}
    return GlobusSearchIngestOperator(**arguments | changes)


def query(**changes: Any) -> GlobusSearchQueryOperator:
    return GlobusSearchQueryOperator(**{"task_id": "query", "index": "catalogue"} | changes)


def entries(count: int) -> list[dict[str, Any]]:
    return [{"subject": f"s{number:03d}", "content": {"title": "scan", "number": number}} for number in range(count)]


def test_what_is_put_in_is_found(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    result = ingest().execute(context)
    assert result["index_id"] in globus_sandbox.world.search.indexes
    assert (result["subjects"], result["count"]) == (["globus://data/scan_1/"], 1)
    found = query(q="foraminifera").execute(context)
    assert found["total"] == found["count"] == 1
    assert found["records"] == [
        {"subject": "globus://data/scan_1/", "content": {"title": "Foraminifera", "year": 2026}}
    ]
    assert query(q="diatom").execute(context)["records"] == []


def test_a_record_is_replaced_not_doubled(context: TaskContext) -> None:
    ingest().execute(context)
    ingest(content={"title": "Foraminifera, revised"}).execute(type(context)())
    (record,) = query().execute(context)["records"]
    assert record["content"] == {"title": "Foraminifera, revised"}


def test_several_records_of_a_subject(context: TaskContext) -> None:
    for entry_id in ("a", "b"):
        ingest(entry_id=entry_id, content={"id": entry_id}).execute(type(context)())
    (record,) = query().execute(context)["records"]
    assert sorted(content["id"] for content in record["content"]) == ["a", "b"]


@pytest.mark.parametrize("as_text", [False, True])
def test_many_records_in_portions(
    as_text: bool, globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_INGEST_BYTES", 2_000)
    given: Any = json.dumps(entries(30)) if as_text else entries(30)
    assert ingest(entries=given).execute(context)["count"] == 30
    sent = globus_sandbox.journal.count("search", "POST", "*/ingest")
    assert sent > 1
    assert len({entry.path for entry in globus_sandbox.journal.requests("search", "GET", "/v1/task/*")}) == sent
    found = query(limit=25, sort=[{"field_name": "number", "order": "desc"}]).execute(context)
    assert found["total"] == 30
    assert [record["content"]["number"] for record in found["records"]] == list(range(29, 4, -1))


def test_pages_are_put_together(context: TaskContext) -> None:
    ingest(entries=entries(230)).execute(context)
    found = query(limit=10_000).execute(context)
    assert found["count"] == found["total"] == 230
    assert len({record["subject"] for record in found["records"]}) == 230


def test_filters_and_facets(context: TaskContext) -> None:
    ingest(entries=entries(5)).execute(context)
    found = query(
        filters=[{"type": "range", "field_name": "number", "values": [{"from": 3, "to": "*"}]}],
        facets=[{"name": "numbers", "type": "terms", "field_name": "number", "size": 10}],
    ).execute(context)
    assert {record["content"]["number"] for record in found["records"]} == {3, 4}
    assert found["facets"][0]["name"] == "numbers"


def test_who_may_see_it(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    person = globus_sandbox.add_identity("someone@example.edu")
    ingest(visible_to=["someone@example.edu"]).execute(context)
    (entry,) = globus_sandbox.journal.requests("search", "POST", "*/ingest")
    (sent,) = entry.body["ingest_data"]["gmeta"]
    assert sent["visible_to"] == [f"urn:globus:auth:identity:{person.id}"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"content": "text"}, "needs a subject and a dict"),
        ({"subject": "", "content": {}}, "needs a subject"),
        ({"visible_to": []}, "visible to nobody"),
        ({"content": {"a": object()}}, "cannot be written as JSON"),
        ({"entries": "{"}, "not JSON"),
        ({"entries": {"subject": "s"}}, "must be a list"),
        ({"entries": [{"subject": "s", "contnet": {}}]}, r"entries\[0\] needs"),
        ({"entries": [{"subject": "s", "content": {}, "more": 1}]}, "unknown fields: more"),
    ],
)
def test_bad_records_are_refused_before_any_request(
    change: dict[str, Any], why: str, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    with pytest.raises(GlobusInputError, match=why):
        ingest(**change).execute(context)
    assert globus_sandbox.journal.requests("search") == []


def test_no_records_are_nothing_to_do(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    assert ingest(entries=[]).execute(context)["count"] == 0
    assert globus_sandbox.journal.requests("search") == []


def test_an_index_by_name_and_one_that_is_not_there(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    with pytest.raises(GlobusIndexNameError, match=r"No Search indexes .* named 'catalog'.*catalogue"):
        query(index="catalog").execute(context)


def test_who_may_not_write_is_told(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    owner = globus_sandbox.add_identity("owner@example.edu")
    globus_sandbox.add_search_index("foreign", owner=owner.username)
    with pytest.raises(GlobusPermissionError):
        ingest(index="foreign").execute(context)


def test_a_task_that_fails_at_search(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.faults.add(
        {
            "service": "search",
            "method": "GET",
            "path": "/v1/task/*",
            "body": json.dumps({"task_id": "t", "index_id": "i", "state": "FAILED", "message": "too many fields"}),
        }
    )
    with pytest.raises(GlobusJobFailedError, match="too many fields"):
        ingest().execute(context)


def test_nothing_found_may_be_a_failure(context: TaskContext) -> None:
    with pytest.raises(GlobusNothingFoundError, match="Nothing in the Search index 'catalogue'"):
        query(fail_when_empty=True).execute(context)


@pytest.mark.parametrize("limit", [0, 10_001])
def test_limits_that_cannot_be(limit: int) -> None:
    with pytest.raises(GlobusInputError, match="limit"):
        query(limit=limit)


def test_each_record_may_say_who_sees_it(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    given = [*entries(1), {"subject": "s", "content": {}, "visible_to": ["all_authenticated_users"]}]
    ingest(entries=given, visible_to="public").execute(context)
    (entry,) = globus_sandbox.journal.requests("search", "POST", "*/ingest")
    sent = entry.body["ingest_data"]["gmeta"]
    assert [record["visible_to"] for record in sent] == [["public"], ["all_authenticated_users"]]


def test_the_advanced_language(context: TaskContext) -> None:
    ingest(entries=entries(5)).execute(context)
    found = query(q="title:scan AND number:3", advanced=True).execute(context)
    assert [record["subject"] for record in found["records"]] == ["s003"]


def test_of_many_subjects_the_first_are_returned_and_facets_are_counted_once(
    globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    result = ingest(entries=entries(130)).execute(context)
    assert (len(result["subjects"]), result["count"]) == (100, 130)
    facets = [{"name": "titles", "type": "terms", "field_name": "title", "size": 3}]
    assert query(limit=200, facets=facets).execute(context)["facets"][0]["buckets"][0]["count"] == 130
    asked = globus_sandbox.journal.requests("search", "POST", "*/search")
    assert ["facets" in entry.body for entry in asked] == [True, False]


def test_a_retry_waits_for_what_was_sent(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    started = ingest(wait_for_completion=False).execute(context)
    context.ti.retry()
    assert ingest().execute(context)["count"] == 1
    assert context.ti.xcoms["globus_job_ids"] == started["job_ids"]
    assert globus_sandbox.journal.count("search", "POST", "*/ingest") == 1


def test_what_depends_on_the_dag_run_is_rendered(context: TaskContext) -> None:
    operator = ingest(index="{{ x }}", subject="{{ x }}", content={"a": "{{ x }}"}, visible_to=["{{ x }}"])
    asking = query(index="{{ x }}", q="{{ x }}", filters=[{"values": ["{{ x }}"]}])
    context["x"] = "y"
    for each in (operator, asking):
        each.render_template_fields(context)
    assert (operator.index, operator.subject, operator.content) == ("y", "y", {"a": "y"})
    assert (operator.visible_to, asking.index, asking.q) == (["y"], "y", "y")
    assert asking.filters == [{"values": ["y"]}]


def test_killed_it_says_that_search_goes_on(context: TaskContext, capsys: pytest.CaptureFixture[str]) -> None:
    operator = ingest(deferrable=True, worker_wait=0)
    with pytest.raises(TaskDeferred):
        operator.execute(context)
    operator.on_kill()
    assert "Not cancelling the Search task" in capsys.readouterr().out


def test_records_are_public_unless_the_author_says_otherwise(
    globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    ingest().execute(context)
    (entry,) = globus_sandbox.journal.requests("search", "POST", "*/ingest")
    assert [record["visible_to"] for record in entry.body["ingest_data"]["gmeta"]] == [["public"]]


@pytest.mark.parametrize("given", [{}, {"entries": [], "subject": "s", "content": {}}])
def test_one_record_or_many_but_not_both_nor_none(given: dict[str, Any]) -> None:
    with pytest.raises(GlobusInputError, match="either entries, or subject"):
        GlobusSearchIngestOperator(task_id="a_task", index="catalogue", **given)
