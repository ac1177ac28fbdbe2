"""Storage gateways of every connector, with its own policies and secrets."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import ConnectorTable

from airflow_provider_globus import looks
from airflow_provider_globus.connect_server.policies import storage_policies
from airflow_provider_globus.exceptions import (
    GlobusConfigError,
    GlobusInputError,
)
from tests.unit.gateways import body, create, sent, there

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from tests.unit.conftest import TaskContext


@pytest.fixture(autouse=True)
def _quick_looks(globus_sandbox: GlobusSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "LOOKS", (0.01, 0.02, 0.03))


@pytest.mark.parametrize(
    ("connector", "policies"),
    [
        ("POSIX", {"groups_allow": ["lab"], "groups_deny": ["guests"]}),
        ("posix-staging", {"stage_app": "/bin/stage", "environment": [{"name": "A", "value": "b"}]}),
        ("ActiveScale", {"s3_endpoint": "https://as.example.org"}),
        ("BlackPearl", {"s3_endpoint": "https://bp.example.org", "bp_access_id_file": "/etc/ids"}),
        ("iRODS", {"irods_environment_file": "/etc/irods.json", "irods_authentication_file": "/etc/irodsA"}),
        ("HPSS", {"authentication_mech": "unix", "authenticator": "auth_keytab:/k", "uda_checksum": True}),
        (
            "HPSS",
            {
                "authentication_mech": "krb5",
                "authenticator": "auth_keytab:/k",
                "uda_checksum": False,
                "login_name": "x",
            },
        ),
    ],
)
def test_each_connector_has_policies_of_its_own(
    connector: str, policies: dict[str, Any], globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    made = create(connector=connector, policies=policies).execute(context)
    assert ConnectorTable.lookup(connector).connector_id == made["connector_id"]  # type: ignore[union-attr]
    stored = there(globus_sandbox)["Buckets"]["policies"]
    assert {name: stored[name] for name in policies} == policies
    assert create(connector=connector, policies=policies).execute(context)["action"] == "unchanged"


WITH_SECRETS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("Azure Blob", {"account": "a", "adls": False, "auth_type": "service_principal", "client_id": "c", "tenant": "t"},
     {"secret": "hush-hush"}),
    ("Ceph", {"s3_endpoint": "https://ceph.example.org", "s3_buckets": ["b"], "ceph_admin_key_id": "k"},
     {"ceph_admin_secret_key": "hush-hush"}),
    ("Dropbox", {"client_id": "c", "allow_any_account": True}, {"secret": "hush-hush"}),
    ("Google Drive", {"client_id": "c", "user_api_rate_quota": 10}, {"secret": "hush-hush"}),
    ("OneDrive", {"client_id": "c", "tenant": "t", "allow_any_account": True}, {"secret": "hush-hush"}),
    ("Box", {"enterpriseID": "7"}, {"boxAppSettings": {"clientID": "c", "clientSecret": "hush-hush", "appAuth": {
        "passphrase": "hush-hush", "privateKey": "hush-hush", "publicKeyID": "p"}}}),
    ("Google Cloud Storage", {"buckets": ["b"], "projects": ["p"], "client_id": "c"}, {"secret": "hush-hush"}),
]  # fmt: skip


@pytest.mark.parametrize(("connector", "policies", "secrets"), WITH_SECRETS, ids=[one[0] for one in WITH_SECRETS])
def test_secrets_of_a_gateway_come_from_a_connection_and_are_seen_nowhere(
    connector: str,
    policies: dict[str, Any],
    secrets: dict[str, Any],
    globus_sandbox: GlobusSandbox,
    context: TaskContext,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    connection = {"conn_type": "generic", "extra": secrets}
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(connection))
    with caplog.at_level(logging.DEBUG):
        made = create(connector=connector, policies=policies, secrets_conn_id="store").execute(context)
        again = create(connector=connector, policies=policies, secrets_conn_id="store").execute(context)
        rotated = create(connector=connector, policies=policies, secrets_conn_id="store", rotate=True).execute(context)
    assert [run["action"] for run in (made, again, rotated)] == ["created", "unchanged", "updated"]
    stored = there(globus_sandbox)["Buckets"]["policies"]
    assert {name: stored[name] for name in secrets} == secrets
    said = caplog.text + "".join(capsys.readouterr())
    assert "Buckets" in said
    assert "hush-hush" not in said + json.dumps([made, again, rotated])


def test_a_changed_policy_takes_the_secrets_along(
    globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps({"conn_type": "generic", "password": "hush-hush"}))
    arguments: dict[str, Any] = {"connector": "Google Drive", "secrets_conn_id": "store"}
    create(policies={"client_id": "c"}, **arguments).execute(context)
    create(policies={"client_id": "d"}, **arguments).execute(context)
    assert body(sent(globus_sandbox, "PATCH")[0])["policies"].keys() == {"DATA_TYPE", "client_id", "secret"}
    assert there(globus_sandbox)["Buckets"]["policies"]["secret"] == "hush-hush"


def test_a_password_is_the_secret_and_no_document(
    globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps({"conn_type": "generic", "password": "hush-hush"}))
    create(connector="Box", policies={"client_id": "c"}, secrets_conn_id="store").execute(context)
    stored = there(globus_sandbox)["Buckets"]["policies"]
    assert (stored["secret"], stored.get("boxAppSettings")) == ("hush-hush", None)


def test_a_version_that_was_asked_for_is_kept(
    globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps({"conn_type": "generic", "password": "hush-hush"}))
    policies = {"DATA_TYPE": "google_drive_storage_policies#1.1.0", "client_id": "c"}
    create(connector="Google Drive", policies=policies, secrets_conn_id="store").execute(context)
    assert there(globus_sandbox)["Buckets"]["policies"]["DATA_TYPE"] == "google_drive_storage_policies#1.1.0"


def test_without_the_extra_globus_judges_identity_mappings(
    globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "airflow_provider_globus.identity_mapping.documents", None)
    mapping = {"mappings": [{"source": "{username}", "match": "(.*)@x", "output": "{0}"}]}
    create(identity_mappings=[mapping]).execute(context)
    assert there(globus_sandbox)["Buckets"]["identity_mappings"][0]["mappings"] == mapping["mappings"]


def test_a_secret_as_an_argument_is_refused(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    with pytest.raises(GlobusInputError, match="secret is a secret") as caught:
        create(connector="Dropbox", policies={"client_id": "c", "secret": "hush-hush"}).execute(context)
    assert "secrets_conn_id" in caught.value.advice
    assert "hush-hush" not in str(caught.value)
    assert globus_sandbox.journal.requests() == []


@pytest.mark.usefixtures("globus_sandbox")
def test_a_connection_without_the_secret_is_named(context: TaskContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps({"conn_type": "generic"}))
    with pytest.raises(GlobusConfigError, match="'store' has none of: secret"):
        create(connector="Dropbox", policies={"client_id": "c"}, secrets_conn_id="store").execute(context)


def test_every_connector_of_the_sdk_is_known() -> None:
    for connector in ConnectorTable.all_connectors():
        assert storage_policies(connector.name).document({})["DATA_TYPE"].endswith("#1.0.0")
