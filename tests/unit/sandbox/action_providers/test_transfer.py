"""Transfers, deletions and operations that flows do: on real files, under all their addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.unit.sandbox.action_providers.conftest import OneAction

TRANSFER = (
    "https://transfer.actions.globus.org/transfer",
    "https://transfer.actions.globus.org/transfer/",
    "https://actions.globus.org/transfer/transfer",
    "https://actions.automate.globus.org/transfer/transfer",
)
NEW, OLD = "https://transfer.actions.globus.org", "https://actions.globus.org/transfer"


@pytest.fixture
def source(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("source", files={"run/a.dat": "aaaa", "run/sub/b.dat": "bb"}, kind="personal")


@pytest.fixture
def target(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("target", kind="personal")


@pytest.mark.parametrize("url", TRANSFER)
@pytest.mark.parametrize("form", ["new", "old"])
def test_transfers(url: str, form: str, act: OneAction, source: CollectionFolder, target: CollectionFolder) -> None:
    item = {"source_path": "/run/", "destination_path": "/copy/", "recursive": True}
    new = {"source_endpoint": source.id, "destination_endpoint": target.id, "DATA": [item], "verify_checksum": True}
    old = {"source_endpoint_id": source.id, "destination_endpoint_id": target.id, "transfer_items": [item]}
    result = act(url, new if form == "new" else old)
    assert (target.folder / "copy/sub/b.dat").read_text() == "bb"
    details = result["details"]
    assert (result["status"], details["files"], details["bytes_transferred"]) == ("SUCCEEDED", 2, 6)
    assert result["action_id"] == details["task_id"]
    assert details["label"].startswith("For Action id ")
    assert details["event_list"] == []


def test_options_reach_the_task(act: OneAction, source: CollectionFolder, target: CollectionFolder) -> None:
    act(
        TRANSFER[0],
        {
            "source_endpoint_id": source.id,
            "destination_endpoint_id": target.id,
            "transfer_items": [{"source_path": "/run/a.dat", "destination_path": "/a.dat", "recursive": None}],
            "label": "mine",
            "sync_level": 3,
            "preserve_mtime": True,
            "notify_on_succeeded": False,
        },
    )
    (task,) = act.lab.world.transfer.tasks.values()
    assert (task.label, task.spec.sync_level, task.spec.preserve_timestamp) == ("mine", 3, True)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"DATA": []}, "400 RequestValidationError: Input failed schema validation"),
        ({"source_endpoint": "nowhere"}, "404 EndpointNotFound: No such endpoint 'nowhere'"),
        ({"sync_level": 9}, "400 "),
        ({"verify_checksum": "yes"}, "RequestValidationError"),
    ],
)
def test_what_transfer_refuses(
    change: dict[str, Any], why: str, act: OneAction, source: CollectionFolder, target: CollectionFolder
) -> None:
    item = {"source_path": "/run/a.dat", "destination_path": "/a"}
    body = {"source_endpoint": source.id, "destination_endpoint": target.id, "DATA": [item], **change}
    cause = act.refusal(TRANSFER[0], body)
    assert why in cause
    assert TRANSFER[0] in cause


def test_a_failed_task_is_a_failed_action(act: OneAction, source: CollectionFolder, target: CollectionFolder) -> None:
    act.lab.sandbox.faults.add(task="next", status="FAILED", code="PERMISSION_DENIED", message="no")
    item = {"source_path": "/run/a.dat", "destination_path": "/a"}
    body = {"source_endpoint": source.id, "destination_endpoint": target.id, "DATA": [item]}
    result = act(TRANSFER[0], body)
    assert result["status"] == "FAILED"
    assert result["details"]["fatal_error"]["code"] == "PERMISSION_DENIED"


@pytest.mark.parametrize("url", [f"{NEW}/delete", f"{OLD}/delete"])
@pytest.mark.parametrize("form", ["new", "old"])
def test_deletes(url: str, form: str, act: OneAction, source: CollectionFolder) -> None:
    new = {"endpoint": source.id, "DATA": [{"path": "/run/"}], "recursive": True}
    old = {"endpoint_id": source.id, "items": ["/run/"], "recursive": True}
    assert act(url, new if form == "new" else old)["status"] == "SUCCEEDED"
    assert not (source.folder / "run").exists()


@pytest.mark.parametrize("url", [f"{NEW}/mkdir", f"{OLD}/mkdir"])
def test_makes_folders(url: str, act: OneAction, source: CollectionFolder) -> None:
    assert act(url, {"endpoint_id": source.id, "path": "/new"})["status"] == "SUCCEEDED"
    assert (source.folder / "new").is_dir()
    assert "502 ExternalError.MkdirFailed" in act.refusal(url, {"endpoint_id": source.id, "path": "/new"})


def test_lists(act: OneAction, source: CollectionFolder) -> None:
    body = {"endpoint_id": source.id, "path": "/run/"}
    details = act(f"{NEW}/ls", body)["details"]
    assert details["DATA_TYPE"] == "file_list"
    assert [(entry["name"], entry["type"]) for entry in details["DATA"]] == [("sub", "dir"), ("a.dat", "file")]
    assert "is_folder" not in details["DATA"][0]
    old = act(f"{OLD}/ls", body | {"limit": 1})["details"]
    assert [(entry["name"], entry["is_folder"]) for entry in old["DATA"]] == [("sub", True)]
    (itself,) = act(f"{OLD}/ls", body | {"path_only": True})["details"]["DATA"]
    assert (itself["name"], itself["is_folder"]) == ("run", True)
    assert "404 ClientError.NotFound" in act.refusal(f"{NEW}/ls", body | {"path": "/nowhere"})


def test_a_missing_path_is_no_failure_of_stat(act: OneAction, source: CollectionFolder) -> None:
    details = act(f"{NEW}/stat", {"endpoint_id": source.id, "path": "/run/a.dat"})["details"]
    assert (details["name"], details["type"], details["size"]) == ("a.dat", "file", 4)
    missing = act(f"{NEW}/stat", {"endpoint_id": source.id, "path": "/nowhere"})
    assert (missing["status"], missing["details"]["code"]) == ("SUCCEEDED", "NotFound")
    assert "404 EndpointNotFound" in act.refusal(f"{NEW}/stat", {"endpoint_id": act.lab.person.id, "path": "/"})


@pytest.mark.parametrize("url", [f"{NEW}/collection_info", f"{OLD}/collection_info"])
def test_tells_about_collections(url: str, act: OneAction, source: CollectionFolder) -> None:
    details = act(url, {"endpoint_id": source.id})["details"]
    assert (details["display_name"], details["is_managed"]) == ("source", False)


@pytest.mark.parametrize("operation", ["mkdir", "ls", "stat"])
def test_operations_ask_for_consents(operation: str, act: OneAction, globus_collection: CollectionFactory) -> None:
    mapped = globus_collection("mapped")
    run = act.run(f"{NEW}/{operation}", {"endpoint_id": mapped.id, "path": "/x"}, until=("INACTIVE",))
    assert f"{mapped.id}/data_access" in run.details["required_scope"]


@pytest.mark.parametrize("url", [f"{NEW}/manage_permission", f"{OLD}/set_permission"])
def test_permissions_from_making_to_taking_away(url: str, act: OneAction, globus_collection: CollectionFactory) -> None:
    host = globus_collection("host", files={"shared/a": "a"})
    guest = globus_collection("guest", host=host, base_path="/shared")
    rules = act.lab.world.transfer.collection(guest.id).rules
    body = {"endpoint_id": guest.id, "path": "/", "principal_type": "identity", "principal": act.lab.person.id}
    made = act(url, {**body, "operation": "CREATE", "permissions": "r"})["details"]["access_id"]
    assert rules[made].permissions == "r"
    changed = act(url, {"operation": "UPDATE", "endpoint_id": guest.id, "rule_id": made, "permissions": "rw"})
    assert (changed["details"]["access_id"], rules[made].permissions) == (made, "rw")
    act(url, {"operation": "DELETE", "endpoint_id": guest.id, "rule_id": made})
    assert rules == {}
    assert "DELETE needs a rule_id" in act.refusal(url, {"operation": "DELETE", "endpoint_id": guest.id})
    assert "RequestValidationError" in act.refusal(url, {"operation": "GIVE", "endpoint_id": guest.id})
