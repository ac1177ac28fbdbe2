"""What a flow cannot do: write what is the service's, show what is private, grow without end, end a run unnoticed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_globus.sandbox.flow_language.choice import holds
from airflow_provider_globus.sandbox.flow_language.effects import NamedError, RunAction
from airflow_provider_globus.sandbox.flow_language.expressions import evaluate
from airflow_provider_globus.sandbox.flow_language.paths import read, reference_problem
from airflow_provider_globus.sandbox.flow_language.validation import check_definition
from tests.unit.sandbox.flow_language.host import Host, action, flow, succeeded

RUNTIME = "States.Runtime"


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"x": value}
    return value


def cause_of(host: Host, definition: dict[str, Any], given: dict[str, Any] | None = None) -> str:
    ended = host.run(definition, given)
    assert ended.error is not None
    assert ended.error["error"] == RUNTIME
    assert host.codes[-1] == "FlowFailed"
    return str(ended.error["cause"])


# The service's own part of the state


@pytest.mark.parametrize("template", [{"all.$": "$"}, {"all.$": "$.*"}, {"all.$": "$..run_id"}, {"all.=": "`$`"}])
def test_only_paths_that_name_the_context_lead_to_it(template: dict[str, str]) -> None:
    ended = Host().run(flow(("P", {"Type": "Pass", "Parameters": template})), {"n": 1})
    assert ended.output["all"] in ({"n": 1}, [1], [])


def test_the_context_is_not_sent_with_the_whole_state() -> None:
    host = Host()
    host.run(flow(("Do", action(InputPath="$"))), {"n": 1})
    assert host.actions[0].body == {"n": 1}


def test_the_context_cannot_be_forged() -> None:
    forge = {"Type": "Pass", "Result": {"_context": {"run_id": "forged"}, "n": 1}}
    read = {"Type": "Pass", "Parameters": {"run.$": "$._context.run_id"}, "ResultPath": "$.read"}
    assert Host().run(flow(("F", forge), ("R", read))).output == {"n": 1, "read": {"run": "r"}}


@pytest.mark.parametrize("path", ["$['_context']", '$["_context"].run_id', "$['_context']['x']"])
def test_the_context_is_read_only_however_it_is_written(path: str) -> None:
    assert reference_problem(path) == "'$._context' is read-only"


def test_names_of_paths_may_be_in_any_script() -> None:
    assert reference_problem("$.größe.名") is None
    assert Host().run(flow(("P", {"Type": "Pass", "ResultPath": "$.größe"})), {"n": 1}).output["größe"] == {"n": 1}


# What is private


@pytest.mark.parametrize("kind", ["Pass", "ExpressionEval"])
@pytest.mark.parametrize("key", [{"key": "hush"}, {"key.$": "$._private_key"}, {"key.=": "_private_key"}])
def test_private_parameters_are_in_no_log_whatever_the_state(kind: str, key: dict[str, str]) -> None:
    state = {
        "Type": kind,
        "Parameters": {**key, "n": 1, "__Private_Parameters": ["key"]},
        "ResultPath": "$._private_made",
    }
    host = Host()
    ended = host.run(flow(("S", state)), {"_private_key": "hush"})
    assert ended.output["_private_made"] == {"key": "hush", "n": 1}
    assert "hush" not in str(host.log)
    assert [entry.details.get("output", entry.details.get("input")) for entry in host.log[1:3]] == [{"n": 1}, {"n": 1}]


def test_a_parameter_named_twice_does_not_end_the_run_unnoticed() -> None:
    twice = {"Type": "Pass", "Parameters": {"a": {"b": 1}, "a.$": "$.n"}}
    assert Host().run(flow(("P", twice)), {"n": 1}).output == {"a": 1}


# What providers do with what they are given, and give back


def test_a_provider_cannot_change_the_state() -> None:
    def greedy(asked: RunAction) -> Any:
        asked.body["items"].append("more")
        return succeeded({})

    ended = Host(greedy).run(
        flow(("Do", action(Parameters={"items.$": "$.items"}, ResultPath="$.r"))), {"items": ["a"]}
    )
    assert ended.output["items"] == ["a"]


def test_what_a_provider_gives_is_kept_as_json_has_it() -> None:
    details = {"pair": (1, 2), 3: "three"}
    ended = Host(lambda asked: succeeded(details)).run(flow(("Do", action())))
    assert ended.output["details"] == {"pair": [1, 2], "3": "three"}


def test_what_is_not_json_fails_the_state_and_can_be_caught() -> None:
    host = Host(lambda asked: succeeded({"set": {1}}))
    assert "cannot be written as JSON" in cause_of(host, flow(("Do", action())))
    catch = {"ErrorEquals": [RUNTIME], "Next": "P", "ResultPath": "$.error"}
    caught = Host(lambda asked: succeeded({"set": {1}})).run(
        flow(("Do", action(Catch=[catch])), ("P", {"Type": "Pass"}))
    )
    assert caught.output["error"]["Error"] == RUNTIME


@pytest.mark.parametrize("kind", ["CreateWebInput", "Action"])
def test_the_input_must_be_an_object(kind: str) -> None:
    state = action(InputPath="$.n") if kind == "Action" else {"Type": kind, "InputPath": "$.n"}
    assert "must be an object" in cause_of(Host(), flow(("S", state)), {"n": 1})


# Size, depth, and number


def test_as_many_states_as_allowed_and_no_more() -> None:
    definition = flow(*((f"P{number}", {"Type": "Pass"}) for number in range(3)))
    assert Host(max_transitions=3).run(definition).status == "SUCCEEDED"
    host = Host(max_transitions=2)
    assert "2 states without end" in cause_of(host, definition)
    assert host.log[-1].details["state_name"] == "P2"


def test_an_input_that_is_too_large_starts_nothing() -> None:
    host = Host(max_state_bytes=100)
    assert "100 are allowed" in cause_of(host, flow(("Do", action())), {"x": "y" * 100})
    assert host.actions == []


def test_the_state_is_measured_in_bytes_of_utf8() -> None:
    given = {"x": "é" * 40}
    size = len(json.dumps(given, ensure_ascii=False).encode())
    definition = flow(("P", {"Type": "Pass"}))
    assert Host(max_state_bytes=size).run(definition, given).status == "SUCCEEDED"
    assert f"has {size} bytes" in cause_of(Host(max_state_bytes=size - 1), definition, given)


def test_what_catch_hands_on_is_measured_too() -> None:
    host = Host(lambda asked: NamedError("ActionTimeout", "late", {"x": "y" * 300}), max_state_bytes=200)
    catch = {"ErrorEquals": ["ActionTimeout"], "Next": "P", "ResultPath": "$.error"}
    assert "200 are allowed" in cause_of(host, flow(("Do", action(Catch=[catch])), ("P", {"Type": "Pass"})))
    assert host.log[-1].details["state_name"] == "Do"


def test_a_state_that_is_wrapped_again_and_again() -> None:
    wrap = {"Type": "Pass", "Parameters": {"inner.$": "$"}, "Next": "Wrap"}
    assert "100 deep" in cause_of(Host(), {"StartAt": "Wrap", "States": {"Wrap": wrap}})


@pytest.mark.parametrize("depth", [150, 5_000])
def test_an_input_or_an_answer_that_is_too_deep(depth: int) -> None:
    assert "100 deep" in cause_of(Host(), flow(("P", {"Type": "Pass"})), nested(depth))
    assert "100 deep" in cause_of(Host(lambda asked: succeeded(nested(depth))), flow(("Do", action())))


def test_a_path_that_cannot_be_followed() -> None:
    with pytest.raises(NamedError, match=r"The path '\$\.\.y' could not be followed"):
        read("$..y", nested(400), "field")


def test_a_definition_that_is_too_deep_is_told() -> None:
    rule: dict[str, Any] = {"Variable": "$.x", "IsNull": True}
    for _ in range(3_000):
        rule = {"Not": rule}
    definition = {"StartAt": "C", "States": {"C": {"Type": "Choice", "Choices": [{**rule, "Next": "C"}]}}}
    assert [problem.msg for problem in check_definition(definition)] == ["The definition is nested too deeply"]


@pytest.mark.parametrize("seconds", [31_536_001, 1e300])
def test_no_wait_is_longer_than_a_year(seconds: float) -> None:
    wait = {"Type": "Wait", "SecondsPath": "$.s"}
    assert "31536000 are allowed" in cause_of(Host(), flow(("W", wait)), {"s": seconds})


@pytest.mark.parametrize(
    "expression",
    [
        "[[0] * 99999 for a in [0] * 9999]",
        "['x' * 99999 for a in [0] * 9999]",
        "[[[0] * 9999] * 9999] * 9999",
        "str([[[0] * 9999] * 9999] * 9999)",
        "f'{[[[0] * 9999] * 9999] * 9999}'",
        "{'a': [big[1:] for a in big], 'b': [big[1:] for a in big]}",
        "[list(big) for a in big]",
    ],
)
def test_values_inside_values_are_counted(expression: str) -> None:
    with pytest.raises(NamedError, match=r"have more than 1,000,000 parts"):
        evaluate(expression, {"big": [0] * 9_000})


def test_bytes_are_no_way_round_the_limits() -> None:
    with pytest.raises(NamedError, match="more than 100,000 parts"):
        evaluate("len(b'x' * 10 ** 9)", {})


# Moments


@pytest.mark.parametrize(
    "value",
    [
        "2030-01-01",
        "2030-01-01T12:00",
        "2030-01-01T12:00:00",
        "20300101T120000Z",
        "2030-W01-1T12:00:00Z",
        "2030-02-30T12:00:00Z",
        "2030-01-01 12:00:00Z",
        1_900_000_000,
    ],
)
def test_what_is_no_timestamp(value: Any) -> None:
    assert not holds({"Variable": "$.t", "IsTimestamp": True}, {"t": value})


@pytest.mark.parametrize(
    "value", ["2030-01-01T12:00:00Z", "2030-01-01T12:00:00.123456+01:00", "2030-01-01T12:00:00-00:00"]
)
def test_what_is_a_timestamp(value: str) -> None:
    assert holds({"Variable": "$.t", "IsTimestamp": True}, {"t": value})


@pytest.mark.parametrize(
    "expression",
    [
        "{'f': len}.f.__globals__",
        "{'f': len}.f.__self__",
        "[len, getattr][1].__globals__",
        "getattr.__closure__",
        "list.__subclasses__()",
        "dict.fromkeys([1])",
        "{'f': dict}.f.mro()",
        "is_present.__code__",
        "(n for n in [1]).gi_frame",
        "n.real",
        "n.to_bytes(9, 'big')",
        "'x'.join.__self__",
        "[getattr('a.__class__').__base__]",
        "list[0].__origin__",
    ],
)
def test_functions_are_called_and_not_looked_into(expression: str) -> None:
    with pytest.raises(NamedError) as raised:
        evaluate(expression, {"n": 1, "a": {}})
    assert raised.value.name == RUNTIME


@pytest.mark.parametrize("expression", ["len", "[len]", "{'f': list}", "'x'.upper", "list[0]"])
def test_a_function_is_no_value(expression: str) -> None:
    with pytest.raises(NamedError, match="is none of JSON's"):
        evaluate(expression, {})
