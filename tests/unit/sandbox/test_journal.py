"""The journal: what it keeps, how it is searched, and that no secret ever gets into it."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import globus_sdk
import pytest

from airflow_provider_globus.sandbox.journal import MASK, Entry, Journal, is_secret_name

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox

TOKEN = "Ag" + "x1" * 30


def record(journal: Journal, body: bytes = b"", content_type: str = "application/json", **more: Any) -> Entry:
    fields: dict[str, Any] = {
        "time": "2026-01-01T00:00:00+00:00",
        "service": "transfer",
        "method": "GET",
        "path": "/v0.10/task_list",
        "route": "/v0.10/task_list",
        "query": [],
        "status": 200,
        "identity": None,
        "request_id": "abcdefghi",
        "user_agent": "test",
        "code": None,
        "fault": None,
    }
    return journal.record(body=body, content_type=content_type, **{**fields, **more})


def test_searches_by_service_method_and_path_glob() -> None:
    journal = Journal()
    record(journal, path="/v0.10/task/1")
    record(journal, path="/v0.10/task/2", method="PUT")
    record(journal, path="/v2/oauth2/token", service="auth", method="POST")
    assert [entry.path for entry in journal.requests("transfer")] == ["/v0.10/task/1", "/v0.10/task/2"]
    assert journal.count(method="put") == 1
    assert journal.count("transfer", "GET", "/v0.10/task/*") == 1
    assert journal.count("auth", path="/v0.10/*") == 0
    assert [entry.seq for entry in journal.entries] == [1, 2, 3]


def test_clear_forgets_entries_but_not_the_numbering() -> None:
    journal = Journal()
    record(journal)
    journal.clear()
    assert journal.entries == []
    assert record(journal).seq == 2


def test_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_globus.sandbox.journal._MOST_ENTRIES", 3)
    journal = Journal()
    for number in range(10):
        record(journal, path=f"/{number}")
    assert [entry.path for entry in journal.entries] == ["/7", "/8", "/9"]


@pytest.mark.parametrize(
    "name",
    [
        "client_secret",
        "access_token",
        "refresh_token",
        "id_token",
        "token",
        "Authorization",
        "s3_secret_key",
        "s3_secret_access_key",
        "s3_key_id",
        "password",
        "client-secret",
        "subject_token",
        "code_verifier",
    ],
)
def test_masks_secret_fields_at_any_depth_in_json_form_and_query(name: str) -> None:
    journal = Journal()
    body = {"a": [{"b": {name: "hidden-value"}}], name: ["hidden-value", {"x": "hidden-value"}]}
    nested = record(journal, json.dumps(body).encode())
    form = record(journal, f"{name}=hidden-value&x=1".encode(), "application/x-www-form-urlencoded; charset=utf-8")
    query = record(journal, query=[(name, "hidden-value"), ("limit", "5")])
    assert nested.body == {"a": [{"b": {name: MASK}}], name: MASK}
    assert form.body == {name: MASK, "x": "1"}
    assert query.query == {name: [MASK], "limit": ["5"]}


@pytest.mark.parametrize("name", ["token_type", "pagination_token", "next_token", "label", "scope", "path"])
def test_keeps_what_is_not_secret(name: str) -> None:
    assert not is_secret_name(name)


def test_masks_an_issued_token_wherever_it_turns_up() -> None:
    entry = record(
        Journal(),
        json.dumps({"label": f"run with {TOKEN}!"}).encode(),
        path=f"/v0.10/task/{TOKEN}",
        query=[("filter", f"label:{TOKEN}")],
        user_agent=f"agent {TOKEN}",
    )
    assert TOKEN not in repr(entry)
    assert entry.body == {"label": f"run with {MASK}!"}


def test_masks_protected_texts_wherever_they_turn_up() -> None:
    journal = Journal()
    journal.protect("s3cr3t-of-a-seed")
    entry = record(journal, b'{"label": "s3cr3t-of-a-seed", "s3cr3t-of-a-seed": 1}', path="/x/s3cr3t-of-a-seed")
    assert "s3cr3t" not in repr(entry)


def test_secrets_may_be_added_while_requests_come() -> None:
    journal = Journal()

    def add() -> None:
        for number in range(2000):
            journal.protect(f"secret-number-{number}")

    adding = threading.Thread(target=add)
    adding.start()
    while adding.is_alive():
        record(journal, b'{"label": "x"}')
    assert record(journal, b'{"label": "secret-number-1999"}').body == {"label": MASK}


def test_keeps_neither_unreadable_nor_huge_bodies() -> None:
    journal = Journal()
    assert record(journal, b"client_secret is abc").body == {"_unreadable": "20 bytes"}
    assert record(journal, b'"' + b"x" * 300_000 + b'"').body == {"_omitted": "300002 bytes"}
    assert record(journal).body is None


def test_real_clients_leave_entries_without_secrets(globus_sandbox: GlobusSandbox) -> None:
    secrets = [globus_sandbox.client_secret]
    client = globus_sdk.ConfidentialAppAuthClient(globus_sandbox.client_id, globus_sandbox.client_secret)
    tokens = client.oauth2_client_credentials_tokens(requested_scopes=globus_sdk.TransferClient.scopes.all)
    secrets.append(tokens["access_token"])
    authorizer = globus_sdk.AccessTokenAuthorizer(tokens["access_token"])
    globus_sdk.TransferClient(authorizer=authorizer).get_submission_id()
    person = globus_sandbox.add_identity("ada@example.org")
    refresh = globus_sandbox.world.auth.add_refresh_token(person.id, str(globus_sdk.TransferClient.scopes.all))
    secrets += [refresh.value, client.oauth2_refresh_token(refresh.value)["access_token"]]
    client.oauth2_token_introspect(tokens["access_token"])
    client.oauth2_revoke_token(tokens["access_token"])

    kept = json.dumps([entry.as_dict() for entry in globus_sandbox.journal.entries])
    assert [secret for secret in secrets if secret in kept] == []
    assert globus_sandbox.journal.count("auth", "POST", "/v2/oauth2/token") == 2
    submission = globus_sandbox.journal.requests("transfer", "GET", "/v0.10/submission_id")[0]
    assert submission.identity == f"{globus_sandbox.client_id}@clients.auth.globus.org"
    assert submission.user_agent.startswith("globus-sdk-py-")
    assert submission.status == 200
