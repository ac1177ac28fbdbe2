"""What is wrong with a definition is told before it runs, with the state and the field."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_globus.sandbox.flow_language.validation import check_definition, check_input_schema

URL = "https://actions.globus.org/hello_world"
UUID = "ae341a98-d274-11e5-b888-dbae3a8ba545"
PASS = {"Type": "Pass", "End": True}


def one(**state: Any) -> dict[str, Any]:
    return {"StartAt": "S", "States": {"S": state}}


def action(**state: Any) -> dict[str, Any]:
    return one(**{"Type": "Action", "ActionUrl": URL, "Parameters": {}, "End": True} | state)


def handled(handler: Any) -> dict[str, Any]:
    return one(Type="Action", Handler=handler, Parameters={}, End=True)


def choice(rule: Any, **more: Any) -> dict[str, Any]:
    return {"StartAt": "S", "States": {"S": {"Type": "Choice", "Choices": [rule], **more}, "T": PASS}}


@pytest.mark.parametrize(
    ("definition", "loc", "why"),
    [
        ([], (), "must be an object"),
        ({"StartAt": "S"}, ("States",), "at least one state"),
        ({"StartAt": "S", "States": {}}, ("States",), "at least one state"),
        ({"States": {"S": PASS}}, ("StartAt",), "field required"),
        ({"StartAt": "X", "States": {"S": PASS}}, ("StartAt",), "There is no state 'X'"),
        ({**one(**PASS), "Version": "1"}, ("Version",), "extra fields not permitted"),
        (one(Type="Task", End=True), ("States", "S", "Type"), "there are Action, Pass, ExpressionEval"),
        (one(Type="Pas", End=True), ("States", "S", "Type"), "did you mean 'Pass'"),
        (one(Type="Parallel"), ("States", "S", "Type"), "not a type of state"),
        (action(Paramters={}), ("States", "S", "Paramters"), "did you mean 'Parameters'"),
        (action(OutputPath="$"), ("States", "S", "OutputPath"), "extra fields"),
        (action(Retry=[]), ("States", "S", "Retry"), "extra fields"),
        (action(ActionUrl="http://x.org"), ("States", "S", "ActionUrl"), "does not match"),
        (action(WaitTime="300"), ("States", "S", "WaitTime"), "not of type 'integer'"),
        (action(InputPath="$"), ("States", "S"), "exactly one of Parameters, InputPath"),
        (action(Handler="https://x.org"), ("States", "S"), "exactly one of ActionUrl, Handler"),
        (one(Type="Action", ActionUrl=URL, End=True), ("States", "S"), "exactly one of Parameters, InputPath"),
        (
            one(Type="Action", Handler={"Type": "Lambda"}, Parameters={}, End=True),
            ("States", "S", "Handler", "Type"),
            "'Lambda' is not a type of handler; there are ActionProvider, RegisteredAPI",
        ),
        (
            handled({"Type": "ActionProvder", "Url": URL}),
            ("States", "S", "Handler", "Type"),
            "did you mean 'ActionProvider'",
        ),
        (handled({"Type": "ActionProvider"}), ("States", "S", "Handler"), "'Url' is a required property"),
        (
            handled({"Type": "ActionProvider", "Url": "http://x.org"}),
            ("States", "S", "Handler", "Url"),
            "does not match",
        ),
        (
            handled({"Type": "ActionProvider", "Url": URL, "Scopes": "s"}),
            ("States", "S", "Handler", "Scopes"),
            "did you mean 'Scope'",
        ),
        (handled({"Type": "RegisteredAPI"}), ("States", "S", "Handler"), "'Id' is a required property"),
        (handled({"Type": "RegisteredAPI", "Id": "x"}), ("States", "S", "Handler", "Id"), "not a UUID"),
        (handled(5), ("States", "S", "Handler"), "not of type"),
        (one(Type=["Pass"], End=True), ("States", "S", "Type"), "not a type of state"),
        (action(ResultPath="$['_context'].run_id"), ("States", "S", "ResultPath"), "read-only"),
        (one(Type="Wait", Timestamp="2030-01-31T12:00", End=True), ("States", "S", "Timestamp"), "not a timestamp"),
        (
            choice({"Variable": "$.x", "StringMatchesPath": "$.y", "Next": "T"}),
            ("States", "S", "Choices", 0, "StringMatchesPath"),
            "extra fields",
        ),
        (
            choice({"And": [{"Variable": "$.x", "IsNull": True}], "StringEquals": "a", "Next": "T"}),
            ("States", "S", "Choices", 0, "StringEquals"),
            "extra fields",
        ),
        (
            one(Type="Action", ActionUrl=URL, Parameters={}),
            ("States", "S"),
            'must be defined as either terminal ("End": true) or transitional ("Next": "NextStateId")',
        ),
        (action(Next="S"), ("States", "S"), "either terminal"),
        (one(Type="Pass", End=False), ("States", "S"), "either terminal"),
        (one(Type="Pass", Next="T"), ("States", "S", "Next"), "There is no state 'T'"),
        (
            action(Catch=[{"ErrorEquals": ["States.ALL"], "Next": "T"}]),
            ("States", "S", "Catch", 0, "Next"),
            "There is no state 'T'",
        ),
        (action(Catch=[{"Next": "S"}]), ("States", "S", "Catch", 0), "'ErrorEquals' is a required property"),
        (
            action(Catch=[{"ErrorEquals": [], "Next": "S", "ResultPath": "$.a[*]"}]),
            ("States", "S", "Catch", 0, "ResultPath"),
            "reference path",
        ),
        (action(ResultPath="$._context"), ("States", "S", "ResultPath"), "read-only"),
        (action(ResultPath="result"), ("States", "S", "ResultPath"), "reference path"),
        (action(Parameters={"a.$": "b"}), ("States", "S", "Parameters", "a.$"), "does not begin with"),
        (action(Parameters={"a": [{"b.=": "1 +"}]}), ("States", "S", "Parameters", "a", 0, "b.="), "cannot be read"),
        (action(Parameters={"a.=": 3}), ("States", "S", "Parameters", "a.="), "must be text"),
        (
            action(Parameters={"__Private_Parameters": ["x"]}),
            ("States", "S", "Parameters", "__Private_Parameters"),
            "no parameter 'x'",
        ),
        (
            action(Parameters={"__Private_Parameters": "x"}),
            ("States", "S", "Parameters", "__Private_Parameters"),
            "list of names",
        ),
        (one(Type="Pass", Parameters={}, InputPath="$", End=True), ("States", "S"), "more than one of"),
        (one(Type="Pass", InputPath="$[", End=True), ("States", "S", "InputPath"), "not a JSONPath"),
        (one(Type="ExpressionEval", Parameters={}, End=True), ("States", "S"), "'ResultPath' is a required"),
        (one(Type="ExpressionEval", ResultPath="$.x", End=True), ("States", "S"), "'Parameters' is a required"),
        (one(Type="Wait", End=True), ("States", "S"), "exactly one of Seconds"),
        (one(Type="Wait", Seconds=1, SecondsPath="$.s", End=True), ("States", "S"), "exactly one of Seconds"),
        (one(Type="Wait", Seconds=31_536_001, End=True), ("States", "S", "Seconds"), "maximum"),
        (one(Type="Wait", Seconds=1.5, End=True), ("States", "S", "Seconds"), "integer"),
        (one(Type="Wait", Timestamp="tomorrow", End=True), ("States", "S", "Timestamp"), "not a timestamp"),
        (one(Type="Fail", Error="e", ErrorPath="$.e"), ("States", "S"), "more than one of Error"),
        (one(Type="Fail", End=True), ("States", "S", "End"), "extra fields"),
        (one(Type="AwaitWebInput", Parameters={}), ("States", "S"), "either terminal"),
        (
            choice({"Variable": "$.x", "StringEquals": "a", "Next": "X"}),
            ("States", "S", "Choices", 0, "Next"),
            "no state",
        ),
        (choice({"Variable": "$.x", "StringEquals": "a"}), ("States", "S", "Choices", 0, "Next"), "field required"),
        (choice({"Variable": "$.x", "Next": "T"}), ("States", "S", "Choices", 0), "must compare"),
        (choice({"Next": "T"}), ("States", "S", "Choices", 0), "exactly one of And, Or, Not, Variable"),
        (choice({"And": [], "Next": "T"}), ("States", "S", "Choices", 0, "And"), "at least one"),
        (
            choice({"Not": {"Variable": "$.x", "IsNull": True, "Next": "T"}, "Next": "T"}),
            ("States", "S", "Choices", 0, "Not", "Next"),
            "Only the outermost",
        ),
        (
            choice({"Variable": "$.x", "StringEqual": "a", "Next": "T"}),
            ("States", "S", "Choices", 0, "StringEqual"),
            "did you mean 'StringEquals'",
        ),
        (
            choice({"Variable": "$.x", "NumericEquals": "5", "Next": "T"}),
            ("States", "S", "Choices", 0, "NumericEquals"),
            "needs a numeric",
        ),
        (
            choice({"Variable": "$.x", "TimestampEquals": "x", "Next": "T"}),
            ("States", "S", "Choices", 0, "TimestampEquals"),
            "needs a timestamp",
        ),
        (
            choice({"Variable": "$.x", "IsPresent": "yes", "Next": "T"}),
            ("States", "S", "Choices", 0, "IsPresent"),
            "needs a boolean",
        ),
        (
            choice({"Variable": "$.x", "StringEqualsPath": "a", "Next": "T"}),
            ("States", "S", "Choices", 0, "StringEqualsPath"),
            "does not begin",
        ),
        (choice({"Variable": "x", "IsNull": True, "Next": "T"}), ("States", "S", "Choices", 0, "Variable"), "begin"),
        (choice({"Variable": "$.x", "IsNull": True, "Next": "T"}, Default="X"), ("States", "S", "Default"), "no state"),
        (one(Type="Choice", Choices=[]), ("States", "S", "Choices"), "non-empty"),
        (one(Type="Choice", Default="S"), ("States", "S"), "'Choices' is a required"),
    ],
)
def test_each_problem_says_where_and_why(definition: Any, loc: tuple[Any, ...], why: str) -> None:
    problems = check_definition(definition)
    assert [problem.loc for problem in problems] == [("definition", *loc)], problems
    assert why in problems[0].msg


@pytest.mark.parametrize(
    "definition",
    [
        action(),
        action(
            ActionScope="https://auth.globus.org/scopes/x", RunAs="Flow", WaitTime=5, ExceptionOnActionFailure=False
        ),
        one(Type="Action", Handler={"Type": "ActionProvider", "Url": URL, "Scope": "s"}, InputPath="$", End=True),
        one(Type="Action", Handler={"Type": "RegisteredAPI", "Id": UUID}, InputPath="$.a", End=True),
        one(Type="Action", Handler=URL, InputPath="$.a", End=True, Comment="c"),
        one(Type="Wait", TimestampPath="$.t", End=True),
        one(Type="Fail"),
        one(Type="Fail", ErrorPath="$.e", CausePath="$.c"),
    ],
)
def test_what_is_right(definition: Any) -> None:
    assert check_definition(definition) == []


def test_all_problems_are_told_together() -> None:
    definition = {"StartAt": "X", "States": {"A": {"Type": "Pass"}, "B": {"Type": "Pas"}}}
    assert len(check_definition(definition)) == 3


def test_input_schemas() -> None:
    assert check_input_schema({"type": "object", "properties": {"a": {"format": "globus-collection"}}}) == []
    assert check_input_schema({"type": "objct"})[0].loc == ("input_schema", "type")
    assert check_input_schema([])[0].msg == "The input schema must be an object"
