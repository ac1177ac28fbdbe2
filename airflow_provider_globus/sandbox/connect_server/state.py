"""The memory of Connect Server, and who reaches which files through it."""

from __future__ import annotations

import shutil
import tempfile
import threading
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from globus_sdk import ConnectorTable

from airflow_provider_globus.sandbox.connect_server.collections import policy_of
from airflow_provider_globus.sandbox.connect_server.login import (
    credential_not_found,
    invalid_credential,
    invalid_user,
    wrong_domain,
)
from airflow_provider_globus.sandbox.connect_server.models import (
    BUCKETS,
    FOLDERS,
    POSIX,
    S3,
    SharingPolicy,
    StorageGateway,
    UserCredential,
)
from airflow_provider_globus.sandbox.connect_server.restrictions import PathRules
from airflow_provider_globus.sandbox.connect_server.sessions import session_required
from airflow_provider_globus.sandbox.storage import LocalStorage, StorageError
from airflow_provider_globus.sandbox.storage.paths import is_within, rebase

if TYPE_CHECKING:
    import os

    from airflow_provider_globus.sandbox.auth.models import Caller, Identity
    from airflow_provider_globus.sandbox.storage import Storage
    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from airflow_provider_globus.sandbox.world import World

_IMPLIED = uuid.UUID("5a4db0c5-0000-4000-8000-0000000000e1")


class ConnectServerState:
    """Storage gateways, user credentials and sharing policies of one sandbox; safe to use from any thread."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.lock = threading.RLock()
        self.gateways: dict[str, StorageGateway] = {}
        self.credentials: dict[str, UserCredential] = {}
        self.sharing_policies: dict[str, SharingPolicy] = {}
        self.endpoint_fields: dict[str, Any] = {}
        self._folder: Path | None = None
        self._folder_is_ours = False
        self._files: dict[tuple[str, str], Storage] = {}
        self._accounts: dict[tuple[str, str], str] = {}
        self._services: dict[tuple[StorageGateway, UserCredential | None], Storage] = {}
        self._sharing: dict[tuple[str, str], list[PathRules]] = {}
        self.mark()

    # What POSIX gateways show

    def set_folder(self, folder: str | os.PathLike[str]) -> None:
        """Make a folder what POSIX storage gateways made through the API see as their file system."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        self._folder, self._folder_is_ours = path, False
        self.changed()

    @property
    def folder(self) -> Path:
        """The folder that POSIX storage gateways show; a temporary one, when none was set."""
        with self.lock:
            if self._folder is None:
                self._folder, self._folder_is_ours = Path(tempfile.mkdtemp(prefix="globus-sandbox-posix-")), True
            return self._folder

    # What is there

    def give_gateway(self, collection: Collection, s3_endpoint_url: str | None) -> None:
        """Put the storage gateway under a mapped collection that was made from outside, with its files as they are."""
        storage, collection.storage = collection.storage, None
        fields: dict[str, Any] = {
            "display_name": f"{collection.name} storage",
            "connector_id": POSIX,
            "high_assurance": collection.high_assurance,
            "identity_mappings": None,
            "policies": {"DATA_TYPE": "posix_storage_policies#1.0.0"},
        }
        if collection.root.startswith("s3://"):
            bucket = collection.root.removeprefix("s3://").partition("/")[0]
            collection.base_path = "/" + collection.root.removeprefix("s3://").strip("/")
            fields |= {
                "connector_id": S3,
                "policies": {
                    "DATA_TYPE": "s3_storage_policies#1.0.0",
                    "s3_endpoint": s3_endpoint_url or "https://s3.amazonaws.com",
                    "s3_buckets": [bucket],
                    "s3_user_credential_required": False,
                },
            }
        gateway = StorageGateway(str(uuid.uuid5(_IMPLIED, collection.id)), fields, storage, collection.base_path)
        with self.lock:
            self.gateways[gateway.id] = gateway
        collection.gateway_id = gateway.id

    def gateway_of(self, collection: Collection) -> StorageGateway | None:
        """Return the storage gateway of a mapped collection, or of the one a guest collection is made on."""
        mapped = collection.mapped
        return None if mapped is None or mapped.gateway_id is None else self.gateways.get(mapped.gateway_id)

    def credentials_of(self, gateway_id: str, identity_id: str) -> list[UserCredential]:
        """Return what an identity registered for a storage gateway."""
        with self.lock:
            return [
                item
                for item in self.credentials.values()
                if (item.gateway_id, item.identity_id) == (gateway_id, identity_id)
            ]

    def changed(self) -> None:
        """Forget what was worked out from what there was."""
        self._world.transfer.listings.forget()
        with self.lock:
            # Replaced, never emptied: who is working something out keeps it where nobody looks any more.
            self._files, self._accounts, self._sharing = {}, {}, {}
            # Connections are dear: those of gateways and credentials that are as they were stay.
            self._services = {key: files for key, files in self._services.items() if self._is_there(*key)}

    def _is_there(self, gateway: StorageGateway, credential: UserCredential | None) -> bool:
        return gateway is self.gateways.get(gateway.id) and (
            credential is None or credential is self.credentials.get(credential.id)
        )

    # Who reaches what

    def require_session(self, caller: Caller, collection: Collection) -> None:
        """Refuse a caller whose login is too old or too weak for a collection's storage gateway."""
        gateway = self.gateway_of(collection)
        if gateway is None:
            return
        guest = collection.kind == "guest"
        if refused := session_required(gateway, caller, self._world.clock.time(), any_domain=guest):
            raise refused

    def account(self, gateway: StorageGateway, identity_id: str) -> str:
        """Return the local account of an identity.

        :raises StorageError: it has none, or none that is let in.
        """
        key, remembered = (gateway.id, identity_id), self._accounts
        if (known := remembered.get(key)) is not None:
            return known
        identity = self._world.auth.identity(identity_id)
        if identity is None:
            raise invalid_user(())
        if not gateway.admits_domain(identity.username):
            raise wrong_domain(gateway.allowed_domains)
        accounts = self.accounts(gateway, identity)
        admitted = [account for account in accounts if gateway.admits_account(account)]
        if not admitted:
            raise invalid_user(accounts)
        remembered[key] = admitted[0]
        return admitted[0]

    def accounts(self, gateway: StorageGateway, identity: Identity) -> list[str]:
        """Return the accounts that the identity mappings of a gateway find."""
        return gateway.mapper.accounts(identity.document())

    def files(self, collection: Collection, identity_id: str) -> Storage:
        """Return the files of a mapped or guest collection as an identity reaches them.

        A guest collection is reached as its owner's account, with its owner's credential, by everybody.

        :raises StorageError: the storage does not let it in.
        """
        user = collection.owner_id if collection.kind == "guest" else identity_id
        key, remembered = (collection.id, user), self._files
        if (known := remembered.get(key)) is not None:
            return known
        gateway, mapped = self.gateway_of(collection), collection.mapped
        if gateway is None or mapped is None:
            raise StorageError("ENDPOINT_ERROR", f"{collection.name} has no storage gateway")
        if collection.kind == "guest" and not policy_of(mapped, "allow_guest_collections"):
            # How the real service words this could not be confirmed.
            raise StorageError("PERMISSION_DENIED", f"{mapped.name} does not allow guest collections any more")
        account = self.account(gateway, user)
        files = self._at(gateway, user, account, collection.user_credential_id, mapped.base_path)
        if collection.kind == "guest" and collection.base_path != "/":
            files = files.below(collection.base_path)
        remembered[key] = files
        return files

    def _at(self, gateway: StorageGateway, user: str, account: str, credential_id: str | None, path: str) -> Storage:
        """Return what a gateway shows an account at a path of its storage."""
        if credential_id is not None and credential_id not in self.credentials:
            raise credential_not_found(account, user, gateway.id)
        if gateway.fixed is not None and is_within(path, gateway.fixed_path):
            below = path.removeprefix(gateway.fixed_path.rstrip("/")) or "/"
            return gateway.fixed if below == "/" else gateway.fixed.below(below)
        root = self._service(gateway, user, account, credential_id)
        return root if path == "/" else root.below(path)

    def _service(self, gateway: StorageGateway, user: str, account: str, credential_id: str | None) -> Storage:
        """Return the whole storage behind a gateway."""
        if gateway.connector_id in FOLDERS:
            return LocalStorage(self.folder)
        credential = self._credential(gateway, user, account, credential_id)
        if gateway.connector_id not in BUCKETS:
            name = getattr(ConnectorTable.lookup(gateway.connector_id), "name", gateway.connector_id)
            raise StorageError("ENDPOINT_ERROR", f"The Globus sandbox does not reach storage of the {name} connector")
        key, remembered = (gateway, credential), self._services
        if key not in remembered:
            # Imported here: it costs boto3, which only buckets need.
            from airflow_provider_globus.sandbox.connect_server.buckets import open_buckets

            remembered[key] = open_buckets(gateway, credential)
        return remembered[key]

    def _credential(
        self, gateway: StorageGateway, user: str, account: str, credential_id: str | None
    ) -> UserCredential | None:
        """Return the credential to use; None where none is registered and none is needed."""
        if credential_id is not None:
            found = self.credentials.get(credential_id)
        else:
            found = next(iter(self.credentials_of(gateway.id, user)), None)
        if found is None:
            if gateway.policies.get("s3_user_credential_required") is False:
                return None
            raise credential_not_found(account, user, gateway.id)
        if found.invalid:
            raise invalid_credential(found.id)
        return found

    # What may be done at which path

    def restricted(self, granted: str, collection: Collection, identity_id: str, path: str) -> str:
        """Return what is left of a permission under the path restrictions of the gateway and of sharing."""
        gateway, mapped = self.gateway_of(collection), collection.mapped
        if gateway is None or mapped is None:
            return granted
        guest = collection.kind == "guest"
        user = collection.owner_id if guest else identity_id
        within = rebase(path, collection.base_path) if guest else path
        if gateway.rules:
            account = self._accounts.get((gateway.id, user)) or self._account_or_nothing(gateway, user)
            granted = _both(granted, gateway.rules.permission(rebase(within, mapped.base_path), account))
        if guest:
            for rules in self.sharing_rules(mapped, gateway, user):
                granted = _both(granted, rules.permission(within, self._account_or_nothing(gateway, user)))
        return granted

    def sharing_rules(self, mapped: Collection, gateway: StorageGateway, user: str) -> list[PathRules]:
        """Return the restrictions of what a user may share of a mapped collection."""
        key, remembered = (mapped.id, user), self._sharing
        if (known := remembered.get(key)) is not None:
            return known
        documents = [mapped.policy.get("sharing_restrict_paths")]
        policies = [item for item in list(self.sharing_policies.values()) if item.collection_id == mapped.id]
        if policies:
            account = self._account_or_nothing(gateway, user)
            documents += [item.restrict_paths for item in policies if item.users is None or account in item.users]
        remembered[key] = [rules for rules in map(PathRules, documents) if rules]
        return remembered[key]

    def _account_or_nothing(self, gateway: StorageGateway, user: str) -> str:
        try:
            return self.account(gateway, user)
        except StorageError:
            return ""

    # As every state of the world

    def mark(self) -> None:
        """Remember gateways, credentials and policies as what `reset` goes back to."""
        with self.lock:
            self._base = (
                dict(self.gateways),
                {item.id: replace(item) for item in self.credentials.values()},
                dict(self.sharing_policies),
                dict(self.endpoint_fields),
            )

    def reset(self) -> None:
        """Go back to what was marked; files stay as they are."""
        with self.lock:
            gateways, credentials, policies, fields = self._base
            self.gateways = dict(gateways)
            self.credentials = {item.id: replace(item) for item in credentials.values()}
            self.sharing_policies, self.endpoint_fields = dict(policies), dict(fields)
            self.changed()

    def snapshot(self) -> dict[str, Any]:
        """Return what there is, without secrets."""
        with self.lock:
            return {
                "storage_gateways": [
                    {"id": item.id, "display_name": item.display_name, "connector_id": item.connector_id}
                    for item in self.gateways.values()
                ],
                "user_credentials": [
                    {"id": item.id, "storage_gateway_id": item.gateway_id, "username": item.username}
                    for item in self.credentials.values()
                ],
                "sharing_policies": len(self.sharing_policies),
            }

    def close(self) -> None:
        """Close all connections, and remove the folder if it was a temporary one."""
        for storage in (*self._services.values(), *(item.fixed for item in self.gateways.values() if item.fixed)):
            storage.close()
        if self._folder_is_ours and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder, self._folder_is_ours = None, False
        self.changed()


def _both(one: str, other: str) -> str:
    """Return what two permissions have in common."""
    return "".join(letter for letter in "rw" if letter in one and letter in other)
