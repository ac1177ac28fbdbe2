"""Storage gateways of a Globus Connect Server: a storage system behind Globus, and who gets at which part of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_globus.connect_server.documents import given, identity_mappings, path_restrictions, versioned
from airflow_provider_globus.connect_server.policies import PolicyError, find_connector, storage_policies
from airflow_provider_globus.exceptions import GlobusConflictError, GlobusNotFoundError
from airflow_provider_globus.ids import is_uuid
from airflow_provider_globus.operators.connect_server import GlobusConnectServerOperator
from airflow_provider_globus.operators.secrets import connection_secrets

if TYPE_CHECKING:
    from airflow.sdk import Context
    from globus_sdk import GlobusConnectServerConnector

_NETWORK_USE = ("normal", "minimal", "aggressive", "custom")
_CUSTOM = ("max_concurrency", "preferred_concurrency", "max_parallelism", "preferred_parallelism")

#: What is sent as it was given.
_PLAIN = (
    "display_name",
    "allowed_domains",
    "users_allow",
    "users_deny",
    "high_assurance",
    "require_mfa",
    "authentication_timeout_mins",
    "admin_managed_credentials",
    "network_use",
    *_CUSTOM,
    "load_dsi_module",
    "process_user",
)


class GlobusCreateStorageGatewayOperator(GlobusConnectServerOperator):
    """
    Put a storage system, such as S3, behind Globus: create a storage gateway, change what differs, or do nothing.

    Found by ``storage_gateway``, else by its display name. Only what is given is compared and changed. Returns
    ``storage_gateway_id``, ``display_name``, ``connector``, ``connector_id``, ``changed`` (the names of the properties
    that were) and ``action`` (``created``, ``updated`` or ``unchanged``).

    A gateway keeps its connector, and what is high assurance stays so: both are refused with what to do instead.

    :param display_name: name of the gateway; without ``storage_gateway``, also how it is found again.
    :param connector: what kind of storage: ``S3``, ``POSIX``, ``POSIX Staging``, ``Google Cloud Storage``,
        ``Azure Blob``, ``Ceph``, ``BlackPearl``, ``Box``, ``iRODS``, ``HPSS``, ``Dropbox``, ``Google Drive``,
        ``OneDrive``, ``ActiveScale``, or a connector's UUID. Needed to create one.
    :param storage_gateway: UUID of the gateway, when its name is not to be trusted or shall change.
    :param policies: the connector's own settings, by the names of Globus's policy documents. S3: ``s3_endpoint``,
        ``s3_buckets``, ``s3_user_credential_required``, ``s3_requester_pays``, ``s3_allow_multi_keys``,
        ``s3_storage_class``, ``s3_restore``. The version of the document follows from what is given.
    :param secrets_conn_id: id of an Airflow connection that holds the secrets among the connector's settings, such as
        ``secret`` or ``service_account_key``: in its extra by their names, or one of them as its password. They are
        sent when the gateway is created and when other policies change.
    :param rotate: send the secrets, even if nothing else differs. Globus does not show them, so they cannot be
        compared.
    :param allowed_domains: domains whose identities may use the gateway, for example ``["example.org"]``.
    :param users_allow: local accounts that may use it; an empty list takes the restriction away.
    :param users_deny: local accounts that may not.
    :param restrict_paths: patterns of paths under ``none``, ``read`` and ``read_write``; the longest match counts.
        This is the whole of it: a list that is not given is empty.
    :param high_assurance: for protected data: who has logged in, and when, is checked anew in each application.
    :param require_mfa: demand multi-factor authentication; high assurance only. Service accounts cannot do it.
    :param authentication_timeout_mins: minutes after which a user has to log in again.
    :param identity_mappings: how identities become local accounts: documents with ``mappings`` (expressions) or
        ``command`` (an external program), in the order in which they are tried.
    :param admin_managed_credentials: let administrators of the endpoint manage the credentials of its users.
    :param network_use: ``normal``, ``minimal``, ``aggressive`` or ``custom``, which takes the next four.
    :param max_concurrency: see ``network_use``.
    :param preferred_concurrency: see ``network_use``.
    :param max_parallelism: see ``network_use``.
    :param preferred_parallelism: see ``network_use``.
    :param load_dsi_module: module that the GridFTP server loads for this gateway.
    :param process_user: local user as which the GridFTP server runs for this gateway.
    """

    template_fields: Sequence[str] = (
        *GlobusConnectServerOperator.template_fields,
        "display_name",
        "connector",
        "storage_gateway",
        "policies",
        "secrets_conn_id",
        "allowed_domains",
        "users_allow",
        "users_deny",
        "restrict_paths",
        "identity_mappings",
        "load_dsi_module",
        "process_user",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "policies": "json",
        "restrict_paths": "json",
        "identity_mappings": "json",
    }

    def __init__(
        self,
        *,
        display_name: str | None = None,
        connector: str | None = None,
        storage_gateway: str | None = None,
        policies: Mapping[str, Any] | None = None,
        secrets_conn_id: str | None = None,
        rotate: bool = False,
        allowed_domains: Sequence[str] | None = None,
        users_allow: Sequence[str] | None = None,
        users_deny: Sequence[str] | None = None,
        restrict_paths: Mapping[str, Sequence[str]] | None = None,
        high_assurance: bool | None = None,
        require_mfa: bool | None = None,
        authentication_timeout_mins: int | None = None,
        identity_mappings: Sequence[Mapping[str, Any]] | None = None,
        admin_managed_credentials: bool | None = None,
        network_use: str | None = None,
        max_concurrency: int | None = None,
        preferred_concurrency: int | None = None,
        max_parallelism: int | None = None,
        preferred_parallelism: int | None = None,
        load_dsi_module: str | None = None,
        process_user: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.display_name = display_name
        self.connector = connector
        self.storage_gateway = storage_gateway
        self.policies = policies
        self.secrets_conn_id = secrets_conn_id
        self.rotate = rotate
        self.allowed_domains = allowed_domains
        self.users_allow = users_allow
        self.users_deny = users_deny
        self.restrict_paths = restrict_paths
        self.high_assurance = high_assurance
        self.require_mfa = require_mfa
        self.authentication_timeout_mins = authentication_timeout_mins
        self.identity_mappings = identity_mappings
        self.admin_managed_credentials = admin_managed_credentials
        self.network_use = network_use
        self.max_concurrency = max_concurrency
        self.preferred_concurrency = preferred_concurrency
        self.max_parallelism = max_parallelism
        self.preferred_parallelism = preferred_parallelism
        self.load_dsi_module = load_dsi_module
        self.process_user = process_user
        if not display_name and not storage_gateway:
            raise self.refuse("give display_name, or storage_gateway to change one that is there.")
        if network_use is not None and network_use not in _NETWORK_USE:
            raise self.refuse(f"network_use {network_use!r} is unknown.", f"Choose from {', '.join(_NETWORK_USE)}.")
        if network_use == "custom" and any(getattr(self, name) is None for name in _CUSTOM):
            raise self.refuse(f"network_use 'custom' takes {', '.join(_CUSTOM)}.")

    def execute(self, context: Context) -> dict[str, Any]:
        """Create, update, or leave the gateway."""
        connector = self._find_connector(self.connector) if self.connector else None
        wanted = self._wanted()
        if connector:
            # Before any request: what it takes may be wrong.
            self._policies(connector, None)
        found = self._find()
        if found is None:
            return self._create(connector, wanted)
        connector = self._checked(connector, found)
        return self._update(connector, wanted, found)

    # What is wanted

    def _wanted(self) -> dict[str, Any]:
        wanted = given({name: getattr(self, name) for name in _PLAIN})
        for name in ("allowed_domains", "users_allow", "users_deny"):
            if isinstance(wanted.get(name), str):
                raise self.refuse(f"{name} must be a list, not {wanted[name]!r}.")
        try:
            if self.restrict_paths is not None:
                wanted["restrict_paths"] = path_restrictions(self.restrict_paths)
        except ValueError as error:
            raise self.refuse(f"restrict_paths: {error}") from None
        if self.identity_mappings is not None:
            wanted |= given({"identity_mappings": self._mappings(self.identity_mappings)})
        return wanted

    def _mappings(self, mappings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        try:
            documents = identity_mappings(mappings)
        except ValueError as error:
            raise self.refuse(f"identity_mappings{error}") from None
        try:
            from airflow_provider_globus.identity_mapping.documents import read_mappings

            _, problems, warnings = read_mappings(documents)
        except ImportError:
            # Without the extra identity-mapping, Globus alone judges the expressions.
            return documents
        if problems:
            raise self.refuse(f"identity_mappings: {' '.join(problems)}")
        for warning in warnings:
            self.log.warning("identity_mappings: %s", warning)
        return documents

    def _find_connector(self, name: str) -> GlobusConnectServerConnector:
        try:
            return find_connector(name)
        except PolicyError as error:
            raise self.refuse(f"connector: {error}") from None

    def _policies(
        self, connector: GlobusConnectServerConnector, found: Mapping[str, Any] | None
    ) -> dict[str, Any] | None:
        """The policies to have, over those there are, without secrets; ``None`` when none were given."""
        if self.policies is None:
            return None
        kind = storage_policies(connector.name)
        if secrets := sorted(set(kind.secrets) & self.policies.keys()):
            raise self.refuse(
                f"policies: {', '.join(secrets)} is a secret.",
                "Airflow's web pages show arguments: keep it in a connection, and name that in secrets_conn_id.",
            )
        try:
            return kind.document({**kind.settable(found), **self.policies})
        except PolicyError as error:
            raise self.refuse(f"policies: {connector.name}: {error}") from None

    def _secrets(self, connector: GlobusConnectServerConnector) -> dict[str, str]:
        if not self.secrets_conn_id:
            return {}
        names = storage_policies(connector.name).secrets
        if not names:
            raise self.refuse(f"secrets_conn_id: storage gateways of {connector.name} have no secrets.")
        return connection_secrets(self, self.secrets_conn_id, names)

    # What is there

    def _find(self) -> dict[str, Any] | None:
        if not self.storage_gateway:
            return self.find_gateway(str(self.display_name), private=True)
        if not is_uuid(self.storage_gateway):
            raise self.refuse(f"storage_gateway must be a UUID, not {self.storage_gateway!r}.", "Or give display_name.")
        return self.the_gateway(self.storage_gateway, private=True)

    def _checked(
        self, connector: GlobusConnectServerConnector | None, found: Mapping[str, Any]
    ) -> GlobusConnectServerConnector:
        """The gateway's connector; refuses what no gateway can become."""
        there = self._find_connector(str(found["connector_id"]))
        what = f"the storage gateway {found.get('display_name')!r} ({found['id']})"
        if connector and connector.connector_id != there.connector_id:
            raise self.refuse(
                f"{what} is of the connector {there.name}, not {connector.name}.",
                "A gateway keeps its connector: give another display_name, or delete this one first with "
                "GlobusDeleteStorageGatewayOperator.",
            )
        if self.high_assurance is False and found.get("high_assurance"):
            raise self.refuse(
                f"{what} is high assurance, which cannot be taken away from data that is protected by it.",
                "Leave high_assurance out, or create another gateway and move the data that need no protection.",
            )
        return there

    # Changing

    def _create(self, connector: GlobusConnectServerConnector | None, wanted: dict[str, Any]) -> dict[str, Any]:
        if connector is None:
            raise self.refuse(f"there is no storage gateway {self.display_name!r}.", "Give connector to create it.")
        self._check_mfa(wanted)
        document = {**wanted, "connector_id": connector.connector_id}
        secrets = self._secrets(connector)
        if self.policies is not None or secrets:
            document["policies"] = self._with_secrets(connector, self._policies(connector, None) or {}, secrets)
        created = self.create(
            f"the storage gateway {self.display_name!r}",
            self.client(resend=False).create_storage_gateway,
            versioned("storage_gateway", document),
            self._find,
        )
        return self._report("created", connector, {**document, **created}, list(document))

    def _update(
        self, connector: GlobusConnectServerConnector, wanted: dict[str, Any], found: dict[str, Any]
    ) -> dict[str, Any]:
        self._check_mfa({"high_assurance": found.get("high_assurance"), **wanted})
        policies = self._policies(connector, found.get("policies"))
        if policies is not None:
            wanted["policies"] = policies
        what = f"the storage gateway {found.get('display_name')!r}"
        changes = self.changes(what, wanted, found)
        secrets = self._secrets(connector) if self.rotate or "policies" in changes else {}
        if secrets:
            there = storage_policies(connector.name).settable(found.get("policies"))
            changes["policies"] = self._with_secrets(connector, policies or there, secrets)
        if not changes:
            return self._report("unchanged", connector, found, [])
        client = self.client()
        document = versioned("storage_gateway", changes)
        self.hook.call(f"updating {what}", client.update_storage_gateway, found["id"], document)
        return self._report("updated", connector, {**found, **changes}, list(changes))

    def _with_secrets(
        self, connector: GlobusConnectServerConnector, policies: Mapping[str, Any], secrets: Mapping[str, str]
    ) -> dict[str, Any]:
        plain = {name: value for name, value in policies.items() if name != "DATA_TYPE"}
        asked = {name: value for name, value in (self.policies or {}).items() if name == "DATA_TYPE"}
        return storage_policies(connector.name).document({**asked, **plain, **secrets})

    def _check_mfa(self, document: Mapping[str, Any]) -> None:
        if self.require_mfa and not document.get("high_assurance"):
            raise self.refuse("require_mfa is for high assurance gateways only.", "Set high_assurance=True, too.")

    def _report(
        self, action: str, connector: GlobusConnectServerConnector, document: Mapping[str, Any], names: list[str]
    ) -> dict[str, Any]:
        return self.report(
            action,
            f"the storage gateway {document.get('display_name')!r}",
            storage_gateway_id=str(document["id"]),
            display_name=document.get("display_name"),
            connector=connector.name,
            connector_id=connector.connector_id,
            changed=sorted(names),
        )


class GlobusDeleteStorageGatewayOperator(GlobusConnectServerOperator):
    """
    Delete a storage gateway; the data stay where they are.

    One that still has collections is not deleted. Returns ``storage_gateway_id`` and ``action``: ``deleted`` or
    ``absent``.

    :param storage_gateway: its UUID, or the display name of exactly one.
    :param ignore_missing: succeed when there is no such gateway (any more).
    """

    template_fields: Sequence[str] = (*GlobusConnectServerOperator.template_fields, "storage_gateway")

    def __init__(self, *, storage_gateway: str, ignore_missing: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.storage_gateway = storage_gateway
        self.ignore_missing = ignore_missing

    def execute(self, context: Context) -> dict[str, Any]:
        """Delete the gateway."""
        found = (
            self.find_gateway(self.storage_gateway) if self.ignore_missing else self.the_gateway(self.storage_gateway)
        )
        what = f"the storage gateway {self.storage_gateway!r}"
        if found is None:
            return self.report("absent", what, storage_gateway_id=None)
        self._refuse_with_collections(what, str(found["id"]))
        client = self.client()
        try:
            self.hook.call(f"deleting {what}", client.delete_storage_gateway, found["id"])
        except GlobusNotFoundError:
            # It went between the look and the request.
            if not self.ignore_missing:
                raise
            return self.report("absent", what, storage_gateway_id=None)
        return self.report("deleted", what, storage_gateway_id=str(found["id"]))

    def _refuse_with_collections(self, what: str, gateway_id: str) -> None:
        listed = self.pages("listing the collections", self.client().get_collection_list)
        there = [document for document in listed if document.get("storage_gateway_id") == gateway_id]
        if there:
            names = "; ".join(f"{document.get('display_name')} ({document['id']})" for document in there[:8])
            raise GlobusConflictError(
                f"Not deleting {what}: it has {len(there)} collections: {names}.",
                advice="Delete them first, with GlobusDeleteCollectionOperator: whoever uses them loses access.",
            )
