"""The SDK that is tested is the pinned one, and every service it knows is looked for in the sandbox."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.auth.scopes import ENDPOINT_ID
from tests.conformance import evidence
from tests.conformance.evidence import Witness
from tests.conformance.javascript.sdk import FOLDER

if TYPE_CHECKING:
    from tests.conformance.javascript.sdk import JavaScriptSdk

NOBODY = "00000000-0000-4000-8000-000000000000"
# The functions that a sandbox does not serve, and why.
_OWNERS = "an endpoint and its collections are shown under their owners' own names"
_NODES = "a sandbox has the one data transfer node that it is"
_TIMERS = "the Timers service is not served"
_TUNNELS = "there are no tunnels between the machines of a sandbox, which is one"
UNSERVED = {
    "compute.endpoints.update": "an endpoint's own program makes itself known again, for which it needs a broker",
    **dict.fromkeys(
        ("gcs.collections.resetOwnerString", "gcs.collections.updateOwnerString", "gcs.endpoint.resetOwnerString",
         "gcs.endpoint.updateOwnerString"),
        _OWNERS,
    ),
    "gcs.endpoint.updateOwner": "the endpoint is the default service account's, in every sandbox",
    "gcs.endpoint.updateSubscriptionId": "subscriptions are Globus's to give",
    **{f"gcs.nodes.{name}": _NODES for name in ("create", "get", "patch", "remove", "update")},
    **{f"timers.jobs.{name}": _TIMERS for name in ("get", "getAll", "patch", "pause", "remove", "resume")},
    "timers.timer.create": _TIMERS,
    "transfer.endpointManager.task.getAdminCancel": "a slip of the SDK: it sends POST, the documentation has GET",
    "transfer.fileOperations.symlink": "storage gateways make no symbolic links here",
    **{f"transfer.streamAccessPoint.{name}": _TUNNELS for name in ("get", "getAll")},
    "transfer.task.remove": "tasks are kept",
    **{
        f"transfer.tunnel.{name}": _TUNNELS
        for name in ("create", "get", "getAll", "getEventList", "remove", "start", "stop")
    },
}  # fmt: skip


def test_the_sdk_is_the_pinned_one_and_says_its_name(js: JavaScriptSdk) -> None:
    pinned = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))["dependencies"]["@globus/sdk"]
    assert js.value("info.VERSION") == pinned
    assert {entry.user_agent for entry in js.sandbox.journal.entries} == {f"@globus/sdk/{pinned}"}


def test_every_service_is_looked_for_in_the_sandbox(js: JavaScriptSdk) -> None:
    services = js.value("auth.CONFIG.RESOURCE_SERVERS")
    for service in services:
        js.refused("request", {"service": service, "path": "/nowhere", "method": "GET"})
    assert js.sandbox.journal.count(path="/nowhere") == len(services)


def test_the_addresses_of_the_login_are_the_sandboxs(js: JavaScriptSdk) -> None:
    assert js.value("auth.getTokenEndpoint") == f"{js.sandbox.url}/v2/oauth2/token"
    assert js.value("auth.getAuthorizationEndpoint") == f"{js.sandbox.url}/v2/oauth2/authorize"


def test_every_function_is_answered_but_those_that_are_known_not_to_be(js: JavaScriptSdk) -> None:
    place = {"host": js.sandbox.tls_url, "endpoint_id": ENDPOINT_ID}
    names = dict.fromkeys(("endpoint_xid", "endpoint_id", "collection_id", "index_id", "id", "role_id"), NOBODY)
    unserved, functions = set(), js.functions()
    for function in functions:
        name = function["name"]
        arguments: list[Any] = [names if function["named"] else NOBODY] * function["count"]
        if name.startswith("gcs."):
            arguments[0] = place
        if name.startswith("gcs.https."):
            arguments[1] = f"/https/{NOBODY}/file"
        answer = js.answer(name, *arguments, **({"payload": {}} if ".token." in name else {}))
        assert answer.status != 500, (name, answer.document)
        if answer.status == 501 or js.sandbox.journal.entries[-1].route is None:
            unserved.add(name)
    evidence.note("functions", client=Witness.JAVASCRIPT, served=len(functions) - len(unserved), of=len(functions))
    assert unserved == set(UNSERVED)
