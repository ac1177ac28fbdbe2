"""
What can go wrong with Globus, as distinct errors that say what to do next.

Permanent errors are ``AirflowFailException``: Airflow does not retry them. Everything else is retried as the task says.
All of them survive pickling, and none carries a response body, a token or a secret.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException

__all__ = [
    "GlobusAuthError",
    "GlobusBadRequestError",
    "GlobusCollectionNameError",
    "GlobusConfigError",
    "GlobusConflictError",
    "GlobusConsentRequiredError",
    "GlobusDriftError",
    "GlobusEndpointNameError",
    "GlobusEndpointOfflineError",
    "GlobusError",
    "GlobusFlowNameError",
    "GlobusIndexNameError",
    "GlobusInputError",
    "GlobusJobError",
    "GlobusJobFailedError",
    "GlobusJobInactiveError",
    "GlobusJobLostError",
    "GlobusJobRejectedError",
    "GlobusJobStuckError",
    "GlobusJobTimeoutError",
    "GlobusNotFoundError",
    "GlobusNothingFoundError",
    "GlobusPermissionError",
    "GlobusRateLimitError",
    "GlobusResultError",
    "GlobusServiceError",
    "GlobusSubmissionUnknownError",
    "GlobusTaskLimitError",
    "GlobusUnavailableError",
    "GlobusVerificationError",
    "is_transient",
]


class GlobusError(AirflowException):
    """
    Base of all errors of this provider.

    :param message: what happened and where.
    :param advice: what to do next; shown after the message.
    """

    def __init__(self, message: str, *, advice: str = "", **details: Any) -> None:
        self.message = message
        self.advice = advice
        self.details = details
        super().__init__(str(self))

    def __str__(self) -> str:
        """Message and advice in one text."""
        return f"{self.message} {self.advice}".strip()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the constructor's arguments, so that a worker can hand the error on."""
        return _rebuild, (type(self), self.message, self.advice, self.details)


def _rebuild(cls: type[GlobusError], message: str, advice: str, details: dict[str, Any]) -> GlobusError:
    return cls(message, advice=advice, **details)


class GlobusConfigError(GlobusError, AirflowFailException):
    """The Airflow connection lacks something or contradicts itself."""


class GlobusInputError(GlobusError, AirflowFailException):
    """An operator's argument cannot be right; refused before any request left."""


class GlobusCollectionNameError(GlobusInputError):
    """A collection's name matches none, or more than one, of the collections this identity can see."""


class GlobusEndpointNameError(GlobusInputError):
    """A Compute endpoint's name matches none, or more than one, of those this identity can see."""


class GlobusFlowNameError(GlobusInputError):
    """A flow's title matches none, or more than one, of the flows this identity can see."""


class GlobusIndexNameError(GlobusInputError):
    """A Search index's name matches none, or more than one, of the indexes this identity can see."""


class GlobusServiceError(GlobusError):
    """
    A Globus service answered with an error.

    :param status: HTTP status, ``None`` when no answer came.
    :param code: Globus's own error code, for example ``EndpointNotFound``.
    :param request_id: id of the request at Globus; quote it to Globus support.
    :param retry_after: seconds the service asked to wait, if it did.
    """

    def __init__(
        self,
        message: str,
        *,
        advice: str = "",
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        **details: Any,
    ) -> None:
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after
        super().__init__(
            message,
            advice=advice,
            status=status,
            code=code,
            request_id=request_id,
            retry_after=retry_after,
            **details,
        )


class GlobusUnavailableError(GlobusServiceError):
    """No usable answer: network trouble, a 5xx status, or an answer that is not JSON. Worth another try."""


class GlobusRateLimitError(GlobusServiceError):
    """Globus asks to slow down (429). Worth another try later."""


class GlobusTaskLimitError(GlobusRateLimitError):
    """This identity has as many unfinished tasks as Globus takes. Worth another try when some have ended."""


class GlobusAuthError(GlobusServiceError, AirflowFailException):
    """The client secret, refresh token or access token was refused."""


class GlobusConsentRequiredError(GlobusServiceError, AirflowFailException):
    """
    The identity lacks a consent, a session property (MFA, domain, policy), or both.

    :param required_scopes: scopes that Globus asked for, if it named any.
    """

    def __init__(self, message: str, *, required_scopes: list[str] | None = None, **kwargs: Any) -> None:
        self.required_scopes = list(required_scopes or [])
        super().__init__(message, required_scopes=self.required_scopes, **kwargs)


class GlobusPermissionError(GlobusServiceError, AirflowFailException):
    """The identity may not do this (403)."""


class GlobusNotFoundError(GlobusServiceError, AirflowFailException):
    """No such collection, task, path or rule (404)."""


class GlobusConflictError(GlobusServiceError, AirflowFailException):
    """It exists already, or an identical transfer is still running (409)."""


class GlobusBadRequestError(GlobusServiceError, AirflowFailException):
    """Globus refused the request's content (400 or 422)."""


class GlobusJobError(GlobusError):
    """
    A job did not end well. ``job_id`` is the id at Globus.

    :param job_id: task id, run id or task group id.
    :param code: Globus's own code for the failure, for example ``PERMISSION_DENIED``.
    """

    def __init__(self, message: str, *, job_id: str = "", code: str | None = None, **kwargs: Any) -> None:
        self.job_id = job_id
        self.code = code
        super().__init__(message, job_id=job_id, code=code, **kwargs)


class GlobusJobFailedError(GlobusJobError):
    """Globus reports the job as failed. Airflow's retries apply: a retry submits a new job."""


class GlobusJobTimeoutError(GlobusJobError):
    """The job outlived ``execution_timeout`` and was cancelled. Airflow's retries apply."""


class GlobusJobLostError(GlobusJobError):
    """Globus no longer knows the job, or its state could not be asked for too long. Airflow's retries apply."""


class GlobusJobStuckError(GlobusJobError, AirflowFailException):
    """The job made no progress for a reason that time does not cure (missing file, denied permission)."""


class GlobusJobInactiveError(GlobusJobError, AirflowFailException):
    """Globus suspended the job until somebody renews a consent or a credential."""


class GlobusJobRejectedError(GlobusJobError, AirflowFailException):
    """The job ended as another one would, for example because a person has said no."""


class GlobusEndpointOfflineError(GlobusError):
    """The Compute endpoint is offline, and nothing was submitted. Airflow's retries apply."""


class GlobusSubmissionUnknownError(GlobusError, AirflowFailException):
    """No answer came to a submission, and whether it was accepted cannot be found out: it is not sent again."""


class GlobusNothingFoundError(GlobusError):
    """A search has found nothing where something had to be. Airflow's retries apply."""


class GlobusDriftError(GlobusError, AirflowFailException):
    """
    Something at Globus is not as a policy demands.

    :param drift: each difference: ``object``, ``field``, ``wanted`` and ``found``.
    """

    def __init__(self, message: str, *, drift: list[dict[str, Any]] | None = None, **kwargs: Any) -> None:
        self.drift = list(drift or [])
        super().__init__(message, drift=self.drift, **kwargs)


class GlobusResultError(GlobusError, AirflowFailException):
    """The result of a function cannot be read, or not without running code that came with it."""


class GlobusVerificationError(GlobusError, AirflowFailException):
    """Files are not what a manifest says: missing, different, not listed, or not to be told the same."""


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed a little later."""
    return isinstance(error, (GlobusUnavailableError, GlobusRateLimitError))
