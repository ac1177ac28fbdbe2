"""How flow runs, and what they ask people, are judged; and what of a run's log is told when."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_globus.jobs.base import Outcome, Verdict
from airflow_provider_globus.jobs.flows import FlowRuns, WebInputs, reason

RUN_ID = "cfdaf0a4-0931-40af-b974-b619ce69f401"
SCOPE = "https://auth.globus.org/scopes/f/flow_f_user[urn:globus:auth:scope:transfer.api.globus.org:all]"


def judge(
    details: dict[str, Any] | None = None, memory: dict[str, Any] | None = None, now: float = 0.0, **run: Any
) -> Verdict:
    document = {"run_id": RUN_ID, "flow_id": "f", "status": "ACTIVE", "details": details, "url": "https://page", **run}
    rules = {"inactive_grace": run.pop("grace", 0)}
    return FlowRuns().judge([document], rules, {} if memory is None else memory, now)


def test_success_leaves_the_output_to_whoever_wants_it() -> None:
    verdict = judge({"code": "FlowSucceeded", "output": {"much": "x" * 1000}}, status="SUCCEEDED", label="l")
    assert verdict.outcome == Outcome.SUCCEEDED
    assert verdict.result["run_id"] == RUN_ID
    assert verdict.result["label"] == "l"
    assert len(str(verdict.result)) < 500


@pytest.mark.parametrize("status", ["FAILED", "ENDED", "SOMETHING_NEW"])
def test_any_other_end_is_a_failure(status: str) -> None:
    details = {"code": "FlowFailed", "description": "It failed", "details": {"state_name": "Move", "cause": "No disk"}}
    verdict = judge(details, status=status)
    assert verdict.outcome == Outcome.FAILED
    assert verdict.code == "FlowFailed"
    assert "in state 'Move': It failed: No disk" in verdict.message


def test_a_failure_without_details_is_one_all_the_same() -> None:
    verdict = judge(None, status="FAILED")
    assert (verdict.outcome, verdict.code) == (Outcome.FAILED, "FAILED")


def test_an_unknown_run_is_lost() -> None:
    assert FlowRuns().judge([None], {}, {}, 0).outcome == Outcome.LOST


def test_progress_names_the_state() -> None:
    verdict = judge({"code": "ActionStarted", "description": "Moving", "state_name": "Move"})
    assert verdict.outcome == Outcome.RUNNING
    assert "Move" in verdict.progress
    assert "Moving" in verdict.progress


def test_a_person_who_has_to_answer_is_told_where() -> None:
    verdict = judge(blocking_web_input_id="w")
    assert verdict.outcome == Outcome.RUNNING
    assert "https://page" in verdict.progress


def test_a_suspended_run_names_the_consent() -> None:
    verdict = judge({"code": "ConsentRequired", "description": "Consent!", "required_scope": SCOPE}, status="INACTIVE")
    assert verdict.outcome == Outcome.INACTIVE
    assert verdict.code == "ConsentRequired"
    assert SCOPE in verdict.message
    assert verdict.result["required_scope"] == SCOPE


def test_a_suspension_is_borne_for_the_grace_only_and_counted_anew() -> None:
    memory: dict[str, Any] = {}
    run = {"run_id": RUN_ID, "flow_id": "f", "status": "INACTIVE", "details": {"code": "ConsentRequired"}}
    rules = {"inactive_grace": 60}

    def look(now: float, **changes: Any) -> Outcome:
        return FlowRuns().judge([run | changes], rules, memory, now).outcome

    assert look(0) == Outcome.RUNNING
    assert look(59) == Outcome.RUNNING
    assert look(60) == Outcome.INACTIVE
    assert look(61, status="ACTIVE") == Outcome.RUNNING
    assert look(62) == Outcome.RUNNING


def entry(second: int, code: str, **details: Any) -> dict[str, Any]:
    time = f"2026-01-01T00:00:{second:02d}.000000+00:00"
    return {"time": time, "code": code, "description": f"the {code}", "details": details}


def test_each_entry_of_the_log_is_told_once() -> None:
    runs, memory = FlowRuns(), dict[str, Any]()
    first = [entry(1, "FlowStarted"), entry(2, "PassStarted"), entry(2, "PassCompleted")]
    assert runs.news([{"log": first}], memory) == [
        "FlowStarted: the FlowStarted",
        "PassStarted: the PassStarted",
        "PassCompleted: the PassCompleted",
    ]
    assert runs.news([{"log": first}], memory) == []
    # Written in the same moment as the last one that was told.
    more = [*first, entry(2, "ActionStarted"), entry(3, "ActionFailed", cause="No\n disk")]
    assert runs.news([{"log": more[1:]}], memory) == [
        "ActionStarted: the ActionStarted",
        "ActionFailed: the ActionFailed: No disk",
    ]
    assert runs.news([{}, None], memory) == []


def test_what_a_state_takes_and_gives_stays_out_of_the_log() -> None:
    (line,) = FlowRuns().news([{"log": [entry(1, "ActionStarted", input={"password": "secret"})]}], {})
    assert "secret" not in line


def test_a_reason_is_one_line_and_never_endless() -> None:
    said = reason({"description": "a\nb", "details": {"exception": "x" * 5000}})
    assert "\n" not in said
    assert len(said) <= 1000


QUESTION = {
    "id": "w",
    "status": "open",
    "context": {"title": "Publish?"},
    "options": [{"option_id": "1", "label": "Approve"}, {"option_id": "2", "label": "Reject"}],
    "run": {"id": RUN_ID},
    "url": "https://page",
}


@pytest.mark.parametrize(
    ("document", "wait_for", "outcome"),
    [
        ({}, "open", Outcome.RUNNING),
        (QUESTION, "open", Outcome.SUCCEEDED),
        ({"ended": "FAILED"}, "open", Outcome.FAILED),
        (None, "open", Outcome.LOST),
        (QUESTION, "closed", Outcome.RUNNING),
        (QUESTION | {"status": "closed"}, "closed", Outcome.SUCCEEDED),
        (QUESTION | {"status": "expired"}, "closed", Outcome.SUCCEEDED),
    ],
)
def test_questions(document: dict[str, Any] | None, wait_for: str, outcome: Outcome) -> None:
    verdict = WebInputs().judge([document], {"wait_for": wait_for}, {}, 0)
    assert verdict.outcome == outcome
    if document and "id" in document and outcome == Outcome.SUCCEEDED:
        assert [option["label"] for option in verdict.result["options"]] == ["Approve", "Reject"]
    if wait_for == "closed" and outcome == Outcome.RUNNING:
        assert "https://page" in verdict.progress
        assert "Approve, Reject" in verdict.progress
