"""Task lists and event lists: filters, order, pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.transfer.filters import compile_clauses, order, parse_clauses, parse_time

if TYPE_CHECKING:
    from tests.unit.sandbox.transfer.conftest import Lab


@pytest.fixture
def labels(lab: Lab) -> dict[str, str]:
    """Tasks with labels, submitted a minute apart; returns label by task id."""
    from globus_sdk import DeleteData

    lab.sandbox.clock.freeze()
    source, target = lab.collection("source", {"a": b"1"}), lab.collection("target")
    client, found = lab.client(), {}
    for name in ("alpha", "alpha-2", "beta", "Gamma"):
        task_id = lab.submit(source, target, ("/a", f"/{name}"), client=client, label=name)
        lab.wait(task_id)
        found[task_id] = name
        lab.sandbox.clock.advance(60)
    data = DeleteData(target.id, label="gone", ignore_missing=True)
    data.add_item("/none")
    found[lab.wait(client.submit_delete(data)["task_id"]).id] = "gone"
    task_id = lab.submit(source, target, ("/none", "/none"), client=client, label="stuck")
    lab.faulting(task_id, "FILE_NOT_FOUND")
    found[task_id] = "stuck"
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {"alpha", "alpha-2", "beta", "Gamma", "gone", "stuck"}),
        ("status:ACTIVE", {"stuck"}),
        ("status:ACTIVE,INACTIVE/type:DELETE", set()),
        ("type:DELETE", {"gone"}),
        ("type:TRANSFER,DELETE/status:SUCCEEDED/label:alpha", {"alpha"}),
        ("label:=alpha", {"alpha"}),
        ("label:~alpha*", {"alpha", "alpha-2"}),
        ("label:~gamma", {"Gamma"}),
        ("label:=alpha,=beta", {"alpha", "beta"}),
        ("label:!alpha", {"alpha-2", "beta", "Gamma", "gone", "stuck"}),
        ("label:!~*a*", {"gone", "stuck"}),
    ],
)
def test_filters(lab: Lab, labels: dict[str, str], text: str, expected: set[str]) -> None:
    found = lab.client().task_list(filter=text, limit=1000)
    assert {labels[task["task_id"]] for task in found} == expected
    assert found["total"] == len(expected)


def test_filter_by_ids_and_times(lab: Lab, labels: dict[str, str]) -> None:
    client, ids = lab.client(), list(labels)
    foreign = "c7b1f0a2-0000-4000-8000-000000000000"
    found = client.task_list(filter={"task_id": [ids[0], ids[5], foreign], "status": "ACTIVE"})
    assert [task["task_id"] for task in found] == [ids[5]]
    times = [client.get_task(task_id)["request_time"] for task_id in ids]
    between = client.task_list(filter={"request_time": [times[1], times[2]]})
    assert {labels[task["task_id"]] for task in between} <= {"alpha", "alpha-2", "beta"}
    assert "alpha-2" in {labels[task["task_id"]] for task in client.task_list(filter={"request_time": ["", times[2]]})}
    done = client.task_list(filter={"completion_time": ["", "2999-01-01"]}, limit=100)
    assert "stuck" not in {labels[task["task_id"]] for task in done}


def test_order_and_pages(lab: Lab, labels: dict[str, str]) -> None:
    client = lab.client()
    names = [task["label"] for task in client.task_list(limit=100)]
    assert names == list(labels.values())[::-1]
    assert [task["label"] for task in client.task_list(orderby="request_time ASC", limit=2, offset=1)] == [
        "alpha-2",
        "beta",
    ]
    ordered = client.task_list(orderby=["type ASC", "label DESC"], limit=3)
    assert [task["label"] for task in ordered] == ["gone", "stuck", "beta"]
    assert (ordered["length"], ordered["limit"], ordered["offset"], ordered["total"]) == (3, 3, 0, 6)
    assert "DATA_TYPE" not in ordered["DATA"][0]


@pytest.mark.parametrize(
    "query",
    [{"filter": "colour:red"}, {"filter": "status"}, {"orderby": "colour"}, {"orderby": "label UP"}, {"limit": 1001},
     {"limit": 0}, {"offset": -1}, {"limit": "many"}, {"filter": "request_time:yesterday"}],
)  # fmt: skip
def test_wrong_queries_are_refused(lab: Lab, refused: Any, query: dict[str, Any]) -> None:
    assert refused(lambda: lab.client().task_list(query_params=query)).http_status == 400


def test_events_come_newest_first_in_pages(lab: Lab, labels: dict[str, str]) -> None:
    client, done = lab.client(), next(iter(labels))
    assert [event["code"] for event in client.task_event_list(done)] == ["SUCCEEDED", "PROGRESS", "STARTED"]
    page = client.task_event_list(done, limit=1, offset=1)
    assert ([event["code"] for event in page], page["total"]) == (["PROGRESS"], 3)
    stuck = list(labels)[-1]
    errors = client.task_event_list(stuck, query_params={"filter": "is_error:1"})
    assert [event["code"] for event in errors] == ["FILE_NOT_FOUND"]


def test_successful_transfers_page_by_marker(lab: Lab) -> None:
    source = lab.collection("source", {f"{number:05}": b"" for number in range(2100)})
    task = lab.move(source, lab.collection("target"), ("/", "/"))
    client = lab.client()
    first = client.task_successful_transfers(task.id)
    assert (first["marker"], len(first["DATA"])) == (0, 1000)
    pages = [len(page["DATA"]) for page in client.paginated.task_successful_transfers(task.id)]
    assert pages == [1000, 1000, 100]
    paths = {item["source_path"] for item in client.paginated.task_successful_transfers(task.id).items()}
    assert len(paths) == 2100


def test_numbers_and_unknown_fields_of_filters() -> None:
    tests = compile_clauses(parse_clauses("size:>=10,<3"), {"size": "number"})
    assert [size for size in range(14) if tests["size"](size)] == [0, 1, 2, 10, 11, 12, 13]
    with pytest.raises(ServiceError):
        compile_clauses({"size": ["big"]}, {"size": "number"})
    assert order([2, None, 1], "n DESC", {"n": lambda row: row}) == [2, 1, None]


@pytest.mark.parametrize(
    "text", ["2021-01-01", "2021-01-01T00:00:00Z", "2021-01-01 00:00:00+00:00", "2021-01-01T01:00:00+01:00"]
)
def test_times(text: str) -> None:
    assert parse_time(text) == 1609459200
