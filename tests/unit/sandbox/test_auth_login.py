"""People log in, on the page that an app opens, and the app gets its tokens for a code."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import globus_sdk
import pytest
import requests
from globus_sdk.scopes import AuthScopes, TransferScopes
from globus_sdk.services.auth import GlobusNativeAppFlowManager

from airflow_provider_globus.sandbox.server import GlobusSandbox
from tests.unit.sandbox.auth import ADA, CALLBACK, SCOPES, TRANSFER, auth_client, refused, transfer_with, web_login

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox.auth.models import Client, Identity


def native_login(sandbox: GlobusSandbox, **more: Any) -> globus_sdk.NativeAppAuthClient:
    """A native app that has begun to log somebody in."""
    login = globus_sdk.NativeAppAuthClient(sandbox.add_client("native", public=True).id)
    login.oauth2_start_flow(SCOPES, **more)
    return login


def sent_back(answer: requests.Response) -> dict[str, str]:
    assert answer.status_code == 302, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def decide(url: str, **form: str) -> requests.Response:
    return requests.post(url, data=form, timeout=10, allow_redirects=False)


def error_of(do: Callable[[], Any]) -> tuple[int, str]:
    """Return the status and the word of an error of the token endpoint."""
    error = refused(do)
    return error.http_status, json.loads(error.text)["error"]


# The whole way


def test_a_web_application_acts_for_who_logs_in(globus_sandbox: GlobusSandbox, ada: Identity, portal: Client) -> None:
    login = web_login(portal, refresh_tokens=True, state="where I was")
    url = login.oauth2_get_authorize_url()
    page = requests.get(url, timeout=10)
    assert page.status_code == 200
    assert "portal" in page.text
    assert str(TransferScopes.all) in page.text
    assert re.findall(r'name="identity" value="([^"]+)"', page.text) == [ada.id]
    answer = decide(url, identity=ada.id, decision="allow")
    assert answer.headers["Location"].startswith(f"{CALLBACK}?")
    back = sent_back(answer)
    assert back["state"] == "where I was"
    tokens = login.oauth2_exchange_code_for_tokens(back["code"])
    assert set(tokens.by_resource_server) == {"auth.globus.org", TRANSFER}
    assert {data["resource_server"] for data in (tokens.data, *tokens["other_tokens"])} == set(
        tokens.by_resource_server
    )
    assert tokens["state"] == "where I was"
    transfer = tokens.by_resource_server[TRANSFER]
    transfer_with(transfer["access_token"]).get_submission_id()
    assert globus_sandbox.journal.requests("transfer")[-1].identity == ADA
    renewed = login.oauth2_refresh_token(transfer["refresh_token"])["access_token"]
    transfer_with(renewed).get_submission_id()
    assert tokens.decode_id_token()["sub"] == ada.id


def test_refresh_tokens_are_asked_for_among_the_scopes_too(ada: Identity, portal: Client) -> None:
    login = web_login(portal, "openid offline_access")
    back = sent_back(decide(login.oauth2_get_authorize_url(), identity=ada.id, decision="allow"))
    tokens = login.oauth2_exchange_code_for_tokens(back["code"])
    assert tokens["refresh_token"]
    assert tokens["scope"] == "openid"


def test_a_native_app_shows_its_code(globus_sandbox: GlobusSandbox, ada: Identity) -> None:
    login = native_login(globus_sandbox)
    url = login.oauth2_get_authorize_url()
    answer = requests.post(url, data={"identity": ada.id, "decision": "allow"}, timeout=10)
    assert answer.url.startswith(f"{globus_sandbox.url}/v2/web/auth-code?")
    (code,) = re.findall(r"<pre>(\w+)</pre>", answer.text)
    tokens = login.oauth2_exchange_code_for_tokens(code)
    assert "refresh_token" not in tokens.data
    assert tokens.decode_id_token()["email"] == ada.email
    assert code not in str(globus_sandbox.journal.entries)


def test_the_page_of_globus_itself_is_the_sandbox_s(globus_sandbox: GlobusSandbox, ada: Identity) -> None:
    login = native_login(globus_sandbox, redirect_uri="https://auth.globus.org/v2/web/auth-code")
    answer = decide(login.oauth2_get_authorize_url(), identity=ada.id, decision="allow")
    assert answer.headers["Location"].startswith(globus_sandbox.url)
    login.oauth2_exchange_code_for_tokens(sent_back(answer)["code"])


def test_an_unchanged_user_app_logs_in(
    globus_sandbox: GlobusSandbox, ada: Identity, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    native = globus_sandbox.add_client("native", public=True)

    def paste(prompt: str) -> str:
        (url,) = re.findall(r"http\S+authorize\S+", capsys.readouterr().out)
        return globus_sandbox.log_in(url, ADA)

    monkeypatch.setattr("builtins.input", paste)
    config = globus_sdk.GlobusAppConfig(
        token_storage="memory", request_refresh_tokens=True, login_flow_manager="command-line"
    )
    app = globus_sdk.UserApp("test", client_id=native.id, config=config)
    collection = globus_sandbox.add_collection("mapped", "/tmp").id
    transfer = globus_sdk.TransferClient(app=app)
    transfer.add_app_data_access_scope(collection)
    transfer.get_submission_id()
    assert globus_sandbox.journal.requests("transfer")[-1].identity == ADA
    token = globus_sandbox.world.auth.access_token(app.token_storage.get_token_data(TRANSFER).access_token)
    assert token is not None
    assert globus_sandbox.world.auth.caller_of(token).has_data_access(collection)
    app.logout()
    assert globus_sandbox.world.auth.snapshot()["refresh_tokens"] == 0


def test_who_says_no_is_sent_back_without_a_code(globus_sandbox: GlobusSandbox, portal: Client) -> None:
    back = sent_back(decide(web_login(portal).oauth2_get_authorize_url(), decision="deny"))
    assert back == {"error": "access_denied", "state": "_default"}
    shown = requests.get(f"{globus_sandbox.url}/v2/web/auth-code?error=access_denied", timeout=10).text
    assert "access_denied" in shown


def test_an_identity_nobody_has_used_is_used_from_now_on(globus_sandbox: GlobusSandbox, portal: Client) -> None:
    new = globus_sandbox.add_identity("new@example.org", status="unused")
    globus_sandbox.log_in(web_login(portal).oauth2_get_authorize_url(), new.id)
    known = globus_sandbox.world.auth.identity(new.id)
    assert known is not None
    assert known.status == "used"


def test_an_app_of_a_seed_is_logged_in_to() -> None:
    app = {"name": "portal", "public": True, "redirect_uris": ["http://localhost/callback"]}
    with GlobusSandbox(seed={"clients": [app], "identities": [{"username": ADA}]}) as sandbox:
        (portal,) = (client for client in sandbox.world.auth.clients() if client.name == "portal")
        login = globus_sdk.NativeAppAuthClient(portal.id, base_url=sandbox.url)
        login.oauth2_start_flow(SCOPES, redirect_uri="http://localhost:1234/callback")
        code = sandbox.log_in(login.oauth2_get_authorize_url(), ADA)
        assert login.oauth2_exchange_code_for_tokens(code)["access_token"]


# Codes


def test_a_code_is_good_once(globus_sandbox: GlobusSandbox, ada: Identity, portal: Client) -> None:
    login = web_login(portal)
    code = globus_sandbox.log_in(login.oauth2_get_authorize_url(), ADA)
    login.oauth2_exchange_code_for_tokens(code)
    assert error_of(lambda: login.oauth2_exchange_code_for_tokens(code)) == (401, "invalid_grant")


def test_a_code_expires(globus_sandbox: GlobusSandbox, ada: Identity, portal: Client) -> None:
    login = web_login(portal)
    globus_sandbox.clock.freeze()
    codes = [globus_sandbox.log_in(login.oauth2_get_authorize_url(), ADA) for _ in range(2)]
    globus_sandbox.clock.advance(599)
    login.oauth2_exchange_code_for_tokens(codes[0])
    globus_sandbox.clock.advance(1)
    assert error_of(lambda: login.oauth2_exchange_code_for_tokens(codes[1])) == (401, "invalid_grant")


def test_a_code_is_for_the_client_that_asked(globus_sandbox: GlobusSandbox, ada: Identity, portal: Client) -> None:
    code = globus_sandbox.log_in(web_login(portal).oauth2_get_authorize_url(), ADA)
    other = web_login(globus_sandbox.add_client("other", redirect_uris=[CALLBACK]))
    assert error_of(lambda: other.oauth2_exchange_code_for_tokens(code)) == (401, "invalid_grant")


def test_a_code_is_for_where_the_browser_was_sent(globus_sandbox: GlobusSandbox, ada: Identity, portal: Client) -> None:
    login = web_login(portal)
    code = globus_sandbox.log_in(login.oauth2_get_authorize_url(), ADA)
    login.oauth2_start_flow("https://elsewhere.example.org", SCOPES)
    assert error_of(lambda: login.oauth2_exchange_code_for_tokens(code)) == (401, "invalid_grant")


@pytest.mark.parametrize("method", ["S256", "plain"])
@pytest.mark.parametrize("known", ["right", "wrong", "missing"])
def test_who_does_not_know_the_verifier_gets_nothing(
    globus_sandbox: GlobusSandbox, ada: Identity, method: str, known: str
) -> None:
    login = native_login(globus_sandbox)
    flow = login.current_oauth2_flow_manager
    assert isinstance(flow, GlobusNativeAppFlowManager)
    more = {"code_challenge": flow.verifier, "code_challenge_method": "plain"} if method == "plain" else {}
    code = globus_sandbox.log_in(login.oauth2_get_authorize_url(query_params=more), ADA)
    if known == "right":
        assert login.oauth2_exchange_code_for_tokens(code)["access_token"]
        return
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": flow.redirect_uri}
    form |= {"client_id": str(login.client_id)} | ({"code_verifier": "x" * 43} if known == "wrong" else {})
    assert error_of(lambda: login.oauth2_token(form)) == (401, "invalid_grant")


def test_a_verifier_without_a_challenge_is_wrong(globus_sandbox: GlobusSandbox, ada: Identity, portal: Client) -> None:
    login = web_login(portal)
    code = globus_sandbox.log_in(login.oauth2_get_authorize_url(), ADA)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": "x" * 43}
    assert error_of(lambda: login.oauth2_token(form)) == (401, "invalid_grant")


def test_a_web_application_may_have_a_challenge(globus_sandbox: GlobusSandbox, ada: Identity, portal: Client) -> None:
    login = web_login(portal)
    more = {"code_challenge": "c" * 43, "code_challenge_method": "plain"}
    code = globus_sandbox.log_in(login.oauth2_get_authorize_url(query_params=more), ADA)
    assert error_of(lambda: login.oauth2_exchange_code_for_tokens(code)) == (401, "invalid_grant")


# Requests that cannot be


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"client_id": ""}, "Missing client_id parameter."),
        ({"client_id": "nobody"}, "Invalid client_id parameter value."),
        ({"redirect_uri": ""}, "Missing redirect_uri parameter."),
        ({"redirect_uri": "https://evil.example.org"}, "Mismatching redirect URI."),
        ({"redirect_uri": f"{CALLBACK}/more"}, "Mismatching redirect URI."),
        ({"redirect_uri": "http://localhost:1234"}, "Mismatching redirect URI."),
        ({"redirect_uri": "https://["}, "Mismatching redirect URI."),
        ({"redirect_uri": "http://localhost:port"}, "Mismatching redirect URI."),
        ({"response_type": "token"}, "response_type=code"),
        ({"scope": ""}, "Missing scope parameter."),
        ({"scope": "urn:globus:auth:scope:nowhere:all"}, "requested unknown scopes"),
        ({"scope": "openid["}, "Unreadable scope"),
        ({"code_challenge": "c", "code_challenge_method": "S512"}, "Invalid code_challenge_method"),
        ({"session_required_policies": "nonsense"}, "Unknown policies"),
    ],
)
def test_a_request_that_cannot_be_is_told_to_the_person_only(
    globus_sandbox: GlobusSandbox, ada: Identity, portal: Client, change: dict[str, str], said: str
) -> None:
    url = web_login(portal).oauth2_get_authorize_url(query_params=change)
    shown = requests.get(url, timeout=10)
    assert (shown.status_code, shown.headers["Content-Type"]) == (400, "text/html; charset=utf-8")
    assert said in shown.text
    answer = decide(url, identity=ada.id, decision="allow")
    assert (answer.status_code, "Location" in answer.headers) == (400, False)
    with pytest.raises(ValueError, match=re.escape(said)):
        globus_sandbox.log_in(url, ADA)


def test_an_unknown_scope_has_the_code_of_globus(portal: Client) -> None:
    url = web_login(portal).oauth2_get_authorize_url(query_params={"scope": "nonsense"})
    assert "UNKNOWN_SCOPE_ERROR" in requests.get(url, timeout=10).text
    url = web_login(portal).oauth2_get_authorize_url(query_params={"client_id": "nobody"})
    assert "OAUTH_AUTH_REQUEST_FAILURE" in requests.get(url, timeout=10).text


@pytest.mark.parametrize("challenge", [None, ""])
def test_a_native_app_needs_a_challenge(globus_sandbox: GlobusSandbox, challenge: str | None) -> None:
    parts = urlsplit(native_login(globus_sandbox).oauth2_get_authorize_url())
    query = {name: values[0] for name, values in parse_qs(parts.query).items() if name != "code_challenge"}
    query |= {} if challenge is None else {"code_challenge": challenge}
    shown = requests.get(f"{globus_sandbox.url}{parts.path}?{urlencode(query)}", timeout=10)
    assert "Missing code_challenge parameter." in shown.text


@pytest.mark.parametrize(
    ("known", "asked", "good"),
    [
        ("http://localhost", "http://localhost:5678", True),
        ("http://localhost", "http://localhost:5678/", True),
        ("http://localhost/cb", "http://localhost:5678/cb", True),
        ("http://127.0.0.1", "http://127.0.0.1:5678", True),
        ("http://localhost", "http://localhost:5678/cb", False),
        ("http://localhost", "https://localhost:5678", False),
        ("http://localhost:1", "http://localhost:2", False),
        ("https://example.org", "https://example.org:5678", False),
        ("https://example.org", "https://example.org", True),
    ],
)
def test_an_app_on_the_browser_s_machine_may_use_any_port(
    globus_sandbox: GlobusSandbox, ada: Identity, known: str, asked: str, good: bool
) -> None:
    app = globus_sandbox.add_client("app", redirect_uris=[known])
    login = globus_sdk.ConfidentialAppAuthClient(app.id, app.secret or "")
    login.oauth2_start_flow(asked, SCOPES)
    answer = requests.get(login.oauth2_get_authorize_url(), timeout=10)
    assert answer.status_code == (200 if good else 400)


def test_an_answer_is_added_to_a_query_of_the_app(globus_sandbox: GlobusSandbox, ada: Identity) -> None:
    app = globus_sandbox.add_client("app", redirect_uris=["https://example.org/?page=login"])
    login = globus_sdk.ConfidentialAppAuthClient(app.id, app.secret or "")
    login.oauth2_start_flow("https://example.org/?page=login", SCOPES)
    answer = decide(login.oauth2_get_authorize_url(), identity=ada.id, decision="allow")
    assert set(sent_back(answer)) == {"page", "code", "state"}


def test_what_an_app_is_called_cannot_change_the_page(globus_sandbox: GlobusSandbox, ada: Identity) -> None:
    app = globus_sandbox.add_client("<script>", redirect_uris=[CALLBACK])
    more = {"session_message": "<script>alert(1)</script>"}
    login = globus_sdk.ConfidentialAppAuthClient(app.id, app.secret or "")
    login.oauth2_start_flow(CALLBACK, SCOPES)
    shown = requests.get(login.oauth2_get_authorize_url(query_params=more), timeout=10).text
    assert "<script>" not in shown


# Who can answer


def test_only_identities_that_can_are_offered(globus_sandbox: GlobusSandbox, ada: Identity, portal: Client) -> None:
    bob = globus_sandbox.add_identity("bob@else.example.org")
    globus_sandbox.add_identity("gone@example.org", status="closed")
    login = web_login(portal)

    def offered(**asked: Any) -> list[str]:
        page = requests.get(login.oauth2_get_authorize_url(**asked), timeout=10).text
        return re.findall(r'name="identity" value="([^"]+)"', page)

    assert offered() == [ada.id, bob.id]
    assert offered(session_required_identities=[bob.id]) == [bob.id]
    assert offered(session_required_single_domain=["example.org", "third.example.org"]) == [ada.id]
    assert offered(session_required_mfa=True) == [ada.id, bob.id]
    url = login.oauth2_get_authorize_url(session_required_identities=[bob.id])
    answer = decide(url, identity=ada.id, decision="allow")
    assert (answer.status_code, "Location" in answer.headers) == (403, False)
    with pytest.raises(ValueError, match="another identity"):
        globus_sandbox.log_in(url, ADA)
    for nobody in ("nobody", globus_sandbox.client_id, "gone@example.org"):
        with pytest.raises(ValueError, match=r"no identity|cannot log in"):
            globus_sandbox.log_in(login.oauth2_get_authorize_url(), nobody)


def test_policies_decide_who_logs_in_and_how(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient, ada: Identity, portal: Client
) -> None:
    globus_sandbox.add_identity("bob@else.example.org")
    auth = auth_client(client, str(AuthScopes.manage_projects))
    project = auth.create_project("Lab", "lab@example.org", admin_ids=[globus_sandbox.client_id])["project"]["id"]
    policy = auth.create_policy(
        project_id=project,
        display_name="Strict",
        description="Ours only",
        high_assurance=True,
        required_mfa=True,
        domain_constraints_exclude=["else.example.org"],
    )["policy"]["id"]
    login = web_login(portal)
    url = login.oauth2_get_authorize_url(session_required_policies=[policy])
    with pytest.raises(ValueError, match=r"Strict does not admit else\.example\.org"):
        globus_sandbox.log_in(url, "bob@else.example.org", mfa=True)
    with pytest.raises(ValueError, match="second factor"):
        globus_sandbox.log_in(url, ADA)
    token = login.oauth2_exchange_code_for_tokens(globus_sandbox.log_in(url, ADA, mfa=True))["access_token"]
    session = login.oauth2_token_introspect(token, include="session_info")["session_info"]
    assert session["authentications"][ada.id]["amr"] == ["mfa"]
    auth.update_policy(policy, domain_constraints_include=["else.example.org"], domain_constraints_exclude=None)
    with pytest.raises(ValueError, match="does not admit"):
        globus_sandbox.log_in(url, ADA, mfa=True)


def test_an_app_may_ask_for_an_identity_provider(globus_sandbox: GlobusSandbox, ada: Identity, portal: Client) -> None:
    state = globus_sandbox.world.auth
    university = state.add_identity_provider("University", "uni.example.org")
    globus_sandbox.add_identity("eve@uni.example.org")
    app = state.add_client("app", redirect_uris=(CALLBACK,), required_idp=university.id)
    url = web_login(app).oauth2_get_authorize_url()
    globus_sandbox.log_in(url, "eve@uni.example.org")
    with pytest.raises(ValueError, match="identity provider"):
        globus_sandbox.log_in(url, ADA)
