"""Going to production: the page's connection, which names no sandbox, drives the DAG as the page sets it up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.docs.page import Page


def test_go_to_production(page: Page, globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory) -> None:
    files = {f"data/{page.ds}/{name}": name for name in ("a.h5", "done")}
    instrument = globus_collection("Beamline 7", files=files, alias="unused")
    scratch = globus_collection("Scratch")
    page.replace("<client UUID>", globus_sandbox.client_id)
    page.replace("<client secret>", globus_sandbox.client_secret)
    page.replace("<UUID of the instrument>", instrument.id)
    page.replace("<UUID of the scratch>", scratch.id)
    page.run(until="airflow globus doctor")

    # Where Globus is, such a connection does not say: here the SDK's environment does, and only there is the sandbox.
    document = (page.folder / "connections.json").read_text()
    assert globus_sandbox.url not in document
    page.terminal.exported |= {
        "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": f"{page.folder}/connections.json"}),
        "AIRFLOW_CONN_GLOBUS_DEFAULT": None,
    }
    page.connect(json.dumps(json.loads(document)["globus_default"]))
    page.run()

    doctor = page.output("airflow globus doctor")
    assert "collection hpc scratch" in doctor
    assert "problem" not in doctor
    assert "globus_transfers" in page.terminal.bash("airflow pools get globus_transfers --output json")
    assert "copy" in page.output("airflow globus cost")
    assert page.results("nightly_copy")["copy"]["files_transferred"] == 2
    assert (scratch.folder / "scratch" / page.ds / "a.h5").exists()
