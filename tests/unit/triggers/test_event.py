"""The trigger's event as Airflow handles it: logged, and handed to the worker."""

from __future__ import annotations

from airflow.triggers.base import DiscrimatedTriggerEvent
from pydantic import TypeAdapter

from airflow_provider_globus.triggers.job import JobEvent

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
