"""Sharing policies of a mapped collection: which users may share which of its paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_globus.connect_server.compare import differences
from airflow_provider_globus.connect_server.documents import path_restrictions
from airflow_provider_globus.exceptions import GlobusNotFoundError
from airflow_provider_globus.operators.connect_server import GlobusConnectServerOperator

if TYPE_CHECKING:
    from airflow.sdk import Context
    from globus_sdk import GCSClient
    from globus_sdk.response import GlobusHTTPResponse

_PATH = "/sharing_policies"
_KNOWN = {"users", "sharing_restrict_paths"}


class GlobusSharingPolicyOperator(GlobusConnectServerOperator):
    """
    Say which local users may share which paths of a mapped collection: create what is missing, or do nothing.

    Globus cannot change a sharing policy: when there is one for the same users with other paths, the wanted one is
    created and then the other deleted. Without ``policies``, it only lists. Returns ``collection_id``,
    ``sharing_policies`` (all that there are then), ``created`` and ``deleted`` (ids) and ``action``: ``created`` (also
    when some were there), ``updated`` (when some were replaced), ``deleted`` or ``unchanged``.

    :param collection: the mapped collection: UUID, alias of the connection, or unique display name.
    :param policies: dicts with ``sharing_restrict_paths`` (patterns under ``none``, ``read`` and ``read_write``,
        relative to the root of the collection) and ``users`` (local accounts; not given: all of them).
    :param remove_others: delete the policies of users that are not in ``policies``; with an empty list, all of them.
    :param endpoint: UUID of the endpoint, or UUID, alias of the connection or unique display name of any collection
        on it. Default: the endpoint of the collection.
    """

    template_fields: Sequence[str] = (*GlobusConnectServerOperator.template_fields, "collection", "policies")
    template_fields_renderers: ClassVar[dict[str, str]] = {"policies": "json"}

    def __init__(
        self,
        *,
        collection: str,
        policies: Sequence[Mapping[str, Any]] = (),
        remove_others: bool = False,
        endpoint: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(endpoint=endpoint or collection, **kwargs)
        self.collection = collection
        self.policies = policies
        self.remove_others = remove_others

    def execute(self, context: Context) -> dict[str, Any]:
        """Create what is missing, and delete what it replaces."""
        wanted = [self._checked(number, policy) for number, policy in enumerate(self.policies)]
        collection_id = self._mapped_collection_id()
        there = self._list(collection_id)
        missing = [policy for policy in wanted if not any(_same(policy, other) for other in there)]
        kept = [other for other in there if any(_same(policy, other) for policy in wanted)]
        created = [self._create(collection_id, policy) for policy in missing]
        going = [other for other in there if other not in kept and self._goes(other, missing)]
        for policy in going:
            self._delete(policy)
        action = "updated" if created and going else "created" if created else "deleted" if going else "unchanged"
        return self.report(
            action,
            f"sharing of {self.collection!r}",
            collection_id=collection_id,
            sharing_policies=[_shown(policy) for policy in self._list(collection_id)],
            created=created,
            deleted=[str(policy["id"]) for policy in going],
        )

    def _checked(self, number: int, policy: Any) -> dict[str, Any]:
        where = f"policies[{number}]"
        if not isinstance(policy, Mapping) or not isinstance(policy.get("sharing_restrict_paths"), Mapping):
            raise self.refuse(f"{where} must be a dict with sharing_restrict_paths.")
        if unknown := sorted(policy.keys() - _KNOWN):
            raise self.refuse(f"{where}: {', '.join(unknown)} is unknown.", f"It takes {', '.join(sorted(_KNOWN))}.")
        if isinstance(policy.get("users"), str):
            raise self.refuse(f"{where}: users must be a list, not {policy['users']!r}.")
        try:
            paths = path_restrictions(policy["sharing_restrict_paths"])
        except ValueError as error:
            raise self.refuse(f"{where}: sharing_restrict_paths: {error}") from None
        return {"users": sorted(policy.get("users") or ()), "sharing_restrict_paths": paths}

    def _mapped_collection_id(self) -> str:
        document = self.the_collection(self.collection)
        if document.get("collection_type") == "guest":
            raise self.refuse(f"{self.collection!r} is a guest collection.", "Mapped collections have such policies.")
        return str(document["id"])

    def _list(self, collection_id: str) -> list[dict[str, Any]]:
        calls = SharingPolicies(self.client())
        doing = f"listing the sharing policies of {self.collection!r}"
        return list(self.pages(doing, calls.get_list, collection_id=collection_id))

    def _create(self, collection_id: str, policy: Mapping[str, Any]) -> str:
        document = {
            "DATA_TYPE": "sharing_policy#1.0.0",
            "collection_id": collection_id,
            "sharing_restrict_paths": policy["sharing_restrict_paths"],
            **({"users": policy["users"]} if policy["users"] else {}),
        }
        what = f"a sharing policy of {self.collection!r}"
        created = self.create(
            what,
            SharingPolicies(self.client(resend=False)).create,
            document,
            lambda: next((other for other in self._list(collection_id) if _same(policy, other)), None),
        )
        self.log.info("Created %s (%s) for %s.", what, created["id"], ", ".join(policy["users"]) or "all users")
        return str(created["id"])

    def _goes(self, other: Mapping[str, Any], missing: Sequence[Mapping[str, Any]]) -> bool:
        """Whether a policy that is not wanted is replaced, or shall be removed."""
        return self.remove_others or any(_users(other) == policy["users"] for policy in missing)

    def _delete(self, policy: Mapping[str, Any]) -> None:
        calls = SharingPolicies(self.client())
        doing = f"deleting the sharing policy {policy['id']} of {self.collection!r}"
        try:
            self.hook.call(doing, calls.delete, str(policy["id"]))
        except GlobusNotFoundError:
            return
        self.log.info("Deleted the sharing policy %s for %s.", policy["id"], ", ".join(_users(policy)) or "all users")


class SharingPolicies:
    """The calls for sharing policies, for which the SDK has no methods."""

    def __init__(self, client: GCSClient) -> None:
        self._client = client

    @property
    def resource_server(self) -> str | None:
        """As the client's."""
        return self._client.resource_server

    def get_list(self, **query: Any) -> GlobusHTTPResponse:
        """A page of the policies of a collection."""
        return self._client.get(_PATH, query_params=query)

    def create(self, document: dict[str, Any]) -> GlobusHTTPResponse:
        """Make one."""
        from globus_sdk.services.gcs import UnpackingGCSResponse

        return UnpackingGCSResponse(self._client.post(_PATH, data=document), "sharing_policy")

    def delete(self, policy_id: str) -> GlobusHTTPResponse:
        """Delete one."""
        return self._client.delete(f"{_PATH}/{policy_id}")


def _users(policy: Mapping[str, Any]) -> list[str]:
    return sorted(policy.get("users") or ())


def _same(wanted: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    paths = {"sharing_restrict_paths": wanted["sharing_restrict_paths"]}
    return wanted["users"] == _users(other) and not differences(paths, other)


def _shown(policy: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": str(policy["id"]),
        "users": policy.get("users"),
        "sharing_restrict_paths": policy.get("sharing_restrict_paths"),
    }
