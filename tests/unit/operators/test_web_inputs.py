"""Answers to what flow runs ask, through the real SDK, in the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.exceptions import (
    GlobusConflictError,
    GlobusInputError,
    GlobusNotFoundError,
    GlobusPermissionError,
)
from airflow_provider_globus.operators.web_inputs import GlobusRespondWebInputOperator
from tests.unit.flows import APPROVAL, ask

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from tests.unit.conftest import TaskContext

RESPOND = {"service": "flows", "method": "POST", "path": "*/respond", "times": 1}


def respond(**arguments: Any) -> GlobusRespondWebInputOperator:
    return GlobusRespondWebInputOperator(task_id="respond", **arguments)


@pytest.mark.parametrize("by", ["label", "option_id"])
def test_answers_and_the_run_goes_on(by: str, globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    run_id, question = ask(globus_sandbox)
    option = next(option for option in question["options"] if option["label"] == "Approve")
    assert respond(web_input_id=question["id"], response=option[by]).execute(context) == "Approve"
    run = globus_sandbox.world.flows.wait(run_id, "SUCCEEDED")
    assert run.details["output"]["answer"]["response"] == "yes"


def test_an_option_that_is_none_lists_those_there_are(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    _, question = ask(globus_sandbox)
    with pytest.raises(GlobusInputError, match=r"'maybe' is no option of 'Publish[?]'.*'Approve', 'Reject'"):
        respond(web_input_id=question["id"], response="maybe").execute(context)
    assert globus_sandbox.journal.count("flows", "POST", "*/respond") == 0


def test_a_question_that_is_answered_already(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    _, question = ask(globus_sandbox)
    answer = respond(web_input_id=question["id"], response="Reject")
    answer.execute(context)
    with pytest.raises(GlobusConflictError, match="answered or has expired"):
        answer.execute(context)


def test_who_is_not_asked_may_not_answer(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    person = globus_sandbox.add_identity("reviewer@example.edu")
    _, question = ask(globus_sandbox, respondent=f"urn:globus:auth:identity:{person.id}")
    with pytest.raises((GlobusPermissionError, GlobusNotFoundError)):
        respond(web_input_id=question["id"], response="Approve").execute(context)


def test_ids_must_be_ids(context: TaskContext) -> None:
    with pytest.raises(GlobusInputError, match="no UUID"):
        respond(web_input_id="nonsense", response="Approve").execute(context)


def test_the_flow_used_here_is_one(globus_sandbox: GlobusSandbox) -> None:
    assert {state["Type"] for state in APPROVAL["States"].values()} == {"CreateWebInput", "AwaitWebInput"}


def test_a_lost_answer_is_no_failure(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    run_id, question = ask(globus_sandbox)
    globus_sandbox.faults.add(RESPOND | {"drop_after": True})
    assert respond(web_input_id=question["id"], response="Approve").execute(context) == "Approve"
    run = globus_sandbox.world.flows.wait(run_id, "SUCCEEDED")
    assert run.details["output"]["answer"]["response"] == "yes"


def test_an_answer_that_got_lost_on_its_way_is_given_again(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    run_id, question = ask(globus_sandbox)
    globus_sandbox.faults.add(RESPOND | {"drop": True})
    assert respond(web_input_id=question["id"], response="Approve").execute(context) == "Approve"
    globus_sandbox.world.flows.wait(run_id, "SUCCEEDED")


def test_a_label_that_two_options_have_is_ambiguous(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    _, question = ask(globus_sandbox)
    for option in globus_sandbox.world.flows.web_inputs[question["id"]].options:
        option.label = "Approve"
    with pytest.raises(GlobusInputError, match="'Approve' is ambiguous"):
        respond(web_input_id=question["id"], response="Approve").execute(context)
    chosen = question["options"][1]["option_id"]
    assert respond(web_input_id=question["id"], response=chosen).execute(context) == "Approve"
