"""Tokens: in memory only, one set for each connection and process, however many hooks use it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from airflow_provider_globus import __version__
from airflow_provider_globus.exceptions import GlobusConfigError, GlobusConsentRequiredError
from airflow_provider_globus.hooks.errors import globus_errors

if TYPE_CHECKING:
    from globus_sdk import ClientApp, ConfidentialAppAuthClient, NativeAppAuthClient, RefreshTokenAuthorizer
    from globus_sdk.authorizers import GlobusAuthorizer
    from globus_sdk.scopes import Scope
    from globus_sdk.transport import RequestsTransport

    from airflow_provider_globus.hooks.connection import ConnectionSettings

#: What Globus sees in the User-Agent of every request.
APP_NAME = f"airflow-provider-globus-{__version__}"

_TRANSFER = "transfer.api.globus.org"


class Credentials(ABC):
    """
    The right to call Globus services as one identity.

    :ivar collections: documents of the collections seen so far, by id; they are asked for once in a process.
    :ivar compute_endpoints: ids of the Compute endpoints found so far, by name.
    :ivar search_indexes: ids of the Search indexes found so far, by name.
    :ivar gcs_managers: client ids of the GCS Managers met so far, by address.
    """

    def __init__(self, settings: ConnectionSettings) -> None:
        self.settings = settings
        self.collections: dict[str, dict[str, Any]] = {}
        self.compute_endpoints: dict[str, str] = {}
        self.search_indexes: dict[str, str] = {}
        self.gcs_managers: dict[str, str] = {}
        self._lock = threading.RLock()
        self._granted: dict[str | None, set[str]] = {}

    @abstractmethod
    def authorizer(self, resource_server: str, scopes: Iterable[str | Scope]) -> GlobusAuthorizer:
        """What authorises one of the SDK's clients for ``scopes`` of ``resource_server``."""

    @abstractmethod
    def cure(self, error: GlobusConsentRequiredError, resource_server: str) -> bool:
        """Obtain what ``error`` asks for, if this kind of identity can; the caller then tries again."""

    def grant_data_access(self, collection_ids: Iterable[str], *, flow_id: str | None = None) -> None:
        """
        Ask for ``data_access`` on mapped collections with the next token; known ones cost nothing.

        :param flow_id: let a flow use them, rather than Transfer on our own behalf.
        """
        with self._lock:
            granted = self._granted.setdefault(flow_id, set())
            if missing := [cid for cid in collection_ids if cid not in granted]:
                self._grant(missing, flow_id)
                granted.update(missing)

    @abstractmethod
    def _grant(self, collection_ids: list[str], flow_id: str | None) -> None: ...

    def transport(self) -> RequestsTransport:
        """A transport that trusts the connection's certificate authorities and gives up in time."""
        from globus_sdk.transport import RequestsTransport

        self.settings.check_files()
        return RequestsTransport(verify_ssl=self.settings.ca_bundle, http_timeout=self.settings.http_timeout)


class ServiceAccount(Credentials):
    """A Globus app that acts as itself: ``ClientApp``. It can grant itself every consent that Globus names."""

    def __init__(self, settings: ConnectionSettings) -> None:
        super().__init__(settings)
        from globus_sdk import ClientApp, ConfidentialAppAuthClient, GlobusAppConfig
        from globus_sdk.token_storage import MemoryTokenStorage

        login_client: ConfidentialAppAuthClient = ConfidentialAppAuthClient(
            settings.client_id,
            str(settings.client_secret),
            environment=settings.environment,
            base_url=settings.service_urls.get("auth"),
            app_name=APP_NAME,
            transport=self.transport(),
        )
        # The default token storage is a file in the home directory; ours must die with the process.
        config = GlobusAppConfig(token_storage=MemoryTokenStorage(), environment=settings.environment)
        self.app: ClientApp = ClientApp(APP_NAME, login_client=login_client, config=config)

    def authorizer(self, resource_server: str, scopes: Iterable[str | Scope]) -> GlobusAuthorizer:
        """Mints a token when a client first needs one, renews it, and notices new scopes."""
        with self._lock:
            self._require(resource_server, scopes)
        return self._app_authorizer(resource_server)

    def cure(self, error: GlobusConsentRequiredError, resource_server: str) -> bool:
        """Ask Globus Auth for a token with the scopes that the service named."""
        if not error.required_scopes:
            return False
        with self._lock:
            self._require(resource_server, error.required_scopes)
        return True

    def _grant(self, collection_ids: list[str], flow_id: str | None) -> None:
        from globus_sdk.scopes import GCSCollectionScopes, SpecificFlowScopes, TransferScopes

        scopes = [GCSCollectionScopes(cid).data_access.with_optional(True) for cid in collection_ids]
        transfer = TransferScopes.all.with_dependencies(scopes)
        if flow_id is None:
            self._require(_TRANSFER, [transfer])
        else:
            # As the SDK's SpecificFlowClient.add_app_transfer_data_access_scope builds it.
            scope = SpecificFlowScopes(flow_id).user.with_dependency(transfer.with_optional(True))
            self._require(flow_id, [scope])

    def _require(self, resource_server: str, scopes: Iterable[str | Scope]) -> None:
        # The app keeps every scope it is given, so what it has must not be given again.
        known = {str(scope) for scope in self.app.scope_requirements.get(resource_server, [])}
        if missing := [scope for scope in scopes if str(scope) not in known]:
            self.app.add_scope_requirements({resource_server: missing})
            # A token minted before would be used to its end without the new scopes.
            self.app.token_storage.remove_token_data(resource_server)

    def _app_authorizer(self, resource_server: str) -> GlobusAuthorizer:
        from globus_sdk.authorizers import GlobusAuthorizer

        app, lock = self.app, self._lock

        class AppAuthorizer(GlobusAuthorizer):
            """Asks the app at every request, one thread at a time, so that a thousand jobs mint one token."""

            def get_authorization_header(self) -> str | None:
                with lock:
                    return app.get_authorizer(resource_server).get_authorization_header()

            def handle_missing_authorization(self) -> bool:
                with lock:
                    return app.get_authorizer(resource_server).handle_missing_authorization()

        return AppAuthorizer()


class Person(Credentials):
    """
    A person who logged in once and left refresh tokens.

    The SDK's ``UserApp`` is not used: it wants an ``id_token`` with every refresh, and a refresh carries none.
    """

    def __init__(self, settings: ConnectionSettings) -> None:
        super().__init__(settings)
        self._authorizers: dict[str, RefreshTokenAuthorizer] | None = None

    def authorizer(self, resource_server: str, scopes: Iterable[str | Scope]) -> GlobusAuthorizer:
        """The authorizer of the refresh token for this service."""
        with self._lock:
            if self._authorizers is None:
                self._authorizers = self._exchange()
        try:
            return self._authorizers[resource_server]
        except KeyError:
            raise GlobusConfigError(
                f"Connection {self.settings.conn_id!r} has no refresh token for {resource_server}.",
                advice=f"Log in with the scopes {', '.join(map(str, scopes))} and add that refresh token "
                "to the connection (refresh_token may be a JSON list).",
            ) from None

    def cure(self, error: GlobusConsentRequiredError, resource_server: str) -> bool:
        """Never: only the person can consent."""
        return False

    def _grant(self, collection_ids: list[str], flow_id: str | None) -> None:
        """Nothing to ask for: a refresh token keeps the consents it was given."""

    def _exchange(self) -> dict[str, RefreshTokenAuthorizer]:
        from globus_sdk import RefreshTokenAuthorizer

        client = self._login_client()
        authorizers = {}
        for refresh_token in self.settings.refresh_tokens:
            with globus_errors("exchanging the connection's refresh token for an access token"):
                response = client.oauth2_refresh_token(refresh_token)
            for resource_server, token in response.by_resource_server.items():
                authorizers[resource_server] = RefreshTokenAuthorizer(
                    token.get("refresh_token") or refresh_token,
                    client,
                    access_token=token["access_token"],
                    expires_at=token["expires_at_seconds"],
                )
        return authorizers

    def _login_client(self) -> ConfidentialAppAuthClient | NativeAppAuthClient:
        from globus_sdk import ConfidentialAppAuthClient, NativeAppAuthClient

        common: dict[str, Any] = {
            "environment": self.settings.environment,
            "base_url": self.settings.service_urls.get("auth"),
            "app_name": APP_NAME,
            "transport": self.transport(),
        }
        if self.settings.client_secret:
            return ConfidentialAppAuthClient(self.settings.client_id, self.settings.client_secret, **common)
        return NativeAppAuthClient(self.settings.client_id, **common)


_CREDENTIALS: dict[str, Credentials] = {}
_CREDENTIALS_LOCK = threading.Lock()


def credentials_for(settings: ConnectionSettings) -> Credentials:
    """The credentials of a connection, shared by all hooks of this process that have the same one."""
    with _CREDENTIALS_LOCK:
        key = settings.identity_key
        if key not in _CREDENTIALS:
            kind = ServiceAccount if settings.app_type == "client" else Person
            _CREDENTIALS[key] = kind(settings)
        return _CREDENTIALS[key]


def forget_credentials() -> None:
    """Drop all tokens of this process; the next request asks Globus Auth for new ones."""
    with _CREDENTIALS_LOCK:
        _CREDENTIALS.clear()
