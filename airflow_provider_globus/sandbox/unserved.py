"""Globus services the sandbox knows of but does not serve: they answer 501 in their own error shape, and say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.service import Service

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.errors import ServiceError


def plain_error(error: ServiceError, request_id: str, resource: str) -> dict[str, Any]:
    """Return an error in the shape of Transfer and of what belongs to no service."""
    return {"code": error.code, "message": error.message, "request_id": request_id, "resource": resource}


def _timers_error(error: ServiceError, request_id: str, resource: str) -> dict[str, Any]:
    return {"error": {"code": error.code, "detail": error.message, "status": error.status}}


UNSERVED: tuple[Service, ...] = (Service("timers", ("/jobs", "/v2/timer"), (), _timers_error),)

# What belongs to no service at all.
UNKNOWN = Service("unknown", (), (), plain_error)
