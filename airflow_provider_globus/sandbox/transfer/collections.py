"""Collections of the sandbox: what they are, where their bytes live and who may touch them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_globus.sandbox.storage.paths import clean, is_within

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_globus.sandbox.storage import Storage

Kind = Literal["endpoint", "mapped", "guest", "personal"]

ENTITY_TYPES: dict[Kind, str] = {
    "endpoint": "GCSv5_endpoint",
    "mapped": "GCSv5_mapped_collection",
    "guest": "GCSv5_guest_collection",
    "personal": "GCP_mapped_collection",
}
PERSONAL_GUEST = "GCP_guest_collection"

# What `PUT /endpoint/<id>` may change, with the type it must have.
_COUNT = (int, type(None))
EDITABLE: dict[str, type | tuple[type, ...]] = {
    "display_name": str,
    "description": (str, type(None)),
    "organization": (str, type(None)),
    "department": (str, type(None)),
    "keywords": (str, type(None)),
    "contact_email": (str, type(None)),
    "contact_info": (str, type(None)),
    "info_link": (str, type(None)),
    "user_message": (str, type(None)),
    "user_message_link": (str, type(None)),
    "default_directory": (str, type(None)),
    "public": bool,
    "disable_verify": bool,
    "force_verify": bool,
    "force_encryption": bool,
    "guest_collection_activity_notification_policy": (dict, type(None)),
    "location": (str, type(None)),
    "network_use": (str, type(None)),
    "max_concurrency": _COUNT,
    "preferred_concurrency": _COUNT,
    "max_parallelism": _COUNT,
    "preferred_parallelism": _COUNT,
}


@dataclass(frozen=True)
class AccessRule:
    """Permission of a principal on a folder of a guest collection."""

    id: str
    principal_type: str
    principal: str
    path: str
    permissions: str
    create_time: float
    expiration_date: str | None = None
    expires: float | None = None


@dataclass(frozen=True)
class Role:
    """A role of a principal on a collection."""

    id: str
    principal_type: str
    principal: str
    role: str


@dataclass(eq=False)
class Collection:
    """One collection, or the Connect Server endpoint above mapped ones (which holds no files itself).

    :param root: the folder or `s3://` URL it was made with, for people to read.
    :param host: the collection a guest collection is made on, the endpoint of a mapped one.
    :param connected: whether the machine of a personal collection is online.
    :param setup_key: what Globus Connect Personal is set up with, until it is.
    :param subscription_id: the subscription a personal collection is under; guest collections are under their host's.
    :param storage: its files, where they are the same for everybody; else Connect Server finds those of each identity.
    :param base_path: where it begins: in its host, or (a mapped one) in the storage of its gateway.
    :param gateway_id: the storage gateway of a mapped collection.
    :param user_credential_id: the credential of its owner that a guest collection uses.
    :param policy: what only Connect Server's own documents say about it, such as ``allow_guest_collections``.
    """

    id: str
    name: str
    kind: Kind
    owner_id: str
    owner_username: str
    root: str = ""
    storage: Storage | None = field(default=None, repr=False)
    host: Collection | None = field(default=None, repr=False)
    base_path: str = "/"
    alias: str | None = None
    high_assurance: bool = False
    writable: bool = True
    public: bool = True
    default_directory: str = "/"
    connected: bool = True
    setup_key: str | None = None
    subscription_id: str | None = None
    subscription_admin_verified: bool = False
    gateway_id: str | None = None
    user_credential_id: str | None = None
    created: float = 0.0
    policy: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    rules: dict[str, AccessRule] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)

    @property
    def entity_type(self) -> str:
        """Globus' word for the kind of collection."""
        if self.kind == "guest" and self.is_personal:
            return PERSONAL_GUEST
        return ENTITY_TYPES[self.kind]

    @property
    def is_personal(self) -> bool:
        """Whether it is Globus Connect Personal's, which Transfer manages, and not Connect Server's."""
        return "personal" in (self.kind, self.host.kind if self.host else None)

    @property
    def online(self) -> bool:
        """Whether the machine with its files is there."""
        return self.host.online if self.host is not None and self.is_personal else self.connected

    @property
    def subscription(self) -> str | None:
        """The subscription it is under."""
        return self.host.subscription_id if self.kind == "guest" and self.host else self.subscription_id

    @property
    def needs_data_access(self) -> bool:
        """Whether a `data_access` consent is asked of who uses it: mapped and not high assurance."""
        return self.kind == "mapped" and not self.high_assurance

    @property
    def mapped(self) -> Collection | None:
        """The mapped collection it is, or is made on; None for what is on a personal one, and for endpoints."""
        if self.kind == "guest":
            return None if self.is_personal else self.host
        return self if self.kind == "mapped" else None

    @property
    def home(self) -> str:
        """What `/~/` stands for."""
        return clean(self.default_directory.replace("/~/", "/"), "/")

    def clean(self, path: str) -> str:
        """Return the absolute, normalised form of a path a client sent."""
        return clean(path, self.home)

    def apply(self, changes: Mapping[str, Any]) -> None:
        """Take over checked changes of the editable fields."""
        for name, value in changes.items():
            if name == "display_name":
                self.name = value
            elif name == "default_directory":
                self.default_directory = value or "/"
            elif name == "public":
                self.public = value
            else:
                self.details[name] = value

    def has_role(self, identity_id: str, roles: Iterable[str]) -> bool:
        """Whether an identity owns the collection or has one of the roles on it."""
        wanted = set(roles)
        return identity_id == self.owner_id or any(
            item.principal == identity_id and item.role in wanted for item in self.roles.values()
        )

    def permissions_of(self, identity_id: str, groups: Iterable[str], path: str, now: float) -> str:
        """Return `rw`, `r` or nothing: what an identity may do at a path.

        A guest collection gives its owner everything, others what the rule with the longest matching path gives.
        A personal collection is its owner's alone. A mapped one leaves it to the storage.
        """
        if self.kind == "mapped" or identity_id == self.owner_id:
            granted = "rw"
        elif self.kind == "personal":
            granted = ""
        elif self.has_role(identity_id, ("administrator",)):
            granted = "rw"
        else:
            granted = self._ruled(identity_id, set(groups), path, now)
        return granted if self.writable else granted.replace("w", "")

    def _ruled(self, identity_id: str, groups: set[str], path: str, now: float) -> str:
        best: tuple[int, int, str] = (-1, 0, "")
        for rule in self.rules.values():
            folder = rule.path.rstrip("/") or "/"
            if not is_within(path, folder) or (rule.expires is not None and rule.expires <= now):
                continue
            if _means(rule, identity_id, groups):
                best = max(best, (len(folder), len(rule.permissions), rule.permissions))
        return best[2]


def _means(rule: AccessRule, identity_id: str, groups: set[str]) -> bool:
    if rule.principal_type in ("all_authenticated_users", "anonymous"):
        return True
    if rule.principal_type == "group":
        return rule.principal in groups
    return rule.principal == identity_id
