"""A dataset is copied, checked, reviewed by a person, and published: everybody may read it, and a search finds it.

Airflow copies the dataset to the staging area and checks it. A flow does what a lab may also do without Airflow: it
copies the dataset to where it is shared, lets the reviewers look at it, asks them, and catalogues it. The DAG deploys
that flow from the files in `flows/`, runs it, waits for as long as the reviewers take, and proves by a search that the
dataset is found.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_globus.operators.collections import GlobusListOperator
from airflow_provider_globus.operators.flow_runs import GlobusRunFlowOperator
from airflow_provider_globus.operators.flows import GlobusDeployFlowOperator
from airflow_provider_globus.operators.search import GlobusSearchQueryOperator
from airflow_provider_globus.operators.transfer import GlobusTransferOperator

CONNECTION = "globus_default"
ON_INSTRUMENT = "{{ params.instrument_folder }}/{{ params.dataset }}/"
IN_STAGING = "{{ params.staging_folder }}/{{ params.dataset }}/"
# A version has a folder of its own, so that no reviewed version changes under its readers. The collection `published`
# is a guest collection: its paths begin at its own root.
PUBLISHED = "/{{ params.dataset }}/v{{ params.version }}/"

with DAG(
    dag_id="publish_dataset",
    description="Copy → check → flow (copy, review by a person, share, catalogue) → found by a search",
    doc_md=f"""
{__doc__}

| task | what it does |
|---|---|
| `to_staging` | copies the dataset from the instrument to the staging area, checksums verified |
| `list_files` | lists what has arrived |
| `check` | refuses a dataset without README or without data, and describes it for the catalogue |
| `deploy_flow` | creates the flow, changes what differs, or does nothing |
| `publish` | runs the flow and waits for the reviewers, without holding a worker; the log says where to answer |
| `find` | searches the catalogue for the dataset |
| `report` | says what was published where |

**To run it with your own data**, make a connection `globus_default` of type *Globus* with the client id and secret of
your service account. Under *Collections* it needs an id for `instrument`, `staging` and `published` (a guest
collection on which the service account is access manager), under *Search indexes* one for `catalogue`, to which the
service account may write. Without a Globus subscription an identity may have one flow, for 30 days: set *subscription*.

**The reviewers** answer in the Globus web app, where the log of `publish` leads. If they reject the dataset, the task
fails for good. If nobody answers in time it fails as well; clear it to ask anew.
""",
    schedule=None,
    catchup=False,
    tags=["globus", "example"],
    default_args={
        "globus_conn_id": CONNECTION,
        "deferrable": True,
        "poll_interval": 5,
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
    },
    params={
        "dataset": Param("forams_2026", type="string", minLength=1, pattern=r"^\w[\w.-]*$", title="Dataset"),
        "version": Param(1, type="integer", minimum=1),
        "title": Param("Foraminifera, synchrotron tomography", type="string", minLength=1),
        "creators": Param(["Ada Lovelace"], type="array", minItems=1, items={"type": "string"}),
        "description": Param("Eight shells, scanned at 22.5 keV.", type="string"),
        "reviewers": Param("reviewer@example.edu", type="string", description="Globus username, or URN of a group"),
        "readers": Param("all_authenticated_users", enum=["all_authenticated_users", "anonymous"]),
        "subscription": Param(None, type=["null", "string"], description="Globus subscription id, or DEFAULT"),
        "instrument_folder": Param("/data", type="string", pattern="^/.*[^/]$"),
        "staging_folder": Param("/staging", type="string", pattern="^/.*[^/]$"),
    },
    render_template_as_native_obj=True,
) as dag:
    to_staging = GlobusTransferOperator(
        task_id="to_staging",
        source_collection="instrument",
        source_path=ON_INSTRUMENT,
        destination_collection="staging",
        destination_path=IN_STAGING,
        recursive=True,
        sync_level="checksum",
        task_label="{{ params.dataset }} to staging",
    )
    list_files = GlobusListOperator(task_id="list_files", collection="staging", path=IN_STAGING, recursive=True)

    @task
    def check(listing: Any, published_path: str, **context: Any) -> dict[str, Any]:
        """Refuse what is no dataset; describe what is one, for the catalogue."""
        from airflow_provider_globus.exceptions import GlobusInputError
        from airflow_provider_globus.hooks.globus import GlobusHook

        params = context["params"]
        files = [entry for entry in listing if entry["type"] == "file"]
        readme = [entry for entry in files if entry["name"].upper().startswith("README")]
        if not readme or len(readme) == len(files):
            raise GlobusInputError(
                f"{params['dataset']} has {len(readme)} README files, and {len(files) - len(readme)} of data.",
                advice="A dataset needs both: add what is missing at the instrument, and run again.",
            )
        hook = GlobusHook(CONNECTION)
        collection = hook.resolve_collection("published")
        content = {
            **{name: params[name] for name in ("dataset", "version", "title", "creators", "description")},
            "files": len(files),
            "bytes": sum(entry["size"] for entry in files),
            "url": f"https://app.globus.org/file-manager?origin_id={collection}&origin_path={published_path}",
            "published_by": context["run_id"],
        }
        subject = f"globus://{collection}{published_path}"
        record = {"subject": subject, "visible_to": ["public"], "content": content}
        return {"index": hook.search_index("catalogue"), "record": record}

    checked = check(list_files.output, PUBLISHED)

    deploy_flow = GlobusDeployFlowOperator(
        task_id="deploy_flow",
        title="Publish a dataset",
        definition="flows/publish_dataset.yaml",
        input_schema="flows/publish_dataset_input.yaml",
        description="Copies a dataset to where it is shared, has a person look at it, and catalogues it.",
        keywords=["publication", "review"],
        subscription_id="{{ params.subscription }}",
    )
    publish = GlobusRunFlowOperator(
        task_id="publish",
        flow="{{ ti.xcom_pull('deploy_flow')['flow_id'] }}",
        # The flow's schema says which of these are collections and people: those may be given by alias and username.
        body={
            "source": {"id": "staging", "path": IN_STAGING},
            "destination": {"id": "published", "path": PUBLISHED},
            "reviewers": "{{ params.reviewers }}",
            "readers": "{{ params.readers }}",
            "index": "{{ ti.xcom_pull('check')['index'] }}",
            "record": "{{ ti.xcom_pull('check')['record'] }}",
        },
        run_label="Publish {{ params.dataset }} v{{ params.version }}",
        tags=["airflow"],
        output_path="$.Publication",
        # Who has said no is not to be asked again.
        final_errors=["Rejected"],
        execution_timeout=timedelta(days=30),
    )
    find = GlobusSearchQueryOperator(
        task_id="find",
        index="catalogue",
        filters=[{"type": "match_all", "field_name": "published_by", "values": ["{{ run_id }}"]}],
        fail_when_empty=True,
    )

    @task
    def report(found: Any, publication: Any) -> dict[str, Any]:
        """Say what was published, and where."""
        (published,) = found["records"]
        content = published["content"]
        return {"subject": published["subject"], "decision": publication["decision"], **content}

    to_staging >> list_files
    [checked, deploy_flow] >> publish >> find
    report(find.output, publish.output)
