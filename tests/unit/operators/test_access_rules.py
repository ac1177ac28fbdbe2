"""Access rules through the real SDK in the sandbox."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.exceptions import GlobusError, GlobusInputError, GlobusNotFoundError
from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.operators.access_rules import (
    GlobusCreateAccessRuleOperator,
    GlobusDeleteAccessRuleOperator,
)

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.unit.conftest import TaskContext


@pytest.fixture
def lab(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("lab", files={"sub/deep/d.txt": "d"})


@pytest.fixture
def shared(globus_collection: CollectionFactory, lab: CollectionFolder) -> CollectionFolder:
    return globus_collection("shared", host=lab, base_path="/sub")


def share(**arguments: Any) -> GlobusCreateAccessRuleOperator:
    return GlobusCreateAccessRuleOperator(**{"task_id": "t", "collection": "shared", "path": "/"} | arguments)


def end(rule_id: Any, **arguments: Any) -> GlobusDeleteAccessRuleOperator:
    return GlobusDeleteAccessRuleOperator(task_id="t", collection="shared", rule_id=rule_id, **arguments)


def rules(globus: GlobusSandbox) -> list[dict[str, Any]]:
    hook = share(principal="x").hook
    client = hook.transfer_client()
    found = hook.call("listing", client.endpoint_acl_list, hook.resolve_collection("shared"))["DATA"]
    return [rule for rule in found if rule.get("id")]


@pytest.mark.usefixtures("shared")
def test_sharing_by_username_is_idempotent(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    ada = globus_sandbox.add_identity("ada@example.org")
    expires = datetime.now(UTC) + timedelta(days=3)
    arguments = {"principal": "ada@example.org", "path": "/deep", "expiration_date": expires}
    first = share(**arguments).execute(context)
    assert first == {
        "rule_id": first["rule_id"],
        "action": "created",
        "collection_id": GlobusHook().resolve_collection("shared"),
        "path": "/deep/",
        "principal_type": "identity",
        "principal": ada.id,
        "permissions": "r",
        "expiration_date": expires.isoformat(timespec="seconds"),
    }
    assert share(**arguments).execute(context) == first | {"action": "unchanged"}
    (rule,) = [rule for rule in rules(globus_sandbox) if rule["principal"] == ada.id]
    assert (rule["path"], rule["permissions"], rule["id"]) == ("/deep/", "r", first["rule_id"])
    assert globus_sandbox.journal.count("transfer", "PUT") == 0
    changed = share(**arguments, permissions="rw").execute(context)
    assert changed == first | {"action": "updated", "permissions": "rw"}
    (rule,) = [rule for rule in rules(globus_sandbox) if rule["principal"] == ada.id]
    assert rule["permissions"] == "rw"


@pytest.mark.parametrize("kind", ["all_authenticated_users", "anonymous"])
@pytest.mark.usefixtures("shared")
def test_sharing_with_everyone(kind: str, globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    made = share(principal_type=kind).execute(context)
    rule_id = made["rule_id"]
    assert [rule["principal_type"] for rule in rules(globus_sandbox) if rule["id"] == rule_id] == [kind]
    assert (made["principal"], made["expiration_date"]) == ("", None)
    assert end(made).execute(context) == {"rule_id": rule_id, "action": "deleted"}
    assert end(rule_id).execute(context) == {"rule_id": rule_id, "action": "absent"}
    assert not [rule for rule in rules(globus_sandbox) if rule["id"] == rule_id]
    with pytest.raises(GlobusNotFoundError):
        end(rule_id, ignore_missing=False).execute(context)


@pytest.mark.parametrize("hours", [0, 2])
@pytest.mark.usefixtures("shared")
def test_the_same_moment_in_another_zone_is_no_change(
    hours: int, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    ends = datetime.now(timezone(timedelta(hours=hours))).replace(microsecond=0) + timedelta(days=3)
    share(principal_type="anonymous", expiration_date=ends.astimezone(UTC)).execute(context)
    # Globus may say it in other words.
    stored = globus_sandbox.world.transfer.collections[GlobusHook().resolve_collection("shared")].rules
    ((rule_id, rule),) = stored.items()
    stored[rule_id] = replace(rule, expiration_date=ends.isoformat().replace("+00:00", ""))
    again = share(principal_type="anonymous", expiration_date=ends.isoformat()).execute(context)
    assert again["action"] == "unchanged"
    later = share(principal_type="anonymous", expiration_date=ends + timedelta(seconds=1)).execute(context)
    assert later["action"] == "updated"


@pytest.mark.parametrize("given", ["{'rule_id': 'x'}", "", {}, {"rule_id": None}, 5])
@pytest.mark.usefixtures("shared")
def test_what_is_no_id_is_not_taken_for_a_rule_that_is_gone(
    given: Any, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    with pytest.raises(GlobusInputError, match="rule_id"):
        end(given).execute(context)
    assert globus_sandbox.journal.count("transfer", "DELETE") == 0


@pytest.mark.usefixtures("shared")
def test_bad_shares_are_refused(context: TaskContext) -> None:
    for arguments in ({"principal_type": "robot"}, {"principal": "x", "permissions": "x"}, {"principal": ""}):
        with pytest.raises(GlobusInputError):
            share(**arguments)
    with pytest.raises(GlobusInputError, match="knows no identity"):
        share(principal="nobody@example.org").execute(context)
    with pytest.raises(GlobusInputError, match="no UUID"):
        share(principal="my group", principal_type="group").execute(context)
    for date in ("2001-01-01", "soon", timedelta(days=-1)):
        with pytest.raises(GlobusInputError, match="expiration date"):
            share(principal_type="anonymous", expiration_date=date).execute(context)


@pytest.mark.usefixtures("lab")
def test_a_mapped_collection_cannot_be_shared(context: TaskContext) -> None:
    with pytest.raises(GlobusError, match="sharing / of 'lab'"):
        share(collection="lab", principal_type="anonymous").execute(context)
