"""What a running flow asks of its host.

`Execution.run` is a generator: it yields these, is sent the answers, and returns how the flow ended. So the language
knows no service, no thread and no clock, and a test may be the host.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Log:
    """An entry of the run log, private values masked already. Answered with None."""

    code: str
    description: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunAction:
    """Run an action to its end. Answered with its status document, SUCCEEDED or FAILED.

    The host may throw `NamedError` instead: ``ActionUnableToRun`` (its ``output`` is the provider's error document) or
    ``ActionTimeout`` (the last status document).

    :param url: the action provider's, as the definition has it; None when a registered API is meant.
    :param body: what to send, private parameters included.
    :param shown: the same without private parameters, for logs and status.
    :param run_as: ``User``, ``Flow`` or the name of a role.
    :param wait_time: seconds.
    """

    state_name: str
    url: str | None
    body: dict[str, Any]
    shown: dict[str, Any]
    scope: str | None = None
    run_as: str = "User"
    wait_time: float = 300.0
    registered_api: str | None = None


@dataclass(frozen=True)
class Sleep:
    """Come back at this time, in seconds since 1970. Answered with None."""

    state_name: str
    until: float


@dataclass(frozen=True)
class OpenWebInput:
    """Ask people for a choice. Answered with a document that has ``web_input_id``."""

    state_name: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class AwaitResponse:
    """Wait until somebody has chosen. Answered with a document that has ``response``.

    The host may throw `NamedError` ``Flows.WebInputExpired``.
    """

    state_name: str
    web_input_id: str


Effect: TypeAlias = Log | RunAction | Sleep | OpenWebInput | AwaitResponse


@dataclass(frozen=True)
class Ended:
    """How a flow ended.

    :param status: ``SUCCEEDED`` or ``FAILED``.
    :param output: the state it ended with; private keys are still in it.
    :param error: of a failed one: its ``error`` name, ``cause``, and ``state_name``.
    """

    status: str
    output: dict[str, Any]
    error: dict[str, Any] | None = None


class NamedError(Exception):
    """An exception of the flow language: what ``Catch`` finds by its name.

    :param name: such as ``ActionTimeout`` or ``States.Runtime``.
    :param cause: in a sentence.
    :param output: more about it, JSON; what ``Catch`` hands on beside name and cause.
    """

    def __init__(self, name: str, cause: str, output: Any = None) -> None:
        super().__init__(f"{name}: {cause}")
        self.name = name
        self.cause = cause
        self.output = output
