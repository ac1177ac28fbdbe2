"""A RabbitMQ of our own: on loopback only, and with nothing left behind."""

from __future__ import annotations

import socket
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]
import pytest

from airflow_provider_globus.sandbox import rabbitmq
from airflow_provider_globus.sandbox.local_airflow import free_ports
from airflow_provider_globus.sandbox.rabbitmq import RabbitMQ, RabbitMQError
from tests.endpoint.conftest import processes_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.endpoint

# Runs a broker in the folder it is told, says so, and waits to be killed.
OWNER = """
import sys, time
from airflow_provider_globus.sandbox.rabbitmq import RabbitMQ
with RabbitMQ(sys.argv[1]) as broker:
    print(broker.url, flush=True)
    time.sleep(600)
"""


def test_it_listens_on_loopback_only(broker: RabbitMQ) -> None:
    processes = processes_of(broker.folder)
    assert {"beam.smp", "epmd"} <= {process.name() for process in processes}
    addresses = {
        connection.laddr.ip
        for process in processes
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses <= {"127.0.0.1", "::1"}
    assert stat.S_IMODE((broker.folder / "rabbitmq.conf").stat().st_mode) == 0o600


@pytest.mark.usefixtures("broker")
def test_it_dies_with_whoever_started_it(tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert owner.stdout.readline().startswith("amqp://")
    processes = processes_of(tmp_path)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert psutil.wait_procs(processes, timeout=20)[1] == []


def test_a_machine_without_it_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(rabbitmq, "_DEBIAN_SERVER", tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RabbitMQError, match="apt-get install rabbitmq-server"):
        RabbitMQ().start()


@pytest.mark.usefixtures("broker")
def test_a_failing_start_shows_its_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        # The node's own port, not the one that clients use: whoever listens there would look like a broker.
        ports = [*free_ports(1), taken.getsockname()[1], *free_ports(1)]
        monkeypatch.setattr(rabbitmq, "free_ports", lambda count: ports[:count])
        with (
            pytest.raises(RabbitMQError, match=r"(?s)ended while starting.*dist_port_already_used"),
            RabbitMQ(tmp_path),
        ):
            pass
    assert processes_of(tmp_path) == []
