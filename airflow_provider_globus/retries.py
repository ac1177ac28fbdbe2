"""When a task that Globus has failed is tried again: how long Airflow waits depends on what went wrong."""

from __future__ import annotations

import logging
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.exceptions import (
    GlobusEndpointOfflineError,
    GlobusJobLostError,
    GlobusRateLimitError,
    GlobusTaskLimitError,
    GlobusUnavailableError,
)

if TYPE_CHECKING:
    from airflow.sdk import Context, RetryPolicy

log = logging.getLogger(__name__)

#: Longest wait between two tries, whatever the number of the try.
LONGEST = timedelta(hours=2)
#: Waits differ by so much of their length, so that tasks that failed together do not return together.
JITTER = 0.25


def globus_retry_policy(
    *,
    rate_limit: timedelta = timedelta(minutes=1),
    outage: timedelta = timedelta(minutes=2),
    offline: timedelta = timedelta(minutes=5),
    task_limit: timedelta = timedelta(minutes=10),
) -> RetryPolicy | None:
    """
    Return the policy for ``default_args={"retries": 5, "retry_policy": globus_retry_policy()}``.

    The wait doubles with each try, up to two hours, varies by a quarter, and is never shorter than Globus asks for.
    What is not named here waits for the task's own ``retry_delay``, a job that Globus reports as failed for example;
    permanent errors, such as a refused secret or a missing file, are not tried again, with a policy or without.
    ``retries`` of the task still says how often.

    :param rate_limit: first wait after too many requests (``GlobusRateLimitError``).
    :param outage: first wait after no usable answer, or a job whose state could not be asked for
        (``GlobusUnavailableError``, ``GlobusJobLostError``).
    :param offline: first wait for a Compute endpoint that is offline (``GlobusEndpointOfflineError``).
    :param task_limit: first wait for room, when the identity has as many unfinished transfers as Globus takes
        (``GlobusTaskLimitError``).
    :return: ``None`` where Airflow has no retry policies (before 3.3); then ``retry_delay`` counts alone.
    """
    try:
        from airflow.sdk import ExceptionRetryPolicy, RetryDecision, RetryRule
    except ImportError:
        log.warning("This Airflow has no retry policies (3.3 has): tasks wait for their retry_delay.")
        return None

    class GlobusRetryPolicy(ExceptionRetryPolicy):
        """Rules by error, with waits that grow."""

        def evaluate(
            self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
        ) -> RetryDecision:
            decision: RetryDecision = super().evaluate(exception, try_number, max_tries, context)
            if decision.retry_delay is None:
                return decision
            asked = getattr(exception, "retry_after", None)
            return RetryDecision.retry(_wait(decision.retry_delay, try_number, asked), decision.reason)

    def rule(delay: timedelta, reason: str, *errors: type[BaseException]) -> Any:
        return RetryRule(exception=list(errors), retry_delay=delay, reason=reason)

    # The first rule that fits decides: a limit on tasks is one on rates, too.
    return GlobusRetryPolicy(
        rules=[
            rule(task_limit, "Globus takes no more tasks of this identity for now", GlobusTaskLimitError),
            rule(rate_limit, "Globus asks to slow down", GlobusRateLimitError),
            rule(outage, "Globus could not be reached", GlobusUnavailableError, GlobusJobLostError),
            rule(offline, "The Compute endpoint is offline", GlobusEndpointOfflineError),
        ]
    )


def _wait(first: timedelta, try_number: int, asked: float | None) -> timedelta:
    doubled: timedelta = first * 2 ** min(max(try_number - 1, 0), 16)
    # Not for secrets: it only spreads tasks.
    varied = min(doubled, LONGEST) * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
    return max(varied, timedelta(seconds=asked or 0))
