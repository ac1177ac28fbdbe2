"""The connection as the page writes it: each form is read, and the service account's works."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from airflow.sdk import Connection

from airflow_provider_globus.hooks.connection import ConnectionSettings
from airflow_provider_globus.hooks.globus import GlobusHook

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, ComputeEndpointFactory
    from tests.docs.page import Page


def test_the_forms_of_a_connection(
    page: Page,
    globus_sandbox: GlobusSandbox,
    globus_collection: CollectionFactory,
    globus_compute_endpoint: ComputeEndpointFactory,
) -> None:
    instrument, hpc = globus_collection("instrument"), globus_compute_endpoint("hpc")
    page.replace("<client UUID>", globus_sandbox.client_id)
    page.replace("<client secret>", globus_sandbox.client_secret)
    page.replace("<collection UUID>", instrument.id)
    page.replace("<endpoint UUID>", hpc.id)
    page.run()
    # It names no addresses, as for production: the SDK's environment leads to the sandbox.
    ok, said = GlobusHook().test_connection()
    assert ok
    assert "instrument: instrument" in said
    assert "hpc: online" in said


def _read(page: Page, name: str) -> ConnectionSettings:
    page.replace("<client UUID>", "a2c8f1de-3a94-4d59-b8b3-30f2b8fe0dd1")
    page.replace("<collection UUID>", "b2c8f1de-3a94-4d59-b8b3-30f2b8fe0dd1")
    page.replace("<endpoint UUID>", "c2c8f1de-3a94-4d59-b8b3-30f2b8fe0dd1")
    page.run()
    connection = Connection.from_json((page.folder / name).read_text(), "it")
    return ConnectionSettings.from_connection("it", connection)


def test_a_persons_connection_is_read(page: Page) -> None:
    settings = _read(page, "person.json")
    assert settings.app_type == "user"
    assert len(settings.refresh_tokens) == 2


def test_a_sandboxes_connection_is_read(page: Page) -> None:
    settings = _read(page, "sandbox.json")
    assert settings.app_type == "client"
    assert settings.web_app_url == "http://127.0.0.1:8765"
    assert settings.ca_bundle


def test_aliases_may_be_text(page: Page) -> None:
    settings = _read(page, "service_account.json")
    document = json.loads((page.folder / "service_account.json").read_text())
    document["extra"]["collections"] = json.dumps(document["extra"]["collections"])
    as_text = ConnectionSettings.from_connection("it", Connection.from_json(json.dumps(document), "it"))
    assert as_text.collections == settings.collections == {"instrument": "b2c8f1de-3a94-4d59-b8b3-30f2b8fe0dd1"}


@pytest.mark.parametrize(
    ("secret", "token", "kind"), [("s", None, "client"), (None, "t", "user"), ("s", "t", "client")]
)
def test_what_kind_of_identity_is_meant_unless_it_is_said(secret: str | None, token: str | None, kind: str) -> None:
    document = {
        "conn_type": "globus",
        "login": "a2c8f1de-3a94-4d59-b8b3-30f2b8fe0dd1",
        "password": secret,
        "extra": {"refresh_token": token},
    }
    connection = Connection.from_json(json.dumps(document), "it")
    assert ConnectionSettings.from_connection("it", connection).app_type == kind
