"""A web application built on `@globus/sdk`: people log in to it, and again when something more is asked of them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from globus_sdk.scopes import TransferScopes

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.auth.models import Client, Identity
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.conformance.javascript.sdk import JavaScriptSdk

CALLBACK = "https://portal.example.org/callback"


@pytest.fixture
def portal(js: JavaScriptSdk) -> Client:
    return js.sandbox.add_client("portal", public=True, redirect_uris=[CALLBACK])


@pytest.fixture
def ada(js: JavaScriptSdk) -> Identity:
    return js.sandbox.add_identity("ada@example.org", name="Ada")


def decide(page: str, decision: str, person: Identity, **more: str) -> str:
    """Decide on the page of the login, and return where the browser is sent."""
    form = {"identity": person.id, "decision": decision, **more}
    answer = requests.post(page, data=form, timeout=10, allow_redirects=False)
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def test_a_person_logs_in_and_gives_a_consent_later(
    js: JavaScriptSdk, portal: Client, ada: Identity, globus_collection: CollectionFactory
) -> None:
    mapped = globus_collection("mapped", files={"a.txt": "a"}, public=True)
    js.app(portal, CALLBACK, TransferScopes.all)
    page = js.send()
    assert page.startswith(js.value("auth.getAuthorizationEndpoint"))
    tokens = js.receive(decide(page, "allow", ada))
    assert js.value("auth.isGlobusAuthTokenResponse", tokens)
    assert all(js.value("auth.isRefreshToken", token) for token in (tokens, *tokens["other_tokens"]))
    assert js.call("transfer.task.getAll")["DATA"] == []
    assert js.sandbox.journal.requests("transfer")[-1].identity == "ada@example.org"

    _, error = js.refused("transfer.fileOperations.ls", mapped.id, query={"path": "/"})
    page = js.send(error)
    assert error["required_scopes"][0] in parse_qs(urlsplit(page).query)["scope"][0]
    js.receive(decide(page, "allow", ada))
    listed = js.call("transfer.fileOperations.ls", mapped.id, query={"path": "/"})
    assert [item["name"] for item in listed["DATA"]] == ["a.txt"]


def test_a_person_logs_in_again_with_a_second_factor(
    js: JavaScriptSdk, portal: Client, ada: Identity, globus_collection: CollectionFactory
) -> None:
    high = globus_collection("high", files={"a.txt": "a"}, high_assurance=True, owner=ada.id)
    gateway = js.sandbox.world.connect_server.gateway_of(js.sandbox.world.transfer.find(high.id))
    assert gateway
    gateway.fields["require_mfa"] = True
    js.app(portal, CALLBACK, TransferScopes.all)
    js.receive(decide(js.send(), "allow", ada))
    _, error = js.refused("transfer.fileOperations.ls", high.id, query={"path": "/"})
    page = js.send(error)
    assert parse_qs(urlsplit(page).query)["session_required_mfa"] == ["true"]
    js.receive(decide(page, "allow", ada, mfa="on"))
    assert js.call("transfer.fileOperations.ls", high.id, query={"path": "/"})["length"] == 1


def test_a_person_declines(js: JavaScriptSdk, portal: Client, ada: Identity) -> None:
    js.app(portal, CALLBACK, TransferScopes.all)
    back = decide(js.send(), "deny", ada)
    with pytest.raises(AssertionError, match="error occurred during the authorization"):
        js.receive(back)
