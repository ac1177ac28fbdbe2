"""A laboratory for HTTPS access: collections on folders, and tokens for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from globus_sdk.scopes import GCSCollectionScopes, TransferScopes

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.server import GlobusSandbox
    from airflow_provider_globus.sandbox.transfer.collections import Collection


@dataclass
class Lab:
    """What tests of HTTPS access work with."""

    sandbox: GlobusSandbox
    folder: Path

    def collection(self, name: str = "data", files: Mapping[str, bytes] | None = None, **more: Any) -> Collection:
        """Make a collection on a folder of its own, which holds these files."""
        root = self.folder / name
        root.mkdir()
        for path, data in (files or {}).items():
            place = root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        return self.sandbox.add_collection(name, root, **more)

    def guest(self, host: Collection, name: str = "guest", **more: Any) -> Collection:
        """Share a collection."""
        return self.sandbox.add_collection(name, kind="guest", host=host, **more)

    def token(self, collection: Collection, scope: str = "https", identity_id: str | None = None) -> str:
        """Issue a token of a collection."""
        granted = getattr(GCSCollectionScopes(collection.id), scope)
        return self.sandbox.world.auth.issue(
            identity_id=identity_id or self.sandbox.client_id,
            client_id=self.sandbox.client_id,
            resource_server=collection.id,
            scopes=[granted],
        ).value

    def transfer_token(self) -> str:
        """Issue a token of Transfer."""
        return self.sandbox.world.auth.issue(
            identity_id=self.sandbox.client_id,
            client_id=self.sandbox.client_id,
            resource_server=TransferScopes.resource_server,
            scopes=[TransferScopes.all],
        ).value

    def url(self, collection: Collection, path: str = "") -> str:
        return f"{self.sandbox.tls_url}/https/{collection.id}{path}"

    def ask(
        self,
        method: str,
        collection: Collection,
        path: str = "",
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> requests.Response:
        """Send a request; as the default client, unless `token` says otherwise (an empty one: as nobody)."""
        token = self.token(collection) if token is None else token
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        url = self.url(collection, path)
        return requests.request(
            method, url, headers=headers, verify=str(self.sandbox.ca_file), allow_redirects=False, timeout=30, **more
        )


@pytest.fixture
def lab(sandbox_as_new: GlobusSandbox, tmp_path: Path) -> Lab:
    """A laboratory without collections."""
    return Lab(sandbox_as_new, tmp_path)
