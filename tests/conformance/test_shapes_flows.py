"""The answers of Flows have the keys and types of the SDK's recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import AccessTokenAuthorizer, FlowsAPIError, SpecificFlowClient
from globus_sdk.testing import get_response_set
from globus_sdk.transport import RetryConfig

from tests.conformance import shapes
from tests.conformance.flows_site import APIS, HELLO, NOTE, PATH, FlowsSite, schemas
from tests.conformance.recordings import Recordings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from globus_sdk.testing import RegisteredResponse

    from airflow_provider_globus.sandbox import GlobusSandbox

UNKNOWN = "00000000-0000-4000-8000-000000000000"
POLICY = "6f2c1d7e-0000-4000-8000-000000000000"
BROKEN = {"StartAt": "Step1", "States": {"Step1": {"Type": "Action", "ActionUrl": "https://example.org"}}}
BOOLEAN = {"type": "object", "properties": {"bool": {"type": "boolean"}}, "additionalProperties": False}

SCHEMAS = schemas()

# What a flow's author writes, and what its states make, is different in every flow.
FREE = (
    "definition", "input", "input_schema", "output", "oneOf", "rows", "options", "context",
    "specification", "components", "state_input_schema", "scopes", "template",
)  # fmt: skip
_DIVERSE = "other recordings have it: each is of another version of the service"
_NEWER = "the published schema has it; the recording is older"
_OF_A_RUN = {
    "action_id": "the schema requires it; the recordings get_run and list_runs have it",
    "created_by": "the recordings get_run and list_runs have it",
    "manage_by": "the recordings get_run and list_runs have it",
    "monitor_by": "the recordings get_run and list_runs have it",
    "completion_time": "the schema requires it; the recordings get_run and list_runs have it",
    "user_roles": _NEWER,
    "blocking_web_input_id": "the types of globus-sdk-javascript at a30fbfb have it; the recordings are older",
}
_OF_A_FLOW = {
    "globus_auth_scopes_by_RunAs": "the published schema has it, and the guide to authoring flows explains it",
    "user_roles": _NEWER,
    "is_high_assurance": _NEWER,
    **dict.fromkeys(("action_url", "flow_url", "run_managers", "run_monitors"), _DIVERSE),
}


@pytest.fixture
def site(globus_sandbox: GlobusSandbox) -> FlowsSite:
    return FlowsSite(globus_sandbox)


def _updated_flow(site: FlowsSite) -> Any:
    return site.client.update_flow(site.flow(NOTE).id, subtitle="Specifically, in two steps", subscription_id=UNKNOWN)


def _administrators(site: FlowsSite) -> Any:
    return site.client.create_flow("Multi Step Transfer", NOTE, {}, flow_administrators=[UNKNOWN, POLICY])


def _get_run(site: FlowsSite) -> Any:
    return site.client.get_run(site.succeeded())


def _list_runs(site: FlowsSite) -> Any:
    site.succeeded()
    return site.client.list_runs()


def _runs_of_a_flow(site: FlowsSite) -> Any:
    flow = site.flow(NOTE)
    site.wait(site.start(flow))
    return site.client.list_runs(filter_flow_id=flow.id)


def _pages_of_runs(site: FlowsSite) -> Any:
    flow = site.flow(NOTE)
    for _ in range(5):
        site.wait(site.start(flow))
    return site.client.list_runs(query_params={"per_page": 2})


def _pages_of_flows(site: FlowsSite) -> Any:
    for _ in range(5):
        site.flow(NOTE)
    return site.client.list_flows(query_params={"per_page": 2})


def _pages_of_a_log(site: FlowsSite) -> Any:
    return site.client.get_run_logs(site.succeeded(PATH), limit=2)


def _apis(site: FlowsSite, *, per_page: int = 20) -> Any:
    for name in APIS:
        site.sandbox.world.flows.add_registered_api(name, len, description="counts")
    return site.client.list_registered_apis(per_page=per_page)


def _api(site: FlowsSite) -> Any:
    viewers = ["all_authenticated_users"]
    api_id = site.sandbox.world.flows.add_registered_api("count", len, description="counts", viewers=viewers)
    return site.client.get_registered_api(api_id)


def _web_inputs(site: FlowsSite, count: int = 1) -> Any:
    for _ in range(count):
        site.asked()
    return site.person.list_web_inputs(query_params={"per_page": 2})


def _closed(site: FlowsSite) -> str:
    web_input = site.asked()
    site.sandbox.world.flows.answer(web_input, "yes")
    return web_input


def _without_a_policy_met(site: FlowsSite) -> str:
    web_input = site.asked()
    run = site.sandbox.world.flows.web_inputs[web_input].run
    run.flow.authentication_policy_id = POLICY
    return web_input


def _respond(site: FlowsSite, web_input: str | None = None) -> Any:
    web_input = web_input or site.asked()
    option = site.sandbox.world.flows.web_inputs[web_input].options[0].id
    return site.person.respond_to_web_input(web_input, option)


def _forbidden(site: FlowsSite) -> Any:
    web_input = site.asked()
    return site.client.respond_to_web_input(web_input, "x")


def _resumed(site: FlowsSite) -> Any:
    run_id = site.suspended()
    flow_id = site.sandbox.world.flows.runs[run_id].flow_id
    return site.flow_client(flow_id).resume_run(run_id)


def _release(site: FlowsSite) -> Any:
    return site.client.delete_run(site.succeeded())


def _without_scope(site: FlowsSite) -> Any:
    flow = site.flow(NOTE)
    return site.client.post(f"/flows/{flow.id}/run", data={"body": {}})


def _invalid_token(site: FlowsSite) -> Any:
    flow = site.flow(NOTE)
    authorizer = AccessTokenAuthorizer("not a token")
    return SpecificFlowClient(flow.id, authorizer=authorizer, retry_config=RetryConfig(max_retries=0)).validate_run({})


def _not_a_starter(site: FlowsSite) -> Any:
    flow = site.flow(NOTE, viewers=["public"])
    return site.flow_client(flow.id, site.lab.person.id).validate_run({})


def _run_flow(site: FlowsSite) -> Any:
    flow = site.flow(HELLO)
    body = {"who": "you"}
    return site.flow_client(flow.id).run_flow(body, label="Transfer all of these files!", tags=["jazz-fans"])


#: The call of each recorded response, after what brings Flows into the state it is of.
SCENARIOS: dict[str, Callable[[FlowsSite], Any]] = {
    "cancel_run:default": lambda site: site.client.cancel_run(site.active()),
    "create_flow:bad_admin_principal_error": _administrators,
    "create_flow:default": lambda site: site.client.create_flow("Multi Step Transfer", HELLO, {}),
    "delete_flow:default": lambda site: site.client.delete_flow(site.flow(NOTE).id),
    "delete_run:conflict": lambda site: site.client.delete_run(site.active()),
    "delete_run:default": _release,
    "get_flow:default": lambda site: site.client.get_flow(site.flow(NOTE).id),
    "get_registered_api:default": _api,
    "get_run:default": _get_run,
    "get_run_definition:default": lambda site: site.client.get_run_definition(site.succeeded(NOTE)),
    "get_run_logs:default": lambda site: site.client.get_run_logs(site.succeeded(), limit=10),
    "get_run_logs:paginated": _pages_of_a_log,
    "get_web_input:auth_policy_required": lambda site: site.person.get_web_input(_without_a_policy_met(site)),
    "get_web_input:closed": lambda site: site.person.get_web_input(_closed(site)),
    "get_web_input:default": lambda site: site.person.get_web_input(site.asked()),
    "get_web_input:not_found": lambda site: site.person.get_web_input(UNKNOWN),
    "get_web_input:table_context": lambda site: site.person.get_web_input(site.asked(table=True)),
    "list_flows:default": lambda site: site.listed_flows(),
    "list_flows:paginated": _pages_of_flows,
    "list_registered_apis:default": _apis,
    "list_registered_apis:paginated": lambda site: _apis(site, per_page=2),
    "list_runs:default": _list_runs,
    "list_runs:filter_flow_id": _runs_of_a_flow,
    "list_runs:paginated": _pages_of_runs,
    "list_web_inputs:default": _web_inputs,
    "list_web_inputs:empty": lambda site: site.person.list_web_inputs(),
    "list_web_inputs:paginated": lambda site: _web_inputs(site, 5),
    "respond_to_web_input:auth_policy_required": lambda site: _respond(site, _without_a_policy_met(site)),
    "respond_to_web_input:closed": lambda site: _respond(site, _closed(site)),
    "respond_to_web_input:default": _respond,
    "respond_to_web_input:forbidden": _forbidden,
    "respond_to_web_input:invalid_option": lambda site: site.person.respond_to_web_input(site.asked(), "none"),
    "respond_to_web_input:not_found": lambda site: site.person.respond_to_web_input(UNKNOWN, "x"),
    "resume_run:default": _resumed,
    "run_flow:default": _run_flow,
    "run_flow:missing_scope_error": _without_scope,
    "update_flow:default": _updated_flow,
    "update_run:default": lambda site: site.client.update_run(site.active(), label="renamed", tags=["jazz-fans"]),
    "validate_flow:default": lambda site: site.client.validate_flow(site.moving()),
    "validate_flow:definition_error": lambda site: site.client.validate_flow(BROKEN),
    "validate_run:default": lambda site: site.flow_client(site.flow(NOTE).id).validate_run({}),
    "validate_run:invalid_input_payload": lambda site: site.flow_client(
        site.flow(NOTE, input_schema=BOOLEAN).id
    ).validate_run({"bool": "not-a-boolean"}),
    "validate_run:invalid_token": _invalid_token,
    "validate_run:not_a_flow_starter": _not_a_starter,
}


def _flow_with_a_policy(site: FlowsSite) -> Any:
    return site.client.get_flow(site.flow(NOTE, authentication_policy_id=POLICY).id)


QUOTED: dict[str, Callable[[FlowsSite], Any]] = {
    "flow_with_a_policy": _flow_with_a_policy,
    "run_without_a_consent": lambda site: site.client.get_run(site.suspended()),
}
_RUN_ANSWERS = ("cancel_run", "delete_run", "get_run", "resume_run", "run_flow", "update_run")
_FLOW_ANSWERS = ("create_flow", "delete_flow", "get_flow", "update_flow")
RECORDINGS = Recordings(
    service="flows",
    scenarios=SCENARIOS,
    quoted=QUOTED,
    stale={
        **{
            f"{name}:.search": "a trace of the service's own index of runs, which newer recordings (get_run) lack"
            for name in _RUN_ANSWERS
        },
        **{
            f"{name}:.details.details": "a copy of what run_flow answers; this run has begun, and says where it is"
            for name in ("resume_run", "update_run")
        },
    },
    extras={
        **{f"{name}:.{key}": why for name in _RUN_ANSWERS for key, why in _OF_A_RUN.items()},
        **{f"list_runs:.runs[].{key}": why for key, why in _OF_A_RUN.items()},
        **{f"{name}:.{key}": why for name in _FLOW_ANSWERS for key, why in _OF_A_FLOW.items()},
        **{f"list_flows:.flows[].{key}": why for key, why in _OF_A_FLOW.items()},
        **{f"run_without_a_consent:.{key}": why for key, why in _OF_A_RUN.items()},
        **dict.fromkeys(
            (
                "run_without_a_consent:.details.authorization_parameters",
                "run_without_a_consent:.details.action_statuses[].details.authorization_parameters",
            ),
            "the suspended run beside it in the same tests, which asks for a login, has it",
        ),
        "flow_with_a_policy:.error": "the recorded error of get_web_input has it beside the same parameters",
        "list_runs:.marker": "the recorded list of all runs has it",
        **{
            f"get_run_logs:.entries[].details.{name}": "recorded entries of states have it; the first is of the flow"
            for name in ("state_name", "state_type", "output")
        },
        ".debug_id": "every recorded error has it, save those of web inputs",
        ".error.message": "the recorded error of validate_flow has it beside the same list of what is wrong",
        **{
            f"{name}:.details.state_name": "recorded runs that are suspended say where they are: this one has begun"
            for name in ("resume_run", "update_run")
        },
    },
    free=FREE,
    openapi=SCHEMAS,
)


@pytest.mark.parametrize("name", RECORDINGS.names())
def test_answers_have_what_the_recorded_ones_have(name: str, site: FlowsSite) -> None:
    RECORDINGS.check(name, site, site.sandbox)


@pytest.mark.parametrize("name", QUOTED)
def test_answers_have_what_the_quoted_ones_have(name: str, site: FlowsSite) -> None:
    RECORDINGS.check_quoted(name, site, site.sandbox)


def test_every_recording_has_its_scenario() -> None:
    RECORDINGS.check_complete()


def _with_flow_descriptions(site: FlowsSite) -> list[Any]:
    run_id = site.succeeded()
    described = [site.client.get_run(run_id, include_flow_description=wanted) for wanted in (False, True)]
    return [site.client.get_run(run_id), *described]


def _runs_of_two_flows(site: FlowsSite) -> list[Any]:
    first, second = site.flow(NOTE), site.flow(NOTE)
    for flow in (first, second, second):
        site.wait(site.start(flow))
    found = [site.client.list_runs(filter_flow_id=wanted.id) for wanted in (first, second)]
    # A list and the text that it is sent as ask for the same.
    found += [site.client.list_runs(filter_flow_id=w) for w in ([first.id, second.id], f"{first.id},{second.id}")]
    assert [len(answer["runs"]) for answer in found] == [1, 2, 3, 3]
    return found


#: What calls answer whose recording holds several responses: to the same call with other parameters, or pages.
IN_PARTS: dict[str, Callable[[FlowsSite], list[Any]]] = {
    "get_run:default": _with_flow_descriptions,
    "get_run_logs:paginated": lambda site: _pages(site, "get_run_logs", site.succeeded(PATH), limit=4),
    "list_flows:paginated": lambda site: _all_pages(site, _pages_of_flows, "list_flows"),
    "list_registered_apis:paginated": lambda site: _all_pages(site, _apis, "list_registered_apis"),
    "list_runs:filter_flow_id": _runs_of_two_flows,
    "list_runs:paginated": lambda site: _all_pages(site, _pages_of_runs, "list_runs"),
    "list_web_inputs:paginated": lambda site: _all_pages(site, lambda site: _web_inputs(site, 5), "list_web_inputs"),
}


def _all_pages(site: FlowsSite, fill: Callable[[FlowsSite], Any], method: str) -> list[Any]:
    fill(site)
    return _pages(site, method, query_params={"per_page": 2})


def _pages(site: FlowsSite, method: str, *arguments: Any, **more: Any) -> list[Any]:
    client = site.person if method == "list_web_inputs" else site.client
    return list(getattr(client.paginated, method)(*arguments, **more))


@pytest.mark.parametrize("name", IN_PARTS)
def test_every_part_of_a_recording_is_answered(name: str, site: FlowsSite) -> None:
    answers = IN_PARTS[name](site)
    for response, answer in zip(_responses(name), answers, strict=True):
        document, recorded = getattr(answer, "full_data", answer.data), dict(response.json or {})
        assert list(shapes.lacking(recorded, document, free=FREE)) == []
        assert ("flow_description" in document) == ("flow_description" in recorded)
        assert bool(document.get("marker")) == bool(recorded.get("marker"))
        assert document.get("has_next_page") == recorded.get("has_next_page")
        SCHEMAS.check(site.sandbox, answer.headers, document)


def _responses(name: str) -> list[RegisteredResponse]:
    set_name, _, case = name.partition(":")
    found = get_response_set(f"flows.{set_name}").lookup(case)
    return list(getattr(found, "responses", [found]))


def test_every_recording_of_several_responses_is_taken_apart() -> None:
    assert {name for name in RECORDINGS.names() if len(_responses(name)) > 1} == set(IN_PARTS)


# The published schemas


def _runs(site: FlowsSite) -> Iterator[tuple[str, str]]:
    """Yield a run in each of its states."""
    yield "active", site.active()
    yield "suspended", site.suspended()
    yield "succeeded", site.succeeded()
    yield "failed", site.failed()
    yield "asking", site.sandbox.world.flows.web_inputs[site.asked()].run.id
    cancelled = site.active()
    site.client.cancel_run(cancelled)
    yield "cancelled", cancelled


def _emitted(site: FlowsSite) -> Iterator[tuple[str, Any]]:
    """Yield every kind of document that Flows tells, in its different states."""
    client, ada = site.client, f"urn:globus:auth:identity:{site.lab.person.id}"
    plain = site.flow(NOTE)
    yield "a flow with the least", client.get_flow(plain.id)
    people: Any = {f"flow_{name}": [ada] for name in ("viewers", "starters", "administrators")}
    people |= {"run_managers": [ada], "run_monitors": [ada]}
    made = client.create_flow(
        "everything", HELLO, BOOLEAN, subtitle="s", description="d", keywords=["k"], subscription_id="DEFAULT",
        **people,
    )  # fmt: skip
    yield "a flow with everything", made
    yield "a flow, changed", client.update_flow(made["id"], subtitle="changed")
    yield "a flow, to its administrator", site.person.get_flow(made["id"])
    yield "a flow, to a run manager", site.person.get_flow(site.flow(NOTE, run_managers=[ada]).id)
    yield "a flow, deleted", client.delete_flow(made["id"])
    yield "a flow with nothing to consent to", client.validate_flow(NOTE)
    yield "a flow with something to consent to", client.validate_flow(site.moving())
    for what, run_id in _runs(site):
        flow_id = site.sandbox.world.flows.runs[run_id].flow_id
        yield f"a run, {what}", client.get_run(run_id)
        yield f"a run, {what}, with its flow", client.get_run(run_id, include_flow_description=True)
        yield f"a run, {what}, changed", client.update_run(run_id, label=what)
        yield f"the log of a run, {what}", client.get_run_logs(run_id)
        yield f"the log at its older address, {what}", client.get(f"/flows/{flow_id}/runs/{run_id}/log")
        yield f"the definition of a run, {what}", client.get_run_definition(run_id)
        yield f"the runs of a flow, {what}", client.get(f"/flows/{flow_id}/runs")
    yield "all runs", client.list_runs()
    yield "a run that is monitored", site.person.get_run(site.monitored())
    suspended = site.suspended()
    flow_id = site.sandbox.world.flows.runs[suspended].flow_id
    yield "a run, resumed at its older address", client.post(f"/flows/{flow_id}/{suspended}/resume")
    changes = {"set": {"tags": ["done"]}, "add": {"run_monitors": [ada]}, "remove": {"run_managers": [ada]}}
    yield "runs changed together", client.post("/batch/runs", data={"filters": {"run_ids": [suspended]}, **changes})
    yield "a run of a deleted flow", _run_of_a_deleted_flow(site)


def _run_of_a_deleted_flow(site: FlowsSite) -> Any:
    run_id = site.succeeded()
    site.client.delete_flow(site.sandbox.world.flows.runs[run_id].flow_id)
    return site.client.get_run(run_id, include_flow_description=True)


def test_every_document_keeps_to_its_schema(site: FlowsSite) -> None:
    seen: dict[str, Any] = {}
    for what, response in _emitted(site):
        document = getattr(response, "full_data", response.data)
        assert SCHEMAS.check(site.sandbox, response.headers, document), what
        seen[what] = document
    states = {document["status"] for document in seen.values() if "run_id" in document}
    assert states == {"ACTIVE", "INACTIVE", "SUCCEEDED", "FAILED"}
    assert seen["a run, suspended"]["details"]["code"] == "ConsentRequired"
    assert seen["a run, cancelled"]["details"]["code"] == "FlowCanceled"
    assert "deleted_at" in seen["a run of a deleted flow"]["flow_description"]
    assert "subscription_id" in seen["a flow with everything"]
    assert "subscription_id" not in seen["a flow with the least"]
    assert seen["a flow, to a run manager"]["user_role"] == "run_manager"


def test_every_refusal_that_has_a_schema_keeps_to_it(site: FlowsSite) -> None:
    client, running = site.client, site.active()
    batch: list[dict[str, Any]] = [
        {"filters": {"run_ids": [UNKNOWN]}, "set": {"tags": []}},
        {"filters": {}},
        {"filters": {"run_ids": [running]}, "colour": "red"},
        {"filters": {"run_ids": [running]}, "set": {"tags": "x"}},
        {"filters": {"run_ids": [running]}, "set": {"status": "ENDED"}},
        {"filters": {"run_ids": [running]}, "add": "x"},
        {"filters": {"run_ids": [running]}, "add": {"label": "x"}},
        {"filters": {"run_ids": [running]}, "add": {"tags": ["x"]}, "remove": {"tags": ["x"]}},
    ]
    statuses = []
    calls: list[tuple[str, dict[str, Any]]] = [("/batch/runs", document) for document in batch]
    for address, document in [*calls, ("/flows/validate", {"definition": BROKEN})]:
        with pytest.raises(FlowsAPIError) as raised:
            client.post(address, data=document)
        assert SCHEMAS.check(site.sandbox, raised.value.headers, raised.value.raw_json)
        statuses.append(raised.value.http_status)
    assert statuses == [403, *[422] * 8]
    assert site.sandbox.world.flows.runs[running].tags == ["cool"]


# Pages for people


def test_what_a_run_asks_is_answered_on_its_page(site: FlowsSite) -> None:
    web_input = site.sandbox.world.flows.web_inputs[site.asked(table=True)]
    address = f"/runs/{web_input.run.id}/logs"
    assert "Publish?" in site.client.get(address).text
    form = {"web_input": web_input.id, "option": web_input.options[1].id}
    assert site.client.post(address, data=form, encoding="form").http_status == 200
    site.wait(web_input.run.id)
    assert "SUCCEEDED" in site.client.get(address).text
    assert site.client.get_run(web_input.run.id)["details"]["output"]["answer"] == {"response": "no"}


def test_an_option_is_chosen_on_its_page(site: FlowsSite) -> None:
    options = [{"name": "Go on", "url_suffix": "go"}, {"name": "Stop", "url_suffix": "stop"}]
    wait = {
        "Type": "Action",
        "ActionUrl": "https://actions.globus.org/weboption/wait_for_option",
        "Parameters": {"options": options, "landing_page": {"url_suffix": "which", "page_title": "Which?"}},
        "ResultPath": "$.chosen",
        "End": True,
    }
    run_id = site.start(site.flow({"StartAt": "Wait", "States": {"Wait": wait}}))
    flows = site.sandbox.world.flows
    with flows.changed:
        assert flows.changed.wait_for(lambda: "go" in flows.option_pages, 10)
    assert "Which?" in site.client.get("/weboption/landing_page/which").text
    assert "Go on" in site.client.get("/weboption/option/go").text
    site.wait(run_id)
    assert site.client.get_run(run_id)["details"]["output"]["chosen"]["details"]["name"] == "Go on"
