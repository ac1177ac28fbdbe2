"""
What OpenLineage is told of a job at Globus.

A file or directory is the dataset with the namespace ``globus://<collection>`` and its path as the name. Outputs carry
``outputStatistics`` when there is one, what was deleted ``lifecycleStateChange``, and the run the facet ``globus``.

Imported only by Airflow's OpenLineage provider, which is then installed (``airflow-provider-globus[openlineage]``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attr
from airflow.providers.openlineage.extractors import OperatorLineage
from openlineage.client.generated.base import DatasetFacet, InputDataset, OutputDataset, RunFacet
from openlineage.client.generated.lifecycle_state_change_dataset import (
    LifecycleStateChange,
    LifecycleStateChangeDatasetFacet,
)
from openlineage.client.generated.output_statistics_output_dataset import OutputStatisticsOutputDatasetFacet

from airflow_provider_globus import __version__
from airflow_provider_globus.assets import SCHEME

if TYPE_CHECKING:
    from airflow_provider_globus.jobs.base import Verdict
    from airflow_provider_globus.operators.datasets import GlobusDatasetOperator, Place

_PRODUCER = f"https://github.com/airflow-provider-globus/airflow-provider-globus/tree/{__version__}"


@attr.define
class GlobusRunFacet(RunFacet):
    """The job: the service, ids, counts and choices that the operator tells; the same as in asset events."""

    job: dict[str, Any] = attr.field(factory=dict)
    _additional_skip_redact = ["job"]  # noqa: RUF012


@attr.define
class GlobusCollectionDatasetFacet(DatasetFacet):
    """The collection as the DAG's author names it."""

    name: str = attr.field(default="")


def lineage(operator: GlobusDatasetOperator, verdict: Verdict | None) -> OperatorLineage[Any, Any]:
    """
    Return what an operator has read and written.

    :param verdict: what its job has come to; ``None`` when it had nothing to do.
    """
    if verdict is None:
        return OperatorLineage()
    facts = operator.facts(verdict)
    written = operator.written()
    outputs = [OutputDataset(**_named(operator, place)) for place in written]
    if len(outputs) == 1 and "bytes" in facts:
        # Of several places, only the sum of all is known.
        statistics = OutputStatisticsOutputDatasetFacet(size=facts["bytes"], fileCount=facts.get("files_transferred"))
        outputs[0].outputFacets = {"outputStatistics": statistics}
    for place in operator.deleted():
        dataset = OutputDataset(**_named(operator, place))
        dropped = LifecycleStateChangeDatasetFacet(lifecycleStateChange=LifecycleStateChange.DROP)
        dataset.facets = {**(dataset.facets or {}), "lifecycleStateChange": dropped}
        outputs.append(dataset)
    return OperatorLineage(
        inputs=[InputDataset(**_named(operator, place)) for place in operator.read()],
        outputs=outputs,
        run_facets={"globus": GlobusRunFacet(job=facts, producer=_PRODUCER)},
    )


def _named(operator: GlobusDatasetOperator, place: Place) -> dict[str, Any]:
    collection = operator.hook.settings.collection_id(place.collection)
    facet = GlobusCollectionDatasetFacet(name=place.collection, producer=_PRODUCER)
    name = place.path.rstrip("/") or "/"
    return {"namespace": f"{SCHEME}://{collection}", "name": name, "facets": {"globusCollection": facet}}
