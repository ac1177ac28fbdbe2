"""An S3 service on loopback for the demo: moto's server, with the few calls that scenarios need."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import boto3
import httpx
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from airflow_provider_globus.sandbox.local_airflow import free_ports

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from mypy_boto3_s3 import S3Client

ACCESS_KEY_ID = "demo"
SECRET_ACCESS_KEY = "demo-only"  # noqa: S105 - moto takes any


class S3Server:
    """A running S3 service as a context manager; its buckets are in memory and end with it."""

    def __init__(self) -> None:
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)

    def __enter__(self) -> S3Server:
        """Start."""
        # A line for each request would bury what the demo has to say.
        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        # Else moto would show these buckets to the next server of this process.
        httpx.post(f"{self.url}/moto-api/reset").raise_for_status()
        self._server.stop()

    @property
    def client(self) -> S3Client:
        """Return a boto3 client of this service, whatever the caller's AWS settings are."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY_ID,
            aws_secret_access_key=SECRET_ACCESS_KEY,
        )

    def create_bucket(self, bucket: str) -> None:
        """Make a bucket."""
        self.client.create_bucket(Bucket=bucket)

    def download(self, bucket: str, folder: Path) -> None:
        """Copy every object of a bucket to files below a folder."""
        client = self.client
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for item in page.get("Contents", []):
                key = item["Key"]
                if key.endswith("/"):
                    continue
                target = folder / key
                target.parent.mkdir(parents=True, exist_ok=True)
                client.download_file(bucket, key, str(target))
