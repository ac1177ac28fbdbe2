"""Pause rules through the real SDK in the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.exceptions import (
    GlobusInputError,
    GlobusNotFoundError,
    GlobusPermissionError,
    GlobusUnavailableError,
)
from airflow_provider_globus.operators.pause_rules import (
    OPERATIONS,
    GlobusCreatePauseRuleOperator,
    GlobusDeletePauseRuleOperator,
)
from tests.unit.activity import Users

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from airflow_provider_globus.sandbox.transfer.pause_rules import PauseRule
    from tests.unit.conftest import TaskContext

RULE = "/v0.10/endpoint_manager/pause_rule"


@pytest.fixture
def users(globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory) -> Users:
    source = globus_collection("source", files={"a": "12345"})
    return Users(globus_sandbox, source, globus_collection("target"))


def create(**changes: Any) -> GlobusCreatePauseRuleOperator:
    arguments: dict[str, Any] = {"task_id": "t", "collection": "target", "message": "maintenance"}
    return GlobusCreatePauseRuleOperator(**arguments | changes)


def delete(rule_id: Any, **changes: Any) -> GlobusDeletePauseRuleOperator:
    return GlobusDeletePauseRuleOperator(task_id="t", rule_id=rule_id, **changes)


def rules(sandbox: GlobusSandbox) -> list[PauseRule]:
    return sandbox.world.transfer.pause_rules.all()


def changes_sent(sandbox: GlobusSandbox) -> int:
    posts, puts = (sandbox.journal.count("transfer", method, f"{RULE}*") for method in ("POST", "PUT"))
    return posts + puts


def test_what_others_do_rests_until_the_rule_goes(users: Users, context: TaskContext) -> None:
    made = create().execute(context)
    (rule,) = rules(users.sandbox)
    assert made == {
        "rule_id": rule.id,
        "action": "created",
        "collection_id": users.target.id,
        "identity_id": None,
        "operations": list(OPERATIONS),
        "message": "maintenance",
    }
    task = users.submit("bob")
    assert users.client("bob").get_task(task.id)["nice_status"] == "PAUSED"
    assert delete(made).execute(context) == {"rule_id": rule.id, "action": "deleted"}
    assert users.sandbox.world.transfer.wait(task.id).status == "SUCCEEDED"


def test_the_same_again_changes_nothing(users: Users, context: TaskContext) -> None:
    begin = datetime.now(UTC) + timedelta(days=1)
    arguments: dict[str, Any] = {"operations": ["ls", "task_delete"], "start_time": begin, "identity": "bob"}
    arguments["identity"] = users.who("bob").username
    first = create(**arguments).execute(context)
    sent = changes_sent(users.sandbox)
    again = create(**arguments | {"start_time": begin.isoformat()}).execute(context)
    assert again == {**first, "action": "unchanged"}
    assert changes_sent(users.sandbox) == sent
    (rule,) = rules(users.sandbox)
    assert (rule.identity_id, rule.start_time) == (users.who("bob").id, int(begin.timestamp()))
    assert rule.pauses == {"pause_ls", "pause_task_delete"}


def test_what_differs_is_updated(users: Users, context: TaskContext) -> None:
    first = create(operations=["ls"]).execute(context)
    other = create(operations=["mkdir", "ls"], start_time="2040-01-01").execute(context)
    assert other == {**first, "action": "updated", "operations": ["ls", "mkdir"]}
    (rule,) = rules(users.sandbox)
    assert rule.start_time == datetime(2040, 1, 1, tzinfo=UTC).timestamp()
    assert create(operations=["ls", "mkdir"]).execute(context)["action"] == "updated", "without a start it is now"
    assert rules(users.sandbox)[0].start_time is None


def test_rules_of_others_are_left_alone(users: Users, context: TaskContext) -> None:
    made = [
        create().execute(context),
        create(message="another").execute(context),
        create(identity=users.who("bob").id.upper()).execute(context),
        create(collection="source").execute(context),
    ]
    assert [one["action"] for one in made] == ["created"] * 4
    assert len({one["rule_id"] for one in made}) == 4
    assert create(identity=users.who("bob").id).execute(context)["rule_id"] == made[2]["rule_id"]


def test_the_endpoint_takes_a_rule_for_all_its_collections(users: Users, context: TaskContext) -> None:
    endpoint = users.sandbox.world.transfer.find("target").host
    assert endpoint is not None
    create(collection="source").execute(context)
    assert create(collection=endpoint.id).execute(context)["action"] == "created", "those below it are other ones"
    assert users.submit("bob").paused
    assert create(collection="target").execute(context)["action"] == "created", "the endpoint's is another one"


def test_a_rule_of_the_hosts_managers_is_not_changed(users: Users, context: TaskContext) -> None:
    create(operations=["ls"]).execute(context)
    state = users.sandbox.world.transfer
    (rule,) = rules(users.sandbox)
    rule.__dict__["created_by_host_manager"] = True
    assert rule.endpoint.host is not None
    rule.endpoint.host.owner_id = users.who("bob").id
    assert create(operations=["ls"]).execute(context)["action"] == "unchanged"
    with pytest.raises(GlobusInputError, match="pause_mkdir and may not be changed"):
        create(operations=["ls", "mkdir"]).execute(context)
    assert state.pause_rules.all() == [rule]


def test_a_lost_answer_makes_no_second_rule(users: Users, context: TaskContext) -> None:
    users.sandbox.faults.add({"service": "transfer", "path": RULE, "method": "POST", "drop_after": True})
    assert create().execute(context)["action"] == "created"
    assert len(rules(users.sandbox)) == 1


def test_what_was_never_accepted_fails_and_is_not_sent_twice(
    users: Users, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_globus.looks.LOOKS", (0.0,))
    users.sandbox.faults.add({"service": "transfer", "path": RULE, "method": "POST", "status": 502})
    with pytest.raises(GlobusUnavailableError):
        create().execute(context)
    assert users.sandbox.journal.count("transfer", "POST", RULE) == 1


@pytest.mark.parametrize("role", [None, "activity_monitor"])
def test_a_missing_role_is_named(role: str | None, users: Users, context: TaskContext) -> None:
    kept = users.sandbox.add_collection("theirs", str(users.source.folder), owner=users.who("bob").id, alias="theirs")
    kept.host = None
    if role:
        users.sandbox.world.transfer.add_role(kept, role, users.sandbox.client_id)
    with pytest.raises(GlobusPermissionError, match=r"'theirs'.*the role activity_manager"):
        create(collection="theirs").execute(context)
    assert rules(users.sandbox) == []


def test_deleting_what_is_gone(users: Users, context: TaskContext) -> None:
    made = create().execute(context)
    delete(made["rule_id"]).execute(context)
    assert delete(made).execute(context) == {"rule_id": made["rule_id"], "action": "absent"}
    with pytest.raises(GlobusNotFoundError):
        delete(made, ignore_missing=False).execute(context)


def test_only_managers_delete(users: Users, context: TaskContext) -> None:
    made = create().execute(context)
    collection = users.sandbox.world.transfer.find("target")
    collection.owner_id, collection.host = users.who("bob").id, None
    with pytest.raises(GlobusPermissionError, match="the role activity_manager"):
        delete(made).execute(context)
    assert len(rules(users.sandbox)) == 1


@pytest.mark.parametrize("wrong", ["", None, {}, {"rule_id": None}, 5])
def test_what_names_no_rule_is_refused(wrong: Any, users: Users, context: TaskContext) -> None:
    with pytest.raises(GlobusInputError, match="names no rule"):
        delete(wrong).execute(context)
    assert users.sandbox.journal.count("transfer", "DELETE", "*") == 0


@pytest.mark.parametrize("wrong", [{"operations": []}, {"operations": "ls"}, {"operations": ["copy"]}])
def test_operations_that_are_none_are_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(GlobusInputError, match="operations"):
        create(**wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"message": ""}, "message"), ({"message": "x" * 257}, "257"), ({"start_time": "soon"}, "start_time")],
)
def test_rules_that_cannot_be_meant_are_refused(
    wrong: dict[str, Any], said: str, users: Users, context: TaskContext
) -> None:
    with pytest.raises(GlobusInputError, match=said):
        create(**wrong).execute(context)
    assert users.sandbox.journal.count("transfer", None, "*pause_rule*") == 0
