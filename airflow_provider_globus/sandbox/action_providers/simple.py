"""Providers that need no service: a greeting for tests of flows, and expressions."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow_provider_globus.sandbox.action_providers.base import (
    ACTIVE,
    FAILED,
    INACTIVE,
    SUCCEEDED,
    Action,
    ActionRefused,
    EndsAtOnce,
    Progress,
)
from airflow_provider_globus.sandbox.action_providers.refusals import consent_details
from airflow_provider_globus.sandbox.flow_language.effects import NamedError
from airflow_provider_globus.sandbox.flow_language.expressions import evaluate
from airflow_provider_globus.sandbox.flow_language.paths import reference_problem, write


class HelloWorldProvider:
    """Greets, at once or after some sandbox seconds; asks for a consent first, when it is told to."""

    title: ClassVar[str] = "Hello World"
    urls: ClassVar[tuple[str, ...]] = ("https://actions.globus.org/hello_world",)
    scope: ClassVar[str] = "https://auth.globus.org/scopes/actions.globus.org/hello_world"
    input_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {
            "echo_string": {"type": "string"},
            "sleep_time": {"type": "integer", "minimum": 0},
            "required_dependent_scope": {"type": "string"},
        },
        "additionalProperties": False,
    }

    def start(self, action: Action) -> Progress:
        """Begin to sleep."""
        wanted, caller = action.body.get("required_dependent_scope"), action.caller
        if wanted and not (caller.every_consent or (self.scope, wanted) in caller.consents):
            return Progress(INACTIVE, consent_details("Missing required consent", [f"{self.scope}[{wanted}]"]))
        action.memory["until"] = action.world.clock.time() + action.body.get("sleep_time", 0)
        return self.progress(action)

    def progress(self, action: Action) -> Progress:
        """Greet when the time has come."""
        if action.world.clock.time() < action.memory["until"]:
            return Progress(ACTIVE, {})
        details: dict[str, Any] = {"Hello": "World"}
        if "echo_string" in action.body:
            details["hello"] = action.body["echo_string"]
        return Progress(SUCCEEDED, details)

    def cancel(self, action: Action) -> None:
        """There is nothing to stop."""


class ExpressionEvalProvider(EndsAtOnce):
    """Evaluates expressions."""

    title: ClassVar[str] = "Expression Evaluation"
    urls: ClassVar[tuple[str, ...]] = ("https://actions.globus.org/expression_eval",)
    scope: ClassVar[str] = "https://auth.globus.org/scopes/5fac2e64-c734-4e6b-90ea-ff12ddbf9653/expression"
    input_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {
            "expression": {"type": "string"},
            "arguments": {"type": "object"},
            "result_path": {"type": "string"},
            "expressions": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["expression"]}},
        },
        "anyOf": [{"required": ["expression"]}, {"required": ["expressions"]}],
    }

    def start(self, action: Action) -> Progress:
        """Evaluate them in order; each sees what those before it have written."""
        details: dict[str, Any] = {}
        common = action.body.get("arguments") or {}
        for wanted in action.body.get("expressions") or [action.body]:
            names = {**common, **details, **(wanted.get("arguments") or {})}
            path = wanted.get("result_path", "result")
            path = path if path.startswith("$") else f"$.{path}"
            if why := reference_problem(path):
                raise ActionRefused(400, "RequestValidationError", why)
            try:
                value = evaluate(wanted["expression"], names)
            except NamedError as error:
                return Progress(FAILED, {"code": "ExpressionError", "description": error.cause})
            details = write(path, details, value)
        return Progress(SUCCEEDED, details)
