"""Submissions: both versions of the API, task groups, and all that is refused before a task exists."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from globus_sdk import ComputeAPIError, NetworkError


def one() -> int:
    return 1


def double(number: int) -> int:
    return 2 * number


@pytest.fixture
def untouched(lab: Any) -> Any:
    """A laboratory in which no task may come to be."""
    yield lab
    assert (lab.compute.tasks, lab.compute.groups) == ({}, {})


def test_a_submission_names_tasks_by_function_in_order(lab: Any) -> None:
    endpoint, first, second = lab.endpoint(), lab.register(one), lab.register(double)
    tasks = {second: [lab.payload(number) for number in range(5)], first: [lab.payload()]}
    answer = lab.v3.submit(
        endpoint.id, {"tasks": tasks, "result_serializers": ["globus_compute_sdk.serialize.JSONData"]}
    )
    assert set(answer.data) == {"request_id", "task_group_id", "endpoint_id", "tasks"}
    assert answer["endpoint_id"] == endpoint.id
    assert [lab.value(lab.wait(task_id)) for task_id in answer["tasks"][second]] == [0, 2, 4, 6, 8]
    assert [lab.value(lab.wait(task_id)) for task_id in answer["tasks"][first]] == [1]
    assert list(lab.compute.tasks) == [*answer["tasks"][second], *answer["tasks"][first]]
    assert {task.group_id for task in lab.compute.tasks.values()} == {answer["task_group_id"]}


def test_version_two_goes_to_several_endpoints(lab: Any) -> None:
    function, here, there = lab.register(double), lab.endpoint("here"), lab.endpoint("there")
    tasks = [[function, here.id, lab.payload(1)], [function, there.id, lab.payload(2)]]
    answer = lab.v2.submit({"tasks": tasks})
    first, second = (lab.wait(item["task_uuid"]) for item in answer["results"])
    assert (first.endpoint_id, second.endpoint_id) == (here.id, there.id)
    assert (lab.value(first), lab.value(second)) == (2, 4)
    assert answer.data == {
        "response": "success",
        "task_group_id": first.group_id,
        "results": [
            {"status": "success", "task_uuid": task.id, "http_status_code": 200, "reason": None}
            for task in (first, second)
        ],
    }


# Task groups


def test_a_task_group_grows(lab: Any) -> None:
    lab.sandbox.clock.freeze()
    endpoint, function = lab.endpoint(online=False), lab.register(one)
    group = lab.v3.submit(endpoint.id, {"tasks": {function: [lab.payload()]}})["task_group_id"]
    lab.submit(endpoint, function, [(), ()], task_group_id=group)
    lab.submit(endpoint, function)
    shown = lab.v2.get_task_group(group)
    mine = list(lab.compute.tasks)[:3]
    created = lab.sandbox.clock.now().replace(tzinfo=None).isoformat(timespec="microseconds")
    assert shown.data == {
        "taskgroup_id": group,
        "create_websockets_queue": False,
        "tasks": [{"id": task_id, "created_at": created} for task_id in mine],
    }


def test_a_group_id_of_ones_own_choosing_is_refused(untouched: Any, refused: Any) -> None:
    chosen = "11111111-2222-4333-8444-555555555555"
    endpoint = untouched.endpoint()
    for act in (
        lambda: untouched.submit(endpoint, one, task_group_id=chosen),
        lambda: untouched.v2.get_task_group(chosen),
    ):
        error = refused(act)
        assert (error["http_status_code"], error["code"], error["error_args"]) == (
            404,
            "TASK_GROUP_NOT_FOUND",
            [chosen],
        )
        assert error["reason"] == f"Task Group {chosen} could not be resolved"
    error = refused(lambda: untouched.submit(endpoint, one, task_group_id="mine"))
    assert error["detail"] == ["body.task_group_id: value is not a valid uuid"]


def test_a_group_of_another_is_forbidden(lab: Any, refused: Any) -> None:
    other = lab.sandbox.add_client("other")
    endpoint = lab.endpoint(public=True)
    task = lab.call(endpoint, one, of=other)
    for act in (
        lambda: lab.submit(endpoint, one, task_group_id=task.group_id),
        lambda: lab.v2.get_task_group(task.group_id),
    ):
        error = refused(act)
        assert (error["http_status_code"], error["code"], error["error_args"]) == (
            403,
            "TASK_GROUP_ACCESS_FORBIDDEN",
            [task.group_id],
        )
        assert error["reason"] == f"Unauthorized access to Task Group {task.group_id}"
    assert list(lab.compute.tasks) == [task.id]


# What is refused, as a whole


def test_a_submission_is_taken_as_a_whole_or_not_at_all(untouched: Any, refused: Any) -> None:
    endpoint, good, unknown = untouched.endpoint(), untouched.register(one), untouched.sandbox.world.new_id()
    payload = untouched.payload()
    assert (
        refused(lambda: untouched.v3.submit(endpoint.id, {"tasks": {good: [payload], unknown: [payload]}}))["code"]
        == "FUNCTION_NOT_FOUND"
    )
    mixed = [[good, endpoint.id, payload], [good, unknown, payload]]
    assert refused(lambda: untouched.v2.submit({"tasks": mixed}))["code"] == "ENDPOINT_NOT_FOUND"
    error = refused(lambda: untouched.v3.submit(endpoint.id, {"tasks": {good: [payload, None]}}))
    assert error["detail"] == [f"body.tasks.{good}.1: str type expected"]


def test_a_submission_without_tasks_is_refused(untouched: Any, refused: Any) -> None:
    endpoint, function = untouched.endpoint(), untouched.register(one)
    for act in (
        lambda: untouched.v3.submit(endpoint.id, {"tasks": {}}),
        lambda: untouched.v3.submit(endpoint.id, {"tasks": {function: []}}),
        lambda: untouched.v2.submit({"tasks": []}),
    ):
        error = refused(act)
        assert (error["http_status_code"], error["provisional"]) == (422, True)
        assert error["detail"] == ["body.tasks: ensure this value has at least 1 items"]


@pytest.mark.parametrize(
    ("document", "finding"),
    [
        ({}, "tasks: field required"),
        ({"tasks": []}, "tasks: value is not a valid dict"),
        ({"tasks": {"FUNCTION": "payload"}}, "tasks.FUNCTION: value is not a valid list"),
        ({"tasks": {"seven": ["payload"]}}, "tasks.__key__: value is not a valid uuid"),
        (
            {"tasks": {"FUNCTION": ["x"]}, "resource_specification": []},
            "resource_specification: value is not a valid dict",
        ),
        (
            {"tasks": {"FUNCTION": ["x"]}, "user_endpoint_config": "x"},
            "user_endpoint_config: value is not a valid dict",
        ),
        ({"tasks": {"FUNCTION": ["x"]}, "user_runtime": 7}, "user_runtime: value is not a valid dict"),
        ({"tasks": {"FUNCTION": ["x"]}, "result_serializers": "x"}, "result_serializers: value is not a valid list"),
        ({"tasks": {"FUNCTION": ["x"]}, "result_serializers": [1]}, "result_serializers.0: str type expected"),
        (
            {"tasks": {"FUNCTION": ["x"]}, "create_queue": "yes"},
            "create_queue: value could not be parsed to a boolean",
        ),
        ({"tasks": {"FUNCTION": ["x"]}, "task_group_id": 7}, "task_group_id: str type expected"),
    ],
)
def test_malformed_submissions(untouched: Any, refused: Any, document: dict[str, Any], finding: str) -> None:
    function = untouched.register(one)
    text = json.dumps(document).replace("FUNCTION", function)
    error = refused(lambda: untouched.v3.submit(untouched.endpoint().id, json.loads(text)))
    assert (error["http_status_code"], error["code"]) == (422, "SEMANTICALLY_INVALID")
    assert error["detail"] == [f"body.{finding.replace('FUNCTION', function)}"]


@pytest.mark.parametrize(
    ("task", "finding"),
    [
        ("x", ": value is not a valid list"),
        (["a", "b"], ": wrong tuple length 2, expected 3"),
        ([1, 2, 3], ".1: value is not a valid uuid"),
        (["FUNCTION", "seven", "payload"], ".1: value is not a valid uuid"),
        (["seven", "ENDPOINT", "payload"], ".0: value is not a valid uuid"),
        (["FUNCTION", "ENDPOINT", 7], ".2: str type expected"),
    ],
)
def test_malformed_submissions_of_version_two(untouched: Any, refused: Any, task: Any, finding: str) -> None:
    text = json.dumps(task).replace("FUNCTION", untouched.register(one)).replace("ENDPOINT", untouched.endpoint().id)
    error = refused(lambda: untouched.v2.submit({"tasks": [json.loads(text)]}))
    assert (error["http_status_code"], error["detail"]) == (422, [f"body.tasks.0{finding}"])


def test_what_is_no_json(untouched: Any, refused: Any) -> None:
    path = f"/v3/endpoints/{untouched.endpoint().id}/submit"
    error = refused(lambda: untouched.v3.post(path, data="no JSON", encoding="text"))
    (finding,) = error["detail"]
    assert finding.startswith("body: The request body is not valid JSON")
    error = refused(lambda: untouched.v3.post(path, data=["x"]))
    assert error["detail"] == ["body: The request body must be a JSON object"]


def test_what_is_null_is_as_if_it_were_not_there(lab: Any) -> None:
    fields = dict.fromkeys(("task_group_id", "resource_specification", "user_endpoint_config", "create_queue"))
    assert lab.value(lab.call(lab.endpoint(), one, **fields)) == 1


def test_a_submission_may_be_so_big_and_no_bigger(lab: Any) -> None:
    settings, endpoint, function = lab.sandbox.settings, lab.endpoint(online=False), lab.register(one)
    settings.require_issued_tokens = False

    def post(path: str, tasks: Any) -> requests.Response:
        headers = {"Authorization": "Bearer any"}
        return requests.post(f"{lab.sandbox.url}{path}", json={"tasks": tasks}, headers=headers, timeout=10)

    for path, tasks in (
        (f"/v3/endpoints/{endpoint.id}/submit", {function: ["x" * 2000]}),
        ("/v2/submit", [[function, endpoint.id, "x" * 2000]]),
    ):
        settings.compute_submission_bytes = 10_000
        answer = post(path, tasks)
        size = len(answer.request.body or b"")
        before = len(lab.compute.tasks)
        settings.compute_submission_bytes = size
        assert post(path, tasks).status_code == 200
        settings.compute_submission_bytes = size - 1
        answer = post(path, tasks)
        assert (answer.status_code, answer.json()["code"]) == (413, "BATCH_RUN_TOO_LARGE")
        assert answer.json()["detail"] == f"Batch submission is too large: {size} bytes > {size - 1} bytes"
        assert len(lab.compute.tasks) == before + 1
    assert lab.register(one, description="x" * 2000), "registering is not submitting"


# Configuration of user endpoints

_SCHEMA = {
    "type": "object",
    "properties": {"account": {"type": "string"}, "nodes": {"type": "integer", "maximum": 4}},
    "required": ["account"],
}


def test_a_user_endpoint_config_is_held_against_the_schema(lab: Any, refused: Any) -> None:
    endpoint = lab.endpoint(user_config_schema=_SCHEMA)
    good = lab.call(endpoint, one, user_endpoint_config={"account": "physics", "nodes": 2})
    assert lab.value(good) == 1
    assert good.user_endpoint_config == {"account": "physics", "nodes": 2}
    error = refused(lambda: lab.submit(endpoint, one, user_endpoint_config={"account": "physics", "nodes": 5}))
    assert (error["http_status_code"], error["code"]) == (422, "SEMANTICALLY_INVALID")
    assert error["detail"] == (
        "Request payload failed validation: Failed to start or unexpected error:\n"
        "  (ValidationError) 5 is greater than the maximum of 4 ($.nodes)"
    )
    assert "'account' is a required property" in refused(lambda: lab.submit(endpoint, one))["detail"]
    assert list(lab.compute.tasks) == [good.id]


def test_without_a_schema_all_but_reserved_words_are_taken(lab: Any, refused: Any) -> None:
    endpoint = lab.endpoint()
    assert lab.value(lab.call(endpoint, one, user_endpoint_config={"anything": [1, {"goes": None}]})) == 1
    for name in ("parent_config", "mapped_identity", "user_runtime", "_GC"):
        error = refused(lambda name=name: lab.submit(endpoint, one, user_endpoint_config={name: 1}))
        assert f"(ValueError) '{name}' is a reserved word" in error["detail"]


def test_a_config_is_looked_at_once_the_endpoint_is_there(lab: Any) -> None:
    endpoint = lab.endpoint(user_config_schema=_SCHEMA, online=False)
    (task_id,) = lab.submit(endpoint, one)
    assert lab.compute.tasks[task_id].status == "waiting-for-ep"
    endpoint.go_online()
    task = lab.wait(task_id)
    assert (task.status, task.executions) == ("failed", 0)
    assert "required property" in task.exception
    assert lab.v2.get_task(task_id).headers["X-Sandbox-Provisional"] == "1"


# Limits and tokens


def test_the_rate_limit_is_computes_own_and_each_identitys(lab: Any, refused: Any) -> None:
    lab.sandbox.settings.compute_requests_per_10_seconds = 3
    lab.sandbox.settings.rate_limit_per_second = 0.1
    lab.sandbox.clock.freeze()
    other = lab.sandbox.add_client("other")
    for _ in range(3):
        lab.v2.get_version()
    lab.sandbox.clock.advance(4)
    with pytest.raises(ComputeAPIError) as caught:
        lab.v3.submit(lab.sandbox.world.new_id(), {})
    assert caught.value.http_status == 429
    assert caught.value.headers["Retry-After"] == "6"
    assert caught.value.headers["X-Sandbox-Provisional"] == "1"
    assert caught.value.raw_json is not None
    assert caught.value.raw_json["reason"] == "More than 3 requests in 10 seconds"
    assert caught.value.raw_json["code"] == "RateLimitExceeded"
    assert lab.clients(other)[0].get_version().http_status == 200
    lab.sandbox.clock.advance(6.1)
    assert lab.v2.get_version().http_status == 200


def test_transfer_and_compute_are_metered_apart(lab: Any) -> None:
    lab.sandbox.settings.update(
        {"rate_limit_per_second": 0.1, "compute_requests_per_10_seconds": 2, "require_issued_tokens": False}
    )
    lab.sandbox.clock.freeze()

    def ask(path: str) -> int:
        headers = {"Authorization": "Bearer any"}
        return requests.get(f"{lab.sandbox.url}{path}", headers=headers, timeout=10).status_code

    transfer, compute = "/v0.10/submission_id", "/v2/version"
    asked = [ask(path) for path in (transfer, compute, compute, transfer, compute)]
    assert asked == [200, 200, 200, 429, 429]


def test_only_computes_own_tokens_are_taken(lab: Any) -> None:
    import globus_sdk

    login = globus_sdk.ConfidentialAppAuthClient(
        lab.sandbox.client_id, lab.sandbox.client_secret, base_url=lab.sandbox.url
    )
    foreign = login.oauth2_client_credentials_tokens(requested_scopes=str(globus_sdk.TransferClient.scopes.all))
    for authorizer in (globus_sdk.NullAuthorizer(), globus_sdk.AccessTokenAuthorizer(foreign["access_token"])):
        client = globus_sdk.ComputeClientV2(authorizer=authorizer, base_url=lab.sandbox.url)
        with pytest.raises(ComputeAPIError) as caught:
            client.get_version()
        assert caught.value.raw_json is not None
        assert (caught.value.http_status, caught.value.raw_json["code"]) == (401, "USER_UNAUTHENTICATED")
        assert lab.sandbox.journal.entries[-1].code == "USER_UNAUTHENTICATED"


def test_the_journal_names_errors_readably(lab: Any, refused: Any) -> None:
    refused(lambda: lab.v2.get_task_group(lab.sandbox.world.new_id()))
    entry = lab.sandbox.journal.entries[-1]
    assert (entry.service, entry.status, entry.code) == ("compute", 404, "TASK_GROUP_NOT_FOUND")


def test_faults_strike_here_too(lab: Any) -> None:
    """The answer to a submission is lost after it was taken: what the SDK would repeat by itself."""
    endpoint, function = lab.endpoint(online=False), lab.register(one)
    lab.sandbox.faults.add(
        {"service": "compute", "method": "POST", "path": "/v3/endpoints/*/submit", "drop_after": True}
    )
    with pytest.raises(NetworkError):
        lab.submit(endpoint, function)
    assert len(lab.compute.tasks) == 1
