"""Transfer's answers have the keys and types of the SDK's recordings, and say the same."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import TransferData
from globus_sdk.experimental.transfer_v2 import BookmarkCreateDocument, BookmarkUpdateDocument

from tests.conformance import shapes
from tests.conformance.recordings import QUOTED as QUOTED_FOLDER
from tests.conformance.recordings import Recordings
from tests.conformance.transfer_quoted import QUOTED, STALE
from tests.conformance.transfer_site import UNKNOWN, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox


@pytest.fixture
def site(globus_sandbox: GlobusSandbox, tmp_path: Path) -> Site:
    return Site(globus_sandbox, tmp_path)


def _listed_by_manager(site: Site) -> Any:
    site.transferred()
    return site.tc.endpoint_manager_task_list(filter_endpoint=site.archive.id)


def _listed(site: Site) -> Any:
    site.transferred()
    return site.tc.task_list()


def _denied(site: Site) -> Any:
    site.sandbox.faults.add(collection="Laptop", path="/share*", nice_status="PERMISSION_DENIED", details="no")
    return site.tc.operation_stat(site.laptop.id, "/share")


def _of_two_subscriptions(site: Site) -> Any:
    site.subscription()
    site.subscription()
    return site.tc.set_subscription_id(site.laptop.id, "DEFAULT")


def _verified(role: str) -> Callable[[Site], Any]:
    def call(site: Site) -> Any:
        site.subscribe(role)
        return site.tc.set_subscription_admin_verified(site.laptop.id, True)

    return call


def _logged_in_long_ago(site: Site) -> Any:
    site.subscribe(is_high_assurance=True)
    site.sandbox.clock.advance(86400)
    return site.tc.set_subscription_admin_verified(site.laptop.id, True)


def _no_json(site: Site) -> Any:
    path = f"/v0.10/endpoint/{site.laptop.id}/subscription_admin_verified"
    return site.tc.put(path, data='{"subscription_admin_verified": no}', encoding="text")


def _bookmarked(site: Site) -> Any:
    site.bookmark()
    return site.v2.list_bookmarks(query_params={"include": "collection"})


#: The call of each recorded response, after what brings Transfer into the state it is of.
SCENARIOS: dict[str, Callable[[Site], Any]] = {
    "cancel_task:default": lambda site: site.tc.cancel_task(site.active()),
    "endpoint_manager_task_list:default": _listed_by_manager,
    "endpoint_manager_task_successful_transfers:default": (
        lambda site: site.tc.endpoint_manager_task_successful_transfers(site.transferred())
    ),
    "get_endpoint:default": lambda site: site.tc.get_endpoint(site.state.endpoint.id),
    "get_submission_id:default": lambda site: site.tc.get_submission_id(),
    "operation_mkdir:default": lambda site: site.tc.operation_mkdir(site.laptop.id, "/~/dir/"),
    "operation_rename:default": lambda site: site.tc.operation_rename(site.laptop.id, "/share", "/shared"),
    "operation_stat:default": lambda site: site.tc.operation_stat(site.laptop.id, "/share/godata/file1.txt"),
    "operation_stat:not_found": lambda site: site.tc.operation_stat(site.laptop.id, "/foo"),
    "operation_stat:permission_denied": _denied,
    "set_subscription_admin_verified:default": _verified("admins"),
    "set_subscription_admin_verified:no_admin_role": _verified("managers"),
    "set_subscription_admin_verified:non_valid_verified_status": _no_json,
    "set_subscription_admin_verified:non_subscribed_endpoint": lambda site: site.tc.set_subscription_admin_verified(
        site.laptop.id, True
    ),
    "set_subscription_admin_verified:no_identities_in_session": _logged_in_long_ago,
    "set_subscription_id:default": lambda site: site.tc.set_subscription_id(site.laptop.id, site.subscription()),
    "set_subscription_id:not_found": lambda site: site.tc.set_subscription_id(UNKNOWN, "DEFAULT"),
    "set_subscription_id:multi_subscriber_cannot_use_default": _of_two_subscriptions,
    "submit_delete:default": lambda site: site.delete(),
    "submit_transfer:default": lambda site: site.transfer(),
    "submit_transfer:failure": lambda site: site.tc.submit_transfer(TransferData(site.laptop.id, site.archive.id)),
    "task_list:default": _listed,
    "update_endpoint:default": lambda site: site.tc.update_endpoint(site.laptop.id, {"display_name": "Mine"}),
    "v2.create_bookmark:default": lambda site: site.v2.create_bookmark(
        BookmarkCreateDocument(site.laptop.id, "public datasets", "/data_repository/public")
    ),
    "v2.delete_bookmark:default": lambda site: site.v2.delete_bookmark(site.bookmark()),
    "v2.get_bookmark:default": lambda site: site.v2.get_bookmark(
        site.bookmark(), query_params={"include": "collection"}
    ),
    "v2.list_bookmarks:default": _bookmarked,
    "v2.update_bookmark:default": lambda site: site.v2.update_bookmark(
        site.bookmark(), BookmarkUpdateDocument("private datasets", "/data_repository/private")
    ),
}
_STREAMS = "tunnels and stream access points: a sandbox has no streams"
UNSERVED = {
    f"{version}{name}": _STREAMS
    for version in ("", "v2.")
    for name in (
        "create_tunnel", "delete_tunnel", "get_stream_access_point", "get_tunnel", "get_tunnel_events", "list_tunnels",
        "update_tunnel",
    )
} | {"v2.list_stream_access_points": _STREAMS}  # fmt: skip

# What the types of the JavaScript SDK (`@globus/sdk` 6.2.0) have beside what is recorded, by kind of document.
_TYPED = {
    "access_list": {"length", "endpoint"},
    "endpoint_list": {"length"},
    "monitored_endpoints": {"DATA_TYPE", "length"},
    "pause_info_limited": {"source_pause_message_share", "destination_pause_message_share"},
    "pause_rule": {"endpoint_display_name", "pause_symlink"},
    "pause_rule_limited": {
        "endpoint_display_name", "endpoint_id", "identity_id", "start_time", "pause_ls", "pause_mkdir", "pause_rename",
        "pause_symlink", "pause_task_delete", "pause_task_transfer_read", "pause_task_transfer_write",
    },
    "skipped_errors": {"DATA_TYPE", "marker", "next_marker"},
    "successful_transfer": {"checksum", "checksum_algorithm", "size"},
    "task": {"source_base_path", "destination_base_path"},
}  # fmt: skip
EXTRAS = {
    "endpoint_role_list:.endpoint": "lists of access rules, which are like it, name their endpoint",
    "bookmark_list_pinned:.DATA_TYPE": "the other quoted list of bookmarks says what it is",
    **{
        f"v2.{name}:.{place}.attributes.pinned": "tests of newer SDKs read whether a bookmark is pinned"
        for name, place in (
            ("create_bookmark", "data"), ("get_bookmark", "data"), ("update_bookmark", "data"),
            ("list_bookmarks", "data[]"),
        )
    },
}  # fmt: skip
# What an object that says no DATA_TYPE is: elements of lists and errors.
_ERROR = {"code", "message", "request_id", "resource"}


def _documents() -> Iterator[dict[str, Any]]:
    """Yield every object of every recording."""
    waiting = [json.loads(file.read_text())["response"] for file in (QUOTED_FOLDER / "transfer").glob("*.json")]
    for name in SCENARIOS:
        set_name, _, case = name.partition(":")
        waiting.append(shapes.recorded(f"transfer.{set_name}", case))
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield found
        if isinstance(found, dict | list):
            waiting += found.values() if isinstance(found, dict) else found


@cache
def _recorded_keys() -> dict[str, set[str]]:
    keys: dict[str, set[str]] = defaultdict(set)
    for document in _documents():
        keys[_kind(document)] |= document.keys()
    return keys


def _kind(document: dict[str, Any]) -> str:
    """Return what a document is; elements of lists do not always say so."""
    if "DATA_TYPE" not in document and "task_id" in document and "command" in document:
        return "task"
    return "error" if document.keys() <= _ERROR else shapes.data_type(document)


def _why(path: str, document: dict[str, Any]) -> str | None:
    """Return why an answer has a property that its recording has not."""
    name, kind = path.rpartition(".")[2], _kind(document)
    if name in _recorded_keys()[kind]:
        return "another recording of this kind of document has it"
    return "the types of the JavaScript SDK have it" if name in _TYPED.get(kind, ()) else None


RECORDINGS = Recordings(
    service="transfer",
    scenarios=SCENARIOS,
    quoted=QUOTED,
    unserved=UNSERVED,
    stale=STALE,
    extras=EXTRAS,
    explain=_why,
)


# Where other recordings of the same answer say it otherwise, or the SDK's test looks at a part of what is said.
_SAID_OTHERWISE = ("create_endpoint_gcp", "create_shared_endpoint", "endpoint_manager_hosted_endpoint_list_of_guest")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _said(document: Any) -> tuple[Any, Any]:
    """Return the code of an answer and the first line of what it says, whatever it is about."""
    if not isinstance(document, dict):
        return None, None
    line = (document.get("message") or "").partition("\n")[0]
    return document.get("code"), _ID.sub("<id>", line) or None


def _same(recorded: Any, answer: Any) -> None:
    code, message = _said(recorded)
    told = _said(answer)
    assert told[0] == code
    assert message in (None, told[1])


@pytest.mark.parametrize("name", RECORDINGS.names())
def test_answers_have_what_the_recorded_ones_have(name: str, site: Site) -> None:
    answer = RECORDINGS.check(name, site, site.sandbox)
    set_name, _, case = name.partition(":")
    _same(shapes.recorded(f"transfer.{set_name}", case), answer)


@pytest.mark.parametrize("name", QUOTED)
def test_answers_have_what_the_quoted_ones_have(name: str, site: Site) -> None:
    answer = RECORDINGS.check_quoted(name, site, site.sandbox)
    if name not in _SAID_OTHERWISE:
        _same(json.loads((QUOTED_FOLDER / "transfer" / f"{name}.json").read_text())["response"], answer)


def test_every_recording_has_its_scenario() -> None:
    RECORDINGS.check_complete()
