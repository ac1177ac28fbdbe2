"""The control plane, ``/_sandbox/…``: look at a sandbox and change it from outside; and the page of a task.

It takes no credentials, which is one reason why the sandbox binds loopback only. Faults never touch it, and the
journal does not list it.
"""

from __future__ import annotations

from airflow_provider_globus import __version__
from airflow_provider_globus.sandbox.service import Answer, Route, Service, ServiceRequest
from airflow_provider_globus.sandbox.unserved import plain_error


def _health(request: ServiceRequest) -> Answer:
    return Answer({"status": "ok", "version": __version__, "url": request.world.url})


def _state(request: ServiceRequest) -> Answer:
    return Answer(request.world.snapshot())


CONTROL = Service(
    name="control",
    prefixes=("/_sandbox/", "/activity/"),
    routes=(
        Route("GET", "/_sandbox/health", _health, public=True),
        Route("GET", "/_sandbox/state", _state, public=True),
    ),
    render_error=plain_error,
)
