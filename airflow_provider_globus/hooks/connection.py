"""What an Airflow connection of type ``globus`` says, checked and typed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.exceptions import GlobusConfigError
from airflow_provider_globus.ids import is_uuid

if TYPE_CHECKING:
    from airflow.sdk import Connection

#: Services whose address a connection may set, in the words of Globus's documentation.
SERVICES = ("auth", "transfer", "flows", "compute", "groups", "search", "timers", "app")

#: Where people look at their tasks; the SDK knows no base URL for it.
WEB_APP_URL = "https://app.globus.org"

#: Seconds before a request to Globus is given up; transfers of data do not pass through these requests.
DEFAULT_HTTP_TIMEOUT = 60.0


@dataclass(frozen=True)
class ConnectionSettings:
    """
    A ``globus`` connection.

    :param client_id: UUID of the Globus app (the connection's login).
    :param client_secret: the app's secret (the connection's password); not needed for a native app with refresh tokens.
    :param app_type: ``client`` acts as the app itself, ``user`` acts as the person who gave the refresh token.
    :param refresh_tokens: refresh tokens of that person, one for each service that is used.
    :param environment: Globus environment; only Globus's own developers need another than ``production``.
    :param service_urls: base URLs that replace the environment's, for example of a sandbox.
    :param ca_bundle: file with the certificate authorities to trust, for a Globus Connect Server with a private one.
    :param collections: aliases, each for a collection's UUID.
    :param compute_endpoints: aliases, each for a Compute endpoint's UUID.
    :param flows: aliases, each for a flow's UUID.
    :param search_indexes: aliases, each for a Search index's UUID.
    :param http_timeout: seconds before a request is given up.
    """

    conn_id: str
    client_id: str
    client_secret: str | None = field(repr=False)
    app_type: str = "client"
    refresh_tokens: tuple[str, ...] = field(default=(), repr=False)
    environment: str = "production"
    service_urls: Mapping[str, str] = field(default_factory=dict)
    ca_bundle: str | None = None
    collections: Mapping[str, str] = field(default_factory=dict)
    compute_endpoints: Mapping[str, str] = field(default_factory=dict)
    flows: Mapping[str, str] = field(default_factory=dict)
    search_indexes: Mapping[str, str] = field(default_factory=dict)
    http_timeout: float = DEFAULT_HTTP_TIMEOUT

    @property
    def identity_key(self) -> str:
        """A digest that is equal for connections that may share tokens; it reveals nothing."""
        parts = [
            self.client_id,
            self.client_secret,
            self.app_type,
            self.refresh_tokens,
            self.environment,
            sorted(self.service_urls.items()),
            self.ca_bundle,
            self.http_timeout,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def web_app_url(self) -> str:
        """Base URL of the web app, without a trailing slash."""
        return self.service_urls.get("app", WEB_APP_URL).rstrip("/")

    def collection_id(self, collection: str) -> str:
        """Return the UUID behind an alias or a UUID; another name is returned as it is."""
        name = self.collections.get(collection, collection)
        return name.lower() if is_uuid(name) else name

    @classmethod
    def from_connection(cls, conn_id: str, connection: Connection) -> ConnectionSettings:
        """
        Read a connection.

        :raises GlobusConfigError: naming the field that is missing or wrong, and the fix.
        """
        extra = connection.extra_dejson
        refresh_tokens = _refresh_tokens(conn_id, extra.get("refresh_token"))
        app_type = extra.get("app_type") or ("user" if refresh_tokens and not connection.password else "client")
        settings = cls(
            conn_id=conn_id,
            client_id=(connection.login or "").strip(),
            client_secret=connection.password or None,
            app_type=app_type,
            refresh_tokens=refresh_tokens,
            environment=extra.get("environment") or "production",
            service_urls=_service_urls(conn_id, extra.get("service_urls")),
            ca_bundle=extra.get("ca_bundle") or None,
            collections=_aliases(conn_id, "collections", extra.get("collections")),
            compute_endpoints=_aliases(conn_id, "compute_endpoints", extra.get("compute_endpoints")),
            flows=_aliases(conn_id, "flows", extra.get("flows")),
            search_indexes=_aliases(conn_id, "search_indexes", extra.get("search_indexes")),
            http_timeout=_timeout(conn_id, extra.get("http_timeout")),
        )
        settings._check()
        return settings

    def _check(self) -> None:
        if not is_uuid(self.client_id):
            raise GlobusConfigError(
                f"Connection {self.conn_id!r}: the client id (login) must be the UUID of a Globus app.",
                advice="Register one under https://app.globus.org/settings/developers and paste its client UUID.",
            )
        if self.app_type not in ("client", "user"):
            raise GlobusConfigError(
                f"Connection {self.conn_id!r}: app type {self.app_type!r} is unknown.",
                advice="Use 'client' (service account) or 'user' (refresh token).",
            )
        if self.app_type == "client" and not self.client_secret:
            raise GlobusConfigError(
                f"Connection {self.conn_id!r}: a service account needs its client secret (password).",
                advice="Add a secret to the app under https://app.globus.org/settings/developers.",
            )
        if self.app_type == "user" and not self.refresh_tokens:
            raise GlobusConfigError(
                f"Connection {self.conn_id!r}: app type 'user' needs a refresh token.",
                advice="Log in once, by `airflow globus login`: it prints the connection with its tokens.",
            )

    def check_files(self) -> None:
        """
        Look whether the files that the connection names are on this machine, which may be another than the worker's.

        :raises GlobusConfigError: naming the file, and the fix.
        """
        if self.ca_bundle and not Path(self.ca_bundle).is_file():
            raise GlobusConfigError(
                f"Connection {self.conn_id!r}: the file of its CA bundle, {self.ca_bundle}, is not on this machine.",
                advice="Put the file there, wherever DAGs run, or correct the field CA bundle.",
            )


def _json_object(conn_id: str, name: str, value: Any) -> dict[str, Any]:
    """Take an object as it is or as JSON text: the form and environment variables differ in this."""
    if not value:
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, dict):
        raise GlobusConfigError(
            f"Connection {conn_id!r}: {name} must be a JSON object.", advice='For example {"name": "value"}.'
        )
    return value


def _service_urls(conn_id: str, value: Any) -> dict[str, str]:
    urls = _json_object(conn_id, "service_urls", value)
    for service, url in urls.items():
        if service not in SERVICES:
            raise GlobusConfigError(
                f"Connection {conn_id!r}: service_urls names an unknown service {service!r}.",
                advice=f"Known are: {', '.join(SERVICES)}.",
            )
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise GlobusConfigError(
                f"Connection {conn_id!r}: the URL of service {service!r} must start with https:// or http://."
            )
    return urls


def _aliases(conn_id: str, name: str, value: Any) -> dict[str, str]:
    aliases = _json_object(conn_id, name, value)
    for alias, meant in aliases.items():
        if not is_uuid(meant):
            raise GlobusConfigError(
                f"Connection {conn_id!r}: alias {alias!r} in {name} must stand for a UUID, not {meant!r}.",
                advice="Find it with: airflow globus collections search WORDS." if name == "collections" else "",
            )
    return aliases


def _refresh_tokens(conn_id: str, value: Any) -> tuple[str, ...]:
    """Accept one token, a list, or an object of service and token (also as JSON text)."""
    if not value:
        return ()
    if isinstance(value, str):
        text = value.strip()
        if text[:1] not in "[{":
            return (text,)
        try:
            value = json.loads(text)
        except ValueError:
            value = None
    tokens = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(tokens, list) or not all(isinstance(token, str) and token for token in tokens):
        raise GlobusConfigError(
            f"Connection {conn_id!r}: refresh_token must be a token, or a JSON list or object of tokens."
        )
    return tuple(tokens)


def _timeout(conn_id: str, value: Any) -> float:
    if value in (None, ""):
        return DEFAULT_HTTP_TIMEOUT
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = 0.0
    if not 1 <= seconds <= 600:
        raise GlobusConfigError(f"Connection {conn_id!r}: http_timeout must be 1 to 600 seconds, not {value!r}.")
    return seconds
