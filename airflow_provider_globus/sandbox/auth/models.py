"""What Auth knows of whoever acts: identities, clients and their credentials, tokens, and the caller a token makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.auth.scopes import TRANSFER_ALL, data_access_scope

if TYPE_CHECKING:
    from globus_sdk.scopes import Scope

    from airflow_provider_globus.sandbox.auth.consents import Consent, Path

# What Globus calls the identity provider of its own clients is not public; this one is the sandbox's.
SANDBOX_IDENTITY_PROVIDER = "5a4db0c5-0000-4000-8000-00000000001d"

_CODE = "authorization_code"
_ITSELF = "client_credentials"
_REFRESH = "refresh_token"
_DEPENDENT = "urn:globus:auth:grant_type:dependent_token"

#: Types of clients that keep no secret.
PUBLIC_TYPES = ("public_installed_client", "public_webapp_client")
#: What each type of client may ask the token endpoint for.
GRANT_TYPES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(PUBLIC_TYPES, (_CODE, _REFRESH)),
    **dict.fromkeys(("client_identity", "confidential_client"), (_CODE, _ITSELF, _REFRESH)),
    **dict.fromkeys(
        ("globus_connect_server", "hybrid_confidential_client_resource_server", "resource_server"),
        (_CODE, _ITSELF, _REFRESH, _DEPENDENT),
    ),
}


def iso(seconds: float) -> str:
    """Return a time as Auth writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


@dataclass(frozen=True)
class IdentityProvider:
    """Who vouches for the identities of some domains."""

    id: str
    name: str
    short_name: str
    domains: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the provider as Auth shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "short_name": self.short_name,
            "domains": list(self.domains),
            "alternative_names": [],
        }


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

    @property
    def domain(self) -> str:
        """What stands behind the @ of the username."""
        return self.username.rpartition("@")[2].casefold()

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


@dataclass(frozen=True)
class Credential:
    """A secret of a client.

    :param revoked: it is no longer taken.
    """

    id: str
    client_id: str
    name: str
    created_at: float
    secret: str = field(repr=False)
    revoked: bool = False

    def document(self, *, telling: bool = False) -> dict[str, Any]:
        """Return the credential as Auth shows it; the secret is told once, when it is made."""
        return {
            "id": self.id,
            "client": self.client_id,
            "name": self.name,
            "created": iso(self.created_at),
            "secret": self.secret if telling else None,
        }


@dataclass(frozen=True)
class Client:
    """An application registered with Auth; a public one keeps no secret.

    :param project: the project it belongs to; none for what was made without the API.
    :param parent: the client that made it, or the native app it is an instance of.
    :param links: of its terms and conditions, and of its privacy policy.
    """

    id: str
    name: str
    client_type: str = "hybrid_confidential_client_resource_server"
    project: str | None = None
    parent: str | None = None
    visibility: str = "private"
    redirect_uris: tuple[str, ...] = ()
    links: tuple[str | None, str | None] = (None, None)
    required_idp: str | None = None
    preselect_idp: str | None = None
    fqdns: tuple[str, ...] = ()
    credentials: tuple[Credential, ...] = ()

    @property
    def username(self) -> str:
        """The username of the identity the client itself is."""
        return f"{self.id}@{self.domain}"

    @property
    def domain(self) -> str:
        """What stands behind the @ of that."""
        return "clients.auth.globus.org"

    @property
    def public(self) -> bool:
        """Whether it keeps no secret."""
        return self.client_type in PUBLIC_TYPES

    @property
    def secret(self) -> str | None:
        """The oldest of its secrets."""
        return self.credentials[0].secret if self.credentials else None

    @property
    def secret_revoked(self) -> bool:
        """Whether it has secrets, but none that is taken."""
        return bool(self.credentials) and all(credential.revoked for credential in self.credentials)

    @property
    def grant_types(self) -> tuple[str, ...]:
        """What it may ask the token endpoint for."""
        return GRANT_TYPES[self.client_type]

    def document(self, scope_ids: list[str]) -> dict[str, Any]:
        """Return the client as Auth shows it; `scope_ids` are those of its scopes."""
        terms, privacy = self.links
        return {
            "id": self.id,
            "name": self.name,
            "client_type": self.client_type,
            "public_client": self.public,
            "project": self.project,
            "parent_client": self.parent,
            "visibility": self.visibility,
            "redirect_uris": list(self.redirect_uris),
            "links": {"terms_and_conditions": terms, "privacy_policy": privacy},
            "required_idp": self.required_idp,
            "preselect_idp": self.preselect_idp,
            "fqdns": list(self.fqdns),
            "scopes": scope_ids,
            "grant_types": list(self.grant_types),
            # As recordings have it: asked for by every kind of client but these.
            "prompt_for_named_grant": self.client_type not in ("client_identity", "confidential_client"),
            "userinfo_from_effective_identity": True,
        }


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
