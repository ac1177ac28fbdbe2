"""What Connect Server knows beside collections: storage gateways, user credentials, sharing policies."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from globus_sdk import ConnectorTable

from airflow_provider_globus.sandbox.connect_server.mapping import IdentityMapper
from airflow_provider_globus.sandbox.connect_server.restrictions import PathRules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_globus.sandbox.storage import Storage

POSIX = ConnectorTable.POSIX.connector_id
S3 = ConnectorTable.S3.connector_id
# Connectors whose data the sandbox reaches: folders, and what speaks S3.
FOLDERS = (POSIX, ConnectorTable.POSIX_STAGING.connector_id)
BUCKETS = (S3, ConnectorTable.ACTIVESCALE.connector_id)

# The policy documents of a connector begin with this; ActiveScale takes those of S3.
POLICY_PREFIXES = {
    ConnectorTable.ACTIVESCALE.connector_id: "s3",
    ConnectorTable.AZURE_BLOB.connector_id: "azure_blob",
    ConnectorTable.BLACKPEARL.connector_id: "blackpearl",
    ConnectorTable.BOX.connector_id: "box",
    ConnectorTable.CEPH.connector_id: "ceph",
    ConnectorTable.DROPBOX.connector_id: "dropbox",
    ConnectorTable.GOOGLE_CLOUD_STORAGE.connector_id: "google_cloud_storage",
    ConnectorTable.GOOGLE_DRIVE.connector_id: "google_drive",
    ConnectorTable.HPSS.connector_id: "hpss",
    ConnectorTable.IRODS.connector_id: "irods",
    ConnectorTable.ONEDRIVE.connector_id: "onedrive",
    POSIX: "posix",
    ConnectorTable.POSIX_STAGING.connector_id: "posix_staging",
    S3: "s3",
}


def policies_type(connector_id: str, kind: str) -> str:
    """Return what the policy documents of a connector are called in DATA_TYPE, without the version.

    :param kind: `storage`, `collection` or `user_credential`.
    """
    # "google_cloud_storage_policies": the API does not say "storage" twice.
    return f"{POLICY_PREFIXES[connector_id]}_{kind}_policies".replace("storage_storage", "storage")


# Properties of policies that hold secrets. Whether the real service tells them again could not be confirmed; the
# sandbox never does.
_SECRETS = frozenset(
    {
        "access_token",
        "boxAppSettings",
        "ceph_admin_secret_key",
        "refresh_token",
        "s3_secret_key",
        "secret",
        "secret_key",
        "service_account_key",
    }
)

# Minutes since a login after which another one is asked for. That high assurance has 30 is an assumption.
TIMEOUT_MINUTES = 15840
HIGH_ASSURANCE_TIMEOUT_MINUTES = 30


@dataclass(eq=False)
class StorageGateway:
    """A storage gateway; changed by replacing it, so that what is worked out from it is never stale.

    Policies about POSIX groups are kept and shown, and keep nobody out: accounts of a sandbox are in no groups.

    :param fields: its document, without ``DATA_TYPE`` and ``id``.
    :param fixed: where the files are when whoever set up the sandbox said so, whatever the policies say.
    :param fixed_path: where these files are in the storage.
    """

    id: str
    fields: dict[str, Any]
    fixed: Storage | None = field(default=None, repr=False)
    fixed_path: str = "/"

    @property
    def display_name(self) -> str:
        """Its name."""
        return str(self.fields.get("display_name") or "")

    @property
    def connector_id(self) -> str:
        """The connector it uses."""
        return str(self.fields["connector_id"])

    @property
    def policies(self) -> dict[str, Any]:
        """The connector's own policies."""
        return dict(self.fields.get("policies") or {})

    @property
    def high_assurance(self) -> bool:
        """Whether it is for protected data."""
        return bool(self.fields.get("high_assurance"))

    @property
    def timeout_minutes(self) -> float | None:
        """Minutes that a login is good for; None for ever."""
        found: float | None = self.fields.get("authentication_timeout_mins")
        return found

    @property
    def allowed_domains(self) -> list[str]:
        """The domains of identities that may use it; all when empty."""
        return [str(domain).lower() for domain in self.fields.get("allowed_domains") or ()]

    def admits_domain(self, username: str) -> bool:
        """Whether identities of the domain of a username may use it."""
        return not self.allowed_domains or username.partition("@")[2].lower() in self.allowed_domains

    def admits_account(self, account: str) -> bool:
        """Whether a local account may be used."""
        allow, deny = self.fields.get("users_allow"), self.fields.get("users_deny")
        return lets_in(account, users=allow, not_users=deny, groups=self.policies.get("groups_allow"))

    @cached_property
    def mapper(self) -> IdentityMapper:
        """Finds the accounts of identities."""
        return IdentityMapper(
            self.fields.get("identity_mappings"),
            connector_id=self.connector_id,
            gateway_id=self.id,
            allowed_domains=self.allowed_domains,
        )

    @cached_property
    def rules(self) -> PathRules:
        """What may be done at which path, in paths of the storage."""
        return PathRules(self.fields.get("restrict_paths"))


@dataclass(eq=False)
class UserCredential:
    """What an identity uses a storage with.

    :param policies: of the connector, with the secrets.
    :param invalid: the storage does not take it, or something is missing.
    """

    id: str
    gateway_id: str
    connector_id: str
    identity_id: str
    username: str
    display_name: str | None = None
    policies: dict[str, Any] = field(default_factory=dict, repr=False)
    invalid: bool = False

    def lacks_something(self, gateway: StorageGateway) -> bool:
        """Whether it has not all that its storage gateway demands."""
        if gateway.connector_id not in BUCKETS:
            return False
        pairs = [self.policies, *(self.policies.get("s3_multi_keys") or ())]
        has_keys = any(pair.get("s3_key_id") and pair.get("s3_secret_key") for pair in pairs)
        pays = not gateway.policies.get("s3_requester_pays") or self.policies.get("s3_requester_pays")
        return not has_keys or not pays


@dataclass(frozen=True)
class SharingPolicy:
    """Which paths of a mapped collection may be shared, by some of its users or (without names) by all."""

    id: str
    collection_id: str
    restrict_paths: dict[str, Any]
    users: tuple[str, ...] | None = None


def lets_in(
    account: str, *, users: Iterable[str] | None, not_users: Iterable[str] | None, groups: Iterable[str] | None
) -> bool:
    """Whether a local account is let in by lists of accounts and of Unix groups that are, and of accounts that are not.

    The sandbox's accounts are in no Unix group: a list of groups that are let in lets in none, and one of groups that
    are not keeps none out.
    """
    return account not in (not_users or ()) and (not (users or groups) or account in (users or ()))


def lacking_numbers(fields: Mapping[str, Any]) -> list[str]:
    """Return what a network use of one's own choice leaves unsaid; nothing where it is none."""
    numbers = ("max_concurrency", "preferred_concurrency", "max_parallelism", "preferred_parallelism")
    return [name for name in numbers if fields.get("network_use") == "custom" and fields.get(name) is None]


def without_secrets(value: Any) -> Any:
    """Return policies with null for all that is secret."""
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    if isinstance(value, dict):
        return {name: None if name in _SECRETS else without_secrets(item) for name, item in value.items()}
    return value
