"""What an operator tells of the data it has read and written: to those who wait for its assets, and to OpenLineage."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_globus.assets import globus_asset, parse
from airflow_provider_globus.operators.base import GlobusOperator

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_globus.jobs.base import Verdict

#: Assets that one task adds to an alias at most: each is a row in Airflow's database.
MAX_ALIASED = 100


class Place(NamedTuple):
    """A file or directory on a collection, which is named as the operator names it."""

    collection: str
    path: str


class GlobusDatasetOperator(GlobusOperator):
    """
    Base of the operators that say which data they read and write.

    They fill the events of their ``outlets``. An ``Asset`` gets the job's facts as the extra of its event; one of a
    collection only if the job has written there. An ``AssetAlias`` gets an asset, by the collection's UUID, for each
    path that the job has written. OpenLineage gets all of them, and the ids of the job.
    """

    #: what the job has come to, once it has succeeded
    _verdict: Verdict | None = None

    def read(self) -> list[Place]:
        """Each place that the job reads; none when only the author can know."""
        return []

    def written(self) -> list[Place]:
        """Each place that the job writes; none when only the author can know."""
        return []

    def deleted(self) -> list[Place]:
        """Each place that is empty after the job."""
        return []

    def facts(self, verdict: Verdict) -> dict[str, Any]:
        """What events and OpenLineage say of the job; JSON."""
        return {}

    def tell(self, outlet_events: Any, verdict: Verdict) -> None:
        """Fill the events of the outlets of a job that has succeeded, and keep what OpenLineage will ask for."""
        from airflow.sdk import Asset, AssetAlias

        self._verdict = verdict
        if not self.outlets or outlet_events is None:
            return
        written, facts = self.written(), self.facts(verdict)
        for outlet in self.outlets:
            if isinstance(outlet, AssetAlias):
                for place in written[:MAX_ALIASED]:
                    collection = self.hook.resolve_collection(place.collection)
                    outlet_events[outlet].add(globus_asset(collection, place.path), facts)
                if len(written) > MAX_ALIASED:
                    self.log.warning("Of %s paths, %s became assets of %s.", len(written), MAX_ALIASED, outlet.name)
            elif isinstance(outlet, Asset):
                if self._is_meant(outlet.uri, written):
                    outlet_events[outlet].extra.update(facts)
                else:
                    self.log.warning("This task does not write to its outlet %s: its event has no details.", outlet.uri)

    def _is_meant(self, uri: str, written: Sequence[Place]) -> bool:
        found = parse(uri)
        if found is None or not written:
            return True
        meant = self.hook.settings.collection_id(found[0])
        return any(
            meant == self.hook.settings.collection_id(place.collection) and _related(found[1], place.path)
            for place in written
        )

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """What OpenLineage is told; asks nothing of Globus."""
        from airflow_provider_globus.lineage import lineage

        return lineage(self, self._verdict)


def _related(one: str, other: str) -> bool:
    """Whether one path is the other, or one of its directories."""
    paths = [posixpath.normpath(path).rstrip("/") for path in (one, other)]
    return any(below == above or below.startswith(f"{above}/") for below, above in (paths, paths[::-1]))
