"""Projects and policies, made through the SDK, and who may administer them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk.gare import to_gare

from tests.unit.sandbox.auth import NOBODY, person, refused, told

if TYPE_CHECKING:
    import globus_sdk

    from airflow_provider_globus.sandbox import GlobusSandbox

MINUTES = 60


def made(auth: globus_sdk.AuthClient, *admins: str, **more: Any) -> str:
    return str(auth.create_project("Lab", "lab@example.org", admin_ids=list(admins), **more)["project"]["id"])


def policy(auth: globus_sdk.AuthClient, project: str, **more: Any) -> dict[str, Any]:
    document: dict[str, Any] = auth.create_policy(
        project_id=project, display_name="Strict", description="Only some", **more
    )["policy"]
    return document


# Who administers


def test_a_project_is_seen_by_its_administrators_only(
    globus_sandbox: GlobusSandbox, auth: globus_sdk.AuthClient
) -> None:
    ada, bob = (person(globus_sandbox, f"{name}@example.org") for name in ("ada", "bob"))
    identity = globus_sandbox.world.auth.identity_by_username("ada@example.org")
    assert identity is not None
    project = made(auth, identity.id)
    assert [found["id"] for found in ada.get_projects()] == [project]
    assert ada.get_project(project)["project"]["admins"]["identities"] == [identity.document()]
    assert list(bob.get_projects()) == []
    error = refused(lambda: bob.get_project(project))
    assert (error.http_status, error.code) == (403, "FORBIDDEN")
    assert "an identity with admin privileges" in str(error.message)
    # Who made it is not an administrator for that.
    assert told(lambda: auth.delete_project(project)) == (403, "FORBIDDEN")
    assert told(lambda: bob.update_project(project, display_name="mine")) == (403, "FORBIDDEN")
    assert told(lambda: ada.get_project(NOBODY)) == (404, "NOT_FOUND")


def test_members_of_a_group_administer(globus_sandbox: GlobusSandbox, auth: globus_sdk.AuthClient) -> None:
    ada, bob = (person(globus_sandbox, f"{name}@example.org") for name in ("ada", "bob"))
    group = globus_sandbox.add_group("staff", members=["ada@example.org"])
    answer = auth.create_project("Lab", "lab@example.org", admin_group_ids=group.id)["project"]
    assert (answer["admin_ids"], answer["admin_group_ids"]) == (None, [group.id])
    assert [item["name"] for item in answer["admins"]["groups"]] == ["staff"]
    assert ada.update_project(answer["id"], display_name="Laboratory")["project"]["project_name"] == "Laboratory"
    assert told(lambda: bob.get_project(answer["id"])) == (403, "FORBIDDEN")


def test_a_person_has_to_log_in_again_after_half_an_hour(globus_sandbox: GlobusSandbox) -> None:
    ada = person(globus_sandbox, "ada@example.org")
    identity = globus_sandbox.world.auth.identity_by_username("ada@example.org")
    assert identity is not None
    project = made(ada, identity.id)
    globus_sandbox.clock.freeze()
    globus_sandbox.clock.advance(29 * MINUTES)
    ada.get_project(project)
    globus_sandbox.clock.advance(2 * MINUTES)
    error = refused(lambda: ada.get_project(project))
    assert (error.http_status, error.code) == (403, "FORBIDDEN")
    parameters = error.info.authorization_parameters
    assert parameters.session_required_identities == [identity.id]
    assert "within the last 30 minutes" in str(parameters.session_message)
    assert to_gare(error) is not None
    assert [found["id"] for found in ada.get_projects()] == [project]
    person(globus_sandbox, "ada@example.org").get_project(project)


def test_a_service_account_need_not_log_in_again(globus_sandbox: GlobusSandbox, auth: globus_sdk.AuthClient) -> None:
    project = made(auth, globus_sandbox.client_id)
    globus_sandbox.clock.advance(60 * MINUTES)
    assert auth.get_project(project)["project"]["id"] == project


# What a project is


def test_a_change_is_kept_and_what_is_not_named_stays(
    globus_sandbox: GlobusSandbox, auth: globus_sdk.AuthClient
) -> None:
    project = made(auth, globus_sandbox.client_id)
    before = auth.get_project(project)["project"]
    after = auth.update_project(project, contact_email="new@example.org")["project"]
    assert after == {**before, "contact_email": "new@example.org"}
    assert auth.get_project(project)["project"] == after


def test_a_project_with_something_in_it_stays(globus_sandbox: GlobusSandbox, auth: globus_sdk.AuthClient) -> None:
    project = made(auth, globus_sandbox.client_id)
    client = auth.create_client("robot", project, public_client=True)["client"]["id"]
    kept = policy(auth, project)["id"]
    error = refused(lambda: auth.delete_project(project))
    assert (error.http_status, error.code) == (409, "CONFLICT")
    assert client in str(error.message)
    auth.delete_client(client)
    assert told(lambda: auth.delete_project(project)) == (409, "CONFLICT")
    auth.delete_policy(kept)
    assert auth.delete_project(project)["project"]["id"] == project
    assert told(lambda: auth.get_project(project)) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "wrong",
    [
        {"admin_ids": []},
        {"admin_ids": None},
        {"admin_ids": [NOBODY]},
        {"admin_ids": ["nonsense"]},
        {"admin_group_ids": [NOBODY]},
        {"display_name": "two\nlines"},
        {"contact_email": 7},
        {"id": NOBODY},
    ],
)
def test_a_project_that_cannot_be_is_refused(
    globus_sandbox: GlobusSandbox, auth: globus_sdk.AuthClient, wrong: dict[str, Any]
) -> None:
    me = globus_sandbox.client_id
    document = {"display_name": "Lab", "contact_email": "lab@example.org", "admin_ids": [me], **wrong}
    assert told(lambda: auth.post("/v2/api/projects", data={"project": document})) == (400, "BAD_REQUEST")
    project = made(auth, me)
    assert told(lambda: auth.put(f"/v2/api/projects/{project}", data={"project": wrong})) == (400, "BAD_REQUEST")
    assert auth.get_project(project)["project"]["admin_ids"] == [me]


# Policies


def test_policies_are_of_ones_own_projects(globus_sandbox: GlobusSandbox, auth: globus_sdk.AuthClient) -> None:
    mine = policy(auth, made(auth, globus_sandbox.client_id))
    bob = person(globus_sandbox, "bob@example.org")
    assert [found["id"] for found in auth.get_policies()] == [mine["id"]]
    assert list(bob.get_policies()) == []
    assert told(lambda: bob.get_policy(mine["id"])) == (403, "FORBIDDEN")
    assert told(lambda: bob.delete_policy(mine["id"])) == (403, "FORBIDDEN")
    assert told(lambda: bob.update_policy(mine["id"], display_name="x")) == (403, "FORBIDDEN")
    assert told(lambda: policy(bob, mine["project_id"])) == (403, "FORBIDDEN")
    assert told(lambda: auth.get_policy(NOBODY)) == (404, "NOT_FOUND")
    assert auth.delete_policy(mine["id"])["policy"] == mine
    assert told(lambda: auth.get_policy(mine["id"])) == (404, "NOT_FOUND")


def test_a_policy_moves_only_between_projects_of_its_administrator(
    globus_sandbox: GlobusSandbox, auth: globus_sdk.AuthClient
) -> None:
    me = globus_sandbox.client_id
    moved, there = policy(auth, made(auth, me))["id"], made(auth, me)
    theirs = made(auth, globus_sandbox.add_identity("ada@example.org").id)
    assert auth.update_policy(moved, project_id=there)["policy"]["project_id"] == there
    assert told(lambda: auth.update_policy(moved, project_id=theirs)) == (403, "FORBIDDEN")
    assert auth.get_policy(moved)["policy"]["project_id"] == there


def test_a_second_factor_is_for_high_assurance(globus_sandbox: GlobusSandbox, auth: globus_sdk.AuthClient) -> None:
    project = made(auth, globus_sandbox.client_id)
    assert told(lambda: policy(auth, project, required_mfa=True)) == (400, "BAD_REQUEST")
    plain = policy(auth, project)["id"]
    assert told(lambda: auth.update_policy(plain, required_mfa=True)) == (400, "BAD_REQUEST")
    strict = policy(auth, project, high_assurance=True, required_mfa=True)
    assert strict["required_mfa"] is True


@pytest.mark.parametrize(
    "wrong",
    [
        {"authentication_assurance_timeout": 0},
        {"authentication_assurance_timeout": "soon"},
        {"authentication_assurance_timeout": True},
        {"required_mfa": "yes"},
        {"domain_constraints_include": "example.org"},
        {"domain_constraints_exclude": [7]},
        {"description": ""},
    ],
)
def test_a_policy_that_cannot_be_is_refused(
    globus_sandbox: GlobusSandbox, auth: globus_sdk.AuthClient, wrong: dict[str, Any]
) -> None:
    project = made(auth, globus_sandbox.client_id)
    document = {"project_id": project, "display_name": "a", "description": "b", **wrong}
    assert told(lambda: auth.post("/v2/api/policies", data={"policy": document})) == (400, "BAD_REQUEST")
    kept = policy(auth, project)
    assert told(lambda: auth.put(f"/v2/api/policies/{kept['id']}", data={"policy": wrong})) == (400, "BAD_REQUEST")
    assert auth.get_policy(kept["id"])["policy"] == kept


def test_high_assurance_is_decided_once(globus_sandbox: GlobusSandbox, auth: globus_sdk.AuthClient) -> None:
    kept = policy(auth, made(auth, globus_sandbox.client_id))["id"]
    change = {"policy": {"high_assurance": True}}
    assert told(lambda: auth.put(f"/v2/api/policies/{kept}", data=change)) == (400, "BAD_REQUEST")
