"""
Run as a process of its own: calls a function many times on a Compute endpoint, in one of three ways.

Prints a line of JSON: seconds from the first request to the last result, and the memory this took at its peak.
"""

from __future__ import annotations

import argparse
import json
import time
from types import SimpleNamespace
from typing import Any

from benchmarks.memory import peak_kilobytes


def square(value: int) -> int:
    return value * value


def by_map(calls: int, interval: float, url: str, endpoint: str) -> list[Any]:
    """One Airflow task, waiting in its worker."""
    from airflow_provider_globus.operators.compute import GlobusComputeMapOperator

    stored: dict[str, Any] = {}
    ti = SimpleNamespace(max_tries=0, map_index=-1, task_id="map", xcom_push=lambda key, value: None)
    store = SimpleNamespace(get=stored.get, set=stored.__setitem__)
    operator = GlobusComputeMapOperator(
        task_id="map", endpoint=endpoint, python_callable=square, inputs=list(range(calls)), poll_interval=interval
    )
    results: list[Any] = operator.execute({"ti": ti, "task_state_store": store})  # type: ignore[typeddict-item]
    return results


def by_client(calls: int, interval: float, url: str, endpoint: str) -> list[Any]:
    """One submission for each call, one status call for all."""
    client = _client(url)
    function = client.register_function(square)
    ids = [client.run(value, endpoint_id=endpoint, function_id=function) for value in range(calls)]
    while True:
        found = client.get_batch_result(ids)
        if all(not found.get(task_id, {}).get("pending", True) for task_id in ids):
            return [found[task_id]["result"] for task_id in ids]
        time.sleep(interval)


def by_executor(calls: int, interval: float, url: str, endpoint: str) -> list[Any]:
    """Futures, filled from the task group's queue; the executor gathers calls into submissions by itself."""
    from globus_compute_sdk import Executor

    executor: Any
    with Executor(endpoint_id=endpoint, client=_client(url)) as executor:
        futures = [executor.submit(square, value) for value in range(calls)]
        return [future.result() for future in futures]


def _client(url: str) -> Any:
    from globus_compute_sdk import Client
    from globus_compute_sdk.sdk.client import _ComputeWebClient

    client = Client(do_version_check=False)
    # The client takes no URL, and ignores the SDK's environment variable for one.
    client._compute_web_client = _ComputeWebClient(base_url=url, app=client.app)  # type: ignore[no-untyped-call]
    return client


KINDS = {"map": by_map, "client": by_client, "executor": by_executor}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=list(KINDS))
    parser.add_argument("calls", type=int)
    parser.add_argument("interval", type=float)
    parser.add_argument("url")
    parser.add_argument("endpoint")
    given = parser.parse_args()
    began = time.time()
    results = KINDS[given.kind](given.calls, given.interval, given.url, given.endpoint)
    wall = time.time() - began
    if results != [value * value for value in range(given.calls)]:
        raise RuntimeError(f"Wrong results: {results[:5]} …")
    print(json.dumps({"wall": wall, "kilobytes": peak_kilobytes()}))


if __name__ == "__main__":
    main()
