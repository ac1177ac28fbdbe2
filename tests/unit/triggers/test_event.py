"""The trigger's event as Airflow handles it: logged, and handed to the worker."""

from __future__ import annotations

import json
from typing import Any

from airflow.triggers.base import DiscrimatedTriggerEvent
from pydantic import TypeAdapter

from airflow_provider_globus.triggers.job import GlobusJobTrigger, JobEvent

PAYLOAD = {
    "service": "compute",
    "outcome": "succeeded",
    "code": None,
    "message": "",
    "result": {"documents": {"a": {"result": "11\nprivate"}}},
}


def test_results_stay_out_of_the_log() -> None:
    event = JobEvent(payload=PAYLOAD)
    for text in (repr(event), str(event), f"{event}"):
        assert "succeeded" in text
        assert "private" not in text


def test_the_worker_gets_all_of_it() -> None:
    airflow = TypeAdapter(DiscrimatedTriggerEvent)
    received = airflow.validate_json(airflow.dump_json(JobEvent(payload=PAYLOAD)))
    assert received.payload == PAYLOAD


def test_airflow_keeps_all_of_a_trigger() -> None:
    given: dict[str, Any] = {
        "service": "flows",
        "job_ids": ["a"],
        "globus_conn_id": "globus_default",
        "poll_interval": 7.0,
        "rules": {"inactive_grace": 60},
        "deadline": 5.0,
        "not_before": 3.0,
        "cancel_on_kill": True,
        "memory": {"told_until": "2026", "told": ["a line"]},
    }
    path, kept = GlobusJobTrigger(**given).serialize()
    assert path == f"{GlobusJobTrigger.__module__}.{GlobusJobTrigger.__qualname__}"
    assert kept == given
    assert GlobusJobTrigger(**json.loads(json.dumps(kept))).serialize() == (path, kept)
