"""What paths read, and where results are written."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_globus.sandbox.flow_language.effects import NamedError
from airflow_provider_globus.sandbox.flow_language.paths import (
    compiled,
    is_present,
    read,
    reference_problem,
    shown,
    write,
)

STATE: dict[str, Any] = {"a": {"b": [1, 2, {"c-d": 3}]}, "null": None}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", STATE),
        ("$.a.b[0]", 1),
        ("$.a.b[-1].c-d", 3),
        ("$.a['b'][1]", 2),
        ("$.null", None),
        ("$.a.b[1:]", [2, {"c-d": 3}]),
        ("$.a.*", [[1, 2, {"c-d": 3}]]),
        ("$.a.b[*]", [1, 2, {"c-d": 3}]),
        ("$.missing[*]", []),
    ],
)
def test_reads(path: str, value: Any) -> None:
    assert read(path, STATE, "f.$") == value


def test_one_place_that_is_not_there_is_an_error_in_the_services_words() -> None:
    with pytest.raises(NamedError) as raised:
        read("$.destination.path", STATE, "subject.$")
    assert raised.value.name == "States.Runtime"
    assert raised.value.cause == (
        "The path '$.destination.path' specified for the field 'subject.$' could not be found in the state input."
    )
    assert not is_present("$.destination.path", STATE)
    assert is_present("$.null", STATE)


@pytest.mark.parametrize("path", ["a", "", "$.[", "$.a[", "$..", "@.a"])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(ValueError, match=r"is not a JSONPath|does not begin"):
        compiled(path)


@pytest.mark.parametrize(
    ("path", "state"),
    [
        ("$", {"new": 1}),
        ("$.x", {"a": {"b": [1]}, "x": {"new": 1}}),
        ("$.x.y.z", {"a": {"b": [1]}, "x": {"y": {"z": {"new": 1}}}}),
        ("$.a", {"a": {"new": 1}}),
        ("$.a.b[0]", {"a": {"b": [{"new": 1}]}}),
        ("$.a.b[1]", {"a": {"b": [1, {"new": 1}]}}),
        ("$['x-y']", {"a": {"b": [1]}, "x-y": {"new": 1}}),
        ("$.list[0]", {"a": {"b": [1]}, "list": [{"new": 1}]}),
    ],
)
def test_writes_and_makes_what_is_missing_above(path: str, state: Any) -> None:
    before: dict[str, Any] = {"a": {"b": [1]}}
    assert write(path, before, {"new": 1}) == state
    assert before == {"a": {"b": [1]}}


@pytest.mark.parametrize("path", ["$.a.b.c", "$.a.b[7]", "$.a[0]"])
def test_there_must_be_a_place(path: str) -> None:
    with pytest.raises(NamedError, match="cannot be written"):
        write(path, {"a": {"b": [1]}}, 1)


def test_the_whole_state_stays_an_object() -> None:
    with pytest.raises(NamedError, match="only be replaced by an object"):
        write("$", {}, [1])


@pytest.mark.parametrize("path", ["$.a[*]", "$..a", "$.a[1:]", "a", "$.a.b.", "$._context", "$._context.run_id"])
def test_results_need_one_place_to_go_to(path: str) -> None:
    assert reference_problem(path)


@pytest.mark.parametrize("path", ["$", "$.a", "$.a.b[0]", "$['a b'].c", "$._contextual"])
def test_reference_paths(path: str) -> None:
    assert reference_problem(path) is None


def test_private_keys_are_not_shown() -> None:
    document = {"a": [{"_private_x": 1, "y": 2}], "_privateKey": 3, "_context": {}, "_other": 4}
    assert shown(document) == {"a": [{"y": 2}], "_other": 4}
