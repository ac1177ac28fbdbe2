"""Reads access rules and roles as clients and seeds write them."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.connect_server.collections import policy_of
from airflow_provider_globus.sandbox.storage import StorageError
from airflow_provider_globus.sandbox.storage.paths import clean
from airflow_provider_globus.sandbox.transfer.collections import AccessRule, Collection, Role
from airflow_provider_globus.sandbox.transfer.documents import iso
from airflow_provider_globus.sandbox.transfer.errors import bad_request
from airflow_provider_globus.sandbox.transfer.filters import parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping

PRINCIPAL_TYPES = ("identity", "group", "all_authenticated_users", "anonymous")
ROLES = ("administrator", "access_manager", "activity_manager", "activity_monitor")


def parse_rule(document: Mapping[str, Any], rule_id: str, now: float) -> AccessRule:
    """Return the rule of an access document, or refuse it."""
    kind = document.get("principal_type")
    if kind not in PRINCIPAL_TYPES:
        raise bad_request(f"Field 'principal_type' must be one of {', '.join(PRINCIPAL_TYPES)}, got {kind!r}")
    permissions = document.get("permissions")
    if permissions not in ("r", "rw"):
        raise bad_request(f"Field 'permissions' must be 'r' or 'rw', got {permissions!r}")
    expiration = document.get("expiration_date")
    return AccessRule(
        id=rule_id,
        principal_type=kind,
        principal=_principal(document, kind),
        path=_rule_path(document.get("path")),
        permissions=permissions,
        create_time=now,
        expiration_date=expiration,
        expires=_expiry(expiration, now),
    )


def in_force(rule: AccessRule, collection: Collection, now: float) -> AccessRule:
    """Return a new or changed rule as the policies of its collection let it be, or refuse it.

    That a rule which would last longer than `acl_expiration_mins` allows is cut, and not refused, is assumed.
    """
    anonymous_writes = rule.principal_type == "anonymous" and "w" in rule.permissions
    if anonymous_writes and policy_of(collection, "disable_anonymous_writes"):
        raise bad_request(f"'{collection.name}' does not allow anonymous write permissions: use 'r'")
    minutes = policy_of(collection, "acl_expiration_mins") if collection.high_assurance else None
    if minutes is None or (rule.expires is not None and rule.expires <= now + minutes * 60):
        return rule
    expires = now + minutes * 60
    return replace(rule, expires=expires, expiration_date=iso(expires))


def _principal(document: Mapping[str, Any], kind: str) -> str:
    principal = document.get("principal") or ""
    if kind not in ("identity", "group"):
        if principal:
            raise bad_request(f"Field 'principal' must be empty for {kind}")
        return ""
    try:
        return str(uuid.UUID(str(principal)))
    except ValueError:
        raise bad_request(f"Field 'principal' must be the UUID of an {kind}, got {principal!r}") from None


def _rule_path(path: Any) -> str:
    if not isinstance(path, str) or not path.startswith("/") or not path.endswith("/"):
        raise bad_request(f"Field 'path' must start and end with '/', got {path!r}")
    try:
        return clean(path).rstrip("/") + "/"
    except StorageError as error:
        raise bad_request(f"Invalid path: {error.message}", "InvalidPath") from None


def _expiry(text: Any, now: float) -> float | None:
    if text is None:
        return None
    moment = parse_time(str(text))
    if moment <= now:
        raise bad_request(f"Field 'expiration_date' must be in the future, got {text}")
    return moment


def parse_role(document: Mapping[str, Any], role_id: str) -> Role:
    """Return the role of a role document, or refuse it."""
    kind, role = document.get("principal_type"), document.get("role")
    if kind not in ("identity", "group"):
        raise bad_request(f"Field 'principal_type' must be identity or group, got {kind!r}")
    if role not in ROLES:
        raise bad_request(f"Field 'role' must be one of {', '.join(ROLES)}, got {role!r}")
    return Role(id=role_id, principal_type=kind, principal=_principal(document, kind), role=role)


def rule_document(rule: AccessRule) -> dict[str, Any]:
    """Return an access rule."""
    return {
        "DATA_TYPE": "access",
        "id": rule.id,
        "principal_type": rule.principal_type,
        "principal": rule.principal,
        "path": rule.path,
        "permissions": rule.permissions,
        "role_id": None,
        "role_type": None,
        "create_time": iso(rule.create_time),
        "expiration_date": rule.expiration_date,
    }


def owner_rule_document(collection: Collection) -> dict[str, Any]:
    """Return the rule every guest collection implies: its owner may everything."""
    return {
        "DATA_TYPE": "access",
        "id": None,
        "principal_type": "identity",
        "principal": collection.owner_id,
        "path": "/",
        "permissions": "rw",
        "role_id": None,
        "role_type": "administrator",
        "create_time": None,
        "expiration_date": None,
    }


def role_document(role: Role) -> dict[str, Any]:
    """Return a role."""
    return {
        "DATA_TYPE": "role",
        "id": role.id,
        "principal_type": role.principal_type,
        "principal": role.principal,
        "role": role.role,
    }


def owner_role_document(collection: Collection) -> dict[str, Any]:
    """Return the role the owner has without being given it."""
    return {
        "DATA_TYPE": "role",
        "id": None,
        "principal_type": "identity",
        "principal": collection.owner_id,
        "role": "administrator",
    }
