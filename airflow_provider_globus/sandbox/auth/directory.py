"""Whom Auth knows: identities and their providers, clients and their credentials."""

from __future__ import annotations

import hmac
import string
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.auth.models import (
    SANDBOX_IDENTITY_PROVIDER,
    Client,
    Credential,
    Identity,
    IdentityProvider,
)

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.world import World

# Every sandbox takes these, so they open nothing but sandboxes: never use them anywhere else.
DEFAULT_CLIENT_ID = "5a4db0c5-0000-4000-8000-000000000001"
DEFAULT_CLIENT_SECRET = "globus-sandbox-only-client-secret"  # noqa: S105

#: Where a browser may be sent on its own machine, on whatever port.
LOCALHOST = "http://localhost"
# Native apps that come with clients of Globus, under the ids those know them by.
_NATIVE_APPS = {
    "95fdeba8-fac2-42bd-a357-e068d82ff78e": "Globus CLI",
    "4cf29807-cf21-49ec-9443-ff9a3fb9f81c": "Globus Compute SDK",
}
_PROVIDERS = (
    IdentityProvider("41143743-f3c8-4d60-bbdb-eeecaba85bd9", "Globus ID", "globusid", ("globusid.org",)),
    IdentityProvider("927d7238-f917-4eb2-9ace-c523fa9ba34e", "Globus Staff", "globus.org", ("globus.org",)),
)
_SECRET_LETTERS = string.ascii_letters + string.digits


class Directory:
    """Identities and clients of one sandbox; what it hands out is never changed, only replaced."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.RLock()
        self._identities: dict[str, Identity] = {}
        self._clients: dict[str, Client] = {}
        self._providers = {provider.id: provider for provider in _PROVIDERS}
        self.add_client("Globus sandbox default client", id=DEFAULT_CLIENT_ID, secret=DEFAULT_CLIENT_SECRET)
        for client_id, name in _NATIVE_APPS.items():
            self.add_client(name, id=client_id, public=True, redirect_uris=(LOCALHOST,))

    # Identities

    def add_identity(self, username: str, *, id: str | None = None, **more: Any) -> Identity:
        """Make an identity known; `more` are fields of `Identity` such as ``name`` and ``email``."""
        with self._lock:
            if self.identity_by_username(username) is not None:
                raise ValueError(f"There already is an identity {username!r}")
            identity = Identity(id or self._world.new_id(), username, **more)
            if "identity_provider" not in more:
                identity = replace(identity, identity_provider=self._provider_for(identity.domain))
            self._identities[identity.id] = identity
        return identity

    def forget_identity(self, identity_id: str) -> None:
        """Forget an identity that is a part of something deleted, such as a flow's."""
        with self._lock:
            self._identities.pop(identity_id, None)

    def identity(self, identity_id: str) -> Identity | None:
        """Return the identity with this id."""
        return self._identities.get(identity_id)

    def identity_by_username(self, username: str) -> Identity | None:
        """Return the identity with this username, in any case."""
        folded = username.casefold()
        with self._lock:
            return next((i for i in self._identities.values() if i.username.casefold() == folded), None)

    def people(self) -> list[Identity]:
        """Return the identities that can log in, the others being those of clients and flows."""
        with self._lock:
            return [i for i in self._identities.values() if i.identity_type == "login" and i.status != "closed"]

    # Identity providers

    def add_identity_provider(
        self, name: str, *domains: str, id: str | None = None, short_name: str | None = None
    ) -> IdentityProvider:
        """Make a provider known: identities of its domains that come later are its own."""
        provider = IdentityProvider(id or self._world.new_id(), name, short_name or name, domains)
        with self._lock:
            self._providers[provider.id] = provider
        return provider

    def providers(self) -> list[IdentityProvider]:
        """Return all identity providers; the sandbox's own has the domains of all identities that no other has."""
        with self._lock:
            own = {i.domain for i in self._identities.values() if i.identity_provider == SANDBOX_IDENTITY_PROVIDER}
            sandbox = IdentityProvider(SANDBOX_IDENTITY_PROVIDER, "Globus sandbox", "sandbox", tuple(sorted(own)))
            return [sandbox, *self._providers.values()]

    def provider(self, provider_id: str) -> IdentityProvider | None:
        """Return the identity provider with this id."""
        return next((provider for provider in self.providers() if provider.id == provider_id), None)

    def _provider_for(self, domain: str) -> str:
        found = (provider.id for provider in self._providers.values() if domain in provider.domains)
        return next(found, SANDBOX_IDENTITY_PROVIDER)

    # Clients

    def add_client(
        self, name: str, *, id: str | None = None, secret: str | None = None, public: bool = False, **more: Any
    ) -> Client:
        """Register an application and, unless it is `public` (a native app), its secret and the identity it is.

        :param more: fields of `Client`, such as ``redirect_uris``.
        """
        if public:
            more["client_type"] = "public_installed_client"
        with self._lock:
            client_id = id or self._world.new_id()
            if client_id in self._clients:
                raise ValueError(f"There already is a client {client_id}")
            self.put_client(Client(client_id, name, **more))
            if not public:
                self.add_credential(client_id, "default", secret=secret)
            return self._clients[client_id]

    def put_client(self, client: Client) -> Client:
        """Register a client as it is, or change one."""
        with self._lock:
            self._clients[client.id] = client
            if not client.public:
                # A native app cannot act as itself, so it is nobody.
                identity = Identity(client.id, client.username, name=client.name, identity_type="service")
                self._identities[client.id] = identity
        return client

    def client(self, client_id: str) -> Client | None:
        """Return the client with this id."""
        return self._clients.get(client_id)

    def clients(self) -> list[Client]:
        """Return all clients."""
        with self._lock:
            return list(self._clients.values())

    def add_credential(self, client_id: str, name: str, *, secret: str | None = None) -> Credential:
        """Give a client one more secret."""
        with self._lock:
            client = self._known_client(client_id)
            credential = Credential(
                id=self._world.new_id(),
                client_id=client_id,
                name=name,
                created_at=self._world.clock.time(),
                secret=secret or "".join(self._world.rng.choices(_SECRET_LETTERS, k=43)) + "=",
            )
            self._clients[client_id] = replace(client, credentials=(*client.credentials, credential))
        self._world.journal.protect(credential.secret)
        return credential

    def remove_credential(self, client_id: str, credential_id: str) -> None:
        """Take a secret from a client; the tokens it got with that live on, as in Globus."""
        with self._lock:
            client = self._known_client(client_id)
            left = tuple(credential for credential in client.credentials if credential.id != credential_id)
            self._clients[client_id] = replace(client, credentials=left)

    def check_secret(self, client_id: str, secret: str) -> Client | None:
        """Return the client, when the secret is its own and still taken."""
        client = self._clients.get(client_id)
        known = [] if client is None else [c.secret for c in client.credentials if not c.revoked]
        right = [hmac.compare_digest(item.encode(), secret.encode()) for item in known]
        return client if any(right) else None

    def revoke_secret(self, client_id: str) -> None:
        """Take a client's secrets out of use; the tokens it got before live on, as in Globus."""
        with self._lock:
            client = self._known_client(client_id)
            revoked = tuple(replace(credential, revoked=True) for credential in client.credentials)
            self._clients[client_id] = replace(client, credentials=revoked)

    def rotate_secret(self, client_id: str) -> str:
        """Give a client a new secret instead of its old ones, and return it."""
        with self._lock:
            self._clients[client_id] = replace(self._known_client(client_id), credentials=())
            return self.add_credential(client_id, "default").secret

    def _known_client(self, client_id: str) -> Client:
        client = self._clients.get(client_id)
        if client is None:
            raise ValueError(f"There is no client {client_id}")
        return client
