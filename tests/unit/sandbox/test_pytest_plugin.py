"""The fixtures that the package gives its users, in a pytest of their own."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def run(pytester: pytest.Pytester, test: str) -> pytest.RunResult:
    pytester.makepyfile(test)
    return pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider")


pytest_plugins = ["pytester"]


def test_each_test_gets_a_sandbox_as_new(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import os
        import globus_sdk

        seen = []

        def use(globus_sandbox):
            assert globus_sandbox.journal.entries == []
            assert globus_sandbox.world.transfer.tasks == {}
            client = globus_sdk.ConfidentialAppAuthClient(
                os.environ["GLOBUS_CLIENT_ID"], os.environ["GLOBUS_CLIENT_SECRET"]
            )
            client.oauth2_client_credentials_tokens(requested_scopes="openid")
            assert globus_sandbox.journal.count("auth") == 1
            seen.append(globus_sandbox.url)

        def test_one(globus_sandbox):
            use(globus_sandbox)

        def test_two(globus_sandbox):
            use(globus_sandbox)
            assert len(seen) == 2 and len(set(seen)) == 1

        def test_environment_is_left_as_it_was():
            assert "AIRFLOW_CONN_GLOBUS_DEFAULT" not in os.environ
            assert "GLOBUS_SDK_SERVICE_URL_AUTH" not in os.environ
        """,
    )
    result.assert_outcomes(passed=3)


def test_the_connection_knows_collections_as_they_come_and_go(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import json, os

        def aliases():
            return json.loads(os.environ["AIRFLOW_CONN_GLOBUS_DEFAULT"])["extra"]["collections"]

        def test_one(globus_sandbox, globus_collection, tmp_path):
            assert aliases() == {}
            instrument = globus_collection("instrument", files={"run1/a.dat": b"\\x00\\x01", "note.txt": "text"})
            assert instrument.folder == tmp_path / "instrument"
            assert (instrument.folder / "run1/a.dat").read_bytes() == b"\\x00\\x01"
            assert (instrument.folder / "note.txt").read_text() == "text"
            other = globus_sandbox.add_collection("other", tmp_path)
            assert aliases() == {"instrument": instrument.id, "other": other.id}
            guest = globus_collection("guest", host=instrument, base_path="/run1", files={"b.dat": b"b"})
            assert (instrument.folder / "run1/b.dat").read_bytes() == b"b"
            assert globus_sandbox.world.transfer.find("guest").kind == "guest"
            assert aliases()["guest"] == guest.id
            globus_sandbox.reset()
            assert aliases() == {}

        def test_two(globus_sandbox):
            assert aliases() == {}
        """,
    )
    result.assert_outcomes(passed=2)


def test_a_compute_endpoint_is_in_the_connection_and_lives_below_tmp_path(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import json, os

        def test_one(globus_sandbox, globus_compute_endpoint, tmp_path):
            hpc = globus_compute_endpoint()
            mpi = globus_compute_endpoint("cluster", alias="mpi", folder=tmp_path / "elsewhere", mpi=True)
            assert (hpc.name, hpc.folder) == ("hpc", tmp_path / "hpc")
            assert (mpi.mpi, mpi.folder) == (True, tmp_path / "elsewhere")
            extra = json.loads(os.environ["AIRFLOW_CONN_GLOBUS_DEFAULT"])["extra"]
            assert extra["compute_endpoints"] == {"hpc": hpc.id, "mpi": mpi.id}

        def test_two(globus_sandbox):
            assert globus_sandbox.world.compute.endpoints == {}
        """,
    )
    result.assert_outcomes(passed=2)


def test_the_connection_is_one_that_airflow_reads(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import os
        from airflow.sdk.definitions.connection import Connection

        def test_one(globus_sandbox):
            connection = Connection.from_json(os.environ["AIRFLOW_CONN_GLOBUS_DEFAULT"], conn_id="globus_default")
            assert connection.conn_type == "globus"
            assert connection.login == globus_sandbox.client_id
            assert connection.extra_dejson["service_urls"]["transfer"] == globus_sandbox.url
        """,
    )
    result.assert_outcomes(passed=1)


def test_loading_the_plugin_imports_next_to_nothing(tmp_path: Path) -> None:
    """It is loaded in every pytest run on a machine that has the package."""
    program = """
import sys, pytest
before = set(sys.modules)
import airflow_provider_globus.sandbox.pytest_plugin
heavy = {"airflow", "starlette", "uvicorn", "globus_sdk", "requests", "boto3", "yaml", "anyio"}
print(sorted({name.partition(".")[0] for name in set(sys.modules) - before} & heavy), len(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    names, _, count = done.stdout.strip().rpartition(" ")
    assert names == "[]"
    assert int(count) <= 5
