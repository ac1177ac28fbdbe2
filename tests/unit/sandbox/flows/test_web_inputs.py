"""What runs ask people, with the SDK's own client; and the pages on which people answer."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import AccessTokenAuthorizer, FlowsAPIError, FlowsClient
from globus_sdk.scopes import Scope
from globus_sdk.transport import RetryConfig

from tests.unit.flows import APPROVAL
from tests.unit.sandbox.flows.test_flows import refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox.flows.models import WebInput
    from tests.unit.sandbox.flows.conftest import Lab


def ask(lab: Lab, definition: dict[str, Any] = APPROVAL, **more: Any) -> WebInput:
    flow = lab.sandbox.add_flow("approval", definition, **more)
    respondents = [f"urn:globus:auth:identity:{lab.person.id}"]
    run_id = lab.flow_client(flow).run_flow({"respondents": respondents}, label="a run")["run_id"]
    return lab.world.flows.wait_for_question(run_id)


def changed(**parameters: Any) -> dict[str, Any]:
    states = dict(APPROVAL["States"])
    asked = {**states["Ask"]["Parameters"], **parameters}
    if "RespondentUrns" in parameters:
        del asked["RespondentUrns.$"]
    states["Ask"] = {**states["Ask"], "Parameters": asked}
    return {**APPROVAL, "States": states}


def test_a_question_and_its_answer(lab: Lab) -> None:
    asked = ask(lab)
    client = lab.client(lab.person.id)
    (summary,) = client.list_web_inputs()
    document = client.get_web_input(asked.id)
    assert set(client.list_web_inputs().data) == {"web_input_summaries", "marker"}
    assert summary["title"] == "Publish?"
    assert summary["run"] == {"id": asked.run.id, "label": "a run"}
    assert document["user_roles"] == ["viewer", "respondent"]
    assert document["context"] == {
        "title": "Publish?",
        "presentation_style": "text",
        "text": "One dataset is ready.",
    }
    assert [option["label"] for option in document["options"]] == ["Approve", "Reject"]
    assert lab.client().get_run(asked.run.id)["blocking_web_input_id"] == asked.id
    approve = document["options"][0]["option_id"]
    assert client.respond_to_web_input(asked.id, approve).data == {"status": "ok"}
    run = lab.world.flows.wait(asked.run.id)
    assert run.details["output"]["answer"]["response"] == "yes"
    assert lab.client().get_run(asked.run.id)["blocking_web_input_id"] is None
    closed = client.get_web_input(asked.id)
    assert closed["status"] == "closed"
    assert closed["closed_timestamp"]
    with pytest.raises(FlowsAPIError) as raised:
        client.respond_to_web_input(asked.id, approve)
    refused(raised, 409, "STATE_CONFLICT", f"Web Input {asked.id} is already closed.")


def test_what_is_no_option(lab: Lab) -> None:
    asked = ask(lab)
    with pytest.raises(FlowsAPIError) as raised:
        lab.client(lab.person.id).respond_to_web_input(asked.id, "not-a-real-option")
    refused(raised, 422, "UNPROCESSABLE_ENTITY", "'not-a-real-option' is not a registered option id for this input.")


def test_only_respondents_answer_and_strangers_see_nothing(lab: Lab) -> None:
    asked = ask(lab)
    owner = lab.client()
    assert owner.get_web_input(asked.id)["user_roles"] == ["viewer"]
    with pytest.raises(FlowsAPIError) as raised:
        owner.respond_to_web_input(asked.id, asked.options[0].id)
    refused(raised, 403, "FORBIDDEN", f"User does not have respondent role on web input {asked.id}")
    stranger = lab.client(lab.other.id)
    assert stranger.list_web_inputs()["web_input_summaries"] == []
    for call in (stranger.get_web_input, lambda i: stranger.respond_to_web_input(i, "x")):
        with pytest.raises(FlowsAPIError) as raised:
            call(asked.id)
        refused(raised, 404, "NOT_FOUND", f"No Web Input exists with id value {asked.id}")


def test_the_scopes_of_web_inputs_are_enough(lab: Lab) -> None:
    asked = ask(lab)
    flows = "https://auth.globus.org/scopes/eec9b274-0c81-4334-bdc2-54e90e689b9a/web_input_"
    assert lab.world.auth.scopes.resource_server(f"{flows}view") == "flows.globus.org"
    looks, responds = (client_with(lab, flows + name) for name in ("view", "respond"))
    assert looks.get_web_input(asked.id)["id"] == asked.id
    calls: tuple[Callable[[], Any], ...] = (
        lambda: looks.respond_to_web_input(asked.id, asked.options[0].id),
        lambda: looks.list_runs(),
    )
    for call in calls:
        with pytest.raises(FlowsAPIError) as raised:
            call()
        refused(raised, 403, "MISSING_SCOPE", "scope")
    assert responds.respond_to_web_input(asked.id, asked.options[0].id).data == {"status": "ok"}


def client_with(lab: Lab, scope: str) -> FlowsClient:
    token = lab.token("flows.globus.org", [Scope(scope)], lab.person.id)
    return FlowsClient(authorizer=AccessTokenAuthorizer(token), retry_config=RetryConfig(max_retries=0))


def test_groups_answer(lab: Lab) -> None:
    group = lab.sandbox.add_group("reviewers", members=[lab.other.id]).id
    asked = ask(lab, changed(RespondentUrns=[f"urn:globus:groups:id:{group}"]))
    assert lab.client(lab.other.id).respond_to_web_input(asked.id, asked.options[1].id)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"filter_states": "open"}, 1),
        ({"filter_states": "closed"}, 0),
        ({"filter_roles": "respondent"}, 1),
        ({"filter_run_ids": "5a4db0c5-0000-4000-8000-0000000000ff"}, 0),
        ({"filter_flow_ids": "5a4db0c5-0000-4000-8000-0000000000ff"}, 0),
        ({"orderby": "created_timestamp ASC", "per_page": 1}, 1),
    ],
)
def test_lists_are_filtered(query: dict[str, Any], count: int, lab: Lab) -> None:
    ask(lab)
    assert len(list(lab.client(lab.person.id).list_web_inputs(**query))) == count


def test_nobody_answers(lab: Lab) -> None:
    states = dict(APPROVAL["States"])
    catch = [{"ErrorEquals": ["Flows.WebInputExpired"], "Next": "Nobody", "ResultPath": "$.error"}]
    states["Answer"] = {**states["Answer"], "Catch": catch}
    states["Nobody"] = {"Type": "Fail", "Error": "NobodyAnswered", "CausePath": "$.error.Cause"}
    asked = ask(lab, {**APPROVAL, "States": states})
    lab.sandbox.clock.advance(lab.sandbox.settings.web_input_seconds + 1)
    run = lab.world.flows.wait(asked.run.id)
    assert run.details["details"]["exception"] == "NobodyAnswered"
    assert asked.id in run.details["details"]["cause"]
    assert lab.client().get_web_input(asked.id)["status"] == "closed"


def test_a_cancelled_run_asks_no_more(lab: Lab) -> None:
    asked = ask(lab)
    lab.client().cancel_run(asked.run.id)
    assert lab.client(lab.person.id).get_web_input(asked.id)["status"] == "closed"


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"InputType": "Text"}, "InputType must be 'Selection'"),
        ({"Context": {"PresentationStyle": "Text", "Text": "t"}}, "Title"),
        ({"Context": {"PresentationStyle": "Text", "Title": "t"}}, "needs a Text"),
        ({"Context": {"PresentationStyle": "Table", "Title": "t"}}, "needs Rows"),
        ({"Context": {"PresentationStyle": "Picture", "Title": "t"}}, "'Text' or 'Table'"),
        ({"Options": []}, "at least one option"),
        ({"Options": [{"Value": "v"}]}, "Value and a Label"),
        ({"Options": [{"Value": "v", "Label": "a"}, {"Value": "v", "Label": "b"}]}, "same Value"),
        ({"RespondentUrns": ["ada@example.edu"]}, "list of URNs"),
        ({"Colour": "red"}, "no Colour"),
    ],
)
def test_questions_that_cannot_be(parameters: dict[str, Any], why: str, lab: Lab) -> None:
    flow = lab.sandbox.add_flow("approval", changed(**parameters))
    respondents = [f"urn:globus:auth:identity:{lab.person.id}"]
    run_id = lab.flow_client(flow).run_flow({"respondents": respondents})["run_id"]
    run = lab.world.flows.wait(run_id)
    assert run.status == "FAILED"
    assert why in run.details["details"]["cause"]


def test_the_web_input_of_another_run(lab: Lab) -> None:
    asked = ask(lab)
    steal = {
        "StartAt": "Answer",
        "States": {"Answer": {"Type": "AwaitWebInput", "Parameters": {"web_input_id": asked.id}, "End": True}},
    }
    run = lab.run(steal)
    assert run.status == "FAILED"
    assert "no web input" in run.details["details"]["cause"]


def test_a_table_is_shown_and_answered_on_the_page(lab: Lab) -> None:
    rows = [{"Field": "Files", "Value": "3"}, {"Field": "<script>", "Value": "alert(1)"}]
    asked = ask(lab, changed(Context={"PresentationStyle": "Table", "Title": "Publish?", "Rows": rows}))
    assert lab.client().get_web_input(asked.id)["context"]["rows"][0] == {"field": "Files", "value": "3"}
    url = f"{lab.sandbox.url}/runs/{asked.run.id}/logs"
    with urllib.request.urlopen(url) as answer:
        text = answer.read().decode()
    assert "Publish?" in text
    assert "<script>" not in text
    assert 'http-equiv="refresh"' not in text
    option = re.search(r'<button name="option" value="([^"]+)">Reject<', text)
    assert option is not None
    form = urllib.parse.urlencode({"web_input": asked.id, "option": option[1]}).encode()
    with urllib.request.urlopen(url, data=form) as answer:
        assert answer.status == 200
    assert lab.world.flows.wait(asked.run.id).details["output"]["answer"]["response"] == "no"


@pytest.mark.parametrize("value", ["Approve", "yes"])
def test_the_control_plane_answers_for_people(value: str, lab: Lab) -> None:
    asked = ask(lab)
    request = urllib.request.Request(
        f"{lab.sandbox.url}/_sandbox/web_inputs/{asked.id}/respond", data=json.dumps({"value": value}).encode()
    )
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["status"] == "closed"
    assert lab.world.flows.wait(asked.run.id).details["output"]["answer"]["response"] == "yes"
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request)


def test_the_control_plane_answers_for_who_was_asked(lab: Lab) -> None:
    asked = ask(lab)
    url = f"{lab.sandbox.url}/_sandbox/web_inputs/{asked.id}/respond"
    for document, why in (
        ({"value": "yes", "as": "bob@example.edu"}, "is not asked by"),
        ({"value": "yes", "as": "nobody@example.edu"}, "There is no identity"),
        ({"value": "maybe", "as": "ada@example.edu"}, "'Approve', 'Reject'"),
        ({"answer": "yes"}, "Unknown fields: answer"),
    ):
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(urllib.request.Request(url, data=json.dumps(document).encode()))
        assert raised.value.code == 400
        assert why in raised.value.read().decode()
    document = {"value": asked.options[1].id, "as": "ada@example.edu"}
    with urllib.request.urlopen(urllib.request.Request(url, data=json.dumps(document).encode())):
        pass
    assert lab.world.flows.wait(asked.run.id).details["output"]["answer"] == {"response": "no"}
