"""Assets in whole DAGs: transfers fill the events of their outlets, and what an alias stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow.sdk import DAG

    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory

DAGS = """
from airflow.sdk import DAG, Asset, AssetAlias

from airflow_provider_globus.assets import globus_asset
from airflow_provider_globus.operators.transfer import GlobusTransferOperator

WAITING = {{"deferrable": {deferrable}, "poll_interval": 0.2, "worker_wait": 0}}
ENDS = {{"source_collection": "instrument", "destination_collection": "scratch"}}

with DAG("moving_{deferrable}", schedule=None) as dag:
    GlobusTransferOperator(
        task_id="directory",
        source_path="/run1/",
        destination_path="/raw/run1/",
        outlets=[globus_asset("scratch", "/raw"), Asset("s3://archive/raw"), globus_asset("instrument", "/raw")],
        **ENDS,
        **WAITING,
    ) >> GlobusTransferOperator(
        task_id="files",
        items=[["/run1/a.dat", "/copies/a b.dat"], ["/run1/b.dat", "/copies/b.dat"]],
        outlets=[AssetAlias("copies")],
        **ENDS,
        **WAITING,
    )
"""


def events(dag_id: str, task_id: str) -> dict[str, dict[str, Any]]:
    """The extras of the events that a task has caused, by URI."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        rows = select(AssetModel.uri, AssetEvent.extra).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        found = session.execute(rows.where(AssetEvent.source_dag_id == dag_id, AssetEvent.source_task_id == task_id))
        return {row.uri: row.extra for row in found}


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_transfer_says_what_it_has_brought(
    deferrable: bool,
    globus_collection: CollectionFactory,
    load: Callable[[Path], dict[str, DAG]],
    run: Callable[[DAG, dict[str, Any]], tuple[str, dict[str, Any]]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = globus_collection("instrument", files={"run1/a.dat": "aaaa", "run1/b.dat": "bb"}, kind="personal")
    scratch = globus_collection("scratch", kind="personal")
    file = tmp_path / "moving.py"
    file.write_text(DAGS.format(deferrable=deferrable))
    dag = load(file)[f"moving_{deferrable}"]
    state, results = run(dag, {})
    assert state == "success"
    found = events(dag.dag_id, "directory")
    facts = found["globus://scratch/raw"]
    assert facts["task_id"] == results["directory"]["task_id"]
    assert (facts["files"], facts["bytes"], facts["verify_checksum"]) == (2, 6, True)
    assert facts["source_collection"] == source.id
    # Of other kinds of assets only the author can know; what is no destination tells nothing.
    assert found["s3://archive/raw"] == facts
    assert found["globus://instrument/raw"] == {}
    copies = events(dag.dag_id, "files")
    assert set(copies) == {f"globus://{scratch.id}/copies/a%20b.dat", f"globus://{scratch.id}/copies/b.dat"}
    assert all(extra["task_id"] == results["files"]["task_id"] for extra in copies.values())
    assert "does not write to its outlet globus://instrument/raw" in capsys.readouterr().out
