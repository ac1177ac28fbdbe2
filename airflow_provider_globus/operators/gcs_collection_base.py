"""What mapped and guest collections of a Globus Connect Server have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from airflow_provider_globus.connect_server.documents import given, versioned
from airflow_provider_globus.ids import is_uuid
from airflow_provider_globus.operators.connect_server import GlobusConnectServerOperator
from airflow_provider_globus.operators.principals import identity_id

_NAME_LENGTH = 128

#: What the API demands of a new collection, with the defaults of Globus's own tools.
NEW: Mapping[str, Any] = {"public": True}

#: Properties of both kinds that are sent as they were given.
_COMMON = (
    "display_name",
    "description",
    "organization",
    "department",
    "contact_email",
    "contact_info",
    "info_link",
    "keywords",
    "public",
    "default_directory",
    "enable_https",
    "https_methods",
    "force_encryption",
    "force_verify",
    "disable_verify",
    "acl_expiration_mins",
    "associated_flow_policy",
)


class GlobusServerCollectionOperator(GlobusConnectServerOperator):
    """
    Base of the operators that create mapped and guest collections.

    Subclasses name the properties of their kind in ``own_properties``; ``private`` tells whether some of them are shown
    only when asked for, and then only to administrators.
    """

    template_fields: Sequence[str] = (
        *GlobusConnectServerOperator.template_fields,
        "display_name",
        "collection_base_path",
        "collection_id",
        "identity",
        *("description", "organization", "department", "contact_email", "contact_info", "info_link", "keywords"),
        "default_directory",
        "associated_flow_policy",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"associated_flow_policy": "json"}
    own_properties: ClassVar[tuple[str, ...]] = ()
    private: ClassVar[bool] = False

    def __init__(
        self,
        *,
        display_name: str,
        collection_base_path: str = "/",
        collection_id: str | None = None,
        identity: str | None = None,
        description: str | None = None,
        organization: str | None = None,
        department: str | None = None,
        contact_email: str | None = None,
        contact_info: str | None = None,
        info_link: str | None = None,
        keywords: Sequence[str] | None = None,
        public: bool | None = None,
        default_directory: str | None = None,
        enable_https: bool | None = None,
        https_methods: Sequence[str] | None = None,
        force_encryption: bool | None = None,
        force_verify: bool | None = None,
        disable_verify: bool | None = None,
        acl_expiration_mins: int | None = None,
        associated_flow_policy: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.display_name = display_name
        self.collection_base_path = collection_base_path
        self.collection_id = collection_id
        self.identity = identity
        self.description = description
        self.organization = organization
        self.department = department
        self.contact_email = contact_email
        self.contact_info = contact_info
        self.info_link = info_link
        self.keywords = keywords
        self.public = public
        self.default_directory = default_directory
        self.enable_https = enable_https
        self.https_methods = https_methods
        self.force_encryption = force_encryption
        self.force_verify = force_verify
        self.disable_verify = disable_verify
        self.acl_expiration_mins = acl_expiration_mins
        self.associated_flow_policy = associated_flow_policy
        if force_verify and disable_verify:
            raise self.refuse("force_verify and disable_verify contradict each other.")

    def _wanted(self) -> dict[str, Any]:
        if not isinstance(self.display_name, str) or not 0 < len(self.display_name.strip()) <= _NAME_LENGTH:
            raise self.refuse(f"display_name {self.display_name!r} must have 1 to {_NAME_LENGTH} characters.")
        wanted = given({name: getattr(self, name) for name in (*_COMMON, *self.own_properties)})
        for name in ("keywords", "https_methods", "sharing_users_allow", "sharing_users_deny"):
            if isinstance(wanted.get(name), str):
                raise self.refuse(f"{name} must be a list, not {wanted[name]!r}.")
        if self.identity:
            wanted["identity_id"] = identity_id(self.hook, self.identity)
        return wanted

    def _find_by_id(self) -> dict[str, Any]:
        if not is_uuid(self.collection_id):
            raise self.refuse(f"collection_id must be a UUID, not {self.collection_id!r}.", "Or leave it out.")
        return self.the_collection(str(self.collection_id), private=self.private)

    def _keep(self, found: Mapping[str, Any], **fixed: Any) -> None:
        """Refuse what cannot be changed once a collection is there."""
        fixed["collection_base_path"] = self.collection_base_path
        for name, value in fixed.items():
            there = found.get(name)
            if there is None or _same_place(str(value), str(there)):
                continue
            raise self.refuse(
                f"the collection {found.get('display_name')!r} ({found['id']}) has {name} {there!r}, not {value!r}, "
                "and keeps it.",
                "Give another display_name to make another collection, or delete this one first with "
                "GlobusDeleteCollectionOperator.",
            )

    def _update(self, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
        what = f"the collection {found.get('display_name')!r}"
        changes = self.changes(what, wanted, found)
        if not changes:
            return self._report("unchanged", found, ())
        # The type tells which properties the document may have.
        document = versioned("collection", {"collection_type": found["collection_type"], **changes})
        client = self.client()
        self.hook.call(f"updating {what}", client.update_collection, found["id"], document)
        return self._report("updated", {**found, **changes}, changes)

    def _report(self, action: str, document: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
        kept = ("storage_gateway_id", "mapped_collection_id", "user_credential_id", "domain_name", "https_url")
        return self.report(
            action,
            f"the collection {document.get('display_name')!r}",
            collection_id=str(document["id"]),
            display_name=document.get("display_name"),
            **{name: document[name] for name in kept if document.get(name)},
            changed=sorted(names),
        )


def _same_place(ours: str, theirs: str) -> bool:
    """Whether two values of a fixed property are the same; slashes around a path do not count."""
    return ours.strip("/") == theirs.strip("/") or ours.lower() == theirs.lower()
