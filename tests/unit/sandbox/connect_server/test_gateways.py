"""Storage gateways of the GCS Manager: every connector and policy document, what is refused, who sees what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import globus_sdk
import pytest
from globus_sdk import ConnectorTable, GCSClient

from airflow_provider_globus.sandbox.connect_server import schemas
from airflow_provider_globus.sandbox.connect_server.models import POLICY_PREFIXES, policies_type
from tests.unit.sandbox.connect_server.conftest import POSIX, S3, mapping, problems, restrictions

if TYPE_CHECKING:
    from tests.unit.sandbox.connect_server.conftest import Refused, Site

LATEST = "storage_gateway#1.3.0"
SECRET_NAMES = ("secret", "ceph_admin_secret_key", "boxAppSettings", "service_account_key")


def sample(schema: dict[str, Any]) -> Any:
    """Return a value that a schema allows, with every property."""
    if "$ref" in schema:
        return sample(schemas._definitions()[schema["$ref"].rpartition("/")[2]])
    for either in ("anyOf", "oneOf", "allOf"):
        if either in schema:
            return sample(schema[either][0])
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: sample(about) for name, about in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample(schema["items"])]
    return {"string": "https://x.org", "boolean": True, "integer": 7, "number": 7}[kind]


def policies(data_type: str) -> dict[str, Any]:
    """Return a policy document with all that a client may set."""
    schema = schemas._definitions()[schemas._by_data_type()[data_type]]
    found: dict[str, Any] = sample(schema)
    return {name: value for name, value in found.items() if not schema["properties"][name].get("readOnly")}


def documents() -> list[tuple[str, str]]:
    """Return each connector with each version of its policies."""
    return [
        (connector_id, data_type)
        for connector_id in POLICY_PREFIXES
        for data_type in schemas.versions(policies_type(connector_id, "storage"))
    ]


def document(**more: Any) -> dict[str, Any]:
    return {"DATA_TYPE": LATEST, "display_name": "disks", "connector_id": POSIX, **more}


def read(client: GCSClient, gateway_id: str, **params: Any) -> dict[str, Any]:
    return dict(client.get_storage_gateway(gateway_id, **params).data)


# Every connector


def test_every_connector_of_the_sdk_has_policies() -> None:
    covered = {connector_id for connector_id, _ in documents()}
    assert covered == {item.connector_id for item in ConnectorTable.all_connectors()}
    assert len(documents()) == 27


@pytest.mark.parametrize(("connector_id", "data_type"), documents())
def test_every_policy_document_comes_back_without_its_secrets(site: Site, connector_id: str, data_type: str) -> None:
    client, sent = site.gcs(), policies(data_type)
    answer = client.create_storage_gateway(document(connector_id=connector_id, policies=sent))
    assert (answer.http_status, answer.full_data["http_response_code"]) == (201, 201)
    secret = {name for name in sent if name in SECRET_NAMES}
    expected = {name: None if name in secret else value for name, value in sent.items()}
    assert answer["policies"] == expected
    got = read(client, answer["id"], include="private_policies")
    assert (got["DATA_TYPE"], got["connector_id"], got["policies"]) == (LATEST, connector_id, expected)
    shown = read(site.gcs("ada@example.org"), answer["id"])["policies"]
    assert shown["DATA_TYPE"] == data_type
    assert not set(shown) & {"client_id", "groups_allow", "enterpriseID", "ceph_admin_key_id", "stage_app", *secret}
    assert site.world.connect_server.gateways[answer["id"]].policies == sent
    assert client.delete_storage_gateway(answer["id"])["data"] == [{}]
    with pytest.raises(globus_sdk.GCSAPIError) as error:
        client.get_storage_gateway(answer["id"])
    assert (error.value.http_status, error.value.code) == (404, "not_found")


@pytest.mark.parametrize(("connector_id", "data_type"), documents())
def test_every_policy_document_is_checked(site: Site, refused: Refused, connector_id: str, data_type: str) -> None:
    client, sent = site.gcs(), policies(data_type)

    def said(**more: Any) -> dict[str, str]:
        wrong = document(connector_id=connector_id, policies={**sent, **more})
        return problems(refused(lambda: client.create_storage_gateway(wrong)))

    assert said(colour="red") == {"policies.colour": "Unknown field."}
    assert said(DATA_TYPE="role#1.0.0").keys() >= {"policies.role"}
    assert said(DATA_TYPE=f"{data_type}.9") == {"policies.DATA_TYPE": f"Unsupported value: {data_type}.9"}
    for name in sent:
        if name != "DATA_TYPE":
            assert any(key.startswith(f"policies.{name}") for key in said(**{name: [{"no": "such"}]})), name
    required = set(schemas._definitions()[schemas._by_data_type()[data_type]].get("required", ())) - {"DATA_TYPE"}
    bare = document(connector_id=connector_id, policies={"DATA_TYPE": data_type})
    if required:
        found = problems(refused(lambda: client.create_storage_gateway(bare)))
        assert found == {f"policies.{name}": "Missing data for required field." for name in required}
    assert not any(item.display_name == "disks" for item in site.world.connect_server.gateways.values())


def test_what_the_service_sets_itself_is_ignored(site: Site) -> None:
    data_type = "google_drive_storage_policies#1.1.0"
    sent = {**policies(data_type), "auth_callback": "https://elsewhere.example.org"}
    drive = ConnectorTable.GOOGLE_DRIVE.connector_id
    made = site.gcs().create_storage_gateway(document(connector_id=drive, policies=sent))
    assert "auth_callback" not in made["policies"]


@pytest.mark.parametrize("connector_id", POLICY_PREFIXES)
def test_policies_of_another_connector_are_refused(site: Site, refused: Refused, connector_id: str) -> None:
    kind = policies_type(connector_id, "storage")
    other = "irods" if kind != "irods_storage_policies" else "hpss"
    wrong = policies(f"{other}_storage_policies#1.0.0")
    found = problems(
        refused(lambda: site.gcs().create_storage_gateway(document(connector_id=connector_id, policies=wrong)))
    )
    assert "no policy of this connector" in found["policies.DATA_TYPE"]


def test_the_documents_of_the_sdk_are_taken(site: Site) -> None:
    client = site.gcs()
    posix = globus_sdk.StorageGatewayDocument(
        display_name="posix",
        connector_id=POSIX,
        policies=globus_sdk.POSIXStoragePolicies(groups_allow=["globus"], groups_deny=["nonglobus"]),
        allowed_domains=["example.org"],
        additional_fields={"restrict_paths": restrictions(read=["/"])},
        identity_mappings=[mapping(("(.*)@example\\.org", "{0}"))],
        users_allow=["user1"],
        users_deny=["user2"],
        authentication_timeout_mins=60,
    )
    shown = client.create_storage_gateway(posix)
    assert shown["policies"]["groups_allow"] == ["globus"]
    assert shown["authentication_timeout_mins"] == shown["authentication_assurance_timeout"] == 60
    s3 = globus_sdk.StorageGatewayDocument(
        display_name="s3",
        connector_id=S3,
        policies=globus_sdk.S3StoragePolicies(
            s3_endpoint="https://s3.amazonaws.com", s3_buckets=["a"], s3_user_credential_required=True
        ),
    )
    assert client.create_storage_gateway(s3)["policies"]["s3_buckets"] == ["a"]


# What is refused


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"colour": "red"}, {"colour": "Unknown field."}),
        ({"users_allow": "ada"}, {"users_allow": "Invalid value."}),
        ({"require_mfa": "yes"}, {"require_mfa": "Not a valid boolean."}),
        ({"network_use": "fast"}, None),
        (
            {"network_use": "custom", "max_concurrency": 2, "preferred_concurrency": 1, "max_parallelism": 2},
            {"preferred_parallelism": "Missing data for required field: network_use is custom."},
        ),
        ({"display_name": None}, None),
        ({"DATA_TYPE": "storage_gateway#1.0.0", "admin_managed_credentials": True}, None),
        ({"DATA_TYPE": "storage_gateway#9.0.0"}, {"DATA_TYPE": "Unsupported value: storage_gateway#9.0.0"}),
        ({"DATA_TYPE": "role#1.0.0"}, {"DATA_TYPE": "Must be one of: storage_gateway"}),
        ({"DATA_TYPE": None}, {"DATA_TYPE": "Unsupported value: None"}),
        ({"connector_id": "posix"}, {"connector_id": "Unknown connector posix"}),
        ({"connector_id": "145812c8-0000-0000-0000-000000000000"}, None),
        (
            {"restrict_paths": {"DATA_TYPE": "role#1.0.0"}},
            {"restrict_paths.DATA_TYPE": "Must be one of: path_restrictions"},
        ),
        ({"restrict_paths": restrictions(write=["/"])}, {"restrict_paths.write": "Unknown field."}),
        ({"restrict_paths": restrictions(none="/")}, {"restrict_paths.none": "Not a valid array."}),
        ({"identity_mappings": [{"DATA_TYPE": "role#1.0.0"}]}, None),
        ({"identity_mappings": [mapping(("(", "{0}"))]}, None),
        ({"require_mfa": True}, None),
        ({"authentication_timeout_mins": -1}, None),
    ],
)
def test_wrong_documents_are_refused(site: Site, refused: Refused, more: Any, said: Any) -> None:
    error = refused(lambda: site.gcs().create_storage_gateway(document(**more)))
    found = problems(error)
    assert found == said if said else found, found
    names = [name for name in more if name != "DATA_TYPE"]
    if names and said is None:
        assert all(key.startswith(names[0]) for key in found)
    assert site.world.connect_server.gateways == {}


@pytest.mark.parametrize("missing", ["display_name", "connector_id"])
def test_what_is_missing_is_named(site: Site, refused: Refused, missing: str) -> None:
    sent = document()
    del sent[missing]
    error = refused(lambda: site.gcs().create_storage_gateway(sent))
    assert problems(error) == {missing: "Missing data for required field."}


def test_s3_needs_an_endpoint(site: Site, refused: Refused) -> None:
    for endpoint, said in ((None, "Missing data for required field."), ("ftp://x", "Not a valid URL.")):
        policy = {"DATA_TYPE": "s3_storage_policies#1.0.0", **({"s3_endpoint": endpoint} if endpoint else {})}
        sent = document(connector_id=S3, policies=policy)
        error = refused(lambda sent=sent: site.gcs().create_storage_gateway(sent))
        assert problems(error) == {"policies.s3_endpoint": said}


# Changes


def test_a_patch_changes_what_it_says_and_null_brings_back_the_default(site: Site) -> None:
    client = site.gcs()
    gateway_id = site.gateway(users_allow=["ada"], allowed_domains=["example.org"], authentication_timeout_mins=5)
    sent: dict[str, Any] = {"DATA_TYPE": LATEST, "users_deny": ["bob"], "policies": {"groups_allow": ["g"]}}
    sent["policies"]["DATA_TYPE"] = "posix_storage_policies#1.0.0"
    shown = client.update_storage_gateway(gateway_id, sent)["data"][0]
    assert (shown["users_allow"], shown["users_deny"], shown["display_name"]) == (["ada"], ["bob"], "disks")
    nulls = {"users_allow": None, "allowed_domains": None, "authentication_timeout_mins": None}
    nothing = {"DATA_TYPE": "posix_storage_policies#1.0.0", "groups_allow": None}
    client.update_storage_gateway(gateway_id, {"DATA_TYPE": LATEST, **nulls, "policies": nothing})
    got = read(client, gateway_id, include="private_policies")
    assert (got["users_allow"], got["allowed_domains"], got["authentication_timeout_mins"]) == ([], [], 15840)
    assert got["users_deny"] == ["bob"]
    assert "groups_allow" not in got["policies"]


def test_a_put_replaces_all(site: Site, refused: Refused) -> None:
    client = site.gcs()
    gateway_id = site.gateway(users_allow=["ada"], restrict_paths=restrictions(read=["/"]))
    path = f"/storage_gateways/{gateway_id}"
    shown = client.put(path, data={"DATA_TYPE": LATEST, "display_name": "new"})["data"][0]
    assert (shown["display_name"], shown["users_allow"], shown["restrict_paths"]) == ("new", [], None)
    assert (shown["connector_id"], shown["authentication_timeout_mins"]) == (POSIX, 15840)
    error = refused(lambda: client.put(path, data={"DATA_TYPE": LATEST}))
    assert problems(error) == {"display_name": "Missing data for required field."}


def test_what_was_read_can_be_put_back(site: Site) -> None:
    client = site.gcs()
    gateway_id = site.gateway(users_allow=["ada"], authentication_timeout_mins=9)
    got = read(client, gateway_id, include="private_policies")
    client.put(f"/storage_gateways/{gateway_id}", data={**got, "authentication_timeout_mins": 10})
    again = read(client, gateway_id, include="private_policies")
    # The older name of the timeout, which was not changed, does not undo the change.
    changed = {"authentication_timeout_mins": 10, "authentication_assurance_timeout": 10}
    assert again == {**got, **changed}


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize(
    ("name", "value"),
    [("connector_id", S3), ("high_assurance", True), ("require_high_assurance", True)],
)
def test_some_properties_never_change(site: Site, refused: Refused, method: str, name: str, value: Any) -> None:
    gateway_id = site.gateway()
    sent = document(**{name: value})
    error = refused(lambda: site.gcs().request(method, f"/storage_gateways/{gateway_id}", data=sent))
    assert problems(error) == {name.removeprefix("require_"): "This property cannot be changed."}
    same = document(connector_id=POSIX.upper(), high_assurance=False)
    site.gcs().request(method, f"/storage_gateways/{gateway_id}", data=same)


def test_high_assurance_has_a_shorter_timeout_and_an_older_name(site: Site) -> None:
    high = site.gcs().create_storage_gateway(document(require_high_assurance=True, require_mfa=True))
    assert (high["high_assurance"], high["require_high_assurance"], high["require_mfa"]) == (True, True, True)
    assert high["authentication_timeout_mins"] == 30
    assert site.gcs().create_storage_gateway(document())["authentication_timeout_mins"] == 15840


def test_a_gateway_with_collections_stays(site: Site, refused: Refused) -> None:
    gateway_id = site.gateway()
    collection_id = site.mapped(gateway_id, delete_protected=False)
    error = refused(lambda: site.gcs().delete_storage_gateway(gateway_id))
    assert (error.http_status, error.code) == (409, "conflict")
    assert error.raw_json is not None
    assert error.raw_json["detail"] == {"DATA_TYPE": "resource_conflict#1.0.0", "resources": [collection_id]}
    site.gcs().delete_collection(collection_id)
    site.gcs().delete_storage_gateway(gateway_id)
    assert site.world.connect_server.gateways == {}


# Who


def test_only_administrators_make_and_change_gateways(site: Site, refused: Refused) -> None:
    gateway_id, ada = site.gateway(), site.gcs("ada@example.org")
    for act in (
        lambda: ada.create_storage_gateway(document()),
        lambda: ada.update_storage_gateway(gateway_id, {"DATA_TYPE": LATEST}),
        lambda: ada.put(f"/storage_gateways/{gateway_id}", data=document()),
        lambda: ada.delete_storage_gateway(gateway_id),
    ):
        error = refused(act)
        assert (error.http_status, error.code) == (403, "permission_denied")
        assert error.raw_json is not None
        assert error.raw_json["detail"]["DATA_TYPE"] == "missing_required_role#1.0.0"
    role = {"DATA_TYPE": "role#1.0.0", "role": "administrator"}
    site.gcs().create_role({**role, "principal": f"urn:globus:auth:identity:{site.person('ada@example.org')}"})
    assert ada.create_storage_gateway(document()).http_status == 201


def test_a_group_may_administrate(site: Site) -> None:
    group = site.sandbox.add_group("admins", members=[site.person("ada@example.org")]).id
    role = {"DATA_TYPE": "role#1.0.0", "role": "administrator", "principal": f"urn:globus:groups:id:{group}"}
    site.gcs().create_role(role)
    assert site.gcs("ada@example.org").create_storage_gateway(document()).http_status == 201


def test_private_policies_are_told_to_administrators_who_ask(site: Site) -> None:
    private = {
        "users_allow": ["ada"],
        "users_deny": ["bob"],
        "restrict_paths": restrictions(read=["/"]),
        "identity_mappings": [mapping(("(.*)", "{0}"))],
    }
    gateway_id = site.gateway(**private)
    asked = read(site.gcs(), gateway_id, include="private_policies")
    assert {name: asked[name] for name in private} == private
    for shown in (
        read(site.gcs(), gateway_id),
        read(site.gcs("ada@example.org"), gateway_id, include="private_policies"),
    ):
        assert not set(private) & set(shown)
        assert shown["allowed_domains"] == []
    listed = site.gcs().get_storage_gateway_list(include="private_policies")
    assert [item["users_allow"] for item in listed] == [["ada"]]
    assert "users_allow" not in next(
        iter(site.gcs("ada@example.org").get_storage_gateway_list(include="private_policies"))
    )


def test_lists_come_in_pages(site: Site, refused: Refused) -> None:
    made = [site.gateway(display_name=f"number {number}") for number in range(5)]
    pages = list(site.gcs().paginated.get_storage_gateway_list(query_params={"page_size": 2}))
    assert [[item["id"] for item in page] for page in pages] == [made[:2], made[2:4], made[4:]]
    assert [page["has_next_page"] for page in pages] == [True, True, False]
    assert "marker" not in pages[-1].data
    for wrong in ({"page_size": 0}, {"page_size": "x"}, {"marker": "-1"}, {"page_size": 2000}):
        error = refused(lambda wrong=wrong: site.gcs().get("/storage_gateways", query_params=wrong))
        assert "page_size" in problems(error)
