"""The service account: it sees nothing until it is let in, and every way to make the connection leads to it."""

from __future__ import annotations

import configparser
import json
import os
import re
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.cli.doctor import OK, PROBLEM, Finding, examine
from airflow_provider_globus.hooks.credentials import forget_credentials
from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.sandbox.pytest_plugin import CONNECTION_VARIABLE

if TYPE_CHECKING:
    import pytest

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.auth.models import Client
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.docs.page import Page

CODE_PAGE = re.compile(r"https?://\S+/v2/oauth2/authorize\?\S+")
EMPTY_FLOW = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}


def doctor(page: Page, conn_id: str = "globus_default", *, status: int = 0) -> dict[str, dict[str, Any]]:
    """What the doctor says of a connection in the reader's terminal, by subject."""
    said = page.terminal.bash(f"airflow globus doctor --conn-id {conn_id} --output json 2>/dev/null", status=status)
    return {finding["subject"]: finding for finding in json.loads(said[said.index("[{") :])}


def test_register_a_service_account(
    page: Page, globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = globus_sandbox.add_client("pipeline")
    storage = globus_collection("storage", files={"raw/scan.h5": "data"})
    instrument = globus_collection("the lab's instrument", host=storage, base_path="/raw")
    endpoint = globus_sandbox.add_compute_endpoint("hpc", owner=account.id)
    flow = globus_sandbox.add_flow("publish", EMPTY_FLOW, viewers=[account.id], starters=[account.id])
    index = globus_sandbox.add_search_index("catalogue", writers=[account.id])
    app = globus_sandbox.add_client("login", public=True)
    globus_sandbox.add_identity("ada@example.org", name="Ada")
    placeholders = {
        "<client UUID>": account.id,
        "<client secret>": account.secret,
        "<UUID of the collection>": instrument.id,
        "<UUID of the Compute endpoint>": endpoint.id,
        "<UUID of the flow>": flow.id,
        "<UUID of the index>": index.id,
        "<client UUID of the native app>": app.id,
        "<UUID of a mapped collection>": storage.id,
        "/run/secrets": page.folder,
    }
    for placeholder, value in placeholders.items():
        page.replace(placeholder, value)
    # The reader has no connection yet; the manager's is the one that the sandbox has set.
    monkeypatch.setenv("AIRFLOW_CONN_GLOBUS_MANAGER", globus_sandbox.connection)
    page.terminal.exported[CONNECTION_VARIABLE] = None

    page.run(until='DAG("admit_the_pipeline"')
    transfer, shared = globus_sandbox.world.transfer, globus_sandbox.world.transfer.collections[instrument.id]
    assert transfer.permissions(account.id, shared, "/scan.h5") == ""
    assert doctor(page, status=1)["connection"]["cure"].startswith("Add it: airflow connections import FILE")
    page.run(until="chmod 600")
    assert transfer.permissions(account.id, shared, "/scan.h5") == "rw"

    page.run(until="airflow connections add")
    in_database = doctor(page)
    assert_well(in_database, account)
    assert instrument.id in in_database["collection instrument"]["said"]
    page.run(until="LocalFilesystemBackend")
    assert_well(doctor(page, "globus_of_the_lab"), account)
    page.run(until="export AIRFLOW_CONN_GLOBUS_DEFAULT")
    look_in_the_backend(page, account)

    page.command("airflow globus login", typed=lambda printed: log_in(globus_sandbox, printed))
    page.run()
    shown = page.output("export AIRFLOW_CONN_GLOBUS_DEFAULT")
    for subject in ("collection instrument", "Compute endpoint hpc", "flow publish", "Search index catalogue"):
        assert re.search(rf"{subject} +\| ok ", shown), shown
    assert [entry["name"] for entry in page.results("first_look")["look"]] == ["scan.h5"]

    assert "ada@example.org" in page.output("airflow globus login")
    person = GlobusHook("globus_person")
    # The login has consented to the data of the mapped collection.
    listing = person.transfer_client().operation_ls(person.use_collection(storage.id), path="/raw/")
    assert [entry["name"] for entry in listing] == ["scan.h5"]
    replace_the_secret(globus_sandbox, account, monkeypatch)


def assert_well(found: dict[str, dict[str, Any]], account: Client) -> None:
    assert f"{account.id}@clients.auth.globus.org" in found["identity"]["said"]
    # Of the versions, Airflow before 3.3 deserves a warning.
    assert {finding["state"] for subject, finding in found.items() if subject != "versions"} == {"ok"}


def look_in_the_backend(page: Page, account: Client) -> None:
    """A connection that only the backend of the page's settings knows is found."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read_string(page.block("LocalFilesystemBackend").text)
    file = page.folder / "connections.json"
    assert json.loads(settings["secrets"]["backend_kwargs"]) == {
        "connections_file_path": f"/run/secrets/{file.name}"
    }, "the file that the page has just made"
    known = json.loads(file.read_text())
    file.write_text(json.dumps({"globus_mounted": known["globus_default"]}))
    backend = {
        "AIRFLOW__SECRETS__BACKEND": settings["secrets"]["backend"],
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(file)}),
    }
    page.terminal.exported |= backend
    assert_well(doctor(page, "globus_mounted"), account)
    page.terminal.exported |= dict.fromkeys(backend)


def log_in(sandbox: GlobusSandbox, printed: str) -> str:
    """What the person types: the code that Globus shows after the login."""
    page = CODE_PAGE.search(printed)
    return f"{sandbox.log_in(page[0], 'ada@example.org')}\n" if page and "The code that it shows" in printed else ""


def replace_the_secret(sandbox: GlobusSandbox, account: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second secret works beside the first, and after it; the first is then refused as the page says."""

    def connect(secret: str) -> dict[str, Finding]:
        connection = json.loads(os.environ[CONNECTION_VARIABLE]) | {"password": secret}
        monkeypatch.setenv(CONNECTION_VARIABLE, json.dumps(connection))
        forget_credentials()
        return {finding.subject: finding for finding in examine("globus_default")}

    old, new = account.credentials[0], sandbox.world.auth.add_credential(account.id, "new")
    assert [connect(secret.secret)["identity"].state for secret in (old, new)] == [OK, OK]
    sandbox.world.auth.remove_credential(account.id, old.id)
    assert connect(new.secret)["identity"].state == OK
    refused = connect(old.secret)["identity"]
    assert (refused.state, "The client id and secret do not match" in refused.cure) == (PROBLEM, True)
