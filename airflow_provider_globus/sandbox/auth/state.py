"""The memory of the Auth service: clients, identities, tokens; and who a request comes from."""

from __future__ import annotations

import hmac
import string
import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.auth.consents import ConsentStore
from airflow_provider_globus.sandbox.auth.models import Caller, Client, Identity, Token
from airflow_provider_globus.sandbox.auth.scopes import ALL_SERVICES, ScopeRegistry, parse_scopes
from airflow_provider_globus.sandbox.errors import ServiceError

if TYPE_CHECKING:
    from globus_sdk.scopes import Scope

    from airflow_provider_globus.sandbox.service import ServiceRequest
    from airflow_provider_globus.sandbox.world import World

__all__ = ["DEFAULT_CLIENT_ID", "DEFAULT_CLIENT_SECRET", "AuthState", "Caller", "Client", "Identity", "Token"]

# Every sandbox takes these, so they open nothing but sandboxes: never use them anywhere else.
DEFAULT_CLIENT_ID = "5a4db0c5-0000-4000-8000-000000000001"
DEFAULT_CLIENT_SECRET = "globus-sandbox-only-client-secret"  # noqa: S105

_TOKEN_LETTERS = string.ascii_letters + string.digits


class AuthState:
    """Clients, identities and tokens of one sandbox; safe to use from any thread."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.RLock()
        self.scopes = ScopeRegistry(world.collection_scope_exists, world.flow_exists)
        self._identities: dict[str, Identity] = {}
        self._clients: dict[str, Client] = {}
        self._access: dict[str, Token] = {}
        self._refresh: dict[str, Token] = {}
        self._consents = ConsentStore()
        self.add_client("Globus sandbox default client", id=DEFAULT_CLIENT_ID, secret=DEFAULT_CLIENT_SECRET)
        self.mark()

    # Who there is

    def add_identity(self, username: str, *, id: str | None = None, **more: Any) -> Identity:
        """Make an identity known; `more` are fields of `Identity` such as ``name`` and ``email``."""
        with self._lock:
            if self.identity_by_username(username) is not None:
                raise ValueError(f"There already is an identity {username!r}")
            identity = Identity(id or self._world.new_id(), username, **more)
            self._identities[identity.id] = identity
        return identity

    def add_client(
        self, name: str, *, id: str | None = None, secret: str | None = None, public: bool = False
    ) -> Client:
        """Register an application (and the identity it is); a `public` one, a native app, has no secret."""
        with self._lock:
            client_id = id or self._world.new_id()
            if client_id in self._clients:
                raise ValueError(f"There already is a client {client_id}")
            client = Client(client_id, name, None if public else secret or self._new_secret())
            self._clients[client_id] = client
            self._identities[client_id] = Identity(client_id, client.username, name=name, identity_type="service")
        self._world.journal.protect(client.secret)
        return client

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

    def client(self, client_id: str) -> Client | None:
        """Return the client with this id."""
        return self._clients.get(client_id)

    def check_secret(self, client_id: str, secret: str) -> Client | None:
        """Return the client, when the secret is its own and still taken."""
        client = self._clients.get(client_id)
        if client is None or client.secret is None or client.secret_revoked:
            return None
        return client if hmac.compare_digest(client.secret.encode(), secret.encode()) else None

    def revoke_secret(self, client_id: str) -> None:
        """Take a client's secret out of use; the tokens it got before live on, as in Globus."""
        self._known_client(client_id).secret_revoked = True

    def rotate_secret(self, client_id: str) -> str:
        """Give a client a new secret instead of its old one, and return it."""
        client = self._known_client(client_id)
        client.secret, client.secret_revoked = self._new_secret(), False
        self._world.journal.protect(client.secret)
        return client.secret

    def _known_client(self, client_id: str) -> Client:
        client = self._clients.get(client_id)
        if client is None:
            raise ValueError(f"There is no client {client_id}")
        return client

    # Tokens

    def issue(
        self,
        *,
        identity_id: str,
        client_id: str,
        resource_server: str,
        scopes: Iterable[Scope],
        lifetime: float | None = None,
        login: Token | None = None,
    ) -> Token:
        """Issue an access token for scopes of one resource server, and note the consents it stands for.

        :param login: the token of the login that it goes back to, if it is not one itself.
        """
        now = self._world.clock.time()
        token = Token(
            id=self._world.new_id(),
            value=self._new_token(),
            identity_id=identity_id,
            client_id=client_id,
            resource_server=resource_server,
            scopes=tuple(scopes),
            issued_at=now,
            expires_at=now + (self._world.settings.token_lifetime_seconds if lifetime is None else lifetime),
            authenticated_at=now if login is None else login.authenticated_at,
            mfa=login is not None and login.mfa,
        )
        with self._lock:
            self._access[token.value] = token
            self._consents.grant(identity_id, client_id, token.scopes, now=now, allows_refresh=False)
        return token

    def add_refresh_token(
        self,
        identity_id: str,
        scopes: str | Iterable[Scope],
        *,
        client_id: str = DEFAULT_CLIENT_ID,
        value: str | None = None,
        mfa: bool = False,
    ) -> Token:
        """Let a client act for a person without a login: make the refresh token the login would have given.

        :param mfa: whether the person logged in with a second factor.

        :param scopes: scopes of one resource server, with the dependent scopes the person consented to, such as
            ``urn:globus:auth:scope:transfer.api.globus.org:all[*https://auth.globus.org/scopes/<id>/data_access]``.
        """
        parsed = parse_scopes(scopes) if isinstance(scopes, str) else tuple(scopes)
        if unknown := self.scopes.unknown(parsed):
            raise ValueError(f"Unknown scopes: {', '.join(unknown)}")
        servers = self.scopes.by_server(parsed)
        if len(servers) != 1:
            raise ValueError(
                f"A refresh token is for one resource server; {', '.join(servers) or 'none'} given: make one for each"
            )
        if identity_id not in self._identities:
            raise ValueError(f"There is no identity {identity_id}; add it first")
        self._known_client(client_id)
        token = Token(
            id=self._world.new_id(),
            value=value or self._new_token(),
            identity_id=identity_id,
            client_id=client_id,
            resource_server=next(iter(servers)),
            scopes=parsed,
            issued_at=self._world.clock.time(),
            authenticated_at=self._world.clock.time(),
            mfa=mfa,
        )
        with self._lock:
            self._refresh[token.value] = token
            self._consents.grant(identity_id, client_id, parsed, now=token.issued_at, allows_refresh=True)
        self._world.journal.protect(token.value)
        return token

    def access_token(self, value: str) -> Token | None:
        """Return the access token of this value, if it was issued, not revoked and has not expired."""
        token = self._access.get(value)
        if token is None or token.expires_at is None or token.expires_at <= self._world.clock.time():
            return None
        return token

    def refresh_token(self, value: str) -> Token | None:
        """Return the refresh token of this value, if it was issued and not revoked."""
        return self._refresh.get(value)

    def revoke(self, value: str) -> None:
        """Revoke a token; what is unknown already is no token."""
        with self._lock:
            self._access.pop(value, None)
            self._refresh.pop(value, None)

    def revoke_tokens(self, identity_id: str | None = None, *, refresh_tokens: bool = False) -> int:
        """Revoke all access tokens (of one identity), refresh tokens too when asked; return how many."""
        with self._lock:
            stores = (self._access, self._refresh) if refresh_tokens else (self._access,)
            doomed = [
                (store, value)
                for store in stores
                for value, token in store.items()
                if identity_id in (None, token.identity_id)
            ]
            for store, value in doomed:
                del store[value]
        return len(doomed)

    def withdraw_consents(self, identity_id: str | None = None) -> None:
        """Take back all consents (of one identity); its tokens live on, for what needs none."""
        with self._lock:
            self._consents.withdraw(identity_id)

    # Who asks

    def authenticate(self, request: ServiceRequest, scope: str | None = None) -> Caller:
        """Return who makes a request, or raise the service's own 401 (no valid token) or 403 (scope missing)."""
        service, token = request.service, self.bearer(request)
        if token is None:
            return self.anyone()
        if service.resource_server not in (None, token.resource_server):
            # To a service, another's token is no token at all.
            raise ServiceError(401, service.unauthenticated_code, "Token is not active")
        caller = self.caller_of(token)
        if scope is not None and not caller.has_scope(scope):
            raise ServiceError(403, service.forbidden_code, f"The token lacks the scope {scope}")
        return caller

    def bearer(self, request: ServiceRequest) -> Token | None:
        """Return the token of a request, whatever service it is for; None when any token is taken for `anyone`.

        Raises the service's own 401 for no token, or one that is not active.
        """
        code = request.service.unauthenticated_code
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not value.strip():
            raise ServiceError(401, code, "No credentials supplied")
        token = self.access_token(value.strip())
        if token is None and self._world.settings.require_issued_tokens:
            raise ServiceError(401, code, "Token is not active")
        return token

    def caller_through(self, scope: str, identity_id: str, client_id: str, *, every_consent: bool = False) -> Caller:
        """Return an identity as a service acts for it that it gave `scope` to: with the consents reached through that.

        :param every_consent: ask for none, as for who acts for itself.
        """
        granted = self._consents.of(identity_id, client_id)
        reached = {
            path[depth:]: consent
            for path, consent in granted.items()
            if scope in path
            for depth in range(path.index(scope) + 1, len(path))
        }
        return Caller(
            identity_id=identity_id,
            username=self._identities[identity_id].username,
            client_id=client_id,
            scopes=parse_scopes(" ".join(ALL_SERVICES)),
            token_id=f"through {scope}",
            consents=reached,
            every_consent=every_consent or not self._world.settings.enforce_consents,
        )

    def caller_of(self, token: Token) -> Caller:
        """Return whom a token speaks for."""
        return Caller(
            identity_id=token.identity_id,
            username=self._identities[token.identity_id].username,
            client_id=token.client_id,
            scopes=token.scopes,
            token_id=token.id,
            consents=self._consents.of(token.identity_id, token.client_id),
            every_consent=not self._world.settings.enforce_consents,
            authenticated_at=token.authenticated_at,
            mfa=token.mfa,
        )

    def anyone(self) -> Caller:
        """Return the default client, as which a sandbox that takes any token sees every caller."""
        client = self._clients[DEFAULT_CLIENT_ID]
        scopes = parse_scopes("openid profile email")
        return Caller(client.id, client.username, client.id, scopes, "any", every_consent=True)

    # As every state of the world

    def mark(self) -> None:
        """Remember clients, identities, refresh tokens and consents as what `reset` goes back to."""
        with self._lock:
            self._base = (
                dict(self._identities),
                {client.id: replace(client) for client in self._clients.values()},
                dict(self._refresh),
                self._consents.copy(),
            )

    def reset(self) -> None:
        """Go back to what was marked; no access token outlives it."""
        with self._lock:
            identities, clients, refresh, consents = self._base
            self._identities = dict(identities)
            self._clients = {client.id: replace(client) for client in clients.values()}
            self._refresh = dict(refresh)
            self._access = {}
            self._consents = consents.copy()

    def snapshot(self) -> dict[str, Any]:
        """Return who there is, and how many tokens; never a secret."""
        with self._lock:
            return {
                "clients": [
                    {"id": c.id, "name": c.name, "public": c.secret is None, "secret_revoked": c.secret_revoked}
                    for c in self._clients.values()
                ],
                "identities": [identity.document() for identity in self._identities.values()],
                "access_tokens": len(self._access),
                "refresh_tokens": len(self._refresh),
            }

    def close(self) -> None:
        """Nothing runs here."""

    def _new_secret(self) -> str:
        return "".join(self._world.rng.choices(_TOKEN_LETTERS, k=43)) + "="

    def _new_token(self) -> str:
        # The journal knows tokens by this shape.
        return "Ag" + "".join(self._world.rng.choices(_TOKEN_LETTERS, k=60))
