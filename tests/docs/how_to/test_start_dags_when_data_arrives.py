"""DAGs that start when data arrives: the page's own watchers tell the page's own tasks."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from globus_sdk import ClientApp, GlobusAppConfig, TransferClient, TransferData

from airflow_provider_globus.hooks.globus import GlobusHook
from tests.unit.triggers.watching import Airflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import DAG

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from airflow_provider_globus.triggers.watcher import GlobusWatcher
    from tests.dag_runs import Load
    from tests.docs.page import Page

PASS = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}


def test_start_dags_when_data_arrives(
    page: Page, load: Load, globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory, capsys: Any
) -> None:
    instrument = globus_collection("instrument", files={"inbox/old.h5": "old", "scans/old/DONE": ""})
    scratch, archive = globus_collection("scratch"), globus_collection("archive")
    flow = globus_sandbox.add_flow("Publish a dataset", PASS)
    page.run()
    dags = {dag_id: dag for file in page.folder.glob("*.py") for dag_id, dag in load(file).items()}

    def land() -> None:
        (instrument.folder / "inbox" / "new.h5").write_text("new")
        (instrument.folder / "inbox" / "new.txt").write_text("new")

    (item,) = hear(dags["take_in"], "items", told(dags["take_in"], land))
    assert item == {"source_path": "/inbox/new.h5", "destination_path": "/raw/new.h5"}

    def complete() -> None:
        scan = instrument.folder / "scans" / "deep" / "scan_7"
        scan.mkdir(parents=True)
        (scan / "DONE").write_text("")

    scan = told(dags["reconstruct"], complete)
    assert hear(dags["reconstruct"], "directories", scan) == ["/scans/deep/scan_7"]

    def deliver() -> None:
        colleague = globus_sandbox.add_client("colleague")
        app = ClientApp(
            client_id=colleague.id,
            client_secret=colleague.secret or "",
            config=GlobusAppConfig(token_storage="memory"),
        )
        client = TransferClient(app=app, base_url=globus_sandbox.url)
        client.add_app_data_access_scope([scratch.id, archive.id])
        (scratch.folder / "result").write_text("42")
        data = TransferData(scratch.id, archive.id, label="nightly 7")
        data.add_item("/result", "/result")
        globus_sandbox.world.transfer.wait(client.submit_transfer(data)["task_id"])

    def publish() -> None:
        run = GlobusHook().specific_flow_client(flow.id).run_flow({}, label="dataset 7")
        globus_sandbox.world.flows.wait(run["run_id"])

    books = dags["keep_the_books"]
    payloads = [told(books, deliver, "deliveries"), told(books, publish, "publications")]
    capsys.readouterr()
    for payload in payloads:
        hear(books, "note", payload)
    said = capsys.readouterr().out
    assert "nightly 7" in said
    assert "dataset 7" in said


def told(dag: DAG, happen: Callable[[], None], name: str = "") -> dict[str, Any]:
    """What the first event of the DAG's watcher says of what happens after it has begun."""
    (watcher,) = (watcher for asset in assets(dag) for watcher in asset.watchers if name in watcher.name)
    given: GlobusWatcher = watcher.trigger
    watching = type(given)(**{**given.serialize()[1], "poll_interval": 0.1})

    async def first() -> dict[str, Any]:
        airflow = Airflow()
        airflow.start(watching)
        await airflow.ready()
        await asyncio.to_thread(happen)
        await airflow.until(lambda: airflow.events)
        await airflow.kill()
        return airflow.events[0]

    return asyncio.run(first())


def hear(dag: DAG, task_id: str, payload: dict[str, Any]) -> Any:
    """What a task makes of an event."""
    task: Any = dag.get_task(task_id)
    events = [SimpleNamespace(extra={"from_trigger": True, "payload": payload})]
    return task.python_callable(triggering_asset_events={assets(dag)[0]: events})


def assets(dag: DAG) -> list[Any]:
    """What the DAG is scheduled on."""
    timetable: Any = dag.timetable
    return list(timetable.asset_condition.objects)
