"""The metadata database, for what watchers' events leave in it; an Airflow in haste, and a directory to watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_globus.triggers import event_ledger, watcher
from tests.dag_runs import database
from tests.unit.triggers.watching import Airflow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory

__all__ = ["database"]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, globus_sandbox: GlobusSandbox) -> None:
    """Watchers that do not wait long, in a process that keeps the ledger."""
    monkeypatch.setattr(event_ledger, "_kept", True)
    monkeypatch.setattr(event_ledger, "_LOOK_AGAIN", 0.01)
    monkeypatch.setattr(event_ledger, "_UNSEEN", 0.01)
    monkeypatch.setattr(watcher, "_PAUSE", 0.05)
    # Looks follow each other faster than anybody would want from Globus.
    globus_sandbox.settings.rate_limit_per_second = None


@pytest.fixture
async def airflow(quick: None) -> AsyncIterator[Airflow]:
    running = Airflow()
    yield running
    await running.kill()


@pytest.fixture
def inbox(globus_collection: CollectionFactory) -> Path:
    return globus_collection("instrument", files={"inbox/old.h5": "old", "inbox/deep/old.h5": "old"}).folder / "inbox"
