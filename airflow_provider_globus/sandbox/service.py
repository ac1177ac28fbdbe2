"""What a sandbox service is made of: its routes, what a handler is given and what it returns.

A service package (``auth``, ``transfer``) exposes ``SERVICE: Service``; `app.py` mounts it. Handlers are plain
functions, run in a thread: ``def handler(request: ServiceRequest) -> Answer``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl

from airflow_provider_globus.sandbox import json_text
from airflow_provider_globus.sandbox.errors import ServiceError

if TYPE_CHECKING:
    from starlette.datastructures import Headers, QueryParams

    from airflow_provider_globus.sandbox.auth.state import Caller
    from airflow_provider_globus.sandbox.world import Settings, World


@dataclass(frozen=True)
class Answer:
    """What a handler answers: a JSON document, or text, bytes or an iterator of bytes with another content type."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


@dataclass
class ServiceRequest:
    """One HTTP request, as a handler sees it."""

    world: World
    service: Service
    method: str
    path: str
    path_params: Mapping[str, str]
    query: QueryParams
    headers: Headers
    body: bytes
    request_id: str
    # Who asks, for the journal: known once the caller (or, at Auth, the client) is.
    identity: str | None = None
    # How the caller is told, when it is not by the service's one scope.
    authorize: Authorize | None = None
    # What was sent, of a service that takes files; the body is empty then.
    upload: IO[bytes] | None = None

    @cached_property
    def caller(self) -> Caller:
        """Who asks; raises the service's own 401 or 403 when the token is not good enough."""
        if self.authorize is not None:
            caller = self.authorize(self)
        else:
            caller = self.world.auth.authenticate(self, *filter(None, [self.service.scope]))
        self.identity = caller.username
        return caller

    def json(self) -> dict[str, Any]:
        """Return the JSON document sent; anything but a JSON object is refused."""
        try:
            document = json_text.read(self.body)
        except ValueError as error:
            raise ServiceError(400, "BadRequest", f"{self.service.says_no_json}: {error}") from None
        if not isinstance(document, dict):
            raise ServiceError(400, "BadRequest", "The request body must be a JSON object")
        return document

    def form(self) -> dict[str, str]:
        """Return the form fields sent (the last one wins when a name is repeated)."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


Handler: TypeAlias = Callable[[ServiceRequest], Answer]
Authorize: TypeAlias = "Callable[[ServiceRequest], Caller]"
RenderError: TypeAlias = Callable[[ServiceError, str, str], dict[str, Any] | str]


class Basis(StrEnum):
    """What the shape of a route's answer is known from, the surest first; `docs/fidelity.md` lists every route's.

    The conformance tests hold routes to the first three; what is assumed says so with `X-Sandbox-Provisional`.
    """

    #: A response of the real service that the SDK ships: `globus_sdk.testing`.
    RECORDED = "recorded"
    #: A response of the real service in the tests of the SDK, the CLI or another public project.
    QUOTED = "quoted"
    #: The service's published OpenAPI schema.
    SCHEMA = "schema"
    #: The service's documentation, or what official clients send and read.
    DOCUMENTED = "documented"
    ASSUMED = "assumed"


@dataclass(frozen=True)
class Route:
    """One thing a service does. `path` is in Starlette's syntax: ``/v0.10/task/{task_id}``.

    :param public: answered without a bearer token.
    :param authorize: tells the caller, or refuses; for services whose routes ask for different scopes.
    :param basis: what the shape of the answer is known from.
    """

    method: str
    path: str
    handler: Handler
    public: bool = False
    authorize: Authorize | None = None
    basis: Basis = Basis.ASSUMED


def unlimited(settings: Settings) -> float | None:
    """Set no limit."""
    return None


@dataclass(frozen=True)
class Service:
    """A Globus service.

    :param prefixes: paths that belong to this service; what no route serves there answers 501.
    :param render_error: ``(error, request_id, resource) -> body`` in the service's own error shape: JSON or text.
    :param scope: the scope a token must carry, checked before the handler of a route that is not public runs.
    :param resource_server: whose tokens the service takes.
    :param rate_limit: how many requests in ten seconds the settings allow an identity; None as an answer is no limit.
    :param confirmed_codes: the codes of errors that recordings, documents or official clients confirm; an error with
        another says that it is provisional. None is of a service whose errors say so one by one.
    :param says_no_json: how a body that is no JSON is refused.
    :param whole: every method that the service has on a path is served; of others, it cannot be told, so that another
        method answers 501, not 405.
    :param takes_files: what is sent is a file's bytes, which handlers read from `upload` and the journal leaves out.
    """

    name: str
    prefixes: tuple[str, ...]
    routes: Sequence[Route]
    render_error: RenderError
    scope: str | None = None
    resource_server: str | None = None
    rate_limit: Callable[[Settings], float | None] = unlimited
    confirmed_codes: Collection[str] | None = None
    unauthenticated_code: str = "AuthenticationFailed"
    forbidden_code: str = "PermissionDenied"
    says_no_json: str = "The request body is not valid JSON"
    whole: bool = False
    takes_files: bool = False
