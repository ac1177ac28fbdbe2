"""The tomography pipeline rejects what it should, and says so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.sandbox.demo.checks import digests
from airflow_provider_globus.sandbox.demo.scenarios import tomography

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import DAG

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.demo.s3 import S3Server


@pytest.fixture
def demo(globus_sandbox: GlobusSandbox, s3: S3Server, tmp_path: Path) -> tomography.Demo:
    demo = tomography.Demo(tmp_path, globus_sandbox, s3)
    demo.prepare()
    return demo


def test_a_dim_scan_is_rejected_and_filed_with_its_figures(
    demo: tomography.Demo,
    example_dags: Path,
    load: Callable[[Path], dict[str, DAG]],
    run: Callable[[DAG, dict[str, Any]], tuple[str, dict[str, Any]]],
) -> None:
    tomography.write_scan(demo.scan, photons=500)
    demo.while_running({"wait_for_scan": "deferred"})
    state, results = run(load(example_dags / "tomography.py")["tomography"], demo.conf)
    assert state == "success"
    assert "to_rejected" in results
    assert not {"bin_volume", "draw_slice", "to_results"} & results.keys()
    assert results["report"]["verdict"] == "rejected"
    (shortcoming,) = results["report"]["shortcomings"]
    assert shortcoming.startswith("snr is 2.")

    filed = digests(demo.results)
    scan = {f"rejected/{tomography.SCAN}/{name}": digest for name, digest in demo.originals.items()}
    assert scan.items() <= filed.items()
    assert filed.keys() - scan.keys() == {
        f"rejected/{tomography.SCAN}/volume.npy",
        f"rejected/{tomography.SCAN}/products/figures.json",
    }
    assert results["report"]["files_transferred"] == len(filed)
