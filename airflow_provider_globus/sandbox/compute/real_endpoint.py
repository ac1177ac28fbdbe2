"""A real, unmodified `globus-compute-endpoint` that registers with a sandbox: configured, started and stopped.

    with RabbitMQ() as broker, GlobusSandbox(amqp_url=broker.url) as globus, RealEndpoint(globus, command) as endpoint:
        ...  # submit to endpoint.id

The package pins other versions than Airflow, so it lives in an environment of its own, of which this module needs to
know only the command. The endpoint runs as the user who runs the sandbox, root included: there is no mapping of
identities to local users, so it runs the tasks of the identity that registered it and refuses all others.

The client inside knows one local service only, ``http://localhost:5000``. It honours `http_proxy`, so the sandbox is
made its proxy and gets these requests on whatever port it has.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import psutil  # type: ignore[import-untyped]
import yaml

from airflow_provider_globus.sandbox.processes import Reaper, SessionProcess

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from airflow_provider_globus.sandbox.server import GlobusSandbox

Engine = Literal["GlobusComputeEngine", "ProcessPoolEngine", "ThreadPoolEngine"]

COMMAND = "globus-compute-endpoint"
# What every process of an endpoint has in its environment, whatever session or group it moves to.
_MARK = "GLOBUS_COMPUTE_USER_DIR"
_USER_CONFIG_SCHEMA = {"type": "object", "properties": {"workers": {"type": "integer", "minimum": 1}}}
# The least that the endpoint takes: three missed heartbeats make it offline.
_HEARTBEAT_SECONDS = 5
_STOP_SECONDS = 30.0
_TASKS_OF_A_WORKER = 10_000


class RealEndpointError(RuntimeError):
    """The endpoint is not installed, did not come online or died; the message ends with its log."""


class RealEndpoint:
    """A real endpoint as a context manager.

    :param globus: a running sandbox with an `amqp_url`; its default client registers and owns the endpoint.
    :param command: the program ``globus-compute-endpoint``; the one on the PATH when not given.
    :param name: its name, by which Compute knows it too.
    :param folder: where its configuration, logs and tasks are, kept; a temporary folder, removed at the end, when
        not given.
    :param engine: what runs the tasks. ``GlobusComputeEngine`` (Parsl) is what sites use, takes some seconds to its
        first result and gives each task a folder of its own; ``ProcessPoolEngine`` is there at once, and a worker
        that dies ends it.
    :param workers: tasks that run at once; a submission's ``user_endpoint_config`` may say ``{"workers": 1}``.
    :param env: environment variables of the user endpoint and its workers.
    :param start_timeout: seconds until it must be online.
    """

    def __init__(
        self,
        globus: GlobusSandbox,
        command: Path | str | None = None,
        *,
        name: str = "sandbox",
        folder: Path | str | None = None,
        engine: Engine = "GlobusComputeEngine",
        workers: int = 2,
        env: Mapping[str, str] | None = None,
        start_timeout: float = 60.0,
    ) -> None:
        self._globus = globus
        self._command = command
        self.name = name
        self._given_folder = Path(folder).absolute() if folder else None
        self.engine = engine
        self.workers = workers
        self._env = dict(env or {})
        self._start_timeout = start_timeout
        self._process: SessionProcess | None = None
        self._prepared = False
        self._open = contextlib.ExitStack()

    def __enter__(self) -> RealEndpoint:
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

    @property
    def id(self) -> str:
        """The id Compute gave it."""
        return str(json.loads((self._settings_folder / "endpoint.json").read_text())["endpoint_id"])

    @property
    def pids(self) -> list[int]:
        """Process ids of everything that belongs to it: the endpoint, user endpoints, managers and workers."""
        return [process.pid for process in self._members()]

    def start(self) -> RealEndpoint:
        """Register, start and wait until Compute calls it online; again after a `stop`, it is the same endpoint."""
        if self._process is not None and self._process.alive:
            raise RuntimeError("This endpoint is running already")
        program = self._program()
        if not self._prepared:
            self._prepare(program)
        self._forget_last_life()
        self._process = SessionProcess(
            self.name,
            [str(program), "start", self.name],
            env=self._environment(program),
            log_path=self.folder / "log",
        )
        self._reaper.watch(self._process.start())
        try:
            self._wait_online(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop it in order (its workers end, Compute hears of it), then by force; a second call does nothing."""
        process, self._process = self._process, None
        if process is None or process.pid is None:
            return
        # To the endpoint alone: it tells the others, in the order that leaves none behind.
        process.terminate(_STOP_SECONDS)
        self._kill_all()
        process.kill()
        self._reaper.forget(process.pid)

    def kill(self) -> None:
        """SIGKILL everything that belongs to it, as when a machine goes down: Compute hears nothing."""
        process, self._process = self._process, None
        if process is None or process.pid is None:
            return
        self._kill_all()
        process.kill()
        self._reaper.forget(process.pid)

    def _kill_all(self) -> None:
        """SIGKILL every member, until none is left (one may fork while we look)."""
        deadline = time.monotonic() + _STOP_SECONDS
        while (members := self._members()) and time.monotonic() < deadline:
            for member in members:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()
            psutil.wait_procs(members, timeout=0.5)

    def _members(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                # A zombie has no environment any more.
                if process.environ().get(_MARK) == str(self._state_folder):
                    found.append(process)
        return found

    def _program(self) -> Path:
        found = shutil.which(str(self._command or COMMAND))
        if found is None:
            raise RealEndpointError(
                f"There is no {self._command or COMMAND}: install the package globus-compute-endpoint in an "
                "environment of its own and pass the path of its command"
            )
        return Path(found).absolute()

    @property
    def _state_folder(self) -> Path:
        return self.folder / "globus_compute"

    @property
    def _settings_folder(self) -> Path:
        return self._state_folder / self.name

    def _prepare(self, program: Path) -> None:
        """Write what ``globus-compute-endpoint configure`` would, for an endpoint of a sandbox."""
        self._reaper = Reaper()
        self._open.callback(self._reaper.close)
        folder = self._given_folder or Path(tempfile.mkdtemp(prefix="sandbox-endpoint-"))
        if self._given_folder is None:
            self._reaper.remove(folder)
        self.folder = folder
        self._settings_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._write("config.yaml", _yaml(self._configuration()))
        self._write("user_config_template.yaml.j2", self._user_template())
        self._write("user_config_schema.json", json.dumps(_USER_CONFIG_SCHEMA))
        self._write("user_environment.yaml", _yaml(self._user_environment(program)))
        self._prepared = True

    def _forget_last_life(self) -> None:
        """Clear away what a killed one left: it looks alive, to itself and to Compute, until heartbeats are missed."""
        for pid_file in self._state_folder.glob("*/daemon.pid"):
            pid_file.unlink()
        with contextlib.suppress(OSError):
            known = self._globus.world.compute.endpoints.get(self.id)
            if known is not None:
                known.go_offline()
            else:  # a folder that was used with another sandbox
                (self._settings_folder / "endpoint.json").unlink()

    def _write(self, name: str, text: str) -> None:
        (self._settings_folder / name).write_text(text)

    def _configuration(self) -> dict[str, Any]:
        return {
            "display_name": self.name,
            "email": "nobody@localhost",  # root has to name one
            "local_compute_services": True,
            "environment": "local",
            "heartbeat_period": _HEARTBEAT_SECONDS,
        }

    def _user_template(self) -> str:
        """Return the Jinja template of the configuration of user endpoints."""
        workers = f"{{{{ workers | default({self.workers}) }}}}"
        engine: dict[str, Any] = {"type": self.engine}
        if self.engine == "GlobusComputeEngine":
            engine |= {
                "run_in_sandbox": True,
                "max_workers_per_node": workers,
                "address": "127.0.0.1",
                "heartbeat_period": 1,  # how often Parsl looks whether all workers live; half a minute otherwise
                # How often Parsl looks whether there is work to start workers for.
                "job_status_kwargs": {"strategy_period": 0.5},
                "provider": {"type": "LocalProvider", "init_blocks": 1, "min_blocks": 1, "max_blocks": 1},
            }
        else:
            engine["max_workers"] = workers
        if self.engine == "ProcessPoolEngine":
            # Python then spawns the workers. Forks of the endpoint, which has threads, hang now and then.
            engine["max_tasks_per_child"] = _TASKS_OF_A_WORKER
        document = _yaml({"heartbeat_period": _HEARTBEAT_SECONDS, "engine": engine})
        return document.replace(f"'{workers}'", workers)  # a number, once it is rendered

    def _user_environment(self, program: Path) -> dict[str, str]:
        """Return the environment of user endpoints. Root's begins empty; for others what is not theirs is emptied."""
        return {
            "PATH": self._path(program),
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "CWD": str(self.folder),
            _MARK: str(self._state_folder),
            "SPT_NOENV": "1",
            "http_proxy": "",
            "GLOBUS_COMPUTE_CLIENT_ID": "",
            "GLOBUS_COMPUTE_CLIENT_SECRET": "",
            **self._env,
        }

    def _environment(self, program: Path) -> dict[str, str]:
        """Return the whole environment of the endpoint: nothing of the caller's is in it."""
        service_urls = {name: value for name, value in self._globus.env.items() if "SERVICE_URL" in name}
        return {
            **service_urls,
            "PATH": self._path(program),
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            _MARK: str(self._state_folder),
            "SPT_NOENV": "1",  # setproctitle would overwrite the environment that `_members` looks at
            "http_proxy": self._globus.url,
            "GLOBUS_COMPUTE_CLIENT_ID": self._globus.client_id,
            "GLOBUS_COMPUTE_CLIENT_SECRET": self._globus.client_secret,
        }

    @staticmethod
    def _path(program: Path) -> str:
        # The endpoint starts its own programs by name.
        return f"{program.parent}:{os.defpath}:/usr/local/bin"

    def _wait_online(self, process: SessionProcess) -> None:
        deadline = time.monotonic() + self._start_timeout
        while process.alive:
            with contextlib.suppress(OSError, ValueError, KeyError):
                if self._globus.world.compute.endpoints[self.id].online:
                    return
            if time.monotonic() > deadline:
                raise RealEndpointError(
                    f"The endpoint {self.name!r} was not online within {self._start_timeout:g} seconds; the end of "
                    f"its log:\n{self._log_tail(process)}"
                )
            time.sleep(0.05)
        raise RealEndpointError(
            f"The endpoint {self.name!r} ended while starting; the end of its log:\n{self._log_tail(process)}"
        )

    def _log_tail(self, process: SessionProcess) -> str:
        log = self._settings_folder / "endpoint.log"
        own = log.read_text(errors="replace").splitlines()[-30:] if log.exists() else []
        return "\n".join([process.log_tail(), *own])


def _yaml(document: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump(dict(document), sort_keys=False))
