"""How the SDK's clients send a request again, by what the request is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from globus_sdk.transport import RetryCheckResult, RetryConfig, RetryContext

#: ``patient``: whatever may pass is tried again. ``polling``: whoever asks has pauses of its own. ``once``: only what
#: the service has refused, since it may have done what it did not answer. ``files``: patient, also when the server of a
#: collection answers as if a file was missing, and could not look.
Manner = Literal["patient", "polling", "once", "files"]

# Seen by projects that submit to Compute from several threads; Globus documents the code only.
_BUSY = "RESOURCE_CONFLICT"


def retry_config(manner: Manner) -> RetryConfig:
    """The SDK's settings for a manner; each client needs one of its own."""
    from globus_sdk.transport import RetryCheckCollection, RetryConfig

    checks = RetryCheckCollection()
    if manner == "patient":
        checks.register_check(_busy_is_no_conflict)
        return RetryConfig(max_retries=4, max_sleep=30, checks=checks)
    if manner == "polling":
        # With one retry and nothing to retry but authorization and the network, a poll never sleeps for long.
        return RetryConfig(max_retries=1, max_sleep=1, retry_after_status_codes=(), transient_error_status_codes=())
    if manner == "files":
        checks.register_check(_fault_is_no_miss)
        return RetryConfig(max_retries=4, max_sleep=30, checks=checks)
    checks.register_check(_unanswered_is_final)
    checks.register_check(_busy_is_no_conflict)
    return RetryConfig(
        max_retries=6, max_sleep=30, retry_after_status_codes=(429,), transient_error_status_codes=(), checks=checks
    )


def _unanswered_is_final(context: RetryContext) -> RetryCheckResult:
    from globus_sdk.transport import RetryCheckResult

    return RetryCheckResult.no_decision if context.exception is None else RetryCheckResult.do_not_retry


def _busy_is_no_conflict(context: RetryContext) -> RetryCheckResult:
    """Compute refuses with 409 and "please try again" what meets another request; nothing was accepted then."""
    from globus_sdk.transport import RetryCheckResult

    response = context.response
    if response is not None and response.status_code == 409 and _BUSY in response.text and "try again" in response.text:
        return RetryCheckResult.do_retry
    return RetryCheckResult.no_decision


def _fault_is_no_miss(context: RetryContext) -> RetryCheckResult:
    from globus_sdk.transport import RetryCheckResult

    from airflow_provider_globus.hooks.https_errors import is_server_fault

    response = context.response
    if response is not None and is_server_fault(response.status_code, response.text):
        return RetryCheckResult.do_retry
    return RetryCheckResult.no_decision
