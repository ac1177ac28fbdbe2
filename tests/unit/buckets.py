"""An S3 service for tests: moto's server, with a client that has keys for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEYS: dict[str, Any] = {"s3_access_key_id": "key", "s3_secret_access_key": "secret"}


@contextmanager
def s3_service() -> Iterator[S3Client]:
    """A client of a service of its own, without buckets."""
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer
    from moto.s3.models import s3_backends

    # moto's servers share one memory in a process: what another test file left there must not be seen here.
    for account in list(s3_backends.values()):
        account.reset()
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield boto3.client(
            "s3",
            endpoint_url=f"http://{host}:{port}",
            aws_access_key_id=KEYS["s3_access_key_id"],
            aws_secret_access_key=KEYS["s3_secret_access_key"],
            region_name="us-east-1",
        )
    finally:
        server.stop()


def keys_in(client: S3Client, bucket: str) -> list[str]:
    """All keys of a bucket."""
    return [item["Key"] for item in client.list_objects_v2(Bucket=bucket).get("Contents", [])]
