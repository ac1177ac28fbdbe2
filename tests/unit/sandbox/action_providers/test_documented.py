"""What the providers document: scopes, suspensions, old forms of input, and what they refuse to guess."""

from __future__ import annotations

import urllib.error
from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import AccessTokenAuthorizer, SpecificFlowClient
from globus_sdk.scopes import GroupsScopes, Scope, SpecificFlowScopes, TransferScopes

from airflow_provider_globus.sandbox.action_providers.registry import provider_for
from tests.unit.sandbox.action_providers.test_services import ACTIONS, COMPUTE, _open, add, function
from tests.unit.sandbox.action_providers.test_transfer import NEW, OLD, source, target
from tests.unit.sandbox.flows.conftest import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFolder, ComputeEndpointFactory
    from tests.unit.sandbox.action_providers.conftest import OneAction

__all__ = ["function", "source", "target"]

SCOPES, HOSTED = "https://auth.globus.org/scopes", "5fac2e64-c734-4e6b-90ea-ff12ddbf9653"
HELLO = f"{SCOPES}/actions.globus.org/hello_world"


@pytest.mark.parametrize("name", ["transfer", "delete", "mkdir", "ls", "stat", "collection_info", "manage_permission"])
def test_the_transfer_host_takes_the_scope_of_transfer(name: str) -> None:
    provider = provider_for(f"{NEW}/{name}")
    assert provider is not None
    assert provider.scope == str(TransferScopes.all)


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("hello_world", HELLO),
        ("transfer/transfer", f"{SCOPES}/actions.globus.org/transfer/transfer"),
        ("transfer/delete", f"{SCOPES}/actions.globus.org/transfer/delete"),
        ("transfer/set_permission", f"{SCOPES}/actions.globus.org/transfer/set_permission"),
        ("transfer/ls", f"{SCOPES}/{HOSTED}/transfer_ls"),
        ("transfer/mkdir", f"{SCOPES}/{HOSTED}/transfer_mkdir"),
        ("transfer/collection_info", f"{SCOPES}/{HOSTED}/transfer_collection_info"),
        ("search/ingest", f"{SCOPES}/actions.globus.org/search/ingest"),
        ("search/delete", f"{SCOPES}/{HOSTED}/search_delete"),
        ("notification/notify", f"{SCOPES}/{HOSTED}/notification_notify"),
        ("weboption/wait_for_option", f"{SCOPES}/{HOSTED}/weboption_wait_for_option"),
        ("expression_eval", f"{SCOPES}/{HOSTED}/expression"),
        ("datacite/mint/basic_auth", f"{SCOPES}/{HOSTED}/datacite_mint_basic_auth_action_all"),
    ],
)
def test_other_providers_have_scopes_of_their_own(path: str, scope: str) -> None:
    provider = provider_for(f"{ACTIONS}/{path}")
    assert provider is not None
    assert provider.scope == scope


def test_a_suspended_task_suspends_its_action(
    act: OneAction, source: CollectionFolder, target: CollectionFolder
) -> None:
    act.lab.sandbox.faults.add(task="next", status="INACTIVE", code="CREDENTIALS_EXPIRED", message="log in again")
    item = {"source_path": "/run/a.dat", "destination_path": "/a.dat"}
    body = {"source_endpoint": source.id, "destination_endpoint": target.id, "DATA": [item]}
    run = act.run(f"{NEW}/transfer", body, until=("INACTIVE",))
    (action,) = run.details["action_statuses"]
    assert (action["details"]["code"], action["details"]["description"]) == ("CREDENTIALS_EXPIRED", "log in again")
    act.lab.world.flows.resume(run)
    assert act.lab.world.flows.wait(run.id).status == "SUCCEEDED"
    assert (target.folder / "a.dat").read_text() == "aaaa"
    assert len(act.lab.world.transfer.tasks) == 1


def test_path_only_tells_about_files_too(act: OneAction, source: CollectionFolder) -> None:
    body = {"endpoint_id": source.id, "path": "/run/a.dat", "path_only": True}
    (itself,) = act(f"{OLD}/ls", body)["details"]["DATA"]
    assert (itself["name"], itself["is_folder"]) == ("a.dat", False)
    assert "404 " in act.refusal(f"{OLD}/ls", body | {"path": "/nowhere"})


def test_a_greeting_that_needs_a_consent(act: OneAction) -> None:
    wanted, lab = str(GroupsScopes.view_my_groups_and_memberships), act.lab
    run = act.run(f"{ACTIONS}/hello_world", {"required_dependent_scope": wanted}, until=("INACTIVE",))
    flow_scope = str(SpecificFlowScopes(run.flow_id).user)
    assert run.details["code"] == "ConsentRequired"
    assert run.details["required_scope"] == f"{flow_scope}[{HELLO}[{wanted}]]"
    given = Scope(flow_scope).with_dependency(Scope(HELLO).with_dependency(Scope(wanted)))
    token = lab.token(run.flow_id, [given])
    client = SpecificFlowClient(run.flow_id, authorizer=AccessTokenAuthorizer(token))
    client.resume_run(run.id)
    ended = lab.world.flows.wait(run.id)
    assert ended.details["output"]["result"]["details"] == {"Hello": "World"}


def test_a_greeting_takes_no_input_of_its_own_making(act: OneAction) -> None:
    assert "RequestValidationError" in act.refusal(f"{ACTIONS}/hello_world", {"sleep": 1})


def test_functions_version_2_in_all_forms(
    act: OneAction, function: Callable[[Any], str], globus_compute_endpoint: ComputeEndpointFactory
) -> None:
    endpoint, adds = globus_compute_endpoint("hpc"), function(add)
    one = {"endpoint": endpoint.id, "function": adds}
    first_and_listed = {**one, "args": [1], "tasks": [{**one, "args": [2]}, {**one, "args": [3]}]}
    assert act(COMPUTE, first_and_listed)["details"]["result"] == [1, 2, 3]
    assert act(COMPUTE, {**one, "args": 4, "tasks": []})["details"]["result"] == [4]
    assert act(COMPUTE, {**one, "payload": '{"a": 5, "b": 6}'})["details"]["result"] == [11]
    assert "not valid JSON" in act.refusal(COMPUTE, {**one, "payload": "{'a': 5}"})
    assert "must be an object" in act.refusal(COMPUTE, {**one, "kwargs": "[1]"})
    assert "RequestValidationError" in act.refusal(COMPUTE, {"tasks": []})


def test_functions_version_3_say_what_they_were_made_with(
    act: OneAction, function: Callable[[Any], str], globus_compute_endpoint: ComputeEndpointFactory
) -> None:
    body = {
        "endpoint_id": globus_compute_endpoint("hpc").id,
        "tasks": [{"function_id": function(add), "args": [1]}],
        "user_runtime": {"python_version": "3.11.0"},
    }
    assert act(f"{COMPUTE}/v3", body)["details"]["result"] == [1]
    (task,) = act.lab.world.compute.tasks.values()
    assert task.user_runtime == {"python_version": "3.11.0"}


def test_a_deletion_keeps_all_that_narrows_its_query(act: OneAction) -> None:
    index = act.lab.sandbox.add_search_index("catalogue")
    record = {"search_index": index.id, "subject": "s", "content": {"n": 1}, "visible_to": ["public"]}
    act(f"{ACTIONS}/search/ingest", record)
    query = {"search_index": index.id, "delete_by": "query", "q": "*"}
    assert "501 NotServed" in act.refusal(f"{ACTIONS}/search/delete", {**query, "query_template": "some"})
    narrowed = {**query, "filters": [{"type": "match_any", "field_name": "n", "values": [2]}]}
    assert act(f"{ACTIONS}/search/delete", narrowed)["status"] == "SUCCEEDED"
    entries = act.lab.world.search.indexes[index.id].entries
    assert set(entries) == {("s", None)}


def test_an_action_whose_task_is_gone_has_failed(act: OneAction) -> None:
    act.lab.sandbox.settings.search_task_seconds = 3600
    index = act.lab.sandbox.add_search_index("catalogue")
    record = {"search_index": index.id, "subject": "s", "content": {}, "visible_to": ["public"]}
    run = act.run(f"{ACTIONS}/search/ingest", record, until=("ACTIVE",))
    until(lambda: act.lab.world.search.tasks)
    act.lab.world.search.tasks.clear()
    result = act.lab.world.flows.wait(run.id).details["output"]["result"]
    assert (result["status"], result["details"]["code"]) == ("FAILED", "NotFound.Generic")


def test_the_landing_page_is_no_option(act: OneAction) -> None:
    body = {"options": [{"name": "go", "url_suffix": "go-2"}], "landing_page": {"url_suffix": "ask-2"}}
    run = act.run(f"{ACTIONS}/weboption/wait_for_option", body, until=("ACTIVE",))
    until(lambda: "ask-2" in act.lab.world.flows.option_pages)
    pages = f"{act.lab.sandbox.url}/weboption"
    for wrong in ("option/ask-2", "landing_page/go-2"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            _open(f"{pages}/{wrong}")
    assert "/weboption/option/go-2" in _open(f"{pages}/landing_page/ask-2")
    _open(f"{pages}/option/go-2")
    assert act.lab.world.flows.wait(run.id).status == "SUCCEEDED"
    for over in ("option/go-2", "landing_page/ask-2"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            _open(f"{pages}/{over}")
