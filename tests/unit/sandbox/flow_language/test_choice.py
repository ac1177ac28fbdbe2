"""Every comparison of choice rules, with values and with paths."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_globus.sandbox.flow_language.choice import holds
from airflow_provider_globus.sandbox.flow_language.effects import NamedError

STATE: dict[str, Any] = {
    "text": "m",
    "number": 5,
    "yes": True,
    "no": False,
    "nothing": None,
    "time": "2030-01-01T12:00:00Z",
    "zoned": "2030-01-01T13:00:00+01:00",
    "star": "a*c",
    "other_text": "n",
    "other_number": 6,
    "later": "2031-01-01T00:00:00Z",
}
ORDER = {
    "Equals": (False, True, False),
    "LessThan": (False, False, True),
    "GreaterThan": (True, False, False),
    "LessThanEquals": (False, True, True),
    "GreaterThanEquals": (True, True, False),
}
#: for each kind: a variable, and a value below, equal and above it
KINDS = {
    "String": ("$.text", ("a", "m", "z")),
    "Numeric": ("$.number", (4, 5.0, 6)),
    "Timestamp": ("$.time", ("2029-12-31T00:00:00Z", "2030-01-01T12:00:00Z", "2030-06-01T00:00:00+02:00")),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("comparison", ORDER)
def test_comparisons_with_values_and_paths(kind: str, comparison: str) -> None:
    variable, values = KINDS[kind]
    for value, expected in zip(values, ORDER[comparison], strict=True):
        assert holds({"Variable": variable, f"{kind}{comparison}": value}, STATE) is expected
        by_path = {"Variable": variable, f"{kind}{comparison}Path": "$.other"}
        assert holds(by_path, {**STATE, "other": value}) is expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"Variable": "$.yes", "BooleanEquals": True}, True),
        ({"Variable": "$.yes", "BooleanEquals": False}, False),
        ({"Variable": "$.yes", "BooleanEqualsPath": "$.no"}, False),
        ({"Variable": "$.time", "TimestampEqualsPath": "$.zoned"}, True),
        ({"Variable": "$.nothing", "IsNull": True}, True),
        ({"Variable": "$.text", "IsNull": True}, False),
        ({"Variable": "$.text", "IsNull": False}, True),
        ({"Variable": "$.text", "IsPresent": True}, True),
        ({"Variable": "$.missing", "IsPresent": True}, False),
        ({"Variable": "$.missing", "IsPresent": False}, True),
        ({"Variable": "$.number", "IsNumeric": True}, True),
        ({"Variable": "$.yes", "IsNumeric": True}, False),
        ({"Variable": "$.text", "IsString": True}, True),
        ({"Variable": "$.number", "IsString": True}, False),
        ({"Variable": "$.no", "IsBoolean": True}, True),
        ({"Variable": "$.number", "IsBoolean": True}, False),
        ({"Variable": "$.time", "IsTimestamp": True}, True),
        ({"Variable": "$.text", "IsTimestamp": True}, False),
        ({"Variable": "$.text", "StringMatches": "m*"}, True),
        ({"Variable": "$.text", "StringMatches": "?"}, False),
        ({"Variable": "$.text", "StringMatches": "[m]"}, False),
        ({"Variable": "$.star", "StringMatches": "a\\*c"}, True),
        ({"Variable": "$.text", "StringMatches": "\\*"}, False),
        # What is of another type is neither equal nor less nor more.
        ({"Variable": "$.text", "NumericEquals": 5}, False),
        ({"Variable": "$.number", "StringEquals": "5"}, False),
        ({"Variable": "$.yes", "NumericEquals": 1}, False),
        ({"Variable": "$.nothing", "StringEquals": "x"}, False),
        ({"Not": {"Variable": "$.text", "StringEquals": "m"}}, False),
        ({"And": [{"Variable": "$.yes", "BooleanEquals": True}, {"Variable": "$.no", "BooleanEquals": True}]}, False),
        ({"Or": [{"Variable": "$.yes", "BooleanEquals": True}, {"Variable": "$.no", "BooleanEquals": True}]}, True),
        (
            {
                "And": [
                    {
                        "Or": [
                            {"Variable": "$.missing", "IsPresent": True},
                            {"Variable": "$.yes", "BooleanEquals": True},
                        ]
                    },
                    {"Not": {"Variable": "$.number", "NumericGreaterThan": 9}},
                ]
            },
            True,
        ),
    ],
)
def test_rules(rule: dict[str, Any], expected: bool) -> None:
    assert holds(rule, STATE) is expected


def test_a_variable_that_is_not_there_is_an_error() -> None:
    with pytest.raises(NamedError, match=r"'\$\.missing' specified for the field 'Variable'"):
        holds({"Variable": "$.missing", "StringEquals": "x"}, STATE)


def test_and_stops_at_the_first_that_is_false() -> None:
    guard = {"Variable": "$.missing", "IsPresent": True}
    assert not holds({"And": [guard, {"Variable": "$.missing", "StringEquals": "x"}]}, STATE)


def test_a_path_to_a_value_of_another_type_is_an_error() -> None:
    with pytest.raises(NamedError, match="'NumericEqualsPath' cannot compare with 'm'"):
        holds({"Variable": "$.number", "NumericEqualsPath": "$.text"}, STATE)
