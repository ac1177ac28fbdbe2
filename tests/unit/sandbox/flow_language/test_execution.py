"""Every kind of state, every field, every exception."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_globus.sandbox.flow_language.effects import AwaitResponse, NamedError, OpenWebInput, Sleep
from tests.unit.sandbox.flow_language.host import Host, action, failed, flow, succeeded

CATCH_ALL = {"ErrorEquals": ["States.ALL"], "Next": "Caught", "ResultPath": "$.error"}
API = "ae341a98-d274-11e5-b888-dbae3a8ba545"
CAUGHT = ("Caught", {"Type": "Pass", "End": True})


def error_of(host: Host, definition: dict[str, Any], given: dict[str, Any] | None = None) -> tuple[str, str]:
    ended = host.run(definition, given)
    assert ended.status == "FAILED"
    assert ended.error is not None
    return ended.error["error"], ended.error["cause"]


# Action


def test_an_action_and_what_it_asks_for() -> None:
    host = Host()
    definition = flow(
        (
            "Do",
            action(
                Parameters={"n.$": "$.n", "secret": "hush", "__Private_Parameters": ["secret"]},
                ActionScope="scope",
                RunAs="Flow",
                WaitTime=7,
                ResultPath="$.did",
            ),
        )
    )
    ended = host.run(definition, {"n": 1})
    (asked,) = host.actions
    assert (asked.url, asked.scope, asked.run_as, asked.wait_time) == (
        definition["States"]["Do"]["ActionUrl"],
        "scope",
        "Flow",
        7.0,
    )
    assert asked.body == {"n": 1, "secret": "hush"}
    assert asked.shown == {"n": 1}
    assert ended.output["n"] == 1
    assert ended.output["did"]["state_name"] == "Do"
    assert ended.output["did"]["status"] == "SUCCEEDED"


def test_defaults_of_an_action() -> None:
    host = Host()
    ended = host.run(flow(("Do", action())), {"n": 1})
    assert (host.actions[0].run_as, host.actions[0].wait_time) == ("User", 300.0)
    # Without a path, the result replaces the whole state.
    assert set(ended.output) == {"action_id", "status", "details", "state_name"}


@pytest.mark.parametrize(
    ("handler", "url", "scope", "api"),
    [
        ("https://a.org/x", "https://a.org/x", None, None),
        ({"Type": "ActionProvider", "Url": "https://a.org/x", "Scope": "s"}, "https://a.org/x", "s", None),
        ({"Type": "RegisteredAPI", "Id": API}, None, None, API),
    ],
)
def test_handlers(handler: Any, url: str | None, scope: str | None, api: str | None) -> None:
    host = Host()
    host.run(flow(("Do", {"Type": "Action", "Handler": handler, "InputPath": "$.body"})), {"body": {"x": 1}})
    (asked,) = host.actions
    assert (asked.url, asked.scope, asked.registered_api, asked.body) == (url, scope, api, {"x": 1})


def test_the_input_of_an_action_must_be_an_object() -> None:
    assert "must be an object" in error_of(Host(), flow(("Do", action(InputPath="$.n"))), {"n": 1})[1]


def test_a_failed_action_raises_unless_told_otherwise() -> None:
    host = Host(lambda asked: failed({"description": "no disk"}))
    assert error_of(host, flow(("Do", action()))) == (
        "ActionFailedException",
        "The action of state 'Do' failed: no disk",
    )
    tolerant = flow(("Do", action(ExceptionOnActionFailure=False, ResultPath="$.r")))
    assert host.run(tolerant).output["r"]["status"] == "FAILED"


@pytest.mark.parametrize("name", ["ActionUnableToRun", "ActionTimeout", "ActionFailedException", "EndpointError"])
def test_exceptions_are_caught_by_name(name: str) -> None:
    host = Host(lambda asked: NamedError(name, "why", {"code": "x"}))
    catch = {"ErrorEquals": [name], "Next": "Caught", "ResultPath": "$.error"}
    other = {"ErrorEquals": ["Other"], "Next": "Do", "ResultPath": "$.error"}
    ended = host.run(flow(("Do", action(Catch=[other, catch])), CAUGHT), {"n": 1})
    assert ended.output == {"n": 1, "error": {"Error": name, "Cause": "why", "Details": {"code": "x"}}}
    assert error_of(host, flow(("Do", action(Catch=[other])))) == (name, "why")


def test_catch_all() -> None:
    host = Host(lambda asked: NamedError("ActionTimeout", "why"))
    assert host.run(flow(("Do", action(Catch=[CATCH_ALL])), CAUGHT)).output["error"]["Error"] == "ActionTimeout"
    # What cannot be read is caught as well.
    missing = action(Parameters={"x.$": "$.missing"}, Catch=[CATCH_ALL])
    assert Host().run(flow(("Do", missing), CAUGHT)).output["error"]["Error"] == "States.Runtime"


def test_a_catch_without_a_path_replaces_the_state() -> None:
    host = Host(lambda asked: NamedError("ActionTimeout", "why"))
    catch = {"ErrorEquals": ["ActionTimeout"], "Next": "Caught"}
    assert host.run(flow(("Do", action(Catch=[catch])), CAUGHT), {"n": 1}).output == {
        "Error": "ActionTimeout",
        "Cause": "why",
    }


def test_the_first_catch_that_fits_counts() -> None:
    host = Host(lambda asked: NamedError("ActionTimeout", "why"))
    first = {"ErrorEquals": ["ActionTimeout"], "Next": "First", "ResultPath": "$.error"}
    definition = flow(
        ("Do", action(Catch=[first, CATCH_ALL])), ("First", {"Type": "Pass", "Result": {"f": 1}, "End": True}), CAUGHT
    )
    assert host.run(definition).output == {"f": 1}


def test_a_missing_path_is_a_runtime_error_and_logged_as_such() -> None:
    host = Host()
    ended = host.run(flow(("Send", action(Parameters={"subject.$": "$.destination.path"}))))
    assert ended.error == {
        "error": "States.Runtime",
        "cause": "The path '$.destination.path' specified for the field 'subject.$' could not be found in the state "
        "input.",
        "state_name": "Send",
    }
    assert host.log[-1].details == {
        "state_name": "Send",
        "exception": "States.Runtime",
        "cause": ended.error["cause"],
    }


# Pass, ExpressionEval


@pytest.mark.parametrize(
    ("fields", "output"),
    [
        ({}, {"n": 1}),
        ({"Parameters": {"m.$": "$.n"}}, {"m": 1}),
        ({"Parameters": {"m.=": "n + 1"}, "ResultPath": "$.p"}, {"n": 1, "p": {"m": 2}}),
        ({"InputPath": "$.n", "ResultPath": "$.p"}, {"n": 1, "p": 1}),
        ({"Result": {"r": 2}}, {"r": 2}),
        ({"Result": {"r.$": "$.n"}, "ResultPath": "$.p"}, {"n": 1, "p": {"r.$": "$.n"}}),
        ({"ResultPath": "$.copy"}, {"n": 1, "copy": {"n": 1}}),
    ],
)
def test_pass(fields: dict[str, Any], output: dict[str, Any]) -> None:
    assert Host().run(flow(("P", {"Type": "Pass", **fields})), {"n": 1}).output == output


def test_expression_eval() -> None:
    state = {"Type": "ExpressionEval", "Parameters": {"sum.=": "a + b", "keep.$": "$.a"}, "ResultPath": "$.r"}
    host = Host()
    assert host.run(flow(("E", state)), {"a": 1, "b": 2}).output == {"a": 1, "b": 2, "r": {"sum": 3, "keep": 1}}
    assert host.codes == ["FlowStarted", "ExpressionEvalStarted", "ExpressionEvalCompleted", "FlowSucceeded"]
    assert error_of(Host(), flow(("E", state)), {"a": 1})[0] == "States.Runtime"


# Choice


def test_choice_takes_the_first_that_holds_or_the_default() -> None:
    rules = [
        {"Variable": "$.n", "NumericLessThan": 5, "Next": "Small"},
        {"Variable": "$.n", "NumericLessThan": 10, "Next": "Middle"},
    ]
    ends = [(name, {"Type": "Pass", "Result": {"size": name}, "End": True}) for name in ("Small", "Middle", "Large")]
    definition = flow(("C", {"Type": "Choice", "Choices": rules, "Default": "Large"}), *ends)
    for n, size in ((1, "Small"), (7, "Middle"), (50, "Large")):
        assert Host().run(definition, {"n": n}).output == {"size": size}
    no_default = flow(("C", {"Type": "Choice", "Choices": rules}), *ends)
    error, cause = error_of(Host(), no_default, {"n": 50})
    assert error == "States.NoChoiceMatched"
    assert "'C'" in cause


def test_choice_reads_the_context() -> None:
    rule = {"Variable": "$._context.username", "StringEquals": "ada@example.org", "Next": "P"}
    definition = flow(("C", {"Type": "Choice", "Choices": [rule]}), ("P", {"Type": "Pass"}))
    assert Host().run(definition).status == "SUCCEEDED"


# Wait


@pytest.mark.parametrize(
    ("fields", "given", "until"),
    [
        ({"Seconds": 60}, {}, 1_000_060.0),
        ({"SecondsPath": "$.s"}, {"s": 1.5}, 1_000_001.5),
        ({"Timestamp": "1970-01-12T13:46:41Z"}, {}, 1_000_001.0),
        ({"TimestampPath": "$.t"}, {"t": "1970-01-12T14:46:42+01:00"}, 1_000_002.0),
    ],
)
def test_wait(fields: dict[str, Any], given: dict[str, Any], until: float) -> None:
    host = Host()
    assert host.run(flow(("W", {"Type": "Wait", **fields})), given).output == given
    assert host.asked == [Sleep("W", until)]


@pytest.mark.parametrize(
    ("fields", "given"),
    [
        ({"SecondsPath": "$.s"}, {"s": -1}),
        ({"SecondsPath": "$.s"}, {"s": "5"}),
        ({"SecondsPath": "$.s"}, {"s": True}),
        ({"TimestampPath": "$.t"}, {"t": "soon"}),
        ({"TimestampPath": "$.t"}, {}),
    ],
)
def test_waits_that_cannot_be(fields: dict[str, Any], given: dict[str, Any]) -> None:
    assert error_of(Host(), flow(("W", {"Type": "Wait", **fields})), given)[0] == "States.Runtime"


# Fail


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"Error": "E", "Cause": "C"}, ("E", "C")),
        ({"ErrorPath": "$.e", "CausePath": "$.c"}, ("E", "C")),
        ({}, ("States.Fail", "")),
    ],
)
def test_fail(fields: dict[str, Any], error: tuple[str, str]) -> None:
    assert error_of(Host(), flow(("F", {"Type": "Fail", **fields})), {"e": "E", "c": "C"}) == error


# Web inputs

ASK = {"Type": "CreateWebInput", "Parameters": {"InputType": "Selection", "n.$": "$.n"}, "ResultPath": "$.asked"}
ANSWER = {"Type": "AwaitWebInput", "Parameters": {"web_input_id.$": "$.asked.web_input_id"}, "ResultPath": "$.answer"}


def test_a_question_and_its_answer() -> None:
    host = Host(response="no")
    ended = host.run(flow(("Ask", ASK), ("Answer", ANSWER)), {"n": 1})
    assert ended.output == {"n": 1, "asked": {"web_input_id": "w"}, "answer": {"response": "no"}}
    assert host.asked == [OpenWebInput("Ask", {"InputType": "Selection", "n": 1}), AwaitResponse("Answer", "w")]


def test_nobody_answers() -> None:
    host = Host(response=NamedError("Flows.WebInputExpired", "late"))
    assert error_of(host, flow(("Ask", ASK), ("Answer", ANSWER)), {"n": 1}) == ("Flows.WebInputExpired", "late")
    catch = {"ErrorEquals": ["Flows.WebInputExpired"], "Next": "Caught", "ResultPath": "$.error"}
    caught = flow(("Ask", ASK), ("Answer", {**ANSWER, "End": True, "Catch": [catch]}), CAUGHT)
    assert host.run(caught, {"n": 1}).output["error"]["Error"] == "Flows.WebInputExpired"


def test_an_answer_needs_a_question() -> None:
    state = {"Type": "AwaitWebInput", "Parameters": {}}
    assert "web_input_id" in error_of(Host(), flow(("Answer", state)))[1]


# What all share


def test_the_context_can_be_read_and_is_no_part_of_the_state() -> None:
    state = {"Type": "Pass", "Parameters": {"run.$": "$._context.run_id", "who.=": "_context.username"}}
    host = Host()
    assert host.run(flow(("P", state)), {"_context": {"run_id": "forged"}}).output == {
        "run": "r",
        "who": "ada@example.org",
    }


def test_private_keys_are_used_and_not_logged() -> None:
    host = Host(lambda asked: succeeded({}))
    given = {"_private_token": "hush", "n": 1}
    state = action(Parameters={"t.$": "$._private_token", "__Private_Parameters": ["t"]}, ResultPath="$.r")
    ended = host.run(flow(("P", {"Type": "Pass"}), ("Do", state), ("W", {"Type": "Wait", "Seconds": 1})), given)
    assert host.actions[0].body == {"t": "hush"}
    assert ended.output["_private_token"] == "hush"
    assert "hush" not in str(host.log)


def test_the_log_in_the_services_words() -> None:
    host = Host(lambda asked: succeeded({"ok": True}))
    host.run(flow(("Do", action(Parameters={"a": 1}))), {"given": 1})
    assert [(entry.code, entry.description) for entry in host.log] == [
        ("FlowStarted", "The Flow Instance started execution"),
        ("ActionStarted", "State Do of type Action started"),
        ("ActionCompleted", "State Do of type Action completed"),
        ("FlowSucceeded", "The Flow Instance completed successfully"),
    ]
    assert host.log[0].details == {"input": {"given": 1}}
    assert host.log[1].details == {"state_name": "Do", "state_type": "Action", "input": {"a": 1}}
    assert host.log[2].details["output"]["details"] == {"ok": True}


def test_a_state_that_grows_too_large() -> None:
    grow = {"Type": "ExpressionEval", "Parameters": {"x.=": "'y' * 90000"}, "ResultPath": "$.big"}
    more = {"Type": "ExpressionEval", "Parameters": {"x.=": "'y' * 90000"}, "ResultPath": "$.bigger"}
    third = {"Type": "ExpressionEval", "Parameters": {"x.=": "'y' * 90000"}, "ResultPath": "$.biggest"}
    assert Host().run(flow(("A", grow), ("B", more))).status == "SUCCEEDED"
    assert "200,000 are allowed" in error_of(Host(), flow(("A", grow), ("B", more), ("C", third)))[1]


def test_an_endless_loop_ends() -> None:
    endless = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "A"}}}
    assert "50 states without end" in error_of(Host(max_transitions=50), endless)[1]
