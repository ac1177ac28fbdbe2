"""What an operator tells those who wait for its assets: which job has written them, and how much."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.assets import globus_asset, parse
from airflow_provider_globus.operators.base import GlobusOperator

if TYPE_CHECKING:
    from airflow_provider_globus.jobs.base import Verdict

#: Assets that one task adds to an alias at most: each is a row in Airflow's database.
MAX_ALIASED = 100


class GlobusAssetOperator(GlobusOperator):
    """
    Base of the operators that fill the events of their ``outlets``.

    An ``Asset`` gets the job's facts as the extra of its event; one of a collection only if the job has written there.
    An ``AssetAlias`` gets an asset, by the collection's UUID, for each path that the job has written.
    """

    def written(self) -> list[tuple[str, str]]:
        """Each path that the job writes, with the UUID of its collection; none when only the author can know."""
        return []

    def asset_extra(self, verdict: Verdict) -> dict[str, Any]:
        """What events say of the job; JSON."""
        return {}

    def emit_assets(self, outlet_events: Any, verdict: Verdict) -> None:
        """Fill the events of the outlets of a job that has succeeded."""
        from airflow.sdk import Asset, AssetAlias

        if not self.outlets or outlet_events is None:
            return
        written, extra = self.written(), self.asset_extra(verdict)
        for outlet in self.outlets:
            if isinstance(outlet, AssetAlias):
                for collection, path in written[:MAX_ALIASED]:
                    outlet_events[outlet].add(globus_asset(collection, path), extra)
                if len(written) > MAX_ALIASED:
                    self.log.warning("Of %s paths, %s became assets of %s.", len(written), MAX_ALIASED, outlet.name)
            elif isinstance(outlet, Asset):
                if self._is_meant(outlet.uri, written):
                    outlet_events[outlet].extra.update(extra)
                else:
                    self.log.warning("This task does not write to its outlet %s: its event has no details.", outlet.uri)

    def _is_meant(self, uri: str, written: Iterable[tuple[str, str]]) -> bool:
        found, written = parse(uri), list(written)
        if found is None or not written:
            return True
        aliases: Mapping[str, str] = self.hook.settings.collections
        collection = aliases.get(found[0], found[0]).lower()
        return any(collection == other and _related(found[1], path) for other, path in written)


def _related(one: str, other: str) -> bool:
    """Whether one path is the other, or one of its directories."""
    paths = [posixpath.normpath(path).rstrip("/") for path in (one, other)]
    return any(below == above or below.startswith(f"{above}/") for below, above in (paths, paths[::-1]))
