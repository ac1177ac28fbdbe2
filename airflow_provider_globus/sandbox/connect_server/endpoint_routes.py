"""The endpoint itself: what it is, where, and its data transfer node."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from globus_sdk import ConnectorTable

from airflow_provider_globus.sandbox.auth.scopes import ENDPOINT_ID
from airflow_provider_globus.sandbox.connect_server import schemas
from airflow_provider_globus.sandbox.connect_server.access import (
    document_of,
    done,
    included,
    may_view_endpoint,
    page,
    require_endpoint_admin,
)
from airflow_provider_globus.sandbox.connect_server.errors import envelope, invalid_input, missing_role
from airflow_provider_globus.sandbox.connect_server.models import lacking_numbers
from airflow_provider_globus.sandbox.errors import NotServed
from airflow_provider_globus.sandbox.service import Answer, Basis, Route

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.service import ServiceRequest
    from airflow_provider_globus.sandbox.world import World

# The versions that the schemas are of.
API_VERSION = "1.36.0"
MANAGER_VERSION = "5.4.90"
_NODE_ID = str(uuid.uuid5(uuid.UUID(ENDPOINT_ID), "node"))
# What Transfer's own document of the endpoint has, too.
_SHARED = (
    "contact_email",
    "contact_info",
    "department",
    "description",
    "info_link",
    "keywords",
    "network_use",
    "organization",
    "subscription_id",
)


def info(request: ServiceRequest) -> Answer:
    """`GET /info`, for everybody."""
    connectors = [
        {
            "DATA_TYPE": "connector#1.1.0",
            "display_name": connector.name,
            "id": connector.connector_id,
            "is_baa": False,
            "is_ha": False,
        }
        for connector in ConnectorTable.all_connectors()
    ]
    about = {
        "DATA_TYPE": "info#1.0.0",
        "api_version": API_VERSION,
        "client_id": ENDPOINT_ID,
        "domain_name": urlsplit(request.world.tls_url).netloc,
        "endpoint_id": ENDPOINT_ID,
        "manager_version": MANAGER_VERSION,
    }
    return Answer({**envelope([about, *connectors]), "DATA_TYPE": "result#1.1.0"})


def endpoint_document(world: World) -> dict[str, Any]:
    """Return the endpoint."""
    endpoint = world.transfer.endpoint
    document = {
        "DATA_TYPE": "endpoint#1.2.0",
        "allow_udt": False,
        "contact_email": None,
        "gridftp_control_channel_port": 443,
        "network_use": "normal",
        "organization": None,
        "subscription_id": None,
        **world.connect_server.endpoint_fields,
        "display_name": endpoint.name,
        "gcs_manager_url": world.tls_url,
        "id": endpoint.id,
        "public": endpoint.public,
    }
    return schemas.without_nulls(document)


def get_endpoint(request: ServiceRequest) -> Answer:
    """`GET /endpoint`."""
    return Answer(envelope([endpoint_document(request.world)]))


def update_endpoint(request: ServiceRequest) -> Answer:
    """`PATCH` and `PUT /endpoint`; the latter takes away what is not said."""
    require_endpoint_admin(request)
    changes = document_of(request)
    schemas.check(changes, "endpoint", partial=request.method == "PATCH")
    server, endpoint = request.world.connect_server, request.world.transfer.endpoint
    fields = {} if request.method == "PUT" else dict(server.endpoint_fields)
    if missing := lacking_numbers({**fields, **changes}):
        raise invalid_input((name, "Missing data for required field: network_use is custom.") for name in missing)
    if request.method == "PUT":
        endpoint.public = True
    for name, value in changes.items():
        if name in ("DATA_TYPE", "id") or name in schemas.read_only("endpoint"):
            continue
        if name == "subscription_id" and value is not None:
            raise NotServed("the endpoint property subscription_id")
        if name == "display_name":
            endpoint.name = value
        elif name == "public":
            endpoint.public = value is None or value
        elif value is None:
            fields.pop(name, None)
        else:
            fields[name] = value
    server.endpoint_fields = fields
    endpoint.details = {name: fields[name] for name in _SHARED if name in fields}
    if "keywords" in endpoint.details:
        endpoint.details["keywords"] = ", ".join(endpoint.details["keywords"] or ())
    data = [endpoint_document(request.world)] if "endpoint" in included(request) else []
    return done(f"Updated endpoint {ENDPOINT_ID}", data)


def list_nodes(request: ServiceRequest) -> Answer:
    """`GET /nodes`: the one this sandbox is."""
    if not may_view_endpoint(request):
        raise missing_role("activity_monitor")
    host = urlsplit(request.world.tls_url).hostname
    return page(
        request,
        [
            {
                "DATA_TYPE": "node#1.2.0",
                "id": _NODE_ID,
                "ip_addresses": [host],
                "data_interface": None,
                "data_interface6": None,
                "status": "active",
                "incoming_port_range": [50000, 51000],
            }
        ],
    )


ROUTES = (
    Route("GET", "/api/info", info, public=True, basis=Basis.RECORDED),
    Route("GET", "/api/endpoint", get_endpoint, basis=Basis.RECORDED),
    Route("PATCH", "/api/endpoint", update_endpoint, basis=Basis.RECORDED),
    Route("PUT", "/api/endpoint", update_endpoint, basis=Basis.SCHEMA),
    Route("GET", "/api/nodes", list_nodes, basis=Basis.SCHEMA),
)
