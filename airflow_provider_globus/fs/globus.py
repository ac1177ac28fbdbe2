"""
``ObjectStoragePath("globus://<collection>/path", conn_id="globus_default")``: registers the scheme with Airflow.

Airflow imports this module wherever object storage is used, so it imports nothing until a path is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_globus.fs.filesystem import GlobusCollectionFileSystem

schemes = ["globus"]


def get_fs(conn_id: str | None, storage_options: dict[str, Any] | None = None) -> GlobusCollectionFileSystem:
    """
    The file system of all collections that a connection reaches.

    :param conn_id: id of an Airflow connection of type ``globus``. Default: ``globus_default``.
    :param storage_options: options of ``globusfs.GlobusFileSystem``, such as ``block_size`` and ``retries``.
    :raises ImportError: when the package ``globusfs`` is not installed.
    """
    try:
        import globusfs  # type: ignore[import-untyped] # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Paths that begin with globus:// need the package globusfs. Install it with the extra [fs]: "
            "pip install 'airflow-provider-globus[fs]'."
        ) from error
    from airflow_provider_globus.fs.filesystem import GlobusCollectionFileSystem

    return GlobusCollectionFileSystem(conn_id or "globus_default", **(storage_options or {}))
