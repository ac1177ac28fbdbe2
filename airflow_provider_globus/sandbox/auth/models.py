"""What the Auth service knows: identities, clients, tokens, and the caller a valid token makes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.auth.scopes import TRANSFER_ALL, data_access_scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from globus_sdk.scopes import Scope

    from airflow_provider_globus.sandbox.auth.consents import Consent, Path

# What Globus calls the identity provider of its own clients is not public; this one is the sandbox's.
SANDBOX_IDENTITY_PROVIDER = "5a4db0c5-0000-4000-8000-00000000001d"


@dataclass(frozen=True)
class Identity:
    """A person or a client, as others see it."""

    id: str
    username: str
    name: str | None = None
    email: str | None = None
    organization: str | None = None
    status: str = "used"
    identity_provider: str = SANDBOX_IDENTITY_PROVIDER
    identity_type: str = "login"

    def document(self) -> dict[str, Any]:
        """Return the identity as Auth shows it."""
        return {
            "id": self.id,
            "username": self.username,
            "name": self.name,
            "email": self.email,
            "organization": self.organization,
            "status": self.status,
            "identity_provider": self.identity_provider,
            "identity_type": self.identity_type,
        }


@dataclass
class Client:
    """An application registered with Auth; one without a secret is a native app.

    :param secret_revoked: the secret is no longer taken.
    """

    id: str
    name: str
    secret: str | None = field(repr=False)
    secret_revoked: bool = False

    @property
    def username(self) -> str:
        """The username of the identity the client itself is."""
        return f"{self.id}@clients.auth.globus.org"


@dataclass
class Token:
    """An issued access or refresh token and all it stands for.

    :param expires_at: sandbox seconds since 1970; None for a refresh token.
    :param authenticated_at: when the identity has last proved who it is; when the token was issued, unless given.
    :param mfa: whether it did so with a second factor.
    """

    id: str
    value: str = field(repr=False)
    identity_id: str
    client_id: str
    resource_server: str
    scopes: tuple[Scope, ...]
    issued_at: float
    expires_at: float | None = None
    authenticated_at: float | None = None
    mfa: bool = False

    @property
    def scope(self) -> str:
        """The root scopes, without dependencies, as Auth echoes them."""
        return " ".join(scope.scope_string for scope in self.scopes)


@dataclass(frozen=True)
class Caller:
    """Who makes a request, by its token.

    :param consents: what the identity lets the client do, by path of scopes (see `consents.py`).
    :param every_consent: the sandbox does not ask for consents.
    :param authenticated_at: when the identity has last proved who it is; None where nobody asks.
    :param mfa: whether it did so with a second factor.
    """

    identity_id: str
    username: str
    client_id: str
    scopes: tuple[Scope, ...]
    token_id: str
    consents: Mapping[Path, Consent] = field(default_factory=dict)
    every_consent: bool = False
    authenticated_at: float | None = None
    mfa: bool = False

    def has_scope(self, scope: str) -> bool:
        """Tell whether the token carries a scope."""
        return any(granted.scope_string == scope for granted in self.scopes)

    def has_data_access(self, collection_id: str) -> bool:
        """Tell whether the caller consented to Transfer using a mapped collection in its name."""
        return self.every_consent or (TRANSFER_ALL, data_access_scope(collection_id)) in self.consents

    def has_data_access_through(self, scope: str, collection_id: str) -> bool:
        """Tell whether the caller consented to the service of a scope using a mapped collection in its name."""
        return self.every_consent or (scope, data_access_scope(collection_id)) in self.consents
