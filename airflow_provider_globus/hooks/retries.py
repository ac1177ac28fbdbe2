"""How the SDK's clients send a request again, by what the request is for."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from globus_sdk.transport import RetryCheckResult, RetryConfig, RetryContext

log = logging.getLogger(__name__)

#: ``patient``: whatever may pass is tried again. ``polling``: whoever asks has pauses of its own. ``once``: only what
#: the service has refused, since it may have done what it did not answer. ``files``: patient, also when the server of a
#: collection answers as if a file was missing, and could not look.
Manner = Literal["patient", "polling", "once", "files"]

#: Times that a request is sent again when it fails, and when Globus asks to slow down: of two hundred tasks that start
#: together, the last wait for a minute or more.
RETRIES, RETRIES_WHEN_THROTTLED = 4, 15
_LONGEST_SECONDS = 30
# Seen by projects that submit to Compute from several threads; Globus documents the code only.
_BUSY = "RESOURCE_CONFLICT"


def retry_config(manner: Manner) -> RetryConfig:
    """The SDK's settings for a manner; each client needs one of its own."""
    from globus_sdk.transport import RetryCheckCollection, RetryConfig

    if manner == "polling":
        # With one retry and nothing to retry but authorization and the network, a poll never sleeps for long.
        return RetryConfig(max_retries=1, max_sleep=1, retry_after_status_codes=(), transient_error_status_codes=())
    checks = RetryCheckCollection()
    checks.register_check(_enough)
    config = RetryConfig(max_retries=RETRIES_WHEN_THROTTLED, max_sleep=_LONGEST_SECONDS, backoff=_spread, checks=checks)
    if manner == "files":
        checks.register_check(_fault_is_no_miss)
        return config
    checks.register_check(_busy_is_no_conflict)
    if manner == "once":
        checks.register_check(_unanswered_is_final)
        config.retry_after_status_codes, config.transient_error_status_codes = (429,), ()
    return config


def _enough(context: RetryContext) -> RetryCheckResult:
    """What fails is given up sooner than what is only asked to wait."""
    from globus_sdk.transport import RetryCheckResult

    throttled = context.response is not None and context.response.status_code == 429
    enough = context.attempt >= RETRIES and not throttled
    return RetryCheckResult.do_not_retry if enough else RetryCheckResult.no_decision


def _spread(context: RetryContext) -> float:
    """Seconds to wait: at least what Globus asks for, and not the same for all that were refused together."""
    if context.backoff is not None:
        seconds = context.backoff * random.uniform(1, 2)  # noqa: S311
    else:
        seconds = random.uniform(0.25, 0.75) * 2**context.attempt  # noqa: S311
    seconds = min(seconds, _LONGEST_SECONDS)
    if context.response is not None and context.response.status_code == 429:
        log.info("Globus asks this identity to slow down: waiting %.0f s with a request.", seconds)
    return seconds


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
