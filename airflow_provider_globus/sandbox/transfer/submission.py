"""Reads `POST /transfer` and `POST /delete` documents: every field is checked before anything is kept."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.storage import StorageError
from airflow_provider_globus.sandbox.transfer.errors import bad_request
from airflow_provider_globus.sandbox.transfer.filters import parse_time
from airflow_provider_globus.sandbox.transfer.tasks import FilterRule, Item, Spec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_globus.sandbox.transfer.collections import Collection

ALGORITHMS = {"MD5", "SHA1", "SHA224", "SHA256", "SHA384", "SHA512"}
LABEL_LENGTH = 128


def submission_id(document: Mapping[str, Any]) -> str:
    """Return the submission id in canonical form."""
    value = document.get("submission_id")
    if not value:
        raise bad_request("Missing required field 'submission_id'; get one from GET /submission_id")
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        raise bad_request(f"Invalid submission_id '{value}'; get one from GET /submission_id") from None


def parse(document: Mapping[str, Any], find: Callable[[str], Collection], now: float) -> Spec:
    """Return the checked submission; `find` returns a collection or refuses its id."""
    kind = _word(document, "DATA_TYPE", "", {"transfer", "delete"})
    _check_notifications(document)
    if kind == "transfer":
        return _transfer(document, find, now)
    return _delete(document, find, now)


def _transfer(document: Mapping[str, Any], find: Callable[[str], Collection], now: float) -> Spec:
    source = find(_text(document, "source_endpoint", required=True) or "")
    destination = find(_text(document, "destination_endpoint", required=True) or "")
    items = tuple(_transfer_item(item, source, destination) for item in _data(document, "transfer"))
    rules = document.get("filter_rules")
    return Spec(
        type="TRANSFER",
        submission_id=submission_id(document),
        source=source,
        destination=destination,
        items=items,
        label=label(document),
        deadline=_future(deadline(document), document, now),
        sync_level=_sync_level(document),
        verify_checksum=_flag(document, "verify_checksum", True),
        preserve_timestamp=_flag(document, "preserve_timestamp", False),
        encrypt_data=_flag(document, "encrypt_data", False),
        skip_source_errors=_flag(document, "skip_source_errors", False),
        fail_on_quota_errors=_flag(document, "fail_on_quota_errors", False),
        delete_destination_extra=_flag(document, "delete_destination_extra", False),
        recursive_symlinks=_word(document, "recursive_symlinks", "ignore", {"ignore", "keep", "copy"}),
        filter_rules=None if rules is None else _filter_rules(rules),
        source_local_user=_text(document, "source_local_user"),
        destination_local_user=_text(document, "destination_local_user"),
    )


def _delete(document: Mapping[str, Any], find: Callable[[str], Collection], now: float) -> Spec:
    source = find(_text(document, "endpoint", required=True) or "")
    items = []
    for item in _data(document, "delete"):
        _word(item, "DATA_TYPE", "delete_item", {"delete_item"})
        items.append(Item(_path(item, "path", source)))
    return Spec(
        type="DELETE",
        submission_id=submission_id(document),
        source=source,
        destination=None,
        items=tuple(items),
        label=label(document),
        deadline=_future(deadline(document), document, now),
        verify_checksum=False,
        recursive=_flag(document, "recursive", False),
        ignore_missing=_flag(document, "ignore_missing", False),
        interpret_globs=_flag(document, "interpret_globs", False),
        source_local_user=_text(document, "local_user"),
    )


def _check_notifications(document: Mapping[str, Any]) -> None:
    """Check the notification flags, which the sandbox has nobody to send to."""
    for name in ("notify_on_succeeded", "notify_on_failed", "notify_on_inactive", "store_base_path_info"):
        _flag(document, name, True)


def _data(document: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    data = document.get("DATA")
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise bad_request("Field 'DATA' must be a list of objects")
    if not data:
        raise bad_request(f"A {kind} requires at least one item", f"ClientError.BadRequest.No{kind.capitalize()}Items")
    return data


def _transfer_item(item: Mapping[str, Any], source: Collection, destination: Collection) -> Item:
    kind = _word(item, "DATA_TYPE", "transfer_item", {"transfer_item", "transfer_symlink_item"})
    algorithm = _text(item, "checksum_algorithm")
    if algorithm is not None and algorithm.upper().replace("-", "") not in ALGORITHMS:
        raise bad_request(f"Unknown checksum_algorithm '{algorithm}'; known are {', '.join(sorted(ALGORITHMS))}")
    recursive = item.get("recursive")
    checksum = _text(item, "external_checksum")
    return Item(
        source=_path(item, "source_path", source),
        destination=_path(item, "destination_path", destination),
        recursive=None if recursive is None else _flag(item, "recursive", False),
        external_checksum=checksum.lower() if checksum else None,
        algorithm=algorithm.upper().replace("-", "") if algorithm else None,
        symlink=kind == "transfer_symlink_item",
    )


def _path(item: Mapping[str, Any], name: str, collection: Collection) -> str:
    text = _text(item, name, required=True) or ""
    try:
        return collection.clean(text)
    except StorageError as error:
        raise bad_request(f"Invalid {name}: {error.message}", "InvalidPath") from None


def label(document: Mapping[str, Any]) -> str | None:
    """Return the checked label of a submission or an update."""
    text = _text(document, "label")
    if text is None:
        return None
    if len(text) > LABEL_LENGTH:
        raise bad_request(f"Field 'label' must be at most {LABEL_LENGTH} characters, got {len(text)}")
    if text != text.strip() or any(character in text for character in "\r\n\x00"):
        raise bad_request("Field 'label' must not start or end with a blank or contain line breaks")
    return text


def deadline(document: Mapping[str, Any]) -> float | None:
    """Return the deadline of a submission or an update."""
    text = _text(document, "deadline")
    return parse_time(text) if text else None


def _future(moment: float | None, document: Mapping[str, Any], now: float) -> float | None:
    if moment is not None and moment <= now:
        raise bad_request(f"Field 'deadline' must be in the future, got {document['deadline']}")
    return moment


def _sync_level(document: Mapping[str, Any]) -> int | None:
    value = document.get("sync_level")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 3:
        raise bad_request(f"Field 'sync_level' must be 0, 1, 2, 3 or null, got {value!r}")
    return value


def _filter_rules(rules: Any) -> tuple[FilterRule, ...]:
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise bad_request("Field 'filter_rules' must be a list of objects")
    return tuple(
        FilterRule(
            method=_word(rule, "method", "", {"include", "exclude"}),
            name=_text(rule, "name", required=True) or "",
            type=_word(rule, "type", "", {"file", "dir", "symlink"}) if rule.get("type") else None,
        )
        for rule in rules
    )


def _text(document: Mapping[str, Any], name: str, *, required: bool = False) -> str | None:
    value = document.get(name)
    if value is None:
        if required:
            raise bad_request(f"Missing required field '{name}'")
        return None
    if not isinstance(value, str):
        raise bad_request(f"Field '{name}' must be a string, got {value!r}")
    if required and not value:
        raise bad_request(f"Field '{name}' must not be empty")
    return value


def _flag(document: Mapping[str, Any], name: str, default: bool) -> bool:
    value = document.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise bad_request(f"Field '{name}' must be true or false, got {value!r}")
    return value


def _word(document: Mapping[str, Any], name: str, default: str, words: set[str]) -> str:
    value = document.get(name) or default
    if not isinstance(value, str) or value not in words:
        raise bad_request(f"Field '{name}' must be one of {', '.join(sorted(words))}, got {value!r}")
    return value
