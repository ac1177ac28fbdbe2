"""What jobs are called when their author does not say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_globus.operators.labels import default_label

if TYPE_CHECKING:
    from tests.unit.conftest import TaskContext


@pytest.mark.parametrize(
    ("map_index", "label"),
    [
        (-1, "airflow a_dag a_task a_run"),
        (None, "airflow a_dag a_task a_run"),
        (0, "airflow a_dag a_task [0] a_run"),
        (12, "airflow a_dag a_task [12] a_run"),
    ],
)
def test_the_label_names_dag_task_and_run(map_index: int | None, label: str, context: TaskContext) -> None:
    context.ti.map_index = map_index
    assert default_label(context) == label
