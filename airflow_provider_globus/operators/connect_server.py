"""The base of the operators that manage a Globus Connect Server: look, compare, and change only what differs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.connect_server.compare import changed, differences
from airflow_provider_globus.exceptions import GlobusInputError, GlobusNotFoundError, GlobusUnavailableError
from airflow_provider_globus.ids import is_uuid
from airflow_provider_globus.looks import look_for
from airflow_provider_globus.operators.base import GlobusOperator

if TYPE_CHECKING:
    from globus_sdk import GCSClient
    from globus_sdk.response import GlobusHTTPResponse

_PAGE = 100


class GlobusConnectServerOperator(GlobusOperator):
    """
    Base of the operators that manage a Globus Connect Server endpoint.

    They describe what shall be there: what is missing is created, what differs is changed, and nothing is done when
    nothing differs. Only what is given is compared; an empty list, string or dict takes away what is there. Returns a
    dict with ids and ``action``: ``created``, ``updated``, ``unchanged``, ``deleted`` or ``absent``.

    The identity of the connection needs a role on the endpoint: ``administrator`` for storage gateways, mapped
    collections and roles of the endpoint.

    :param endpoint: UUID of the endpoint, or UUID, alias of the connection or unique display name of any collection
        on it.
    """

    template_fields: Sequence[str] = ("endpoint", "globus_conn_id")
    ui_color = "#d9ecf5"

    def __init__(self, *, endpoint: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.endpoint = endpoint

    def client(self, *, resend: bool = True, data_access: str | None = None) -> GCSClient:
        """
        The GCS Manager API of the endpoint.

        :param resend: ``False`` for what would be there twice if it were sent twice.
        :param data_access: UUID of the mapped collection whose data the call reaches.
        """
        return self.hook.gcs_client(self.endpoint, resend=resend, data_access=data_access)

    # Looking

    def pages(
        self, doing: str, method: Callable[..., GlobusHTTPResponse], *args: Any, **kwargs: Any
    ) -> Iterator[dict[str, Any]]:
        """The items of a list, page by page, without those that are marked as deleted."""
        marker: str | None = None
        while True:
            where = {} if marker is None else {"marker": marker}
            page = self.hook.call(doing, method, *args, page_size=_PAGE, **where, **kwargs)
            yield from (item for item in page.get("data") or () if not item.get("deleted"))
            before, marker = marker, page.get("marker")
            if not marker or marker == before or page.get("has_next_page") is False:
                return

    def the_one(self, kind: str, name: str, found: list[dict[str, Any]], argument: str) -> dict[str, Any] | None:
        """The only one of those found, or ``None``. Several are refused, since any choice could be wrong."""
        if len(found) > 1:
            listed = ", ".join(sorted(str(document["id"]) for document in found))
            raise GlobusInputError(
                f"{type(self).__name__}: {len(found)} {kind}s on this endpoint are named {name!r}: {listed}.",
                advice=f"Say which one by its UUID ({argument}), or delete the others.",
            )
        return found[0] if found else None

    def find_gateway(self, gateway: str, *, private: bool = False) -> dict[str, Any] | None:
        """
        The document of a storage gateway, or ``None``.

        :param gateway: its UUID, or the display name of exactly one.
        :param private: also what only administrators of the endpoint may see: restrictions of paths and users.
        """
        client = self.client()
        include = {"include": "private_policies"} if private else {}
        doing = f"looking up the storage gateway {gateway!r}"
        if not is_uuid(gateway):
            listed = self.pages(doing, client.get_storage_gateway_list)
            named = [document for document in listed if document.get("display_name") == gateway]
            found = self.the_one("storage gateway", gateway, named, "storage_gateway")
            if found is None:
                return None
            gateway = str(found["id"])
        return self.unless_missing(doing, client.get_storage_gateway, gateway, **include)

    def the_gateway(self, gateway: str, *, private: bool = False) -> dict[str, Any]:
        """Like :meth:`find_gateway`, but one that is missing is an error that lists those there are."""
        found = self.find_gateway(gateway, private=private)
        if found is None:
            listed = self.pages("listing the storage gateways", self.client().get_storage_gateway_list)
            raise self._unknown("storage gateway", gateway, listed, "GlobusCreateStorageGatewayOperator makes one.")
        return found

    def find_collection(self, collection: str, *, private: bool = False) -> dict[str, Any] | None:
        """
        The document of a collection on the endpoint, or ``None``.

        :param collection: its UUID, an alias of the connection, or the display name of exactly one.
        :param private: also what only administrators may see: who may share which paths.
        """
        collection_id = self.hook.settings.collections.get(collection, collection)
        if not is_uuid(collection_id):
            return self.find_collection_named(collection, private=private)
        query = {"query_params": {"include": "private_policies"}} if private else {}
        doing = f"looking up the collection {collection!r}"
        return self.unless_missing(doing, self.client().get_collection, collection_id, **query)

    def find_collection_named(
        self,
        name: str,
        *,
        guest: bool | None = None,
        mapped_collection_id: str | None = None,
        storage_gateway_id: str | None = None,
        private: bool = False,
    ) -> dict[str, Any] | None:
        """
        The document of the only collection of a display name, or ``None``.

        :param guest: only guest collections, or only mapped ones.
        :param mapped_collection_id: only guest collections of this one.
        :param storage_gateway_id: only collections on this gateway.
        """
        narrow = {} if mapped_collection_id is None else {"mapped_collection_id": mapped_collection_id}
        if guest is not None:
            narrow["filter"] = "guest_collections" if guest else "mapped_collections"
        listed = self.pages(f"looking for the collection {name!r}", self.client().get_collection_list, **narrow)
        named = [
            document
            for document in listed
            if document.get("display_name") == name and storage_gateway_id in (None, document.get("storage_gateway_id"))
        ]
        found = self.the_one("collection", name, named, "collection_id")
        # A list may tell less of each than a look at one.
        return None if found is None else self.find_collection(str(found["id"]), private=private)

    def the_collection(self, collection: str, *, private: bool = False) -> dict[str, Any]:
        """Like :meth:`find_collection`, but one that is missing is an error that lists those there are."""
        found = self.find_collection(collection, private=private)
        if found is None:
            listed = self.pages("listing the collections", self.client().get_collection_list)
            advice = "Give its UUID, or make one: GlobusCreateMappedCollectionOperator."
            raise self._unknown("collection", collection, listed, advice)
        return found

    def user_credentials(
        self, storage_gateway_id: str, identity: str, username: str | None = None, *, others: bool = False
    ) -> list[dict[str, Any]]:
        """
        The credentials of an identity on a storage gateway.

        :param username: only of this local account.
        :param others: the identity may be another than this connection's, on a gateway whose administrators manage
            the credentials.
        """
        client = self.client()
        include = {"query_params": {"include": "all"}} if others else {}
        doing = f"listing the user credentials on the storage gateway {storage_gateway_id}"
        return [
            credential
            for credential in self.pages(
                doing, client.get_user_credential_list, storage_gateway=storage_gateway_id, **include
            )
            if credential.get("identity_id") == identity
            and credential.get("storage_gateway_id", storage_gateway_id) == storage_gateway_id
            and username in (None, credential.get("username"))
        ]

    def identity_of_connection(self) -> str:
        """The UUID of the identity that acts."""
        client = self.hook.auth_client()
        return str(self.hook.call("asking Globus Auth who this is", client.userinfo)["sub"])

    def unless_missing(
        self, doing: str, method: Callable[..., GlobusHTTPResponse], *args: Any, **kwargs: Any
    ) -> dict[str, Any] | None:
        """What a method answers; ``None`` when there is none, or when it is marked as deleted."""
        try:
            document = self.hook.call(doing, method, *args, **kwargs)
        except GlobusNotFoundError:
            return None
        return None if document.get("deleted") else document

    def _unknown(self, kind: str, name: str, listed: Iterator[dict[str, Any]], advice: str) -> GlobusNotFoundError:
        there = sorted(f"{document.get('display_name')} ({document.get('id')})" for document in listed)
        return GlobusNotFoundError(
            f"There is no {kind} {name!r} on the endpoint of {self.endpoint!r}. There are: "
            f"{'; '.join(there[:8]) or 'none'}{'; …' if there[8:] else ''}.",
            advice=advice,
        )

    # Changing

    def create(
        self,
        what: str,
        method: Callable[..., GlobusHTTPResponse],
        document: Mapping[str, Any],
        find: Callable[[], dict[str, Any] | None],
    ) -> dict[str, Any]:
        """
        Create something once.

        A creation that was not answered is not sent again: whether it was heard is looked up.

        :param what: for logs and errors, for example ``the storage gateway 'S3'``.
        :param method: of a client that was made with ``resend=False``.
        :param find: looks for it; asked before this method was called, with ``None`` as the answer.
        :raises GlobusUnavailableError: when it cannot be found either.
        """
        # What is taken away from nothing need not be said.
        said = {name: value for name, value in document.items() if value is not None}
        try:
            created = self.hook.call(f"creating {what}", method, said)
        except GlobusUnavailableError as error:
            self.log.warning("%s Looking whether %s was created.", error.message, what)
            if (made := look_for(find, stop=self._killed, killed=error)) is None:
                raise
            return made
        if "id" in created:
            return created
        # An answer without a document of the kind: what was created can still be looked up.
        if (found := find()) is None:
            raise GlobusUnavailableError(
                f"Globus says that {what} was created, but it cannot be found.",
                advice="Run the task again: it looks first, and creates nothing twice.",
            )
        return found

    def changes(self, what: str, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
        """The properties to send, with each difference logged; secrets are not shown."""
        for difference in differences(wanted, found):
            self.log.info("%s differs in %s.", what[:1].upper() + what[1:], difference)
        return changed(wanted, found)

    def report(self, action: str, what: str, **facts: Any) -> dict[str, Any]:
        """Say what was done, and return it."""
        said = {"absent": "is not there (any more)", "unchanged": "is as wanted: unchanged"}.get(action, f"is {action}")
        self.log.info("%s %s: %s", what[:1].upper() + what[1:], said, json.dumps(facts, default=str))
        return {**facts, "action": action}
