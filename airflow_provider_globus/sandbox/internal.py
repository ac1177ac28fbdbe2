"""Calls from one service of the sandbox to another: the same handlers, checks and refusals as over HTTP, without it."""

from __future__ import annotations

import json as json_codec
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers, QueryParams
from starlette.routing import compile_path

from airflow_provider_globus.sandbox.service import Service, ServiceRequest

if TYPE_CHECKING:
    from re import Pattern

    from airflow_provider_globus.sandbox.auth.models import Caller
    from airflow_provider_globus.sandbox.world import World


def call(
    world: World,
    service: Service,
    method: str,
    path: str,
    caller: Caller,
    *,
    json: Mapping[str, Any] | None = None,
    query: Mapping[str, Any] | None = None,
) -> Any:
    """Have a service do something for somebody, and return its document; raises the service's `ServiceError`.

    :param caller: in whose name.
    """
    for route in service.routes:
        found = _pattern(route.path).match(path)
        if route.method != method or not found:
            continue
        request = ServiceRequest(
            world=world,
            service=service,
            method=method,
            path=path,
            path_params=found.groupdict(),
            query=QueryParams({name: str(value) for name, value in (query or {}).items() if value is not None}),
            headers=Headers({}),
            body=json_codec.dumps(json or {}).encode(),
            request_id=world.new_request_id(),
            authorize=lambda _: caller,
        )
        return route.handler(request).body
    raise ValueError(f"{service.name} has no route {method} {path}")


@lru_cache(maxsize=256)
def _pattern(path: str) -> Pattern[str]:
    return compile_path(path)[0]
