"""Scaling out, as far as one machine goes: options exist, and a triggerer of a queue comes up."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from airflow_provider_globus.jobs import job_service
from airflow_provider_globus.sandbox.local_airflow import free_ports
from tests.docs.blocks import page_of
from tests.docs.page import require_option

if TYPE_CHECKING:
    from tests.docs.page import Page


def test_scale_out(page: Page) -> None:
    page.excuse("pip install", "would change this very environment")
    page.terminal.exported["AIRFLOW__TRIGGERER__QUEUES_ENABLED"] = "True"
    page.terminal.exported["AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT"] = str(free_ports(1)[0])
    page.leave_running("airflow triggerer --queues globus", lambda: alive(page))
    page.run()
    assert "Found one alive job" in page.output("airflow jobs check")

    values = yaml.safe_load((page.folder / "values.yaml").read_text())
    for section, options in values["config"].items():
        for option in options:
            require_option(section, option)


def alive(page: Page) -> bool:
    """Whether a triggerer has reported to the reader's database."""
    check = ["airflow", "jobs", "check", "--job-type", "TriggererJob"]
    return subprocess.run(check, env=page.terminal.env, check=False, capture_output=True).returncode == 0


def test_one_request_asks_after_as_many_jobs_as_the_page_says() -> None:
    text = " ".join(page_of(Path(__file__)).read_text().split())
    sizes = {name: job_service(name).batch_size for name in ("transfer", "flows", "compute")}
    assert "up to {transfer} transfers, {flows} flow runs or {compute:,} functions".format(**sizes) in text
