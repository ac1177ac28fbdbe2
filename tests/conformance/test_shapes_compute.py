"""Compute's answers have the keys and types of the SDK's recordings, and keep to the published schemas."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import AccessTokenAuthorizer, ComputeAPIError, ComputeClientV2, ComputeClientV3, NullAuthorizer

from airflow_provider_globus.sandbox.compute import amqp
from tests.compute_lab import Lab
from tests.conformance.openapi import OpenApi
from tests.conformance.recordings import Recordings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox

# The broker of these tests, which nobody connects to: what is told of it does not depend on it.
BROKER = "amqps://user:password@mq.example.org"
NOBODYS = "00000000-0000-4000-8000-000000000000"
CONFIG_SCHEMA = {"type": "object", "properties": {"account": {"type": "string"}}, "required": ["account"]}

SCHEMAS = OpenApi(
    "compute",
    wrong={
        ".results[]: {'status': 'success', 'task_uuid': '{}', 'http_status_code': 200, 'reason': None} is not valid "
        "under any of the given schemas": "the recording has no reason, as null",
        ".results.{}: Additional properties are not allowed ('details' was unexpected)": "the recording has them",
        ": Additional properties are not allowed ('reason' was unexpected)": "what globus_compute_sdk reads of a task "
        "with neither a result nor an exception; the schema has it for batches only",
    },
    unlisted={
        "min_endpoint_version": "the recording has it; the schema has min_ep_version, which globus_compute_sdk reads",
    },
)
DOCUMENTED_REFUSAL = "Globus documents this refusal of a user_endpoint_config with a text, not with a list of findings"


def one() -> int:
    return 1


def fails() -> None:
    raise LookupError("nothing there")


def waits_at(path: str) -> None:
    from pathlib import Path

    Path(path).read_text()


class _NoLink:
    """Instead of a connection to a broker: all that is asked for is done."""

    def __init__(self, *_: Any) -> None:
        pass

    def start(self) -> None:
        pass

    def close(self) -> None:
        pass

    def post(self, work: Any) -> None:
        pass

    def perform(self, work: Any) -> None:
        pass


@pytest.fixture
def lab(globus_sandbox: GlobusSandbox, tmp_path: Path) -> Lab:
    return Lab(globus_sandbox, tmp_path)


@pytest.fixture
def connected(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """The laboratory, with a broker."""
    monkeypatch.setattr(amqp, "AmqpLink", _NoLink)
    side = amqp.ComputeAmqp(lab.compute, BROKER)
    side.start()
    yield lab
    side.close()


def _described(lab: Lab) -> str:
    """Return a function that says everything it can of itself."""
    return lab.register(one, description="I just wanted to say hello.", public=True)


def _submission(lab: Lab, **more: Any) -> dict[str, Any]:
    return {"tasks": {lab.register(one): [lab.payload(), lab.payload()]}, **more}


def _calls(lab: Lab) -> dict[str, Any]:
    endpoint, function = lab.endpoint().id, lab.register(one)
    return {"tasks": [[function, endpoint, lab.payload()]] * 2}


def _list(lab: Lab) -> None:
    lab.endpoint("mine")
    lab.endpoint("theirs", public=True, owner=lab.sandbox.add_client("other").id)


def _endpoints(lab: Lab) -> Any:
    _list(lab)
    return lab.v2.get_endpoints()


def _any_endpoints(lab: Lab) -> Any:
    _list(lab)
    answer = lab.v2.get_endpoints(role="any")
    assert len(answer.data) == 2
    return answer


def _done(lab: Lab) -> str:
    """Return a task that has ended well."""
    return lab.call(lab.endpoint(), one).id


def _group(lab: Lab) -> Any:
    return lab.v2.get_task_group(lab.compute.tasks[_done(lab)].group_id)


def _registered(lab: Lab) -> str:
    return str(lab.v3.register_endpoint({"endpoint_name": "hpc", "multi_user": True})["endpoint_id"])


def _allowed(lab: Lab) -> Any:
    return lab.v3.get_endpoint_allowlist(lab.endpoint(allowed_functions=[lab.register(one)]).id)


#: The call of each recorded response, after what brings Compute into the state it is of.
SCENARIOS: dict[str, Callable[[Lab], Any]] = {
    "v2.delete_endpoint:default": lambda lab: lab.v2.delete_endpoint(lab.endpoint().id),
    "v2.delete_function:default": lambda lab: lab.v2.delete_function(lab.register(one)),
    "v2.get_endpoint:default": lambda lab: lab.v2.get_endpoint(lab.endpoint().id),
    "v2.get_endpoint_status:default": lambda lab: lab.v2.get_endpoint_status(lab.endpoint().id),
    "v2.get_endpoints:any": _any_endpoints,
    "v2.get_endpoints:default": _endpoints,
    "v2.get_function:default": lambda lab: lab.v2.get_function(_described(lab)),
    "v2.get_result_amqp_url:default": lambda lab: lab.v2.get_result_amqp_url(),
    "v2.get_task:default": lambda lab: lab.v2.get_task(_done(lab)),
    "v2.get_task_batch:default": lambda lab: lab.v2.get_task_batch(_done(lab)),
    "v2.get_task_group:default": _group,
    "v2.get_version:all": lambda lab: lab.v2.get_version(service="all"),
    "v2.get_version:default": lambda lab: lab.v2.get_version(),
    "v2.lock_endpoint:default": lambda lab: lab.v2.lock_endpoint(lab.endpoint().id),
    "v2.register_endpoint:default": lambda lab: lab.v2.register_endpoint({"endpoint_name": "hpc", "multi_user": True}),
    "v2.register_function:default": lambda lab: lab.v2.register_function({"function_name": "f", "function_code": "c"}),
    "v2.submit:default": lambda lab: lab.v2.submit(_calls(lab)),
    "v3.get_endpoint_allowlist:default": _allowed,
    "v3.lock_endpoint:default": lambda lab: lab.v3.lock_endpoint(lab.endpoint().id),
    "v3.register_endpoint:default": lambda lab: lab.v3.register_endpoint({"endpoint_name": "hpc", "multi_user": True}),
    "v3.register_function:default": lambda lab: lab.v3.register_function({"function_name": "f", "function_code": "c"}),
    "v3.submit:default": lambda lab: lab.v3.submit(lab.endpoint().id, _submission(lab)),
    "v3.update_endpoint:default": lambda lab: lab.v3.update_endpoint(_registered(lab), {"endpoint_name": "hpc"}),
}

_QUEUES = "since version 4 of globus-compute-endpoint, an endpoint is told the queues of each user endpoint it starts"
_QUEUES_NOW = "what endpoints of today read, and the published schema has"
RECORDINGS = Recordings(
    service="compute",
    scenarios=SCENARIOS,
    stale={
        "v2.register_endpoint:.task_queue_info": _QUEUES,
        "v2.register_endpoint:.result_queue_info": _QUEUES,
        "v3.register_endpoint:.task_queue_info": _QUEUES,
        "v3.update_endpoint:.task_queue_info": _QUEUES,
        "v3.lock_endpoint:.lock_expiration_timestamp: number instead of str": "the published schema of version 3 has "
        "a number, and says it is Unix time; the recording is that of version 2 once more",
    },
    extras={
        "v2.get_version:.min_ep_version": "the published schema has it, and globus_compute_sdk reads it",
        "v2.get_endpoint:.high_assurance": "the published schema requires it",
        "v2.get_endpoint:.subscription_admin_verified": "the published schema requires it",
        "v2.get_endpoint:.python_version": "the published schema has it",
        **{
            f"{name}:.{key}": _QUEUES_NOW
            for name in ("v2.register_endpoint", "v3.register_endpoint", "v3.update_endpoint")
            for key in ("command_queue_info", "heartbeat_queue_info", "warnings")
        },
        **{
            f"{name}:.result_queue_info.queue_publish_kwargs.{key}": "the published schema requires it"
            for name in ("v3.register_endpoint", "v3.update_endpoint")
            for key in ("exchange", "routing_key", "mandatory", "properties")
        },
        **{
            f"{path}.details.endpoint_id": "globus-compute-endpoint sends it with each result"
            for path in ("v2.get_task:", "v2.get_task_batch:.results[]")
        },
    },
    openapi=SCHEMAS,
)


@pytest.mark.parametrize("name", RECORDINGS.names())
def test_answers_have_what_the_recorded_ones_have(name: str, connected: Lab) -> None:
    RECORDINGS.check(name, connected, connected.sandbox)


def test_every_recording_has_its_scenario() -> None:
    RECORDINGS.check_complete()
    assert len(RECORDINGS.names()) == 23


# The published schemas


def _keeps(lab: Lab, answer: Any) -> Any:
    assert SCHEMAS.check(lab.sandbox, answer.headers, answer.data)
    return answer.data


def test_tasks_keep_to_their_schema_whatever_becomes_of_them(lab: Lab) -> None:
    here, away, gate = lab.endpoint("here", workers=1), lab.endpoint("away", online=False), lab.gate()
    failed = lab.call(here, fails).id
    lost = lab.call(here, one).id
    lab.sandbox.clock.advance(lab.sandbox.settings.compute_result_seconds + 1)
    success = lab.call(here, one).id
    running, queued = lab.submit(here, waits_at, [(str(gate.path),)] * 2)
    lab.until(running, "running")
    (waiting,) = lab.submit(away, one)
    told = {
        "success": success,
        "failed": failed,
        "running": running,
        "waiting-for-nodes": queued,
        "waiting-for-ep": waiting,
    }
    for status, task_id in told.items():
        assert _keeps(lab, lab.v2.get_task(task_id))["status"] == status
    assert "abandoned" in _keeps(lab, lab.v2.get_task(lost))["reason"]
    results = _keeps(lab, lab.v2.get_task_batch([*told.values(), lost, NOBODYS]))["results"]
    assert [results[task_id]["status"] for task_id in told.values()] == list(told)
    assert _keeps(lab, lab.v2.get_task_group(lab.compute.tasks[running].group_id))["tasks"][1]["id"] == queued
    load = {"total_workers": 1, "idle_workers": 0, "pending_tasks": 1, "outstanding_tasks": 2, "managers": 1}
    assert _keeps(lab, lab.v2.get_endpoint_status(here.id)) == {"status": "online", "details": load}
    assert _keeps(lab, lab.v2.get_endpoint_status(away.id))["status"] == "offline"
    for task_id in (running, queued):
        lab.until(task_id, "running")
        gate.open()
        lab.wait(task_id)


def test_endpoints_keep_to_their_schema_whatever_their_kind(connected: Lab) -> None:
    lab = connected
    registered = _registered(lab)
    metadata = {"endpoint_config": "display_name: hpc", "python_version": "3.12.4", "endpoint_version": "4.19.0"}
    _keeps(lab, lab.v3.update_endpoint(registered, {"endpoint_name": "hpc", "metadata": metadata}))
    for endpoint_id in (
        lab.endpoint("plain").id,
        lab.endpoint("mpi", mpi=True).id,
        lab.endpoint("shared", multi_user=True, public=True, user_config_schema=CONFIG_SCHEMA).id,
        lab.endpoint("away", online=False).id,
        registered,
    ):
        _keeps(lab, lab.v2.get_endpoint(endpoint_id))
        _keeps(lab, lab.v2.get_endpoint_status(endpoint_id))
        assert _keeps(lab, lab.v3.get_endpoint_allowlist(endpoint_id))["restricted"] is False
    assert lab.v2.get_endpoint(registered)["python_version"] == "3.12.4"
    assert len(_keeps(lab, lab.v2.get_endpoints())) == 5


def test_functions_and_submissions_keep_to_their_schema(connected: Lab) -> None:
    lab, endpoint = connected, connected.endpoint(user_config_schema=CONFIG_SCHEMA)
    source = {"function_name": "f", "function_code": "def f(): ...", "serialized": False}
    for function in (lab.register(one), str(_keeps(lab, lab.v3.register_function(source))["function_uuid"])):
        _keeps(lab, lab.v2.get_function(function))
    document = _submission(lab, create_queue=True, user_endpoint_config={"account": "physics"})
    group = _keeps(lab, lab.v3.submit(endpoint.id, document))["task_group_id"]
    assert _keeps(lab, lab.v2.get_task_group(group))["create_websockets_queue"] is True


def _refusals(lab: Lab) -> Iterator[tuple[int, str, Callable[[], Any]]]:
    """Yield what is refused, with the status and the code."""
    v2, v3, sandbox = lab.v2, lab.v3, lab.sandbox
    other = sandbox.add_client("other")
    theirs, mine = lab.endpoint("theirs", owner=other.id), lab.endpoint("mine", user_config_schema=CONFIG_SCHEMA)
    strict, foreign = lab.endpoint("strict", allowed_functions=[]), lab.register(one, of=other)
    free = lab.endpoint("free")
    group = lab.compute.tasks[lab.submit(theirs, one, of=other)[0]].group_id
    registered, function = _registered(lab), {"function_name": "f", "function_code": "c"}
    v3.lock_endpoint(registered)
    url = sandbox.url
    nobody = ComputeClientV3(authorizer=NullAuthorizer(), base_url=url)
    stale = ComputeClientV3(authorizer=AccessTokenAuthorizer("stale"), base_url=url)
    for client in (nobody, stale):
        yield 401, "USER_UNAUTHENTICATED", partial(client.submit, mine.id, {})
        yield 401, "USER_UNAUTHENTICATED", partial(client.register_function, function)
        yield 401, "USER_UNAUTHENTICATED", partial(client.lock_endpoint, mine.id)
        yield 401, "USER_UNAUTHENTICATED", partial(client.register_endpoint, {})
    yield 403, "ENDPOINT_ACCESS_FORBIDDEN", lambda: v3.submit(theirs.id, _submission(lab))
    yield 403, "ENDPOINT_ACCESS_FORBIDDEN", lambda: v3.lock_endpoint(theirs.id)
    yield 403, "ENDPOINT_ACCESS_FORBIDDEN", lambda: v3.update_endpoint(theirs.id, {})
    yield 403, "FUNCTION_ACCESS_FORBIDDEN", lambda: v3.submit(free.id, {"tasks": {foreign: [""]}})
    yield 403, "FUNCTION_NOT_PERMITTED", lambda: v3.submit(strict.id, {"tasks": {foreign: [""]}})
    yield 403, "TASK_GROUP_ACCESS_FORBIDDEN", lambda: v3.submit(free.id, _submission(lab, task_group_id=group))
    yield 404, "ENDPOINT_NOT_FOUND", lambda: v3.submit(NOBODYS, _submission(lab))
    yield 404, "ENDPOINT_NOT_FOUND", lambda: v3.lock_endpoint(NOBODYS)
    yield 404, "ENDPOINT_NOT_FOUND", lambda: v3.update_endpoint(NOBODYS, {})
    yield 404, "FUNCTION_NOT_FOUND", lambda: v3.submit(mine.id, {"tasks": {NOBODYS: [""]}})
    yield 404, "TASK_GROUP_NOT_FOUND", lambda: v3.submit(free.id, _submission(lab, task_group_id=NOBODYS))
    yield 409, "RESOURCE_CONFLICT", lambda: v3.update_endpoint(mine.id, {})
    yield 413, "BATCH_RUN_TOO_LARGE", lambda: v3.submit(mine.id, {"tasks": {NOBODYS: ["x" * 11_000_000]}})
    yield 423, "RESOURCE_LOCKED", lambda: v3.update_endpoint(registered, {})
    for find in (
        lambda: v3.submit(mine.id, {}),
        lambda: v3.submit("seven", {}),
        lambda: v3.post(f"/v3/endpoints/{mine.id}/submit", data="no JSON", encoding="text"),
        lambda: v3.lock_endpoint("seven"),
        lambda: v3.register_function({"function_name": "f"}),
        lambda: v3.register_endpoint({}),
        lambda: v3.update_endpoint("seven", {}),
    ):
        yield 422, "SEMANTICALLY_INVALID", find
    for find in (
        lambda: v2.get_task("seven"),
        lambda: v2.get_task_group("seven"),
        lambda: v2.get_function("seven"),
        lambda: v2.get_endpoint("seven"),
        lambda: v2.get_endpoint_status("seven"),
        lambda: v2.get_endpoints(role="boss"),
        lambda: v2.submit({}),
        lambda: v2.post("/v2/batch_status", data={}),
        lambda: v3.get_endpoint_allowlist("seven"),
    ):
        yield 422, "", find


def test_every_refusal_keeps_to_its_schema(connected: Lab) -> None:
    connected.sandbox.settings.compute_requests_per_10_seconds = None
    seen = set()
    for status, code, call in _refusals(connected):
        with pytest.raises(ComputeAPIError) as raised:
            call()
        error = raised.value
        document: Any = error.raw_json
        assert (error.http_status, document.get("code", "")) == (status, code)
        assert SCHEMAS.check(connected.sandbox, error.headers, document), "it has a schema"
        assert not code or document["reason"] == document["detail"]
        seen.add(status)
    assert seen == {401, 403, 404, 409, 413, 422, 423}


def test_refusals_without_a_schema_look_like_those_with_one(lab: Lab) -> None:
    theirs = lab.endpoint("theirs", owner=lab.sandbox.add_client("other").id)
    with pytest.raises(ComputeAPIError) as with_one:
        lab.v3.lock_endpoint(theirs.id)
    shape = {name: type(value) for name, value in (with_one.value.raw_json or {}).items()}
    nobody = ComputeClientV2(authorizer=NullAuthorizer(), base_url=lab.sandbox.url)
    calls: list[Callable[[], Any]] = [
        lambda: lab.v2.get_endpoint(theirs.id),
        lambda: lab.v2.get_task(NOBODYS),
        lambda: lab.v2.get_function(NOBODYS),
        nobody.get_version,
    ]
    for call in calls:
        with pytest.raises(ComputeAPIError) as raised:
            call()
        assert {name: type(value) for name, value in (raised.value.raw_json or {}).items()} == shape


def test_a_config_that_an_endpoint_cannot_use_is_refused_as_documented(lab: Lab) -> None:
    endpoint = lab.endpoint(user_config_schema=CONFIG_SCHEMA)
    with pytest.raises(ComputeAPIError) as raised:
        lab.v3.submit(endpoint.id, _submission(lab))
    assert (raised.value.http_status, raised.value.code) == (422, "SEMANTICALLY_INVALID")
    said = (
        "Request payload failed validation: Failed to start or unexpected error:\n"
        "  (ValidationError) 'account' is a required property ($)"
    )
    assert raised.value.message == said
    schemas = OpenApi(
        "compute",
        {f".{name}: {said!r} is not of type 'array'"[-200:]: DOCUMENTED_REFUSAL for name in ("detail", "reason")},
    )
    assert schemas.check(lab.sandbox, raised.value.headers, raised.value.raw_json)


def test_the_comparison_sees_what_is_not_as_the_schema_says(lab: Lab) -> None:
    answer = lab.v2.get_endpoint(lab.endpoint().id)
    for wrong in (
        {**answer.data, "owner": "somebody"},
        {**answer.data, "public": "yes"},
        {name: value for name, value in answer.data.items() if name != "high_assurance"},
    ):
        with pytest.raises(AssertionError):
            SCHEMAS.check(lab.sandbox, answer.headers, wrong)
