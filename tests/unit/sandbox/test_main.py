"""The command line, as its own process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from airflow_provider_globus.sandbox.__main__ import main
from airflow_provider_globus.sandbox.local_airflow import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = [sys.executable, "-m", "airflow_provider_globus.sandbox"]
SECRET = "globus-sandbox-only-client-secret"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Serve until the block ends; gives the process and its URL."""
    process = subprocess.Popen([*COMMAND, "serve", *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("Globus sandbox ")
        yield process, first.split(" at ")[1].split()[0]
    finally:
        process.kill()
        process.wait()


def rest_of(process: subprocess.Popen[str]) -> str:
    """Return what a process still says until it ends; `communicate` would lose what `readline` read ahead."""
    assert process.stdout is not None
    output = process.stdout.read()
    process.wait(10)
    return output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serves_until_told_to_stop_and_logs_requests(number: signal.Signals) -> None:
    with serving("--port", "0") as (process, url):
        token = requests.post(
            f"{url}/v2/oauth2/token",
            data={"grant_type": "client_credentials", "scope": "openid"},
            auth=("5a4db0c5-0000-4000-8000-000000000001", SECRET),
            timeout=10,
        ).json()["access_token"]
        requests.get(f"{url}/v0.10/task_list", timeout=10)
        process.send_signal(number)
        output = rest_of(process)
    assert process.returncode == 0
    assert f"export GLOBUS_SDK_SERVICE_URL_TRANSFER={url}" in output
    assert "export AIRFLOW_CONN_GLOBUS_DEFAULT='{" in output
    assert " 200 auth     POST   /v2/oauth2/token" in output
    assert " 401 transfer GET    /v0.10/task_list  ClientError.AuthenticationFailed" in output
    assert token not in output
    assert output.rstrip().endswith("Globus sandbox stopped")


def test_print_env_can_be_evaluated_and_fits_the_server(tmp_path: Path) -> None:
    seed = tmp_path / "seed.yaml"
    seed.write_text("collections: [{name: It's data, alias: data, root: data}]\n")
    with serving("--port", "0", "--seed", str(seed), "--quiet") as (_, url):
        port = url.rsplit(":", 1)[1]
        printed = run("serve", "--port", port, "--seed", str(seed), "--print-env")
        assert printed.returncode == 0, printed.stderr
        shell = subprocess.run(
            ["/bin/sh", "-c", f"{printed.stdout}\nenv"], capture_output=True, text=True, check=True, env={}
        )
        collections = requests.get(f"{url}/_sandbox/state", timeout=10).json()["transfer"]["collections"]
    environment = dict(line.split("=", 1) for line in shell.stdout.splitlines() if "=" in line)
    assert environment["GLOBUS_SDK_SERVICE_URL_AUTH"] == f"{url}/"
    assert environment["GLOBUS_CLI_CLIENT_SECRET"] == SECRET
    data = next(item["id"] for item in collections if item["alias"] == "data")
    assert data in environment["AIRFLOW_CONN_GLOBUS_DEFAULT"]


def test_what_a_seed_makes_is_listed(tmp_path: Path) -> None:
    seed = tmp_path / "seed.yaml"
    seed.write_text("""
collections: [{name: Data, alias: data, root: data}]
compute_endpoints: [{name: HPC cluster, alias: hpc, folder: hpc}, {name: elsewhere}]
""")
    with serving("--port", "0", "--seed", str(seed)) as (process, url):
        endpoints = requests.get(f"{url}/_sandbox/state", timeout=10).json()["compute"]["endpoints"]
        process.send_signal(signal.SIGTERM)
        output = rest_of(process)
    hpc, elsewhere = endpoints
    assert "# collection data: " in output
    assert f"# Compute endpoint hpc: {hpc['id']} {tmp_path / 'hpc'}" in output
    assert f"# Compute endpoint elsewhere: {elsewhere['id']} {elsewhere['folder']}" in output
    assert not Path(elsewhere["folder"]).exists(), "a temporary folder goes with its sandbox"


def test_print_env_leaves_no_folder_behind(tmp_path: Path) -> None:
    seed = tmp_path / "seed.yaml"
    seed.write_text("compute_endpoints: [{name: elsewhere}]")
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [*COMMAND, "serve", "--port", "1", "--seed", str(seed), "--print-env"]
    subprocess.run(command, env=environment, capture_output=True, timeout=60, check=True)
    assert list(tmp_path.iterdir()) == [seed]


def test_print_env_needs_a_port() -> None:
    done = run("serve", "--port", "0", "--print-env")
    assert done.returncode == 2
    assert "needs a fixed --port" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--host", "0.0.0.0"), "--allow-non-loopback"),
        (("--seed", "/no/such/file.yaml"), "Cannot read the seed"),
        (("--clock-scale", "0"), "must be positive"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(arguments: tuple[str, ...], message: str) -> None:
    done = run("serve", "--port", "0", *arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_help_is_quick_to_say_what_there_is() -> None:
    assert "--print-env" in run("serve", "--help").stdout


def test_serve_names_a_broker_it_cannot_reach_without_its_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("GLOBUS_SANDBOX_AMQP_URL", f"amqp://me:hush@127.0.0.1:{port}/%2F")
    assert main(["serve", "--port", "0"]) == 1
    said = capsys.readouterr().err
    assert f"127.0.0.1:{port}" in said
    assert "hush" not in said
