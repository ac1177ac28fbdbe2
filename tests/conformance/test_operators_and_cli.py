"""What an operator did, the Globus CLI shows; what was done with the CLI, operators, sensors and the hook take up."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_globus import looks
from airflow_provider_globus.exceptions import GlobusJobFailedError
from airflow_provider_globus.hooks.credentials import forget_credentials
from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.operators.access_rules import GlobusCreateAccessRuleOperator
from airflow_provider_globus.operators.collections import (
    GlobusListOperator,
    GlobusMkdirOperator,
    GlobusRenameOperator,
    GlobusStatOperator,
)
from airflow_provider_globus.operators.flow_runs import GlobusCancelFlowRunOperator, GlobusRunFlowOperator
from airflow_provider_globus.operators.flows import GlobusDeployFlowOperator
from airflow_provider_globus.operators.gcs_collections import (
    GlobusCreateGuestCollectionOperator,
    GlobusCreateMappedCollectionOperator,
    GlobusDeleteCollectionOperator,
)
from airflow_provider_globus.operators.gcs_roles import GlobusCreateCollectionRoleOperator
from airflow_provider_globus.operators.search import GlobusSearchIngestOperator, GlobusSearchQueryOperator
from airflow_provider_globus.operators.storage_gateways import GlobusCreateStorageGatewayOperator
from airflow_provider_globus.operators.transfer import GlobusDeleteOperator, GlobusTransferOperator
from airflow_provider_globus.operators.user_credentials import GlobusCreateUserCredentialOperator
from airflow_provider_globus.sandbox.auth.scopes import ENDPOINT_ID
from airflow_provider_globus.sensors.flows import GlobusFlowRunSensor
from airflow_provider_globus.sensors.path import GlobusPathSensor
from airflow_provider_globus.sensors.transfer import GlobusTransferTaskSensor
from tests.unit.conftest import Attempt
from tests.unit.flows import APPROVAL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.conformance.conftest import GlobusCli
    from tests.unit.conftest import TaskContext

QUICK: dict[str, Any] = {"task_id": "a_task", "poll_interval": 0.05}
HELLO = {"StartAt": "Note", "States": {"Note": {"Type": "Pass", "Parameters": {"n": 3}, "End": True}}}
WAIT = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(looks, "LOOKS", (0.01, 0.02, 0.03))
    forget_credentials()
    yield
    forget_credentials()


@pytest.fixture
def context() -> TaskContext:
    return Attempt()


@pytest.fixture
def source(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("source", files={"run/a.dat": "aaaa", "run/sub/b.dat": "bb", "one.txt": "1"})


@pytest.fixture
def target(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("target")


def transfer(**changes: Any) -> GlobusTransferOperator:
    arguments = {"source_collection": "source", "destination_collection": "target"}
    paths = {"source_path": "/run/", "destination_path": "/copy/"}
    return GlobusTransferOperator(**{**QUICK, **arguments, **paths, **changes})


def to_its_end(operator: Any, context: TaskContext) -> Any:
    """Run an operator or a sensor, as the triggerer does when it defers."""
    try:
        return operator.execute(context)
    except TaskDeferred as deferral:
        return resumed(operator, context, deferral)


def resumed(operator: Any, context: TaskContext, deferral: TaskDeferred) -> Any:
    event = asyncio.run(anext(deferral.trigger.run()))
    return getattr(operator, deferral.method_name)(context, event=event.payload)


# Operators, and what the CLI shows


def test_a_transfer(cli: GlobusCli, source: CollectionFolder, target: CollectionFolder, context: TaskContext) -> None:
    result = transfer(task_label="nightly", sync_level="checksum", preserve_timestamp=True).execute(context)
    shown = cli.json("task", "show", result["task_id"])
    assert (shown["status"], shown["label"], shown["type"]) == ("SUCCEEDED", "nightly", "TRANSFER")
    assert (shown["source_endpoint_id"], shown["destination_endpoint_id"]) == (source.id, target.id)
    assert (shown["files_transferred"], shown["bytes_transferred"]) == (result["files"], result["bytes"]) == (2, 6)
    assert (shown["faults"], shown["files_skipped"]) == (result["faults"], result["files_skipped"])
    assert (shown["sync_level"], shown["preserve_timestamp"]) == (3, True)
    moved = cli.json("task", "show", result["task_id"], "--successful-transfers")["DATA"]
    assert {item["destination_path"] for item in moved} == {"/copy/a.dat", "/copy/sub/b.dat"}
    assert cli.text("ls", "-r", f"{target.id}:/").split() == ["copy/", "copy/sub/", "copy/a.dat", "copy/sub/b.dat"]


def test_a_transfer_names_its_dag(
    cli: GlobusCli, source: CollectionFolder, target: CollectionFolder, context: TaskContext
) -> None:
    result = transfer().execute(context)
    (listed,) = cli.json("task", "list", "--filter-label", "*a_dag*")["DATA"]
    assert listed["task_id"] == result["task_id"]
    assert "a_task" in listed["label"]


def test_a_transfer_that_is_running(
    cli: GlobusCli, source: CollectionFolder, target: CollectionFolder, context: TaskContext
) -> None:
    cli.sandbox.world.transfer.hold()
    result = transfer(wait_for_completion=False).execute(context)
    (task_id,) = result["job_ids"]
    (listed,) = cli.json("task", "list", "--filter-status", "ACTIVE")["DATA"]
    assert listed["task_id"] == task_id


def test_a_deletion(cli: GlobusCli, source: CollectionFolder, context: TaskContext) -> None:
    delete = GlobusDeleteOperator(**QUICK, collection="source", paths=["/run"], recursive=True, task_label="prune")
    result = delete.execute(context)
    shown = cli.json("task", "show", result["task_id"])
    assert (shown["status"], shown["type"], shown["label"]) == ("SUCCEEDED", "DELETE", "prune")
    assert cli.text("ls", f"{source.id}:/").split() == ["one.txt"]


def test_a_directory_that_is_made_and_renamed(cli: GlobusCli, source: CollectionFolder, context: TaskContext) -> None:
    GlobusMkdirOperator(task_id="t", collection="source", path="/new/deep").execute(context)
    assert cli.json("stat", f"{source.id}:/new/deep")["type"] == "dir"
    GlobusRenameOperator(task_id="t", collection="source", old_path="/new/deep", new_path="/kept").execute(context)
    assert "Nothing found" in cli.text("stat", f"{source.id}:/new/deep")
    assert cli.json("stat", f"{source.id}:/kept")["type"] == "dir"


def test_a_listing_says_the_same(cli: GlobusCli, source: CollectionFolder, context: TaskContext) -> None:
    listed = GlobusListOperator(task_id="t", collection="source", path="/run", recursive=True).execute(context)
    shown = cli.json("ls", "-r", f"{source.id}:/run")["DATA"]
    assert {item["path"].removeprefix("/run/"): item["size"] for item in listed} == {
        item["name"]: item["size"] for item in shown
    }
    stat = GlobusStatOperator(task_id="t", collection="source", path="/run/a.dat").execute(context)
    assert stat is not None
    same = ("name", "size", "type", "last_modified", "permissions")
    assert {name: stat[name] for name in same}.items() <= cli.json("stat", f"{source.id}:/run/a.dat").items()


def test_a_folder_that_is_shared(
    cli: GlobusCli, source: CollectionFolder, globus_collection: CollectionFactory, context: TaskContext
) -> None:
    globus_collection("shared", host=source, base_path="/run")
    other = cli.sandbox.add_client("other")
    share = GlobusCreateAccessRuleOperator(
        task_id="t", collection="shared", path="/sub/", principal=f"{other.id}@clients.auth.globus.org"
    )
    rule = share.execute(context)["rule_id"]
    guest = cli.sandbox.world.transfer.find("shared").id
    shown = cli.json("endpoint", "permission", "show", guest, rule)
    assert (shown["principal"], shown["permissions"], shown["path"]) == (other.id, "r", "/sub/")
    assert cli.of(other).text("ls", f"{guest}:/sub/").split() == ["b.dat"]


def test_a_flow_and_its_run(cli: GlobusCli, context: TaskContext) -> None:
    flow = GlobusDeployFlowOperator(task_id="t", title="Hello", definition=HELLO).execute(context)["flow_id"]
    shown = cli.json("flows", "show", flow)
    assert (shown["title"], shown["definition"]) == ("Hello", HELLO)
    run_flow = GlobusRunFlowOperator(**QUICK, flow="Hello", body={}, run_label="first", tags=["a"])
    output = run_flow.execute(context)
    (listed,) = cli.json("flows", "run", "list", "--filter-flow-id", flow)["runs"]
    run = cli.json("flows", "run", "show", listed["run_id"])
    assert (run["status"], run["flow_id"], run["details"]["output"]) == ("SUCCEEDED", flow, output)
    assert run["label"].startswith("first")
    assert run["tags"][0] == "a"
    assert "PassCompleted" in cli.text("flows", "run", "show-logs", listed["run_id"])


def test_a_record_that_is_ingested(cli: GlobusCli, context: TaskContext) -> None:
    index = cli.sandbox.add_search_index("catalogue")
    result = GlobusSearchIngestOperator(
        **QUICK, index="catalogue", subject="globus://data/1/", content={"title": "Foraminifera"}
    ).execute(context)
    found = cli.json("search", "query", index.id, "-q", "foraminifera")
    assert [item["subject"] for item in found["gmeta"]] == result["subjects"] == ["globus://data/1/"]
    subject = cli.json("search", "subject", "show", index.id, "globus://data/1/")
    assert "Foraminifera" in json.dumps(subject)
    (task,) = cli.json("search", "task", "list", index.id)["tasks"]
    assert (task["index_id"], task["state"]) == (result["index_id"], "SUCCESS")


def test_a_gateway_and_its_collections(cli: GlobusCli, tmp_path: Path, context: TaskContext) -> None:
    (tmp_path / "disk/lab/run1").mkdir(parents=True)
    (tmp_path / "disk/lab/run1/a.dat").write_text("a")
    cli.sandbox.world.connect_server.set_folder(tmp_path / "disk")
    common: dict[str, Any] = {"task_id": "t", "endpoint": ENDPOINT_ID}
    gateway = GlobusCreateStorageGatewayOperator(**common, display_name="Disk", connector="POSIX").execute(context)
    assert "Disk" in cli.text("gcs", "storage-gateway", "list", ENDPOINT_ID)
    mapped = GlobusCreateMappedCollectionOperator(
        **common, storage_gateway="Disk", display_name="Lab", collection_base_path="/lab", allow_guest_collections=True
    ).execute(context)
    shown = cli.json("gcs", "collection", "show", mapped["collection_id"])
    assert (shown["display_name"], shown["storage_gateway_id"]) == ("Lab", gateway["storage_gateway_id"])
    assert shown["allow_guest_collections"] is True
    credential = GlobusCreateUserCredentialOperator(**common, storage_gateway="Disk").execute(context)
    assert credential["user_credential_id"] in cli.text("gcs", "user-credential", "list", ENDPOINT_ID)
    guest = GlobusCreateGuestCollectionOperator(
        task_id="t", mapped_collection="Lab", display_name="Shared", collection_base_path="/run1"
    ).execute(context)
    assert cli.text("ls", f"{guest['collection_id']}:/").split() == ["a.dat"]
    listed = cli.json("gcs", "collection", "list", ENDPOINT_ID)["DATA"]
    assert {item["display_name"] for item in listed} >= {"Lab", "Shared"}
    GlobusDeleteCollectionOperator(**common, collection="Shared").execute(context)
    cli.text("gcs", "collection", "show", guest["collection_id"], fails=1)


def test_a_role_on_a_collection(cli: GlobusCli, source: CollectionFolder, context: TaskContext) -> None:
    other = cli.sandbox.add_client("other")
    GlobusCreateCollectionRoleOperator(
        task_id="t", collection="source", principal=f"{other.id}@clients.auth.globus.org", role="activity_monitor"
    ).execute(context)
    listed = cli.json("gcs", "collection", "role", "list", source.id, "--all-roles")["data"]
    principal = f"urn:globus:auth:identity:{other.id}"
    assert [item["role"] for item in listed if item["principal"] == principal] == ["activity_monitor"]


# The CLI, and what operators make of it


def submitted(cli: GlobusCli, source: CollectionFolder, target: CollectionFolder, *more: str) -> str:
    return str(cli.json("transfer", f"{source.id}:/one.txt", f"{target.id}:/1.txt", *more)["task_id"])


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_sensor_waits_for_a_transfer_of_the_cli(
    cli: GlobusCli, source: CollectionFolder, target: CollectionFolder, context: TaskContext, deferrable: bool
) -> None:
    task_id = submitted(cli, source, target)
    sensor = GlobusTransferTaskSensor(task_id="s", transfer_task_id=task_id, poke_interval=0.05, deferrable=deferrable)
    result = to_its_end(sensor, context)
    assert (result["task_id"], result["status"], result["files"]) == (task_id, "SUCCEEDED", 1)


def test_a_sensor_sees_that_the_cli_cancelled(
    cli: GlobusCli, source: CollectionFolder, target: CollectionFolder, context: TaskContext
) -> None:
    cli.sandbox.world.transfer.hold()
    task_id = submitted(cli, source, target)
    cli.text("task", "cancel", task_id)
    with pytest.raises(GlobusJobFailedError, match="CANCELED"):
        GlobusTransferTaskSensor(task_id="s", transfer_task_id=task_id, poke_interval=0.05).execute(context)


def test_an_operator_that_waits_sees_that_the_cli_cancelled(
    cli: GlobusCli, source: CollectionFolder, target: CollectionFolder, context: TaskContext
) -> None:
    cli.sandbox.world.transfer.hold()
    operator = transfer(deferrable=True, worker_wait=0)
    with pytest.raises(TaskDeferred) as deferral:
        operator.execute(context)
    (task,) = cli.json("task", "list")["DATA"]
    cli.text("task", "cancel", task["task_id"])
    with pytest.raises(GlobusJobFailedError, match="CANCELED"):
        resumed(operator, context, deferral.value)


def test_a_retry_adopts_what_the_cli_submitted_in_its_name(
    cli: GlobusCli,
    source: CollectionFolder,
    target: CollectionFolder,
    context: TaskContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Died(BaseException):
        """The worker's end, which no except clause of ours sees."""

    def die(*args: object, **more: object) -> None:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(GlobusTransferOperator, "submit", die)
        with pytest.raises(Died):
            transfer(source_path="/one.txt", destination_path="/1.txt").execute(context)
    (submission_id,) = _submission_ids(context.store.values)
    task_id = submitted(cli, source, target, "--submission-id", submission_id)
    context.ti.retry()
    result = transfer(source_path="/one.txt", destination_path="/1.txt").execute(context)
    assert result["task_id"] == task_id
    assert len(cli.sandbox.world.transfer.tasks) == 1


def _submission_ids(stored: Any) -> set[str]:
    """Find the submission ids among what an operator keeps."""
    if isinstance(stored, dict):
        found = {str(value) for name, value in stored.items() if name in ("submission_id", "key") and value}
        return found.union(*map(_submission_ids, stored.values()))
    return set().union(*map(_submission_ids, stored)) if isinstance(stored, list) else set()


def test_a_sensor_finds_what_the_cli_made(cli: GlobusCli, source: CollectionFolder, context: TaskContext) -> None:
    sensor = GlobusPathSensor(task_id="s", collection="source", path="/new", poke_interval=0.05)
    assert not sensor.poke(context).is_done
    cli.text("mkdir", f"{source.id}:/new")
    assert sensor.poke(context).is_done


def test_an_access_rule_of_the_cli_is_found_and_changed(
    cli: GlobusCli, source: CollectionFolder, globus_collection: CollectionFactory, context: TaskContext
) -> None:
    shared, other = globus_collection("shared", host=source, base_path="/run"), cli.sandbox.add_client("other")
    made = cli.json(
        "endpoint", "permission", "create", f"{shared.id}:/sub/", "--permissions", "r", "--identity", other.id
    )["access_id"]  # fmt: skip
    share = GlobusCreateAccessRuleOperator(
        task_id="t", collection="shared", path="/sub/", principal=other.id, permissions="rw"
    )
    assert share.execute(context)["rule_id"] == made
    assert cli.json("endpoint", "permission", "show", shared.id, made)["permissions"] == "rw"


def test_a_run_of_the_cli_is_waited_for(cli: GlobusCli, context: TaskContext) -> None:
    flow = cli.sandbox.add_flow("Hello", HELLO)
    run_id = cli.json("flows", "start", flow.id, "--label", "by hand")["run_id"]
    sensor = GlobusFlowRunSensor(task_id="s", run_id=run_id, poke_interval=0.05)
    assert to_its_end(sensor, context) == {"n": 3}
    assert cli.json("flows", "run", "show", run_id)["details"]["output"] == {"n": 3}


def test_a_run_of_the_cli_is_cancelled(cli: GlobusCli, context: TaskContext) -> None:
    flow = cli.sandbox.add_flow("Wait", WAIT)
    run_id = cli.json("flows", "start", flow.id)["run_id"]
    GlobusCancelFlowRunOperator(task_id="t", run_id=run_id).execute(context)
    assert cli.json("flows", "run", "show", run_id)["status"] == "FAILED"


def test_a_run_that_the_cli_cancelled_fails_its_sensor(cli: GlobusCli, context: TaskContext) -> None:
    flow = cli.sandbox.add_flow("Wait", WAIT)
    run_id = cli.json("flows", "start", flow.id)["run_id"]
    cli.text("flows", "run", "cancel", run_id)
    with pytest.raises(GlobusJobFailedError):
        GlobusFlowRunSensor(task_id="s", run_id=run_id, poke_interval=0.05).execute(context)


def test_a_question_of_an_operators_run_is_answered_with_the_cli(cli: GlobusCli, context: TaskContext) -> None:
    cli.sandbox.add_flow("Approval", APPROVAL)
    body = {"respondents": [f"urn:globus:auth:identity:{cli.sandbox.client_id}"]}
    operator = GlobusRunFlowOperator(**QUICK, flow="Approval", body=body, wait_for_completion=False)
    run_id = operator.execute(context)["run_id"]
    asked = cli.sandbox.world.flows.wait_for_question(run_id)
    (listed,) = cli.json("flows", "web-input", "list")["web_input_summaries"]
    assert listed["id"] == asked.id
    option = cli.json("flows", "web-input", "show", asked.id)["options"][0]["option_id"]
    cli.text("flows", "web-input", "respond", asked.id, option)
    sensor = GlobusFlowRunSensor(task_id="s", run_id=run_id, poke_interval=0.05)
    assert sensor.execute(context)["answer"]["response"] == "yes"


def test_a_flow_of_the_cli_is_found_by_its_title_and_left_as_it_is(cli: GlobusCli, context: TaskContext) -> None:
    made = cli.json("flows", "create", "Hello", json.dumps(HELLO))["id"]
    result = GlobusDeployFlowOperator(task_id="t", title="Hello", definition=HELLO).execute(context)
    assert (result["flow_id"], result["action"]) == (made, "unchanged")


def test_a_record_of_the_cli_is_found(cli: GlobusCli, tmp_path: Path, context: TaskContext) -> None:
    index = cli.sandbox.add_search_index("catalogue")
    entry = {"subject": "s1", "visible_to": ["public"], "content": {"title": "Diatom"}}
    document = tmp_path / "document.json"
    document.write_text(json.dumps({"ingest_type": "GMetaEntry", "ingest_data": entry}))
    cli.text("search", "ingest", index.id, str(document))
    query = GlobusSearchQueryOperator(task_id="t", index="catalogue", q="diatom")
    assert query.execute(context)["records"] == [{"subject": "s1", "content": {"title": "Diatom"}}]


def test_a_collection_of_the_cli_is_found_by_its_name(
    cli: GlobusCli, source: CollectionFolder, target: CollectionFolder, context: TaskContext
) -> None:
    cli.text("gcs", "collection", "update", source.id, "--allow-guest-collections")
    gateway = cli.json("gcs", "collection", "show", source.id)["storage_gateway_id"]
    me = f"{cli.sandbox.client_id}@clients.auth.globus.org"
    cli.text("gcs", "user-credential", "create", "posix", ENDPOINT_ID, gateway, me, cli.sandbox.client_id)
    guest = cli.json("gcs", "collection", "create", "guest", source.id, "/run", "Made by hand")["id"]
    assert GlobusHook().resolve_collection("Made by hand") == guest
    result = transfer(source_collection="Made by hand", source_path="/").execute(context)
    assert cli.json("task", "show", result["task_id"])["source_endpoint_id"] == guest
    assert (target.folder / "copy/a.dat").read_text() == "aaaa"
