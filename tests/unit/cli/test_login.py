"""``airflow globus login``: a person's consent becomes a connection that works."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from airflow.cli import cli_parser

from airflow_provider_globus.cli.doctor import OK, examine
from airflow_provider_globus.hooks.globus import GlobusHook

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory

CODE_PAGE = re.compile(r"https?://\S+/v2/oauth2/authorize\?\S+")


class Person:
    """Who reads what the command says, logs in, and types the code."""

    def __init__(self, log_in: Callable[[str], str], said: io.StringIO) -> None:
        self._log_in, self._said = log_in, said

    def readline(self) -> str:
        page = CODE_PAGE.search(self._said.getvalue())
        assert page
        return self._log_in(page[0]) + "\n"


@pytest.fixture
def log_in(globus_sandbox: GlobusSandbox, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Callable[..., Any]:
    app = globus_sandbox.add_client("our native app", public=True)
    globus_sandbox.add_identity("ada@example.org", name="Ada")

    def run(*arguments: str, person: Callable[[str], str] | None = None) -> Any:
        said = io.StringIO()
        person = person or (lambda page: globus_sandbox.log_in(page, "ada@example.org"))
        monkeypatch.setattr("sys.stdin", Person(person, said))
        monkeypatch.setattr("sys.stderr", said)
        parsed = cli_parser.get_parser().parse_args(["globus", "login", "--client-id", app.id, *arguments])
        parsed.func(parsed)
        return json.loads(capsys.readouterr().out)

    return run


def test_a_login_becomes_a_connection_that_acts_as_the_person(
    globus_sandbox: GlobusSandbox,
    globus_collection: CollectionFactory,
    log_in: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mapped = globus_collection("scratch", files={"a.txt": "a"})
    connection = log_in("--service", "transfer", "--service", "compute", "--data-access", mapped.id)
    urls = json.loads(globus_sandbox.connection)["extra"]["service_urls"]
    connection["extra"] |= {"service_urls": urls, "collections": {"scratch": mapped.id}}
    monkeypatch.setenv("AIRFLOW_CONN_ADA", json.dumps(connection))
    hook = GlobusHook("ada")
    ada = globus_sandbox.world.auth.identity_by_username("ada@example.org")
    assert ada
    assert hook.auth_client().userinfo()["sub"] == ada.id
    listing = hook.transfer_client().operation_ls(hook.use_collection("scratch"), path="/")
    assert [item["name"] for item in listing] == ["a.txt"]
    states = {finding.subject: finding.state for finding in examine("ada") if finding.subject != "versions"}
    # It was not asked for these.
    assert [subject for subject, state in states.items() if state != OK] == ["Flows", "Search"]


def test_a_code_that_is_refused_says_so(log_in: Callable[..., Any]) -> None:
    with pytest.raises(SystemExit) as ended:
        log_in(person=lambda page: "not-the-code")
    assert "invalid_grant" in str(ended.value.code)
    assert "log in again" in str(ended.value.code)
