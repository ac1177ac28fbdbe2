"""Globus Search: records put into an index, and found there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_globus.exceptions import GlobusNothingFoundError
from airflow_provider_globus.operators.base import GlobusOperator
from airflow_provider_globus.operators.documents import read_json
from airflow_provider_globus.operators.job import GlobusJobOperator
from airflow_provider_globus.operators.principals import principal_urns

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_globus.jobs.base import Verdict

#: Bytes of one ingest; Globus takes 10 MB.
_INGEST_BYTES = 8_000_000

#: Records that Globus returns for one query at most.
MOST_RECORDS = 10_000
_PAGE = 100


class GlobusSearchIngestOperator(GlobusJobOperator):
    """
    Put records into a Search index, and wait until they can be found. Returns ``index_id``, ``subjects`` and ``count``.

    A record of the same subject (and entry id) is replaced, so doing it again changes nothing: a retry may send what
    an earlier try has sent.

    :param index: UUID of the index, alias of the connection, or name of exactly one that this identity has a role on.
    :param subject: what the record is about: usually the URL of a file or dataset.
    :param content: the record: a dict of anything JSON can hold.
    :param visible_to: who may find it: ``public``, ``all_authenticated_users``, or usernames, UUIDs and URNs of
        identities and groups.
    :param entry_id: tells several records of a subject apart.
    :param entries: instead of ``subject`` and ``content``, many records: dicts with ``subject``, ``content`` and
        optionally ``visible_to`` and ``id``; also from XCom. Sent in portions of at most 8 MB.
    """

    template_fields: Sequence[str] = (
        "index",
        "subject",
        "content",
        "visible_to",
        "entry_id",
        "entries",
        "globus_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"content": "json", "entries": "json"}
    service_name = "search"
    operator_extra_links = ()
    ui_color = "#f5ecd9"

    def __init__(
        self,
        *,
        index: str,
        subject: str | None = None,
        content: Any = None,
        visible_to: Sequence[str] = ("public",),
        entry_id: str | None = None,
        entries: Any = None,
        poll_interval: float = 5.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(poll_interval=poll_interval, **kwargs)
        self.index = index
        self.subject = subject
        self.content = content
        self.visible_to = visible_to
        self.entry_id = entry_id
        self.entries = entries
        if (entries is None) == (subject is None):
            raise self.refuse("give either entries, or subject with content.")

    def prepare(self, context: Context) -> dict[str, Any] | None:
        """The ingest documents of the Search API."""
        entries = [self._entry_document(number, entry) for number, entry in enumerate(self._given())]
        return (
            {"index_id": self.hook.search_index(self.index), "ingests": list(_portions(entries))} if entries else None
        )

    def reserve(self) -> None:
        """Nothing: a record that is sent twice is there once."""
        return

    def submit(self, document: dict[str, Any], key: str | None) -> list[str]:
        """Send the records."""
        client = self.hook.search_client()
        tasks = []
        for ingest in document["ingests"]:
            count = len(ingest["ingest_data"]["gmeta"])
            doing = f"putting {count} records into the Search index {self.index!r}"
            answer = self.hook.call(doing, client.ingest, document["index_id"], ingest)
            tasks.append(str(answer["task_id"]))
        return tasks

    def notes(self) -> dict[str, Any]:
        """The subjects."""
        return {"subjects": [str(entry["subject"]) for entry in self._given()][:_PAGE], "count": len(self._given())}

    def url(self) -> None:
        """The web app has no page for it."""
        return

    def receipt(self) -> dict[str, Any]:
        """Ids of the tasks at Search."""
        return {"job_ids": self._job_ids}

    def result(self, verdict: Verdict) -> dict[str, Any]:
        """What can be found now; of many subjects the first 100."""
        noted = self._entry.notes if self._entry else {"subjects": [], "count": 0}
        return {"index_id": verdict.result.get("index_id"), **noted}

    def _given(self) -> list[Any]:
        if self.entries is None:
            entry = {"subject": self.subject, "content": self.content, "id": self.entry_id}
            return [{name: value for name, value in entry.items() if value is not None}]
        entries = read_json(self, "entries", self.entries)
        if isinstance(entries, Mapping) or not isinstance(entries, Sequence):
            raise self.refuse(f"entries must be a list, not {type(entries).__name__}.", "Give a list of dicts.")
        return list(entries)

    def _entry_document(self, number: int, entry: Any) -> dict[str, Any]:
        where = f"entries[{number}]" if self.entries is not None else "the record"
        content = entry.get("content") if isinstance(entry, Mapping) else None
        if not isinstance(content, Mapping) or not entry.get("subject"):
            raise self.refuse(f"{where} needs a subject and a dict as content.")
        if unknown := set(entry) - {"subject", "content", "visible_to", "id"}:
            raise self.refuse(f"{where} has unknown fields: {', '.join(sorted(unknown))}.")
        visible_to = principal_urns(self.hook, entry.get("visible_to") or self.visible_to)
        if not visible_to:
            raise self.refuse(f"{where} is visible to nobody.", "Give visible_to, for example ['public'].")
        document = {**entry, "subject": str(entry["subject"]), "visible_to": visible_to}
        try:
            return dict(json.loads(json.dumps(document)))
        except (TypeError, ValueError) as error:
            raise self.refuse(f"{where} cannot be written as JSON: {error}.") from None


class GlobusSearchQueryOperator(GlobusOperator):
    """
    Find records in a Search index. Returns ``total``, ``count`` and ``records``, each with ``subject`` and ``content``.

    :param index: UUID of the index, alias of the connection, or name of exactly one that this identity has a role on.
    :param q: what to search for, in Globus Search's query language; ``*`` finds all.
    :param advanced: use the advanced language, with field names, ``AND``, ``OR`` and wildcards.
    :param filters: filters of the Search API: dicts with ``type``, ``field_name`` and ``values``.
    :param facets: facets of the Search API; their results are returned under ``facets``.
    :param sort: dicts with ``field_name`` and ``order`` (``asc`` or ``desc``).
    :param limit: return at most so many records; up to 10,000.
    :param fail_when_empty: fail when nothing is found. Airflow's retries apply.
    """

    template_fields: Sequence[str] = ("index", "q", "filters", "facets", "sort", "globus_conn_id")
    ui_color = "#f5ecd9"

    def __init__(
        self,
        *,
        index: str,
        q: str = "*",
        advanced: bool = False,
        filters: Sequence[Mapping[str, Any]] | None = None,
        facets: Sequence[Mapping[str, Any]] | None = None,
        sort: Sequence[Mapping[str, Any]] | None = None,
        limit: int = 100,
        fail_when_empty: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.index = index
        self.q = q
        self.advanced = advanced
        self.filters = filters
        self.facets = facets
        self.sort = sort
        self.limit = limit
        self.fail_when_empty = fail_when_empty
        if not 0 < limit <= MOST_RECORDS:
            raise self.refuse(f"limit must be 1 to {MOST_RECORDS}.")

    def execute(self, context: Context) -> dict[str, Any]:
        """Search, page by page."""
        index_id = self.hook.search_index(self.index)
        found: dict[str, Any] = {"total": 0, "count": 0, "records": []}
        records: list[dict[str, Any]] = found["records"]
        while len(records) < self.limit:
            answer = self._page(index_id, len(records))
            found["total"] = answer["total"]
            if answer.get("facet_results"):
                found["facets"] = answer["facet_results"]
            page = [_record(result) for result in answer["gmeta"]]
            records += page
            if not page or not answer.get("has_next_page"):
                break
        found["count"] = len(records)
        self.log.info("Found %d records for %r; returning %d.", found["total"], self.q, found["count"])
        if not records and self.fail_when_empty:
            raise GlobusNothingFoundError(
                f"Nothing in the Search index {self.index!r} matches {self.q!r}.",
                advice="Check the query, and that this identity may see the records.",
            )
        return found

    def _page(self, index_id: str, offset: int) -> dict[str, Any]:
        query: dict[str, Any] = {"q": self.q, "advanced": self.advanced}
        query |= {"offset": offset, "limit": min(_PAGE, self.limit - offset)}
        optional = {"filters": self.filters, "facets": self.facets if not offset else None, "sort": self.sort}
        query |= {name: list(value) for name, value in optional.items() if value}
        doing = f"searching {self.q!r} in the index {self.index!r}"
        return self.hook.call(doing, self.hook.search_client().post_search, index_id, query)


def _record(result: Mapping[str, Any]) -> dict[str, Any]:
    """A found subject: its content, or a list when it has several records."""
    contents = [entry["content"] for entry in result["entries"]]
    return {"subject": result["subject"], "content": contents[0] if len(contents) == 1 else contents}


def _portions(entries: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Ingest documents that Globus takes, each with as many records as fit."""
    portion: list[dict[str, Any]] = []
    size = 0
    for entry in entries:
        needed = len(json.dumps(entry))
        if portion and size + needed > _INGEST_BYTES:
            yield _ingest(portion)
            portion, size = [], 0
        portion.append(entry)
        size += needed
    if portion:
        yield _ingest(portion)


def _ingest(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"ingest_type": "GMetaList", "ingest_data": {"gmeta": entries}}
