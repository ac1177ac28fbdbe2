"""Requests that no client makes, each of which one of the services once failed at: it refuses them in its own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
from globus_sdk.scopes import FlowsScopes, TransferScopes

if TYPE_CHECKING:
    import globus_sdk

    from airflow_provider_globus.sandbox import GlobusSandbox

JSON = {"Content-Type": "application/json"}


def bearer(client: globus_sdk.ConfidentialAppAuthClient, scope: Any) -> dict[str, str]:
    token = client.oauth2_client_credentials_tokens(requested_scopes=scope)["access_token"]
    return {**JSON, "Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    "body",
    [b"[" * 5000, b'{"a":' * 600 + b"1" + b"}" * 600, b'{"DATA_TYPE": NaN}', b'{"DATA_TYPE": "\\ud800"}', b"\xff"],
)
def test_json_that_is_none_is_refused_and_in_the_journal(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient, body: bytes
) -> None:
    headers = bearer(client, TransferScopes.all)
    answer = requests.post(f"{globus_sandbox.url}/v0.10/transfer", data=body, headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (400, "BadRequest")
    assert globus_sandbox.journal.entries[-1].body == {"_unreadable": f"{len(body)} bytes"}


def test_credentials_in_no_known_letters_are_none(globus_sandbox: GlobusSandbox) -> None:
    answer = requests.post(
        f"{globus_sandbox.url}/v2/oauth2/token", headers={"Authorization": "Basic \xff"}, data={"x": "y"}, timeout=10
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("flow_id", ["[x", "a b", "*"])
def test_a_flow_of_an_id_that_is_in_no_scope_is_not_found(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient, flow_id: str
) -> None:
    headers = bearer(client, FlowsScopes.all)
    answer = requests.get(f"{globus_sandbox.url}/flows/{flow_id}", headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("deadline", ["9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59.999999-00:01"])
def test_a_time_that_is_after_all_years_is_refused(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient, deadline: str
) -> None:
    headers = bearer(client, TransferScopes.all)
    answer = requests.get(
        f"{globus_sandbox.url}/v0.10/task_list",
        params={"filter": f"request_time:{deadline},"},
        headers=headers,
        timeout=10,
    )
    assert (answer.status_code, "ISO 8601" in answer.json()["message"]) == (400, True)


@pytest.mark.parametrize("number", ["nan", "inf", "1e999", "x"])
def test_the_control_plane_takes_numbers_that_are_some(globus_sandbox: GlobusSandbox, number: str) -> None:
    for name in ("limit", "after"):
        answer = requests.get(f"{globus_sandbox.url}/_sandbox/journal", params={name: number}, timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (400, "BadRequest")
    for name in ("scale", "advance"):
        answer = requests.post(f"{globus_sandbox.url}/_sandbox/clock", json={name: number}, timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (400, "BadRequest")


def test_time_ends_before_dates_do(globus_sandbox: GlobusSandbox) -> None:
    for _ in range(2):
        answer = requests.post(f"{globus_sandbox.url}/_sandbox/clock", json={"advance": 1e300}, timeout=10)
        assert answer.json()["now"].startswith("9000-01-01")
    refused = requests.post(
        f"{globus_sandbox.url}/_sandbox/settings", json={"token_lifetime_seconds": 1e300}, timeout=10
    )
    assert (refused.status_code, refused.json()["code"]) == (400, "BadRequest")
