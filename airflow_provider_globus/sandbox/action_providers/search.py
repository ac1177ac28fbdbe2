"""Records of the sandbox's Search service: put in and taken out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from airflow_provider_globus.sandbox.action_providers.base import (
    ACTIVE,
    FAILED,
    SUCCEEDED,
    Action,
    ActionRefused,
    Progress,
)
from airflow_provider_globus.sandbox.action_providers.refusals import failed_when_refused, refusals
from airflow_provider_globus.sandbox.internal import call
from airflow_provider_globus.sandbox.search.routes import SERVICE

_STATES = {"SUCCESS": SUCCEEDED, "FAILED": FAILED}


class _SearchProvider(ABC):
    """What both share: a task of Search, asked after."""

    def start(self, action: Action) -> Progress:
        """Send what is to be done."""
        with refusals():
            answer = self.send(action, f"/v1/index/{action.body['search_index']}")
        action.memory["task_id"] = answer["task_id"]
        return self.progress(action)

    def progress(self, action: Action) -> Progress:
        """Tell how far the task is."""
        return failed_when_refused(lambda: self._look(action))

    def _look(self, action: Action) -> Progress:
        task = call(action.world, SERVICE, "GET", f"/v1/task/{action.memory['task_id']}", action.caller)
        return Progress(_STATES.get(task["state"], ACTIVE), task)

    def cancel(self, action: Action) -> None:
        """Search cannot cancel."""
        return

    @abstractmethod
    def send(self, action: Action, index: str) -> dict[str, Any]:
        """Call Search; `index` is the path of the index."""


class SearchIngestProvider(_SearchProvider):
    """Puts records into an index."""

    title: ClassVar[str] = "Globus Search - Ingest"
    urls: ClassVar[tuple[str, ...]] = (
        "https://actions.globus.org/search/ingest",
        "https://search.actions.globus.org/ingest",
    )
    scope: ClassVar[str] = "https://auth.globus.org/scopes/actions.globus.org/search/ingest"
    input_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {
            "search_index": {"type": "string"},
            "subject": {"type": "string"},
            "content": {"type": "object"},
            "visible_to": {"type": "array", "items": {"type": "string"}},
            "id": {"type": ["string", "null"]},
            "entries": {"type": "array", "minItems": 1, "items": {"type": "object"}},
        },
        "required": ["search_index"],
        "anyOf": [{"required": ["entries"]}, {"required": ["subject", "content", "visible_to"]}],
    }

    def send(self, action: Action, index: str) -> dict[str, Any]:
        """Send the records."""
        fields = ("subject", "content", "visible_to", "id")
        entries = action.body.get("entries") or [{name: action.body[name] for name in fields if name in action.body}]
        document = {"ingest_type": "GMetaList", "ingest_data": {"gmeta": entries}}
        answer: dict[str, Any] = call(action.world, SERVICE, "POST", f"{index}/ingest", action.caller, json=document)
        return answer


class SearchDeleteProvider(_SearchProvider):
    """Takes records out of an index."""

    title: ClassVar[str] = "Globus Search - Delete"
    urls: ClassVar[tuple[str, ...]] = (
        "https://actions.globus.org/search/delete",
        "https://search.actions.globus.org/delete",
    )
    scope: ClassVar[str] = "https://auth.globus.org/scopes/5fac2e64-c734-4e6b-90ea-ff12ddbf9653/search_delete"
    input_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {
            "search_index": {"type": "string"},
            "delete_by": {"enum": ["entry", "subject", "query"]},
            "subject": {"type": "string"},
            "subjects": {"type": "array", "items": {"type": "string"}},
            "entry_id": {"type": ["string", "null"]},
            "q": {"type": "string"},
        },
        "required": ["search_index", "delete_by"],
    }

    def send(self, action: Action, index: str) -> dict[str, Any]:
        """Send what to take out."""
        body, kind = action.body, action.body["delete_by"]
        subject, world, caller = body.get("subject"), action.world, action.caller
        if kind != "query" and not (subject or body.get("subjects")):
            raise ActionRefused(400, "RequestValidationError", f"delete_by {kind} needs a subject")
        answer: dict[str, Any]
        if kind == "query":
            # All of it: what narrows a query must not get lost on the way.
            query: dict[str, Any] = {k: v for k, v in body.items() if k not in ("search_index", "delete_by")}
            answer = call(world, SERVICE, "POST", f"{index}/delete_by_query", caller, json=query)
        elif kind == "entry":
            named = {"subject": subject, "entry_id": body.get("entry_id")}
            answer = call(world, SERVICE, "DELETE", f"{index}/entry", caller, query=named)
        elif body.get("subjects"):
            document = {"subjects": body["subjects"]}
            answer = call(world, SERVICE, "POST", f"{index}/batch_delete_by_subject", caller, json=document)
        else:
            answer = call(world, SERVICE, "DELETE", f"{index}/subject", caller, query={"subject": subject})
        return answer
