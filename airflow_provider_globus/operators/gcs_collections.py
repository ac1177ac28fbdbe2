"""Collections of a Globus Connect Server: mapped ones on storage gateways, and guest collections that share of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_globus.connect_server.documents import path_restrictions, versioned
from airflow_provider_globus.connect_server.policies import PolicyError, collection_policies, find_connector
from airflow_provider_globus.exceptions import GlobusConflictError, GlobusNotFoundError, GlobusPermissionError
from airflow_provider_globus.ids import is_uuid
from airflow_provider_globus.operators.connect_server import GlobusConnectServerOperator
from airflow_provider_globus.operators.gcs_collection_base import NEW, GlobusServerCollectionOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

_DIRECTIONS = ("inbound", "outbound", "all")


class GlobusCreateMappedCollectionOperator(GlobusServerCollectionOperator):
    """
    Open a storage gateway to its users: create a mapped collection, change what differs, or do nothing.

    Found by ``collection_id``, else by its display name on the gateway. Only what is given is compared and changed;
    an empty text or list and 0 take away what is there. Returns ``collection_id``, ``display_name``,
    ``storage_gateway_id``, ``domain_name``, ``https_url``, ``changed`` and ``action``.

    A collection keeps its gateway and its base path.

    :param storage_gateway: UUID of the gateway, or the display name of exactly one.
    :param display_name: name of the collection.
    :param collection_base_path: its root, as an absolute path on the storage; on S3, ``/`` or ``/<bucket>/<prefix>/``.
    :param collection_id: UUID of the collection, when its name is not to be trusted or shall change.
    :param identity: owner of the collection: username or UUID. Default: who creates it.
    :param domain_name: name below the endpoint's domain, set at creation only.
    :param public: whether other Globus users can find it. Default of a new one: yes, as with Globus's own tools.
    :param allow_guest_collections: let users share of it by guest collections.
    :param sharing_restrict_paths: which paths may be shared: patterns under ``none``, ``read``, ``read_write``; a list
        that is not given is empty.
    :param sharing_users_allow: local accounts that may create guest collections.
    :param sharing_users_deny: local accounts that may not.
    :param disable_anonymous_writes: refuse rules of guest collections that let anybody write.
    :param guest_auth_policy_id: UUID of the authentication policy that users of guest collections have to meet.
    :param acl_expiration_mins: minutes after which rules of guest collections end; high assurance only.
    :param delete_protected: refuse to delete it. Globus's default is to protect.
    :param enable_https: serve its files by HTTPS.
    :param https_methods: of ``GET``, ``PUT`` and ``DELETE``, which it serves.
    :param force_encryption: encrypt all transfers.
    :param force_verify: demand checksums in all transfers.
    :param disable_verify: refuse checksums.
    :param restrict_transfers_to_high_assurance: ``inbound``, ``outbound`` or ``all`` transfers only with high
        assurance collections; high assurance only.
    :param preserve_modtime: ``inbound``, ``outbound`` or ``all`` transfers have to keep modification times.
    :param auto_delete_timeout: days after which unused guest collections are deleted.
    :param associated_flow_policy: flows to run when the collection is accessed.
    :param policies: the connector's own settings; POSIX: ``sharing_groups_allow``, ``sharing_groups_deny``; Google
        Cloud Storage: ``project``.
    :param default_directory: where users start; ``$USER`` stands for the local account.
    :param user_message: shown to users, up to 256 characters.
    :param user_message_link: a page that tells more.
    :param description: what it holds.
    :param organization: who runs it.
    :param department: of the organization.
    :param contact_email: of the support.
    :param contact_info: of the support.
    :param info_link: a page about it.
    :param keywords: words to find it by.
    """

    template_fields: Sequence[str] = (
        *GlobusServerCollectionOperator.template_fields,
        "storage_gateway",
        "sharing_restrict_paths",
        "sharing_users_allow",
        "sharing_users_deny",
        "guest_auth_policy_id",
        "policies",
        "user_message",
        "user_message_link",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **GlobusServerCollectionOperator.template_fields_renderers,
        "sharing_restrict_paths": "json",
        "policies": "json",
    }
    # Who may share is shown to administrators only, and only when asked for.
    private = True
    own_properties = (
        "allow_guest_collections",
        "sharing_users_allow",
        "sharing_users_deny",
        "disable_anonymous_writes",
        "guest_auth_policy_id",
        "delete_protected",
        "restrict_transfers_to_high_assurance",
        "preserve_modtime",
        "auto_delete_timeout",
        "user_message",
        "user_message_link",
    )

    def __init__(
        self,
        *,
        storage_gateway: str,
        domain_name: str | None = None,
        allow_guest_collections: bool | None = None,
        sharing_restrict_paths: Mapping[str, Sequence[str]] | None = None,
        sharing_users_allow: Sequence[str] | None = None,
        sharing_users_deny: Sequence[str] | None = None,
        disable_anonymous_writes: bool | None = None,
        guest_auth_policy_id: str | None = None,
        delete_protected: bool | None = None,
        restrict_transfers_to_high_assurance: str | None = None,
        preserve_modtime: str | None = None,
        auto_delete_timeout: int | None = None,
        policies: Mapping[str, Any] | None = None,
        user_message: str | None = None,
        user_message_link: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.storage_gateway = storage_gateway
        self.domain_name = domain_name
        self.allow_guest_collections = allow_guest_collections
        self.sharing_restrict_paths = sharing_restrict_paths
        self.sharing_users_allow = sharing_users_allow
        self.sharing_users_deny = sharing_users_deny
        self.disable_anonymous_writes = disable_anonymous_writes
        self.guest_auth_policy_id = guest_auth_policy_id
        self.delete_protected = delete_protected
        self.restrict_transfers_to_high_assurance = restrict_transfers_to_high_assurance
        self.preserve_modtime = preserve_modtime
        self.auto_delete_timeout = auto_delete_timeout
        self.policies = policies
        self.user_message = user_message
        self.user_message_link = user_message_link
        for name in ("restrict_transfers_to_high_assurance", "preserve_modtime"):
            if (value := getattr(self, name)) and value not in _DIRECTIONS:
                raise self.refuse(f"{name} {value!r} is unknown.", f"Choose from {', '.join(_DIRECTIONS)}.")

    def execute(self, context: Context) -> dict[str, Any]:
        """Create, update, or leave the collection."""
        if not str(self.collection_base_path).startswith(("/", "~")):
            raise self.refuse(f"collection_base_path {self.collection_base_path!r} must be absolute.")
        wanted = self._wanted()
        gateway = self.the_gateway(self.storage_gateway)
        self._check_assurance(gateway)
        if self.policies is not None:
            wanted["policies"] = self._policies(gateway)
        found = self._find(gateway)
        if found is None:
            return self._create(gateway, wanted)
        self._keep(found, storage_gateway_id=gateway["id"], **self._domain())
        return self._update(wanted, found)

    def _wanted(self) -> dict[str, Any]:
        wanted = super()._wanted()
        if self.sharing_restrict_paths is not None:
            try:
                wanted["sharing_restrict_paths"] = path_restrictions(self.sharing_restrict_paths)
            except ValueError as error:
                raise self.refuse(f"sharing_restrict_paths: {error}") from None
        return wanted

    def _find(self, gateway: Mapping[str, Any]) -> dict[str, Any] | None:
        if self.collection_id:
            return self._find_by_id()
        return self.find_collection_named(
            self.display_name, storage_gateway_id=str(gateway["id"]), guest=False, private=True
        )

    def _policies(self, gateway: Mapping[str, Any]) -> dict[str, Any]:
        try:
            connector = find_connector(str(gateway["connector_id"])).name
            return collection_policies(connector).document(self.policies or {})
        except PolicyError as error:
            raise self.refuse(f"policies: {error}") from None

    def _domain(self) -> dict[str, str]:
        return {"domain_name": self.domain_name} if self.domain_name else {}

    def _check_assurance(self, gateway: Mapping[str, Any]) -> None:
        if gateway.get("high_assurance"):
            if self.disable_anonymous_writes is False:
                raise self.refuse("anonymous writes cannot be allowed on a high assurance gateway.")
            return
        for name in ("acl_expiration_mins", "restrict_transfers_to_high_assurance"):
            if getattr(self, name):
                raise self.refuse(
                    f"{name} is for high assurance collections, and the storage gateway "
                    f"{gateway.get('display_name')!r} is not high assurance.",
                    "Leave it out, or use a gateway that was created with high_assurance=True.",
                )

    def _create(self, gateway: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
        document = {
            "collection_type": "mapped",
            **NEW,
            "storage_gateway_id": str(gateway["id"]),
            "collection_base_path": self.collection_base_path,
            **self._domain(),
            **wanted,
        }
        created = self.create(
            f"the mapped collection {self.display_name!r}",
            self.client(resend=False).create_collection,
            versioned("collection", document),
            lambda: self._find(gateway),
        )
        return self._report("created", {**document, **created}, document)


class GlobusCreateGuestCollectionOperator(GlobusServerCollectionOperator):
    """
    Share a part of a mapped collection: create a guest collection, change what differs, or do nothing.

    Found by ``collection_id``, else by its display name among the guests of the mapped collection. Who may use it is
    said by ``GlobusCreateAccessRuleOperator``. Returns ``collection_id``, ``display_name``, ``mapped_collection_id``,
    ``user_credential_id``, ``https_url``, ``changed`` and ``action``.

    A guest collection keeps its mapped collection and its base path.

    :param mapped_collection: UUID, alias of the connection, or unique display name of the mapped collection.
    :param endpoint: UUID of the endpoint, or UUID, alias of the connection or unique display name of any collection
        on it. Default: the endpoint of the mapped collection.
    :param display_name: name of the guest collection.
    :param collection_base_path: its root: a directory, relative to the root of the mapped collection.
    :param user_credential_id: the credential by which data are accessed. Default: the only one that the owner has on
        the storage gateway.
    :param local_username: of several credentials, the one of this local account.
    :param collection_id: UUID of the guest collection, when its name is not to be trusted or shall change.
    :param identity: owner of the collection, and of the credential: username or UUID. Default: this connection's.
    :param skip_auto_delete: do not delete it when it is unused.
    :param activity_notification_policy: when its managers are told of transfers: a dict as in the GCS Manager API.
    :param acl_expiration_mins: minutes after which access rules end; high assurance only.
    :param public: whether other Globus users can find it. Default of a new one: yes, as with Globus's own tools.
    :param enable_https: serve its files by HTTPS; the mapped collection has to, too.
    :param https_methods: of ``GET``, ``PUT`` and ``DELETE``, which it serves.
    :param force_encryption: encrypt all transfers.
    :param force_verify: demand checksums in all transfers.
    :param disable_verify: refuse checksums.
    :param associated_flow_policy: flows to run when the collection is accessed.
    :param default_directory: where users start.
    :param description: what it holds.
    :param organization: who runs it.
    :param department: of the organization.
    :param contact_email: of the support.
    :param contact_info: of the support.
    :param info_link: a page about it.
    :param keywords: words to find it by.
    """

    template_fields: Sequence[str] = (
        *GlobusServerCollectionOperator.template_fields,
        "mapped_collection",
        "user_credential_id",
        "local_username",
        "activity_notification_policy",
    )
    own_properties = ("skip_auto_delete", "activity_notification_policy")

    def __init__(
        self,
        *,
        mapped_collection: str,
        endpoint: str | None = None,
        user_credential_id: str | None = None,
        local_username: str | None = None,
        skip_auto_delete: bool | None = None,
        activity_notification_policy: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(endpoint=endpoint or mapped_collection, **kwargs)
        self.mapped_collection = mapped_collection
        self.user_credential_id = user_credential_id
        self.local_username = local_username
        self.skip_auto_delete = skip_auto_delete
        self.activity_notification_policy = activity_notification_policy

    def execute(self, context: Context) -> dict[str, Any]:
        """Create, update, or leave the guest collection."""
        wanted = self._wanted()
        mapped = self.the_collection(self.mapped_collection)
        if mapped.get("collection_type") == "guest":
            raise self.refuse(
                f"{self.mapped_collection!r} is a guest collection.",
                "Share of a mapped collection, or share this one with GlobusCreateAccessRuleOperator.",
            )
        found = self._find(mapped)
        if found is None:
            return self._create(mapped, wanted)
        self._keep(found, mapped_collection_id=mapped["id"])
        if self.user_credential_id:
            wanted["user_credential_id"] = self.user_credential_id
        return self._update(wanted, found)

    def _find(self, mapped: Mapping[str, Any]) -> dict[str, Any] | None:
        if self.collection_id:
            return self._find_by_id()
        return self.find_collection_named(self.display_name, mapped_collection_id=str(mapped["id"]), guest=True)

    def _create(self, mapped: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
        if mapped.get("allow_guest_collections") is False:
            raise GlobusPermissionError(
                f"The mapped collection {mapped.get('display_name')!r} allows no guest collections.",
                advice="Let its administrator set allow_guest_collections=True (GlobusCreateMappedCollectionOperator).",
            )
        owner = wanted.get("identity_id") or self.identity_of_connection()
        document = {
            "collection_type": "guest",
            **NEW,
            "mapped_collection_id": str(mapped["id"]),
            "collection_base_path": self.collection_base_path,
            "user_credential_id": self.user_credential_id or self._credential(mapped, owner),
            "identity_id": owner,
            **wanted,
        }
        # High assurance collections know no data_access.
        data_access = None if mapped.get("high_assurance") else str(mapped["id"])
        created = self.create(
            f"the guest collection {self.display_name!r}",
            self.client(resend=False, data_access=data_access).create_collection,
            versioned("collection", document),
            lambda: self._find(mapped),
        )
        return self._report("created", {**document, **created}, document)

    def _credential(self, mapped: Mapping[str, Any], owner: str) -> str:
        """The only credential of the owner on the gateway."""
        gateway_id = str(mapped["storage_gateway_id"])
        fitting = self.user_credentials(gateway_id, owner, self.local_username, others=bool(self.identity))
        if len(fitting) == 1:
            return str(fitting[0]["id"])
        listed = ", ".join(f"{item['id']} ({item.get('username')})" for item in fitting)
        account = f" for the account {self.local_username!r}" if self.local_username else ""
        raise self.refuse(
            f"the identity {owner} has {len(fitting) or 'no'} user credentials{account} on the storage gateway "
            f"{gateway_id} of {self.mapped_collection!r}{': ' + listed if listed else ''}.",
            "Say which with user_credential_id or local_username."
            if fitting
            else "Register one first, with GlobusCreateUserCredentialOperator.",
        )


class GlobusDeleteCollectionOperator(GlobusConnectServerOperator):
    """
    Delete a mapped or guest collection; the data stay where they are.

    Nothing more than what was named is deleted: a mapped collection that has guest collections is refused, and so is
    one that is protected. Returns ``collection_id`` and ``action``: ``deleted`` or ``absent``.

    :param collection: UUID or alias of the connection; with ``endpoint``, also the display name of exactly one there.
    :param endpoint: UUID of the endpoint, or UUID, alias of the connection or unique display name of any collection
        on it. Default: the endpoint of the collection.
    :param remove_protection: take the delete protection of a mapped collection away first.
    :param with_guest_collections: delete the guest collections of a mapped collection, too.
    :param ignore_missing: succeed when there is no such collection (any more).
    """

    template_fields: Sequence[str] = (*GlobusConnectServerOperator.template_fields, "collection")

    def __init__(
        self,
        *,
        collection: str,
        endpoint: str | None = None,
        remove_protection: bool = False,
        with_guest_collections: bool = False,
        ignore_missing: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(endpoint=endpoint or collection, **kwargs)
        self.endpoint_given = endpoint is not None
        self.collection = collection
        self.remove_protection = remove_protection
        self.with_guest_collections = with_guest_collections
        self.ignore_missing = ignore_missing

    def execute(self, context: Context) -> dict[str, Any]:
        """Delete the collection."""
        what = f"the collection {self.collection!r}"
        found = self._find()
        if found is None:
            if not self.ignore_missing:
                raise GlobusNotFoundError(f"There is no collection {self.collection!r} on its endpoint.")
            return self.report("absent", what, collection_id=None)
        guests = self._guests(found) if found.get("collection_type") == "mapped" else []
        self._refuse_by_surprise(what, found, guests)
        for guest in guests:
            self._delete(f"the guest collection {guest.get('display_name')!r}", guest)
        if found.get("delete_protected"):
            self._unprotect(what, found)
        self._delete(what, found)
        deleted = {"guest_collection_ids": [str(guest["id"]) for guest in guests]} if guests else {}
        return self.report("deleted", what, collection_id=str(found["id"]), **deleted)

    def _find(self) -> dict[str, Any] | None:
        if self.endpoint_given:
            return self.find_collection(self.collection)
        if not is_uuid(self.hook.settings.collections.get(self.collection, self.collection)):
            raise self.refuse(
                f"{self.collection!r} is neither a UUID nor an alias of the connection.",
                "To delete by name, give endpoint, too: a name says nothing once the collection is gone.",
            )
        try:
            return self.find_collection(self.collection)
        except GlobusNotFoundError:
            # Its endpoint is found by the collection, which is not there.
            return None

    def _guests(self, found: Mapping[str, Any]) -> list[dict[str, Any]]:
        client = self.client()
        doing = f"listing the guest collections of {self.collection!r}"
        return list(self.pages(doing, client.get_collection_list, mapped_collection_id=str(found["id"])))

    def _refuse_by_surprise(self, what: str, found: Mapping[str, Any], guests: list[dict[str, Any]]) -> None:
        if found.get("delete_protected") and not self.remove_protection:
            raise GlobusConflictError(
                f"Not deleting {what}: it is protected against deletion.",
                advice="If it shall go, set remove_protection=True.",
            )
        if guests and not self.with_guest_collections:
            names = "; ".join(f"{guest.get('display_name')} ({guest['id']})" for guest in guests[:8])
            raise GlobusConflictError(
                f"Not deleting {what}: {len(guests)} guest collections share of it: {names}.",
                advice="If they shall go, too, set with_guest_collections=True.",
            )

    def _unprotect(self, what: str, found: Mapping[str, Any]) -> None:
        client = self.client()
        document = versioned("collection", {"collection_type": found["collection_type"], "delete_protected": False})
        self.hook.call(f"taking the protection of {what} away", client.update_collection, found["id"], document)
        self.log.info("Took the delete protection of %s away.", what)

    def _delete(self, what: str, document: Mapping[str, Any]) -> None:
        client = self.client()
        try:
            self.hook.call(f"deleting {what}", client.delete_collection, document["id"])
        except GlobusNotFoundError:
            self.log.info("%s went meanwhile.", what[:1].upper() + what[1:])
