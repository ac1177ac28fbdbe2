"""S3 behind Globus: what the page's DAGs build, that it works both ways, and that drift is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_globus.operators.gcs_collections import GlobusCreateMappedCollectionOperator
from airflow_provider_globus.sandbox.demo.checks import digests
from airflow_provider_globus.sandbox.transfer.state import ENDPOINT_ID

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.demo.s3 import S3Server
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.docs.page import Page

BUCKET = "research-bucket"
SECRET = "not-to-be-seen-anywhere"
BUILT = ("gateway", "bucket", "keys", "shared")


def test_put_s3_behind_globus(
    page: Page, globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory, s3: S3Server
) -> None:
    staging = globus_collection("staging", files={"proof/a.dat": "aaaa", "proof/sub/ü.dat": "bb"})
    s3.create_bucket(BUCKET)
    page.replace("<access key id>", "AKIAEXAMPLE")
    page.replace("<secret access key>", SECRET)
    page.replace("<client UUID>", globus_sandbox.client_id)
    page.replace("<UUID of the Connect Server endpoint>", ENDPOINT_ID)
    page.replace("https://s3.amazonaws.com", s3.url)
    page.run()

    built = page.results("bucket_behind_globus")
    assert {name: built[name]["action"] for name in BUILT} == dict.fromkeys(BUILT, "created")
    assert (built["mapping"]["action"], built["mapping"]["proved"]) == ("updated", 2)
    assert (built["keys"]["username"], built["keys"]["s3_key_id"]) == ("pipeline", "AKIAEXAMPLE")
    assert built["audit"]["drift"] == []
    assert SECRET not in str(page.runs)

    listed = s3.client.list_objects_v2(Bucket=BUCKET)["Contents"]
    sent = {item["Key"] for item in listed if not item["Key"].endswith("/")}
    assert sent == {"shared/proof/a.dat", "shared/proof/sub/ü.dat"}
    proof = page.results("prove_the_bucket")["and_back"]
    assert (proof["ok"], proof["proof"], proof["files"]) == (True, "reread", 2)
    assert digests(staging.folder / "returned") == digests(staging.folder / "proof")

    again = page.run_dag("bucket_behind_globus").results
    assert {again[name]["action"] for name in (*BUILT, "mapping")} == {"unchanged"}

    # What the tasks speak of is put right.
    server = globus_sandbox.world.connect_server
    server.gateways[built["gateway"]["storage_gateway_id"]].fields["allowed_domains"].append("elsewhere.com")
    mended = page.run_dag("bucket_behind_globus").results
    assert (mended["gateway"]["changed"], mended["audit"]["drift"]) == (["allowed_domains"], [])

    # What they do not speak of is drift.
    by_hand = GlobusCreateMappedCollectionOperator(
        task_id="by_hand",
        endpoint=ENDPOINT_ID,
        storage_gateway="Research S3",
        display_name="A quick one",
        collection_base_path="/research-bucket",
    )
    by_hand.execute({})
    drifted = page.run_dag("bucket_behind_globus", ends="failed").results
    assert {drifted[name]["action"] for name in (*BUILT, "mapping")} == {"unchanged"}
    assert "audit" not in drifted
