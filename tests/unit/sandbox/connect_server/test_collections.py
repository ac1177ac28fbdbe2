"""Mapped and guest collections of the GCS Manager: made, read, changed, deleted; what is refused and who sees what."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import globus_sdk
import pytest

from airflow_provider_globus.sandbox.connect_server import schemas
from airflow_provider_globus.sandbox.connect_server.models import POLICY_PREFIXES, policies_type
from tests.unit.sandbox.connect_server.conftest import POSIX, guest_document, problems, restrictions

if TYPE_CHECKING:
    from tests.unit.sandbox.connect_server.conftest import Refused, Site

LATEST = "collection#1.16.0"


def mapped_document(gateway_id: str, **more: Any) -> dict[str, Any]:
    return {
        "DATA_TYPE": LATEST,
        "collection_type": "mapped",
        "display_name": "data",
        "public": True,
        "collection_base_path": "/",
        "storage_gateway_id": gateway_id,
        **more,
    }


def read(site: Site, collection_id: str, who: str | None = None, **params: Any) -> dict[str, Any]:
    return dict(site.gcs(who).get_collection(collection_id, query_params=params).data)


def patch(site: Site, collection_id: str, who: str | None = None, **changes: Any) -> dict[str, Any]:
    document = {"DATA_TYPE": LATEST, **changes}
    return dict(site.gcs(who).update_collection(collection_id, document).data)


# Made and read


def test_a_mapped_collection_as_the_sdk_makes_it(site: Site) -> None:
    gateway_id = site.gateway()
    document = globus_sdk.MappedCollectionDocument(
        display_name="data",
        storage_gateway_id=gateway_id,
        collection_base_path="/alpha/",
        public=True,
        allow_guest_collections=True,
        sharing_restrict_paths=restrictions(read=["/"]),
        sharing_users_allow=["ada"],
        contact_email="a@b.org",
        keywords=["x", "y"],
        enable_https=False,
        delete_protected=False,
        policies=globus_sdk.POSIXCollectionPolicies(sharing_groups_allow=["g"]),
    )
    answer = site.gcs().create_collection(document)
    assert (answer.http_status, answer.full_data["http_response_code"]) == (201, 201)
    assert answer.full_data["message"] == f"Created Collection {answer['id']}"
    expected = {
        "DATA_TYPE": LATEST,
        "collection_base_path": "/alpha",
        "collection_type": "mapped",
        "connector_id": POSIX,
        "identity_id": site.sandbox.client_id,
        "root_path": "/alpha",
        "keywords": ["x", "y"],
        "delete_protected": False,
        "high_assurance": False,
        "manager_url": site.sandbox.tls_url,
        "sharing_users_allow": ["ada"],
        "sharing_restrict_paths": restrictions(read=["/"]),
        "authentication_timeout_mins": 15840,
        "domain_name": f"m-{answer['id'][:6]}.sandbox.invalid",
    }
    assert {name: answer[name] for name in expected} == expected
    assert answer.get("https_url") is None
    assert read(site, answer["id"], include="private_policies") == answer.data
    assert site.names(answer["id"]) == ["deep", "a.txt"]
    assert site.transfer().get_endpoint(answer["id"])["keywords"] == "x, y"


def test_a_guest_collection_as_the_sdk_makes_it(site: Site, posix: str) -> None:
    document = globus_sdk.GuestCollectionDocument(
        display_name="shared", mapped_collection_id=posix, collection_base_path="/alpha", public=False
    )
    answer = site.gcs().create_collection(document)
    assert (answer["collection_type"], answer["mapped_collection_id"]) == ("guest", posix)
    assert (answer["root_path"], answer["public"]) == ("/alpha", False)
    assert answer["domain_name"].startswith("g-")
    assert "delete_protected" not in answer.data
    assert site.names(answer["id"]) == ["deep", "a.txt"]
    shown = site.transfer().get_endpoint(answer["id"])
    assert (shown["entity_type"], shown["mapped_collection_id"]) == ("GCSv5_guest_collection", posix)


@pytest.mark.parametrize("version", schemas.versions("collection"))
def test_every_version_of_the_document_is_taken(site: Site, version: str) -> None:
    gateway_id = site.gateway()
    answer = site.gcs().create_collection(mapped_document(gateway_id, DATA_TYPE=version))
    assert answer["DATA_TYPE"] == LATEST


def test_what_the_service_sets_itself_is_ignored(site: Site) -> None:
    sent = {"https_url": None, "high_assurance": True, "created_at": "long ago", "root_path": "/elsewhere"}
    made = site.gcs().create_collection(mapped_document(site.gateway(), **sent))
    assert (made["high_assurance"], made["root_path"]) == (False, "/")
    assert made["https_url"].startswith(site.sandbox.tls_url)


def test_defaults_are_those_of_connect_server(site: Site) -> None:
    made = site.gcs().create_collection(mapped_document(site.gateway()))
    assert (made["delete_protected"], made["allow_guest_collections"]) == (True, False)
    assert (made["disable_anonymous_writes"], made["enable_https"]) == (False, True)
    assert made["https_methods"] == ["GET", "PUT", "DELETE"]


@pytest.mark.parametrize("connector_id", POLICY_PREFIXES)
def test_collections_take_the_policies_of_their_connector(site: Site, refused: Refused, connector_id: str) -> None:
    from tests.unit.sandbox.connect_server.test_gateways import document, policies

    storage = policies(schemas.versions(policies_type(connector_id, "storage"))[-1])
    gateway_id = site.gcs().create_storage_gateway(document(connector_id=connector_id, policies=storage))["id"]
    for data_type in schemas.versions(policies_type(connector_id, "collection")):
        sent = policies(data_type)
        made = site.gcs().create_collection(mapped_document(gateway_id, policies=sent))
        assert {**made["policies"], "DATA_TYPE": ""} == {**sent, "DATA_TYPE": ""}
    other = "irods" if "irods" not in data_type else "hpss"
    wrong = mapped_document(gateway_id, policies=policies(f"{other}_collection_policies#1.0.0"))
    assert set(problems(refused(lambda: site.gcs().create_collection(wrong)))) == {"policies.DATA_TYPE"}


def test_lists_can_be_narrowed_and_come_in_pages(site: Site) -> None:
    first, second = site.gateway(), site.gateway()
    one, other = site.mapped(first), site.mapped(second)
    site.person("ada@example.org")
    guest, hers = site.guest(one), site.guest(other, who="ada@example.org")

    def ids(who: str | None = None, **params: Any) -> list[str]:
        return [item["id"] for item in site.gcs(who).get_collection_list(**params)]

    assert ids() == [one, other, guest, hers]
    assert ids(filter="mapped_collections") == [one, other]
    assert ids(filter=["guest_collections", "created_by_me"]) == [guest]
    assert ids("ada@example.org", filter="created_by_me") == [hers]
    assert ids("ada@example.org", filter="managed_by_me") == [hers]
    assert ids(mapped_collection_id=other) == [hers]
    assert ids(query_params={"storage_gateway_id": first}) == [one, guest]
    pages = list(site.gcs().paginated.get_collection_list(page_size=3))
    assert [len(page["data"]) for page in pages] == [3, 1]


def test_filters_that_are_unknown_or_not_served(site: Site, refused: Refused) -> None:
    assert problems(refused(lambda: site.gcs().get_collection_list(filter="mine"))) == {
        "filter": "Unknown filter 'mine'"
    }
    error = refused(lambda: site.gcs().get_collection_list(filter="created_at < 2026-01-01"))
    assert error.http_status == 501


def test_private_policies_and_roots_are_for_administrators(site: Site, posix: str) -> None:
    private: dict[str, Any] = {"sharing_users_allow": ["ada"], "sharing_restrict_paths": restrictions(none=["/beta"])}
    patch(site, posix, **private)
    assert {**private, **read(site, posix, include="private_policies")} == read(site, posix, include="private_policies")
    for shown in (read(site, posix), read(site, posix, "ada@example.org", include="private_policies")):
        assert not (set(private) | {"root_path"}) & set(shown)
    guest = site.guest(posix, "/alpha", who="ada@example.org")
    # She administrates what she shares, and not what it is a part of.
    assert "root_path" not in read(site, guest, "ada@example.org", include="private_policies")
    assert read(site, guest, include="private_policies")["root_path"] == "/alpha"


# Refused


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"colour": "red"}, {"colour": "Unknown field."}),
        ({"public": "yes"}, {"public": "Not a valid boolean."}),
        ({"collection_type": "other"}, {"collection_type": "Must be one of: mapped, guest."}),
        ({"display_name": ""}, None),
        ({"display_name": "x" * 129}, None),
        ({"display_name": "x\ny"}, None),
        ({"user_message": "x" * 257}, None),
        ({"department": "x\ny"}, None),
        ({"keywords": ["x" * 1025]}, None),
        ({"collection_base_path": "/../x"}, None),
        ({"storage_gateway_id": None}, None),
        ({"https_methods": ["POST"]}, None),
        ({"user_credential_id": "x"}, None),
        ({"mapped_collection_id": "x"}, None),
        ({"skip_auto_delete": True}, None),
        ({"acl_expiration_mins": 5}, None),
        ({"restrict_transfers_to_high_assurance": "all"}, None),
        ({"domain_name": "data.elsewhere.org"}, None),
        ({"domain_name": "m-data.sandbox.invalid"}, None),
        ({"domain_name": "a.b.sandbox.invalid"}, None),
        ({"sharing_restrict_paths": {"DATA_TYPE": "role#1.0.0"}}, None),
        ({"DATA_TYPE": "collection#1.0.0", "enable_https": True}, {"enable_https": "Unknown field."}),
    ],
)
def test_wrong_mapped_collections_are_refused(site: Site, refused: Refused, more: Any, said: Any) -> None:
    gateway_id = site.gateway()
    found = problems(refused(lambda: site.gcs().create_collection(mapped_document(gateway_id, **more))))
    assert found == said if said else all(key.startswith(next(iter(more))) for key in found), found
    assert list(site.gcs().get_collection_list()) == []


@pytest.mark.parametrize(
    "missing", ["display_name", "public", "collection_type", "collection_base_path", "storage_gateway_id"]
)
def test_what_is_missing_is_named(site: Site, refused: Refused, missing: str) -> None:
    sent = mapped_document(site.gateway())
    del sent[missing]
    said = {missing: "Missing data for required field."}
    assert problems(refused(lambda: site.gcs().create_collection(sent))) == said


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"mapped_collection_id": None}, 422),
        ({"mapped_collection_id": "5a4db0c5-0000-4000-8000-00000000dead"}, 404),
        ({"collection_base_path": "/nothing"}, 422),
        ({"collection_base_path": "/alpha/a.txt"}, 422),
        ({"user_credential_id": "5a4db0c5-0000-4000-8000-00000000dead"}, 422),
        ({"allow_guest_collections": False}, 422),
        ({"delete_protected": False}, 422),
        ({"sharing_users_allow": ["ada"]}, 422),
        ({"domain_name": "x.sandbox.invalid"}, 422),
        ({"user_message": "hello"}, 422),
        ({"identity_id": "5a4db0c5-0000-4000-8000-00000000dead"}, 403),
        ({"auto_delete_timeout": 3}, 422),
    ],
)
def test_wrong_guest_collections_are_refused(site: Site, refused: Refused, posix: str, more: Any, status: int) -> None:
    error = refused(lambda: site.gcs().create_collection(guest_document(posix, **more)))
    assert error.http_status == status
    if status == 422:
        assert set(problems(error)) == set(more)


def test_a_guest_collection_needs_a_mapped_one(site: Site, refused: Refused, posix: str) -> None:
    sent = guest_document(posix)
    del sent["mapped_collection_id"]
    said = {"mapped_collection_id": "Missing data for required field."}
    assert problems(refused(lambda: site.gcs().create_collection(sent))) == said


def test_a_guest_of_a_guest_is_refused(site: Site, refused: Refused, posix: str) -> None:
    guest = site.guest(posix)
    error = refused(lambda: site.gcs().create_collection(guest_document(guest)))
    assert problems(error) == {"mapped_collection_id": "Not a mapped collection."}


@pytest.mark.parametrize("more", [{"auto_delete_timeout": 3}, {"collection_base_path": "/home/$USER"}])
def test_what_the_sandbox_does_not_do_says_so(site: Site, refused: Refused, more: Any) -> None:
    gateway_id = site.gateway()
    error = refused(lambda: site.gcs().create_collection(mapped_document(gateway_id, **more)))
    assert (error.http_status, error.code) == (501, "NotServed")


def test_mapped_collections_are_made_by_administrators_of_the_endpoint(site: Site, refused: Refused) -> None:
    gateway_id = site.gateway()
    error = refused(lambda: site.gcs("ada@example.org").create_collection(mapped_document(gateway_id)))
    assert (error.http_status, error.code) == (403, "permission_denied")
    missing = mapped_document("5a4db0c5-0000-4000-8000-00000000dead")
    assert refused(lambda: site.gcs().create_collection(missing)).http_status == 404


def test_a_domain_can_be_given_when_a_mapped_collection_is_made(site: Site, refused: Refused) -> None:
    gateway_id = site.gateway()
    made = site.gcs().create_collection(mapped_document(gateway_id, domain_name="data.sandbox.invalid"))
    assert made["domain_name"] == "data.sandbox.invalid"
    error = refused(lambda: patch(site, made["id"], domain_name="other.sandbox.invalid"))
    assert problems(error) == {"domain_name": "This property is read-only."}
    site.gcs().put(f"/collections/{made['id']}", data=mapped_document(gateway_id))
    assert read(site, made["id"])["domain_name"] == "data.sandbox.invalid"


# Changed


def test_a_patch_changes_what_it_says_and_null_takes_away(site: Site, posix: str) -> None:
    patch(site, posix, organization="Lab", description="x", sharing_users_allow=["ada"], default_directory="/alpha")
    shown = patch(site, posix, organization=None, sharing_users_allow=None, display_name="new")
    assert (shown["display_name"], shown["description"], shown["default_directory"]) == ("new", "x", "/alpha")
    assert "organization" not in shown
    assert shown.get("sharing_users_allow") is None
    assert patch(site, posix, default_directory=None, force_verify=None)["default_directory"] == "/"
    assert site.transfer().get_endpoint(posix)["force_verify"] is False
    assert site.transfer().get_endpoint(posix)["display_name"] == "new"


def test_a_put_replaces_all(site: Site, posix: str) -> None:
    patch(site, posix, organization="Lab", sharing_users_allow=["ada"], default_directory="/alpha")
    gateway_id = read(site, posix)["storage_gateway_id"]
    document = mapped_document(gateway_id, display_name="new", public=False)
    shown = site.gcs().put(f"/collections/{posix}", data=document)["data"][0]
    assert (shown["display_name"], shown["public"], shown["default_directory"]) == ("new", False, "/")
    assert (shown["allow_guest_collections"], shown.get("organization")) == (False, None)
    assert shown.get("sharing_users_allow") is None


@pytest.mark.parametrize("kind", ["mapped", "guest"])
def test_what_was_read_can_be_put_back(site: Site, posix: str, kind: str) -> None:
    patch(site, posix, user_message="hello", sharing_users_deny=["bob"], force_encryption=True, keywords=["a"])
    collection_id = posix if kind == "mapped" else site.guest(posix, "/alpha", description="mine")
    got = read(site, collection_id, include="private_policies")
    site.gcs().put(f"/collections/{collection_id}", data=got)
    assert read(site, collection_id, include="private_policies") == got


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("collection_base_path", "/alpha"),
        ("collection_type", "guest"),
        ("storage_gateway_id", "5a4db0c5-0000-4000-8000-00000000dead"),
        ("identity_id", "5a4db0c5-0000-4000-8000-00000000dead"),
    ],
)
def test_some_properties_never_change(
    site: Site, refused: Refused, posix: str, method: str, name: str, value: str
) -> None:
    got = read(site, posix)
    sent = {"DATA_TYPE": LATEST, name: value} if method == "PATCH" else {**got, name: value}
    error = refused(lambda: site.gcs().request(method, f"/collections/{posix}", data=sent))
    assert name in problems(error)
    assert read(site, posix) == got


def test_guest_collections_inherit(site: Site, refused: Refused, posix: str) -> None:
    guest = site.guest(posix, "/alpha", https_methods=["GET", "PUT"])
    patch(site, posix, user_message="hello", force_encryption=True, https_methods=["PUT", "DELETE"])
    shown = read(site, guest)
    assert (shown["user_message"], shown["force_encryption"], shown["https_methods"]) == ("hello", True, ["PUT"])
    for wrong in ({"user_message": "mine"}, {"force_encryption": False}, {"https_methods": ["GET"]}):
        assert set(problems(refused(lambda wrong=wrong: patch(site, guest, **wrong)))) == set(wrong)
    transfer = site.transfer().get_endpoint(guest)
    assert (transfer["user_message"], transfer["force_encryption"]) == ("hello", True)
    patch(site, posix, enable_https=False)
    assert "https_url" not in read(site, guest)
    assert set(problems(refused(lambda: patch(site, guest, enable_https=True)))) == {"enable_https"}


def test_who_changes_a_collection(site: Site, refused: Refused, posix: str) -> None:
    ada, bob = "ada@example.org", "bob@example.org"
    guest = site.guest(posix, who=ada)
    assert refused(lambda: patch(site, posix, ada, description="x")).http_status == 403
    assert refused(lambda: patch(site, guest, bob, description="x")).http_status == 403
    assert refused(lambda: site.gcs(bob).delete_collection(guest)).http_status == 403
    assert patch(site, guest, ada, description="hers")["description"] == "hers"
    assert patch(site, guest, description="the administrator's")["description"] == "the administrator's"
    role = {"DATA_TYPE": "role#1.0.0", "role": "administrator", "collection": posix}
    site.gcs().create_role({**role, "principal": f"urn:globus:auth:identity:{site.person(bob)}"})
    assert patch(site, posix, bob, description="his, too")["description"] == "his, too"


# Deleted


def test_a_protected_collection_stays(site: Site, refused: Refused, posix: str) -> None:
    error = refused(lambda: site.gcs().delete_collection(posix))
    assert (error.http_status, error.code) == (403, "permission_denied")
    assert "delete_protected" in (error.message or "")
    assert read(site, posix)["id"] == posix


def test_a_mapped_collection_takes_guests_roles_and_policies_with_it(site: Site, refused: Refused, posix: str) -> None:
    kept = site.mapped(site.gateway())
    guests = [site.guest(posix), site.guest(posix, "/alpha", who="ada@example.org")]
    policy = {"DATA_TYPE": "sharing_policy#1.0.0", "collection_id": posix, "sharing_restrict_paths": restrictions()}
    policy_id = site.gcs().post("/sharing_policies", data=policy)["data"][0]["id"]
    patch(site, posix, delete_protected=False)
    answer = site.gcs().delete_collection(posix)
    assert (answer["code"], answer["message"]) == ("success", f"Deleted collection {posix}")
    for gone in (posix, *guests):
        assert refused(lambda gone=gone: site.gcs().get_collection(gone)).http_status == 404
        with pytest.raises(globus_sdk.TransferAPIError):
            site.transfer().get_endpoint(gone)
    assert refused(lambda: site.gcs().get(f"/sharing_policies/{policy_id}")).http_status == 404
    assert site.world.connect_server.sharing_policies == {}
    assert [item["id"] for item in site.gcs().get_collection_list()] == [kept]
    assert (site.folder / "alpha/a.txt").exists()


def test_a_guest_collection_is_deleted_alone(site: Site, posix: str) -> None:
    guest = site.guest(posix, who="ada@example.org")
    site.gcs("ada@example.org").delete_collection(guest)
    assert [item["id"] for item in site.gcs().get_collection_list()] == [posix]


def test_guest_collections_are_deleted_many_at_once(site: Site, refused: Refused, posix: str) -> None:
    mine, more, adas = site.guest(posix), site.guest(posix, "/alpha"), site.guest(posix, who="ada@example.org")
    site.mapped(str(read(site, posix)["storage_gateway_id"]))
    unknown = site.world.new_id()

    def delete(*ids: str, who: str | None = None) -> Any:
        return site.gcs(who).post("/collections/batch_delete", data={"DATA_TYPE": "batch#1.0.0", "ids": list(ids)})

    error = refused(lambda: delete(mine, posix))
    assert (error.http_status, error.code) == (403, "permission_denied")
    assert error.detail == {"DATA_TYPE": "batch#1.0.0", "ids": [posix]}
    assert "collection:administrator" in str(refused(lambda: delete(adas, mine, who="ada@example.org")))
    assert {mine, more, adas} <= set(site.world.transfer.collections), "none of them, when one is refused"
    answer = delete(more, unknown, adas, more.upper())
    assert (answer.http_status, answer["http_response_code"]) == (202, 202)
    assert answer["data"] == [{"DATA_TYPE": "batch#1.0.0", "ids": [more, adas]}]
    assert not {more, adas} & set(site.world.transfer.collections)
    assert mine in site.world.transfer.collections
    assert delete()["data"] == [{"DATA_TYPE": "batch#1.0.0", "ids": []}]


def test_all_collections_are_checked(site: Site, refused: Refused, posix: str) -> None:
    adas = site.guest(posix, "/alpha", who="ada@example.org")
    (site.folder / "alpha").rename(site.folder / "gone")

    def checked(who: str | None = None, **query: str) -> dict[str, str]:
        return {
            item["id"]: item["message"] for item in site.gcs(who).get("/collections/check", query_params=query)["data"]
        }

    assert list(checked()) == [posix, adas]
    assert checked()[posix] == "OK" != checked()[adas]
    assert checked(filter="mapped_collections") == {posix: "OK"}
    assert list(checked("ada@example.org")) == [adas]
    assert checked("bob@elsewhere.net") == {}
    site.gcs().update_endpoint({"DATA_TYPE": "endpoint#1.2.0", "public": False})
    assert refused(lambda: checked("bob@elsewhere.net")).http_status == 403


def test_many_may_come_at_once(site: Site, posix: str) -> None:
    kept = site.guest(posix)

    def work(number: int) -> list[str]:
        client = site.gcs()
        document = guest_document(posix, "/alpha", display_name=f"number {number}")
        made = client.create_collection(document)["id"]
        gateway_id = site.gateway()
        found = [item["id"] for item in client.get_collection_list(filter="guest_collections")]
        client.delete_storage_gateway(gateway_id)
        client.delete_collection(made)
        return [made] if {made, kept} <= set(found) else []

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(work, range(24)))
    assert all(done)
    assert len({made for (made,) in done}) == 24
    assert [item["id"] for item in site.gcs().get_collection_list()] == [posix, kept]
    assert len(site.world.connect_server.gateways) == 1


def test_reset_brings_back_what_was_marked(site: Site) -> None:
    world = site.world
    mapped = site.sandbox.add_collection("kept", site.folder)
    guest = site.sandbox.add_collection("kept guest", host=mapped, kind="guest", base_path="/alpha")
    world.mark()
    try:
        site.gcs().update_collection(mapped.id, {"DATA_TYPE": LATEST, "delete_protected": False, "description": "x"})
        patch(site, guest.id, display_name="changed")
        site.gcs().delete_collection(mapped.id)
        extra = site.mapped(site.gateway())
        site.sandbox.reset()
        shown = read(site, mapped.id)
        assert (shown["delete_protected"], shown.get("description")) == (True, None)
        assert read(site, guest.id)["display_name"] == "kept guest"
        assert extra not in world.transfer.collections
        assert [item.id for item in world.connect_server.gateways.values()] == [mapped.gateway_id]
        # What they hold on to is what there is: files are reached, and changes of the host are seen.
        assert world.transfer.collections[guest.id].host is world.transfer.collections[mapped.id] is mapped
        assert site.names(guest.id) == ["deep", "a.txt"]
        patch(site, mapped.id, allow_guest_collections=False)
        site.sandbox.reset()
        assert site.names(guest.id) == ["deep", "a.txt"]
    finally:
        for item in (guest, mapped):
            world.transfer.remove_collection(item)
        world.connect_server.gateways.clear()
        world.mark()
