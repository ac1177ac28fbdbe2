"""Clients and their credentials, made through the SDK: they are real, until they are deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import globus_sdk
import pytest
import requests
from globus_sdk.scopes import AuthScopes, TransferScopes

from tests.unit.sandbox.auth import NOBODY, auth_client, person, refused, told, transfer_with

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox


@pytest.fixture
def project(globus_sandbox: GlobusSandbox) -> str:
    return globus_sandbox.world.auth.add_project("Lab", admins=[globus_sandbox.client_id]).id


def made(auth: globus_sdk.AuthClient, project: str, **more: Any) -> dict[str, Any]:
    if "client_type" not in more:
        more = {"public_client": False, **more}
    document: dict[str, Any] = auth.create_client("robot", project, **more)["client"]
    return document


def login_of(auth: globus_sdk.AuthClient, client_id: str) -> globus_sdk.ConfidentialAppAuthClient:
    secret = auth.create_client_credential(client_id, "first")["credential"]["secret"]
    return globus_sdk.ConfidentialAppAuthClient(client_id, secret)


def transfer_token(login: globus_sdk.ConfidentialAppAuthClient) -> str:
    answer = login.oauth2_client_credentials_tokens(requested_scopes=TransferScopes.all)
    return str(answer["access_token"])


# What is made is real


def test_a_client_gets_tokens_with_its_credential(
    globus_sandbox: GlobusSandbox, auth: globus_sdk.AuthClient, project: str
) -> None:
    client_id = made(auth, project)["id"]
    assert told(lambda: transfer_token(globus_sdk.ConfidentialAppAuthClient(client_id, ""))) == (401, None)
    transfer_with(transfer_token(login_of(auth, client_id))).get_submission_id()
    assert globus_sandbox.journal.requests("transfer")[-1].identity == f"{client_id}@clients.auth.globus.org"
    assert auth.get_identities(ids=client_id)["identities"][0]["name"] == "robot"


def test_a_deleted_client_and_its_tokens_are_no_good(auth: globus_sdk.AuthClient, project: str) -> None:
    client_id = made(auth, project)["id"]
    login = login_of(auth, client_id)
    token = transfer_token(login)
    assert auth.delete_client(client_id)["client"]["id"] == client_id
    assert refused(transfer_with(token).get_submission_id).http_status == 401
    assert refused(lambda: transfer_token(login)).http_status == 401
    assert told(lambda: auth.get_client(client_id=client_id)) == (404, "NOT_FOUND")
    assert auth.get_identities(ids=client_id)["identities"][0]["status"] == "closed"


def test_tokens_for_a_deleted_client_are_no_good_either(
    client: globus_sdk.ConfidentialAppAuthClient, auth: globus_sdk.AuthClient, project: str
) -> None:
    client_id = made(auth, project)["id"]
    scope = auth.create_scope(client_id, "All", "Everything", "all")["scope"]["scope_string"]
    token = client.oauth2_client_credentials_tokens(requested_scopes=scope)["access_token"]
    assert client.oauth2_token_introspect(token)["active"] is True
    auth.delete_client(client_id)
    assert client.oauth2_token_introspect(token).data == {"active": False}
    assert refused(lambda: client.oauth2_client_credentials_tokens(requested_scopes=scope)).http_status == 400


def test_a_deleted_credential_is_not_taken_but_its_tokens_live_on(auth: globus_sdk.AuthClient, project: str) -> None:
    client_id = made(auth, project)["id"]
    first, second = login_of(auth, client_id), login_of(auth, client_id)
    token = transfer_token(first)
    credential = next(iter(auth.get_client_credentials(client_id)))["id"]
    auth.delete_client_credential(client_id, credential)
    assert refused(lambda: transfer_token(first)).http_status == 401
    transfer_token(second)
    transfer_with(token).get_submission_id()
    assert told(lambda: auth.delete_client_credential(client_id, credential)) == (404, "NOT_FOUND")


def test_a_secret_is_told_once_and_masked_in_the_journal(
    globus_sandbox: GlobusSandbox, auth: globus_sdk.AuthClient, project: str
) -> None:
    client_id = made(auth, project)["id"]
    credential = auth.create_client_credential(client_id, "first")["credential"]
    assert credential["secret"]
    (listed,) = auth.get_client_credentials(client_id)
    assert listed == {**credential, "secret": None}
    token = f"{globus_sandbox.url}/v2/oauth2/token"
    form = {"grant_type": "client_credentials", "client_id": client_id, "scope": f"openid {credential['secret']}"}
    requests.post(token, data={**form, "client_secret": credential["secret"]}, timeout=10)
    assert credential["secret"] not in str(globus_sandbox.journal.entries)
    assert credential["secret"] not in str(globus_sandbox.world.snapshot())
    assert credential["secret"] not in repr(globus_sandbox.world.auth.client(client_id))
    assert auth.delete_client_credential(client_id, credential["id"])["credential"]["secret"] is None


def test_a_reset_forgets_them(globus_sandbox: GlobusSandbox, auth: globus_sdk.AuthClient, project: str) -> None:
    client_id = made(auth, project)["id"]
    globus_sandbox.reset()
    state = globus_sandbox.world.auth
    assert (state.client(client_id), state.identity(client_id), state.projects.projects) == (None, None, {})


def test_a_change_is_kept_and_what_is_not_named_stays(auth: globus_sdk.AuthClient, project: str) -> None:
    before = made(auth, project, redirect_uris=["https://example.org/a"])
    after = auth.update_client(before["id"], name="droid", visibility="public")["client"]
    assert after == {**before, "name": "droid", "visibility": "public"}
    links: dict[str, Any] = {"terms_and_conditions": "https://example.org/t", "privacy_policy": "https://example.org/p"}
    assert auth.update_client(before["id"], **links)["client"]["links"] == links
    unset = auth.update_client(before["id"], terms_and_conditions=None, privacy_policy=None)["client"]["links"]
    assert unset == dict.fromkeys(links)
    assert auth.get_client(client_id=before["id"])["client"] == {**after, "links": unset}


# Kinds of clients


@pytest.mark.parametrize(
    ("client_type", "public", "itself"),
    [
        ("client_identity", False, True),
        ("confidential_client", False, True),
        ("resource_server", False, True),
        ("globus_connect_server", False, True),
        ("hybrid_confidential_client_resource_server", False, True),
        ("public_installed_client", True, False),
        ("public_webapp_client", True, False),
    ],
)
def test_what_a_client_may_do_follows_its_type(
    auth: globus_sdk.AuthClient, project: str, client_type: Any, public: bool, itself: bool
) -> None:
    document = made(auth, project, client_type=client_type)
    assert document["public_client"] is public
    assert ("client_credentials" in document["grant_types"]) is itself
    if public:
        assert told(lambda: auth.create_client_credential(document["id"], "no")) == (400, "BAD_REQUEST")
    else:
        assert transfer_token(login_of(auth, document["id"]))


def test_a_service_account_cannot_exchange_tokens(auth: globus_sdk.AuthClient, project: str) -> None:
    login = login_of(auth, made(auth, project, client_type="client_identity")["id"])
    error = refused(lambda: login.oauth2_get_dependent_tokens("a token"))
    assert error.http_status == 400
    assert "unauthorized_client" in error.text


def test_a_native_app_makes_clients_of_its_own(globus_sandbox: GlobusSandbox) -> None:
    native = globus_sandbox.add_client("native", public=True)
    answer = globus_sdk.NativeAppAuthClient(native.id).create_native_app_instance(native.id, "my laptop")
    credential = answer["included"]["client_credential"]
    assert answer["client"]["parent_client"] == native.id
    login = globus_sdk.ConfidentialAppAuthClient(credential["client"], credential["secret"])
    assert transfer_token(login)
    seen = login.get(f"/v2/api/clients/{credential['client']}")["client"]
    assert seen == answer["client"]


def test_only_native_apps_do_so_and_nobody_else_without_signing_in(globus_sandbox: GlobusSandbox, project: str) -> None:
    nobody = globus_sdk.NativeAppAuthClient(NOBODY)
    mine = globus_sandbox.client_id
    assert told(lambda: nobody.create_native_app_instance(NOBODY, "x")) == (404, "NOT_FOUND")
    assert told(lambda: nobody.create_native_app_instance(mine, "x")) == (404, "NOT_FOUND")
    document = {"client": {"name": "x", "project": project, "public_client": False}}
    assert told(lambda: nobody.post("/v2/api/clients", data=document)) == (401, "UNAUTHORIZED")


def test_a_client_makes_children_and_manages_them(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient
) -> None:
    child = client.create_child_client("child", public_client=False)["client"]
    assert (child["parent_client"], child["project"]) == (client.client_id, None)
    secret = client.post(f"/v2/api/clients/{child['id']}/credentials", data={"credential": {"name": "a"}})
    login = globus_sdk.ConfidentialAppAuthClient(child["id"], secret["credential"]["secret"])
    grandchild = login.create_child_client("grandchild", client_type="public_installed_client")["client"]
    assert {c["id"] for c in client.get("/v2/api/clients")["clients"]} == {
        client.client_id,
        child["id"],
        grandchild["id"],
    }
    other = globus_sandbox.add_client("other")
    stranger = globus_sdk.ConfidentialAppAuthClient(other.id, other.secret or "")
    assert told(lambda: stranger.delete(f"/v2/api/clients/{child['id']}")) == (403, "FORBIDDEN")
    assert told(lambda: login.delete(f"/v2/api/clients/{client.client_id}")) == (403, "FORBIDDEN")
    client.delete(f"/v2/api/clients/{grandchild['id']}")


def test_a_person_needs_a_project_for_a_client(globus_sandbox: GlobusSandbox) -> None:
    ada = person(globus_sandbox, "ada@example.org")
    document = {"client": {"name": "x", "public_client": False}}
    assert told(lambda: ada.post("/v2/api/clients", data=document)) == (400, "BAD_REQUEST")


# Who may see and change what


def test_a_stranger_may_not_touch_a_client(
    globus_sandbox: GlobusSandbox, auth: globus_sdk.AuthClient, project: str
) -> None:
    client_id = made(auth, project)["id"]
    bob = person(globus_sandbox, "bob@example.org")
    for do in (
        lambda: bob.get_client(client_id=client_id),
        lambda: bob.update_client(client_id, name="mine"),
        lambda: bob.delete_client(client_id),
        lambda: bob.get_client_credentials(client_id),
        lambda: bob.create_client_credential(client_id, "mine"),
        lambda: bob.create_client("mine", project, public_client=False),
        lambda: bob.create_scope(client_id, "Mine", "mine", "mine"),
    ):
        assert told(do) == (403, "FORBIDDEN")
    assert list(bob.get_clients()) == []
    assert auth.get_client(client_id=client_id)["client"]["name"] == "robot"


def test_everybody_signed_in_sees_a_public_client_but_changes_nothing(
    globus_sandbox: GlobusSandbox, auth: globus_sdk.AuthClient, project: str
) -> None:
    client_id = made(auth, project, visibility="public")["id"]
    bob = person(globus_sandbox, "bob@example.org", AuthScopes.view_clients)
    assert bob.get_client(client_id=client_id)["client"]["name"] == "robot"
    assert told(lambda: bob.delete_client(client_id)) == (403, "FORBIDDEN")
    nobody = globus_sdk.AuthClient(authorizer=globus_sdk.NullAuthorizer())
    assert told(lambda: nobody.get_client(client_id=client_id)) == (401, "UNAUTHORIZED")


def test_the_api_needs_its_scope(client: globus_sdk.ConfidentialAppAuthClient, project: str) -> None:
    auth = auth_client(client, "openid")
    assert told(auth.get_clients) == (403, "FORBIDDEN")
    assert told(auth.get_projects) == (403, "FORBIDDEN")
    assert told(lambda: auth.create_client("x", project, public_client=True)) == (403, "FORBIDDEN")
    assert list(auth_client(client, str(AuthScopes.view_clients)).get_clients())


def test_a_client_is_found_by_its_domain_name(
    globus_sandbox: GlobusSandbox, auth: globus_sdk.AuthClient, project: str
) -> None:
    known = globus_sandbox.world.auth.add_client("named", project=project, fqdns=("service.example.org",))
    assert auth.get_client(fqdn="service.example.org")["client"]["id"] == known.id
    assert told(lambda: auth.get_client(fqdn="other.example.org")) == (404, "NOT_FOUND")


# What cannot be a client


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "two\nlines"},
        {"name": ""},
        {"name": 7},
        {"visibility": "secret"},
        {"redirect_uris": "https://example.org"},
        {"redirect_uris": ["http://example.org"]},
        {"redirect_uris": ["https://example.org/#part"]},
        {"redirect_uris": ["nonsense"]},
        {"redirect_uris": ["http://localhost:port"]},
        {"redirect_uris": ["https://["]},
        {"links": {"privacy_policy": "https://example.org"}},
        {"links": {"privacy_policy": "https://example.org", "terms_and_conditions": None}},
        {"required_idp": NOBODY},
        {"preselect_idp": "nonsense"},
        {"nonsense": True},
    ],
)
def test_a_client_that_cannot_be_is_refused(auth: globus_sdk.AuthClient, project: str, wrong: dict[str, Any]) -> None:
    document = {"name": "x", "project": project, "public_client": False, **wrong}
    error = refused(lambda: auth.post("/v2/api/clients", data={"client": document}))
    assert (error.http_status, error.code) == (400, "BAD_REQUEST")
    assert next(iter(wrong)) in str(error.message)
    assert error.headers["X-Sandbox-Provisional"] == "1"
    client_id = made(auth, project)["id"]
    assert refused(lambda: auth.put(f"/v2/api/clients/{client_id}", data={"client": wrong})).http_status == 400


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"client": []},
        [],
        {"client": {"project": "p", "public_client": True}},
        {"client": {"name": "x", "public_client": True, "client_type": "client_identity"}},
        {"client": {"name": "x"}},
        {"client": {"name": "x", "client_type": "nonsense"}},
        {"client": {"name": "x", "public_client": "yes"}},
        {"client": {"name": "x", "template_id": NOBODY, "project": NOBODY}},
    ],
)
def test_what_is_no_client_is_refused(client: globus_sdk.ConfidentialAppAuthClient, document: Any) -> None:
    assert told(lambda: client.post("/v2/api/clients", data=document)) == (400, "BAD_REQUEST")


def test_the_type_of_a_client_never_changes(auth: globus_sdk.AuthClient, project: str) -> None:
    client_id = made(auth, project)["id"]
    change = {"client": {"public_client": True}}
    assert told(lambda: auth.put(f"/v2/api/clients/{client_id}", data=change)) == (400, "BAD_REQUEST")


def test_a_text_that_is_no_json_is_refused(
    globus_sandbox: GlobusSandbox, client: globus_sdk.ConfidentialAppAuthClient
) -> None:
    answer = requests.post(
        f"{globus_sandbox.url}/v2/api/clients",
        data="{",
        auth=(globus_sandbox.client_id, globus_sandbox.client_secret),
        timeout=10,
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "bad_request")


def test_a_project_that_is_not_there_is_not_found(auth: globus_sdk.AuthClient) -> None:
    assert told(lambda: auth.create_client("x", NOBODY, public_client=True)) == (404, "NOT_FOUND")
