"""What an action provider makes of a service's refusal.

Not confirmed by any recording: which refusals the real providers turn into an action that has failed. Here, what the
service refuses at the start is no action at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.action_providers.base import FAILED, INACTIVE, ActionRefused, Progress
from airflow_provider_globus.sandbox.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable


@contextmanager
def refusals() -> Iterator[None]:
    """Refuse an action as the service behind it refuses it."""
    try:
        yield
    except ServiceError as error:
        raise ActionRefused(error.status, error.code, error.message) from None


def failed_when_refused(look: Callable[[], Progress]) -> Progress:
    """Ask after something that has begun; what the service no longer tells about has failed."""
    try:
        return look()
    except ServiceError as error:
        return Progress(FAILED, {"code": error.code, "description": error.message})


def unless_consent_is_missing(start: Callable[[], Progress]) -> Progress:
    """Do something; when a consent is missing, the action is suspended until it is given."""
    try:
        return start()
    except ServiceError as error:
        if error.code != "ConsentRequired":
            raise ActionRefused(error.status, error.code, error.message) from None
        scopes = error.extra.get("required_scopes") or []
        return Progress(INACTIVE, consent_details(error.message, scopes))


def consent_details(message: str, scopes: list[str]) -> dict[str, Any]:
    """Return the details of an action that waits for a consent."""
    return {
        "code": "ConsentRequired",
        "description": message,
        "required_scope": " ".join(scopes),
        "resolution_url": None,
        "authorization_parameters": {"session_message": message, "required_scopes": scopes},
    }
