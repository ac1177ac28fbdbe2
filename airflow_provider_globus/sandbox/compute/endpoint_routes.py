"""Endpoints: listed, looked at, registered, locked, deleted; and the queue of results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from airflow_provider_globus.sandbox.compute.fields import document_of
from airflow_provider_globus.sandbox.errors import NotServed
from airflow_provider_globus.sandbox.service import Answer, Basis, Route

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
        message = "value is not a valid enumeration member; permitted: 'owner', 'any'"
        raise errors.invalid(("query", "role"), message, "type_error.enum")
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


def _lock_v2(request: ServiceRequest) -> Answer:
    endpoint, until = _locked(request)
    return Answer({"endpoint_id": endpoint.id, "lock_expiration_timestamp": timestamp(until)})


def _lock_v3(request: ServiceRequest) -> Answer:
    endpoint, until = _locked(request)
    return Answer({"endpoint_id": endpoint.id, "lock_expiration_timestamp": until})


def _locked(request: ServiceRequest) -> tuple[ComputeEndpoint, float]:
    """Keep an endpoint from registering for a while; return until when."""
    endpoint = _own(request)
    endpoint.locked_until = request.world.clock.time() + _LOCK_SECONDS
    return endpoint, endpoint.locked_until


def _allowed_functions(request: ServiceRequest) -> Answer:
    endpoint = _endpoint(request)
    return Answer(
        {
            "endpoint_id": endpoint.id,
            "restricted": endpoint.allowed_functions is not None,
            "functions": sorted(endpoint.allowed_functions or ()),
        }
    )


def _register_v2(request: ServiceRequest) -> Answer:
    registration = _registration(request)
    return Answer({name: registration[name] for name in ("endpoint_id", "command_queue_info", "warnings")})


def _register_v3(request: ServiceRequest) -> Answer:
    return Answer(_registration(request))


def _registration(request: ServiceRequest) -> dict[str, Any]:
    return _broker(request).register_endpoint(request.caller, document_of(request), None)


def _update(request: ServiceRequest) -> Answer:
    endpoint_id = request.path_params["endpoint_id"]
    return Answer(_broker(request).register_endpoint(request.caller, document_of(request), endpoint_id))


def _result_connection(request: ServiceRequest) -> Answer:
    return Answer(_broker(request).result_connection(request.caller))


def _broker(request: ServiceRequest) -> Amqp:
    broker = request.world.compute.amqp
    if broker is None:
        raise NotServed(f"{request.method} {request.path}", but=errors.NO_BROKER)
    return broker


ROUTES = (
    Route("GET", "/v2/version", _version, basis=Basis.RECORDED),
    Route("GET", "/v2/endpoints", _list, basis=Basis.RECORDED),
    Route("POST", "/v2/endpoints", _register_v2, basis=Basis.RECORDED),
    Route("POST", "/v3/endpoints", _register_v3, basis=Basis.RECORDED),
    Route("PUT", "/v3/endpoints/{endpoint_id}", _update, basis=Basis.RECORDED),
    Route("GET", "/v2/endpoints/{endpoint_id}", _get, basis=Basis.RECORDED),
    Route("DELETE", "/v2/endpoints/{endpoint_id}", _delete, basis=Basis.RECORDED),
    Route("GET", "/v2/endpoints/{endpoint_id}/status", _status, basis=Basis.RECORDED),
    Route("POST", "/v2/endpoints/{endpoint_id}/lock", _lock_v2, basis=Basis.RECORDED),
    Route("POST", "/v3/endpoints/{endpoint_id}/lock", _lock_v3, basis=Basis.RECORDED),
    Route("GET", "/v3/endpoints/{endpoint_id}/allowed_functions", _allowed_functions, basis=Basis.RECORDED),
    Route("GET", "/v2/get_amqp_result_connection_url", _result_connection, basis=Basis.RECORDED),
)
