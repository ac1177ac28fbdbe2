"""What the policies of its collections make of a submission: refused, or with flags it did not ask for.

Which codes the real service refuses these with could not be confirmed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_globus.sandbox.connect_server.collections import detail_of, policy_of
from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.provisional import PROVISIONAL

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from airflow_provider_globus.sandbox.transfer.tasks import Spec


def enforced(spec: Spec) -> Spec:
    """Return a submission as its collections let it be.

    :raises ServiceError: a collection does not take it.
    """
    if spec.destination is None:
        return spec
    sides = ((spec.source, spec.destination, "outbound"), (spec.destination, spec.source, "inbound"))
    for collection, other, direction in sides:
        if _applies(collection, "restrict_transfers_to_high_assurance", direction) and not other.high_assurance:
            raise _refused(
                403,
                f"'{collection.name}' restricts {direction} transfers to high assurance collections, which "
                f"'{other.name}' is not",
            )
        if _applies(collection, "preserve_modtime", direction) and not spec.preserve_timestamp:
            raise _refused(
                400, f"'{collection.name}' requires 'preserve_timestamp' of {direction} transfers: set it to true"
            )
    both = (spec.source, spec.destination)
    return replace(
        spec,
        encrypt_data=spec.encrypt_data or any(detail_of(item, "force_encryption") for item in both),
        verify_checksum=spec.verify_checksum or any(detail_of(item, "force_verify") for item in both),
    )


def _applies(collection: Collection, policy: str, direction: str) -> bool:
    return policy_of(collection, policy) in (direction, "all")


def _refused(status: int, message: str) -> ServiceError:
    code = "PermissionDenied" if status == 403 else "ClientError.BadRequest"
    return ServiceError(status, code, message, headers=PROVISIONAL)
