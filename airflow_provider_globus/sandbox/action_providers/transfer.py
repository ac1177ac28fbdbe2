"""Transfers and deletions: tasks of the sandbox's Transfer service, in the new form of input and in the old one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from airflow_provider_globus.sandbox.action_providers.base import (
    ACTIVE,
    FAILED,
    INACTIVE,
    SUCCEEDED,
    Action,
    Progress,
)
from airflow_provider_globus.sandbox.action_providers.refusals import failed_when_refused, unless_consent_is_missing
from airflow_provider_globus.sandbox.auth.scopes import TRANSFER_ALL
from airflow_provider_globus.sandbox.internal import call
from airflow_provider_globus.sandbox.transfer.routes import SERVICE

_TEXT, _FLAG, _ITEMS = {"type": "string"}, {"type": "boolean"}, {"type": "array", "minItems": 1}
# The service's own names for what the old form of input calls otherwise.
_OLD_NAMES = {
    "source_endpoint_id": "source_endpoint",
    "destination_endpoint_id": "destination_endpoint",
    "endpoint_id": "endpoint",
}


class _TaskProvider(ABC):
    """What transfers and deletions share: a task is submitted once, then asked after."""

    kind: ClassVar[str]

    def start(self, action: Action) -> Progress:
        """Submit the task, or find the one that an earlier start has submitted."""
        return unless_consent_is_missing(lambda: self._start(action))

    def progress(self, action: Action) -> Progress:
        """Tell how far the task is."""
        return failed_when_refused(lambda: self._look(action))

    def cancel(self, action: Action) -> None:
        """Cancel the task."""
        if task_id := action.memory.get("task_id"):
            call(action.world, SERVICE, "POST", f"/v0.10/task/{task_id}/cancel", action.caller)

    @abstractmethod
    def document(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the submission of an input."""

    def _start(self, action: Action) -> Progress:
        # Kept from the first start on, so that a resumed action is the same submission.
        submission_id = action.memory.setdefault("submission_id", action.world.new_id())
        document = {
            "DATA_TYPE": self.kind,
            "label": f"For Action id {action.id}",
            **self.document(action.body),
            "submission_id": submission_id,
        }
        if "task_id" in action.memory:
            action.world.transfer.activate(action.memory["task_id"])
        answer = call(action.world, SERVICE, "POST", f"/v0.10/{self.kind}", action.caller, json=document)
        action.memory["task_id"] = action.id = answer["task_id"]
        return self._look(action)

    def _look(self, action: Action) -> Progress:
        task = call(action.world, SERVICE, "GET", f"/v0.10/task/{action.memory['task_id']}", action.caller)
        details = {**task, "event_list": []}
        if task["status"] in (SUCCEEDED, FAILED):
            return Progress(task["status"], details)
        if task["status"] == INACTIVE:
            # Not confirmed by any recording: the code; that the task's own words are the description.
            said = {"code": task["nice_status"], "description": task["nice_status_details"] or task["nice_status"]}
            return Progress(INACTIVE, {**details, **said})
        return Progress(ACTIVE, details, display_status=task["nice_status"] or ACTIVE)


class TransferProvider(_TaskProvider):
    """Copies files between collections."""

    title: ClassVar[str] = "Globus Transfer"
    urls: ClassVar[tuple[str, ...]] = ("https://transfer.actions.globus.org/transfer",)
    scope: ClassVar[str] = TRANSFER_ALL
    kind: ClassVar[str] = "transfer"
    input_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {
            **dict.fromkeys(("source_endpoint", "destination_endpoint", "label", "deadline"), _TEXT),
            **dict.fromkeys(("source_endpoint_id", "destination_endpoint_id"), _TEXT),
            **dict.fromkeys(("DATA", "transfer_items"), _ITEMS),
            **dict.fromkeys(("encrypt_data", "verify_checksum", "preserve_timestamp", "preserve_mtime"), _FLAG),
        },
        "anyOf": [
            {"required": ["source_endpoint", "destination_endpoint", "DATA"]},
            {"required": ["source_endpoint_id", "destination_endpoint_id", "transfer_items"]},
        ],
    }

    def document(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the transfer document of an input."""
        document = {_OLD_NAMES.get(name, name): value for name, value in body.items() if value is not None}
        items = document.pop("transfer_items", None) or document.pop("DATA", [])
        document["DATA"] = [_item(item, "transfer_item") for item in items]
        if "preserve_mtime" in document:
            document["preserve_timestamp"] = document.pop("preserve_mtime")
        return document


class LegacyTransferProvider(TransferProvider):
    """Copies files, at the address older flows have."""

    urls: ClassVar[tuple[str, ...]] = ("https://actions.globus.org/transfer/transfer",)
    scope: ClassVar[str] = "https://auth.globus.org/scopes/actions.globus.org/transfer/transfer"


class DeleteProvider(_TaskProvider):
    """Deletes files and folders."""

    title: ClassVar[str] = "Globus Delete"
    urls: ClassVar[tuple[str, ...]] = ("https://transfer.actions.globus.org/delete",)
    scope: ClassVar[str] = TRANSFER_ALL
    kind: ClassVar[str] = "delete"
    input_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {
            **dict.fromkeys(("endpoint", "endpoint_id", "label", "deadline"), _TEXT),
            **dict.fromkeys(("DATA", "items"), _ITEMS),
            **dict.fromkeys(("recursive", "ignore_missing", "interpret_globs"), _FLAG),
        },
        "anyOf": [{"required": ["endpoint", "DATA"]}, {"required": ["endpoint_id", "items"]}],
    }

    def document(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the delete document of an input."""
        document = {_OLD_NAMES.get(name, name): value for name, value in body.items() if value is not None}
        items = document.pop("items", None) or document.pop("DATA", [])
        document["DATA"] = [_item({"path": i} if isinstance(i, str) else i, "delete_item") for i in items]
        return document


class LegacyDeleteProvider(DeleteProvider):
    """Deletes files, at the address older flows have."""

    urls: ClassVar[tuple[str, ...]] = ("https://actions.globus.org/transfer/delete",)
    scope: ClassVar[str] = "https://auth.globus.org/scopes/actions.globus.org/transfer/delete"


def _item(item: dict[str, Any], data_type: str) -> dict[str, Any]:
    return {"DATA_TYPE": data_type, **{name: value for name, value in item.items() if value is not None}}
