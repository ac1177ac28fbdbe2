"""Who reaches which files: identity mapping, accounts, domains, high assurance, path restrictions, sharing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import DeleteData
from globus_sdk.gare import to_gare

from airflow_provider_globus.sandbox.auth.scopes import MANAGE_COLLECTIONS, data_access_scope
from airflow_provider_globus.sandbox.connect_server.restrictions import PathRules
from tests.unit.sandbox.connect_server.conftest import guest_document, mapping, problems, restrictions

if TYPE_CHECKING:
    from collections.abc import Callable

    from globus_sdk import GCSAPIError, TransferAPIError

    from tests.unit.sandbox.connect_server.conftest import Refused, Site

    Denied = Callable[[Callable[..., object]], TransferAPIError]

ADA, BOB = "ada@example.org", "bob@elsewhere.net"
GATEWAY, COLLECTION = "storage_gateway#1.3.0", "collection#1.16.0"


def patch(site: Site, gateway_id: str, **changes: Any) -> None:
    site.gcs().update_storage_gateway(gateway_id, {"DATA_TYPE": GATEWAY, **changes})


def login_detail(error: TransferAPIError) -> dict[str, Any]:
    """Return the typed document in the message of a login that failed."""
    assert (error.http_status, error.code) == (502, "ExternalError.DirListingFailed.LoginFailed")
    message = error.message or ""
    lines = message.splitlines()
    assert lines[0] == "Command Failed: Error (login)"
    assert "530-GlobusError: v=1 c=LOGIN_DENIED" in message
    marker = "530-GridFTP-JSON-Result: "
    document = json.loads(next(line.partition(marker)[2] for line in lines if marker in line))
    assert (document["code"], document["http_response_code"]) == ("permission_denied", 403)
    detail: dict[str, Any] = document["detail"]
    return detail


def detail_of(error: GCSAPIError) -> dict[str, Any]:
    assert (error.http_status, error.code) == (403, "permission_denied")
    assert error.raw_json is not None
    detail: dict[str, Any] = error.raw_json["detail"]
    return detail


# Identity mapping


def test_the_mapping_decides_who_reads(site: Site, denied: Denied) -> None:
    gateway_id = site.gateway(identity_mappings=[mapping((r"(.*)@example\.org", "{0}"))])
    collection = site.mapped(gateway_id)
    assert site.names(collection, who=ADA) == ["alpha", "beta"]
    detail = login_detail(denied(lambda: site.names(collection, who=BOB)))
    assert detail == {"DATA_TYPE": "invalid_user#1.0.0", "usernames": []}
    patch(site, gateway_id, identity_mappings=[mapping((r"(.*)@elsewhere\.net", "{0}"))])
    assert site.names(collection, who=BOB) == ["alpha", "beta"]
    assert login_detail(denied(lambda: site.names(collection, who=ADA)))["DATA_TYPE"] == "invalid_user#1.0.0"


def test_a_transfer_goes_on_once_the_mapping_is_mended(site: Site) -> None:
    gateway_id = site.gateway(identity_mappings=[mapping((r"(.*)@example\.org", "{0}"))])
    collection = site.mapped(gateway_id)
    site.sandbox.clock.freeze()
    task = site.faulting(site.submit(collection, collection, ("/alpha/a.txt", "/new"), who=BOB))
    assert (task.status, task.nice_status, task.files_transferred) == ("ACTIVE", "AUTH", 0)
    patch(site, gateway_id, identity_mappings=[mapping((r"(.*)@elsewhere\.net", "{0}"))])
    site.sandbox.clock.advance(60)
    assert site.world.transfer.wait(task.id).status == "SUCCEEDED"
    assert (site.folder / "new").read_text() == "alpha/a.txt"


def groups(kind: str, **lists: list[str]) -> dict[str, Any]:
    """Policies with lists of Unix groups; no account of the sandbox is in any."""
    return {"policies": {"DATA_TYPE": f"posix_{kind}_policies#1.0.0", **lists}}


@pytest.mark.parametrize(
    "changes",
    [
        {"users_deny": ["ada"]},
        {"users_allow": ["bob"]},
        {"users_allow": ["bob"], **groups("storage", groups_allow=["lab"])},
    ],
)
def test_accounts_are_let_in_or_not(site: Site, denied: Denied, changes: Any) -> None:
    gateway_id = site.gateway()
    collection = site.mapped(gateway_id)
    assert site.names(collection, who=ADA)
    patch(site, gateway_id, **changes)
    detail = login_detail(denied(lambda: site.names(collection, who=ADA)))
    assert detail == {"DATA_TYPE": "invalid_user#1.0.0", "usernames": ["ada"]}
    assert site.names(collection, who=BOB)


def test_unix_groups_that_are_let_in_or_not(site: Site, denied: Denied) -> None:
    gateway_id = site.gateway()
    collection = site.mapped(gateway_id)
    patch(site, gateway_id, **groups("storage", groups_deny=["guests"]))
    assert site.names(collection, who=ADA)
    patch(site, gateway_id, **groups("storage", groups_allow=["lab"]))
    assert login_detail(denied(lambda: site.names(collection, who=ADA)))["usernames"] == ["ada"]


def test_domains_are_let_in_or_not(site: Site, denied: Denied, refused: Refused) -> None:
    gateway_id = site.gateway(allowed_domains=["Example.org"])
    collection = site.mapped(gateway_id)
    assert site.names(collection, who=ADA) == ["alpha", "beta"]
    expected = {"DATA_TYPE": "not_from_allowed_domain#1.0.0", "allowed_domains": ["example.org"]}
    assert login_detail(denied(lambda: site.names(collection, who=BOB))) == expected
    assert detail_of(refused(lambda: site.guest(collection, who=BOB))) == expected
    credential = {"DATA_TYPE": "user_credential#1.0.0", "storage_gateway_id": gateway_id}
    assert detail_of(refused(lambda: site.gcs(BOB).create_user_credential(credential))) == expected


def test_a_guest_collection_is_reached_as_its_owner(site: Site, denied: Denied) -> None:
    gateway_id = site.gateway(identity_mappings=[mapping((r"(.*)@example\.org", "{0}"))])
    guest = site.guest(site.mapped(gateway_id), "/alpha", who=ADA)
    collection = site.world.transfer.find(guest)
    site.world.transfer.add_rule(collection, path="/", principal=site.person(BOB))
    assert site.names(guest, who=BOB) == ["deep", "a.txt"]
    patch(site, gateway_id, users_deny=["ada"])
    assert login_detail(denied(lambda: site.names(guest, who=BOB)))["usernames"] == ["ada"]


# Path restrictions


@pytest.mark.parametrize(
    ("longer", "shorter", "granted"),
    [
        ("read_write", "read", "rw"),
        ("read_write", "none", "rw"),
        ("read", "read_write", "rw"),
        ("read", "none", "r"),
        ("none", "read_write", ""),
        ("none", "read", ""),
    ],
)
def test_the_published_precedence(longer: str, shorter: str, granted: str) -> None:
    rules = PathRules(restrictions(**{longer: ["/a/b"], shorter: ["/a"]}))
    assert rules.permission("/a/b/c", "ada") == granted
    assert rules.permission("/a/b", "ada") == granted
    assert rules.permission("/a/x", "ada") == {"read_write": "rw", "read": "r", "none": ""}[shorter]


@pytest.mark.parametrize(
    ("paths", "path", "granted"),
    [
        ({"read": ["/home/$USER"]}, "/home/ada/x", "r"),
        ({"read": ["/home/$USER"]}, "/home/bob", ""),
        ({"read": ["/home/$USER"]}, "/home", "r"),
        ({"none": ["/secret"]}, "/secretary", "rw"),
        ({"none": ["/secret"]}, "/secret/x", ""),
        ({"none": ["*/.ssh"]}, "/home/ada/.ssh/id", ""),
        ({"read_write": ["~/scratch"]}, "/scratch/x", "rw"),
        ({"read_write": ["$HOME"]}, "/anything", "rw"),
        ({"none": ["/data/[ab]*"], "read": ["/data/abc"]}, "/data/abc", "r"),
        ({"none": ["/data/?"], "read": ["/data/[a]"]}, "/data/a", "r"),
        ({"none": ["/data/*"], "read": ["/data/?"]}, "/data/a", "r"),
        ({}, "/x", "rw"),
    ],
)
def test_patterns(paths: Any, path: str, granted: str) -> None:
    assert PathRules(restrictions(**paths)).permission(path, "ada") == granted


def test_restrictions_hold_for_every_operation(site: Site, denied: Denied) -> None:
    paths = restrictions(read=["/"], read_write=["/beta"], none=["/alpha/deep"])
    collection = site.mapped(site.gateway(restrict_paths=paths))
    client = site.transfer()
    assert site.names(collection, "/alpha") == ["deep", "a.txt"]
    for act in (
        lambda: site.names(collection, "/alpha/deep"),
        lambda: client.operation_stat(collection, "/alpha/deep/b.txt"),
        lambda: client.operation_mkdir(collection, "/alpha/new"),
        lambda: client.operation_rename(collection, "/alpha/a.txt", "/beta/a.txt"),
        lambda: client.operation_rename(collection, "/beta/c.txt", "/alpha/c.txt"),
    ):
        assert denied(act).http_status == 403
    client.operation_mkdir(collection, "/beta/new")
    client.operation_rename(collection, "/beta/c.txt", "/beta/d.txt")
    assert sorted(item.name for item in (site.folder / "beta").iterdir()) == ["d.txt", "new"]


def test_restrictions_hold_in_transfers_and_deletes(site: Site) -> None:
    gateway_id = site.gateway(restrict_paths=restrictions(read=["/"], read_write=["/beta"], none=["/alpha/deep"]))
    collection = site.mapped(gateway_id)
    site.sandbox.clock.freeze()
    task = site.faulting(site.submit(collection, collection, ("/alpha", "/beta/copy")))
    assert (task.nice_status, task.files_transferred) == ("PERMISSION_DENIED", 1)
    assert "/alpha/deep" in (task.nice_details or "")
    assert site.faulting(site.submit(collection, collection, ("/beta/c.txt", "/alpha/c"))).files_transferred == 0
    data = DeleteData(collection)
    data.add_item("/alpha/a.txt")
    assert site.faulting(site.transfer().submit_delete(data)["task_id"]).nice_status == "PERMISSION_DENIED"
    assert not (site.folder / "alpha/c").exists()
    assert (site.folder / "alpha/a.txt").exists()
    patch(site, gateway_id, restrict_paths=None)
    site.sandbox.clock.advance(60)
    assert site.world.transfer.wait(task.id).status == "SUCCEEDED"
    assert (site.folder / "beta/copy/deep/b.txt").exists()


def test_paths_of_restrictions_are_those_of_the_storage(site: Site, denied: Denied) -> None:
    gateway_id = site.gateway(restrict_paths=restrictions(none=["/alpha/deep"]))
    collection = site.mapped(gateway_id, "/alpha")
    assert denied(lambda: site.names(collection, "/deep")).http_status == 403
    guest = site.guest(collection, who=ADA)
    assert denied(lambda: site.names(guest, "/deep", who=ADA)).http_status == 403
    patch(site, gateway_id, restrict_paths=restrictions(read=["/alpha/deep/$USER"]))
    (site.folder / "alpha/deep/ada").mkdir()
    assert site.names(guest, "/deep/ada", who=ADA) == []
    assert denied(lambda: site.names(guest, "/deep/b.txt", who=ADA)).http_status == 403


def test_what_the_gateway_denies_cannot_be_shared(site: Site, refused: Refused) -> None:
    collection = site.mapped(site.gateway(restrict_paths=restrictions(none=["/alpha"])))
    error = refused(lambda: site.guest(collection, "/alpha", who=ADA))
    assert (error.http_status, error.code) == (403, "permission_denied")
    assert site.guest(collection, "/beta", who=ADA)


# Sharing


def test_sharing_has_to_be_allowed(site: Site, refused: Refused, denied: Denied, posix: str) -> None:
    guest = site.guest(posix, who=ADA)
    assert site.names(guest, who=ADA)
    site.gcs().update_collection(posix, {"DATA_TYPE": COLLECTION, "allow_guest_collections": False})
    error = refused(lambda: site.guest(posix, who=ADA))
    assert (error.http_status, error.code) == (403, "permission_denied")
    # Those that are there are out of reach, too.
    assert denied(lambda: site.names(guest, who=ADA)).http_status == 403
    site.gcs().update_collection(posix, {"DATA_TYPE": COLLECTION, "allow_guest_collections": True})
    assert site.names(guest, who=ADA) == ["alpha", "beta"]


@pytest.mark.parametrize(
    "changes",
    [
        {"sharing_users_deny": ["ada"]},
        {"sharing_users_allow": ["bob"]},
        {"sharing_users_allow": ["bob"], **groups("collection", sharing_groups_allow=["lab"])},
    ],
)
def test_who_may_share(site: Site, refused: Refused, posix: str, changes: Any) -> None:
    guest = site.guest(posix, who=ADA)
    site.gcs().update_collection(posix, {"DATA_TYPE": COLLECTION, **changes})
    error = refused(lambda: site.guest(posix, who=ADA))
    assert (error.http_status, error.code) == (403, "permission_denied")
    assert site.guest(posix, who=BOB)
    # It is about making them: what was shared before stays so.
    assert site.names(guest, who=ADA)


def test_unix_groups_that_may_share(site: Site, refused: Refused, posix: str) -> None:
    said = groups("collection", sharing_groups_allow=["lab"])
    site.gcs().update_collection(posix, {"DATA_TYPE": COLLECTION, **said})
    error = refused(lambda: site.guest(posix, who=ADA))
    assert (error.http_status, error.code) == (403, "permission_denied")


def test_what_may_be_shared(site: Site, refused: Refused, denied: Denied, posix: str) -> None:
    root, beta = site.guest(posix, who=ADA), site.guest(posix, "/beta", who=ADA)
    paths = restrictions(read=["/"], none=["/beta"])
    site.gcs().update_collection(posix, {"DATA_TYPE": COLLECTION, "sharing_restrict_paths": paths})
    assert refused(lambda: site.guest(posix, "/beta", who=ADA)).http_status == 403
    assert site.guest(posix, "/alpha", who=ADA)
    assert denied(lambda: site.names(beta, who=ADA)).http_status == 403
    assert denied(lambda: site.names(root, "/beta", who=ADA)).http_status == 403
    assert denied(lambda: site.transfer(ADA).operation_mkdir(root, "/alpha/x")).http_status == 403
    assert site.names(posix, "/beta", who=ADA) == ["c.txt"]
    site.gcs().update_collection(posix, {"DATA_TYPE": COLLECTION, "sharing_restrict_paths": None})
    assert site.names(beta, who=ADA) == ["c.txt"]


def test_sharing_policies_are_for_some_accounts(site: Site, refused: Refused, denied: Denied, posix: str) -> None:
    hers, his = site.guest(posix, "/beta", who=ADA), site.guest(posix, "/beta", who=BOB)
    document = {
        "DATA_TYPE": "sharing_policy#1.0.0",
        "collection_id": posix,
        "users": ["ada"],
        "sharing_restrict_paths": restrictions(none=["/beta"]),
    }
    policy_id = site.gcs().post("/sharing_policies", data=document)["data"][0]["id"]
    assert refused(lambda: site.guest(posix, "/beta", who=ADA)).http_status == 403
    assert denied(lambda: site.names(hers, who=ADA)).http_status == 403
    assert site.names(his, who=BOB) == ["c.txt"]
    site.gcs().delete(f"/sharing_policies/{policy_id}")
    assert site.names(hers, who=ADA) == ["c.txt"]


def test_sharing_needs_a_consent(site: Site, refused: Refused, posix: str) -> None:
    error = refused(lambda: site.gcs(consents=False).create_collection(guest_document(posix)))
    scopes = [f"{MANAGE_COLLECTIONS}[{data_access_scope(posix)}]"]
    assert (error.http_status, error.code) == (403, "permission_denied")
    requirement = to_gare(error)
    assert requirement is not None
    assert requirement.authorization_parameters.required_scopes == scopes
    assert detail_of(error) == {"DATA_TYPE": "missing_required_scopes#1.0.0", "required_scopes": scopes}
    assert site.gcs().create_collection(guest_document(posix)).http_status == 201


def test_sharing_needs_an_account(site: Site, refused: Refused) -> None:
    gateway_id = site.gateway(identity_mappings=[mapping((r"(.*)@example\.org", "{0}"))])
    collection = site.mapped(gateway_id)
    assert detail_of(refused(lambda: site.guest(collection, who=BOB)))["DATA_TYPE"] == "invalid_user#1.0.0"
    assert site.guest(collection, who=ADA)


# High assurance


def high(site: Site, **more: Any) -> str:
    return site.mapped(site.gateway(high_assurance=True, **more))


def test_a_login_grows_old(site: Site, denied: Denied, refused: Refused) -> None:
    site.sandbox.clock.freeze()
    collection = high(site, authentication_timeout_mins=10)
    assert site.transfer().get_endpoint(collection)["authentication_timeout_mins"] == 10
    transfer, gcs = site.transfer(ADA), site.gcs(ADA)
    assert transfer.operation_ls(collection)["length"] == 2
    site.sandbox.clock.advance(601)
    me = [site.person(ADA)]
    error = denied(lambda: transfer.operation_ls(collection))
    assert (error.http_status, error.code) == (502, "ExternalError.DirListingFailed.LoginFailed")
    assert error.info.authorization_parameters.session_required_identities == me
    assert "authentication_timeout#1.1.0" in error.text
    refusal = refused(lambda: gcs.create_collection(guest_document(collection)))
    assert refusal.info.authorization_parameters.session_required_identities == me
    assert detail_of(refusal) == {
        "DATA_TYPE": "authentication_timeout#1.1.0",
        "high_assurance": True,
        "identities": me,
        "require_mfa": False,
    }
    assert site.transfer(ADA).operation_ls(collection)["length"] == 2
    assert site.guest(collection, who=ADA)


def test_a_credential_needs_a_recent_login(site: Site, refused: Refused) -> None:
    site.sandbox.clock.freeze()
    gateway_id, client = site.gateway(authentication_timeout_mins=10), site.gcs(ADA)
    credential = {"DATA_TYPE": "user_credential#1.0.0", "storage_gateway_id": gateway_id}
    site.sandbox.clock.advance(601)
    assert detail_of(refused(lambda: client.create_user_credential(credential)))["high_assurance"] is False
    assert site.gcs(ADA).create_user_credential(credential)["username"] == "ada"


def test_a_second_factor_is_asked_for(site: Site, denied: Denied) -> None:
    collection = high(site, require_mfa=True)
    assert site.transfer().get_endpoint(collection)["mfa_required"] is True
    error = denied(lambda: site.names(collection, who=ADA))
    assert error.info.authorization_parameters.session_required_mfa is True
    assert site.names(collection, who=ADA, mfa=True) == ["alpha", "beta"]


def test_a_session_of_the_right_domain_is_asked_for(site: Site, denied: Denied) -> None:
    gateway_id = site.gateway(high_assurance=True)
    collection = site.mapped(gateway_id)
    guest = site.guest(collection, "/alpha", who=ADA)
    site.world.transfer.add_rule(guest, path="/", principal=site.person(BOB))
    patch(site, gateway_id, allowed_domains=["example.org"])
    error = denied(lambda: site.names(collection, who=BOB))
    assert error.raw_json is not None
    assert error.raw_json["authorization_parameters"] == {
        "session_message": "Session reauthentication required (Globus Transfer)",
        "session_required_identities": [],
        "session_required_mfa": False,
        "session_required_single_domain": ["example.org"],
    }
    assert "not_from_allowed_domain#1.0.0" in error.text
    assert site.names(collection, who=ADA) == ["alpha", "beta"]
    # What is shared with people from elsewhere is theirs to read.
    assert site.names(guest, who=BOB) == ["deep", "a.txt"]


def test_high_assurance_needs_no_data_access(site: Site, posix: str) -> None:
    collection = high(site)
    assert site.transfer().get_endpoint(collection)["high_assurance"] is True
    assert site.names(collection, who=ADA, consents=False) == ["alpha", "beta"]
    assert site.gcs().get_collection(collection)["high_assurance"] is True


def test_a_login_that_is_wrong_is_told_when_collections_are_checked(site: Site) -> None:
    gateway_id = site.gateway()
    collection = site.mapped(gateway_id)

    def checked() -> dict[str, Any]:
        return dict(site.gcs().get(f"/collections/{collection}/check")["data"][0])

    assert (checked()["error"], checked()["message"]) == (None, "OK")
    patch(site, gateway_id, users_deny=[site.sandbox.client_id])
    assert checked()["error"]["DATA_TYPE"] == "invalid_user#1.0.0"


def test_problems_name_the_mapping(site: Site, refused: Refused) -> None:
    wrong = {"DATA_TYPE": "expression_identity_mapping#1.0.0", "mappings": [{"source": "{username}"}]}
    error = refused(lambda: site.gateway(identity_mappings=[wrong]))
    assert any(key.startswith("identity_mappings") for key in problems(error))
