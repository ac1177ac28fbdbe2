"""`GlobusSandbox`: a sandbox served over HTTP on loopback, from a thread of this process."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from starlette.middleware.trustedhost import TrustedHostMiddleware

from airflow_provider_globus.sandbox.app import build_app
from airflow_provider_globus.sandbox.auth.authorization import log_in
from airflow_provider_globus.sandbox.auth.state import DEFAULT_CLIENT_ID, Client
from airflow_provider_globus.sandbox.compute.state import DEFAULT_MEMORY_LIMIT_BYTES
from airflow_provider_globus.sandbox.loopback import LoopbackServer, listen, port_of, require_loopback
from airflow_provider_globus.sandbox.seed import Seed
from airflow_provider_globus.sandbox.tls import LoopbackAuthority
from airflow_provider_globus.sandbox.world import Settings, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from starlette.types import ASGIApp

    from airflow_provider_globus.sandbox.action_providers.base import ActionProvider
    from airflow_provider_globus.sandbox.auth.state import Identity
    from airflow_provider_globus.sandbox.clock import SandboxClock
    from airflow_provider_globus.sandbox.compute.amqp import ComputeAmqp
    from airflow_provider_globus.sandbox.compute.state import ComputeEndpoint
    from airflow_provider_globus.sandbox.faults import Faults
    from airflow_provider_globus.sandbox.flows.state import Flow
    from airflow_provider_globus.sandbox.groups.models import Group
    from airflow_provider_globus.sandbox.groups.state import GroupOptions
    from airflow_provider_globus.sandbox.journal import Entry, Journal
    from airflow_provider_globus.sandbox.search.models import Index
    from airflow_provider_globus.sandbox.transfer.state import Collection

# What the provider's connection calls the services …
_CONNECTION_SERVICES = ("auth", "transfer", "flows", "compute", "groups", "search", "timers", "app")
# … and the environment variables of the SDKs: Timers is ``TIMER`` in Python's and ``TIMERS`` in JavaScript's.
_SDK_SERVICES = ("AUTH", "TRANSFER", "FLOWS", "COMPUTE", "GROUPS", "SEARCH", "TIMER", "TIMERS", "APP")


class GlobusSandbox:
    """Globus on loopback.

    ::

        with GlobusSandbox() as globus:
            instrument = globus.add_collection("instrument", "/data/raw")
            os.environ["AIRFLOW_CONN_GLOBUS_DEFAULT"] = globus.connection

    :param port: 0 takes a free one.
    :param host: the address to listen on; loopback, unless `allow_non_loopback`.
    :param settings: how strict and how fast it is.
    :param seed: what it starts with: a YAML file or the same as a mapping (see `seed.py`).
    :param clock_scale: sandbox seconds in a real second.
    :param random_seed: makes ids and tokens the same in every run.
    :param on_request: told of every answered request.
    :param amqp_url: a broker (see `rabbitmq.py`), which real Compute endpoints and the SDK's ``Executor`` need.
    :param tls_port: where the same is served over TLS, for Connect Server and the data of collections; 0 takes a free
        one.
    :param ca_file: where the certificate of its authority is written, for clients to trust; a temporary file when left
        out.
    :param posix_folder: what POSIX storage gateways see as their file system; a temporary folder when left out.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        settings: Settings | None = None,
        seed: str | Path | Mapping[str, Any] | None = None,
        clock_scale: float = 1.0,
        random_seed: int | str | None = None,
        allow_non_loopback: bool = False,
        on_request: Callable[[Entry], None] | None = None,
        amqp_url: str | None = None,
        tls_port: int = 0,
        ca_file: str | Path | None = None,
        posix_folder: str | Path | None = None,
    ) -> None:
        if not allow_non_loopback:
            require_loopback(host)
        self._address = (host, port)
        self._any_host = allow_non_loopback
        self._on_request = on_request
        self._amqp_url = amqp_url
        self._amqp: ComputeAmqp | None = None
        self._tls_port = tls_port
        self._wanted_ca_file = ca_file
        self._authority: LoopbackAuthority | None = None
        self._servers: list[LoopbackServer] = []
        # Told when `connection` changes: the pytest fixture keeps an environment variable in step.
        self.on_connection_change: Callable[[], None] | None = None
        self.world = World(settings, clock_scale=clock_scale, random_seed=random_seed)
        if posix_folder is not None:
            self.world.connect_server.set_folder(posix_folder)
        if seed is not None:
            Seed.load(seed).apply(self.world)
        self.world.mark()

    # Running

    def start(self) -> GlobusSandbox:
        """Listen; returns once requests are answered."""
        if self._servers:
            raise RuntimeError("This sandbox is running already")
        host, port = self._address
        with contextlib.ExitStack() as opened:
            listener = opened.enter_context(listen(host, port))
            tls_listener = opened.enter_context(listen(host, self._tls_port))
            self._authority = LoopbackAuthority(host, self._wanted_ca_file)
            opened.pop_all()
        self.world.url = self.url_for(port_of(listener))
        self.world.tls_url = self.url_for(port_of(tls_listener), scheme="https")
        for one, context in ((listener, None), (tls_listener, self._authority.context)):
            # An app each: what a loop waits on must not be shared with another's.
            server = LoopbackServer(self._guarded(build_app(self.world, self._on_request)), one, context)
            self._servers.append(server)
            server.start()
        for server in self._servers:
            server.wait_until_ready()
        if self._amqp_url is not None:
            self._connect(self._amqp_url)
        return self

    def _connect(self, amqp_url: str) -> None:
        # Imported here: only who has a broker pays for a client of it.
        from airflow_provider_globus.sandbox.compute.amqp import ComputeAmqp

        self._amqp = ComputeAmqp(self.world.compute, amqp_url)
        try:
            self._amqp.start()
        except ConnectionError:
            self.stop()
            raise

    def stop(self) -> None:
        """End all tasks, close all connections and free the ports; a second call does nothing."""
        if not self._servers:
            return
        self.world.close()
        if self._amqp is not None:
            self._amqp.close()
        servers, self._servers = self._servers, []
        for server in servers:
            server.stop()
        for server in servers:
            server.join()
        if self._authority is not None:
            self._authority.close()
            self._authority = None

    def __enter__(self) -> GlobusSandbox:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _guarded(self, app: ASGIApp) -> ASGIApp:
        """Keep web pages out: a browser tricked into calling us (DNS rebinding) names its own host."""
        if self._any_host:
            return app
        host = self._address[0]
        return TrustedHostMiddleware(app, [host, f"[{host}]", "localhost", "127.0.0.1"], www_redirect=False)

    # Where it is, and how to reach it

    @property
    def url(self) -> str:
        """The one base URL of all services."""
        if not self.world.url:
            raise RuntimeError("The sandbox has no URL before it is started: use `with GlobusSandbox() as globus:`")
        return self.world.url

    @property
    def tls_url(self) -> str:
        """The same over TLS: where Connect Server is managed and collections are read and written over HTTPS."""
        if not self.world.tls_url:
            raise RuntimeError("The sandbox has no URL before it is started: use `with GlobusSandbox() as globus:`")
        return self.world.tls_url

    @property
    def ca_file(self) -> Path | None:
        """The certificate that clients of `tls_url` have to trust; unless it was named, None before the start."""
        if self._authority is not None:
            return self._authority.ca_file
        return None if self._wanted_ca_file is None else Path(self._wanted_ca_file)

    def url_for(self, port: int, *, scheme: str = "http") -> str:
        """Return the base URL this sandbox has on a port."""
        host = self._address[0]
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def client_id(self) -> str:
        """The id of the default client, the same in every sandbox."""
        return self._default_client.id

    @property
    def client_secret(self) -> str:
        """The secret of the default client; it opens nothing but sandboxes."""
        return self._default_client.secret or ""

    @property
    def _default_client(self) -> Client:
        client = self.world.auth.client(DEFAULT_CLIENT_ID)
        if client is None:
            raise RuntimeError("The default client is gone")
        return client

    @property
    def env(self) -> dict[str, str]:
        """Environment variables that lead any process with the Globus SDK or CLI here."""
        return {
            **{f"GLOBUS_SDK_SERVICE_URL_{service}": self.url for service in _SDK_SERVICES},
            # The SDK and the CLI put the path of the page that shows codes right behind it, without a slash.
            "GLOBUS_SDK_SERVICE_URL_AUTH": f"{self.url}/",
            **{
                f"{prefix}_CLIENT_{part}": value
                for prefix in ("GLOBUS", "GLOBUS_CLI")
                for part, value in (("ID", self.client_id), ("SECRET", self.client_secret))
            },
            **({"GLOBUS_SDK_VERIFY_SSL": str(self.ca_file)} if self.ca_file else {}),
        }

    @property
    def connection(self) -> str:
        """The Airflow connection (JSON) for the default client, with names for all that the sandbox holds."""
        return self.connection_for(self._default_client)

    def connection_for(self, client: Client, *, refresh_token: str | None = None) -> str:
        """Return the Airflow connection (JSON) for a client, or for a person's refresh token it holds."""
        extra: dict[str, Any] = {
            "service_urls": dict.fromkeys(_CONNECTION_SERVICES, self.url),
            "collections": {
                c.alias or c.name: c.id for c in self.world.transfer.collections.values() if c.kind != "endpoint"
            },
            "compute_endpoints": {e.alias or e.name: e.id for e in self.world.compute.endpoints.values()},
            "flows": {f.alias or f.title: f.id for f in self.world.flows.flows.values()},
            "search_indexes": {i.alias or i.display_name: i.id for i in self.world.search.indexes.values()},
        }
        if self.ca_file is not None:
            extra["ca_bundle"] = str(self.ca_file)
        if refresh_token is not None:
            extra |= {"app_type": "user", "refresh_token": refresh_token}
        document = {"conn_type": "globus", "login": client.id, "password": client.secret, "extra": extra}
        return json.dumps(document)

    # What it holds

    def add_collection(
        self,
        name: str,
        root: str | Path | None = None,
        *,
        kind: Literal["mapped", "guest", "personal"] = "mapped",
        host: Collection | str | None = None,
        base_path: str = "/",
        s3_endpoint_url: str | None = None,
        s3_access_key_id: str | None = None,
        s3_secret_access_key: str | None = None,
        high_assurance: bool = False,
        owner: str | None = None,
        writable: bool = True,
        alias: str | None = None,
        id: str | None = None,
        **more: Any,
    ) -> Collection:
        """Make a folder or an S3 bucket (``s3://bucket/prefix``) a collection.

        :param kind: ``mapped`` (needs a data_access consent), ``guest`` (on a `host` collection, at `base_path`) or
            ``personal`` (Globus Connect Personal).
        :param owner: id or username of the identity that owns it; the default client when left out.
        :param alias: the name DAGs may use for it; the collection's own name when left out.
        :param more: `public`, `default_directory` (see `TransferState.add_collection`).
        """
        collection = self.world.transfer.add_collection(
            name,
            root,
            kind=kind,
            host=host,
            base_path=base_path,
            s3_endpoint_url=s3_endpoint_url,
            s3_access_key_id=s3_access_key_id,
            s3_secret_access_key=s3_secret_access_key,
            high_assurance=high_assurance,
            owner=owner,
            writable=writable,
            alias=alias,
            id=id,
            **more,
        )
        self._changed()
        return collection

    def add_compute_endpoint(
        self,
        name: str,
        *,
        id: str | None = None,
        alias: str | None = None,
        folder: str | Path | None = None,
        workers: int = 2,
        owner: str | None = None,
        public: bool = False,
        allowed_functions: Iterable[str] | None = None,
        multi_user: bool = False,
        user_config_schema: Mapping[str, Any] | None = None,
        mpi: bool = False,
        online: bool = True,
        env: Mapping[str, str] | None = None,
        memory_limit_bytes: int | None = DEFAULT_MEMORY_LIMIT_BYTES,
        task_folders: bool = True,
    ) -> ComputeEndpoint:
        """Make a folder of this machine a Compute endpoint: functions sent there run, in processes of their own.

        :param alias: the name DAGs may use for it; its own name when left out.
        :param folder: the home of its functions, made when missing; a temporary one when left out.
        :param workers: how many tasks run at once.
        :param owner: id or username of the identity that owns it; the default client when left out.
        :param public: whether others may use it.
        :param allowed_functions: ids of the only functions it runs; all when left out.
        :param multi_user: whether it says that it serves many users.
        :param user_config_schema: JSON schema of the ``user_endpoint_config`` it takes; anything when left out.
        :param mpi: whether it runs MPI tasks, and only those: each needs a ``resource_specification``.
        :param online: whether it is there; `go_offline` and `go_online` of what is returned change it.
        :param env: more environment variables for its functions, which see none of this process's.
        :param memory_limit_bytes: a task that needs more is killed, as by a batch system; None is no limit.
        :param task_folders: whether each task runs in a folder of its own, ``tasks/<task id>`` below `folder`.
        """
        endpoint = self.world.compute.add_endpoint(
            name,
            id=id,
            alias=alias,
            folder=folder,
            workers=workers,
            owner=owner,
            public=public,
            allowed_functions=allowed_functions,
            multi_user=multi_user,
            user_config_schema=user_config_schema,
            mpi=mpi,
            online=online,
            env=env,
            memory_limit_bytes=memory_limit_bytes,
            task_folders=task_folders,
        )
        self._changed()
        return endpoint

    def add_flow(
        self,
        title: str,
        definition: Mapping[str, Any],
        *,
        input_schema: Mapping[str, Any] | None = None,
        id: str | None = None,
        alias: str | None = None,
        owner: str | None = None,
        viewers: Iterable[str] = (),
        starters: Iterable[str] = (),
        **more: Any,
    ) -> Flow:
        """Deploy a flow.

        :param definition: as for production; ValueError says what is wrong with it.
        :param input_schema: JSON schema of a run's input; anything when left out.
        :param alias: the name DAGs may use for it; its title when left out.
        :param owner: id or username of the identity that owns it; the default client when left out.
        :param viewers: who may see it: ids, usernames, URNs of groups, or ``public``.
        :param starters: who may run it, likewise, or ``all_authenticated_users``.
        :param more: `administrators`, `run_managers`, `run_monitors`, `subtitle`, `description`, `keywords`.
        """
        flow = self.world.flows.add_flow(
            title,
            definition,
            input_schema=input_schema,
            id=id,
            alias=alias,
            owner=owner,
            viewers=viewers,
            starters=starters,
            **more,
        )
        self._changed()
        return flow

    def add_action_provider(self, url: str, provider: ActionProvider | Callable[[dict[str, Any]], Any]) -> None:
        """Answer for an action provider that the sandbox does not know, or does otherwise.

        :param url: as flows name it.
        :param provider: an `ActionProvider`, or a function: it is given what a state sends, and what it returns are
            the action's details; an exception is the action's failure.
        """
        self.world.flows.add_action_provider(url, provider)

    def add_search_index(
        self,
        display_name: str,
        *,
        description: str = "",
        id: str | None = None,
        alias: str | None = None,
        owner: str | None = None,
        writers: Iterable[str] = (),
    ) -> Index:
        """Make a Search index.

        :param alias: the name DAGs may use for it; its own name when left out.
        :param owner: id or username of the identity that owns it; the default client when left out.
        :param writers: ids or usernames of identities that may put records in.
        """
        index = self.world.search.add_index(
            display_name, description=description, id=id, alias=alias, owner=owner, writers=writers
        )
        self._changed()
        return index

    def add_group(self, name: str, **more: Unpack[GroupOptions]) -> Group:
        """Make a group, which access rules, roles, flows, search indexes and functions may name.

        :param more: who is in it, its policies and so on (see `GroupsState.add_group`).
        """
        return self.world.groups.add_group(name, **more)

    def add_client(
        self,
        name: str,
        *,
        id: str | None = None,
        secret: str | None = None,
        public: bool = False,
        redirect_uris: Iterable[str] = (),
    ) -> Client:
        """Register another service account, or an app that people log in to.

        :param public: whether it is a native app, which keeps no secret.
        :param redirect_uris: where browsers may be sent after a login; of ``http://localhost``, any port.
        """
        uris = tuple(redirect_uris)
        return self.world.auth.add_client(name, id=id, secret=secret, public=public, redirect_uris=uris)

    def add_identity(self, username: str, *, id: str | None = None, **more: Any) -> Identity:
        """Make a person known, to share with or to act as."""
        return self.world.auth.add_identity(username, id=id, **more)

    def log_in(self, authorize_url: str, username: str, *, mfa: bool = False) -> str:
        """Do what a person does on the page that an app opens: log in, and allow what it asks for.

        :param authorize_url: of the page, such as ``oauth2_get_authorize_url()`` of the SDK's login clients returns.
        :param username: of the identity, or its id; ValueError says why it cannot give what is asked for.
        :param mfa: whether to log in with a second factor.
        :returns: the code, for which the app gets its tokens.
        """
        return log_in(self.world, authorize_url, username, mfa=mfa)

    @property
    def journal(self) -> Journal:
        """Every request answered."""
        return self.world.journal

    @property
    def clock(self) -> SandboxClock:
        """The sandbox's time."""
        return self.world.clock

    @property
    def faults(self) -> Faults:
        """Trouble to come."""
        return self.world.faults

    @property
    def settings(self) -> Settings:
        """How strict and how fast it is; may be changed at any time."""
        return self.world.settings

    def mark(self) -> None:
        """Make the present state the one `reset` goes back to."""
        self.world.mark()

    def reset(self) -> None:
        """Go back to what there was at the start (or at `mark`); files stay as they are."""
        self.world.reset()
        self._changed()

    def _changed(self) -> None:
        if self.on_connection_change is not None:
            self.on_connection_change()
