"""Run in an environment that has nothing but the wheel: what the provider names can be imported, and costs nothing."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def check() -> None:
    before = set(sys.modules)
    from airflow_provider_globus.get_provider_info import get_provider_info

    loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
    if extra := loaded - set(sys.stdlib_module_names) - {"airflow_provider_globus"}:
        raise SystemExit(
            f"get_provider_info imports {', '.join(sorted(extra))}: Airflow pays for that in every process"
        )
    info: dict[str, Any] = get_provider_info()
    modules = [
        module
        for kind in ("operators", "sensors", "hooks", "triggers")
        for entry in info[kind]
        for module in entry["python-modules"]
    ]
    for module in modules:
        importlib.import_module(module)
    sys.stdout.write(f"{len(modules)} modules of the installed package import.\n")


if __name__ == "__main__":
    check()
