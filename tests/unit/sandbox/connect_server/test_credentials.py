"""User credentials of the GCS Manager: what comes in, what never comes out again, and whose they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import globus_sdk
import pytest

from airflow_provider_globus.sandbox.connect_server import schemas
from airflow_provider_globus.sandbox.connect_server.models import POLICY_PREFIXES, policies_type
from tests.unit.sandbox.connect_server.conftest import POSIX, S3, mapping, problems
from tests.unit.sandbox.connect_server.test_gateways import document as gateway_document
from tests.unit.sandbox.connect_server.test_gateways import policies

if TYPE_CHECKING:
    from tests.unit.sandbox.connect_server.conftest import Refused, Site

ADA, BOB = "ada@example.org", "bob@example.org"
CREDENTIAL = "user_credential#1.0.0"
KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def s3_gateway(site: Site, version: str = "1.3.0", **more: Any) -> str:
    policy = {"DATA_TYPE": f"s3_storage_policies#{version}", "s3_endpoint": "https://s3.example.org", **more}
    return site.gateway(connector_id=S3, policies=policy)


def keys(version: str = "1.2.0", **more: Any) -> dict[str, Any]:
    return {"DATA_TYPE": f"s3_user_credential_policies#{version}", "s3_key_id": KEY, "s3_secret_key": SECRET, **more}


def create(site: Site, gateway_id: str, who: str | None = None, **more: Any) -> dict[str, Any]:
    document = {"DATA_TYPE": CREDENTIAL, "storage_gateway_id": gateway_id, **more}
    return dict(site.gcs(who).create_user_credential(document).data)


def stored(site: Site, credential_id: str) -> dict[str, Any]:
    return site.world.connect_server.credentials[credential_id].policies


def everything_told(site: Site) -> str:
    """Return the journal and the state that people can look at."""
    return json.dumps([entry.as_dict() for entry in site.sandbox.journal.entries]) + json.dumps(site.world.snapshot())


# Their life


def test_a_credential_as_the_sdk_makes_it(site: Site) -> None:
    gateway_id = s3_gateway(site)
    document = globus_sdk.UserCredentialDocument(
        storage_gateway_id=gateway_id,
        identity_id=site.sandbox.client_id,
        connector_id=S3,
        display_name="keys",
        policies=keys("1.0.0"),
    )
    client = site.gcs()
    made = client.create_user_credential(document)
    assert (made.http_status, made.full_data["message"]) == (201, f"Created User Credential {made['id']}")
    got = client.get_user_credential(made["id"])
    assert got.data == made.data
    assert got.data == {
        "DATA_TYPE": CREDENTIAL,
        "connector_id": S3,
        "deleted": False,
        "display_name": "keys",
        "id": made["id"],
        "identity_id": site.sandbox.client_id,
        "invalid": False,
        "policies": {**keys("1.0.0"), "s3_secret_key": None},
        "provisioned": True,
        "storage_gateway_id": gateway_id,
        "username": f"{site.sandbox.client_id}@clients.auth.globus.org",
    }
    assert [item["id"] for item in client.get_user_credential_list()] == [made["id"]]
    assert [item["id"] for item in client.get_user_credential_list(storage_gateway=gateway_id)] == [made["id"]]
    assert list(client.get_user_credential_list(storage_gateway=site.gateway())) == []
    answer = client.delete_user_credential(made["id"])
    assert (answer["message"], answer["data"]) == (f"Deleted User Credential {made['id']}", [])
    assert list(client.get_user_credential_list()) == []


def test_a_posix_credential_holds_nothing(site: Site) -> None:
    made = create(site, site.gateway(), ADA)
    assert (made["username"], made["provisioned"], made["invalid"]) == ("ada", False, False)
    assert made["policies"] == {"DATA_TYPE": "posix_user_credential_policies#1.0.0"}


@pytest.mark.parametrize("connector_id", POLICY_PREFIXES)
def test_every_connector_takes_its_credentials(site: Site, refused: Refused, connector_id: str) -> None:
    storage = policies(schemas.versions(policies_type(connector_id, "storage"))[-1])
    # Ada is in no Unix group, so nobody may be let in by one.
    storage = {name: value for name, value in storage.items() if name not in ("s3_requester_pays", "groups_allow")}
    gateway = gateway_document(connector_id=connector_id, policies=storage)
    gateway_id = site.gcs().create_storage_gateway(gateway)["id"]
    for data_type in schemas.versions(policies_type(connector_id, "user_credential")):
        sent = policies(data_type)
        made = create(site, gateway_id, ADA, policies=sent)
        secret = {name for name in sent if name.endswith(("secret_key", "_token"))}
        told = {name: value for name, value in made["policies"].items() if name != "s3_multi_keys"}
        assert told == {name: None if name in secret else value for name, value in sent.items() if name in told}
        assert stored(site, made["id"]) == sent
        wrong = {**sent, "colour": "red"}
        error = refused(lambda wrong=wrong: create(site, gateway_id, ADA, policies=wrong))
        assert problems(error) == {"policies.colour": "Unknown field."}
    other = "hpss" if connector_id != globus_sdk.ConnectorTable.HPSS.connector_id else "irods"
    wrong = {"DATA_TYPE": f"{other}_user_credential_policies#1.0.0"}
    assert set(problems(refused(lambda: create(site, gateway_id, ADA, policies=wrong)))) == {"policies.DATA_TYPE"}


def test_a_patch_keeps_what_it_does_not_say(site: Site) -> None:
    made = create(site, s3_gateway(site), policies=keys(), display_name="keys")
    sent = {"DATA_TYPE": "s3_user_credential_policies#1.2.0", "s3_secret_key": "another"}
    answer = site.gcs().update_user_credential(made["id"], {"DATA_TYPE": CREDENTIAL, "policies": sent})
    assert (answer["display_name"], answer["policies"]["s3_key_id"]) == ("keys", KEY)
    assert answer.full_data["message"] == f"Updated User Credential {made['id']}"
    assert stored(site, made["id"]) == keys(s3_secret_key="another")
    site.gcs().update_user_credential(made["id"], {"DATA_TYPE": CREDENTIAL, "display_name": None})
    assert site.gcs().get_user_credential(made["id"])["display_name"] is None
    nothing = {"DATA_TYPE": "s3_user_credential_policies#1.2.0", "s3_secret_key": None}
    site.gcs().update_user_credential(made["id"], {"DATA_TYPE": CREDENTIAL, "policies": nothing})
    assert site.gcs().get_user_credential(made["id"])["invalid"] is True


def test_a_put_replaces_all(site: Site, refused: Refused) -> None:
    made = create(site, s3_gateway(site), policies=keys(), display_name="keys")
    path = f"/user_credentials/{made['id']}"
    wrong = {"DATA_TYPE": CREDENTIAL, "policies": {"DATA_TYPE": "hpss_user_credential_policies#1.0.0"}}
    assert problems(refused(lambda: site.gcs().put(path, data=wrong)))
    assert stored(site, made["id"]) == keys()
    other = {"DATA_TYPE": "s3_user_credential_policies#1.0.0", "s3_key_id": "other", "s3_secret_key": "pair"}
    shown = site.gcs().put(path, data={"DATA_TYPE": CREDENTIAL, "policies": other})["data"][0]
    assert (shown["display_name"], shown["invalid"]) == (None, False)
    assert stored(site, made["id"]) == other
    shown = site.gcs().put(path, data={"DATA_TYPE": CREDENTIAL})["data"][0]
    assert (shown["invalid"], shown["provisioned"]) == (True, False)


def test_several_keys_are_changed_one_by_one(site: Site, refused: Refused) -> None:
    several = [
        {"path_prefixes": ["a/"], "s3_key_id": "one", "s3_secret_key": "first"},
        {"path_prefixes": ["b/"], "s3_key_id": "two", "s3_secret_key": "second"},
    ]
    closed = s3_gateway(site)
    wrong = {"DATA_TYPE": "s3_user_credential_policies#1.2.0", "s3_multi_keys": several}
    said = problems(refused(lambda: create(site, closed, policies=wrong)))
    assert said == {"policies.s3_multi_keys": "The storage gateway does not allow multiple keys"}
    made = create(site, s3_gateway(site, s3_allow_multi_keys=True), policies=wrong)
    assert [pair["s3_secret_key"] for pair in made["policies"]["s3_multi_keys"]] == [None, None]

    def patched(*pairs: dict[str, Any]) -> Any:
        policy = {"DATA_TYPE": "s3_user_credential_policies#1.2.0", "s3_multi_keys": list(pairs)}
        site.gcs().update_user_credential(made["id"], {"DATA_TYPE": CREDENTIAL, "policies": policy})
        return stored(site, made["id"])["s3_multi_keys"]

    gone = {"path_prefixes": ["a/"], "s3_key_id": "one", "s3_secret_key": None}
    moved = {"path_prefixes": ["c/"], "s3_key_id": "two"}
    new = {"path_prefixes": ["d/"], "s3_key_id": "three", "s3_secret_key": "third"}
    assert patched(gone) == several[1:]
    assert patched(moved, new) == [{**several[1], "path_prefixes": ["c/"]}, new]


# Refused


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"colour": "red"}, {"colour": "Unknown field."}),
        ({"policies": {"DATA_TYPE": "s3_user_credential_policies#1.0.0", "s3_secret_key": 7}}, None),
        ({"policies": keys("1.0.0", s3_requester_pays=True)}, {"policies.s3_requester_pays": "Unknown field."}),
        ({"policies": keys(s3_multi_keys=[{"s3_key_id": KEY}])}, None),
        ({"connector_id": POSIX}, {"connector_id": "Not the connector of the storage gateway."}),
        ({"storage_gateway_id": None}, None),
    ],
)
def test_wrong_documents_are_refused(site: Site, refused: Refused, more: Any, said: Any) -> None:
    gateway_id = s3_gateway(site, s3_allow_multi_keys=True)
    found = problems(refused(lambda: create(site, gateway_id, **more)))
    assert found == said if said else all(key.startswith(next(iter(more))) for key in found), found
    assert site.world.connect_server.credentials == {}


def test_it_is_for_a_gateway(site: Site, refused: Refused) -> None:
    error = refused(lambda: site.gcs().create_user_credential({"DATA_TYPE": CREDENTIAL}))
    assert problems(error) == {"storage_gateway_id": "Missing data for required field."}


@pytest.mark.parametrize("name", ["storage_gateway_id", "identity_id", "username"])
def test_what_it_is_for_never_changes(site: Site, refused: Refused, name: str) -> None:
    made = create(site, s3_gateway(site))
    sent = {"DATA_TYPE": CREDENTIAL, name: "5a4db0c5-0000-4000-8000-00000000dead"}
    error = refused(lambda: site.gcs().update_user_credential(made["id"], sent))
    assert problems(error) == {name: "This property cannot be changed."}


def test_the_account_must_be_one_of_the_identity(site: Site, refused: Refused) -> None:
    gateway_id = site.gateway(identity_mappings=[mapping((r"(.*)@example\.org", "{0}"), (r"(.*)@.*", "lab"))])
    assert create(site, gateway_id, ADA)["username"] == "ada"
    assert create(site, gateway_id, ADA, username="lab")["username"] == "lab"
    for who, more in ((ADA, {"username": "root"}), ("eve@x", {"username": "ada"})):
        error = refused(lambda who=who, more=more: create(site, gateway_id, who, **more))
        assert (error.http_status, error.code) == (403, "permission_denied")
        assert error.raw_json is not None
        assert error.raw_json["detail"]["DATA_TYPE"] == "invalid_user#1.0.0"


def test_who_pays_must_say_so(site: Site) -> None:
    gateway_id = s3_gateway(site, s3_requester_pays=True)
    assert create(site, gateway_id, policies=keys())["invalid"] is True
    assert create(site, gateway_id, ADA, policies=keys(s3_requester_pays=True))["invalid"] is False
    # A gateway that begins to ask for it makes invalid what was valid.
    later = s3_gateway(site)
    made = create(site, later, BOB, policies=keys())
    policy = {"DATA_TYPE": "s3_storage_policies#1.3.0", "s3_requester_pays": True}
    site.gcs().update_storage_gateway(later, {"DATA_TYPE": "storage_gateway#1.3.0", "policies": policy})
    assert (made["invalid"], site.gcs(BOB).get_user_credential(made["id"])["invalid"]) == (False, True)


# Whose they are


def test_another_s_credential_is_out_of_reach(site: Site, refused: Refused) -> None:
    gateway_id = s3_gateway(site)
    made = create(site, gateway_id, ADA, policies=keys())
    for who in (BOB, None):
        client = site.gcs(who)
        for act in (
            lambda client=client: client.get_user_credential(made["id"]),
            lambda client=client: client.update_user_credential(made["id"], {"DATA_TYPE": CREDENTIAL}),
            lambda client=client: client.put(f"/user_credentials/{made['id']}", data={"DATA_TYPE": CREDENTIAL}),
            lambda client=client: client.delete_user_credential(made["id"]),
        ):
            error = refused(act)
            assert (error.http_status, error.code) == (403, "permission_denied")
            assert error.raw_json is not None
            assert error.raw_json["detail"] == {
                "DATA_TYPE": "not_resource_owner#1.0.0",
                "id": site.person(ADA),
            }
        assert list(client.get_user_credential_list(query_params={"include": "all"})) == []
    error = refused(lambda: create(site, gateway_id, identity_id=site.person(ADA)))
    assert error.raw_json is not None
    assert error.raw_json["detail"]["DATA_TYPE"] == "id_not_in_identity_set#1.0.0"
    assert refused(lambda: site.gcs().get_user_credential("5a4db0c5-dead")).http_status == 404


def test_administrators_manage_them_where_the_gateway_says_so(site: Site, refused: Refused) -> None:
    gateway_id = site.gateway(admin_managed_credentials=True, allowed_domains=["example.org"])
    made = create(site, gateway_id, identity_id=site.person(ADA))
    assert (made["identity_id"], made["username"]) == (site.person(ADA), "ada")
    assert list(site.gcs().get_user_credential_list()) == []
    listed = site.gcs().get_user_credential_list(query_params={"include": "all"})
    assert [item["id"] for item in listed] == [made["id"]]
    assert list(site.gcs(BOB).get_user_credential_list(query_params={"include": "all"})) == []
    assert refused(lambda: create(site, gateway_id, BOB, identity_id=site.person(ADA))).http_status == 403
    outside = site.person("eve@elsewhere.net")
    error = refused(lambda: create(site, gateway_id, identity_id=outside))
    assert error.raw_json is not None
    assert error.raw_json["detail"]["DATA_TYPE"] == "not_from_allowed_domain#1.0.0"
    site.gcs().delete_user_credential(made["id"])


def test_a_gateway_takes_its_credentials_with_it(site: Site) -> None:
    gateway_id = s3_gateway(site)
    create(site, gateway_id, policies=keys())
    kept = create(site, s3_gateway(site), policies=keys())
    site.gcs().delete_storage_gateway(gateway_id)
    assert [item["id"] for item in site.gcs().get_user_credential_list()] == [kept["id"]]


# Secrets


def test_secrets_are_told_to_nobody(site: Site, refused: Refused) -> None:
    gateway_id = s3_gateway(site, s3_allow_multi_keys=True)
    pair = {"path_prefixes": ["b/"], "s3_key_id": "AKIANESTED7EXAMPLE", "s3_secret_key": "nested-secret-of-a-pair"}
    several = keys(s3_multi_keys=[pair])
    answers = [create(site, gateway_id, policies=several)]
    refusals = [
        lambda: create(site, gateway_id, policies={**several, "colour": "red"}),
        lambda: create(site, gateway_id, policies={**several, "DATA_TYPE": "hpss_user_credential_policies#1.0.0"}),
        lambda: create(site, "5a4db0c5-0000-4000-8000-00000000dead", policies=several),
        lambda: create(site, gateway_id, policies={**several, "s3_requester_pays": SECRET}),
    ]
    told = json.dumps([refused(act).raw_json for act in refusals]) + json.dumps(answers) + everything_told(site)
    for secret in (SECRET, "nested-secret-of-a-pair"):
        assert secret not in told
    journal = json.dumps([entry.as_dict() for entry in site.sandbox.journal.entries])
    for key_id in (KEY, "AKIANESTED7EXAMPLE"):
        assert key_id not in journal
    sent = site.sandbox.journal.requests(method="POST", path="/api/user_credentials")
    assert len(sent) == 1 + len(refusals)
    masked = {"path_prefixes": ["b/"], "s3_key_id": "***", "s3_secret_key": "***"}
    for entry in sent:
        assert entry.body["policies"]["s3_multi_keys"] == [masked]
        assert (entry.body["policies"]["s3_key_id"], entry.body["policies"]["s3_secret_key"]) == ("***", "***")


def test_a_very_short_secret_does_not_mask_every_word(site: Site) -> None:
    made = create(site, s3_gateway(site), policies=keys(s3_secret_key="s"))
    site.gcs().get_user_credential(made["id"])
    (entry,) = site.sandbox.journal.requests(method="GET", path="/api/user_credentials/*")
    assert entry.path == f"/api/user_credentials/{made['id']}"
    (entry,) = site.sandbox.journal.requests(method="POST", path="/api/user_credentials")
    assert entry.body["policies"]["s3_secret_key"] == "***"


def test_a_longer_one_is_masked_wherever_it_turns_up(site: Site) -> None:
    create(site, s3_gateway(site), policies=keys())
    site.gcs().get("/storage_gateways", query_params={"note": SECRET})
    assert SECRET not in everything_told(site)


@pytest.mark.parametrize("connector_id", POLICY_PREFIXES)
def test_no_connector_s_secrets_are_in_the_journal(site: Site, connector_id: str) -> None:
    names = ("secret", "secret_key", "access_token", "refresh_token", "ceph_admin_secret_key", "ceph_admin_key_id")
    for kind in ("storage", "user_credential"):
        for data_type in schemas.versions(policies_type(connector_id, kind)):
            sent = policies(data_type)
            secret: dict[str, Any] = {name: f"private-{name}" for name in names if name in sent}
            if "service_account_key" in sent:
                secret["service_account_key"] = {"anything": "private-rsa"}
            if "boxAppSettings" in sent:
                auth = {"publicKeyID": "x", "privateKey": "private-rsa", "passphrase": "private-phrase"}
                app = {"clientID": "x", "clientSecret": "private-app", "appAuth": auth}
                secret["boxAppSettings"] = app
            body = {"DATA_TYPE": "storage_gateway#9", "policies": {**sent, **secret}}
            with pytest.raises(globus_sdk.GCSAPIError):
                site.gcs().create_storage_gateway(body)
    assert "private-" not in everything_told(site)
