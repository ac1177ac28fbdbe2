"""The server: starting, stopping, many clients, the limits it keeps and what it says about what it lacks."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import globus_sdk
import pytest
import requests
from globus_sdk.transport import RetryConfig

from airflow_provider_globus.sandbox import GlobusSandbox
from airflow_provider_globus.sandbox.world import Settings

if TYPE_CHECKING:
    from pathlib import Path

TRANSFER_ALL = str(globus_sdk.TransferClient.scopes.all)
NO_RETRY = RetryConfig(max_retries=0)


def token_of(sandbox: GlobusSandbox, client_id: str | None = None, secret: str | None = None) -> str:
    client = globus_sdk.ConfidentialAppAuthClient(
        client_id or sandbox.client_id, secret or sandbox.client_secret, base_url=sandbox.url
    )
    answer = client.oauth2_client_credentials_tokens(requested_scopes=TRANSFER_ALL)
    return str(answer["access_token"])


def transfer_of(sandbox: GlobusSandbox, token: str | None = None) -> globus_sdk.TransferClient:
    authorizer = globus_sdk.AccessTokenAuthorizer(token or token_of(sandbox))
    return globus_sdk.TransferClient(authorizer=authorizer, base_url=sandbox.url, retry_config=NO_RETRY)


# Starting and stopping


def test_stops_though_a_client_keeps_its_connection() -> None:
    sandbox = GlobusSandbox().start()
    with requests.Session() as kept_open:
        kept_open.get(f"{sandbox.url}/_sandbox/health", timeout=10)
        sandbox.stop()
        with pytest.raises(requests.ConnectionError):
            kept_open.get(f"{sandbox.url}/_sandbox/health", timeout=10)


def test_stopping_frees_the_port_and_the_thread() -> None:
    with GlobusSandbox() as sandbox:
        port = int(sandbox.url.rsplit(":", 1)[1])
        assert any(thread.name == f"globus-sandbox-{port}" for thread in threading.enumerate())
    assert not any(thread.name == f"globus-sandbox-{port}" for thread in threading.enumerate())
    with GlobusSandbox(port=port) as again:
        assert again.url.endswith(f":{port}")
    sandbox.stop()


def test_stops_while_an_answer_is_delayed() -> None:
    sandbox = GlobusSandbox().start()
    sandbox.faults.add(delay_seconds=60)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(requests.get, f"{sandbox.url}/v0.10/task_list", timeout=30)
        while not any(fault["struck"] for fault in sandbox.faults.as_list()):
            pass
        sandbox.stop()
        assert isinstance(waiting.exception(5), requests.ConnectionError)


def test_stops_while_a_handler_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    entered, leave = threading.Event(), threading.Event()

    def busy() -> dict[str, str]:
        entered.set()
        leave.wait(30)
        return {}

    sandbox = GlobusSandbox().start()
    monkeypatch.setattr(sandbox.world, "snapshot", busy)
    try:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(requests.get, f"{sandbox.url}/_sandbox/state", timeout=30)
            assert entered.wait(10)
            sandbox.stop()
            assert isinstance(waiting.exception(5), requests.ConnectionError)
    finally:
        leave.set()


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            GlobusSandbox(port=port).start()


def test_is_started_once_and_has_no_url_before() -> None:
    sandbox = GlobusSandbox()
    with pytest.raises(RuntimeError, match="before it is started"):
        _ = sandbox.url
    with sandbox, pytest.raises(RuntimeError, match="running already"):
        sandbox.start()


def test_ten_sandboxes_in_one_process_are_independent() -> None:
    sandboxes = [GlobusSandbox().start() for _ in range(10)]
    try:
        token = token_of(sandboxes[0])
        transfer_of(sandboxes[0], token).get_submission_id()
        for other in sandboxes[1:]:
            with pytest.raises(globus_sdk.TransferAPIError):
                transfer_of(other, token).get_submission_id()
        assert [sandbox.journal.count("auth") for sandbox in sandboxes] == [1] + [0] * 9
    finally:
        for sandbox in sandboxes:
            sandbox.stop()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "no-such-host.invalid"])
def test_listens_on_loopback_only_unless_told(host: str) -> None:
    with pytest.raises(ValueError, match="allow_non_loopback") as caught:
        GlobusSandbox(host=host)
    assert "control plane takes no credentials" in str(caught.value)


def test_listens_elsewhere_when_told() -> None:
    with GlobusSandbox(host="0.0.0.0", allow_non_loopback=True) as sandbox:
        port = sandbox.url.rsplit(":", 1)[1]
        assert requests.get(f"http://127.0.0.1:{port}/_sandbox/health", timeout=10).ok


def test_a_web_page_that_rebinds_its_name_gets_nowhere(globus_sandbox: GlobusSandbox) -> None:
    url = f"{globus_sandbox.url}/_sandbox/state"
    assert requests.get(url, headers={"Host": "evil.example:80"}, timeout=10).status_code == 400
    assert requests.get(url, headers={"Host": "localhost"}, timeout=10).status_code == 200


# Many clients


def test_two_hundred_clients_at_once(globus_sandbox: GlobusSandbox) -> None:
    globus_sandbox.settings.rate_limit_per_second = None
    token = token_of(globus_sandbox)
    ready = threading.Barrier(200)

    def ask() -> int:
        client = transfer_of(globus_sandbox, token)
        ready.wait(30)
        return sum(len(client.get_submission_id()["value"]) for _ in range(5))

    with ThreadPoolExecutor(200) as pool:
        results = list(pool.map(lambda _: ask(), range(200)))
    assert results == [5 * 36] * 200
    assert globus_sandbox.journal.count("transfer", "GET", "/v0.10/submission_id") == 1000


def test_connections_are_kept_alive(globus_sandbox: GlobusSandbox) -> None:
    with requests.Session() as session:
        ports = set()
        for _ in range(3):
            with session.get(f"{globus_sandbox.url}/_sandbox/health", stream=True, timeout=10) as response:
                connection = response.raw._connection
                assert connection is not None
                ports.add(connection.sock.getsockname())
                response.json()
    assert len(ports) == 1


# Limits


def test_the_rate_limit_meters_ten_seconds_and_says_when_to_come_back(globus_sandbox: GlobusSandbox) -> None:
    globus_sandbox.settings.rate_limit_per_second = 2
    globus_sandbox.clock.freeze()
    client = transfer_of(globus_sandbox)
    for _ in range(20):
        client.get_submission_id()
    globus_sandbox.clock.advance(4)
    with pytest.raises(globus_sdk.TransferAPIError) as caught:
        client.get_submission_id()
    assert caught.value.http_status == 429
    assert caught.value.headers["Retry-After"] == "6"
    globus_sandbox.clock.advance(6)
    client.get_submission_id()


def test_a_reset_forgives_the_rate_limit(globus_sandbox: GlobusSandbox) -> None:
    for _ in range(2):
        globus_sandbox.settings.rate_limit_per_second = 0.1
        transfer = transfer_of(globus_sandbox)
        transfer.get_submission_id()
        with pytest.raises(globus_sdk.TransferAPIError):
            transfer.get_submission_id()
        globus_sandbox.reset()


def test_the_rate_limit_is_for_each_identity_and_not_for_auth(globus_sandbox: GlobusSandbox) -> None:
    globus_sandbox.settings.rate_limit_per_second = 0.1
    globus_sandbox.clock.freeze()
    other = globus_sandbox.add_client("other")
    first = transfer_of(globus_sandbox)
    second = transfer_of(globus_sandbox, token_of(globus_sandbox, other.id, other.secret))
    first.get_submission_id()
    with pytest.raises(globus_sdk.TransferAPIError):
        first.get_submission_id()
    second.get_submission_id()
    for _ in range(5):
        token_of(globus_sandbox)


# What it does not serve


@pytest.mark.parametrize(
    ("method", "path", "service"),
    [
        ("GET", "/runs/1/secrets", "flows"),
        ("GET", "/jobs/", "timers"),
        ("GET", "/v3/containers", "compute"),
        ("GET", "/v2/groups/1/secrets", "groups"),
        ("GET", "/v1/index/1/statistics", "search"),
        ("GET", "/api/lan_secrets", "connect_server"),
        ("POST", "/v2/api/clients/1/fqdns", "auth"),
    ],
)
def test_what_is_not_served_says_so(globus_sandbox: GlobusSandbox, method: str, path: str, service: str) -> None:
    response = requests.request(method, f"{globus_sandbox.url}{path}", timeout=10)
    assert response.status_code == 501
    assert f"The Globus sandbox does not serve {method} {path} yet" in response.text
    assert globus_sandbox.journal.requests(service)[-1].code == "NotServed"


def test_the_sdk_reads_a_501_of_flows(globus_sandbox: GlobusSandbox) -> None:
    client = globus_sdk.FlowsClient(authorizer=globus_sdk.NullAuthorizer(), retry_config=NO_RETRY)
    with pytest.raises(globus_sdk.FlowsAPIError) as caught:
        client.get("/flows/1/statistics")
    assert (caught.value.http_status, caught.value.code) == (501, "NotServed")
    assert "does not serve GET /flows/1/statistics yet" in str(caught.value.message)


def test_an_unknown_path_is_no_service_at_all(globus_sandbox: GlobusSandbox) -> None:
    response = requests.get(f"{globus_sandbox.url}/nonsense", timeout=10)
    assert response.status_code == 404
    assert "belongs to no Globus service" in response.json()["message"]


def test_another_method_may_be_one_that_globus_has(globus_sandbox: GlobusSandbox) -> None:
    response = requests.delete(f"{globus_sandbox.url}/v0.10/task_list", timeout=10)
    assert (response.status_code, response.json()["code"]) == (501, "NotServed")
    assert response.json()["message"].endswith("does not serve DELETE /v0.10/task_list yet, but GET")


def test_an_error_in_a_handler_is_a_500_that_shows_in_the_log(
    globus_sandbox: GlobusSandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise RuntimeError("a bug of the sandbox")

    monkeypatch.setattr(globus_sandbox.world, "snapshot", broken)
    response = requests.get(f"{globus_sandbox.url}/_sandbox/state", timeout=10)
    assert (response.status_code, response.json()["code"]) == (500, "InternalError")
    assert "a bug of the sandbox" in caplog.text


# Where it is


def test_env_leads_an_sdk_process_here(globus_sandbox: GlobusSandbox, tmp_path: Path) -> None:
    program = """
import os
from globus_sdk import ClientApp, GlobusAppConfig, TransferClient
app = ClientApp(
    "t",
    client_id=os.environ["GLOBUS_CLIENT_ID"],
    client_secret=os.environ["GLOBUS_CLIENT_SECRET"],
    config=GlobusAppConfig(token_storage="memory"),
)
print(TransferClient(app=app).get_submission_id()["value"])
"""
    environment = {"PATH": "/usr/bin", "HOME": str(tmp_path), **globus_sandbox.env}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert len(done.stdout.strip()) == 36
    assert globus_sandbox.journal.count("transfer") == 1


def test_the_connection_names_services_and_collections(globus_sandbox: GlobusSandbox, tmp_path: Path) -> None:
    named = globus_sandbox.add_collection("By name", tmp_path)
    aliased = globus_sandbox.add_collection("By alias", tmp_path, alias="short")
    connection = json.loads(globus_sandbox.connection)
    assert connection["conn_type"] == "globus"
    assert connection["login"] == globus_sandbox.client_id
    assert connection["password"] == globus_sandbox.client_secret
    assert set(connection["extra"]["service_urls"].values()) == {globus_sandbox.url}
    assert connection["extra"]["collections"] == {"By name": named.id, "short": aliased.id}
    assert connection["extra"]["compute_endpoints"] == {}
    cluster = globus_sandbox.add_compute_endpoint("Cluster", folder=tmp_path)
    mpi = globus_sandbox.add_compute_endpoint("Cluster", folder=tmp_path, alias="mpi", mpi=True)
    connection = json.loads(globus_sandbox.connection)
    assert connection["extra"]["compute_endpoints"] == {"Cluster": cluster.id, "mpi": mpi.id}


def test_connections_for_others(globus_sandbox: GlobusSandbox) -> None:
    other = globus_sandbox.add_client("other")
    connection = json.loads(globus_sandbox.connection_for(other, refresh_token="r"))
    assert (connection["login"], connection["password"]) == (other.id, other.secret)
    assert connection["extra"]["app_type"] == "user"
    assert connection["extra"]["refresh_token"] == "r"


# Starting over


def test_reset_goes_back_to_the_mark(tmp_path: Path) -> None:
    with GlobusSandbox(settings=Settings(task_seconds=5), seed={"identities": [{"username": "a@x.org"}]}) as sandbox:
        before = sandbox.world.snapshot()
        token = token_of(sandbox)
        sandbox.add_collection("c", tmp_path)
        sandbox.add_compute_endpoint("e", folder=tmp_path)
        sandbox.add_identity("b@x.org")
        sandbox.world.auth.revoke_secret(sandbox.client_id)
        sandbox.settings.task_seconds = 7
        sandbox.faults.add(status=503)
        sandbox.clock.advance(1e6)
        sandbox.reset()
        after = sandbox.world.snapshot()
        assert {**after, "time": None} == {**before, "time": None}
        assert sandbox.journal.entries == []
        with pytest.raises(globus_sdk.TransferAPIError):
            transfer_of(sandbox, token).get_submission_id()
        assert token_of(sandbox)


def test_mark_moves_what_reset_goes_back_to(globus_sandbox: GlobusSandbox) -> None:
    with GlobusSandbox() as sandbox:
        sandbox.add_identity("kept@x.org")
        sandbox.mark()
        sandbox.add_identity("lost@x.org")
        sandbox.reset()
        assert sandbox.world.auth.identity_by_username("kept@x.org")
        assert sandbox.world.auth.identity_by_username("lost@x.org") is None


def test_a_random_seed_repeats_ids_also_after_a_reset() -> None:
    with GlobusSandbox(random_seed=42) as one, GlobusSandbox(random_seed=42) as two, GlobusSandbox() as other:
        first = [one.world.new_id() for _ in range(3)]
        assert [two.world.new_id() for _ in range(3)] == first
        one.reset()
        assert [one.world.new_id() for _ in range(3)] == first
        drawn = other.world.new_id()
        other.reset()
        assert other.world.new_id() != drawn


def test_settings_refuse_what_they_do_not_know() -> None:
    settings = Settings()
    with pytest.raises(AttributeError):
        settings.rate_limit_per_minute = 20  # type: ignore[attr-defined]
    settings.update({"rate_limit_per_second": 20, "task_seconds": 3, "enforce_consents": False})
    assert (settings.rate_limit_per_second, settings.task_seconds, settings.enforce_consents) == (20.0, 3.0, False)
    for bad in (
        {"task_secs": 1},
        {"task_seconds": "3"},
        {"task_seconds": -1},
        {"task_seconds": None},
        {"enforce_consents": 1},
        {"active_tasks_per_identity": 1.5},
        {"task_seconds": 9, "pending_tasks_per_identity": True},
    ):
        with pytest.raises(ValueError, match="etting"):
            settings.update(bad)
    assert settings.task_seconds == 3.0
