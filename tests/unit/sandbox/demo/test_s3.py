"""The S3 service that scenarios use."""

from __future__ import annotations

import httpx
import pytest

from airflow_provider_globus.sandbox.demo.s3 import S3Server


def test_buckets_end_with_their_server() -> None:
    with S3Server() as first:
        first.create_bucket("samples")
        first.client.put_object(Bucket="samples", Key="a.txt", Body=b"a")
    with pytest.raises(httpx.ConnectError):
        httpx.get(first.url)
    with S3Server() as second:
        assert second.client.list_buckets()["Buckets"] == []
