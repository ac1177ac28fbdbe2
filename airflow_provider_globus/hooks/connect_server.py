"""Where the Connect Server of a collection is managed, and the scope that this takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.exceptions import GlobusInputError

if TYPE_CHECKING:
    from globus_sdk.scopes import Scope


def manager_url(document: Mapping[str, Any], given: str) -> str:
    """
    The address of the GCS Manager of an endpoint or collection.

    :param document: Transfer's document of it.
    :param given: what the author called it, for errors.
    :raises GlobusInputError: when nothing manages it, as with Globus Connect Personal.
    """
    url = document.get("gcs_manager_url")
    if not url:
        raise GlobusInputError(
            f"{given!r} ({document.get('entity_type')}) is not part of a Globus Connect Server.",
            advice="Give the UUID of a Connect Server endpoint, or one of its mapped or guest collections.",
        )
    return str(url)


def manager_scope(client_id: str, data_access: str | None = None) -> Scope:
    """
    The scope for managing an endpoint.

    :param client_id: of the endpoint's GCS Manager, which its ``/api/info`` names.
    :param data_access: UUID of the mapped collection whose data the manager shall reach on behalf of this identity.
    """
    from globus_sdk.scopes import GCSCollectionScopes, GCSEndpointScopes

    scope = GCSEndpointScopes(client_id).manage_collections
    return scope if data_access is None else scope.with_dependency(GCSCollectionScopes(data_access).data_access)


def needs_data_access(document: Mapping[str, Any]) -> bool:
    """Whether Globus asks for a ``data_access`` consent: on mapped collections that are not high assurance."""
    return document.get("entity_type") == "GCSv5_mapped_collection" and not document.get("high_assurance")
