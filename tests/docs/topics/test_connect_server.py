"""A bucket behind Globus: everything is created, and the second run finds nothing to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.demo.s3 import ACCESS_KEY_ID, SECRET_ACCESS_KEY

if TYPE_CHECKING:
    import pytest

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.demo.s3 import S3Server
    from tests.docs.page import Page


def test_bucket_behind_globus(
    page: Page, globus_sandbox: GlobusSandbox, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.create_bucket("research-bucket")
    # A folder of S3 is there when something is in it.
    s3.client.put_object(Bucket="research-bucket", Key="shared/README.md", Body=b"Shared with everybody")
    keys = {"conn_type": "aws", "login": ACCESS_KEY_ID, "password": SECRET_ACCESS_KEY}
    monkeypatch.setenv("AIRFLOW_CONN_S3_KEYS", json.dumps(keys))
    (page.folder / "mappings").mkdir()
    (page.folder / "mappings/research_s3.json").write_text(json.dumps(mapping(globus_sandbox.client_id)))
    page.replace("<UUID of the Connect Server endpoint>", globus_sandbox.world.transfer.endpoint.id)
    page.replace("https://s3.amazonaws.com", s3.url)
    page.run()
    created = page.results("bucket_behind_globus")
    tasks = ("gateway", "bucket", "keys", "shared")
    assert {task: created[task]["action"] for task in tasks} == dict.fromkeys(tasks, "created")
    assert (created["mapping"]["action"], created["mapping"]["proved"]) == ("updated", 2)
    assert SECRET_ACCESS_KEY not in json.dumps(created)
    again = page.run_dag("bucket_behind_globus").results
    assert {again[task]["action"] for task in (*tasks, "mapping")} == {"unchanged"}


def mapping(client_id: str) -> dict[str, Any]:
    """People of one domain keep their names, and the service account is a user of its own."""
    rules = [
        {"source": "{username}", "match": r"(.*)@example\.org", "output": "{0}"},
        {"source": "{username}", "match": rf"{client_id}@clients\.auth\.globus\.org", "output": "pipeline"},
    ]
    return {"DATA_TYPE": "expression_identity_mapping#1.0.0", "mappings": rules}
