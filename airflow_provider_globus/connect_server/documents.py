"""Documents of the GCS Manager API: which properties they have, since which version, and how to take one away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Version = tuple[int, int, int]

_LONG_MESSAGE = 64

#: Properties that came after version 1.0.0 of their document.
_SINCE: dict[str, dict[str, Version]] = {
    "storage_gateway": {
        "require_mfa": (1, 1, 0),
        "admin_managed_credentials": (1, 2, 0),
        "network_use": (1, 3, 0),
        "max_concurrency": (1, 3, 0),
        "max_parallelism": (1, 3, 0),
        "preferred_concurrency": (1, 3, 0),
        "preferred_parallelism": (1, 3, 0),
    },
    "collection": {
        "enable_https": (1, 1, 0),
        "user_message": (1, 1, 0),
        "user_message_link": (1, 1, 0),
        "sharing_users_allow": (1, 2, 0),
        "sharing_users_deny": (1, 2, 0),
        "force_verify": (1, 4, 0),
        "disable_anonymous_writes": (1, 5, 0),
        "guest_auth_policy_id": (1, 6, 0),
        "delete_protected": (1, 8, 0),
        "acl_expiration_mins": (1, 10, 0),
        "restrict_transfers_to_high_assurance": (1, 12, 0),
        "auto_delete_timeout": (1, 13, 0),
        "skip_auto_delete": (1, 13, 0),
        "activity_notification_policy": (1, 14, 0),
        "associated_flow_policy": (1, 15, 0),
        "https_methods": (1, 16, 0),
        "preserve_modtime": (1, 16, 0),
    },
}

GATEWAY_FIELDS = frozenset(
    {
        "allowed_domains",
        "authentication_timeout_mins",
        "connector_id",
        "display_name",
        "high_assurance",
        "identity_mappings",
        "load_dsi_module",
        "policies",
        "process_user",
        "restrict_paths",
        "users_allow",
        "users_deny",
        *_SINCE["storage_gateway"],
    }
)

COLLECTION_FIELDS = frozenset(
    {
        "allow_guest_collections",
        "authentication_timeout_mins",
        "collection_base_path",
        "collection_type",
        "connector_id",
        "contact_email",
        "contact_info",
        "default_directory",
        "department",
        "description",
        "disable_verify",
        "display_name",
        "domain_name",
        "force_encryption",
        "high_assurance",
        "identity_id",
        "info_link",
        "keywords",
        "mapped_collection_id",
        "organization",
        "policies",
        "public",
        "require_mfa",
        "root_path",
        "sharing_restrict_paths",
        "storage_gateway_id",
        "user_credential_id",
        *_SINCE["collection"],
    }
)

#: Properties that are taken away by null; others take an empty value.
_NULLABLE = frozenset(
    {
        "acl_expiration_mins",
        "associated_flow_policy",
        "auto_delete_timeout",
        "contact_email",
        "contact_info",
        "department",
        "description",
        "guest_auth_policy_id",
        "identity_mappings",
        "info_link",
        "load_dsi_module",
        "preserve_modtime",
        "process_user",
        "restrict_transfers_to_high_assurance",
        "sharing_users_allow",
        "sharing_users_deny",
        "user_message",
        "user_message_link",
        "users_allow",
        "users_deny",
    }
)

_PATH_LISTS = ("none", "read", "read_write")


def data_type(kind: str, names: Iterable[str], *, user_message: str | None = None) -> str:
    """
    The lowest version of a document that has all the properties, so that older servers take it, too.

    :param kind: ``storage_gateway`` or ``collection``.
    """
    since = _SINCE[kind]
    version = max((since.get(name, (1, 0, 0)) for name in names), default=(1, 0, 0))
    if user_message and len(user_message) > _LONG_MESSAGE:
        version = max(version, (1, 7, 0))
    return f"{kind}#{'.'.join(map(str, version))}"


def versioned(kind: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """A document to send: the properties with their ``DATA_TYPE``."""
    message = properties.get("user_message")
    return {"DATA_TYPE": data_type(kind, properties, user_message=message), **properties}


def given(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The properties that an author gave, with null for what is empty and taken away by null."""
    return {
        name: None if name in _NULLABLE and value in ("", 0, [], {}) and value is not False else value
        for name, value in properties.items()
        if value is not None
    }


def path_restrictions(given_paths: Mapping[str, Any]) -> dict[str, Any]:
    """
    A whole document of path restrictions: lists that are not given are empty.

    :param given_paths: patterns under ``none``, ``read`` and ``read_write``.
    :raises ValueError: for other names, and for what is not a list of text.
    """
    unknown = sorted(given_paths.keys() - {*_PATH_LISTS, "DATA_TYPE"})
    if unknown:
        raise ValueError(f"{', '.join(unknown)} is no kind of access. There are: {', '.join(_PATH_LISTS)}.")
    document: dict[str, Any] = {"DATA_TYPE": "path_restrictions#1.0.0"}
    for name in _PATH_LISTS:
        patterns = given_paths.get(name) or []
        if isinstance(patterns, str) or not all(isinstance(pattern, str) for pattern in patterns):
            raise ValueError(f"{name} must be a list of paths, not {patterns!r}.")
        document[name] = list(patterns)
    return document


def identity_mappings(mappings: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """
    Identity mappings with the ``DATA_TYPE`` that tells expressions from external programs.

    :raises ValueError: for what is neither.
    """
    documents = []
    for number, mapping in enumerate(mappings):
        kinds = [kind for kind, key in (("expression", "mappings"), ("external", "command")) if mapping.get(key)]
        if len(kinds) != 1:
            raise ValueError(
                f"[{number}] must have either mappings (expressions) or command (an external program), "
                f"and has: {', '.join(sorted(mapping)) or 'nothing'}."
            )
        documents.append({"DATA_TYPE": f"{kinds[0]}_identity_mapping#1.0.0", **mapping})
    return documents
