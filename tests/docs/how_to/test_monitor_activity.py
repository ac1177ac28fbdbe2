"""Monitoring: the role lets the page's DAGs see, cancel and hold up what others do, and nothing more than that."""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.exceptions import GlobusPermissionError
from airflow_provider_globus.operators.activity import GlobusActivityReportOperator
from airflow_provider_globus.sandbox.pytest_plugin import CONNECTION_VARIABLE
from tests.unit.activity import Users

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.auth.models import Client
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.docs.page import Page

HOUR = 3600


@pytest.fixture
def users(globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory) -> Users:
    source = globus_collection("home", files={"a": "12345", "b": "1"})
    return Users(globus_sandbox, source, globus_collection("archive"))


@pytest.fixture
def pipeline(globus_sandbox: GlobusSandbox, users: Users, monkeypatch: pytest.MonkeyPatch) -> Client:
    """The DAGs' service account, which has no role yet; the sandbox's own client is the administrator."""
    pipeline = globus_sandbox.add_client("pipeline")
    monkeypatch.setenv("AIRFLOW_CONN_GLOBUS_ADMIN", globus_sandbox.connection)
    monkeypatch.setenv(CONNECTION_VARIABLE, globus_sandbox.connection_for(pipeline))
    return pipeline


@pytest.fixture
def maintenance(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Say what is done while the collection is being maintained."""
    module = ModuleType("maintenance")
    monkeypatch.setitem(sys.modules, "maintenance", module)

    def be(action: Callable[[], Any]) -> None:
        module.__dict__["do"] = action

    return be


def report() -> dict[str, Any]:
    return GlobusActivityReportOperator(task_id="report", collection="archive").execute({})


def test_monitor_activity(page: Page, users: Users, pipeline: Client, maintenance: Callable[..., None]) -> None:
    page.replace("<UUID of the collection>", users.target.id)
    page.replace("<client UUID>", pipeline.id)
    page.replace("/shared/reports", page.folder / "reports")
    page.replace('"""What has to be done while nobody writes."""', "from maintenance import do; do()")

    with pytest.raises(GlobusPermissionError, match="the role activity_monitor"):
        report()
    page.run(until='DAG("activity_report"')
    assert report()["tasks"] == 0

    users.move("bob")
    users.hold()
    stuck = users.trouble(users.submit("carol"), "PERMISSION_DENIED", 41)
    stuck.request_time -= 2 * HOUR
    fresh = users.trouble(users.submit("dave"), "PERMISSION_DENIED", 1)
    calm = users.submit("dave", "/b")
    calm.request_time -= 2 * HOUR
    page.run(until='DAG("stop_the_stuck"')
    found = page.results("activity_report")["report"]
    assert [found[name] for name in ("tasks", "succeeded", "unfinished", "stuck", "bytes_in")] == [4, 1, 3, 2, 5]
    assert json.loads((page.folder / f"reports/{page.ds}.json").read_text()) == found
    assert "PERMISSION\\_DENIED" in (page.folder / "reports/latest.md").read_text()

    page.run(until='DAG("maintenance"')
    cancelled = page.results("stop_the_stuck")["cancel"]
    assert [task["task_id"] for task in cancelled["cancelled"]] == [stuck.id]
    assert [task.status for task in (stuck, fresh, calm)] == ["FAILED", "ACTIVE", "ACTIVE"]
    told = users.client("carol").get_task(stuck.id)["canceled_by_admin_message"]
    assert told.startswith("Your transfer has been failing for an hour.")

    users.sandbox.world.transfer.release()
    seen: list[Any] = []

    def look() -> None:
        task = users.submit("bob", "/b")
        seen.append(users.client("bob").get_task(task.id)["nice_status"])
        seen.append(len(users.client("bob").operation_ls(users.target.id, path="/")["DATA"]) > 0)
        seen.append(task)

    maintenance(look)
    page.run()
    rests, can_be_listed, task = seen
    assert (rests, can_be_listed) == ("PAUSED", True)
    assert users.sandbox.world.transfer.wait(task.id).status == "SUCCEEDED"
    assert page.results("maintenance")["go_on"]["action"] == "deleted"

    def fail() -> None:
        raise RuntimeError("the maintenance fails")

    maintenance(fail)
    assert page.run_dag("maintenance", ends="failed").results["go_on"]["action"] == "deleted"
    assert users.sandbox.world.transfer.pause_rules.all() == []
