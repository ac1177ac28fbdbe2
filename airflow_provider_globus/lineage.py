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
from airflow.providers.openlineage.extractors.manager import ExtractorManager
from openlineage.client.generated.base import Dataset, DatasetFacet, InputDataset, OutputDataset, RunFacet
from openlineage.client.generated.lifecycle_state_change_dataset import (
    LifecycleStateChange,
    LifecycleStateChangeDatasetFacet,
)
from openlineage.client.generated.output_statistics_output_dataset import OutputStatisticsOutputDatasetFacet

from airflow_provider_globus import __version__
from airflow_provider_globus.assets import SCHEME, parse

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    outputs = [OutputDataset(**named) for named in _places(operator, operator.written())]
    if len(outputs) == 1 and "bytes" in facts:
        # Of several places, only the sum of all is known.
        statistics = OutputStatisticsOutputDatasetFacet(size=facts["bytes"], fileCount=facts.get("files_transferred"))
        outputs[0].outputFacets = {"outputStatistics": statistics}
    for named in _places(operator, operator.deleted()):
        dropped = LifecycleStateChangeDatasetFacet(lifecycleStateChange=LifecycleStateChange.DROP)
        named["facets"]["lifecycleStateChange"] = dropped
        outputs.append(OutputDataset(**named))
    inputs = [InputDataset(**named) for named in _places(operator, operator.read())]
    return OperatorLineage(
        inputs=_with_declared(operator, inputs, operator.inlets, InputDataset),
        outputs=_with_declared(operator, outputs, operator.outlets, OutputDataset),
        run_facets={"globus": GlobusRunFacet(job=facts, producer=_PRODUCER)},
    )


def _places(operator: GlobusDatasetOperator, places: Iterable[Place]) -> list[dict[str, Any]]:
    return [_named(operator, *place) for place in places]


def _named(operator: GlobusDatasetOperator, collection: str, path: str) -> dict[str, Any]:
    facet = GlobusCollectionDatasetFacet(name=collection, producer=_PRODUCER)
    return {
        "namespace": f"{SCHEME}://{operator.hook.settings.collection_id(collection)}",
        "name": path.rstrip("/") or "/",
        "facets": {"globusCollection": facet},
    }


def _with_declared(
    operator: GlobusDatasetOperator, known: list[Any], assets: Iterable[Any], kind: type[Dataset]
) -> list[Any]:
    """Add the assets that the DAG's author declares; those of a collection by its UUID, as the known ones are."""
    for asset in assets:
        if found := parse(getattr(asset, "uri", "")):
            dataset: Dataset | None = kind(**_named(operator, *found))
        else:
            dataset = ExtractorManager.convert_to_ol_dataset(asset)
        if dataset and (dataset.namespace, dataset.name) not in {(other.namespace, other.name) for other in known}:
            known.append(dataset)
    return known
