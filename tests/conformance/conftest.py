"""The Globus CLI as its own process, unmodified, on the sandbox.

It pins another `globus-sdk`, so it has an environment of its own (`make cli`). Where that is missing the tests are
skipped, unless `GLOBUS_CLI_TESTS=required` makes that a failure.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox

GLOBUS = Path(__file__).resolve().parents[2] / ".venv-cli" / "bin" / "globus"
NOT_INSTALLED = "The Globus CLI is not installed: run `make cli`"


class GlobusCli:
    """Runs commands of the CLI as the sandbox's service account."""

    def __init__(self, sandbox: GlobusSandbox, home: Path) -> None:
        self.sandbox = sandbox
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "GLOBUS_CLI_INTERACTIVE": "0",
            **sandbox.env,
            # The fixture gives each test another secret.
            "GLOBUS_CLI_CLIENT_SECRET": sandbox.client_secret,
        }

    def text(self, *arguments: str, fails: int = 0) -> str:
        """What a command prints; it must end with the exit code `fails`."""
        done = subprocess.run(
            [GLOBUS, *arguments], env=self._environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == fails, done.stderr or done.stdout
        return done.stdout if not fails else done.stderr + done.stdout

    def json(self, *arguments: str) -> Any:
        """What a command prints as JSON."""
        return json.loads(self.text(*arguments, "--format", "json"))


@pytest.fixture
def cli(globus_sandbox: GlobusSandbox, tmp_path: Path) -> GlobusCli:
    if not GLOBUS.exists():
        if os.environ.get("GLOBUS_CLI_TESTS") == "required":
            pytest.fail(NOT_INSTALLED)
        pytest.skip(NOT_INSTALLED)
    home = tmp_path / "home"
    home.mkdir()
    return GlobusCli(globus_sandbox, home)
