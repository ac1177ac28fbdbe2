"""GlobusHook: authorises the official Globus clients with an Airflow connection, and wraps none of their methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

from airflow.sdk import BaseHook

from airflow_provider_globus.exceptions import (
    GlobusCollectionNameError,
    GlobusConsentRequiredError,
    GlobusEndpointNameError,
    GlobusError,
    GlobusFlowNameError,
    GlobusIndexNameError,
    GlobusInputError,
    GlobusUnavailableError,
)
from airflow_provider_globus.hooks.connect_server import manager_scope, manager_url, needs_data_access
from airflow_provider_globus.hooks.connection import ConnectionSettings
from airflow_provider_globus.hooks.credentials import APP_NAME, Credentials, credentials_for
from airflow_provider_globus.hooks.errors import globus_errors
from airflow_provider_globus.hooks.retries import Manner, retry_config
from airflow_provider_globus.ids import is_uuid

if TYPE_CHECKING:
    from globus_sdk import (
        AuthClient,
        ComputeClientV2,
        ComputeClientV3,
        FlowsClient,
        GCSClient,
        GroupsClient,
        SearchClient,
        SpecificFlowClient,
        TransferClient,
    )
    from globus_sdk.client import BaseClient
    from globus_sdk.experimental.gcs_collection_client import GCSCollectionClient
    from globus_sdk.response import GlobusHTTPResponse
    from globus_sdk.scopes import Scope

ClientT = TypeVar("ClientT", bound="BaseClient")

#: Candidates that an error about a collection's name lists at most.
MAX_CANDIDATES = 8


class GlobusHook(BaseHook):
    """
    Official Globus clients for an Airflow connection of type ``globus``.

    Tokens live in memory and are shared by all hooks of a process. The clients are the SDK's own; pass their methods
    to :meth:`call` to get errors of :mod:`airflow_provider_globus.exceptions` and consents cured where possible::

        hook = GlobusHook()
        client = hook.transfer_client()
        hook.call("listing /data", client.operation_ls, hook.use_collection("instrument"), path="/data")

    :param globus_conn_id: id of the Airflow connection.
    :param caller: what Globus sees of the caller in the User-Agent, for example the operator's name.
    """

    conn_name_attr = "globus_conn_id"
    default_conn_name = "globus_default"
    conn_type = "globus"
    hook_name = "Globus"

    def __init__(self, globus_conn_id: str = default_conn_name, *, caller: str = "") -> None:
        super().__init__()
        self.globus_conn_id = globus_conn_id
        self.caller = caller
        self._clients: dict[tuple[Any, ...], Any] = {}

    @cached_property
    def settings(self) -> ConnectionSettings:
        """The connection, checked. Raises ``GlobusConfigError`` when it cannot work."""
        return ConnectionSettings.from_connection(self.globus_conn_id, self.get_connection(self.globus_conn_id))

    @cached_property
    def credentials(self) -> Credentials:
        """The identity behind the connection."""
        with globus_errors("preparing the connection's credentials"):
            return credentials_for(self.settings)

    # Clients

    def auth_client(self) -> AuthClient:
        """Globus Auth, to look up identities and to say who this connection is."""
        from globus_sdk import AuthClient
        from globus_sdk.scopes import AuthScopes

        return self._client(AuthClient, "auth", [AuthScopes.openid, AuthScopes.profile, AuthScopes.email])

    def transfer_client(self, *, polling: bool = False, resend: bool = True) -> TransferClient:
        """
        Globus Transfer.

        :param polling: never wait long inside a call: whoever polls has pauses of its own.
        :param resend: as for :meth:`compute_client_v3`.
        """
        from globus_sdk import TransferClient
        from globus_sdk.scopes import TransferScopes

        manner: Manner = "patient" if resend else "once"
        return self._client(TransferClient, "transfer", [TransferScopes.all], polling=polling, manner=manner)

    def flows_client(self, *, polling: bool = False, resend: bool = True) -> FlowsClient:
        """
        Globus Flows: flows and their runs.

        :param resend: as for :meth:`compute_client_v3`.
        """
        from globus_sdk import FlowsClient
        from globus_sdk.scopes import FlowsScopes

        scopes = [
            FlowsScopes.manage_flows,
            FlowsScopes.view_flows,
            FlowsScopes.run_status,
            FlowsScopes.run_manage,
        ]
        return self._client(FlowsClient, "flows", scopes, polling=polling, manner="patient" if resend else "once")

    def specific_flow_client(self, flow_id: str, *, resend: bool = True) -> SpecificFlowClient:
        """
        One flow, to run it: every flow has a scope of its own.

        :param resend: as for :meth:`compute_client_v3`.
        """
        from globus_sdk import SpecificFlowClient
        from globus_sdk.scopes import SpecificFlowScopes

        scopes = [SpecificFlowScopes(flow_id).user]
        manner: Manner = "patient" if resend else "once"
        return self._client(
            SpecificFlowClient, "flows", scopes, manner=manner, resource_server=flow_id, flow_id=flow_id
        )

    def compute_client_v2(self, *, polling: bool = False) -> ComputeClientV2:
        """Globus Compute: functions, endpoints' status, tasks."""
        from globus_sdk import ComputeClientV2
        from globus_sdk.scopes import ComputeScopes

        return self._client(ComputeClientV2, "compute", [ComputeScopes.all], polling=polling)

    def compute_client_v3(self, *, resend: bool = True) -> ComputeClientV3:
        """
        Globus Compute: functions, and submission to endpoints.

        :param resend: ``False`` for what the service would do twice if it were sent twice: then a request is sent
            again only when the service has refused it (too many requests, an expired token).
        """
        from globus_sdk import ComputeClientV3
        from globus_sdk.scopes import ComputeScopes

        return self._client(ComputeClientV3, "compute", [ComputeScopes.all], manner="patient" if resend else "once")

    def search_client(self, *, polling: bool = False) -> SearchClient:
        """Globus Search: indexes and their records."""
        from globus_sdk import SearchClient
        from globus_sdk.scopes import SearchScopes

        return self._client(SearchClient, "search", [SearchScopes.all], polling=polling)

    def groups_client(self) -> GroupsClient:
        """Globus Groups: who belongs together, and may do what."""
        from globus_sdk import GroupsClient
        from globus_sdk.scopes import GroupsScopes

        return self._client(GroupsClient, "groups", [GroupsScopes.all])

    def gcs_client(self, endpoint: str, *, resend: bool = True, data_access: str | None = None) -> GCSClient:
        """
        The GCS Manager API of a Globus Connect Server: storage gateways, collections, credentials, roles.

        :param endpoint: UUID of the endpoint, or UUID, alias of the connection or display name of a collection on it.
        :param resend: as for :meth:`compute_client_v3`.
        :param data_access: UUID of a mapped collection whose data the manager shall reach, to make guest collections.
        :raises GlobusInputError: when it is no part of a Connect Server.
        """
        from globus_sdk import GCSClient

        url = manager_url(self.collection(self.resolve_collection(endpoint)), endpoint)
        client_id = self._manager_client_id(url)
        if data_access is not None and not needs_data_access(self.collection(data_access)):
            data_access = None
        scopes = [manager_scope(client_id, data_access)]
        # A client that is there already may now need one scope more.
        self.credentials.authorizer(client_id, scopes)
        manner: Manner = "patient" if resend else "once"
        return self._client(
            GCSClient, "Connect Server", scopes, manner=manner, resource_server=client_id, gcs_address=url
        )

    def _manager_client_id(self, url: str) -> str:
        """The client that a GCS Manager is, whose tokens it takes; asked for once in a process, without a token."""
        from globus_sdk import GCSClient

        known = self.credentials.gcs_managers
        if url not in known:
            client = GCSClient(url, transport=self.credentials.transport(), app_name=APP_NAME)
            with globus_errors(f"asking the Connect Server at {url} who it is"):
                known[url] = str(client.get_gcs_info()["client_id"])
        return known[url]

    def https_client(self, collection: str) -> GCSCollectionClient:
        """
        The files of a collection over HTTPS, for small ones: the SDK's client, which it calls experimental.

        :class:`airflow_provider_globus.hooks.https.CollectionFiles` reads and writes with it.

        :param collection: UUID, alias of the connection, or unique display name.
        :raises GlobusInputError: when the collection has no HTTPS access.
        """
        from airflow_provider_globus.hooks.https import client_options

        document = self.collection(self.resolve_collection(collection))
        client: GCSCollectionClient = self._client(manner="files", **client_options(document, collection))
        return client

    def _client(
        self,
        cls: type[ClientT],
        service: str,
        scopes: Iterable[Scope],
        *,
        polling: bool = False,
        manner: Manner = "patient",
        resource_server: str | None = None,
        **kwargs: Any,
    ) -> ClientT:
        manner = "polling" if polling else manner
        key = (cls, manner, *kwargs.values())
        if key not in self._clients:
            server = resource_server or cast(str, cls.resource_server)
            with globus_errors(f"obtaining a token for Globus {service.title()}"):
                client = cls(
                    environment=self.settings.environment,
                    app_name=f"{APP_NAME}/{self.caller}" if self.caller else APP_NAME,
                    transport=self.credentials.transport(),
                    retry_config=retry_config(manner),
                    authorizer=self.credentials.authorizer(server, scopes),
                    **kwargs,
                )
            # Not every client takes it as an argument, but all have the attribute.
            client.base_url = self.settings.service_urls.get(service, client.base_url)
            self._clients[key] = client
        return cast("ClientT", self._clients[key])

    # Calls

    def call(self, doing: str, method: Callable[..., GlobusHTTPResponse], *args: Any, **kwargs: Any) -> dict[str, Any]:
        """
        Call a method of one of this hook's clients.

        A missing consent that the identity can grant itself is granted, and the call made once more: Globus had
        refused it, so nothing was done twice.

        :param doing: completes "… while " in an error, for example ``listing /data on 'instrument'``.
        :return: the answer's JSON document.
        :raises GlobusError: in our own words.
        """
        try:
            return self._call_once(doing, method, *args, **kwargs)
        except GlobusConsentRequiredError as error:
            client = getattr(method, "__self__", None)
            resource_server = getattr(client, "resource_server", None)
            if resource_server is None or not self.credentials.cure(error, resource_server):
                raise
            self.log.info("Granting the consent that Globus asks for while %s.", doing)
        return self._call_once(doing, method, *args, **kwargs)

    def _call_once(
        self, doing: str, method: Callable[..., GlobusHTTPResponse], *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        with globus_errors(doing):
            document = method(*args, **kwargs).data
        if not isinstance(document, dict):
            raise GlobusUnavailableError(
                f"The answer is not a JSON document while {doing}.",
                advice="Something between here and Globus, such as a proxy, may have answered instead.",
            )
        return document

    # Collections

    def use_collection(self, collection: str, *, flow_id: str | None = None) -> str:
        """
        Resolve a collection and make sure that this identity's tokens cover its data.

        :param collection: UUID, alias of the connection, or a display name that matches exactly one collection.
        :param flow_id: the flow that shall read and write the data on behalf of this identity.
        :return: the collection's UUID.
        :raises GlobusCollectionNameError: listing candidates, when a name matches none or several.
        """
        collection_id = self.resolve_collection(collection)
        document = self.collection(collection_id)
        if document.get("entity_type") == "GCSv5_endpoint":
            raise GlobusInputError(
                f"{collection!r} is a Globus Connect Server endpoint, not a collection.",
                advice="Data is read from and written to one of its collections: give the collection's UUID.",
            )
        if needs_data_access(document):
            self.credentials.grant_data_access([collection_id], flow_id=flow_id)
        return collection_id

    def resolve_collection(self, collection: str) -> str:
        """The UUID behind a UUID, an alias or a display name."""
        if not isinstance(collection, str) or not collection.strip():
            raise GlobusInputError(f"A collection must be named by UUID, alias or display name, not by {collection!r}.")
        name = self.settings.collection_id(collection)
        return name if is_uuid(name) else self._search_collection(collection)

    def _search_collection(self, name: str) -> str:
        client = self.transfer_client()
        found = self.call(
            f"searching the collection {name!r}", client.endpoint_search, name, filter_non_functional=False
        )["DATA"]
        exact = [document for document in found if document["display_name"] == name]
        if len(exact) == 1:
            return str(exact[0]["id"])
        listed = "; ".join(f"{d['display_name']} ({d['id']})" for d in (exact or found)[:MAX_CANDIDATES])
        aliases = ", ".join(sorted(self.settings.collections)) or "none"
        if exact:
            raise GlobusCollectionNameError(
                f"{len(exact)} collections are named {name!r}: {listed}.",
                advice="Give the UUID of the one you mean.",
            )
        raise GlobusCollectionNameError(
            f"No collection visible to this identity is named {name!r}. Similar: {listed or 'none'}. "
            f"Aliases of connection {self.globus_conn_id!r}: {aliases}.",
            advice="Give its UUID, or add an alias to the connection.",
        )

    def collection(self, collection_id: str) -> dict[str, Any]:
        """The document of a collection, asked for once in a process."""
        known = self.credentials.collections
        if collection_id not in known:
            client = self.transfer_client()
            known[collection_id] = self.call(
                f"looking up the collection {collection_id}", client.get_endpoint, collection_id
            )
        return known[collection_id]

    # Compute endpoints

    def compute_endpoint(self, endpoint: str) -> str:
        """
        The UUID of a Compute endpoint.

        :param endpoint: its UUID, an alias of the connection, or the name of exactly one that this identity can see.
        :raises GlobusEndpointNameError: listing candidates, when a name matches none or several.
        """
        if is_uuid(endpoint):
            return endpoint
        if endpoint in self.settings.compute_endpoints:
            return self.settings.compute_endpoints[endpoint]
        known = self.credentials.compute_endpoints
        if endpoint not in known:
            known[endpoint] = self._find_endpoint(endpoint)
        return known[endpoint]

    def _find_endpoint(self, name: str) -> str:
        client = self.compute_client_v2()
        with globus_errors(f"looking for the Compute endpoint {name!r}"):
            documents = list(client.get_endpoints(role="any").data)
        found = [d for d in documents if name in (d.get("display_name"), d.get("name"))]
        if len(found) == 1:
            return str(found[0]["uuid"])
        listed = [f"{d.get('display_name') or d['name']} ({d['uuid']})" for d in found or documents]
        raise GlobusEndpointNameError(
            self._ambiguous("Compute endpoints", "named", name, len(found), listed, self.settings.compute_endpoints),
            advice="Give its UUID, or add an alias to the connection (compute_endpoints).",
        )

    # Flows and Search indexes

    def flow(self, flow: str) -> str:
        """
        The UUID of a flow.

        :param flow: its UUID, an alias of the connection, or the title of exactly one that this identity can see.
        :raises GlobusFlowNameError: listing candidates, when a title matches none or several.
        """
        if not isinstance(flow, str) or not flow.strip():
            raise GlobusInputError(f"A flow must be named by UUID, alias or title, not by {flow!r}.")
        if is_uuid(flow):
            return flow.lower()
        if flow in self.settings.flows:
            return self.settings.flows[flow]
        found = self.flows_titled(flow)
        exact = [document for document in found if document["title"] == flow]
        if len(exact) == 1:
            return str(exact[0]["id"])
        listed = [f"{document['title']} ({document['id']})" for document in exact or found]
        raise GlobusFlowNameError(
            self._ambiguous("flows", "titled", flow, len(exact), listed, self.settings.flows),
            advice="Give its UUID, or add an alias to the connection (flows).",
        )

    def flows_titled(self, title: str, **filters: Any) -> list[dict[str, Any]]:
        """Flows that this identity can see whose title is, or is like, this one; at most 100."""
        client = self.flows_client()
        query = {"per_page": 100, "filter_fulltext": title, **filters}
        answer = self.call(f"looking for the flow {title!r}", client.list_flows, query_params=query)
        return list(answer["flows"])

    def search_index(self, index: str) -> str:
        """
        The UUID of a Search index.

        :param index: its UUID, an alias of the connection, or the name of exactly one that this identity has a role on.
        :raises GlobusIndexNameError: listing candidates, when a name matches none or several.
        """
        if not isinstance(index, str) or not index.strip():
            raise GlobusInputError(f"A Search index must be named by UUID, alias or name, not by {index!r}.")
        if is_uuid(index):
            return index.lower()
        if index in self.settings.search_indexes:
            return self.settings.search_indexes[index]
        known = self.credentials.search_indexes
        if index not in known:
            known[index] = self._find_index(index)
        return known[index]

    def _find_index(self, name: str) -> str:
        client = self.search_client()
        documents = self.call(f"looking for the Search index {name!r}", client.index_list)["index_list"]
        exact = [document for document in documents if document["display_name"] == name]
        if len(exact) == 1:
            return str(exact[0]["id"])
        listed = [f"{document['display_name']} ({document['id']})" for document in exact or documents]
        raise GlobusIndexNameError(
            self._ambiguous("Search indexes", "named", name, len(exact), listed, self.settings.search_indexes),
            advice="Give its UUID, or add an alias to the connection (search_indexes).",
        )

    def _ambiguous(
        self, kind: str, called: str, name: str, count: int, listed: list[str], aliases: Mapping[str, str]
    ) -> str:
        return (
            f"{count or 'No'} {kind} that this identity can see are {called} {name!r}. "
            f"There are: {'; '.join(listed[:MAX_CANDIDATES]) or 'none'}. "
            f"Aliases of connection {self.globus_conn_id!r}: {', '.join(sorted(aliases)) or 'none'}."
        )

    # Connection test

    def test_connection(self) -> tuple[bool, str]:
        """Say who this connection is and what it reaches, or what to do."""
        try:
            return True, self._introduce()
        except GlobusError as error:
            return False, str(error)

    def _introduce(self) -> str:
        who = self.call("asking Globus Auth who this is", self.auth_client().userinfo)
        name = who.get("name") or who.get("preferred_username") or who["sub"]
        lines = [f"Connected as {name} ({who.get('preferred_username', who['sub'])})."]
        client = self.transfer_client(polling=True)
        unfinished = self.call("listing transfer tasks", client.task_list, limit=1, filter={"status": "ACTIVE"})
        lines.append(f"Transfer answers; {unfinished.get('total', 0)} active tasks.")
        lines += self._introduce_aliases("Compute endpoint", self.settings.compute_endpoints, self.endpoint_status)
        lines += self._introduce_aliases("Collection", self.settings.collections, self._collection_name)
        lines += self._introduce_aliases("Flow", self.settings.flows, self.flow_title)
        lines += self._introduce_aliases("Search index", self.settings.search_indexes, self.index_name)
        return " ".join(lines)

    def _introduce_aliases(self, kind: str, aliases: Mapping[str, str], describe: Callable[[str], str]) -> list[str]:
        lines = []
        for alias, item_id in sorted(aliases.items()):
            try:
                lines.append(f"{alias}: {describe(item_id)}.")
            except GlobusError as error:
                raise type(error)(f"{kind} alias {alias!r}: {error.message}", advice=error.advice) from None
        return lines

    def endpoint_status(self, endpoint_id: str) -> str:
        """``online`` or ``offline``, of a Compute endpoint."""
        client = self.compute_client_v2(polling=True)
        doing = f"asking after the Compute endpoint {endpoint_id}"
        return str(self.call(doing, client.get_endpoint_status, endpoint_id)["status"])

    def _collection_name(self, collection_id: str) -> str:
        return str(self.collection(collection_id)["display_name"])

    def flow_title(self, flow_id: str) -> str:
        """The title of a flow."""
        client = self.flows_client(polling=True)
        return str(self.call(f"looking up the flow {flow_id}", client.get_flow, flow_id)["title"])

    def index_name(self, index_id: str) -> str:
        """The display name of a Search index."""
        client = self.search_client(polling=True)
        return str(self.call(f"looking up the Search index {index_id}", client.get_index, index_id)["display_name"])
