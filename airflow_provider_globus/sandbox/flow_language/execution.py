"""Running a flow: state after state, asking the host for what the language itself cannot do.

No recording of the service confirms these: the codes of failures in the log, the document that ``Catch`` hands on,
the names ``States.NoChoiceMatched`` (no choice matches, and there is no ``Default``) and ``States.Fail`` (a ``Fail``
state that names no error), and that actions that fail raise unless told otherwise.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Generator, Mapping
from typing import Any, TypeAlias

from airflow_provider_globus.sandbox.flow_language.choice import holds, rfc3339
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
from airflow_provider_globus.sandbox.flow_language.parameters import fill
from airflow_provider_globus.sandbox.flow_language.paths import CONTEXT, RUNTIME_ERROR, read, shown, write

State: TypeAlias = dict[str, Any]
Steps: TypeAlias = Generator[Effect, Any, Any]

#: Bytes of a run's state; the service's own limit.
MOST_STATE_BYTES = 200_000
#: States that a run passes through at most, so that an endless loop ends.
MOST_TRANSITIONS = 10_000
#: How deep the values of a run's state may lie in one another.
MOST_DEPTH = 100
#: Seconds that a ``Wait`` state waits at most: a year.
LONGEST_WAIT_SECONDS = 31_536_000
DEFAULT_WAIT_TIME = 300.0
EXCEPTION_ON_ACTION_FAILURE = True
CATCH_ALL = "States.ALL"
#: Codes of failures in the log; the first has the type of the state before it.
STATE_FAILURE, FLOW_FAILURE = "Failed", "FlowFailed"


class Execution:
    """One run of a flow, whose definition has been checked.

    :param context: what ``$._context`` is at this moment.
    :param now: the time, in seconds since 1970.
    """

    def __init__(
        self,
        definition: Mapping[str, Any],
        input: Mapping[str, Any],
        *,
        context: Callable[[], Mapping[str, Any]],
        now: Callable[[], float],
        max_transitions: int = MOST_TRANSITIONS,
        max_state_bytes: int = MOST_STATE_BYTES,
    ) -> None:
        self._states = definition["States"]
        self._start_at = definition["StartAt"]
        self._input = dict(input)
        self._context = context
        self._now = now
        self._max_transitions = max_transitions
        self._max_state_bytes = max_state_bytes

    def run(self) -> Generator[Effect, Any, Ended]:
        """Run to the end, yielding what the host has to do."""
        state: State = {key: value for key, value in self._input.items() if key != CONTEXT}
        name: str = self._start_at
        try:
            self._check(state)
        except NamedError as error:
            return (yield from self._fail(name, {}, error))
        yield Log("FlowStarted", "The Flow Instance started execution", {"input": shown(state)})
        for _ in range(self._max_transitions):
            try:
                following, state = yield from self._enter(name, state)
            except NamedError as error:
                return (yield from self._fail(name, state, error))
            if following is None:
                details = {"output": shown(state)}
                yield Log("FlowSucceeded", "The Flow Instance completed successfully", details)
                return Ended("SUCCEEDED", state)
            name = following
        endless = NamedError(RUNTIME_ERROR, f"The run has passed through {self._max_transitions:,} states without end")
        return (yield from self._fail(name, state, endless))

    def _fail(self, name: str, state: State, error: NamedError) -> Generator[Effect, Any, Ended]:
        details = {"state_name": name, "exception": error.name, "cause": error.cause}
        if error.output is not None:
            details["output"] = shown(error.output)
        yield Log(FLOW_FAILURE, "The Flow Instance failed", details)
        return Ended("FAILED", state, {"error": error.name, "cause": error.cause, "state_name": name})

    def _enter(self, name: str, state: State) -> Generator[Effect, Any, tuple[str | None, State]]:
        """Go through one state; return the name of the next, None after the last, and what it makes of the state."""
        definition = self._states[name]
        kind = definition["Type"]
        try:
            following, changed = yield from self._through(name, definition, state)
        except NamedError as error:
            details = {"state_name": name, "state_type": kind, "exception": error.name, "cause": error.cause}
            yield Log(f"{kind}{STATE_FAILURE}", f"State {name} of type {kind} failed", details)
            return self._catch(definition, state, error)
        return following, changed

    def _through(self, name: str, definition: Mapping[str, Any], state: State) -> Steps:
        try:
            following, changed = yield from _KINDS[definition["Type"]](self, name, definition, state)
        except RecursionError:
            raise _too_deep() from None
        self._check(changed)
        return following, changed

    def _catch(self, definition: Mapping[str, Any], state: State, error: NamedError) -> tuple[str, State]:
        for catcher in definition.get("Catch") or ():
            if error.name in catcher["ErrorEquals"] or CATCH_ALL in catcher["ErrorEquals"]:
                caught: State = {"Error": error.name, "Cause": error.cause}
                if error.output is not None:
                    caught["Details"] = error.output
                # Without a path, what was caught replaces the whole state.
                changed = write(catcher.get("ResultPath", "$"), state, caught)
                self._check(changed)
                return catcher["Next"], changed
        raise error

    def _check(self, state: State) -> None:
        """Refuse a state that is too large, or too deep for what comes after it."""
        size = len(json.dumps(_as_json(state), ensure_ascii=False).encode(errors="surrogatepass"))
        if _deeper_than(state, MOST_DEPTH):
            raise _too_deep()
        if size > self._max_state_bytes:
            raise NamedError(
                RUNTIME_ERROR, f"The state of the run has {size:,} bytes; {self._max_state_bytes:,} are allowed"
            )

    def _readable(self, state: State) -> State:
        return {**state, CONTEXT: dict(self._context())}

    def _given(self, definition: Mapping[str, Any], state: State) -> tuple[Any, Any]:
        """Return a state's input, and the same as logs may have it."""
        readable = self._readable(state)
        if "Parameters" in definition:
            filled, public = fill(definition["Parameters"], readable)
            return filled, shown(public)
        if "InputPath" in definition:
            given = read(definition["InputPath"], readable, "InputPath")
            return given, shown(given)
        return state, shown(state)

    # States

    def _action(self, name: str, definition: Mapping[str, Any], state: State) -> Steps:
        body, public = self._given(definition, state)
        if not isinstance(body, dict):
            raise NamedError(RUNTIME_ERROR, f"The input of state '{name}' must be an object")
        yield _started(name, "Action", public)
        url, scope, api = _handler(definition)
        answer: dict[str, Any] = yield RunAction(
            state_name=name,
            url=url,
            # Its own copy: a provider may change what it is given.
            body=copy.deepcopy(body),
            shown=public,
            scope=scope,
            run_as=definition.get("RunAs", "User"),
            wait_time=float(definition.get("WaitTime", DEFAULT_WAIT_TIME)),
            registered_api=api,
        )
        result = {**_as_json(answer), "state_name": name}
        if answer["status"] == "FAILED" and definition.get("ExceptionOnActionFailure", EXCEPTION_ON_ACTION_FAILURE):
            raise NamedError("ActionFailedException", f"The action of state '{name}' failed: {_why(answer)}", result)
        return (yield from self._leave(name, definition, state, result, result))

    def _pass(self, name: str, definition: Mapping[str, Any], state: State) -> Steps:
        given, public = self._given(definition, state)
        yield _started(name, "Pass", public)
        if "Result" in definition:
            given = public = definition["Result"]
        return (yield from self._leave(name, definition, state, given, public))

    def _expression_eval(self, name: str, definition: Mapping[str, Any], state: State) -> Steps:
        given, public = self._given(definition, state)
        yield _started(name, "ExpressionEval", public)
        return (yield from self._leave(name, definition, state, given, public))

    def _choice(self, name: str, definition: Mapping[str, Any], state: State) -> Steps:
        yield _started(name, "Choice", shown(state))
        readable = self._readable(state)
        for rule in definition["Choices"]:
            if holds(rule, readable):
                following = rule["Next"]
                break
        else:
            following = definition.get("Default")
            if following is None:
                raise NamedError(
                    "States.NoChoiceMatched", f"No choice of state '{name}' matches, and it has no Default"
                )
        yield _completed(name, "Choice", state)
        return following, state

    def _wait(self, name: str, definition: Mapping[str, Any], state: State) -> Steps:
        yield _started(name, "Wait", shown(state))
        yield Sleep(name, self._wait_until(name, definition, state))
        yield _completed(name, "Wait", state)
        return definition.get("Next"), state

    def _wait_until(self, name: str, definition: Mapping[str, Any], state: State) -> float:
        readable = self._readable(state)
        seconds: Any = definition.get("Seconds")
        if "SecondsPath" in definition:
            seconds = read(definition["SecondsPath"], readable, "SecondsPath")
        if seconds is not None:
            is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
            if not is_number or not 0 <= seconds <= LONGEST_WAIT_SECONDS:
                why = f"State '{name}' cannot wait for {seconds!r} seconds; 0 to {LONGEST_WAIT_SECONDS} are allowed"
                raise NamedError(RUNTIME_ERROR, why)
            return self._now() + float(seconds)
        moment: Any = definition.get("Timestamp")
        if "TimestampPath" in definition:
            moment = read(definition["TimestampPath"], readable, "TimestampPath")
        parsed = rfc3339(moment)
        if parsed is None:
            raise NamedError(RUNTIME_ERROR, f"State '{name}' cannot wait until {moment!r}, which is no timestamp")
        return parsed.timestamp()

    def _fail_state(self, name: str, definition: Mapping[str, Any], state: State) -> Steps:
        yield _started(name, "Fail", shown(state))
        readable = self._readable(state)
        error, cause = (
            read(definition[f"{what}Path"], readable, f"{what}Path")
            if f"{what}Path" in definition
            else definition.get(what)
            for what in ("Error", "Cause")
        )
        raise NamedError(str(error or "States.Fail"), str(cause or ""))

    def _create_web_input(self, name: str, definition: Mapping[str, Any], state: State) -> Steps:
        given, public = self._given(definition, state)
        if not isinstance(given, dict):
            raise NamedError(RUNTIME_ERROR, f"The input of state '{name}' must be an object")
        yield _started(name, "CreateWebInput", public)
        result = yield OpenWebInput(name, given)
        return (yield from self._leave(name, definition, state, result, result))

    def _await_web_input(self, name: str, definition: Mapping[str, Any], state: State) -> Steps:
        given, public = self._given(definition, state)
        yield _started(name, "AwaitWebInput", public)
        if not isinstance(given, Mapping) or not isinstance(given.get("web_input_id"), str):
            raise NamedError(RUNTIME_ERROR, f"State '{name}' needs the parameter web_input_id")
        result = yield AwaitResponse(name, given["web_input_id"])
        return (yield from self._leave(name, definition, state, result, result))

    def _leave(self, name: str, definition: Mapping[str, Any], state: State, result: Any, public: Any) -> Steps:
        yield Log(
            f"{definition['Type']}Completed",
            f"State {name} of type {definition['Type']} completed",
            {"state_name": name, "state_type": definition["Type"], "output": shown(public)},
        )
        return definition.get("Next"), write(definition.get("ResultPath", "$"), state, result)


_KINDS: dict[str, Callable[[Execution, str, Mapping[str, Any], State], Steps]] = {
    "Action": Execution._action,
    "Pass": Execution._pass,
    "ExpressionEval": Execution._expression_eval,
    "Choice": Execution._choice,
    "Wait": Execution._wait,
    "Fail": Execution._fail_state,
    "CreateWebInput": Execution._create_web_input,
    "AwaitWebInput": Execution._await_web_input,
}


def _started(name: str, kind: str, given: Any) -> Log:
    details = {"state_name": name, "state_type": kind, "input": given}
    return Log(f"{kind}Started", f"State {name} of type {kind} started", details)


def _completed(name: str, kind: str, state: State) -> Log:
    details = {"state_name": name, "state_type": kind, "output": shown(state)}
    return Log(f"{kind}Completed", f"State {name} of type {kind} completed", details)


def _as_json(value: Any) -> Any:
    """Return a value as it is after a journey as JSON; what cannot make one is an error of the run."""
    try:
        return json.loads(json.dumps(value))
    except RecursionError:
        raise _too_deep() from None
    except (TypeError, ValueError) as error:
        raise NamedError(RUNTIME_ERROR, f"What the state would hold cannot be written as JSON: {error}") from None


def _deeper_than(value: Any, depth: int) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    parts = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(_deeper_than(part, depth - 1) for part in parts)


def _too_deep() -> NamedError:
    return NamedError(RUNTIME_ERROR, f"The values of the run's state lie more than {MOST_DEPTH} deep in one another")


def _handler(definition: Mapping[str, Any]) -> tuple[str | None, str | None, str | None]:
    """Return an action's URL and scope, or the id of its registered API."""
    handler = definition.get("Handler")
    if isinstance(handler, str):
        return handler, definition.get("ActionScope"), None
    if isinstance(handler, Mapping):
        return handler.get("Url"), handler.get("Scope"), handler.get("Id")
    return definition["ActionUrl"], definition.get("ActionScope"), None


def _why(answer: Mapping[str, Any]) -> str:
    """Return what a failed action says of itself, in a line."""
    details = answer.get("details")
    said = details.get("description") or details.get("message") or details if isinstance(details, Mapping) else details
    return " ".join(str(said).split())[:500]
