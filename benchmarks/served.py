"""Run as a process of its own: a sandbox with a folder and a bucket as collections; ends with its input.

Prints the Airflow connection that leads to it.
"""

from __future__ import annotations

import argparse
import json
import sys

from airflow_provider_globus.sandbox import GlobusSandbox
from benchmarks.bucket import BUCKET, KEY, SECRET

#: A page of a large bucket takes its time.
_PATIENCE = 600


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("s3_url")
    given = parser.parse_args()
    with GlobusSandbox() as globus:
        globus.add_collection("instrument", given.folder)
        globus.add_collection(
            "archive",
            f"s3://{BUCKET}",
            s3_endpoint_url=given.s3_url,
            s3_access_key_id=KEY,
            s3_secret_access_key=SECRET,
        )
        connection = json.loads(globus.connection)
        connection["extra"]["http_timeout"] = _PATIENCE
        print(json.dumps(connection), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
