"""Transfer through `@globus/sdk`: files, tasks, collections and who may use them, administration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import globus_sdk
import pytest
from globus_sdk.scopes import GCSCollectionScopes

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.conformance.javascript.sdk import JavaScriptSdk

MISSING = {"DATA_TYPE": "transfer_item", "source_path": "/none", "destination_path": "/none"}


@pytest.fixture
def transfer(app: globus_sdk.ClientApp) -> globus_sdk.TransferClient:
    return globus_sdk.TransferClient(app=app)


def test_files_are_listed_made_and_renamed(
    js: JavaScriptSdk, transfer: globus_sdk.TransferClient, source: CollectionFolder
) -> None:
    listed = js.call("transfer.fileOperations.ls", source.id, query={"path": "/run/", "orderby": "name DESC"})
    assert listed == transfer.operation_ls(source.id, path="/run/", orderby="name DESC").data
    assert [item["name"] for item in listed["DATA"]] == ["b.dat", "a.dat"]
    assert not js.value("transfer.utils.isDirectory", listed["DATA"][0])
    stat = js.call("transfer.fileOperations.stat", source.id, query={"path": "/run/a.dat"})
    assert stat == transfer.operation_stat(source.id, path="/run/a.dat").data
    made = js.call("transfer.fileOperations.mkdir", source.id, payload={"path": "/new"})
    assert (made["code"], (source.folder / "new").is_dir()) == ("DirectoryCreated", True)
    names = {"old_path": "/run/a.dat", "new_path": "/new/c.dat"}
    assert js.call("transfer.fileOperations.rename", source.id, payload=names)["code"] == "FileRenamed"
    assert (source.folder / "new/c.dat").read_text() == "aaaa"
    root = js.call("transfer.fileOperations.ls", source.id, query={"path": "/"})["DATA"]
    assert [js.value("transfer.utils.isDirectory", item) for item in root] == [True, True]
    status, error = js.refused("transfer.fileOperations.mkdir", source.id, payload={"path": "/new"})
    assert (status, error["code"]) == (502, "ExternalError.MkdirFailed.Exists")
    assert js.value("errors.isErrorWellFormed", error)


def submit(js: JavaScriptSdk, source: CollectionFolder, target: CollectionFolder, **more: Any) -> Any:
    """Submit a transfer of a folder, and return the answer."""
    item = {"DATA_TYPE": "transfer_item", "source_path": "/run/", "destination_path": "/run/", "recursive": True}
    document = {
        "submission_id": js.call("transfer.taskSubmission.submissionId")["value"],
        "source_endpoint": source.id,
        "destination_endpoint": target.id,
        "DATA": [item],
        **more,
    }
    return js.call("transfer.taskSubmission.submitTransfer", payload=document)


def test_a_transfer_from_its_submission_to_its_end(
    js: JavaScriptSdk, transfer: globus_sdk.TransferClient, source: CollectionFolder, target: CollectionFolder
) -> None:
    made = submit(js, source, target, label="mine")
    again = submit(js, source, target, label="mine", submission_id=made["submission_id"])
    assert (made["code"], again["code"]) == ("Accepted", "Duplicate")
    task_id = made["task_id"]
    assert again["task_id"] == task_id
    js.sandbox.world.transfer.wait(task_id)
    assert (target.folder / "run/a.dat").read_text() == "aaaa"
    task = js.call("transfer.task.get", task_id)
    assert task == transfer.get_task(task_id).data
    assert (task["status"], task["files_transferred"], task["label"]) == ("SUCCEEDED", 2, "mine")
    listed = js.call("transfer.task.getAll", query={"filter": f"task_id:{task_id}", "fields": "task_id,status"})
    assert [(item["task_id"], item["status"]) for item in listed["DATA"]] == [(task_id, "SUCCEEDED")]
    events = js.call("transfer.task.getEventList", task_id)
    assert events == transfer.task_event_list(task_id).data
    assert events["DATA"][-1]["code"] == "STARTED"
    moved = js.call("transfer.task.getSuccessfulTransfers", task_id)
    assert moved == transfer.task_successful_transfers(task_id).data
    assert sorted(item["destination_path"] for item in moved["DATA"]) == ["/run/a.dat", "/run/b.dat"]
    assert js.call("transfer.task.getSkippedErrors", task_id)["DATA"] == []


def test_a_transfer_is_renamed_and_cancelled(
    js: JavaScriptSdk, source: CollectionFolder, target: CollectionFolder
) -> None:
    task_id = submit(js, source, target, DATA=[MISSING])["task_id"]
    js.call("transfer.task.update", task_id, payload={"DATA_TYPE": "task", "label": "another"})
    assert js.call("transfer.task.get", task_id)["label"] == "another"
    assert js.call("transfer.task.getPauseInfo", task_id)["pause_rules"] == []
    assert js.call("transfer.task.cancel", task_id)["code"] in ("Canceled", "CancelAccepted")
    js.sandbox.world.transfer.wait(task_id)
    assert js.call("transfer.task.get", task_id)["status"] == "FAILED"
    assert "CANCELED" in {event["code"] for event in js.call("transfer.task.getEventList", task_id)["DATA"]}


def test_files_are_deleted(js: JavaScriptSdk, source: CollectionFolder) -> None:
    document = {
        "submission_id": js.call("transfer.taskSubmission.submissionId")["value"],
        "endpoint": source.id,
        "recursive": True,
        "DATA": [{"DATA_TYPE": "delete_item", "path": "/run"}],
    }
    task_id = js.call("transfer.taskSubmission.submitDelete", payload=document)["task_id"]
    js.sandbox.world.transfer.wait(task_id)
    assert not (source.folder / "run").exists()
    task = js.call("transfer.task.get", task_id)
    assert (task["type"], task["status"]) == ("DELETE", "SUCCEEDED")


def test_collections_are_found_and_changed(
    js: JavaScriptSdk, transfer: globus_sdk.TransferClient, source: CollectionFolder
) -> None:
    found = js.call("transfer.endpointSearch", query={"filter_fulltext": "source", "limit": 5})
    assert found == transfer.endpoint_search("source", limit=5).data
    assert [item["id"] for item in found["DATA"]] == [source.id]
    shown = js.call("transfer.endpoint.get", source.id)
    assert shown == transfer.get_endpoint(source.id).data
    assert js.call("transfer.endpoint.update", source.id, payload={"description": "raw"})["code"] == "Updated"
    assert js.call("transfer.endpoint.get", source.id)["description"] == "raw"
    assert js.call("transfer.endpoint.remove", source.id)["code"] == "Deleted"
    status, error = js.refused("transfer.endpoint.get", source.id)
    assert (status, error["code"]) == (404, "EndpointDeleted")


def test_access_rules_and_roles(
    js: JavaScriptSdk,
    transfer: globus_sdk.TransferClient,
    globus_collection: CollectionFactory,
    source: CollectionFolder,
) -> None:
    guest = globus_collection("shared", host=source)
    ada = js.sandbox.add_identity("ada@example.org").id
    rule = {
        "DATA_TYPE": "access",
        "principal_type": "identity",
        "principal": ada,
        "path": "/run/",
        "permissions": "r",
    }
    rule_id = js.call("transfer.access.create", guest.id, payload=rule)["access_id"]
    where = {"endpoint_xid": guest.id, "id": rule_id}
    shown = js.call("transfer.access.get", where)
    assert shown == transfer.get_endpoint_acl_rule(guest.id, rule_id).data
    js.call("transfer.access.update", where, payload={**rule, "permissions": "rw"})
    listed = js.call("transfer.access.getAll", guest.id)
    assert listed == transfer.endpoint_acl_list(guest.id).data
    assert (rule_id, "rw") in {(item["id"], item["permissions"]) for item in listed["DATA"]}
    assert js.call("transfer.access.remove", where)["code"] == "Deleted"
    document = {"DATA_TYPE": "role", "principal_type": "identity", "principal": ada, "role": "access_manager"}
    role_id = js.call("transfer.roles.create", guest.id, payload=document)["id"]
    role = js.call("transfer.roles.get", {"endpoint_id": guest.id, "role_id": role_id})
    assert role == transfer.get_endpoint_role(guest.id, role_id).data
    assert role in js.call("transfer.roles.getAll", guest.id)["DATA"]
    assert js.call("transfer.roles.remove", {"collection_id": guest.id, "role_id": role_id})["code"] == "Deleted"


def test_bookmarks(js: JavaScriptSdk, source: CollectionFolder) -> None:
    bookmarks = "transfer.collectionBookmarks"
    document = {"DATA_TYPE": "bookmark", "name": "scans", "endpoint_id": source.id, "path": "/run/"}
    made = js.call(f"{bookmarks}.create", payload=document)
    assert js.call(f"{bookmarks}.get", made["id"])["path"] == "/run/"
    assert js.call(f"{bookmarks}.update", made["id"], payload={"DATA_TYPE": "bookmark", "name": "raw"})["name"] == "raw"
    assert [one["name"] for one in js.call(f"{bookmarks}.getAll")["DATA"]] == ["raw"]
    assert js.call(f"{bookmarks}.remove", made["id"])["code"] == "Deleted"
    assert js.call(f"{bookmarks}.getAll")["DATA"] == []


def test_a_folder_of_a_computer_is_shared(
    js: JavaScriptSdk, transfer: globus_sdk.TransferClient, source: CollectionFolder
) -> None:
    document = {"display_name": "shared", "host_endpoint_id": source.id, "host_path": "/run/"}
    guest = js.call("transfer.endpoint.create", payload=document)["id"]
    assert [item["name"] for item in transfer.operation_ls(guest)] == ["a.dat", "b.dat"]


def test_an_administrator_pauses_and_cancels(
    js: JavaScriptSdk, globus_collection: CollectionFactory, target: CollectionFolder
) -> None:
    mapped = globus_collection("mapped", files={"run/a.dat": "aaaa"})
    access = GCSCollectionScopes(mapped.id).data_access
    js.login(f"{js.value('transfer.CONFIG.SCOPES.ALL')}[*{access}]")
    endpoint, task = "transfer.endpointManager.endpoint", "transfer.endpointManager.task"
    assert mapped.id in {item["id"] for item in js.call(f"{endpoint}.getMonitoredEndpoints")["DATA"]}
    assert js.call(f"{endpoint}.get", mapped.id)["id"] == mapped.id
    guest = globus_collection("shared", host=mapped)
    assert [item["id"] for item in js.call(f"{endpoint}.getHostedEndpoints", mapped.id)["DATA"]] == [guest.id]
    assert js.call(f"{endpoint}.getAccessList", guest.id)["DATA_TYPE"] == "access_list"
    rule = "transfer.endpointManager.pauseRule"
    made = js.call(
        f"{rule}.create",
        payload={"DATA_TYPE": "pause_rule", "endpoint_id": mapped.id, "message": "Maintenance", "start_task": 1},
    )
    assert js.call(f"{rule}.get", made["id"])["message"] == "Maintenance"
    js.call(f"{rule}.update", made["id"], payload={"DATA_TYPE": "pause_rule", "message": "Power cut"})
    assert [item["message"] for item in js.call(f"{rule}.getAll")["DATA"]] == ["Power cut"]
    assert js.call(f"{rule}.remove", made["id"])["code"] == "Deleted"
    task_id = submit(js, mapped, target, DATA=[MISSING])["task_id"]
    assert js.call(f"{task}.get", task_id)["task_id"] == task_id
    js.call(f"{task}.pause", payload={"task_id_list": [task_id], "message": "Wait"})
    assert js.call(f"{task}.getPauseInfo", task_id)["source_pause_message"] == "Wait"
    js.call(f"{task}.resume", payload={"task_id_list": [task_id]})
    js.call(f"{task}.cancel", payload={"task_id_list": [task_id], "message": "Stop"})
    js.sandbox.world.transfer.wait(task_id)
    assert js.call(f"{task}.getEventList", task_id)["DATA"]
    assert js.call(f"{task}.getSuccessfulTransfers", task_id)["DATA"] == []
    assert js.call(f"{task}.getSkippedErrors", task_id)["DATA"] == []


def test_a_missing_consent_is_named_as_the_sdk_reads_it(
    js: JavaScriptSdk, globus_collection: CollectionFactory
) -> None:
    mapped = globus_collection("mapped", files={"a.txt": "a"})
    status, error = js.refused("transfer.fileOperations.ls", mapped.id, query={"path": "/"})
    assert status == 403
    assert js.value("errors.isErrorWellFormed", error)
    assert js.value("errors.isConsentRequiredError", error)
    js.login(*error["required_scopes"])
    assert js.call("transfer.fileOperations.ls", mapped.id, query={"path": "/"})["DATA"][0]["name"] == "a.txt"


def test_a_session_that_is_too_weak_is_told_what_it_lacks(
    js: JavaScriptSdk, globus_collection: CollectionFactory
) -> None:
    high = globus_collection("high", high_assurance=True)
    gateway = js.sandbox.world.connect_server.gateway_of(js.sandbox.world.transfer.find(high.id))
    assert gateway
    gateway.fields["allowed_domains"] = ["example.org"]
    status, error = js.refused("transfer.fileOperations.ls", high.id, query={"path": "/"})
    assert (status, error["code"]) == (502, "ExternalError.DirListingFailed.LoginFailed")
    assert js.value("errors.isAuthorizationRequirementsError", error)
    asked = js.value("errors.toAuthorizationQueryParams", error)
    assert asked["session_required_single_domain"] == "example.org"
    assert asked["session_message"] == "Session reauthentication required (Globus Transfer)"
