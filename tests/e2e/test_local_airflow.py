"""A real Airflow starts, runs a DAG, survives the loss of a component, and leaves nothing behind."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]
import pytest

from airflow_provider_globus.sandbox.local_airflow import LocalAirflow, LocalAirflowError
from airflow_provider_globus.sandbox.processes import session_members

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import StartAirflow

pytestmark = pytest.mark.e2e

DAG_FILE = """
from datetime import timedelta
from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor
from airflow.sdk import DAG, Param, task

with DAG("hello", params={"name": Param("nobody", type="string")}):
    @task
    def greet(params=None):
        print("hello", params["name"])
        return {"greeted": params["name"]}

    @task
    def fail_on_demand(greeting):
        if greeting["greeted"] == "failure":
            raise ValueError("asked to fail")

    fail_on_demand(greet())

with DAG("waits"):
    TimeDeltaSensor(task_id="wait", delta=timedelta(days=1), deferrable=True)
"""


@pytest.fixture(scope="module")
def airflow(start_airflow: StartAirflow) -> Iterator[LocalAirflow]:
    with start_airflow(DAG_FILE) as running:
        yield running


def test_params_in_and_xcom_and_log_out(airflow: LocalAirflow) -> None:
    run_id = airflow.run_dag("hello", {"name": "world"})
    assert airflow.api.run("hello", run_id)["state"] == "success"
    assert airflow.api.xcom("hello", run_id, "greet") == {"greeted": "world"}
    assert "hello world" in [entry["event"] for entry in airflow.api.logs("hello", run_id, "greet")]


def test_failed_task_can_be_cleared_and_marked(airflow: LocalAirflow) -> None:
    run_id = airflow.run_dag("hello", {"name": "failure"})
    assert airflow.api.run("hello", run_id)["state"] == "failed"
    cleared = airflow.api.clear("hello", run_id, ["fail_on_demand"])
    assert [task["task_id"] for task in cleared] == ["fail_on_demand"]
    assert airflow.api.wait_for_run("hello", run_id) == "failed"
    task = airflow.api.wait_for_task("hello", run_id, "fail_on_demand", {"failed"})
    assert task["try_number"] == 2
    airflow.api.mark_task("hello", run_id, "fail_on_demand", "success")
    assert airflow.api.task_instance("hello", run_id, "fail_on_demand")["state"] == "success"


def test_a_killed_triggerer_is_replaced_and_its_trigger_taken_over(airflow: LocalAirflow) -> None:
    run_id = airflow.run_dag("waits", wait=False)
    airflow.api.wait_for_task("waits", run_id, "wait", {"deferred"})
    ((_, classpath, arguments),) = airflow.trigger_rows()
    assert classpath.endswith("DateTimeTrigger")
    assert "moment" in arguments
    first = airflow.component("triggerer").pid
    assert first is not None
    airflow.kill("triggerer")
    assert session_members(first) == []
    airflow.start_component("triggerer")
    assert airflow.component("triggerer").pid != first
    assert airflow.component("triggerer").alive
    airflow.api.mark_task("waits", run_id, "wait", "failed")
    assert airflow.api.wait_for_run("waits", run_id) == "failed"


def test_commands_run_in_this_airflow(airflow: LocalAirflow) -> None:
    assert airflow.airflow("config", "get-value", "api", "port").strip() == str(airflow.port)


def test_stop_leaves_no_process_port_or_home(
    tmp_path: Path, airflow_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A setting of the caller's own Airflow, which must not reach ours: it could not start with it.
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "no.such.Executor")
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "sqlite:////nowhere/airflow.db")
    dags = tmp_path / "dags"
    dags.mkdir()
    with LocalAirflow(dags=dags, cache=airflow_cache, log_servers=True) as running:
        sessions = [running.component(name).pid for name in ("api-server", "scheduler", "dag-processor", "triggerer")]
        members = [pid for session in sessions if session for pid in session_members(session)]
        home, port = running.home, running.port
        assert len(members) > 4
    assert [pid for session in sessions if session for pid in session_members(session)] == []
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in members)
    assert not home.exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_component_that_cannot_start_is_reported_with_its_log(tmp_path: Path, airflow_cache: Path) -> None:
    broken = {"AIRFLOW__CORE__EXECUTOR": "no.such.Executor"}
    with (
        pytest.raises(LocalAirflowError, match=r"(?s)scheduler ended:.*no\.such"),
        LocalAirflow(dags=tmp_path, cache=airflow_cache, env=broken),
    ):
        pass
