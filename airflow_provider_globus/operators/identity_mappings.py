"""Identity mappings of storage gateways: who may read as whom, proved before they are sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_globus.connect_server.documents import versioned
from airflow_provider_globus.exceptions import GlobusInputError
from airflow_provider_globus.identity_mapping import IdentityMappingReport, check_identity_mapping
from airflow_provider_globus.operators.connect_server import GlobusConnectServerOperator
from airflow_provider_globus.operators.documents import read_any

if TYPE_CHECKING:
    from airflow.sdk import Context


class GlobusUpdateIdentityMappingOperator(GlobusConnectServerOperator):
    """
    Give a storage gateway its identity mappings, if they are proved to map as expected.

    First the documents are evaluated here, by the library that Globus publishes, against the table of expected
    accounts (see :func:`airflow_provider_globus.identity_mapping.check_identity_mapping`, which does the same in a
    ``@task`` or a test). One identity that would get another account, more accounts, or an account where it must have
    none, and the task fails with a diff: no request has left then. Only after that the gateway is looked at, and
    changed if its mappings differ. Returns ``storage_gateway_id``, ``action`` (``updated`` or ``unchanged``) and
    ``proved``, the number of identities.

    The extra ``[identity-mapping]`` is needed. A change concerns everybody who uses the gateway, so the table should
    name at least one identity for each rule, and some that must not map.

    :param storage_gateway: UUID, or the display name of exactly one of the endpoint's gateways.
    :param identity_mappings: the gateway's documents from now on: a dict, JSON or YAML text, the path of a file (beside
        the DAG file; Jinja templates in it are rendered), or a list of these. Connect Server's default mapping cannot
        be brought back by an empty list here; the operator for storage gateways does that.
    :param expected: local accounts by identity, in any form that ``check_identity_mapping`` takes; also the path of a
        file beside the DAG file. Airflow renders templates in values only, not in the names of a dict: give rows then.
    :param allow_unproved: send documents although some identities could not be proved, as with external programs, which
        this operator never runs; mismatches are refused nevertheless. Programs are proved where they are, with
        ``check_identity_mapping(..., run_external=True)`` on the data transfer node.
    """

    template_fields: Sequence[str] = (
        "storage_gateway",
        "identity_mappings",
        "expected",
        *GlobusConnectServerOperator.template_fields,
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"identity_mappings": "json", "expected": "json"}

    def __init__(
        self,
        *,
        storage_gateway: str,
        identity_mappings: Any,
        expected: Any,
        allow_unproved: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.storage_gateway = storage_gateway
        self.identity_mappings = identity_mappings
        self.expected = expected
        self.allow_unproved = allow_unproved

    def execute(self, context: Context) -> dict[str, Any]:
        """Prove the documents, then change the gateway if its own differ."""
        from airflow_provider_globus.identity_mapping.documents import load_mappings, same_mappings

        mappings = self._mappings(context)
        report = self._proved(mappings, read_any(self, context, "expected", self.expected))
        wanted, _ = load_mappings(mappings)
        gateway = self.the_gateway(self.storage_gateway, private=True)
        gateway_id = str(gateway["id"])
        what = f"the identity mapping of the storage gateway {gateway.get('display_name') or gateway_id!r}"
        if same_mappings(gateway.get("identity_mappings"), wanted):
            return self.report("unchanged", what, storage_gateway_id=gateway_id, proved=report.proved)
        self.log.info("Old: %s", json.dumps(gateway.get("identity_mappings")))
        self.log.info("New: %s", json.dumps(wanted))
        document = versioned("storage_gateway", {"identity_mappings": wanted})
        self.hook.call(f"changing {what}", self.client().update_storage_gateway, gateway_id, document)
        return self.report("updated", what, storage_gateway_id=gateway_id, proved=report.proved)

    def _mappings(self, context: Context) -> Any:
        given = read_any(self, context, "identity_mappings", self.identity_mappings)
        if not isinstance(given, (list, tuple)):
            return given
        return [read_any(self, context, f"identity_mappings[{number}]", item) for number, item in enumerate(given)]

    def _proved(self, mappings: Any, expected: Any) -> IdentityMappingReport:
        report = check_identity_mapping(mappings, expected)
        for warning in report.warnings:
            self.log.warning("%s", warning)
        try:
            report.require(allow_unproved=self.allow_unproved)
        except GlobusInputError as error:
            raise self.refuse(f"nothing was sent. {error.message}", error.advice) from None
        self.log.info("%s", IdentityMappingReport(report.identities).text())
        return report
