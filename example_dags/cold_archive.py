"""A project's data are moved to cold storage in S3: copied, written down, read back, and only then deleted at home.

The manifest in the archive lists every file with its size and the checksum that Globus found at both ends when it was
copied. Before anything is deleted, Globus reads all bytes of the archive again and compares them with that list. Run
the DAG as often as you like: new files are added, old ones leave the project folder once they are old enough, and when
nothing is new nothing changes.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_globus.operators.activity import GlobusActivityReportOperator
from airflow_provider_globus.operators.files import GlobusReadFileOperator, GlobusWriteFileOperator
from airflow_provider_globus.operators.manifests import GlobusCreateManifestOperator, GlobusVerifyManifestOperator
from airflow_provider_globus.operators.prune import GlobusSafePruneOperator
from airflow_provider_globus.operators.transfer import GlobusDeleteOperator, GlobusTransferOperator

PROJECT = "{{ params.project_folder }}/{{ params.dataset }}/"
IN_ARCHIVE = "{{ params.archive_folder }}/{{ params.dataset }}/"
MANIFEST = "{{ params.archive_folder }}/manifests/{{ params.dataset }}.json"
ON_SCRATCH = "{{ params.scratch_folder }}/{{ params.dataset }}/"

with DAG(
    dag_id="cold_archive",
    description="POSIX → S3 with a manifest of checksums → read back and verified → safe prune → activity report",
    doc_md=f"""
{__doc__}

| task | what it does |
|---|---|
| `to_archive` | copies what is new or changed, checksums compared at both ends |
| `list_archive` | lists the archived files, with the checksums of those that were just copied |
| `read_manifest` | reads the manifest of earlier runs |
| `merge` | one manifest of all; a file without a checksum fails it |
| `write_manifest` | writes it into the archive, if it differs |
| `verify` | has Globus read every archived file again, onto scratch, and compare it with the manifest |
| `clean_scratch` | deletes those copies |
| `prune_project` | deletes at home what is in the archive and older than *Keep days*; says why it keeps the rest |
| `report` | who moved what into and out of the archive since yesterday, and what is stuck |

**To run it with your own data**, make a connection `globus_default` of type *Globus* with the client id and secret of
your service account. Under *Collections* it needs an id for `project`, `archive` (HTTPS enabled, since the manifest is
a small file) and `scratch`. The service account has to be able to write to all three; for `report` it needs the role
*activity monitor* on the archive.

**Reading back** costs what your storage asks for it: switch it off with *Read back*, and `verify` compares names and
sizes only.
""",
    schedule=None,
    catchup=False,
    tags=["globus", "example", "s3"],
    default_args={
        "globus_conn_id": "globus_default",
        "deferrable": True,
        "poll_interval": 5,
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
    },
    params={
        "dataset": Param("forams_2026", type="string", minLength=1, pattern=r"^\w[\w.-]*$", title="Dataset"),
        "project_folder": Param("/project", type="string", pattern="^/.*[^/]$"),
        "archive_folder": Param("/cold", type="string", pattern="^/.*[^/]$"),
        "scratch_folder": Param("/verify", type="string", pattern="^/.*[^/]$"),
        "keep_days": Param(14, type="integer", minimum=0, title="Keep days", description="Younger files stay at home"),
        "read_back": Param(True, type="boolean", title="Read back", description="Compare all bytes of the archive"),
    },
    render_template_as_native_obj=True,
) as dag:
    to_archive = GlobusTransferOperator(
        task_id="to_archive",
        source_collection="project",
        source_path=PROJECT,
        destination_collection="archive",
        destination_path=IN_ARCHIVE,
        recursive=True,
        sync_level="checksum",
        verify_checksum=True,
        encrypt_data=True,
        task_label="{{ params.dataset }} to the archive",
    )
    list_archive = GlobusCreateManifestOperator(
        task_id="list_archive",
        collection="archive",
        path=IN_ARCHIVE,
        verified_by=to_archive.output,
        # What was not copied now has its checksum in the manifest of the run that copied it.
        require_checksums=False,
        limit=10_000,
    )
    read_manifest = GlobusReadFileOperator(
        task_id="read_manifest", collection="archive", path=MANIFEST, read_as="json", missing_ok=True
    )

    @task
    def merge(listed: Any, earlier: Any) -> list[dict[str, Any]]:
        """One manifest: the files there are now, each with the checksum of the transfer that copied it last."""
        from airflow_provider_globus.exceptions import GlobusVerificationError

        known = {entry["path"]: entry for entry in earlier["content"] or []}
        entries = [entry if "checksum" in entry else known.get(entry["path"], entry) for entry in listed["entries"]]
        unknown = [entry["path"] for entry in entries if "checksum" not in entry]
        if unknown:
            raise GlobusVerificationError(
                f"{len(unknown)} archived files have no checksum, for example {unknown[0]}.",
                advice="No transfer of this DAG has copied them: delete them in the archive, and they are copied anew.",
            )
        return entries

    manifest = merge(list_archive.output, read_manifest.output)
    write_manifest = GlobusWriteFileOperator(
        task_id="write_manifest", collection="archive", path=MANIFEST, content=manifest
    )
    verify = GlobusVerifyManifestOperator(
        task_id="verify",
        collection="archive",
        path=IN_ARCHIVE,
        manifest=manifest,
        reread_to="{{ {'collection': 'scratch', 'path': params.scratch_folder ~ '/' ~ params.dataset ~ '/'}"
        " if params.read_back else none }}",
        task_label="{{ params.dataset }} read back",
    )
    clean_scratch = GlobusDeleteOperator(
        task_id="clean_scratch",
        collection="scratch",
        paths=[ON_SCRATCH],
        recursive=True,
        ignore_missing=True,
        task_label="{{ params.dataset }} off scratch",
    )
    # Sizes are proof enough here: `to_archive` has just found every file at home the same as its copy, by checksum,
    # or has copied it.
    prune_project = GlobusSafePruneOperator(
        task_id="prune_project",
        collection="project",
        path=PROJECT,
        copy_collection="archive",
        copy_path=IN_ARCHIVE,
        older_than_days="{{ params.keep_days }}",
        task_label="{{ params.dataset }} off the project folder",
    )
    report = GlobusActivityReportOperator(task_id="report", collection="archive", since=timedelta(days=1))

    to_archive >> [list_archive, read_manifest]
    manifest >> write_manifest >> verify >> clean_scratch >> prune_project >> report
