"""A host for flows in tests: answers what they ask without any service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_globus.sandbox.flow_language.effects import (
    AwaitResponse,
    Effect,
    Ended,
    Log,
    NamedError,
    OpenWebInput,
    RunAction,
    Sleep,
)
from airflow_provider_globus.sandbox.flow_language.execution import Execution
from airflow_provider_globus.sandbox.flow_language.validation import check_definition

#: What an action is answered with: details of a success, or a whole status document, or an error to throw.
Answers = Callable[[RunAction], Any]


def succeeded(details: Any) -> dict[str, Any]:
    return {"action_id": "a", "status": "SUCCEEDED", "details": details}


def failed(details: Any) -> dict[str, Any]:
    return {"action_id": "a", "status": "FAILED", "details": details}


class Host:
    """Runs one flow; keeps all it was asked for. The clock moves when the flow sleeps."""

    def __init__(self, answers: Answers | None = None, *, response: Any = "yes", **limits: int) -> None:
        self.answers = answers or (lambda action: succeeded(action.body))
        self.response = response
        self.limits = limits
        self.now = 1_000_000.0
        self.asked: list[Effect] = []
        self.log: list[Log] = []

    def run(self, definition: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> Ended:
        assert check_definition(definition) == []
        context = {"run_id": "r", "username": "ada@example.org"}
        execution = Execution(definition, given or {}, context=lambda: context, now=lambda: self.now, **self.limits)
        steps = execution.run()
        answer: Any = None
        while True:
            try:
                effect = steps.throw(answer) if isinstance(answer, NamedError) else steps.send(answer)
            except StopIteration as end:
                ended: Ended = end.value
                return ended
            answer = self._answer(effect)

    def _answer(self, effect: Effect) -> Any:
        if isinstance(effect, Log):
            self.log.append(effect)
            return None
        self.asked.append(effect)
        if isinstance(effect, Sleep):
            self.now = max(self.now, effect.until)
            return None
        if isinstance(effect, OpenWebInput):
            return {"web_input_id": "w"}
        if isinstance(effect, AwaitResponse):
            return self.response if isinstance(self.response, NamedError) else {"response": self.response}
        answer = self.answers(effect)
        return answer if isinstance(answer, NamedError) or "status" in answer else succeeded(answer)

    @property
    def actions(self) -> list[RunAction]:
        return [effect for effect in self.asked if isinstance(effect, RunAction)]

    @property
    def codes(self) -> list[str]:
        return [entry.code for entry in self.log]


def flow(*states: tuple[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A flow of states in a row; those that say neither where to go nor that they end go to the next."""
    named = dict(states)
    names = list(named)
    linked = {}
    for name, following in zip(names, [*names[1:], None], strict=True):
        state = dict(named[name])
        if state["Type"] not in ("Choice", "Fail") and not {"Next", "End"} & set(state):
            state |= {"Next": following} if following else {"End": True}
        linked[name] = state
    return {"StartAt": names[0], "States": linked}


def action(**fields: Any) -> dict[str, Any]:
    state = {"Type": "Action", "ActionUrl": "https://actions.globus.org/hello_world", **fields}
    return state if "InputPath" in fields else {"Parameters": {}, **state}
