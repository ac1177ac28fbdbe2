"""The sandbox as one ASGI app: finds the handler of a request, applies faults, renders errors, keeps the journal."""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from email.utils import formatdate
from http import HTTPStatus
from re import Pattern
from typing import IO, TYPE_CHECKING, Any

import anyio.to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import compile_path

from airflow_provider_globus.sandbox.auth import routes as auth_routes
from airflow_provider_globus.sandbox.compute import routes as compute_routes
from airflow_provider_globus.sandbox.connect_server import routes as connect_server_routes
from airflow_provider_globus.sandbox.control import CONTROL
from airflow_provider_globus.sandbox.errors import NotServed, ServiceError
from airflow_provider_globus.sandbox.flows import routes as flows_routes
from airflow_provider_globus.sandbox.groups import routes as groups_routes
from airflow_provider_globus.sandbox.https_access import routes as https_routes
from airflow_provider_globus.sandbox.provisional import PROVISIONAL
from airflow_provider_globus.sandbox.search import routes as search_routes
from airflow_provider_globus.sandbox.service import Answer, Basis, Route, Service, ServiceRequest
from airflow_provider_globus.sandbox.transfer import routes as transfer_routes
from airflow_provider_globus.sandbox.unserved import UNKNOWN, UNSERVED

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from airflow_provider_globus.sandbox.faults import HttpFault
    from airflow_provider_globus.sandbox.journal import Entry
    from airflow_provider_globus.sandbox.world import World

log = logging.getLogger(__name__)

SERVICES: tuple[Service, ...] = (
    auth_routes.SERVICE,
    transfer_routes.SERVICE,
    compute_routes.SERVICE,
    flows_routes.SERVICE,
    search_routes.SERVICE,
    groups_routes.SERVICE,
    connect_server_routes.SERVICE,
    https_routes.SERVICE,
    *UNSERVED,
)
# Handlers mostly wait (for S3, for a clock); this many may do so at once.
_HANDLER_THREADS = 64
# Of a file that is sent, this much is held in memory.
_UPLOAD_BYTES_IN_MEMORY = 1024 * 1024


@dataclass(frozen=True)
class _Compiled:
    service: Service
    route: Route
    pattern: Pattern[str]


def build_app(world: World, on_request: Callable[[Entry], None] | None = None) -> ASGIApp:
    """Return the ASGI app of a world.

    :param on_request: told of every request once it is answered, for the log of the command line.
    """
    return _Gateway(world, on_request)


class _Gateway:
    """Takes every request of every service."""

    def __init__(self, world: World, on_request: Callable[[Entry], None] | None) -> None:
        self._world = world
        self._on_request = on_request
        self._threads: anyio.CapacityLimiter | None = None
        self._routes = [_compile(service, route) for service in (*SERVICES, CONTROL) for route in service.routes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"The Globus sandbox speaks HTTP only, not {scope['type']}")
        request = Request(scope, receive)
        # Not the path of its URL, which would leave some characters encoded.
        service = _service_of(scope["path"])
        with tempfile.SpooledTemporaryFile(_UPLOAD_BYTES_IN_MEMORY) as upload:
            try:
                body = await (_spool(request, upload) if service.takes_files else request.body())
            except ClientDisconnect:
                return
            exchange = _Exchange(self._world, request, body, service, upload)
            response = await self._answer(exchange)
        entry = exchange.journal_entry(response)
        if entry is not None and self._on_request is not None:
            self._on_request(entry)
        if response is None:
            await _drop(send)
            return
        await response(scope, receive, send)

    async def _answer(self, exchange: _Exchange) -> Response | None:
        """Return what to answer; None means: close the connection without a word."""
        service = exchange.service
        fault = None
        if service is not CONTROL:
            fault = self._world.faults.http_fault(service.name, exchange.method, exchange.path)
        if fault is None:
            return await self._perform(exchange)
        exchange.fault = fault
        if fault.delay_seconds:
            await asyncio.sleep(fault.delay_seconds)
        if fault.drop:
            return None
        if fault.drop_after:
            await self._perform(exchange)
            return None
        if fault.body is not None or fault.status is not None:
            return exchange.render(_injected(fault))
        return await self._perform(exchange)

    async def _perform(self, exchange: _Exchange) -> Response:
        if self._threads is None:
            self._threads = anyio.CapacityLimiter(_HANDLER_THREADS)
        # Abandoned when the server stops, which then does not wait for a handler that waits for S3.
        return await anyio.to_thread.run_sync(self._handle, exchange, limiter=self._threads, abandon_on_cancel=True)

    def _handle(self, exchange: _Exchange) -> Response:
        """Run the handler; runs in a thread."""
        try:
            return exchange.render(self._dispatch(exchange))
        except ServiceError as error:
            return exchange.render(error)
        except Exception:
            # A bug of the sandbox: the client gets an error it can read, whoever runs the sandbox the traceback.
            log.exception(f"The Globus sandbox failed at {exchange.method} {exchange.path}")
            return exchange.render(ServiceError(500, "InternalError", "The Globus sandbox failed; see its log"))

    def _dispatch(self, exchange: _Exchange) -> Answer:
        methods = set()
        for route in self._routes:
            if route.service is not exchange.service or not (match := route.pattern.match(exchange.path)):
                continue
            methods.add(route.route.method)
            if route.route.method == exchange.method:
                return self._call(exchange, route.route, match.groupdict())
        allowed = ", ".join(sorted(methods))
        if methods and exchange.service.whole:
            raise ServiceError(405, "MethodNotAllowed", f"{exchange.path} takes {allowed}", headers={"Allow": allowed})
        if exchange.service is UNKNOWN:
            raise ServiceError(404, "NotFound", f"{exchange.path} belongs to no Globus service")
        raise NotServed(f"{exchange.method} {exchange.path}", f"yet, but {allowed}" if methods else "yet")

    def _call(self, exchange: _Exchange, route: Route, path_params: dict[str, str]) -> Answer:
        exchange.route = route
        request = exchange.service_request(path_params)
        request.authorize = route.authorize
        if not route.public:
            identity_id = request.caller.identity_id
            rate = exchange.service.rate_limit(self._world.settings)
            if rate is not None:
                self._world.meter.count(exchange.service.name, identity_id, rate)
        return route.handler(request)


class _Exchange:
    """One request and what became of it."""

    def __init__(self, world: World, request: Request, body: bytes, service: Service, upload: IO[bytes]) -> None:
        self._world = world
        self._request = request
        self._body = body
        self._upload = upload
        self.service = service
        self.method = request.method
        self.path: str = request.scope["path"]
        self.request_id = world.new_request_id()
        self._seen: ServiceRequest | None = None
        self.route: Route | None = None
        self.fault: HttpFault | None = None
        self._code: str | None = None

    def service_request(self, path_params: dict[str, str]) -> ServiceRequest:
        """Return the request as its handler sees it."""
        self._seen = ServiceRequest(
            world=self._world,
            service=self.service,
            method=self.method,
            path=self.path,
            path_params=path_params,
            query=self._request.query_params,
            headers=self._request.headers,
            body=self._body,
            request_id=self.request_id,
            upload=self._upload if self.service.takes_files else None,
        )
        return self._seen

    def render(self, answer: Answer | ServiceError) -> Response:
        """Turn an answer or an error into HTTP; the one place where errors get their shape."""
        if isinstance(answer, ServiceError):
            self._code = answer.code
            document = self.service.render_error(answer, self.request_id, self.path)
            headers = {**({} if self._is_confirmed(answer) else PROVISIONAL), **answer.headers}
            if isinstance(document, str):
                answer = Answer(document, answer.status, headers, "text/plain")
            else:
                answer = Answer({**document, **answer.extra}, answer.status, headers)
        elif self.route is not None and self.route.basis is Basis.ASSUMED and self.service is not CONTROL:
            answer = replace(answer, headers={**answer.headers, **PROVISIONAL})
        if self._code is None and isinstance(answer.body, dict) and isinstance(answer.body.get("code"), str):
            self._code = answer.body["code"]
        headers = {**answer.headers, "Date": formatdate(usegmt=True), "X-Request-Id": self.request_id}
        if isinstance(answer.body, Iterator):
            return StreamingResponse(answer.body, answer.status, headers, answer.content_type)
        is_json = answer.content_type == "application/json" and not isinstance(answer.body, (str, bytes))
        content = json.dumps(answer.body) if is_json else answer.body
        return Response(
            content if isinstance(content, bytes) else str(content),
            status_code=answer.status,
            headers=headers,
            media_type=answer.content_type,
        )

    def _is_confirmed(self, error: ServiceError) -> bool:
        codes = self.service.confirmed_codes
        return codes is None or error.code in codes or isinstance(error, NotServed)

    def journal_entry(self, response: Response | None) -> Entry | None:
        """Put the request in the journal; requests of the control plane are not."""
        if self.service is CONTROL:
            return None
        return self._world.journal.record(
            time=self._world.clock.now().isoformat(),
            service=self.service.name,
            method=self.method,
            path=self.path,
            route=self.route.path if self.route else None,
            query=self._request.query_params.multi_items(),
            status=None if response is None else response.status_code,
            identity=self._seen.identity if self._seen else None,
            request_id=self.request_id,
            user_agent=self._request.headers.get("user-agent", ""),
            body=self._body,
            content_type=self._request.headers.get("content-type", ""),
            code=self._code,
            fault=self.fault.id if self.fault else None,
        )


def _injected(fault: HttpFault) -> Answer | ServiceError:
    if fault.body is not None:
        return Answer(fault.body, fault.status or HTTPStatus.OK, fault.headers)
    status = fault.status or HTTPStatus.SERVICE_UNAVAILABLE
    return ServiceError(status, fault.code, fault.message, headers=fault.headers)


def _compile(service: Service, route: Route) -> _Compiled:
    pattern, _, _ = compile_path(route.path)
    return _Compiled(service, route, pattern)


def _service_of(path: str) -> Service:
    """Return the service a path belongs to: prefixes are disjoint, so one port serves all."""
    for service in (CONTROL, *SERVICES):
        if path.startswith(service.prefixes):
            return service
    return UNKNOWN


async def _spool(request: Request, upload: IO[bytes]) -> bytes:
    """Put what is sent into a file; there is no body then."""
    async for chunk in request.stream():
        upload.write(chunk)
    upload.seek(0)
    return b""


async def _drop(send: Callable[[Any], Awaitable[None]]) -> None:
    """Close the connection without an answer, as a network that fails does.

    ASGI has no way to say so; uvicorn's `send` is a method of the object that holds the connection.
    """
    connection = getattr(send, "__self__", None)
    connection.transport.abort()  # type: ignore[union-attr]
    # uvicorn learns of the closed connection in the next turn of the loop; then it does not answer 500 for us.
    await asyncio.sleep(0)
