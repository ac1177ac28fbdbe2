"""``airflow globus doctor``: what it finds in set-ups that are well, and the cure of each that is not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
from airflow.cli import cli_parser

from airflow_provider_globus.cli import doctor
from airflow_provider_globus.cli.doctor import OK, PROBLEM, WARNING, Finding, examine
from tests.dag_runs import database

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, ComputeEndpointFactory

__all__ = ["database"]

CONNECTION = "AIRFLOW_CONN_GLOBUS_DEFAULT"
NOBODY = "00000000-0000-4000-8000-000000000000"


def findings() -> dict[str, Finding]:
    return {finding.subject: finding for finding in examine("globus_default")}


def only_problem() -> Finding:
    found = [finding for finding in examine("globus_default") if finding.state != OK and finding.subject != "versions"]
    assert len(found) == 1, found
    return found[0]


class Connection:
    """The connection that leads to the sandbox, to be changed."""

    def __init__(self, sandbox: GlobusSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        self._document: dict[str, Any] = json.loads(sandbox.connection)
        self._monkeypatch = monkeypatch

    def change(self, **changes: Any) -> None:
        self._document |= changes
        self._monkeypatch.setenv(CONNECTION, json.dumps(self._document))

    def change_extra(self, **changes: Any) -> None:
        self.change(extra={**self._document["extra"], **changes})


@pytest.fixture
def connection(globus_sandbox: GlobusSandbox, monkeypatch: pytest.MonkeyPatch) -> Connection:
    return Connection(globus_sandbox, monkeypatch)


def test_all_is_well(
    globus_sandbox: GlobusSandbox,
    globus_collection: CollectionFactory,
    globus_compute_endpoint: ComputeEndpointFactory,
    connection: Connection,
) -> None:
    mapped = globus_collection("scratch")
    globus_compute_endpoint("hpc")
    flow = globus_sandbox.add_flow("publish", {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
    index = globus_sandbox.add_search_index("catalogue")
    found = findings()
    assert {finding.state for finding in found.values() if finding.subject != "versions"} == {OK}
    # Before Airflow 3.3, a worker that dies is not remembered.
    newest = tuple(map(int, version("apache-airflow").split(".")[:2])) >= (3, 3)
    assert (found["versions"].state, found["versions"].cure == "") == (OK if newest else WARNING, newest)
    assert list(found) == [
        "versions", "connection", "identity", "clock", "Transfer", "Compute", "Flows", "Search",
        "collection scratch", "Compute endpoint hpc", "flow publish", "Search index catalogue",
    ]  # fmt: skip
    assert globus_sandbox.client_id in found["identity"].said
    assert found["clock"].said == "agrees with Globus"
    assert mapped.id in found["collection scratch"].said
    assert (found["flow publish"].said, found["Search index catalogue"].said) == (flow.title, index.display_name)


def no_connection(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CONNECTION)


def wrong_secret(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.change(password="not the secret")


def no_secret(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.change(password="")


def unreadable_aliases(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.change_extra(collections="{not JSON")


def nobody_there(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.change_extra(service_urls={"auth": "http://127.0.0.1:9/"})


def unknown_collection(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.change_extra(collections={"scratch": NOBODY})


def unknown_flow(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.change_extra(flows={"publish": NOBODY})


def unknown_index(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.change_extra(search_indexes={"catalogue": NOBODY})


def unreadable_connection(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONNECTION, '{"conn_type": "globus"')


def name_as_alias(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.change_extra(collections={"scratch": "Scratch of the HPC centre"})


def lost_ca_bundle(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.change_extra(ca_bundle="/nowhere/ca.pem")


def revoked_token(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.change_extra(app_type="user", refresh_token="Agrevoked")


@pytest.mark.parametrize(
    ("breaks", "subject", "said", "cure"),
    [
        (
            no_connection,
            "connection",
            "no connection 'globus_default'",
            'airflow connections import FILE, which holds {"globus_default"',
        ),
        (no_connection, "connection", "no connection", "register at https://app.globus.org/settings/developers"),
        (no_connection, "connection", "no connection", "airflow globus login"),
        (unreadable_connection, "connection", f"The environment variable {CONNECTION} holds no", "Write it as JSON"),
        (name_as_alias, "connection", "must stand for a UUID, not 'Scratch of the HPC centre'", "collections search"),
        (lost_ca_bundle, "connection", "/nowhere/ca.pem, is not on this machine", "correct the field CA bundle"),
        (no_secret, "connection", "secret", "secret"),
        (unreadable_aliases, "connection", "collections must be a JSON object", "name"),
        (wrong_secret, "identity", "invalid_client", "secret"),
        (revoked_token, "identity", "invalid_grant", "refresh token"),
        (nobody_there, "identity", "No answer", "Check that this machine can reach"),
        (nobody_there, "identity", "No answer", "HTTPS_PROXY"),
        (unknown_collection, "collection scratch", "EndpointNotFound", "Check the id"),
        (unknown_flow, "flow publish", "404", "id"),
        (unknown_index, "Search index catalogue", "404", "id"),
    ],
)
def test_a_broken_set_up_has_one_problem_and_its_cure(
    breaks: Callable[[Connection, pytest.MonkeyPatch], None],
    subject: str,
    said: str,
    cure: str,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    breaks(connection, monkeypatch)
    problem = only_problem()
    assert (problem.subject, problem.state) == (subject, PROBLEM)
    assert said in problem.said
    assert cure in problem.cure


@pytest.mark.parametrize(
    ("extra", "said", "cure"),
    [
        ({"colections": {}}, "The field 'colections' means nothing.", "Is it collections?"),
        ({"speed": 9}, "The field 'speed' means nothing.", "Known are: app_type, ca_bundle, collections, "),
    ],
)
def test_a_field_that_means_nothing(extra: dict[str, Any], said: str, cure: str, connection: Connection) -> None:
    connection.change_extra(**extra)
    found = only_problem()
    assert (found.subject, found.state, found.said) == ("connection extra", WARNING, said)
    assert found.cure.startswith(cure)


def test_a_connection_of_another_type(connection: Connection) -> None:
    connection.change(conn_type="http")
    found = only_problem()
    assert (found.subject, found.state) == ("connection type", WARNING)
    assert "'http', not 'globus'" in found.said
    assert "Set the type to Globus" in found.cure


def test_a_connection_in_the_database_is_found(
    globus_sandbox: GlobusSandbox,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
    database: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Such as one that was made in the form, or by `airflow connections add`."""
    from airflow.models import Connection as DatabaseConnection
    from airflow.utils.session import create_session

    no_connection(connection, monkeypatch)
    document = json.loads(globus_sandbox.connection)
    with create_session() as session:
        session.add(DatabaseConnection("in_the_database", **{**document, "extra": json.dumps(document["extra"])}))
    try:
        arguments = cli_parser.get_parser().parse_args(["globus", "doctor", "-c", "in_the_database", "-o", "json"])
        arguments.func(arguments)
    finally:
        with create_session() as session:
            session.query(DatabaseConnection).filter_by(conn_id="in_the_database").delete()
    shown = json.loads(capsys.readouterr().out)
    assert shown[1]["said"].startswith("in_the_database: service account")


def test_people_can_copy_a_cure(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    no_connection(connection, monkeypatch)
    arguments = cli_parser.get_parser().parse_args(["globus", "doctor"])
    with pytest.raises(SystemExit):
        arguments.func(arguments)
    *table, cure = capsys.readouterr().out.strip().splitlines()
    assert cure.startswith('connection: Add it: airflow connections import FILE, which holds {"globus_default": {')
    assert any(line.startswith("connection | problem | There is no connection") for line in table)


def test_a_collection_that_is_closed(globus_sandbox: GlobusSandbox, connection: Connection, tmp_path: Path) -> None:
    other = globus_sandbox.add_client("other")
    theirs = globus_sandbox.add_collection("theirs", tmp_path, kind="personal", owner=other.id)
    connection.change_extra(collections={"theirs": theirs.id})
    problem = only_problem()
    assert problem.subject == "collection theirs"
    assert "ask" in problem.cure.lower() or "permission" in problem.cure.lower()


def test_a_laptop_that_is_shut(globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory) -> None:
    laptop = globus_collection("laptop", kind="personal")
    globus_sandbox.world.transfer.collections[laptop.id].connected = False
    problem = only_problem()
    assert problem.subject == "collection laptop"
    assert "Globus Connect Personal" in problem.said + problem.cure


def test_an_endpoint_that_does_not_run(globus_compute_endpoint: ComputeEndpointFactory) -> None:
    globus_compute_endpoint("hpc").online = False
    problem = only_problem()
    assert (problem.subject, problem.state) == ("Compute endpoint hpc", PROBLEM)
    assert "globus-compute-endpoint start" in problem.cure


@pytest.mark.parametrize(
    ("seconds", "state", "said"), [(0, OK, "agrees"), (400, WARNING, "behind"), (-400, WARNING, "ahead of")]
)
def test_a_clock_that_is_wrong(seconds: int, state: str, said: str) -> None:
    told = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    found = doctor.clock(told)
    assert (found.subject, found.state) == ("clock", state)
    assert said in found.said
    assert ("NTP" in found.cure) == (state == WARNING)


@pytest.mark.parametrize(("breaks", "status"), [(None, 0), (wrong_secret, 1)])
def test_the_command_line_shows_it_and_ends_with_a_status(
    breaks: Any,
    status: int,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if breaks:
        breaks(connection, monkeypatch)
    arguments = cli_parser.get_parser().parse_args(["globus", "doctor", "--output", "json"])
    ended = 0
    try:
        arguments.func(arguments)
    except SystemExit as end:
        ended = int(str(end.code))
    shown = json.loads(capsys.readouterr().out)
    assert ended == status
    assert [row["subject"] for row in shown][:2] == ["versions", "connection"]
    assert all(set(row) == {"subject", "state", "said", "cure"} for row in shown)
