"""From an instrument's disk to HPC scratch, to an archive in S3 and to a collaborator; then the disk is freed.

The DAG names collections by alias: `instrument`, `scratch`, `archive` and `results` stand for whatever the
connection's `collections` say. The same file therefore runs on the sandbox and on your own collections; only the
connection `globus_default` differs.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from airflow_provider_globus.operators.access_rules import GlobusCreateAccessRuleOperator
from airflow_provider_globus.operators.prune import GlobusSafePruneOperator
from airflow_provider_globus.operators.transfer import GlobusTransferOperator
from airflow_provider_globus.sensors.path import GlobusPathSensor

# Where an acquisition is at each station. The archive files by month, as of the run, so that a cleared task finds
# the same folder again.
RUN_FOLDER = "{{ dag_run.run_after.strftime('%Y-%m') }}/{{ params.acquisition }}"
ON_INSTRUMENT = "{{ params.instrument_folder }}/{{ params.acquisition }}/"
ON_SCRATCH = "{{ params.scratch_folder }}/{{ params.acquisition }}/"
IN_ARCHIVE = "{{ params.archive_folder }}/" + RUN_FOLDER + "/"
# The collection `results` is a guest collection on `archive_folder`, so paths in it start there.
IN_RESULTS = "/" + RUN_FOLDER + "/"

with DAG(
    dag_id="instrument_to_archive",
    description="Instrument → HPC scratch → S3 archive → collaborator → safe prune",
    doc_md=f"""
{__doc__}

| task | what it does |
|---|---|
| `wait_for_acquisition` | waits until the instrument writes its marker file, without holding a worker |
| `to_scratch` | copies the acquisition to the supercomputer's scratch, checksums verified |
| `to_archive` | copies it from scratch to the S3-backed archive, so the instrument's uplink is used once |
| `share_results` | lets a collaborator read the archived folder, until the share expires |
| `prune_instrument` | deletes from the instrument the old enough files whose checksums proved to be elsewhere |

**To run it on your collections**, make a connection `globus_default` of type *Globus* with the client id and secret of
your service account and, under *Collections*, an id for each of the four aliases. The service account needs write
access to `scratch`, `archive` and `instrument`, and the access manager role on `results`.

**Many runs at once**: Globus works on three transfers of an identity at a time and queues a hundred. Make a pool
(`airflow pools set globus 50 "Globus transfers" --include-deferred`) and add `"pool": "globus"` to `default_args`.
""",
    schedule=None,
    catchup=False,
    tags=["globus", "example"],
    default_args={
        "globus_conn_id": "globus_default",
        "deferrable": True,
        "poll_interval": 5,
        "poke_interval": 5,
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
    },
    params={
        "acquisition": Param("scan_0042", type="string", minLength=1, pattern=r"^\w[\w.-]*$", title="Acquisition"),
        "marker": Param("acquisition.done", type="string", description="File the instrument writes last"),
        "instrument_folder": Param("/data", type="string", pattern="^/.*[^/]$"),
        "scratch_folder": Param("/scratch/beamline", type="string", pattern="^/.*[^/]$"),
        "archive_folder": Param("/acquisitions", type="string", pattern="^/.*[^/]$"),
        "collaborator": Param("collaborator@example.edu", type="string", description="Globus username or identity id"),
        "share_days": Param(90, type="integer", minimum=1, description="How long the collaborator may read"),
        "keep_days": Param(14, type="integer", minimum=0, description="Younger files stay on the instrument"),
    },
) as dag:
    wait_for_acquisition = GlobusPathSensor(
        task_id="wait_for_acquisition",
        collection="instrument",
        path=ON_INSTRUMENT,
        marker="{{ params.marker }}",
        timeout=timedelta(hours=12).total_seconds(),
    )
    to_scratch = GlobusTransferOperator(
        task_id="to_scratch",
        source_collection="instrument",
        source_path=ON_INSTRUMENT,
        destination_collection="scratch",
        destination_path=ON_SCRATCH,
        recursive=True,
        task_label="{{ params.acquisition }} to scratch",
        sync_level="checksum",
        verify_checksum=True,
        preserve_timestamp=True,
        encrypt_data=True,
    )
    to_archive = GlobusTransferOperator(
        task_id="to_archive",
        source_collection="scratch",
        source_path=ON_SCRATCH,
        destination_collection="archive",
        destination_path=IN_ARCHIVE,
        recursive=True,
        task_label="{{ params.acquisition }} to archive",
        sync_level="checksum",
        verify_checksum=True,
        encrypt_data=True,
    )
    share_results = GlobusCreateAccessRuleOperator(
        task_id="share_results",
        collection="results",
        path=IN_RESULTS,
        principal="{{ params.collaborator }}",
        permissions="r",
        expiration_date="{{ (dag_run.run_after + macros.timedelta(days=params.share_days)).isoformat() }}",
    )
    # Scratch, not the archive, because that is the transfer that read the instrument: it lists every file whose
    # checksum it compared. That the archive has the same files is what `to_archive` succeeded in before.
    prune_instrument = GlobusSafePruneOperator(
        task_id="prune_instrument",
        collection="instrument",
        path=ON_INSTRUMENT,
        copy_collection="scratch",
        copy_path=ON_SCRATCH,
        verified_by=to_scratch.output,
        older_than_days="{{ params.keep_days }}",
        task_label="{{ params.acquisition }} off the instrument",
    )

    wait_for_acquisition >> to_scratch >> to_archive >> [share_results, prune_instrument]
