"""Whole flows, from their input to their end: those of ``whole_flows.yaml``, and long ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_globus.sandbox.flow_language.effects import NamedError, RunAction
from tests.unit.sandbox.flow_language.host import Host, action, failed, flow, succeeded

FLOWS: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("whole_flows.yaml").read_text())


def said(answer: Any) -> Any:
    if isinstance(answer, dict) and "raises" in answer:
        return NamedError(*answer["raises"])
    if isinstance(answer, dict) and "fails" in answer:
        return failed(answer["fails"])
    return answer


def host_of(case: dict[str, Any]) -> Host:
    waiting = {name: list(answers) for name, answers in case.get("answers", {}).items()}

    def answer(asked: RunAction) -> Any:
        answers = waiting.get(asked.state_name)
        if not answers:
            return succeeded({})
        found = said(answers.pop(0) if len(answers) > 1 else answers[0])
        return found if isinstance(found, NamedError) or "status" in found else succeeded(found)

    return Host(answer, response=said(case.get("response")))


@pytest.mark.parametrize("name", FLOWS)
def test_whole_flow(name: str) -> None:
    case = FLOWS[name]
    host = host_of(case)
    began = host.now
    ended = host.run(FLOWS[case.get("like", name)]["definition"], case["input"])
    started = [entry.details for entry in host.log if entry.code.endswith("Started")]
    assert [details["state_name"] for details in started if "state_name" in details] == case["passes"]
    assert ended.error == case.get("error")
    if "output" in case:
        assert ended.output == case["output"]
    sent = {asked.state_name: asked.body for asked in host.actions}
    for state_name, body in case.get("sends", {}).items():
        assert sent[state_name] == body
    assert host.now - began == case.get("sleeps", 0)
    if "never_logged" in case:
        assert case["never_logged"] not in str(host.log)
        assert case["never_logged"] not in str([asked.shown for asked in host.actions])


def test_nineteen_states_in_a_row() -> None:
    steps = [
        (
            f"Step{number}",
            action(
                Parameters={"n": number, "before.=": f"getattr('s{number - 1}.details.n', default=0)"},
                ResultPath=f"$.s{number}",
            ),
        )
        for number in range(1, 19)
    ]
    last = {
        "Type": "ExpressionEval",
        "Parameters": {"all.=": "s17.details.n + s18.details.before"},
        "ResultPath": "$.r",
    }
    host = Host()
    ended = host.run(flow(*steps, ("Last", last)))
    assert ended.output["r"] == {"all": 34}
    assert len(host.actions) == 18
    assert [asked.body["before"] for asked in host.actions] == list(range(18))
    assert len(host.codes) == 2 + 2 * 19
