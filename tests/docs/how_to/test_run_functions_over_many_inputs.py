"""Functions over many inputs: order, failures, how often each input ran, and the page's errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.exceptions import GlobusError
from airflow_provider_globus.operators.compute import GlobusComputeMapOperator
from tests.unit.conftest import Attempt

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, ComputeEndpointFactory
    from tests.docs.page import Page

FRAMES = {"frame_1.txt": "91 5", "frame_2.txt": "1 2", "frame_3.txt": "dead", "frame_4.txt": "99 98 97"}


def test_run_functions_over_many_inputs(
    page: Page,
    globus_sandbox: GlobusSandbox,
    globus_collection: CollectionFactory,
    globus_compute_endpoint: ComputeEndpointFactory,
) -> None:
    files = {f"scan_0042/{name}": text for name, text in FRAMES.items()}
    scratch = globus_collection("scratch", files=files | {"scan_0042/notes.md": "no frame"})
    globus_compute_endpoint("hpc", folder=scratch.folder)

    page.run(until='DAG("calibrate"')
    assert page.results("hot_pixels")["counted"] == [1, 0, None, 3]
    assert page.results("hot_pixels")["summary"] == {"frames": 4, "unreadable": 1, "hot": 4}
    # The empty function that opens the task group, all inputs in one submission, and the failed one again.
    assert _tasks_sent(globus_sandbox) == [1, 4, 1, 1]

    (scratch.folder / "scan_0042/frame_2.txt").write_text("dead, too")
    page.run_dag("hot_pixels", ends="failed")

    page.run()
    assert page.results("calibrate")["scaled"] == [10, 25]


def _tasks_sent(globus: GlobusSandbox) -> list[int]:
    """How many tasks each submission had that was accepted; a function of an earlier sandbox is not."""
    sent = [entry for entry in globus.journal.requests("compute", "POST", "*/submit") if entry.status == 200]
    return [sum(map(len, entry.body["tasks"].values())) for entry in sent]


def hot_pixels(frame: str, threshold: int) -> int:
    if "dead" in frame:
        raise ValueError(frame)
    return len(frame) if len(frame) > threshold else 0


def uses_a_name_of_its_module(frame: str) -> int:
    return len(FRAMES[frame])


def returns_a_set(frame: str) -> Any:
    return {frame}


def counted(**changes: Any) -> GlobusComputeMapOperator:
    arguments: dict[str, Any] = {"python_callable": hot_pixels, "op_kwargs": {"threshold": 0}, "poll_interval": 0.1}
    return GlobusComputeMapOperator(**{"task_id": "counted", "endpoint": "hpc"} | arguments | changes)


def test_failures_are_told_by_input(globus_compute_endpoint: ComputeEndpointFactory) -> None:
    globus_compute_endpoint("hpc")
    context: Any = Attempt()
    inputs = ["a", "dead 1", "bc", "dead 3", "d"]
    with pytest.raises(GlobusError, match=r"2 of 5 inputs have failed, 1 may\. A retry runs only those\.") as error:
        counted(inputs=inputs, max_failed=1).execute(context)
    assert "input 1 (task" in str(error.value)
    failures = context.ti.xcoms["failures"]
    assert [(item["input"], item["code"], item["reason"]) for item in failures] == [
        (1, "ValueError", "ValueError: dead 1"),
        (3, "ValueError", "ValueError: dead 3"),
    ]
    assert all(item["task_id"] for item in failures)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"inputs": "['a']"}, "inputs is str, not a list"),
        ({"inputs": ["a"], "op_kwargs": {}}, "input 0 does not fit the function: missing a required argument"),
        (
            {"inputs": ["a"], "op_kwargs": {}, "python_callable": uses_a_name_of_its_module},
            "The function uses_a_name_of_its_module uses FRAMES from its module",
        ),
        ({"inputs": ["a"], "op_kwargs": {}, "python_callable": returns_a_set}, "Return what JSON can hold"),
    ],
)
def test_what_can_go_wrong(globus_compute_endpoint: ComputeEndpointFactory, changes: dict[str, Any], said: str) -> None:
    globus_compute_endpoint("hpc")
    context: Any = Attempt()
    with pytest.raises(GlobusError, match=said):
        counted(**changes).execute(context)
