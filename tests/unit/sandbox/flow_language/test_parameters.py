"""Parameters filled from the state, and those that stay out of sight."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_globus.sandbox.flow_language.effects import NamedError
from airflow_provider_globus.sandbox.flow_language.parameters import fill

STATE: dict[str, Any] = {"n": 3, "source": {"id": "s"}, "items": [{"p": "/a"}, {"p": "/b"}], "password": "hush"}


def test_values_paths_and_expressions_at_any_depth() -> None:
    template = {
        "plain": "$.n",
        "n.$": "$.n",
        "twice.=": "n * 2",
        "nested": {"id.$": "$.source.id", "deeper": {"x.=": "'x'"}},
        "list": [{"p.$": "$.items[0].p"}, "text", 5, [{"p.=": "items[1].p"}]],
        "all.$": "$.items[*].p",
    }
    filled, public = fill(template, STATE)
    assert filled == {
        "plain": "$.n",
        "n": 3,
        "twice": 6,
        "nested": {"id": "s", "deeper": {"x": "x"}},
        "list": [{"p": "/a"}, "text", 5, [{"p": "/b"}]],
        "all": ["/a", "/b"],
    }
    assert public == filled


@pytest.mark.parametrize("names", [["password"], ["password.$"], ["password.="]])
def test_private_parameters_are_sent_and_not_shown(names: list[str]) -> None:
    filled, public = fill({"user": "u", "password.$": "$.password", "__Private_Parameters": names}, STATE)
    assert filled == {"user": "u", "password": "hush"}
    assert public == {"user": "u"}


def test_private_parameters_inside_others() -> None:
    inner = {"credential_value.$": "$.password", "type": "smtp", "__Private_Parameters": ["credential_value"]}
    filled, public = fill({"send_credentials": [inner]}, STATE)
    assert filled == {"send_credentials": [{"credential_value": "hush", "type": "smtp"}]}
    assert public == {"send_credentials": [{"type": "smtp"}]}


def test_the_field_of_an_error_is_named_as_the_definition_has_it() -> None:
    with pytest.raises(NamedError, match=r"for the field 'a\.b\.\$'"):
        fill({"a": {"b.$": "$.missing"}}, STATE)
    with pytest.raises(NamedError, match="must be text"):
        fill({"a.$": 3}, STATE)
