"""Injected trouble: what clients see of it, when it strikes, and what it never touches."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import globus_sdk
import pytest
import requests
from globus_sdk.transport import RetryConfig

from airflow_provider_globus.sandbox.clock import SandboxClock
from airflow_provider_globus.sandbox.faults import Faults

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox

SUBMISSION_ID = "/v0.10/submission_id"


@pytest.fixture
def faults() -> Faults:
    clock = SandboxClock()
    clock.freeze()
    return Faults(clock, random.Random(1))


@pytest.fixture
def transfer(globus_sandbox: GlobusSandbox) -> globus_sdk.TransferClient:
    """A client that asks once and shows what it got."""
    client = globus_sdk.ConfidentialAppAuthClient(globus_sandbox.client_id, globus_sandbox.client_secret)
    scope = str(globus_sdk.TransferClient.scopes.all)
    token = client.oauth2_client_credentials_tokens(requested_scopes=scope)["access_token"]
    authorizer = globus_sdk.AccessTokenAuthorizer(token)
    return globus_sdk.TransferClient(authorizer=authorizer, retry_config=RetryConfig(max_retries=0))


# When a fault strikes


def strikes(faults: Faults, times: int = 6) -> list[bool]:
    return [faults.http_fault("transfer", "GET", "/v0.10/task_list") is not None for _ in range(times)]


def test_a_fault_strikes_until_removed(faults: Faults) -> None:
    fault = faults.add(status=503)
    assert strikes(faults) == [True] * 6
    assert faults.remove(fault)
    assert not faults.remove(fault)
    assert strikes(faults) == [False] * 6


def test_times_and_nth_count_matches(faults: Faults) -> None:
    faults.add(status=503, nth=3, times=2)
    assert strikes(faults) == [False, False, True, True, False, False]


def test_for_seconds_runs_on_the_sandbox_clock() -> None:
    clock = SandboxClock()
    clock.freeze()
    faults = Faults(clock, random.Random(1))
    faults.add(status=503, for_seconds=300)
    clock.advance(299)
    assert all(strikes(faults))
    clock.advance(1)
    assert not any(strikes(faults))


def test_probability_strikes_some(faults: Faults) -> None:
    faults.add(status=503, probability=0.5)
    assert 300 < sum(strikes(faults, 1000)) < 700


def test_the_first_matching_fault_strikes_and_the_next_takes_over(faults: Faults) -> None:
    first, second = faults.add(status=500, times=1), faults.add(status=503)
    struck = [faults.http_fault("transfer", "GET", "/") for _ in range(2)]
    assert [fault.id for fault in struck if fault] == [first, second]


@pytest.mark.parametrize(
    ("spec", "struck"),
    [
        ({"service": "transfer"}, True),
        ({"service": "auth"}, False),
        ({"method": "get"}, True),
        ({"method": "POST"}, False),
        ({"path": "/v0.10/task*"}, True),
        ({"path": "*/submission_id"}, False),
    ],
)
def test_matches_service_method_and_path(faults: Faults, spec: dict[str, str], struck: bool) -> None:
    faults.add({**spec, "status": 503})
    assert strikes(faults, 1) == [struck]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "needs status, body, drop"),
        ({"service": "transfer"}, "needs status, body, drop"),
        ({"statsu": 503}, "has no statsu"),
        ({"status": 503, "struck": 4}, "has no struck"),
        ({"collection": "*", "status": 503}, "A path fault has no status"),
        ({"task": "next", "drop": True}, "A task fault has no drop"),
        ({"status": "503"}, "status must be a whole number from 100 to 599, not '503'"),
        ({"status": 700}, "status must be"),
        ({"drop": True, "times": 0}, "times must be a whole number of at least 1, not 0"),
        ({"drop": True, "nth": True}, "nth must be"),
        ({"drop": True, "probability": 2}, "probability must be a number from 0 to 1"),
        ({"drop": True, "for_seconds": "long"}, "for_seconds must be"),
        ({"collection": "*", "times": -1}, "times must be"),
        ({"drop": True, "for_seconds": 10**400}, "for_seconds must be"),
        ({"drop": True, "method": ["GET"]}, "method must be text"),
        ({"drop": "yes"}, "drop must be true or false"),
        ({"status": 503, "headers": ["Retry-After"]}, "headers must be an object"),
        ({"status": 503, "headers": {"Retry-After": "\u2603"}}, "HTTP can carry"),
        ({"status": 503, "headers": {"X": "a\r\nY: b"}}, "HTTP can carry"),
    ],
)
def test_a_fault_that_means_nothing_is_refused(faults: Faults, spec: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        faults.add(spec)
    assert faults.as_list() == []


@dataclass
class AnyCollection:
    id: str = "1111"
    name: str = "Archive"
    alias: str | None = "archive"


@pytest.mark.parametrize(
    ("spec", "struck"),
    [
        ({"collection": "*"}, True),
        ({"collection": "1111"}, True),
        ({"collection": "Archive"}, True),
        ({"collection": "archive"}, True),
        ({"collection": "other"}, False),
        ({"collection": "*", "path": "/data/*.dat"}, True),
        ({"collection": "*", "path": "/other/*"}, False),
        ({"nice_status": "ENDPOINT_ERROR"}, True),
    ],
)
def test_path_faults_match_collection_and_path(faults: Faults, spec: dict[str, str], struck: bool) -> None:
    faults.add(spec)
    fault = faults.path_fault(AnyCollection(), "/data/a.dat")
    assert (fault is not None) == struck
    if fault:
        assert fault.nice_status == spec.get("nice_status", "PERMISSION_DENIED")


def test_a_task_fault_for_the_next_task_strikes_one(faults: Faults) -> None:
    faults.add(task="next", status="INACTIVE")
    assert faults.task_fault("running") is None
    assert faults.task_fault("first", submitted=True) is not None
    assert faults.task_fault("second", submitted=True) is None


def test_a_task_fault_by_id_strikes_that_task(faults: Faults) -> None:
    faults.add(task="t1", status="FAILED")
    assert faults.task_fault("t2") is None
    assert faults.task_fault("t1") is not None


# What clients see


def test_errors_have_the_shape_of_their_service(
    globus_sandbox: GlobusSandbox, transfer: globus_sdk.TransferClient
) -> None:
    fault = globus_sandbox.faults.add(service="transfer", status=503, code="ServiceUnavailable", times=1)
    with pytest.raises(globus_sdk.TransferAPIError) as caught:
        transfer.get_submission_id()
    assert (caught.value.http_status, caught.value.code) == (503, "ServiceUnavailable")
    entry = globus_sandbox.journal.requests("transfer")[-1]
    assert (entry.request_id, entry.fault, entry.code) == (caught.value.request_id, fault, "ServiceUnavailable")

    globus_sandbox.faults.add(service="auth", status=500, code="INTERNAL_ERROR", times=1)
    client = globus_sdk.ConfidentialAppAuthClient(globus_sandbox.client_id, globus_sandbox.client_secret)
    client.retry_config.max_retries = 0
    with pytest.raises(globus_sdk.AuthAPIError) as auth_caught:
        client.oauth2_client_credentials_tokens(requested_scopes="openid")
    assert (auth_caught.value.http_status, auth_caught.value.code) == (500, "INTERNAL_ERROR")


def test_a_429_says_when_to_come_back(globus_sandbox: GlobusSandbox, transfer: globus_sdk.TransferClient) -> None:
    globus_sandbox.faults.add(status=429, headers={"Retry-After": 7}, times=1)
    with pytest.raises(globus_sdk.TransferAPIError) as caught:
        transfer.get_submission_id()
    assert caught.value.headers["Retry-After"] == "7"


def test_a_client_that_retries_gets_through(globus_sandbox: GlobusSandbox, transfer: globus_sdk.TransferClient) -> None:
    globus_sandbox.faults.add(path=SUBMISSION_ID, status=503, headers={"Retry-After": "0"}, times=2)
    transfer.retry_config.max_retries = 5
    transfer.retry_config.max_sleep = 0
    assert transfer.get_submission_id()["value"]
    assert [entry.status for entry in globus_sandbox.journal.requests(path=SUBMISSION_ID)] == [503, 503, 200]


@pytest.mark.parametrize("status", [200, 502])
def test_garbage_reaches_the_client_as_it_is(globus_sandbox: GlobusSandbox, status: int) -> None:
    globus_sandbox.faults.add(body="<html>not what you want</html>", status=status, times=1)
    response = requests.get(f"{globus_sandbox.url}{SUBMISSION_ID}", timeout=10)
    assert (response.status_code, response.text) == (status, "<html>not what you want</html>")


def test_a_dropped_request_was_never_performed(
    globus_sandbox: GlobusSandbox, transfer: globus_sdk.TransferClient
) -> None:
    before = globus_sandbox.world.auth.snapshot()["identities"]
    globus_sandbox.faults.add(service="auth", drop=True, times=1)
    with pytest.raises(requests.ConnectionError):
        _provision(globus_sandbox)
    assert globus_sandbox.world.auth.snapshot()["identities"] == before
    assert globus_sandbox.journal.entries[-1].status is None
    transfer.get_submission_id()


def test_a_request_dropped_after_was_performed(globus_sandbox: GlobusSandbox) -> None:
    globus_sandbox.faults.add(service="auth", drop_after=True, times=1)
    with pytest.raises(requests.ConnectionError):
        _provision(globus_sandbox)
    assert globus_sandbox.world.auth.identity_by_username("new@example.org") is not None


def _provision(globus_sandbox: GlobusSandbox) -> None:
    """Make a request that leaves a trace when it is performed."""
    requests.get(
        f"{globus_sandbox.url}/v2/api/identities?usernames=new@example.org&provision=true",
        auth=(globus_sandbox.client_id, globus_sandbox.client_secret),
        timeout=10,
    )


def test_the_sdk_sees_a_drop_as_a_network_error(
    globus_sandbox: GlobusSandbox, transfer: globus_sdk.TransferClient
) -> None:
    globus_sandbox.faults.add(path=SUBMISSION_ID, drop=True, times=1)
    with pytest.raises(globus_sdk.GlobusConnectionError):
        transfer.get_submission_id()
    assert globus_sandbox.journal.count(path=SUBMISSION_ID) == 1


def test_a_delay_lets_clients_time_out_and_others_go_on(
    globus_sandbox: GlobusSandbox, transfer: globus_sdk.TransferClient
) -> None:
    globus_sandbox.faults.add(path=SUBMISSION_ID, delay_seconds=60, times=1)
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{globus_sandbox.url}{SUBMISSION_ID}", timeout=0.05)
    start = time.monotonic()
    transfer.get_submission_id()
    assert time.monotonic() - start < 60
    globus_sandbox.faults.add(path=SUBMISSION_ID, delay_seconds=0.2, times=1)
    transfer.get_submission_id()
    assert time.monotonic() - start >= 0.2


def test_the_control_plane_is_never_affected(globus_sandbox: GlobusSandbox) -> None:
    globus_sandbox.faults.add(drop=True)
    assert requests.get(f"{globus_sandbox.url}/_sandbox/health", timeout=10).json()["status"] == "ok"
    assert globus_sandbox.faults.as_list()[0]["struck"] == 0
