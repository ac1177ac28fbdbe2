"""Arguments that travel or are refused by name; results that are read or are not."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

import pytest
from globus_compute_sdk.serialize import (
    AllCodeStrategies,
    AllDataStrategies,
    ComputeSerializer,
    DillCode,
    DillDataBase64,
    JSONData,
    PureSourceDill,
    PureSourceTextInspect,
)

from airflow_provider_globus.compute.payloads import (
    SUBMISSION_BYTES,
    Arguments,
    chunks,
    is_json,
    pack_arguments,
    unpack_result,
)
from airflow_provider_globus.exceptions import GlobusInputError, GlobusResultError


def iter_once() -> Any:
    """Make what cannot be serialised."""
    yield 1


def received(packed: str) -> tuple[list[str], list[Any]]:
    """The kinds of the two buffers and what an endpoint reads from them."""
    serializer = ComputeSerializer()
    buffers = serializer.unpack_buffers(packed)
    return [buffer[:2] for buffer in buffers], [serializer.deserialize(buffer) for buffer in buffers]


def test_plain_arguments_travel_as_json() -> None:
    kinds, values = received(pack_arguments(Arguments([1, "a", None, [1.5, {"b": True}]], {"c": [1]})))
    assert kinds == ["11", "11"]
    assert values == [[1, "a", None, [1.5, {"b": True}]], {"c": [1]}]


@pytest.mark.parametrize("value", [(1, 2), {1: "a"}, {1, 2}, b"x", datetime.date(2026, 1, 1), Path("/a")])
def test_what_json_would_change_travels_as_it_is(value: Any) -> None:
    kinds, values = received(pack_arguments(Arguments([value], {})))
    assert kinds == ["00", "11"]
    assert values[0] == [value]
    assert type(values[0][0]) is type(value)


def test_a_lazy_sequence_travels_as_a_list() -> None:
    assert received(pack_arguments(Arguments([range(3)], {"more": range(2)})))[1] == [[[0, 1, 2]], {"more": [0, 1]}]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (Arguments([1, iter_once()], {}), r"op_args\[1\]"),
        (Arguments([], {"fine": 1, "guard": iter_once()}), "guard"),
    ],
)
def test_what_cannot_be_serialised_is_refused_by_name(arguments: Arguments, name: str) -> None:
    with pytest.raises(GlobusInputError, match=rf"{name} of input 3 \(generator\) cannot be serialised"):
        pack_arguments(arguments._replace(where=" of input 3"))


def test_airflow_objects_never_travel() -> None:
    from airflow.sdk import DAG

    with pytest.raises(GlobusInputError, match=r"op_args\[0\] is an Airflow DAG"):
        pack_arguments(Arguments([DAG("a_dag")], {}))


def test_subclasses_of_json_types_are_not_taken_for_them() -> None:
    class Text(str): ...

    assert not is_json(Text("a"))
    assert not is_json([{"a": (1,)}])


def test_few_large_submissions_in_order() -> None:
    payload = "x" * 3_000_000
    batches = chunks([payload] * 7)
    assert [len(batch) for batch in batches] == [3, 3, 1]
    assert all(sum(map(len, batch)) < SUBMISSION_BYTES for batch in batches)


def test_quotes_count_as_they_are_sent() -> None:
    assert [len(batch) for batch in chunks(['"' * 3_000_000] * 2)] == [1, 1]


def test_an_input_that_is_too_large_alone_is_refused_by_number() -> None:
    with pytest.raises(
        GlobusInputError, match=r"arguments of input 1 take 11\.0 MB; Globus Compute takes 10 MB"
    ) as error:
        pack_arguments(Arguments(["y" * 11_000_000], {}, " of input 1"))
    assert "Move the data with Globus Transfer" in error.value.advice


def test_a_json_result_is_read() -> None:
    assert unpack_result(JSONData().serialize({"a": [1, None]}), "json") == {"a": [1, None]}  # type: ignore[no-untyped-call]


class Evil:
    """Writes a file when it is read from dill."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def evil_function() -> None: ...


_TRICKS = (AllDataStrategies, DillCode, PureSourceTextInspect, PureSourceDill, AllCodeStrategies)


@pytest.mark.parametrize(
    ("strategy", "serializer"),
    [(DillDataBase64, "json"), *((strategy, asked) for strategy in _TRICKS for asked in ("json", "dill"))],
)
def test_a_malicious_result_is_refused_and_runs_nothing(strategy: type, serializer: Any, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    if strategy in (PureSourceTextInspect, PureSourceDill):
        # Reading code runs it: this is why no reader for code may be allowed.
        result = f"{strategy.identifier}f:import os; os.system('touch {trap}')\nf = 1"
    elif strategy.for_code:  # type: ignore[attr-defined]
        result = strategy.identifier + DillDataBase64().serialize(Evil(trap))[3:]  # type: ignore[no-untyped-call, attr-defined]
    else:
        result = ComputeSerializer(strategy_data=strategy).serialize(Evil(trap))
    with pytest.raises(GlobusResultError, match="did not send the result as"):
        unpack_result(result, serializer)
    assert not trap.exists()


def test_the_trap_works_where_dill_is_read(tmp_path: Path) -> None:
    """Without this, the test above could pass with a trap that never snaps."""
    unpack_result(DillDataBase64().serialize(Evil(tmp_path / "trap")), "dill")  # type: ignore[no-untyped-call]
    assert (tmp_path / "trap").exists()


def test_a_broken_result_is_explained() -> None:
    with pytest.raises(GlobusResultError, match="cannot be read: JSONDecodeError"):
        unpack_result("11\n{", "json")
