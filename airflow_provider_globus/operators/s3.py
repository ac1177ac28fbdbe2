"""S3 objects as paths on collections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.operators.base import GlobusOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class GlobusResolveS3PathOperator(GlobusOperator):
    """
    Find the collection and path that an ``s3://`` URL means. Returns ``collection``, ``path``, ``collection_name``.

    For what comes after it: ``source_collection="{{ ti.xcom_pull('resolve')['collection'] }}"`` and
    ``source_path="{{ ti.xcom_pull('resolve')['path'] }}"``. How a collection is chosen is told at
    :func:`airflow_provider_globus.s3_paths.resolve_s3_url`, the same for a ``@task``.

    :param url: ``s3://bucket/key``, or a prefix that ends in ``/``.
    :param collections: UUIDs, aliases of the connection, or unique display names: the only ones to consider. Default:
        all that this identity can see.
    :param s3_endpoint: URL of the S3 service, for bucket names that exist at several.
    """

    template_fields: Sequence[str] = ("url", "collections", "s3_endpoint", "globus_conn_id")
    ui_color = "#d9ecf5"

    def __init__(
        self, *, url: str, collections: Sequence[str] | None = None, s3_endpoint: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.url = url
        self.collections = collections
        self.s3_endpoint = s3_endpoint

    def execute(self, context: Context) -> dict[str, str]:
        """Look."""
        from airflow_provider_globus.s3_paths import resolve_s3_url

        place = resolve_s3_url(self.hook, self.url, collections=self.collections, s3_endpoint=self.s3_endpoint)
        self.log.info("%s is %s on %s (%s).", self.url, place.path, place.collection_name, place.collection)
        return place._asdict()
