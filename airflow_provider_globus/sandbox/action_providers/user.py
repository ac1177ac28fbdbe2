"""Providers of the user's own: a Python function of what the flow sends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from airflow_provider_globus.sandbox.action_providers.base import FAILED, SUCCEEDED, Action, EndsAtOnce, Progress


class CallableProvider(EndsAtOnce):
    """Calls a function with what a state sends; what it returns are the details, what it raises is a failure."""

    title: ClassVar[str] = "A function of the sandbox's user"
    urls: ClassVar[tuple[str, ...]] = ()
    scope: ClassVar[str] = ""
    input_schema: ClassVar[dict[str, Any]] = {"type": "object"}

    def __init__(self, function: Callable[[dict[str, Any]], Any]) -> None:
        self._function = function

    def start(self, action: Action) -> Progress:
        """Call it."""
        try:
            return Progress(SUCCEEDED, self._function(action.body))
        except Exception as error:
            return Progress(FAILED, {"code": type(error).__name__, "description": str(error)})
