"""The audit of storage gateways: what has drifted from a policy, without a single change."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from airflow_provider_globus.exceptions import GlobusDriftError, GlobusInputError, GlobusNotFoundError
from airflow_provider_globus.operators.gateway_audit import GlobusStorageGatewayAuditOperator
from airflow_provider_globus.operators.gcs_collections import GlobusCreateMappedCollectionOperator
from airflow_provider_globus.operators.storage_gateways import GlobusCreateStorageGatewayOperator
from airflow_provider_globus.sandbox.transfer.state import ENDPOINT_ID

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from tests.unit.conftest import TaskContext

GATEWAY: dict[str, Any] = {
    "connector": "S3",
    "allowed_domains": ["example.org", "sandbox.globus.test"],
    "users_deny": ["root"],
    "restrict_paths": {"none": ["/raw/secret"]},
    "authentication_timeout_mins": 60,
    "policies": {"s3_endpoint": "https://s3.example.org", "s3_buckets": ["raw"], "s3_user_credential_required": True},
}


@pytest.fixture
def gateway_id(globus_sandbox: GlobusSandbox, context: TaskContext) -> str:
    """A gateway as in GATEWAY, with two mapped collections."""
    shared: dict[str, Any] = {"endpoint": ENDPOINT_ID, "task_id": "t"}
    made = GlobusCreateStorageGatewayOperator(display_name="Buckets", **shared, **GATEWAY).execute(context)
    for name in ("Raw", "Archive"):
        GlobusCreateMappedCollectionOperator(
            storage_gateway="Buckets",
            display_name=name,
            collection_base_path=f"/raw/{name}",
            disable_anonymous_writes=True,
            sharing_users_deny=["eve"],
            **shared,
        ).execute(context)
    return str(made["storage_gateway_id"])


def audit(policy: Any, **changes: Any) -> GlobusStorageGatewayAuditOperator:
    arguments = {"task_id": "a", "endpoint": ENDPOINT_ID, "storage_gateway": "Buckets", "policy": policy}
    return GlobusStorageGatewayAuditOperator(**{**arguments, **changes})


def drift(policy: Any, context: TaskContext) -> list[tuple[str, str, Any, Any]]:
    found = audit(policy, on_drift="warn").execute(context)["drift"]
    return [(one["object"], one["field"], one["wanted"], one["found"]) for one in found]


@pytest.mark.parametrize("form", ["dict", "json", "yaml", "file"])
def test_what_is_as_it_shall_be_is_reported_so_and_nothing_changes(
    form: str, gateway_id: str, globus_sandbox: GlobusSandbox, context: TaskContext, tmp_path: Path
) -> None:
    policy: Any = {"storage_gateway": GATEWAY, "mapped_collections": {"*": {"disable_anonymous_writes": True}}}
    if form == "json":
        policy = json.dumps(policy)
    elif form == "yaml":
        policy = yaml.safe_dump(policy)
    elif form == "file":
        path = tmp_path / "policy.yaml"
        path.write_text(yaml.safe_dump(policy))
        policy = str(path)
    before = len(globus_sandbox.journal.requests("connect_server"))
    report = audit(policy).execute(context)
    assert (report["action"], report["drift"]) == ("unchanged", [])
    assert report["storage_gateway_id"] == gateway_id
    assert len(report["collection_ids"]) == 2
    requests = globus_sandbox.journal.requests("connect_server")[before:]
    assert {entry.method for entry in requests} == {"GET"}


@pytest.mark.usefixtures("gateway_id")
def test_each_difference_is_named_with_both_values(context: TaskContext) -> None:
    policy = {
        "allowed_domains": ["example.org"],
        "users_deny": ["root"],
        "high_assurance": True,
        "restrict_paths": {"none": ["/raw/secret", "/raw/hr"]},
        "policies": {"s3_user_credential_required": False, "s3_requester_pays": True},
    }
    assert drift(policy, context) == [
        (
            "storage gateway Buckets",
            "allowed_domains",
            ["example.org"],
            ["example.org", "sandbox.globus.test"],
        ),
        ("storage gateway Buckets", "high_assurance", True, False),
        ("storage gateway Buckets", "restrict_paths.none", ["/raw/secret", "/raw/hr"], ["/raw/secret"]),
        ("storage gateway Buckets", "policies.s3_user_credential_required", False, True),
        ("storage gateway Buckets", "policies.s3_requester_pays", True, None),
    ]


@pytest.mark.usefixtures("gateway_id")
def test_a_task_fails_for_good_and_leaves_its_findings(context: TaskContext) -> None:
    with pytest.raises(GlobusDriftError, match=r'users_deny is \["root"\], not \["eve"\]') as caught:
        audit({"users_deny": ["eve"]}).execute(context)
    assert "GlobusCreateStorageGatewayOperator" in caught.value.advice
    wanted = [{"object": "storage gateway Buckets", "field": "users_deny", "wanted": ["eve"], "found": ["root"]}]
    assert caught.value.drift == wanted
    assert pickle.loads(pickle.dumps(caught.value)).drift == wanted
    assert context["ti"].xcoms["audit"]["drift"] == wanted


@pytest.mark.usefixtures("gateway_id")
def test_a_warning_is_in_the_log(context: TaskContext, capsys: pytest.CaptureFixture[str]) -> None:
    report = audit({"users_deny": ["eve"]}, on_drift="warn").execute(context)
    assert report["action"] == "unchanged"
    assert 'Drift: storage gateway Buckets: users_deny is ["root"], not ["eve"]' in capsys.readouterr().out


@pytest.mark.usefixtures("gateway_id")
def test_many_findings_are_cut_in_the_error_only(context: TaskContext) -> None:
    names = ("require_mfa", "high_assurance", "admin_managed_credentials")
    policy = {
        "storage_gateway": dict.fromkeys(names, True),
        "mapped_collections": {
            "*": {"force_encryption": True, "force_verify": True, "display_name": "No", "public": False}
        },
    }
    with pytest.raises(GlobusDriftError, match="and 1 more") as caught:
        audit(policy).execute(context)
    assert len(caught.value.drift) == 11


# Collections


@pytest.mark.usefixtures("gateway_id")
def test_what_is_said_of_one_collection_counts_more_than_what_is_said_of_all(context: TaskContext) -> None:
    policy = {
        "mapped_collections": {
            "*": {"disable_anonymous_writes": True, "sharing_users_deny": ["mallory"]},
            "Raw": {"sharing_users_deny": ["eve"]},
        }
    }
    assert drift(policy, context) == [("collection Archive", "sharing_users_deny", ["mallory"], ["eve"])]


@pytest.mark.usefixtures("gateway_id")
def test_collections_that_are_missing_or_not_named_are_drift(context: TaskContext) -> None:
    policy: dict[str, Any] = {"mapped_collections": {"Raw": {}, "Vault": {"public": True}}}
    assert drift(policy, context) == [("collection Vault", "display_name", "Vault", None)]
    strict = {"mapped_collections": {"Raw": {}}, "other_collections": False}
    assert drift(strict, context) == [("collection Archive", "display_name", None, "Archive")]


def test_collections_of_other_gateways_are_none_of_it(
    gateway_id: str, globus_sandbox: GlobusSandbox, context: TaskContext, tmp_path: Path
) -> None:
    globus_sandbox.add_collection("elsewhere", tmp_path)
    report = audit({"mapped_collections": {"*": {"public": True}}, "other_collections": True}).execute(context)
    assert len(report["collection_ids"]) == 2


# Bounds


@pytest.mark.parametrize(
    ("bounds", "keeps"),
    [
        ({"authentication_timeout_mins": {"at_most": 60}}, True),
        ({"authentication_timeout_mins": {"at_most": 59}}, False),
        ({"authentication_timeout_mins": {"at_least": 60, "at_most": 90}}, True),
        ({"authentication_timeout_mins": {"at_least": 61}}, False),
        ({"max_concurrency": {"at_most": 8}}, False),
        ({"allowed_domains": {"subset_of": ["example.org", "sandbox.globus.test", "other.org"]}}, True),
        ({"allowed_domains": {"subset_of": ["example.org"]}}, False),
        ({"users_allow": {"subset_of": ["ada"]}}, False),
        ({"users_deny": {"superset_of": ["root"]}}, True),
        ({"users_deny": {"superset_of": ["root", "eve"]}}, False),
        ({"policies": {"s3_buckets": {"subset_of": ["raw", "cooked"]}}}, True),
        ({"policies": {"s3_buckets": {"subset_of": ["cooked"]}}}, False),
    ],
)
@pytest.mark.usefixtures("gateway_id")
def test_bounds_instead_of_values(bounds: dict[str, Any], keeps: bool, context: TaskContext) -> None:
    assert (drift(bounds, context) == []) is keeps


# Policies that cannot be right


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ({}, "policy is empty"),
        ({"alowed_domains": []}, "alowed_domains is no property of it"),
        ({"mapped_collections": {"*": {"publik": True}}}, "publik is no property of it"),
        ({"storage_gateway": {}, "guests": {}}, "guests is no part of it"),
        ({"storage_gateway": []}, None),
        ({"mapped_collections": ["Raw"]}, "must map names to properties"),
        ({"mapped_collections": {"Raw": ["public"]}}, "must be a dict of properties"),
        ({"connector": "Floppy"}, "no connector 'Floppy'"),
        ({"restrict_paths": {"write": []}}, "write is no kind of access"),
        (["high_assurance"], "must be a mapping"),
    ],
)
def test_a_policy_that_would_find_nothing_is_refused_before_any_request(
    policy: Any, says: str | None, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    with pytest.raises((GlobusInputError, GlobusNotFoundError), match=says):
        audit(policy).execute(context)
    if says:
        assert globus_sandbox.journal.requests() == []


@pytest.mark.parametrize(
    "policy",
    [
        {"policies": {"s3_bucket": ["raw"]}},
        {"mapped_collections": {"Raw": {"policies": {"project": "p"}}}},
    ],
)
@pytest.mark.usefixtures("gateway_id")
def test_policies_that_the_connector_has_not_are_refused(policy: dict[str, Any], context: TaskContext) -> None:
    with pytest.raises(GlobusInputError, match="is no policy of S3"):
        audit(policy).execute(context)


@pytest.mark.usefixtures("globus_sandbox")
def test_on_drift_is_checked_when_the_dag_is_read() -> None:
    with pytest.raises(GlobusInputError, match="on_drift 'ignore'"):
        audit({"public": True}, on_drift="ignore")


@pytest.mark.usefixtures("globus_sandbox")
def test_a_gateway_that_is_missing_is_no_drift(context: TaskContext) -> None:
    with pytest.raises(GlobusNotFoundError, match="no storage gateway 'Buckets'"):
        audit({"high_assurance": True}).execute(context)


@pytest.mark.usefixtures("globus_sandbox")
def test_secrets_are_not_in_the_findings(context: TaskContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps({"conn_type": "generic", "password": "hush"}))
    GlobusCreateStorageGatewayOperator(
        task_id="t",
        endpoint=ENDPOINT_ID,
        display_name="Buckets",
        connector="Dropbox",
        policies={"client_id": "c"},
        secrets_conn_id="store",
    ).execute(context)
    found = audit({"policies": {"secret": "hush-hush"}}, on_drift="warn").execute(context)
    assert [one["field"] for one in found["drift"]] == ["policies.secret"]
    assert "hush" not in json.dumps(found)
