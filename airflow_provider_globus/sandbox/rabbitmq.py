"""A private RabbitMQ for tests, benchmarks and demos: started and stopped by one object, on loopback, as any user.

    with RabbitMQ() as broker, GlobusSandbox(amqp_url=broker.url) as globus:
        ...

It is the machine's own `rabbitmq-server` (the Debian package, or any on the PATH), but a node apart from the one that
may run as a service: with its own data folder, name, ports, user and password. Nothing outlives the `with` block,
not even when this process is killed (see `processes.Reaper`).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_globus.sandbox.local_airflow import free_ports
from airflow_provider_globus.sandbox.processes import Reaper, SessionProcess

if TYPE_CHECKING:
    from types import TracebackType

# Where Debian keeps the program itself. The one on its PATH changes to the user `rabbitmq`, and refuses all but root.
_DEBIAN_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
# Erlang's port mapper would stay behind as a daemon; started here, it belongs to the session and dies with it.
_COMMAND = 'epmd -address 127.0.0.1 -port "$ERL_EPMD_PORT" & exec "$0"'
_USER = "sandbox"
_STOP_SECONDS = 20.0


class RabbitMQError(RuntimeError):
    """RabbitMQ is missing, could not be started or died; the message says what to do, or ends with its log."""


def find_rabbitmq() -> Path | None:
    """Return the program that starts RabbitMQ, or None when the machine has none."""
    if _DEBIAN_SERVER.exists():
        return _DEBIAN_SERVER
    found = shutil.which("rabbitmq-server")
    return Path(found) if found else None


class RabbitMQ:
    """A RabbitMQ of our own, as a context manager; `stop` and `start` again keep its address and its queues.

    :param folder: where its data and log are, kept; a temporary folder, removed at the end, when not given.
    :param start_timeout: seconds until it must take connections.
    """

    def __init__(self, folder: Path | str | None = None, *, start_timeout: float = 60.0) -> None:
        self._given_folder = Path(folder).absolute() if folder else None
        self._start_timeout = start_timeout
        self._password = secrets.token_urlsafe(24)
        self._ports: list[int] = []
        self._process: SessionProcess | None = None
        self._open = contextlib.ExitStack()

    @property
    def url(self) -> str:
        """Its AMQP URL, with the password: keep it out of logs."""
        if not self._ports:
            raise RuntimeError("The broker has no URL before it is started: use `with RabbitMQ() as broker:`")
        return f"amqp://{_USER}:{self._password}@127.0.0.1:{self._ports[0]}/%2F"

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.alive

    def __enter__(self) -> RabbitMQ:
        """Start."""
        try:
            return self.start()
        except BaseException:
            self._open.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and remove a temporary folder."""
        self.stop()
        self._open.close()

    def start(self) -> RabbitMQ:
        """Start the broker and wait until it takes connections."""
        if self.running:
            raise RuntimeError("This broker is running already")
        server = find_rabbitmq()
        if server is None or shutil.which("epmd") is None:
            raise RabbitMQError(
                "There is no RabbitMQ on this machine: install it (Debian: apt-get install rabbitmq-server), "
                "or give the sandbox the amqp_url of a broker you have"
            )
        if not self._ports:
            self._prepare()
        self._process = SessionProcess(
            "rabbitmq", ["/bin/sh", "-c", _COMMAND, str(server)], env=self._environment(), log_path=self.folder / "log"
        )
        self._reaper.watch(self._process.start())
        try:
            self._wait_ready(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Shut the broker down in order, then by force; a second call does nothing."""
        process, self._process = self._process, None
        if process is None or process.pid is None:
            return
        process.terminate(_STOP_SECONDS)
        process.kill()
        self._reaper.forget(process.pid)

    def _prepare(self) -> None:
        """Make what outlives a stop: folder, configuration and ports; closed in the reverse order."""
        self._reaper = Reaper()
        self._open.callback(self._reaper.close)
        self.folder = self._given_folder or Path(tempfile.mkdtemp(prefix="sandbox-rabbitmq-"))
        if self._given_folder is None:
            self._reaper.remove(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._ports = free_ports(3)
        configuration = self.folder / "rabbitmq.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self._ports[0]}\n"
            f"default_user = {_USER}\n"
            f"default_pass = {self._password}\n"
            "log.file = false\n"
            "log.console = true\n"
            "log.console.level = warning\n"
        )
        (self.folder / "enabled_plugins").write_text("[].\n")

    def _environment(self) -> dict[str, str]:
        """Return the whole environment: nothing of the machine's own broker or of the caller is in it."""
        amqp, distribution, mapper = self._ports
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),  # where Erlang keeps the cookie that lets nodes talk
            "LANG": "C.UTF-8",
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_NODENAME": f"sandbox-{amqp}@localhost",
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_CRASH_DUMP_BYTES": "0",  # it would go to the caller's working folder
            "ERL_EPMD_PORT": str(mapper),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def _wait_ready(self, process: SessionProcess) -> None:
        """Wait for the port: RabbitMQ opens it as the last thing of its start."""
        deadline = time.monotonic() + self._start_timeout
        while process.alive:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._ports[0]), timeout=1):
                return
            if time.monotonic() > deadline:
                raise RabbitMQError(
                    f"RabbitMQ did not start within {self._start_timeout:g} seconds; the end of its log:\n"
                    f"{process.log_tail()}"
                )
            time.sleep(0.05)
        raise RabbitMQError(f"RabbitMQ ended while starting; the end of its log:\n{process.log_tail()}")
