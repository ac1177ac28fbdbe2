"""Answers have at least the fields, and fields of the types, that the SDK's own recordings of the service have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance import shapes

GROUP_FIELDS = {"task_group_id", "taskgroup_id"}


def one() -> int:
    return 1


def recorded(name: str, case: str = "default") -> Any:
    """Return the recorded answer of a method of the SDK's clients, such as ``v2.get_task``."""
    return shapes.recorded(f"compute.{name}", case)


def assert_like(answer: Any, recording: Any, where: str = "answer") -> None:
    assert list(shapes.lacking(recording, answer, where=where)) == []


@pytest.fixture
def scene(lab: Any) -> Any:
    """An endpoint with an allow-list, a function and a finished task."""
    lab.function = lab.register(one, description="One.")
    lab.here = lab.endpoint(allowed_functions=[lab.function])
    lab.task = lab.wait(lab.submit(lab.here, lab.function)[0])
    return lab


def test_every_recorded_answer_that_is_served_has_its_match(scene: Any) -> None:
    v2, v3, here, function, task = scene.v2, scene.v3, scene.here.id, scene.function, scene.task
    tasks = {function: [scene.payload(), scene.payload()]}
    document = {"function_name": "f", "function_code": "c"}
    for name, answer in {
        "v2.get_version": v2.get_version(),
        "v2.get_endpoint": v2.get_endpoint(here),
        "v2.get_endpoint_status": v2.get_endpoint_status(here),
        "v2.get_endpoints": v2.get_endpoints(),
        "v2.register_function": v2.register_function(document),
        "v2.get_function": v2.get_function(function),
        "v2.get_task": v2.get_task(task.id),
        "v2.get_task_batch": v2.get_task_batch(task.id),
        "v2.get_task_group": v2.get_task_group(task.group_id),
        "v2.submit": v2.submit({"tasks": [[function, here, scene.payload()]]}),
        "v3.register_function": v3.register_function(document),
        "v3.submit": v3.submit(here, {"tasks": tasks}),
        "v3.get_endpoint_allowlist": v3.get_endpoint_allowlist(here),
        "v2.lock_endpoint": v2.lock_endpoint(here),
        "v3.lock_endpoint": v3.lock_endpoint(here),
        "v2.delete_function": v2.delete_function(function),
        "v2.delete_endpoint": v2.delete_endpoint(here),
    }.items():
        assert_like(answer.data, recorded(name), name)
    assert_like(v2.get_version(service="all").data, recorded("v2.get_version", "all"))


def test_the_comparison_sees_differences() -> None:
    recording = recorded("v2.get_task")
    assert_like(json.loads(json.dumps(recording)), recording)
    for wrong in ({}, {**recording, "status": 7}, {**recording, "details": {}}):
        with pytest.raises(AssertionError):
            assert_like(wrong, recording)
