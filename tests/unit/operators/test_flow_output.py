"""The part of an output that an author asks for."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_globus.exceptions import GlobusInputError, GlobusResultError
from airflow_provider_globus.operators.flow_output import check_output_path, select_output

OUTPUT = {"Move": {"details": {"task_id": "t", "files": 3}}, "items": [{"n": 1}, {"n": 2}], "sub-ject": None}


def run(output: Any = OUTPUT) -> dict[str, Any]:
    return {"run_id": "r", "details": {"output": output}}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", OUTPUT),
        ("$.Move.details.task_id", "t"),
        ("$['sub-ject']", None),
        ("$.items[-1].n", 2),
        ("$.items[*].n", [1, 2]),
        ("$.items[?@.n > 1]", [{"n": 2}]),
        ("$.nothing[*]", []),
        ("$.items[0].n | $.items[1].n", [1, 2]),
    ],
)
def test_selects(path: str, found: Any) -> None:
    assert select_output(run(), path) == found


def test_a_path_that_leads_nowhere_names_what_there_is() -> None:
    with pytest.raises(GlobusResultError, match=r"'\$.Mvoe'.*Move, items, sub-ject"):
        select_output(run(), "$.Mvoe")


def test_no_output_at_all() -> None:
    with pytest.raises(GlobusResultError, match="r has nothing"):
        select_output({"run_id": "r", "details": None}, "$.a")


def test_what_is_no_path_is_refused_in_one_line() -> None:
    with pytest.raises(GlobusInputError, match=r"output_path '\$\.a\[' is no JSONPath") as raised:
        check_output_path("$.a[", lambda message, advice: GlobusInputError(message, advice=advice))
    assert "\n" not in str(raised.value)
    check_output_path(None, lambda message, advice: GlobusInputError(message))
