"""Roles on the endpoint and its collections, and sharing policies."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import globus_sdk
import pytest

from tests.unit.sandbox.connect_server.conftest import problems, restrictions

if TYPE_CHECKING:
    from tests.unit.sandbox.connect_server.conftest import Refused, Site

ADA, BOB, EVE = "ada@example.org", "bob@example.org", "eve@example.org"


def urn(site: Site, who: str | None) -> str:
    return f"urn:globus:auth:identity:{site.sandbox.client_id if who is None else site.person(who)}"


def give(site: Site, role: str, to: str, *, on: str | None = None, who: str | None = None) -> dict[str, Any]:
    document = globus_sdk.GCSRoleDocument(
        collection=globus_sdk.MISSING if on is None else on, principal=urn(site, to), role=role
    )
    return dict(site.gcs(who).create_role(document).data)


def roles(site: Site, on: str | None = None, who: str | None = None, **params: Any) -> set[tuple[str, str]]:
    """Return who has which role."""
    found = site.gcs(who).get_role_list(globus_sdk.MISSING if on is None else on, **params)
    return {(item["principal"], item["role"]) for item in found}


# Roles


def test_a_role_s_life(site: Site, refused: Refused, posix: str) -> None:
    made = give(site, "administrator", ADA, on=posix)
    assert made == {
        "DATA_TYPE": "role#1.0.0",
        "id": made["id"],
        "collection": posix,
        "principal": urn(site, ADA),
        "role": "administrator",
    }
    assert site.gcs().get_role(made["id"]).data == made
    assert site.transfer().endpoint_role_list(posix)["DATA"][-1]["principal"] == site.person(ADA)
    error = refused(lambda: give(site, "administrator", ADA, on=posix))
    assert (error.http_status, error.code) == (409, "exists")
    assert site.gcs().delete_role(made["id"])["code"] == "success"
    error = refused(lambda: site.gcs().get_role(made["id"]))
    assert (error.http_status, error.code) == (404, "not_found")


def test_the_maker_s_role_is_there_and_stays(site: Site, refused: Refused, posix: str) -> None:
    assert roles(site) == {(urn(site, None), "owner")}
    assert roles(site, posix) == {(urn(site, None), "administrator")}
    for on in (None, posix):
        implied = next(iter(site.gcs().get_role_list(globus_sdk.MISSING if on is None else on)))
        assert implied["collection"] == on
        error = refused(lambda implied=implied: site.gcs().delete_role(implied["id"]))
        assert (error.http_status, error.code) == (409, "conflict")


def test_all_roles_are_for_administrators(site: Site, refused: Refused, posix: str) -> None:
    give(site, "activity_monitor", ADA, on=posix)
    give(site, "access_manager", BOB, on=posix)
    assert roles(site, posix, ADA) == {(urn(site, ADA), "activity_monitor")}
    assert roles(site, posix, EVE) == set()
    assert len(roles(site, posix, include="all_roles")) == 3
    error = refused(lambda: roles(site, posix, ADA, include="all_roles"))
    assert (error.http_status, error.code) == (403, "permission_denied")
    assert error.raw_json is not None
    assert error.raw_json["detail"]["roles"] == [{"role": "administrator", "collection": posix}]
    pages = list(site.gcs().paginated.get_role_list(posix, include="all_roles", page_size=2))
    assert [len(page["data"]) for page in pages] == [2, 1]


def test_a_group_s_roles_are_its_members(site: Site, posix: str) -> None:
    group = site.sandbox.add_group("admins", members=[site.person(ADA)]).id
    document = {"DATA_TYPE": "role#1.0.0", "collection": posix, "role": "administrator"}
    made = site.gcs().create_role({**document, "principal": f"urn:globus:groups:id:{group}"})
    assert roles(site, posix, ADA) == {(f"urn:globus:groups:id:{group}", "administrator")}
    assert site.gcs(ADA).get_role(made["id"])["id"] == made["id"]
    assert site.gcs(ADA).update_collection(posix, {"DATA_TYPE": "collection#1.16.0"}).http_status == 200
    assert [item["id"] for item in site.gcs(ADA).get_collection_list(filter="managed_by_me")] == [posix]


def test_who_gives_roles(site: Site, refused: Refused, posix: str) -> None:
    guest = site.guest(posix, who=ADA)
    for on in (None, posix, guest):
        assert refused(lambda on=on: give(site, "administrator", EVE, on=on, who=EVE)).http_status == 403
    give(site, "administrator", BOB, on=posix)
    give(site, "activity_monitor", EVE, on=posix, who=BOB)
    assert refused(lambda: give(site, "administrator", EVE, who=BOB)).http_status == 403
    # A guest collection's roles are its own administrators' to give: not the endpoint's, not the mapped collection's.
    for who in (None, BOB):
        assert refused(lambda who=who: give(site, "access_manager", EVE, on=guest, who=who)).http_status == 403
    made = give(site, "access_manager", EVE, on=guest, who=ADA)
    # They may take them away, though.
    site.gcs(BOB).delete_role(made["id"])
    again = give(site, "access_manager", EVE, on=guest, who=ADA)
    assert refused(lambda: site.gcs(EVE).delete_role(again["id"])).http_status == 403
    site.gcs().delete_role(again["id"])


def test_another_s_role_is_told_to_administrators(site: Site, refused: Refused, posix: str) -> None:
    made = give(site, "activity_monitor", ADA, on=posix)
    assert site.gcs(ADA).get_role(made["id"])["id"] == made["id"]
    assert refused(lambda: site.gcs(BOB).get_role(made["id"])).http_status == 403


def test_an_endpoint_role_reaches_down(site: Site, posix: str) -> None:
    give(site, "administrator", ADA)
    guest = site.guest(posix, who=BOB)
    for collection_id in (posix, guest):
        document = {"DATA_TYPE": "collection#1.16.0", "description": "hers to change"}
        assert site.gcs(ADA).update_collection(collection_id, document)["description"] == "hers to change"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"role": "king"}, None),
        ({"role": "owner"}, None),
        ({"principal": "ada"}, {"principal": "Not the URN of an identity or a group."}),
        ({"principal": "urn:globus:auth:identity:ada"}, {"principal": "Not the URN of an identity or a group."}),
        ({"colour": "red"}, {"colour": "Unknown field."}),
        ({"principal": 7}, {"principal": "Not a valid string."}),
    ],
)
def test_wrong_roles_are_refused(site: Site, refused: Refused, change: Any, said: Any) -> None:
    document = {"DATA_TYPE": "role#1.0.0", "principal": urn(site, ADA), "role": "administrator", **change}
    found = problems(refused(lambda: site.gcs().create_role(document)))
    assert found == said if said else set(found) == set(change)
    assert roles(site, include="all_roles") == {(urn(site, None), "owner")}


def test_a_role_needs_a_collection_that_is_there(site: Site, refused: Refused) -> None:
    assert refused(lambda: give(site, "administrator", ADA, on=str(uuid.uuid4()))).http_status == 404


# Sharing policies


def policy(collection_id: str, **more: Any) -> dict[str, Any]:
    document = {"DATA_TYPE": "sharing_policy#1.0.0", "collection_id": collection_id}
    return {**document, "sharing_restrict_paths": restrictions(none=["/beta"]), **more}


def listed(site: Site, collection_id: str, who: str | None = None, **params: Any) -> list[str]:
    answer = site.gcs(who).get("/sharing_policies", query_params={"collection_id": collection_id, **params})
    return [item["id"] for item in answer["data"]]


def test_a_sharing_policy_s_life(site: Site, refused: Refused, posix: str) -> None:
    client = site.gcs()
    answer = client.post("/sharing_policies", data=policy(posix, users=["ada"]))
    assert answer.http_status == 201
    made = answer["data"][0]
    assert made == {**policy(posix, users=["ada"]), "id": made["id"]}
    assert client.get(f"/sharing_policies/{made['id']}")["data"] == [made]
    client.delete(f"/sharing_policies/{made['id']}")
    assert refused(lambda: client.get(f"/sharing_policies/{made['id']}")).http_status == 404
    assert listed(site, posix) == []


def test_sharing_policies_are_listed_by_username(site: Site, posix: str) -> None:
    client = site.gcs()
    hers, all_s, his = (
        client.post("/sharing_policies", data=policy(posix, users=users))["data"][0]["id"]
        for users in (["ada"], None, ["bob"])
    )
    assert listed(site, posix) == [hers, all_s, his]
    assert listed(site, posix, username="ada") == [hers, all_s]
    assert listed(site, posix, page_size=2) == [hers, all_s]
    assert listed(site, posix, page_size=2, marker="2") == [his]
    assert listed(site, site.mapped(site.gateway())) == []


def test_wrong_sharing_policies_are_refused(site: Site, refused: Refused, posix: str) -> None:
    client, guest = site.gcs(), site.guest(posix)
    for wrong, name in (
        (policy(guest), "collection_id"),
        (policy(posix, users="ada"), "users"),
        (policy(posix, colour="red"), "colour"),
        (policy(posix, sharing_restrict_paths={"DATA_TYPE": "role#1.0.0"}), "sharing_restrict_paths.DATA_TYPE"),
        ({"DATA_TYPE": "sharing_policy#1.0.0", "collection_id": posix}, "sharing_restrict_paths"),
    ):
        assert set(problems(refused(lambda wrong=wrong: client.post("/sharing_policies", data=wrong)))) == {name}
    assert refused(lambda: client.post("/sharing_policies", data=policy(str(uuid.uuid4())))).http_status == 404
    error = refused(lambda: client.get("/sharing_policies"))
    assert (error.http_status, error.code) == (400, "bad_request")


def test_sharing_policies_are_for_administrators(site: Site, refused: Refused, posix: str) -> None:
    made = site.gcs().post("/sharing_policies", data=policy(posix))["data"][0]["id"]
    ada = site.gcs(ADA)
    for act in (
        lambda: ada.post("/sharing_policies", data=policy(posix)),
        lambda: ada.get("/sharing_policies", query_params={"collection_id": posix}),
        lambda: ada.get(f"/sharing_policies/{made}"),
        lambda: ada.delete(f"/sharing_policies/{made}"),
    ):
        assert refused(act).http_status == 403
    give(site, "administrator", ADA, on=posix)
    assert listed(site, posix, ADA) == [made]
