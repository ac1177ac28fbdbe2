"""
A thousand functions: one map operator beside the SDK's ``Executor`` and ``Client``, on the same sandbox endpoint.

The callers run in processes of their own, so that the memory is theirs alone. The service's limit of 20 requests in ten
seconds is off, else two of the three would only show that limit; the table says what it would make of their requests.
"""

from __future__ import annotations

import json
import logging
import math
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass

from airflow_provider_globus.compute.payloads import SUBMISSION_BYTES
from airflow_provider_globus.sandbox import GlobusSandbox
from airflow_provider_globus.sandbox.rabbitmq import RabbitMQ, find_rabbitmq
from benchmarks.report import Report, table

CALLS = 1000
#: seconds between two looks of those who poll
INTERVAL = 1.0
REQUESTS_IN_TEN_SECONDS = 20
OURS = "map operator"
KINDS = {OURS: "map", "Executor.submit": "executor", "Client.run": "client"}
_PATIENCE = 900


@dataclass
class Called:
    """
    What a thousand calls took.

    :ivar megabytes_idle: the same for a handful of calls: what the caller's libraries take, Airflow among them.
    """

    wall: float
    megabytes: float
    megabytes_idle: float
    submissions: int
    status_calls: int
    requests: int
    payload_bytes: int

    @property
    def least_seconds(self) -> float:
        """How long the service's limit would make so many requests take at least."""
        return max(0.0, (self.requests / REQUESTS_IN_TEN_SECONDS - 1) * 10)


def run() -> Report:
    """Measure each kind and compare."""
    columns = (
        "caller",
        "wall s",
        "ratio",
        "requests",
        "submissions",
        "status calls",
        "MB",
        "of it idle",
        "s at the limit",
    )
    report = Report(table(f"{CALLS:,} functions on a Compute endpoint", *columns), {})
    with ExitStack() as stack:
        # The AMQP client tells of every step it takes.
        logging.getLogger("pika").setLevel(logging.ERROR)
        broker = stack.enter_context(RabbitMQ()) if find_rabbitmq() else None
        if broker is None:
            report.notes.append(
                "Executor needs an AMQP broker, and this machine has none: make test-endpoint installs it."
            )
        globus = stack.enter_context(GlobusSandbox(amqp_url=broker.url if broker else None))
        globus.add_compute_endpoint("hpc", workers=2)
        globus.mark()
        called = {name: _call(globus, kind) for name, kind in KINDS.items() if broker or kind != "executor"}
    for name, cost in called.items():
        _add_row(report, name, cost, called[OURS])
    _judge(report, called[OURS])
    return report


def _add_row(report: Report, name: str, cost: Called, ours: Called) -> None:
    ratio = cost.wall / ours.wall
    counts = (cost.requests, cost.submissions, cost.status_calls)
    rounded = (f"{number:.0f}" for number in (cost.megabytes, cost.megabytes_idle, cost.least_seconds))
    report.table.add_row(name, f"{cost.wall:.1f}", f"{ratio:.1f}", *map(str, counts), *rounded)
    report.numbers[name] = {"wall_ratio": round(ratio, 2), **vars(cost)}


def _judge(report: Report, ours: Called) -> None:
    allowed = math.ceil(ours.payload_bytes / SUBMISSION_BYTES)
    if ours.submissions > allowed:
        report.broken.append(f"{ours.submissions} submissions where {allowed} are enough")
    # The first look comes early, and the last when all have ended.
    looks = math.ceil(ours.wall / INTERVAL) + 2
    if ours.status_calls > looks:
        report.broken.append(f"{ours.status_calls} status calls in {looks} polls")


def _call(globus: GlobusSandbox, kind: str) -> Called:
    globus.reset()
    # One caller's endpoint must not pay for starting what the next one finds warm.
    idle = _process(globus, kind, 4)
    globus.journal.clear()
    measured = _process(globus, kind, CALLS)
    work = [e for e in globus.journal.requests("compute", "POST", "*/submit") if _tasks(e.body) > 1 or kind != "map"]
    looks = globus.journal.count("compute", "POST", "/v2/batch_status") + globus.journal.count(
        "compute", "GET", "/v2/tasks/*"
    )
    return Called(
        wall=measured["wall"],
        megabytes=measured["kilobytes"] / 1000,
        megabytes_idle=idle["kilobytes"] / 1000,
        submissions=len(work),
        status_calls=looks,
        requests=globus.journal.count("compute"),
        payload_bytes=sum(len(json.dumps(entry.body)) for entry in work),
    )


def _tasks(body: dict[str, dict[str, list[str]]]) -> int:
    return sum(map(len, body["tasks"].values()))


def _process(globus: GlobusSandbox, kind: str, calls: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as home:
        env = {
            **os.environ,
            **globus.env,
            "HOME": home,
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
            "AIRFLOW_CONN_GLOBUS_DEFAULT": globus.connection,
            "GLOBUS_COMPUTE_CLIENT_ID": globus.client_id,
            "GLOBUS_COMPUTE_CLIENT_SECRET": globus.client_secret,
        }
        argv = [sys.executable, "-m", "benchmarks.caller", kind, str(calls), str(INTERVAL), globus.url]
        argv.append(next(iter(globus.world.compute.endpoints)))
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=_PATIENCE)
    if done.returncode:
        raise RuntimeError(f"The caller {kind} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured
