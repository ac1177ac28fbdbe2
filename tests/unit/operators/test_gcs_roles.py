"""Roles and sharing policies through the real SDK and the sandbox's Connect Server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus import looks
from airflow_provider_globus.exceptions import (
    GlobusConflictError,
    GlobusInputError,
    GlobusNotFoundError,
    GlobusPermissionError,
)
from airflow_provider_globus.operators.gcs_roles import (
    GlobusCreateCollectionRoleOperator,
    GlobusDeleteCollectionRoleOperator,
)
from airflow_provider_globus.operators.sharing_policies import GlobusSharingPolicyOperator
from airflow_provider_globus.sandbox.transfer.state import ENDPOINT_ID

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.journal import Entry
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.unit.conftest import TaskContext

ADA = "5a4db0c5-0000-4000-8000-0000000000bb"
GROUP = "5a4db0c5-0000-4000-8000-0000000000cc"


@pytest.fixture(autouse=True)
def _quick_looks(globus_sandbox: GlobusSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "LOOKS", (0.01, 0.02, 0.03))
    globus_sandbox.add_identity("ada@example.org", id=ADA)


@pytest.fixture
def lab(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("lab")


def give(**changes: Any) -> GlobusCreateCollectionRoleOperator:
    arguments = {"task_id": "r", "collection": "lab", "principal": "ada@example.org", "role": "access_manager"}
    return GlobusCreateCollectionRoleOperator(**{**arguments, **changes})


def take(**changes: Any) -> GlobusDeleteCollectionRoleOperator:
    arguments = {"task_id": "r", "collection": "lab", "principal": "ada@example.org", "role": "access_manager"}
    return GlobusDeleteCollectionRoleOperator(**{**arguments, **changes})


def roles(globus: GlobusSandbox, place_id: str) -> list[tuple[str, str, str]]:
    place = globus.world.transfer.collections[place_id]
    return sorted((role.principal_type, role.principal, role.role) for role in place.roles.values())


def sent(globus: GlobusSandbox, *methods: str) -> list[Entry]:
    wanted = methods or ("POST", "PATCH", "DELETE")
    return [entry for entry in globus.journal.requests("connect_server") if entry.method in wanted]


@pytest.mark.parametrize("principal", ["ada@example.org", ADA, f"urn:globus:auth:identity:{ADA}"])
def test_a_role_is_given_once(
    principal: str, lab: CollectionFolder, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    first = give(principal=principal).execute(context)
    assert first["action"] == "created"
    assert first["principal"] == f"urn:globus:auth:identity:{ADA}"
    assert first["collection_id"] == lab.id
    assert roles(globus_sandbox, lab.id) == [("identity", ADA, "access_manager")]
    assert give().execute(context) == {**first, "action": "unchanged"}
    assert len(sent(globus_sandbox)) == 1


@pytest.mark.parametrize("principal", [GROUP, f"urn:globus:groups:id:{GROUP}"])
def test_groups_have_roles_too(
    principal: str, lab: CollectionFolder, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    given = give(principal=principal, principal_type="group").execute(context)
    assert given["principal"] == f"urn:globus:groups:id:{GROUP}"
    assert roles(globus_sandbox, lab.id) == [("group", GROUP, "access_manager")]


def test_other_roles_stay(lab: CollectionFolder, globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    give().execute(context)
    assert give(role="activity_monitor").execute(context)["action"] == "created"
    assert len(roles(globus_sandbox, lab.id)) == 2
    assert take().execute(context)["action"] == "deleted"
    assert roles(globus_sandbox, lab.id) == [("identity", ADA, "activity_monitor")]


def test_a_role_on_the_endpoint_is_another_than_on_a_collection(
    lab: CollectionFolder, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    on_endpoint: dict[str, Any] = {"endpoint": ENDPOINT_ID, "collection": None, "role": "administrator"}
    first = give(**on_endpoint).execute(context)
    assert (first["action"], first["collection_id"]) == ("created", None)
    assert give(role="administrator").execute(context)["action"] == "created"
    assert roles(globus_sandbox, ENDPOINT_ID) == [("identity", ADA, "administrator")]
    assert give(**on_endpoint).execute(context)["action"] == "unchanged"
    assert take(**on_endpoint).execute(context)["role_id"] == first["role_id"]
    assert roles(globus_sandbox, ENDPOINT_ID) == []
    assert roles(globus_sandbox, lab.id) == [("identity", ADA, "administrator")]


def test_it_is_found_on_any_page(lab: CollectionFolder, globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    first = give().execute(context)
    place = globus_sandbox.world.transfer.collections[lab.id]
    mine = place.roles.pop(first["role_id"])
    for number in range(120):
        role_id = f"5a4db0c5-0000-4000-8000-{number:012d}"
        place.roles[role_id] = type(mine)(role_id, "group", role_id, "access_manager")
    place.roles[mine.id] = mine
    assert give().execute(context) == {**first, "action": "unchanged"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"role": "king"}, "role 'king' is unknown"),
        ({"principal_type": "robot"}, "principal_type 'robot'"),
        ({"principal": ""}, "principal is empty"),
        ({"principal": "my group", "principal_type": "group"}, "is no UUID"),
    ],
)
def test_bad_input_is_refused_before_any_request(
    changes: dict[str, Any], says: str, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    for operator in (give, take):
        with pytest.raises(GlobusInputError, match=says):
            operator(**changes).execute(context)
    assert globus_sandbox.journal.requests() == []


@pytest.mark.usefixtures("globus_sandbox")
def test_a_place_is_needed() -> None:
    with pytest.raises(GlobusInputError, match="give collection, or endpoint"):
        give(collection=None)


@pytest.mark.usefixtures("lab")
def test_a_name_that_nobody_has_is_no_role(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    with pytest.raises(GlobusInputError, match=r"eve@example\.org"):
        give(principal="eve@example.org").execute(context)
    assert sent(globus_sandbox) == []


@pytest.mark.usefixtures("lab")
def test_a_lost_answer_gives_no_second_role(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.faults.add({"service": "connect_server", "method": "POST", "times": 1, "drop_after": True})
    made = give().execute(context)
    assert made["action"] == "created"
    assert len(sent(globus_sandbox, "POST")) == 1


def test_whoever_was_faster_is_no_error(
    lab: CollectionFolder,
    globus_sandbox: GlobusSandbox,
    context: TaskContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = give().execute(context)
    late = give()
    looked = late.find_role
    answers = iter([None])
    monkeypatch.setattr(late, "find_role", lambda *where: next(answers, looked(*where)))
    assert late.execute(context) == {**first, "action": "unchanged"}


@pytest.mark.usefixtures("lab")
def test_takes_once(context: TaskContext) -> None:
    given = give().execute(context)
    assert take().execute(context) == {"role_id": given["role_id"], "action": "deleted"}
    assert take().execute(context) == {"role_id": None, "action": "absent"}
    with pytest.raises(GlobusNotFoundError, match=r"the role access_manager of 'ada@example\.org' on 'lab'"):
        take(ignore_missing=False).execute(context)


def test_who_lacks_a_role_is_told_which(
    lab: CollectionFolder, globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = globus_sandbox.add_client("stranger")
    monkeypatch.setenv("AIRFLOW_CONN_STRANGER", globus_sandbox.connection_for(stranger))
    with pytest.raises(GlobusPermissionError, match="the role administrator of the collection") as caught:
        give(globus_conn_id="stranger", collection=lab.id).execute(context)
    assert "GlobusCreateCollectionRoleOperator" in caught.value.advice


@pytest.mark.usefixtures("lab")
def test_the_role_of_the_maker_cannot_be_taken(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    with pytest.raises(GlobusConflictError):
        take(principal=globus_sandbox.client_id, role="administrator").execute(context)


# Sharing policies

RAW = {"sharing_restrict_paths": {"read": ["/raw"]}}
ADAS = {"users": ["ada", "bob"], "sharing_restrict_paths": {"read_write": ["/ada"]}}


def share(**changes: Any) -> GlobusSharingPolicyOperator:
    arguments = {"task_id": "s", "collection": "lab", "policies": [RAW, ADAS]}
    return GlobusSharingPolicyOperator(**{**arguments, **changes})


def stored(globus: GlobusSandbox) -> dict[Any, Any]:
    """Paths by users."""
    found = globus.world.connect_server.sharing_policies.values()
    return {policy.users: policy.restrict_paths for policy in found}


@pytest.mark.usefixtures("lab")
def test_policies_are_made_once(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    first = share().execute(context)
    assert (first["action"], len(first["created"]), first["deleted"]) == ("created", 2, [])
    assert stored(globus_sandbox).keys() == {None, ("ada", "bob")}
    assert stored(globus_sandbox)[None]["read"] == ["/raw"]
    again = share(policies=[{**ADAS, "users": ["bob", "ada"]}, RAW]).execute(context)
    assert again["action"] == "unchanged"
    assert [policy["id"] for policy in again["sharing_policies"]] == first["created"]
    assert len(sent(globus_sandbox)) == 2


@pytest.mark.usefixtures("lab")
def test_other_paths_for_the_same_users_replace(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    first = share().execute(context)
    wider = {**ADAS, "sharing_restrict_paths": {"read_write": ["/ada", "/both"]}}
    changed = share(policies=[wider]).execute(context)
    assert changed["action"] == "updated"
    assert changed["deleted"] == [first["created"][1]]
    assert stored(globus_sandbox)[("ada", "bob")]["read_write"] == ["/ada", "/both"]
    assert stored(globus_sandbox)[None]["read"] == ["/raw"]
    # The new one is there before the old one goes, so that nothing is open in between.
    assert [entry.method for entry in sent(globus_sandbox)][-2:] == ["POST", "DELETE"]


@pytest.mark.usefixtures("lab")
def test_others_go_only_when_asked_for(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    share().execute(context)
    assert share(policies=[RAW]).execute(context)["action"] == "unchanged"
    listed = share(policies=[]).execute(context)
    assert (listed["action"], len(listed["sharing_policies"])) == ("unchanged", 2)
    assert share(policies=[RAW], remove_others=True).execute(context)["action"] == "deleted"
    assert stored(globus_sandbox).keys() == {None}
    assert share(policies=[], remove_others=True).execute(context)["sharing_policies"] == []
    assert stored(globus_sandbox) == {}


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ({"users": ["ada"]}, "must be a dict with sharing_restrict_paths"),
        ({**RAW, "user": ["ada"]}, "user is unknown"),
        ({**RAW, "users": "ada"}, "users must be a list"),
        ({"sharing_restrict_paths": {"all": ["/"]}}, "all is no kind of access"),
    ],
)
def test_bad_policies_are_refused_before_any_request(
    policy: dict[str, Any], says: str, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    with pytest.raises(GlobusInputError, match=rf"policies\[1\].*{says}"):
        share(policies=[RAW, policy]).execute(context)
    assert globus_sandbox.journal.requests() == []


@pytest.mark.usefixtures("lab")
def test_a_lost_answer_makes_no_second_policy(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.faults.add({"service": "connect_server", "method": "POST", "times": 1, "drop_after": True})
    assert len(share().execute(context)["created"]) == 2
    assert len(globus_sandbox.world.connect_server.sharing_policies) == 2


def test_guest_collections_have_none(
    lab: CollectionFolder, globus_collection: CollectionFactory, context: TaskContext
) -> None:
    globus_collection("shared", host=lab)
    with pytest.raises(GlobusInputError, match="is a guest collection"):
        share(collection="shared").execute(context)
