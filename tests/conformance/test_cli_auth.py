"""`globus login`, `whoami`, `session …`, `get-identities`, `api auth`, as a service account and as a person.

A person's login is the CLI's own: it opens a browser, which here is a program that chooses an identity on the page, and
is sent back to the CLI with a code.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from typing import TYPE_CHECKING

import pytest

from tests.conformance import commands
from tests.conformance.conftest import GlobusCli

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory

BROWSER = Path(__file__).with_name("browser.py")


class PersonsCli(GlobusCli):
    """Runs commands of the CLI as nobody at first; as who is chosen in the browser, once they have logged in."""

    def __init__(self, sandbox: GlobusSandbox, home: Path, username: str) -> None:
        super().__init__(sandbox, home)
        for name in ("ID", "SECRET"):
            del self._environment[f"GLOBUS_CLI_CLIENT_{name}"]
        self._environment["BROWSER"] = f"{shlex.join([sys.executable, str(BROWSER), username])} %s"


@pytest.fixture
def ada(cli: GlobusCli, globus_sandbox: GlobusSandbox, tmp_path: Path) -> PersonsCli:
    globus_sandbox.add_identity("ada@example.org", name="Ada", email="ada@example.org", organization="Analytical")
    return PersonsCli(globus_sandbox, tmp_path / "home", "ada@example.org")


def test_who_a_service_account_is(cli: GlobusCli) -> None:
    username = f"{cli.sandbox.client_id}@clients.auth.globus.org"
    assert cli.text("whoami").strip() == username
    assert cli.text("whoami", "--linked-identities").strip() == username
    assert cli.json("session", "show")["authentications"] == {}
    assert cli.text("get-identities", cli.sandbox.client_id).strip() == username


def test_identities_are_looked_up(cli: GlobusCli) -> None:
    ada = cli.sandbox.add_identity("ada@example.org", name="Ada")
    globus = cli.sandbox.add_identity("globus@globusid.org", name="Globus Team")
    assert cli.text("get-identities", "ada@example.org").strip() == ada.id
    assert cli.text("get-identities", globus.id, ada.id).split() == ["globus@globusid.org", "ada@example.org"]
    assert "Ada" in cli.text("get-identities", "--verbose", "ada@example.org")
    (found,) = cli.json("get-identities", "--provision", "new@example.org")["identities"]
    assert found["status"] == "unused"
    assert cli.text("get-identities", "nobody@example.org").strip() == "NO_SUCH_IDENTITY"


def test_a_project_is_built_with_the_api(cli: GlobusCli) -> None:
    manage = ("--scope-string", "urn:globus:auth:scope:auth.globus.org:manage_projects")

    def api(method: str, path: str, **body: object) -> dict[str, dict[str, str]]:
        sent = ("--body", json.dumps(body)) if body else ()
        answer: dict[str, dict[str, str]] = json.loads(cli.text("api", "auth", method, path, *manage, *sent))
        return answer

    about = {"display_name": "Lab", "contact_email": "lab@example.org", "admin_ids": [cli.sandbox.client_id]}
    project = api("POST", "/v2/api/projects", project=about)["project"]["id"]
    client = api("POST", "/v2/api/clients", client={"name": "robot", "project": project, "public_client": False})
    client_id = client["client"]["id"]
    told = api("POST", f"/v2/api/clients/{client_id}/credentials", credential={"name": "first"})["credential"]
    robot = cli.sandbox.world.auth.check_secret(client_id, told["secret"])
    assert robot is not None
    assert cli.of(robot).text("whoami").strip() == f"{client_id}@clients.auth.globus.org"
    assert api("DELETE", f"/v2/api/clients/{client_id}")["client"]["id"] == client_id
    assert "HTTP status:      401" in cli.of(robot).text("session", "show", fails=1)


def test_a_person_logs_in_and_out(ada: PersonsCli) -> None:
    assert "MissingLoginError" in ada.text("whoami", fails=4)
    assert "You have successfully logged in" in ada.text("login")
    assert ada.text("whoami").strip() == "ada@example.org"
    assert ada.text("whoami", "--linked-identities").strip() == "ada@example.org"
    identity = ada.sandbox.world.auth.identity_by_username("ada@example.org")
    assert identity is not None
    shown = ada.json("session", "show")["authentications"]
    assert list(shown) == [identity.id]
    assert shown[identity.id]["idp"] == identity.identity_provider
    assert "ada@example.org" in ada.text("session", "show")
    assert "default" in ada.text("cli-profile-list")
    assert "You are already logged in" in ada.text("login")
    ada.text("task", "list")
    assert ada.sandbox.journal.requests("transfer")[-1].identity == "ada@example.org"
    tokens = len(ada.sandbox.world.auth.snapshot()["clients"])
    assert "You are now successfully logged out" in ada.text("logout", "--yes")
    assert ada.sandbox.world.auth.snapshot()["refresh_tokens"] == 0
    assert len(ada.sandbox.world.auth.snapshot()["clients"]) == tokens
    ada.text("whoami", fails=4)


def test_a_person_without_a_browser_pastes_the_code(ada: PersonsCli) -> None:
    command = (commands.GLOBUS, "login", "--no-local-server")
    with subprocess.Popen(command, env=ada._environment, stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdout is not None
        url = next(line for line in process.stdout if line.startswith("http"))
        process.communicate(ada.sandbox.log_in(url.strip(), "ada@example.org") + "\n", timeout=60)
    assert process.returncode == 0
    assert ada.text("whoami").strip() == "ada@example.org"


def test_a_person_consents_to_a_collection(ada: PersonsCli, globus_collection: CollectionFactory) -> None:
    collection = globus_collection("mapped", files={"a.dat": "a"})
    ada.text("login")
    said = ada.text("ls", f"{collection.id}:/", fails=4)
    command = next(line for line in said.splitlines() if "globus session consent" in line)
    assert "successfully updated your CLI session" in ada.text(*shlex.split(command.strip())[1:])
    assert ada.text("ls", f"{collection.id}:/").split() == ["a.dat"]


def test_a_person_logs_in_again_for_a_project(ada: PersonsCli) -> None:
    ada.text("login")
    ada.sandbox.clock.advance(3600)
    before = ada.json("session", "show")["authentications"]
    assert "successfully updated your CLI session" in ada.text("session", "update", "ada@example.org")
    after = ada.json("session", "show")["authentications"]
    assert list(before) == list(after)
    assert all(after[key]["auth_time"] - before[key]["auth_time"] >= 3600 for key in before)
