"""Connectors of Globus Connect Server, and the policy documents that each of them takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.connect_server.compare import SECRETS

if TYPE_CHECKING:
    from globus_sdk import GlobusConnectServerConnector

Version = tuple[int, int, int]


class PolicyError(ValueError):
    """A policy that the connector does not have; the text says which it has."""


@dataclass(frozen=True)
class Policies:
    """
    A kind of policy document.

    :param kind: its ``DATA_TYPE`` without the version.
    :param since: each property with the first version of the document that has it.
    :param set_by_globus: properties that Globus adds, and which cannot be set.
    """

    kind: str
    since: Mapping[str, Version]
    set_by_globus: frozenset[str]

    @property
    def secrets(self) -> tuple[str, ...]:
        """Properties that come from an Airflow connection only."""
        return tuple(name for name in self.since if name in SECRETS)

    def document(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """
        The document, in the lowest version that has every property given.

        :param given: the properties; a ``DATA_TYPE`` in them is kept.
        :raises PolicyError: naming the properties that there are, when one is unknown.
        """
        named = str(given.get("DATA_TYPE") or self.kind)
        if named.partition("#")[0] != self.kind:
            raise PolicyError(f"its policies are a {self.kind} document, not {named!r}.")
        unknown = sorted(given.keys() - self.since.keys() - {"DATA_TYPE"})
        if unknown:
            raise PolicyError(f"{', '.join(unknown)} is no policy of it. It has: {', '.join(self.since) or 'none'}.")
        version = max((self.since[name] for name in given if name != "DATA_TYPE"), default=(1, 0, 0))
        lowest = f"{self.kind}#{'.'.join(map(str, version))}"
        return {**given, "DATA_TYPE": named if "#" in named else lowest}

    def settable(self, document: Mapping[str, Any] | None) -> dict[str, Any]:
        """What could be sent of a document that Globus returned: no secrets, and nothing that Globus adds."""
        return {
            name: value
            for name, value in (document or {}).items()
            if name in self.since and name not in SECRETS and value is not None
        }


def _policies(kind: str, *versions: str, set_by_globus: str = "") -> Policies:
    since = {name: (1, minor, 0) for minor, names in enumerate(versions) for name in names.split()}
    return Policies(kind, since, frozenset(set_by_globus.split()))


_NOTHING = ""
_OAUTH = "auth_callback"
_OAUTH_OR_ADMIN = "auth_callback user_credential_required"

#: By connector, the policies of its storage gateways: properties by version 1.0.0, 1.1.0 and so on.
_STORAGE = {
    "S3": _policies(
        "s3_storage_policies",
        "s3_endpoint s3_buckets s3_user_credential_required",
        "s3_requester_pays",
        "s3_allow_multi_keys",
        "s3_storage_class s3_restore",
    ),
    "ActiveScale": _policies("s3_storage_policies", "s3_endpoint s3_buckets s3_user_credential_required"),
    "Azure Blob": _policies(
        "azure_blob_storage_policies",
        "account adls auth_type client_id secret tenant",
        "allow_any_account",
        set_by_globus=_OAUTH_OR_ADMIN,
    ),
    "BlackPearl": _policies("blackpearl_storage_policies", "s3_endpoint bp_access_id_file"),
    "Box": _policies(
        "box_storage_policies",
        "boxAppSettings enterpriseID",
        "client_id secret user_api_rate_limit",
        "allow_any_account",
        set_by_globus=_OAUTH_OR_ADMIN,
    ),
    "Ceph": _policies("ceph_storage_policies", "s3_endpoint s3_buckets ceph_admin_key_id ceph_admin_secret_key"),
    "Dropbox": _policies(
        "dropbox_storage_policies", "client_id secret allow_any_account user_api_rate_limit", set_by_globus=_OAUTH
    ),
    "Google Cloud Storage": _policies(
        "google_cloud_storage_policies",
        "buckets projects client_id secret service_account_key",
        "allow_any_account",
        set_by_globus=_OAUTH_OR_ADMIN,
    ),
    "Google Drive": _policies(
        "google_drive_storage_policies",
        "client_id secret user_api_rate_quota",
        "allow_any_account",
        set_by_globus=_OAUTH,
    ),
    "HPSS": _policies("hpss_storage_policies", "authentication_mech authenticator uda_checksum", "login_name"),
    "iRODS": _policies("irods_storage_policies", "irods_environment_file irods_authentication_file environment"),
    "OneDrive": _policies(
        "onedrive_storage_policies",
        "client_id secret tenant user_api_rate_limit",
        "allow_any_account",
        set_by_globus=_OAUTH,
    ),
    "POSIX": _policies("posix_storage_policies", "groups_allow groups_deny"),
    "POSIX Staging": _policies("posix_staging_storage_policies", "stage_app environment groups_allow groups_deny"),
}

#: By connector, the policies of its mapped collections.
_COLLECTION = {
    "S3": _policies("s3_collection_policies"),
    "ActiveScale": _policies("s3_collection_policies"),
    "Azure Blob": _policies("azure_blob_collection_policies"),
    "BlackPearl": _policies("blackpearl_collection_policies"),
    "Box": _policies("box_collection_policies"),
    "Ceph": _policies("ceph_collection_policies"),
    "Dropbox": _policies("dropbox_collection_policies"),
    "Google Cloud Storage": _policies("google_cloud_storage_collection_policies", "project"),
    "Google Drive": _policies("google_drive_collection_policies"),
    "HPSS": _policies("hpss_collection_policies"),
    "iRODS": _policies("irods_collection_policies"),
    "OneDrive": _policies("onedrive_collection_policies"),
    "POSIX": _policies("posix_collection_policies", _NOTHING, "sharing_groups_allow sharing_groups_deny"),
    "POSIX Staging": _policies("posix_staging_collection_policies", "sharing_groups_allow sharing_groups_deny"),
}

S3_USER_CREDENTIAL = _policies(
    "s3_user_credential_policies", "s3_key_id s3_secret_key", "s3_requester_pays", "s3_multi_keys"
)

#: Connectors whose credentials are pairs of S3 keys. What others need is given in a browser, or not at all.
S3_KEY_CONNECTORS = ("S3", "ActiveScale")


def find_connector(name_or_id: str) -> GlobusConnectServerConnector:
    """
    A connector by its name (any case; dashes and underscores count as spaces) or UUID.

    :raises PolicyError: listing all, when there is none.
    """
    from globus_sdk import ConnectorTable

    found = ConnectorTable.lookup(name_or_id)
    if found is None:
        names = ", ".join(connector.name for connector in ConnectorTable.all_connectors())
        raise PolicyError(f"there is no connector {name_or_id!r}. There are: {names}.")
    return found


def storage_policies(connector: str) -> Policies:
    """The policies of storage gateways of a connector, by the name that :func:`find_connector` returns."""
    return _STORAGE[connector]


def collection_policies(connector: str) -> Policies:
    """The policies of mapped collections of a connector."""
    return _COLLECTION[connector]
