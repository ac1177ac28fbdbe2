"""Tracebacks from endpoints, in a sentence with the fix."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_globus.compute.failures import failure_of

TRACEBACK = """Traceback (most recent call last):
  File "/venv/lib/python3.12/site-packages/globus_compute_endpoint/engines/helper.py", line 120, in execute_task
    result = func(*args, **kwargs)
  File "<string>", line 3, in reconstruct
{end}
"""


def failed(end: str, **more: Any) -> dict[str, Any]:
    return {"task_id": "t", "status": "failed", "exception": TRACEBACK.format(end=end), **more}


@pytest.mark.parametrize(
    ("end", "code", "advice"),
    [
        ("ValueError: 3 is not a\n  proper angle", "ValueError", ""),
        ("mylib.errors.BeamlineError: shutter", "BeamlineError", ""),
        ("KeyError: 'a'", "KeyError", ""),
        ("AssertionError", "AssertionError", ""),
        ("SystemExit: 3", "SystemExit", ""),
        ("ModuleNotFoundError: No module named 'tomopy'", "MODULE_NOT_FOUND", "Install the package"),
        ("MemoryError", "MemoryError", ""),
        (
            "parsl.executors.high_throughput.errors.WorkerLost: Task failure due to loss of worker 0 on host n1",
            "WORKER_LOST",
            "ran out of memory or time",
        ),
        (
            "globus_compute_sdk.errors.MaxResultSizeExceeded: Task result of 15B exceeded current limit of 10B",
            "RESULT_TOO_LARGE",
            "write the result to a file",
        ),
        ("TypeError: Object of type ndarray is not JSON serializable", "RESULT_NOT_JSON", ".tolist()"),
        ("Serialization failed: All strategies failed.", "RESULT_NOT_JSON", "result_serializer='dill'"),
        (
            "globus_compute_sdk.errors.error_types.DeserializationError: Deserialization failed: no strategy",
            "ARGUMENTS_NOT_READ",
            "pass plain data",
        ),
        (
            "parsl.executors.errors.InvalidResourceSpecification: Invalid resource specification",
            "RESOURCE_SPECIFICATION",
            "MPI engine",
        ),
    ],
)
def test_the_end_of_a_traceback_decides(end: str, code: str, advice: str) -> None:
    failure = failure_of(failed(end))
    assert failure.code == code
    assert failure.reason == " ".join(end.split())
    assert advice in failure.advice
    assert failure.text == TRACEBACK.format(end=end).strip()


def test_a_name_in_the_message_does_not_decide() -> None:
    assert failure_of(failed("RuntimeError: saw a ModuleNotError and 3 warnings")).code == "RuntimeError"


def test_another_python_is_named_where_it_may_be_the_reason() -> None:
    for end in ("parsl.executors.high_throughput.errors.WorkerLost: Task failure", "dill.UnpicklingError: bad"):
        assert "runs Python 3.99.1" in failure_of(failed(end, details={"python_version": "3.99.1"})).advice
        assert "runs Python" not in failure_of(failed(end)).advice


@pytest.mark.parametrize("reason", ["The result was not retrieved in 30 minutes", "Result abandoned"])
def test_a_dropped_result_is_explained(reason: str) -> None:
    failure = failure_of({"task_id": "t", "status": "failed", "reason": reason})
    assert failure.code == "RESULT_DROPPED"
    assert "keep a triggerer" in failure.advice


def test_a_failure_without_a_word() -> None:
    assert failure_of({"task_id": "t", "status": "failed"})[:2] == ("FAILED", "no reason given")
