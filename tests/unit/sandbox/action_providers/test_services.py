"""Functions, records, messages, choices and the rest that flows do."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from globus_compute_sdk.serialize import ComputeSerializer

from airflow_provider_globus.sandbox.action_providers.registry import all_providers, provider_for
from airflow_provider_globus.sandbox.compute.models import ComputeFunction
from tests.unit.sandbox.flows.conftest import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox.pytest_plugin import ComputeEndpointFactory
    from tests.unit.sandbox.action_providers.conftest import OneAction

ACTIONS = "https://actions.globus.org"
COMPUTE = "https://compute.actions.globus.org"


def test_every_address_is_known_in_old_and_new_form() -> None:
    for provider in all_providers():
        for url in provider.urls:
            assert provider_for(url) is provider
            assert provider_for(url + "/") is provider
            assert provider_for(url.replace("//actions.globus.org", "//actions.automate.globus.org")) is provider
    assert provider_for("https://actions.globus.org/unknown") is None


def test_an_unknown_address_is_named(act: OneAction) -> None:
    assert "https://siap.example.org/x: 501 NotServed" in act.refusal("https://siap.example.org/x", {})


# Compute


def add(a: int, b: int = 0) -> int:
    return a + b


def fail() -> None:
    raise ValueError("no such sample")


def odd() -> object:
    return {1, 2}


@pytest.fixture
def function(act: OneAction) -> Callable[[Any], str]:
    def register(python: Any) -> str:
        world = act.lab.world
        code = ComputeSerializer().pack_buffers([ComputeSerializer().serialize(python)])
        function = ComputeFunction(world.new_id(), python.__name__, code, world.auth.anyone().identity_id)
        world.compute.add_function(function)
        return function.id

    return register


def test_functions_version_3(
    act: OneAction, function: Callable[[Any], str], globus_compute_endpoint: ComputeEndpointFactory
) -> None:
    endpoint, adds, other = globus_compute_endpoint("hpc"), function(add), function(add)
    tasks = [
        {"function_id": adds, "args": [1, 2]},
        {"function_id": other, "args": [10], "kwargs": {"b": 5}},
        {"function_id": adds, "kwargs": {"a": 7}},
    ]
    result = act(f"{COMPUTE}/v3", {"endpoint_id": endpoint.id, "tasks": tasks})
    details = result["details"]
    assert details["result"] == [3, 15, 7]
    assert [pair["output"] for pair in details["results"]] == [3, 15, 7]
    assert set(act.lab.world.compute.tasks) == {pair["task_id"] for pair in details["results"]}
    assert result["action_id"].startswith("tg_")


@pytest.mark.parametrize("url", [COMPUTE, f"{COMPUTE}/v2", f"{COMPUTE}/fxap"])
def test_functions_version_2(
    url: str, act: OneAction, function: Callable[[Any], str], globus_compute_endpoint: ComputeEndpointFactory
) -> None:
    endpoint, adds = globus_compute_endpoint("hpc"), function(add)
    one = {"endpoint": endpoint.id, "function": adds}
    assert act(url, {**one, "args": [1], "kwargs": {"b": 2}})["details"]["result"] == [3]
    assert act(url, {**one, "payload": {"a": 4, "b": 5}})["details"]["result"] == [9]
    many = {"tasks": [{**one, "args": [n]} for n in range(3)]}
    assert act(url, many)["details"]["result"] == [0, 1, 2]


def test_functions_that_fail_or_return_what_is_no_json(
    act: OneAction, function: Callable[[Any], str], globus_compute_endpoint: ComputeEndpointFactory
) -> None:
    endpoint = globus_compute_endpoint("hpc")
    for python, said in ((fail, "no such sample"), (odd, "JSON")):
        body = {"endpoint_id": endpoint.id, "tasks": [{"function_id": function(python)}]}
        result = act(f"{COMPUTE}/v3", body)
        assert result["status"] == "FAILED"
        assert said in result["details"]["description"]
    assert "404 FUNCTION_NOT_FOUND" in act.refusal(
        f"{COMPUTE}/v3", {"endpoint_id": endpoint.id, "tasks": [{"function_id": act.lab.person.id}]}
    )


# Search


def test_records_are_put_in_and_taken_out(act: OneAction) -> None:
    index = act.lab.sandbox.add_search_index("catalogue")
    record = {"search_index": index.id, "subject": "s", "content": {"a": 1}, "visible_to": ["public"]}
    assert act(f"{ACTIONS}/search/ingest", {**record, "id": "one"})["details"]["state"] == "SUCCESS"
    many = [{"subject": f"m{n}", "content": {}, "visible_to": ["public"]} for n in range(3)]
    act(f"{ACTIONS}/search/ingest", {"search_index": index.id, "entries": many})
    entries = act.lab.world.search.indexes[index.id].entries
    assert set(entries) == {("s", "one"), ("m0", None), ("m1", None), ("m2", None)}
    delete, gone = f"{ACTIONS}/search/delete", {"search_index": index.id}
    act(delete, {**gone, "delete_by": "entry", "subject": "s", "entry_id": "one"})
    act(delete, {**gone, "delete_by": "subject", "subject": "m0"})
    act(delete, {**gone, "delete_by": "subject", "subjects": ["m1"]})
    assert set(entries) == {("m2", None)}
    act(delete, {**gone, "delete_by": "query", "q": "*"})
    assert entries == {}
    assert "needs a subject" in act.refusal(delete, {**gone, "delete_by": "entry"})
    assert "404 NotFound.NoSuchIndex" in act.refusal(
        f"{ACTIONS}/search/ingest", record | {"search_index": act.lab.person.id}
    )


def test_an_ingest_that_takes_its_time(act: OneAction) -> None:
    act.lab.sandbox.settings.search_task_seconds = 30
    index = act.lab.sandbox.add_search_index("catalogue")
    record = {"search_index": index.id, "subject": "s", "content": {}, "visible_to": ["public"]}
    run = act.run(f"{ACTIONS}/search/ingest", record, until=("ACTIVE",))
    act.lab.reaches(run, "ActionStarted")
    act.lab.sandbox.clock.advance(31)
    assert act.lab.world.flows.wait(run.id).status in ("SUCCEEDED", "FAILED")


# The rest


def test_messages_go_to_the_outbox_without_their_credentials(act: OneAction) -> None:
    body = {
        "body_template": "Dear $name, it costs $5.",
        "body_variables": {"name": "Ada"},
        "sender": "flows@example.org",
        "destination": "ada@example.edu",
        "subject": "Done",
        "notification_method": "email",
        "send_credentials": [
            {"credential_method": "email", "credential_type": "smtp", "credential_value": {"password": "hush"}}
        ],
    }
    assert act(f"{ACTIONS}/notification/notify", body)["status"] == "SUCCEEDED"
    (message,) = act.lab.world.outbox.of("email")
    assert (message["body"], message["destination"]) == ("Dear Ada, it costs $5.", "ada@example.edu")
    with urllib.request.urlopen(f"{act.lab.sandbox.url}/_sandbox/outbox") as answer:
        shown = answer.read().decode()
    assert "Dear Ada" in shown
    assert "hush" not in shown
    act.lab.sandbox.reset()
    assert act.lab.world.outbox.items == []


def test_dois_are_recorded_only(act: OneAction) -> None:
    body = {"as_test": True, "username": "u", "password": "hush", "Doi": {"attributes": {"titles": [{"title": "T"}]}}}
    details = act(f"{ACTIONS}/datacite/mint/basic_auth", body)["details"]
    (minted,) = act.lab.world.outbox.of("doi")
    assert minted["doi"] == details["id"]
    assert "hush" not in json.dumps(minted)


def test_a_greeting(act: OneAction) -> None:
    assert act(f"{ACTIONS}/hello_world", {})["details"] == {"Hello": "World"}
    assert "echo" in act.refusal(f"{ACTIONS}/hello_world", {"echo": "x"})


def test_expressions(act: OneAction) -> None:
    url = f"{ACTIONS}/expression_eval"
    assert act(url, {"expression": "a + 1", "arguments": {"a": 2}})["details"] == {"result": 3}
    assert act(url, {"expression": "a", "arguments": {"a": 2}, "result_path": "x.y"})["details"] == {"x": {"y": 2}}
    several = [{"expression": "n * 2", "result_path": "twice"}, {"expression": "twice + n", "result_path": "thrice"}]
    details = act(url, {"expressions": several, "arguments": {"n": 3}})["details"]
    assert details == {"twice": 6, "thrice": 9}
    failed = act(url, {"expression": "missing"})
    assert (failed["status"], "'missing' is not in the state" in failed["details"]["description"]) == ("FAILED", True)
    assert "reference path" in act.refusal(url, {"expression": "1", "result_path": "a[*]"})


def test_a_choice_on_a_page(act: OneAction) -> None:
    url, sandbox = f"{ACTIONS}/weboption/wait_for_option", act.lab.sandbox
    options = [
        {"name": "go", "description": "Go on", "url_suffix": "go-1", "completed_message": "Thank you <3"},
        {"name": "stop", "url_suffix": "stop-1"},
    ]
    landing = {"url_suffix": "ask-1", "page_title": "Go on?", "preamble_text": "Choose."}
    body = {"options": options, "landing_page": landing}
    run = act.run(url, body, until=("ACTIVE",))
    with act.lab.world.flows.changed:
        act.lab.world.flows.changed.wait_for(lambda: act.lab.world.flows.option_pages, 5)
    until(lambda: "go-1" in act.lab.world.flows.option_pages)
    assert "409 ActionConflict" in act.refusal(url, body)
    text = _open(f"{sandbox.url}/weboption/landing_page/ask-1")
    assert "Go on?" in text
    assert "/weboption/option/stop-1" in text
    assert "Thank you &lt;3" in _open(f"{sandbox.url}/weboption/option/go-1?by=ada")
    ended = act.lab.world.flows.wait(run.id)
    assert ended.details["output"]["result"]["details"] == {
        "name": "go",
        "url_suffix": "go-1",
        "parameters": {"by": "ada"},
    }
    with pytest.raises(urllib.error.HTTPError, match="404"):
        _open(f"{sandbox.url}/weboption/option/stop-1")


def _open(url: str) -> str:
    with urllib.request.urlopen(url) as answer:
        return str(answer.read().decode())


def test_providers_of_ones_own(act: OneAction) -> None:
    act.lab.sandbox.add_action_provider("https://siap.example.org/x/", lambda body: {"got": body["n"] + 1})
    assert act("https://siap.example.org/x", {"n": 1})["details"] == {"got": 2}
    failed = act("https://siap.example.org/x", {})
    assert (failed["status"], failed["details"]["code"]) == ("FAILED", "KeyError")


def test_registered_apis(act: OneAction) -> None:
    api_id = act.lab.world.flows.add_registered_api("echo", lambda body: {"again": body})
    handler = {"Type": "RegisteredAPI", "Id": api_id}
    state = {"Type": "Action", "Handler": handler, "Parameters": {"x": 1}, "ResultPath": "$.r", "End": True}
    definition = {"StartAt": "Do", "States": {"Do": state}}
    assert act.lab.output(definition)["r"]["details"] == {"again": {"x": 1}}
    handler["Id"] = act.lab.person.id
    assert "no registered API" in act.lab.run(definition).details["details"]["cause"]


def test_a_flow_runs_a_flow(act: OneAction) -> None:
    note = {"StartAt": "N", "States": {"N": {"Type": "Pass", "Parameters": {"got.$": "$.n"}, "End": True}}}
    schema = {"type": "object", "required": ["n"]}
    inner = act.lab.sandbox.add_flow("inner", note, input_schema=schema)
    for host in ("flows.globus.org", "flows.automate.globus.org"):
        result = act(f"https://{host}/flows/{inner.id}", {"n": 4})
        assert result["details"]["output"] == {"got": 4}
        assert result["action_id"] in act.lab.world.flows.runs
    assert "400 FLOW_INPUT_ERROR" in act.refusal(f"https://flows.globus.org/flows/{inner.id}", {})
    foreign = act.lab.sandbox.add_flow("foreign", note, owner=act.lab.person.id)
    assert "404 NOT_FOUND" in act.refusal(f"https://flows.globus.org/flows/{foreign.id}", {"n": 1})
