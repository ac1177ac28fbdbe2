"""What a submission must be, and what refuses it."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import TransferData

if TYPE_CHECKING:
    from tests.unit.sandbox.transfer.conftest import Lab


def document(lab: Lab, **changes: Any) -> dict[str, Any]:
    ids = [c.id for c in lab.world.transfer.collections.values() if c.kind == "mapped"]
    base = {
        "DATA_TYPE": "transfer",
        "submission_id": str(uuid.uuid4()),
        "source_endpoint": ids[0],
        "destination_endpoint": ids[1],
        "DATA": [{"DATA_TYPE": "transfer_item", "source_path": "/a", "destination_path": "/a"}],
    }
    return {key: value for key, value in {**base, **changes}.items() if value is not ...}


def item(**changes: Any) -> list[dict[str, Any]]:
    return [{"DATA_TYPE": "transfer_item", "source_path": "/a", "destination_path": "/a", **changes}]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"submission_id": ...}, "submission_id"),
        ({"submission_id": "not-a-uuid"}, "submission_id"),
        ({"DATA_TYPE": "delete"}, "DATA_TYPE"),
        ({"source_endpoint": ...}, "source_endpoint"),
        ({"source_endpoint": 5}, "source_endpoint"),
        ({"DATA": ...}, "DATA"),
        ({"DATA": "x"}, "DATA"),
        ({"DATA": ["x"]}, "DATA"),
        ({"DATA": item(source_path=None)}, "source_path"),
        ({"DATA": item(source_path="")}, "source_path"),
        ({"DATA": item(destination_path=7)}, "destination_path"),
        ({"DATA": item(source_path="/../../etc")}, "outside"),
        ({"DATA": item(destination_path="/a\nb")}, "line feed"),
        ({"DATA": item(destination_path="/a\u0000b")}, "NUL"),
        ({"DATA": item(recursive="yes")}, "recursive"),
        ({"DATA": item(checksum_algorithm="CRC32")}, "checksum_algorithm"),
        ({"DATA": item(DATA_TYPE="delete_item")}, "DATA_TYPE"),
        ({"label": 5}, "label"),
        ({"label": "x" * 129}, "label"),
        ({"label": "two\nlines"}, "label"),
        ({"label": " blank"}, "label"),
        ({"deadline": "2001-01-01"}, "future"),
        ({"deadline": "tomorrow"}, "ISO 8601"),
        ({"sync_level": 4}, "sync_level"),
        ({"sync_level": True}, "sync_level"),
        ({"sync_level": "checksum"}, "sync_level"),
        ({"verify_checksum": "yes"}, "verify_checksum"),
        ({"notify_on_failed": 1}, "notify_on_failed"),
        ({"recursive_symlinks": "follow"}, "recursive_symlinks"),
        ({"filter_rules": {"name": "x"}}, "filter_rules"),
        ({"filter_rules": [{"name": "x", "method": "drop"}]}, "method"),
        ({"filter_rules": [{"method": "exclude"}]}, "name"),
    ],
)
def test_a_wrong_field_is_refused_by_its_name(lab: Lab, refused: Any, changes: dict[str, Any], word: str) -> None:
    lab.collection("source", {"a": b"1"}), lab.collection("target")
    client = lab.client()
    error = refused(lambda: client.post("/v0.10/transfer", data=document(lab, **changes)))
    assert error.http_status == 400
    assert word in str(error.message)
    assert list(client.task_list()) == []


def test_no_items_is_the_recorded_error(lab: Lab, refused: Any) -> None:
    source, target = lab.collection("source"), lab.collection("target")
    error = refused(lambda: lab.client().submit_transfer(TransferData(source.id, target.id)))
    assert (error.http_status, error.code) == (400, "ClientError.BadRequest.NoTransferItems")
    assert error.message == "A transfer requires at least one item"


def test_a_submission_id_is_accepted_once(lab: Lab) -> None:
    source, target = lab.collection("source", {"a": b"1"}), lab.collection("target")
    client = lab.client()
    data = TransferData(source.id, target.id, submission_id=client.get_submission_id()["value"])
    data.add_item("/a", "/a")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.submit_transfer(data), range(8)))
    assert sorted(answer["code"] for answer in answers) == ["Accepted"] + ["Duplicate"] * 7
    assert len({answer["task_id"] for answer in answers}) == 1
    assert {(answer["code"], answer.http_status) for answer in answers} == {("Accepted", 202), ("Duplicate", 200)}
    lab.wait(answers[0]["task_id"])
    again = client.submit_transfer(data)
    assert (again["code"], again["task_id"]) == ("Duplicate", answers[0]["task_id"])
    assert again["task_link"]["href"] == f"/v0.10/task/{again['task_id']}?format=json"
    assert len(list(client.task_list())) == 1


def test_a_submission_id_of_someone_else_is_refused(lab: Lab, refused: Any) -> None:
    lab.collection("source", {"a": b"1"}), lab.collection("target")
    other = lab.client(of=lab.sandbox.add_client("other"))
    sent = document(lab)
    lab.client().submit_transfer(sent)
    assert refused(lambda: other.submit_transfer(sent)).http_status == 400


def test_the_same_paths_conflict_while_unfinished(lab: Lab, refused: Any) -> None:
    source, target = lab.collection("source", {"a": b"1", "b": b"1"}), lab.collection("target")
    lab.world.transfer.hold()
    client = lab.client()
    first = lab.submit(source, target, ("/a", "/a"), ("/b", "/b"), client=client)
    error = refused(lambda: lab.submit(source, target, ("/b", "/b"), ("/./a", "/x/../a"), client=client))
    assert (error.http_status, error.code) == (409, "Conflict")
    assert error.message == "A transfer with identical paths has not yet completed"
    assert first not in error.text
    lab.submit(source, target, ("/a", "/a"), client=client)
    lab.world.transfer.release()
    lab.wait(first)
    assert lab.move(source, target, ("/a", "/a"), ("/b", "/b")).status == "SUCCEEDED"


def test_racing_submissions_of_the_same_paths_have_one_winner(lab: Lab) -> None:
    from globus_sdk import TransferAPIError

    source, target = lab.collection("source", {"a": b"1"}), lab.collection("target")
    lab.world.transfer.hold()
    client = lab.client()
    gate = threading.Barrier(6)

    def submit(_: int) -> str:
        data = TransferData(source.id, target.id, submission_id=str(uuid.uuid4()))
        data.add_item("/a", "/a")
        gate.wait()
        try:
            return str(client.submit_transfer(data)["code"])
        except TransferAPIError as error:
            return str(error.code)

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(submit, range(6))) == ["Accepted"] + ["Conflict"] * 5


def test_consent_is_needed_for_both_sides(lab: Lab, refused: Any) -> None:
    source, target = lab.collection("source", {"a": b"1"}), lab.collection("target")
    without = lab.client(consent=False)
    error = refused(lambda: lab.submit(source, target, ("/a", "/a"), client=without))
    assert (error.http_status, error.code) == (403, "ConsentRequired")
    scope = "urn:globus:auth:scope:transfer.api.globus.org:all[*https://auth.globus.org/scopes/{}/data_access]"
    assert error.info.consent_required.required_scopes == [scope.format(source.id), scope.format(target.id)]
    only_source = lab.client(consent=False).add_app_data_access_scope(source.id)
    error = refused(lambda: lab.submit(source, target, ("/a", "/a"), client=only_source))
    assert error.info.consent_required.required_scopes == [scope.format(target.id)]


def test_consent_is_not_asked_where_there_is_none_to_give(lab: Lab) -> None:
    source = lab.collection("source", {"a": b"1"}, high_assurance=True)
    target = lab.collection("target", kind="personal")
    assert lab.wait(lab.submit(source, target, ("/a", "/a"), client=lab.client(consent=False))).status == "SUCCEEDED"


def test_unknown_collections_and_endpoints_are_refused(lab: Lab, refused: Any) -> None:
    from airflow_provider_globus.sandbox.transfer.state import ENDPOINT_ID

    source = lab.collection("source", {"a": b"1"})
    client = lab.client()
    for wrong in (str(uuid.uuid4()), "no-uuid"):
        data = TransferData(source.id, wrong)
        data.add_item("/a", "/a")
        data["submission_id"] = str(uuid.uuid4())
        error = refused(lambda data=data: client.submit_transfer(data))
        assert (error.http_status, error.code) == (404, "EndpointNotFound")
        assert wrong in error.message
    data = TransferData(source.id, ENDPOINT_ID)
    data.add_item("/a", "/a")
    assert refused(lambda: client.submit_transfer(data)).http_status == 400


def test_someone_elses_computer_is_refused(lab: Lab, refused: Any) -> None:
    source, target = lab.collection("source", {"a": b"1"}, kind="personal"), lab.collection("target")
    stranger = lab.client(of=lab.sandbox.add_client("stranger"))
    error = refused(lambda: lab.submit(source, target, ("/a", "/a"), client=stranger))
    assert (error.http_status, error.code) == (403, "PermissionDenied")
