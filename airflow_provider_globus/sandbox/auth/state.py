"""The memory of the Auth service: whom it knows, tokens and consents; and who a request comes from."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.auth.codes import AuthorizationCode, SigningKey
from airflow_provider_globus.sandbox.auth.consents import ConsentStore
from airflow_provider_globus.sandbox.auth.directory import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, Directory
from airflow_provider_globus.sandbox.auth.models import Caller, Client, Identity, Token
from airflow_provider_globus.sandbox.auth.projects import Project, Projects
from airflow_provider_globus.sandbox.auth.scopes import ALL_SERVICES, ScopeRegistry, parse_scopes
from airflow_provider_globus.sandbox.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from globus_sdk.scopes import Scope

    from airflow_provider_globus.sandbox.auth.consents import Consent, Path
    from airflow_provider_globus.sandbox.service import ServiceRequest
    from airflow_provider_globus.sandbox.world import World

__all__ = ["DEFAULT_CLIENT_ID", "DEFAULT_CLIENT_SECRET", "AuthState", "Caller", "Client", "Identity", "Token"]

_TOKEN_LETTERS = string.ascii_letters + string.digits


class AuthState(Directory):
    """Everything that Auth knows in one sandbox; safe to use from any thread."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.scopes = ScopeRegistry(world.collection_scope_exists, world.flow_exists)
        self.projects = Projects()
        self.signing_key = SigningKey()
        self._access: dict[str, Token] = {}
        self._refresh: dict[str, Token] = {}
        self._codes: dict[str, AuthorizationCode] = {}
        self._consents = ConsentStore()
        self.mark()

    def add_project(
        self, display_name: str, *, admins: Iterable[str], contact_email: str = "", id: str | None = None
    ) -> Project:
        """Make a project, to which clients may be added.

        :param admins: ids of the identities that administer it.
        """
        project = Project(id or self._world.new_id(), display_name, contact_email, tuple(admins))
        self.projects.projects[project.id] = project
        return project

    def remove_client(self, client_id: str) -> None:
        """Delete a client: its scopes go, and no token is good that it got, or that was meant for it."""
        with self._lock:
            self._clients.pop(client_id, None)
            if identity := self._identities.get(client_id):
                # What it made is still its own.
                self._identities[client_id] = replace(identity, status="closed")
            for definition in self.scopes.definitions(client_id):
                self.scopes.remove(definition.id)
            for store in (self._access, self._refresh):
                for value, token in list(store.items()):
                    if client_id in (token.client_id, token.identity_id, token.resource_server):
                        del store[value]
            self._codes = {value: code for value, code in self._codes.items() if code.client_id != client_id}
            self._consents.withdraw(client_id=client_id)

    # Tokens

    def issue(
        self,
        *,
        identity_id: str,
        client_id: str,
        resource_server: str,
        scopes: Iterable[Scope],
        lifetime: float | None = None,
        login: Token | AuthorizationCode | None = None,
    ) -> Token:
        """Issue an access token for scopes of one resource server, and note the consents it stands for.

        :param login: the login that it goes back to, or another token of that; it is one itself, unless given.
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
        authenticated_at: float | None = None,
    ) -> Token:
        """Let a client act for a person without a login: make the refresh token the login would have given.

        :param scopes: scopes of one resource server, with the dependent scopes the person consented to, such as
            ``urn:globus:auth:scope:transfer.api.globus.org:all[*https://auth.globus.org/scopes/<id>/data_access]``.
        :param mfa: whether the person logged in with a second factor.
        :param authenticated_at: when the person logged in; now, unless given.
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
        now = self._world.clock.time()
        token = Token(
            id=self._world.new_id(),
            value=value or self._new_token(),
            identity_id=identity_id,
            client_id=client_id,
            resource_server=next(iter(servers)),
            scopes=parsed,
            issued_at=now,
            authenticated_at=now if authenticated_at is None else authenticated_at,
            mfa=mfa,
        )
        with self._lock:
            self._refresh[token.value] = token
            self._consents.grant(identity_id, client_id, parsed, now=token.issued_at, allows_refresh=True)
        self._world.journal.protect(token.value)
        return token

    # Logins

    def add_code(self, code: AuthorizationCode) -> AuthorizationCode:
        """Note that a person let a client act for it, which may fetch its tokens with the code; return that."""
        with self._lock:
            code = replace(code, value=self._new_token())
            self._codes[code.value] = code
            identity = self._identities[code.identity_id]
            if identity.status == "unused":
                self._identities[identity.id] = replace(identity, status="used")
        return code

    def take_code(self, value: str) -> AuthorizationCode | None:
        """Return what a code stands for, if it has not been used and has not expired; nobody gets it again."""
        with self._lock:
            code = self._codes.pop(value, None)
        return None if code is None or code.expires_at <= self._world.clock.time() else code

    # Looking at tokens

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

    def consents(self, identity_id: str, client_id: str) -> Mapping[Path, Consent]:
        """Return what an identity consented to for a client, by path of scopes."""
        return self._consents.of(identity_id, client_id)

    def consenting_clients(self, identity_id: str) -> list[str]:
        """Return the clients that an identity gave consents to."""
        return self._consents.clients(identity_id)

    # Who asks

    def authenticate(
        self, request: ServiceRequest, *scopes: str, refusal: Callable[[Caller], ServiceError] | None = None
    ) -> Caller:
        """Return who makes a request, or raise the service's own 401 (no valid token) or 403 (scope missing).

        :param scopes: of which one is enough.
        :param refusal: what is raised when there is none of them, where the service says it in words of its own.
        """
        service, token = request.service, self.bearer(request)
        if token is None:
            return self.anyone()
        if service.resource_server not in (None, token.resource_server):
            # To a service, another's token is no token at all.
            raise ServiceError(401, service.unauthenticated_code, "Token is not active")
        caller = self.caller_of(token)
        if scopes and not any(map(caller.has_scope, scopes)):
            lacking = f"The token lacks the scope {' or '.join(scopes)}"
            raise refusal(caller) if refusal else ServiceError(403, service.forbidden_code, lacking)
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
        identity = self._identities[DEFAULT_CLIENT_ID]
        scopes = parse_scopes("openid profile email")
        return Caller(identity.id, identity.username, identity.id, scopes, "any", every_consent=True)

    # As every state of the world

    def mark(self) -> None:
        """Remember all but access tokens as what `reset` goes back to."""
        with self._lock:
            self.scopes.mark()
            self.projects.mark()
            self._base = (
                dict(self._identities),
                dict(self._clients),
                dict(self._providers),
                dict(self._refresh),
                self._consents.copy(),
            )

    def reset(self) -> None:
        """Go back to what was marked; no access token outlives it."""
        with self._lock:
            self.scopes.reset()
            self.projects.reset()
            identities, clients, providers, refresh, consents = self._base
            self._identities = dict(identities)
            self._clients = dict(clients)
            self._providers = dict(providers)
            self._refresh = dict(refresh)
            self._access = {}
            self._codes = {}
            self._consents = consents.copy()

    def snapshot(self) -> dict[str, Any]:
        """Return who there is, and how many tokens; never a secret."""
        with self._lock:
            return {
                "clients": [
                    {"id": c.id, "name": c.name, "public": c.public, "secret_revoked": c.secret_revoked}
                    for c in self._clients.values()
                ],
                "identities": [identity.document() for identity in self._identities.values()],
                "projects": [{"id": p.id, "display_name": p.display_name} for p in self.projects.projects.values()],
                "access_tokens": len(self._access),
                "refresh_tokens": len(self._refresh),
            }

    def close(self) -> None:
        """Nothing runs here."""

    def _new_token(self) -> str:
        # The journal knows tokens by this shape.
        return "Ag" + "".join(self._world.rng.choices(_TOKEN_LETTERS, k=60))
