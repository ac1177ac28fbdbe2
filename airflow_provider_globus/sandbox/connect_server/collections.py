"""Collections as Connect Server describes them, and the changes it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.connect_server import schemas
from airflow_provider_globus.sandbox.connect_server.errors import invalid_input
from airflow_provider_globus.sandbox.connect_server.models import policies_type
from airflow_provider_globus.sandbox.errors import NotServed
from airflow_provider_globus.sandbox.storage.paths import rebase

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.connect_server.models import StorageGateway
    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from airflow_provider_globus.sandbox.world import World

# What both APIs know, by Transfer's name for it.
_SHARED = (
    "contact_email",
    "contact_info",
    "department",
    "description",
    "disable_verify",
    "force_encryption",
    "force_verify",
    "info_link",
    "organization",
    "user_message",
    "user_message_link",
)
_FIXED = ("collection_type", "collection_base_path", "storage_gateway_id", "mapped_collection_id")
# What only administrators see.
_PRIVATE = ("sharing_restrict_paths", "sharing_users_allow", "sharing_users_deny", "root_path")
_MAPPED_ONLY = (
    "allow_guest_collections",
    "auto_delete_timeout",
    "delete_protected",
    "disable_anonymous_writes",
    "guest_auth_policy_id",
    "restrict_transfers_to_high_assurance",
    "sharing_restrict_paths",
    "sharing_users_allow",
    "sharing_users_deny",
    "storage_gateway_id",
)
_GUEST_ONLY = ("activity_notification_policy", "mapped_collection_id", "skip_auto_delete", "user_credential_id")
_HIGH_ASSURANCE_ONLY = ("acl_expiration_mins", "restrict_transfers_to_high_assurance")
# What asks for services that a sandbox does not have.
_UNSERVED = ("associated_flow_policy", "auto_delete_timeout", "domain", "guest_auth_policy_id")
# What guest collections have from their mapped collection.
_INHERITED = ("user_message", "user_message_link")
# Where collections are; a name in it stands for nothing that could be reached.
DOMAIN = "sandbox.invalid"
_LENGTHS = {"department": 1024, "organization": 1024, "user_message": 256}

METHODS = ["GET", "PUT", "DELETE"]
# Connect Server protects mapped collections against deletion from 5.4.69 on.
_DEFAULTS: dict[str, Any] = {
    "allow_guest_collections": False,
    "delete_protected": True,
    "disable_anonymous_writes": False,
    "enable_https": True,
    "https_methods": METHODS,
    "restrict_transfers_to_high_assurance": None,
    "preserve_modtime": None,
}


def policy_of(collection: Collection, name: str) -> Any:
    """Return a policy in force: a guest collection's own where it may have one, else its mapped collection's."""
    mapped = collection.mapped
    if name == "enable_https" and policy_of(collection, "restrict_transfers_to_high_assurance"):
        return False
    if mapped is not None and mapped is not collection:
        above = policy_of(mapped, name)
        if name in _MAPPED_ONLY or name not in collection.policy:
            return above
        return _narrowed(name, collection.policy[name], above)
    if name == "disable_anonymous_writes" and collection.high_assurance:
        return True
    return collection.policy.get(name, _DEFAULTS.get(name))


def _narrowed(name: str, own: Any, above: Any) -> Any:
    """Return what a guest collection's own policy makes of its mapped collection's."""
    if name == "enable_https":
        return own and above
    if name == "https_methods":
        return [method for method in own if method in above]
    if name == "acl_expiration_mins" and above is not None:
        return min(own, above)
    return own


def detail_of(collection: Collection, name: str) -> Any:
    """Return what both APIs know of a collection, as it is in force on a guest collection."""
    mapped = collection.mapped
    if mapped is None or mapped is collection:
        return collection.details.get(name)
    if name in _INHERITED or (name == "force_encryption" and mapped.details.get(name)):
        return mapped.details.get(name)
    return collection.details.get(name)


def domain_of(collection: Collection) -> str:
    """Return the DNS name that a collection would have."""
    kind = "g" if collection.kind == "guest" else "m"
    return str(collection.policy.get("domain_name") or f"{kind}-{collection.id[:6]}.{DOMAIN}")


def collection_document(world: World, collection: Collection, *, private: bool, root: bool = True) -> dict[str, Any]:
    """Return a collection.

    :param private: with what only administrators see.
    :param root: with where it is in the storage, which a guest collection's own administrators do not see.
    """
    gateway, mapped, guest = world.connect_server.gateway_of(collection), collection.mapped, collection.kind == "guest"
    assert gateway is not None
    assert mapped is not None
    where = rebase(collection.base_path, mapped.base_path) if guest else collection.base_path
    https_url = f"{world.tls_url}/https/{collection.id}"
    names = [*_DEFAULTS, *collection.policy]
    shown = {name: policy_of(collection, name) for name in names if name in schemas.properties("collection")}
    if guest:
        shown = {name: value for name, value in shown.items() if name != "delete_protected"}
    document: dict[str, Any] = {
        "DATA_TYPE": schemas.versions("collection")[-1],
        **dict.fromkeys(_SHARED),
        "disable_verify": False,
        "force_encryption": False,
        "force_verify": False,
        "keywords": [],
        **{name: value for name in _SHARED if (value := detail_of(collection, name)) is not None},
        **shown,
        "authentication_timeout_mins": gateway.timeout_minutes,
        "collection_base_path": collection.base_path,
        "collection_type": collection.kind,
        "connector_id": gateway.connector_id,
        "created_at": _date(collection.created),
        "default_directory": collection.default_directory,
        "deleted": False,
        "display_name": collection.name,
        "domain_name": domain_of(collection),
        "high_assurance": collection.high_assurance,
        "https_url": https_url if policy_of(collection, "enable_https") else None,
        "id": collection.id,
        "identity_id": collection.owner_id,
        "last_access": None,
        "manager_url": world.tls_url,
        "public": collection.public,
        "require_mfa": bool(gateway.fields.get("require_mfa")),
        "root_path": where,
        "storage_gateway_id": gateway.id,
        "subscription_admin_verified": False,
        "tlsftp_url": None,
    }
    if guest:
        document |= {"mapped_collection_id": mapped.id, "user_credential_id": collection.user_credential_id}
    if not root:
        del document["root_path"]
    if not private:
        document = {name: value for name, value in document.items() if name not in _PRIVATE}
    return schemas.without_nulls(document)


def _date(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def apply(collection: Collection, changes: Mapping[str, Any], *, replacing: bool = False) -> None:
    """Take over checked changes.

    :param replacing: what is not said is taken away.
    """
    if replacing:
        kept = {name: value for name, value in collection.policy.items() if name == "domain_name"}
        collection.policy, collection.details, collection.default_directory = kept, {}, "/"
    for name, value in changes.items():
        if name in ("DATA_TYPE", "id", "identity_id", *_FIXED) or name in schemas.read_only("collection"):
            continue
        if name == "display_name":
            collection.name = value
        elif name == "public":
            collection.public = bool(value)
        elif name == "default_directory":
            collection.default_directory = value or "/"
        elif name == "user_credential_id":
            collection.user_credential_id = value
        elif value is None:
            collection.policy.pop(name, None)
            collection.details.pop(name, None)
        elif name in _SHARED:
            collection.details[name] = value
        else:
            collection.policy[name] = value
        if name == "keywords" and value is not None:
            collection.details["keywords"] = ", ".join(value)


def check(
    collection: Collection, changes: Mapping[str, Any], gateway: StorageGateway, *, creating: bool = False
) -> None:
    """Refuse changes that a collection of this kind, on this gateway, cannot have."""
    if found := list(_problems(collection, changes, gateway, creating)):
        raise invalid_input(found)
    for name in _UNSERVED:
        if changes.get(name) is not None:
            raise NotServed(f"the collection property {name}")
    if "$" in str(changes.get("default_directory") or ""):
        raise NotServed("$USER and $HOME in default_directory")


def _problems(
    collection: Collection, changes: Mapping[str, Any], gateway: StorageGateway, creating: bool
) -> Iterator[tuple[str, str]]:
    guest = collection.kind == "guest"
    for name in _MAPPED_ONLY if guest else _GUEST_ONLY:
        if name not in changes or (guest and changes[name] in (None, policy_of(collection, name))):
            continue
        if not (guest and name == "storage_gateway_id" and changes[name] == gateway.id):
            yield name, f"This property is not available on {collection.kind} collections."
    for name in _HIGH_ASSURANCE_ONLY:
        if changes.get(name) is not None and not collection.high_assurance:
            yield name, "This property is only available on high assurance collections."
    if changes.get("disable_anonymous_writes") is False and collection.high_assurance:
        yield "disable_anonymous_writes", "High assurance collections never allow anonymous writes."
    if guest and changes.get("enable_https") and not policy_of(collection.mapped or collection, "enable_https"):
        yield "enable_https", "HTTPS is disabled on the mapped collection."
    if guest:
        yield from _inherited(collection, changes)
    yield from _texts(changes)
    yield from _domain(collection, changes, creating)
    title = changes.get("display_name")
    if title is not None and (not title or len(title) > 128 or "\n" in title or "\r" in title):
        yield "display_name", "Length must be between 1 and 128, without line breaks."
    if isinstance(policies := changes.get("policies"), dict):
        base = policies_type(gateway.connector_id, "collection")
        if str(policies.get("DATA_TYPE")).partition("#")[0] != base:
            yield "policies.DATA_TYPE", f"Must be one of: {base}"
    if not creating:
        yield from _moved(collection, changes)


def _inherited(collection: Collection, changes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a guest collection cannot have otherwise than its mapped collection has."""
    for name in _INHERITED:
        if changes.get(name) not in (None, detail_of(collection, name)):
            yield name, "This property is read-only on guest collections."
    methods = set(policy_of(collection.mapped or collection, "https_methods"))
    if set(changes.get("https_methods") or ()) - methods:
        yield "https_methods", "The mapped collection does not allow all of these."
    if changes.get("force_encryption") is False and detail_of(collection, "force_encryption"):
        yield "force_encryption", "The mapped collection forces encryption."


def _texts(changes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, length in _LENGTHS.items():
        text = changes.get(name) or ""
        if len(text) > length or (length > 256 and ("\n" in text or "\r" in text)):
            yield name, f"Longer than maximum length {length}, or with line breaks."
    if sum(map(len, changes.get("keywords") or ())) > 1024:
        yield "keywords", "Longer than maximum length 1024."


def _domain(collection: Collection, changes: Mapping[str, Any], creating: bool) -> Iterator[tuple[str, str]]:
    """Yield why a collection cannot have a DNS name: only a mapped one, when it is made, can be given one."""
    name = changes.get("domain_name")
    if name is None or (not creating and name == domain_of(collection)):
        return
    label = name.removesuffix(f".{DOMAIN}")
    if not creating or collection.kind == "guest":
        yield "domain_name", "This property is read-only."
    elif label == name or "." in label or label.startswith(("m-", "g-")) or not label:
        yield "domain_name", f"Must be a subdomain of {DOMAIN} that does not begin with m- or g-."


def _moved(collection: Collection, changes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what cannot change once a collection is there."""
    there = {
        "collection_type": collection.kind,
        "collection_base_path": collection.base_path,
        "storage_gateway_id": collection.mapped.gateway_id if collection.mapped else None,
        "mapped_collection_id": collection.host.id if collection.host else None,
        "identity_id": collection.owner_id,
    }
    for name, value in there.items():
        said: Any = changes.get(name)
        if name == "collection_base_path" and isinstance(said, str):
            said = "/" + said.strip("/")
        if said not in (None, value):
            yield name, "This property cannot be changed."
