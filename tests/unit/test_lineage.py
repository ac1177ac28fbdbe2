"""What OpenLineage is told, by its own extractors."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("airflow.providers.openlineage", reason="OpenLineage is an extra")

from airflow.providers.openlineage.extractors.manager import ExtractorManager
from airflow.sdk import Asset
from airflow.utils.state import TaskInstanceState
from openlineage.client.serde import Serde

from airflow_provider_globus.operators.compute import GlobusComputeOperator
from airflow_provider_globus.operators.transfer import GlobusDeleteOperator, GlobusTransferOperator

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import (
        CollectionFactory,
        CollectionFolder,
        ComputeEndpointFactory,
    )
    from tests.unit.conftest import TaskContext

WAITING: dict[str, Any] = {"deferrable": False, "poll_interval": 0.05}


@pytest.fixture
def source(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("instrument", files={"run1/a.dat": "aaaa", "run1/b.dat": "bb"}, kind="personal")


@pytest.fixture
def target(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("scratch", kind="personal")


def told(operator: Any, state: TaskInstanceState = TaskInstanceState.SUCCESS) -> dict[str, Any]:
    """What the provider extracts of an operator, as the JSON it sends."""
    manager = ExtractorManager()
    instance: Any = SimpleNamespace(
        run_id="a_run", dag_id="a_dag", task_id=operator.task_id, map_index=-1, try_number=1
    )
    metadata = manager.extract_metadata(instance, operator, state, task_instance=instance)
    return {
        "inputs": [Serde.to_dict(dataset) for dataset in metadata.inputs],
        "outputs": [Serde.to_dict(dataset) for dataset in metadata.outputs],
        "run": {name: Serde.to_dict(facet) for name, facet in metadata.run_facets.items()},
    }


def names(datasets: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(dataset["namespace"], dataset["name"]) for dataset in datasets]


def test_a_transfer_tells_both_ends_and_what_it_moved(
    source: CollectionFolder, target: CollectionFolder, context: TaskContext, globus_sandbox: GlobusSandbox
) -> None:
    ends: dict[str, Any] = {"source_collection": "instrument", "destination_collection": target.id}
    operator = GlobusTransferOperator(task_id="move", source_path="/run1/", destination_path="/raw/", **ends, **WAITING)
    result = operator.execute(context)
    calls = globus_sandbox.journal.count()
    lineage = told(operator)
    assert globus_sandbox.journal.count() == calls
    assert names(lineage["inputs"]) == [(f"globus://{source.id}", "/run1")]
    assert names(lineage["outputs"]) == [(f"globus://{target.id}", "/raw")]
    statistics = lineage["outputs"][0]["outputFacets"]["outputStatistics"]
    assert (statistics["size"], statistics["fileCount"]) == (6, 2)
    assert lineage["inputs"][0]["facets"]["globusCollection"]["name"] == "instrument"
    job = lineage["run"]["globus"]["job"]
    assert (job["service"], job["task_id"], job["bytes"]) == ("transfer", result["task_id"], 6)


def test_several_files_are_several_datasets(
    source: CollectionFolder, target: CollectionFolder, context: TaskContext
) -> None:
    ends: dict[str, Any] = {"source_collection": source.id, "destination_collection": target.id}
    items = [["/run1/a.dat", "/a.dat"], ["/run1/b.dat", "/b.dat"]]
    operator = GlobusTransferOperator(task_id="move", items=items, **ends, **WAITING)
    operator.execute(context)
    lineage = told(operator)
    assert [name for _, name in names(lineage["outputs"])] == ["/a.dat", "/b.dat"]
    assert not any(dataset.get("outputFacets") for dataset in lineage["outputs"])


def test_what_is_deleted_is_dropped(source: CollectionFolder, context: TaskContext) -> None:
    operator = GlobusDeleteOperator(task_id="prune", collection=source.id, paths=["/run1/a.dat"], **WAITING)
    operator.execute(context)
    (output,) = told(operator)["outputs"]
    assert (output["namespace"], output["name"]) == (f"globus://{source.id}", "/run1/a.dat")
    assert output["facets"]["lifecycleStateChange"]["lifecycleStateChange"] == "DROP"


def test_a_function_reads_and_writes_what_its_author_says(
    globus_compute_endpoint: ComputeEndpointFactory, source: CollectionFolder, context: TaskContext
) -> None:
    endpoint = globus_compute_endpoint()
    operator = GlobusComputeOperator(
        task_id="count",
        endpoint=endpoint.id,
        python_callable="builtins:len",
        op_args=[[1, 2]],
        inlets=[Asset("globus://instrument/raw"), Asset("file:///lists/scans.csv")],
        outlets=[Asset("globus://scratch/results")],
        **WAITING,
    )
    assert operator.execute(context) == 2
    lineage = told(operator)
    # Aliases of the connection are the collections that transfers write to.
    assert names(lineage["inputs"]) == [(f"globus://{source.id}", "/raw"), ("file", "/lists/scans.csv")]
    assert names(lineage["outputs"]) == [("globus://scratch", "/results")]
    assert lineage["run"]["globus"]["job"]["service"] == "compute"
    assert len(lineage["run"]["globus"]["job"]["job_ids"]) == 1


def test_a_job_that_did_not_succeed_tells_nothing(source: CollectionFolder, target: CollectionFolder) -> None:
    ends: dict[str, Any] = {"source_collection": source.id, "destination_collection": target.id}
    operator = GlobusTransferOperator(task_id="move", source_path="/gone", destination_path="/x", **ends, **WAITING)
    lineage = told(operator, TaskInstanceState.FAILED)
    assert lineage["inputs"] == lineage["outputs"] == []
