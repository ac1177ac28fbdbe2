"""Flows deployed and deleted through the real SDK, in the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from airflow_provider_globus import looks
from airflow_provider_globus.exceptions import (
    GlobusBadRequestError,
    GlobusError,
    GlobusFlowNameError,
    GlobusInputError,
    GlobusNotFoundError,
    GlobusUnavailableError,
)
from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.operators.flows import GlobusDeleteFlowOperator, GlobusDeployFlowOperator

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from tests.unit.conftest import TaskContext

DEFINITION = {"StartAt": "Note", "States": {"Note": {"Type": "Pass", "End": True}}}
OTHER = {"StartAt": "Other", "States": {"Other": {"Type": "Pass", "End": True}}}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
WRITES = ("POST", "PUT")
PERSON = "urn:globus:auth:identity:5a4db0c5-0000-4000-8000-0000000000bb"


@pytest.fixture(autouse=True)
def _quick_looks(globus_sandbox: GlobusSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "LOOKS", (0.01, 0.02, 0.03))


def deploy(**changes: Any) -> GlobusDeployFlowOperator:
    return GlobusDeployFlowOperator(
        **{"task_id": "a_task", "title": "Publish", "definition": DEFINITION, "input_schema": SCHEMA} | changes
    )


def writes(globus: GlobusSandbox) -> list[str]:
    sent = [entry for method in WRITES for entry in globus.journal.requests("flows", method)]
    return [f"{entry.method} {entry.path}" for entry in sent if not entry.path.endswith("/validate")]


def stored(globus: GlobusSandbox) -> list[Any]:
    return list(globus.world.flows.flows.values())


def test_creates_then_leaves_it_alone(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    first = deploy().execute(context)
    assert first["action"] == "created"
    assert first["title"] == "Publish"
    assert first["flow_id"] in first["scope"]
    before = len(globus_sandbox.journal.requests("flows"))
    again = deploy().execute(context)
    assert again == first | {"action": "unchanged"}
    assert writes(globus_sandbox) == ["POST /flows"]
    checked = globus_sandbox.journal.requests("flows", "POST", "/flows/validate")
    assert len(checked) == 1
    assert len(globus_sandbox.journal.requests("flows")) - before == 2


@pytest.mark.parametrize(
    "change",
    [
        {"definition": OTHER},
        {"input_schema": {}},
        {"subtitle": "New"},
        {"description": "New"},
        {"keywords": ["a", "b"]},
        {"flow_viewers": ["public"]},
        {"flow_starters": ["all_authenticated_users"]},
        {"flow_administrators": [PERSON]},
        {"run_managers": [PERSON]},
        {"run_monitors": [PERSON]},
        {"subscription_id": "DEFAULT"},
    ],
)
def test_changes_what_differs_and_only_that(
    change: dict[str, Any], globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    first = deploy().execute(context)
    changed = deploy(**change).execute(context)
    assert changed["action"] == "updated"
    assert changed["flow_id"] == first["flow_id"]
    (entry,) = globus_sandbox.journal.requests("flows", "PUT")
    assert entry.body == change
    assert deploy(**change).execute(context)["action"] == "unchanged"


def test_people_are_named_by_username(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    person = globus_sandbox.add_identity("someone@example.edu")
    group = "urn:globus:groups:id:5a4db0c5-0000-4000-8000-0000000000aa"
    deploy(flow_starters=["someone@example.edu", group]).execute(context)
    (entry,) = globus_sandbox.journal.requests("flows", "POST", "/flows")
    assert entry.body["flow_starters"] == [f"urn:globus:auth:identity:{person.id}", group]
    assert deploy(flow_starters=[group, person.id]).execute(context)["action"] == "unchanged"
    assert deploy(flow_starters=[]).execute(context)["action"] == "updated"


def test_a_definition_that_cannot_be_is_refused_with_its_state(
    globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    broken = {"StartAt": "Move", "States": {"Move": {"Type": "Action", "ActionUrl": "https://x.org", "Parameters": {}}}}
    with pytest.raises(GlobusBadRequestError, match=r"definition\.States\.Move: A state of type 'Action'") as raised:
        deploy(definition=broken).execute(context)
    assert raised.value.code == "UNPROCESSABLE_ENTITY"
    assert writes(globus_sandbox) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"title": ""}, "1 to 128 characters"),
        ({"title": "x" * 129}, "1 to 128 characters"),
        ({"definition": {"States": {}}}, "no StartAt"),
        ({"definition": "nowhere.yaml"}, "nowhere.yaml.* cannot be read"),
        ({"input_schema": "- a"}, "input_schema must be a mapping"),
    ],
)
def test_bad_input_is_refused_before_any_request(
    change: dict[str, Any], why: str, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    with pytest.raises(GlobusInputError, match=why):
        deploy(**change).execute(context)
    assert globus_sandbox.journal.requests("flows") == []


def test_by_id_the_title_may_change(context: TaskContext) -> None:
    first = deploy().execute(context)
    renamed = deploy(title="Renamed", flow_id=first["flow_id"]).execute(context)
    assert (renamed["flow_id"], renamed["title"], renamed["action"]) == (first["flow_id"], "Renamed", "updated")


def test_by_the_id_of_a_deleted_flow(context: TaskContext) -> None:
    first = deploy().execute(context)
    GlobusDeleteFlowOperator(task_id="delete", flow=first["flow_id"]).execute(context)
    with pytest.raises(GlobusNotFoundError, match=first["flow_id"]):
        deploy(flow_id=first["flow_id"]).execute(context)


def test_two_flows_of_the_title_are_ambiguous(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    for _ in range(2):
        globus_sandbox.add_flow("Publish", DEFINITION)
    with pytest.raises(GlobusFlowNameError, match="2 flows of this identity are titled 'Publish'"):
        deploy().execute(context)


def test_a_flow_of_a_like_title_is_another(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.add_flow("Publish more", DEFINITION)
    assert deploy().execute(context)["action"] == "created"


def test_an_answer_that_is_lost_makes_no_second_flow(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.faults.add({"service": "flows", "method": "POST", "path": "/flows", "times": 1, "drop_after": True})
    result = deploy().execute(context)
    assert [flow.id for flow in stored(globus_sandbox)] == [result["flow_id"]]


def test_a_request_that_is_lost_is_left_to_a_retry(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.faults.add({"service": "flows", "method": "POST", "path": "/flows", "times": 1, "drop": True})
    with pytest.raises(GlobusUnavailableError):
        deploy().execute(context)
    assert deploy().execute(context)["action"] == "created"
    assert len(stored(globus_sandbox)) == 1


def test_killed_it_looks_no_longer_for_a_flow(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    globus_sandbox.faults.add({"service": "flows", "method": "POST", "path": "/flows", "times": 1, "drop_after": True})
    killed = deploy()
    killed.on_kill()
    with pytest.raises(GlobusUnavailableError):
        killed.execute(context)
    assert [entry.path for entry in globus_sandbox.journal.requests("flows")][-1:] == ["/flows"]
    assert globus_sandbox.journal.requests("flows")[-1].method == "POST"


def test_a_dag_that_deploys_can_be_copied() -> None:
    with DAG("a_dag") as dag:
        deploy()
    assert dag.partial_subset("a_task").task_ids == ["a_task"]


def test_deletes_by_title_and_only_once(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    first = deploy().execute(context)
    delete = GlobusDeleteFlowOperator(task_id="delete", flow="Publish")
    assert delete.execute(context) == first["flow_id"]
    assert stored(globus_sandbox) == []
    assert delete.execute(context) is None
    with pytest.raises(GlobusNotFoundError):
        GlobusDeleteFlowOperator(task_id="delete", flow="Publish", ignore_missing=False).execute(context)
    with pytest.raises(GlobusNotFoundError):
        GlobusDeleteFlowOperator(task_id="delete", flow=first["flow_id"], ignore_missing=False).execute(context)


def test_deletes_none_of_several(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    for _ in range(2):
        GlobusHook().flows_client().create_flow("Publish", DEFINITION, {})
    with pytest.raises(GlobusFlowNameError):
        GlobusDeleteFlowOperator(task_id="delete", flow="Publish").execute(context)
    assert len(stored(globus_sandbox)) == 2


def test_without_a_schema_runs_may_be_given_anything(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    deploy(input_schema=None).execute(context)
    (flow,) = stored(globus_sandbox)
    assert flow.input_schema == {}


@pytest.mark.parametrize("change", [{"definition": DEFINITION | {"StartAt": "Nowhere"}}, {"input_schema": {"type": 3}}])
@pytest.mark.parametrize("existing", [False, True])
def test_what_cannot_be_is_refused_before_anything_is_written(
    change: dict[str, Any], existing: bool, globus_sandbox: GlobusSandbox, context: TaskContext
) -> None:
    if existing:
        globus_sandbox.add_flow("Publish", DEFINITION)
    with pytest.raises(GlobusBadRequestError):
        deploy(**change).execute(context)
    assert writes(globus_sandbox) == []


def test_a_flow_that_is_administered_is_found_by_its_title(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    owner = globus_sandbox.add_identity("owner@example.edu")
    ours = [f"urn:globus:auth:identity:{globus_sandbox.client_id}"]
    theirs = globus_sandbox.add_flow("Publish", DEFINITION, owner=owner.username, administrators=ours)
    result = deploy().execute(context)
    assert (result["action"], result["flow_id"]) == ("updated", theirs.id)


def test_a_flow_that_is_only_seen_is_another(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    owner = globus_sandbox.add_identity("owner@example.edu")
    theirs = globus_sandbox.add_flow("Publish", OTHER, owner=owner.username, viewers=["public"])
    result = deploy().execute(context)
    assert result["action"] == "created"
    assert result["flow_id"] != theirs.id
    assert theirs.definition == OTHER


def test_the_default_subscription_is_whichever_there_is(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    deploy(subscription_id="DEFAULT").execute(context)
    (flow,) = stored(globus_sandbox)
    flow.subscription_id = "5a4db0c5-0000-4000-8000-0000000000cc"
    assert deploy(subscription_id="DEFAULT").execute(context)["action"] == "unchanged"


def test_a_policy_is_asked_for(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    policy = "5a4db0c5-0000-4000-8000-0000000000dd"
    with pytest.raises(GlobusError):
        deploy(authentication_policy_id=policy).execute(context)
    (entry,) = globus_sandbox.journal.requests("flows", "POST", "/flows")
    assert entry.body["authentication_policy_id"] == policy


def test_what_depends_on_the_dag_run_is_rendered(context: TaskContext) -> None:
    operator = deploy(title="{{ x }}", definition={"StartAt": "{{ x }}"}, flow_starters=["{{ x }}"], flow_id="{{ x }}")
    context["x"] = "y"
    operator.render_template_fields(context)
    assert (operator.title, operator.definition, operator.flow_starters) == ("y", {"StartAt": "y"}, ["y"])
    assert operator.flow_id == "y"
