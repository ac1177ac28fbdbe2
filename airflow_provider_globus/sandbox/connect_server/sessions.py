"""Whether a login is recent and strong enough for a storage gateway.

How a service account fares with high assurance could not be confirmed. Assumed: each token it is given is a login of
its own, in the domain ``clients.auth.globus.org``, and never one with a second factor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.provisional import PROVISIONAL

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.auth.models import Caller
    from airflow_provider_globus.sandbox.connect_server.models import StorageGateway


def session_required(
    gateway: StorageGateway, caller: Caller, now: float, *, any_domain: bool = False
) -> ServiceError | None:
    """Return the refusal of a caller who has to log in again first, or None.

    :param any_domain: as on guest collections, whose owners share with people from anywhere.
    """
    if caller.authenticated_at is None:
        return None
    wanted: dict[str, Any] = {}
    minutes = gateway.timeout_minutes
    if minutes is not None and now - caller.authenticated_at > minutes * 60:
        wanted["session_required_identities"] = [caller.identity_id]
    if gateway.high_assurance and not any_domain and not gateway.admits_domain(caller.username):
        wanted["session_required_single_domain"] = gateway.allowed_domains
    if gateway.fields.get("require_mfa") and not caller.mfa:
        wanted["session_required_mfa"] = True
    if not wanted:
        return None
    message = "The session does not meet the authentication policies of the collection"
    return ServiceError(
        403,
        "PermissionDenied",
        message,
        headers=PROVISIONAL,
        extra={"authorization_parameters": {"session_message": message, **wanted}},
    )
