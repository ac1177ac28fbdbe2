"""Compute through `@globus/sdk`: its endpoints, and what it has no functions for by its general `request`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import globus_sdk
from globus_compute_sdk.serialize import ComputeSerializer, JSONData, PureSourceTextInspect

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.pytest_plugin import ComputeEndpointFactory
    from tests.conformance.javascript.sdk import JavaScriptSdk

SERIALIZER = ComputeSerializer(strategy_code=PureSourceTextInspect, strategy_data=JSONData)


def square(number: int) -> int:
    return number * number


def test_endpoints(
    js: JavaScriptSdk, app: globus_sdk.ClientApp, globus_compute_endpoint: ComputeEndpointFactory
) -> None:
    endpoint, compute = globus_compute_endpoint("hpc"), globus_sdk.ComputeClientV2(app=app)
    assert js.call("compute.endpoints.getAll") == compute.get_endpoints().data
    assert js.call("compute.endpoints.get", endpoint.id) == compute.get_endpoint(endpoint.id).data
    assert js.call("compute.endpoints.getStatus", endpoint.id)["status"] == "online"
    # What an endpoint's own program does needs a broker, which this sandbox has none of.
    status, error = js.refused("compute.endpoints.update", endpoint.id, payload={"display_name": "cluster"})
    assert (status, error["code"]) == (501, "NotServed")
    js.call("compute.endpoints.remove", endpoint.id)
    assert js.refused("compute.endpoints.get", endpoint.id)[0] == 404


def test_a_function_is_registered_and_called(
    js: JavaScriptSdk, app: globus_sdk.ClientApp, globus_compute_endpoint: ComputeEndpointFactory
) -> None:
    endpoint, compute = globus_compute_endpoint("hpc"), globus_sdk.ComputeClientV2(app=app)

    def request(path: str, payload: Any = None) -> Any:
        configuration = {
            "service": js.value("compute.CONFIG.ID"),
            "scope": js.value("compute.CONFIG.SCOPES.ALL"),
            "path": path,
            "method": "POST" if payload else "GET",
        }
        return js.call("request", configuration, payload=payload)

    code = SERIALIZER.pack_buffers([SERIALIZER.serialize(square)])
    function_id = request("/v3/functions", {"function_name": "square", "function_code": code})["function_uuid"]
    arguments = SERIALIZER.pack_buffers([SERIALIZER.serialize([7]), SERIALIZER.serialize({})])
    document = {
        "tasks": {function_id: [arguments]},
        "result_serializers": ["globus_compute_sdk.serialize.JSONData"],
    }
    made = request(f"/v3/endpoints/{endpoint.id}/submit", document)
    (task_id,) = made["tasks"][function_id]
    js.sandbox.world.compute.wait(task_id, 30)
    task = request(f"/v2/tasks/{task_id}")
    assert task == compute.get_task(task_id).data
    assert (task["status"], SERIALIZER.deserialize(task["result"])) == ("success", 49)
    assert request("/v2/batch_status", {"task_ids": [task_id]})["results"][task_id]["status"] == "success"
    assert [item["id"] for item in request(f"/v2/taskgroup/{made['task_group_id']}")["tasks"]] == [task_id]
