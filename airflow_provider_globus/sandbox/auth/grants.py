"""The grants of the token endpoint: from what a client presents to the tokens it gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.auth import errors
from airflow_provider_globus.sandbox.auth.claims import id_token
from airflow_provider_globus.sandbox.auth.consents import dependencies
from airflow_provider_globus.sandbox.auth.scopes import parse_scopes
from airflow_provider_globus.sandbox.errors import ServiceError

if TYPE_CHECKING:
    from globus_sdk.scopes import Scope

    from airflow_provider_globus.sandbox.auth.models import Client, Token
    from airflow_provider_globus.sandbox.world import World

Form = Mapping[str, str]


def grant(world: World, client: Client, form: Form) -> Any:
    """Return the token document (for dependent tokens: a list of them) that answers a token request."""
    kind = form.get("grant_type", "")
    handler = _GRANTS.get(kind)
    if handler is None:
        raise ServiceError(
            400, "unsupported_grant_type", f"The Globus sandbox grants {', '.join(_GRANTS)}, not {kind!r}"
        )
    if kind not in client.grant_types:
        if client.public:
            raise ServiceError(401, "invalid_client", "A native app has no credentials of its own")
        raise ServiceError(400, "unauthorized_client", f"A client of the type {client.client_type} cannot use {kind}")
    return handler(world, client, form)


def _authorization_code(world: World, client: Client, form: Form) -> dict[str, Any]:
    """Hand out the tokens that a person let the client have."""
    auth = world.auth
    code = auth.take_code(form.get("code", ""))
    if code is None or code.client_id != client.id:
        raise ServiceError(401, "invalid_grant", "The code is unknown, used, expired or another client's")
    if code.redirect_uri != form.get("redirect_uri"):
        raise ServiceError(401, "invalid_grant", "The code was for another redirect_uri")
    if not code.knows(form.get("code_verifier")):
        raise ServiceError(401, "invalid_grant", "The code_verifier is not the one of the code_challenge")
    documents, id_tokens = [], []
    for server, granted in auth.scopes.by_server(code.scopes).items():
        token = auth.issue(
            identity_id=code.identity_id, client_id=client.id, resource_server=server, scopes=granted, login=code
        )
        document = _document(token) | ({} if code.state is None else {"state": code.state})
        if code.offline and _allows_refresh(world, granted):
            refresh = auth.add_refresh_token(
                code.identity_id,
                granted,
                client_id=client.id,
                mfa=code.mfa,
                authenticated_at=code.authenticated_at,
            )
            document["refresh_token"] = refresh.value
        documents.append(document)
        id_tokens += [signed for signed in [id_token(auth, token)] if signed]
    return _together(documents, id_tokens)


def _client_credentials(world: World, client: Client, form: Form) -> dict[str, Any]:
    auth = world.auth
    scopes = requested(world, client, form.get("scope", ""))
    if closed := auth.scopes.closed_to(client.domain, scopes):
        domains = ", ".join(closed[0].required_domains)
        raise ServiceError(403, "REQUIRED_IDENTITY_MISSING", f"{closed[0].name} is for identities of {domains}")
    tokens = [
        auth.issue(identity_id=client.id, client_id=client.id, resource_server=server, scopes=granted)
        for server, granted in auth.scopes.by_server(scopes).items()
    ]
    return _together(list(map(_document, tokens)), [signed for token in tokens if (signed := id_token(auth, token))])


def _refresh_token(world: World, client: Client, form: Form) -> dict[str, Any]:
    refresh = world.auth.refresh_token(form.get("refresh_token", ""))
    if refresh is None or refresh.client_id != client.id:
        raise ServiceError(401, "invalid_grant", "The refresh token is unknown, revoked or another client's")
    scopes = refresh.scopes
    if asked := form.get("scope", "").split():
        scopes = tuple(scope for scope in scopes if scope.scope_string in asked)
        if len(scopes) != len(set(asked)):
            raise ServiceError(400, "invalid_request", "A refresh cannot widen the scopes of the token")
    token = world.auth.issue(
        identity_id=refresh.identity_id,
        client_id=client.id,
        resource_server=refresh.resource_server,
        scopes=scopes,
        login=refresh,
    )
    return {**_document(token), "refresh_token": refresh.value, "other_tokens": []}


def _dependent_tokens(world: World, client: Client, form: Form) -> list[dict[str, Any]]:
    """Exchange a token sent to this client for tokens of the services it may call for the sender."""
    auth = world.auth
    token = auth.access_token(form.get("token", ""))
    if token is None or token.resource_server != client.id:
        raise ServiceError(401, "invalid_grant", "The token is not active, or was not made for this client")
    consents = auth.consents(token.identity_id, token.client_id)
    # What was consented to since is good for this token, too.
    reached = [scope for root in token.scopes for scope in dependencies(consents, (root.scope_string,))]
    if asked := form.get("scope", "").split():
        unapproved = [scope for scope in asked if scope not in {found.scope_string for found in reached}]
        if unapproved:
            raise errors.dependent_consent_required(
                [f"{root.scope_string}[{scope}]" for root in token.scopes for scope in unapproved]
            )
        reached = [scope for scope in reached if scope.scope_string in asked]
    documents = []
    for server, granted in auth.scopes.by_server(reached).items():
        issued = auth.issue(
            identity_id=token.identity_id, client_id=client.id, resource_server=server, scopes=granted, login=token
        )
        document = _document(issued)
        if form.get("access_type") == "offline" and _allows_refresh(world, granted):
            document["refresh_token"] = auth.add_refresh_token(
                token.identity_id,
                granted,
                client_id=client.id,
                mfa=token.mfa,
                authenticated_at=token.authenticated_at,
            ).value
        documents.append(document)
    return documents


def requested(world: World, client: Client, text: str) -> tuple[Scope, ...]:
    """Return the scopes that a client asks for, with what they depend on."""
    try:
        scopes = parse_scopes(text)
    except ValueError as error:
        raise ServiceError(400, "INVALID_SCOPE", str(error)) from None
    if not scopes:
        raise ServiceError(400, "invalid_request", "No scope was requested")
    if unknown := world.auth.scopes.unknown(scopes):
        raise ServiceError(400, "UNKNOWN_SCOPE_ERROR", f"client_id={client.id} requested unknown scopes: {unknown}")
    return world.auth.scopes.with_dependents(scopes)


def _allows_refresh(world: World, scopes: tuple[Scope, ...]) -> bool:
    known = [world.auth.scopes.definition_of(scope.scope_string) for scope in scopes]
    return all(definition is None or definition.allows_refresh_token for definition in known)


def _together(documents: list[dict[str, Any]], id_tokens: list[str]) -> dict[str, Any]:
    first, *others = documents
    signed = {"id_token": id_tokens[0]} if id_tokens else {}
    return {**first, **signed, "other_tokens": others}


def _document(token: Token) -> dict[str, Any]:
    lifetime = 0.0 if token.expires_at is None else token.expires_at - token.issued_at
    return {
        "access_token": token.value,
        "scope": token.scope,
        "expires_in": int(lifetime),
        "token_type": "Bearer",
        "resource_server": token.resource_server,
    }


_GRANTS: dict[str, Callable[[World, Client, Form], Any]] = {
    "authorization_code": _authorization_code,
    "client_credentials": _client_credentials,
    "refresh_token": _refresh_token,
    "urn:globus:auth:grant_type:dependent_token": _dependent_tokens,
}
