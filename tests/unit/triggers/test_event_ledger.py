"""Airflow's process notes each event of a watcher in the transaction that writes it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.triggers import event_ledger
from airflow_provider_globus.triggers.event_ledger import Knowledge, keep_ledger

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.orm import Session

pytest.importorskip("airflow.models.asset_state_store", reason="Airflow keeps a state of assets from 3.3 on")


@pytest.fixture
def session(database: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import event

    monkeypatch.setattr(event_ledger, "_kept", False)
    keep_ledger()
    with create_session() as session:
        yield session
        session.rollback()
    event.remove(AssetEvent, "after_insert", event_ledger._note)


def write(session: Session, asset_id: int, payload: Any, *, from_trigger: bool = True) -> None:
    from airflow.models.asset import AssetEvent

    extra = {"from_trigger": True, "payload": payload} if from_trigger else payload
    session.add(AssetEvent(asset_id=asset_id, extra=extra))
    session.flush()


def noted(session: Session, asset_id: int) -> dict[str, Any]:
    from airflow.models.asset_state_store import AssetStateStoreModel
    from sqlalchemy import select

    rows = session.execute(
        select(AssetStateStoreModel.key, AssetStateStoreModel.value).where(AssetStateStoreModel.asset_id == asset_id)
    )
    return {key: json.loads(value) for key, value in rows}


@pytest.fixture
def asset_id(session: Session) -> int:
    from airflow.models.asset import AssetModel

    asset = AssetModel(name="inbox", uri="globus://instrument/inbox", extra={})
    session.add(asset)
    session.flush()
    return int(asset.id)


def test_events_are_noted_by_watcher(session: Session, asset_id: int) -> None:
    for watcher, event_id in (("w", "a"), ("v", "c"), ("w", "b")):
        write(session, asset_id, {"watcher": watcher, "event_id": event_id, "name": "x"})
    assert noted(session, asset_id) == {"globus_watch_written:w": ["a", "b"], "globus_watch_written:v": ["c"]}


@pytest.mark.parametrize("payload", ["a text", None, {"watcher": "w"}, {"event_id": "a"}, [1]])
def test_events_of_others_are_left_alone(session: Session, asset_id: int, payload: Any) -> None:
    write(session, asset_id, payload)
    assert noted(session, asset_id) == {}


def test_an_event_that_no_trigger_fired_is_left_alone(session: Session, asset_id: int) -> None:
    write(session, asset_id, {"watcher": "w", "event_id": "a"}, from_trigger=False)
    assert noted(session, asset_id) == {}


def test_an_event_that_is_not_written_is_not_noted(session: Session, asset_id: int) -> None:
    with session.begin_nested() as inner:
        write(session, asset_id, {"watcher": "w", "event_id": "a"})
        inner.rollback()
    assert noted(session, asset_id) == {}


def test_what_is_noted_is_what_a_watcher_reads(session: Session, asset_id: int) -> None:
    """Airflow itself writes and reads the values of its state store."""
    from airflow._shared.state import AssetScope
    from airflow.state import get_state_backend

    write(session, asset_id, {"watcher": "w", "event_id": "a"})
    value = get_state_backend().get(AssetScope(asset_id=asset_id), "globus_watch_written:w", session=session)
    assert json.loads(value or "") == ["a"]


_STARTS = """
import sys
from airflow_provider_globus.triggers import event_ledger
{start}
print(event_ledger.is_kept(), "airflow.models.asset" in sys.modules)
"""


@pytest.mark.parametrize(
    ("start", "kept"),
    [
        ("from airflow.jobs.job import Job; Job()", "True True"),
        (
            "from airflow.sdk.listener import get_listener_manager\n"
            "get_listener_manager().hook.on_starting(component=object())",
            "False False",
        ),
    ],
    ids=["Airflow's own process", "a worker"],
)
def test_airflow_keeps_the_ledger_where_it_writes_the_database(start: str, kept: str) -> None:
    """By the package's entry point, as installed."""
    done = subprocess.run(
        [sys.executable, "-c", _STARTS.format(start=start)], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1:] == [kept], done.stderr


def test_knowledge_survives_its_way_through_json() -> None:
    known = Knowledge(frozenset({"a" * 12, "b" * 12}), 17.5)
    assert Knowledge.of(json.loads(json.dumps(known.document())), 12) == known
