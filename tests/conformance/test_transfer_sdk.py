"""Every call of the SDK's clients of Transfer is served, or refused as what a sandbox has not."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import TransferAPIError, TransferClient
from globus_sdk.experimental import TransferClientV2

from airflow_provider_globus.sandbox.transfer.routes import SERVICE
from tests.conformance.transfer_site import UNKNOWN, Site, pause, rule

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox

_CALL = re.compile(r"self\.(get|post|put|patch|delete)\(\s*f?\"([^\"]+)\"")
_PARAMETER = re.compile(r"\{[^}]*\}")
_STREAMS = ("/v2/tunnels", "/v2/stream_access_points")


@pytest.fixture
def site(globus_sandbox: GlobusSandbox, tmp_path: Path) -> Site:
    return Site(globus_sandbox, tmp_path)


def _calls() -> Iterator[tuple[str, str, str]]:
    """Yield each request that a method of the SDK's clients makes: the method, and what it asks for."""
    for client in (TransferClient, TransferClientV2):
        for name, function in inspect.getmembers(client, inspect.isfunction):
            if function.__qualname__.partition(".")[0] == client.__name__:
                for verb, path in _CALL.findall(inspect.getsource(function)):
                    yield f"{client.__name__}.{name}", verb.upper(), _PARAMETER.sub("{}", path)


CALLS = list(_calls())


def test_the_calls_of_the_sdk_are_found() -> None:
    methods = {method for method, _, _ in CALLS}
    assert {"TransferClient.operation_ls", "TransferClient.endpoint_manager_task_list"} <= methods
    assert len(methods) >= 80


@pytest.mark.parametrize(("method", "verb", "path"), CALLS)
def test_a_call_of_the_sdk_is_served_or_is_about_streams(method: str, verb: str, path: str, site: Site) -> None:
    served = {(route.method, _PARAMETER.sub("{}", route.path)) for route in SERVICE.routes}
    if path.startswith(_STREAMS):
        with pytest.raises(TransferAPIError) as refused:
            getattr(site.tc, verb.lower())(path.replace("{}", UNKNOWN))
        assert (refused.value.http_status, refused.value.code) == (501, "NotServed")
    else:
        assert (verb, path) in served


def test_what_has_no_recording_is_taken_by_the_sdk(site: Site) -> None:
    guest = site.guest()
    assert [item["id"] for item in site.tc.endpoint_manager_hosted_endpoint_list(site.laptop.id)] == [guest]
    assert [item["id"] for item in site.tc.my_shared_endpoint_list(site.laptop.id)] == [guest]
    skipped = site.done(site.transfer(("/none", "/none"), skip_source_errors=True))
    assert [item["source_path"] for item in site.tc.endpoint_manager_task_skipped_errors(skipped)] == ["/none"]
    others = [site.guest(display_name=f"Shared {number}") for number in range(3)]
    pages = list(site.tc.paginated.get_shared_endpoint_list(site.laptop.id, max_results=3))
    assert [len(list(page)) for page in pages] == [3, 1]
    assert {item["id"] for page in pages for item in page} == {guest, *others}


def _ruled_twice(site: Site) -> None:
    guest, _ = site.ruled()
    site.tc.add_endpoint_acl_rule(guest, rule("identity", site.stranger.id))


#: Calls that are refused, with the HTTP status and the code.
REFUSALS: dict[str, tuple[Callable[[Site], Any], int, str]] = {
    "an unknown collection": (lambda site: site.tc.get_endpoint(UNKNOWN), 404, "EndpointNotFound"),
    "an unknown task": (lambda site: site.tc.get_task(UNKNOWN), 404, "ClientError.NotFound"),
    "a path that is not there": (
        lambda site: site.tc.operation_ls(site.laptop.id, "/none"), 404, "ClientError.NotFound",
    ),
    "a path that leads out": (lambda site: site.tc.operation_ls(site.laptop.id, "/.."), 400, "InvalidPath"),
    "somebody else's laptop": (lambda site: site.other.operation_ls(site.laptop.id), 403, "PermissionDenied"),
    "no consent": (lambda site: site.other.operation_ls(site.mapped().id), 403, "ConsentRequired"),
    "an endpoint that is no collection": (
        lambda site: site.tc.operation_ls(site.state.endpoint.id), 400, "ClientError.BadRequest.NotACollection",
    ),
    "the same paths at once": (lambda site: [site.active(), site.transfer()], 409, "Conflict"),
    "a submission without a collection": (
        lambda site: site.tc.submit_transfer({"DATA_TYPE": "transfer"}), 400, "BadRequest",
    ),
    "deletion of what Connect Server manages": (
        lambda site: site.tc.delete_endpoint(site.mapped().id), 409, "Conflict",
    ),
    "change of what Connect Server manages": (
        lambda site: site.tc.update_endpoint(site.mapped().id, {"public": False}), 409, "Conflict",
    ),
    "a role on what Connect Server manages": (
        lambda site: site.tc.add_endpoint_role(site.mapped().id, {}), 409, "Conflict",
    ),
    "deletion of somebody else's": (lambda site: site.other.delete_endpoint(site.laptop.id), 403, "PermissionDenied"),
    "a subscription of Connect Server": (
        lambda site: site.tc.set_subscription_id(site.mapped().id, None), 409, "Conflict",
    ),
    "a subscription of others": (
        lambda site: site.tc.set_subscription_id(site.laptop.id, UNKNOWN), 403, "PermissionDenied",
    ),
    "a rule on what is not shared": (
        lambda site: site.tc.add_endpoint_acl_rule(site.laptop.id, rule("anonymous", "")), 400,
        "ClientError.BadRequest.NotSupported",
    ),
    "permissions that there are not": (
        lambda site: site.tc.add_endpoint_acl_rule(site.guest(), rule("anonymous", "", "rwx")), 400, "BadRequest",
    ),
    "the same rule twice": (_ruled_twice, 409, "Exists"),
    "the same bookmark twice": (lambda site: [site.bookmark(), site.bookmark()], 409, "Exists"),
    "somebody else's bookmark": (lambda site: site.other.get_bookmark(site.bookmark()), 404, "BookmarkNotFound"),
    "an unknown bookmark of v2": (lambda site: site.v2.get_bookmark(UNKNOWN), 404, "BookmarkNotFound"),
    "a pause rule on somebody else's": (
        lambda site: site.other.endpoint_manager_create_pause_rule(pause(site.laptop.id)), 403, "PermissionDenied",
    ),
    "a manager of nothing": (
        lambda site: site.other.endpoint_manager_monitored_endpoints(), 403, "PermissionDenied",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSALS)
def test_refusals(what: str, site: Site) -> None:
    call, status, code = REFUSALS[what]
    with pytest.raises(TransferAPIError) as refused:
        call(site)
    assert (refused.value.http_status, refused.value.code) == (status, code)
    answer = refused.value.raw_json or {}
    if "errors" not in answer:
        assert answer.keys() >= {"code", "message", "request_id", "resource"}
        assert re.fullmatch(r"[A-Za-z0-9]{9}", answer["request_id"])
        assert answer["resource"].startswith("/v0.10/")


def test_three_transfers_run_and_a_hundred_wait(site: Site) -> None:
    limit = site.sandbox.settings.pending_tasks_per_identity
    assert (site.sandbox.settings.active_tasks_per_identity, limit) == (3, 100)
    site.sandbox.settings.update({"pending_tasks_per_identity": 5})
    site.state.hold()
    tasks = [site.transfer(("/share/godata/file1.txt", f"/{number}"))["task_id"] for number in range(5)]
    waiting = [site.tc.get_task(task_id)["nice_status"] for task_id in tasks]
    assert waiting == ["OK", "OK", "OK", "Queued", "Queued"]
    with pytest.raises(TransferAPIError) as refused:
        site.transfer(("/share/godata/file1.txt", "/6"))
    assert refused.value.code == "ClientError.Conflict.TooManyPendingJobs"


def test_an_error_of_v2_is_of_json_api(site: Site) -> None:
    with pytest.raises(TransferAPIError) as refused:
        site.v2.get_bookmark(UNKNOWN)
    answer = refused.value.raw_json
    assert answer is not None
    (said,) = answer["errors"]
    assert (said["status"], said["code"]) == ("404", "BookmarkNotFound")
    assert answer["meta"].keys() == {"request_id"}
