"""Official clients on the sandbox, and evidence of what they were content with.

The Globus CLI runs unmodified, as its own process. It pins another `globus-sdk`, so it has an environment of its own
(`make cli`). Where that is missing the tests are skipped, unless `GLOBUS_CLI_TESTS=required` makes that a failure.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import globus_sdk
import pytest
from globus_sdk.transport import RetryConfig

from tests.conformance import commands, evidence
from tests.installed import missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.auth.models import Client

# Their assertions shall say what differs, as those of tests do.
pytest.register_assert_rewrite("tests.conformance.openapi", "tests.conformance.recordings")


class GlobusCli:
    """Runs commands of the CLI as the sandbox's service account."""

    def __init__(self, sandbox: GlobusSandbox, home: Path, client: Client | None = None) -> None:
        self.sandbox = sandbox
        self._home = home
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "GLOBUS_CLI_INTERACTIVE": "0",
            **sandbox.env,
            # The fixture gives each test another secret.
            "GLOBUS_CLI_CLIENT_ID": client.id if client else sandbox.client_id,
            "GLOBUS_CLI_CLIENT_SECRET": (client.secret or "") if client else sandbox.client_secret,
        }

    def of(self, client: Client) -> GlobusCli:
        """The CLI as another service account."""
        return GlobusCli(self.sandbox, self._home, client)

    def text(self, *arguments: str, fails: int = 0, stdin: str = "") -> str:
        """What a command prints; it must end with the exit code `fails`."""
        done = subprocess.run(
            [commands.GLOBUS, *arguments],
            env=self._environment, input=stdin, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == fails, done.stderr or done.stdout
        if fails:
            return done.stderr + done.stdout
        commands.note_run(arguments)
        return done.stdout

    def json(self, *arguments: str, fails: int = 0, stdin: str = "") -> Any:
        """What a command prints as JSON, be it an error."""
        return json.loads(self.text(*arguments, "--format", "json", fails=fails, stdin=stdin))


@pytest.fixture(autouse=True)
def _clients_vouch(request: pytest.FixtureRequest) -> Iterator[None]:
    sandbox = request.getfixturevalue("globus_sandbox") if "globus_sandbox" in request.fixturenames else None
    yield
    if sandbox:
        evidence.vouch_for_clients(sandbox)


@pytest.fixture
def cli(globus_sandbox: GlobusSandbox, tmp_path: Path) -> GlobusCli:
    if not commands.GLOBUS.exists():
        missing("The Globus CLI is not installed: run `make cli`", "GLOBUS_CLI_TESTS")
    home = tmp_path / "home"
    home.mkdir()
    return GlobusCli(globus_sandbox, home)


def transfer_client(sandbox: GlobusSandbox) -> globus_sdk.TransferClient:
    """The SDK's client of Transfer, as the default service account."""
    config = globus_sdk.GlobusAppConfig(token_storage="memory")
    app = globus_sdk.ClientApp(client_id=sandbox.client_id, client_secret=sandbox.client_secret, config=config)
    return globus_sdk.TransferClient(app=app, retry_config=RetryConfig(max_retries=0))


def gcs_client(sandbox: GlobusSandbox, client: Client | None = None, *, data_access: str = "") -> globus_sdk.GCSClient:
    """The SDK's client of the sandbox's Connect Server, as the default service account or as another.

    :param data_access: a mapped collection that the Connect Server may use in the client's name.
    """
    client_id, secret = (client.id, client.secret or "") if client else (sandbox.client_id, sandbox.client_secret)
    config = globus_sdk.GlobusAppConfig(token_storage="memory")
    app = globus_sdk.ClientApp(client_id=client_id, client_secret=secret, config=config)
    made = globus_sdk.GCSClient(sandbox.tls_url, app=app, retry_config=RetryConfig(max_retries=0))
    if data_access:
        scope = made.get_gcs_endpoint_scopes(made.endpoint_client_id).manage_collections
        made.add_app_scope(scope.with_dependency(made.get_gcs_collection_scopes(data_access).data_access))
    return made


@pytest.fixture
def gcs(globus_sandbox: GlobusSandbox) -> globus_sdk.GCSClient:
    """The SDK's client of Connect Server, beside the CLI."""
    return gcs_client(globus_sandbox)
