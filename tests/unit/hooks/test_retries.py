"""How often a request is sent again, and what lies between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.exceptions import GlobusRateLimitError, GlobusUnavailableError
from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.hooks.retries import RETRIES, RETRIES_WHEN_THROTTLED

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that the SDK makes, which take no time here."""
    pauses: list[float] = []
    monkeypatch.setattr("globus_sdk.transport.requests.time.sleep", pauses.append)
    return pauses


def ask(**client: Any) -> None:
    hook = GlobusHook()
    hook.call("asking for a submission id", hook.transfer_client(**client).get_submission_id)


def trouble(sandbox: GlobusSandbox, times: int | None, **fault: Any) -> None:
    sandbox.faults.add({"service": "transfer", "path": "/v0.10/submission_id", "times": times, **fault})


@pytest.mark.parametrize("client", [{}, {"resend": False}])
def test_who_is_asked_to_slow_down_waits_as_long_as_it_takes_and_never_in_step(
    client: dict[str, Any], globus_sandbox: GlobusSandbox, slept: list[float]
) -> None:
    trouble(globus_sandbox, RETRIES_WHEN_THROTTLED, status=429, headers={"Retry-After": "5"})
    ask(**client)
    assert len(slept) == RETRIES_WHEN_THROTTLED
    assert all(5 <= pause <= 10 for pause in slept)
    assert len(set(slept)) > 10


def test_in_the_end_it_is_an_error(globus_sandbox: GlobusSandbox, slept: list[float]) -> None:
    trouble(globus_sandbox, None, status=429)
    with pytest.raises(GlobusRateLimitError):
        ask()
    # Globus named no time: the pauses grow, and none is endless.
    assert slept[5] > slept[0]
    assert max(slept) <= 30


def test_an_outage_is_given_up_sooner(globus_sandbox: GlobusSandbox, slept: list[float]) -> None:
    trouble(globus_sandbox, None, status=503)
    with pytest.raises(GlobusUnavailableError):
        ask()
    assert globus_sandbox.journal.count("transfer", "GET", "/v0.10/submission_id") == RETRIES + 1


def test_a_submission_that_was_not_answered_is_not_sent_again(
    globus_sandbox: GlobusSandbox, slept: list[float]
) -> None:
    trouble(globus_sandbox, None, drop_after=True)
    with pytest.raises(GlobusUnavailableError):
        ask(resend=False)
    assert globus_sandbox.journal.count("transfer", "GET", "/v0.10/submission_id") == 1


def test_a_poll_never_waits(globus_sandbox: GlobusSandbox, slept: list[float]) -> None:
    trouble(globus_sandbox, None, status=429, headers={"Retry-After": "5"})
    with pytest.raises(GlobusRateLimitError):
        ask(polling=True)
    assert slept == []
