"""Run as a process of its own: an S3 server with many small objects under one prefix; ends with its input.

Prints its URL. The objects are put in from inside: over HTTP, a hundred thousand would take minutes.
"""

from __future__ import annotations

import argparse
import logging
import sys

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from moto.s3.models import s3_backends

BUCKET, PREFIX = "archive", "run"
KEY, SECRET = "bench", "bench-only"


def name_of(number: int) -> str:
    return f"frame_{number:06}.dat"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("objects", type=int)
    objects = parser.parse_args().objects
    # A line for each request is of no use.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    backend.create_bucket(BUCKET, "us-east-1")
    for number in range(objects):
        backend.put_object(BUCKET, f"{PREFIX}/{name_of(number)}", b"x")
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(f"http://{host}:{port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
