"""Mapped and guest collections through the real SDK and the sandbox's Connect Server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus import looks
from airflow_provider_globus.exceptions import (
    GlobusConflictError,
    GlobusInputError,
    GlobusNotFoundError,
    GlobusPermissionError,
    GlobusUnavailableError,
)
from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.operators.gcs_collections import (
    GlobusCreateGuestCollectionOperator,
    GlobusCreateMappedCollectionOperator,
    GlobusDeleteCollectionOperator,
)
from airflow_provider_globus.operators.storage_gateways import (
    GlobusCreateStorageGatewayOperator,
    GlobusDeleteStorageGatewayOperator,
)
from airflow_provider_globus.operators.user_credentials import GlobusCreateUserCredentialOperator
from airflow_provider_globus.sandbox.transfer.state import ENDPOINT_ID
from tests.unit.buckets import s3_service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.journal import Entry
    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from tests.unit.conftest import TaskContext


@pytest.fixture(autouse=True)
def _quick_looks(globus_sandbox: GlobusSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "LOOKS", (0.01, 0.02, 0.03))


@pytest.fixture
def gateway_id(globus_sandbox: GlobusSandbox, tmp_path: Path, context: TaskContext) -> str:
    """A POSIX gateway on a folder that has some files."""
    folder = tmp_path / "disk"
    (folder / "lab/run1").mkdir(parents=True)
    (folder / "lab/run1/a.dat").write_text("a")
    globus_sandbox.world.connect_server.set_folder(folder)
    return make_gateway(context)


def make_gateway(context: TaskContext, **changes: Any) -> str:
    arguments = {"task_id": "g", "endpoint": ENDPOINT_ID, "display_name": "Disk", "connector": "POSIX"}
    made = GlobusCreateStorageGatewayOperator(**{**arguments, **changes}).execute(context)
    return str(made["storage_gateway_id"])


def mapped(**changes: Any) -> GlobusCreateMappedCollectionOperator:
    arguments = {"task_id": "m", "endpoint": ENDPOINT_ID, "storage_gateway": "Disk", "display_name": "Lab"}
    return GlobusCreateMappedCollectionOperator(**{**arguments, "collection_base_path": "/lab", **changes})


def guest(**changes: Any) -> GlobusCreateGuestCollectionOperator:
    arguments = {"task_id": "g", "mapped_collection": "Lab", "display_name": "Shared", "collection_base_path": "/run1"}
    return GlobusCreateGuestCollectionOperator(**{**arguments, **changes})


def delete(**changes: Any) -> GlobusDeleteCollectionOperator:
    arguments = {"task_id": "d", "endpoint": ENDPOINT_ID, "collection": "Lab"}
    return GlobusDeleteCollectionOperator(**{**arguments, **changes})


def there(globus: GlobusSandbox) -> dict[str, Collection]:
    found = globus.world.transfer.collections.values()
    return {collection.name: collection for collection in found if collection.kind in ("mapped", "guest")}


def stored(collection_id: str) -> dict[str, Any]:
    """What the server says of a collection to an administrator."""
    hook = GlobusHook()
    client = hook.gcs_client(ENDPOINT_ID)
    query = {"include": "private_policies"}
    return hook.call("looking", client.get_collection, collection_id, query_params=query)


def sent(globus: GlobusSandbox, *methods: str) -> list[Entry]:
    wanted = methods or ("POST", "PATCH", "DELETE")
    found = globus.journal.requests("connect_server")
    return [entry for entry in found if entry.method in wanted and "/collections" in entry.path]


def body(entry: Entry) -> dict[str, Any]:
    return dict(entry.body if isinstance(entry.body, dict) else json.loads(entry.body))


# Mapped collections


@pytest.mark.usefixtures("gateway_id")
def test_creates_then_leaves_then_changes_the_difference_only(
    globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    first = mapped(description="Raw data", keywords=["b", "a"]).execute(context)
    assert first["action"] == "created"
    assert stored(first["collection_id"])["collection_base_path"] == "/lab"
    assert first["https_url"]

    again = mapped(description="Raw data", keywords=["a", "b"]).execute(context)
    assert (again["action"], again["collection_id"]) == ("unchanged", first["collection_id"])
    assert len(sent(globus_sandbox)) == 1

    changed = mapped(description="All data", public=True).execute(context)
    assert changed["action"] == "updated"
    assert "description" in changed["changed"]
    (patch,) = sent(globus_sandbox, "PATCH")
    assert "keywords" not in str(patch.body)
    assert stored(first["collection_id"])["keywords"] == ["b", "a"]


SECURITY: dict[str, Any] = {
    "allow_guest_collections": True,
    "sharing_restrict_paths": {"none": ["/private"], "read": ["/run1"]},
    "sharing_users_allow": ["ada"],
    "sharing_users_deny": ["eve"],
    "disable_anonymous_writes": True,
    "guest_auth_policy_id": "5a4db0c5-0000-4000-8000-00000000aaaa",
    "delete_protected": False,
    "enable_https": False,
    "https_methods": ["GET"],
    "force_encryption": True,
    "force_verify": True,
    "auto_delete_timeout": 30,
    "public": False,
    "user_message": "Mind the data. " * 6,
    "user_message_link": "https://example.org/mind",
    "policies": {"sharing_groups_allow": ["lab"]},
}
UNSERVED = ("guest_auth_policy_id", "auto_delete_timeout")  # by the sandbox, which answers 501


@pytest.mark.usefixtures("gateway_id")
def test_every_security_setting_arrives_and_is_left_alone_the_second_time(context: TaskContext) -> None:
    wanted = {name: value for name, value in SECURITY.items() if name not in UNSERVED}
    made = mapped(**wanted).execute(context)
    document = stored(made["collection_id"])
    for name, value in wanted.items():
        if name not in ("sharing_restrict_paths", "policies"):
            assert document[name] == value, name
    assert document["sharing_restrict_paths"]["none"] == ["/private"]
    assert document["policies"]["sharing_groups_allow"] == ["lab"]
    assert mapped(**wanted).execute(context)["action"] == "unchanged"


@pytest.mark.usefixtures("gateway_id")
def test_settings_that_the_sandbox_has_not_are_sent_in_the_version_that_has_them(
    globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    wanted = {name: SECURITY[name] for name in UNSERVED}
    with pytest.raises(GlobusUnavailableError, match="does not serve"):
        mapped(**wanted).execute(context)
    (post,) = sent(globus_sandbox, "POST")
    assert {name: body(post)[name] for name in wanted} == wanted
    assert body(post)["DATA_TYPE"] == "collection#1.13.0"


@pytest.mark.parametrize(
    ("name", "value", "empty"),
    [
        ("sharing_users_allow", ["ada"], []),
        ("sharing_users_deny", ["eve"], []),
        ("sharing_restrict_paths", {"read": ["/run1"]}, {}),
        ("description", "Raw", ""),
        ("user_message", "Mind", ""),
        ("contact_email", "ada@example.org", ""),
        ("force_encryption", True, False),
    ],
)
@pytest.mark.usefixtures("gateway_id")
def test_what_is_given_empty_is_taken_away_and_then_left(
    name: str, value: Any, empty: Any, context: TaskContext
) -> None:
    made = mapped(**{name: value}).execute(context)
    changed = mapped(**{name: empty}).execute(context)
    assert (changed["action"], changed["changed"]) == ("updated", [name])
    found = stored(made["collection_id"]).get(name)
    assert not found or not any(found[access] for access in ("none", "read", "read_write"))
    assert mapped(**{name: empty}).execute(context)["action"] == "unchanged"


def test_high_assurance_settings_take_a_high_assurance_gateway(
    gateway_id: str, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    wanted = {"acl_expiration_mins": 60, "restrict_transfers_to_high_assurance": "all"}
    for name, value in wanted.items():
        with pytest.raises(GlobusInputError, match=f"{name} is for high assurance"):
            mapped(**{name: value}).execute(context)
    assert sent(globus_sandbox) == []
    make_gateway(context, display_name="Vault", high_assurance=True)
    made = mapped(storage_gateway="Vault", **wanted).execute(context)
    assert stored(made["collection_id"])["acl_expiration_mins"] == 60
    assert mapped(storage_gateway="Vault", **wanted).execute(context)["action"] == "unchanged"
    lifted = {"acl_expiration_mins": 0, "restrict_transfers_to_high_assurance": ""}
    assert mapped(storage_gateway="Vault", **lifted).execute(context)["changed"] == sorted(lifted)
    with pytest.raises(GlobusInputError, match="anonymous writes"):
        mapped(storage_gateway="Vault", disable_anonymous_writes=False).execute(context)


@pytest.mark.usefixtures("gateway_id")
def test_base_path_and_gateway_are_kept(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    made = mapped().execute(context)
    assert mapped(collection_base_path="/lab/").execute(context)["action"] == "unchanged"
    with pytest.raises(GlobusInputError, match="has collection_base_path '/lab', not '/'") as caught:
        mapped(collection_base_path="/").execute(context)
    assert "another display_name" in caught.value.advice
    make_gateway(context, display_name="Other")
    with pytest.raises(GlobusInputError, match="storage_gateway_id"):
        mapped(storage_gateway="Other", collection_id=made["collection_id"]).execute(context)
    assert sent(globus_sandbox, "PATCH") == []


@pytest.mark.usefixtures("gateway_id")
def test_the_same_name_on_another_gateway_is_another_collection(context: TaskContext) -> None:
    first = mapped().execute(context)
    make_gateway(context, display_name="Other")
    second = mapped(storage_gateway="Other").execute(context)
    assert second["action"] == "created"
    assert second["collection_id"] != first["collection_id"]
    assert mapped().execute(context)["action"] == "unchanged"


@pytest.mark.usefixtures("gateway_id")
def test_a_collection_is_found_by_its_id_to_be_renamed(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    made = mapped().execute(context)
    renamed = mapped(collection_id=made["collection_id"], display_name="Laboratory").execute(context)
    assert (renamed["action"], renamed["changed"]) == ("updated", ["display_name"])
    assert there(globus_sandbox).keys() == {"Laboratory"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"display_name": ""}, "1 to 128"),
        ({"display_name": "x" * 129}, "1 to 128"),
        ({"collection_base_path": "lab"}, "must be absolute"),
        ({"keywords": "raw"}, "keywords must be a list"),
        ({"sharing_restrict_paths": {"all": ["/"]}}, "all is no kind of access"),
    ],
)
def test_bad_input_is_refused_before_any_request(
    changes: dict[str, Any], says: str, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    with pytest.raises(GlobusInputError, match=says):
        mapped(**changes).execute(context)
    assert globus_sandbox.journal.requests() == []


@pytest.mark.usefixtures("globus_sandbox")
def test_bad_arguments_fail_when_the_dag_is_read() -> None:
    with pytest.raises(GlobusInputError, match="preserve_modtime 'both' is unknown"):
        mapped(preserve_modtime="both")
    with pytest.raises(GlobusInputError, match="contradict"):
        mapped(force_verify=True, disable_verify=True)


@pytest.mark.usefixtures("gateway_id")
def test_policies_of_another_connector_are_refused(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    with pytest.raises(GlobusInputError, match="project is no policy of it"):
        mapped(policies={"project": "p"}).execute(context)
    assert sent(globus_sandbox) == []


@pytest.mark.usefixtures("gateway_id")
def test_a_gateway_that_is_missing_is_named_with_those_there_are(context: TaskContext) -> None:
    with pytest.raises(GlobusNotFoundError, match=r"no storage gateway 'Disc'.*Disk \("):
        mapped(storage_gateway="Disc").execute(context)


@pytest.mark.usefixtures("gateway_id")
def test_a_name_may_have_128_characters(context: TaskContext) -> None:
    assert mapped(display_name="x" * 128).execute(context)["action"] == "created"


@pytest.mark.usefixtures("gateway_id")
def test_a_lost_answer_makes_no_second_collection(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.faults.add({"service": "connect_server", "method": "POST", "times": 1, "drop_after": True})
    made = mapped().execute(context)
    assert made["action"] == "created"
    assert [there(globus_sandbox)["Lab"].id] == [made["collection_id"]]
    assert len(sent(globus_sandbox, "POST")) == 1


# Guest collections


@pytest.fixture
def credential_id(gateway_id: str, context: TaskContext) -> str:
    made = GlobusCreateUserCredentialOperator(task_id="c", endpoint=ENDPOINT_ID, storage_gateway=gateway_id).execute(
        context
    )
    return str(made["user_credential_id"])


@pytest.fixture
def lab(credential_id: str, context: TaskContext) -> dict[str, Any]:
    """A mapped collection that may be shared of, and a credential on its gateway."""
    return dict(mapped(allow_guest_collections=True).execute(context))


def test_a_guest_collection_is_made_once_and_with_the_consent(
    lab: dict[str, Any], credential_id: str, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    made = guest().execute(context)
    assert made["action"] == "created"
    assert made["mapped_collection_id"] == lab["collection_id"]
    assert made["user_credential_id"] == credential_id
    hook = GlobusHook()
    client = hook.transfer_client()
    listed = hook.call("listing", client.operation_ls, made["collection_id"])
    assert [entry["name"] for entry in listed["DATA"]] == ["a.dat"]
    posts = len(sent(globus_sandbox, "POST"))
    again = guest().execute(context)
    assert (again["action"], again["collection_id"]) == ("unchanged", made["collection_id"])
    changed = guest(description="For all").execute(context)
    assert (changed["action"], changed["changed"]) == ("updated", ["description"])
    assert len(sent(globus_sandbox, "POST")) == posts


def test_the_same_name_on_another_mapped_collection_is_another(lab: dict[str, Any], context: TaskContext) -> None:
    first = guest().execute(context)
    mapped(display_name="Twin", allow_guest_collections=True).execute(context)
    second = guest(mapped_collection="Twin").execute(context)
    assert second["action"] == "created"
    assert second["collection_id"] != first["collection_id"]
    assert guest().execute(context)["action"] == "unchanged"


def test_base_path_of_a_guest_is_kept(lab: dict[str, Any], context: TaskContext) -> None:
    guest().execute(context)
    assert guest(collection_base_path="run1/").execute(context)["action"] == "unchanged"
    with pytest.raises(GlobusInputError, match="collection_base_path"):
        guest(collection_base_path="/").execute(context)


@pytest.mark.usefixtures("gateway_id")
def test_without_a_credential_the_way_to_one_is_told(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    mapped(allow_guest_collections=True).execute(context)
    with pytest.raises(GlobusInputError, match="has no user credentials") as caught:
        guest().execute(context)
    assert "GlobusCreateUserCredentialOperator" in caught.value.advice
    assert len(sent(globus_sandbox, "POST")) == 1


def test_of_several_credentials_one_has_to_be_named(
    lab: dict[str, Any], credential_id: str, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    server = globus_sandbox.world.connect_server
    one = server.credentials[credential_id]
    other = type(one)("5a4db0c5-0000-4000-8000-00000000cccc", one.gateway_id, one.connector_id, one.identity_id, "ada")
    server.credentials[other.id] = other
    with pytest.raises(GlobusInputError, match="2 user credentials"):
        guest().execute(context)
    assert guest(local_username=one.username).execute(context)["user_credential_id"] == credential_id


@pytest.mark.usefixtures("credential_id")
def test_a_collection_that_may_not_be_shared_of_says_so(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    mapped(allow_guest_collections=False).execute(context)
    with pytest.raises(GlobusPermissionError, match="allows no guest collections"):
        guest().execute(context)
    assert len(sent(globus_sandbox, "POST")) == 1


def test_a_guest_of_a_guest_is_refused(lab: dict[str, Any], context: TaskContext) -> None:
    made = guest().execute(context)
    with pytest.raises(GlobusInputError, match="is a guest collection"):
        guest(mapped_collection=made["collection_id"], display_name="Deeper").execute(context)


def test_a_lost_answer_makes_no_second_guest(
    lab: dict[str, Any], globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    globus_sandbox.faults.add(
        {"service": "connect_server", "method": "POST", "path": "/api/collections", "times": 1, "drop_after": True}
    )
    made = guest().execute(context)
    assert there(globus_sandbox)["Shared"].id == made["collection_id"]
    assert guest().execute(context)["action"] == "unchanged"


# Deletion


def test_what_is_protected_stays_unless_asked_for(
    lab: dict[str, Any], globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    before = len(sent(globus_sandbox))
    with pytest.raises(GlobusConflictError, match="protected") as caught:
        delete().execute(context)
    assert "remove_protection=True" in caught.value.advice
    assert len(sent(globus_sandbox)) == before
    gone = delete(remove_protection=True).execute(context)
    assert gone == {"collection_id": lab["collection_id"], "action": "deleted"}
    assert there(globus_sandbox) == {}
    assert delete().execute(context) == {"collection_id": None, "action": "absent"}
    with pytest.raises(GlobusNotFoundError):
        delete(ignore_missing=False).execute(context)


def test_guest_collections_are_no_collateral_damage(
    lab: dict[str, Any], globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    shared = guest().execute(context)
    with pytest.raises(GlobusConflictError, match=r"1 guest collections.*Shared") as caught:
        delete(remove_protection=True).execute(context)
    assert "with_guest_collections=True" in caught.value.advice
    assert there(globus_sandbox).keys() == {"Lab", "Shared"}
    assert stored(lab["collection_id"])["delete_protected"] is True
    gone = delete(remove_protection=True, with_guest_collections=True).execute(context)
    assert gone["guest_collection_ids"] == [shared["collection_id"]]
    assert there(globus_sandbox) == {}


def test_a_guest_collection_is_deleted_by_its_id_alone_and_once(
    lab: dict[str, Any], globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    shared = guest().execute(context)
    by_id = delete(endpoint=None, collection=shared["collection_id"])
    assert by_id.execute(context)["action"] == "deleted"
    assert there(globus_sandbox).keys() == {"Lab"}
    again = delete(endpoint=None, collection=shared["collection_id"])
    assert again.execute(context)["action"] == "absent"


@pytest.mark.usefixtures("globus_sandbox")
def test_an_id_that_nobody_knows_is_absent(context: TaskContext) -> None:
    nobody = "5a4db0c5-0000-4000-8000-00000000dead"
    assert delete(endpoint=None, collection=nobody).execute(context)["action"] == "absent"
    with pytest.raises(GlobusNotFoundError):
        delete(endpoint=nobody, collection=nobody).execute(context)


def test_a_name_alone_does_not_delete(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    with pytest.raises(GlobusInputError, match="neither a UUID nor an alias"):
        delete(endpoint=None, collection="Lab").execute(context)
    assert globus_sandbox.journal.requests() == []


# A bucket, from nothing to nothing


@pytest.fixture
def s3_endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 server with the bucket `archive`, in which there is one object."""
    monkeypatch.setenv("AIRFLOW_CONN_KEYS", json.dumps({"conn_type": "aws", "login": "key", "password": "hush"}))
    with s3_service() as client:
        client.create_bucket(Bucket="archive")
        client.put_object(Bucket="archive", Key="run1/a.dat", Body=b"a")
        yield client.meta.endpoint_url


def test_a_bucket_is_put_behind_globus_and_taken_down(
    s3_endpoint: str, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    policies = {"s3_endpoint": s3_endpoint, "s3_buckets": ["archive"], "s3_user_credential_required": True}

    def build() -> list[dict[str, Any]]:
        make_gateway(context, display_name="Buckets", connector="S3", policies=policies)
        keys: dict[str, Any] = {"storage_gateway": "Buckets", "credentials_conn_id": "keys"}
        return [
            mapped(storage_gateway="Buckets", collection_base_path="/", allow_guest_collections=True).execute(context),
            GlobusCreateUserCredentialOperator(task_id="c", endpoint=ENDPOINT_ID, **keys).execute(context),
            guest(collection_base_path="/archive/run1").execute(context),
        ]

    assert [made["action"] for made in build()] == ["created"] * 3
    hook = GlobusHook()
    client = hook.transfer_client()
    listed = hook.call("listing", client.operation_ls, there(globus_sandbox)["Shared"].id)
    assert [(entry["name"], entry["size"]) for entry in listed["DATA"]] == [("a.dat", 1)]
    assert [made["action"] for made in build()] == ["unchanged"] * 3

    delete(remove_protection=True, with_guest_collections=True).execute(context)
    gone = GlobusDeleteStorageGatewayOperator(task_id="d", endpoint=ENDPOINT_ID, storage_gateway="Buckets")
    assert gone.execute(context)["action"] == "deleted"
    assert there(globus_sandbox) == {}
    assert globus_sandbox.world.connect_server.credentials == {}
