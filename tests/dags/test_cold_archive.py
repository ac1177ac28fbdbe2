"""Cold storage: what has changed in the archive is found before anything is deleted at home."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.operators.manifests import GlobusVerifyManifestOperator
from airflow_provider_globus.sandbox.demo.checks import digests
from airflow_provider_globus.sandbox.demo.scenarios import cold_archive

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import DAG

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.demo.s3 import S3Server

    Run = Callable[[DAG, dict[str, Any]], tuple[str, dict[str, Any]]]

DAMAGED = f"cold/{cold_archive.DATASET}/metadata/angles.csv"


@pytest.fixture
def demo(globus_sandbox: GlobusSandbox, s3: S3Server, tmp_path: Path) -> cold_archive.Demo:
    demo = cold_archive.Demo(tmp_path, globus_sandbox, s3)
    demo.prepare()
    return demo


@pytest.fixture
def dag(example_dags: Path, load: Callable[[Path], dict[str, DAG]]) -> DAG:
    return load(example_dags / "cold_archive.py")["cold_archive"]


def test_a_rotten_object_stops_the_pruning(demo: cold_archive.Demo, dag: DAG, run: Run) -> None:
    keeping = {**demo.conf, "keep_days": 365}
    assert run(dag, keeping)[0] == "success"
    assert digests(demo.dataset) == demo.originals
    # The file is gone at home, so that no copy mends the archive, whose bytes rot: same name, same size.
    (demo.dataset / "metadata" / "angles.csv").unlink()
    found = demo.s3.client.get_object(Bucket=cold_archive.BUCKET, Key=DAMAGED)["Body"].read()
    demo.s3.client.put_object(Bucket=cold_archive.BUCKET, Key=DAMAGED, Body=b"?" + found[1:])
    before = digests(demo.dataset)
    # Globus would try again for a day, and the operator for a minute.
    verify = dag.get_task("verify")
    assert isinstance(verify, GlobusVerifyManifestOperator)
    verify.stuck_grace = 1.0
    state, results = run(dag, demo.conf)
    assert state == "failed"
    assert results["write_manifest"]["action"] == "unchanged"
    assert "prune_project" not in results
    assert digests(demo.dataset) == before


def test_without_reading_back_names_and_sizes_are_compared(demo: cold_archive.Demo, dag: DAG, run: Run) -> None:
    state, results = run(dag, {**demo.conf, "read_back": False})
    assert state == "success"
    assert (results["verify"]["proof"], results["verify"]["files"]) == ("size", len(demo.originals))
    assert list(digests(demo.dataset)) == [cold_archive.YOUNG]


def test_an_object_that_nobody_copied_has_no_checksum(demo: cold_archive.Demo, dag: DAG, run: Run) -> None:
    demo.s3.client.put_object(Bucket=cold_archive.BUCKET, Key=f"cold/{cold_archive.DATASET}/stray.bin", Body=b"stray")
    state, results = run(dag, demo.conf)
    assert state == "failed"
    assert results["list_archive"]["files"] == len(demo.originals) + 1
    assert "merge" not in results
    assert digests(demo.dataset) == demo.originals
