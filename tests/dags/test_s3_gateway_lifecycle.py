"""A gateway in S3: what others change by hand is found, and what cannot be is refused before anything is half made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.sandbox.demo.scenarios import s3_gateway_lifecycle

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import DAG

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.demo.s3 import S3Server

    Run = Callable[[DAG, dict[str, Any]], tuple[str, dict[str, Any]]]


@pytest.fixture
def demo(
    globus_sandbox: GlobusSandbox, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> s3_gateway_lifecycle.Demo:
    demo = s3_gateway_lifecycle.Demo(tmp_path, globus_sandbox, s3)
    demo.prepare()
    monkeypatch.setenv("AIRFLOW_CONN_S3_ARCHIVE", demo.connections["s3_archive"])
    return demo


@pytest.fixture
def dag(example_dags: Path, load: Callable[[Path], dict[str, DAG]]) -> DAG:
    return load(example_dags / "s3_gateway_lifecycle.py")["s3_gateway_lifecycle"]


def test_what_somebody_changed_by_hand_is_put_right(demo: s3_gateway_lifecycle.Demo, dag: DAG, run: Run) -> None:
    _, first = run(dag, demo.conf)
    server = demo.globus.world.connect_server
    gateway = server.gateways[first["storage_gateway"]["storage_gateway_id"]]
    gateway.fields["allowed_domains"] = [*gateway.fields["allowed_domains"], "example.org"]
    state, second = run(dag, demo.conf)
    assert state == "success"
    assert {name: second[name]["action"] for name in s3_gateway_lifecycle.DESCRIBED} == {
        "storage_gateway": "updated",
        "mapped_collection": "unchanged",
        "user_credential": "unchanged",
        "guest_collection": "unchanged",
    }
    (put_right,) = [item for item in server.gateways.values() if item.id == gateway.id]
    assert put_right.allowed_domains == ["clients.auth.globus.org"]


def test_a_domain_that_keeps_the_service_account_out(demo: s3_gateway_lifecycle.Demo, dag: DAG, run: Run) -> None:
    state, results = run(dag, {**demo.conf, "allowed_domains": ["example.org"]})
    assert state == "failed"
    assert results["storage_gateway"]["action"] == "created"
    assert "user_credential" not in results
    assert demo.globus.world.connect_server.credentials == {}


def test_keys_that_are_not_there(
    demo: s3_gateway_lifecycle.Demo, dag: DAG, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_S3_ARCHIVE", json.dumps({"conn_type": "aws"}))
    state, results = run(dag, demo.conf)
    assert state == "failed"
    assert "user_credential" not in results
    assert demo.globus.journal.count("connect_server", "POST", "/api/user_credentials") == 0
