"""Storage gateways compared with a policy: who may get at what, and what has drifted. Nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_globus.connect_server.compare import Difference, differences
from airflow_provider_globus.connect_server.documents import (
    COLLECTION_FIELDS,
    GATEWAY_FIELDS,
    identity_mappings,
    path_restrictions,
)
from airflow_provider_globus.connect_server.policies import (
    Policies,
    PolicyError,
    collection_policies,
    find_connector,
    storage_policies,
)
from airflow_provider_globus.exceptions import GlobusDriftError
from airflow_provider_globus.operators.connect_server import GlobusConnectServerOperator
from airflow_provider_globus.operators.documents import read_document

if TYPE_CHECKING:
    from airflow.sdk import Context

_PARTS = ("storage_gateway", "mapped_collections", "other_collections")
_EVERY = "*"
_BOUNDS = ("at_most", "at_least", "subset_of", "superset_of")

#: Findings that an error lists; all are in the log and the XCom.
_LISTED = 10


class GlobusStorageGatewayAuditOperator(GlobusConnectServerOperator):
    """
    Compare a storage gateway, and its mapped collections, with a policy; report or fail on drift; change nothing.

    The policy is a dict, JSON or YAML text, or a file, of this form::

        storage_gateway:                    # properties as of GlobusCreateStorageGatewayOperator
          connector: S3
          high_assurance: true
          allowed_domains: [example.org]
          authentication_timeout_mins: {at_most: 60}
          policies: {s3_user_credential_required: true}
        mapped_collections:                 # as of GlobusCreateMappedCollectionOperator; "*" is for all of them
          "*": {disable_anonymous_writes: true}
          Archive: {allow_guest_collections: false}
        other_collections: false            # mapped collections that are not named are drift, too

    or the properties of the gateway alone. Instead of a value, a property may have bounds: ``at_most``, ``at_least``,
    ``subset_of``, ``superset_of``. Only what the policy names is compared; names that do not exist are refused.

    Returns ``storage_gateway_id``, ``collection_ids`` (of those that were compared), ``drift`` (dicts with ``object``,
    ``field``, ``wanted`` and ``found``; secrets are not shown) and ``action``: ``unchanged``, always. A task that fails
    has pushed the same to the XCom ``audit`` before.

    :param storage_gateway: UUID of the gateway, or the display name of exactly one.
    :param policy: the policy.
    :param on_drift: ``fail`` the task, without retries, or ``warn`` in the log.
    """

    template_fields: Sequence[str] = (*GlobusConnectServerOperator.template_fields, "storage_gateway", "policy")
    template_fields_renderers: ClassVar[dict[str, str]] = {"policy": "json"}

    def __init__(self, *, storage_gateway: str, policy: Any, on_drift: str = "fail", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.storage_gateway = storage_gateway
        self.policy = policy
        self.on_drift = on_drift
        if on_drift not in ("fail", "warn"):
            raise self.refuse(f"on_drift {on_drift!r} is unknown.", "Choose fail or warn.")

    def execute(self, context: Context) -> dict[str, Any]:
        """Look, compare and report."""
        wanted_gateway, wanted_collections, others = self._parts(read_document(self, context, "policy", self.policy))
        gateway = self.the_gateway(self.storage_gateway, private=True)
        self._check_policies(gateway, wanted_gateway, storage_policies)
        for wanted in wanted_collections.values():
            self._check_policies(gateway, wanted, collection_policies)
        drift = list(_drift(f"storage gateway {gateway.get('display_name')}", wanted_gateway, gateway))
        collections = list(self._collections(gateway)) if wanted_collections or not others else []
        drift += self._compare(collections, wanted_collections, others=others)
        report = self.report(
            "unchanged",
            f"the storage gateway {gateway.get('display_name')!r}",
            storage_gateway_id=str(gateway["id"]),
            collection_ids=[str(collection["id"]) for collection in collections],
            drift=drift,
        )
        if drift:
            self._tell(context, report, drift)
        return report

    # The policy

    def _parts(self, policy: dict[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]], bool]:
        """What is wanted of the gateway, and of collections by name; whether there may be others."""
        if not policy:
            raise self.refuse("policy is empty: it would find nothing, whatever there is.")
        if not policy.keys() & set(_PARTS):
            policy = {"storage_gateway": policy}
        if unknown := sorted(policy.keys() - set(_PARTS)):
            raise self.refuse(f"policy: {', '.join(unknown)} is no part of it.", f"Its parts are {', '.join(_PARTS)}.")
        gateway = self._properties("storage_gateway", policy.get("storage_gateway") or {}, GATEWAY_FIELDS)
        given = policy.get("mapped_collections") or {}
        if not isinstance(given, Mapping):
            raise self.refuse("policy: mapped_collections must map names to properties.")
        collections = {
            str(name): self._properties(f"mapped_collections[{name!r}]", properties or {}, COLLECTION_FIELDS)
            for name, properties in given.items()
        }
        return gateway, collections, policy.get("other_collections") is not False

    def _properties(self, where: str, given: Any, known: frozenset[str]) -> dict[str, Any]:
        """Properties in the form in which Globus has them; a misspelt one would never be found wrong."""
        if not isinstance(given, Mapping):
            raise self.refuse(f"policy: {where} must be a dict of properties.")
        properties = dict(given)
        try:
            if "connector" in properties:
                properties["connector_id"] = find_connector(str(properties.pop("connector"))).connector_id
            for name in ("restrict_paths", "sharing_restrict_paths"):
                if properties.get(name):
                    properties[name] = path_restrictions(properties[name])
            if properties.get("identity_mappings"):
                properties["identity_mappings"] = identity_mappings(properties["identity_mappings"])
        except (PolicyError, ValueError) as error:
            raise self.refuse(f"policy: {where}: {error}") from None
        if unknown := sorted(properties.keys() - known - {"DATA_TYPE"}):
            raise self.refuse(
                f"policy: {where}: {', '.join(unknown)} is no property of it.",
                f"There are: connector, {', '.join(sorted(known))}.",
            )
        return properties

    def _check_policies(
        self, gateway: Mapping[str, Any], wanted: Mapping[str, Any], policies_of: Callable[[str], Policies]
    ) -> None:
        """Refuse policies that the connector does not have."""
        connector = find_connector(str(gateway["connector_id"])).name
        kind = policies_of(connector)
        known = kind.since.keys() | kind.set_by_globus | {"DATA_TYPE"}
        if unknown := sorted((wanted.get("policies") or {}).keys() - known):
            raise self.refuse(
                f"policy: policies: {', '.join(unknown)} is no policy of {connector}.",
                f"There are: {', '.join(sorted(known - {'DATA_TYPE'})) or 'none'}.",
            )

    # What is there

    def _collections(self, gateway: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        client = self.client()
        doing = f"listing the mapped collections of {self.storage_gateway!r}"
        for document in self.pages(doing, client.get_collection_list, filter="mapped_collections"):
            if document.get("storage_gateway_id") == gateway["id"]:
                whole = self.find_collection(str(document["id"]), private=True)
                if whole is not None:
                    yield whole

    def _compare(
        self, collections: Sequence[Mapping[str, Any]], wanted: Mapping[str, dict[str, Any]], *, others: bool
    ) -> Iterator[dict[str, Any]]:
        names = {collection.get("display_name") for collection in collections}
        for name in wanted.keys() - names - {_EVERY}:
            yield _finding(f"collection {name}", Difference("display_name", name, None))
        for collection in collections:
            name = str(collection.get("display_name"))
            if name not in wanted and not others:
                yield _finding(f"collection {name}", Difference("display_name", None, name))
            # What is said of one counts more than what is said of all.
            yield from _drift(f"collection {name}", {**wanted.get(_EVERY, {}), **wanted.get(name, {})}, collection)

    # The report

    def _tell(self, context: Context, report: dict[str, Any], drift: list[dict[str, Any]]) -> None:
        for finding in drift:
            self.log.warning("Drift: %s", _text(finding))
        if self.on_drift == "warn":
            return
        context["ti"].xcom_push(key="audit", value=report)
        more = f"; and {len(drift) - _LISTED} more" if len(drift) > _LISTED else ""
        raise GlobusDriftError(
            f"{self.storage_gateway!r} is not as the policy demands: "
            f"{'; '.join(_text(finding) for finding in drift[:_LISTED])}{more}.",
            advice="Set it right with GlobusCreateStorageGatewayOperator and GlobusCreateMappedCollectionOperator, "
            "or change the policy.",
            drift=drift,
        )


def _drift(what: str, wanted: Mapping[str, Any], found: Mapping[str, Any], above: str = "") -> Iterator[dict[str, Any]]:
    for name, value in wanted.items():
        if _is_bounds(value):
            if not _within(value, found.get(name)):
                yield _finding(what, Difference(above + name, value, found.get(name)))
        elif name == "policies" and isinstance(value, Mapping):
            yield from _drift(what, value, found.get(name) or {}, "policies.")
        else:
            for difference in differences({name: value}, found):
                yield _finding(what, Difference(above + difference.field, difference.wanted, difference.found))


def _is_bounds(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and value.keys() <= set(_BOUNDS)


def _within(bounds: Mapping[str, Any], found: Any) -> bool:
    """Whether a value keeps to bounds; one that is not set has no limit, and an empty list lets everybody in."""
    if any(name in bounds for name in ("at_most", "at_least")):
        number = isinstance(found, (int, float)) and not isinstance(found, bool)
        return number and bounds.get("at_least", found) <= found <= bounds.get("at_most", found)
    items = set(found or ())
    return bool(items) and set(bounds.get("superset_of", ())) <= items <= set(bounds.get("subset_of", items))


def _finding(what: str, difference: Difference) -> dict[str, Any]:
    return {"object": what, **difference.as_dict()}


def _text(finding: Mapping[str, Any]) -> str:
    wanted, found = (json.dumps(finding[name], default=str) for name in ("wanted", "found"))
    return f"{finding['object']}: {finding['field']} is {found}, not {wanted}"
