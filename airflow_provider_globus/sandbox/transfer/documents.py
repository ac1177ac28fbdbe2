"""The JSON documents of Transfer v0.10 about tasks and files, with the full key sets of the real service."""

from __future__ import annotations

import base64
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.auth.scopes import ENDPOINT_ID
from airflow_provider_globus.sandbox.transfer.tasks import Event, Phase, Skipped, Success, Task

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.storage import Entry
    from airflow_provider_globus.sandbox.transfer.collections import Collection

NICE_STATUS_SECONDS = 15 * 60


def iso(moment: float | None) -> str | None:
    """Return a time as tasks and events show it."""
    if moment is None:
        return None
    return datetime.fromtimestamp(int(moment), UTC).isoformat()


def file_time(moment: float) -> str:
    """Return a time as file listings show it, with a blank instead of the T."""
    return datetime.fromtimestamp(int(moment), UTC).isoformat(sep=" ")


def result(code: str, message: str, request_id: str, resource: str, **more: Any) -> dict[str, Any]:
    """Return the answer to a change."""
    return {
        "DATA_TYPE": "result",
        "code": code,
        "message": message,
        "request_id": request_id,
        "resource": resource,
        **more,
    }


def file_document(entry: Entry, collection: Collection) -> dict[str, Any]:
    """Return one entry of a listing."""
    link = entry.link
    return {
        "DATA_TYPE": "file",
        "name": entry.name,
        "type": entry.kind,
        "size": entry.size,
        "permissions": entry.permissions,
        "user": entry.user or collection.owner_username,
        "group": entry.group or "sandbox",
        "last_modified": file_time(entry.modified),
        "link_target": link.target if link else None,
        "link_size": link.size if link else None,
        "link_user": link.user if link else None,
        "link_group": link.group if link else None,
        "link_last_modified": file_time(link.modified) if link else None,
    }


def legacy_username(identity_id: str) -> str:
    """Return what identities are called where usernames of globusid.org were shown: a text without meaning."""
    return f"u_{base64.b32encode(uuid.UUID(identity_id).bytes).decode().rstrip('=').lower()}"


def canonical_name(collection: Collection) -> str:
    """Return the name that endpoints had before they had ids."""
    return f"{legacy_username(owner_of(collection)[0])}#{collection.id}"


def owner_of(collection: Collection) -> tuple[str, str]:
    """Return the identity that Transfer calls the owner: of what is on a Connect Server, its endpoint's own client."""
    if collection.is_personal:
        return collection.owner_id, collection.owner_username
    return ENDPOINT_ID, f"{ENDPOINT_ID}@clients.auth.globus.org"


def _side(name: str, collection: Collection | None) -> dict[str, Any]:
    if collection is None:
        return {
            f"{name}_endpoint": None,
            f"{name}_endpoint_id": None,
            f"{name}_endpoint_display_name": None,
        }
    return {
        f"{name}_endpoint": canonical_name(collection),
        f"{name}_endpoint_id": collection.id,
        f"{name}_endpoint_display_name": collection.name,
    }


def _nice(task: Task, now: float) -> dict[str, Any]:
    """Return how a task feels: what is nulled once it has ended."""
    if task.done:
        names = ("is_ok", "nice_status", "nice_status_details", "nice_status_short_description")
        return {**dict.fromkeys(names), "nice_status_expires_in": None}
    fine = task.nice_status in ("OK", "Queued")
    left = -1 if fine else max(0, int(task.nice_since + NICE_STATUS_SECONDS - now))
    return {
        "is_ok": fine,
        "nice_status": task.nice_status,
        "nice_status_details": task.nice_details,
        "nice_status_short_description": task.nice_status.replace("_", " ").capitalize() if not fine else "OK",
        "nice_status_expires_in": left,
    }


def _progress(task: Task, now: float) -> dict[str, Any]:
    """Return the counters; the task itself counts as one subtask more."""
    skipped = len(task.skipped)
    ended = task.steps_failed + task.steps_left
    succeeded = task.steps_succeeded + (task.status == "SUCCEEDED")
    open_steps = 0 if task.done else task.subtasks_total - succeeded - skipped - ended
    retrying = min(len(task.retry), open_steps)
    lost = task.steps_left + 1 if task.status == "FAILED" else 0
    code = (task.fatal_error or {}).get("code")
    return {
        "files": task.files,
        "directories": task.directories,
        "symlinks": task.symlinks,
        "files_skipped": task.files_skipped,
        "files_transferred": task.files_transferred,
        "bytes_transferred": task.bytes_transferred,
        "bytes_checksummed": task.bytes_checksummed,
        "effective_bytes_per_second": _rate(task, now),
        "faults": task.faults,
        "subtasks_total": task.subtasks_total,
        "subtasks_pending": open_steps - retrying,
        "subtasks_retrying": retrying,
        "subtasks_succeeded": succeeded,
        "subtasks_skipped_errors": skipped,
        "subtasks_canceled": lost if code == "CANCELED" else 0,
        "subtasks_expired": lost if code == "EXPIRED" else 0,
        "subtasks_failed": task.steps_failed + (lost if code not in ("CANCELED", "EXPIRED") else 0),
    }


def _rate(task: Task, now: float) -> int:
    end = now if task.completion_time is None else task.completion_time
    elapsed = max(end - task.request_time, 1.0)
    return int(task.bytes_transferred / elapsed)


def task_document(task: Task, now: float) -> dict[str, Any]:
    """Return a task as its owner sees it."""
    spec = task.spec
    rules = spec.filter_rules
    return {
        "DATA_TYPE": "task",
        "task_id": task.id,
        "type": task.type,
        "status": task.status,
        "label": task.label,
        "owner_id": task.owner_id,
        "username": legacy_username(task.owner_id),
        "request_time": iso(task.request_time),
        "completion_time": iso(task.completion_time),
        "deadline": iso(task.deadline),
        **_side("source", spec.source),
        **_side("destination", spec.destination),
        "source_local_user": spec.source_local_user,
        "source_local_user_status": "OK",
        "source_base_path": None,
        "destination_local_user": spec.destination_local_user,
        "destination_local_user_status": "OK" if spec.destination else "NO_ENDPOINT",
        "destination_base_path": None,
        **_progress(task, now),
        **_nice(task, now),
        "is_paused": task.paused,
        "fatal_error": task.fatal_error,
        "canceled_by_admin": task.canceled_by_admin,
        "canceled_by_admin_message": task.canceled_by_admin_message,
        "command": "API 0.10",
        "history_deleted": task.history_deleted(now),
        "sync_level": spec.sync_level,
        "verify_checksum": spec.verify_checksum,
        "encrypt_data": spec.encrypt_data,
        "preserve_timestamp": spec.preserve_timestamp,
        "delete_destination_extra": spec.delete_destination_extra,
        "recursive_symlinks": spec.recursive_symlinks if spec.type == "TRANSFER" else None,
        "skip_source_errors": spec.skip_source_errors,
        "fail_on_quota_errors": spec.fail_on_quota_errors,
        "filter_rules": None if rules is None else [rule.document() for rule in rules],
    }


def managed_task_document(task: Task, now: float) -> dict[str, Any]:
    """Return a task as a manager of one of its collections sees it."""
    document = {**task_document(task, now), "owner_string": task.username}
    for side, collection in (("source", task.spec.source), ("destination", task.spec.destination)):
        guest = collection if collection and collection.kind == "guest" else None
        host = guest.host if guest and guest.is_personal else None
        mapped = guest.host if guest and not guest.is_personal else None
        document |= {
            f"{side}_host_endpoint": canonical_name(host) if host else None,
            f"{side}_host_endpoint_id": host.id if host else None,
            f"{side}_host_endpoint_display_name": host.name if host else None,
            f"{side}_host_path": guest.base_path if guest else None,
            f"{side}_mapped_collection_id": mapped.id if mapped else None,
            f"{side}_mapped_collection_display_name": mapped.name if mapped else None,
        }
    return document


def event_document(event: Event) -> dict[str, Any]:
    """Return one event."""
    return {
        "DATA_TYPE": "event",
        "code": event.code,
        "description": event.description,
        "details": event.details,
        "is_error": event.is_error,
        "time": iso(event.time),
    }


def success_document(success: Success) -> dict[str, Any]:
    """Return one file that was copied."""
    return {
        "DATA_TYPE": "successful_transfer",
        "source_path": success.source,
        "destination_path": success.destination,
        "size": success.size,
        "checksum": success.checksum,
        "checksum_algorithm": success.algorithm,
    }


def skipped_document(skipped: Skipped) -> dict[str, Any]:
    """Return one file that was left out."""
    item = skipped.item
    return {
        "DATA_TYPE": "skipped_error",
        "source_path": skipped.source,
        "destination_path": skipped.destination,
        "error_code": skipped.code,
        "error_details": skipped.details,
        "error_time": iso(skipped.time),
        "is_directory": skipped.is_dir,
        "is_symlink": bool(item and item.symlink),
        "is_delete_destination_extra": False,
        "checksum_algorithm": item.algorithm if item else None,
        "external_checksum": item.external_checksum if item else None,
    }


def task_summary(task: Task) -> dict[str, Any]:
    """Return a few words about a task, for the sandbox's own state page."""
    return {
        "task_id": task.id,
        "type": task.type,
        "status": task.status,
        "phase": Phase(task.phase).name,
        "label": task.label,
        "owner": task.username,
        "nice_status": None if task.done else task.nice_status,
        "faults": task.faults,
        "files_transferred": task.files_transferred,
        "bytes_transferred": task.bytes_transferred,
        "submission_id": task.spec.submission_id,
    }
