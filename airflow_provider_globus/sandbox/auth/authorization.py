"""The request with which an app sends a person to Auth, and who of a sandbox's identities can answer it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from airflow_provider_globus.sandbox.auth import grants
from airflow_provider_globus.sandbox.auth.claims import ISSUER
from airflow_provider_globus.sandbox.auth.codes import AuthorizationCode
from airflow_provider_globus.sandbox.auth.fields import is_loopback
from airflow_provider_globus.sandbox.errors import ServiceError

if TYPE_CHECKING:
    from globus_sdk.scopes import Scope

    from airflow_provider_globus.sandbox.auth.models import Client, Identity
    from airflow_provider_globus.sandbox.world import World

#: Where an app that has no page of its own lets Auth show the code.
CODE_PAGE = "/v2/web/auth-code"

_FAILURE = "OAUTH_AUTH_REQUEST_FAILURE"
_METHODS = ("S256", "plain")
_OFFLINE = "offline_access"


@dataclass(frozen=True)
class AuthorizationRequest:
    """What an app asks a person for; everything in it has been checked.

    :param challenge: of PKCE, and how it is made of its verifier.
    :param offline: whether refresh tokens are asked for.
    :param identities: of these, one has to log in; likewise the domains.
    :param policies: ids of policies that the login has to satisfy.
    :param needs_mfa: whether a second factor is asked for.
    """

    client: Client
    redirect_uri: str
    scopes: tuple[Scope, ...]
    state: str | None
    challenge: tuple[str, str] | None
    offline: bool
    identities: tuple[str, ...]
    domains: tuple[str, ...]
    policies: tuple[str, ...]
    needs_mfa: bool
    message: str | None

    @classmethod
    def read(cls, world: World, query: Mapping[str, str]) -> AuthorizationRequest:
        """Check the query of the page that an app opens."""
        client = world.auth.client(_needed(query, "client_id"))
        if client is None:
            raise _failure("Invalid client_id parameter value.")
        redirect_uri = _needed(query, "redirect_uri")
        if not _may_redirect(world, client, redirect_uri):
            raise _failure("Mismatching redirect URI.")
        if _needed(query, "response_type") != "code":
            raise _failure("The Globus sandbox answers with a code only: response_type=code.")
        challenge = _challenge(client, query)
        # OpenID Connect's way to ask for refresh tokens is a word among the scopes.
        words = _needed(query, "scope").split()
        scope = " ".join(word for word in words if word != _OFFLINE)
        policies = _listed(query, "session_required_policies")
        if unknown := [item for item in policies if item not in world.auth.projects.policies]:
            raise _failure(f"Unknown policies: {', '.join(unknown)}")
        return cls(
            client=client,
            redirect_uri=redirect_uri,
            scopes=grants.requested(world, client, scope),
            state=query.get("state"),
            challenge=challenge,
            offline=query.get("access_type") == "offline" or _OFFLINE in words,
            identities=_listed(query, "session_required_identities"),
            domains=_listed(query, "session_required_single_domain"),
            policies=policies,
            needs_mfa=query.get("session_required_mfa", "false").lower() == "true",
            message=query.get("session_message"),
        )

    def candidates(self, world: World) -> list[Identity]:
        """Return the identities that can give what is asked for."""
        return [identity for identity in world.auth.people() if self.objection(world, identity, mfa=True) is None]

    def objection(self, world: World, identity: Identity, *, mfa: bool) -> str | None:
        """Return why an identity cannot give what is asked for; None if it can.

        :param mfa: whether it logs in with a second factor.
        """
        return next(self._objections(world, identity, mfa), None)

    def _objections(self, world: World, identity: Identity, mfa: bool) -> Iterator[str]:
        auth = world.auth
        if identity not in auth.people():
            yield f"{identity.username} cannot log in"
        if self.identities and not {identity.id, identity.username} & set(self.identities):
            yield f"The app asks for another identity than {identity.username}"
        if self.domains and identity.domain not in self.domains:
            yield f"The app asks for an identity of {', '.join(self.domains)}"
        if self.client.required_idp not in (None, identity.identity_provider):
            yield "The app asks for an identity of another identity provider"
        policies = [auth.projects.policies[item] for item in self.policies]
        yield from (
            f"{p.display_name} does not admit {identity.domain}" for p in policies if not p.admits(identity.domain)
        )
        for definition in auth.scopes.closed_to(identity.domain, self.scopes):
            yield f"{definition.name} is for identities of {', '.join(definition.required_domains)}"
        if (self.needs_mfa or any(policy.required_mfa for policy in policies)) and not mfa:
            yield "A second factor is required"

    def allow(self, world: World, identity: Identity, *, mfa: bool) -> AuthorizationCode:
        """Let the app act for an identity; ValueError says why it cannot."""
        if (why := self.objection(world, identity, mfa=mfa)) is not None:
            raise ValueError(why)
        return world.auth.add_code(
            AuthorizationCode(
                client_id=self.client.id,
                identity_id=identity.id,
                redirect_uri=self.redirect_uri,
                scopes=self.scopes,
                state=self.state,
                challenge=self.challenge,
                offline=self.offline,
                authenticated_at=world.clock.time(),
                mfa=mfa,
            )
        )

    def back(self, world: World, **answer: str) -> str:
        """Return where the browser goes with an answer: to the app, or to the page that shows its code."""
        query = urlencode(answer | ({} if self.state is None else {"state": self.state}))
        target = f"{world.url}{CODE_PAGE}" if _is_code_page(world, self.redirect_uri) else self.redirect_uri
        return f"{target}{'&' if urlsplit(target).query else '?'}{query}"


def log_in(world: World, authorize_url: str, username: str, *, mfa: bool = False) -> str:
    """Let an app act for an identity, as a person would on its page; return the code. See `GlobusSandbox.log_in`."""
    try:
        asked = AuthorizationRequest.read(world, dict(parse_qsl(urlsplit(authorize_url).query)))
    except ServiceError as error:
        raise ValueError(error.message) from None
    identity = world.auth.identity_by_username(username) or world.auth.identity(username)
    if identity is None:
        raise ValueError(f"There is no identity {username!r}; add it first")
    return asked.allow(world, identity, mfa=mfa).value


def _may_redirect(world: World, client: Client, uri: str) -> bool:
    """Tell whether a client may have browsers sent to a URI: one that it, or the app it is an instance of, names."""
    if _is_code_page(world, uri):
        return True
    parent = world.auth.client(client.parent or "")
    return any(_same(known, uri) for known in (*client.redirect_uris, *(parent.redirect_uris if parent else ())))


def _same(known: str, uri: str) -> bool:
    if known == uri:
        return True
    try:
        place, port = _place(known)
        asked, _ = _place(uri)
    except ValueError:
        return False
    # An app on the browser's machine listens on whatever port is free (RFC 8252).
    scheme, host, _ = place
    return place == asked and scheme == "http" and is_loopback(host) and port is None


def _place(uri: str) -> tuple[tuple[str, str | None, str], int | None]:
    parts = urlsplit(uri)
    return (parts.scheme, parts.hostname, parts.path.rstrip("/")), parts.port


def _is_code_page(world: World, uri: str) -> bool:
    return uri in (f"{base}{CODE_PAGE}" for base in (ISSUER, world.url, world.tls_url))


def _challenge(client: Client, query: Mapping[str, str]) -> tuple[str, str] | None:
    challenge = query.get("code_challenge")
    if not challenge:
        if client.public:
            raise _failure("Missing code_challenge parameter.")
        return None
    method = query.get("code_challenge_method", "plain")
    if method not in _METHODS:
        raise _failure("Invalid code_challenge_method parameter value.")
    return challenge, method


def _needed(query: Mapping[str, str], name: str) -> str:
    value = query.get(name)
    if not value:
        raise _failure(f"Missing {name} parameter.")
    return value


def _listed(query: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in query.get(name, "").split(",") if item.strip())


def _failure(message: str) -> ServiceError:
    return ServiceError(400, _FAILURE, message)
