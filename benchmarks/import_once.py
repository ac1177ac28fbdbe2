"""Run as a process of its own: imports Airflow's modules, then those named, and prints what both took."""

from __future__ import annotations

import importlib
import json
import sys
import time

# All that a DAG file with operators of any provider loads anyway: no provider is charged for it.
_OF_AIRFLOW = ("airflow.sdk.exceptions", "airflow.triggers.base", "airflow.sdk.bases.decorator")
_FROM_SDK = ("DAG", "BaseHook", "BaseOperator", "BaseOperatorLink", "BaseSensorOperator", "PokeReturnValue", "conf")


def measure(names: list[str]) -> dict[str, float | list[str]]:
    began = time.perf_counter()
    sdk = importlib.import_module("airflow.sdk")
    for name in _FROM_SDK:
        getattr(sdk, name)
    for name in _OF_AIRFLOW:
        importlib.import_module(name)
    airflow = time.perf_counter() - began
    before = set(sys.modules)
    began = time.perf_counter()
    for name in names:
        importlib.import_module(name)
    seconds = time.perf_counter() - began
    return {"ms": seconds * 1000, "airflow_ms": airflow * 1000, "modules": sorted(set(sys.modules) - before)}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1:])))
