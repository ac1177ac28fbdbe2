"""What of a function travels to an endpoint, and what is refused before it leaves."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from globus_compute_sdk.serialize import ComputeSerializer

from airflow_provider_globus.compute.functions import FunctionCode, foreign_names, function_code
from airflow_provider_globus.exceptions import GlobusInputError

LIMIT = 3


def received(code: FunctionCode) -> Callable[..., Any]:
    """The function as an endpoint gets it, by the SDK's own reader."""
    serializer = ComputeSerializer()
    (buffer,) = serializer.unpack_buffers(code.packed())
    function: Callable[..., Any] = serializer.deserialize(buffer)
    return function


def decorator(function: Callable[..., Any]) -> Callable[..., Any]:
    return functools.wraps(function)(lambda *args: ("decorated", *args))


def standing_alone(path: Path, *, power: int = 2) -> list[float]:
    """Use a type of this module in an annotation only, and names of its own."""
    import math

    def inner(value: int) -> float:
        return math.sqrt(value) ** power

    return [inner(value) for value in range(len(str(path)))]


def recursive(number: int) -> int:
    return 1 if number == 0 else number * recursive(number - 1)


@decorator
def decorated(value: int) -> int:
    return value + 1


def with_module_name(value: str) -> str:
    return os.fspath(value) + str(LIMIT)


def with_module_default(value: int = LIMIT) -> int:
    return value


def with_nested_module_name() -> Callable[[], int]:
    def inner() -> int:
        return LIMIT

    return inner


def generator() -> Any:
    yield 1


async def coroutine() -> None: ...


def closure() -> Callable[[], int]:
    captured = 3

    def inside() -> int:
        return captured

    return inside


class Method:
    def method(self) -> None: ...


def test_a_function_runs_from_its_source_alone() -> None:
    assert received(function_code(standing_alone))(Path("abc")) == pytest.approx([0, 1, 2])


def test_it_may_call_itself() -> None:
    assert received(function_code(recursive))(5) == 120


def test_decorators_stay_here() -> None:
    code = function_code(decorated.__wrapped__)  # type: ignore[attr-defined]
    assert "@decorator" not in code.source
    assert received(code)(1) == 2


def test_a_path_is_imported_at_the_endpoint() -> None:
    code = function_code("os.path:join")
    assert code.name == "join"
    assert received(code)("a", "b") == "a/b"
    assert received(function_code("math.sqrt"))(9) == 3


def test_an_item_says_which_it_is() -> None:
    code = function_code(recursive).for_items()
    assert received(code)(17, 3) == [17, 6]
    assert code.name == "recursive"


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (with_module_name, "LIMIT, os"),
        (with_module_default, "LIMIT"),
        (with_nested_module_name, "LIMIT"),
        (closure(), "captured"),
    ],
)
def test_names_from_around_it_are_refused_by_name(function: Callable[..., Any], names: str) -> None:
    with pytest.raises(GlobusInputError, match=f"uses {names} from its module") as error:
        function_code(function)
    assert "Import inside the function" in error.value.advice
    assert f"{function.__module__}:{function.__name__}" in error.value.advice


def test_the_module_of_a_dag_file_is_no_path_to_give() -> None:
    function = closure()
    function.__module__ = "unusual_prefix_0815_dag"
    with pytest.raises(GlobusInputError) as error:
        function_code(function)
    assert "unusual_prefix" not in str(error.value)


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda: 1, "a lambda"),
        (Method().method, "a method"),
        (Method, "a class"),
        (len, "a built-in function"),
        (functools.partial(recursive, 1), "a partial"),
        (generator, "a generator"),
        (coroutine, "an async function"),
    ],
)
def test_what_is_no_plain_function_is_refused(function: Any, kind: str) -> None:
    with pytest.raises(GlobusInputError, match=kind):
        function_code(function)


def test_a_function_without_a_file_is_refused() -> None:
    namespace: dict[str, Any] = {}
    exec("def typed_in():\n    return 1\n", namespace)
    with pytest.raises(GlobusInputError, match="source of typed_in cannot be found"):
        function_code(namespace["typed_in"])


@pytest.mark.parametrize("path", ["", "function", "no path:at all", "package.module:", "os.path:join()", "1os:x"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(GlobusInputError, match="no import path"):
        function_code(path)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def f(x: A) -> B:\n    y: C = x\n    z: D\n    return y\n", []),
        ("def f():\n    class K(Base):\n        v = other\n    return K\n", ["Base", "other"]),
        ("def f(xs):\n    return [g(x) for x in xs if x in seen]\n", ["g", "seen"]),
        ("def f():\n    import numpy as np\n    return lambda a: np.sum(a) + offset\n", ["offset"]),
        (
            "def f():\n    try:\n        return print(1)\n    except ValueError as e:\n        raise MyError from e\n",
            ["MyError"],
        ),
    ],
)
def test_foreign_names(source: str, names: list[str]) -> None:
    assert foreign_names(source, "f") == names


def test_the_digest_is_that_of_the_content() -> None:
    assert function_code(recursive).digest == function_code(recursive).digest
    digests = {function_code(f).digest for f in (recursive, standing_alone, "os.path:join")}
    assert len(digests | {function_code(recursive).for_items().digest}) == 4
