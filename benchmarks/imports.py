"""
Import cost: what a DAG file pays for our operators, beside three providers that people know.

The DAG processor pays it every time it parses a file, and every task pays it again when it starts.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from airflow_provider_globus.get_provider_info import get_provider_info
from benchmarks.report import Report, table

#: has the other providers too; none of them is a dependency of this project
COMPARING = Path(".venv-bench", "bin", "python")
ROUNDS = 7
#: what all that belongs to one service of Globus may take, of what Airflow's own modules take in the same process; a
#: DAG file pays for the services it uses
LIMIT_SHARE = 0.0075
FORBIDDEN = ("globus_sdk", "globus_compute_sdk", "requests")
# Packages whose presence explains a price.
_HEAVY = (*FORBIDDEN, "aiohttp", "boto3", "botocore", "databricks", "pandas", "sqlalchemy")
_OTHERS = {
    "dbt-cloud": "airflow.providers.dbt.cloud.operators.dbt",
    "databricks": "airflow.providers.databricks.operators.databricks",
    "amazon (glue)": "airflow.providers.amazon.aws.operators.glue",
}
OURS = "globus: all modules"
#: by the last part of a module's name
_SERVICES = {
    "globus: transfer": ("transfer", "collections", "access_rules", "prune", "path", "job", "links"),
    "globus: compute": ("compute", "job", "links"),
    "globus: flows": ("flows", "flow_runs", "web_inputs", "search", "job", "links"),
    "globus: connect server": (
        "storage_gateways",
        "gateway_audit",
        "gcs_collections",
        "gcs_roles",
        "identity_mappings",
        "sharing_policies",
        "user_credentials",
    ),
    "globus: files and activity": ("files", "manifests", "s3", "activity", "pause_rules", "job", "links"),
}


def our_modules() -> list[str]:
    """Every module that a DAG file may import: the provider's own list, without hooks."""
    info = get_provider_info()
    listed = [
        module
        for kind in ("operators", "sensors", "triggers")
        for group in info[kind]
        for module in group["python-modules"]
    ]
    classes = [*info["extra-links"], *(entry["class-name"] for entry in info.get("task-decorators", ()))]
    return list(dict.fromkeys([*listed, *(path.rpartition(".")[0] for path in classes)]))


def run() -> Report:
    """Measure all subjects in fresh processes, taking turns so that a busy machine hits all alike."""
    ours = our_modules()
    subjects = {
        service: [module for module in ours if module.rpartition(".")[2] in names]
        for service, names in _SERVICES.items()
    } | {OURS: ours}
    if COMPARING.exists():
        subjects |= {name: [module] for name, module in _OTHERS.items()}
    samples = _samples(subjects)
    medians = {name: statistics.median(sample["ms"] for sample in taken) for name, taken in samples.items()}
    report = Report(
        table(
            f"Import cost over Airflow's own modules, median of {ROUNDS} fresh processes",
            "modules", "ms", "min..max", "ratio to ours", "of Airflow's own", "modules added",
            "heavy packages among them",
        ),
        {},
    )  # fmt: skip
    for name, taken in samples.items():
        _add_row(report, name, taken, medians[name] / medians[OURS])
    if not COMPARING.exists():
        report.notes.append(f"Not compared with {', '.join(_OTHERS)}: `make bench` installs them.")
    for service in _SERVICES:
        if (share := _share(samples[service])) > LIMIT_SHARE:
            report.broken.append(
                f"{service}: importing it takes {share:.2%} of what Airflow's own modules take; {LIMIT_SHARE:.2%} may."
            )
    if unassigned := set(ours) - {module for service in _SERVICES for module in subjects[service]}:
        report.broken.append(f"No service of this benchmark has {', '.join(sorted(unassigned))}.")
    return report


def _share(taken: list[dict[str, Any]]) -> float:
    return float(statistics.median(sample["ms"] / sample["airflow_ms"] for sample in taken))


def _add_row(report: Report, name: str, taken: list[dict[str, Any]], ratio: float) -> None:
    times = sorted(sample["ms"] for sample in taken)
    added = taken[0]["modules"]
    packages = {module.partition(".")[0] for module in added}
    heavy = [package for package in _HEAVY if package in packages]
    median = statistics.median(times)
    report.table.add_row(
        name,
        f"{median:.1f}",
        f"{times[0]:.1f}..{times[-1]:.1f}",
        f"{ratio:.1f}",
        f"{_share(taken):.2%}",
        str(len(added)),
        ", ".join(heavy) or "none",
    )
    report.numbers[name] = {
        "ms": round(median, 2),
        "ratio": round(ratio, 2),
        "share": round(_share(taken), 4),
        "modules": len(added),
        "heavy": heavy,
    }
    if name.startswith("globus") and (found := [package for package in FORBIDDEN if package in packages]):
        report.broken.append(f"{name}: importing it loads {', '.join(found)}.")


def _samples(subjects: dict[str, list[str]]) -> dict[str, list[dict[str, Any]]]:
    samples: dict[str, list[dict[str, Any]]] = {name: [] for name in subjects}
    with tempfile.TemporaryDirectory() as home:
        for modules in subjects.values():
            _sample(modules, home)  # not counted: writes bytecode and Airflow's configuration, warms the disk cache
        for _ in range(ROUNDS):
            for name, modules in subjects.items():
                samples[name].append(_sample(modules, home))
    return samples


def _sample(modules: list[str], home: str) -> dict[str, Any]:
    # Installed packages come with bytecode; ours is read from its sources here, so it must be allowed to keep its own.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    ran = subprocess.run(
        [COMPARING if COMPARING.exists() else sys.executable, "-m", "benchmarks.import_once", *modules],
        env={**environment, "AIRFLOW_HOME": home},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    sample: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return sample
