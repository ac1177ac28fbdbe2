"""User credentials through the real SDK and the sandbox's Connect Server; secrets out of Airflow connections only."""

from __future__ import annotations

import json
import logging
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG
from airflow.sdk._shared.secrets_masker import SecretsMasker

from airflow_provider_globus import looks
from airflow_provider_globus.exceptions import GlobusConfigError, GlobusInputError, GlobusNotFoundError
from airflow_provider_globus.operators.secrets import S3Keys
from airflow_provider_globus.operators.storage_gateways import GlobusCreateStorageGatewayOperator
from airflow_provider_globus.operators.user_credentials import (
    GlobusCreateUserCredentialOperator,
    GlobusDeleteUserCredentialOperator,
)
from airflow_provider_globus.sandbox.transfer.state import ENDPOINT_ID

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.connect_server.models import UserCredential
    from airflow_provider_globus.sandbox.journal import Entry
    from tests.unit.conftest import TaskContext

SECRETS = {"keys": "first-hush-hush", "more": "second-hush-hush", "third": "third-hush-hush"}


@pytest.fixture(autouse=True)
def _quick_looks(globus_sandbox: GlobusSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "LOOKS", (0.01, 0.02, 0.03))
    for conn_id, secret in SECRETS.items():
        connect(monkeypatch, conn_id, login=f"KEY-{conn_id}", password=secret)


def connect(monkeypatch: pytest.MonkeyPatch, conn_id: str, **connection: Any) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps({"conn_type": "aws", **connection}))


def make_gateway(context: TaskContext, policies: dict[str, Any] | None = None, **changes: Any) -> str:
    s3 = {"s3_endpoint": "https://s3.example.org", "s3_user_credential_required": True, **(policies or {})}
    arguments: dict[str, Any] = {"task_id": "g", "endpoint": ENDPOINT_ID, "display_name": "Buckets", "policies": s3}
    arguments["connector"] = "S3"
    if "connector" in changes:
        arguments["policies"] = policies
    made = GlobusCreateStorageGatewayOperator(**{**arguments, **changes}).execute(context)
    return str(made["storage_gateway_id"])


@pytest.fixture
def gateway_id(context: TaskContext) -> str:
    return make_gateway(context)


def register(**changes: Any) -> GlobusCreateUserCredentialOperator:
    arguments = {"task_id": "c", "endpoint": ENDPOINT_ID, "storage_gateway": "Buckets", "credentials_conn_id": "keys"}
    return GlobusCreateUserCredentialOperator(**{**arguments, **changes})


def delete(**changes: Any) -> GlobusDeleteUserCredentialOperator:
    arguments = {"task_id": "d", "endpoint": ENDPOINT_ID, "storage_gateway": "Buckets"}
    return GlobusDeleteUserCredentialOperator(**{**arguments, **changes})


def the_credential(globus: GlobusSandbox) -> UserCredential:
    (found,) = globus.world.connect_server.credentials.values()
    return found


def sent(globus: GlobusSandbox, *methods: str) -> list[Entry]:
    wanted = methods or ("POST", "PATCH", "DELETE")
    found = globus.journal.requests("connect_server")
    return [entry for entry in found if entry.method in wanted and "/user_credentials" in entry.path]


def test_registers_once_and_sends_the_secret_to_globus_alone(
    gateway_id: str,
    globus_sandbox: GlobusSandbox,
    context: TaskContext,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with caplog.at_level(logging.DEBUG):
        first = register().execute(context)
        again = register().execute(context)
    assert first["action"] == "created"
    assert again == {**first, "action": "unchanged", "changed": []}
    assert (first["s3_key_id"], first["storage_gateway_id"]) == ("KEY-keys", gateway_id)
    assert len(sent(globus_sandbox)) == 1
    assert the_credential(globus_sandbox).policies == {
        "DATA_TYPE": "s3_user_credential_policies#1.0.0",
        "s3_key_id": "KEY-keys",
        "s3_secret_key": SECRETS["keys"],
    }
    said = caplog.text + "".join(capsys.readouterr())
    assert "The user credential on 'Buckets' is created" in said
    journal = json.dumps([entry.as_dict() for entry in globus_sandbox.journal.requests()])
    for place in (said, journal, json.dumps([first, again, context["ti"].xcoms])):
        assert SECRETS["keys"] not in place


@pytest.mark.usefixtures("gateway_id")
def test_another_key_is_sent_and_the_same_key_only_to_rotate(
    globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    first = register().execute(context)
    other = register(credentials_conn_id="more").execute(context)
    assert (other["action"], other["user_credential_id"]) == ("updated", first["user_credential_id"])
    assert other["changed"] == ["s3_key_id", "s3_secret_key"]
    assert the_credential(globus_sandbox).policies["s3_secret_key"] == SECRETS["more"]
    assert register(credentials_conn_id="more", rotate=True).execute(context)["action"] == "updated"
    assert register(credentials_conn_id="more").execute(context)["action"] == "unchanged"
    assert len(sent(globus_sandbox, "PATCH")) == 2


@pytest.mark.usefixtures("gateway_id")
def test_a_name_alone_takes_no_secret_along(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    register().execute(context)
    named = register(display_name="Lab keys").execute(context)
    assert (named["action"], named["changed"]) == ("updated", ["display_name"])
    assert "s3_key_id" not in str(sent(globus_sandbox, "PATCH")[0].body)
    assert register(display_name="Lab keys").execute(context)["action"] == "unchanged"


@pytest.mark.usefixtures("gateway_id")
def test_what_globus_calls_invalid_is_registered_again(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    register().execute(context)
    the_credential(globus_sandbox).invalid = True
    assert register().execute(context)["action"] == "updated"
    assert the_credential(globus_sandbox).invalid is False


def test_a_credential_that_stays_invalid_fails_with_what_to_check(
    globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    make_gateway(context, {"s3_user_credential_required": False})
    with pytest.raises(GlobusInputError, match="as invalid") as caught:
        register(credentials_conn_id=None).execute(context)
    assert "keys in the connection" in caught.value.advice
    assert the_credential(globus_sandbox).invalid


# Where keys come from


@pytest.mark.parametrize(
    "connection",
    [
        {"conn_type": "aws", "login": "K", "password": "S-hush"},
        {"conn_type": "aws", "extra": {"aws_access_key_id": "K", "aws_secret_access_key": "S-hush"}},
        {"conn_type": "globus", "extra": {"s3_key_id": "K", "s3_secret_key": "S-hush"}},
        {"conn_type": "globus", "login": "K", "password": "S-hush"},
        {
            "conn_type": "globus",
            "login": "client",
            "password": "client-secret",
            "extra": {"s3_key_id": "K", "s3_secret_key": "S-hush"},
        },
    ],
)
@pytest.mark.usefixtures("gateway_id")
def test_each_kind_of_connection_gives_keys(
    connection: dict[str, Any], globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, "keys", **connection)
    register().execute(context)
    policies = the_credential(globus_sandbox).policies
    assert (policies["s3_key_id"], policies["s3_secret_key"]) == ("K", "S-hush")


@pytest.mark.parametrize(
    ("connection", "says"),
    [
        ({"conn_type": "http", "login": "K", "password": "S-hush"}, "is of type 'http'"),
        ({"conn_type": "aws", "login": "K"}, "holds no pair of S3 keys"),
        ({"conn_type": "globus", "password": "S-hush"}, "holds no pair of S3 keys"),
        ({"conn_type": "globus", "login": ENDPOINT_ID, "password": "S-hush"}, "holds no pair of S3 keys"),
        ({"login": "K", "password": "S-hush", "extra": {"aws_access_key_id": "half"}}, "holds no pair of S3 keys"),
        ({"login": "K", "password": "S-hush", "extra": {"aws_session_token": "T"}}, "has aws_session_token"),
        ({"login": "K", "password": "S-hush", "extra": {"role_arn": "arn:x"}}, "has role_arn"),
    ],
)
def test_a_connection_that_cannot_give_keys_is_refused_before_any_request(
    connection: dict[str, Any],
    says: str,
    globus_sandbox: GlobusSandbox,
    context: TaskContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect(monkeypatch, "keys", **connection)
    with pytest.raises(GlobusConfigError, match=says) as caught:
        register().execute(context)
    assert "'keys'" in str(caught.value)
    assert "hush" not in str(caught.value)
    assert globus_sandbox.journal.requests() == []


@pytest.mark.usefixtures("gateway_id")
def test_secrets_are_masked_in_whatever_is_logged(context: TaskContext, monkeypatch: pytest.MonkeyPatch) -> None:
    masked: list[Any] = []
    monkeypatch.setattr(SecretsMasker, "add_mask", lambda _self, secret, name=None: masked.append(secret))
    connect(monkeypatch, "keys", conn_type="globus", extra={"s3_key_id": "K", "s3_secret_key": "hush-from-the-extra"})
    register().execute(context)
    assert "hush-from-the-extra" in masked


def test_keys_do_not_show_their_secret() -> None:
    assert "hush" not in repr(S3Keys("K", "hush"))


def test_no_argument_takes_a_secret() -> None:
    fields = GlobusCreateUserCredentialOperator.template_fields
    assert not [name for name in fields if "secret" in name or "key_id" in name]
    with pytest.raises(TypeError):
        register(s3_secret_key="hush")


def test_a_dag_with_it_holds_no_secret(context: TaskContext) -> None:
    make_gateway(context)
    with DAG("a_dag"):
        operator = register()
    operator.execute(context)
    kept = {name: value for name, value in vars(operator).items() if name not in ("hook", "dag", "_dag", "task_group")}
    assert SECRETS["keys"] not in repr(kept)


# Requester pays and multiple keys


def test_requester_pays_has_to_be_agreed_with(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    make_gateway(context, {"s3_requester_pays": True})
    with pytest.raises(GlobusInputError, match="charged to the account") as caught:
        register().execute(context)
    assert "requester_pays=True" in caught.value.advice
    assert sent(globus_sandbox) == []
    assert register(requester_pays=True).execute(context)["action"] == "created"
    assert the_credential(globus_sandbox).policies["DATA_TYPE"] == "s3_user_credential_policies#1.1.0"
    assert register(requester_pays=True).execute(context)["action"] == "unchanged"


MANY = {"raw/run1": "more", "raw/run2": "more", "/archive": "third"}


def multi(globus: GlobusSandbox) -> dict[str, tuple[str, str]]:
    """Keys and secrets by prefix, as the server has them."""
    entries = the_credential(globus).policies.get("s3_multi_keys") or ()
    return {
        prefix: (entry["s3_key_id"], entry["s3_secret_key"]) for entry in entries for prefix in entry["path_prefixes"]
    }


def test_other_keys_for_some_paths(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    make_gateway(context, {"s3_allow_multi_keys": True})
    assert register(multi_keys=MANY).execute(context)["action"] == "created"
    more, third = ("KEY-more", SECRETS["more"]), ("KEY-third", SECRETS["third"])
    assert multi(globus_sandbox) == {"raw/run1": more, "raw/run2": more, "archive": third}
    assert len(the_credential(globus_sandbox).policies["s3_multi_keys"]) == 2
    assert register(multi_keys=MANY).execute(context)["action"] == "unchanged"
    # Nothing is said about them, nothing is done about them.
    assert register().execute(context)["action"] == "unchanged"


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        ({"raw/run1": "more"}, {"raw/run1": "more"}),
        ({"raw/run1": "third", "archive": "third"}, {"raw/run1": "third", "archive": "third"}),
        ({}, {}),
    ],
)
def test_prefixes_that_are_not_given_are_taken_away(
    wanted: dict[str, str], left: dict[str, str], globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    make_gateway(context, {"s3_allow_multi_keys": True})
    register(multi_keys=MANY).execute(context)
    changed = register(multi_keys=wanted).execute(context)
    assert changed["action"] == "updated"
    assert "s3_multi_keys" in changed["changed"]
    expected = {prefix: (f"KEY-{conn_id}", SECRETS[conn_id]) for prefix, conn_id in left.items()}
    assert multi(globus_sandbox) == expected
    assert register(multi_keys=wanted).execute(context)["action"] == "unchanged"


@pytest.mark.usefixtures("gateway_id")
def test_multi_keys_take_a_gateway_that_allows_them(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    with pytest.raises(GlobusInputError, match="one pair of keys") as caught:
        register(multi_keys=MANY).execute(context)
    assert "s3_allow_multi_keys" in caught.value.advice
    assert sent(globus_sandbox) == []


def test_multi_keys_that_are_no_connections_are_refused(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    for wrong in ({"/": "more"}, {"raw": {"s3_key_id": "K"}}):
        with pytest.raises(GlobusInputError, match="must map path prefixes"):
            register(multi_keys=wrong).execute(context)
    assert globus_sandbox.journal.requests() == []


# Other gateways, other people


@pytest.mark.usefixtures("gateway_id")
def test_a_gateway_that_demands_keys_gets_none_without(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    with pytest.raises(GlobusInputError, match="demands S3 keys"):
        register(credentials_conn_id=None).execute(context)
    assert sent(globus_sandbox) == []


def test_posix_takes_an_account_and_no_keys(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    make_gateway(context, display_name="Disk", connector="POSIX")
    with pytest.raises(GlobusInputError, match="connector POSIX, which takes no S3 keys"):
        register(storage_gateway="Disk").execute(context)
    posix = {"storage_gateway": "Disk", "credentials_conn_id": None}
    made = register(**posix).execute(context)
    assert made["action"] == "created"
    assert made["username"]
    assert register(username=made["username"], **posix).execute(context)["action"] == "unchanged"
    assert the_credential(globus_sandbox).policies == {}


def test_administrators_register_for_others_where_they_may(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    mapping = [{"mappings": [{"source": "{username}", "match": "(.*)@.*", "output": "{0}"}]}]
    make_gateway(context, admin_managed_credentials=True, identity_mappings=mapping)
    ada = globus_sandbox.add_identity("ada@example.org")
    made = register(identity="ada@example.org").execute(context)
    assert (made["identity_id"], made["username"]) == (ada.id, "ada")
    assert register(identity=ada.id).execute(context)["action"] == "unchanged"
    own = register(credentials_conn_id="more").execute(context)
    assert own["action"] == "created"
    assert own["user_credential_id"] != made["user_credential_id"]
    assert delete(identity="ada@example.org").execute(context)["user_credential_id"] == made["user_credential_id"]
    assert the_credential(globus_sandbox).id == own["user_credential_id"]


# Lost answers, deletion


@pytest.mark.usefixtures("gateway_id")
def test_a_lost_answer_makes_no_second_credential(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.faults.add({"service": "connect_server", "method": "POST", "times": 1, "drop_after": True})
    made = register().execute(context)
    assert made["action"] == "created"
    assert the_credential(globus_sandbox).id == made["user_credential_id"]
    assert len(sent(globus_sandbox, "POST")) == 1


@pytest.mark.usefixtures("gateway_id")
def test_deletes_once(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    made = register().execute(context)
    assert delete().execute(context) == {"user_credential_id": made["user_credential_id"], "action": "deleted"}
    assert globus_sandbox.world.connect_server.credentials == {}
    assert delete().execute(context) == {"user_credential_id": None, "action": "absent"}
    assert delete(storage_gateway="Nowhere").execute(context)["action"] == "absent"
    with pytest.raises(GlobusNotFoundError):
        delete(ignore_missing=False).execute(context)


@pytest.mark.usefixtures("globus_sandbox")
def test_errors_survive_pickling_without_secrets(context: TaskContext) -> None:
    make_gateway(context)
    with pytest.raises(GlobusInputError) as caught:
        register(multi_keys=MANY).execute(context)
    assert "hush" not in str(pickle.loads(pickle.dumps(caught.value)))
