"""What every answer has to be, whatever was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from airflow_provider_globus.sandbox.errors import ServiceError
from tests.conformance.recordings import error_code

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.service import Service
    from tests.conformance.fuzz.site import Site
    from tests.conformance.fuzz.wire import Reply, Sent

#: What people see, who are refused in a page.
_PAGES = ("/v2/oauth2/authorize", "/v2/web/")


def check(site: Site, service: Service, sent: Sent, reply: Reply) -> None:
    """Fail unless an answer is one that the service may give."""
    problems = list(_problems(site, service, sent, reply))
    assert not problems, f"{problems}\n{sent}\n{reply.status} {reply.headers}\n{reply.body[:2000]!r}"


def _problems(site: Site, service: Service, sent: Sent, reply: Reply) -> list[str]:
    problems = []
    if reply.status == 500:
        problems.append("the sandbox failed")
    if "x-request-id" not in reply.headers:
        problems.append("no request id")
    if sent.method == "HEAD":
        # Its body is for the server to leave out.
        return problems
    shown = reply.body.decode("utf-8", "replace") + "\n".join(reply.headers.values())
    problems += [
        f"tells the secret {secret}" for secret in tuple(site.secrets) if secret in shown and secret not in sent.text
    ]
    document: Any = None
    if reply.content_type == "application/json":
        try:
            document = reply.json()
        except ValueError as error:
            problems.append(f"is not JSON: {error}")
    if reply.status >= 400:
        problems += _shape(service, sent, reply, document)
    return problems


def _shape(service: Service, sent: Sent, reply: Reply, document: Any) -> list[str]:
    """Return how a refusal differs from those of its service."""
    path = unquote(sent.target.partition("?")[0])
    if path.startswith(_PAGES) and reply.content_type == "text/html":
        return []
    extra = document if isinstance(document, dict) else {}
    model = service.render_error(ServiceError(reply.status, error_code(document) or "Code", "", extra=extra), "", path)
    if isinstance(model, str):
        return [] if reply.content_type == "text/plain" else ["is not text, as the service's refusals are"]
    if not isinstance(document, dict):
        return ["is no JSON object"]
    return [f"lacks {name!r}, which the service's refusals have" for name in model if name not in document]
