"""Endpoints: listed, looked at, registered, locked, deleted; and the queue of results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_globus.sandbox.compute import errors
from airflow_provider_globus.sandbox.compute.access import endpoint_for, own_endpoint
from airflow_provider_globus.sandbox.compute.documents import (
    api_version,
    endpoint_document,
    endpoint_entry,
    endpoint_status,
    timestamp,
    version_document,
)
from airflow_provider_globus.sandbox.errors import NotServed
from airflow_provider_globus.sandbox.provisional import PROVISIONAL
from airflow_provider_globus.sandbox.service import Answer, Route

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.compute.backend import Amqp
    from airflow_provider_globus.sandbox.compute.endpoint import ComputeEndpoint
    from airflow_provider_globus.sandbox.service import ServiceRequest

# For how long the real service locks is not known.
_LOCK_SECONDS = 20.0


def _version(request: ServiceRequest) -> Answer:
    if request.query.get("service") == "all":
        return Answer(version_document())
    return Answer(api_version())


def _list(request: ServiceRequest) -> Answer:
    """List the caller's own endpoints or, with ``role=any``, all they may use."""
    role = request.query.get("role", "owner")
    if role not in ("owner", "any"):
        raise errors.malformed(f"role must be owner or any, not {role!r}")
    me = request.caller.identity_id
    return Answer(
        [
            endpoint_entry(endpoint)
            for endpoint in request.world.compute.endpoints.values()
            if endpoint.owner_id == me or (role == "any" and endpoint.public)
        ]
    )


def _endpoint(request: ServiceRequest) -> ComputeEndpoint:
    return endpoint_for(request.world.compute, request.caller, request.path_params["endpoint_id"])


def _own(request: ServiceRequest) -> ComputeEndpoint:
    return own_endpoint(request.world.compute, request.caller, request.path_params["endpoint_id"])


def _get(request: ServiceRequest) -> Answer:
    return Answer(endpoint_document(_endpoint(request)))


def _status(request: ServiceRequest) -> Answer:
    return Answer(endpoint_status(_endpoint(request)))


def _delete(request: ServiceRequest) -> Answer:
    request.world.compute.remove_endpoint(_own(request))
    return Answer({"result": 302})


def _lock(request: ServiceRequest) -> Answer:
    """Keep an endpoint from registering for a while."""
    endpoint = _own(request)
    endpoint.locked_until = request.world.clock.time() + _LOCK_SECONDS
    document = {"endpoint_id": endpoint.id, "lock_expiration_timestamp": timestamp(endpoint.locked_until)}
    return Answer(document, headers=PROVISIONAL)


def _allowed_functions(request: ServiceRequest) -> Answer:
    endpoint = _endpoint(request)
    return Answer(
        {
            "endpoint_id": endpoint.id,
            "restricted": endpoint.allowed_functions is not None,
            "functions": sorted(endpoint.allowed_functions or ()),
        }
    )


def _register(request: ServiceRequest) -> Answer:
    return Answer(_broker(request).register_endpoint(request.caller, request.json(), None))


def _update(request: ServiceRequest) -> Answer:
    endpoint_id = request.path_params["endpoint_id"]
    return Answer(_broker(request).register_endpoint(request.caller, request.json(), endpoint_id))


def _result_connection(request: ServiceRequest) -> Answer:
    return Answer(_broker(request).result_connection(request.caller))


def _broker(request: ServiceRequest) -> Amqp:
    broker = request.world.compute.amqp
    if broker is None:
        raise NotServed(f"{request.method} {request.path}", but=errors.NO_BROKER)
    return broker


ROUTES = (
    Route("GET", "/v2/version", _version),
    Route("GET", "/v2/endpoints", _list),
    Route("POST", "/v2/endpoints", _register),
    Route("POST", "/v3/endpoints", _register),
    Route("PUT", "/v3/endpoints/{endpoint_id}", _update),
    Route("GET", "/v2/endpoints/{endpoint_id}", _get),
    Route("DELETE", "/v2/endpoints/{endpoint_id}", _delete),
    Route("GET", "/v2/endpoints/{endpoint_id}/status", _status),
    Route("POST", "/v2/endpoints/{endpoint_id}/lock", _lock),
    Route("POST", "/v3/endpoints/{endpoint_id}/lock", _lock),
    Route("GET", "/v3/endpoints/{endpoint_id}/allowed_functions", _allowed_functions),
    Route("GET", "/v2/get_amqp_result_connection_url", _result_connection),
)
