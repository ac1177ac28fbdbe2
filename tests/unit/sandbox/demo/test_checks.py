"""The demo's checks find what they are there to find."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest

from airflow_provider_globus.sandbox.compute.models import ComputeFunction, ComputeTask
from airflow_provider_globus.sandbox.demo import scenario
from airflow_provider_globus.sandbox.demo.checks import (
    digests,
    no_secret_left,
    one_execution_each,
    one_submission_each,
    same_files,
)
from airflow_provider_globus.sandbox.journal import Journal
from airflow_provider_globus.sandbox.local_airflow import LocalAirflow

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox


def test_digests_of_nested_files(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.txt").write_bytes(b"")
    assert digests(tmp_path) == {"a/b/c.txt": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}


@pytest.mark.parametrize(
    ("found", "passed", "detail"),
    [
        ({"a": "1", "b": "2"}, True, "2 files"),
        ({"a": "1"}, False, "1 missing (b)"),
        ({"a": "1", "b": "2", "c": "3"}, False, "1 extra (c)"),
        ({"a": "1", "b": "x"}, False, "1 different (b)"),
    ],
)
def test_same_files(found: dict[str, str], passed: bool, detail: str) -> None:
    check = same_files("same", {"a": "1", "b": "2"}, found)
    assert (check.passed, check.detail) == (passed, detail)


def test_no_files_are_not_the_same_files() -> None:
    assert not same_files("same", {}, {}).passed


def submissions(*submission_ids: str) -> Journal:
    journal = Journal()
    for number, submission_id in enumerate(submission_ids):
        journal.record(
            query=[],
            body=f'{{"submission_id": "{submission_id}"}}'.encode(),
            content_type="application/json",
            path="/v0.10/transfer",
            route="/v0.10/transfer",
            user_agent="",
            time="",
            service="transfer",
            method="POST",
            status=202,
            identity=None,
            request_id=str(number),
            code="Accepted",
            fault=None,
        )
    return journal


@pytest.mark.parametrize(
    ("sent", "passed"),
    [(["s1", "s2"], True), (["s1", "s2", "s2"], False), (["s1"], False), (["s1", "s2", "s3"], False)],
)
def test_one_submission_for_each_transfer(sent: list[str], passed: bool) -> None:
    results = {"first": {"task_id": "t1"}, "second": {"task_id": "t2"}, "other": None}
    assert one_submission_each(submissions(*sent), results, ("first", "second")).passed is passed


@pytest.mark.parametrize(
    ("executions", "passed"),
    [
        ({"bin": [1, 1], "draw": [1]}, True),
        ({"bin": [1, 1], "draw": [1], "open_task_group": [1, 1]}, True),
        ({"bin": [1, 2], "draw": [1]}, False),
        ({"bin": [1, 1], "draw": [0]}, False),
        ({"bin": [1, 1, 1], "draw": [1]}, False),
        ({"bin": [1, 1]}, False),
        ({"bin": [1, 1], "draw": [1], "another": [1]}, False),
        ({}, False),
    ],
)
def test_one_execution_of_each_task(
    globus_sandbox: GlobusSandbox, executions: dict[str, list[int]], passed: bool
) -> None:
    state = globus_sandbox.world.compute
    for name, counts in executions.items():
        function = ComputeFunction(id=f"{name}-id", name=name, code="", owner="me")
        for number, count in enumerate(counts):
            state.tasks[f"{name}{number}"] = ComputeTask(
                id=f"{name}{number}",
                function=function,
                endpoint_id="hpc",
                group_id="group",
                owner="me",
                submitted_at=0.0,
                payload=None,
                executions=count,
            )
    check = one_execution_each(state, {"bin": 2, "draw": 1})
    assert check.passed is passed, check.detail


@pytest.fixture
def airflow(tmp_path: Path) -> LocalAirflow:
    """An Airflow that has left a log and a database behind."""
    airflow = LocalAirflow(home=tmp_path)
    airflow.home = tmp_path
    (tmp_path / "logs" / "dag_id=x").mkdir(parents=True)
    (tmp_path / "logs" / "dag_id=x" / "attempt=1.log").write_text('{"event": "nothing to see"}\n')
    with contextlib.closing(sqlite3.connect(airflow.database)) as database, database:
        database.execute("create table xcom (key text, value text)")
        database.execute("insert into xcom values ('return_value', '{}')")
    return airflow


@pytest.fixture
def token(globus_sandbox: GlobusSandbox) -> str:
    """A token as any client gets it, so that the check sees that some were issued."""
    import globus_sdk

    client = globus_sdk.ConfidentialAppAuthClient(
        globus_sandbox.client_id, globus_sandbox.client_secret, base_url=globus_sandbox.url
    )
    answer = client.oauth2_client_credentials_tokens(requested_scopes=globus_sdk.TransferClient.scopes.all)
    return str(answer.by_resource_server["transfer.api.globus.org"]["access_token"])


def test_nothing_found_where_nothing_is(globus_sandbox: GlobusSandbox, airflow: LocalAirflow, token: str) -> None:
    check = no_secret_left(globus_sandbox, airflow, ['{"job_ids": ["1"]}'])
    assert check.passed, check.detail


def test_token_in_a_log_is_found(globus_sandbox: GlobusSandbox, airflow: LocalAirflow, token: str) -> None:
    (airflow.logs_folder / "triggerer.log").write_text(f"Authorization: Bearer {token}")
    check = no_secret_left(globus_sandbox, airflow, [])
    assert (check.passed, check.detail) == (False, "found in triggerer.log")


def test_token_in_a_table_is_found(globus_sandbox: GlobusSandbox, airflow: LocalAirflow, token: str) -> None:
    with contextlib.closing(sqlite3.connect(airflow.database)) as database, database:
        database.execute("update xcom set value = ?", (f'{{"token": "{token}"}}',))
    assert no_secret_left(globus_sandbox, airflow, []).detail == "found in table xcom"


def test_secret_in_a_trigger_is_found(globus_sandbox: GlobusSandbox, airflow: LocalAirflow, token: str) -> None:
    arguments = f'{{"password": "{globus_sandbox.client_secret}"}}'
    assert no_secret_left(globus_sandbox, airflow, [arguments]).detail == "found in trigger arguments"


def test_a_search_that_saw_no_token_issued_proves_nothing(globus_sandbox: GlobusSandbox, airflow: LocalAirflow) -> None:
    assert not no_secret_left(globus_sandbox, airflow, []).passed


def test_unknown_scenario_names_the_known() -> None:
    with pytest.raises(ValueError, match="instrument_to_archive"):
        scenario.load("no_such_dag")
