"""The hook with the official clients against the sandbox."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from airflow_provider_globus.exceptions import (
    GlobusAuthError,
    GlobusCollectionNameError,
    GlobusConfigError,
    GlobusConsentRequiredError,
    GlobusEndpointNameError,
    GlobusFlowNameError,
    GlobusInputError,
    GlobusNotFoundError,
    GlobusRateLimitError,
    GlobusUnavailableError,
)
from airflow_provider_globus.hooks.globus import GlobusHook
from tests.unit.sandbox.flows.conftest import NOTE

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, ComputeEndpointFactory


@pytest.fixture
def hook(globus_sandbox: GlobusSandbox) -> GlobusHook:
    return GlobusHook(caller="TestOperator")


def connect(monkeypatch: pytest.MonkeyPatch, globus: GlobusSandbox, **changes: Any) -> None:
    """Change the connection ``globus_default``."""
    connection = json.loads(globus.connection)
    connection["extra"] |= changes.pop("extra", {})
    monkeypatch.setenv("AIRFLOW_CONN_GLOBUS_DEFAULT", json.dumps(connection | changes))


def token_requests(globus: GlobusSandbox) -> int:
    return int(globus.journal.count("auth", "POST", "/v2/oauth2/token"))


def ls(hook: GlobusHook, collection: str, path: str = "/") -> list[str]:
    collection_id = hook.use_collection(collection)
    answer = hook.call(f"listing {path}", hook.transfer_client().operation_ls, collection_id, path=path)
    return [entry["name"] for entry in answer["DATA"]]


def test_lists_a_mapped_collection_with_its_consent_from_the_first_token(
    hook: GlobusHook, globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory
) -> None:
    globus_collection("lab", files={"a.txt": "a"})
    assert ls(hook, "lab") == ["a.txt"]
    assert not [e for e in globus_sandbox.journal.requests("transfer") if e.status == 403]


def test_many_hooks_in_many_threads_share_one_token(
    globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory
) -> None:
    globus_collection("lab", files={"a.txt": "a"})
    GlobusHook().use_collection("lab")
    ls(GlobusHook(), "lab")
    before = token_requests(globus_sandbox)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: ls(GlobusHook(), "lab") == ["a.txt"], range(40)))
    assert token_requests(globus_sandbox) == before


def test_an_expired_token_is_renewed(
    hook: GlobusHook, globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory
) -> None:
    globus_collection("lab", files={"a.txt": "a"})
    ls(hook, "lab")
    before = token_requests(globus_sandbox)
    globus_sandbox.clock.advance(globus_sandbox.settings.token_lifetime_seconds + 60)
    assert ls(hook, "lab") == ["a.txt"]
    assert token_requests(globus_sandbox) == before + 1


def test_a_missing_consent_is_cured_by_a_service_account(
    hook: GlobusHook, globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory
) -> None:
    lab = globus_collection("lab", files={"a.txt": "a"})
    client = hook.transfer_client()
    answer = hook.call("listing", client.operation_ls, lab.id, path="/")
    assert [entry["name"] for entry in answer["DATA"]] == ["a.txt"]
    assert [e.status for e in globus_sandbox.journal.requests("transfer", path="*/ls")] == [403, 200]


def test_a_user_acts_through_the_refresh_token(
    globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = globus_collection("lab", files={"a.txt": "a"})
    ada = globus_sandbox.add_identity("ada@example.org")
    token = globus_sandbox.world.auth.add_refresh_token(
        ada.id,
        f"urn:globus:auth:scope:transfer.api.globus.org:all[*https://auth.globus.org/scopes/{lab.id}/data_access]",
    ).value
    connect(monkeypatch, globus_sandbox, extra={"app_type": "user", "refresh_token": token})
    hook = GlobusHook()
    assert ls(hook, "lab") == ["a.txt"]
    assert globus_sandbox.journal.requests("transfer")[-1].identity == "ada@example.org"
    with pytest.raises(GlobusConfigError, match=r"no refresh token for flows\.globus\.org"):
        hook.flows_client()


def test_a_user_without_consent_is_told_what_to_do(
    globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    globus_collection("lab")
    ada = globus_sandbox.add_identity("ada@example.org")
    token = globus_sandbox.world.auth.add_refresh_token(
        ada.id, "urn:globus:auth:scope:transfer.api.globus.org:all"
    ).value
    connect(monkeypatch, globus_sandbox, extra={"app_type": "user", "refresh_token": token})
    with pytest.raises(GlobusConsentRequiredError, match="log in again with the scope") as caught:
        ls(GlobusHook(), "lab")
    assert "data_access" in caught.value.required_scopes[0]


def test_a_wrong_secret_is_named(globus_sandbox: GlobusSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, globus_sandbox, password="wrong-secret")
    with pytest.raises(GlobusAuthError, match="client id and secret do not match") as caught:
        GlobusHook().resolve_collection("lab")
    assert "wrong-secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_revoked_refresh_token_is_named(globus_sandbox: GlobusSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, globus_sandbox, extra={"app_type": "user", "refresh_token": "revoked"})
    with pytest.raises(GlobusAuthError, match="log in again and store the new one"):
        GlobusHook().transfer_client()


def test_collections_by_id_alias_and_name(
    hook: GlobusHook,
    globus_collection: CollectionFactory,
    monkeypatch: pytest.MonkeyPatch,
    globus_sandbox: GlobusSandbox,
) -> None:
    lab = globus_collection("Lab One")
    connect(monkeypatch, globus_sandbox, extra={"collections": {"short": lab.id}})
    assert hook.resolve_collection(lab.id.upper()) == lab.id
    assert hook.resolve_collection("short") == lab.id
    assert hook.resolve_collection("Lab One") == lab.id


def test_a_name_that_is_not_unique_lists_the_candidates(
    hook: GlobusHook,
    globus_sandbox: GlobusSandbox,
    globus_collection: CollectionFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = globus_collection("Lab"), globus_sandbox.add_collection("Lab", globus_collection("x").folder)
    connect(monkeypatch, globus_sandbox, extra={"collections": {}})
    with pytest.raises(GlobusCollectionNameError, match="2 collections are named 'Lab'") as caught:
        hook.resolve_collection("Lab")
    assert first.id in str(caught.value)
    assert second.id in str(caught.value)


def test_an_unknown_name_lists_what_is_similar(
    hook: GlobusHook,
    globus_collection: CollectionFactory,
    monkeypatch: pytest.MonkeyPatch,
    globus_sandbox: GlobusSandbox,
) -> None:
    lab = globus_collection("Lab Archive")
    connect(monkeypatch, globus_sandbox, extra={"collections": {}})
    with pytest.raises(GlobusCollectionNameError, match="No collection") as caught:
        hook.resolve_collection("Lab")
    assert lab.id in str(caught.value)


def test_an_unknown_id_is_not_found(hook: GlobusHook) -> None:
    with pytest.raises(GlobusNotFoundError, match="EndpointNotFound") as caught:
        hook.use_collection("99999999-2222-3333-4444-555555555555")
    assert caught.value.request_id


def test_an_endpoint_is_not_a_collection(
    hook: GlobusHook, globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory
) -> None:
    globus_collection("lab")
    (endpoint,) = [c for c in globus_sandbox.world.transfer.collections.values() if c.kind == "endpoint"]
    with pytest.raises(GlobusInputError, match="not a collection"):
        hook.use_collection(endpoint.id)


@pytest.mark.parametrize("polling", [False, True])
@pytest.mark.parametrize("name", ["transfer_client", "flows_client", "compute_client_v2"])
def test_clients_lead_to_the_connections_services(
    name: str, polling: bool, hook: GlobusHook, globus_sandbox: GlobusSandbox
) -> None:
    assert getattr(hook, name)(polling=polling).base_url.startswith(globus_sandbox.url)


@pytest.mark.parametrize("name", ["auth_client", "compute_client_v3", "search_client", "groups_client"])
def test_other_clients_do_too(name: str, hook: GlobusHook, globus_sandbox: GlobusSandbox) -> None:
    assert getattr(hook, name)().base_url.startswith(globus_sandbox.url)


def test_each_flow_has_a_client_of_its_own(hook: GlobusHook, globus_sandbox: GlobusSandbox) -> None:
    flows = ["11111111-2222-3333-4444-555555555555", "66666666-2222-3333-4444-555555555555"]
    clients = [hook.specific_flow_client(flow_id) for flow_id in flows]
    assert [client.resource_server for client in clients] == flows
    assert all(client.base_url.startswith(globus_sandbox.url) for client in clients)


def test_says_who_is_calling(hook: GlobusHook, globus_sandbox: GlobusSandbox) -> None:
    hook.call("asking", hook.transfer_client().task_list)
    agent = globus_sandbox.journal.requests("transfer")[-1].user_agent
    assert "airflow-provider-globus-" in agent
    assert "TestOperator" in agent


def test_a_busy_service_is_tried_again_as_it_asks(hook: GlobusHook, globus_sandbox: GlobusSandbox) -> None:
    globus_sandbox.faults.add(
        {"service": "transfer", "path": "*/task_list", "status": 429, "headers": {"Retry-After": "1"}, "times": 2}
    )
    assert hook.call("asking", hook.transfer_client().task_list)["total"] == 0


def test_a_poll_does_not_wait_inside(hook: GlobusHook, globus_sandbox: GlobusSandbox) -> None:
    globus_sandbox.faults.add(
        {"service": "transfer", "path": "*/task_list", "status": 429, "headers": {"Retry-After": "7"}}
    )
    with pytest.raises(GlobusRateLimitError) as caught:
        hook.call("asking", hook.transfer_client(polling=True).task_list)
    assert caught.value.retry_after == 7
    assert globus_sandbox.journal.count("transfer", "GET", "*/task_list") == 1


def test_garbage_and_silence_are_unavailable(hook: GlobusHook, globus_sandbox: GlobusSandbox) -> None:
    client = hook.transfer_client(polling=True)
    globus_sandbox.faults.add({"service": "transfer", "status": 200, "body": "<html>hello</html>"})
    with pytest.raises(GlobusUnavailableError, match="not a JSON document"):
        hook.call("asking", client.task_list)
    globus_sandbox.faults.clear()
    globus_sandbox.faults.add({"service": "transfer", "drop": True})
    with pytest.raises(GlobusUnavailableError, match="No answer from Globus while asking"):
        hook.call("asking", client.task_list)


def test_connection_test_says_who_and_what(
    hook: GlobusHook, globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory
) -> None:
    globus_collection("lab")
    ok, message = hook.test_connection()
    assert ok, message
    assert "clients.auth.globus.org" in message
    assert "lab: lab" in message


def test_connection_test_says_what_to_do(globus_sandbox: GlobusSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, globus_sandbox, password="wrong-secret")
    ok, message = GlobusHook().test_connection()
    assert not ok
    assert "check login and password" in message
    gone = "99999999-2222-3333-4444-555555555555"
    connect(monkeypatch, globus_sandbox, extra={"collections": {"gone": gone}})
    ok, message = GlobusHook().test_connection()
    assert not ok
    assert "alias 'gone'" in message


def test_connection_test_says_whether_endpoints_are_online(
    hook: GlobusHook, globus_compute_endpoint: ComputeEndpointFactory
) -> None:
    globus_compute_endpoint("hpc")
    globus_compute_endpoint("cluster", online=False)
    reached, said = hook.test_connection()
    assert reached
    assert "cluster: offline." in said
    assert "hpc: online." in said


def test_connection_test_names_flows_and_indexes(hook: GlobusHook, globus_sandbox: GlobusSandbox) -> None:
    globus_sandbox.add_flow("Publish a dataset", NOTE, alias="publish")
    globus_sandbox.add_search_index("Institute catalogue", alias="catalogue")
    reached, said = hook.test_connection()
    assert reached
    assert "publish: Publish a dataset." in said
    assert "catalogue: Institute catalogue." in said


@pytest.mark.parametrize(
    ("kind", "name"),
    [("compute_endpoints", "Compute endpoint"), ("flows", "Flow"), ("search_indexes", "Search index")],
)
def test_connection_test_names_an_alias_of_nothing(
    kind: str, name: str, globus_sandbox: GlobusSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, globus_sandbox, extra={kind: {"mine": str(uuid4())}})
    reached, said = GlobusHook().test_connection()
    assert not reached
    assert f"{name} alias 'mine'" in said


def test_flows_by_id_alias_and_title(hook: GlobusHook, globus_sandbox: GlobusSandbox) -> None:
    flow = globus_sandbox.add_flow("Publish a dataset", NOTE, alias="publish")
    for name in (flow.id, flow.id.upper(), "publish", "Publish a dataset"):
        assert hook.flow(name) == flow.id
    for nothing in ("", "  ", 3):
        with pytest.raises(GlobusInputError, match="must be named"):
            hook.flow(nothing)  # type: ignore[arg-type]


def test_a_title_of_several_flows_lists_them(hook: GlobusHook, globus_sandbox: GlobusSandbox) -> None:
    flows = [globus_sandbox.add_flow("Publish", NOTE, alias=f"p{n}") for n in range(2)]
    with pytest.raises(GlobusFlowNameError, match=r"2 flows .* titled 'Publish'") as raised:
        hook.flow("Publish")
    assert all(flow.id in raised.value.message for flow in flows)


def test_indexes_by_id_alias_and_name(hook: GlobusHook, globus_sandbox: GlobusSandbox) -> None:
    index = globus_sandbox.add_search_index("Institute catalogue", alias="catalogue")
    for name in (index.id, "catalogue", "Institute catalogue", "Institute catalogue"):
        assert hook.search_index(name) == index.id
    assert globus_sandbox.journal.count("search", "GET", "/v1/index_list") == 1
    for nothing in ("", 3):
        with pytest.raises(GlobusInputError, match="must be named"):
            hook.search_index(nothing)  # type: ignore[arg-type]


def test_compute_endpoints_by_id_alias_and_name(
    hook: GlobusHook, globus_sandbox: GlobusSandbox, globus_compute_endpoint: ComputeEndpointFactory
) -> None:
    endpoint = globus_compute_endpoint("Polaris at ALCF", alias="polaris")
    for name in (endpoint.id, "polaris", "Polaris at ALCF", "Polaris at ALCF"):
        assert hook.compute_endpoint(name) == endpoint.id
    assert globus_sandbox.journal.count("compute", "GET", "/v2/endpoints") == 1


def test_a_name_of_several_compute_endpoints_lists_them(
    hook: GlobusHook, globus_compute_endpoint: ComputeEndpointFactory, tmp_path: Path
) -> None:
    ids = [globus_compute_endpoint("hpc", alias=f"alias{n}", folder=tmp_path / str(n)).id for n in range(2)]
    with pytest.raises(GlobusEndpointNameError, match="2 Compute endpoints that this identity can see") as error:
        hook.compute_endpoint("hpc")
    assert all(endpoint_id in str(error.value) for endpoint_id in ids)
    assert "alias0, alias1" in str(error.value)


@pytest.mark.parametrize("fault", [{"drop": True}, {"status": 500}, {"status": 502}, {"status": 503}])
def test_what_would_be_done_twice_is_sent_once(
    fault: dict[str, Any], hook: GlobusHook, globus_sandbox: GlobusSandbox
) -> None:
    globus_sandbox.faults.add({"service": "compute", **fault})
    client = hook.compute_client_v3(resend=False)
    with pytest.raises(GlobusUnavailableError):
        hook.call("submitting", client.submit, str(uuid4()), {"tasks": {}})
    assert globus_sandbox.journal.count("compute") == 1


def test_what_was_refused_for_now_is_sent_again(hook: GlobusHook, globus_sandbox: GlobusSandbox) -> None:
    fault = {"service": "compute", "status": 429, "headers": {"Retry-After": "0"}, "times": 2}
    globus_sandbox.faults.add(fault)
    client = hook.compute_client_v3(resend=False)
    with pytest.raises(GlobusNotFoundError):
        hook.call("submitting", client.submit, str(uuid4()), {"tasks": {}})
    assert globus_sandbox.journal.count("compute") == 3


def test_an_expired_token_is_renewed_even_then(hook: GlobusHook, globus_sandbox: GlobusSandbox) -> None:
    client = hook.compute_client_v3(resend=False)
    for _ in range(2):
        with pytest.raises(GlobusNotFoundError):
            hook.call("submitting", client.submit, str(uuid4()), {"tasks": {}})
        globus_sandbox.world.auth.revoke_tokens()
