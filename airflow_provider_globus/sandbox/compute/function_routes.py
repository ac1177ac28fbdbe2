"""Functions: registered, looked at, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.compute import errors
from airflow_provider_globus.sandbox.compute.access import function_for, own_function
from airflow_provider_globus.sandbox.compute.documents import function_document
from airflow_provider_globus.sandbox.compute.fields import canonical, document_of, required
from airflow_provider_globus.sandbox.compute.models import ComputeFunction
from airflow_provider_globus.sandbox.errors import NotServed
from airflow_provider_globus.sandbox.service import Answer, Basis, Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_globus.sandbox.service import ServiceRequest


def _register(request: ServiceRequest) -> Answer:
    document = document_of(request)
    if document.get("ha_endpoint_id"):
        raise NotServed("functions for high-assurance endpoints (ha_endpoint_id)")
    function = ComputeFunction(
        id=request.world.new_id(),
        name=_text(document, "function_name"),
        code=_text(document, "function_code"),
        owner=request.caller.identity_id,
        serialized=document.get("serialized") is not False,
        description=document.get("description"),
        public=document.get("public") is True,
        group=canonical(document["group"], ("body", "group")) if document.get("group") else None,
        # Version 2 of the API and version 3 call it differently.
        metadata=document.get("meta") or document.get("metadata") or {},
    )
    request.world.compute.add_function(function)
    return Answer({"function_uuid": function.id})


def _text(document: Mapping[str, Any], name: str) -> str:
    value = required(document, name, str)
    if not value:
        raise errors.invalid(
            ("body", name), "ensure this value has at least 1 characters", "value_error.any_str.min_length"
        )
    return value


def _get(request: ServiceRequest) -> Answer:
    function = function_for(request.world.compute, request.caller, request.path_params["function_id"])
    return Answer(function_document(function))


def _delete(request: ServiceRequest) -> Answer:
    function = own_function(request.world.compute, request.caller, request.path_params["function_id"])
    request.world.compute.remove_function(function.id)
    return Answer({"result": 302})


ROUTES = (
    Route("POST", "/v2/functions", _register, basis=Basis.RECORDED),
    Route("POST", "/v3/functions", _register, basis=Basis.RECORDED),
    Route("GET", "/v2/functions/{function_id}", _get, basis=Basis.RECORDED),
    Route("DELETE", "/v2/functions/{function_id}", _delete, basis=Basis.RECORDED),
)
