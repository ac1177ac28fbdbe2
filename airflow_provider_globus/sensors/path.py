"""Sensor for files and directories on a collection."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.paths import check_path
from airflow_provider_globus.sensors.base import GlobusJobSensor

if TYPE_CHECKING:
    from airflow_provider_globus.jobs.paths import PathCondition


class GlobusPathSensor(GlobusJobSensor):
    """
    Wait until a path exists, or until a directory holds what it should.

    Without further arguments, ``path`` must exist. With any of ``pattern``, ``marker``, ``min_files`` above 1 or
    ``recursive``, it is a directory whose files are counted. Returns ``path``, ``count``, ``bytes`` and the first 100
    ``files``.

    :param collection: UUID, alias of the connection, or unique display name.
    :param path: the file or directory.
    :param pattern: count only files whose name matches this glob, for example ``*.h5``.
    :param min_files: wait for so many files; the marker does not count. Default: 1, or none with a marker.
    :param marker: wait for a file of this name in the directory: what writes the data writes it last.
    :param stable_for: seconds for which the files must not change in number, size or time; counted from the first
        look that finds them, anew after a restart of the triggerer.
    :param recursive: count files in directories below, too; one call for each directory.
    """

    template_fields: Sequence[str] = ("collection", "path", "pattern", "marker", "globus_conn_id")
    service_name = "paths"

    def __init__(
        self,
        *,
        collection: str,
        path: str,
        pattern: str | None = None,
        min_files: int | None = None,
        marker: str | None = None,
        stable_for: float = 0.0,
        recursive: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.collection = collection
        self.path = path
        self.pattern = pattern
        self.min_files = min_files if min_files is not None else int(marker is None)
        self.marker = marker
        self.stable_for = stable_for
        self.recursive = recursive
        if self.min_files < 0 or stable_for < 0:
            raise self.refuse("min_files and stable_for must not be below 0.")

    def job_ids(self) -> list[str]:
        """The condition as text."""
        return [self._condition.job_id]

    def rules(self) -> dict[str, Any]:
        """How long the files must stay as they are."""
        return {"stable_for": self.stable_for}

    @cached_property
    def _condition(self) -> PathCondition:
        from airflow_provider_globus.jobs.paths import PathCondition

        path = check_path(self.path, "path")
        return PathCondition(
            collection_id=self.hook.use_collection(self.collection),
            path=path,
            pattern=self.pattern,
            min_files=self.min_files,
            marker=self.marker,
            recursive=self.recursive,
        )
