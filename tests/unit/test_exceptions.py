from __future__ import annotations

import pickle

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from airflow_provider_globus import exceptions
from airflow_provider_globus.exceptions import (
    GlobusConsentRequiredError,
    GlobusError,
    GlobusInputError,
    GlobusJobFailedError,
    GlobusJobStuckError,
    GlobusRateLimitError,
    GlobusServiceError,
    GlobusUnavailableError,
    is_transient,
)

ALL = [getattr(exceptions, name) for name in exceptions.__all__ if name.endswith("Error")]


@pytest.mark.parametrize("cls", ALL)
def test_survives_pickling_with_all_it_says(cls: type[GlobusError]) -> None:
    facts = {"status": 403, "code": "X", "request_id": "r1"} if issubclass(cls, GlobusServiceError) else {}
    error = cls("It broke.", advice="Mend it.", **facts)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is cls
    assert str(copy) == "It broke. Mend it."
    assert {name: getattr(copy, name) for name in facts} == facts


def test_consent_keeps_its_scopes() -> None:
    error = pickle.loads(pickle.dumps(GlobusConsentRequiredError("No.", required_scopes=["a", "b"])))
    assert error.required_scopes == ["a", "b"]


def test_permanent_errors_are_not_retried_and_others_are() -> None:
    assert issubclass(GlobusInputError, AirflowFailException)
    assert issubclass(GlobusJobStuckError, AirflowFailException)
    for cls in (GlobusJobFailedError, GlobusUnavailableError, GlobusRateLimitError):
        assert issubclass(cls, AirflowException)
        assert not issubclass(cls, AirflowFailException)


def test_only_what_time_cures_is_transient() -> None:
    assert is_transient(GlobusUnavailableError("502"))
    assert is_transient(GlobusRateLimitError("429"))
    assert not is_transient(GlobusInputError("no"))
    assert not is_transient(ValueError())
