"""A sandbox to send requests to, and what is known of it: who may ask, the ids there are, what has succeeded before."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.routing import compile_path

from airflow_provider_globus.sandbox.app import SERVICES
from airflow_provider_globus.sandbox.auth.scopes import (
    ENDPOINT_ID,
    data_access_scope,
    flow_scope,
    https_scope,
    parse_scopes,
)
from airflow_provider_globus.sandbox.control import CONTROL
from airflow_provider_globus.sandbox.world import Settings
from tests.conformance.fuzz.wire import InProcess, Sent

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.service import Route, Service
    from tests.conformance.fuzz.wire import Reply

#: Whose tokens a service takes that names no resource server: its routes ask themselves.
_SERVERS = {"flows": "flows.globus.org", "connect_server": ENDPOINT_ID}


#: How fast requests come is not what is tested.
WITHOUT_LIMITS = {
    "rate_limit_per_second": None,
    "compute_requests_per_10_seconds": None,
    "pending_tasks_per_identity": 100_000,
}


@dataclass(frozen=True)
class Known:
    """A request that was answered with success, as JSON or as a form."""

    target: str
    query: dict[str, str]
    document: Any = None
    form: dict[str, str] | None = None


@dataclass
class Site:
    """The sandbox, those who use it, and what is known of it.

    :param ids: ids by the name of the path parameter they are for.
    :param known: requests that succeeded, by method and route.
    """

    sandbox: GlobusSandbox
    folder: Path
    app: InProcess
    ids: dict[str, list[str]] = field(default_factory=dict)
    known: dict[tuple[str, str], list[Known]] = field(default_factory=dict)
    tokens: dict[tuple[str, str], str] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        #: The default client, who owns most of what there is, for as long as it lives.
        self.me, self._my_secret = self.sandbox.client_id, self.sandbox.client_secret

    @property
    def outside(self) -> Path:
        """What no request may reach."""
        return self.folder / "outside"

    # Who asks

    def token(self, service: str, who: str) -> str:
        """Return a token of ``me`` or ``other`` for a service, for all of its scopes."""
        key = (service, who)
        if key not in self.tokens:
            self.tokens[key] = self._issue(service, who)
        return self.tokens[key]

    def _issue(self, name: str, who: str, **more: Any) -> str:
        auth = self.sandbox.world.auth
        identity = {"me": self.me}.get(who) or self.ids[who][0]
        collections = [item for item in self.sandbox.world.transfer.collections.values() if item.kind != "endpoint"]
        below = " ".join(data_access_scope(item.id) for item in collections if item.needs_data_access)
        service = next((item for item in SERVICES if item.name == name), None)
        server = (service.resource_server if service else None) or _SERVERS.get(name, name)
        if name in self.ids.get("flow_id", ()):
            wanted = [flow_scope(name)]
        elif name in {item.id for item in collections}:
            wanted = [https_scope(name)]
        else:
            wanted = [scope for scope, owner in auth.scopes._servers.items() if owner == server]
        dependent = f"[{below}]" if below else ""
        scopes = parse_scopes(" ".join(scope + (dependent if scope.endswith(":all") else "") for scope in wanted))
        token = auth.issue(identity_id=identity, client_id=self.me, resource_server=server, scopes=scopes, **more)
        self.secrets.add(token.value)
        return token.value

    def expired(self, service: str) -> str:
        """Return a token whose time is over."""
        return self._issue(service, "me", lifetime=-1)

    def others(self, service: str) -> str:
        """Return a token for another service."""
        return self.token("search" if service == "transfer" else "transfer", "me")

    # What is there

    def ask(
        self,
        service: str,
        method: str,
        target: str,
        document: Any = None,
        /,
        *,
        who: str = "me",
        form: dict[str, str] | None = None,
        basic: bool = False,
        **query: Any,
    ) -> Any:
        """Make a request that succeeds, and keep it; returns its document."""
        headers = {"Authorization": f"Bearer {self.token(service, who)}"}
        if basic:
            headers["Authorization"] = self.basic()
        body = b""
        if document is not None:
            headers["Content-Type"], body = "application/json", json.dumps(document).encode()
        elif form is not None:
            headers["Content-Type"], body = "application/x-www-form-urlencoded", urlencode(form).encode()
        query = {name: str(value) for name, value in query.items()}
        full = target + (f"?{urlencode(query)}" if query else "")
        reply = self.app.send(Sent(method, full, tuple(headers.items()), body))
        assert reply.status < 400, (method, full, document, reply.status, reply.body)
        route = route_of(method, target)
        assert route is not None, (method, target)
        self.known.setdefault((method, route.path), []).append(Known(target, query, document, form))
        return _answer(reply)

    def calm(self) -> None:
        """Take back what the control plane was told to do to every request and to time."""
        self.sandbox.faults.clear()
        self.sandbox.clock.reset()
        self.sandbox.settings.update({**Settings().as_dict(), **WITHOUT_LIMITS})

    def sent(self, service: str, method: str, target: str, document: Any = None, **query: str) -> Sent:
        """Return a request of the default client."""
        headers = (("Authorization", f"Bearer {self.token(service, 'me')}"), ("Content-Type", "application/json"))
        pairs = {name: value.encode("utf-8", "surrogatepass") for name, value in query.items()}
        full = target + (f"?{urlencode(pairs)}" if pairs else "")
        return Sent(method, full, headers, b"" if document is None else json.dumps(document).encode())

    def run_flow(self, deployed: Reply) -> Reply:
        """Run a flow that was just deployed."""
        flow_id = self.keep("flow_id", deployed.json()["id"])
        return self.app.send(self.sent(flow_id, "POST", f"/flows/{flow_id}/run", {"body": {"n": 1, "s": "y"}}))

    def suggest(self, method: str, target: str, document: Any = None, **query: str) -> None:
        """Keep a request that would succeed."""
        route = route_of(method, target)
        assert route is not None, (method, target)
        self.known.setdefault((method, route.path), []).append(Known(target, query, document))

    def basic(self) -> str:
        """Return the default client's credentials."""
        return "Basic " + base64.b64encode(f"{self.me}:{self._my_secret}".encode()).decode()

    def keep(self, name: str, *ids: str) -> str:
        """Keep ids for a path parameter; returns the first."""
        self.ids.setdefault(name, []).extend(ids)
        return ids[0]

    def all_ids(self) -> list[str]:
        """Return every id there is, of whatever kind."""
        return list(dict.fromkeys(item for ids in self.ids.values() for item in ids))


def _answer(reply: Reply) -> Any:
    return reply.json() if reply.content_type == "application/json" else reply.body


def routes() -> list[tuple[Service, Route]]:
    """Return every route there is."""
    return [(service, route) for service in (*SERVICES, CONTROL) for route in service.routes]


def route_of(method: str, path: str) -> Route | None:
    """Return the route that takes a request."""
    return next(
        (
            route
            for service, route in routes()
            if path.startswith(service.prefixes) and route.method == method and compile_path(route.path)[0].match(path)
        ),
        None,
    )
