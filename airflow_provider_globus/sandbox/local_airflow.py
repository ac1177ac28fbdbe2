"""A real, private Airflow for demos, end-to-end tests and benchmarks: started, used, crashed and removed by one object.

    with LocalAirflow(dags="example_dags", connections={"globus_default": globus.connection}) as airflow:
        run_id = airflow.run_dag("instrument_to_archive", {"older_than_days": 0})
        print(airflow.url, airflow.api.task_instances("instrument_to_archive", run_id))

API server, scheduler (LocalExecutor), DAG processor and triggerer run as processes of their own on SQLite, in a
private AIRFLOW_HOME, on free loopback ports, with nothing of the caller's Airflow settings. Each can be killed and
restarted (`kill("triggerer")`, `start_component("triggerer")`), which is what crash tests do. Nothing outlives the
`with` block: not on an exception, not on Ctrl-C, not even when this process is killed (see `processes.Reaper`).

This module does not import Airflow, so it costs the caller nothing and cannot see the caller's own Airflow.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cryptography.fernet import Fernet

from airflow_provider_globus.sandbox.airflow_api import AirflowApi, AirflowApiError
from airflow_provider_globus.sandbox.processes import Reaper, SessionProcess

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

Component = Literal["api-server", "scheduler", "dag-processor", "triggerer"]
# -P: a module in the caller's working folder must not stand in for one that Airflow imports.
AIRFLOW = (sys.executable, "-P", "-m", "airflow")
COMPONENTS: tuple[Component, ...] = ("api-server", "scheduler", "dag-processor", "triggerer")

#: Settings that make short tasks quick; without them Airflow waits several seconds in three places.
FAST_PROFILE: dict[str, str] = {
    "AIRFLOW__CORE__PARALLELISM": "8",  # 32 idle workers are forked otherwise
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",  # how long a finished task may sit before it is reaped
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",  # a new DAG file goes unseen for 5 minutes otherwise
}


class LocalAirflowError(RuntimeError):
    """A component of the local Airflow could not be started or died; the message ends with its log."""


class LocalAirflow:
    """A private Airflow as a context manager.

    :param dags: folder with DAG files; `dags_folder` in the private home when not given (write files there).
    :param connections: Airflow connections by id, as JSON or URI; they reach Airflow as environment variables.
    :param profile: `"fast"` (see FAST_PROFILE) or `"default"`, Airflow's own settings.
    :param env: further environment variables of every component; the strongest of all settings.
    :param home: AIRFLOW_HOME to use and keep; a temporary folder, removed at the end, when not given.
    :param cache: folder that keeps a migrated database by Airflow version, so that the next start is faster.
    :param log_servers: also start the two servers for logs of remote workers. Everything is on one disk here, so
        logs show without them, and Airflow can bind them to all interfaces only.
    :param start_timeout: seconds until every component must be healthy.
    """

    def __init__(
        self,
        *,
        dags: Path | str | None = None,
        connections: Mapping[str, str] | None = None,
        profile: Literal["fast", "default"] = "fast",
        env: Mapping[str, str] | None = None,
        home: Path | str | None = None,
        cache: Path | str | None = None,
        log_servers: bool = False,
        start_timeout: float = 120.0,
    ) -> None:
        self.profile = profile
        self.cache = Path(cache).absolute() if cache else None
        self.log_servers = log_servers
        self.start_timeout = start_timeout
        self._given_home = Path(home).absolute() if home else None
        self._given_dags = Path(dags).absolute() if dags else None
        self._connections = dict(connections or {})
        self._extra_env = dict(env or {})
        self._started = contextlib.ExitStack()
        self._processes: dict[Component, SessionProcess] = {}
        self._started_at: dict[Component, datetime] = {}
        self.timings: dict[str, float] = {}

    # -- life -----------------------------------------------------------------------------------------------------

    def __enter__(self) -> LocalAirflow:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def start(self) -> LocalAirflow:
        """Start everything and wait until it is healthy."""
        try:
            self._prepare()
            with self._timed("database"):
                self._provide_database()
            with self._timed("healthy"):
                for component in COMPONENTS:
                    self.start_component(component, wait=False)
                self.wait_healthy()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Kill every process and remove a temporary home; may be called twice.

        There is no polite way first: the home is thrown away, and Airflow's own shutdown takes five seconds.
        """
        self._started.close()
        self._processes.clear()

    def _prepare(self) -> None:
        """Home, ports, environment; registered in the order in which they must be undone."""
        self._reaper = Reaper()
        self._started.callback(self._reaper.close)
        self.home = self._given_home or Path(tempfile.mkdtemp(prefix="local-airflow-"))
        if self._given_home is None:
            self._reaper.remove(self.home)
        self.dags_folder = self._given_dags or self.home / "dags"
        for folder in (self.home, self.dags_folder, self.home / "logs"):
            folder.mkdir(parents=True, exist_ok=True)
        self.port, self._worker_log_port, self._trigger_log_port = free_ports(3)
        self.env = self._environment()
        # Airflow writes a complete one when there is none, four components at the same time.
        (self.home / "airflow.cfg").touch()
        self.api = AirflowApi(self.url)
        self._started.callback(self.api.close)

    @contextlib.contextmanager
    def _timed(self, phase: str) -> Any:
        begin = time.monotonic()
        yield
        self.timings[phase] = time.monotonic() - begin

    # -- settings -------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Base address of the UI and the REST API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> Path:
        """The SQLite file of the metadata database."""
        return self.home / "airflow.db"

    @property
    def logs_folder(self) -> Path:
        """Where task logs, component logs and DAG processor logs are."""
        return self.home / "logs"

    def _environment(self) -> dict[str, str]:
        # Nothing of the caller's Airflow may leak in: it could name a production database.
        env = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW_")}
        env |= {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags_folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",  # getfqdn asks the name server
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.database}",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.logs_folder),
            "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(self.logs_folder / "dag_processor"),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(self._worker_log_port),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(self._trigger_log_port),
            "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
            "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1,localhost"])),
        }
        if self.profile == "fast":
            env |= FAST_PROFILE
        env |= {f"AIRFLOW_CONN_{name.upper()}": value for name, value in self._connections.items()}
        return env | self._extra_env

    # -- database -------------------------------------------------------------------------------------------------

    def _provide_database(self) -> None:
        if self.database.exists():
            self.airflow("db", "migrate")
            return
        template = self._template()
        if template is not None and template.exists():
            shutil.copyfile(template, self.database)
            return
        self.airflow("db", "migrate")
        if template is not None:
            self._keep_as(template)

    def _template(self) -> Path | None:
        if self.cache is None:
            return None
        return self.cache / f"airflow-{version('apache-airflow-core')}.db"

    def _keep_as(self, template: Path) -> None:
        """Copy the database, what is in its write-ahead log included, in one step that others may watch."""
        template.parent.mkdir(parents=True, exist_ok=True)
        unfinished = template.with_suffix(f".{os.getpid()}")
        with (
            contextlib.closing(sqlite3.connect(self.database)) as source,
            contextlib.closing(sqlite3.connect(unfinished)) as copy,
        ):
            source.backup(copy)
        unfinished.replace(template)

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of a read-only query on the metadata database, for what the REST API does not show."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            return database.execute(sql, values).fetchall()

    def trigger_rows(self) -> list[tuple[int, str, str]]:
        """Return the triggers of tasks deferred right now: id, class path and arguments as JSON text."""
        fernet = Fernet(self.env["AIRFLOW__CORE__FERNET_KEY"])

        def readable(arguments: str) -> str:
            # Airflow encrypts them on most ways into the database, not on all.
            return arguments if arguments.startswith("{") else fernet.decrypt(arguments.encode()).decode()

        return [
            (trigger_id, classpath, readable(arguments))
            for trigger_id, classpath, arguments in self.query("select id, classpath, kwargs from trigger")
        ]

    # -- components -----------------------------------------------------------------------------------------------

    def airflow(self, *arguments: str) -> str:
        """Run an `airflow` command in this Airflow and return its output."""
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [*AIRFLOW, *arguments],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            output = (done.stdout + done.stderr)[-3000:]
            raise LocalAirflowError(f"airflow {' '.join(arguments)} ended with {done.returncode}:\n{output}")
        return done.stdout

    def start_component(self, component: Component, *, wait: bool = True) -> None:
        """Start one component that is not running; `wait` until it is healthy."""
        argv = [*AIRFLOW, component]
        if component in ("scheduler", "triggerer") and not self.log_servers:
            argv.append("--skip-serve-logs")
        log_path = self.logs_folder / f"{component}.log"
        process = SessionProcess(component, argv, env=self.env, log_path=log_path)
        self._started_at[component] = datetime.now(UTC)
        session_id = process.start()
        self._reaper.watch(session_id)
        self._started.callback(self._end, process)
        self._processes[component] = process
        if wait:
            self.wait_healthy()

    def kill(self, component: Component, *, whole_session: bool = True) -> None:
        """SIGKILL a component and (by default) every process it started, as when its machine goes down."""
        self._processes[component].kill(whole_session=whole_session)

    def restart(self, component: Component) -> None:
        """SIGKILL a component and start it again."""
        self.kill(component)
        self.start_component(component)

    def component(self, component: Component) -> SessionProcess:
        """Return the process of a component: its pid, log, whether it is alive."""
        return self._processes[component]

    def _end(self, process: SessionProcess) -> None:
        process.kill()
        if process.pid is not None:
            self._reaper.forget(process.pid)

    def wait_healthy(self, timeout: float | None = None) -> None:
        """Wait until every component that was started reports healthy; one that dies is an error with its log."""
        limit = self.start_timeout if timeout is None else timeout

        def healthy() -> bool:
            for process in self._processes.values():
                if not process.alive:
                    raise LocalAirflowError(f"{process.name} ended:\n{process.log_tail()}")
            health = self.api.health()
            return all(self._is_up(component, health) for component in self._processes)

        try:
            self.api.wait_until("a healthy Airflow", healthy, limit)
        except AirflowApiError as error:
            raise LocalAirflowError(
                f"{error}: {self.api.health() or 'no answer'}; logs in {self.logs_folder}"
            ) from None

    def _is_up(self, component: Component, health: dict[str, dict[str, str | None]]) -> bool:
        if component == "api-server":
            return bool(health)
        part = health.get(component.replace("-", "_"), {})
        # A killed component counts as healthy for 30 more seconds: the heartbeat must be of the process we started.
        heartbeat = part.get(f"latest_{component.replace('-', '_')}_heartbeat")
        return part.get("status") == "healthy" and (
            heartbeat is not None and datetime.fromisoformat(heartbeat) >= self._started_at[component]
        )

    # -- shortcut -------------------------------------------------------------------------------------------------

    def run_dag(
        self, dag_id: str, conf: dict[str, Any] | None = None, *, wait: bool = True, timeout: float = 120.0
    ) -> str:
        """Unpause and trigger a DAG, wait for its end unless told otherwise, and return the run id."""
        self.api.wait_for_dag(dag_id)
        self.api.unpause(dag_id)
        run_id = self.api.trigger(dag_id, conf)
        if wait:
            self.api.wait_for_run(dag_id, run_id, timeout=timeout)
        return run_id


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nobody listens on, held together while they are chosen so that they differ."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
