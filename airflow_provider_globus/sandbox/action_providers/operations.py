"""Operations on collections that end at once: list, stat, make a folder, tell about a collection."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from airflow_provider_globus.sandbox.action_providers.base import SUCCEEDED, Action, EndsAtOnce, Progress
from airflow_provider_globus.sandbox.action_providers.refusals import unless_consent_is_missing
from airflow_provider_globus.sandbox.auth.scopes import TRANSFER_ALL
from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.internal import call
from airflow_provider_globus.sandbox.transfer.routes import SERVICE

# Flows that ask whether a path exists rely on it, though nothing confirms it: what is missing is no failure of `stat`.
_MISSING_PATH_IS_NO_FAILURE = True
_LEGACY_SCOPE = "https://auth.globus.org/scopes/5fac2e64-c734-4e6b-90ea-ff12ddbf9653/transfer_"
_ON_PATH = {
    "type": "object",
    "properties": {"endpoint_id": {"type": "string"}, "path": {"type": "string"}, "local_user": {"type": "string"}},
    "required": ["endpoint_id", "path"],
}


class _Operation(EndsAtOnce, ABC):
    """What all share: one call to Transfer."""

    def start(self, action: Action) -> Progress:
        """Do it."""
        return unless_consent_is_missing(lambda: Progress(SUCCEEDED, self.perform(action)))

    @abstractmethod
    def perform(self, action: Action) -> dict[str, Any]:
        """Do it, and return the details."""

    def ask(self, action: Action, method: str, operation: str, **more: Any) -> dict[str, Any]:
        """Have Transfer do an operation."""
        path = f"/v0.10/operation/endpoint/{action.body['endpoint_id']}/{operation}"
        answer: dict[str, Any] = call(action.world, SERVICE, method, path, action.caller, **more)
        return answer


class MkdirProvider(_Operation):
    """Makes a folder."""

    title: ClassVar[str] = "Globus Make Directory"
    urls: ClassVar[tuple[str, ...]] = ("https://transfer.actions.globus.org/mkdir",)
    scope: ClassVar[str] = TRANSFER_ALL
    input_schema: ClassVar[dict[str, Any]] = _ON_PATH

    def perform(self, action: Action) -> dict[str, Any]:
        """Make it."""
        return self.ask(action, "POST", "mkdir", json={"DATA_TYPE": "mkdir", "path": action.body["path"]})


class LegacyMkdirProvider(MkdirProvider):
    """Makes a folder, at the address older flows have."""

    urls: ClassVar[tuple[str, ...]] = ("https://actions.globus.org/transfer/mkdir",)
    scope: ClassVar[str] = f"{_LEGACY_SCOPE}mkdir"


class ListProvider(_Operation):
    """Lists a folder."""

    title: ClassVar[str] = "Globus List Directory"
    urls: ClassVar[tuple[str, ...]] = ("https://transfer.actions.globus.org/ls",)
    scope: ClassVar[str] = TRANSFER_ALL
    input_schema: ClassVar[dict[str, Any]] = {**_ON_PATH, "required": ["endpoint_id"]}

    def perform(self, action: Action) -> dict[str, Any]:
        """List it."""
        names = ("path", "filter", "limit", "offset", "orderby", "show_hidden", "local_user")
        query = {name: action.body.get(name) for name in names}
        return self.ask(action, "GET", "ls", query=query)


class LegacyListProvider(ListProvider):
    """Lists a folder, as older flows expect it: entries say whether they are folders.

    With ``path_only``, the list has one entry, the path itself, whether that is a folder or not.
    """

    urls: ClassVar[tuple[str, ...]] = ("https://actions.globus.org/transfer/ls",)
    scope: ClassVar[str] = f"{_LEGACY_SCOPE}ls"

    def perform(self, action: Action) -> dict[str, Any]:
        """List it, or tell about it."""
        listing = self._itself(action) if action.body.get("path_only") else super().perform(action)
        entries = [{**entry, "is_folder": entry["type"] == "dir"} for entry in listing["DATA"]]
        return {**listing, "DATA": entries}

    def _itself(self, action: Action) -> dict[str, Any]:
        path = action.body.get("path") or "/"
        entry = self.ask(action, "GET", "stat", query={"path": path})
        endpoint = action.body["endpoint_id"]
        # Not confirmed by any recording: what such a list says beside its entry.
        return {"DATA_TYPE": "file_list", "endpoint": endpoint, "path": path, "length": 1, "total": 1, "DATA": [entry]}


class StatProvider(_Operation):
    """Tells about a path; one that is missing is no failure, and its details say so."""

    title: ClassVar[str] = "Globus Stat"
    urls: ClassVar[tuple[str, ...]] = ("https://transfer.actions.globus.org/stat",)
    scope: ClassVar[str] = TRANSFER_ALL
    input_schema: ClassVar[dict[str, Any]] = _ON_PATH

    def perform(self, action: Action) -> dict[str, Any]:
        """Look at it."""
        try:
            return self.ask(action, "GET", "stat", query={"path": action.body["path"]})
        except ServiceError as error:
            if error.status != 404 or error.code != "NotFound" or not _MISSING_PATH_IS_NO_FAILURE:
                raise
            return {"code": error.code, "message": error.message}


class CollectionInfoProvider(_Operation):
    """Tells about a collection."""

    title: ClassVar[str] = "Globus Collection Information"
    urls: ClassVar[tuple[str, ...]] = ("https://transfer.actions.globus.org/collection_info",)
    scope: ClassVar[str] = TRANSFER_ALL
    input_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {"endpoint_id": {"type": "string"}},
        "required": ["endpoint_id"],
    }

    def perform(self, action: Action) -> dict[str, Any]:
        """Look at it."""
        path = f"/v0.10/endpoint/{action.body['endpoint_id']}"
        document = call(action.world, SERVICE, "GET", path, action.caller)
        return {**document, "is_managed": document.get("subscription_id") is not None}


class LegacyCollectionInfoProvider(CollectionInfoProvider):
    """Tells about a collection, at the address older flows have."""

    urls: ClassVar[tuple[str, ...]] = ("https://actions.globus.org/transfer/collection_info",)
    scope: ClassVar[str] = f"{_LEGACY_SCOPE}collection_info"
