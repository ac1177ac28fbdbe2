"""Endpoints: what is told of them, who may use them, and what happens while they are away."""

from __future__ import annotations

from typing import Any

import pytest
import requests


def one() -> int:
    return 1


def test_an_endpoint_is_described(lab: Any) -> None:
    endpoint = lab.endpoint("Frontier", public=True, multi_user=True, user_config_schema={"type": "object"})
    shown = lab.v2.get_endpoint(endpoint.id)
    assert (shown["uuid"], shown["name"], shown["display_name"]) == (endpoint.id, "Frontier", "Frontier")
    assert (shown["public"], shown["multi_user"]) == (True, True)
    assert shown["user_config_schema"] == {"type": "object"}
    assert "GlobusComputeEngine" in shown["endpoint_config"]
    assert "GlobusMPIEngine" in lab.v2.get_endpoint(lab.endpoint("mpi", mpi=True).id)["endpoint_config"]


def test_lists_show_ones_own_and_all_one_may_use(lab: Any, refused: Any) -> None:
    other = lab.sandbox.add_client("other")
    mine = lab.endpoint("mine")
    lab.endpoint("theirs", owner=other.id)
    public = lab.endpoint("public", owner=other.id, public=True)
    entry = {"uuid": mine.id, "name": "mine", "display_name": "mine", "owner": lab.sandbox.client_id}
    assert lab.v2.get_endpoints().data == [entry]
    assert lab.v2.get_endpoints(role="owner").data == [entry]
    assert [item["uuid"] for item in lab.v2.get_endpoints(role="any").data] == [mine.id, public.id]
    assert refused(lambda: lab.v2.get_endpoints(role="boss"))["detail"] == [
        "query.role: value is not a valid enumeration member; permitted: 'owner', 'any'"
    ]


def test_an_endpoint_of_another_is_forbidden_unless_it_is_public(lab: Any, refused: Any) -> None:
    other = lab.sandbox.add_client("other")
    private, public = lab.endpoint("a", owner=other.id), lab.endpoint("b", owner=other.id, public=True)
    v2, v3 = lab.v2, lab.v3
    for act in (
        lambda: v2.get_endpoint(private.id),
        lambda: v2.get_endpoint_status(private.id),
        lambda: v2.delete_endpoint(private.id),
        lambda: v3.lock_endpoint(private.id),
        lambda: v3.get_endpoint_allowlist(private.id),
        lambda: lab.submit(private, one),
    ):
        error = refused(act)
        assert (error["http_status_code"], error["code"], error["error_args"]) == (
            403,
            "ENDPOINT_ACCESS_FORBIDDEN",
            [private.id],
        )
        assert error["reason"] == f"Unauthorized access to endpoint {private.id}"
    assert v2.get_endpoint(public.id)["uuid"] == public.id
    assert lab.value(lab.call(public, one)) == 1
    for act in (lambda: v2.delete_endpoint(public.id), lambda: v3.lock_endpoint(public.id)):
        assert refused(act)["code"] == "ENDPOINT_ACCESS_FORBIDDEN"


def test_unknown_endpoints(lab: Any, refused: Any) -> None:
    unknown = lab.sandbox.world.new_id()
    for act in (
        lambda: lab.v2.get_endpoint(unknown),
        lambda: lab.v3.submit(unknown, {"tasks": {}}),
        lambda: lab.v2.delete_endpoint(unknown),
    ):
        error = refused(act)
        assert (error["http_status_code"], error["code"], error["error_args"]) == (404, "ENDPOINT_NOT_FOUND", [unknown])
        assert error["reason"] == f"Endpoint {unknown} could not be resolved"
    assert refused(lambda: lab.v2.get_endpoint("seven"))["detail"] == ["path.endpoint_uuid: value is not a valid uuid"]


def test_an_endpoint_that_is_away_takes_tasks_and_runs_them_later(lab: Any) -> None:
    endpoint = lab.endpoint()
    idle = {"total_workers": 2, "idle_workers": 2, "pending_tasks": 0, "outstanding_tasks": 0, "managers": 1}
    assert lab.v2.get_endpoint_status(endpoint.id).data == {"status": "online", "details": idle}
    endpoint.go_offline()
    ids = lab.submit(endpoint, one, [(), ()])
    assert [lab.v2.get_task(task_id)["status"] for task_id in ids] == ["waiting-for-ep"] * 2
    assert lab.v2.get_endpoint_status(endpoint.id).data == {
        "status": "offline",
        "details": {"total_workers": 0, "idle_workers": 0, "managers": 0, "pending_tasks": 2, "outstanding_tasks": 2},
    }
    endpoint.go_online()
    assert [lab.value(lab.wait(task_id)) for task_id in ids] == [1, 1]
    assert lab.v2.get_endpoint_status(endpoint.id)["status"] == "online"


def test_an_endpoint_may_begin_away(lab: Any) -> None:
    endpoint = lab.endpoint(online=False)
    (task_id,) = lab.submit(endpoint, one)
    assert (endpoint.online, lab.compute.tasks[task_id].status) == (False, "waiting-for-ep")


def test_an_allow_list_is_shown_and_enforced(lab: Any, refused: Any) -> None:
    other = lab.sandbox.add_client("other")
    allowed, mine = lab.register(one, of=other), lab.register(one)
    endpoint, free = lab.endpoint(allowed_functions=[allowed]), lab.endpoint("free")
    assert lab.v3.get_endpoint_allowlist(endpoint.id).data == {
        "endpoint_id": endpoint.id,
        "restricted": True,
        "functions": [allowed],
    }
    assert lab.v3.get_endpoint_allowlist(free.id).data == {"endpoint_id": free.id, "restricted": False, "functions": []}
    error = refused(lambda: lab.submit(endpoint, mine))
    assert (error["http_status_code"], error["code"], error["error_args"]) == (
        403,
        "FUNCTION_NOT_PERMITTED",
        [mine, endpoint.id],
    )
    assert error["reason"] == f"Function {mine} not permitted on endpoint {endpoint.id}"
    assert lab.value(lab.wait(lab.submit(endpoint, allowed)[0])) == 1, "though it is someone else's"
    assert refused(lambda: lab.submit(free, allowed))["code"] == "FUNCTION_ACCESS_FORBIDDEN"


def test_a_deleted_endpoint_is_gone(lab: Any, refused: Any) -> None:
    endpoint = lab.endpoint(online=False)
    (task_id,) = lab.submit(endpoint, one)
    assert lab.v2.delete_endpoint(endpoint.id).data == {"result": 302}
    assert refused(lambda: lab.v2.get_endpoint(endpoint.id))["code"] == "ENDPOINT_NOT_FOUND"
    endpoint.go_online()
    assert lab.v2.get_task(task_id)["status"] == "waiting-for-ep"


def test_locking_says_until_when(lab: Any) -> None:
    lab.sandbox.clock.freeze()
    endpoint, now = lab.endpoint(), lab.sandbox.clock.now()
    as_text, as_number = lab.v2.lock_endpoint(endpoint.id), lab.v3.lock_endpoint(endpoint.id)
    assert as_text["endpoint_id"] == as_number["endpoint_id"] == endpoint.id
    assert as_text["lock_expiration_timestamp"] > now.replace(tzinfo=None).isoformat()
    assert as_number["lock_expiration_timestamp"] > now.timestamp()


def test_what_needs_a_broker_says_so(lab: Any, refused: Any) -> None:
    endpoint = lab.endpoint()
    for act in (
        lambda: lab.v2.get_result_amqp_url(),
        lambda: lab.v2.register_endpoint({}),
        lambda: lab.v3.register_endpoint({}),
        lambda: lab.v3.update_endpoint(endpoint.id, {}),
        lambda: lab.submit(endpoint, one, create_queue=True),
        lambda: lab.v2.submit({"tasks": [[lab.register(one), endpoint.id, ""]], "create_websocket_queue": True}),
    ):
        error = refused(act)
        assert error["http_status_code"] == 501
        assert "without an AMQP broker (start the sandbox with amqp_url)" in error["reason"]
    assert lab.compute.tasks == {}


def test_versions(lab: Any) -> None:
    plain = lab.v2.get_version()
    full = lab.v2.get_version(service="all")
    assert isinstance(plain.data, str)
    assert full["api"] == plain.data
    assert full["min_ep_version"] == full["min_endpoint_version"]


def test_what_else_there_may_be_is_not_served(lab: Any) -> None:
    lab.sandbox.settings.require_issued_tokens = False
    headers = {"Authorization": "Bearer any"}
    for path in ("/v2/authenticate", "/v2/containers/build", "/v2/stats", "/v3/containers"):
        answer = requests.get(f"{lab.sandbox.url}{path}", headers=headers, timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (501, "NotServed")
        assert "X-Sandbox-Provisional" not in answer.headers
    answer = requests.put(f"{lab.sandbox.url}/v2/submit", headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (501, "NotServed")


# Setting up


def test_an_endpoint_is_found_by_what_people_call_it(lab: Any) -> None:
    endpoint = lab.endpoint("HPC cluster", alias="hpc")
    for reference in (endpoint.id, "hpc", "HPC cluster"):
        assert lab.compute.find(reference) is endpoint
    lab.endpoint("twin")
    lab.endpoint("twin", folder=lab.folder / "second")
    with pytest.raises(ValueError, match="2 Compute endpoints are called 'twin'"):
        lab.compute.find("twin")
    with pytest.raises(ValueError, match="0 Compute endpoints"):
        lab.compute.find("nothing")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"workers": 0}, "at least one worker"),
        ({"owner": "nobody@example.org"}, "There is no identity 'nobody@example.org'"),
        ({"id": "seven"}, "badly formed"),
        ({"alias": "taken"}, "already is a Compute endpoint with the alias 'taken'"),
        ({"id": "11111111-2222-4333-8444-555555555555"}, "already is a Compute endpoint 11111111"),
        ({"user_config_schema": {"type": "nonsense"}}, "user_config_schema is no valid JSON schema"),
    ],
)
def test_an_endpoint_that_cannot_be(lab: Any, fields: dict[str, Any], message: str) -> None:
    lab.endpoint("first", alias="taken", id="11111111-2222-4333-8444-555555555555")
    with pytest.raises(ValueError, match=message):
        lab.endpoint("second", **fields)
    assert [item.name for item in lab.compute.endpoints.values()] == ["first"]


def test_the_owner_may_be_named(lab: Any) -> None:
    ada = lab.sandbox.add_identity("ada@example.org")
    assert lab.endpoint(owner="ada@example.org").owner_id == ada.id


def test_a_temporary_folder_goes_with_its_endpoint(lab: Any) -> None:
    endpoint = lab.sandbox.add_compute_endpoint("somewhere")
    task = lab.call(endpoint, one)
    assert (endpoint.folder / "tasks" / task.id).is_dir()
    lab.sandbox.reset()
    assert not endpoint.folder.exists()
    kept = lab.endpoint("kept")
    lab.sandbox.reset()
    assert kept.folder.is_dir()


def test_a_process_that_cannot_start_fails_its_tasks(lab: Any) -> None:
    endpoint = lab.endpoint()
    (endpoint.folder / ".globus_compute").write_text("in the way")
    tasks = [lab.wait(task_id) for task_id in lab.submit(endpoint, one, [()] * 3)]
    assert {task.status for task in tasks} == {"failed"}
    assert all("File exists" in task.exception for task in tasks)
    assert lab.v2.get_task(tasks[0].id).headers["X-Sandbox-Provisional"] == "1"
    (endpoint.folder / ".globus_compute").unlink()
    (endpoint.folder / ".globus_compute" / "endpoint.log").mkdir(parents=True)
    assert "Is a directory" in lab.call(endpoint, one).exception
