"""Flows of one action, run for real."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.sandbox.flows.conftest import Lab, lab

__all__ = ["lab"]


class OneAction:
    """Runs an action of one provider, and tells how it ended."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def __call__(self, url: str, body: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Run it, and return its status document."""
        return dict(self.run(url, body, **more).details["output"]["result"])

    def run(self, url: str, body: dict[str, Any], **more: Any) -> Any:
        """Run it, and return the run."""
        state = {"Type": "Action", "ActionUrl": url, "InputPath": "$.body", "ResultPath": "$.result", "End": True}
        state |= {"ExceptionOnActionFailure": False, **more.pop("state", {})}
        return self.lab.run({"StartAt": "Do", "States": {"Do": state}}, {"body": body}, **more)

    def refusal(self, url: str, body: dict[str, Any], **more: Any) -> str:
        """Run it, and return why the provider did not take it."""
        details = self.run(url, body, **more).details["details"]
        assert details["exception"] == "ActionUnableToRun"
        return str(details["cause"])


@pytest.fixture
def act(lab: Lab) -> OneAction:
    return OneAction(lab)
