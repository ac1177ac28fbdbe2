"""Storage gateways through the real SDK and the sandbox's Connect Server: created once, changed where they differ."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from airflow_provider_globus import looks
from airflow_provider_globus.exceptions import (
    GlobusBadRequestError,
    GlobusConflictError,
    GlobusInputError,
    GlobusNotFoundError,
    GlobusUnavailableError,
)
from airflow_provider_globus.operators.storage_gateways import (
    GlobusDeleteStorageGatewayOperator,
)
from airflow_provider_globus.sandbox.transfer.state import ENDPOINT_ID
from tests.unit.gateways import S3, body, create, sent, there

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.unit.conftest import TaskContext


@pytest.fixture(autouse=True)
def _quick_looks(globus_sandbox: GlobusSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "LOOKS", (0.01, 0.02, 0.03))


def test_creates_then_leaves_then_changes_the_difference_only(
    globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    first = create(allowed_domains=["example.org", "sandbox.globus.test"]).execute(context)
    assert first["action"] == "created"
    assert first["connector"] == "S3"
    stored = there(globus_sandbox)["Buckets"]
    assert stored["id"] == first["storage_gateway_id"]
    assert stored["policies"] == {**S3, "DATA_TYPE": "s3_storage_policies#1.0.0"}

    again = create(allowed_domains=["sandbox.globus.test", "example.org"]).execute(context)
    assert again == {**first, "action": "unchanged", "changed": []}
    assert len(sent(globus_sandbox)) == 1

    more = create(allowed_domains=["example.org"], users_deny=["root"]).execute(context)
    assert (more["action"], more["changed"]) == ("updated", ["allowed_domains", "users_deny"])
    patch = sent(globus_sandbox, "PATCH")
    assert len(patch) == 1
    assert body(patch[0]) == {
        "DATA_TYPE": "storage_gateway#1.0.0",
        "allowed_domains": ["example.org"],
        "users_deny": ["root"],
    }
    assert there(globus_sandbox)["Buckets"]["policies"]["s3_buckets"] == ["raw", "archive"]


def test_the_log_says_what_was_done_and_what_differs(
    globus_sandbox: GlobusSandbox, context: TaskContext, capsys: pytest.CaptureFixture[str]
) -> None:
    create().execute(context)
    create().execute(context)
    create(users_deny=["root"]).execute(context)
    said = capsys.readouterr().out
    assert "The storage gateway 'Buckets' is created" in said
    assert "The storage gateway 'Buckets' is as wanted: unchanged" in said
    assert "The storage gateway 'Buckets' differs in users_deny: wanted ['root'], found []" in said


@pytest.mark.parametrize(
    ("policies", "version"),
    [
        ({}, "1.0.0"),
        ({"s3_user_credential_required": True}, "1.0.0"),
        ({"s3_requester_pays": True}, "1.1.0"),
        ({"s3_allow_multi_keys": True}, "1.2.0"),
        ({"s3_storage_class": "GLACIER_IR"}, "1.3.0"),
        ({"s3_restore": True, "s3_requester_pays": False}, "1.3.0"),
    ],
)
def test_s3_policies_go_in_the_lowest_version_that_has_them(
    policies: dict[str, Any], version: str, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    create(policies={**S3, **policies}).execute(context)
    assert there(globus_sandbox)["Buckets"]["policies"] == {
        **S3,
        **policies,
        "DATA_TYPE": f"s3_storage_policies#{version}",
    }
    assert create(policies={**S3, **policies}).execute(context)["action"] == "unchanged"


def test_a_policy_that_is_added_keeps_the_others_and_their_version(
    globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    create(policies={**S3, "s3_storage_class": "STANDARD_IA"}).execute(context)
    changed = create(policies={"s3_buckets": ["raw"]}).execute(context)
    assert changed["changed"] == ["policies"]
    assert there(globus_sandbox)["Buckets"]["policies"] == {
        "DATA_TYPE": "s3_storage_policies#1.3.0",
        "s3_endpoint": "https://s3.example.org",
        "s3_buckets": ["raw"],
        "s3_storage_class": "STANDARD_IA",
    }


SECURITY: dict[str, Any] = {
    "allowed_domains": ["sandbox.globus.test"],
    "users_allow": ["ada"],
    "users_deny": ["root"],
    "restrict_paths": {"none": ["/raw/secret"], "read": ["/raw"]},
    "high_assurance": True,
    "require_mfa": True,
    "authentication_timeout_mins": 45,
    "admin_managed_credentials": True,
    "identity_mappings": [
        {"mappings": [{"source": "{username}", "match": r"(.*)@sandbox\.globus\.test", "output": "{0}"}]}
    ],
    "network_use": "custom",
    "max_concurrency": 8,
    "preferred_concurrency": 4,
    "max_parallelism": 8,
    "preferred_parallelism": 4,
    "load_dsi_module": "posix",
    "process_user": "globus",
}


def test_every_security_setting_arrives_and_is_left_alone_the_second_time(
    globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    create(**SECURITY).execute(context)
    stored = there(globus_sandbox)["Buckets"]
    for name, value in SECURITY.items():
        if name not in ("restrict_paths", "identity_mappings"):
            assert stored[name] == value, name
    assert stored["restrict_paths"]["none"] == ["/raw/secret"]
    assert stored["restrict_paths"]["read_write"] == []
    assert stored["identity_mappings"][0]["DATA_TYPE"] == "expression_identity_mapping#1.0.0"
    assert body(sent(globus_sandbox)[0])["DATA_TYPE"] == "storage_gateway#1.3.0"
    assert create(**SECURITY).execute(context)["action"] == "unchanged"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("users_allow", []),
        ("users_deny", []),
        ("restrict_paths", {}),
        ("restrict_paths", {"read": ["/raw"]}),
        ("identity_mappings", []),
        ("require_mfa", False),
        ("load_dsi_module", ""),
        ("process_user", ""),
    ],
)
def test_what_is_given_empty_is_taken_away_and_then_left(
    name: str, value: Any, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    create(**SECURITY).execute(context)
    changed = create(**{name: value}).execute(context)
    assert (changed["action"], changed["changed"]) == ("updated", [name])
    assert create(**{name: value}).execute(context)["action"] == "unchanged"
    if name == "restrict_paths":
        assert there(globus_sandbox)["Buckets"][name]["none"] == []
    else:
        assert not there(globus_sandbox)["Buckets"].get(name)


def test_a_gateway_is_found_by_its_id_to_be_renamed(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    gateway_id = create().execute(context)["storage_gateway_id"]
    renamed = create(display_name="Vault", storage_gateway=gateway_id, connector=None).execute(context)
    assert (renamed["action"], renamed["storage_gateway_id"]) == ("updated", gateway_id)
    assert there(globus_sandbox).keys() == {"Vault"}


@pytest.mark.usefixtures("globus_sandbox")
def test_a_gateway_that_was_named_by_id_is_not_made_anew(context: TaskContext) -> None:
    create().execute(context)
    with pytest.raises(GlobusNotFoundError, match="Buckets"):
        create(storage_gateway="5a4db0c5-0000-4000-8000-00000000dead").execute(context)


@pytest.mark.parametrize("endpoint", ["lab", "id"])
def test_any_collection_leads_to_its_endpoint(
    endpoint: str, globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory, context: TaskContext
) -> None:
    lab = globus_collection("lab")
    create(endpoint=lab.id if endpoint == "id" else "lab").execute(context)
    assert "Buckets" in there(globus_sandbox)


# Refused before any request


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"connector": "Floppy"}, "no connector 'Floppy'. There are: ActiveScale"),
        ({"connector": "5a4db0c5-0000-4000-8000-000000000bad"}, "There are: ActiveScale"),
        ({"policies": {"s3_bucket": ["raw"]}}, "s3_bucket is no policy of it. It has: s3_endpoint"),
        ({"policies": {"DATA_TYPE": "posix_storage_policies#1.0.0"}}, "s3_storage_policies document"),
        ({"connector": "ActiveScale", "policies": {"s3_restore": True}}, "s3_restore"),
        ({"restrict_paths": {"write": ["/"]}}, "write is no kind of access"),
        ({"restrict_paths": {"read": "/"}}, "read must be a list"),
        ({"allowed_domains": "example.org"}, "must be a list"),
        ({"identity_mappings": [{"rules": []}]}, r"identity_mappings\[0\] must have either"),
        ({"identity_mappings": [{"mappings": [{"source": "{username}", "match": "(a", "output": "{0}"}]}]}, "rule 1"),
    ],
)
def test_bad_input_is_refused_before_any_request(
    changes: dict[str, Any], says: str, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    with pytest.raises(GlobusInputError, match=says):
        create(**changes).execute(context)
    assert globus_sandbox.journal.requests() == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"network_use": "warp"}, "network_use 'warp' is unknown"),
        ({"network_use": "custom", "max_concurrency": 4}, "takes max_concurrency"),
        ({"display_name": None}, "give display_name"),
    ],
)
@pytest.mark.usefixtures("globus_sandbox")
def test_bad_arguments_fail_when_the_dag_is_read(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(GlobusInputError, match=says):
        create(**changes)


def test_mfa_takes_high_assurance(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    with pytest.raises(GlobusInputError, match="high assurance"):
        create(require_mfa=True).execute(context)
    create().execute(context)
    with pytest.raises(GlobusInputError, match="high assurance"):
        create(require_mfa=True).execute(context)
    assert len(sent(globus_sandbox)) == 1


# What no gateway can become


def test_another_connector_is_refused_with_what_to_do(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    create().execute(context)
    with pytest.raises(GlobusInputError, match="is of the connector S3, not POSIX") as caught:
        create(connector="POSIX", policies=None).execute(context)
    assert "another display_name" in caught.value.advice
    assert len(sent(globus_sandbox)) == 1


def test_high_assurance_is_not_taken_away(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    create(high_assurance=True).execute(context)
    with pytest.raises(GlobusInputError, match="cannot be taken away") as caught:
        create(high_assurance=False).execute(context)
    assert "create another gateway" in caught.value.advice
    assert create().execute(context)["action"] == "unchanged"
    assert len(sent(globus_sandbox)) == 1


@pytest.mark.usefixtures("globus_sandbox")
def test_what_is_missing_needs_a_connector(context: TaskContext) -> None:
    with pytest.raises(GlobusInputError, match="Give connector"):
        create(connector=None).execute(context)


def test_several_of_a_name_are_refused(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    first = create().execute(context)["storage_gateway_id"]
    second = create(display_name="Other").execute(context)["storage_gateway_id"]
    globus_sandbox.world.connect_server.gateways[second].fields["display_name"] = "Buckets"
    with pytest.raises(GlobusInputError, match=f"(?s){min(first, second)}.*{max(first, second)}"):
        create(users_deny=["root"]).execute(context)


# What Globus refuses


def test_what_globus_finds_wrong_is_named(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    with pytest.raises(GlobusBadRequestError, match=r"policies\.s3_endpoint: Missing data"):
        create(policies={"s3_buckets": ["raw"]}).execute(context)
    assert there(globus_sandbox) == {}


# Lost answers


def test_a_lost_answer_makes_no_second_gateway(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.faults.add({"service": "connect_server", "method": "POST", "times": 1, "drop_after": True})
    made = create().execute(context)
    assert made["action"] == "created"
    assert there(globus_sandbox)["Buckets"]["id"] == made["storage_gateway_id"]
    assert len(sent(globus_sandbox, "POST")) == 1


def test_a_lost_request_is_left_to_a_retry(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.faults.add({"service": "connect_server", "method": "POST", "times": 1, "drop": True})
    with pytest.raises(GlobusUnavailableError):
        create().execute(context)
    assert there(globus_sandbox) == {}
    assert create().execute(context)["action"] == "created"


def test_an_answer_that_names_no_gateway_is_looked_into(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    answer = {"DATA_TYPE": "result#1.0.0", "code": "success", "data": [], "http_response_code": 201}
    globus_sandbox.faults.add(
        {"service": "connect_server", "method": "POST", "times": 1, "status": 201, "body": json.dumps(answer)}
    )
    with pytest.raises(GlobusUnavailableError, match="cannot be found"):
        create().execute(context)
    assert create().execute(context)["action"] == "created"


def test_killed_it_looks_no_longer(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.faults.add({"service": "connect_server", "method": "POST", "times": 1, "drop_after": True})
    killed = create()
    killed.on_kill()
    with pytest.raises(GlobusUnavailableError):
        killed.execute(context)
    assert globus_sandbox.journal.requests("connect_server")[-1].method == "POST"


def test_a_dag_with_it_can_be_copied() -> None:
    with DAG("a_dag") as dag:
        create()
    assert dag.partial_subset("t").task_ids == ["t"]


# Many gateways


def test_it_is_found_on_any_page(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    wanted = create().execute(context)
    server = globus_sandbox.world.connect_server
    one = server.gateways.pop(wanted["storage_gateway_id"])
    for number in range(120):
        create_one = {**one.fields, "display_name": f"Other {number}"}
        server.gateways[f"5a4db0c5-0000-4000-8000-{number:012d}"] = type(one)(
            f"5a4db0c5-0000-4000-8000-{number:012d}", create_one
        )
    server.gateways[one.id] = one
    assert create().execute(context)["action"] == "unchanged"


# Deletion


def delete(**changes: Any) -> GlobusDeleteStorageGatewayOperator:
    arguments = {"task_id": "d", "endpoint": ENDPOINT_ID, "storage_gateway": "Buckets"}
    return GlobusDeleteStorageGatewayOperator(**{**arguments, **changes})


@pytest.mark.parametrize("by", ["name", "id"])
def test_deletes_once(by: str, globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    gateway_id = create().execute(context)["storage_gateway_id"]
    named = {"storage_gateway": gateway_id} if by == "id" else {}
    assert delete(**named).execute(context) == {"storage_gateway_id": gateway_id, "action": "deleted"}
    assert there(globus_sandbox) == {}
    assert delete(**named).execute(context) == {"storage_gateway_id": None, "action": "absent"}
    with pytest.raises(GlobusNotFoundError, match="no storage gateway"):
        delete(ignore_missing=False, **named).execute(context)


def test_what_goes_between_look_and_request_is_absent(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    create().execute(context)
    gone = {"DATA_TYPE": "result#1.0.0", "code": "not_found", "message": "Gone", "http_response_code": 404}
    for _ in range(2):
        globus_sandbox.faults.add(
            {"service": "connect_server", "method": "DELETE", "times": 1, "status": 404, "body": json.dumps(gone)}
        )
    assert delete().execute(context)["action"] == "absent"
    with pytest.raises(GlobusNotFoundError, match="Gone"):
        delete(ignore_missing=False).execute(context)


def test_a_gateway_with_collections_is_not_deleted(
    globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory, context: TaskContext
) -> None:
    lab = globus_collection("lab")
    with pytest.raises(GlobusConflictError, match=f"lab .{lab.id}") as caught:
        delete(storage_gateway="lab storage").execute(context)
    assert "GlobusDeleteCollectionOperator" in caught.value.advice
    assert sent(globus_sandbox) == []
