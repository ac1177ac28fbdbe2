"""An S3 bucket behind Globus, from nothing to a shared folder, proven by a round trip, audited, and taken down again.

Every task describes what shall be there. What is missing is created, what differs is changed, and nothing is done when
nothing differs: run the DAG as often as you like, for example nightly, to keep a gateway as it is written here. A run
with *Tear down* takes everything down again, in the right order; the objects in the bucket stay.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, task
from airflow.sdk.exceptions import AirflowSkipException

from airflow_provider_globus.operators.access_rules import GlobusCreateAccessRuleOperator
from airflow_provider_globus.operators.collections import GlobusMkdirOperator
from airflow_provider_globus.operators.gateway_audit import GlobusStorageGatewayAuditOperator
from airflow_provider_globus.operators.gcs_collections import (
    GlobusCreateGuestCollectionOperator,
    GlobusCreateMappedCollectionOperator,
    GlobusDeleteCollectionOperator,
)
from airflow_provider_globus.operators.storage_gateways import (
    GlobusCreateStorageGatewayOperator,
    GlobusDeleteStorageGatewayOperator,
)
from airflow_provider_globus.operators.transfer import GlobusTransferOperator
from airflow_provider_globus.operators.user_credentials import (
    GlobusCreateUserCredentialOperator,
    GlobusDeleteUserCredentialOperator,
)

CONNECTION = "globus_default"
GATEWAY = "{{ params.name }} gateway"
MAPPED = "{{ ti.xcom_pull('mapped_collection')['collection_id'] }}"
GUEST = "{{ ti.xcom_pull('guest_collection')['collection_id'] }}"
PROOF = "{{ params.proof_folder }}/"
RETURNED = "{{ params.returned_folder }}/"


def only_to_tear_down(context: Any) -> None:
    """Skip what takes something down, unless this run is to."""
    if not context["params"]["tear_down"]:
        raise AirflowSkipException("Everything stays: run with the param tear_down to take it down.")


with DAG(
    dag_id="s3_gateway_lifecycle",
    description="S3 gateway → mapped collection → credential → guest collection → share → round trip → audit",
    doc_md=f"""
{__doc__}

| task | what it does |
|---|---|
| `storage_gateway` | puts the S3 service behind the Connect Server endpoint, with its access policy |
| `mapped_collection` | makes the bucket a collection, protected against deletion and anonymous writes |
| `user_credential` | registers the S3 keys of an Airflow connection for the service account |
| `shared_folder` | makes the folder that is shared |
| `guest_collection` | makes that folder a collection of its own |
| `share` | lets a collaborator read it, for a time |
| `to_bucket`, `from_bucket` | send files there and fetch them back, checksums compared at both ends |
| `compare` | fails unless what came back is what was sent |
| `audit` | compares the gateway and its collections with `policies/s3_gateway.yaml`, and fails on drift |
| `remove_…` | with *Tear down*: take everything down again; without it they are skipped |

**To run it with your own data**, make a connection `globus_default` of type *Globus* with the client id and secret of
your service account, which needs the role *administrator* on your Connect Server endpoint, and an alias `staging` under
*Collections*; and a connection of type *Amazon Web Services* with an S3 key pair, `s3_archive`. The keys are sent to
your Connect Server and nowhere else: they show in no log, XCom or rendered template.
""",
    schedule=None,
    catchup=False,
    tags=["globus", "example", "s3"],
    default_args={
        "globus_conn_id": CONNECTION,
        "deferrable": True,
        "poll_interval": 5,
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
    },
    params={
        "endpoint": Param(
            "00000000-0000-0000-0000-000000000000",
            type="string",
            format="uuid",
            title="Endpoint",
            description="UUID of the Globus Connect Server endpoint",
        ),
        "name": Param(
            "Research archive", type="string", minLength=1, description="What gateway and collections are called"
        ),
        "s3_endpoint": Param("https://s3.amazonaws.com", type="string", pattern="^https?://"),
        "bucket": Param("research-archive", type="string", pattern="^[a-z0-9.-]{3,63}$"),
        "shared_prefix": Param(
            "shared", type="string", pattern=r"^\w[\w.-]*$", description="Folder of the bucket to share"
        ),
        "s3_connection": Param("s3_archive", type="string", description="Airflow connection with the S3 keys"),
        "allowed_domains": Param(
            ["clients.auth.globus.org"],
            type="array",
            items={"type": "string"},
            minItems=1,
            description="Domains whose identities may use the gateway; service accounts are of clients.auth.globus.org",
        ),
        "collaborator": Param("collaborator@example.edu", type="string", description="Globus username or identity id"),
        "share_days": Param(90, type="integer", minimum=1),
        "proof_folder": Param("/proof", type="string", pattern="^/.*[^/]$", description="On the collection `staging`"),
        "returned_folder": Param("/returned", type="string", pattern="^/.*[^/]$"),
        "tear_down": Param(False, type="boolean", title="Tear down"),
    },
    render_template_as_native_obj=True,
) as dag:
    storage_gateway = GlobusCreateStorageGatewayOperator(
        task_id="storage_gateway",
        endpoint="{{ params.endpoint }}",
        display_name=GATEWAY,
        connector="S3",
        policies={
            "s3_endpoint": "{{ params.s3_endpoint }}",
            "s3_buckets": ["{{ params.bucket }}"],
            "s3_user_credential_required": True,
        },
        allowed_domains="{{ params.allowed_domains }}",
    )
    mapped_collection = GlobusCreateMappedCollectionOperator(
        task_id="mapped_collection",
        endpoint="{{ params.endpoint }}",
        storage_gateway="{{ ti.xcom_pull('storage_gateway')['storage_gateway_id'] }}",
        display_name="{{ params.name }}",
        collection_base_path="/{{ params.bucket }}",
        public=False,
        allow_guest_collections=True,
        disable_anonymous_writes=True,
        delete_protected=True,
        enable_https=True,
        keywords=["s3", "archive"],
    )
    user_credential = GlobusCreateUserCredentialOperator(
        task_id="user_credential",
        endpoint="{{ params.endpoint }}",
        storage_gateway="{{ ti.xcom_pull('storage_gateway')['storage_gateway_id'] }}",
        credentials_conn_id="{{ params.s3_connection }}",
        display_name="{{ params.name }} keys",
    )
    shared_folder = GlobusMkdirOperator(
        task_id="shared_folder", collection=MAPPED, path="/{{ params.shared_prefix }}", exist_ok=True
    )
    guest_collection = GlobusCreateGuestCollectionOperator(
        task_id="guest_collection",
        mapped_collection=MAPPED,
        display_name="{{ params.name }}, shared",
        collection_base_path="/{{ params.shared_prefix }}",
        user_credential_id="{{ ti.xcom_pull('user_credential')['user_credential_id'] }}",
        public=False,
    )
    share = GlobusCreateAccessRuleOperator(
        task_id="share",
        collection=GUEST,
        path="/",
        principal="{{ params.collaborator }}",
        permissions="r",
        # To the day, so that a second run on the same day changes nothing.
        expiration_date="{{ (dag_run.run_after + macros.timedelta(days=params.share_days)).date().isoformat() }}",
    )

    to_bucket = GlobusTransferOperator(
        task_id="to_bucket",
        source_collection="staging",
        source_path=PROOF,
        destination_collection=GUEST,
        destination_path="/proof/",
        task_label="{{ params.name }}: there",
        recursive=True,
        sync_level="checksum",
    )
    from_bucket = GlobusTransferOperator(
        task_id="from_bucket",
        source_collection=GUEST,
        source_path="/proof/",
        destination_collection="staging",
        destination_path=RETURNED,
        task_label="{{ params.name }}: and back",
        recursive=True,
        sync_level="checksum",
    )

    @task
    def compare(sent_path: str, returned_path: str) -> dict[str, int]:
        """Fail unless both folders hold the same files; their checksums were compared when they were moved."""
        from airflow_provider_globus.exceptions import GlobusInputError
        from airflow_provider_globus.hooks.files import walk
        from airflow_provider_globus.hooks.globus import GlobusHook

        hook = GlobusHook(CONNECTION)
        staging = hook.use_collection("staging")
        sent, returned = (
            {name: entry["size"] for name, entry in walk(hook, staging, path) if entry["type"] == "file"}
            for path in (sent_path, returned_path)
        )
        if not sent or any(returned.get(name) != size for name, size in sent.items()):
            raise GlobusInputError(
                f"{len(sent)} files were sent to the bucket, {len(returned)} are back, and they are not the same.",
                advice=f"Compare {sent_path} with {returned_path} on the collection 'staging'.",
            )
        return {"files": len(sent), "bytes": sum(sent.values())}

    compared = compare(PROOF, RETURNED)
    audit = GlobusStorageGatewayAuditOperator(
        task_id="audit",
        endpoint="{{ params.endpoint }}",
        storage_gateway="{{ ti.xcom_pull('storage_gateway')['storage_gateway_id'] }}",
        policy="policies/s3_gateway.yaml",
    )

    down: dict[str, Any] = {"pre_execute": only_to_tear_down}
    remove_guest_collection = GlobusDeleteCollectionOperator(
        task_id="remove_guest_collection", collection=GUEST, **down
    ).as_teardown(setups=guest_collection)
    remove_user_credential = GlobusDeleteUserCredentialOperator(
        task_id="remove_user_credential",
        endpoint="{{ params.endpoint }}",
        storage_gateway=GATEWAY,
        **down,
    ).as_teardown(setups=user_credential)
    remove_mapped_collection = GlobusDeleteCollectionOperator(
        task_id="remove_mapped_collection", collection=MAPPED, remove_protection=True, **down
    ).as_teardown(setups=mapped_collection)
    remove_storage_gateway = GlobusDeleteStorageGatewayOperator(
        task_id="remove_storage_gateway",
        endpoint="{{ params.endpoint }}",
        storage_gateway=GATEWAY,
        **down,
    ).as_teardown(setups=storage_gateway)

    storage_gateway >> [mapped_collection, user_credential] >> shared_folder >> guest_collection >> share
    share >> to_bucket >> from_bucket >> compared >> audit
    audit >> remove_guest_collection >> [remove_user_credential, remove_mapped_collection] >> remove_storage_gateway
