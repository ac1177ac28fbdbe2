"""Connect Server's answers have the keys and types of the SDK's recordings, and keep to the published schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import (
    ConnectorTable,
    EndpointDocument,
    GCSAPIError,
    GCSRoleDocument,
    GuestCollectionDocument,
    MappedCollectionDocument,
    StorageGatewayDocument,
    UserCredentialDocument,
)
from jsonschema import Draft7Validator

from airflow_provider_globus.sandbox.connect_server import schemas
from airflow_provider_globus.sandbox.connect_server.models import policies_type
from tests.conformance import evidence, shapes
from tests.conformance.conftest import gcs_client
from tests.conformance.evidence import Witness
from tests.conformance.recordings import Recordings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from globus_sdk import GCSClient

    from airflow_provider_globus.sandbox import GlobusSandbox

POSIX = ConnectorTable.POSIX.connector_id
S3 = ConnectorTable.S3.connector_id
ACCOUNT = "user1"
POLICIES = {"DATA_TYPE": "posix_storage_policies#1.0.0", "groups_allow": ["globus"], "groups_deny": ["nonglobus"]}
MAPPING = {
    "DATA_TYPE": "expression_identity_mapping#1.0.0",
    "mappings": [{"source": "{id}", "match": ".*", "output": ACCOUNT}],
}
RESTRICTIONS = {"DATA_TYPE": "path_restrictions#1.0.0", "read": ["/"]}
S3_POLICIES = {
    "DATA_TYPE": "s3_storage_policies#1.3.0",
    "s3_endpoint": "https://s3.example.org",
    "s3_buckets": ["raw"],
    "s3_user_credential_required": True,
    "s3_allow_multi_keys": True,
}
KEYS = {"DATA_TYPE": "s3_user_credential_policies#1.0.0", "s3_key_id": "key", "s3_secret_key": "hush"}
MULTI_KEYS = {
    "DATA_TYPE": "s3_user_credential_policies#1.2.0",
    "s3_multi_keys": [{"path_prefixes": ["/raw"], "s3_key_id": "key", "s3_secret_key": "hush"}],
}

# Properties of recordings that no version of the published schemas has: (kind of document, property).
STALE = {
    ("storage_gateway", "mapping"): "what identity mappings were before they had documents of their own",
    ("collection", "require_high_assurance"): "the older name of high_assurance",
    ("collection", "authentication_assurance_timeout"): "the older name of authentication_timeout_mins",
}
# What answers have beside a recording: properties of documents are explained by the schema they keep to, these not.
EXTRAS = {
    ".has_next_page": "the schema of every result has it; the recordings of storage gateways and collections lack it",
    ".http_response_code": "the schema of every result requires it; the recording of /info lacks it",
    ".detail": "the schema of every result has it; the recording of /info lacks it",
    ".message": "the schema of every result has it; what creates, changes or deletes something says so",
}


class Site:
    """One Connect Server, by its administrator and by somebody else."""

    def __init__(self, sandbox: GlobusSandbox, folder: Path) -> None:
        self.sandbox = sandbox
        sandbox.world.connect_server.set_folder(folder)
        self.gcs = gcs_client(sandbox)
        self.other = gcs_client(sandbox, sandbox.add_client("other"))

    def gateway(self, **more: Any) -> StorageGatewayDocument:
        fields = {
            "display_name": "example gateway 1",
            "connector_id": POSIX,
            "identity_mappings": [MAPPING],
            "allowed_domains": ["clients.auth.globus.org"],
            "restrict_paths": RESTRICTIONS,
            "users_allow": [ACCOUNT],
            "users_deny": ["user2"],
            "policies": POLICIES,
        }
        return StorageGatewayDocument(additional_fields={**fields, **more})

    def made_gateway(self, **more: Any) -> str:
        return str(self.gcs.create_storage_gateway(self.gateway(**more))["id"])

    def credential(self, gateway: str, **more: Any) -> UserCredentialDocument:
        return UserCredentialDocument(storage_gateway_id=gateway, display_name="a_credential", **more)

    def made_credential(self, **more: Any) -> str:
        return str(self.gcs.create_user_credential(self.credential(self.made_gateway(), **more))["id"])

    def buckets(self) -> str:
        return self.made_gateway(connector_id=S3, policies=S3_POLICIES)

    def mapped(self, gateway: str | None = None, **more: Any) -> str:
        document = MappedCollectionDocument(
            storage_gateway_id=gateway or self.made_gateway(),
            collection_base_path="/",
            display_name="Happy Fun Collection",
            public=True,
            **more,
        )
        return str(self.gcs.create_collection(document)["id"])

    def guest(self, mapped: str, **more: Any) -> Any:
        document = GuestCollectionDocument(
            display_name="shared", collection_base_path="/", mapped_collection_id=mapped, public=False, **more
        )
        return gcs_client(self.sandbox, data_access=mapped).create_collection(document)

    def role(self) -> GCSRoleDocument:
        """A role on the endpoint."""
        principal = f"urn:globus:auth:identity:{self.sandbox.add_identity('ada@example.org').id}"
        return GCSRoleDocument(principal=principal, role="administrator")


@pytest.fixture
def site(globus_sandbox: GlobusSandbox, tmp_path: Path) -> Site:
    return Site(globus_sandbox, tmp_path)


def _list_gateways(site: Site) -> Any:
    site.made_gateway()
    return site.gcs.get_storage_gateway_list(include="private_policies")


def _list_collections(site: Site) -> Any:
    site.mapped()
    return site.gcs.get_collection_list()


def _list_credentials(site: Site) -> Any:
    site.made_credential()
    site.gcs.create_user_credential(site.credential(site.buckets(), policies=KEYS))
    return site.gcs.get_user_credential_list()


def _forbidden_list(site: Site) -> Any:
    site.gcs.update_endpoint(EndpointDocument(public=False))
    return site.other.get_collection_list()


def _described(site: Site) -> GCSClient:
    site.gcs.update_endpoint(EndpointDocument(contact_email="user@globus.org", organization="Globus"))
    return site.gcs


#: The call of each recorded response, after what brings Connect Server into the state it is of.
SCENARIOS: dict[str, Callable[[Site], Any]] = {
    "create_storage_gateway:default": lambda site: site.gcs.create_storage_gateway(site.gateway()),
    "create_storage_gateway:validation_error": lambda site: site.gcs.create_storage_gateway(
        site.gateway(connector_id="nonsense")
    ),
    "create_user_credential:default": lambda site: site.gcs.create_user_credential(
        site.credential(site.made_gateway())
    ),
    "delete_storage_gateway:default": lambda site: site.gcs.delete_storage_gateway(site.made_gateway()),
    "delete_storage_gateway:permission_denied_error": lambda site: site.other.delete_storage_gateway(
        site.made_gateway()
    ),
    "delete_user_credential:default": lambda site: site.gcs.delete_user_credential(site.made_credential()),
    "get_collection_list:default": _list_collections,
    "get_collection_list:forbidden": _forbidden_list,
    "get_endpoint:default": lambda site: _described(site).get_endpoint(),
    "get_gcs_info:default": lambda site: site.gcs.get_gcs_info(),
    "get_storage_gateway:default": lambda site: site.gcs.get_storage_gateway(
        site.made_gateway(), include="private_policies"
    ),
    "get_storage_gateway_list:default": _list_gateways,
    "get_user_credential:default": lambda site: site.gcs.get_user_credential(site.made_credential()),
    "get_user_credential_list:default": _list_credentials,
    "update_endpoint:default": lambda site: site.gcs.update_endpoint(EndpointDocument(organization="Globus")),
    "update_endpoint:include_endpoint": lambda site: _described(site).update_endpoint(
        EndpointDocument(organization="Globus"), include="endpoint"
    ),
    "update_storage_gateway:default": lambda site: site.gcs.update_storage_gateway(
        site.made_gateway(), StorageGatewayDocument(display_name="example gateway 1")
    ),
    "update_user_credential:default": lambda site: site.gcs.update_user_credential(
        site.made_credential(), UserCredentialDocument(display_name="updated")
    ),
}


def _update_guest(site: Site) -> Any:
    gateway = site.made_gateway()
    site.gcs.create_user_credential(site.credential(gateway))
    mapped = site.mapped(gateway, allow_guest_collections=True)
    described = GuestCollectionDocument(
        default_directory="/runs/", organization="Example", department="Physics", keywords=["a", "b"],
        description="Runs", contact_email="lab@example.org", contact_info="door 7", info_link="https://example.org",
    )  # fmt: skip
    return site.gcs.update_collection(site.guest(mapped)["id"], described)


def _roles(site: Site) -> Any:
    site.gcs.create_role(site.role())
    return site.gcs.get_role_list(include="all_roles")


def _deleted_role(site: Site) -> Any:
    return site.gcs.delete_role(site.gcs.create_role(site.role())["id"])


#: The call of each quoted response.
QUOTED: dict[str, Callable[[Site], Any]] = {
    "create_role": lambda site: site.gcs.create_role(site.role()),
    "delete_collection": lambda site: site.gcs.delete_collection(site.mapped(delete_protected=False)),
    "delete_role": _deleted_role,
    "get_collection": lambda site: site.gcs.get_collection(site.mapped()),
    "get_role": lambda site: site.gcs.get_role(site.gcs.create_role(site.role())["id"]),
    "get_role_list": _roles,
    "update_collection": _update_guest,
}
RECORDINGS = Recordings(
    service="globus_connect_server",
    scenarios=SCENARIOS,
    quoted=QUOTED,
    stale={
        ".detail: dict instead of str": "the schemas have typed details, which tell more than the recorded empty text",
        **{f".data[].{name}": why for (_, name), why in STALE.items()},
        "get_role_list:.detail: str instead of dict": "recordings have the text success",
        "get_role_list:.marker": "recordings of lists leave an empty marker out",
        "update_collection:.marker": "one document has no pages: the quoted marker is an example's",
        "update_collection:.data[].policies": "those of another connector; POSIX has some for mapped collections",
        "update_collection:.data[].tlsftp_url": "of GridFTP, which no sandbox speaks; the schema does not require it",
    },
    extras=EXTRAS,
    explain=lambda path, document: (
        "the published schema has it" if path.rpartition(".")[2] in _properties(document) else None
    ),
)


@pytest.mark.parametrize("name", RECORDINGS.names())
def test_answers_have_what_the_recorded_ones_have(name: str, site: Site) -> None:
    answer = RECORDINGS.check(name, site, site.sandbox)
    assert answer["http_response_code"] == site.sandbox.journal.entries[-1].status


@pytest.mark.parametrize("name", list(QUOTED))
def test_answers_have_what_the_quoted_ones_have(name: str, site: Site) -> None:
    RECORDINGS.check_quoted(name, site, site.sandbox)


def test_every_recording_has_its_scenario() -> None:
    RECORDINGS.check_complete()


@pytest.mark.parametrize(("kind", "name"), list(STALE))
def test_what_is_called_stale_is_in_no_schema(kind: str, name: str) -> None:
    assert all(name not in _schema(version)["properties"] for version in schemas.versions(kind))


def test_the_comparison_sees_what_is_missing_and_what_is_of_another_type(site: Site) -> None:
    recorded = shapes.recorded("globus_connect_server.get_storage_gateway")
    (gateway,) = recorded["data"]
    for wrong, said in (
        ({**gateway, "high_assurance": "no"}, ".data[].high_assurance: str instead of bool"),
        ({name: value for name, value in gateway.items() if name != "policies"}, ".data[].policies"),
        ({**gateway, "restrict_paths": {}}, ".data[].restrict_paths.DATA_TYPE"),
        ({**gateway, "DATA_TYPE": "role#1.0.0"}, ".data[]: no storage_gateway"),
    ):
        assert said in list(shapes.lacking(recorded, {**recorded, "data": [wrong]}))
    assert [place for place, _ in shapes.extra(recorded, {**recorded, "data": [{**gateway, "more": 1}]})] == [
        ".data[].more"
    ]


# The published schemas


def _schema(data_type: str) -> dict[str, Any]:
    found: dict[str, Any] = schemas._definitions()[schemas._by_data_type()[data_type]]
    return found


def _properties(document: dict[str, Any]) -> set[str]:
    data_type = document.get("DATA_TYPE")
    return set(_schema(data_type)["properties"]) if data_type else set()


def breaches(document: Any, where: str = "") -> Iterator[str]:
    """Yield where a document, or one inside it, is not what the schema of its ``DATA_TYPE`` says."""
    if isinstance(document, list):
        for number, item in enumerate(document):
            yield from breaches(item, f"{where}[{number}]")
    elif isinstance(document, dict):
        if "DATA_TYPE" in document:
            validator = Draft7Validator({**_schema(document["DATA_TYPE"]), "definitions": schemas._definitions()})
            for error in validator.iter_errors(document):
                yield f"{where} {document['DATA_TYPE']} {list(error.path)}: {error.message}"
        for name, value in document.items():
            yield from breaches(value, f"{where}.{name}")


def _policies(connector_id: str) -> dict[str, Any]:
    """Return the least that a gateway of a connector has to say."""
    data_type = schemas.versions(policies_type(connector_id, "storage"))[-1]
    samples: dict[str, Any] = {"boolean": False, "string": "text", "number": 1}
    policies = {"DATA_TYPE": data_type}
    if data_type.startswith("s3_"):
        return policies | {"s3_endpoint": "https://s3.example.org"}
    for name in set(_schema(data_type)["required"]) - {"DATA_TYPE"}:
        about = _schema(data_type)["properties"][name]
        kind = about["type"] if isinstance(about["type"], str) else about["type"][0]
        policies[name] = about["enum"][0] if "enum" in about else samples[kind]
    return policies


def _emitted(site: Site) -> Iterator[tuple[str, Any]]:
    """Yield every kind of document that Connect Server tells, with what is set and without."""
    gcs = site.gcs
    yield "info", gcs.get_gcs_info()
    yield "endpoint", gcs.get_endpoint()
    yield "endpoint, described", _described(site).get_endpoint()
    yield "nodes", gcs.get("/nodes")
    plain = gcs.create_storage_gateway(StorageGatewayDocument(display_name="plain", connector_id=POSIX))
    yield "gateway, plain", plain
    yield "gateway", gcs.create_storage_gateway(site.gateway(authentication_timeout_mins=30))
    yield "gateway, high assurance", gcs.create_storage_gateway(site.gateway(high_assurance=True, require_mfa=True))
    buckets = gcs.create_storage_gateway(site.gateway(connector_id=S3, policies=S3_POLICIES))
    yield "gateway of buckets", buckets
    for connector in ConnectorTable.all_connectors():
        if connector.connector_id not in (POSIX, S3):
            yield (
                f"gateway of {connector.name}",
                gcs.create_storage_gateway(
                    site.gateway(connector_id=connector.connector_id, policies=_policies(connector.connector_id))
                ),
            )
    yield "gateways", gcs.get_storage_gateway_list(include="private_policies")
    yield "gateways, to others", site.other.get_storage_gateway_list()
    mapped = site.mapped(
        allow_guest_collections=True,
        sharing_restrict_paths=RESTRICTIONS,
        sharing_users_allow=[ACCOUNT],
        policies={"DATA_TYPE": "posix_collection_policies#1.0.0", "sharing_groups_allow": ["lab"]},
    )
    site.mapped(str(plain["id"]), keywords=["a", "b"], enable_https=False)
    site.mapped(str(buckets["id"]))
    site.sandbox.add_collection("from outside", site.sandbox.world.connect_server.folder)
    gateway = gcs.get_collection(mapped)["storage_gateway_id"]
    yield "credential", gcs.create_user_credential(site.credential(gateway))
    yield "credential with keys", gcs.create_user_credential(site.credential(str(buckets["id"]), policies=KEYS))
    yield (
        "credential of more keys",
        gcs.create_user_credential(site.credential(str(buckets["id"]), policies=MULTI_KEYS)),
    )
    yield "credentials", gcs.get_user_credential_list()
    sharing = gcs_client(site.sandbox, data_access=mapped)
    document = GuestCollectionDocument(
        display_name="shared", collection_base_path="/", mapped_collection_id=mapped, public=False
    )
    guest = sharing.create_collection(document)
    yield "guest collection", guest
    others = [sharing.create_collection(document)["id"] for _ in range(2)]
    yield "collections", gcs.get_collection_list(include="private_policies")
    yield "collections, to others", site.other.get_collection_list()
    yield "check", gcs.get(f"/collections/{mapped}/check")
    yield "checks", gcs.get("/collections/check")
    principal = f"urn:globus:auth:identity:{site.sandbox.client_id}"
    yield "role", gcs.create_role(GCSRoleDocument(collection=guest["id"], principal=principal, role="activity_monitor"))
    yield "roles", gcs.get_role_list(guest["id"], include="all_roles")
    yield "roles on the endpoint", gcs.get_role_list(include="all_roles")
    policy = {
        "DATA_TYPE": "sharing_policy#1.0.0",
        "collection_id": mapped,
        "sharing_restrict_paths": RESTRICTIONS,
        "users": [ACCOUNT],
    }
    made = gcs.post("/sharing_policies", data=policy)
    yield "sharing policy", made
    path = f"/sharing_policies/{made['data'][0]['id']}"
    yield "sharing policy, alone", gcs.get(path)
    yield "sharing policy, deleted", gcs.delete(path)
    gcs.post("/sharing_policies", data=policy)
    everyone = {name: value for name, value in policy.items() if name != "users"}
    yield "sharing policy for everyone", gcs.post("/sharing_policies", data=everyone)
    yield "sharing policies", gcs.get("/sharing_policies", query_params={"collection_id": mapped})
    yield "deleted", gcs.delete_collection(guest["id"])
    yield "deleted, many", gcs.post("/collections/batch_delete", data={"DATA_TYPE": "batch#1.0.0", "ids": others})
    # What was read can be put back.
    credential = next(iter(gcs.get_user_credential_list()))
    for path in (
        "/endpoint",
        f"/collections/{mapped}",
        f"/storage_gateways/{gateway}",
        f"/user_credentials/{credential['id']}",
    ):
        document = gcs.get(path, query_params={"include": "private_policies"})["data"][0]
        yield f"put {path}", gcs.put(path, data=document)


def test_every_document_keeps_to_its_schema(site: Site) -> None:
    kinds = set()
    for what, response in _emitted(site):
        answer = getattr(response, "full_data", response.data)
        if what == "gateways, to others":
            # The schemas require even of policies what only administrators see.
            answer["data"] = [{**gateway, "policies": POLICIES} for gateway in answer["data"]]
        assert list(breaches(answer, what)) == []
        evidence.vouch(site.sandbox, response.headers, Witness.SCHEMA)
        kinds |= {shapes.data_type(item) for item in answer["data"]} - {""}
    assert kinds == {
        "batch", "check_result", "collection", "connector", "endpoint", "info", "node", "role", "sharing_policy",
        "storage_gateway", "user_credential",
    }  # fmt: skip


def test_a_gateway_is_told_which_policies_its_connector_cannot_do_without(site: Site) -> None:
    connector = ConnectorTable.DROPBOX.connector_id
    with pytest.raises(GCSAPIError) as raised:
        site.gcs.create_storage_gateway(StorageGatewayDocument(display_name="box", connector_id=connector))
    errors: Any = raised.value.detail
    assert {item["property"] for item in errors["errors"]} == {"policies.client_id", "policies.secret"}


def test_every_refusal_keeps_to_its_schema(site: Site) -> None:
    gcs, other, mapped = site.gcs, site.other, site.mapped()
    missing = "00000000-0000-4000-8000-000000000000"
    gateway, credential = gcs.get_collection(mapped)["storage_gateway_id"], site.made_credential()
    theirs = site.sandbox.add_identity("ada@example.org").id
    guest = GuestCollectionDocument(
        display_name="shared", collection_base_path="/", mapped_collection_id=mapped, public=True
    )
    strict = site.made_gateway(allowed_domains=["example.org"])
    details = set()
    calls: list[Callable[[], Any]] = [
        lambda: other.create_storage_gateway(site.gateway()),
        lambda: other.delete_collection(mapped),
        lambda: other.get_user_credential(credential),
        lambda: gcs.get_storage_gateway(missing),
        lambda: gcs.get_collection(missing),
        lambda: gcs.get_user_credential(missing),
        lambda: gcs.get_role(missing),
        lambda: gcs.create_storage_gateway(site.gateway(users_deny="nobody")),
        lambda: gcs.delete_storage_gateway(gateway),
        lambda: gcs.delete_collection(mapped),
        lambda: gcs.create_collection(guest),
        lambda: gcs.create_user_credential(site.credential(gateway, username="somebody")),
        lambda: gcs.create_user_credential(site.credential(gateway, identity_id=theirs)),
        lambda: gcs.create_user_credential(site.credential(strict)),
        lambda: gcs.post("/collections", data="nonsense"),
    ]
    for call in calls:
        with pytest.raises(GCSAPIError) as raised:
            call()
        answer = raised.value.raw_json
        assert answer is not None
        assert raised.value.http_status == answer["http_response_code"]
        assert list(breaches(answer)) == []
        details.add(shapes.data_type(answer["detail"]))
    assert details == {
        "", "id_not_in_identity_set", "invalid_input", "invalid_user", "missing_required_role",
        "missing_required_scopes", "not_from_allowed_domain", "not_resource_owner", "resource_conflict",
        "storage_gateway_not_found",
    }  # fmt: skip
