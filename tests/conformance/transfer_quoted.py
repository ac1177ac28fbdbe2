"""The calls of the quoted recordings of Transfer, after what brings it into the state they are of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.conformance.transfer_site import Site, pause, rule

if TYPE_CHECKING:
    from collections.abc import Callable

_PAST = "2000-01-01 00:00:06+00:00"
_ADMIN = "canceled by the managers"


def _skipped(site: Site) -> Any:
    submitted = site.transfer(("/none", "/none"), skip_source_errors=True)
    return site.tc.task_skipped_errors(site.done(submitted))


def _events(site: Site) -> Any:
    submitted = site.transfer(("/none", "/none"))
    site.faulting(submitted["task_id"])
    site.tc.cancel_task(submitted["task_id"])
    return site.tc.task_event_list(submitted["task_id"])


def _transfer_again(site: Site) -> Any:
    more = {"submission_id": site.tc.get_submission_id()["value"]}
    site.transfer(**more)
    return site.transfer(**more)


def _delete_again(site: Site) -> Any:
    more = {"submission_id": site.tc.get_submission_id()["value"]}
    site.delete(**more)
    return site.delete(**more)


def _paused(site: Site) -> str:
    site.paused()
    return str(site.transfer()["task_id"])


def _made_twice(site: Site) -> Any:
    site.tc.operation_mkdir(site.laptop.id, "/dir")
    return site.tc.operation_mkdir(site.laptop.id, "/dir")


def _deleted(site: Site) -> str:
    site.tc.delete_endpoint(site.laptop.id)
    return site.laptop.id


def _registered(site: Site, **more: Any) -> Any:
    return site.tc.post("/v0.10/endpoint", data={"is_globus_connect": True, "display_name": "Laptop", **more})


def _shared(site: Site) -> Any:
    site.guest(site.laptop)
    return site.tc.my_shared_endpoint_list(site.laptop.id)


def _server(site: Site) -> Any:
    (server,) = site.tc.endpoint_server_list(site.state.endpoint.id)
    return site.tc.get_endpoint_server(site.state.endpoint.id, server["id"])


def _without_rule(site: Site) -> Any:
    guest, rule_id = site.ruled()
    site.tc.delete_endpoint_acl_rule(guest, rule_id)
    return site.tc.get_endpoint_acl_rule(guest, rule_id)


def _without_role(site: Site) -> Any:
    collection, role_id = site.roled()
    site.tc.delete_endpoint_role(collection, role_id)
    return site.tc.get_endpoint_role(collection, role_id)


def _role_list(site: Site) -> Any:
    return site.tc.endpoint_role_list(site.roled()[0])


def _bookmarks(site: Site) -> Any:
    site.bookmark()
    return site.tc.bookmark_list()


def _without_bookmark(site: Site) -> Any:
    bookmark_id = site.bookmark()
    site.tc.delete_bookmark(bookmark_id)
    return site.tc.get_bookmark(bookmark_id)


def _canceled_by_admin(site: Site) -> Any:
    site.tc.endpoint_manager_cancel_tasks([task_id := site.theirs()], _ADMIN)
    return site.other.get_task(task_id)


def _cancel_status(site: Site) -> Any:
    canceled = site.tc.endpoint_manager_cancel_tasks([site.theirs()], _ADMIN)
    return site.tc.endpoint_manager_cancel_status(canceled["id"])


def _resumed(site: Site) -> Any:
    site.tc.endpoint_manager_pause_tasks([task_id := site.theirs()], "wait")
    return site.tc.endpoint_manager_resume_tasks([task_id])


def _rules(site: Site) -> Any:
    site.paused()
    return site.tc.endpoint_manager_pause_rule_list()


def _without_pause_rule(site: Site) -> Any:
    rule_id = site.paused()
    site.tc.endpoint_manager_delete_pause_rule(rule_id)
    return site.tc.endpoint_manager_get_pause_rule(rule_id)


def _effective_rules(site: Site) -> Any:
    site.paused()
    return site.tc.my_effective_pause_rule_list(site.laptop.id)


QUOTED: dict[str, Callable[[Site], Any]] = {
    # Tasks
    "get_submission_id": lambda site: site.tc.get_submission_id(),
    "submit_transfer_duplicate": _transfer_again,
    "submit_delete_duplicate": _delete_again,
    "get_task_active": lambda site: site.tc.get_task(site.active()),
    "get_task_succeeded": lambda site: site.tc.get_task(site.transferred()),
    "get_task_delete_failed": lambda site: site.tc.get_task(site.done(site.delete("/none"))),
    "get_task_canceled_by_admin": _canceled_by_admin,
    "update_task": lambda site: site.tc.update_task(site.active(), {"label": "updated", "deadline": _PAST}),
    "update_task_completed": lambda site: site.tc.update_task(site.transferred(), {"label": "updated"}),
    "cancel_task_completed": lambda site: site.tc.cancel_task(site.transferred()),
    "task_event_list": _events,
    "task_successful_transfers": lambda site: site.tc.task_successful_transfers(site.transferred()),
    "task_skipped_errors": _skipped,
    "task_pause_info": lambda site: site.tc.task_pause_info(_paused(site)),
    # Files
    "operation_ls": lambda site: site.tc.operation_ls(site.laptop.id, "/share"),
    "operation_ls_home": lambda site: site.tc.operation_ls(site.laptop.id, "/~/"),
    "operation_mkdir_exists": _made_twice,
    # Endpoints and collections
    "get_endpoint_gcs_endpoint": lambda site: site.tc.get_endpoint(site.state.endpoint.id),
    "get_endpoint_gcp_mapped": lambda site: site.tc.get_endpoint(site.laptop.id),
    "get_endpoint_gcp_guest": lambda site: site.tc.get_endpoint(site.guest()),
    "get_endpoint_deleted": lambda site: site.tc.get_endpoint(_deleted(site)),
    "endpoint_search": lambda site: site.tc.endpoint_search("laptop"),
    "delete_endpoint": lambda site: site.tc.delete_endpoint(site.laptop.id),
    "create_endpoint": _registered,
    "create_endpoint_gcp": _registered,
    "create_shared_endpoint": lambda site: site.tc.create_shared_endpoint(
        {"host_endpoint": site.laptop.id, "host_path": "/share/", "display_name": "Shared"}
    ),
    "my_shared_endpoint_list": _shared,
    "endpoint_server_list": lambda site: site.tc.endpoint_server_list(site.state.endpoint.id),
    "endpoint_server_list_gcp": lambda site: site.tc.endpoint_server_list(site.laptop.id),
    "get_endpoint_server": _server,
    "get_endpoint_server_unknown": lambda site: site.tc.get_endpoint_server(site.laptop.id, 1),
    # Access rules and roles
    "add_endpoint_acl_rule": lambda site: site.tc.add_endpoint_acl_rule(
        site.guest(), rule("identity", site.stranger.id)
    ),
    "get_endpoint_acl_rule": lambda site: site.tc.get_endpoint_acl_rule(*site.ruled()),
    "get_endpoint_acl_rule_deleted": _without_rule,
    "endpoint_acl_list": lambda site: site.tc.endpoint_acl_list(site.ruled()[0]),
    "update_endpoint_acl_rule": lambda site: site.tc.update_endpoint_acl_rule(*site.ruled(), {"permissions": "rw"}),
    "delete_endpoint_acl_rule": lambda site: site.tc.delete_endpoint_acl_rule(*site.ruled()),
    "add_endpoint_role": lambda site: site.tc.add_endpoint_role(
        site.laptop.id,
        {"principal_type": "identity", "principal": site.stranger.id, "role": "access_manager"},
    ),
    "get_endpoint_role": lambda site: site.tc.get_endpoint_role(*site.roled()),
    "get_endpoint_role_deleted": _without_role,
    "endpoint_role_list": _role_list,
    "delete_endpoint_role": lambda site: site.tc.delete_endpoint_role(*site.roled()),
    # Bookmarks
    "create_bookmark": lambda site: site.tc.create_bookmark(
        {"name": "sharebm", "endpoint_id": site.laptop.id, "path": "/share/"}
    ),
    "get_bookmark": lambda site: site.tc.get_bookmark(site.bookmark()),
    "get_bookmark_deleted": _without_bookmark,
    "update_bookmark": lambda site: site.tc.update_bookmark(site.bookmark(), {"name": "updated_sharebm"}),
    "delete_bookmark": lambda site: site.tc.delete_bookmark(site.bookmark()),
    "bookmark_list": _bookmarks,
    "bookmark_list_pinned": _bookmarks,
    # What managers see and do
    "endpoint_manager_monitored_endpoints": lambda site: site.tc.endpoint_manager_monitored_endpoints(),
    "endpoint_manager_get_endpoint": lambda site: site.tc.endpoint_manager_get_endpoint(site.laptop.id),
    "endpoint_manager_hosted_endpoint_list_of_guest": lambda site: site.tc.endpoint_manager_hosted_endpoint_list(
        site.guest()
    ),
    "endpoint_manager_acl_list": lambda site: site.tc.endpoint_manager_acl_list(site.ruled()[0]),
    "endpoint_manager_get_task": lambda site: site.tc.endpoint_manager_get_task(site.theirs()),
    "endpoint_manager_get_task_stranger": lambda site: site.other.endpoint_manager_get_task(site.theirs()),
    "endpoint_manager_task_event_list": lambda site: site.tc.endpoint_manager_task_event_list(
        site.done(site.delete("/none"))
    ),
    "endpoint_manager_task_pause_info": lambda site: site.tc.endpoint_manager_task_pause_info(_paused(site)),
    "endpoint_manager_cancel_tasks": lambda site: site.tc.endpoint_manager_cancel_tasks([site.theirs()], _ADMIN),
    "endpoint_manager_cancel_status": _cancel_status,
    "endpoint_manager_pause_tasks": lambda site: site.tc.endpoint_manager_pause_tasks([site.theirs()], "wait"),
    "endpoint_manager_resume_tasks": _resumed,
    "endpoint_manager_create_pause_rule": lambda site: site.tc.endpoint_manager_create_pause_rule(
        pause(site.laptop.id)
    ),
    "endpoint_manager_get_pause_rule": lambda site: site.tc.endpoint_manager_get_pause_rule(site.paused()),
    "endpoint_manager_get_pause_rule_deleted": _without_pause_rule,
    "endpoint_manager_update_pause_rule": lambda site: site.tc.endpoint_manager_update_pause_rule(
        site.paused(), {"pause_ls": False}
    ),
    "endpoint_manager_pause_rule_list": _rules,
    "endpoint_manager_delete_pause_rule": lambda site: site.tc.endpoint_manager_delete_pause_rule(site.paused()),
    "my_effective_pause_rule_list": _effective_rules,
}

_OLD = "a key of older versions, which newer recordings lack"
STALE = {
    "get_endpoint_gcs_endpoint:.storage_type": _OLD,
    "get_task_delete_failed:.key": _OLD,
    "endpoint_search:.DATA[].is_go_storage": _OLD,
    "endpoint_search:.DATA[].storage_type": _OLD,
    "add_endpoint_acl_rule:.access_id: str instead of number": "the ids of recorded rules are UUIDs",
}
