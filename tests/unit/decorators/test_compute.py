"""``@task.globus_compute`` as DAG authors write it."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_provider_globus.exceptions import GlobusInputError


def made(called: Any) -> Any:
    """The operator behind what calling a task function returns."""
    return called.operator


def test_it_is_a_task_decorator_of_airflow() -> None:
    with DAG("a_dag"):

        @task.globus_compute(endpoint="hpc", poll_interval=7)
        def add(a: int, b: int = 1) -> int:
            return a + b

        operator = made(add(2, b=3))
    assert type(operator).__name__ == "GlobusComputeDecoratedOperator"
    assert (operator.task_id, operator.endpoint, operator.poll_interval) == ("add", "hpc", 7)
    assert (list(operator.op_args), dict(operator.op_kwargs)) == ([2], {"b": 3})


def test_its_source_travels_without_the_decorator() -> None:
    with DAG("a_dag"):

        @task.globus_compute(
            endpoint="hpc",
            user_endpoint_config={"queue": "debug"},
        )
        def add(a: int) -> int:
            return a + 1

        operator = made(add(2))
    source = operator.function().source
    assert "def add(a: int) -> int:" in source
    assert "globus_compute" not in source


def test_airflow_context_is_refused_when_the_dag_is_parsed() -> None:
    with DAG("a_dag"):

        @task.globus_compute(endpoint="hpc")
        def uses_context(value: int, ti: Any = None) -> int:
            return value

        with pytest.raises(GlobusInputError, match="parameter 'ti' of uses_context asks for Airflow's context"):
            uses_context(1)


def test_a_value_for_a_context_name_is_an_argument_like_any_other() -> None:
    with DAG("a_dag"):

        @task.globus_compute(endpoint="hpc")
        def dated(ds: str) -> str:
            return ds

        operator = made(dated(ds="{{ ds }}"))
    assert operator.op_kwargs == {"ds": "{{ ds }}"}


def test_it_can_be_mapped() -> None:
    with DAG("a_dag"):

        @task.globus_compute(endpoint="hpc")
        def square(value: int) -> int:
            return value * value

        mapped = made(square.expand(value=[1, 2, 3]))
    assert mapped.task_id == "square"
