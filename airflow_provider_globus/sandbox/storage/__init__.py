"""Where the bytes of sandbox collections live: local folders and S3 buckets behind one interface."""

from __future__ import annotations

from airflow_provider_globus.sandbox.storage.base import CHUNK_BYTES, Entry, Link, Reader, Storage, Writer
from airflow_provider_globus.sandbox.storage.errors import StorageError
from airflow_provider_globus.sandbox.storage.local import LocalStorage

__all__ = [
    "CHUNK_BYTES",
    "Entry",
    "Link",
    "LocalStorage",
    "Reader",
    "Storage",
    "StorageError",
    "Writer",
    "open_storage",
]


def open_storage(
    root: str,
    *,
    s3_endpoint_url: str | None = None,
    s3_access_key_id: str | None = None,
    s3_secret_access_key: str | None = None,
) -> Storage:
    """Open a folder or, for `s3://bucket/prefix`, a bucket."""
    if not root.startswith("s3://"):
        return LocalStorage(root)
    from airflow_provider_globus.sandbox.storage.s3 import S3Storage

    return S3Storage(
        root,
        endpoint_url=s3_endpoint_url,
        access_key_id=s3_access_key_id,
        secret_access_key=s3_secret_access_key,
    )
