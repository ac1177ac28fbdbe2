"""The pages that an app opens for a person: who one is, whether the app may act for one, and the code it gets.

In a sandbox nobody has to prove who they are: whoever looks at the page chooses one of its identities.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from airflow_provider_globus.sandbox.activity import fact_rows, page
from airflow_provider_globus.sandbox.auth.authorization import CODE_PAGE, AuthorizationRequest
from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.service import Answer, Basis, Route

if TYPE_CHECKING:
    from collections.abc import Iterable

    from globus_sdk.scopes import Scope

    from airflow_provider_globus.sandbox.auth.models import Identity
    from airflow_provider_globus.sandbox.service import ServiceRequest

_BLUE, _GREEN, _RED = "#1f5c99", "#2c7a3f", "#b3261e"


def _ask(request: ServiceRequest) -> Answer:
    try:
        asked = AuthorizationRequest.read(request.world, request.query)
    except ServiceError as error:
        return _failed(request, error)
    return _page(_question(asked, asked.candidates(request.world)))


def _answer(request: ServiceRequest) -> Answer:
    """Take what whoever looks at the page decided, and send the browser back to the app."""
    world, form = request.world, request.form()
    try:
        asked = AuthorizationRequest.read(world, request.query)
        if form.get("decision") != "allow":
            return _redirect(asked.back(world, error="access_denied"))
        identity = world.auth.identity(form.get("identity", ""))
        if identity is None:
            raise ServiceError(400, "UNKNOWN_IDENTITY", "Choose one of the identities")
        request.identity = identity.username
        code = asked.allow(world, identity, mfa="mfa" in form)
    except ServiceError as error:
        return _failed(request, error)
    except ValueError as error:
        return _failed(request, ServiceError(403, "FORBIDDEN", str(error)))
    return _redirect(asked.back(world, code=code.value))


def _code(request: ServiceRequest) -> Answer:
    """Show the code to be copied into an app that has no page of its own."""
    code, error = request.query.get("code"), request.query.get("error")
    body = f"<p>Authorization Code</p><pre>{escape(code or '')}</pre>" if code else f"<p>{escape(error or '')}</p>"
    return _page(
        page(
            title="Globus sandbox",
            status="logged in" if code else "not logged in",
            colour=_GREEN if code else _RED,
            subtitle="Copy the code into the app that asked for it" if code else "No code was made",
            body=body,
            refreshing=False,
        )
    )


def _question(asked: AuthorizationRequest, candidates: Iterable[Identity]) -> str:
    facts = {
        "App": f"{asked.client.name} ({asked.client.id})",
        "Message": asked.message,
        "Refresh tokens": "yes" if asked.offline else "no",
        "Goes back to": asked.redirect_uri,
    }
    choices = "".join(
        f'<p><label><input type="radio" name="identity" value="{escape(identity.id)}" required> '
        f"{escape(identity.username)} {escape(identity.name or '')}</label></p>"
        for identity in candidates
    )
    nobody = "<p>No identity of this sandbox can give what the app asks for: <code>add_identity</code> adds one.</p>"
    return page(
        title=f"{asked.client.name} would like to",
        status="log in",
        colour=_BLUE,
        subtitle="Globus sandbox: choose who you are, nobody has to prove it",
        body=f"""{_scopes(asked.scopes)}<table>{fact_rows(facts)}</table>
<form method="post">{choices or nobody}
<p><label><input type="checkbox" name="mfa"{" checked" if asked.needs_mfa else ""}> with a second factor</label></p>
<p><button name="decision" value="allow">Allow</button>
<button name="decision" value="deny" formnovalidate>Deny</button></p></form>""",
        refreshing=False,
    )


def _scopes(scopes: Iterable[Scope]) -> str:
    items = [
        f"<li><code>{escape(scope.scope_string)}</code>{' (optional)' if scope.optional else ''}"
        f"{_scopes(scope.dependencies) if scope.dependencies else ''}</li>"
        for scope in scopes
    ]
    return f"<ul>{''.join(items)}</ul>"


def _failed(request: ServiceRequest, error: ServiceError) -> Answer:
    """Show an error to the person; the app, which may be anybody's, is told nothing."""
    facts = {
        "Reason": error.message,
        "Occurred at time": request.world.clock.now().isoformat(),
        "Error ID": request.request_id,
        "Error code": error.code,
    }
    shown = page(
        title="Unable to Fulfill Your Request",
        status=str(error.status),
        colour=_RED,
        subtitle="Error processing OAuth2 request",
        body=f"<table>{fact_rows(facts)}</table>",
        refreshing=False,
    )
    return Answer(shown, error.status, content_type="text/html")


def _page(html: str) -> Answer:
    return Answer(html, headers={"Cache-Control": "no-store"}, content_type="text/html")


def _redirect(url: str) -> Answer:
    return Answer("", 302, {"Location": url, "Cache-Control": "no-store"}, content_type="text/html")


ROUTES = (
    Route("GET", "/v2/oauth2/authorize", _ask, public=True, basis=Basis.DOCUMENTED),
    # The form of the page above, and the sandbox's own.
    Route("POST", "/v2/oauth2/authorize", _answer, public=True),
    Route("GET", CODE_PAGE, _code, public=True, basis=Basis.DOCUMENTED),
)
