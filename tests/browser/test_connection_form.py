"""The form of a Globus connection: what it shows, that it saves, that its test helps, that it keeps secrets."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.fernet import Fernet

from airflow_provider_globus.get_provider_info import get_provider_info
from tests.browser.chromium import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from airflow_provider_globus.sandbox.local_airflow import LocalAirflow
    from tests.browser.airflow_ui import AirflowUi, ConnectionForm
    from tests.browser.stage import Stage

pytestmark = pytest.mark.e2e

CONN_ID = "typed_by_hand"
REFRESH_TOKEN = "a-refresh-token-that-nobody-may-see"
ALWAYS = ["Connection ID", "Connection Type"]
FAILED, SUCCESSFUL = "Test Connection Failed", "Test Connection Successful"


def new_form(ui: AirflowUi) -> ConnectionForm:
    ui.go_to_connections()
    form = ui.add_connection()
    form.name(CONN_ID, "Globus")
    return form


def typed_text(form: ConnectionForm) -> list[str]:
    """What stands in the inputs of the form, hidden or not."""
    return [each.input_value() for each in form.dialog.locator("input, textarea").all()]


def test_the_standard_fields_are_those_of_an_app(ui: AirflowUi) -> None:
    form = new_form(ui)
    # No host or schema: Globus has one address.
    form.expect_labels([*ALWAYS, "Description", "Client ID", "Client secret", "Port"])
    expect(form.input("Port")).to_have_attribute("placeholder", re.compile("0 lets Airflow"))
    expect(form.input("Client ID")).to_have_attribute("placeholder", "UUID of the Globus app")
    expect(form.input("Client secret")).to_have_attribute("type", "password")


def test_the_extra_fields_have_labels_explanations_and_choices(ui: AirflowUi) -> None:
    form = new_form(ui)
    form.open("Extra Fields")
    (kind,) = get_provider_info()["connection-types"]
    fields = kind["conn-fields"].values()
    form.expect_labels([*ALWAYS, *(field["label"] for field in fields)])
    for field in fields:
        expect(form.field(field["label"])).to_contain_text(field["description"])
    assert form.choices("App type") == ["client", "user"]
    assert form.choices("Globus environment")[:2] == ["production", "preview"]
    expect(form.input("Refresh token")).to_have_attribute("type", "password")
    expect(form.field("HTTP timeout").get_by_role("spinbutton")).to_have_value("60")


def test_it_saves_tests_and_keeps_secrets(ui: AirflowUi, airflow: LocalAirflow, beamline: Stage) -> None:
    ui.connect(CONN_ID, beamline.credentials, {**beamline.extra, "Refresh token": REFRESH_TOKEN})
    said = ui.test_connection(CONN_ID, SUCCESSFUL)
    assert f"Connected as Globus sandbox default client ({beamline.globus.client_id}@clients.auth.globus.org)" in said
    for described in ("instrument: Beamline 7 instrument.", "scratch: HPC scratch.", "review: Review a scan."):
        assert described in said
    assert "hpc: offline." in said

    form = ui.edit_connection(CONN_ID)
    assert form.input("Client ID").input_value() == beamline.globus.client_id
    form.open("Extra Fields")
    aliases = json.loads(form.input("Collection aliases").input_value())
    assert aliases == {c.alias: c.id for c in beamline.globus.world.transfer.collections.values() if c.alias}
    assert json.loads(form.input("Flow aliases").input_value()).keys() == {"review"}
    # The JSON of all extra fields is text of an editor, of which only what is on the screen is in the page.
    shown = [*typed_text(form), _json_text(form)]
    for secret in (beamline.globus.client_secret, REFRESH_TOKEN):
        assert not [text for text in shown if secret in text]
        assert secret not in ui.page.content()

    # Another alias, and the token is what it was.
    form.open("Extra Fields")
    form.type({"Collection aliases": json.dumps({"archive": beamline.endpoint.id})})
    form.save()
    stored = stored_extra(airflow)
    assert stored["refresh_token"] == REFRESH_TOKEN
    assert json.loads(stored["collections"]).keys() == {"archive"}

    form = ui.edit_connection(CONN_ID)
    form.type({"Client secret": "wrong"})
    form.save()
    said = ui.test_connection(CONN_ID, FAILED)
    assert "The client id and secret do not match: check login and password of the connection" in said


def stored_extra(airflow: LocalAirflow) -> dict[str, Any]:
    """The extra fields of the connection, as Airflow keeps them."""
    ((extra,),) = airflow.query("select extra from connection where conn_id = ?", CONN_ID)
    decrypted: dict[str, Any] = json.loads(Fernet(airflow.env["AIRFLOW__CORE__FERNET_KEY"]).decrypt(extra.encode()))
    return decrypted


def _json_text(form: ConnectionForm) -> str:
    form.open("Extra Fields JSON")
    editor: Locator = form.dialog.locator(".view-lines")
    expect(editor).to_contain_text("app_type")
    return editor.inner_text()
