"""What the SDK reads of Transfer and Auth is what its TypeScript declares, which is all that they publish of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from globus_sdk.scopes import GCSCollectionScopes, TransferScopes

from airflow_provider_globus.sandbox.auth.scopes import ENDPOINT_ID
from tests.conformance.javascript.documents import findings
from tests.conformance.javascript.test_transfer import MISSING, submit

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.conformance.javascript.sdk import JavaScriptSdk

# What answers have otherwise than declared, and what speaks for the answer.
_ACCEPTED = "a slip of the declaration: recordings have Accepted"
_RESOURCE = "recordings have the path with its version"
_ADDRESS = "null for Globus Connect Personal in an answer in the tests of the Globus CLI"
_ONE_SIDE = "null of a delete in an answer in the tests of the Globus CLI"
_NULL = "null in an answer in the tests of the Globus CLI"
_CANCEL = "answers in the tests of the Python SDK have a UUID, and done"
KNOWN = {
    "TransferResult": {
        "code: 'Accepted' is not one of ['Accpeted', 'Duplicate']": _ACCEPTED,
        "resource: '/transfer' was expected": _RESOURCE,
    },
    "DeleteResult": {
        "code: 'Accepted' is not one of ['Accpeted', 'Duplicate']": _ACCEPTED,
        "resource: '/delete' was expected": _RESOURCE,
    },
    "TaskDocument": {
        f"{name}: None is not of type 'string'": _ONE_SIDE
        for name in ("destination_endpoint", "destination_endpoint_display_name")
    },
    "TaskListDocument": {"DATA: 'DATA_TYPE' is a required property": "tasks of the Python SDK's recording have none"},
    "TaskEventListDocument": {"DATA_TYPE: 'task_event_list' was expected": "event_list in the tests of the Globus CLI"},
    "SuccessfulTransfersListDocument": {
        "DATA: 'dynamic' is a required property": "the Python SDK's recording has none"
    },
    "SkippedErrorsListDocument": {
        f"DATA.{name}: None is not of type 'string'": _NULL for name in ("checksum_algorithm", "external_checksum")
    },
    "EndpointDocument": {"DATA.uri: None is not of type 'string'": _ADDRESS},
    "EndpointSearchResult": {"DATA.DATA.uri: None is not of type 'string'": _ADDRESS},
    "RoleListDocument": {"DATA.id: None is not of type 'string'": "the owner's role, which is none that was given"},
    "PauseRuleDocument": {
        "identity_id: None is not of type 'string'": "null, for everybody, in the tests of the Python SDK",
        "'pause_task_transfer_delete' is a required property": "pause_task_transfer_write in the same answer",
    },
    "AdminCancelDocument": {
        "'message' is a required property": _CANCEL,
        "'task_id_list' is a required property": _CANCEL,
    },
}


def check(name: str, document: Any) -> Any:
    """Fail when a document is otherwise than declared, but for what is known of it; and return it."""
    unknown = findings(name, document) - set(KNOWN.get(name, {}))
    assert unknown == set()
    return document


def test_files_and_tasks(js: JavaScriptSdk, source: CollectionFolder, target: CollectionFolder) -> None:
    listed = check("FileListDocument", js.call("transfer.fileOperations.ls", source.id, query={"path": "/run"}))
    check("FileDocument", listed["DATA"][0])
    check("FileDocument", js.call("transfer.fileOperations.stat", source.id, query={"path": "/run/a.dat"}))
    task_id = check("TransferResult", submit(js, source, target))["task_id"]
    js.sandbox.world.transfer.wait(task_id)
    check("TaskDocument", js.call("transfer.task.get", task_id))
    check("TaskListDocument", js.call("transfer.task.getAll"))
    check("TaskEventListDocument", js.call("transfer.task.getEventList", task_id))
    moved = check("SuccessfulTransfersListDocument", js.call("transfer.task.getSuccessfulTransfers", task_id))
    assert moved["DATA"]
    there = {**MISSING, "source_path": "/run/a.dat"}
    task_id = submit(js, source, target, DATA=[MISSING, there], skip_source_errors=True)["task_id"]
    js.sandbox.world.transfer.wait(task_id)
    assert check("SkippedErrorsListDocument", js.call("transfer.task.getSkippedErrors", task_id))["DATA"]
    document = {
        "submission_id": js.call("transfer.taskSubmission.submissionId")["value"],
        "endpoint": source.id,
        "DATA": [{"DATA_TYPE": "delete_item", "path": "/run/a.dat"}],
    }
    task_id = check("DeleteResult", js.call("transfer.taskSubmission.submitDelete", payload=document))["task_id"]
    js.sandbox.world.transfer.wait(task_id)
    check("TaskDocument", js.call("transfer.task.get", task_id))


def test_collections_and_who_may_use_them(
    js: JavaScriptSdk, globus_collection: CollectionFactory, source: CollectionFolder
) -> None:
    mapped, guest = globus_collection("mapped"), globus_collection("guest", host=source)
    for endpoint_id in (ENDPOINT_ID, mapped.id, guest.id, source.id, globus_collection("high", high_assurance=True).id):
        check("EndpointDocument", js.call("transfer.endpoint.get", endpoint_id))
    found = js.call("transfer.endpointSearch", query={"filter_scope": "my-endpoints"})
    assert check("EndpointSearchResult", found)["DATA"]
    ada = js.sandbox.add_identity("ada@example.org").id
    who = {"principal_type": "identity", "principal": ada}
    rule = {"DATA_TYPE": "access", **who, "path": "/run/", "permissions": "r"}
    rule_id = js.call("transfer.access.create", guest.id, payload=rule)["access_id"]
    check("AccessDocument", js.call("transfer.access.get", {"endpoint_xid": guest.id, "id": rule_id}))
    check("AccessListDocument", js.call("transfer.access.getAll", guest.id))
    role = {"DATA_TYPE": "role", **who, "role": "access_manager"}
    role_id = js.call("transfer.roles.create", guest.id, payload=role)["id"]
    check("RoleDocument", js.call("transfer.roles.get", {"endpoint_id": guest.id, "role_id": role_id}))
    check("RoleListDocument", js.call("transfer.roles.getAll", guest.id))
    bookmark = {"DATA_TYPE": "bookmark", "name": "scans", "endpoint_id": source.id, "path": "/run/"}
    made = js.call("transfer.collectionBookmarks.create", payload=bookmark)
    check("BookmarkDocument", js.call("transfer.collectionBookmarks.get", made["id"]))
    check("BookmarkListDocument", js.call("transfer.collectionBookmarks.getAll"))


def test_what_administrators_see(
    js: JavaScriptSdk, globus_collection: CollectionFactory, target: CollectionFolder
) -> None:
    mapped = globus_collection("mapped", files={"run/a.dat": "aaaa"})
    js.login(f"{TransferScopes.all}[*{GCSCollectionScopes(mapped.id).data_access}]")
    manager = "transfer.endpointManager"
    rule = {"DATA_TYPE": "pause_rule", "endpoint_id": mapped.id, "message": "Maintenance", "pause_ls": True}
    rule_id = js.call(f"{manager}.pauseRule.create", payload=rule)["id"]
    check("PauseRuleDocument", js.call(f"{manager}.pauseRule.get", rule_id))
    js.call(f"{manager}.pauseRule.remove", rule_id)
    task_id = submit(js, mapped, target)["task_id"]
    js.sandbox.world.transfer.wait(task_id)
    check("EndpointManagerTaskDocument", js.call(f"{manager}.task.get", task_id))
    cancel = js.call(f"{manager}.task.cancel", payload={"task_id_list": [task_id], "message": "Stop"})
    # The id is declared a number.
    check("AdminCancelDocument", {**cancel, "id": 1})


def test_consents(js: JavaScriptSdk) -> None:
    consents = js.call("auth.identities.consents.getAll", js.sandbox.client_id)["consents"]
    assert consents
    for consent in consents:
        check("Consent", consent)


def test_a_document_that_lacks_what_is_declared_is_found() -> None:
    assert "'task_id' is a required property" in findings("TaskDocument", {"DATA_TYPE": "task"})
    assert "DATA.name: 1 is not of type 'string'" in findings("FileListDocument", {"DATA": [{"name": 1}]})
