"""The JSON documents of Transfer v0.10 about endpoints, collections and the servers behind them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_globus.sandbox.connect_server.collections import detail_of, policy_of
from airflow_provider_globus.sandbox.transfer.documents import canonical_name, legacy_username, owner_of

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from airflow_provider_globus.sandbox.world import World

# Keys the real service has for older kinds of endpoint, or for what the sandbox has nothing to say about.
_EMPTY = (
    "contact_email", "contact_info", "department", "description", "info_link", "keywords", "organization",
    "user_message", "user_message_link", "guest_collection_activity_notification_policy",
    "authentication_assurance_timeout", "authentication_policy_id", "tlsftp_server", "location",
    "max_concurrency", "preferred_concurrency", "max_parallelism", "preferred_parallelism", "network_use", "s3_url",
    "expire_time", "myproxy_server", "myproxy_dn", "oauth_server", "gcs_version",
    "associated_flow_policy", "auto_delete_timeout", "skip_auto_delete", "last_accessed_time",
    "non_functional_endpoint_id", "non_functional_endpoint_display_name",
)  # fmt: skip
# Connect Server's port for clients of GridFTP; nothing listens there in a sandbox.
_GRIDFTP_PORT = 2811

# In the order of the service, each with those it stands for as well.
_EFFECTIVE_ROLES = {
    "administrator": ("administrator", "access_manager", "activity_manager", "activity_monitor"),
    "access_manager": ("access_manager",),
    "activity_manager": ("activity_manager", "activity_monitor"),
    "activity_monitor": ("activity_monitor",),
}


def endpoint_document(world: World, collection: Collection, identity_id: str, groups: set[str]) -> dict[str, Any]:
    """Return an endpoint or collection with the key set of the real service."""
    kind, personal = collection.kind, collection.is_personal
    guest, gateway = kind == "guest", world.connect_server.gateway_of(collection)
    owner_id, owner = owner_of(collection)
    document: dict[str, Any] = {
        **dict.fromkeys(_EMPTY),
        "DATA_TYPE": "endpoint",
        "id": collection.id,
        "display_name": collection.name,
        "name": collection.id,
        "canonical_name": canonical_name(collection),
        "username": legacy_username(owner_id),
        "entity_type": collection.entity_type,
        "owner_id": owner_id,
        "owner_string": owner,
        "public": collection.public,
        "subscription_id": collection.subscription,
        "subscription_admin_verified": collection.subscription_admin_verified,
        "default_directory": None if kind == "endpoint" else collection.default_directory,
        "non_functional": kind == "endpoint",
        "high_assurance": collection.high_assurance,
        "mfa_required": bool(gateway and gateway.fields.get("require_mfa")),
        "authentication_timeout_mins": gateway.timeout_minutes if gateway else None,
        "force_encryption": False,
        "disable_verify": False,
        "force_verify": False,
        "french_english_bilingual": False,
        "requester_pays": False,
        "disable_anonymous_writes": bool(policy_of(collection, "disable_anonymous_writes")),
        "preserve_modtime": policy_of(collection, "preserve_modtime"),
        "restrict_transfers_to_high_assurance": policy_of(collection, "restrict_transfers_to_high_assurance"),
        "acl_max_expiration_period_mins": policy_of(collection, "acl_expiration_mins"),
        "acl_available": guest,
        "acl_editable": guest and collection.has_role(identity_id, ("administrator", "access_manager")),
        "shareable": kind in ("mapped", "personal"),
        "in_use": False,
        "my_effective_roles": _roles(collection, identity_id, groups),
        **_host(collection if guest else None),
        "gcs_manager_url": None if personal else world.tls_url,
        "https_server": _https_server(world, collection),
        "is_globus_connect": kind == "personal",
        "globus_connect_setup_key": collection.setup_key if identity_id == collection.owner_id else None,
        "gcp_connected": collection.online if personal else None,
        "gcp_paused": False if personal else None,
        "local_user_info_available": kind == "mapped",
        "s3_owner_activated": False,
        "activated": False,
        "expires_in": -1,
        "DATA": server_documents(world, collection),
    }
    names = {*collection.details, "force_encryption", "user_message", "user_message_link"}
    said = {name: detail_of(collection, name) for name in names}
    return {**document, **{name: value for name, value in said.items() if value is not None}}


def _host(guest: Collection | None) -> dict[str, Any]:
    """Return what a guest collection says of the collection it is made on."""
    host = guest.host if guest else None
    on_server = host is not None and guest is not None and not guest.is_personal
    path = guest.base_path if guest else None
    if guest is not None and guest.is_personal:
        path = guest.base_path.rstrip("/") + "/"
    name = canonical_name(host) if host is not None and not on_server else None
    return {
        "host_endpoint": name,
        "host_endpoint_id": host.id if host else None,
        "host_endpoint_display_name": host.name if host else None,
        "host_path": path,
        "sharing_target_endpoint": name,
        "sharing_target_root_path": None if on_server else path,
        "mapped_collection_id": host.id if host and on_server else None,
        "mapped_collection_display_name": host.name if host and on_server else None,
    }


def _https_server(world: World, collection: Collection) -> str | None:
    """Return where the files of a collection are read and written over HTTPS; None when they are not."""
    if collection.mapped is None or not policy_of(collection, "enable_https"):
        return None
    return f"{world.tls_url}/https/{collection.id}"


def _roles(collection: Collection, identity_id: str, groups: set[str]) -> list[str]:
    mine = {item.role for item in collection.roles.values() if item.principal in {identity_id, *groups}}
    mine |= {"administrator"} if identity_id == collection.owner_id else set()
    effective = {name for role in mine for name in _EFFECTIVE_ROLES[role]}
    # Who may change permissions is a matter of collections that have some.
    return [
        name
        for name in _EFFECTIVE_ROLES
        if name in effective and (name != "access_manager" or name in mine or collection.kind == "guest")
    ]


def server_documents(world: World, collection: Collection) -> list[dict[str, Any]]:
    """Return the servers of an endpoint, or of a personal collection and what is shared from it."""
    if collection.kind != "endpoint" and not collection.is_personal:
        return []
    place = collection.host if collection.kind == "guest" and collection.host else collection
    host = urlsplit(world.tls_url).hostname if collection.kind == "endpoint" else None
    subject = f"/C=US/O=Globus Consortium/OU=Globus Connect Service/CN={place.id}"
    return [
        {
            "DATA_TYPE": "server",
            "id": uuid.UUID(place.id).int % 1_000_000,
            "hostname": host,
            "port": _GRIDFTP_PORT if host else None,
            "scheme": "gsiftp" if host else None,
            "uri": f"gsiftp://{host}:{_GRIDFTP_PORT}" if host else None,
            "subject": None if host else subject,
            "is_connected": collection.online,
            "is_paused": False,
            "incoming_data_port_start": None,
            "incoming_data_port_end": None,
            "outgoing_data_port_start": None,
            "outgoing_data_port_end": None,
        }
    ]
