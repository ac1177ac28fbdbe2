"""Functions: tasks of the sandbox's Compute service, as versions 2 and 3 of the provider take them."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from airflow_provider_globus.sandbox import json_text
from airflow_provider_globus.sandbox.action_providers.base import (
    ACTIVE,
    FAILED,
    SUCCEEDED,
    Action,
    ActionRefused,
    Progress,
)
from airflow_provider_globus.sandbox.action_providers.refusals import failed_when_refused, refusals
from airflow_provider_globus.sandbox.compute.models import FAILED as TASK_FAILED
from airflow_provider_globus.sandbox.compute.routes import SERVICE
from airflow_provider_globus.sandbox.internal import call

# Results come back as JSON, since a flow's state is JSON: reading anything else would run code of the endpoint's.
_JSON_STRATEGY = "globus_compute_sdk.serialize.JSONData"
_JSON_IDENTIFIER = "11\n"
_ROOT = "https://compute.actions.globus.org"
_SCOPE = "https://auth.globus.org/scopes/facd7ccc-c5f4-42aa-916b-a0e270e2c2a9/all"


class _FunctionProvider(ABC):
    """What both versions share: a group of tasks that has ended when all have."""

    def start(self, action: Action) -> Progress:
        """Submit the tasks."""
        with refusals():
            task_ids, group_id = self.submit(action)
        action.memory["task_ids"] = task_ids
        action.id = f"tg_{group_id}"
        return self.progress(action)

    def progress(self, action: Action) -> Progress:
        """Tell how far the tasks are."""
        return failed_when_refused(lambda: self._look(action))

    def _look(self, action: Action) -> Progress:
        task_ids = action.memory["task_ids"]
        document = {"task_ids": task_ids}
        answer = call(action.world, SERVICE, "POST", "/v2/batch_status", action.caller, json=document)
        tasks = [answer["results"][task_id] for task_id in task_ids]
        failed = [task for task in tasks if task["status"] == TASK_FAILED]
        if not failed and not all("result" in task for task in tasks):
            return Progress(ACTIVE, {"task_ids": task_ids})
        try:
            results = [_read(task["result"]) for task in tasks if "result" in task]
        except ValueError as error:
            return Progress(FAILED, {"code": "ResultError", "description": str(error)})
        if failed:
            said = failed[0].get("exception") or failed[0].get("reason") or "no reason given"
            # Not confirmed by any recording: how the details of a failed task look.
            return Progress(FAILED, {"code": "TaskFailed", "description": said, "task_ids": task_ids})
        pairs = [{"output": result, "task_id": task_id} for result, task_id in zip(results, task_ids, strict=True)]
        return Progress(SUCCEEDED, {"result": results, "results": pairs})

    def cancel(self, action: Action) -> None:
        """Compute cannot cancel."""
        return

    @abstractmethod
    def submit(self, action: Action) -> tuple[list[str], str]:
        """Submit; return the ids of the tasks, and of their group."""


class ComputeV3Provider(_FunctionProvider):
    """Runs functions on one endpoint."""

    title: ClassVar[str] = "Globus Compute v3"
    urls: ClassVar[tuple[str, ...]] = (f"{_ROOT}/v3",)
    scope: ClassVar[str] = _SCOPE
    input_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {
            "endpoint_id": {"type": "string"},
            "tasks": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": {
                        "function_id": {"type": "string"},
                        "args": {"type": "array"},
                        "kwargs": {"type": "object"},
                    },
                    "required": ["function_id"],
                    "additionalProperties": False,
                },
            },
            "task_group_id": {"type": ["string", "null"]},
            "user_endpoint_config": {"type": ["object", "null"]},
            "resource_specification": {"type": ["object", "null"]},
            "user_runtime": {"type": ["object", "null"]},
            "create_queue": {"type": "boolean"},
        },
        "required": ["endpoint_id", "tasks"],
        "additionalProperties": False,
    }

    def submit(self, action: Action) -> tuple[list[str], str]:
        """Submit all tasks in the order given, those of one function together."""
        body = action.body
        more = ("task_group_id", "user_endpoint_config", "resource_specification", "user_runtime", "create_queue")
        document: dict[str, Any] = {name: body[name] for name in more if body.get(name) is not None}
        by_function: dict[str, list[int]] = {}
        for number, task in enumerate(body["tasks"]):
            by_function.setdefault(task["function_id"], []).append(number)
        document["tasks"] = {
            function_id: [_payload(body["tasks"][number]) for number in numbers]
            for function_id, numbers in by_function.items()
        }
        document["result_serializers"] = [_JSON_STRATEGY]
        path = f"/v3/endpoints/{body['endpoint_id']}/submit"
        answer = call(action.world, SERVICE, "POST", path, action.caller, json=document)
        ids = dict[int, str]()
        for function_id, numbers in by_function.items():
            ids.update(zip(numbers, answer["tasks"][function_id], strict=True))
        return [ids[number] for number in range(len(ids))], answer["task_group_id"]


class ComputeV2Provider(_FunctionProvider):
    """Runs functions, each on an endpoint of its own choice."""

    title: ClassVar[str] = "Globus Compute v2"
    urls: ClassVar[tuple[str, ...]] = (_ROOT, f"{_ROOT}/v2", f"{_ROOT}/fxap")
    scope: ClassVar[str] = _SCOPE
    input_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {
            "endpoint": {"type": "string"},
            "function": {"type": "string"},
            # One argument needs no list around it, and keywords may come as the text of a JSON object.
            "args": {},
            "kwargs": {"type": ["object", "string"]},
            "payload": {"type": ["object", "string"]},
            "tasks": {
                "type": "array",
                "items": {"type": "object", "required": ["endpoint", "function"]},
            },
        },
        "anyOf": [
            {"required": ["endpoint", "function"]},
            {"required": ["tasks"], "properties": {"tasks": {"minItems": 1}}},
        ],
    }

    def submit(self, action: Action) -> tuple[list[str], str]:
        """Submit all tasks."""
        # The task that the input itself is comes before those it lists.
        own = [action.body] if "function" in action.body and "endpoint" in action.body else []
        wanted = [*own, *(action.body.get("tasks") or [])]
        document = {
            "tasks": [[task["function"], task["endpoint"], _payload(task)] for task in wanted],
            "result_serializers": [_JSON_STRATEGY],
        }
        answer = call(action.world, SERVICE, "POST", "/v2/submit", action.caller, json=document)
        return [result["task_uuid"] for result in answer["results"]], answer["task_group_id"]


def _payload(task: Mapping[str, Any]) -> str:
    """Return a task's arguments as Compute takes them."""
    from globus_compute_sdk.serialize import ComputeSerializer, JSONData

    args = task.get("args", [])
    # The old form has one argument without a list around it, and calls the others a payload.
    args = args if isinstance(args, list) else [args]
    kwargs = _keywords(task.get("kwargs") or task.get("payload") or {})
    serializer = ComputeSerializer(strategy_data=JSONData)
    try:
        packed: str = serializer.pack_buffers([serializer.serialize(args), serializer.serialize(kwargs)])
    except Exception as error:
        raise ActionRefused(400, "RequestValidationError", f"The arguments cannot be serialised: {error}") from None
    return packed


def _keywords(given: Any) -> dict[str, Any]:
    if isinstance(given, str):
        try:
            given = json_text.read(given.encode())
        except ValueError as error:
            raise ActionRefused(400, "RequestValidationError", f"The keywords are not valid JSON: {error}") from None
    if not isinstance(given, dict):
        raise ActionRefused(400, "RequestValidationError", "The keywords must be an object")
    return given


def _read(result: str) -> Any:
    if not result.startswith(_JSON_IDENTIFIER):
        raise ValueError("The endpoint did not return the result as JSON, which a flow's state is made of")
    return json.loads(result.removeprefix(_JSON_IDENTIFIER))
