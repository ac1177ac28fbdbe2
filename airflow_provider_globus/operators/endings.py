"""How a job can end other than well: the error for each end, and the words for it."""

from __future__ import annotations

from airflow_provider_globus.exceptions import (
    GlobusJobError,
    GlobusJobFailedError,
    GlobusJobInactiveError,
    GlobusJobLostError,
    GlobusJobStuckError,
    GlobusJobTimeoutError,
)
from airflow_provider_globus.jobs.base import Outcome

#: The error for each end but success.
JOB_ERRORS: dict[Outcome, type[GlobusJobError]] = {
    Outcome.FAILED: GlobusJobFailedError,
    Outcome.STUCK: GlobusJobStuckError,
    Outcome.INACTIVE: GlobusJobInactiveError,
    Outcome.LOST: GlobusJobLostError,
    Outcome.TIMEOUT: GlobusJobTimeoutError,
}

ENDINGS = {
    Outcome.FAILED: "failed",
    Outcome.STUCK: "was stuck and has been cancelled",
    Outcome.INACTIVE: "was suspended and has been cancelled",
    Outcome.LOST: "is lost",
    Outcome.TIMEOUT: "did not end within execution_timeout and has been cancelled",
}

#: The same for a service that cannot cancel.
ENDINGS_RUNNING_ON = {
    **ENDINGS,
    Outcome.STUCK: "is stuck",
    Outcome.INACTIVE: "is suspended",
    Outcome.TIMEOUT: "did not end within execution_timeout; it cannot be cancelled and runs on, and a retry adopts it",
}
