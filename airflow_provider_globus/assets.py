"""
Assets at Globus: ``globus://<collection>/<path>``, for DAGs that wait for data and tasks that bring it.

The collection is a UUID or an alias of the connection: who writes an asset and who waits for it name it alike.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from airflow_provider_globus.ids import is_uuid

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.sdk import Asset

SCHEME = "globus"
_COLLECTION = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"


def globus_asset(collection: str, path: str, *, extra: dict[str, Any] | None = None, **more: Any) -> Asset:
    """
    Return the asset of a file or directory on a collection.

    ::

        raw = globus_asset("scratch", "/raw/scans")
        GlobusTransferOperator(..., destination_collection="scratch", destination_path="/raw/scans", outlets=[raw])


        @dag(schedule=raw)
        def reconstruct(): ...

    :param collection: UUID, or an alias of the connection.
    :param path: absolute path on the collection.
    :param extra: what the asset itself tells; events tell more, see ``operators.datasets``.
    :param more: ``name`` and ``group`` of the asset.
    :raises ValueError: the collection or the path cannot be one.
    """
    from airflow.sdk import Asset

    return Asset(uri=asset_uri(collection, path), extra=extra or {}, **more)


def asset_uri(collection: str, path: str) -> str:
    """Return the URI of a file or directory on a collection."""
    uri = sanitize_uri(SplitResult(SCHEME, collection, quote(path), "", ""))
    return uri.geturl()


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """
    Check and normalise a URI, for Airflow; UUIDs are lower case, and paths have no end and no doubled slashes.

    :raises ValueError: it has no collection, or parts that mean nothing here.
    """
    if not re.fullmatch(_COLLECTION, uri.netloc):
        raise ValueError(
            f"{uri.geturl()!r} names no collection: write globus://<collection UUID or alias>/<path>. "
            "An alias has letters, digits, dots, dashes and underscores."
        )
    if uri.query or uri.fragment:
        raise ValueError(f"{uri.geturl()!r} has a query or a fragment, which mean nothing on a collection.")
    path = unquote(uri.path)
    if path and not path.startswith("/"):
        raise ValueError(f"The path {path!r} is relative: write it from the collection's root.")
    if ".." in path.split("/"):
        raise ValueError(f"{uri.geturl()!r} leads upwards: name the directory itself.")
    collection = uri.netloc.lower() if is_uuid(uri.netloc) else uri.netloc
    # All of a collection has no path: Airflow takes the slash away.
    normal = ("/" + posixpath.normpath(path).lstrip("/")).rstrip("/") if path else ""
    return uri._replace(scheme=SCHEME, netloc=collection, path=quote(normal))


def parse(uri: str) -> tuple[str, str] | None:
    """Return the collection and the path of a URI; ``None`` for one of another scheme."""
    parts = urlsplit(uri)
    return (parts.netloc, unquote(parts.path) or "/") if parts.scheme == SCHEME else None


def convert_asset_to_openlineage(asset: Asset, lineage_context: Any) -> Dataset | None:
    """Return the dataset of an asset, for Airflow's OpenLineage provider."""
    from airflow.providers.common.compat.openlineage.facet import Dataset

    found = parse(asset.uri)
    return Dataset(namespace=f"{SCHEME}://{found[0]}", name=found[1]) if found else None
